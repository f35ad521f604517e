//! `challenger-send-http` makes the request that is configured, and nothing can break out of its
//! place.

#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod gateway;
mod provider;

use std::fs;

use challenger_testkit::unescape;
use gateway::{ADDRESS, MESSAGE, SECRET, gateway, only, run, send};
use provider::{Act, Asked};
use serde_json::{Value, json};

/// Everything that could break out of some place.
const NASTY: &str = "a\"b\\c\nd&e=f%41%00+g;h#i?j/../k{{secret}}{l}'m<n>\u{7f}o 😀 ü";

fn ok() -> Act {
    Act::Answer(200, "{}".to_owned())
}

fn body_json(asked: &Asked) -> Value {
    assert_eq!(asked.header("Content-Type"), "application/json");
    serde_json::from_slice(&asked.body).unwrap()
}

/// Sends to an address with this number.
fn send_to(number: &str, settings: &[(&str, &str)], message: &str) -> Asked {
    let gateway = gateway(ok());
    let url =
        gateway.url() + settings.iter().find(|it| it.0 == "PATH_AND_QUERY").map_or("/", |it| it.1);
    let mut all = vec![("HTTP_URL", url.as_str()), ("HTTP_SECRET", SECRET)];
    all.extend(settings);
    let address = json!({ "CONTACT_PHONE": number }).to_string();
    run(&[&address], &all, message).sent();
    only(&gateway)
}

#[test]
fn values_stay_in_their_place() {
    let message = NASTY.replace('\u{7f}', "");
    let fields =
        r#"{"to": "{{CONTACT_PHONE}}", "text": "> {{{message}}}{{&message}} <", "x": "é"}"#;
    let text = format!("> {message}{message} <");

    let asked = send_to(NASTY, &[("HTTP_JSON", fields)], &message);
    assert_eq!(body_json(&asked), json!({ "to": NASTY, "text": text, "x": "é" }));

    let asked = send_to(NASTY, &[("HTTP_FORM", fields)], &message);
    let expected = [("text", text.as_str()), ("to", NASTY), ("x", "é")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(asked.form(), expected);

    let place = "/v1/{{{CONTACT_PHONE}}}/send?a={{message}}&b={{&secret}}#".trim_end_matches('#');
    // Two dots between slashes are refused there.
    let number = NASTY.replace("..", ".._");
    let asked = send_to(&number, &[("HTTP_METHOD", "get"), ("PATH_AND_QUERY", place)], &message);
    assert_eq!((asked.method.as_str(), asked.body.len()), ("GET", 0));
    let (path, query) = asked.target.split_once('?').unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    assert_eq!((parts.len(), parts[1], parts[3]), (4, "v1", "send"), "{path}");
    assert_eq!(unescape(parts[2]), number);
    let pairs: Vec<&str> = query.split('&').collect();
    let [a, b] = pairs.as_slice() else { panic!("{query}") };
    assert_eq!(unescape(a.strip_prefix("a=").unwrap()), message);
    assert_eq!(unescape(b.strip_prefix("b=").unwrap()), SECRET);
}

#[test]
fn structure_and_numbers_of_json_stay_as_they_are() {
    const JSON: &str =
        r#"{"list": [{"to": ["{{phone_digits}}"]}, 7, 1.50, true, null, ""], "o": {}}"#;
    let expected = json!({
        "list": [{ "to": ["41798765432"] }, 7, 1.5, true, null, ""], "o": {}
    });
    assert_eq!(body_json(&send_to("+41798765432", &[("HTTP_JSON", JSON)], MESSAGE)), expected);
    assert_eq!(body_json(&send_to("41798765432", &[("HTTP_JSON", JSON)], MESSAGE)), expected);
}

#[test]
fn the_request_has_what_is_configured_and_little_else() {
    let settings = [
        ("HTTP_METHOD", "PUT"),
        (
            "HTTP_HEADERS",
            r#"{"X-Api-Key": "k {{account}}", "accept": "text/plain", "L": "{{language}}"}"#,
        ),
        ("HTTP_ACCOUNT", "AC1"),
        ("HTTP_SENDER", "Shop & Söhne"),
        ("HTTP_JSON", r#"{"s": "{{subject}}", "f": "{{sender}}", "a": "{{address}}"}"#),
        ("CHALLENGER_SUBJECT", "Your code \"x\""),
        ("CHALLENGER_LANGUAGE", "de"),
    ];
    let asked = send_to("+41798765432", &settings, MESSAGE);
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("PUT", "/"));
    let mut names: Vec<String> =
        asked.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    names.sort();
    let expected =
        ["accept", "content-length", "content-type", "host", "l", "user-agent", "x-api-key"];
    assert_eq!(names, expected);
    assert_eq!((asked.header("X-Api-Key"), asked.header("Accept")), ("k AC1", "text/plain"));
    assert_eq!(asked.header("L"), "de");
    assert!(asked.header("User-Agent").starts_with("challenger-send-http/"));
    let expected = json!({ "s": "Your code \"x\"", "f": "Shop & Söhne", "a": ADDRESS });
    assert_eq!(body_json(&asked), expected);
    // A type of their own replaces ours.
    let own =
        [("HTTP_JSON", "{}"), ("HTTP_HEADERS", r#"{"content-type": "application/vnd.x+json"}"#)];
    assert_eq!(send_to("+41", &own, MESSAGE).header("Content-Type"), "application/vnd.x+json");
    // A request without a body says so by its length.
    let asked = send_to("+41", &[], MESSAGE);
    assert_eq!((asked.method.as_str(), asked.header("Content-Length")), ("POST", "0"));
}

#[test]
fn no_field_of_an_address_takes_the_place_of_ours() {
    let gateway = gateway(ok());
    let address =
        r#"{"message":"forged","secret":"forged","subject":"forged","sender":"forged","x-1":"X"}"#;
    let settings = [
        ("HTTP_URL", gateway.url()),
        ("HTTP_SECRET", SECRET.to_owned()),
        ("HTTP_JSON", r#"["{{message}}", "{{secret}}", "{{subject}}", "{{x-1}}"]"#.to_owned()),
    ];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    run(&[address], &settings, MESSAGE).sent();
    assert_eq!(body_json(&only(&gateway)), json!([MESSAGE.trim_end(), SECRET, "", "X"]));
}

#[test]
fn credentials_come_from_the_environment_or_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    let path = file.to_str().unwrap();
    let basic = |user: &str| {
        format!("Basic {}", data_encoding::BASE64.encode(format!("{user}:{SECRET}").as_bytes()))
    };
    let bearer = "Bearer swordfish-7";
    for (settings, expected) in [
        (&[("HTTP_BASIC_USER", "ada"), ("HTTP_BASIC_PASSWORD", SECRET)][..], basic("ada")),
        (&[("HTTP_BASIC_USER", "ada"), ("HTTP_BASIC_PASSWORD_FILE", path)], basic("ada")),
        (&[("HTTP_ACCOUNT", "AC1"), ("HTTP_BASIC_PASSWORD", SECRET)], basic("AC1")),
        (&[("HTTP_BEARER_TOKEN", "swordfish-7")], bearer.to_owned()),
        (
            &[("HTTP_HEADERS", r#"{"authorization": "Key {{account}}"}"#), ("HTTP_ACCOUNT", "7")],
            "Key 7".to_owned(),
        ),
        (&[], String::new()),
    ] {
        assert_eq!(send_to("+41", settings, MESSAGE).header("Authorization"), expected);
    }
    fs::write(&file, "swordfish-7\r\n").unwrap();
    let asked = send_to("+41", &[("HTTP_BEARER_TOKEN_FILE", path)], MESSAGE);
    assert_eq!(asked.header("Authorization"), bearer);
    let gateway = gateway(ok());
    let settings = [
        ("HTTP_URL", &*gateway.url()),
        ("HTTP_SECRET_FILE", path),
        ("HTTP_FORM", r#"{"k": "{{secret}}"}"#),
    ];
    send(&settings).sent();
    assert_eq!(only(&gateway).form(), [("k".to_owned(), "swordfish-7".to_owned())]);
}

#[test]
fn an_address_that_cannot_stand_in_its_place_is_refused() {
    let gateway = gateway(ok());
    let url = gateway.url();
    let path = format!("{url}/a/{{{{CONTACT_PHONE}}}}/b");
    let header = r#"{"X-To": "{{CONTACT_PHONE}}"}"#;
    let digits = r#"{"to": "{{phone_digits}}"}"#;
    for (settings, number, complaint) in [
        ([("HTTP_URL", path.as_str()), ("HTTP_JSON", "1")], "..", "another path of HTTP_URL"),
        ([("HTTP_URL", path.as_str()), ("HTTP_JSON", "1")], ".", "another path of HTTP_URL"),
        ([("HTTP_URL", path.as_str()), ("HTTP_JSON", "1")], "x/../y", "another path of HTTP_URL"),
        ([("HTTP_URL", path.as_str()), ("HTTP_JSON", "1")], "..\\y", "another path of HTTP_URL"),
        (
            [("HTTP_URL", &url), ("HTTP_HEADERS", header)],
            "1\r\nX: y",
            "cannot stand in the header x-to",
        ),
        ([("HTTP_URL", &url), ("HTTP_HEADERS", header)], "ü", "cannot stand in the header x-to"),
        ([("HTTP_URL", &url), ("HTTP_FORM", digits)], "+41 79", "not a number of digits"),
        ([("HTTP_URL", &url), ("HTTP_FORM", digits)], "+41x79", "not a number of digits"),
        ([("HTTP_URL", &url), ("HTTP_FORM", digits)], "+", "not a number of digits"),
    ] {
        let address = json!({ "CONTACT_PHONE": number }).to_string();
        run(&[&address], &settings, MESSAGE).failed(67, complaint);
    }
    let lacking = [("HTTP_URL", url.as_str()), ("HTTP_FORM", digits)];
    run(&[r#"{"CONTACT_EMAIL":"ada@lovelace.example"}"#], &lacking, MESSAGE)
        .failed(78, "HTTP_FORM has {{phone_digits}}, but the address has no such field");
    assert!(gateway.asked().is_empty());
}

#[test]
fn arguments_and_messages_are_checked_first() {
    let gateway = gateway(ok());
    let settings = [("HTTP_URL", &*gateway.url())];
    for arguments in [
        &[][..],
        &["+41798765432"],
        &[r#"["+41798765432"]"#],
        &["{}"],
        &[r#"{"CONTACT_PHONE":41798765432}"#],
        &[ADDRESS, ADDRESS],
        &["--loud", ADDRESS],
    ] {
        run(arguments, &settings, MESSAGE).failed(64, "try 'challenger-send-http --help'");
    }
    for (message, complaint) in
        [("", "is empty"), (" \n", "is empty"), ("a\0b", "control characters")]
    {
        run(&[ADDRESS], &settings, message).failed(69, complaint);
    }
    assert!(gateway.asked().is_empty());
    // Lines end in one way, and nothing turns them around.
    let asked =
        send_to("+41", &[("HTTP_JSON", r#""{{message}}""#)], "a\r\nb\u{202e}c\u{2028}d\r\n\n");
    assert_eq!(body_json(&asked), json!("a\nbc d"));
}

#[test]
fn check_shows_the_request_without_secrets_and_sends_nothing() {
    let gateway = gateway(ok());
    let url =
        gateway.url() + "/x/{{account}}?token=swordfish&api_key={{secret}}&n={{phone_digits}}";
    let settings = [
        ("HTTP_URL", url.as_str()),
        ("HTTP_ACCOUNT", "AC1"),
        ("HTTP_SECRET", SECRET),
        ("HTTP_BASIC_PASSWORD", "swordfish"),
        ("HTTP_HEADERS", r#"{"X-API-Key": "swordfish", "X-Other": "plain"}"#),
        (
            "HTTP_JSON",
            r#"{"text": "{{message}}", "secret": "swordfish", "s": "{{secret}}", "key_kind": "k"}"#,
        ),
    ];
    let outcome = run(&["--check"], &settings, "");
    outcome.sent();
    let (head, body) = outcome.stdout.split_once("\n\n").unwrap();
    let place = gateway.url();
    assert_eq!(
        head,
        format!(
            "POST {place}/x/AC1?token=***&api_key=***&n=41791234567\nx-api-key: ***\n\
             x-other: plain\nauthorization: Basic ***\ncontent-type: application/json"
        )
    );
    let body: Value = serde_json::from_str(body).unwrap();
    assert!(body["text"].as_str().unwrap().contains("\"for tests\""), "{body}");
    assert_eq!(
        (&body["secret"], &body["s"], &body["key_kind"]),
        (&json!("***"), &json!("***"), &json!("k"))
    );

    let form = [
        ("HTTP_URL", url.as_str()),
        ("HTTP_ACCOUNT", "AC1"),
        ("HTTP_SECRET", SECRET),
        ("HTTP_FORM", r#"{"to": "{{CONTACT_PHONE}}", "api_secret": "swordfish"}"#),
    ];
    let outcome = run(&["--check", r#"{"CONTACT_PHONE":"+49170"}"#], &form, "");
    outcome.sent();
    assert!(outcome.stdout.ends_with("\n\napi_secret=***&to=%2B49170\n"), "{outcome:?}");
    // A type of the operator's own has fields that only the operator knows.
    let own = [("HTTP_URL", "https://localhost:1/?to={{handle}}")];
    run(&["--check"], &own, "").failed(78, "expected an ADDRESS after --check that has it");
    run(&["--check", r#"{"handle":"ada"}"#], &own, "").has_no_mistake();
    assert!(gateway.asked().is_empty());
}

#[test]
fn check_takes_the_settings_from_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("challenger.conf");
    let check = |text: &str, settings: &[(&str, &str)]| {
        fs::write(&file, text).unwrap();
        run(&["--check", "-c", file.to_str().unwrap()], settings, "")
    };
    let text = "[challenger-helper]\nhttp_url = https://localhost:1/?to={{CONTACT_PHONE}}\n\
                HTTP_METHOD = GET\n";
    let outcome = check(text, &[("HTTP_METHOD", "PUT"), ("HTTP_SUCCESS", "2xx")]);
    outcome.has_no_mistake();
    assert_eq!(outcome.stdout, "GET https://localhost:1/?to=%2B41791234567\n");
    check("[challenger]\n", &[]).failed(78, "HTTP_URL is not set");
    check("[challenger-helper]\nHTTP_URL\n", &[]).failed(78, "challenger.conf:2");
    check("@inline-secret@ challenger-helper none.conf\n", &[]).failed(78, "cannot be read");
    run(&["--check", "-c", "/none/challenger.conf"], &[], "").failed(78, "/none/challenger.conf");
}
