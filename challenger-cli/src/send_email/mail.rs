//! The mail: its headers, and the message as plain text and as HTML.

use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};

use super::conversation::Transaction;
use super::html;
use super::settings::{Settings, Words};
use super::text::Codes;

/// A mail, ready to be handed over.
pub(super) struct Mail {
    pub(super) from: Address,
    pub(super) to: Address,
    /// Headers and body, in lines that end in CRLF.
    pub(super) text: String,
}

impl Mail {
    /// What a mail server gets of it.
    pub(super) fn transaction(&self) -> Transaction {
        let (from, to) = (self.from.to_string(), self.to.to_string());
        Transaction { from, to, text: self.text.clone() }
    }
}

/// Writes the mail.
///
/// # Errors
/// The library cannot build the mail; the message says why.
pub(super) fn compose(
    settings: &Settings,
    words: &Words,
    recipient: Address,
    message: String,
) -> Result<Mail, String> {
    let Words { subject, language } = words;
    let from = settings.from.email.clone();
    let id = format!("<{:032x}@{}>", rand::random::<u128>(), from.domain());
    // Otherwise the library would look for it in the headers.
    let envelope = Envelope::new(Some(from.clone()), vec![recipient.clone()]);
    let mut builder = Message::builder()
        .envelope(envelope.map_err(|error| error.to_string())?)
        .message_id(Some(id))
        .date_now()
        .from(settings.from.clone())
        .to(Mailbox::new(None, recipient.clone()))
        .subject(subject)
        // RFC 3834 §5, and what Microsoft's servers read instead: no machine is to answer.
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Auto-Response-Suppress", "All"));
    if let Some(reply_to) = &settings.reply_to {
        builder = builder.reply_to(reply_to.clone());
    }
    if let Some(language) = language {
        builder = builder.raw_header(header("Content-Language", language));
    }
    let codes = Codes::new(&message, &[subject, recipient.as_ref()]);
    let page = html::page(&message, subject, language.as_deref(), &codes);
    let parts = MultiPart::alternative()
        .singlepart(SinglePart::plain(message))
        .singlepart(SinglePart::html(page));
    let mail = builder.multipart(parts).map_err(|error| error.to_string())?;
    let text = String::from_utf8(mail.formatted()).map_err(|error| error.to_string())?;
    Ok(Mail { from, to: recipient, text })
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
