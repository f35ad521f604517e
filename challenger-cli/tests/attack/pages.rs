//! Pages in people's browsers: nothing of a stranger's runs in a page, and nothing stays behind.

use challenger_testkit::{Reply, escape, wrong};

use crate::grants::form;
use crate::harness::{authorize, everywhere};
use crate::pushed::{push, pushed};
use crate::site::{SECRET, Site};

const HTML: (&str, &str) = ("Accept", "text/html");
const JSON: (&str, &str) = ("Accept", "application/json");

/// Texts that would run, load or lead somewhere if they were not escaped, in any place of a page.
const SCRIPTS: [&str; 8] = [
    "\"><script>alert(1)</script>@example.com",
    "'><img src=x onerror=alert(1)>@example.com",
    "\" autofocus onfocus=alert(1) x=\"@example.com",
    "</title></style></textarea><script>alert(1)</script>",
    "{{{nonce}}}{{>head}}<svg/onload=alert(1)>",
    "javascript:alert(1)//@example.com",
    "&lt;script&gt;&#x3c;script&#x3e;<script>alert(1)</script>",
    "<base href=//evil.example/><meta http-equiv=refresh content=0>",
];

/// All tags of ours that strangers would like to open, and attributes to add.
const NEVER: [&str; 7] = [
    "<script>alert",
    "<img src=x",
    "<svg/",
    "<base ",
    "<meta http-equiv",
    "\" onfocus",
    "\" autofocus on",
];

fn is_harmless(reply: &Reply, value: &str) {
    for bad in NEVER {
        assert!(!reply.body.contains(bad), "{value} in {}", reply.body);
    }
    if reply.header("Content-Type").is_some_and(|it| it.starts_with("text/html")) {
        let policy = reply.header("Content-Security-Policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(policy.contains("base-uri 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    }
}

/// Every page that shows something of a stranger's.
fn pages_with(site: &Site, value: &str) -> Vec<Reply> {
    let bearer = format!("Bearer {SECRET}");
    let proposal = serde_json::json!({"CONTACT_EMAIL": value}).to_string();
    let nonce = site.post("setup/1", &[("Authorization", &bearer)], proposal).json();
    let nonce = nonce["nonce"].as_str().unwrap();
    let get = |path: String| site.get(&path, &[HTML]);
    let post = |path: String, body: String| site.post(&path, &[HTML], body);
    let field = |value: &str| format!("CONTACT_EMAIL={}", escape(value));
    let escaped = escape(value);
    let mut pages = vec![
        get(format!("{}&state={escaped}&scope={escaped}", authorize(nonce))),
        get(format!("{}&redirect_uri={escaped}", authorize(nonce))),
        get(format!("{}&code_challenge={escaped}", authorize(nonce))),
        get(format!("{}&{escaped}=1&{escaped}=2", authorize(nonce))),
        get(format!("authorize/{escaped}?response_type=code&client_id=1")),
        get(format!("authorize/{nonce}?response_type={escaped}&client_id={escaped}")),
        get(escaped.clone()),
        post(format!("challenge/{nonce}"), format!("{escaped}={escaped}")),
        post(format!("challenge/{nonce}"), field(&format!("{value}\n{value}"))),
        post(format!("challenge/{nonce}"), field(value)),
        post(format!("solve/{nonce}"), format!("pin={escaped}")),
        post(format!("solve/{nonce}"), format!("pin={}", "12345678")),
        post(format!("solve/{nonce}"), format!("{escaped}={escaped}&pin=87654321")),
        get(authorize(nonce)),
    ];
    // A helper that fails has its own page, and may say what it likes.
    site.set_helper("#!/bin/sh\ncat >/dev/null\necho \"$1\" >&2\nexit 7\n");
    let other = site.setup();
    pages.push(post(format!("challenge/{other}"), field(&format!("{value}x"))));
    site.set_helper(crate::site::DELIVER);
    pages
}

#[test]
fn nothing_of_a_strangers_runs_in_a_page() {
    everywhere("PIN_ATTEMPTS = 9", |site| {
        for value in SCRIPTS {
            site.remember(value);
            let pages = pages_with(site, value);
            for page in &pages {
                is_harmless(page, value);
            }
            let statuses: Vec<u16> = pages.iter().map(|page| page.status).collect();
            assert_eq!(
                statuses,
                [200, 400, 400, 400, 404, 400, 404, 400, 400, 200, 400, 403, 403, 200, 502],
                "{value}"
            );
        }
    });
}

#[test]
fn urls_that_run_are_no_redirect_uris() {
    let uris = [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "https://client.example/\"><script>alert(1)</script>",
        "https://client.example/\r\nSet-Cookie: evil=1",
        "https://client.example;script-src *",
        "https://client.example/#fragment",
        "https://user:password@client.example/",
        "//client.example/",
        "vbscript:x",
    ];
    everywhere("", |site| {
        for uri in uris {
            let added = site.run("challenger-admin", &["--weak", "--add", "secret-token:x", uri]);
            assert!(!added.status.success(), "{uri}");
        }
    });
}

/// An answer of every kind, with its name.
fn answers(site: &Site) -> Vec<(String, Reply)> {
    let nonce = site.setup();
    let bearer = format!("Bearer {SECRET}");
    let bearer = ("Authorization", bearer.as_str());
    let mut all = Vec::new();
    let mut add = |name: &str, reply: Reply| all.push((name.to_owned(), reply));
    for path in ["", "config", "terms", "privacy", "robots.txt", "nowhere", "info", "solve/x"] {
        add(path, site.get(path, &[]));
        add(path, site.get(path, &[HTML]));
    }
    add("setup", site.post("setup/1", &[bearer], ""));
    add("setup refused", site.post("setup/1", &[], ""));
    for accept in [HTML, JSON] {
        add("authorize", site.get(&authorize(&nonce), &[accept]));
        add("authorize refused", site.get(&format!("authorize/{nonce}"), &[accept]));
        let email = format!("ada{}@example.com", accept.1.len());
        let body = format!("CONTACT_EMAIL={}", escape(&email));
        add("challenge", site.post(&format!("challenge/{nonce}"), &[accept], body));
        let pin = site.pin(&email);
        add(
            "wrong",
            site.post(&format!("solve/{nonce}"), &[accept], format!("pin={}", wrong(&pin))),
        );
        add("no pin", site.post(&format!("solve/{nonce}"), &[accept], "pin=1"));
    }
    let nonce = pushed(site, &[]);
    let link =
        format!("authorize?client_id=1&request_uri=urn:ietf:params:oauth:request_uri:{nonce}");
    add("pushed", push(site, &[]));
    add("push refused", push(site, &[("client_secret", "wrong")]));
    add("status", site.get(&format!("status/{nonce}"), &[bearer]));
    add("status refused", site.get(&format!("status/{nonce}"), &[]));
    add("metadata", site.get(".well-known/oauth-authorization-server", &[]));
    for accept in [HTML, JSON] {
        add("link", site.get(&link, &[accept]));
        add("link refused", site.get(&format!("{link}0"), &[accept]));
        add("not pushed", site.get("authorize?client_id=1", &[accept]));
        add("look", site.get(&format!("authorize/{nonce}"), &[accept]));
        let fixed = site.get(&format!("{}&state=x", authorize(&nonce)), &[accept]);
        add("fixed", fixed);
    }
    let (nonce, code) = site.solved("eve@example.com");
    add("solved", site.get(&authorize(&nonce), &[HTML]));
    let granted = site.token(&code);
    let token = granted.json()["access_token"].as_str().unwrap().to_owned();
    add("token", granted);
    add("token refused", site.token(&code));
    add("info", site.info(&token));
    for path in ["introspect", "revoke"] {
        let client = [("client_id", "1"), ("client_secret", SECRET)];
        add(path, site.post(path, &[], form(&client, &[("token", &token)])));
        add(&format!("token: {path} refused"), site.post(path, &[], form(&client, &[])));
    }
    add("already done", site.get(&authorize(&nonce), &[HTML]));
    for bytes in ["GET / HTTP/2.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "\0"] {
        let mut peer = site.connect();
        peer.send(bytes);
        add(bytes, peer.reply().unwrap());
    }
    all
}

#[test]
fn every_answer_says_who_may_keep_frame_and_read_it() {
    everywhere("", |site| {
        for (name, reply) in answers(site) {
            let what = format!("{name}: {} {:?}", reply.status, reply.headers);
            let has = |header: &str, value: &str| {
                assert_eq!(reply.header(header), Some(value), "{header} of {what}");
            };
            // Any page may read an answer that needs no cookie; nothing is sent with cookies.
            has("Access-Control-Allow-Origin", "*");
            has("Access-Control-Expose-Headers", "*");
            has("X-Content-Type-Options", "nosniff");
            has("X-Frame-Options", "DENY");
            has("Referrer-Policy", "no-referrer");
            for never in
                ["Access-Control-Allow-Credentials", "Set-Cookie", "Server", "X-Powered-By"]
            {
                assert_eq!(reply.header(never), None, "{what}");
            }
            let policy = reply.header("Content-Security-Policy").unwrap();
            assert!(policy.contains("default-src 'none'"), "{what}");
            assert!(policy.contains("frame-ancestors 'none'"), "{what}");
            // One step back shows a form again; all else is gone.
            let cache = reply.header("Cache-Control").unwrap();
            let is_page =
                reply.header("Content-Type").is_some_and(|it| it.starts_with("text/html"));
            let keeps = is_page && ["challenge", "wrong", "no pin"].contains(&name.as_str());
            assert_eq!(cache, if keeps { "private, no-cache" } else { "no-store" }, "{what}");
            if name.starts_with("token") {
                has("Pragma", "no-cache");
            }
        }
    });
}

#[test]
fn headers_of_strangers_are_not_believed() {
    everywhere("", |site| {
        let evil = [
            HTML,
            ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-Proto", "javascript"),
            ("X-Forwarded-Prefix", "//evil.example"),
            ("X-Forwarded-For", "192.0.2.1"),
            ("Forwarded", "host=evil.example"),
            ("X-Original-URL", "/config"),
            ("X-Rewrite-URL", "/config"),
            ("Referer", "https://evil.example/"),
            ("Origin", "https://evil.example"),
        ];
        let nonce = site.setup();
        let body = "CONTACT_EMAIL=ada%40example.com";
        let mut replies = vec![
            site.get(&authorize(&nonce), &evil),
            site.post(&format!("challenge/{nonce}"), &evil, body),
            site.get("nowhere", &evil),
            site.get("", &evil),
        ];
        let mut peer = site.connect();
        let path = authorize(&nonce);
        peer.send(format!(
            "GET http://evil.example/{path} HTTP/1.1\r\nHost: evil.example\r\n\
                           Accept: text/html\r\n\r\n"
        ));
        replies.push(peer.reply().unwrap());
        for reply in replies {
            assert!(!reply.body.contains("evil.example"), "{}", reply.body);
            assert!(
                !format!("{:?}", reply.headers).contains("evil.example"),
                "{:?}",
                reply.headers
            );
        }
        let [message] = &site.messages()[..] else { panic!("{:?}", site.messages()) };
        assert!(message.contains("challenger.example") && !message.contains("evil"), "{message}");
    });
}
