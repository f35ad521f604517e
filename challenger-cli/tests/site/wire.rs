//! HTTP by hand, over TCP or a UNIX socket: for who wants to send what no library would.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::Reply;

/// Longer than anything takes, on the busiest machine.
const WAIT: Duration = Duration::from_secs(120);

/// A connection of either kind.
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        }
    }

    pub fn set_timeouts(&self, time: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(it) => {
                it.set_read_timeout(Some(time)).and_then(|()| it.set_write_timeout(Some(time)))
            }
            Self::Unix(it) => {
                it.set_read_timeout(Some(time)).and_then(|()| it.set_write_timeout(Some(time)))
            }
        }
    }

    /// The same connection, for another thread.
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A request as it travels.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let fields: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{fields}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// A connection to the port, or to the socket if there is one.
pub fn connect(port: u16, socket: Option<&Path>) -> io::Result<Stream> {
    match socket {
        Some(path) => UnixStream::connect(path).map(Stream::Unix),
        None => TcpStream::connect(("127.0.0.1", port)).map(Stream::Tcp),
    }
}

/// Whoever talks to the server, with good or bad intentions.
pub struct Peer(BufReader<Stream>);

impl Peer {
    pub fn new(stream: Stream) -> Self {
        stream.set_timeouts(WAIT).unwrap();
        Self(BufReader::new(stream))
    }

    pub fn stream(&self) -> &Stream {
        self.0.get_ref()
    }

    /// Sends as much as the server takes, and says whether that was all.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    /// A byte of an answer; the rest of it stays where it is.
    pub fn read_byte(&mut self) {
        self.0.get_mut().read_exact(&mut [0]).unwrap();
    }

    /// The next answer, whose body is left out after `HEAD`; `None` at the end of the connection.
    pub fn reply_to(&mut self, method: &str) -> Option<Reply> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match self.0.read_until(b'\n', &mut head) {
                Ok(0) => return Self::end(&head),
                Ok(_) => {}
                Err(error) => return self.cut_off(&error, &head),
            }
        }
        let head = String::from_utf8(head).unwrap();
        let (first, fields) = head.split_once("\r\n").unwrap();
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        let headers = fields.split("\r\n").filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let status = status.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("{head}"));
        let mut reply = Reply { status, headers, body: String::new() };
        let length = reply.header("Content-Length").map_or(0, |it| it.parse().unwrap());
        if method != "HEAD" {
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).unwrap();
            reply.body = String::from_utf8(body).unwrap();
        }
        Some(reply)
    }

    pub fn reply(&mut self) -> Option<Reply> {
        self.reply_to("GET")
    }

    /// Everything up to the end of the connection, which the server has to bring about.
    pub fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut bytes) {
            self.cut_off(&error, b"");
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// A reset is an end like any other, as long as it is not in the middle of an answer.
    fn cut_off(&self, error: &io::Error, head: &[u8]) -> Option<Reply> {
        assert_ne!(error.kind(), ErrorKind::WouldBlock, "the server neither answers nor closes");
        Self::end(head)
    }

    fn end(head: &[u8]) -> Option<Reply> {
        assert!(head.is_empty(), "half an answer: {}", String::from_utf8_lossy(head));
        None
    }
}
