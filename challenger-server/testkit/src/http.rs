//! HTTP by hand, over TCP or a UNIX socket: for tests that send things that no library would.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// Longer than anything takes, on the busiest machine.
pub const WAIT: Duration = Duration::from_secs(120);

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Place {
    /// A port of this machine.
    Tcp(u16),
    /// The file of a UNIX socket.
    Unix(PathBuf),
}

impl Place {
    /// Connects. Every stream socket can do what a `TcpStream` does here, so that type is used for
    /// both.
    pub fn connect(&self) -> io::Result<TcpStream> {
        match self {
            Self::Tcp(port) => {
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port))?;
                stream.set_nodelay(true)?;
                Ok(stream)
            }
            Self::Unix(path) => UnixStream::connect(path).map(|it| OwnedFd::from(it).into()),
        }
    }
}

/// A request as it is sent. `path` is without the first slash.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let fields: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{fields}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The first line of a message, and its headers.
pub type Head = (String, Vec<(String, String)>);

/// Reads the head of a message, and nothing after it.
pub fn read_head(reader: &mut impl BufRead) -> io::Result<Head> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut head)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let odd = || io::Error::new(ErrorKind::InvalidData, String::from_utf8_lossy(&head));
    let text = str::from_utf8(&head).map_err(|_| odd())?;
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_owned(), value.to_owned()))
    });
    Ok((first, headers.collect::<Option<_>>().ok_or_else(odd)?))
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    /// The value of the first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|_| panic!("{} is not JSON: {}", self.status, self.body))
    }

    /// A text in the body, if that is a JSON object with such a member.
    pub fn member(&self, name: &str) -> Option<String> {
        let json: Value = serde_json::from_str(&self.body).ok()?;
        Some(json[name].as_str()?.to_owned())
    }

    /// The status, and the error code of GNU Taler or 0.
    pub fn refusal(&self) -> (u16, u64) {
        (self.status, self.json()["code"].as_u64().unwrap_or_default())
    }
}

/// A connection to a server, of somebody with good or bad intentions.
pub struct Peer(BufReader<TcpStream>);

impl Peer {
    pub fn new(stream: TcpStream) -> Self {
        let peer = Self(BufReader::new(stream));
        peer.set_timeouts(WAIT);
        peer
    }

    /// How long each reading and each writing may take.
    pub fn set_timeouts(&self, time: Duration) {
        self.stream().set_read_timeout(Some(time)).unwrap();
        self.stream().set_write_timeout(Some(time)).unwrap();
    }

    pub fn stream(&self) -> &TcpStream {
        self.0.get_ref()
    }

    /// Sends as much as the server takes, and returns whether that was all.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    /// A byte of an answer; the rest of it stays where it is.
    pub fn read_byte(&mut self) {
        self.0.get_mut().read_exact(&mut [0]).unwrap();
    }

    /// The next answer, whose body is left out after `HEAD`.
    ///
    /// # Errors
    /// The connection ends before or within it.
    pub fn try_reply_to(&mut self, method: &str) -> io::Result<Reply> {
        let (first, headers) = read_head(&mut self.0)?;
        let odd = || io::Error::new(ErrorKind::InvalidData, first.clone());
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let mut reply = Reply { status: status.ok_or_else(odd)?, headers, body: String::new() };
        let length = reply.header("Content-Length").unwrap_or("0").parse().map_err(|_| odd())?;
        if method != "HEAD" {
            let mut body = vec![0; length];
            self.0.read_exact(&mut body)?;
            reply.body = String::from_utf8(body).map_err(|_| odd())?;
        }
        Ok(reply)
    }

    /// The next answer; `None` at the end of the connection, which cannot be within an answer.
    pub fn reply_to(&mut self, method: &str) -> Option<Reply> {
        match self.0.fill_buf() {
            Ok([]) => None,
            Ok(_) => Some(self.try_reply_to(method).unwrap()),
            Err(error) => {
                expect_end(&error);
                None
            }
        }
    }

    pub fn reply(&mut self) -> Option<Reply> {
        self.reply_to("GET")
    }

    /// Everything up to the end of the connection, which the server has to close.
    pub fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut bytes) {
            expect_end(&error);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A reset is an end like any other.
fn expect_end(error: &io::Error) {
    assert_ne!(error.kind(), ErrorKind::WouldBlock, "the server neither answers nor closes");
}
