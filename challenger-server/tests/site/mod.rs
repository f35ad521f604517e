//! A small site behind a front, and peers to trouble it, over TCP or a UNIX socket.
#![allow(dead_code, reason = "each test uses its part of it")]

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use challenger_proto::http::{Method, Request, Status};
use challenger_proto::{Refusal, Refused};
use challenger_server::front::{self, Answer, Front, Limits, Listener, Respond};
use challenger_testkit::{Peer, Place, WAIT};
use tempfile::TempDir;

/// The simplest request.
pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

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
        Peer::new(connect(self.front.place()).unwrap())
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
        assert_eq!(self.connect_and_send(GET).reply().unwrap().body, "GET / 0");
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
pub(crate) fn connect(place: &str) -> io::Result<TcpStream> {
    if is_unix() { Place::Unix(place.into()).connect() } else { TcpStream::connect(place) }
}
