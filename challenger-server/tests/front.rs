//! Strangers against the front, over real sockets: every attack that brought down another server is
//! answered or cut off, and afterwards the front serves as before and holds nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use challenger_server::front::Limits;
use challenger_testkit::Peer;
use site::{GET, SOON, Site, connect, patient};

/// Sends each and looks for the only answer, a refusal.
fn refused(cases: &[(&[u8], &str)]) {
    let site = Site::start(patient());
    for (bytes, expected) in cases {
        let mut peer = site.connect();
        peer.send(bytes);
        let answer = peer.rest();
        let shown = String::from_utf8_lossy(bytes);
        let status = format!("HTTP/1.1 {} ", expected.split(' ').next().unwrap());
        assert!(answer.starts_with(&status), "{shown:?}: {answer:?}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{shown:?}: {answer:?}");
        assert!(answer.ends_with(&format!("\r\n\r\n{expected}")), "{shown:?}: {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{shown:?}: {answer:?}");
    }
    site.is_unharmed();
    assert_eq!(site.decided(), 1, "only the last request was one");
}

fn post(fields: &str) -> Vec<u8> {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{smuggled}").into_bytes()
}

/// The table of all of them is beside the parser: `exchange/tests/framing.rs`.
#[test]
fn bodies_of_two_lengths_are_refused() {
    let chunked = "Transfer-Encoding: chunked";
    let cases = [
        ("Content-Length: 18446744073709551616", "413 BodyTooLarge"),
        ("Content-Length: 0\r\nContent-Length: 35", "400 ContentLengthMalformed"),
        (&format!("Content-Length: 5\r\n{chunked}"), "400 ContentLengthMalformed"),
        ("Transfer-Encoding: gzip, chunked", "501 TransferEncodingUnsupported"),
        (&format!("X: a\r\n {chunked}"), "400 HeadMalformed"),
        (&format!("{chunked}\r\n\r\n+3\r\na=b\r\n0"), "400 ContentLengthMalformed"),
        (&format!("{chunked}\r\n\r\n10001"), "413 BodyTooLarge"),
        (&format!("{chunked}\r\n\r\n1;{}", "x".repeat(20_000)), "413 BodyTooLarge"),
        ("Expect: a miracle", "417 ExpectationUnknown"),
    ];
    let cases = cases.map(|(fields, expected)| (post(fields), expected));
    refused(&cases.each_ref().map(|(bytes, expected)| (bytes.as_slice(), *expected)));
}

#[test]
fn heads_that_are_none_are_refused_at_once() {
    refused(&[
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 VersionUnsupported"),
        (b"GET / HTTP/2.0\r\n", "505 VersionUnsupported"),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505 VersionUnsupported"),
        (b"GET /\r\n", "400 HeadMalformed"),
        (b"GET / HTTP/1.1 more\r\n", "400 HeadMalformed"),
        (b"GET / HTTP/1.1\r\n\r\n", "400 HeadMalformed"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400 HeadMalformed"),
        (b"GET / HTTP/1.1\n", "400 HeadMalformed"),
        (b"GET / HTTP/1.1\r\nHost: a\n", "400 HeadMalformed"),
        (b"GET / HTTP/1.1\r\nX: a\nTransfer-Encoding: chunked", "400 HeadMalformed"),
        (b"GET / HTTP/1.1\r\nX: a\rb", "400 HeadMalformed"),
        (b"GET /a\0b", "400 HeadMalformed"),
        (b"GET / HTTP/1.1\r\nX\0", "400 HeadMalformed"),
        (b"GET / HTTP/1.1\r\nX: \0", "400 HeadMalformed"),
        (b"G\0", "400 HeadMalformed"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400 HeadMalformed"),
    ]);
}

#[test]
fn endless_heads_are_cut_off() {
    let site = Site::start(patient());
    let cases = [
        ("GET / HTTP/1.1\r\n", "X: y\r\n", "431 HeadTooLarge"),
        ("GET / HTTP/1.1\r\nX: ", "yyyyyyyyyy", "431 HeadTooLarge"),
        ("GET /", "xxxxxxxxxx", "414 TargetTooLong"),
        ("", "XXXXXXXXXX", "431 HeadTooLarge"),
    ];
    for (start, more, expected) in cases {
        let peer = site.connect_and_send(start);
        // 10 MB, of which a fraction gets through before the connection ends.
        let more = more.repeat(1000);
        let sent = (0..1000).take_while(|_| peer.stream().write_all(more.as_bytes()).is_ok());
        assert!(sent.count() < 1000, "{expected}");
    }
    for (start, more, expected) in cases {
        let answer = site.connect_and_send(&format!("{start}{}", more.repeat(3000))).rest();
        assert!(answer.ends_with(expected), "{answer:?}");
    }
    site.is_unharmed();
}

#[test]
fn slow_peers_hold_nobody_up_and_get_an_answer() {
    let head = Limits { head: SOON, ..patient() };
    let body = Limits { body: SOON, ..patient() };
    for (limits, start) in [
        (body.clone(), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\nabc"),
        (body, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"),
        (head.clone(), "GET / HTTP/1.1\r\nHo"),
        (head, "G"),
    ] {
        let site = Site::start(limits);
        let slow: Vec<Peer> = (0..20).map(|_| site.connect_and_send(start)).collect();
        site.serves();
        for mut peer in slow {
            let answer = peer.rest();
            assert!(answer.ends_with("408 RequestTimeout"), "{answer:?}");
        }
        site.is_unharmed();
    }
}

#[test]
fn the_silent_are_closed_in_silence() {
    let site = Site::start(Limits { idle: SOON, ..patient() });
    assert_eq!(site.connect().rest(), "");
    assert_eq!(site.connect_and_send("\r\n").rest(), "");
    // Also after an answer. On a busy machine this request itself may come too late.
    let mut answers = (0..20).map(|_| site.connect_and_send(GET).rest());
    assert!(answers.any(|answer| answer.ends_with("GET / 0")));
    drop(answers);
    site.wait_until(|site| site.front.connections() == 0);
}

#[test]
fn pipelined_requests_are_answered_one_after_the_other() {
    let site = Site::start(patient());
    let mut peer = site.connect();
    let mut writer = peer.stream().try_clone().unwrap();
    let chunks = "Host: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let writing = thread::spawn(move || {
        for number in 0..10_000 {
            let request = match number % 3 {
                0 => format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"),
                1 => format!("POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"),
                _ => format!("POST /{number} HTTP/1.1\r\n{chunks}"),
            };
            writer.write_all(request.as_bytes()).unwrap();
        }
    });
    for number in 0..10_000 {
        let expected = match number % 3 {
            0 => format!("GET /{number} 0"),
            _ => format!("POST /{number} 1"),
        };
        assert_eq!(peer.reply().unwrap().body, expected);
    }
    writing.join().unwrap();
    drop(peer);
    site.is_unharmed();
}

#[test]
fn who_does_not_read_is_cut_off() {
    let site = Site::start(Limits { write: SOON, ..patient() });
    let peer = site.connect();
    let requests = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    // Ends only when the front has given up writing.
    while peer.stream().write_all(requests.as_bytes()).is_ok() {}
    site.is_unharmed();
}

#[test]
fn connections_are_kept_until_someone_closes_them() {
    let site = Site::start(patient());
    let mut peer = site.connect();
    for _ in 0..3 {
        peer.send(GET.as_bytes());
        let answer = peer.reply().unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "GET / 0"));
        assert_eq!(answer.header("Connection"), None);
        assert_eq!(answer.header("Content-Length"), Some("7"));
        assert!(answer.header("Date").unwrap().ends_with(" GMT"));
    }
    assert_eq!(site.front.connections(), 1);
    for last in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ] {
        let answer = site.connect_and_send(last).rest();
        assert!(answer.ends_with("\r\nConnection: close\r\n\r\nGET / 0"), "{answer:?}");
    }
    drop(peer);
    site.is_unharmed();

    let site = Site::start(Limits { close_each: true, ..patient() });
    let answer = site.connect_and_send(&GET.repeat(2)).rest();
    assert!(answer.ends_with("\r\nConnection: close\r\n\r\nGET / 0"), "{answer:?}");
    assert_eq!(site.decided(), 1);
}

#[test]
fn honest_requests_of_all_kinds_are_served() {
    let site = Site::start(patient());
    let large = "Content-Length: 65536\r\n\r\n".to_owned() + &"x".repeat(65536);
    let large = format!("POST /x HTTP/1.1\r\nHost: a\r\n{large}");
    let chunked = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases = [
        ("GET / HTTP/1.1\r\nHost: a\r\nCookie: name=J\u{fc}rgen\r\n\r\n", "GET / 0"),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 0"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS / 0"),
        ("GET http://b/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x?y 0"),
        ("POST /x HTTP/1.1\r\nHost: a\r\n\r\n", "POST /x 0"),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na=b", "POST /x 3"),
        ("BREW /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na=b", "OTHER /x 3"),
        (&large, "POST /x 65536"),
        (&format!("{chunked}10000\r\n{}\r\n0\r\n\r\n", "x".repeat(65536)), "POST /x 65536"),
        (&format!("{chunked}1\r\na\r\n2;x\r\n=b\r\n0\r\nX: y\r\n\r\n"), "POST /x 3"),
    ];
    for (request, body) in cases {
        assert_eq!(site.connect_and_send(request).reply().unwrap().body, body);
    }
    site.is_unharmed();
}

#[test]
fn requests_may_come_byte_by_byte() {
    let site = Site::start(patient());
    let mut peer = site.connect();
    // Over TCP, one byte a packet; a UNIX socket has no such option.
    let _ = peer.stream().set_nodelay(true);
    for byte in b"\r\nPOST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na=b" {
        peer.send([*byte]);
        thread::yield_now();
    }
    assert_eq!(peer.reply().unwrap().body, "POST /x 3");
    drop(peer);
    site.is_unharmed();
}

#[test]
fn who_asks_before_the_body_is_told_to_continue() {
    let site = Site::start(patient());
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    let mut peer = site.connect_and_send(head);
    let mut interim = [0; 25];
    peer.stream().read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    peer.send(b"a=b");
    assert_eq!(peer.reply().unwrap().body, "POST / 3");
    // The body is there already, so nobody waits.
    peer.send(format!("{head}a=b"));
    assert_eq!(peer.reply().unwrap().body, "POST / 3");
    drop(peer);
    // Too large: no `100 Continue`.
    let head = head.replace("Length: 3", "Length: 65537");
    let answer = site.connect_and_send(&head).rest();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:?}");
    site.is_unharmed();
}

#[test]
fn bodies_are_left_out_where_there_may_be_none() {
    let site = Site::start(patient());
    let mut peer = site.connect_and_send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = peer.reply_to("HEAD").unwrap();
    assert_eq!((head.status, head.header("Content-Length")), (200, Some("8")));
    peer.send(b"GET /empty HTTP/1.1\r\nHost: a\r\n\r\n");
    let empty = peer.reply().unwrap();
    assert_eq!((empty.status, empty.header("Content-Length")), (204, None));
    peer.send(GET.as_bytes());
    assert_eq!(peer.reply().unwrap().body, "GET / 0");
    drop(peer);
    site.is_unharmed();
}

#[test]
fn a_refusal_survives_the_bytes_after_it() {
    let site = Site::start(patient());
    for _ in 0..20 {
        let mut peer = site.connect();
        peer.send(post("Content-Length: 100000"));
        // Closed with these unread, the connection would be reset and the answer lost.
        peer.send([b'x'; 100_000]);
        let answer = peer.rest();
        assert!(answer.ends_with("413 BodyTooLarge"), "{answer:?}");
    }
    site.is_unharmed();
}

#[test]
fn values_that_would_write_headers_are_not_sent() {
    let site = Site::start(patient());
    let mut peer = site.connect_and_send("GET /inject HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = peer.reply().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (500, ""));
    assert_eq!(answer.header("Set-Cookie"), None);
    peer.send(GET.as_bytes());
    assert_eq!(peer.reply().unwrap().body, "GET / 0");
    drop(peer);
    site.is_unharmed();
}

#[test]
fn a_panic_costs_one_answer() {
    let site = Site::start(patient());
    let mut peer = site.connect_and_send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.reply().unwrap().body, "500 Internal");
    peer.send(GET.as_bytes());
    assert_eq!(peer.reply().unwrap().body, "GET / 0");
    // This one panics again when it is to word the refusal.
    site.respond.panics_at_refusals.store(true, Ordering::Relaxed);
    peer.send(b"GET /panic HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = peer.reply().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (500, ""));
    drop(peer);
    let answer = site.connect_and_send("\n").rest();
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer:?}");
    site.is_unharmed();
}

#[test]
fn who_has_waited_longest_makes_room() {
    let site = Site::start(Limits { connections: 64, ..patient() });
    let starts = ["", "G", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", GET];
    let mut crowd: Vec<Peer> =
        (0..600).map(|number| site.connect_and_send(starts[number % 4])).collect();
    site.serves();
    assert!(site.front.connections() <= 64);
    // The first had to go, and the last are still there.
    assert_eq!(crowd[0].rest(), "");
    for peer in crowd.iter_mut().rev().step_by(4).take(5) {
        assert_eq!(peer.reply().unwrap().body, "GET / 0");
        peer.send(GET.as_bytes());
        assert_eq!(peer.reply().unwrap().body, "GET / 0");
    }
    drop(crowd);
    site.is_unharmed();
}

#[test]
fn many_may_come_from_this_machine() {
    let site = Site::start(Limits { connections_per_peer: 1, ..patient() });
    let mut crowd: Vec<Peer> = (0..20).map(|_| site.connect_and_send(GET)).collect();
    for _ in 0..2 {
        for peer in &mut crowd {
            assert_eq!(peer.reply().unwrap().body, "GET / 0");
            peer.send(GET.as_bytes());
        }
    }
    assert_eq!(site.front.connections(), 20);
    drop(crowd);
    site.is_unharmed();
}

#[test]
fn nobody_makes_room_in_the_middle_of_a_decision() {
    let site = Site::start(Limits { connections: 4, ..patient() });
    let slow = "GET /gate HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut deciding: Vec<Peer> = (0..4).map(|_| site.connect_and_send(slow)).collect();
    site.wait_until(|site| site.decided() == 4);
    // Everyone is busy, so newcomers are turned away without a word.
    for _ in 0..10 {
        assert_eq!(site.connect().rest(), "");
    }
    site.respond.open_gate();
    for peer in &mut deciding {
        assert_eq!(peer.reply().unwrap().body, "GET /gate 0");
    }
    drop(deciding);
    site.is_unharmed();
}

#[test]
fn peers_that_vanish_leave_nothing_behind() {
    let site = Site::start(patient());
    let body = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na";
    for start in ["", "G", GET, body] {
        for how in [Shutdown::Both, Shutdown::Write] {
            let peer = site.connect_and_send(start);
            peer.stream().shutdown(how).unwrap();
            site.wait_until(|site| site.front.connections() == 0);
        }
    }
    // A peer that has sent everything still gets an answer.
    let mut peer = site.connect_and_send(GET);
    peer.stream().shutdown(Shutdown::Write).unwrap();
    assert!(peer.rest().ends_with("GET / 0"));
    site.is_unharmed();
}

/// Both ends of a connection are in this process, so the lack of descriptors needs one of its own:
/// the test runs itself again, with few of them.
#[test]
fn the_front_survives_a_lack_of_descriptors() {
    const NAME: &str = "the_front_survives_a_lack_of_descriptors";
    if std::env::var_os("FEW_DESCRIPTORS").is_some() {
        return without_descriptors();
    }
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" --nocapture \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg(NAME)
        .env("FEW_DESCRIPTORS", "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("connections not accepted failures="), "{told}");
}

/// Prints each message with its count of failures.
struct Printer;

impl log::Log for Printer {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let failures = record.key_values().get("failures".into());
        let failures = failures.map(|it| format!(" failures={it}")).unwrap_or_default();
        let _ = writeln!(std::io::stderr(), "{}{failures}", record.args());
    }

    fn flush(&self) {}
}

fn without_descriptors() {
    log::set_logger(&Printer).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let site = Site::start(patient());
    let crowd: Vec<_> = std::iter::from_fn(|| connect(site.front.place()).ok()).collect();
    assert!(crowd.len() > 10);
    // Give the front the time to fail.
    thread::sleep(Duration::from_millis(500));
    drop(crowd);
    site.is_unharmed();
}
