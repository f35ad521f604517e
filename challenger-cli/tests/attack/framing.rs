//! Bytes that two servers could read in two ways, or nobody at all: request smuggling.

use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use challenger_testkit::{Peer, Reply};

use crate::harness::{HASTY, everywhere, prove, under};
use crate::site::{SECRET, Site};

/// The request that is smuggled: its answer would give it away.
const SMUGGLED: &str = "GET /robots.txt HTTP/1.1\r\nHost: a\r\n\r\n";

/// The head before chunks.
const CHUNKED: &str = "POST /token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// The only answer to some bytes, after which the server closes the connection by itself.
fn only_answer(site: &Site, bytes: &[u8]) -> Reply {
    let what = String::from_utf8_lossy(bytes);
    let mut peer = site.connect();
    peer.send(bytes);
    let reply = peer.reply().unwrap_or_else(|| panic!("no answer: {what}"));
    assert_eq!(peer.rest(), "", "one answer to {what}");
    assert_eq!(reply.header("Connection"), Some("close"), "{what}");
    reply
}

fn are_refused(site: &Site, cases: &[(&[u8], u16)]) {
    for (bytes, status) in cases {
        let reply = only_answer(site, bytes);
        assert_eq!(reply.status, *status, "{}", String::from_utf8_lossy(bytes));
        assert!(reply.json()["hint"].is_string());
    }
    prove(site);
}

/// The table of all of them is beside the parser, in `challenger-server/src/front`.
#[test]
fn lengths_with_two_readings_are_refused() {
    let cases = [
        ("Content-Length: 0\r\nContent-Length: 38", 400),
        ("Content-Length: 3,38", 400),
        ("Content-Length: +3", 400),
        ("Content-Length : 38", 400),
        ("X: a\r\n Content-Length: 38", 400),
        ("Content-Length: 18446744073709551619", 413),
        ("Content-Length: 000000000000000000000000065537", 413),
    ];
    everywhere("", |site| {
        for (field, status) in cases {
            for path in ["config", "token", "nowhere"] {
                let request =
                    format!("POST /{path} HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n{SMUGGLED}");
                assert_eq!(only_answer(site, request.as_bytes()).status, status, "{request}");
            }
        }
        prove(site);
    });
}

#[test]
fn transfer_codings_are_refused_unless_they_are_chunked_and_nothing_else() {
    let cases = [
        ("Transfer-Encoding: chunked\r\nContent-Length: 38", 400),
        ("Content-Length: 38\r\nTransfer-Encoding: chunked", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: identity", 400),
        ("Transfer-Encoding: x\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding : chunked", 400),
        ("X: a\r\n\tTransfer-Encoding: chunked", 400),
        ("X: a\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: chunked, identity", 501),
        ("Transfer-Encoding: xchunked", 501),
        ("Transfer-Encoding:", 501),
    ];
    everywhere("", |site| {
        for (codings, status) in cases {
            let head = format!("POST /token HTTP/1.1\r\nHost: a\r\n{codings}\r\n\r\n");
            let reply = only_answer(site, format!("{head}0\r\n\r\n{SMUGGLED}").as_bytes());
            assert_eq!(reply.status, status, "{codings}");
        }
        // Those of the old version had no codings, and take the chunks for something else.
        let head = "POST /token HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let reply = only_answer(site, format!("{head}0\r\n\r\n{SMUGGLED}").as_bytes());
        assert_eq!(reply.refusal(), (400, 26));
        prove(site);
    });
}

#[test]
fn chunks_with_two_readings_are_refused() {
    let chunks = [
        "ZZ\r\n",
        "-1\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "ffffffffffffffff3\r\nabc\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
        "3;a\nabc\r\n0\r\n\r\n",
        "3;a=\"\n3\"\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "2\r\nabc\r\n0\r\n\r\n",
        "4\r\nabc\r\n0\r\n\r\n",
        "0\n\r\n",
        "0\r\n\n",
        "0\r\na\r\n\r\n",
        "0\r\na: b\nc: d\r\n\r\n",
        "0\r\n",
    ];
    everywhere("", |site| {
        for chunk in chunks {
            let reply = only_answer(site, format!("{CHUNKED}{chunk}{SMUGGLED}").as_bytes());
            assert_eq!(reply.refusal(), (400, 26), "{chunk}");
        }
        prove(site);
    });
}

#[test]
fn what_follows_chunks_is_the_next_request() {
    let length = SMUGGLED.len();
    let bodies = [
        ("0\r\n\r\n".to_owned(), 400),
        // A request in a chunk is data, and so is what looks like the end of the chunks.
        (format!("{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n"), 400),
        ("9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n".to_owned(), 400),
        // Nobody believes an extension or a trailer.
        (format!("3;{length:x}\r\na=b\r\n0;{length:x}\r\n\r\n"), 400),
        (format!("3\r\na=b\r\n0\r\nContent-Length: {length}\r\n\r\n"), 400),
        ("3\r\na=b\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), 400),
        ("3\r\na=b\r\n0\r\nConnection: close\r\nHost: b\r\n\r\n".to_owned(), 400),
    ];
    everywhere("", |site| {
        let mut peer = site.connect();
        for (body, status) in &bodies {
            // In one piece, and cut at every byte.
            peer.send(format!("{CHUNKED}{body}{SMUGGLED}"));
            for byte in format!("{CHUNKED}{body}{SMUGGLED}").bytes() {
                peer.send([byte]);
            }
            for _ in 0..2 {
                assert_eq!(peer.reply().unwrap().status, *status, "{body}");
                assert_eq!(peer.reply().unwrap().status, 200, "what follows {body}");
            }
        }
        peer.send("GET /config HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(peer.reply().unwrap().status, 200);
        assert_eq!(peer.rest(), "");
    });
}

#[test]
fn a_form_in_chunks_is_the_same_form() {
    let form = "grant_type=authorization_code&client_id=1&client_secret=x&code=y&redirect_uri=z";
    let chunks: String = form.chars().map(|letter| format!("1\r\n{letter}\r\n")).collect();
    let length = form.len();
    everywhere("", |site| {
        let mut peer = site.connect();
        peer.send(format!(
            "POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{form}"
        ));
        let expected = peer.reply().unwrap();
        peer.send(format!("{CHUNKED}{chunks}0\r\n\r\n"));
        let reply = peer.reply().unwrap();
        assert_eq!((reply.status, reply.json()), (expected.status, expected.json()));
        assert_eq!(reply.status, 401, "it was read to the secret");
        // A trailer is not part of a form, nor does it authenticate a client.
        let setup = "POST /setup/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        peer.send(format!("{setup}0\r\nAuthorization: Bearer {SECRET}\r\n\r\n"));
        assert_eq!(peer.reply().unwrap().status, 400);
        let setup = setup.replace("Host: a", &format!("Host: a\r\nAuthorization: Bearer {SECRET}"));
        peer.send(format!("{setup}0\r\n\r\n"));
        assert_eq!(peer.reply().unwrap().status, 200);
    });
}

#[test]
fn chunks_that_drip_have_the_time_of_a_body() {
    let beginnings = ["", "1;", "5\r\n", "0\r\nX: "];
    everywhere(HASTY, |site| {
        under(site, || {
            thread::scope(|scope| {
                for beginning in beginnings {
                    let mut peer = site.connect();
                    peer.send(format!("{CHUNKED}{beginning}"));
                    let mut dripping = Peer::new(peer.stream().try_clone().unwrap());
                    scope.spawn(move || {
                        while dripping.send("0") {
                            thread::sleep(Duration::from_millis(700));
                        }
                    });
                    assert_eq!(peer.reply().unwrap().refusal(), (408, 23), "{beginning}");
                }
            });
        });
    });
}

#[test]
fn bytes_that_end_lines_for_some_are_refused() {
    let cases: [(&[u8], u16); 16] = [
        (b"GET /con\0fig HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /con\nfig HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /con\rfig HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"G\0ET /config HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET\t/config HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /config HTTP/1.1\0\r\nHost: a\r\n\r\n", 400),
        (b"GET /config HTTP/1.1\nHost: a\n\n", 400),
        (b"GET /config HTTP/1.1\rHost: a\r\r", 400),
        (b"GET /config HTTP/1.1\n\rHost: a\n\r\n\r", 400),
        (b"GET /config HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
        (b"GET /config HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400),
        (b"GET /config HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n", 400),
        (b"GET /config HTTP/1.1\r\nHost: a\r\nX: b\0\r\n\r\n", 400),
        (b"GET /config HTTP/1.1\r\nHost: a\r\nX: b\x7f\r\n\r\n", 400),
        (b"GET /config HTTP/1.1\r\nHost: a\r\nX: b\x1b[2J\r\n\r\n", 400),
        (b"GET /config HTTP/1.1\r\nHost: a\r\nX: b\r\r\n\r\n", 400),
    ];
    everywhere("", |site| are_refused(site, &cases));
}

#[test]
fn request_lines_that_are_none_are_refused() {
    let cases: [(&[u8], u16); 25] = [
        (b"GET /\r\n", 400), // HTTP/0.9
        (b"GET\r\n\r\n", 400),
        (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / ICY/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/01.1\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"G\xc3\x89T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET config HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS", 400),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 400),
        (b"\x05\x01\x00", 400),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n", 400),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ];
    everywhere("", |site| are_refused(site, &cases));
}

#[test]
fn hosts_are_one_and_nothing_but_hosts() {
    let cases: [(&[u8], u16); 15] = [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: <script>\r\n\r\n", 400),
        (b"GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET file:///etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http://a/config HTTP/1.1\r\n\r\n", 400),
    ];
    everywhere("", |site| are_refused(site, &cases));
}

#[test]
fn fields_that_are_none_and_expectations_nobody_meets_are_refused() {
    let cases: [(&[u8], u16); 10] = [
        (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\xc3\xa9: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n(X): b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        (b"POST /token HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417),
        (b"POST /token HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, tea\r\n\r\n", 417),
        (b"POST /token HTTP/1.1\r\nHost: a\r\nExpect:\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: tea\r\n\r\n", 417),
    ];
    everywhere("", |site| are_refused(site, &cases));
}

#[test]
fn a_body_is_never_a_request() {
    everywhere("", |site| {
        let mut peer = site.connect();
        // What looks like a request inside of a body is a body.
        let length = SMUGGLED.len();
        peer.send(format!(
            "POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{SMUGGLED}"
        ));
        peer.send("POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\0\r\n\0");
        // The same holds for methods that have no use for one.
        for method in ["GET", "OPTIONS", "DELETE", "SMUGGLE"] {
            peer.send(format!(
                "{method} /config HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{SMUGGLED}"
            ));
        }
        peer.send("GET /config HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let statuses: Vec<u16> =
            std::iter::from_fn(|| peer.reply()).map(|reply| reply.status).collect();
        assert_eq!(statuses, [400, 400, 200, 204, 405, 405, 200]);
    });
}

#[test]
fn odd_requests_that_have_one_reading_are_served() {
    let cases: [(&[u8], u16); 12] = [
        (b"\r\nGET /config HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET http://evil.example/config HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET HTTPS://[::1]:80/config?x HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 204),
        (b"GET /config HTTP/1.1\r\nHost:\r\n\r\n", 200),
        (b"GET /config HTTP/1.1\r\nHost: a\r\nCookie: \xc3\xa9=\xff\r\n\r\n", 200),
        (b"GET //config HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"get /config HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"TRACE /config HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET /config HTTP/1.0\r\n\r\n", 200),
        (b"GET /config HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200),
        (b"GET /config HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 200),
    ];
    everywhere("", |site| {
        for (bytes, status) in cases {
            let mut peer = site.connect();
            peer.send(bytes);
            // A peer that sends no more is answered all the same.
            peer.stream().shutdown(Shutdown::Write).unwrap();
            let reply = peer.reply().unwrap();
            assert_eq!(reply.status, status, "{}", String::from_utf8_lossy(bytes));
            assert_eq!(peer.rest(), "");
            let is_old = bytes.windows(8).any(|it| it == b"HTTP/1.0");
            assert_eq!(reply.header("Connection"), is_old.then_some("close"));
        }
        let mut peer = site.connect();
        for _ in 0..3 {
            peer.send("HEAD /config HTTP/1.1\r\nHost: a\r\n\r\n");
            let reply = peer.reply_to("HEAD").unwrap();
            assert_ne!(reply.header("Content-Length"), Some("0"), "as long as for GET");
        }
    });
}

#[test]
fn who_asks_before_the_body_is_told_to_go_on() {
    everywhere("", |site| {
        let mut peer = site.connect();
        let expect = "Host: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n";
        peer.send(format!("POST /token HTTP/1.1\r\n{expect}"));
        let interim = peer.reply().unwrap();
        assert_eq!((interim.status, interim.headers.len()), (100, 0), "no fields, no body");
        peer.send("a=b");
        assert_eq!(peer.reply().unwrap().refusal(), (400, 25));
        // A peer that does not wait need not be asked for the body, and one of an old version is
        // not.
        for version in ["1.0", "1.1"] {
            let mut peer = site.connect();
            peer.send(format!("POST /token HTTP/{version}\r\n{expect}a=b"));
            let mut replies = std::iter::from_fn(|| peer.reply()).map(|it| it.status);
            assert_eq!(replies.find(|status| *status != 100), Some(400));
        }
        // A body that will not be taken is not asked for.
        let mut peer = site.connect();
        let expect = "Host: a\r\nExpect: 100-continue\r\nContent-Length: 65537\r\n\r\n";
        peer.send(format!("POST /token HTTP/1.1\r\n{expect}"));
        assert_eq!(peer.reply().unwrap().refusal(), (413, 32));
        assert_eq!(peer.rest(), "");
    });
}
