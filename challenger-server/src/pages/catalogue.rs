//! The words of one language: texts by section and key, in the syntax of our configuration.
//!
//! A text is a little template itself. The same key in a file that is read later replaces it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::TemplateError;
use super::expand::Source;
use crate::config::parse::{Line, parse};

/// The key of the direction of writing, which is not a text to show.
pub(super) const DIRECTION: &str = "language.direction";
/// The key of the message's subject, which no template names.
pub(super) const SUBJECT: &str = "message.subject";

/// Texts by `section.key`.
#[derive(Default)]
pub(super) struct Catalogue(BTreeMap<String, Entry>);

struct Entry {
    text: String,
    file: PathBuf,
    line: usize,
}

impl Catalogue {
    /// Adds all texts of a file, which replace earlier ones, and returns the errors of broken ones.
    pub(super) fn read(&mut self, file: &Path, text: &[u8]) -> Vec<TemplateError> {
        let complain =
            |line, reason: String| TemplateError { file: file.into(), line: Some(line), reason };
        let lines = match parse(text) {
            Ok(lines) => lines,
            Err((line, error)) => return Vec::from([complain(line, error.to_string())]),
        };
        let mut errors = Vec::new();
        let mut section = String::new();
        for (line, content) in lines {
            match content {
                Line::Directive(_) => {
                    errors.push(complain(line, "a catalogue cannot include files".to_string()));
                }
                Line::Section(name) => section = name,
                Line::Option { name, value } => {
                    let key = format!("{section}.{name}").to_ascii_lowercase();
                    match complaint_about(&key, &value) {
                        Some(reason) => errors.push(complain(line, reason)),
                        None => {
                            let entry = Entry { text: value, file: file.into(), line };
                            self.0.insert(key, entry);
                        }
                    }
                }
            }
        }
        errors
    }

    /// A text by its name.
    pub(super) fn get(&self, name: &str) -> Option<Source<'_>> {
        self.0.get(name).map(|Entry { text, file, line }| Source { file, line: *line, text })
    }

    /// All texts with their names.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, Source<'_>)> {
        self.0.keys().filter_map(|name| Some((name.as_str(), self.get(name)?)))
    }
}

/// The error in a text or its key, except for its own tags.
fn complaint_about(key: &str, text: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(allowed);
    let is_name =
        key.split_once('.').is_some_and(|(section, key)| is_word(section) && is_word(key));
    if !is_name {
        return Some(format!(
            "`{key}` cannot be named in a template: letters, digits, `-` and `_` can, in section \
             and key"
        ));
    }
    let is_direction = key != DIRECTION || ["ltr", "rtl"].contains(&text);
    (!is_direction).then(|| format!("`{text}` is no direction: expected ltr or rtl"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(catalogue: &mut Catalogue, file: &str, text: &str) -> Vec<String> {
        let errors = catalogue.read(Path::new(file), text.as_bytes());
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn later_files_replace_single_texts() {
        let mut catalogue = Catalogue::default();
        assert_eq!(read(&mut catalogue, "a", "# words\n[Code]\nTitle = One\nhelp = 1\n"), [""; 0]);
        assert_eq!(read(&mut catalogue, "b", "\n[code]\ntitle = \" Two \"\n"), [""; 0]);
        let title = catalogue.get("code.title").expect("there");
        assert_eq!((title.file, title.line, title.text), (Path::new("b"), 3, " Two "));
        let texts: Vec<_> = catalogue.texts().map(|(name, it)| (name, it.text)).collect();
        assert_eq!(texts, [("code.help", "1"), ("code.title", " Two ")]);
        assert!(catalogue.get("code.none").is_none());
    }

    #[test]
    fn mistakes_are_told_where_they_are() {
        for (text, expected) in [
            ("[a]\nb", "a.lang:2: expected [section], OPTION = VALUE"),
            ("a = b", "a.lang:1: an option before any section"),
            ("[a]\n@inline@ b", "a.lang:2: a catalogue cannot include files"),
            ("[a]\nb.c = d", "a.lang:2: `a.b.c` cannot be named in a template"),
            ("[a]\nb c = d", "a.lang:2: `a.b c` cannot be named in a template"),
            ("[]\nb = d", "a.lang:2: `.b` cannot be named in a template"),
            ("[language]\ndirection = up", "a.lang:2: `up` is no direction: expected ltr or rtl"),
        ] {
            let complaints = read(&mut Catalogue::default(), "a.lang", text);
            assert_eq!(complaints.len(), 1, "{text}");
            assert!(complaints[0].starts_with(expected), "{text}: {}", complaints[0]);
        }
    }
}
