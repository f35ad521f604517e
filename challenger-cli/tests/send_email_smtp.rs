//! Delivers to mail servers, good and bad.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod email;

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use email::server::{Instead, MailServer, PASSWORD, Security, TOKEN, USER};
use email::{ADA, MESSAGE, Outcome, Setting, run, send, with};

/// Where a server can misbehave, and how we call that.
const STAGES: [(&str, &str); 7] = [
    ("GREETING", "the connection"),
    ("EHLO", "EHLO"),
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
fn a_configuration_has_the_settings_for_a_try_by_hand() {
    let server = MailServer::new(Security::None);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("challenger.conf");
    let run_with = |text: &str, settings: &[Setting]| {
        fs::write(&file, text).unwrap();
        run(&["-c", file.to_str().unwrap(), ADA], settings, MESSAGE)
    };
    let lines = |it: &Setting| format!("{} = {}\n", it.0.to_lowercase(), it.1);
    let settings: String = login(&server.settings("localhost")).iter().map(lines).collect();
    // They win over the environment, as in the service.
    let other = [("SMTP_HOST", "none.invalid".to_owned())];
    run_with(&format!("[challenger-helper]\n{settings}"), &other).sent();
    assert_eq!(server.mail().user.as_deref(), Some(USER));
    run_with("[challenger-helper]\nEMAIL_FROM = nobody\n", &[]).failed(78, "EMAIL_FROM is");
    run_with("[challenger-helper]\nEMAIL_FROM\n", &[]).failed(78, "challenger.conf:2");
    run_with("@inline-secret@ challenger-helper none.conf\n", &[]).failed(78, "cannot be read");
    run(&["-c", "/none/challenger.conf", ADA], &[], MESSAGE).failed(78, "/none/challenger.conf");
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
        send(&settings).failed(78, &format!("{place} 5.7.8 ***: not with ***"));
        assert!(server.mails().is_empty());
    }
    let hello = Instead::Say("250-stand-in\r\n250 8BITMIME");
    let outcome = send_through(Security::Tls, "EHLO", hello, &[]);
    outcome.failed(78, "offers no login for these settings");
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
            outcome.failed(78, complaint);
            outcome.failed(78, "permanent failure: ");
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
    outcome.failed(78, "permanent failure: ");
    outcome.failed(78, "offers no STARTTLS");
    for (refusal, code, complaint) in [
        (
            "454 4.7.0 not now",
            75,
            "temporary failure: localhost:PORT refused STARTTLS: 454 4.7.0 not now",
        ),
        ("502 what?", 78, "permanent failure: localhost:PORT refused STARTTLS: 502 what?"),
    ] {
        let server = MailServer::with(Security::StartTls, &[("STARTTLS", Instead::Say(refusal))]);
        let complaint = complaint.replace("PORT", &server.port.to_string());
        send(&login(&server.settings("localhost"))).failed(code, &complaint);
    }
}

/// An attacker in between cannot read encrypted bytes, but can add answers in front of them.
#[test]
fn answers_from_before_tls_do_not_count() {
    const EHLO: &str = "250-stand-in\r\n250 AUTH PLAIN";
    const ALL: &str = "250-stand-in\r\n250 AUTH PLAIN\r\n235 in\r\n250 ok\r\n250 ok\r\n354 go\r\n\
                       250 taken\r\n221 bye";
    for added in [EHLO, "250-stand-in\r\n250 AUTH PLAIN\r\n2", ALL] {
        let outcome = send_through(Security::StartTls, "STARTTLS", Instead::Add(added), &[]);
        outcome.failed(69, "permanent failure: localhost:");
        outcome.failed(69, "sent more than its reply to STARTTLS");
    }
    // Without a login, and with a recipient who is really refused.
    let misbehaviour = [("STARTTLS", Instead::Add(EHLO)), ("RCPT", Instead::Say("550 no"))];
    let server = MailServer::with(Security::StartTls, &misbehaviour);
    send(&server.settings("localhost")).failed(69, "sent more than its reply to STARTTLS");
    assert!(server.mails().is_empty());
}

#[test]
fn refusals_are_told_for_what_they_are() {
    for security in [Security::None, Security::Tls] {
        for (stage, called) in STAGES {
            let outcome = send_through(security, stage, Instead::Say("451 4.7.1 later"), &[]);
            outcome.failed(75, "temporary failure: localhost:");
            outcome.failed(75, &format!(" refused {called}: 451 4.7.1 later"));
            let never = Instead::Say("550-5.7.1 never,\r\n550 5.7.1 ever");
            let outcome = send_through(security, stage, never, &[]);
            let code = if matches!(stage, "EHLO" | "AUTH" | "MAIL") { 78 } else { 69 };
            outcome.failed(code, "permanent failure: localhost:");
            outcome.failed(code, &format!(" refused {called}: 550 5.7.1 never, ever"));
        }
    }
    for (answer, code) in [("550 5.1.1 unknown", 67), ("550 5.1.2 no such domain", 68)] {
        let outcome = send_through(Security::None, "RCPT", Instead::Say(answer), &[]);
        outcome.failed(code, "permanent failure: localhost:");
    }
}

#[test]
fn what_a_server_repeats_is_not_told() {
    for (stage, answer, told) in [
        ("RCPT", "550 5.1.1 <Ada.Lovelace@example.com>: unknown", "550 5.1.1 <***>: unknown"),
        ("RCPT", "550 no ADA.LOVELACE here, says example.com.", "550 no *** here, says ***."),
        ("RCPT", "550 rfc822;ada.lovelace@mx.example.net", "550 rfc822;***"),
        (".", "554 spam: \"Do not tell it to anybody.\" (1234-5678)", "554 spam: \"***\" (***)"),
        (".", "554 \x1b[31mred\u{85}\u{202e}.", r"554 \u{1b}[31mred \u{202e}."),
    ] {
        let outcome = send_through(Security::None, stage, Instead::Say(answer), &[]);
        outcome.failed(if stage == "RCPT" { 67 } else { 69 }, told);
        assert!(outcome.said.ends_with(told), "{outcome:?}");
    }
}

#[test]
fn only_the_right_kind_of_answer_counts() {
    for (stage, answer) in
        [("MAIL", "354 go"), ("RCPT", "354 go"), ("DATA", "250 ok"), (".", "354 go")]
    {
        let outcome = send_through(Security::None, stage, Instead::Say(answer), &[]);
        outcome.failed(69, "permanent failure: ");
        outcome.failed(69, "which makes no sense");
    }
    for answer in ["", "nonsense", "999 nines", "25", "2500 ok"] {
        send_through(Security::None, "MAIL", Instead::Say(answer), &[])
            .failed(69, "at the sender: the answer is not one of a mail server");
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
                // Behind the dot, its first letter says that the message was taken.
                if matches!((stage, instead), (".", Instead::Dribble)) {
                    continue;
                }
                scope.spawn(move || {
                    let outcome = send_through(security, stage, instead, &short);
                    outcome.failed(75, "temporary failure: no answer from localhost:");
                    outcome.failed(75, &format!(" about {called} in time; SMTP_TIMEOUT is 4 s"));
                });
            }
        }
        // It waits for a greeting, and we for TLS.
        scope.spawn(|| {
            let server = MailServer::new(Security::Tls);
            let more = [("SMTP_TIMEOUT", "1"), ("SMTP_SECURITY", "starttls")];
            let outcome = send(&with(&server.settings("localhost"), &more));
            outcome.failed(75, "temporary failure: no answer from ");
        });
    });
}

#[test]
fn a_server_that_hangs_up_has_not_taken_the_message() {
    for security in [Security::None, Security::Tls] {
        for (stage, called) in STAGES {
            let outcome = send_through(security, stage, Instead::Close, &[]);
            outcome.failed(75, "temporary failure: localhost:");
            outcome.failed(75, &format!(", at {called}: "));
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
    outcome.failed(75, "temporary failure: 127.0.0.1:1, at the connection: ");
    outcome.failed(75, "Connection refused");
}

#[test]
fn a_server_without_tls_is_not_spoken_to_in_clear() {
    let server = MailServer::new(Security::None);
    let settings = with(&server.settings("localhost"), &[("SMTP_SECURITY", "tls")]);
    send(&settings).failed(78, "does SMTP_SECURITY fit this port?");
    assert!(server.mails().is_empty());
}

/// The most memory that the helper may take, in KiB. An honest conversation takes 8 MiB.
const MEMORY_MAX: u64 = 64 * 1024;

/// The peak of a process's memory, in KiB, as long as it has some.
fn peak(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse().unwrap())
}

/// Waits for the helper to end, and returns the peak of its memory, and its output.
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
    assert_eq!(output.status.code(), Some(69), "{said}");
    (most, said)
}

#[test]
fn a_reply_without_an_end_is_not_read_to_its_end() {
    let cases = [
        (Security::None, "GREETING"),
        (Security::None, "."),
        (Security::StartTls, "EHLO"),
        (Security::StartTls, "STARTTLS"),
        (Security::Tls, "EHLO"),
    ];
    let texts = ["550-flood ", "550-flood\r\n", "550-flood\r\nwithout a code\r\n"];
    for (security, stage) in cases {
        for text in texts {
            let server = MailServer::with(security, &[(stage, Instead::Flood(text))]);
            // It does not go on to the end of its time.
            let settings = with(&server.settings("localhost"), &[("SMTP_TIMEOUT", "600")]);
            let child = email::start(&[ADA], &settings, MESSAGE.as_bytes());
            let (most, said) = watch(child);
            assert!(most < MEMORY_MAX, "{stage}: {most} KiB, {said}");
            for private in ["lovelace", "1234-5678", "tell it to anybody"] {
                assert!(!said.to_lowercase().contains(private), "{said}");
            }
            assert!(server.mails().is_empty());
        }
    }
}

/// The limit of a process's address space, in bytes, as long as there is a process.
fn limit(child: &Child) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[test]
fn address_space_is_limited_and_a_lower_limit_stays() {
    for (lower, expected) in [("unlimited", 512 << 20), ("262144", 256 << 20)] {
        let server = MailServer::with(Security::None, &[("GREETING", Instead::Hang)]);
        let mut child = Command::new("sh");
        let limited = format!("ulimit -Sv {lower}; exec {} '{}'", email::PROGRAM, ADA);
        child.args(["-c", &limited]).env("EMAIL_FROM", "noreply@shop.example");
        child.env("SMTP_TIMEOUT", "3").envs(server.settings("localhost"));
        let mut child = child.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(MESSAGE.as_bytes()).unwrap();
        let mut last = None;
        while child.try_wait().unwrap().is_none() {
            last = limit(&child).or(last);
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(last, Some(expected));
    }
}

#[test]
fn the_greeting_may_take_more_than_half_of_the_time() {
    let server = MailServer::with(Security::None, &[("GREETING", Instead::Late(7))]);
    send(&with(&server.settings("localhost"), &[("SMTP_TIMEOUT", "12")])).sent();
}

#[test]
fn what_begins_with_a_2_behind_the_dot_is_taken() {
    for instead in [Instead::Say("250"), Instead::Say("2"), Instead::Dribble] {
        let server = MailServer::with(Security::Tls, &[(".", instead)]);
        send(&server.settings("localhost")).sent();
    }
}

/// The name of our machine in the only mail that a server has taken.
fn hello(server: &MailServer) -> String {
    let commands = server.mail().commands;
    let names = commands.iter().filter_map(|command| command.strip_prefix("EHLO "));
    let names: Vec<&str> = names.collect();
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    names[0].to_owned()
}

#[test]
fn our_name_is_full_or_an_address() {
    for security in [Security::None, Security::StartTls] {
        let server = MailServer::new(security);
        let settings = with(&server.settings("localhost"), &[("SMTP_HELO", "mx.shop.example")]);
        send(&settings).sent();
        assert_eq!(hello(&server), "mx.shop.example");
    }
    let server = MailServer::new(Security::None);
    send(&server.settings("127.0.0.1")).sent();
    let name = hello(&server);
    assert!(name == "[127.0.0.1]" || name.contains('.') && !name.contains('['), "{name}");

    let rejected = Instead::Say("504 5.5.2 <x>: Helo command rejected");
    let outcome = send_through(Security::None, "EHLO", rejected, &[]);
    outcome.failed(78, "refused EHLO: 504 5.5.2 <x>: Helo command rejected; SMTP_HELO can be");
}

#[test]
fn it_logs_in_by_what_the_server_offers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let path = file.display().to_string();
    let by_token = [("SMTP_USER", USER), ("SMTP_OAUTH2_TOKEN_FILE", path.as_str())];
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let offering =
        |mechanisms| MailServer::with(Security::Tls, &[("EHLO", Instead::Say(mechanisms))]);
    for mechanisms in
        ["250-mx\r\n250 AUTH PLAIN", "250-mx\r\n250 auth login", "250-\r\n250 AUTH=LOGIN"]
    {
        let server = offering(mechanisms);
        send(&login(&server.settings("localhost"))).sent();
        assert_eq!(server.mail().user.as_deref(), Some(USER));
        let settings = with(&server.settings("localhost"), &by_token);
        send(&settings).failed(78, "SMTP_OAUTH2_TOKEN_FILE needs XOAUTH2; it offers ");
    }
    let server = offering("250-mx\r\n250 AUTH CRAM-MD5 XOAUTH2");
    send(&login(&server.settings("localhost"))).failed(78, "it offers CRAM-MD5 XOAUTH2");
    let settings = with(&server.settings("localhost"), &by_token);
    send(&settings).sent();
    assert_eq!(server.mail().user.as_deref(), Some(USER));
    // The file is read for each message.
    fs::write(&file, "swordfish").unwrap();
    send(&settings).failed(78, "refused the login: 535 5.7.8 ***: not with ***");
    let server = MailServer::with(Security::Tls, &[("AUTH", Instead::Say("454 4.7.0 not now"))]);
    send(&login(&server.settings("localhost"))).failed(75, "refused the login: 454 4.7.0");
}
