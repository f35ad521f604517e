//! `challenger-send-http --serve` makes one request after the other over one connection, each of
//! them once.

#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod gateway;
mod provider;
mod resident;

use std::fs;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use gateway::{ADDRESS, MESSAGE, PRIVATE, SECRET, Setting, command, run};
use provider::certificates::certificates;
use provider::{Act, Provider};
use resident::{Answer, Resident};
use serde_json::json;

/// A body with all that belongs to a message.
const BODY: &str = r#"["{{phone_digits}}", "{{message}}", "{{language}}", "{{subject}}"]"#;

/// A gateway that does one of these after the other, and the last one again and again.
fn gateway(acts: &[Act]) -> Provider {
    let acts = Mutex::new(acts.to_vec());
    Provider::start(move |_| next(&acts))
}

fn next(acts: &Mutex<Vec<Act>>) -> Act {
    let mut acts = acts.lock().unwrap();
    if acts.len() > 1 { acts.remove(0) } else { acts[0].clone() }
}

fn keep(status: u16, body: &str) -> Act {
    Act::Keep(status, body.to_owned())
}

fn start(settings: &[Setting<'_>]) -> Resident {
    Resident::start(&mut command(&["--serve"], settings))
}

/// Sends a message to the number in [`ADDRESS`].
#[track_caller]
fn send(helper: &mut Resident) -> Answer {
    private(helper.send(ADDRESS, MESSAGE))
}

/// Checks that an answer has nothing private.
#[track_caller]
fn private(answer: Answer) -> Answer {
    answer.without(&PRIVATE)
}

/// The connections on which the requests came.
fn connections(gateway: &Provider) -> Vec<usize> {
    gateway.asked().iter().map(|asked| asked.connection).collect()
}

#[test]
fn several_requests_go_over_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    fs::write(&file, &certificates().ca).unwrap();
    let (clear, tls) = (|_: &_| keep(200, "{\"ok\":1}"), |_: &_| keep(200, "{\"ok\":1}"));
    for gateway in [Provider::start(clear), Provider::start_tls(tls)] {
        let url = gateway.url();
        let settings = [("HTTP_URL", &*url), ("HTTP_CA_FILE", file.to_str().unwrap())];
        // Whether the body of the answer matters or not.
        for success in ["2xx", "/ok=1"] {
            let mut helper = start(&[&settings[..], &[("HTTP_SUCCESS", success)]].concat());
            for _ in 0..3 {
                send(&mut helper).sent();
            }
            helper.end_well();
        }
        assert_eq!(connections(&gateway), [1, 1, 1, 2, 2, 2]);
    }
}

#[test]
fn each_request_has_its_own_values() {
    let gateway = gateway(&[keep(200, "")]);
    // Those of the environment belong to another message.
    let mut helper = start(&[
        ("HTTP_URL", &*gateway.url()),
        ("HTTP_JSON", BODY),
        ("CHALLENGER_LANGUAGE", "it"),
        ("CHALLENGER_SUBJECT", "an old one"),
    ]);
    let german = json!({ "language": "de", "subject": "Code" });
    helper.send_with(ADDRESS, "1\r\n2\n", german).sent();
    helper.send(r#"{"CONTACT_PHONE":"+49170"}"#, "3").sent();
    helper.end_well();
    let bodies = gateway.asked().iter().map(|it| it.body.clone()).collect::<Vec<_>>();
    let expected = [json!(["41798765432", "1\n2", "de", "Code"]), json!(["49170", "3", "en", ""])];
    assert_eq!(bodies, expected.map(|body| body.to_string().into_bytes()));
}

#[test]
fn a_refused_message_does_not_spoil_the_next() {
    let gateway = gateway(&[
        keep(503, "busy with +41 79 876 54 32"),
        keep(404, "no 8765-4321 for +49 170 1234567"),
        keep(200, ""),
    ]);
    let settings = [
        ("HTTP_URL", &*gateway.url()),
        ("HTTP_UNKNOWN_ADDRESS", "404"),
        ("HTTP_JSON", r#"{"text":"{{message}}"}"#),
    ];
    let mut helper = start(&settings);
    send(&mut helper).failed(75, "the gateway answered 503: busy with +***");
    let answer = helper.send(r#"{"CONTACT_PHONE":"+491701234567"}"#, "8765-4321 is yours");
    assert_eq!(answer.log, "the gateway answered 404: no *** for +***");
    assert_eq!(answer.status, 67);
    send(&mut helper).sent();
    helper.end_well();
    assert_eq!(connections(&gateway), [1, 1, 1]);
}

#[test]
fn a_gateway_may_close_the_connection_between_two_requests() {
    let silently = Act::Say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_owned());
    let gateway = gateway(&[Act::Answer(200, "{}".to_owned()), silently, keep(200, "")]);
    let mut helper = start(&[("HTTP_URL", &*gateway.url())]);
    for _ in 0..4 {
        send(&mut helper).sent();
        // If it closes only while the next request is on its way, that one fails.
        thread::sleep(Duration::from_millis(300));
    }
    helper.end_well();
    assert_eq!(connections(&gateway), [1, 2, 3, 3]);
}

#[test]
fn no_request_is_made_twice() {
    // A connection that breaks after the request was sent may have carried it.
    let broken = Act::Say("HTTP/1.1 20".to_owned());
    let acts = [keep(200, ""), Act::Close, keep(200, ""), broken, Act::Close, keep(200, "")];
    let gateway = gateway(&acts);
    let mut helper = start(&[("HTTP_URL", &*gateway.url())]);
    let statuses: Vec<u64> = acts.iter().map(|_| send(&mut helper).status).collect();
    helper.end_well();
    assert_eq!(connections(&gateway), [1, 1, 2, 2, 3, 4]);
    let failed: Vec<bool> = statuses.iter().map(|status| *status != 0).collect();
    assert_eq!(failed, [false, true, false, true, true, false], "{statuses:?}");
    // As without --serve.
    let url = gateway.url();
    let settings = [("HTTP_URL", &*url)];
    let alone = Provider::start(|_| Act::Close);
    let code = run(&[ADDRESS], &[("HTTP_URL", &*alone.url())], MESSAGE).code.unwrap();
    assert_eq!(u64::try_from(code).unwrap(), statuses[1]);
    run(&[ADDRESS], &settings, MESSAGE).sent();
}

#[test]
fn a_gateway_that_falls_silent_costs_one_message() {
    let gateway = gateway(&[
        keep(200, ""),
        Act::Hang,
        keep(200, ""),
        // This one has said enough.
        Act::HangAfter("{".to_owned()),
        keep(200, ""),
    ]);
    let mut helper = start(&[("HTTP_URL", &*gateway.url()), ("HTTP_TIMEOUT", "2")]);
    send(&mut helper).sent();
    send(&mut helper).failed(75, "did not answer in time; HTTP_TIMEOUT is 2 s");
    for _ in 0..3 {
        send(&mut helper).sent();
    }
    helper.end_well();
    assert_eq!(connections(&gateway), [1, 1, 2, 2, 3]);
}

#[test]
fn mistakes_are_answered_until_there_are_none() {
    let gateway = gateway(&[keep(200, "")]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let url = gateway.url();
    let settings = [
        ("HTTP_URL", url.as_str()),
        ("HTTP_JSON", r#"["{{secret}}"]"#),
        ("HTTP_SECRET_FILE", file.to_str().unwrap()),
    ];
    let mut helper = start(&settings);
    let said = run(&[ADDRESS], &settings, MESSAGE).said;
    assert!(said.contains("HTTP_SECRET_FILE"), "{said}");
    assert_eq!(send(&mut helper), Answer { status: 78, log: said });
    fs::write(&file, SECRET).unwrap();
    send(&mut helper).sent();
    // It is read once.
    fs::write(&file, "another").unwrap();
    send(&mut helper).sent();
    for (address, message, status, told) in [
        ("+41798765432", MESSAGE, 64, "this is not a JSON object of texts"),
        (ADDRESS, " \n", 69, "is empty"),
    ] {
        private(helper.send(address, message)).failed(status, told);
    }
    private(helper.answer(b"{\"message\":\"swordfish\"}")).failed(65, "the line is not a message");
    send(&mut helper).sent();
    helper.end_well();
    let body = json!([SECRET]).to_string();
    assert_eq!(gateway.asked().len(), 3);
    assert!(gateway.asked().iter().all(|asked| asked.body == body.as_bytes()));
    for arguments in [&["--serve", ADDRESS][..], &["--serve", "--check"]] {
        run(arguments, &settings, "").failed(64, "--serve goes without ADDRESS and --check");
    }
}
