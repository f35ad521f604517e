//! The person of `--selftest`, who clicks, types, and mistypes once.

use challenger_proto::address::AddressType;
use challenger_server::pages::escape_html;
use serde_json::Value;

use super::browser::{Browser, Reply, attribute, resolve};
use super::inbox::written;
use crate::exit::say;

/// The person's addresses.
const ADDRESS: [(&str, &str); 5] = [
    ("ADDRESS_COUNTRY", "CH"),
    ("ADDRESS_LINES", "Bahnhofstrasse 1\n8001 Zürich"),
    ("CONTACT_EMAIL", "ada@example.com"),
    ("CONTACT_NAME", "Ada Lovelace"),
    ("CONTACT_PHONE", "+41791234567"),
];

/// Goes through the whole process over HTTP, and prints a line for each step.
///
/// # Errors
/// The first step that did not go as it should.
pub(super) fn prove(site_url: &str, address_type: &AddressType) -> Result<(), String> {
    let fields = address_type.fields().unwrap_or_default();
    let address = ADDRESS.into_iter().filter(|(name, _)| fields.contains(name));
    let address: Vec<(&str, &str)> = address.collect();
    let value = |field: &str| address.iter().find(|(name, _)| *name == field).map(|it| it.1);
    let address_text = written(address_type, value);
    let in_one_line = address_text.replace('\n', ", ");

    let browser = Browser::new();
    let shop = expect(200, "the shop", browser.open(site_url)?)?;
    report("The person opens the demo shop.");
    let start = form_action(&shop, site_url)?;
    let sent = expect(303, "the shop's button", browser.submit(&start, &[])?)?;
    let authorize = sent.location.ok_or("the shop sent the person nowhere")?;
    let cookie = sent.cookie.ok_or("the shop set no cookie")?;
    report("The shop pushes its request to /par and sends the person to /authorize.");

    let led = expect(302, "/authorize", browser.open(&authorize)?)?;
    let led = led.location.ok_or("the service sent the person nowhere")?;
    let authorize = resolve(&authorize, &led);
    let form = expect(200, "/authorize", browser.open(&authorize)?)?;
    let challenge = form_action(&form, &authorize)?;
    report("The service asks for the address.");
    let form = expect(200, "/challenge", browser.submit(&challenge, &address)?)?;
    report(&format!("The person enters {in_one_line}; the service sends a message there."));

    let inbox = browser.open(&format!("{site_url}inbox.json"))?;
    let inbox = expect(200, "the inbox", inbox)?;
    let messages: Value = serde_json::from_str(&inbox.body).unwrap_or_default();
    let code = messages.pointer("/0/code").and_then(Value::as_str).ok_or("no message arrived")?;
    report("The message arrives, with a code.");
    let solve = form_action(&form, &challenge)?;
    let wrong = wrong_code(code);
    expect(403, "/solve with a wrong code", browser.submit(&solve, &[("pin", &wrong)])?)?;
    report("The person mistypes the code; the service refuses it and counts.");
    let right = browser.submit(&solve, &[("pin", code)])?;
    let right = expect(302, "/solve with the right code", right)?;
    let callback = right.location.ok_or("the service sent the person nowhere")?;
    report("The person enters the right code; the service sends them back to the shop.");

    let thanks = expect(200, "the shop's callback", browser.open_with(&callback, &cookie)?)?;
    let shown = format!("<strong id=\"address\">{}</strong>", escape_html(&address_text));
    if !thanks.body.contains(&shown) {
        return Err("the shop does not show the address".to_string());
    }
    report("The shop exchanges the code at /token and reads the address at /info.");
    report(&format!("The shop knows: {in_one_line} is this person's address."));
    Ok(())
}

fn report(step: &str) {
    // Whether anybody reads along does not matter to the test.
    let _ = say(&format!("  ok  {step}"));
}

fn expect(status: u16, what: &str, reply: Reply) -> Result<Reply, String> {
    if reply.status == status {
        Ok(reply)
    } else {
        Err(format!("{what} answered {} instead of {status}", reply.status))
    }
}

fn form_action(page: &Reply, url: &str) -> Result<String, String> {
    let action = attribute(&page.body, "<form", "action");
    action.map(|action| resolve(url, &action)).ok_or_else(|| "the page has no form".to_string())
}

/// Another code: the last digit is changed.
fn wrong_code(code: &str) -> String {
    let mut wrong = code.to_string();
    let last = wrong.pop().and_then(|digit| digit.to_digit(10)).unwrap_or_default();
    wrong.push(char::from_digit((last + 1) % 10, 10).unwrap_or('0'));
    wrong
}
