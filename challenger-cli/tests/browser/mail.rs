//! The HTML of a mail as a mail program shows it: in every language, on small and large screens,
//! light and dark, and without its styles.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{fs, io::Write};

use challenger_proto::address::AddressType;
use challenger_server::pages::{Messages, Sources};
use serde_json::json;

use crate::complaints::Complaints;
use crate::driver::Browser;
use crate::entity::Entity;
use crate::language::READERS;
use crate::site::write_script;
use crate::view::{DESK, PHONE, Taste, photograph, please, resize};
use crate::{accessible, layout, view};

const CODE: &str = "1234-5678";

/// Keeps the mail, in place of a program that delivers it.
const SENDMAIL: &str = "#!/bin/sh\ncat >\"$(dirname \"$0\")/mail\"\n";

/// The words of the mail, and the text for mail programs without HTML.
struct Mail {
    html: String,
    text: String,
}

/// The mail that a message becomes.
fn mail(folder: &Path, language: &str, subject: &str, message: &str) -> Mail {
    let sendmail = folder.join("sendmail");
    write_script(&sendmail, SENDMAIL);
    let mut helper = Command::new(env!("CARGO_BIN_EXE_challenger-send-email"))
        .arg("ada@example.com")
        .env("EMAIL_FROM", "no-reply@id.example")
        .env("SENDMAIL", &sendmail)
        .env("CHALLENGER_LANGUAGE", language)
        .env("CHALLENGER_SUBJECT", subject)
        .env("CHALLENGER_BASE_CONFIG", folder.join("none"))
        .env("HOME", folder)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    helper.stdin.take().unwrap().write_all(message.as_bytes()).unwrap();
    assert!(helper.wait().unwrap().success());
    let mail = fs::read_to_string(folder.join("mail")).unwrap();
    let mail = mail.replace("\r\n", "\n").replace('\n', "\r\n");
    let parts = Entity::parse(&mail).parts();
    let part = |kind: &str| parts[&format!("{kind}; charset=utf-8")].content();
    Mail { html: part("text/html"), text: part("text/plain") }
}

/// Opens a page in the browser that is not on the web.
fn open(browser: &Browser, folder: &Path, html: &str) {
    let file = folder.join("mail.html");
    fs::write(&file, html).unwrap();
    browser.open(&format!("file://{}", file.display()));
}

/// The lines that can be seen, without those between paragraphs.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect()
}

/// Looks at the mail that is shown, to every taste.
fn look(browser: &Browser, name: &str, complaints: &mut Complaints) {
    for (width, taste) in [(PHONE, Taste::Light), (PHONE, Taste::Dark), (DESK, Taste::Dark)] {
        resize(browser, width, 1);
        please(browser, taste);
        let name = format!("mail-{name}.{width}.{}", taste.name());
        complaints.add(&name, layout::found(browser, width));
        complaints.add(&name, view::complaints(browser, taste));
        // The subject is the heading of a mail.
        let axe = accessible::complaints(browser).into_iter();
        complaints.add(&name, axe.filter(|it| !it.starts_with("page-has-heading-one")));
        photograph(browser, &name);
    }
}

#[test]
fn a_mail_can_be_read_in_every_program() {
    let folder = tempfile::tempdir().unwrap();
    let browser = Browser::start();
    let mut complaints = Complaints::default();
    let email = AddressType::new("email").unwrap();
    let (messages, _) = Messages::compile(&Sources::embedded(), Some(&email));
    let long = "a-very-long-name-of-a-host-that-nobody-types-by-hand.somewhere.example";
    for ((_, language), host) in READERS.into_iter().zip(["id.example", long].into_iter().cycle()) {
        let data = json!({
            "pin": CODE, "client": "Ada’s Shop & Söhne", "host": host, "reference": "KWRTBA",
            "address": {"CONTACT_EMAIL": "ada@example.com"}, "valid": {"hours": 24},
            "until": {"day": 30, "november": true, "year": 2026, "hour": "04", "minute": "25"},
        });
        let message = messages.render(language, &data.into()).unwrap();
        let Mail { html, text } = mail(folder.path(), language, &message.subject, &message.text);
        assert_eq!(lines(&text), lines(&message.text));
        open(&browser, folder.path(), &html);
        look(&browser, language, &mut complaints);
        assert_eq!(browser.find("main").attribute("lang").as_deref(), Some(language));
        the_code_is_large_and_one_click_selects_it(&browser);
        // Some programs leave out the styles.
        let strip = "document.querySelectorAll('style').forEach((it) => it.remove());
            document.querySelectorAll('[style]').forEach((it) => it.removeAttribute('style'));";
        browser.script(strip, &[]);
        assert_eq!(lines(&browser.text()), lines(&message.text));
    }
    complaints.assert_none();
}

fn the_code_is_large_and_one_click_selects_it(browser: &Browser) {
    let code = browser.find("strong");
    let seen = "const style = getComputedStyle(arguments[0]);
        const px = [style.fontSize, style.letterSpacing].map(parseFloat);
        return [arguments[0].textContent, ...px, style.fontFamily.includes('monospace')];";
    let seen = browser.script(seen, &[code.as_json()]);
    assert_eq!((&seen[0], &seen[3]), (&json!(CODE), &json!(true)));
    assert!(seen[1].as_f64() >= Some(32.0) && seen[2].as_f64() > Some(1.0), "{seen}");
    code.click();
    assert_eq!(browser.script("return String(getSelection())", &[]), json!(CODE));
}

#[test]
fn a_mail_from_right_to_left_begins_on_the_right() {
    let folder = tempfile::tempdir().unwrap();
    let browser = Browser::start();
    let mut complaints = Complaints::default();
    let message = "shop.example רוצה לאמת את כתובת הדוא״ל שלך. הזינו את הקוד הזה:\n\n1234-5678\n\n\
                   אסמכתה: KWRTBA\n";
    let mail = mail(folder.path(), "he", "הקוד שלך", message);
    open(&browser, folder.path(), &mail.html);
    look(&browser, "he", &mut complaints);
    complaints.assert_none();
    let edge = "const box = document.querySelector('strong').getBoundingClientRect();
        return document.querySelector('main').getBoundingClientRect().right - box.right;";
    let edge = browser.script(edge, &[]).as_f64().unwrap();
    assert!(edge < 20.0, "the code ends {edge} px before the edge");
}
