//! An HTTP/1.1 connection as a value: bytes and points in time go in, and what to do next comes
//! out (RFC 9112).
//!
//! [`Exchange`] does no IO and reads no clock. So it can be driven by a thread, as in this server,
//! by an event loop, or by a test that lets hours pass in no time.
//!
//! ```text
//!    ┌──────────────────────────────────────────┐ the connection is kept
//!    ▼                                          │
//!   Read ──┬── Decide ──┬── answered ── Write ──┴── Linger
//!          │            │
//!          └── Refuse ──┘
//! ```
//!
//! - Requests are answered one at a time, in order. What arrives meanwhile waits.
//! - All time limits are totals: a byte now and then prolongs nothing.
//! - If the peer closes its half, or cannot be read from or written to, there is nothing left to
//!   do: drop the value and close.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use challenger_proto::http::{Method, Request};
use challenger_proto::{Refusal, Refused, Timestamp};

use super::body::Body;
use super::head::{self, Head, Parsed, parse_head};
use super::{Answer, Limits};

/// How long to go on reading, and how much, after an answer that closes the connection. A socket
/// that is closed with bytes unread resets the connection, and then the peer may never see the
/// answer (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;
/// How long to linger after a wait for a request that did not come. It may be under way: then the
/// peer sees an orderly end instead of a reset, and knows that nobody read its request.
const PART: Duration = Duration::from_millis(200);

/// How long, during a drain, a connection may take to begin its first request. As a rule that
/// request is on its way already: a peer connects because it has something to ask.
const ARRIVE: Duration = Duration::from_secs(1);
/// Like [`ARRIVE`], for a connection that has made requests. Those of a proxy or a browser are idle
/// most of the time, and a restart must not wait for them. But where many requests come, the next
/// one often arrives now, and its answer can say that it is the last: nothing else ends a
/// connection without a moment in which a request could be lost.
const STAY: Duration = Duration::from_millis(200);

/// How many bytes of an answer may take the time limit for writing.
const WRITE_PART: usize = 128 * 1024;

/// The interim response that asks for the body (RFC 9110 §15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The next thing that a connection needs. Each variant has the steps that may follow it as
/// methods.
///
/// ```
/// use std::time::Instant;
///
/// use challenger_proto::Timestamp;
/// use challenger_proto::http::Status;
/// use challenger_server::front::exchange::Exchange;
/// use challenger_server::front::{Answer, Limits};
///
/// let (limits, now) = (Limits::default(), Instant::now());
/// let Exchange::Read(reading) = Exchange::begin(&limits, now) else { panic!() };
/// let bytes = b"GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// let Exchange::Decide(request, deciding) = reading.received(bytes, now) else { panic!() };
/// assert_eq!(request.target, "/config");
/// let answer = Answer { status: Status(204), headers: Vec::new(), body: [].into() };
/// let Exchange::Write(writing) = deciding.answered(answer, Timestamp::from_seconds(0), now) else {
///     panic!()
/// };
/// assert!(writing.parts().concat().starts_with(b"HTTP/1.1 204 No Content\r\n"));
/// assert!(matches!(writing.written(now), Exchange::Read(_)), "the connection is kept");
/// ```
#[must_use]
pub enum Exchange<'a> {
    /// More bytes from the peer.
    Read(Reading<'a>),
    /// An answer to a complete request.
    Decide(Request, Deciding<'a>),
    /// The wording of a refusal. The request is given, without a body, if its head was complete.
    Refuse(Option<Request>, Refused, Deciding<'a>),
    /// To send bytes to the peer.
    Write(Writing<'a>),
    /// The end. Say that nothing more will come, discard what the peer sends, and close.
    Linger {
        /// When to close, unless the peer does before.
        until: Instant,
        /// How many bytes to discard before closing.
        bytes_max: usize,
    },
}

impl<'a> Exchange<'a> {
    /// A new connection.
    pub fn begin(limits: &'a Limits, now: Instant) -> Self {
        let received = Vec::new();
        Connection { limits, received, taken: 0, due: None, is_new: true }.next_request(now)
    }
}

/// A connection from which bytes are awaited.
#[must_use]
pub struct Reading<'a> {
    connection: Connection<'a>,
    awaited: Awaited,
    until: Instant,
}

/// The part of a request that a connection is reading.
enum Awaited {
    /// The beginning of a request.
    Request {
        /// Whether the peer was already given its last moment to begin one.
        is_called: bool,
    },
    /// The rest of a head.
    Head,
    /// The rest of the body that belongs to a head.
    Body(Head, Body),
}

impl<'a> Reading<'a> {
    /// When [`Reading::late`] is due.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// How many bytes are held of the awaited request: at most a head, or a body and a line of its
    /// chunks.
    pub fn held(&self) -> usize {
        let body = match &self.awaited {
            Awaited::Body(_, body) => body.length(),
            Awaited::Request { .. } | Awaited::Head => 0,
        };
        self.connection.received.len() + body
    }

    /// Whether no request has begun. Then [`Reading::last_call`] is due as soon as the server is
    /// being stopped and nothing can be read; at most once, after which this is false.
    pub fn is_idle(&self) -> bool {
        matches!(self.awaited, Awaited::Request { is_called: false })
    }

    /// Bytes have come from the peer.
    pub fn received(mut self, bytes: &[u8], now: Instant) -> Exchange<'a> {
        self.connection.received.extend_from_slice(bytes);
        match self.awaited {
            Awaited::Request { .. } => {
                // An empty line before a request may have come in the last moment.
                let until = self.until.max(after(now, PART));
                self.connection.read_head(self.awaited, until, now)
            }
            Awaited::Head => self.connection.read_head(self.awaited, self.until, now),
            Awaited::Body(head, body) => {
                self.connection.body_arrived(head, body, |connection, head, body| {
                    let awaited = Awaited::Body(head, body);
                    Exchange::Read(Self { connection, awaited, until: self.until })
                })
            }
        }
    }

    /// The time is up, and nothing has come.
    pub fn late(self, now: Instant) -> Exchange<'a> {
        let timeout = Refusal::RequestTimeout.into();
        match self.awaited {
            Awaited::Request { .. } => linger(now, PART),
            Awaited::Head => self.connection.refuse(None, timeout),
            Awaited::Body(head, _) => self.connection.refuse(Some(head.request), timeout),
        }
    }

    /// The server is being stopped: an idle connection has a last moment to begin a request.
    pub fn last_call(mut self, now: Instant) -> Exchange<'a> {
        if self.is_idle() {
            let moment = if self.connection.is_new { ARRIVE } else { STAY };
            self.until = self.until.min(after(now, moment));
            self.awaited = Awaited::Request { is_called: true };
        }
        Exchange::Read(self)
    }
}

/// A connection whose answer is being decided.
#[must_use]
pub struct Deciding<'a> {
    connection: Connection<'a>,
    /// Whether the request was `HEAD`, whose answer has no body.
    is_head: bool,
    /// Whether this answer is the last.
    close: bool,
}

impl<'a> Deciding<'a> {
    /// The server is being stopped. All requests whose bytes had arrived when this was first called
    /// are still answered; `unread` is how many of them are still to be handed over.
    pub fn drain(&mut self, unread: u64) {
        let there = self.connection.taken + self.connection.received.len() as u64 + unread;
        let due = *self.connection.due.get_or_insert(there);
        self.close |= self.connection.taken >= due;
    }

    /// The answer is there, to be sent with this date.
    pub fn answered(self, answer: Answer, date: Timestamp, now: Instant) -> Exchange<'a> {
        let (head, body) = answer.into_parts(date, self.is_head, self.close);
        let then = if self.close { Then::End } else { Then::Request };
        self.connection.write(head, body, then, now)
    }
}

/// A connection that has bytes to send.
#[must_use]
pub struct Writing<'a> {
    connection: Connection<'a>,
    head: Vec<u8>,
    body: Arc<[u8]>,
    until: Instant,
    then: Then,
}

/// The step that follows when all bytes are sent.
enum Then {
    Body(Head, Body),
    Request,
    End,
}

impl<'a> Writing<'a> {
    /// The bytes to send, one part after the other.
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.head, &self.body]
    }

    /// When to give up.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// All bytes are sent.
    pub fn written(self, now: Instant) -> Exchange<'a> {
        match self.then {
            Then::Body(head, body) => self.connection.read_body(head, body, now),
            Then::Request => self.connection.next_request(now),
            Then::End => linger(now, LINGER),
        }
    }
}

/// Names the state, without the bytes, which may be anything that a peer sent.
impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read(_) => "Read",
            Self::Decide(..) => "Decide",
            Self::Refuse(..) => "Refuse",
            Self::Write(_) => "Write",
            Self::Linger { .. } => "Linger",
        })
    }
}

/// The data of a connection in every state.
struct Connection<'a> {
    limits: &'a Limits,
    /// Bytes that have arrived and were not used yet: a part of a request, or the beginning of the
    /// next ones. Never more than a head, or the framing of a chunk, and one read.
    received: Vec<u8>,
    /// How many bytes were used.
    taken: u64,
    /// In a drain, how many of its bytes are answered: those that had arrived when it was noticed.
    due: Option<u64>,
    /// Whether it has not made a request yet.
    is_new: bool,
}

impl<'a> Connection<'a> {
    fn next_request(self, now: Instant) -> Exchange<'a> {
        let until = after(now, self.limits.idle);
        self.read_head(Awaited::Request { is_called: false }, until, now)
    }

    fn read_head(self, awaited: Awaited, until: Instant, now: Instant) -> Exchange<'a> {
        match parse_head(&self.received) {
            Ok(Parsed::Complete(head)) => self.head_arrived(head, now),
            Err(refused) => self.refuse(None, refused),
            Ok(Parsed::Incomplete) => {
                let begins =
                    matches!(awaited, Awaited::Request { .. }) && head::begun(&self.received);
                let (awaited, until) = if begins {
                    (Awaited::Head, after(now, self.limits.head))
                } else {
                    (awaited, until)
                };
                Exchange::Read(Reading { connection: self, awaited, until })
            }
        }
    }

    fn head_arrived(mut self, head: Head, now: Instant) -> Exchange<'a> {
        let body = match Body::new(head.framing) {
            Ok(body) => body,
            Err(refused) => return self.refuse(Some(head.request), refused),
        };
        self.take(head.length);
        self.body_arrived(head, body, |connection, head, body| {
            if head.expects_continue {
                connection.write(CONTINUE.to_vec(), Arc::default(), Then::Body(head, body), now)
            } else {
                connection.read_body(head, body, now)
            }
        })
    }

    fn read_body(self, head: Head, body: Body, now: Instant) -> Exchange<'a> {
        let until = after(now, self.limits.body);
        Exchange::Read(Reading { connection: self, awaited: Awaited::Body(head, body), until })
    }

    /// Moves the bytes that have arrived to their body. `incomplete` returns the next step if more
    /// of it has to come.
    fn body_arrived(
        mut self,
        mut head: Head,
        mut body: Body,
        incomplete: impl FnOnce(Self, Head, Body) -> Exchange<'a>,
    ) -> Exchange<'a> {
        match body.take(&self.received) {
            Ok(length) => self.take(length),
            Err(refused) => return self.refuse(Some(head.request), refused),
        }
        if body.is_complete() {
            head.request.body = body.into_bytes();
            self.decide(head)
        } else {
            incomplete(self, head, body)
        }
    }

    /// Removes bytes that were used.
    fn take(&mut self, length: usize) {
        self.received.drain(..length);
        self.taken += length as u64;
    }

    fn decide(mut self, head: Head) -> Exchange<'a> {
        self.is_new = false;
        let is_head = head.request.method == Method::Head;
        let close = !head.keep_alive || self.limits.close_each;
        Exchange::Decide(head.request, Deciding { connection: self, is_head, close })
    }

    /// The bytes after a refused request could be anything, so its answer is the last.
    fn refuse(self, request: Option<Request>, refused: Refused) -> Exchange<'a> {
        // A head that is refused has no method yet, but begins with it.
        let begins = || self.received.trim_ascii_start().starts_with(b"HEAD ");
        let is_head = request.as_ref().map_or_else(begins, |it| it.method == Method::Head);
        Exchange::Refuse(request, refused, Deciding { connection: self, is_head, close: true })
    }

    /// The time limit for writing counts again for each part of a large body.
    fn write(self, head: Vec<u8>, body: Arc<[u8]>, then: Then, now: Instant) -> Exchange<'a> {
        let turns = u32::try_from(body.len() / WRITE_PART).unwrap_or(u32::MAX);
        let until = after(now, self.limits.write.saturating_mul(turns.saturating_add(1)));
        Exchange::Write(Writing { connection: self, head, body, until, then })
    }
}

fn linger(now: Instant, time: Duration) -> Exchange<'static> {
    Exchange::Linger { until: after(now, time), bytes_max: LINGER_BYTES }
}

/// A time from `now` on. No deadline is longer than a day: points in time have an end.
fn after(now: Instant, time: Duration) -> Instant {
    now + time.min(Duration::from_secs(86_400))
}
