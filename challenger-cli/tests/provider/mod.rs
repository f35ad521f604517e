//! A stand-in for the HTTP API of a provider, on this machine: it writes down all requests, and
//! answers, or misbehaves, as a test says.

#![allow(dead_code, reason = "each test uses its part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use challenger_testkit::{read_head, unescape};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
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
    /// Answers without end.
    Flood,
    /// Never answers.
    Hang,
    /// Promises a body, and sends only this beginning of it.
    HangAfter(String),
    /// Says this, and closes.
    Say(String),
}

/// A provider that runs.
pub(crate) struct Provider {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Provider {
    pub(crate) fn start(act: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, stop) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::<AtomicBool>::default());
        let (record, stopped, act) = (Arc::clone(&asked), Arc::clone(&stop), Arc::new(act));
        let listener = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (record, act) = (Arc::clone(&record), Arc::clone(&act));
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(asked) = read(&mut stream) else { return };
                    let act = act(&asked);
                    record.lock().unwrap().push(asked);
                    // Whether the other side still listens is its own business.
                    let _ = perform(&act, &mut stream);
                });
            }
        });
        Self { address, asked, stop, listener: Some(listener) }
    }

    /// A URL of it, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
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

/// A whole request, unless the bytes are not one.
fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut stream = BufReader::new(stream);
    if !stream.fill_buf().ok()?.first()?.is_ascii_uppercase() {
        return None;
    }
    let (first, headers) = read_head(&mut stream).ok()?;
    let mut first = first.split(' ');
    let (method, target) = (first.next().unwrap(), first.next().unwrap());
    let mut asked = Asked { method: method.into(), target: target.into(), headers, body: vec![] };
    assert_eq!(asked.header("Transfer-Encoding"), "", "object stores want to know the length");
    asked.body.resize(asked.header("Content-Length").parse().unwrap_or(0), 0);
    stream.read_exact(&mut asked.body).ok()?;
    Some(asked)
}

fn perform(act: &Act, stream: &mut TcpStream) -> std::io::Result<()> {
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
        Act::Flood => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b' '; 4096])?;
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
fn wait(stream: &mut TcpStream) -> std::io::Result<()> {
    while stream.read(&mut [0; 64])? > 0 {}
    Ok(())
}
