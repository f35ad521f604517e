//! The text that is sent to the address, and its subject.

use std::collections::BTreeMap;
use std::path::Path;

use challenger_proto::address::{AddressType, Channel};
use challenger_proto::http::{FALLBACK_LANGUAGE, Variables};

use super::advice::{ExpandedMessage, SECRETS};
use super::catalogue::SUBJECT;
use super::expand::Source;
use super::sources::{MESSAGE, Sources};
use super::template::{Escaping, Template};
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
    /// let data = json!({"pin": "1234-5678", "client": "shop.example"}).into();
    /// let message = Messages::embedded()?.render("de", &data).ok_or("no German")?;
    /// assert_eq!(message.subject, "Ihr Code für shop.example");
    /// assert!(message.text.starts_with("1234-5678 ist Ihr Code für shop.example."));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn render(&self, language: &str, data: &Variables) -> Option<Message> {
        let MessageTemplate { subject, text } = self.by_language.get(language)?;
        let subject = subject.render(&data.without(&SECRETS)).replace(char::is_control, " ");
        Some(Message { subject: subject.trim().to_owned(), text: text.render(data) })
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
        };
        let place = format!("{} ({language})", secrecy::path(source.file));
        let expanded = ExpandedMessage { text: &text, subject: &subject, place, is_sms };
        let advice = expanded.advice(&template.text);
        Ok((template, advice))
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
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;

    const LANGUAGES: [&str; 5] = ["de", "en", "es", "fr", "it"];
    const TYPES: [&str; 6] = ["address", "email", "file", "phone", "postal", "postal-ch"];

    fn kind(name: &str) -> AddressType {
        AddressType::new(name).expect("a name")
    }

    fn shipped(address_type: &str) -> Messages {
        let (messages, errors) = Messages::compile(&Sources::embedded(), Some(&kind(address_type)));
        assert_eq!(errors, []);
        assert_eq!(messages.warnings(), [""; 0]);
        assert!(messages.languages().eq(LANGUAGES));
        messages
    }

    fn data(client: &str, host: &str) -> Variables {
        Variables::from(json!({
            "pin": "1234-5678", "pin_digits": "12345678", "reference": "KWRTBA",
            "client": client, "minutes": 1440, "expires": "2026-01-05 10:01 UTC",
            "host": host, "address": {"CONTACT_EMAIL": "ada@example.com"}, "nonce": "SECRETNONCE",
        }))
    }

    /// The text of a message from the operator's file.
    fn said(text: &str, data: Value) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("message.txt");
        fs::write(&file, text).expect("a file");
        let mut sources = Sources::embedded();
        let mut errors = sources.choose_message(&file);
        let (messages, more) = Messages::compile(&sources, None);
        errors.extend(more);
        match errors.as_slice() {
            [] => messages.render("en", &data.into()).expect("English").text,
            [error, ..] => error.to_string().replace(&*file.to_string_lossy(), "FILE"),
        }
    }

    #[test]
    fn nothing_is_escaped_and_no_blank_lines_stay() {
        let text = "{{#client}}\nFor {{client}}\n{{/client}}\n{{! note }}\nCode: {{pin}}\n";
        let known = json!({"pin": "1234-5678", "client": "<O'Neill & Söhne>"});
        assert_eq!(said(text, known), "For <O'Neill & Söhne>\nCode: 1234-5678\n");
        assert_eq!(said(text, json!({"pin": "{{pin}}"})), "Code: {{pin}}\n");
        assert_eq!(said("{{>message.private}}", json!({})), "Do not share it with anybody.");
    }

    #[test]
    fn a_bad_message_is_refused() {
        assert_eq!(said("a\n{{#b}}", json!({})), "FILE:2: {{#b}} is never closed");
        let expected = "FILE:1: {{>message.x}}: en.lang has no x in [message]";
        assert_eq!(said("{{>message.x}}", json!({})), expected);
        let errors = Sources::embedded().choose_message(Path::new("/no/such.must"));
        assert!(errors[0].to_string().starts_with("/no/such.must: No such file"), "{errors:?}");
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn the_shipped_messages_say_what_is_needed() {
        for (address_type, language) in TYPES.iter().flat_map(|t| LANGUAGES.map(|l| (t, l))) {
            let messages = shipped(address_type);
            let place = format!("{address_type} {language}");
            let message = messages.render(language, &data("shop.example", "id.example"));
            let Message { subject, text } = message.expect("there");
            for part in ["1234-5678", "KWRTBA", "shop.example", "id.example"] {
                assert!(text.contains(part), "{place}: {part}: {text}");
            }
            // Nobody wants to look for the code, or to ask who is asking.
            let first = text.lines().next().expect("a line");
            assert!(first.contains("shop.example"), "{text}");
            if address_type.starts_with("postal") || *address_type == "address" {
                // Programs that print letters recognize the code by its line, whatever else looks
                // like one.
                assert_eq!(text.lines().nth(2), Some("1234-5678"), "{text}");
            } else {
                assert!(first.contains("1234-5678"), "{text}");
            }
            // An SMS is short.
            let until = text.contains("2026-01-05 10:01 UTC");
            assert_eq!(until, *address_type != "phone", "{place}: {text}");
            // Anybody who has the nonce can act in the person's place.
            assert!(!text.contains("SECRETNONCE"), "{place}");
            assert!(!text.contains("\n\n\n") && !text.contains("  "), "{place}: {text}");
            assert!(text.lines().all(|line| line.chars().count() <= 100), "{place}: {text}");
            assert!(!text.contains(['<', '{', '}']), "{place}: {text}");
            assert!(subject.contains("shop.example"), "{subject}");

            let bare = messages.render(language, &data("", "")).expect("there");
            assert!(bare.text.contains("1234-5678") && !bare.text.contains("  "), "{place}");
            assert!(!bare.text.contains(" ."), "{place}: {}", bare.text);
            assert!(!bare.text.contains(['@', '#']), "{place}: {}", bare.text);
            assert!(bare.subject.len() > 5 && !bare.subject.ends_with(' '), "{}", bare.subject);
        }
    }

    #[test]
    fn subjects_are_one_line_and_know_no_secret() {
        let mut sources = Sources::embedded();
        let folder = tempfile::tempdir().expect("a folder");
        let words = "[message]\nsubject = {{client}}{{pin}}{{pin_digits}}{{nonce}} {{reference}}";
        fs::write(folder.path().join("en.lang"), words).expect("a file");
        assert_eq!(sources.overlay(folder.path()), []);
        let (messages, errors) = Messages::compile(&sources, None);
        assert_eq!(errors, []);
        let subject = messages.render("en", &data("<a>\r\nBcc: b\0", "")).expect("there").subject;
        assert_eq!(subject, "<a>  Bcc: b  KWRTBA");
        assert!(messages.render("pt", &data("", "")).is_none());
    }

    #[test]
    fn an_sms_is_one_and_its_last_line_names_the_site() {
        let (long, longer) = ("a".repeat(40), "b".repeat(40));
        let messages = shipped("phone");
        for (client, host) in [
            ("shop.example", "id.example"),
            ("kyc.bank-of-somewhere.example.ch", "sms.challenger.somewhere.example"),
            ("", "sms.challenger.example.com"),
            ("exchange.example.com", ""),
            (&long, &longer),
        ] {
            for language in LANGUAGES {
                let text = messages.render(language, &data(client, host)).expect("there").text;
                // The characters that take seven bits in an SMS and are used here.
                let short = |c: char| {
                    c == '\n' || c.is_ascii_alphanumeric() || " .-:#@äéèöùüÄÖÜ".contains(c)
                };
                assert!(text.chars().all(short), "{text}");
                assert!(text.chars().count() <= 160, "{}: {text}", text.chars().count());
                let last = text.lines().last().unwrap_or_default();
                let bound = format!("@{host} #12345678");
                assert_eq!(last == bound && text.ends_with(&bound), !host.is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn the_best_message_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let [operators, installed] = ["a", "b"].map(|name| folder.path().join(name));
        let say = |folder: &Path, name: &str, text: &str| {
            fs::create_dir_all(folder).expect("a folder");
            fs::write(folder.join(name), text).expect("a file");
        };
        let nothing = Variables::default();
        let said = |name: &str| {
            let mut sources = Sources::embedded();
            for folder in [&installed, &operators] {
                if folder.exists() {
                    assert_eq!(sources.overlay(folder), []);
                }
            }
            match Messages::compile(&sources, Some(&kind(name))) {
                (it, errors) if errors.is_empty() => it.render("en", &nothing).expect("it").text,
                (_, errors) => errors[0].to_string(),
            }
        };
        let shipped: Vec<String> = ["phone", "postal", "email"].map(said).into();
        assert_eq!(["address", "postal-ch"].map(said), [&*shipped[1]; 2]);
        assert_eq!(["file", "own"].map(said), [&*shipped[2]; 2]);
        assert!(shipped[0] != shipped[1] && shipped[1] != shipped[2] && shipped[0] != shipped[2]);
        say(&installed, "message-phone.en.must", "installed");
        say(&installed, "message-own.must", "installed own");
        assert_eq!(
            ["phone", "own", "email"].map(said),
            ["installed", "installed own", &shipped[2]]
        );
        say(&operators, "message.en.must", "for all");
        assert_eq!(["phone", "postal", "email"].map(said), ["for all"; 3]);
        say(&operators, "message-postal-ch.must", "Swiss");
        say(&operators, "message-postal.en.must", "letter");
        assert_eq!(["postal-ch", "address", "phone"].map(said), ["Swiss", "letter", "for all"]);
        say(&operators, "message-phone.en.must", "{{#never}}");
        assert!(said("phone").contains("message-phone.en.must:1: {{#never}}"), "{}", said("phone"));
    }

    #[test]
    fn a_message_is_in_the_languages_that_it_was_written_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let say = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("a file");
        };
        let chosen = |name: &str| {
            let mut sources = Sources::embedded();
            assert_eq!(sources.choose_message(&folder.path().join(name)), []);
            let (messages, errors) = Messages::compile(&sources, Some(&kind("phone")));
            assert_eq!(errors, []);
            let said = messages.languages().map(|language| {
                let data = json!({"pin": "1"}).into();
                let message = messages.render(language, &data).expect("there");
                format!("{language}: {}", message.text)
            });
            said.collect::<Vec<_>>()
        };
        say("sms.fr.must", "{{pin}} !");
        say("sms.pt.must", "{{pin}} {{>sms.private}}");
        say("other.de.must", "no");
        say("sms.part.must", "no");
        let both = ["fr: 1 !", "pt: 1 Do not share it."];
        assert_eq!(chosen("sms.fr.must"), both);
        assert_eq!(chosen("sms.pt.must"), both);
        say("sms.must", "{{pin}}: {{>sms.private}}");
        let all = [
            "de: 1: Nicht weitergeben.",
            "en: 1: Do not share it.",
            "es: 1: No la comparta.",
            "fr: 1 !",
            "it: 1: Non lo condivida.",
            "pt: 1 Do not share it.",
        ];
        assert_eq!(chosen("sms.must"), all);
        say("sms.txt", "{{pin}}");
        assert_eq!(chosen("sms.txt"), LANGUAGES.map(|language| format!("{language}: 1")));
    }

    #[test]
    fn what_only_readers_would_notice_is_said_at_start() {
        let advice = |address_type: &str, text: &str| {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("sms.txt");
            fs::write(&file, text).expect("a file");
            let mut sources = Sources::embedded();
            assert_eq!(sources.choose_message(&file), []);
            let (messages, errors) = Messages::compile(&sources, Some(&kind(address_type)));
            assert_eq!(errors, []);
            let name = file.display().to_string();
            let advice = messages.warnings().iter().map(|it| it.replace(&name, "F"));
            advice.filter(|it| !it.contains(" (es)") && !it.contains(" (it)")).collect::<Vec<_>>()
        };
        let last = "\n@{{host}} #{{pin_digits}}";
        let good = format!("{{{{client}}}}{last}");
        assert_eq!(advice("phone", &good), [""; 0]);
        assert_eq!(advice("email", "’ {{pin}}{{#pin}}{{/pin}} {{reference}}"), [""; 0]);
        let no_pin =
            ["de", "en", "fr"].map(|it| format!("F ({it}): the message has no {{{{pin}}}}"));
        assert_eq!(advice("email", "{{#pin}}pin{{/pin}}"), no_pin);
        let nonce = advice("email", "{{pin}}\n\n{{{nonce}}}");
        assert_eq!(nonce.len(), 1, "{nonce:?}");
        assert!(nonce[0].starts_with("F:3: {{nonce}} lets whoever reads the message act"));
        let text = format!("é\n{{{{#client}}}}\nê ê’{{{{/client}}}}{last}");
        let odd = advice("phone", &text);
        assert_eq!(odd.len(), 2, "{odd:?}");
        for (advice, character) in odd.iter().zip(["`ê` (U+00EA)", "`’` (U+2019)"]) {
            let expected = format!("F:3: an SMS has no {character} in its alphabet, and has room");
            assert!(advice.starts_with(&expected), "{odd:?}");
        }
        let odd = advice("phone", &format!("{{{{>message.ignore}}}}{last}"));
        let is_french = |it: &&String| it.starts_with("fr.lang:") && it.contains("has no `’`");
        assert_eq!(odd.iter().filter(is_french).count(), 1, "{odd:?}");
        let long = advice("phone", &format!("{}{{{{pin}}}}{good}", "x".repeat(61)));
        let two = |it| {
            format!(
                "F ({it}): the message takes 2 SMS when the names of both sites have 40 characters"
            )
        };
        assert_eq!(long, ["de", "en", "fr"].map(two));
        let behind = advice("phone", &format!("{good}\n"));
        assert!(behind[0].contains("has something behind the line `@{{host}} #{{pin_digits}}`"));
        assert_eq!(behind.len(), 3);
        for text in ["{{pin}}", "{{pin}} @{{host}} #{{pin_digits}}", "{{pin}}\n@{{host}} #{{pin}}"]
        {
            let advice = advice("phone", text);
            assert!(
                advice[0].contains("F (de): the message does not end with a line"),
                "{advice:?}"
            );
            assert_eq!(advice.len(), 3, "{advice:?}");
        }
    }

    #[test]
    fn a_secret_in_a_subject_is_said_at_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("de.lang");
        fs::write(&file, "[message]\n\nsubject = Code {{pin}}").expect("a file");
        let mut sources = Sources::embedded();
        assert_eq!(sources.overlay(folder.path()), []);
        let (messages, _) = Messages::compile(&sources, None);
        let expected = format!("{}:3: a subject does not get to know {{{{pin}}}}", file.display());
        assert_eq!(messages.warnings(), [expected]);
    }
}
