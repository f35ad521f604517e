//! Delivers to mail servers, good and bad.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod email;

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use email::server::{Instead, MailServer, PASSWORD, Security, USER};
use email::{Outcome, Setting, send, with};

/// Where a server can misbehave, and how we call that.
const STAGES: [(&str, &str); 7] = [
    ("GREETING", "the connection"),
    ("EHLO", "the connection"),
    ("AUTH", "the login"),
    ("MAIL", "the sender"),
    ("RCPT", "the recipient"),
    ("DATA", "any message"),
    (".", "the message"),
];

fn login(settings: &[Setting]) -> Vec<Setting> {
    with(settings, &[("SMTP_USER", USER), ("SMTP_PASSWORD", PASSWORD)])
}

/// Sends through a server that misbehaves once, and does not take the message.
fn send_through(
    security: Security,
    stage: &'static str,
    instead: Instead,
    more: &[(&'static str, &str)],
) -> Outcome {
    let server = MailServer::with(security, &[(stage, instead)]);
    let outcome = send(&with(&login(&server.settings("localhost")), more));
    assert!(server.mails().is_empty(), "{stage}");
    outcome
}

#[test]
fn it_delivers_with_and_without_encryption_and_login() {
    for security in [Security::None, Security::StartTls, Security::Tls] {
        let server = MailServer::new(security);
        let settings = server.settings("localhost");
        send(&settings).sent();
        send(&login(&settings)).sent();
        let mails = server.mails();
        let users: Vec<Option<&str>> = mails.iter().map(|mail| mail.user.as_deref()).collect();
        assert_eq!(users, [None, Some(USER)]);
        for mail in mails {
            assert_eq!(mail.encrypted, security != Security::None);
            let tail = mail.commands[mail.commands.len() - 3..].join("; ");
            let expected =
                "MAIL FROM:<noreply@shop.example>; RCPT TO:<Ada.Lovelace@example.com>; DATA";
            assert_eq!(tail, expected);
        }
    }
}

#[test]
fn tls_is_the_default() {
    let server = MailServer::new(Security::Tls);
    let mut settings = server.settings("localhost");
    settings.retain(|(name, _)| *name != "SMTP_SECURITY");
    send(&settings).sent();
    assert!(server.mail().encrypted);
}

#[test]
fn a_wrong_password_is_refused_for_good() {
    for security in [Security::None, Security::StartTls, Security::Tls] {
        let server = MailServer::new(security);
        let settings =
            with(&login(&server.settings("localhost")), &[("SMTP_PASSWORD", "swordfish")]);
        let place = format!("permanent failure: localhost:{} refused the login: 535", server.port);
        // The server repeats name and password.
        send(&settings).failed(1, &format!("{place} 5.7.8 ***: not with ***"));
        assert!(server.mails().is_empty());
    }
    let hello = Instead::Say("250-stand-in\r\n250 8BITMIME");
    let outcome = send_through(Security::Tls, "EHLO", hello, &[]);
    outcome.failed(1, "at the login: No compatible authentication mechanism");
}

#[test]
fn servers_are_known_by_their_certificates() {
    for security in [Security::StartTls, Security::Tls] {
        let server = MailServer::new(security);
        let settings = login(&server.settings("localhost"));
        let other = server.file("other.pem").display().to_string();
        for (change, complaint) in [
            (
                ("SMTP_CA_FILE", ""),
                "UnknownIssuer; if this is the right server, name its authority",
            ),
            (("SMTP_CA_FILE", other.as_str()), "UnknownIssuer"),
            (("SMTP_HOST", "127.0.0.1"), "certificate not valid for name"),
        ] {
            let outcome = send(&with(&settings, &[change]));
            outcome.failed(1, complaint);
            outcome.failed(1, "permanent failure: ");
        }
        // One of several authorities is enough.
        let both = [&other, "ca.pem"].map(|it| fs::read(server.file(it)).unwrap()).concat();
        fs::write(server.file("both.pem"), both).unwrap();
        let both = server.file("both.pem").display().to_string();
        assert!(server.mails().is_empty());
        send(&with(&settings, &[("SMTP_CA_FILE", &both)])).sent();
    }
}

#[test]
fn without_starttls_nothing_is_sent() {
    let hello = Instead::Say("250-stand-in\r\n250 AUTH PLAIN");
    let outcome = send_through(Security::StartTls, "EHLO", hello, &[]);
    outcome.failed(1, "permanent failure: ");
    outcome.failed(1, "offers no STARTTLS");
    for (refusal, complaint) in [
        (
            "454 4.7.0 not now",
            "temporary failure: localhost:PORT refused STARTTLS: 454 4.7.0 not now",
        ),
        ("502 what?", "permanent failure: localhost:PORT refused STARTTLS: 502 what?"),
    ] {
        let server = MailServer::with(Security::StartTls, &[("STARTTLS", Instead::Say(refusal))]);
        let complaint = complaint.replace("PORT", &server.port.to_string());
        send(&login(&server.settings("localhost"))).failed(1, &complaint);
    }
}

/// An attacker in between cannot read encrypted bytes, but can add answers in front of them.
#[test]
fn answers_from_before_tls_do_not_count() {
    const EHLO: &str = "250-stand-in\r\n250 AUTH PLAIN";
    const ALL: &str = "250-stand-in\r\n250 AUTH PLAIN\r\n235 in\r\n250 ok\r\n250 ok\r\n354 go\r\n\
                       250 taken\r\n221 bye";
    for (added, complaint) in [
        (EHLO, ""),
        ("250-stand-in\r\n250 AUTH PLAIN\r\n2", ""),
        ("250-stand-in\r\n250-AUTH PLAIN\r\n25", ""),
        (ALL, "answers what nobody asked"),
    ] {
        let outcome = send_through(Security::StartTls, "STARTTLS", Instead::Add(added), &[]);
        outcome.failed(1, complaint);
    }
    // Without a login, and with a recipient who is really refused.
    let misbehaviour = [("STARTTLS", Instead::Add(EHLO)), ("RCPT", Instead::Say("550 no"))];
    let server = MailServer::with(Security::StartTls, &misbehaviour);
    send(&server.settings("localhost")).failed(1, "");
    assert!(server.mails().is_empty());
}

#[test]
fn refusals_are_told_for_what_they_are() {
    for security in [Security::None, Security::Tls] {
        for (stage, called) in STAGES {
            let outcome = send_through(security, stage, Instead::Say("451 4.7.1 later"), &[]);
            outcome.failed(1, "temporary failure: localhost:");
            outcome.failed(1, &format!(" refused {called}: 451 4.7.1 later"));
            let never = Instead::Say("550-5.7.1 never,\r\n550 5.7.1 ever");
            let outcome = send_through(security, stage, never, &[]);
            outcome.failed(1, "permanent failure: localhost:");
            outcome.failed(1, &format!(" refused {called}: 550 5.7.1 never, ever"));
        }
    }
}

#[test]
fn what_a_server_repeats_is_not_told() {
    for (stage, answer, told) in [
        ("RCPT", "550 5.1.1 <Ada.Lovelace@example.com>: unknown", "550 5.1.1 <***>: unknown"),
        ("RCPT", "550 no ADA.LOVELACE here, says example.com.", "550 no *** here, says ***"),
        ("RCPT", "550 rfc822;ada.lovelace@mx.example.net", "550 rfc822;***"),
        (".", "554 spam: \"Do not tell it to anybody.\" (1234-5678)", "554 spam: \"***\" (***)"),
        (".", "554 \x1b[31mred\u{85}\u{202e}", r"554 \u{1b}[31mred \u{202e}"),
    ] {
        let outcome = send_through(Security::None, stage, Instead::Say(answer), &[]);
        outcome.failed(1, told);
        assert!(outcome.said.ends_with(told), "{outcome:?}");
    }
}

#[test]
fn only_the_right_kind_of_answer_counts() {
    for (stage, answer) in [
        ("AUTH", "354 go"),
        ("MAIL", "354 go"),
        ("RCPT", "354 go"),
        ("DATA", "250 ok"),
        (".", "354 go"),
    ] {
        let outcome = send_through(Security::None, stage, Instead::Say(answer), &[]);
        outcome.failed(1, "permanent failure: ");
        outcome.failed(1, "which makes no sense");
    }
    for answer in ["", "nonsense", "999 nines", "25", "250~ok"] {
        send_through(Security::None, "MAIL", Instead::Say(answer), &[])
            .failed(1, "at the sender: ");
    }
}

#[test]
fn a_server_that_falls_silent_is_waited_for_in_vain() {
    // Long enough for everything that comes before.
    let short = [("SMTP_TIMEOUT", "4")];
    let starttls = ("STARTTLS", "STARTTLS", Security::StartTls);
    let stages = STAGES.map(|(stage, called)| (stage, called, Security::None));
    thread::scope(|scope| {
        for (stage, called, security) in stages.into_iter().chain([starttls]) {
            for instead in [Instead::Hang, Instead::Dribble] {
                scope.spawn(move || {
                    let outcome = send_through(security, stage, instead, &short);
                    outcome.failed(1, "temporary failure: no answer from localhost:");
                    outcome.failed(1, &format!(" about {called} in time; SMTP_TIMEOUT is 4 s"));
                });
            }
        }
        // It waits for a greeting, and we for TLS.
        scope.spawn(|| {
            let server = MailServer::new(Security::Tls);
            let more = [("SMTP_TIMEOUT", "1"), ("SMTP_SECURITY", "starttls")];
            let outcome = send(&with(&server.settings("localhost"), &more));
            outcome.failed(1, "temporary failure: no answer from ");
        });
    });
}

#[test]
fn a_server_that_hangs_up_has_not_taken_the_message() {
    for security in [Security::None, Security::Tls] {
        for (stage, called) in STAGES {
            let outcome = send_through(security, stage, Instead::Close, &[]);
            outcome.failed(1, "temporary failure: localhost:");
            outcome.failed(1, &format!(", at {called}: "));
        }
    }
}

#[test]
fn what_happens_after_the_message_was_taken_does_not_matter() {
    for instead in [Instead::Close, Instead::Dribble, Instead::Hang, Instead::Say("421 tired")] {
        let server = MailServer::with(Security::Tls, &[("QUIT", instead)]);
        send(&server.settings("localhost")).sent();
        assert_eq!(server.mails().len(), 1);
    }
}

#[test]
fn a_server_that_is_not_there_is_a_temporary_failure() {
    let outcome = send(&with(&[], &[("SMTP_HOST", "127.0.0.1"), ("SMTP_PORT", "1")]));
    outcome.failed(1, "temporary failure: 127.0.0.1:1, at the connection: ");
    outcome.failed(1, "Connection refused");
}

#[test]
fn a_server_without_tls_is_not_spoken_to_in_clear() {
    let server = MailServer::new(Security::None);
    let settings = with(&server.settings("localhost"), &[("SMTP_SECURITY", "tls")]);
    send(&settings).failed(1, "does SMTP_SECURITY fit this port?");
    assert!(server.mails().is_empty());
}

/// The most memory that the helper may take, in KiB. Its limit is one of addresses, and memory is
/// never more than these.
const MEMORY_MAX: u64 = 512 * 1024;

/// The peak of a process's memory, in KiB, as long as it has some.
fn peak(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse().unwrap())
}

/// Waits for the helper to fail, and returns the peak of its memory, and its output.
fn watch(mut child: Child) -> (u64, String) {
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(peak(&child).unwrap_or(0));
        if most > MEMORY_MAX {
            child.kill().unwrap();
        }
        thread::sleep(Duration::from_millis(1));
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{said}");
    (most, said)
}

#[test]
fn a_line_without_an_end_takes_memory_up_to_a_limit() {
    let cases = [
        (Security::None, "GREETING"),
        (Security::None, "."),
        (Security::StartTls, "EHLO"),
        (Security::StartTls, "STARTTLS"),
        (Security::Tls, "EHLO"),
    ];
    for (security, stage) in cases {
        let server = MailServer::with(security, &[(stage, Instead::Flood("250-flood "))]);
        let settings = with(&server.settings("localhost"), &[("SMTP_TIMEOUT", "600")]);
        let child = email::start(&[email::ADA], &settings, email::MESSAGE.as_bytes());
        let (most, said) = watch(child);
        assert!(most < MEMORY_MAX, "{stage}: {most} KiB, {said}");
        // The limit ended it, and it did not go on to the end of its time.
        assert!(said.contains("memory"), "{stage}: {said}");
        for private in ["lovelace", "1234-5678", "tell it to anybody"] {
            assert!(!said.to_lowercase().contains(private), "{said}");
        }
        assert!(server.mails().is_empty());
    }
}

#[test]
fn lines_without_an_end_are_not_read_without_an_end() {
    let flood = Instead::Flood("250-flood\r\n");
    for security in [Security::None, Security::Tls] {
        let outcome = send_through(security, "EHLO", flood, &[("SMTP_TIMEOUT", "4")]);
        outcome.failed(1, "failure: ");
    }
}

#[test]
fn a_lower_limit_of_memory_stays() {
    const LOWER: u64 = 256 * 1024;
    let server = MailServer::with(Security::None, &[("GREETING", Instead::Flood("250 "))]);
    let mut child = Command::new("sh");
    child.args(["-c", &format!("ulimit -Sv {LOWER}; exec {} '{}'", email::PROGRAM, email::ADA)]);
    child.env("EMAIL_FROM", "noreply@shop.example").env("SMTP_TIMEOUT", "600");
    child.envs(server.settings("localhost"));
    let mut child = child.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(email::MESSAGE.as_bytes()).unwrap();
    let (most, said) = watch(child);
    assert!(most < LOWER && said.contains("memory"), "{most} KiB, {said}");
}
