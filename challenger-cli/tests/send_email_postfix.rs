//! Delivers to a real Postfix, which is as strict as it can be.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod email;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use email::postfix::Postfix;
use email::{ADA, MESSAGE, send, send_to, with};

#[test]
fn postfix_takes_our_mails() {
    let postfix = Postfix::start();
    // A dot alone, one in front, and a long line.
    let message = format!("{MESSAGE}.\n..\n.hidden\n{}\n", "long ".repeat(500));
    for security in ["starttls", "tls"] {
        send_to(ADA, &postfix.settings(security), &message).sent();
        let mail = postfix.mails("ada", 1).remove(0);
        assert!(mail.starts_with("Return-Path: <noreply@shop.example>\n"), "{mail}");
        assert!(mail.contains("\nTo: Ada.Lovelace@example.com\n"), "{mail}");
        assert!(mail.contains("\n1234-5678 is your code for shop.example.\n"), "{mail}");
        assert!(mail.contains("\n.\n..\n.hidden\nlong long "), "{mail}");
        assert!(mail.contains(" with ESMTPS "), "{mail}");
    }
    send_to("zoë@example.com", &postfix.settings("tls"), MESSAGE).sent();
    let mail = postfix.mails("zoe", 1).remove(0);
    assert!(mail.contains("\nTo: zoë@example.com\n") && mail.contains("with UTF8SMTPS"), "{mail}");
    send(&postfix.sendmail()).sent();
    assert!(postfix.mails("ada", 1)[0].contains("\n1234-5678 is your code"));
}

#[test]
fn postfix_says_what_is_wrong() {
    let postfix = Postfix::start();
    let good = postfix.settings("starttls");
    for (recipient, code, said) in [
        (
            "bob@example.com",
            67,
            "refused the recipient: 550 5.1.1 <***>: Recipient address rejected",
        ),
        ("bob@other.example", 78, "refused the recipient: 554 5.7.1 <***>: Relay access denied"),
    ] {
        send_to(recipient, &good, MESSAGE).failed(code, said);
    }
    let clear = with(&good, &[("SMTP_SECURITY", "none")]);
    send(&clear).failed(78, "refused the sender: 530 5.7.0 Must issue a STARTTLS command first");
    let login = [("SMTP_USER", "ann"), ("SMTP_PASSWORD", "swordfish")];
    send(&with(&good, &login)).failed(78, "offers no login for these settings");
    let other = postfix.path("other.pem");
    send(&with(&good, &[("SMTP_CA_FILE", &other)])).failed(78, "UnknownIssuer");
    // It would not take a name without a dot.
    let mut stream = TcpStream::connect(("127.0.0.1", postfix.starttls_port())).unwrap();
    stream.write_all(b"EHLO shop\r\n").unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    let said: Vec<String> = lines.skip(1).take(1).collect();
    assert!(said[0].starts_with("504 5.5.2 <shop>: Helo command rejected"), "{said:?}");
}
