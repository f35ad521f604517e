//! The person of `--selftest`, who clicks, types, and mistypes once.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::browser::{Browser, Reply, attribute, resolve};
use crate::exit::say;

/// The person's address.
const ADDRESS: &str = "ada@example.com";

/// How long the person waits for the message.
const PATIENCE: Duration = Duration::from_secs(30);

/// Goes through the whole process over HTTP, and prints a line for each step.
///
/// # Errors
/// The first step that did not go as it should.
pub(super) fn prove(client_url: &str, mailbox: &Receiver<String>) -> Result<(), String> {
    let browser = Browser::new();
    let shop = expect(200, "the shop", browser.open(client_url)?)?;
    report("The person opens the demo shop.");
    let start = form_action(&shop, client_url)?;
    let sent = expect(303, "the shop's button", browser.submit(&start, &[])?)?;
    let authorize = sent.location.ok_or("the shop sent the person nowhere")?;
    report("The shop calls /setup and sends the person to /authorize.");

    let form = expect(200, "/authorize", browser.open(&authorize)?)?;
    let challenge = form_action(&form, &authorize)?;
    report("The service asks for an e-mail address.");
    let form =
        expect(200, "/challenge", browser.submit(&challenge, &[("CONTACT_EMAIL", ADDRESS)])?)?;
    report(&format!("The person enters {ADDRESS}; the service sends a message there."));

    let message = mailbox.recv_timeout(PATIENCE).map_err(|_| "no message arrived".to_string())?;
    let code = find_code(&message).ok_or("the message has no code")?;
    report("The message arrives, with a code.");
    let solve = form_action(&form, &challenge)?;
    let wrong = wrong_code(&code);
    expect(403, "/solve with a wrong code", browser.submit(&solve, &[("pin", &wrong)])?)?;
    report("The person mistypes the code; the service refuses it and counts.");
    let right = browser.submit(&solve, &[("pin", &code)])?;
    let right = expect(302, "/solve with the right code", right)?;
    let callback = right.location.ok_or("the service sent the person nowhere")?;
    report("The person enters the right code; the service sends them back to the shop.");

    let thanks = expect(200, "the shop's callback", browser.open(&callback)?)?;
    let shown = thanks.body.contains(&format!("<strong id=\"address\">{ADDRESS}</strong>"));
    if !shown {
        return Err("the shop does not show the address".to_string());
    }
    report("The shop exchanges the code at /token and reads the address at /info.");
    report(&format!("The shop knows: {ADDRESS} is this person's address."));
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

/// The first `NNNN-NNNN` in a text.
fn find_code(message: &str) -> Option<String> {
    let is_code = |word: &&str| {
        word.len() == 9
            && word
                .char_indices()
                .all(|(at, c)| if at == 4 { c == '-' } else { c.is_ascii_digit() })
    };
    let words = message.split(|c: char| !(c.is_ascii_digit() || c == '-'));
    words.into_iter().find(is_code).map(str::to_string)
}

/// Another code: the last digit is changed.
fn wrong_code(code: &str) -> String {
    let mut wrong = code.to_string();
    let last = wrong.pop().and_then(|digit| digit.to_digit(10)).unwrap_or_default();
    wrong.push(char::from_digit((last + 1) % 10, 10).unwrap_or('0'));
    wrong
}
