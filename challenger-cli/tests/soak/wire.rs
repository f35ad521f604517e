//! HTTP as a client speaks it, over TCP or a UNIX socket.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::site::Reply;

/// Longer than any answer takes, be it that the helper hangs and the database is away.
const WAIT: Duration = Duration::from_secs(60);

/// Where a server listens.
pub enum Door {
    Tcp(u16),
    Unix(PathBuf),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection, with what came and was not asked for yet.
pub struct Line {
    stream: Stream,
    bytes: Vec<u8>,
}

/// What a client wants.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// What it is called in the figures.
    pub kind: &'static str,
    pub method: &'static str,
    /// Without the first slash.
    pub target: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a str,
}

impl Call<'_> {
    fn text(&self, keeps: bool) -> String {
        let Call { method, target, body, .. } = self;
        let connection = if keeps { "keep-alive" } else { "close" };
        let mut text = format!(
            "{method} /{target} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n"
        );
        for (name, value) in self.headers {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        write!(text, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        text
    }
}

impl Door {
    pub fn connect(&self) -> io::Result<Line> {
        let stream = match self {
            Self::Tcp(port) => {
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port))?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(WAIT))?;
                stream.set_write_timeout(Some(WAIT))?;
                Stream::Tcp(stream)
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(WAIT))?;
                stream.set_write_timeout(Some(WAIT))?;
                Stream::Unix(stream)
            }
        };
        Ok(Line { stream, bytes: Vec::new() })
    }
}

impl Line {
    /// Asks and reads the answer; tells, too, whether the connection may be used again.
    pub fn ask(&mut self, call: &Call<'_>, keeps: bool) -> io::Result<(Reply, bool)> {
        self.send(call.text(keeps).as_bytes())?;
        let reply = self.answer()?;
        let closes = reply.header("Connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
        Ok((reply, keeps && !closes))
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// The next answer.
    pub fn answer(&mut self) -> io::Result<Reply> {
        let end = loop {
            if let Some(at) = self.bytes.windows(4).position(|it| it == b"\r\n\r\n") {
                break at;
            }
            self.read_on()?;
        };
        let head: Vec<u8> = self.bytes.drain(..end + 4).take(end).collect();
        let (status, headers) = parse(&head).ok_or_else(|| odd("no head of an answer"))?;
        let mut reply = Reply { status, headers, body: String::new() };
        let length = reply.header("Content-Length").unwrap_or("0").parse();
        let length: usize = length.map_err(|_| odd("no length of an answer"))?;
        while self.bytes.len() < length {
            self.read_on()?;
        }
        let body = self.bytes.drain(..length).collect();
        reply.body = String::from_utf8(body).map_err(|_| odd("no text"))?;
        Ok(reply)
    }

    fn read_on(&mut self) -> io::Result<()> {
        let mut more = [0; 4096];
        let length = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut more),
            Stream::Unix(stream) => stream.read(&mut more),
        }?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bytes.extend(&more[..length]);
        Ok(())
    }
}

fn odd(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Status and headers.
fn parse(head: &[u8]) -> Option<(u16, Vec<(String, String)>)> {
    let head = str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_string(), value.to_string()))
    };
    Some((status, lines.map(header).collect::<Option<_>>()?))
}

/// As forms and queries have it.
pub fn escape(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
