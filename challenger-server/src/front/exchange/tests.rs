//! Connections without sockets, whose time passes as the tests say.

mod framing;

use challenger_proto::http::Status;
use proptest::prelude::*;

use super::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &[u8] = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na=b";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Limits that all differ.
fn limits() -> Limits {
    let (head, body, idle, write) = (seconds(10), seconds(20), seconds(60), seconds(30));
    Limits { head, body, idle, write, ..Limits::default() }
}

fn reading(exchange: Exchange<'_>) -> Reading<'_> {
    match exchange {
        Exchange::Read(reading) => reading,
        other => panic!("{}", name(&other)),
    }
}

fn deciding(exchange: Exchange<'_>) -> Deciding<'_> {
    match exchange {
        Exchange::Decide(_, deciding) | Exchange::Refuse(_, _, deciding) => deciding,
        other => panic!("{}", name(&other)),
    }
}

fn writing(exchange: Exchange<'_>) -> Writing<'_> {
    match exchange {
        Exchange::Write(writing) => writing,
        other => panic!("{}", name(&other)),
    }
}

/// The next step of a connection, in words.
fn name(exchange: &Exchange<'_>) -> String {
    let shown = |request: &Request| {
        format!("{:?} {} {}", request.method, request.target, request.body.escape_ascii())
    };
    match exchange {
        Exchange::Read(_) => "read".to_owned(),
        Exchange::Decide(request, _) => shown(request),
        Exchange::Refuse(request, refused, _) => {
            let request = request.as_ref().map(|request| format!(" of {}", shown(request)));
            format!("{:?}{}", refused.refusal, request.unwrap_or_default())
        }
        Exchange::Write(writing) => {
            let head = String::from_utf8_lossy(&writing.head);
            head.lines().next().unwrap_or_default().to_owned()
        }
        Exchange::Linger { .. } => "linger".to_owned(),
    }
}

fn answer(length: usize) -> Answer {
    Answer { status: Status(200), headers: Vec::new(), body: vec![b'x'; length].into() }
}

const DATE: Timestamp = Timestamp::from_seconds(0);

/// Everything that a connection needs while these pieces arrive, each as soon as it is wanted,
/// until more is wanted.
fn story(limits: &Limits, pieces: &[&[u8]]) -> Vec<String> {
    let (now, mut pieces) = (Instant::now(), pieces.iter());
    let mut exchange = Exchange::begin(limits, now);
    let mut story = Vec::new();
    loop {
        exchange = match exchange {
            Exchange::Read(reading) => match pieces.next() {
                Some(piece) => reading.received(piece, now),
                None => return story,
            },
            Exchange::Linger { .. } => {
                story.push("linger".to_owned());
                return story;
            }
            other => {
                story.push(name(&other));
                match other {
                    Exchange::Write(writing) => writing.written(now),
                    other => deciding(other).answered(answer(1), DATE, now),
                }
            }
        };
    }
}

/// All that is needed for some bytes that come at once.
fn story_of(bytes: &[u8]) -> Vec<String> {
    story(&limits(), &[bytes])
}

#[test]
fn requests_are_answered_one_after_the_other() {
    let both = ["Get / ", "HTTP/1.1 200 OK", "Post /x a=b", "HTTP/1.1 200 OK"];
    assert_eq!(story_of(&[GET, POST].concat()), both);
    assert_eq!(story_of(&[b"\r\n", GET, b"\r\n", POST, b"\r"].concat()), both);
    let bytes = [GET, POST].concat();
    let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(story(&limits(), &pieces), both);
}

#[test]
fn a_refusal_is_the_last_answer() {
    let too_large = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n";
    let refused = ["HeadMalformed", "HTTP/1.1 200 OK", "linger"];
    assert_eq!(story_of(&[b"GET /\r\n", GET].concat()), refused);
    let refused = ["BodyTooLarge of Post / ", "HTTP/1.1 200 OK", "linger"];
    assert_eq!(story_of(&[&too_large[..], GET].concat()), refused);
}

#[test]
fn the_last_answer_says_so() {
    let close = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let old = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let limits = [limits(), Limits { close_each: true, ..limits() }];
    let cases: [(&Limits, &[u8], bool); 5] = [
        (&limits[0], GET, false),
        (&limits[0], close, true),
        (&limits[0], old, true),
        (&limits[1], GET, true),
        (&limits[0], b"\n", true),
    ];
    for (limits, bytes, expected) in cases {
        let now = Instant::now();
        let bytes = [bytes, GET].concat();
        let exchange = reading(Exchange::begin(limits, now)).received(&bytes, now);
        let writing = writing(deciding(exchange).answered(answer(1), DATE, now));
        let head = String::from_utf8(writing.head.clone()).unwrap();
        assert_eq!(head.contains("\r\nConnection: close\r\n"), expected, "{head}");
        let then = name(&writing.written(now));
        assert_eq!(then, if expected { "linger" } else { "Get / " });
    }
}

#[test]
fn an_answer_to_head_has_no_body() {
    let (limits, now) = (limits(), Instant::now());
    let refused = "Content-Length: a\r\n";
    for (fields, closes) in [("", false), ("Content-Length: 65537\r\n", true), (refused, true)] {
        let bytes = format!("HEAD / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let exchange = reading(Exchange::begin(&limits, now)).received(bytes.as_bytes(), now);
        let writing = writing(deciding(exchange).answered(answer(5), DATE, now));
        let [head, body] = writing.parts().map(String::from_utf8_lossy);
        assert!(head.contains("\r\nContent-Length: 5\r\n"), "{head}");
        assert_eq!((head.contains("close"), &*body), (closes, ""));
    }
}

#[test]
fn all_times_are_totals() {
    let (limits, start) = (limits(), Instant::now());
    let at = |after| start + seconds(after);
    let late = |reading: Reading<'_>, now| name(&reading.late(now));
    let begin = || reading(Exchange::begin(&limits, start));

    assert_eq!(begin().until(), at(60));
    assert!(begin().is_idle());
    assert_eq!(late(begin(), at(60)), "linger");
    // An empty line begins nothing.
    let idle = reading(begin().received(b"\r\n", at(1)));
    assert_eq!((idle.until(), idle.is_idle()), (at(60), true));
    // If that comes in the last moment, what follows it may come a little later.
    let idle = reading(begin().received(b"\r", at(60)));
    assert_eq!(idle.until(), at(60) + PART);
    assert_eq!(late(idle, at(61)), "linger");

    let mut head = reading(begin().received(b"P", at(59)));
    assert_eq!((head.until(), head.is_idle()), (at(69), false));
    for byte in b"OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" {
        head = reading(head.received(&[*byte], at(68)));
        assert_eq!(head.until(), at(69));
    }
    let mut body = reading(head.received(b"\r\n", at(69)));
    assert_eq!((body.until(), body.is_idle()), (at(89), false));
    for byte in b"a=bc" {
        body = reading(body.received(&[*byte], at(88)));
        assert_eq!(body.until(), at(89));
    }
    // Bytes that arrive are taken, however late.
    let answered = deciding(body.received(b"d", at(90))).answered(answer(1), DATE, at(100));
    let writing = writing(answered);
    assert_eq!(writing.until(), at(130));
    assert_eq!(reading(writing.written(at(110))).until(), at(170));

    assert_eq!(late(reading(begin().received(b"P", at(1))), at(11)), "RequestTimeout");
    let part = &POST[..POST.len() - 1];
    let refused = late(reading(begin().received(part, at(1))), at(21));
    assert_eq!(refused, "RequestTimeout of Post /x ");
}

#[test]
fn no_time_is_without_end() {
    let limits = Limits { idle: Duration::MAX, write: Duration::MAX, ..limits() };
    let now = Instant::now();
    let idle = reading(Exchange::begin(&limits, now));
    assert_eq!(idle.until(), now + seconds(86_400));
    let answered = deciding(idle.received(GET, now)).answered(answer(WRITE_PART), DATE, now);
    assert_eq!(writing(answered).until(), now + seconds(86_400));
}

#[test]
fn a_large_answer_has_the_time_that_its_size_takes() {
    let (limits, now) = (limits(), Instant::now());
    for (length, turns) in [(0, 1), (WRITE_PART - 1, 1), (WRITE_PART, 2), (10 * WRITE_PART, 11)] {
        let exchange = reading(Exchange::begin(&limits, now)).received(GET, now);
        let answered = deciding(exchange).answered(answer(length), DATE, now);
        assert_eq!(writing(answered).until(), now + limits.write * turns, "{length}");
    }
}

#[test]
fn an_end_takes_a_moment_and_no_more() {
    let (limits, now) = (limits(), Instant::now());
    let ends = [
        (reading(Exchange::begin(&limits, now)).late(now), PART),
        (
            {
                let refused = reading(Exchange::begin(&limits, now)).received(b"\n", now);
                writing(deciding(refused).answered(answer(1), DATE, now)).written(now)
            },
            LINGER,
        ),
    ];
    for (end, time) in ends {
        let Exchange::Linger { until, bytes_max } = end else { panic!("{}", name(&end)) };
        assert_eq!((until, bytes_max), (now + time, LINGER_BYTES));
    }
}

#[test]
fn a_body_that_is_waited_for_is_asked_for() {
    let (limits, start) = (limits(), Instant::now());
    let head = "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    for part in ["", "a="] {
        let bytes = format!("{head}{part}");
        let exchange = reading(Exchange::begin(&limits, start)).received(bytes.as_bytes(), start);
        let writing = writing(exchange);
        assert_eq!(writing.parts(), [b"HTTP/1.1 100 Continue\r\n\r\n", &b""[..]]);
        assert_eq!(writing.until(), start + limits.write);
        // Only now does the time for the body begin.
        let body = reading(writing.written(start + seconds(5)));
        assert_eq!(body.until(), start + seconds(25));
        let rest = &b"a=b"[part.len()..];
        assert_eq!(name(&body.received(rest, start)), "Post /x a=b");
    }
    let whole = format!("{head}a=b");
    assert_eq!(story_of(whole.as_bytes()), ["Post /x a=b", "HTTP/1.1 200 OK"]);
    let nothing = head.replace(": 3", ": 0");
    assert_eq!(story_of(nothing.as_bytes()), ["Post /x ", "HTTP/1.1 200 OK"]);
    let too_much = head.replace(": 3", ": 65537");
    assert_eq!(story_of(too_much.as_bytes())[0], "BodyTooLarge of Post /x ");
}

#[test]
fn the_last_call_leaves_a_moment_for_a_request() {
    let (limits, start) = (limits(), Instant::now());
    let new = reading(Exchange::begin(&limits, start));
    let called = reading(new.last_call(start + seconds(5)));
    assert_eq!((called.until(), called.is_idle()), (start + seconds(5) + ARRIVE, false));
    // There is one call, and it prolongs nothing.
    let called = reading(called.last_call(start + seconds(6)));
    assert_eq!(called.until(), start + seconds(5) + ARRIVE);
    let new = reading(Exchange::begin(&limits, start));
    assert_eq!(reading(new.last_call(start + seconds(60))).until(), start + seconds(60));
    // A request that begins has all its time.
    let head = reading(called.received(b"G", start + seconds(6)));
    assert_eq!(head.until(), start + seconds(16));
    let head = reading(head.last_call(start + seconds(7)));
    assert_eq!(head.until(), start + seconds(16));

    let answered = deciding(head.received(&GET[1..], start)).answered(answer(1), DATE, start);
    let served = reading(writing(answered).written(start));
    let called = reading(served.last_call(start));
    assert_eq!(called.until(), start + STAY);
    assert_eq!(name(&called.late(start + STAY)), "linger");
}

/// Whether each answer is the last of its connection: `before` arrives before the server is
/// stopped, with this many bytes unread, and `after` arrives afterwards.
fn drained(before: &[&[u8]], unread: u64, after: &[&[u8]]) -> Vec<bool> {
    let (limits, now) = (limits(), Instant::now());
    let mut exchange = reading(Exchange::begin(&limits, now)).received(&before.concat(), now);
    let mut after = after.iter();
    let mut last = Vec::new();
    loop {
        exchange = match exchange {
            Exchange::Read(reading) => match after.next() {
                Some(bytes) => reading.received(bytes, now),
                None => return last,
            },
            Exchange::Linger { .. } => return last,
            Exchange::Write(writing) => writing.written(now),
            other => {
                let mut deciding = deciding(other);
                deciding.drain(unread);
                last.push(deciding.close);
                deciding.answered(answer(1), DATE, now)
            }
        }
    }
}

#[test]
fn a_drain_answers_all_that_had_come() {
    assert_eq!(drained(&[GET], 0, &[GET]), [true]);
    assert_eq!(drained(&[GET, POST, GET], 0, &[GET]), [false, false, true]);
    // Bytes that the system had count like bytes that had been read.
    let unread = POST.len() as u64;
    assert_eq!(drained(&[GET], unread, &[POST, GET]), [false, true]);
    // Of the second request, only a part had come.
    for part in 1..POST.len() {
        let (before, after) = POST.split_at(part);
        assert_eq!(drained(&[GET, before], 0, &[after, GET]), [false, true]);
    }
}

proptest! {
    /// The same requests come out, however their bytes are cut.
    #[test]
    fn cuts_change_nothing(
        parts in prop::collection::vec(prop::sample::select(PARTS), 1..12),
        cuts in prop::collection::vec(1..40_usize, 1..100),
    ) {
        let bytes: Vec<u8> = parts.concat();
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        let without_interim = |story: Vec<String>| -> Vec<String> {
            story.into_iter().filter(|it| it != "HTTP/1.1 100 Continue").collect()
        };
        let whole = without_interim(story_of(&bytes));
        prop_assert_eq!(without_interim(story(&limits(), &pieces)), whole);
    }
}

/// The parts of which the property makes its bytes.
const PARTS: &[&[u8]] = &[
    GET,
    POST,
    b"\r\n",
    b"\r",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 40\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"3\r\na=b\r\n",
    b"1f;a=b\r\n",
    b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n",
];
