//! The contents of bodies, paths and headers: bombs, depths, crowds of fields, detours.

use std::fmt::Write;
use std::fs;
use std::thread;

use challenger_testkit::{Reply, request};
use miniz_oxide::deflate::compress_to_vec_zlib;

use crate::harness::{authorize, everywhere, everywhere_with, prove, under};
use crate::site::{SECRET, Site};

/// The largest body.
const BODY_MAX: usize = 64 * 1024;

fn setup(site: &Site, coding: &str, body: &[u8]) -> Reply {
    let bearer = format!("Bearer {SECRET}");
    let mut headers = vec![("Authorization", bearer.as_str())];
    if !coding.is_empty() {
        headers.push(("Content-Encoding", coding));
    }
    site.post("setup/1", &headers, body)
}

#[test]
fn bombs_do_not_unfold() {
    let bomb = compress_to_vec_zlib(&vec![b' '; 60 << 20], 9);
    assert!(bomb.len() <= BODY_MAX, "{}", bomb.len());
    let twice = compress_to_vec_zlib(&bomb, 9);
    everywhere("", |site| {
        under(site, || {
            thread::scope(|scope| {
                for _ in 0..16 {
                    scope.spawn(|| assert_eq!(setup(site, "deflate", &bomb).refusal(), (413, 32)));
                }
            });
            // The content is not inflated a second time.
            assert_eq!(setup(site, "deflate", &twice).refusal(), (400, 22));
        });
    });
}

#[test]
fn compressed_bodies_that_are_none_are_refused() {
    let good = compress_to_vec_zlib(b"{}", 6);
    let mut wrong_sum = good.clone();
    *wrong_sum.last_mut().unwrap() ^= 1;
    let (half, _) = good.split_at(good.len() / 2);
    let preset = [&[0x78, 0xbb, 0, 0, 0, 1], &good[2..]].concat();
    let just_fits = compress_to_vec_zlib(format!("{{}}{:1$}", "", BODY_MAX - 2).as_bytes(), 9);
    let too_much = compress_to_vec_zlib(format!("{{}}{:1$}", "", BODY_MAX - 1).as_bytes(), 9);
    let (behind, twice) = ([&good[..], b"\n"].concat(), [&good[..], &good[..]].concat());
    let cases: [(&str, &[u8], (u16, u64)); 14] = [
        ("deflate", half, (400, 28)),
        ("deflate", &wrong_sum, (400, 28)),
        ("deflate", &preset, (400, 28)),
        ("deflate", &behind, (400, 28)),
        ("deflate", &twice, (400, 28)),
        ("deflate", &good[2..], (400, 28)),
        ("deflate", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", (400, 28)),
        ("deflate", b"{}", (400, 28)),
        ("deflate", &too_much, (413, 32)),
        ("deflate, deflate", &good, (400, 28)),
        ("gzip", &good, (400, 28)),
        ("br", &good, (400, 28)),
        ("x-deflate", &good, (400, 28)),
        ("", &good, (400, 22)),
    ];
    everywhere("", |site| {
        for (coding, body, expected) in cases {
            assert_eq!(setup(site, coding, body).refusal(), expected, "{coding} {body:?}");
        }
        assert_eq!(setup(site, "deflate", &good).status, 200);
        assert_eq!(setup(site, "deflate", &just_fits).status, 200);
        // No other endpoint inflates anything.
        let reply = site.post("token", &[("Content-Encoding", "deflate")], &good);
        assert_eq!(reply.status, 400);
    });
}

#[test]
fn json_that_is_deep_wide_or_wrong_is_refused() {
    let deep = BODY_MAX / 2;
    let wide: String =
        (0..6000).fold("{\"a\":\"b\"".to_owned(), |text, n| text + &format!(",\"{n}\":1")) + "}";
    let digits = "9".repeat(60_000);
    let cases = [
        ("[".repeat(deep), 400),
        ("[".repeat(deep) + &"]".repeat(deep), 400),
        ("{\"a\":".repeat(10_000), 400),
        ("{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000), 400),
        (format!("{{\"a\":{}{}}}", "[".repeat(120), "]".repeat(120)), 200),
        (wide, 400),
        (format!("{{\"a\":[{}0]}}", "{\"\":0},".repeat(9000)), 400),
        (format!("{{\"a\":[{}0]}}", "0,".repeat(900)), 200),
        (format!("{{\"a\":{digits}}}"), 400),
        (format!("{{\"a\":1e{digits}}}"), 400),
        (format!("{{\"a\":0.{digits}}}"), 200),
        ("{\"a\":1e999}".to_owned(), 400),
        ("{\"a\":NaN}".to_owned(), 400),
        ("{\"a\":\"\\ud800\"}".to_owned(), 400),
        ("{\"a\":\"\\u0000\"}".to_owned(), 400),
        ("{\"\\u0000\":1}".to_owned(), 400),
        ("\u{feff}{}".to_owned(), 200),
        ("\u{feff}\u{feff}{}".to_owned(), 400),
        ("{}\u{feff}".to_owned(), 400),
        ("{}{}".to_owned(), 400),
        ("{}\0".to_owned(), 400),
        ("{\"read_only\":\"true\"}".to_owned(), 400),
        ("{\"read_only\":true,\"contact_email\":\"x\"}".to_owned(), 400),
        ("null".to_owned(), 400),
        (format!("{{\"CONTACT_EMAIL\":\"{}\"}}", "x".repeat(60_000)), 400),
        ("{\"__proto__\":{\"CONTACT_EMAIL\":\"x\"},\"constructor\":1}".to_owned(), 200),
    ];
    everywhere("", |site| {
        under(site, || {
            for (body, status) in &cases {
                assert_eq!(setup(site, "", body.as_bytes()).status, *status, "{:.60}", body);
            }
            assert_eq!(setup(site, "", b"\0{\0\"\0a\0\"\0:\x001\0}").status, 400, "UTF-16");
        });
    });
}

#[test]
fn json_with_two_readings_is_refused() {
    let email = "\"CONTACT_EMAIL\":\"ada@example.com\"";
    let wide: String = (0..6000).map(|n| format!("\"{n}\":1,")).collect();
    everywhere("", |site| {
        under(site, || {
            for body in [
                format!("{{{email},\"read_only\":true,\"read_only\":false}}"),
                format!("{{\"read_only\":true,{email},\"read\\u005fonly\":false}}"),
                format!("{{{email},\"CONTACT_EMAIL\":\"eve@example.com\"}}"),
                format!("{{{email},\"a\":[[{{\"b\":1,\"c\":{{}},\"b\":1}}]]}}"),
                format!("{{{email},\"a\":{{\"b\":1}},\"a\":{{\"c\":2}}}}"),
                format!("{{{wide}\"5999\":1}}"),
            ] {
                let reply = setup(site, "", body.as_bytes());
                assert_eq!(reply.refusal(), (400, 22), "{body:.80}");
                let reply = setup(site, "deflate", &compress_to_vec_zlib(body.as_bytes(), 6));
                assert_eq!(reply.refusal(), (400, 22), "{body:.80}");
            }
            // Names in other objects, and colons in texts, do not make a second reading.
            let body =
                format!("{{{email},\"a\":{{\"a\":\":\\\":\"}},\"A\":[{{\"a\":1}},{{\"a\":1}}]}}");
            assert_eq!(setup(site, "", body.as_bytes()).status, 200);
        });
    });
}

/// As many fields as fit.
fn many_fields() -> String {
    let mut body = "pin=1".to_owned();
    for number in 0.. {
        if body.len() > BODY_MAX - 10 {
            break;
        }
        write!(body, "&{number:x}").unwrap();
    }
    body
}

#[test]
fn crowds_of_fields_are_refused() {
    let many = many_fields();
    let too_many = (0..100_000).map(|number| format!("{number}=&")).collect::<String>();
    let separators = "&".repeat(BODY_MAX);
    let escapes = "%41".repeat(BODY_MAX / 3);
    everywhere("", |site| {
        let nonce = site.setup();
        under(site, || {
            for path in ["token".to_owned(), format!("challenge/{nonce}"), format!("solve/{nonce}")]
            {
                for body in [&many, &separators, &escapes] {
                    let reply = site.post(&path, &[("Accept", "application/json")], body);
                    assert_eq!(reply.status, 400, "{path} {body:.20}: {}", reply.body);
                    let reply = site.post(&path, &[("Accept", "text/html")], body);
                    assert_eq!(reply.status, 400, "{path} {body:.20}: {}", reply.body);
                }
                // A body that is too long is not read, and may be cut off before it was sent.
                let mut peer = site.connect();
                peer.send(request("POST", &path, &[], too_many.as_bytes()));
                assert!(peer.reply().is_none_or(|reply| reply.status == 413));
            }
            let (query, _) = many[..8000].rsplit_once('&').unwrap();
            let reply = site.get(&format!("authorize/{nonce}?state=x&{query}"), &[]);
            assert_eq!(reply.refusal(), (400, 25));
            // Nothing in the crowd is a parameter of a request.
            assert_eq!(site.get(&format!("authorize/{nonce}?{query}"), &[]).status, 200);
        });
        let status = site.get(&authorize(&nonce), &[]).json();
        assert_eq!(status["changes_left"], 3, "nothing was charged: {status}");
    });
}

#[test]
fn lossy_fields_are_refused_everywhere() {
    let bodies: [&[u8]; 14] = [
        b"pin=%",
        b"pin=%4",
        b"pin=%zz",
        b"pin=%u0031",
        b"pin=%ff",
        b"pin=\xff",
        b"pin=%c0%b1",
        b"pin=%ed%a0%80",
        b"pin=%00",
        b"pin=1\0",
        b"pin=1&pin=2",
        b"pin=1&p%69n=2",
        b"x=1&x=2&pin=1",
        b"%00=1&pin=1",
    ];
    everywhere("", |site| {
        let nonce = site.setup();
        for body in bodies {
            for path in ["token".to_owned(), format!("challenge/{nonce}"), format!("solve/{nonce}")]
            {
                let json = [("Accept", "application/json")];
                assert_eq!(site.post(&path, &json, body).refusal(), (400, 26), "{path} {body:?}");
            }
        }
    });
}

/// Paths that almost lead somewhere.
const NOWHERE: [&str; 47] = [
    "%63onfig",
    "config/",
    "config%00",
    "config%20",
    "config;x=1",
    "config%3Fx",
    "CONFIG",
    "./config",
    "x/../config",
    "%2e/config",
    "..%2fconfig",
    "terms/",
    "terms/en",
    "terms/../../../../../etc/passwd",
    "../../../../etc/passwd",
    "..%2f..%2f..%2f..%2fetc%2fpasswd",
    "..\\..\\etc\\passwd",
    "%5c..%5cetc",
    "%c0%ae%c0%ae/etc/passwd",
    ".git/config",
    "challenger.conf",
    "webui/../config",
    "setup",
    "setup/",
    "setup//1",
    "setup/1/",
    "setup/1/2",
    "setup/../config",
    "authorize/",
    "authorize//",
    "par/",
    "par/1",
    "Par",
    "introspect/",
    "revoke/x",
    "status",
    "status/",
    "status//x",
    ".well-known/openid-configuration",
    ".well-known/",
    ".well-known/../par",
    "%2ewell-known/oauth-authorization-server",
    "info/x",
    "token/",
    "admin",
    "metrics",
    "debug/pprof",
];

#[test]
fn paths_have_one_spelling() {
    let no_client =
        ["%31", "+1", "-1", "1e0", "0x1", "0", "1%00", "1%20", "\u{ff11}", "9".repeat(99).leak()];
    everywhere("", |site| {
        let raw = |method: &str, path: &str| {
            let mut peer = site.connect();
            let bearer = format!("Bearer {SECRET}");
            peer.send(request(method, path, &[("Authorization", &bearer)], b""));
            peer.reply().unwrap()
        };
        for path in NOWHERE {
            for method in ["GET", "POST"] {
                assert_eq!(raw(method, path).refusal(), (404, 21), "{method} {path}");
            }
        }
        for id in no_client {
            let status = raw("POST", &format!("setup/{id}")).status;
            assert_eq!(status, 400, "{id}");
        }
        let nonce = site.setup();
        let ends = ["%20", "%00", ";x", "%2f", ".", "=", "0"];
        for end in ends {
            let reply = raw("POST", &format!("solve/{nonce}{end}"));
            assert!(matches!(reply.status, 404), "{end}: {}", reply.status);
        }
        // A browser's page about such a path shows nothing of it, and leads nowhere.
        for path in [format!("authorize/{nonce}/"), format!("/authorize/{nonce}?state={nonce}")] {
            let reply = site.get(&path, &[("Accept", "text/html")]);
            let page = reply.body;
            assert_eq!(reply.status, 404, "{path}");
            assert!(page.contains("This page does not exist"), "{page}");
            assert!(!page.contains(&nonce) && !page.contains("<a "), "{page}");
        }
    });
}

#[test]
fn documents_come_from_their_folder_only() {
    let server = |site: &Site| {
        let folder = site.directory.path().join("terms/en");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("v1.txt"), "Terms.\n").unwrap();
        fs::write(folder.join("other.txt"), "Secret.\n").unwrap();
        site.server()
    };
    everywhere_with("TERMS_ETAG = v1\nTERMS_DIR = $SITE/terms", server, |site| {
        for path in ["terms", "terms?lang=../..", "terms?etag=other"] {
            for language in
                ["..", "../..", "/etc", "en/../../..", "%2e%2e", "en%00", "*", "\u{e9}", "-"]
            {
                let reply = site.get(path, &[("Accept-Language", language)]);
                assert_eq!((reply.status, reply.body.as_str()), (200, "Terms.\n"), "{language}");
            }
        }
        for etag in ["*", "W/\"v1\"", "\"\"", &"\"x\",".repeat(3000)] {
            let reply = site.get("terms", &[("If-None-Match", etag)]);
            assert!(matches!(reply.status, 200 | 304), "{etag:.20}");
        }
    });
}

#[test]
fn monsters_of_negotiation_are_read_like_any_other_header() {
    let many = |range: &str| range.repeat(15_000 / range.len());
    let accepts = [
        many("a/b;q=0.1,"),
        many("*/*,"),
        many(","),
        many(";"),
        many("q=;=,"),
        many("text/*;q=1,"),
    ];
    let languages = [
        many("xx-yy;q=0.9,"),
        many("en-x;q=0,"),
        many("*;q=0.1,"),
        many("-"),
        many("a-,"),
        many(";q=9999999999999999999,"),
    ];
    everywhere("", |site| {
        let nonce = site.setup();
        under(site, || {
            for accept in &accepts {
                let accept = format!("{accept}text/html");
                let headers = [("Accept", accept.as_str())];
                let page = site.get(&authorize(&nonce), &headers);
                let is_html = page.header("Content-Type").unwrap().starts_with("text/html");
                assert_eq!(page.status, 200);
                assert_eq!(is_html, !accept.contains(";;"), "{accept:.20}");
                for path in ["terms", "", "config", "nowhere"] {
                    assert!(site.get(path, &headers).status < 502, "{path}");
                }
            }
            for language in &languages {
                let language = format!("{language},de;q=0.95");
                let headers = [("Accept", "text/html"), ("Accept-Language", language.as_str())];
                let page = site.get(&authorize(&nonce), &headers);
                assert_eq!(page.status, 200);
                let chosen = page.header("Content-Language").unwrap();
                assert!(["de", "en"].contains(&chosen), "{language:.20}: {chosen}");
            }
        });
        let weights = ["-1", "nan", "1e9", "0.0000001", "1.001", "\u{221e}", "", "0x1"];
        for weight in weights {
            let accept = format!("text/html;q={weight},application/json;q=0.5");
            assert_eq!(site.get(&authorize(&nonce), &[("Accept", &accept)]).status, 200);
        }
        prove(site);
    });
}
