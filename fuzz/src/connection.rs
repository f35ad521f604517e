//! Whole connections to the server: bytes, cut anywhere, at any time.

use std::time::{Duration, Instant};

use challenger_proto::http::{BODY_MAX, HEAD_MAX, Request, Status};
use challenger_proto::{Refused, Timestamp};
use challenger_server::front::exchange::{Deciding, Exchange};
use challenger_server::front::{Answer, Limits};

/// Before one of [`Event`]'s letters, this byte is none of the peer's.
const MARK: u8 = 0xff;
/// How long a pause is: shorter than any limit of time, and longer than all last moments.
const PAUSE: Duration = Duration::from_secs(7);
/// As many bytes as a thread of the server reads at once.
const READ: usize = 8 * 1024;

/// What happens to a connection.
#[derive(Clone, Copy, Debug)]
enum Event<'a> {
    /// Bytes come from the peer. They end at the next mark; with the letter `/` nothing else does.
    Bytes(&'a [u8]),
    /// `+`: time passes.
    Pause,
    /// `!`: the server is being stopped.
    Stop,
}

impl<'a> Event<'a> {
    /// The bytes that come.
    fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Pause | Self::Stop => &[],
        }
    }

    /// How many they are.
    fn length(&self) -> u64 {
        self.bytes().len() as u64
    }
}

/// What a connection came to: a request, a refusal, or the refusal of a request.
type Outcome = (Option<Request>, Option<Refused>);

/// No bytes at any time make a connection panic, hang, or hold more than a request; and the same
/// requests come out however they are cut, also while the server is being stopped.
pub fn connection(data: &[u8]) {
    let events = read(data);
    play(&events, false);
    let pieces: Vec<Event<'_>> = events.into_iter().filter(|it| it.length() > 0).collect();
    let bytes: Vec<u8> = pieces.iter().flat_map(Event::bytes).copied().collect();
    let cut = |size| bytes.chunks(size).map(Event::Bytes).collect::<Vec<_>>();
    let whole = play(&cut(READ), false);
    assert_eq!(play(&pieces, false), whole, "cut as they came");
    // Long ones would take their time cut to bytes, and say no more.
    let smallest = 1 + bytes.len() / 2048;
    for (size, drains) in [(smallest, false), (smallest, true), (READ, true)] {
        assert_eq!(play(&cut(size), drains), whole, "pieces of {size}, stopped: {drains}");
    }
}

/// The events that bytes stand for.
fn read(mut data: &[u8]) -> Vec<Event<'_>> {
    let mut events = Vec::new();
    while !data.is_empty() {
        let end = data.windows(2).position(|pair| pair[0] == MARK && b"/+!".contains(&pair[1]));
        let (bytes, rest) = data.split_at(end.unwrap_or(data.len()));
        events.extend(bytes.chunks(READ).map(Event::Bytes));
        match rest.get(1) {
            Some(b'+') => events.push(Event::Pause),
            Some(b'!') => events.push(Event::Stop),
            _ => {}
        }
        data = rest.get(2..).unwrap_or_default();
    }
    events
}

/// A server that has one connection.
struct Server<'a> {
    exchange: Option<Exchange<'a>>,
    now: Instant,
    /// Whether it is being stopped.
    stops: bool,
    /// Bytes that have come and were not handed over.
    unread: u64,
    outcomes: Vec<Outcome>,
}

/// Has events happen, and then nothing more until the connection has ended. Returns what became of
/// it in the meantime. `drains` has the server stop at the first request, when all had come.
fn play(events: &[Event<'_>], drains: bool) -> Vec<Outcome> {
    let limits = Limits::default();
    let now = Instant::now();
    let unread = events.iter().map(Event::length).sum();
    let exchange = Some(Exchange::begin(&limits, now));
    let mut server = Server { exchange, now, stops: false, unread, outcomes: Vec::new() };
    for event in events {
        server.go_on(drains);
        let Some(Exchange::Read(reading)) = server.exchange.take() else { return server.outcomes };
        server.exchange = Some(match event {
            Event::Bytes(bytes) => {
                server.unread -= event.length();
                reading.received(bytes, server.now)
            }
            Event::Pause => {
                server.now += PAUSE;
                let is_late = reading.until() <= server.now;
                if is_late { reading.late(server.now) } else { Exchange::Read(reading) }
            }
            Event::Stop => {
                server.stops = true;
                if reading.is_idle() {
                    reading.last_call(server.now)
                } else {
                    Exchange::Read(reading)
                }
            }
        });
    }
    server.go_on(drains);
    server.ends();
    server.outcomes
}

impl Server<'_> {
    /// Answers until more bytes are wanted, or the connection has ended.
    fn go_on(&mut self, drains: bool) {
        while let Some(exchange) = self.exchange.take() {
            self.exchange = Some(match exchange {
                Exchange::Read(reading) => {
                    assert!(reading.held() < HEAD_MAX + BODY_MAX, "holds {}", reading.held());
                    self.exchange = Some(Exchange::Read(reading));
                    return;
                }
                Exchange::Linger { until, .. } => {
                    assert!(until <= self.now + Duration::from_secs(1));
                    return;
                }
                Exchange::Decide(request, deciding) => {
                    assert!(is_sound(&request), "{request:?}");
                    self.outcomes.push((Some(request), None));
                    self.answer(deciding, drains)
                }
                Exchange::Refuse(request, refused, deciding) => {
                    self.outcomes.push((request, Some(refused)));
                    self.answer(deciding, drains)
                }
                Exchange::Write(writing) => {
                    let [head, _] = writing.parts();
                    let closes = head.windows(7).any(|it| it == b": close");
                    let next = writing.written(self.now);
                    assert_eq!(closes, matches!(next, Exchange::Linger { .. }));
                    next
                }
            });
        }
    }

    fn answer<'b>(&self, mut deciding: Deciding<'b>, drains: bool) -> Exchange<'b> {
        if drains || self.stops {
            deciding.drain(self.unread);
        }
        let answer = Answer { status: Status(200), headers: Vec::new(), body: (*b"ok").into() };
        deciding.answered(answer, Timestamp::from_seconds(0), self.now)
    }

    /// Nothing comes any more. Whatever was awaited, the end is near.
    fn ends(&mut self) {
        let Some(Exchange::Read(reading)) = self.exchange.take() else { return };
        assert!(reading.until() <= self.now + Limits::default().idle);
        self.now = reading.until();
        self.exchange = Some(reading.late(self.now));
        self.go_on(false);
        assert!(self.exchange.is_none(), "a connection that nothing comes from goes on");
        if self.outcomes.last().is_some_and(|(_, refused)| is_timeout(refused.as_ref())) {
            self.outcomes.pop();
        }
    }
}

fn is_timeout(refused: Option<&Refused>) -> bool {
    refused.is_some_and(|it| it.refusal == challenger_proto::Refusal::RequestTimeout)
}

/// Whether the core can rely on a request.
fn is_sound(request: &Request) -> bool {
    request.target.starts_with('/')
        && !request.target.contains(char::is_control)
        && request.body.len() <= BODY_MAX
        && request.header("Transfer-Encoding").is_none()
        && request.headers.iter().all(|(name, value)| {
            name.bytes().all(|byte| byte.is_ascii_graphic()) && !value.contains(['\r', '\n', '\0'])
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_no_bytes_of_the_peer() {
        let events = read(b"G\xff/ET\xff+\xff! /\xff\xff");
        let shown: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
        let bytes = |bytes: &[u8]| format!("{:?}", Event::Bytes(bytes));
        let expected = [
            bytes(b"G"),
            bytes(b"ET"),
            "Pause".to_string(),
            "Stop".to_string(),
            bytes(b" /\xff\xff"),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn requests_come_out_as_they_went_in() {
        let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let post = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                     1\xff/\r\na\r\n2\r\n\xff+=b\r\n0\r\n\r\n";
        let outcomes = play(&read(&[&get[..], post, get, b"x\r\n"].concat()), false);
        let bodies: Vec<Option<&[u8]>> =
            outcomes.iter().map(|(request, _)| request.as_ref().map(|it| &it.body[..])).collect();
        assert_eq!(bodies, [Some(&b""[..]), Some(b"a=b"), Some(b""), None]);
        // Nobody waits for the rest of what comes too slowly.
        let late = [get, &b"G\xff+\xff+"[..], get].concat();
        assert_eq!(play(&read(&late), false).len(), 2);
    }
}
