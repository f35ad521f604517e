//! More bytes than anybody needs: none of them is kept.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use challenger_testkit::Peer;

use crate::harness::{everywhere, everywhere_with, under};
use crate::site::Site;

/// More than all buffers of the system between the server and a peer.
const BUFFERS: usize = 32 << 20;
/// The size of the flood if nobody stopped it.
const FLOOD: usize = 300 << 20;

/// Sends the beginning, and then the same bytes until the server has had enough. Returns how much
/// of them it took.
fn pour(site: &Site, beginning: &str, bytes: &str) -> usize {
    let block = bytes.repeat(64 * 1024 / bytes.len());
    let mut peer = site.connect();
    peer.send(beginning);
    let blocks = (0..FLOOD / block.len()).take_while(|_| peer.send(&block));
    blocks.count() * block.len()
}

#[test]
fn what_never_ends_is_cut_off() {
    let post = "POST /token HTTP/1.1\r\nHost: a\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    let floods = [
        ("GET /config HTTP/1.1\r\nHost: a\r\nX: ".to_owned(), "x"),
        ("GET /config HTTP/1.1\r\nHost: a\r\nCookie: ".to_owned(), "a=\u{e9}; "),
        ("GET /config HTTP/1.1\r\nHost: a\r\n".to_owned(), "X: y\r\n"),
        ("GET /config HTTP/1.1\r\n".to_owned(), "Host: a\r\n"),
        ("GET /".to_owned(), "x"),
        ("GET /config?".to_owned(), "a=b&"),
        ("GET http://".to_owned(), "a"),
        (String::new(), "G"),
        (String::new(), "\r\n"),
        (String::new(), "\0"),
        (format!("{post}{chunked}"), "0"),
        (format!("{post}{chunked}1;"), "x"),
        (format!("{post}{chunked}"), "1\r\na\r\n"),
        (format!("{post}{chunked}"), "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\na\r\n"),
        (format!("{post}{chunked}"), "400\r\n"),
        (format!("{post}{chunked}10000\r\n"), "x"),
        (format!("{post}{chunked}0\r\nX: "), "x"),
        (format!("{post}{chunked}0\r\n"), "X: y\r\n"),
        (format!("{post}Content-Length: 100000000000\r\n\r\n"), "x"),
        (format!("{post}Content-Length: 18446744073709551615\r\n\r\n"), "x"),
        (format!("{post}Content-Length: 65536\r\n\r\n"), "x"),
        (format!("{post}\r\n"), "\r\n"),
    ];
    everywhere("", |site| {
        under(site, || {
            for (beginning, bytes) in &floods {
                let taken = pour(site, beginning, bytes);
                assert!(taken < BUFFERS, "{taken} of {bytes:?} after {beginning:?}");
            }
        });
    });
}

#[test]
fn what_is_too_long_is_told_so() {
    let long = "x".repeat(20_000);
    let many = "X: y\r\n".repeat(200);
    let chunked = "POST /token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let cases = [
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), (414, 31)),
        (format!("GET /{long}"), (414, 31)),
        (format!("GET /config HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), (431, 23)),
        (format!("GET /config HTTP/1.1\r\nHost: a\r\n{long}: x\r\n\r\n"), (431, 23)),
        (format!("GET /config HTTP/1.1\r\nHost: a\r\n{many}\r\n"), (431, 23)),
        ("POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n".to_owned(), (413, 32)),
        (format!("{chunked}10001\r\n"), (413, 32)),
        (format!("{chunked}ffffffffffffffff\r\n"), (413, 32)),
        (format!("{chunked}{}1\r\n", chunk.repeat(4)), (413, 32)),
        (format!("{chunked}1;{long}"), (413, 32)),
        (format!("{chunked}{}", "1;xxxxxxxxxxxxxxxx\r\na\r\n".repeat(1000)), (413, 32)),
        (format!("{chunked}0\r\nX: {long}"), (413, 32)),
    ];
    everywhere("", |site| {
        for (bytes, expected) in &cases {
            let mut peer = site.connect();
            peer.send(bytes);
            assert_eq!(peer.reply().unwrap().refusal(), *expected, "{:.40}", bytes);
            assert_eq!(peer.rest(), "");
        }
    });
}

#[test]
fn lengths_that_are_only_promised_cost_no_memory() {
    let lengths = ["65537", "100000000000", "9223372036854775807", "18446744073709551615"];
    everywhere("", |site| {
        under(site, || {
            let promise = |number: usize| {
                let length = lengths[number % lengths.len()];
                let mut peer = site.connect();
                peer.send(format!(
                    "POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nabc"
                ));
                assert_eq!(peer.reply().unwrap().refusal(), (413, 32));
                peer
            };
            let promised = (0..200).map(promise);
            // Promises as much as is taken, and then sends no more.
            let beginnings = [
                "POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\nabc",
                "POST /token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n",
            ];
            let silent = (0..100).map(|number: usize| {
                let mut peer = site.connect();
                peer.send(beginnings[number % beginnings.len()]);
                peer
            });
            promised.chain(silent).collect::<Vec<Peer>>()
        });
    });
}

#[test]
fn other_versions_of_http_hold_no_thread() {
    everywhere("", |site| {
        under(site, || {
            let beginnings = ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/2.0\r\n\r\n"];
            let peers = beginnings.iter().cycle().take(200).map(|beginning| {
                let mut peer = site.connect();
                peer.send(beginning);
                assert_eq!(peer.reply().unwrap().refusal(), (505, 23));
                peer
            });
            peers.collect::<Vec<_>>()
        });
    });
}

const SMALL: &str = "GET /robots.txt HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_hundred_thousand_requests_in_a_row_are_answered_in_turn() {
    const COUNT: usize = 100_000;
    // Without a line in the log for each of them.
    let quiet = |site: &Site| {
        let mut server = site.command("challenger-httpd");
        server.args(["-L", "WARNING"]).stdin(Stdio::null());
        server
    };
    everywhere_with("", quiet, |site| {
        under(site, || {
            let mut peer = site.connect();
            let mut writer = Peer::new(peer.stream().try_clone().unwrap());
            thread::scope(|scope| {
                scope.spawn(move || {
                    let block = SMALL.repeat(100);
                    assert!((0..COUNT / 100).all(|_| writer.send(&block)));
                });
                for _ in 0..COUNT {
                    assert_eq!(peer.reply().unwrap().status, 200);
                }
            });
        });
    });
}

#[test]
fn a_million_requests_whose_answers_nobody_reads_hold_one_thread() {
    everywhere("", |site| {
        under(site, || {
            let greedy = (0..2).map(|_| {
                let mut peer = site.connect();
                peer.set_timeouts(Duration::from_millis(500));
                let block = SMALL.repeat(1000);
                let sent = (0..1000).take_while(|_| peer.send(&block)).count();
                assert!(sent < 1000, "the server does not read on");
                peer
            });
            greedy.collect::<Vec<_>>()
        });
    });
}
