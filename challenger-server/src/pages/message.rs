//! The text that is sent to the address.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::TemplateError;
use super::template::{Escaping, Template};

/// The message that is used where the operator gives no other.
const SHIPPED: (&str, &str) =
    ("message.en.must", include_str!("../../../templates/message.en.must"));

/// Whether a template's file holds a message, and no page.
pub(super) fn is_message(file_name: &str) -> bool {
    file_name.strip_prefix("message").is_some_and(|rest| rest.starts_with(['.', '-']))
}

/// The template of a message. It is plain text, so nothing in it is escaped.
pub struct MessageTemplate(Template);

impl MessageTemplate {
    /// The message that comes with the program.
    ///
    /// # Errors
    /// None, as long as its test passes.
    pub fn embedded() -> Result<Self, TemplateError> {
        Self::named(Path::new(SHIPPED.0), SHIPPED.1)
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
    fn the_shipped_message_says_what_is_needed() {
        let message = MessageTemplate::embedded().expect("good");
        let data = json!({
            "pin": "1234-5678", "reference": "KWRTBA", "client": "shop.example", "minutes": 1440,
            "host": "id.example", "address": {"CONTACT_EMAIL": "ada@example.com"},
            "nonce": "SECRETNONCE",
        });
        let text = message.render(&data);
        for part in ["1234-5678", "KWRTBA", "shop.example", "id.example"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // Whoever holds the nonce can act in the person's place.
        assert!(!text.contains("SECRETNONCE"));
        assert!(!text.contains("\n\n\n") && text.ends_with('\n'));
        let bare = message.render(&json!({"pin": "1234-5678", "reference": "KWRTBA"}));
        assert!(bare.contains("1234-5678") && !bare.contains("  "), "{bare}");
    }
}
