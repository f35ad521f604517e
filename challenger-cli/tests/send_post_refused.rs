//! `challenger-send-post.sh` with messages that it cannot send, and with a Pingen in trouble.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod pingen;
mod provider;
mod script;
mod site;

use std::fs::{self, File};
use std::thread;
use std::time::{Duration, SystemTime};

use challenger_server::process::ProcessErrorKind;
use pingen::{ADDRESS, MESSAGE, STEPS, address, bad, good, hasty_script, is_silent, place, script};
use provider::{Act, Provider};
use script::{Ran, Script};
use serde_json::json;

#[test]
fn other_addresses_and_messages_are_refused() {
    let provider = Provider::start(good);
    let script = script(&provider);
    let fields = "expected an address with CONTACT_NAME and ADDRESS_LINES";
    let country = "ADDRESS_COUNTRY is not the two capital letters of a country";
    let room = "the address does not fit into the window of an envelope: \
                expected up to 8 lines of about 40 letters";
    for (code, address, complaint) in [
        (64, "{}".to_owned(), fields),
        (64, "[]".to_owned(), fields),
        (64, String::new(), fields),
        (64, ADDRESS.replace('}', ""), fields),
        (64, r#"{"CONTACT_NAME":["Ada"],"ADDRESS_LINES":"x"}"#.to_owned(), fields),
        (64, r#"{"CONTACT_EMAIL":"ada@example.com"}"#.to_owned(), fields),
        (64, address(" ", "Weg 1", None), fields),
        (64, address("Ada", "\n \n", None), fields),
        (67, address("Ada", "Weg 1", Some("XX")), country),
        (67, address("Ada", "Weg 1", Some("de")), country),
        (67, address("Ada", "Weg 1", Some("$(id)")), country),
        (67, address("Ada", "1\n2\n3\n4\n5\n6\n7\n8", None), room),
        (67, address("Ada", "1\n2\n3\n4\n5\n6\n7", Some("DE")), room),
        (67, address("Ada", &"x".repeat(400), None), room),
        (67, address("Ada", &[&*"W".repeat(45); 7].join("\n"), None), room),
        (67, address("Ada", &["MMMMMMMMMM MMMMMMMMMMMMMMMMMMMMM"; 6].join("\n"), None), room),
        (64, address("Ada\u{2028}Ada", "\u{2028}\u{200b}\n\u{202e}", None), fields),
    ] {
        assert_eq!(script.run(&address, MESSAGE), script.complaint(code, complaint), "{address}");
    }
    assert_eq!(script.run(ADDRESS, "\n"), script.complaint(69, "the message is empty"));
    assert_eq!(provider.asked().len(), 0);
}

#[test]
fn each_step_may_be_refused() {
    let title = |title: &str| json!({"errors": [{"code": "x", "title": title}]}).to_string();
    let check = |code: i32, step: usize, status: u16, body: String, said: &str| {
        let provider = bad(step, Act::Answer(status, body));
        let script = hasty_script(&provider);
        let complaint = format!("Pingen refuses {}: HTTP {status}{said}", STEPS[step].0);
        assert_eq!(script.run(ADDRESS, MESSAGE), script.complaint(code, &complaint));
        assert_eq!(provider.asked().len(), step + 1, "it ends there, and tries once");
    };
    for step in 0..STEPS.len() {
        // The file goes to somebody else.
        let code = if step == 2 { 69 } else { 78 };
        check(code, step, 401, title("The token is wrong"), ", The token is wrong");
        check(69, step, 302, String::new(), "");
        check(75, step, 429, String::new(), "");
        check(75, step, 503, String::new(), "");
    }
    check(78, 0, 400, r#"{"error":"invalid_client"}"#.to_owned(), ", invalid_client");
    check(69, 0, 400, r#"{"error":"invalid_request"}"#.to_owned(), ", invalid_request");
    check(69, 2, 403, "<Error>oops</Error>".to_owned(), "");
    check(78, 3, 404, String::new(), "");
    check(69, 3, 422, json!({"errors": {"title": "Not so"}}).to_string(), ", Not so");
    check(69, 3, 400, title("No: Ada Lovelace, 1234-5678\n"), ", No: ***, ***?");
    check(69, 3, 400, title("41791234567 in 8001 Zürich, ü"), ", *** in ***, ?");
    check(75, 3, 429, title(&"x".repeat(300)), &format!(", {}", "x".repeat(200)));
    check(75, 3, 500, "[]".to_owned(), "");
    let about = |pointer: &str| {
        let source = json!({"pointer": pointer});
        json!({"errors": [{"title": "Invalid", "source": source}]}).to_string()
    };
    check(67, 3, 422, about("/data/attributes/meta_data/recipient/zip"), ", Invalid");
    check(67, 3, 400, about("/data/attributes/recipient_address"), ", Invalid");
    check(69, 3, 422, about("/data/attributes/address_position"), ", Invalid");
    check(69, 1, 422, about("/data/attributes/recipient_address"), ", Invalid");
}

#[test]
fn answers_that_make_no_sense_are_refused() {
    let elsewhere =
        |url: &str| (1, place(url).to_string(), "names a place for the file without TLS");
    for (step, body, complaint) in [
        (0, "{}".to_owned(), "answers something other than an access token"),
        (
            0,
            json!({"access_token": ""}).to_string(),
            "answers something other than an access token",
        ),
        (0, json!({"access_token": "a\nb"}).to_string(), "answers something other than an access"),
        (1, "[1, 2".to_owned(), "answers something other than a place for the file"),
        (1, place("http://x/ y").to_string(), "answers something other than a place for the file"),
        elsewhere("http://example.com/"),
        elsewhere("https://example.com/"),
        elsewhere("file:///etc/passwd"),
        (
            3,
            json!({"data": {"type": "letters"}}).to_string(),
            "answers something other than the letter",
        ),
        (3, String::new(), "answers something other than the letter"),
    ] {
        let provider = bad(step, Act::Answer(200, body));
        let ran = hasty_script(&provider).run(ADDRESS, MESSAGE);
        assert_eq!(ran.code, Some(69), "{ran:?}");
        assert!(ran.stderr.contains(&format!("Pingen {complaint}")), "{}", ran.stderr);
        assert_eq!(provider.asked().len(), step + 1);
    }
}

#[test]
fn a_provider_that_misbehaves_costs_a_failure_in_time() {
    let check = |step: usize, act: Act, seconds: &str| {
        let name = STEPS[step].0;
        let told = format!("{name}: {act:?}");
        let timed = matches!(act, Act::Hang | Act::HangAfter(_));
        let code = if matches!(act, Act::Flood(_)) { 69 } else { 75 };
        let provider = bad(step, act);
        let mut script = hasty_script(&provider);
        script.set("PINGEN_TIMEOUT", seconds);
        let ran = script.run(ADDRESS, MESSAGE);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{told}");
        assert!(ran.stderr.contains(name) && ran.stderr.contains("Pingen"), "{}", ran.stderr);
        assert_eq!(ran.stderr.contains("timed out"), timed, "{told}: {}", ran.stderr);
        assert!(ran.stderr.lines().count() == 1 && is_silent(&ran.stderr), "{}", ran.stderr);
        assert_eq!(provider.asked().len(), step + 1, "it ends there, and tries once");
    };
    // Those that wait do so together, and long enough to come as far as that on a busy machine.
    thread::scope(|scope| {
        for step in 0..STEPS.len() {
            scope.spawn(move || check(step, Act::Hang, "40"));
        }
        scope.spawn(move || check(3, Act::HangAfter("{".into()), "40"));
    });
    for step in 0..STEPS.len() {
        check(step, Act::Close, "999");
    }
    check(3, Act::Flood(200), "999");
}

#[test]
fn a_letter_that_cannot_be_made_is_not_sent() {
    for (weasyprint, seconds, status) in [
        ("#!/bin/sh\necho Ada Lovelace >&2\nexit 3\n", "999", 3),
        ("#!/bin/sh\nkill -KILL $$\n", "999", 137),
        // Long enough to come as far as that on a busy machine.
        ("#!/bin/sh\ntrap '' TERM\nexec /usr/bin/sleep 1000\n", "15", 137),
        ("#!/no/such/interpreter\n", "999", 127),
    ] {
        let provider = Provider::start(good);
        let mut script = script(&provider);
        script.set("PINGEN_TIMEOUT", seconds);
        script.rewrite("weasyprint", weasyprint);
        let complaint = format!("weasyprint failed with status {status}");
        assert_eq!(script.run(ADDRESS, MESSAGE), script.complaint(69, &complaint));
        assert_eq!(provider.asked().len(), 0);
    }
}

#[test]
fn settings_and_programs_are_asked_for() {
    let provider = Provider::start(good);
    let expected = |name: &str, what: &str| format!("[challenger-helper] {name}: expected {what}");
    for name in ["PINGEN_CLIENT_ID", "PINGEN_CLIENT_SECRET", "PINGEN_ORGANISATION"] {
        let mut script = script(&provider);
        script.unset(name);
        let complaint = format!("[challenger-helper] {name} is missing");
        assert_eq!(script.run(ADDRESS, MESSAGE), script.complaint(78, &complaint));
    }
    for (name, value, what) in [
        ("PINGEN_ORGANISATION", "../x", "letters, digits and -"),
        ("PINGEN_COUNTRY", "Switzerland", "the two capital letters of a country"),
        ("PINGEN_ADDRESS_POSITION", "top", "left or right"),
        ("PINGEN_DELIVERY_PRODUCT", "A-Post", "small letters and _"),
        ("PINGEN_PRINT_MODE", "both", "simplex or duplex"),
        ("PINGEN_PRINT_SPECTRUM", "colour", "grayscale or color"),
        ("PINGEN_URL", "http://api.pingen.com", "https://HOST"),
        ("PINGEN_AUTH_URL", "identity.pingen.com", "https://HOST"),
        ("PINGEN_TIMEOUT", "-1", "seconds, from 1 to 999"),
    ] {
        let mut script = script(&provider);
        script.set(name, value);
        assert_eq!(script.run(ADDRESS, MESSAGE), script.complaint(78, &expected(name, what)));
    }
    for program in ["weasyprint", "curl", "jq"] {
        let script = script(&provider);
        script.uninstall(program);
        let complaint = format!("{program} is not installed: apt install {program}");
        assert_eq!(script.run(ADDRESS, MESSAGE), script.complaint(69, &complaint));
    }
    assert_eq!(provider.asked().len(), 0);
}

/// Ends the script by its time limit at a place that it reaches sooner or later, and looks for
/// anything that it leaves behind.
fn cut_off(script: &Script, is_there: impl Fn() -> bool) {
    let mut seconds = 2;
    while !is_there() {
        let error = script.serve(ADDRESS, MESSAGE, Duration::from_secs(seconds));
        assert!(matches!(error.kind, ProcessErrorKind::TimedOut(_)), "{error}: {}", error.output);
        assert_eq!(script.left(), Vec::<String>::new());
        seconds *= 2;
    }
}

#[test]
fn a_letter_does_not_outlive_a_script_whose_time_is_up() {
    thread::scope(|scope| {
        for step in 0..STEPS.len() {
            scope.spawn(move || {
                let provider = bad(step, Act::Hang);
                cut_off(&hasty_script(&provider), || provider.asked().len() > step);
            });
        }
        scope.spawn(|| {
            let provider = Provider::start(good);
            let script = script(&provider);
            script.rewrite(
                "weasyprint",
                "#!/bin/sh\nfor file; do :; done\necho letter >\"$file\"\n\
                 echo >\"$HOME/begun\"\nexec /usr/bin/sleep 1000\n",
            );
            cut_off(&script, || script.folder.path().join("home/begun").exists());
        });
    });
}

#[test]
fn letters_that_were_left_go_with_the_next_one() {
    let provider = Provider::start(good);
    let script = hasty_script(&provider);
    let folder = script.folder.path().join("tmp");
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 3600);
    for (name, is_old) in
        [("challenger-letter-old", true), ("challenger-letter-new", false), ("other", true)]
    {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("letter.pdf"), "letter").unwrap();
        if is_old {
            File::open(folder.join(name)).unwrap().set_modified(long_ago).unwrap();
        }
    }
    assert_eq!(script.run_beside(&[], &[ADDRESS], MESSAGE), Ran::well());
    assert_eq!(script.left(), ["challenger-letter-new", "other"]);
}
