//! The helper of the demonstration: it delivers each message into an inbox, for people and for the
//! tests of applications, and shows it in the terminal.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use challenger_proto::address::{Address, AddressType, Channel};
use challenger_proto::{Failure, FailureKind, Timestamp, Transmission};
use challenger_server::front::Answer;
use challenger_server::pages::{Message, Messages, escape_html};
use challenger_server::ports::Helper;
use serde_json::{Value, json};

use super::behind;
use super::pages::Pages;
use super::site::answer;

/// How many messages are kept: more than anybody reads, and a few MiB at most.
const MESSAGES_MAX: usize = 100;

/// The latest messages, the newest first.
#[derive(Default)]
pub(super) struct Inbox(Mutex<VecDeque<Received>>);

/// A message, and where it went.
struct Received {
    address: Address,
    /// The address as people write it, in lines.
    receiver: String,
    code: String,
    reference: String,
    language: String,
    message: Message,
    time: Timestamp,
}

impl Inbox {
    fn add(&self, received: Received) {
        let mut messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        messages.truncate(MESSAGES_MAX - 1);
        messages.push_front(received);
    }

    /// The inbox for people.
    pub(super) fn page(&self, pages: &Pages<'_>) -> Answer {
        let words = &pages.words.inbox;
        let (back, home) = if pages.has_shop {
            (words.to_shop, "/")
        } else {
            (words.to_service, pages.service_url)
        };
        let mut content = format!(
            "<div class=\"inbox\">\n<div class=\"card\">\n<h1>{}</h1>\n<p>{}</p>\n\
             <a class=\"button\" href=\"/inbox\">{}</a>\n\
             <p class=\"way\"><a href=\"{home}\">{back}</a></p>\n</div>\n",
            words.title, words.text, words.refresh,
        );
        let messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if messages.is_empty() {
            content.push_str(&format!("<p class=\"card\">{}</p>\n", words.empty));
        }
        let each = messages.iter().map(|message| message.to_html(pages));
        content.extend(each);
        pages.page(200, words.title, &(content + "</div>"), &behind::inbox())
    }

    /// The inbox for programs: an array, because then the latest code is `[0].code`. It has a path
    /// of its own rather than being negotiated, because a test needs nothing but a URL then, and
    /// people see the same in a browser.
    pub(super) fn json(&self) -> Answer {
        let messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let array: Vec<Value> = messages.iter().map(Received::to_json).collect();
        answer(200, "application/json", Value::from(array).to_string())
    }
}

impl Received {
    /// The message as people see it, with what they look for first. The words around it are in
    /// the reader's language, which may be another one.
    fn to_html(&self, pages: &Pages<'_>) -> String {
        let Self { receiver, code, reference, language, message, time, .. } = self;
        let Message { subject, text } = message;
        let words = &pages.words.inbox;
        let class = match pages.channel {
            Channel::Phone => "phone",
            Channel::Post => "post",
            _ => "email",
        };
        format!(
            "<article class=\"card {class}\">\n<div class=\"head\">\n\
             <h2 lang=\"{language}\">{}</h2>\n<p>{}: {}</p>\n<p>{}</p>\n</div>\n\
             <dl class=\"told\">\n<div><dt>{}</dt><dd class=\"code\">{code}</dd></div>\n\
             <div><dt>{}</dt><dd class=\"code\">{reference}</dd></div>\n</dl>\n\
             <pre class=\"text\" lang=\"{language}\">{}</pre>\n</article>\n",
            escape_html(subject),
            words.to,
            escape_html(receiver),
            time.to_text(),
            words.code,
            words.reference,
            escape_html(text.trim_end()),
            language = escape_html(language),
        )
    }

    fn to_json(&self) -> Value {
        json!({
            "address": self.address.to_json(),
            "code": self.code,
            "reference": self.reference,
            "language": self.language,
            "subject": self.message.subject,
            "text": self.message.text,
            "time": self.time.to_json(),
        })
    }
}

/// The values of an address in the order in which people write them, each in its lines. The fields
/// of its type are looked up by name.
pub(super) fn written<'a>(
    address_type: &AddressType,
    value: impl Fn(&str) -> Option<&'a str>,
) -> String {
    let fields = address_type.fields().unwrap_or_default().iter();
    let values: Vec<&str> = fields.filter_map(|field| value(field)).collect();
    values.join("\n")
}

/// Delivers each message.
pub(super) struct Delivery {
    pub(super) inbox: Arc<Inbox>,
    pub(super) messages: Messages,
    pub(super) address_type: AddressType,
    /// The service's host, for messages.
    pub(super) host: String,
    /// Whether each message is also shown in the terminal.
    pub(super) show: bool,
}

impl Helper for Delivery {
    fn send(&self, transmission: &Transmission) -> Result<(), Failure> {
        let language = &transmission.language;
        let variables = transmission.variables(&self.host);
        let Some(message) = self.messages.render(language, &variables) else {
            return Err(Failure::new(
                FailureKind::Misconfigured,
                format!("there is no message in {language}"),
            ));
        };
        let text =
            |name| variables.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let received = Received {
            address: transmission.address.clone(),
            receiver: written(&self.address_type, |field| transmission.address.get(field)),
            code: text("pin"),
            reference: text("reference"),
            language: language.clone(),
            message,
            time: transmission.now,
        };
        if self.show {
            let envelope = envelope(self.address_type.channel(), &received);
            write!(std::io::stdout().lock(), "{envelope}").map_err(|error| {
                Failure::new(FailureKind::Unknown, format!("the terminal: {error}"))
            })?;
        }
        self.inbox.add(received);
        Ok(())
    }
}

/// A message with a frame around it. Control characters, which a terminal would obey, are left out.
fn envelope(channel: Channel, received: &Received) -> String {
    let kind = match channel {
        Channel::Email => "E-mail",
        Channel::Phone => "Text message",
        Channel::Post => "Letter",
        _ => "Message",
    };
    let printable = |text: &str| text.replace(|c: char| c.is_control(), "");
    let Message { subject, text } = &received.message;
    let mut framed =
        format!("┌── {kind} to {}\n", printable(&received.receiver.replace('\n', ", ")));
    framed.push_str(&format!("│  {}\n│\n", printable(subject)));
    for line in text.lines() {
        framed.push_str(&format!("│  {}\n", printable(line)));
    }
    framed.push_str("└──\n\n");
    framed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(receiver: &str, subject: &str, text: &str) -> Received {
        let address = Address::new([("CONTACT_EMAIL".to_owned(), receiver.to_owned())]).unwrap();
        Received {
            address,
            receiver: receiver.to_owned(),
            code: "1234-5678".to_owned(),
            reference: "KWRTBA".to_owned(),
            language: "en".to_owned(),
            message: Message { subject: subject.into(), text: text.into() },
            time: Timestamp::EPOCH,
        }
    }

    #[test]
    fn messages_cannot_play_tricks_on_the_terminal() {
        let message = received("a\u{1b}[2J@b\nc", "\u{9b}code", "one\u{7}\ntwo\r");
        let text = envelope(Channel::Email, &message);
        assert_eq!(text, "┌── E-mail to a[2J@b, c\n│  code\n│\n│  one\n│  two\n└──\n\n");
    }

    #[test]
    fn the_oldest_messages_make_room() {
        let inbox = Inbox::default();
        for number in 0..MESSAGES_MAX + 5 {
            inbox.add(received("a@b", &number.to_string(), ""));
        }
        let array: Value = serde_json::from_slice(&inbox.json().body).unwrap();
        let subjects: Vec<&str> =
            array.as_array().unwrap().iter().map(|it| it["subject"].as_str().unwrap()).collect();
        assert_eq!((subjects.len(), subjects[0]), (MESSAGES_MAX, "104"));
        assert_eq!(subjects.last(), Some(&"5"));
    }
}
