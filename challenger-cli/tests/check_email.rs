//! `challenger-httpd --check` and `challenger-send-email`: it asks its server, and nothing is sent.

#![cfg(feature = "email")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod email;
mod findings;
mod site;

use std::fs;

use email::server::{Instead, MailServer, PASSWORD, Security, TOKEN, USER};
use email::{Outcome, Setting};
use findings::{ABSENT, SENDER, WRONG, check, finds, finds_nothing};
use site::{stderr, stdout};

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

/// What a server does at a command, what is said of that, where `$` is the server, and how the
/// check ends.
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
