//! `challenger-send-email`: its arguments and settings, the form of a mail, sendmail, and whole
//! flows in which the code comes by mail.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod email;
mod site;

use std::fs;
use std::path::Path;
use std::process::Command;

use challenger_testkit::{code_of, pin_in, wait_for};
use email::mail::Entity;
use email::server::{Instead, MailServer, PASSWORD, Security, USER};
use email::{ADA, MESSAGE, PROGRAM, Setting, run, send, send_to, with};
use site::{Site, stdout, write_script};

const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// The mail that a message becomes with these settings.
fn mail(settings: &[(&'static str, &str)], message: &str) -> Entity {
    let server = MailServer::new(Security::None);
    send_to(ADA, &with(&server.settings("127.0.0.1"), settings), message).sent();
    Entity::parse(&server.mail().text)
}

#[test]
fn a_mail_has_the_message_as_text_and_as_html() {
    let long = "x".repeat(2000);
    let message = format!(
        "Ihr Code für <Läden & Söhne>: 1234-5678\n.\n..\n.eine Zeile\n\n{long}\n= Ende =20 ☃\n"
    );
    let settings = [
        ("EMAIL_FROM", "Läden, Söhne <noreply@läden.example>"),
        (
            "CHALLENGER_SUBJECT",
            "Ihr Code für läden.example, gültig für die nächsten sechzig Minuten, also bald",
        ),
        ("CHALLENGER_LANGUAGE", "de"),
    ];
    let mail = mail(&settings, &message);
    let mut names = mail.names();
    names.sort_unstable();
    let expected = [
        "auto-submitted",
        "content-language",
        "content-type",
        "date",
        "from",
        "message-id",
        "mime-version",
        "subject",
        "to",
        "x-auto-response-suppress",
    ];
    assert_eq!(names, expected);
    assert_eq!(mail.header("From"), "Läden, Söhne <noreply@xn--lden-loa.example>");
    assert_eq!(mail.header("To"), "Ada.Lovelace@example.com");
    assert_eq!(mail.header("Subject"), settings[1].1);
    assert_eq!(mail.header("Content-Language"), "de");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert_eq!(mail.header("X-Auto-Response-Suppress"), "All");
    assert_eq!(mail.header("MIME-Version"), "1.0");
    let id = mail.header("Message-ID");
    let random = id.strip_prefix('<').unwrap().strip_suffix("@xn--lden-loa.example>").unwrap();
    assert!(random.len() == 32 && random.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert!(mail.header("Date").ends_with(" +0000"), "{}", mail.header("Date"));

    let parts = mail.parts();
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[PLAIN].content(), message);
    let html = parts[HTML].content();
    assert!(html.starts_with("<!DOCTYPE html>\n<html dir=\"ltr\" lang=\"de\">\n"), "{html}");
    assert!(html.contains("<title>Ihr Code für läden.example, gültig"), "{html}");
    assert!(html.contains("Ihr Code für &lt;Läden &amp; Söhne&gt;: <strong style="), "{html}");
    assert!(html.contains(">1234-5678</strong><br>\n.<br>\n..<br>\n.eine Zeile</p>\n"), "{html}");
    assert!(html.contains(&format!("{long}<br>\n= Ende =20 ☃</p>\n")), "{html}");
    for link in ["href", "src=", "url(", "http"] {
        assert!(!html.contains(link), "{link} in {html}");
    }
}

#[test]
fn the_code_is_set_off_and_no_host_that_looks_like_one() {
    let subject = [("CHALLENGER_SUBJECT", "Your code for 3333-4444")];
    let text = "1234-5678 is your code for 3333-4444.\nNot 1111-2222.example, a@2222-3333.\n";
    let html = mail(&subject, text).parts()[HTML].content();
    let set_off = html.split("</strong>").map(|part| part.rsplit('>').next().unwrap());
    assert_eq!(set_off.collect::<Vec<_>>(), ["1234-5678", "\n"], "{html}");
}

#[test]
fn nothing_ends_lines_or_turns_them_around() {
    let subject = [("CHALLENGER_SUBJECT", "Your\u{2028}code\u{202e}")];
    let text = "1234-\u{200b}5678\u{2028}is\u{2029}your \u{202e}code\u{2066}\u{200f}.\n";
    let mail = mail(&subject, text);
    assert_eq!(mail.header("Subject"), "Your code");
    assert_eq!(mail.parts()[PLAIN].content(), "1234-5678 is your code.\n");
    for odd in ['\u{202e}', '\u{2028}', '\u{200b}', '\u{200d}', '\u{2067}', '\u{ad}'] {
        send_to(&format!("a{odd}da@example.com"), &[], text).failed(67, "e-mail address");
    }
}

#[test]
fn lines_of_ascii_come_as_they_are() {
    let short = format!("{MESSAGE}.\n..\n.hidden\n {}\n\ttab  \nFrom here\n", "y".repeat(70));
    for (message, encoding) in
        [(short.clone(), "7bit"), (short.replace('y', "yes, yes! "), "quoted-printable")]
    {
        let parts = mail(&[], &message).parts();
        assert_eq!(parts[PLAIN].header("Content-Transfer-Encoding"), encoding);
        assert_eq!(parts[PLAIN].content(), message);
    }
    // However the lines end, and whatever spaces are at the end.
    let parts = mail(&[], "one\r\n.\rtwo\n\n\n").parts();
    assert_eq!(parts[PLAIN].content(), "one\n.\ntwo\n");
}

#[test]
fn no_two_mails_have_the_same_id() {
    let ids = [mail(&[], MESSAGE), mail(&[], MESSAGE)].map(|mail| mail.header("Message-ID"));
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn the_operator_decides_over_the_server() {
    let told =
        [("CHALLENGER_SUBJECT", "Your code for shop.example"), ("CHALLENGER_LANGUAGE", "de")];
    let ours = [
        ("EMAIL_FROM", "\"Shop\" <noreply@shop.example>"),
        ("EMAIL_REPLY_TO", "Help <help@shop.example>"),
        ("EMAIL_SUBJECT", "Code"),
        ("EMAIL_LANGUAGE", "pt-BR"),
    ];
    let mail = mail(&[told, [ours[0], ours[1]], [ours[2], ours[3]]].concat(), MESSAGE);
    assert_eq!(mail.header("From"), "Shop <noreply@shop.example>");
    assert_eq!(mail.header("Reply-To"), "Help <help@shop.example>");
    assert_eq!(mail.header("Subject"), "Code");
    assert_eq!(mail.header("Content-Language"), "pt-BR");
}

#[test]
fn there_is_a_subject_in_the_language_of_the_message() {
    for (language, subject) in [
        ("", "Your code"),
        ("en-GB", "Your code"),
        ("DE-ch", "Ihr Code"),
        ("fr", "Votre code"),
        ("es", "Su código"),
        ("it", "Il Suo codice"),
        ("nl", "Uw code"),
        ("pl-PL", "Twój kod"),
        ("pt", "O seu código"),
        ("sv", "Your code"),
    ] {
        let mail = mail(&[("CHALLENGER_LANGUAGE", language)], MESSAGE);
        assert_eq!(mail.header("Subject"), subject);
        let told = mail.maybe_header("Content-Language").unwrap_or_default();
        assert_eq!(told, language);
    }
}

#[test]
fn recipients_come_as_json_or_bare() {
    let server = MailServer::new(Security::None);
    let settings = server.settings("127.0.0.1");
    for (arguments, recipient) in [
        (&["{ada}@example.com"][..], "{ada}@example.com"),
        (&[r#"{"CONTACT_EMAIL":"ada@example.com","more":1}"#], "ada@example.com"),
        (&["ada@example.com"], "ada@example.com"),
        (&["o'hara+x=y&z@example.com"], "o'hara+x=y&z@example.com"),
        (&[r#"{"CONTACT_EMAIL":"\"a> b\"@example.com"}"#], "\"a> b\"@example.com"),
        (&["ada@müller.example"], "ada@xn--mller-kva.example"),
        (&["ada@[127.0.0.1]"], "ada@[127.0.0.1]"),
        (&["--", "-f@example.com"], "-f@example.com"),
        (&["-v@example.com"], "-v@example.com"),
    ] {
        run(arguments, &settings, MESSAGE).sent();
        let taken = server.mails().pop().unwrap();
        assert!(taken.commands.contains(&format!("RCPT TO:<{recipient}>")), "{taken:?}");
        assert!(taken.commands.contains(&"MAIL FROM:<noreply@shop.example>".to_owned()));
        assert_eq!(Entity::parse(&taken.text).header("To"), recipient);
    }
}

#[test]
fn names_outside_of_ascii_need_a_server_that_takes_them() {
    let server = MailServer::new(Security::None);
    send_to("zoë@example.com", &server.settings("127.0.0.1"), MESSAGE).sent();
    let taken = server.mail();
    let sender = "MAIL FROM:<noreply@shop.example> SMTPUTF8 BODY=8BITMIME".to_owned();
    assert!(taken.commands.contains(&sender), "{taken:?}");
    assert!(taken.commands.contains(&"RCPT TO:<zoë@example.com>".to_owned()), "{taken:?}");
    assert!(taken.text.contains("\r\nTo: zoë@example.com\r\n"), "{taken:?}");

    let hello = Instead::Say("250-stand-in\r\n250 8BITMIME");
    let server = MailServer::with(Security::None, &[("EHLO", hello)]);
    let outcome = send_to("zoë@example.com", &server.settings("127.0.0.1"), MESSAGE);
    outcome.failed(67, "takes no addresses with letters outside of ASCII");
    let sender = with(&server.settings("127.0.0.1"), &[("EMAIL_FROM", "zoë@shop.example")]);
    send(&sender).failed(78, "takes no addresses with letters outside of ASCII");
}

#[test]
fn wrong_arguments_are_not_repeated() {
    let server = MailServer::new(Security::None);
    let settings = server.settings("127.0.0.1");
    for arguments in [
        &[][..],
        &["lovelace@example.com", "lovelace@example.com"],
        &["-v@", "lovelace@example.com"],
        &["{\"CONTACT_EMAIL\":\"lovelace@example.com\""],
        &["{\"CONTACT_EMAIL\":7}"],
        &["{\"CONTACT_PHONE\":\"lovelace@example.com\"}"],
    ] {
        run(arguments, &settings, MESSAGE).failed(64, "ADDRESS: ");
    }
    for address in [
        "-lovelace@",
        "help",
        "--lovelace",
        "",
        "lovelace",
        "lovelace@",
        "lovelace@example.com, lovelace@example.org",
        "<lovelace@example.com>",
        "lovelace@example.com\nBcc: lovelace@example.org",
        "\"lovelace\r\nRCPT TO:<b\"@example.com",
        "lovelace\u{85}@example.com",
        &format!("{}lovelace@example.com", "a".repeat(60)),
        &format!("lovelace@{}.example", "a".repeat(64)),
        "{\"CONTACT_EMAIL\":\"lovelace@example.com\\r\\nX: y\"}",
    ] {
        run(&[address], &settings, MESSAGE).failed(67, "ADDRESS: this is not an e-mail address");
    }
    assert!(server.mails().is_empty());
    let output = Command::new(PROGRAM).arg("--version").output().unwrap();
    let expected = format!("challenger-send-email {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), expected));
}

#[test]
fn what_is_no_message_is_not_sent() {
    let server = MailServer::new(Security::None);
    let settings = server.settings("127.0.0.1");
    let most = "a".repeat(64 * 1024);
    send_to(ADA, &settings, &most).sent();
    for (message, complaint) in [
        (&b""[..], "is empty"),
        (b" \r\n\t\n", "is empty"),
        (b"Z\xfcrich", "is not UTF-8"),
        (format!("{most}a").as_bytes(), "is longer than 65536 bytes"),
        (b"a\0b", "has control characters"),
        ("a\u{1b}[2Jb".as_bytes(), "has control characters"),
    ] {
        send_to(ADA, &settings, message).failed(69, complaint);
    }
    assert_eq!(server.mails().len(), 1);
}

#[test]
fn wrong_settings_are_told_with_what_would_be_right() {
    let server = MailServer::new(Security::None);
    let good = server.settings("127.0.0.1");
    send(&good).sent();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).display().to_string()
    };
    let (empty, broken) =
        (file("empty", ""), file("broken", "-----BEGIN CERTIFICATE-----\nAAAA\n"));
    let nothing = file("nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let login = [("SMTP_USER", USER), ("SMTP_PASSWORD", PASSWORD)];
    let secret = file("token", "ya29");
    let token = ("SMTP_OAUTH2_TOKEN_FILE", secret.as_str());
    let tls = ("SMTP_SECURITY", "tls");
    for (settings, complaint) in [
        (&[("EMAIL_FROM", "")][..], "EMAIL_FROM is not set: expected the sender, such as"),
        (
            &[("EMAIL_FROM", "shop")],
            "EMAIL_FROM is \"shop\": expected noreply@shop.example or Shop",
        ),
        (&[("EMAIL_FROM", "a@b.example\nBcc: c@d.example")], "EMAIL_FROM has a line break"),
        (&[("EMAIL_FROM", "A\r\nB: <a@b.example>")], "EMAIL_FROM has a line break"),
        (&[("EMAIL_REPLY_TO", "help")], "EMAIL_REPLY_TO is \"help\""),
        (&[("EMAIL_SUBJECT", "a\nBcc: c@d.example")], "EMAIL_SUBJECT has a line break"),
        (&[("CHALLENGER_SUBJECT", "a\r\n\r\nb")], "CHALLENGER_SUBJECT has a line break"),
        (&[("CHALLENGER_LANGUAGE", "d\u{7f}e")], "CHALLENGER_LANGUAGE has a line break or another"),
        (&[("EMAIL_LANGUAGE", "de\">")], "expected a language tag such as de or pt-BR"),
        (&[("EMAIL_LANGUAGE", "en-")], "expected a language tag such as de or pt-BR"),
        (&[("CHALLENGER_LANGUAGE", "de_DE")], "CHALLENGER_LANGUAGE is \"de_DE\": expected"),
        (&[("SMTP_HOST", "mail.example:25")], "SMTP_PORT takes the port"),
        (&[("SMTP_HOST", "smtps://mail.example")], "SMTP_SECURITY how to connect"),
        (&[("SMTP_HOST", ""), ("SMTP_SECURITY", "")], "SMTP_PORT is set, but not SMTP_HOST"),
        (&[("SMTP_PORT", "smtp")], "SMTP_PORT is \"smtp\": expected a number from 1 to 65535"),
        (&[("SMTP_PORT", "65536")], "expected a number from 1 to 65535"),
        (&[("SMTP_PORT", "0")], "expected a number from 1 to 65535"),
        (&[("SMTP_TIMEOUT", "20 s")], "SMTP_TIMEOUT is \"20 s\": expected a number from 1 to 3600"),
        (&[("SMTP_SECURITY", "TLS")], "SMTP_SECURITY is \"TLS\": expected tls, starttls or none"),
        (&[login[0]], "SMTP_USER is set, but not SMTP_PASSWORD"),
        (&[login[1]], "SMTP_PASSWORD is set, but not SMTP_USER"),
        (&[token], "SMTP_OAUTH2_TOKEN_FILE is set, but not SMTP_USER"),
        (&[login[0], login[1], token], "expected one of them"),
        (&[login[0], ("SMTP_OAUTH2_TOKEN_FILE", "/none")], "SMTP_OAUTH2_TOKEN_FILE /none: No such"),
        (&[login[0], ("SMTP_OAUTH2_TOKEN_FILE", &empty)], "an access token, of up to 8192"),
        (&[login[0], ("SMTP_OAUTH2_TOKEN_FILE", &broken)], "expected only an access token"),
        (&[login[0], token, ("SMTP_HOST", "mail.example")], "would show SMTP_OAUTH2_TOKEN_FILE"),
        (&[("SMTP_HELO", "shop")], "SMTP_HELO is \"shop\": expected the full name of this machine"),
        (&[("SMTP_HELO", "192.0.2.1")], "or its address, such as [192.0.2.1]"),
        (&[("SMTP_HELO", "mx.example x")], "SMTP_HELO is \"mx.example x\""),
        (&[("SMTP_HOST", ""), ("SMTP_HELO", "mx.example")], "is set, but not SMTP_HOST"),
        (&[login[0], login[1], ("SMTP_HOST", "mail.example")], "would show SMTP_PASSWORD"),
        (&[login[0], login[1], ("SMTP_HOST", "192.0.2.1")], "would show SMTP_PASSWORD"),
        (&[tls, ("SMTP_CA_FILE", "/none.pem")], "SMTP_CA_FILE /none.pem: No such file"),
        (&[tls, ("SMTP_CA_FILE", &empty)], "there is no certificate in PEM format"),
        (&[tls, ("SMTP_CA_FILE", &broken)], "broken: invalid certificates"),
        (&[tls, ("SMTP_CA_FILE", &nothing)], "nothing: "),
    ] {
        send(&with(&good, settings)).failed(78, complaint);
    }
    assert_eq!(server.mails().len(), 1);
    for host in ["localhost", "127.0.0.2"] {
        let settings = with(&good, &[login[0], login[1], ("SMTP_HOST", host)]);
        // There is no server at the second one, but it may be tried.
        assert_ne!(send(&settings).code, Some(78));
    }
}

#[test]
fn a_sender_is_one_address_with_one_name() {
    let server = MailServer::new(Security::None);
    let good = server.settings("127.0.0.1");
    for text in [
        "a@b.example, c@d.example",
        "A <a@b.example>, B <c@d.example>",
        "\"A\" <a@b.example>, \"B\" <c@d.example>",
        "a@b.example, B <c@d.example>",
        "Shops: a@b.example, c@d.example;",
        "Shops: A <a@b.example>;",
        "Shop <a@b.example> x",
        "Shop a@b.example>",
        "<<a@b.example>>",
        "\"Shop\\\" <a@b.example>",
        "Shop <>",
        ">",
    ] {
        for name in ["EMAIL_FROM", "EMAIL_REPLY_TO"] {
            let complaint = format!("{name} is {text:?}: expected noreply@shop.example or Shop <");
            send(&with(&good, &[(name, text)])).failed(78, &complaint);
        }
    }
    // Names with special characters are encoded.
    for (text, header) in [
        ("<a@b.example>", "a@b.example"),
        (" Shop, Inc.  <a@b.example> ", "Shop, Inc. <a@b.example>"),
        (r#""A \"B\" <C>" <a@b.example>"#, r#"A "B" <C> <a@b.example>"#),
        (r#""" <a@b.example>"#, "a@b.example"),
    ] {
        send(&with(&good, &[("EMAIL_FROM", text)])).sent();
        let mail = server.mails().pop().unwrap();
        assert_eq!(Entity::parse(&mail.text).header("From"), header);
        assert!(mail.commands.contains(&"MAIL FROM:<a@b.example>".to_owned()));
    }
}

/// Settings for a sendmail program that does this.
fn sendmail(folder: &Path, script: &str) -> Vec<Setting> {
    let program = folder.join("sendmail");
    write_script(&program, &format!("#!/bin/sh\ncd {}\n{script}", folder.display()));
    vec![("SENDMAIL", program.display().to_string())]
}

#[test]
fn without_a_server_sendmail_takes_the_mail() {
    let folder = tempfile::tempdir().unwrap();
    let script = "for it; do echo \"$it\"; done > arguments\ncat > mail\necho Queued.\n";
    let settings = sendmail(folder.path(), script);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    for (arguments, recipient) in [
        (&[ADA][..], "Ada.Lovelace@example.com"),
        (&["-oQ/tmp@example.com"], "-oQ/tmp@example.com"),
        (&["\"$(id) x\"@example.com"], "\"$(id) x\"@example.com"),
    ] {
        run(arguments, &settings, format!("{MESSAGE}.\nGrüße\n")).sent();
        let expected = format!("-i\n-f\nnoreply@shop.example\n--\n{recipient}\n");
        assert_eq!(read("arguments"), expected);
        // The lines of this machine, and dots as they are.
        assert!(!read("mail").contains('\r'));
        let mail = Entity::parse(&read("mail").replace('\n', "\r\n"));
        assert_eq!(mail.header("To"), recipient);
        assert_eq!(mail.parts()[PLAIN].content(), format!("{MESSAGE}.\nGrüße\n"));
    }
}

#[test]
fn what_sendmail_does_not_take_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("sendmail").display().to_string();
    for (script, code, complaint) in [
        (
            "echo \"$5: unknown, 1234-5678\" >&2; exit 67",
            67,
            "permanent failure: PLACE: status 67: ***: unknown, ***",
        ),
        ("cat >/dev/null; exit 75", 75, "temporary failure: PLACE: status 75"),
        ("exec <&-; exit 1", 69, "permanent failure: PLACE: status 1"),
        ("kill -9 $$", 69, "permanent failure: PLACE: signal 9"),
    ] {
        let outcome = send(&sendmail(folder.path(), script));
        outcome.failed(code, "");
        assert_eq!(outcome.said, complaint.replace("PLACE", &place));
    }
    for (status, code) in
        [(64, 78), (65, 69), (68, 68), (69, 69), (70, 69), (71, 75), (74, 75), (77, 78), (78, 78)]
    {
        let outcome = send(&sendmail(folder.path(), &format!("exit {status}")));
        outcome.failed(code, &format!("PLACE: status {status}").replace("PLACE", &place));
    }
    let missing = with(&[], &[("SENDMAIL", "/none/sendmail")]);
    send(&missing).failed(78, "SENDMAIL: there is no program /none/sendmail: expected its path");
}

#[test]
fn sendmail_gets_no_recipient_that_it_could_take_for_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let settings = sendmail(folder.path(), "touch started");
    for recipient in ["|id@example.com", "\"|id x\"@example.com", "/tmp/x@example.com"] {
        run(&[recipient], &settings, MESSAGE).failed(67, "is not given to a sendmail program");
        run(&["\":include:/etc/passwd\"@example.com"], &settings, MESSAGE).failed(67, "");
    }
    assert!(!folder.path().join("started").exists());
}

#[test]
fn a_sendmail_that_hangs_is_ended_with_all_it_has_started() {
    let folder = tempfile::tempdir().unwrap();
    let script = "sleep 600 & echo $! > child; echo $$ > own; wait";
    let settings = with(&sendmail(folder.path(), script), &[("SMTP_TIMEOUT", "3")]);
    send(&settings).failed(75, "temporary failure: ");
    for name in ["child", "own"] {
        let process = fs::read_to_string(folder.path().join(name)).unwrap();
        let stat = format!("/proc/{}/stat", process.trim());
        // Where nobody waits for orphans, a dead one stays as a zombie.
        wait_for("the end of what was started", || match fs::read_to_string(&stat) {
            Ok(stat) => stat.contains(") Z ").then_some(()),
            Err(_) => Some(()),
        });
    }
}

#[test]
fn the_code_of_a_flow_comes_by_mail() {
    let mail_server = MailServer::new(Security::StartTls);
    let mut site = Site::new(&format!("AUTH_COMMAND = {PROGRAM}"));
    let mut server = site.server();
    let login =
        [("SMTP_USER", USER), ("SMTP_PASSWORD", PASSWORD), ("EMAIL_FROM", "noreply@shop.example")];
    server.envs(with(&mail_server.settings("localhost"), &login));
    site.start_as(server);
    let url = site.url("config");
    site.wait_until(|| ureq::get(&url).call().is_ok());

    let nonce = site.setup();
    let reply = site.challenge(&nonce, "ada@example.com");
    assert_eq!(reply.status, 200, "{} {}", reply.body, site.log());
    let taken = mail_server.mail();
    assert!(taken.encrypted && taken.user.is_some());
    let parts = Entity::parse(&taken.text).parts();
    let pin = pin_in(&parts[PLAIN].content()).unwrap();
    assert_eq!(pin_in(&parts[HTML].content()), Some(pin.clone()));
    let reply = site.solve(&nonce, &pin);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let code = code_of(reply.json()["redirect_url"].as_str().unwrap());
    let token = site.token(&code).json()["access_token"].as_str().unwrap().to_owned();
    let address = &site.info(&token).json()["address"];
    assert_eq!(address["CONTACT_EMAIL"], "ada@example.com");
}

#[test]
fn a_flow_whose_mail_is_refused_says_so_in_the_log() {
    let refusal = Instead::Say("550 5.1.1 <ada@example.com>: no ada here");
    let mail_server = MailServer::with(Security::None, &[("RCPT", refusal)]);
    let mut site = Site::new(&format!("AUTH_COMMAND = {PROGRAM}"));
    let mut server = site.server();
    let from = [("EMAIL_FROM", "noreply@shop.example")];
    server.envs(with(&mail_server.settings("localhost"), &from));
    site.start_as(server);
    let url = site.url("config");
    site.wait_until(|| ureq::get(&url).call().is_ok());

    let nonce = site.setup();
    assert_eq!(site.challenge(&nonce, "ada@example.com").status, 502);
    let why = "refused the recipient: 550 5.1.1 <***>: no *** here";
    assert!(site.log().contains(why), "{}", site.log());
}
