//! Every way to misread a head, and that none of them is open.

use challenger_proto::Refusal::{self, *};

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n";

fn refusal(bytes: &[u8]) -> Refusal {
    match parse_head(bytes) {
        Err(refused) => refused.refusal,
        Ok(parsed) => panic!("{:?} is {parsed:?}", String::from_utf8_lossy(bytes)),
    }
}

fn head(bytes: &[u8]) -> Head {
    match parse_head(bytes) {
        Ok(Parsed::Complete(head)) => head,
        other => panic!("{:?} is {other:?}", String::from_utf8_lossy(bytes)),
    }
}

fn with(fields: &str) -> Vec<u8> {
    format!("{GET}{fields}\r\n\r\n").into_bytes()
}

/// A head of this length, with one long field.
fn of_length(length: usize) -> Vec<u8> {
    let rest = GET.len() + "X: \r\n\r\n".len();
    with(&format!("X: {}", "x".repeat(length - rest)))
}

/// Heads of all kinds, good and bad, for the rules that hold for every one.
fn samples() -> Vec<Vec<u8>> {
    let mut samples: Vec<Vec<u8>> = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\na=b",
        "GET http://b/x?y HTTP/1.0\r\nCookie: name=J\u{fc}rgen\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\na=b",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0",
        "GET / HTTP/1.1\r\n\r\nX: \0",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    samples.push(of_length(HEAD_MAX));
    samples.push(of_length(HEAD_MAX + 1));
    let long = "x".repeat(TARGET_MAX - 1);
    samples.push(format!("GET /{long}\0 HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes());
    let long = "x".repeat(TARGET_MAX);
    samples.push(format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes());
    samples.push(format!("GET /{long}\0 HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes());
    samples
}

#[test]
fn the_beginning_of_a_head_decides_like_the_whole() {
    for sample in samples() {
        let whole = parse_head(&sample);
        let mut decided = false;
        // Every byte of a short head; of a long one the last bytes, where it is decided.
        for end in (0..=sample.len()).filter(|end| end + 200 > sample.len() || end % 101 == 0) {
            let part = parse_head(&sample[..end]);
            if part == Ok(Parsed::Incomplete) {
                assert!(!decided, "{end} of {:?}", String::from_utf8_lossy(&sample));
            } else {
                assert_eq!(part, whole, "{end} of {:?}", String::from_utf8_lossy(&sample));
                decided = true;
            }
        }
    }
}

#[test]
fn no_bytes_make_it_panic_or_hang() {
    // Every byte in every place of a head, once instead of what is there and once in addition.
    let head = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
    for at in 0..head.len() {
        for byte in 0..=u8::MAX {
            let mut changed = head.to_vec();
            changed[at] = byte;
            let replaced = parse_head(&changed);
            changed.insert(at, head[at]);
            let inserted = parse_head(&changed);
            for parsed in [replaced, inserted] {
                if let Ok(Parsed::Complete(found)) = parsed {
                    assert!(found.length <= changed.len());
                    assert!(found.request.target.starts_with('/'));
                    assert!(found.request.target.bytes().all(|byte| byte.is_ascii_graphic()));
                    assert!(!found.request.headers.iter().any(|(name, value)| {
                        name.contains(char::is_whitespace) || value.contains(['\r', '\n', '\0'])
                    }));
                }
            }
        }
    }
}

#[test]
fn long_bodies_have_a_length_all_the_same() {
    for (digits, length) in [
        ("65537", 65_537),
        ("9223372036854775808", 9_223_372_036_854_775_808),
        ("18446744073709551615", usize::MAX),
        ("18446744073709551616", usize::MAX),
        ("99999999999999999999999999", usize::MAX),
    ] {
        let bytes = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {digits}\r\n\r\n");
        let Ok(Parsed::Complete(head)) = parse_head(bytes.as_bytes()) else { panic!("{digits}") };
        assert_eq!(head.framing, Framing::Length(length));
    }
}

#[test]
fn two_readings_are_refused() {
    let cases = [
        ("X: a\r\n\tb", HeadMalformed),
        ("X: a\nY: b", HeadMalformed),
        ("X: a\rY: b", HeadMalformed),
        ("X: a\0b", HeadMalformed),
        ("X: a\u{7f}b", HeadMalformed),
        ("X\0: a", HeadMalformed),
        ("X y: a", HeadMalformed),
        ("J\u{fc}rgen: a", HeadMalformed),
        (": a", HeadMalformed),
        ("X", HeadMalformed),
        ("Host: a", HeadMalformed),
        ("Host: b", HeadMalformed),
        ("Authorization: Bearer a\r\nauthorization: Bearer a", HeadMalformed),
        ("Content-Encoding: deflate\r\nContent-Encoding: identity", HeadMalformed),
        ("Expect: 200-ok", ExpectationUnknown),
        ("Expect: 100-continue\r\nExpect: more", ExpectationUnknown),
    ];
    for (fields, expected) in cases {
        assert_eq!(refusal(&with(fields)), expected, "{fields:?}");
    }
    let refused = parse_head(&with("Content-Length: x")).unwrap_err();
    assert_eq!(refused.detail.as_deref(), Some("Content-Length"));
    let refused = parse_head(&with("Transfer-Encoding: x")).unwrap_err();
    assert_eq!(refused.detail.as_deref(), Some("Transfer-Encoding"));
}

#[test]
fn request_lines_are_refused_at_their_end() {
    let cases = [
        ("GET /", HeadMalformed),
        ("GET  / HTTP/1.1", HeadMalformed),
        ("GET / HTTP/1.1 ", HeadMalformed),
        ("GET / HTTP/1.1 more", HeadMalformed),
        (" GET / HTTP/1.1", HeadMalformed),
        ("GET\t/ HTTP/1.1", HeadMalformed),
        ("G@T / HTTP/1.1", HeadMalformed),
        ("GET / http/1.1", HeadMalformed),
        ("GET / HTTPS/1.1", HeadMalformed),
        ("GET / HTTP/0.9", VersionUnsupported),
        ("GET / HTTP/1.2", VersionUnsupported),
        ("GET / HTTP/2.0", VersionUnsupported),
        ("GET / HTTP/3", VersionUnsupported),
        ("PRI * HTTP/2.0", VersionUnsupported),
        ("GET x HTTP/1.1", HeadMalformed),
        ("GET * HTTP/1.1", HeadMalformed),
        ("GET http:// HTTP/1.1", HeadMalformed),
        ("GET http:///x HTTP/1.1", HeadMalformed),
        ("GET http://me@a/x HTTP/1.1", HeadMalformed),
        ("GET ftp://a/x HTTP/1.1", HeadMalformed),
        ("CONNECT a:443 HTTP/1.1", HeadMalformed),
        ("GET /\u{fc} HTTP/1.1", HeadMalformed),
        ("GET /\u{1} HTTP/1.1", HeadMalformed),
        ("GET /\0 HTTP/1.1", HeadMalformed),
        ("", HeadMalformed),
    ];
    for (line, expected) in cases {
        // Nobody has to wait for the rest of the head.
        assert_eq!(refusal(format!("\r\n{line}\r\n").as_bytes()), expected, "{line:?}");
    }
}

#[test]
fn bare_line_ends_are_refused_at_once() {
    for bytes in [&b"\n"[..], b"\r\r", b"\r\n\n", b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\rH"] {
        assert_eq!(refusal(bytes), HeadMalformed, "{bytes:?}");
        assert_eq!(parse_head(&bytes[..bytes.len() - 1]), Ok(Parsed::Incomplete), "{bytes:?}");
    }
}

#[test]
fn lengths_are_bounded_to_the_byte() {
    assert_eq!(head(&of_length(HEAD_MAX)).length, HEAD_MAX);
    assert_eq!(refusal(&of_length(HEAD_MAX + 1)), HeadTooLarge);
    assert_eq!(refusal(&vec![b'G'; HEAD_MAX]), HeadTooLarge);
    assert_eq!(parse_head(&vec![b'G'; HEAD_MAX - 1]), Ok(Parsed::Incomplete));

    let fields = |count| with(&vec!["a: b"; count - 1].join("\r\n"));
    assert_eq!(head(&fields(HEADERS_MAX)).request.headers.len(), HEADERS_MAX);
    assert_eq!(refusal(&fields(HEADERS_MAX + 1)), HeadTooLarge);

    let target = |length| format!("GET /{}", "x".repeat(length - 1));
    let whole = format!("{} HTTP/1.1\r\nHost: a\r\n\r\n", target(TARGET_MAX));
    assert_eq!(head(whole.as_bytes()).request.target.len(), TARGET_MAX);
    assert_eq!(parse_head(target(TARGET_MAX).as_bytes()), Ok(Parsed::Incomplete));
    assert_eq!(refusal(target(TARGET_MAX + 1).as_bytes()), TargetTooLong);

    assert_eq!(head(&with("Content-Length: 65536")).framing, Framing::Length(65_536));
    assert_eq!(
        head(&with("Content-Length: 000000000000000000000000003")).framing,
        Framing::Length(3)
    );
}

#[test]
fn targets_come_in_four_forms() {
    let cases = [
        ("GET /a?b=c HTTP/1.1", "/a?b=c", "a"),
        ("GET http://b:80/a?b HTTP/1.1", "/a?b", "b:80"),
        ("GET HTTPS://[::1] HTTP/1.1", "/", "[::1]"),
        ("GET http://b?c=/ HTTP/1.1", "/?c=/", "b"),
        ("OPTIONS * HTTP/1.1", "/", "a"),
    ];
    for (line, target, host) in cases {
        let head = head(format!("{line}\r\nhost: a\r\n\r\n").as_bytes());
        assert_eq!(head.request.target, target, "{line}");
        assert_eq!(head.request.header("Host"), Some(host), "{line}");
        assert_eq!(head.request.headers.len(), 1, "{line}");
    }
}

#[test]
fn hosts_are_one_or_for_the_old_version_none() {
    assert_eq!(refusal(b"GET / HTTP/1.1\r\n\r\n"), HeadMalformed);
    assert_eq!(refusal(b"GET http://a/ HTTP/1.1\r\n\r\n"), HeadMalformed);
    assert_eq!(refusal(b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), HeadMalformed);
    assert!(!head(b"GET / HTTP/1.0\r\n\r\n").keep_alive);
    for host in ["a, b", "a b", "a/b", "me@a", "\u{fc}"] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(refusal(bytes.as_bytes()), HeadMalformed, "{host}");
    }
    for host in ["", "localhost:8080", "[2001:db8::1]:80", "x_y.example"] {
        head(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    }
}

#[test]
fn connections_stay_open_unless_someone_closes_them() {
    assert!(head(&with("Connection: keep-alive")).keep_alive);
    assert!(head(&with("X: close")).keep_alive);
    assert!(!head(&with("Connection: Close")).keep_alive);
    assert!(!head(&with("Connection: te, \tclose")).keep_alive);
    assert!(!head(&with("Connection: te\r\nConnection: close")).keep_alive);
    assert!(!head(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
}

#[test]
fn expectations_are_met_or_refused() {
    assert!(head(&with("Expect: 100-Continue\r\nContent-Length: 1")).expects_continue);
    assert!(!head(&with("Content-Length: 1")).expects_continue);
    // RFC 9110 §10.1.1: the old version has no interim answers.
    assert!(!head(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expects_continue);
}

#[test]
fn an_empty_line_before_a_request_is_forgiven() {
    let head = head(b"\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((head.length, head.request.target.as_str()), (30, "/a"));
    assert!(!begun(b"") && !begun(b"\r") && !begun(b"\r\n"));
    assert!(begun(b"\r\nG") && begun(b"G") && begun(b"\n"));
}

#[test]
fn values_may_have_any_bytes_an_honest_browser_sends() {
    let head = head(&with("Cookie: name=J\u{fc}rgen\r\nX: \ta\tb \r\nReferer: /\u{20ac}"));
    assert_eq!(head.request.header("cookie"), Some("name=J\u{fc}rgen"));
    assert_eq!(head.request.header("x"), Some("a\tb"));
    let mut latin1 = format!("{GET}Cookie: name=J").into_bytes();
    latin1.extend_from_slice(b"\xfcrgen\r\n\r\n");
    assert_eq!(self::head(&latin1).request.header("Cookie"), Some("name=J\u{fffd}rgen"));
}
