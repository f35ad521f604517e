//! `challenger-httpd --check` and the shipped helpers: they ask their servers, and nothing is sent.

#![cfg(all(feature = "email", feature = "http"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod email;
mod provider;
mod script;
mod site;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;
use std::thread;

use email::server::{Instead, MailServer, PASSWORD, Security, TOKEN, USER};
use email::{Outcome, Setting};
use provider::certificates::{Certificates, certificates};
use provider::{Act, Provider};
use script::{Ran, Script};
use site::{Site, binary, stderr, stdout};

const GOOD: &str = "challenger-httpd: the configuration is good\n";
const SENDER: &str = "noreply@shop.example";

/// Each message fails: the operator has to do something.
const WRONG: (i32, &str) = (6, "challenger-httpd: the configuration is not good");
/// Somebody else may be at fault, and only for now.
const ABSENT: (i32, &str) = (1, "challenger-httpd: the helper cannot send messages now");

/// Checks a site with a shipped helper that has these settings.
fn check(program: &str, options: &str, settings: &[Setting]) -> Output {
    let lines: String =
        settings.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
    let section = format!("[challenger-helper]\nEMAIL_FROM = {SENDER}\n{lines}");
    let site = Site::new(&format!("{options}\nAUTH_COMMAND = {}\n{section}", binary(program)));
    let output = site.run("challenger-httpd", &["--check"]);
    assert!(!stderr(&output).contains("swordfish"), "{}", stderr(&output));
    output
}

/// Checks that exactly this is found, and how the check ends.
#[track_caller]
fn finds(output: &Output, expected: &str, end: (i32, &str)) {
    let said = format!("{expected}\n{}\n", end.1);
    assert_eq!((stderr(output), stdout(output)), (said, String::new()));
    assert_eq!(output.status.code(), Some(end.0));
}

#[track_caller]
fn finds_nothing(output: &Output) {
    assert_eq!((stderr(output).as_str(), stdout(output).as_str()), ("", GOOD));
}

/// The settings of an account.
fn account(proof: &'static str, value: &str) -> [Setting; 2] {
    [("SMTP_USER", USER.to_owned()), (proof, value.to_owned())]
}

#[test]
fn a_mail_server_that_takes_the_sender_is_asked_and_left_alone() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, TOKEN).unwrap();
    let password = account("SMTP_PASSWORD", PASSWORD);
    let token = account("SMTP_OAUTH2_TOKEN_FILE", file.path().to_str().unwrap());
    for security in [Security::None, Security::StartTls, Security::Tls] {
        for account in [&[][..], &password, &token] {
            let server = MailServer::new(security);
            let settings = [&server.settings("localhost"), account].concat();
            finds_nothing(&check("challenger-send-email", "", &settings));
            finds_nothing(&check("challenger-send-email", "AUTH_HELPER = resident", &settings));
            let by_hand = email::command(&["--check"], &settings).output().unwrap();
            let expected = format!("localhost:{} takes mail of {SENDER}\n", server.port);
            assert_eq!((stdout(&by_hand), stderr(&by_hand)), (expected, String::new()));
            assert_eq!((server.connections(), server.mails().len()), (3, 0));
        }
    }
}

/// What a server does at a command, what is said of that, where `$` is the server, and how the check
/// ends.
type Dislike = (&'static str, Instead, &'static str, (i32, &'static str));

const DISLIKES: &[Dislike] = &[
    (
        "GREETING",
        Instead::Say("554 not you"),
        "SMTP_HOST: $ refused the connection: 554 not you",
        WRONG,
    ),
    ("GREETING", Instead::Say("421 busy"), "SMTP_HOST: $ refused the connection: 421 busy", ABSENT),
    (
        "GREETING",
        Instead::Say("HTTP/1.1 400 Bad Request"),
        "SMTP_HOST: $, at the connection: the answer is not one of a mail server",
        WRONG,
    ),
    (
        "GREETING",
        Instead::Close,
        "SMTP_HOST: $, at the connection: the connection was closed",
        ABSENT,
    ),
    (
        "GREETING",
        Instead::Hang,
        "SMTP_HOST: no answer from $ about the connection in time; SMTP_TIMEOUT is 1 s",
        ABSENT,
    ),
    (
        "EHLO",
        Instead::Say("550 who are you"),
        "SMTP_HOST: $ refused EHLO: 550 who are you; SMTP_HELO can be a name that it accepts",
        WRONG,
    ),
    (
        "EHLO",
        Instead::Say("250 mx"),
        "SMTP_HOST: $ offers no login for these settings: SMTP_PASSWORD needs PLAIN or LOGIN, \
         SMTP_OAUTH2_TOKEN_FILE needs XOAUTH2; it offers none",
        WRONG,
    ),
    (
        "AUTH",
        Instead::Say("535 5.7.8 no such account"),
        "SMTP_USER: $ refused the login: 535 5.7.8 no such account",
        WRONG,
    ),
    ("AUTH", Instead::Say("454 later"), "SMTP_USER: $ refused the login: 454 later", ABSENT),
    (
        "MAIL",
        Instead::Say("553 not your domain"),
        "EMAIL_FROM: $ refused the sender: 553 not your domain",
        WRONG,
    ),
    ("MAIL", Instead::Say("451 later"), "EMAIL_FROM: $ refused the sender: 451 later", ABSENT),
    ("MAIL", Instead::Close, "EMAIL_FROM: $, at the sender: the connection was closed", ABSENT),
];

#[test]
fn what_a_mail_server_does_not_like_is_said_with_the_setting() {
    for (when, instead, expected, end) in DISLIKES {
        let server = MailServer::with(Security::None, &[(*when, *instead)]);
        let timeout = ("SMTP_TIMEOUT", if matches!(instead, Instead::Hang) { "1" } else { "15" });
        let settings = [server.settings("localhost"), account("SMTP_PASSWORD", PASSWORD).into()];
        let settings = email::with(&settings.concat(), &[timeout]);
        let output = check("challenger-send-email", "", &settings);
        let place = format!("localhost:{}", server.port);
        finds(&output, &format!("[challenger-helper] {}", expected.replace('$', &place)), *end);
        assert_eq!(server.mails().len(), 0);
    }
    // A wrong password, which the server repeats.
    let server = MailServer::new(Security::None);
    let wrong = account("SMTP_PASSWORD", "swordfish-8");
    let settings = [&server.settings("localhost")[..], &wrong].concat();
    let output = check("challenger-send-email", "", &settings);
    let expected = format!(
        "[challenger-helper] SMTP_USER: localhost:{} refused the login: 535 5.7.8 ***: not with \
         ***",
        server.port
    );
    finds(&output, &expected, WRONG);
}

#[test]
fn a_mail_server_without_the_right_protection_is_an_error() {
    let plain = MailServer::new(Security::None);
    for (security, with) in [
        ("tls", "; does SMTP_SECURITY fit this port?"),
        ("starttls", "offers no STARTTLS, without which nothing is sent to it"),
    ] {
        let settings = email::with(&plain.settings("localhost"), &[("SMTP_SECURITY", security)]);
        let output = check("challenger-send-email", "", &settings);
        assert!(stderr(&output).contains(with), "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    }
    let server = MailServer::new(Security::Tls);
    let stranger = server.file("other.pem").display().to_string();
    for change in [("SMTP_CA_FILE", stranger.as_str()), ("SMTP_HOST", "127.0.0.1")] {
        let settings = email::with(&server.settings("localhost"), &[change]);
        let output = check("challenger-send-email", "", &settings);
        let said = stderr(&output);
        assert!(said.starts_with("[challenger-helper] SMTP_HOST: ") && said.contains("invalid"));
        assert_eq!(output.status.code(), Some(6), "{said}");
    }
}

#[test]
fn a_gateway_is_looked_for_and_gets_no_request() {
    let check = |url: &str, more: &[Setting]| {
        let url = ("HTTP_URL", format!("{url}/send?to={{{{CONTACT_EMAIL}}}}"));
        check("challenger-send-http", "", &[&[url], more].concat())
    };
    let plain = Provider::start(|_| Act::Hang);
    let protected = Provider::start_tls(|_| Act::Hang);
    let folder = tempfile::tempdir().unwrap();
    let Certificates { ca, other, .. } = certificates();
    for (name, text) in [("ca.pem", ca), ("other.pem", other)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let authority = |name: &str| ("HTTP_CA_FILE", folder.path().join(name).display().to_string());
    finds_nothing(&check(&plain.url(), &[]));
    finds_nothing(&check(&protected.url(), &[authority("ca.pem")]));
    // One that speaks no TLS, and says so.
    let clear = TcpListener::bind("127.0.0.1:0").unwrap();
    let clear_url = format!("https://localhost:{}", clear.local_addr().unwrap().port());
    thread::spawn(move || {
        let (mut stream, _) = clear.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    for (url, authority, with) in [
        (protected.url(), authority("other.pem"), "the gateway's certificate is refused: "),
        (clear_url, authority("ca.pem"), "TLS with the gateway failed: "),
    ] {
        let output = check(&url, &[authority]);
        let said = stderr(&output);
        assert!(said.starts_with(&format!("[challenger-helper] HTTP_URL: {with}")), "{said}");
        assert_eq!(output.status.code(), Some(6), "{said}");
    }
    // It takes the connection, and nothing more.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", silent.local_addr().unwrap().port());
    let output = check(&url, &[("HTTP_TIMEOUT", "1".to_owned())]);
    let expected =
        "[challenger-helper] HTTP_URL: the gateway did not answer in time; HTTP_TIMEOUT is 1 s";
    finds(&output, expected, ABSENT);
    assert!(plain.asked().is_empty() && protected.asked().is_empty());
}

#[test]
fn a_helper_that_checks_takes_no_message_and_no_two_tasks() {
    let settings = [("SENDMAIL", "/bin/true".to_owned())];
    let run = |arguments: &[&str]| {
        let output = email::command(arguments, &settings).output().unwrap();
        let said = stderr(&output).trim_start_matches("challenger-send-email: ").to_owned();
        (Outcome { code: output.status.code(), said }, stdout(&output))
    };
    let (outcome, said) = run(&["--check"]);
    outcome.sent();
    assert_eq!(said, "/bin/true is there; it was not run\n");
    run(&["--check", email::ADA]).0.sent();
    run(&["--check", r#"{"CONTACT_PHONE":"+41"}"#]).0.failed(64, "there is no CONTACT_EMAIL");
    run(&["--check", "--serve"]).0.failed(64, "exactly one");
}

#[test]
fn the_scripts_say_what_is_missing_without_asking_anybody() {
    const PHONE: &str = r#"{"CONTACT_PHONE":"+41791234567"}"#;
    const LETTER: &str = r#"{"CONTACT_NAME":"Ada","ADDRESS_LINES":"Bahnhofstrasse 1"}"#;
    for (name, programs, settings, address) in [
        (
            "challenger-send-sms.sh",
            &["cat", "head", "jq", "curl"][..],
            &["TELESIGN_CUSTOMER_ID", "TELESIGN_API_KEY"][..],
            PHONE,
        ),
        (
            "challenger-send-post.sh",
            &["cat", "date", "head", "jq", "curl", "weasyprint"],
            &["PINGEN_CLIENT_ID", "PINGEN_CLIENT_SECRET", "PINGEN_ORGANISATION"],
            LETTER,
        ),
        ("challenger-send-file.sh", &["cat", "jq"], &["CHALLENGER_FILE_DIR"], PHONE),
    ] {
        let mut script = Script::new(name, programs);
        let folder = script.folder.path().display().to_string();
        for setting in settings {
            let missing = script.run_with(&[], &["--check"], "");
            assert_eq!(
                missing,
                script.complaint(78, &format!("[challenger-helper] {setting} is missing"))
            );
            script.set(
                setting,
                if *setting == "CHALLENGER_FILE_DIR" { folder.as_str() } else { "x" },
            );
        }
        assert_eq!(script.run_with(&[], &["--check"], ""), Ran::well(), "{name}");
        assert_eq!(script.run_with(&[], &["--check", address], ""), Ran::well(), "{name}");
        let other = script.run_with(&[], &["--check", r#"{"handle":"ada"}"#], "");
        assert_eq!(other.code, Some(64), "{name}: {other:?}");
        let many = script.run_with(&[], &["--check", address, address], "");
        assert_eq!(many.code, Some(64), "{name}: {many:?}");
        let said = script.command_lines();
        assert!(!said.contains("curl") && !said.contains("weasyprint"), "{name}: {said}");
        // The first one that is missing is named.
        for program in ["weasyprint", "curl", "jq"].iter().filter(|it| programs.contains(it)) {
            script.uninstall(program);
            let missing = script.run_with(&[], &["--check"], "");
            let complaint = format!("{program} is not installed: apt install {program}");
            assert_eq!(missing, script.complaint(69, &complaint), "{name}");
        }
    }
}
