//! `challenger-send-email --serve` delivers one mail after the other over one connection, and what
//! happens to one of them does not matter to the next.

#![cfg(feature = "email")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod email;
mod resident;
mod site;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use challenger_testkit::{code_of, pin_in, wait_for};
use email::mail::Entity;
use email::postfix::Postfix;
use email::server::{Instead, MailServer, PASSWORD, Security, TOKEN, USER};
use email::{ADA, MESSAGE, Setting, command, run, with};
use resident::{Answer, Resident};
use serde_json::json;
use site::Site;

const BOB: &str = r#"{"CONTACT_EMAIL":"bob.builder@example.com"}"#;

/// The texts that no answer may have, in lower case.
const PRIVATE: [&str; 6] =
    ["lovelace", "builder", "1234-5678", "8765-4321", "tell it to anybody", "swordfish"];

fn start(settings: &[Setting]) -> Resident {
    Resident::start(&mut command(&["--serve"], settings))
}

/// Sends a message to Ada.
#[track_caller]
fn send(helper: &mut Resident) -> Answer {
    private(helper.send(ADA, MESSAGE))
}

/// Checks that an answer has nothing private.
#[track_caller]
fn private(answer: Answer) -> Answer {
    answer.without(&PRIVATE)
}

fn login(settings: &[Setting]) -> Vec<Setting> {
    with(settings, &[("SMTP_USER", USER), ("SMTP_PASSWORD", PASSWORD)])
}

#[test]
fn several_mails_go_over_one_connection() {
    for security in [Security::None, Security::StartTls, Security::Tls] {
        let server = MailServer::new(security);
        let mut helper = start(&login(&server.settings("localhost")));
        for _ in 0..3 {
            send(&mut helper).sent();
        }
        helper.end_well();
        assert_eq!(server.connections(), 1);
        let mails = server.mails();
        assert_eq!(mails.len(), 3);
        for mail in &mails {
            assert_eq!(mail.user.as_deref(), Some(USER));
            assert_eq!(mail.encrypted, security != Security::None);
        }
        let commands = mails[2].commands.join("; ");
        let mail = "MAIL FROM:<noreply@shop.example>; RCPT TO:<Ada.Lovelace@example.com>; DATA";
        assert!(commands.ends_with(&format!("{mail}; RSET; {mail}; RSET; {mail}")), "{commands}");
        let hellos = mails[2].commands.iter().filter(|command| command.starts_with("EHLO"));
        assert_eq!(hellos.count(), if security == Security::StartTls { 2 } else { 1 });
    }
}

#[test]
fn each_mail_has_its_own_words() {
    let server = MailServer::new(Security::None);
    let mut helper = start(&server.settings("localhost"));
    let german = json!({ "language": "de", "subject": "Code für shop.example" });
    helper.send_with(ADA, MESSAGE, german).sent();
    helper.send("bob.builder@example.com", "8765-4321 is for Bob").sent();
    let wrong = json!({ "language": "de_DE.UTF-8" });
    helper.send_with(ADA, MESSAGE, wrong).failed(78, "CHALLENGER_LANGUAGE is \"de_DE.UTF-8\"");
    helper.end_well();
    let mails: Vec<Entity> = server.mails().iter().map(|mail| Entity::parse(&mail.text)).collect();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].header("Subject"), "Code für shop.example");
    assert_eq!(mails[0].header("Content-Language"), "de");
    assert_eq!(mails[1].header("Subject"), "Your code");
    assert_eq!(mails[1].header("To"), "bob.builder@example.com");
    assert_eq!(mails[1].maybe_header("Content-Language"), None);
    let text = |mail: &Entity| mail.parts()["text/plain; charset=utf-8"].content();
    assert_eq!(
        (text(&mails[0]), text(&mails[1])),
        (MESSAGE.into(), "8765-4321 is for Bob\n".into())
    );
}

#[test]
fn a_refused_mail_does_not_spoil_the_next() {
    let server = MailServer::new(Security::Tls);
    let mut helper = start(&login(&server.settings("localhost")));
    send(&mut helper).sent();
    for (stage, refusal, status, told) in [
        ("RCPT", "550 5.1.1 <bob.builder@example.com>", 67, "recipient: 550 5.1.1 <***>"),
        ("RCPT", "450 4.2.0 later", 75, "refused the recipient: 450 4.2.0 later"),
        ("DATA", "451 4.3.0 later", 75, "refused any message: 451"),
        (".", "554 spam: 8765-4321", 69, "refused the message: 554 spam: ***"),
    ] {
        server.once(stage, Instead::Say(refusal));
        private(helper.send(BOB, "8765-4321 is for Bob")).failed(status, told);
        send(&mut helper).sent();
    }
    assert_eq!((server.connections(), server.mails().len()), (1, 5));
    // Without a sender there is nothing to go on with.
    server.once("MAIL", Instead::Say("553 5.7.1 not you"));
    server.once("GREETING", Instead::Say("554 nor here"));
    send(&mut helper).failed(69, "refused the connection: 554 nor here");
    send(&mut helper).sent();
    helper.end_well();
    assert_eq!((server.connections(), server.mails().len()), (3, 6));
}

#[test]
fn a_server_may_close_a_connection_that_was_used() {
    let server = MailServer::new(Security::Tls);
    let mut helper = start(&login(&server.settings("localhost")));
    send(&mut helper).sent();
    server.hang_up();
    send(&mut helper).sent();
    let closing = Instead::Say("421 4.7.0 too many messages");
    let mut expected = 2;
    for (stage, instead) in [
        ("RSET", closing),
        ("RSET", Instead::Close),
        ("RSET", Instead::Say("502 what?")),
        ("RSET", Instead::Say("nonsense")),
        // Nobody says that the connection is lost.
        ("RSET", Instead::Hang),
        ("MAIL", closing),
        ("MAIL", Instead::Close),
        ("MAIL", Instead::Say("530 5.7.0 log in again")),
        ("RCPT", closing),
        ("RCPT", Instead::Close),
        ("DATA", closing),
        ("DATA", Instead::Close),
    ] {
        server.once(stage, instead);
        send(&mut helper).sent();
        expected += 1;
        assert_eq!((server.connections(), server.mails().len()), (expected, expected), "{stage}");
    }
    helper.end_well();
}

#[test]
fn no_mail_is_sent_twice() {
    let server = MailServer::new(Security::None);
    let mut helper = start(&server.settings("localhost"));
    let mut expected = 0;
    for (instead, told) in [
        (Instead::Close, "at the message: "),
        (Instead::Say("421 4.3.2 shutting down"), "refused the message: 421"),
    ] {
        send(&mut helper).sent();
        server.once(".", instead);
        send(&mut helper).failed(75, told);
        expected += 1;
        assert_eq!((server.connections(), server.mails().len()), (expected, expected));
    }
    // On a new connection nothing is tried again, either.
    for (stage, instead) in [("MAIL", Instead::Say("421 4.7.0 busy")), ("EHLO", Instead::Close)] {
        server.once(stage, instead);
        assert_eq!(send(&mut helper).status, 75);
        expected += 1;
        assert_eq!(server.connections(), expected, "{stage}");
    }
    // And there is only one other connection.
    send(&mut helper).sent();
    server.once("RSET", Instead::Close);
    server.once("GREETING", Instead::Close);
    send(&mut helper).failed(75, "at the connection: ");
    assert_eq!(server.connections(), expected + 2);
    helper.end_well();
}

#[test]
fn a_server_that_falls_silent_costs_one_mail() {
    let server = MailServer::new(Security::Tls);
    let settings = with(&server.settings("localhost"), &[("SMTP_TIMEOUT", "4")]);
    let mut helper = start(&settings);
    for stage in ["GREETING", "RCPT", "."] {
        server.once(stage, Instead::Hang);
        let answer = send(&mut helper);
        answer.failed(75, "temporary failure: no answer from localhost:");
        answer.failed(75, "in time; SMTP_TIMEOUT is 4 s");
        send(&mut helper).sent();
    }
    helper.end_well();
    assert_eq!(server.mails().len(), 3);
}

#[test]
fn a_token_is_read_for_each_connection() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let path = file.display().to_string();
    let server = MailServer::new(Security::Tls);
    let by_token = [("SMTP_USER", USER), ("SMTP_OAUTH2_TOKEN_FILE", path.as_str())];
    let mut helper = start(&with(&server.settings("localhost"), &by_token));
    send(&mut helper).failed(78, &format!("SMTP_OAUTH2_TOKEN_FILE {path}: No such file"));
    fs::write(&file, "ya29.swordfish-of-yesterday").unwrap();
    send(&mut helper).failed(78, "refused the login: 535 5.7.8 ***: not with ***");
    fs::write(&file, TOKEN).unwrap();
    send(&mut helper).sent();
    fs::remove_file(&file).unwrap();
    send(&mut helper).sent();
    helper.end_well();
    assert_eq!(server.connections(), 2);
}

#[test]
fn mistakes_in_settings_are_answered_until_there_are_none() {
    let server = MailServer::new(Security::Tls);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let path = file.display().to_string();
    let settings = with(&server.settings("localhost"), &[("SMTP_CA_FILE", &path)]);
    let mut helper = start(&settings);
    let said = run(&[ADA], &settings, MESSAGE).said;
    assert!(said.starts_with("SMTP_CA_FILE "), "{said}");
    for _ in 0..2 {
        assert_eq!(send(&mut helper), Answer { status: 78, log: said.clone() });
    }
    fs::copy(server.file("ca.pem"), &file).unwrap();
    send(&mut helper).sent();
    helper.end_well();
    // A configuration that cannot be read is nothing to wait for.
    let missing = ["--serve", "-c", "/none/challenger.conf"];
    run(&missing, &[], "").failed(78, "/none/challenger.conf");
}

#[test]
fn what_is_no_message_is_answered_and_the_next_one_sent() {
    let server = MailServer::new(Security::None);
    let mut helper = start(&server.settings("localhost"));
    for line in ["", "swordfish", r#"{"argument":"swordfish"}"#, r#"["swordfish"]"#] {
        private(helper.answer(line.as_bytes())).failed(65, "the line is not a message");
    }
    for (address, message, status, told) in [
        (r#"{"CONTACT_PHONE":"swordfish"}"#, MESSAGE, 64, "there is no CONTACT_EMAIL"),
        ("lovelace", MESSAGE, 67, "this is not an e-mail address"),
        (ADA, "", 69, "is empty"),
        (ADA, "1234-5678\0", 69, "has control characters"),
        (ADA, &"swordfish\n".repeat(6554), 69, "is longer than 65536 bytes"),
    ] {
        private(helper.send(address, message)).failed(status, told);
    }
    send(&mut helper).sent();
    helper.end_well();
    assert_eq!(server.mails().len(), 1);
}

#[test]
fn it_ends_with_its_input_by_a_signal_and_after_a_line_without_an_end() {
    let server = MailServer::new(Security::None);
    let settings = server.settings("localhost");
    start(&settings).end_well();

    let mut helper = start(&settings);
    let answer = helper.answer(&b"swordfish ".repeat(150_000));
    let why = "the line has more than 1048576 bytes";
    assert_eq!(answer, Answer { status: 65, log: why.to_owned() });
    assert_eq!(helper.end(), (Some(65), format!("challenger-send-email: {why}\n")));

    let mut helper = start(&settings);
    send(&mut helper).sent();
    let id = helper.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let status = helper.wait();
    assert_eq!(status.signal(), Some(15));
    assert_eq!(server.mails().len(), 1);
}

#[test]
fn it_takes_no_address() {
    for arguments in [&["--serve", ADA][..], &[ADA, "--serve"], &["--serve", "--", ADA]] {
        run(arguments, &[], "").failed(64, "there has to be exactly one");
    }
}

#[test]
fn sendmail_runs_for_each_mail() {
    let folder = tempfile::tempdir().unwrap();
    let (program, taken) = (folder.path().join("sendmail"), folder.path().join("taken"));
    let script = format!(
        "#!/bin/sh\necho \"$5\" >> {}\ncase $5 in bob*) echo \"no $5\"; exit 67; esac\n",
        taken.display()
    );
    fs::write(&program, script).unwrap();
    assert!(Command::new("chmod").arg("755").arg(&program).status().unwrap().success());
    let mut helper = start(&[("SENDMAIL", program.display().to_string())]);
    send(&mut helper).sent();
    private(helper.send(BOB, MESSAGE)).failed(67, "no ***");
    send(&mut helper).sent();
    helper.end_well();
    let expected = "Ada.Lovelace@example.com\nbob.builder@example.com\nAda.Lovelace@example.com\n";
    assert_eq!(fs::read_to_string(taken).unwrap(), expected);
}

#[test]
fn postfix_takes_several_mails_over_one_connection() {
    let postfix = Postfix::start();
    for security in ["starttls", "tls"] {
        let mut helper = start(&postfix.settings(security));
        helper.send(ADA, "1234-5678 is the first").sent();
        private(helper.send(BOB, MESSAGE)).failed(67, "refused the recipient: 550 5.1.1 <***>");
        helper.send("zoë@example.com", MESSAGE).sent();
        helper.send(ADA, "1234-5678 is the second").sent();
        let mut mails = postfix.mails("ada", 2);
        mails.sort_by_key(|mail| mail.contains("\n1234-5678 is the second\n"));
        assert!(mails[0].contains("\n1234-5678 is the first\n"), "{mails:?}");
        assert!(mails[1].contains("\n1234-5678 is the second\n"), "{mails:?}");
        postfix.mails("zoe", 1);
        helper.end_well();
        // It counts the commands of each connection.
        let counts =
            if security == "tls" { " ehlo=1 mail=4 " } else { " ehlo=2 starttls=1 mail=4 " };
        wait_for("the end of the connection", || postfix.log().contains(counts).then_some(()));
    }
}

#[test]
fn the_service_sends_all_mails_over_one_connection() {
    let server = MailServer::new(Security::Tls);
    let mut site = Site::new("AUTH_HELPER = resident");
    let config = fs::read_to_string(site.config()).unwrap();
    let script = site.directory.path().join("deliver.sh").display().to_string();
    let mut config = config.replace(&script, email::PROGRAM) + "[challenger-helper]\n";
    for (name, value) in
        with(&login(&server.settings("localhost")), &[("EMAIL_FROM", "a@b.example")])
    {
        config += &format!("{name} = {value}\n");
    }
    fs::write(site.config(), config).unwrap();
    site.start();
    for person in ["ada@example.com", "bob@example.com", "cyd@example.com"] {
        let nonce = site.setup();
        let reply = site.challenge(&nonce, person);
        assert_eq!(reply.json()["transmitted"], true, "{}", reply.body);
        let mail = server.mails().pop().unwrap();
        assert!(mail.commands.join("; ").contains(&format!("RCPT TO:<{person}>")));
        let pin = Entity::parse(&mail.text).parts().values().find_map(|it| pin_in(&it.content()));
        let solved = site.solve(&nonce, &pin.unwrap()).json()["redirect_url"].clone();
        let code = code_of(solved.as_str().unwrap());
        assert_eq!(site.token(&code).status, 200);
    }
    // One that is refused leaves the connection to the next.
    server.once("RCPT", Instead::Say("550 5.1.1 no such user"));
    let refused = site.challenge(&site.setup(), "dan@example.com");
    assert_eq!(refused.status, 502, "{}", refused.body);
    assert_eq!(site.challenge(&site.setup(), "eve@example.com").status, 200);
    site.stop();
    assert_eq!((server.mails().len(), server.connections()), (4, 1));
}
