//! Advice on messages: mistakes that only their readers would notice.

use challenger_proto::http::Variables;
use serde_json::json;

use super::expand::Expanded;
use super::sms;
use super::template::Template;

/// The length of the host names that a message is tried with. Most have half of that.
const HOST_LEN: usize = 40;
/// The codes that a message is tried with.
const PIN: &str = "1234-5678";
const PIN_DIGITS: &str = "12345678";

/// Variables that a subject never gets: mail programs show it to everybody who sees the screen.
pub(super) const SECRETS: [&str; 3] = ["nonce", "pin", "pin_digits"];

/// A message with its parts and words in it, before it is compiled.
pub(super) struct ExpandedMessage<'a> {
    pub text: &'a Expanded<'a>,
    pub subject: &'a Expanded<'a>,
    /// The file of the text, and its language.
    pub place: String,
    /// Whether it is sent as an SMS.
    pub is_sms: bool,
}

impl ExpandedMessage<'_> {
    /// Everything odd, each with its file, and with its line if there is one.
    pub(super) fn advice(&self, template: &Template) -> Vec<String> {
        let mut advice = self.about_secrets();
        let said = template.render(&sample());
        if !said.contains(PIN) && !said.contains(PIN_DIGITS) {
            advice.push(format!("{}: the message has no {{{{pin}}}}", self.place));
        }
        if self.is_sms {
            advice.extend(self.about_characters());
            advice.extend(self.about_sms(&said));
        }
        advice
    }

    fn about_secrets(&self) -> Vec<String> {
        let mut advice = Vec::new();
        if let Some(place) = tag(self.text, "nonce") {
            advice.push(format!(
                "{place}: {{{{nonce}}}} lets whoever reads the message act in the person's place: \
                 {{{{reference}}}} is for people to compare"
            ));
        }
        for secret in SECRETS {
            if let Some(place) = tag(self.subject, secret) {
                advice.push(format!("{place}: a subject does not get to know {{{{{secret}}}}}"));
            }
        }
        advice
    }

    /// Reports each character once that makes the whole message cost more.
    fn about_characters(&self) -> Vec<String> {
        let mut advice = Vec::new();
        let mut seen = String::new();
        let mut offset = 0;
        for part in self.text.text.split_inclusive("}}") {
            let words = part.split("{{").next().unwrap_or_default();
            for (start, character) in words.char_indices() {
                if !sms::is_cheap(character) && !seen.contains(character) {
                    seen.push(character);
                    let (place, code) = (self.text.place(offset + start), u32::from(character));
                    advice.push(format!(
                        "{place}: an SMS has no `{character}` (U+{code:04X}) in its alphabet, and \
                         has room for 70 characters only because of it"
                    ));
                }
            }
            offset += part.len();
        }
        advice
    }

    fn about_sms(&self, said: &str) -> Vec<String> {
        let Self { place, .. } = self;
        let mut advice = Vec::new();
        let count = sms::count(said);
        if count > 1 {
            advice.push(format!(
                "{place}: the message takes {count} SMS when the names of both sites have \
                 {HOST_LEN} characters"
            ));
        }
        let bound = format!("@{} #{PIN_DIGITS}", "b".repeat(HOST_LEN));
        if !said.ends_with(&format!("\n{bound}")) {
            let what = if said.lines().any(|line| line == bound) {
                "has something behind the line"
            } else {
                "does not end with a line"
            };
            advice.push(format!(
                "{place}: the message {what} `@{{{{host}}}} #{{{{pin_digits}}}}`, by which \
                 browsers fill in the code on the right page only"
            ));
        }
        advice
    }
}

/// The place of a variable, if it is used.
fn tag(expanded: &Expanded<'_>, name: &str) -> Option<String> {
    let offset = expanded.text.find(&format!("{{{{{name}}}}}"))?;
    Some(expanded.place(offset))
}

fn sample() -> Variables {
    Variables::from(json!({
        "address": {"CONTACT_PHONE": "+41791234567"},
        "client": "a".repeat(HOST_LEN),
        "expires": "2026-01-05 10:01 UTC",
        "host": "b".repeat(HOST_LEN),
        "minutes": 1440,
        "nonce": "",
        "pin": PIN,
        "pin_digits": PIN_DIGITS,
        "reference": "KWRTBA",
        "until": {"day": 30, "hour": "10", "minute": "01", "september": true, "year": 2026},
        // None is longer.
        "valid": {"minutes": 120, "text": "120 min"},
    }))
}
