//! `challenger-send-http` and everything that goes wrong: settings, gateways, the way to them.

#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod gateway;
mod provider;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use gateway::{SECRET, Setting, gateway, only, run, send};
use provider::certificates::certificates;
use provider::{Act, Asked, Provider};

const JSON: &str = r#"{"to": "{{CONTACT_PHONE}}", "text": "{{message}}"}"#;

/// Settings for a gateway.
fn settings<'a>(url: &'a str, more: &[Setting<'a>]) -> Vec<Setting<'a>> {
    [&[("HTTP_URL", url), ("HTTP_JSON", JSON), ("HTTP_BEARER_TOKEN", "swordfish-7")], more].concat()
}

/// Sends to a gateway that does this.
fn send_through(act: Act, more: &[Setting<'_>]) -> gateway::Outcome {
    let gateway = gateway(act);
    let outcome = send(&settings(&gateway.url(), more));
    only(&gateway);
    outcome
}

fn answer(status: u16, body: &str) -> Act {
    Act::Answer(status, body.to_owned())
}

/// Settings that are wrong, and the complaint about them.
const WRONG: &[(&[Setting<'static>], &str)] = &[
    (&[], "HTTP_URL is not set"),
    (&[("HTTP_URL", "sms.example")], "HTTP_URL does not begin with https://"),
    (&[("HTTP_URL", "ftp://sms.example/")], "HTTP_URL does not begin with https://"),
    (&[("HTTP_URL", "https:///send")], "HTTP_URL has no"),
    (&[("HTTP_URL", "https://a b/")], "HTTP_URL has a character"),
    (&[("HTTP_URL", "https://sms.example/ü")], "HTTP_URL has a character"),
    (&[("HTTP_URL", "https://sms.example/#x")], "HTTP_URL has a character"),
    (&[("HTTP_URL", "https://ada:pw@sms.example/")], "HTTP_BASIC_PASSWORD are for them"),
    (&[("HTTP_URL", "https://{{CONTACT_PHONE}}.example/")], "in the name of the server"),
    (&[("HTTP_URL", "https://sms.example{{CONTACT_PHONE}}")], "in the name of the server"),
    (&[("HTTP_URL", "{{CONTACT_PHONE}}")], "HTTP_URL does not begin with https://"),
    (&[("HTTP_URL", "http://sms.example/")], "HTTP_ALLOW_PLAIN = yes"),
    (&[("HTTP_URL", "http://localhost.example/")], "HTTP_ALLOW_PLAIN = yes"),
    (&[("HTTP_URL", "http://192.0.2.1/")], "HTTP_ALLOW_PLAIN = yes"),
    (
        &[URL, ("HTTP_ALLOW_PLAIN", "perhaps")],
        "HTTP_ALLOW_PLAIN is \"perhaps\": expected yes or no",
    ),
    (&[("HTTP_URL", "https://sms.example/{{CONTACT_PHONE")], "HTTP_URL has a {{ without"),
    (&[URL, ("HTTP_METHOD", "DELETE")], "HTTP_METHOD is DELETE: expected"),
    (&[URL, ("HTTP_METHOD", "GET"), ("HTTP_JSON", "{}")], "HTTP_METHOD is GET, which has no"),
    (&[URL, ("HTTP_JSON", "{\"a\": {{message}}}")], "HTTP_JSON is not JSON"),
    (&[URL, ("HTTP_JSON", "{\"a\": \"{{#message}}x{{/message}}\"}")], "HTTP_JSON has a tag"),
    (&[URL, ("HTTP_JSON", "{\"{{message}}\": 1}")], "HTTP_JSON has a variable in a name"),
    (&[URL, ("HTTP_FORM", "{\"{{message}}\": \"\"}")], "HTTP_FORM has a variable in a name"),
    (&[URL, ("HTTP_FORM", "a=b")], "HTTP_FORM is not a JSON object with texts"),
    (&[URL, ("HTTP_FORM", "{\"a\": 1}")], "HTTP_FORM is not a JSON object with texts"),
    (&[URL, ("HTTP_FORM", "{}"), ("HTTP_JSON", "{}")], "are both set: expected one body"),
    (&[URL, ("HTTP_JSON", "[\"{{sender}}\"]")], "has {{sender}}, but HTTP_SENDER is not set"),
    (&[("HTTP_URL", "https://x/{{account}}")], "has {{account}}, but HTTP_ACCOUNT is not set"),
    (&[URL, ("HTTP_HEADERS", "X: y")], "HTTP_HEADERS is not a JSON object with texts"),
    (&[URL, ("HTTP_HEADERS", "{\"a b\": \"x\"}")], r#""a b" is not the name of a header"#),
    (&[URL, ("HTTP_HEADERS", "{\"X\": \"a\\r\\nY: b\"}")], r#""X" has a character that a header"#),
    (&[URL, ("HTTP_HEADERS", "{\"X\\r\\nY\": \"b\"}")], "is not the name of a header"),
    (&[URL, ("HTTP_HEADERS", "{\"X\": \"ü\"}")], r#""X" has a character that a header"#),
    (&[URL, ("HTTP_HEADERS", "{\"X\": \"{{message}}\"}")], r#""X" has {{message}}, which only"#),
    (&[URL, ("HTTP_HEADERS", "{\"Host\": \"x\"}")], r#""Host" is a header that the program sets"#),
    (&[URL, ("HTTP_HEADERS", "{\"Transfer-Encoding\": \"x\"}")], "the program sets itself"),
    (
        &[URL, ("HTTP_HEADERS", "{\"Authorization\": \"x\"}"), ("HTTP_BEARER_TOKEN", "x")],
        "HTTP_HEADERS has Authorization, beside",
    ),
    (&[URL, ("HTTP_BEARER_TOKEN", "a\r\nX: y")], "HTTP_BEARER_TOKEN has a line break"),
    (&[URL, ("HTTP_BEARER_TOKEN", "x"), ("HTTP_BASIC_USER", "y")], "one kind of credentials"),
    (&[URL, ("HTTP_BASIC_USER", "y")], "HTTP_BASIC_USER is set, but not HTTP_BASIC_PASSWORD"),
    (&[URL, ("HTTP_BASIC_PASSWORD", "y")], "but neither HTTP_BASIC_USER nor HTTP_ACCOUNT"),
    (&[URL, ("HTTP_BASIC_USER", "a:b"), ("HTTP_BASIC_PASSWORD", "y")], "has a colon"),
    (&[URL, ("HTTP_BEARER_TOKEN", "tökén")], "HTTP_BEARER_TOKEN has a character that a header"),
    (
        &[URL, ("HTTP_HEADERS", "{\"X\": \"{{sender}}\"}"), ("HTTP_SENDER", "Café")],
        "HTTP_SENDER has a character that a header cannot contain: expected ASCII",
    ),
    (&[("HTTP_URL", "https://x/a/../{{phone_digits}}")], "HTTP_URL has . or .. in its path"),
    (&[("HTTP_URL", "https://x/.?a={{phone_digits}}")], "HTTP_URL has . or .. in its path"),
    (&[URL, ("HTTP_SECRET_FILE", "/none")], "HTTP_SECRET_FILE /none: No such file"),
    (&[URL, ("HTTP_SECRET_FILE", "/dev/null")], "HTTP_SECRET_FILE /dev/null: there is nothing"),
    (&[URL, ("HTTP_SECRET_FILE", "/proc/self/limits")], "expected the secret alone"),
    (&[URL, ("HTTP_SECRET_FILE", "/x"), ("HTTP_SECRET", "x")], "are both set: expected one of"),
    (&[URL, ("HTTP_SUCCESS", "ok")], "HTTP_SUCCESS has ok: expected a status such as"),
    (&[URL, ("HTTP_UNKNOWN_ADDRESS", "404,")], "HTTP_UNKNOWN_ADDRESS has an empty rule"),
    (&[URL, ("HTTP_TIMEOUT", "0")], "HTTP_TIMEOUT is 0: expected seconds from 1 to 3600"),
    (&[URL, ("HTTP_CA_FILE", "/none")], "HTTP_CA_FILE /none: No such file"),
    (&[URL, ("HTTP_CA_FILE", "/dev/null")], "there is no certificate in PEM format in it"),
    (&[URL, ("HTTP_TOKEN", "x")], "HTTP_TOKEN is not a setting"),
];

const URL: Setting<'static> = ("HTTP_URL", "https://sms.example/");

#[test]
fn wrong_settings_are_refused_in_a_sentence_each() {
    for (wrong, complaint) in WRONG {
        send(wrong).failed(78, complaint);
        run(&["--check"], wrong, "").failed(78, complaint);
    }
    // All at once.
    let wrong = [("HTTP_URL", "x"), ("HTTP_METHOD", "x"), ("HTTP_TIMEOUT", "x"), ("HTTP_X", "x")];
    let outcome = run(&["--check"], &wrong, "");
    assert_eq!((outcome.code, outcome.said.lines().count()), (Some(78), 4), "{outcome:?}");
    send(&wrong).failed(78, "; HTTP_METHOD is ");
}

#[test]
fn certificates_that_are_none_are_refused_before_a_message_needs_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let file = file.to_str().unwrap();
    let complaint = format!("HTTP_CA_FILE {file}: invalid peer certificate");
    run(&["--check"], &[URL, ("HTTP_CA_FILE", file)], "").failed(78, &complaint);
}

#[test]
fn what_is_right_is_not_refused() {
    for right in [
        &[("HTTP_URL", "HTTPS://sms.test:8443")][..],
        &[("HTTP_URL", "https://sms.test?to={{CONTACT_PHONE}}")],
        &[("HTTP_URL", "http://localhost/")],
        &[("HTTP_URL", "http://127.9.9.9:1/")],
        &[("HTTP_URL", "http://[::1]:1/")],
        &[("HTTP_URL", "http://sms.test/"), ("HTTP_ALLOW_PLAIN", "YES")],
        // Empty is not set, and that of the system is not ours.
        &[
            ("HTTP_URL", "https://x.test/"),
            ("HTTP_JSON", ""),
            ("HTTP_FORM", "{}"),
            ("HTTP_PROXY", "x"),
        ],
    ] {
        run(&["--check"], right, "").has_no_mistake();
    }
}

#[test]
fn answers_mean_what_is_configured() {
    let rules = [
        ("HTTP_SUCCESS", "200 /messages/0/status=0"),
        ("HTTP_UNKNOWN_ADDRESS", "200 /messages/0/status=6, 404"),
        ("HTTP_TRY_LATER", "/messages/0/status=1|5, 409"),
        ("HTTP_MISCONFIGURED", "/messages/0/status=4, 402, contains=\"no credit\""),
    ];
    let body = |status: &str| format!(r#"{{"messages": [{{"status": "{status}"}}]}}"#);
    for (status, body, code) in [
        (200, body("0"), 0),
        (201, body("0"), 69),
        (200, body("6"), 67),
        (200, body("5"), 75),
        (200, body("4"), 78),
        (200, body("2"), 69),
        (200, "sent".to_owned(), 69),
        (200, String::new(), 69),
        (404, String::new(), 67),
        (409, String::new(), 75),
        (402, String::new(), 78),
        (400, "You have NO CREDIT".to_owned(), 78),
        (400, String::new(), 69),
        (429, String::new(), 75),
        (500, body("0"), 75),
        (401, body("0"), 78),
        (403, String::new(), 78),
    ] {
        let outcome = send_through(answer(status, &body), &rules);
        assert_eq!(outcome.code, Some(code), "{status} {body} {outcome:?}");
        let expected = if code == 0 { String::new() } else { format!("gateway answered {status}") };
        assert!(outcome.said.contains(&expected), "{outcome:?}");
    }
    // Without any, the status decides.
    for (status, code) in [(200, 0), (204, 0), (299, 0), (304, 69), (400, 69), (404, 69), (503, 75)]
    {
        assert_eq!(send_through(answer(status, ""), &[]).code, Some(code), "{status}");
    }
}

#[test]
fn nothing_private_is_repeated() {
    for (body, expected) in [
        ("+41798765432 is not a number", "400: *** is not a number"),
        ("to 0798765432", "400: to ***"),
        // Names of fields are not private.
        ("invalid phone number +41798765432", "400: invalid phone number ***"),
        (r#"{"CONTACT_PHONE":"+41798765432"}"#, "400: ***"),
        ("to 41 79 876 54 32!", "400: to ***!"),
        ("code 1234-5678 and 12345678", "400: code *** and ***"),
        ("Text: Tell nobody.", "400: Text: ***"),
        ("Bearer swordfish-7", "400: Bearer ***"),
        ("token swordfish%2D7", "400: token ***"),
        ("a\r\nb\u{1b}[31m\u{202e}", r"400: a b\u{1b}[31m\u{202e}"),
    ] {
        let outcome = send_through(answer(400, body), &[]);
        outcome.failed(69, expected);
        assert!(outcome.said.ends_with(expected), "{outcome:?}");
    }
    let outcome = send_through(answer(400, &"é".repeat(1000)), &[]);
    outcome.failed(69, &format!(": {}…", "é".repeat(400)));
    let gateway = gateway(answer(400, "user ada, password swordfish-7, or YWRhOnN3b3JkZmlzaC03"));
    let url = gateway.url();
    let basic =
        [("HTTP_URL", &*url), ("HTTP_BASIC_USER", "ada"), ("HTTP_BASIC_PASSWORD", "swordfish-7")];
    send(&basic).failed(69, "400: user ada, password ***, or ***");
    // Secrets in other settings are known by the names beside them.
    let gateway =
        gateway::gateway(answer(400, "Bearer k3y-in-head, k3y-in-url, k3y-in-body for shop"));
    let url = format!("{}/?api_key=k3y-in-url&from=shop", gateway.url());
    let headers = r#"{"Authorization": "Bearer k3y-in-head", "X-From": "shop"}"#;
    for (name, body) in [
        ("HTTP_JSON", r#"{"auth": [{"api_secret": "k3y-in-body"}], "from": "shop"}"#),
        ("HTTP_FORM", r#"{"password": "k3y-in-body", "from": "shop"}"#),
    ] {
        let settings = [("HTTP_URL", url.as_str()), ("HTTP_HEADERS", headers), (name, body)];
        send(&settings).failed(69, "400: Bearer ***, ***, *** for shop");
    }
}

#[test]
fn redirects_are_not_followed() {
    let other = gateway(answer(200, ""));
    let there = other.url();
    for status in [301, 302, 303, 307, 308] {
        for method in ["POST", "GET"] {
            let head = format!(
                "HTTP/1.1 {status} Moved\r\nLocation: {there}/\r\nContent-Length: 0\r\n\r\n"
            );
            let gateway = gateway(Act::Say(head));
            let url = gateway.url();
            let settings =
                [("HTTP_URL", url.as_str()), ("HTTP_METHOD", method), ("HTTP_SECRET", SECRET)];
            send(&settings)
                .failed(69, &format!("answered {status}, a redirect, which is not followed"));
            assert_eq!(gateway.asked().len(), 1);
        }
    }
    assert!(other.asked().is_empty());
}

#[test]
fn a_gateway_that_does_not_answer_in_time_is_left() {
    let short = [("HTTP_TIMEOUT", "1")];
    let inside = [("HTTP_TIMEOUT", "1"), ("HTTP_SUCCESS", "200 /ok")];
    thread::scope(|scope| {
        for (act, rules) in [
            (Act::Hang, short.as_slice()),
            (Act::Dribble, &short),
            (Act::HangAfter("{".to_owned()), &inside),
        ] {
            scope.spawn(move || {
                send_through(act, rules).failed(75, "did not answer in time; HTTP_TIMEOUT is 1 s");
            });
        }
        // The status alone has decided: the message is on its way.
        scope.spawn(|| send_through(Act::HangAfter("{".to_owned()), &short).sent());
        // Nobody accepts, and nobody speaks TLS.
        scope.spawn(|| {
            let silent = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = silent.local_addr().unwrap().port();
            for scheme in ["http", "https"] {
                let url = format!("{scheme}://localhost:{port}/");
                send(&settings(&url, &short)).failed(75, "did not answer in time");
            }
        });
    });
}

#[test]
fn answers_without_an_end_are_not_read_without_an_end() {
    send_through(Act::Flood(200), &[]).sent();
    send_through(Act::Flood(400), &[]).failed(69, "answered 400");
    send_through(Act::Flood(200), &[("HTTP_SUCCESS", "200 /ok")]).failed(69, "answered 200");
    send_through(Act::FloodHead, &[]).failed(69, "answer cannot be understood");
    let inside = [("HTTP_TIMEOUT", "1"), ("HTTP_SUCCESS", "200 /ok")];
    send_through(Act::FloodTrailers, &inside).failed(75, "did not answer in time");
}

#[test]
fn what_is_not_there_or_not_http_is_said() {
    send(&settings("http://127.0.0.1:1/", &[])).failed(75, "no connection to the gateway");
    send(&settings("https://gateway.invalid/", &[])).failed(75, "the gateway");
    send_through(Act::Close, &[]).failed(75, "no connection to the gateway");
    for nonsense in
        ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200\r\nbad header\r\n\r\n"]
    {
        send_through(Act::Say(nonsense.to_owned()), &[])
            .failed(69, "the gateway's answer cannot be understood");
    }
    let broken = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{";
    send_through(Act::Say(broken.to_owned()), &[("HTTP_SUCCESS", "/ok")]).failed(75, "the gateway");
    send_through(Act::Say(broken.to_owned()), &[]).sent();
}

#[test]
fn gateways_are_known_by_their_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let [ca, other, both] = ["ca", "other", "both"].map(|name| folder.path().join(name));
    fs::write(&ca, &certificates().ca).unwrap();
    fs::write(&other, &certificates().other).unwrap();
    fs::write(&both, format!("{}{}", certificates().other, certificates().ca)).unwrap();
    let [ca, other, both] = [&ca, &other, &both].map(|path| path.to_str().unwrap());

    let gateway = Provider::start_tls(|_: &Asked| answer(200, ""));
    let url = gateway.url();
    let by_address = url.replace("localhost", "127.0.0.1");
    for (url, more, complaint) in [
        (&url, &[][..], "UnknownIssuer; if this is the right server, name its authority"),
        (&url, &[("HTTP_CA_FILE", other)], "the gateway's certificate is refused: UnknownIssuer"),
        (
            &by_address,
            &[("HTTP_CA_FILE", ca)],
            "the gateway's certificate is refused: NotValidForName",
        ),
    ] {
        send(&settings(url, more)).failed(78, complaint);
    }
    // As on a machine without certificates.
    send(&settings(&url, &[("SSL_CERT_FILE", "/none")])).failed(78, "trusts no authority for TLS");
    assert!(gateway.asked().is_empty());
    // One of several authorities is enough, and a proxy of the system is not asked.
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"];
    let proxies: Vec<Setting<'_>> = proxies.map(|name| (name, "http://127.0.0.1:1")).into();
    send(&settings(&url, &[&[("HTTP_CA_FILE", both)], proxies.as_slice()].concat())).sent();
    let asked = only(&gateway);
    assert_eq!(asked.header("Authorization"), "Bearer swordfish-7");
    // One that speaks no TLS, and says so.
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/", plain.local_addr().unwrap().port());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = plain.accept().unwrap().0;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
            // Until the other side goes.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        send(&settings(&url, &[])).failed(69, "TLS with the gateway failed");
    });
}
