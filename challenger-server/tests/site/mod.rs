//! A small site behind a front, and peers to trouble it, over TCP or a UNIX socket.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use challenger_proto::http::{Method, Request, Status};
use challenger_proto::{Refusal, Refused};
use challenger_server::front::{self, Answer, Front, Limits, Listener, Respond};
use socket2::Socket;
use tempfile::TempDir;

/// The simplest request.
pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Longer than anything takes, on the busiest machine.
pub(crate) const WAIT: Duration = Duration::from_secs(60);

/// Limits that nothing reaches before a test has given up. Tests shorten those that they want to
/// reach.
pub(crate) fn patient() -> Limits {
    let long = WAIT * 2;
    Limits { head: long, body: long, idle: long, write: long, ..Limits::default() }
}

/// Shorter than the pauses of a slow peer.
pub(crate) const SOON: Duration = Duration::from_millis(300);

/// Answers with the method, the target and the length of the body.
#[derive(Default)]
pub(crate) struct Echo {
    decided: AtomicUsize,
    gate: Mutex<bool>,
    gate_opens: Condvar,
    pub(crate) panics_at_refusals: AtomicBool,
}

impl Echo {
    /// Lets the requests to `/gate` go on.
    pub(crate) fn open_gate(&self) {
        *self.gate.lock().unwrap() = true;
        self.gate_opens.notify_all();
    }
}

impl Respond for Echo {
    fn respond(&self, request: Request, _: &dyn front::Peer) -> Answer {
        self.decided.fetch_add(1, Ordering::Relaxed);
        let method = match request.method {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Options => "OPTIONS",
            Method::Post => "POST",
            Method::Other => "OTHER",
        };
        let mut body = format!("{method} {} {}", request.target, request.body.len()).into_bytes();
        let mut status = 200;
        let mut headers = vec![("Content-Type", "text/plain".into())];
        match request.path() {
            "/empty" => status = 204,
            "/gate" => {
                let gate = self.gate.lock().unwrap();
                drop(self.gate_opens.wait_while(gate, |open| !*open).unwrap());
            }
            "/inject" => headers.push(("Location", "http://a\r\nSet-Cookie: evil=1".into())),
            "/large" => body = vec![b'x'; 100_000],
            "/panic" => panic!("on request"),
            _ => {}
        }
        Answer { status: Status(status), headers, body: body.into() }
    }

    fn refuse(&self, _: Option<&Request>, refused: Refused) -> Answer {
        assert!(!self.panics_at_refusals.load(Ordering::Relaxed), "on request");
        let status = match refused.refusal {
            Refusal::BodyTooLarge => 413,
            Refusal::ContentLengthMalformed | Refusal::HeadMalformed => 400,
            Refusal::ExpectationUnknown => 417,
            Refusal::HeadTooLarge => 431,
            Refusal::Internal => 500,
            Refusal::RequestTimeout => 408,
            Refusal::TargetTooLong => 414,
            Refusal::TransferEncodingUnsupported => 501,
            Refusal::VersionUnsupported => 505,
            other => panic!("the front has no reason to say {other:?}"),
        };
        let body = format!("{status} {:?}", refused.refusal).into_bytes();
        Answer { status: Status(status), headers: Vec::new(), body: body.into() }
    }
}

/// A front with an [`Echo`] behind it.
pub(crate) struct Site {
    pub(crate) front: Front,
    pub(crate) respond: Arc<Echo>,
    _folder: TempDir,
}

impl Site {
    pub(crate) fn start(limits: Limits) -> Self {
        let respond = Arc::new(Echo::default());
        let folder = tempfile::tempdir().unwrap();
        let listener: Listener = if is_unix() {
            UnixListener::bind(folder.path().join("socket")).unwrap().into()
        } else {
            TcpListener::bind("127.0.0.1:0").unwrap().into()
        };
        let front = Front::start(listener, respond.clone(), limits).unwrap();
        Self { front, respond, _folder: folder }
    }

    pub(crate) fn connect(&self) -> Peer {
        let stream = connect(self.front.place()).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.set_write_timeout(Some(WAIT)).unwrap();
        Peer { stream }
    }

    pub(crate) fn connect_and_send(&self, text: &str) -> Peer {
        let mut peer = self.connect();
        peer.send(text.as_bytes());
        peer
    }

    /// How many requests came through.
    pub(crate) fn decided(&self) -> usize {
        self.respond.decided.load(Ordering::Relaxed)
    }

    /// Checks that a newcomer is served.
    pub(crate) fn serves(&self) {
        assert_eq!(self.connect_and_send(GET).read_answer().body, "GET / 0");
    }

    /// Checks that a newcomer is served, and that no connection is left afterwards.
    pub(crate) fn is_unharmed(&self) {
        self.serves();
        self.wait_until(|site| site.front.connections() == 0);
    }

    /// Waits until a condition is true.
    pub(crate) fn wait_until(&self, condition: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(start.elapsed() < WAIT, "{:?} never got there", self.front);
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// All tests of the front run over TCP, and once more in a file of another name.
fn is_unix() -> bool {
    env!("CARGO_CRATE_NAME").ends_with("_unix")
}

/// Connects to the place that [`Front::place`] returns.
pub(crate) fn connect(place: &str) -> io::Result<Socket> {
    if is_unix() {
        UnixStream::connect(place).map(|stream| OwnedFd::from(stream).into())
    } else {
        TcpStream::connect(place).map(Socket::from)
    }
}

/// A stranger.
pub(crate) struct Peer {
    pub(crate) stream: Socket,
}

impl Peer {
    /// Sends as much as the front is willing to take; it may have answered and gone before the end.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Everything up to the end of the connection. A reset is an end like any other.
    pub(crate) fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut bytes) {
            assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "the front does not close");
        }
        String::from_utf8(bytes).unwrap()
    }

    /// The head of the next answer, and nothing after it.
    pub(crate) fn read_head(&mut self) -> Reply {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            bytes.push(byte[0]);
        }
        Reply { head: String::from_utf8(bytes).unwrap(), body: String::new() }
    }

    /// The next answer.
    pub(crate) fn read_answer(&mut self) -> Reply {
        let mut reply = self.read_head();
        let mut body = vec![0; reply.header("Content-Length").unwrap().parse().unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        reply.body = String::from_utf8(body).unwrap();
        reply
    }
}

/// An answer as it came.
pub(crate) struct Reply {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(candidate, _)| *candidate == name).map(|(_, value)| value).next()
    }
}
