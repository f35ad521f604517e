//! The text that is sent to the address, and its subject.

use std::collections::BTreeMap;
use std::path::Path;

use challenger_proto::Transmission;
use challenger_proto::address::{AddressType, Channel};
use challenger_proto::http::{FALLBACK_LANGUAGE, Variables};

use super::advice::{ExpandedMessage, SECRETS};
use super::catalogue::SUBJECT;
use super::expand::Source;
use super::sms;
use super::sources::{MESSAGE, Sources};
use super::template::{Escaping, Template};
use super::variables::{self, Scope};
use super::{TemplateError, compiled};
use crate::secrecy;

/// Whether a template is for a message, not for a page.
pub(super) fn is_message(name: &str) -> bool {
    name.strip_prefix(MESSAGE).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// A message, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// One line, without a secret.
    pub subject: String,
    /// The body.
    pub text: String,
}

/// The message by language. It is plain text, so nothing in it is escaped.
pub struct Messages {
    by_language: BTreeMap<String, MessageTemplate>,
    warnings: Vec<String>,
}

/// A message in one language.
struct MessageTemplate {
    subject: Template,
    text: Template,
    is_sms: bool,
}

impl Messages {
    /// The message for a type of address: the operator's best one, else the best installed one,
    /// else the best one of the program. Also returns the errors of some languages.
    pub fn compile(
        sources: &Sources,
        address_type: Option<&AddressType>,
    ) -> (Self, Vec<TemplateError>) {
        let mut messages = Self { by_language: BTreeMap::new(), warnings: Vec::new() };
        let mut errors = Vec::new();
        let is_sms = address_type.is_some_and(|it| it.channel() == Channel::Phone);
        for (language, source) in sources.best_templates(&names(address_type)) {
            match MessageTemplate::compile(sources, source, language, is_sms) {
                Ok((template, advice)) => messages.add(language, template, advice),
                Err(error) if errors.contains(&error) => {}
                Err(error) => errors.push(error),
            }
        }
        (messages, errors)
    }

    /// The message that comes with the program for types of address that have none of their own.
    ///
    /// # Errors
    /// The shipped message is broken; a test prevents that.
    pub fn embedded() -> Result<Self, TemplateError> {
        let (messages, errors) = Self::compile(&Sources::embedded(), None);
        errors.into_iter().next().map_or(Ok(messages), Err)
    }

    /// A text as the message in English.
    ///
    /// # Errors
    /// [`TemplateError`] when it is not a good template.
    pub fn parse(sources: &Sources, text: &str) -> Result<Self, TemplateError> {
        let source = Source::file(Path::new(MESSAGE), text);
        let mut messages = Self { by_language: BTreeMap::new(), warnings: Vec::new() };
        let (template, advice) =
            MessageTemplate::compile(sources, source, FALLBACK_LANGUAGE, false)?;
        messages.add(FALLBACK_LANGUAGE, template, advice);
        Ok(messages)
    }

    fn add(&mut self, language: &str, template: MessageTemplate, advice: Vec<String>) {
        self.by_language.insert(language.to_owned(), template);
        // A template for all languages is reported once.
        for warning in advice {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// Things that are allowed but deserve a look, each with its file.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The languages of the message.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.by_language.keys().map(String::as_str)
    }

    /// Fills in a message; `None` when it does not exist in the language.
    ///
    /// ```
    /// use challenger_server::pages::Messages;
    /// use serde_json::json;
    ///
    /// let data = json!({
    ///     "pin": "1234-5678", "client": "shop.example", "reference": "KWRTBA",
    /// });
    /// let message = Messages::embedded()?.render("de", &data.into()).ok_or("no German")?;
    /// assert_eq!(message.subject, "Ihr Code für shop.example (Referenz KWRTBA)");
    /// assert!(message.text.starts_with("shop.example möchte Ihre Adresse überprüfen. "));
    /// assert!(message.text.contains(":\n\n1234-5678\n\nReferenz: KWRTBA\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn render(&self, language: &str, data: &Variables) -> Option<Message> {
        let template = self.by_language.get(language)?;
        let subject = template.subject.render(&data.without(&SECRETS));
        let subject = subject.replace(char::is_control, " ").trim().to_owned();
        Some(Message { subject, text: template.text(data) })
    }
}

impl MessageTemplate {
    /// Compiles a message, and returns it with advice.
    fn compile(
        sources: &Sources,
        source: Source<'_>,
        language: &str,
        is_sms: bool,
    ) -> Result<(Self, Vec<String>), TemplateError> {
        let none = Source::file(Path::new(""), "");
        let subject_source = sources.words(SUBJECT, language).unwrap_or(none);
        let subject = sources.expand(subject_source, language)?;
        let text = sources.expand(source, language)?;
        let template = Self {
            subject: compiled(subject_source, &subject, Escaping::None)?,
            text: compiled(source, &text, Escaping::None)?,
            is_sms,
        };
        let place = format!("{} ({language})", secrecy::path(source.file));
        let expanded = ExpandedMessage { text: &text, subject: &subject, place, is_sms };
        let mut advice = expanded.advice(&template.text);
        let names = Transmission::variable_names();
        let scope = Scope { verdict: "messages have no such variable", names: &names };
        for (source, part) in [(source, &text), (subject_source, &subject)] {
            advice.extend(variables::unknown(source.file, part, &scope, &scope));
        }
        Ok((template, advice))
    }

    /// The body. A client's name may be long, and one letter of it that an SMS does not have leaves
    /// room for 70 characters only. If that costs more, its host stands for it.
    fn text(&self, data: &Variables) -> String {
        let named = self.text.render(data);
        let Some(host) = data.get("client_host").filter(|_| self.is_sms) else { return named };
        let mut data = data.clone();
        data.set("client", host.clone());
        let short = self.text.render(&data);
        if sms::count(&short) < sms::count(&named) { short } else { named }
    }
}

/// The names of the templates for a type's message, the best first.
fn names(address_type: Option<&AddressType>) -> Vec<String> {
    let own = address_type.map(AddressType::as_str);
    let is_letter = address_type.is_some_and(|it| it.channel() == Channel::Post);
    let letter = is_letter.then_some("postal");
    let special = own.into_iter().chain(letter).map(|kind| format!("{MESSAGE}-{kind}"));
    special.chain([MESSAGE.to_owned()]).collect()
}

#[cfg(test)]
mod tests;
