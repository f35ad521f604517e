//! Texts with variables: of Mustache, variables and nothing else. A value is written by the place
//! that the text stands in, never as it is, so `{{{name}}}` and `{{&name}}` mean `{{name}}`.

use std::collections::BTreeMap;

/// The values of the variables, by their names.
pub(super) type Values = BTreeMap<String, String>;

/// A text with variables.
pub(super) struct Template(Vec<Piece>);

enum Piece {
    Text(String),
    Variable(String),
}

impl Template {
    /// A text without variables, whatever braces it has.
    pub(super) fn fixed(text: &str) -> Self {
        Self(vec![Piece::Text(text.to_owned())])
    }

    /// Reads a text with variables.
    ///
    /// # Errors
    /// A tag that is not a variable, with what would be accepted.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, closing) = match after.strip_prefix('{') {
                Some(inside) => (inside, "}}}"),
                None => (after, "}}"),
            };
            let (tag, after) =
                inside.split_once(closing).ok_or("has a {{ without the braces that close it")?;
            let name = tag.trim();
            let name = name.strip_prefix('&').map_or(name, str::trim);
            if !is_name(name) {
                return Err("has a tag that is not a variable: expected tags such as \
                            {{message}}; sections and other tags of Mustache mean nothing here"
                    .to_owned());
            }
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Variable(name.to_owned()));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The names of its variables.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Variable(name) => Some(name.as_str()),
        })
    }

    /// The text between the variables.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Variable(_) => None,
        })
    }

    /// Fills in the values, each as `write` writes it.
    ///
    /// # Errors
    /// The name of a variable without a value.
    pub(super) fn render(
        &self,
        values: &Values,
        write: impl Fn(&str) -> String,
    ) -> Result<String, String> {
        let mut rendered = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => rendered.push_str(text),
                Piece::Variable(name) => {
                    rendered.push_str(&write(values.get(name).ok_or_else(|| name.clone())?));
                }
            }
        }
        Ok(rendered)
    }
}

/// Whether this can be the name of a variable. An address may have a field of any name; those with
/// unusual characters cannot be used.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    !name.is_empty() && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> Result<String, String> {
        let values = [("a", "1"), ("b_2", "<{{a}}>")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Template::parse(text)?.render(&values, |value| format!("[{value}]"))
    }

    #[test]
    fn every_value_is_written_by_its_place() {
        for (text, expected) in [
            ("", ""),
            ("no variable } here }}", "no variable } here }}"),
            ("{{a}}{{ a }}-{{{a}}}-{{&a}}-{{& a }}", "[1][1]-[1]-[1]-[1]"),
            ("x{{b_2}}y", "x[<{{a}}>]y"),
            ("{\"a\":{\"b\":\"{{a}}\"}}", "{\"a\":{\"b\":\"[1]\"}}"),
        ] {
            assert_eq!(rendered(text).as_deref(), Ok(expected));
        }
        assert_eq!(rendered("{{a}} {{none}}"), Err("none".to_owned()));
    }

    #[test]
    fn other_tags_are_refused() {
        for text in ["{{", "{{a", "{{{a}}", "{{}}", "{{#a}}x{{/a}}", "{{^a}}", "{{>a}}", "{{!a}}"] {
            assert!(rendered(text).is_err(), "{text}");
        }
        for text in ["{{a.b}}", "{{.}}", "{{=<% %>=}}", "{{a b}}", "{{{{a}}}}"] {
            assert!(rendered(text).is_err(), "{text}");
        }
    }
}
