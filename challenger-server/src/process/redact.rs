//! Makes foreign output fit for the log: one line, without what belongs to a person.

/// Stands for whatever was taken out.
const HIDDEN: &str = "***";

/// The texts that must not be logged.
#[derive(Default)]
pub(super) struct Redaction(Vec<String>);

impl Redaction {
    /// Takes the texts to hide. Each is also hidden as JSON spells it, and line by line, because
    /// that is how a postal address gets printed.
    pub(super) fn new(secrets: &[String]) -> Self {
        let json = |secret: &String| serde_json::Value::from(secret.as_str()).to_string();
        let mut spellings = Vec::new();
        for secret in secrets {
            spellings.push(secret.clone());
            spellings.push(json(secret).trim_matches('"').to_string());
            spellings.extend(secret.lines().map(|line| line.trim().to_string()));
        }
        spellings.retain(|spelling| !spelling.is_empty());
        Self(spellings)
    }

    /// The text of `output` on one line, with `***` for everything hidden and escapes for what is
    /// not printable. If the output was `cut` off, a hidden text that only began is hidden, too.
    pub(super) fn line(&self, output: &[u8], cut: bool) -> String {
        let text = String::from_utf8_lossy(output);
        // The cut may have gone through a character.
        let text = if cut { text.trim_end_matches(char::REPLACEMENT_CHARACTER) } else { &text };
        let text = text.trim();
        let hidden = self.hidden(text, cut);
        let mut line = String::with_capacity(text.len());
        let mut within = false;
        for (start, character) in text.char_indices() {
            let hide = hidden.get(start).copied().unwrap_or_default();
            match (hide, within) {
                (true, true) => {}
                (true, false) => line.push_str(HIDDEN),
                (false, _) => push_printable(&mut line, character),
            }
            within = hide;
        }
        line
    }

    /// For each byte of the text whether it is hidden.
    fn hidden(&self, text: &str, cut: bool) -> Vec<bool> {
        let mut hidden = vec![false; text.len()];
        let mut hide = |start: usize, end: usize| {
            if let Some(range) = hidden.get_mut(start..end) {
                range.fill(true);
            }
        };
        for secret in &self.0 {
            for (start, found) in text.match_indices(secret.as_str()) {
                hide(start, start + found.len());
            }
            let beginnings = secret.char_indices().filter_map(|(end, _)| secret.get(..end));
            let begun = beginnings.rev().find(|beginning| text.ends_with(*beginning));
            if let Some(begun) = begun.filter(|_| cut) {
                hide(text.len() - begun.len(), text.len());
            }
        }
        hidden
    }
}

/// Escapes control characters, and the backslash so that nobody can forge an escape. Quotes do no
/// harm in a log line.
fn push_printable(line: &mut String, character: char) {
    match character {
        '"' | '\'' => line.push(character),
        _ => line.extend(character.escape_debug()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(secrets: &[&str], output: &str, cut: bool) -> String {
        let secrets: Vec<String> = secrets.iter().map(ToString::to_string).collect();
        Redaction::new(&secrets).line(output.as_bytes(), cut)
    }

    #[test]
    fn secrets_vanish_in_every_spelling() {
        let secrets = ["Ada \"Countess\"\nMain St 1\r\n8000 Zürich", "1234-5678", "12345678", ""];
        let cases = [
            ("sent 1234-5678 and 12345678", "sent *** and ***"),
            ("at Main St 1, in 8000 Zürich.", "at ***, in ***."),
            (r#"{"A":"Ada \"Countess\"\nMain St 1\r\n8000 Zürich"}"#, r#"{"A":"***"}"#),
            ("1234-56781234-5678", "***"),
            ("nothing to hide", "nothing to hide"),
            ("", ""),
        ];
        for (output, expected) in cases {
            assert_eq!(line(&secrets, output, false), expected);
        }
    }

    #[test]
    fn overlapping_secrets_vanish_whole() {
        assert_eq!(line(&["abcd", "cdef", "b"], "-abcdef-", false), "-***-");
    }

    #[test]
    fn a_secret_cut_in_two_vanishes() {
        assert_eq!(line(&["Zürich", "12345678"], "in Zü", true), "in ***");
        assert_eq!(line(&["12345678"], "PIN 12345", true), "PIN ***");
        assert_eq!(line(&["12345678"], "PIN 12345", false), "PIN 12345");
        assert_eq!(Redaction::new(&["Zürich".to_string()]).line(b"in Z\xc3", true), "in ***");
    }

    #[test]
    fn the_log_keeps_its_lines() {
        let output = "one\ntwo\r\t\u{1b}[31m\u{202e}\u{2028}\\n 'ü' \"🙂\"\n";
        let expected = r#"one\ntwo\r\t\u{1b}[31m\u{202e}\u{2028}\\n 'ü' "🙂""#;
        assert_eq!(line(&[], output, false), expected);
        assert_eq!(Redaction::default().line(b"\xff\0", false), "\u{fffd}\\0");
    }
}
