//! HTTP as a client speaks it over a connection that stays, written to cost the driver little.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Longer than any answer takes.
const WAIT: Duration = Duration::from_secs(60);
/// More than any answer of the service has, before documents of the operator.
const ANSWER_MAX: usize = 1024 * 1024;

/// Where a service listens.
#[derive(Clone, Debug)]
pub enum Place {
    /// A host with a port.
    Tcp(String),
    /// The file of a UNIX socket.
    Unix(PathBuf),
}

impl Place {
    /// Reads `http://HOST:PORT`.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = || format!("{url}: expected http://HOST:PORT, without TLS and without a path");
        let host = url.strip_prefix("http://").ok_or_else(wrong)?.trim_end_matches('/');
        let (name, port) = host.rsplit_once(':').ok_or_else(wrong)?;
        let is_good = !name.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok();
        if is_good { Ok(Self::Tcp(host.to_owned())) } else { Err(wrong()) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host) => f.write_str(host),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

trait Stream: Read + Write + Send {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}

/// A connection that stays open.
pub struct Connection {
    stream: Box<dyn Stream>,
    bytes: Vec<u8>,
    filled: usize,
}

/// An answer, valid until the next request.
pub struct Answer<'a> {
    pub status: u16,
    head: &'a str,
    pub body: &'a str,
    /// Whether the service closes the connection.
    pub is_last: bool,
}

impl Answer<'_> {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }

    /// The error code of GNU Taler in it, if there is one.
    pub fn code(&self) -> Option<u64> {
        serde_json::from_str::<serde_json::Value>(self.body).ok()?.get("code")?.as_u64()
    }
}

impl Connection {
    /// Connects.
    pub fn open(place: &Place) -> io::Result<Self> {
        let stream: Box<dyn Stream> = match place {
            Place::Tcp(host) => {
                let stream = TcpStream::connect(host)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(WAIT))?;
                stream.set_write_timeout(Some(WAIT))?;
                Box::new(stream)
            }
            Place::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(WAIT))?;
                stream.set_write_timeout(Some(WAIT))?;
                Box::new(stream)
            }
        };
        Ok(Self { stream, bytes: vec![0; 64 * 1024], filled: 0 })
    }

    /// Sends a request and reads its answer to the end.
    pub fn ask(&mut self, request: &str) -> io::Result<Answer<'_>> {
        self.stream.write_all(request.as_bytes())?;
        self.filled = 0;
        let mut looked_at = 0;
        let end = loop {
            self.read_on()?;
            let new = self.bytes.get(looked_at..self.filled).unwrap_or_default();
            if let Some(at) = new.windows(4).position(|it| it == b"\r\n\r\n") {
                break looked_at + at + 4;
            }
            looked_at = self.filled.saturating_sub(3);
        };
        let head = self.bytes.get(..end).unwrap_or_default();
        let head = str::from_utf8(head).map_err(|_| odd("a head that is no text"))?;
        let length = header(head, "Content-Length").and_then(|it| it.parse::<usize>().ok());
        let length = length.filter(|length| *length <= ANSWER_MAX);
        let whole = end + length.ok_or_else(|| odd("an answer without a length of its own"))?;
        while self.filled < whole {
            self.read_on()?;
        }
        if self.filled > whole {
            return Err(odd("more than one answer"));
        }
        let (head, body) = self.bytes.get(..whole).unwrap_or_default().split_at(end);
        let head = str::from_utf8(head).map_err(|_| odd("a head that is no text"))?;
        let body = str::from_utf8(body).map_err(|_| odd("a body that is no text"))?;
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| odd("no status of HTTP/1.1"))?;
        let is_last =
            header(head, "Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Ok(Answer { status, head, body, is_last })
    }

    fn read_on(&mut self) -> io::Result<()> {
        if self.filled == self.bytes.len() {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
        match self.stream.read(self.bytes.get_mut(self.filled..).unwrap_or_default())? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.filled += read;
                Ok(())
            }
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.split("\r\n").skip(1);
    let found =
        lines.filter_map(|line| line.split_once(':')).find(|(it, _)| it.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}

fn odd(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
