//! The text that is sent to the address.

use std::fs;
use std::path::{Path, PathBuf};

use challenger_proto::AddressType;
use serde_json::Value;

use super::TemplateError;
use super::template::{Escaping, Template};

/// The messages that come with the program, the one for all types of address last.
const SHIPPED: [(&str, &str); 3] =
    shipped!["message-phone.en.must", "message-postal.en.must", "message.en.must"];

/// The types whose messages are letters.
const LETTERS: [&str; 3] = ["address", "postal", "postal-ch"];

/// Whether a template's file holds a message, and no page.
pub(super) fn is_message(file_name: &str) -> bool {
    file_name.strip_prefix("message").is_some_and(|rest| rest.starts_with(['.', '-']))
}

/// The template of a message. It is plain text, so nothing in it is escaped.
pub struct MessageTemplate(Template);

impl MessageTemplate {
    /// The message for a type of address: the best in the first of these folders that has one,
    /// else the best that comes with the program.
    ///
    /// # Errors
    /// [`TemplateError`] when it cannot be read or is not a good template.
    pub fn of_type(address_type: &AddressType, folders: &[PathBuf]) -> Result<Self, TemplateError> {
        let names = names(address_type);
        let paths = folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
        // One that is there and cannot be read is no reason to send another.
        if let Some(file) = paths.into_iter().find(|path| fs::symlink_metadata(path).is_ok()) {
            return Self::load(&file);
        }
        let shipped = |name: &String| SHIPPED.into_iter().find(|(shipped, _)| shipped == name);
        match names.iter().find_map(shipped) {
            Some((name, text)) => Self::named(Path::new(name), text),
            None => Self::embedded(),
        }
    }

    /// The message that comes with the program for types of address that have none of their own.
    ///
    /// # Errors
    /// None, as long as its test passes.
    pub fn embedded() -> Result<Self, TemplateError> {
        let [.., (name, text)] = SHIPPED;
        Self::named(Path::new(name), text)
    }

    /// Reads the file of a message.
    ///
    /// # Errors
    /// [`TemplateError`] when it cannot be read or is not a good template.
    pub fn load(file: &Path) -> Result<Self, TemplateError> {
        let text = fs::read_to_string(file).map_err(|error| TemplateError::unread(file, &error))?;
        Self::named(file, &text)
    }

    /// Compiles a message.
    ///
    /// # Errors
    /// [`TemplateError`] when it is not a good template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Self::named(Path::new("message"), text)
    }

    fn named(file: &Path, text: &str) -> Result<Self, TemplateError> {
        match Template::parse(text, Escaping::None) {
            Ok((template, _)) => Ok(Self(template)),
            Err(complaint) => Err(TemplateError::new(file, complaint)),
        }
    }

    /// Fills in a message.
    ///
    /// ```
    /// use challenger_server::pages::MessageTemplate;
    /// use serde_json::json;
    ///
    /// let message = MessageTemplate::parse("Your code: {{pin}}")?;
    /// assert_eq!(message.render(&json!({"pin": "1234-5678"})), "Your code: 1234-5678");
    /// # Ok::<(), challenger_server::pages::TemplateError>(())
    /// ```
    pub fn render(&self, data: &Value) -> String {
        self.0.render(data)
    }
}

/// The files of a type's message, the best first.
fn names(address_type: &AddressType) -> Vec<String> {
    let own = address_type.as_str();
    let letter = LETTERS.contains(&own).then_some("message-postal.en.must".to_owned());
    [format!("message-{own}.en.must")]
        .into_iter()
        .chain(letter)
        .chain(["message.en.must".to_owned()])
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_escaped_and_no_blank_lines_stay() {
        let text = "{{#client}}\nFor {{client}}\n{{/client}}\n{{! note }}\nCode: {{pin}}\n";
        let message = MessageTemplate::parse(text).expect("good");
        let data = json!({"pin": "1234-5678", "client": "<O'Neill & Söhne>"});
        assert_eq!(message.render(&data), "For <O'Neill & Söhne>\nCode: 1234-5678\n");
        assert_eq!(message.render(&json!({"pin": "{{pin}}"})), "Code: {{pin}}\n");
    }

    #[test]
    fn a_bad_message_is_refused() {
        let error = MessageTemplate::parse("a\n{{#b}}").err().expect("bad");
        assert_eq!(error.to_string(), "message:2: {{#b}} is never closed");
        let error = MessageTemplate::load(Path::new("/no/such.must")).err().expect("missing");
        assert!(error.to_string().starts_with("/no/such.must: No such file"), "{error}");
    }

    #[test]
    fn the_shipped_messages_say_what_is_needed() {
        for (name, template) in SHIPPED {
            let message = MessageTemplate::parse(template).expect("good");
            let data = json!({
                "pin": "1234-5678", "pin_digits": "12345678", "reference": "KWRTBA",
                "client": "shop.example", "minutes": 1440, "expires": "2026-01-05 10:01 UTC",
                "host": "id.example", "address": {"CONTACT_EMAIL": "ada@example.com"},
                "nonce": "SECRETNONCE",
            });
            let text = message.render(&data);
            for part in ["1234-5678", "KWRTBA", "shop.example", "id.example"] {
                assert!(text.contains(part), "{name}: {part}: {text}");
            }
            // A letter arrives when nobody remembers any more, and a message by phone is short.
            assert_eq!(text.contains("2026-01-05 10:01 UTC"), name.contains("postal"), "{text}");
            // Whoever holds the nonce can act in the person's place.
            assert!(!text.contains("SECRETNONCE"));
            assert!(!text.contains("\n\n\n"), "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
            let bare = json!({"pin": "1234-5678", "reference": "KWRTBA", "expires": "never"});
            let bare = message.render(&bare);
            assert!(bare.contains("1234-5678") && !bare.contains("  "), "{bare}");
            assert!(!bare.contains(" ."), "{bare}");
            assert!(!bare.contains(['@', '#']), "{bare}");
        }
    }

    #[test]
    fn an_sms_is_one_and_its_last_line_names_the_site() {
        let (_, template) = SHIPPED[0];
        let sms = MessageTemplate::parse(template).expect("good");
        for (client, host) in [
            ("shop.example", "id.example"),
            ("exchange.demo.taler.example", "challenger.demo.taler.example"),
            ("kyc.bank-of-somewhere.example.ch", "sms.challenger.somewhere.example"),
            ("", "sms.challenger.example.com"),
            ("exchange.example.com", ""),
        ] {
            let text = sms.render(&json!({
                "pin": "1234-5678", "pin_digits": "12345678", "reference": "KWRTBA",
                "client": client, "host": host, "minutes": 1440, "expires": "2026-01-05 10:01 UTC",
            }));
            // The characters that take seven bits in an SMS, and are the same in ASCII.
            let short = |c: char| c == '\n' || (c.is_ascii_graphic() || c == ' ') && c != '`';
            assert!(text.chars().all(|c| short(c) && !"[\\]^{|}~".contains(c)), "{text}");
            assert!(text.chars().count() <= 160, "{}: {text}", text.chars().count());
            let last = text.lines().last().unwrap_or_default();
            let bound = format!("@{host} #12345678");
            assert_eq!(last == bound && text.ends_with(&bound), !host.is_empty(), "{text}");
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
        let folders = [operators.clone(), installed.clone()];
        let said = |name: &str| {
            let address_type = AddressType::new(name).expect("a name");
            let message = MessageTemplate::of_type(&address_type, &folders);
            message.map_or_else(|error| error.to_string(), |it| it.render(&json!({})))
        };
        let shipped: Vec<String> = ["phone", "postal", "email"].map(said).into();
        assert_eq!(["address", "postal-ch"].map(said), [&*shipped[1]; 2]);
        assert_eq!(["file", "own"].map(said), [&*shipped[2]; 2]);
        assert!(shipped[0] != shipped[1] && shipped[1] != shipped[2] && shipped[0] != shipped[2]);
        say(&installed, "message-phone.en.must", "installed");
        say(&installed, "message-own.en.must", "installed own");
        assert_eq!(
            ["phone", "own", "email"].map(said),
            ["installed", "installed own", &shipped[2]]
        );
        say(&operators, "message.en.must", "for all");
        assert_eq!(["phone", "postal", "email"].map(said), ["for all"; 3]);
        say(&operators, "message-postal-ch.en.must", "Swiss");
        say(&operators, "message-postal.en.must", "letter");
        assert_eq!(["postal-ch", "address", "phone"].map(said), ["Swiss", "letter", "for all"]);
        say(&operators, "message-phone.en.must", "{{#never}}");
        assert!(said("phone").contains("message-phone.en.must:1: {{#never}}"), "{}", said("phone"));
    }
}
