//! A stand-in for the HTTP API of a provider, on this machine: it writes down all requests, and
//! answers, or misbehaves, as a test says.

#![allow(dead_code, reason = "each test uses its part of it")]

#[path = "../certificates/mod.rs"]
pub(crate) mod certificates;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use challenger_testkit::{read_head, unescape};
use rustls::{ServerConnection, StreamOwned};

use certificates::certificates;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The number of the connection on which it came, from 1 on.
    pub(crate) connection: usize,
}

impl Asked {
    /// The value of the only header of this name; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(it, _)| it.eq_ignore_ascii_case(name));
        let value = found.next().map_or("", |(_, value)| value);
        assert!(found.next().is_none(), "{name} is there twice");
        value
    }

    /// The fields of a form.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        assert_eq!(self.header("Content-Type"), "application/x-www-form-urlencoded");
        let body = std::str::from_utf8(&self.body).unwrap();
        let pairs = body.split('&').map(|pair| pair.split_once('=').unwrap());
        pairs.map(|(name, value)| (unescape(name), unescape(value))).collect()
    }
}

/// The provider's reaction to a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers with status and body.
    Answer(u16, String),
    /// Closes the connection without a word.
    Close,
    /// Answers one letter after the other, and comes to no end.
    Dribble,
    /// Answers with this status, and a body without end.
    Flood(u16),
    /// Answers with a body that has ended, and headers after it without end.
    FloodTrailers,
    /// Answers with a head without end.
    FloodHead,
    /// Never answers.
    Hang,
    /// Promises a body, and sends only this beginning of it.
    HangAfter(String),
    /// Answers with status and body, and takes the next request on the same connection.
    Keep(u16, String),
    /// Says this, and closes.
    Say(String),
}

/// A provider that runs.
pub(crate) struct Provider {
    address: SocketAddr,
    scheme: &'static str,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Provider {
    pub(crate) fn start(act: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        Self::start_as("http", act)
    }

    /// One that speaks TLS, as `localhost`.
    pub(crate) fn start_tls(act: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        Self::start_as("https", act)
    }

    fn start_as(scheme: &'static str, act: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, stop) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::<AtomicBool>::default());
        let (record, stopped, act) = (Arc::clone(&asked), Arc::clone(&stop), Arc::new(act));
        let listener = thread::spawn(move || {
            for (stream, connection) in listener.incoming().zip(1..) {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (record, act) = (Arc::clone(&record), Arc::clone(&act));
                thread::spawn(move || {
                    let mut stream = protect(stream.unwrap(), scheme);
                    while let Some(asked) = read(&mut *stream, connection) {
                        let act = act(&asked);
                        record.lock().unwrap().push(asked);
                        // Whether the other side still listens is its own business.
                        let done = perform(&act, &mut *stream);
                        if done.is_err() || !matches!(act, Act::Keep(..)) {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, scheme, asked, stop, listener: Some(listener) }
    }

    /// A URL of it, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        match self.scheme {
            "https" => format!("https://localhost:{}", self.address.port()),
            scheme => format!("{scheme}://{}", self.address),
        }
    }

    /// All that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        let _ = self.listener.take().unwrap().join();
    }
}

trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

fn protect(tcp: TcpStream, scheme: &str) -> Box<dyn Stream> {
    if scheme == "http" {
        return Box::new(tcp);
    }
    let tls = ServerConnection::new(Arc::clone(&certificates().tls)).unwrap();
    Box::new(StreamOwned::new(tls, tcp))
}

/// A whole request, unless the bytes are not one.
fn read(stream: &mut dyn Stream, connection: usize) -> Option<Asked> {
    let mut stream = BufReader::new(stream);
    if !stream.fill_buf().ok()?.first()?.is_ascii_uppercase() {
        return None;
    }
    let (first, headers) = read_head(&mut stream).ok()?;
    let mut first = first.split(' ');
    let (method, target) = (first.next().unwrap(), first.next().unwrap());
    let (method, target, body) = (method.into(), target.into(), vec![]);
    let mut asked = Asked { method, target, headers, body, connection };
    assert_eq!(asked.header("Transfer-Encoding"), "", "object stores want to know the length");
    asked.body.resize(asked.header("Content-Length").parse().unwrap_or(0), 0);
    stream.read_exact(&mut asked.body).ok()?;
    Some(asked)
}

fn perform(act: &Act, stream: &mut dyn Stream) -> std::io::Result<()> {
    let head = |status: u16, length: usize| {
        format!(
            "HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n\
             Location: /elsewhere\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )
    };
    match act {
        Act::Answer(status, body) => {
            stream.write_all((head(*status, body.len()) + body).as_bytes())
        }
        Act::Close => Ok(()),
        Act::Keep(status, body) => {
            let head = head(*status, body.len()).replace("Connection: close\r\n", "");
            stream.write_all((head + body).as_bytes())
        }
        Act::Dribble => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nX-Endless: ")?;
            loop {
                stream.write_all(b"x")?;
                thread::sleep(Duration::from_millis(20));
            }
        }
        Act::Flood(status) => {
            write!(stream, "HTTP/1.1 {status} Whatever\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b' '; 4096])?;
            }
        }
        Act::FloodTrailers => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")?;
            loop {
                stream.write_all(b"X-Flood: 1234567890123456789012345678901234567890\r\n")?;
            }
        }
        Act::FloodHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            loop {
                stream.write_all(b"X-Flood: 1234567890123456789012345678901234567890\r\n")?;
            }
        }
        Act::Hang => wait(stream),
        Act::HangAfter(body) => {
            stream.write_all((head(200, body.len() + 100) + body).as_bytes())?;
            wait(stream)
        }
        Act::Say(text) => stream.write_all(text.as_bytes()),
    }
}

/// Waits until the other side gives up.
fn wait(stream: &mut dyn Stream) -> std::io::Result<()> {
    while stream.read(&mut [0; 64])? > 0 {}
    Ok(())
}
