//! Reads a Mustache template before ramhorns does, and refuses what ramhorns would render wrongly.
//!
//! What passes is handed on in a plainer form: without comments, and without the lines that hold
//! nothing but a section's tag, which ramhorns would leave blank.

use std::fmt;

/// How deep sections may nest: ramhorns keeps a stack of this size.
const DEPTH_MAX: usize = 16;

/// A template that ramhorns renders as Mustache would.
#[derive(Debug)]
pub(super) struct Checked {
    /// The plainer form.
    pub source: String,
    /// Tags that print their value without escaping, with their lines.
    pub unescaped: Vec<(usize, String)>,
}

/// What is wrong with a template, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    /// The line on which the tag begins, counted from 1.
    pub line: usize,
    /// A sentence for the operator.
    pub reason: String,
}

/// Reads a template.
pub(super) fn check(template: &str) -> Result<Checked, Complaint> {
    let pieces = split(template)?;
    balance(&pieces)?;
    let unescaped = |piece: &Piece<'_>| (piece.line, format!("{{{{{{{}}}}}}}", piece.name));
    Ok(Checked {
        source: print(&pieces),
        unescaped: pieces.iter().filter(|p| p.kind == Kind::Unescaped).map(unescaped).collect(),
    })
}

/// What a tag does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Close,
    Comment,
    /// Not a tag: the end of the template.
    End,
    Inverted,
    Section,
    Unescaped,
    Variable,
}

/// Text, and the tag that follows it.
struct Piece<'a> {
    text: &'a str,
    kind: Kind,
    name: &'a str,
    line: usize,
}

/// Spells the tag as templates do.
impl fmt::Display for Piece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Close => write!(f, "{{{{/{}}}}}", self.name),
            Kind::Comment | Kind::End => Ok(()),
            Kind::Inverted => write!(f, "{{{{^{}}}}}", self.name),
            Kind::Section => write!(f, "{{{{#{}}}}}", self.name),
            Kind::Unescaped => write!(f, "{{{{{{{}}}}}}}", self.name),
            Kind::Variable => write!(f, "{{{{{}}}}}", self.name),
        }
    }
}

/// Cuts a template at its tags. The last piece is the end.
fn split(template: &str) -> Result<Vec<Piece<'_>>, Complaint> {
    let mut pieces = Vec::new();
    let mut rest = template;
    let mut line = 1;
    while let Some((text, after)) = rest.split_once("{{") {
        line += text.matches('\n').count();
        let (opening, inside, closing) = match after.strip_prefix('{') {
            Some(inside) => ("{{{", inside, "}}}"),
            None => ("{{", after, "}}"),
        };
        let Some((tag, after)) = inside.split_once(closing) else {
            let reason = format!("`{opening}` has no `{closing}`");
            return Err(Complaint { line, reason });
        };
        let (kind, name) = match opening {
            "{{{" => (Kind::Unescaped, named(tag)),
            _ => classify(tag),
        };
        let name = name.map_err(|reason| Complaint { line, reason })?;
        pieces.push(Piece { text, kind, name, line });
        line += tag.matches('\n').count();
        rest = after;
    }
    pieces.push(Piece { text: rest, kind: Kind::End, name: "", line });
    Ok(pieces)
}

/// Tells from the inside of a tag what it does.
fn classify(tag: &str) -> (Kind, Result<&str, String>) {
    let mut characters = tag.chars();
    let sigil = characters.next().unwrap_or_default();
    let after = characters.as_str();
    match sigil {
        '!' => (Kind::Comment, Ok("")),
        '#' => (Kind::Section, named(after)),
        '^' => (Kind::Inverted, named(after)),
        '/' => (Kind::Close, named(after)),
        '&' => (Kind::Unescaped, named(after)),
        '=' => {
            (Kind::Comment, Err("delimiters other than {{ and }} are not supported".to_string()))
        }
        '>' => (Kind::Comment, Err("partials ({{>) are not supported".to_string())),
        _ => (Kind::Variable, named(tag)),
    }
}

/// Takes a name: `.`, or words with dots between them.
fn named(name: &str) -> Result<&str, String> {
    let name = name.trim();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(allowed);
    if name == "." || name.split('.').all(is_word) {
        return Ok(name);
    }
    let shown: String = name.lines().next().unwrap_or_default().chars().take(40).collect();
    Err(format!("`{shown}` is not a name: letters, digits, `_`, `-` and dots between them are"))
}

/// Sees to it that each section is closed by its own tag, and that they do not nest too deep.
fn balance(pieces: &[Piece<'_>]) -> Result<(), Complaint> {
    let mut open: Vec<&Piece<'_>> = Vec::new();
    for piece in pieces {
        let complain = |reason| Err(Complaint { line: piece.line, reason });
        match piece.kind {
            Kind::Section | Kind::Inverted if open.len() == DEPTH_MAX => {
                return complain(format!("sections nest deeper than {DEPTH_MAX}"));
            }
            Kind::Section | Kind::Inverted => open.push(piece),
            Kind::Close => match open.pop() {
                Some(section) if section.name == piece.name => {}
                Some(section) => {
                    let line = section.line;
                    return complain(format!("{piece} where {section} of line {line} is open"));
                }
                None => return complain(format!("{piece} closes nothing")),
            },
            Kind::Comment | Kind::End | Kind::Unescaped | Kind::Variable => {}
        }
    }
    match open.pop() {
        Some(section) => {
            let reason = format!("{section} is never closed");
            Err(Complaint { line: section.line, reason })
        }
        None => Ok(()),
    }
}

/// Puts the pieces together again, in the plainer form.
fn print(pieces: &[Piece<'_>]) -> String {
    let mut printed = String::new();
    let mut after_lone_tag = false;
    for (index, piece) in pieces.iter().enumerate() {
        let next = pieces.get(index + 1);
        let is_lone = next.is_some_and(|next| stands_alone(index == 0, piece, next));
        let mut text = piece.text;
        if after_lone_tag {
            text = text.split_once('\n').map_or("", |(_, after)| after);
        }
        if is_lone {
            text = text.trim_end_matches([' ', '\t']);
        }
        printed.push_str(text);
        printed.push_str(&piece.to_string());
        after_lone_tag = is_lone;
    }
    printed
}

/// Whether a piece's tag is all that its line has, and prints nothing itself.
fn stands_alone(is_first: bool, piece: &Piece<'_>, next: &Piece<'_>) -> bool {
    let is_silent =
        matches!(piece.kind, Kind::Close | Kind::Comment | Kind::Inverted | Kind::Section);
    let before = piece.text.rsplit_once('\n').map(|(_, before)| before);
    let before = before.or_else(|| is_first.then_some(piece.text));
    let after = next.text.split_once('\n').map(|(after, _)| after);
    let after = after.or_else(|| (next.kind == Kind::End).then_some(next.text));
    let is_blank = |part: &str| part.trim().is_empty();
    is_silent && before.is_some_and(is_blank) && after.is_some_and(is_blank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_templates_are_refused_with_their_line() {
        let deep = |depth: usize| "{{#a}}\n".repeat(depth) + &"{{/a}}".repeat(depth);
        assert!(check(&deep(DEPTH_MAX)).is_ok());
        let cases = [
            ("a\n{{#b}}\nc", 2, "{{#b}} is never closed"),
            ("{{^b}}{{#c}}{{/c}}", 1, "{{^b}} is never closed"),
            ("a\n\n{{/b}}", 3, "{{/b}} closes nothing"),
            ("{{#a}}\n{{#b}}\n{{/a}}{{/b}}", 3, "{{/a}} where {{#b}} of line 2 is open"),
            ("{{=<% %>=}}", 1, "delimiters other than {{ and }} are not supported"),
            ("\n{{> page}}", 2, "partials ({{>) are not supported"),
            ("a\n{{name\n", 2, "`{{` has no `}}`"),
            ("{{{name}}", 1, "`{{{` has no `}}}`"),
            ("{{!\n never\n", 1, "`{{` has no `}}`"),
            ("{{}}", 1, "`` is not a name"),
            ("{{a b}}", 1, "`a b` is not a name"),
            ("{{#a}}{{b..c}}{{/a}}", 1, "`b..c` is not a name"),
            ("{{!\n\n}}\n{{a <br>\n{{b}}", 4, "`a <br>` is not a name"),
            ("{{{!a}}}", 1, "`!a` is not a name"),
            (&deep(DEPTH_MAX + 1), 17, "sections nest deeper than 16"),
        ];
        for (template, line, reason) in cases {
            let complaint = check(template).expect_err(template);
            assert_eq!(complaint.line, line, "{template}");
            assert!(complaint.reason.starts_with(reason), "{template}: {}", complaint.reason);
        }
    }

    #[test]
    fn what_is_not_escaped_is_reported() {
        let checked = check("{{a}}\n{{{b}}}\n{{! {{{x}}} }}{{& c.d }}").expect("good");
        let expected = [(2, "{{{b}}}".to_string()), (3, "{{{c.d}}}".to_string())];
        assert_eq!(checked.unescaped, expected);
    }

    #[test]
    fn lines_of_lone_tags_vanish() {
        let cases = [
            ("a\n{{#b}}\nc\n{{/b}}\nd\n", "a\n{{#b}}c\n{{/b}}d\n"),
            ("a\r\n  {{#b}}\t\r\nc{{/b}}\r\n", "a\r\n{{#b}}c{{/b}}\r\n"),
            ("  {{#b}}  \n{{/b}}", "{{#b}}{{/b}}"),
            ("a\n{{! one\n two }}\nb", "a\nb"),
            ("a {{! one }} b", "a  b"),
            ("{{#a}}{{/a}}\nb", "{{#a}}{{/a}}\nb"),
            ("a\n{{b}}\nc", "a\n{{b}}\nc"),
            ("{{ a }}{{&b}}} { }", "{{a}}{{{b}}}} { }"),
        ];
        for (template, expected) in cases {
            assert_eq!(check(template).expect(template).source, expected, "{template}");
        }
    }
}
