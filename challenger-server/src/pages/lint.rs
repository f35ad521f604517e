//! Reads a Mustache template before ramhorns does, and refuses what ramhorns would render wrongly.
//!
//! The result is cut into pieces, without lines that hold only a tag that prints nothing; ramhorns
//! would leave empty ones.

use std::fmt;

/// How deep sections may nest: ramhorns keeps a stack of this size.
pub(super) const DEPTH_MAX: usize = 16;

/// An error in a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LintError {
    /// The line on which the tag begins, counted from 1.
    pub line: usize,
    /// The reason, for the operator.
    pub reason: String,
}

/// Reads a template. The last piece is the end.
pub(super) fn read(template: &str) -> Result<Vec<Piece<'_>>, LintError> {
    let mut pieces = split(template)?;
    balance(&pieces)?;
    drop_lone_lines(&mut pieces);
    Ok(pieces)
}

/// The kind of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Close,
    Comment,
    /// The end of the template, not a tag.
    End,
    Inverted,
    /// The place of another file.
    Part,
    Section,
    Unescaped,
    Variable,
    /// The place of a text of the catalogue.
    Words,
}

/// Text, and the tag that follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub text: &'a str,
    pub kind: Kind,
    pub name: &'a str,
    /// The line on which the tag begins.
    pub line: usize,
}

/// The tag as it is written in templates.
impl fmt::Display for Piece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Close => write!(f, "{{{{/{}}}}}", self.name),
            Kind::Comment | Kind::End => Ok(()),
            Kind::Inverted => write!(f, "{{{{^{}}}}}", self.name),
            Kind::Part | Kind::Words => write!(f, "{{{{>{}}}}}", self.name),
            Kind::Section => write!(f, "{{{{#{}}}}}", self.name),
            Kind::Unescaped => write!(f, "{{{{{{{}}}}}}}", self.name),
            Kind::Variable => write!(f, "{{{{{}}}}}", self.name),
        }
    }
}

/// Cuts a template at its tags. The last piece is the end.
fn split(template: &str) -> Result<Vec<Piece<'_>>, LintError> {
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
            return Err(LintError { line, reason });
        };
        let (kind, name) = match opening {
            "{{{" => (Kind::Unescaped, named(tag)),
            _ => classify(tag),
        };
        let name = name.map_err(|reason| LintError { line, reason })?;
        pieces.push(Piece { text, kind, name, line });
        line += tag.matches('\n').count();
        rest = after;
    }
    line += rest.matches('\n').count();
    pieces.push(Piece { text: rest, kind: Kind::End, name: "", line });
    Ok(pieces)
}

/// The kind and the name of a tag, from the text between its braces.
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
        '<' | '$' => {
            (Kind::Comment, Err("parents and blocks ({{< and {{$) are not supported".to_string()))
        }
        '>' => partial(after),
        _ => (Kind::Variable, named(tag)),
    }
}

/// The kind of a partial: the name of a part is one word, that of a text of the catalogue two.
fn partial(name: &str) -> (Kind, Result<&str, String>) {
    let kind = if name.contains('.') { Kind::Words } else { Kind::Part };
    let name = named(name).and_then(|name| {
        let words = name.split('.').filter(|word| !word.is_empty()).count();
        let is_good = words == if kind == Kind::Words { 2 } else { 1 };
        is_good.then_some(name).ok_or_else(|| {
            format!(
                "`{name}` is neither a part, such as {{{{>head}}}}, nor a text, such as \
                     {{{{>code.heading}}}}"
            )
        })
    });
    (kind, name)
}

/// Checks a name: `.`, or words with dots between them.
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

/// Checks that each section is closed by its own tag, and that they do not nest too deep.
fn balance(pieces: &[Piece<'_>]) -> Result<(), LintError> {
    let mut open: Vec<&Piece<'_>> = Vec::new();
    for piece in pieces {
        let complain = |reason| Err(LintError { line: piece.line, reason });
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
            Kind::Variable if piece.name == "else" && !open.is_empty() => {
                let name = open.last().map_or("", |section| section.name);
                return complain(format!(
                    "{{{{else}}}} is not Mustache: expected {{{{/{name}}}}}{{{{^{name}}}}} in its \
                     place"
                ));
            }
            Kind::Comment
            | Kind::End
            | Kind::Part
            | Kind::Unescaped
            | Kind::Variable
            | Kind::Words => {}
        }
    }
    match open.pop() {
        Some(section) => {
            let reason = format!("{section} is never closed");
            Err(LintError { line: section.line, reason })
        }
        None => Ok(()),
    }
}

/// Removes the lines that have only a tag that prints nothing itself.
fn drop_lone_lines(pieces: &mut [Piece<'_>]) {
    let nexts = pieces.iter().skip(1);
    let alone = pieces.iter().zip(nexts).enumerate();
    let alone: Vec<bool> =
        alone.map(|(index, (piece, next))| stands_alone(index == 0, piece, next)).collect();
    let mut after_lone_tag = false;
    for (piece, is_alone) in pieces.iter_mut().zip(alone.into_iter().chain([false])) {
        if after_lone_tag {
            piece.text = piece.text.split_once('\n').map_or("", |(_, after)| after);
        }
        if is_alone {
            piece.text = piece.text.trim_end_matches([' ', '\t']);
        }
        after_lone_tag = is_alone;
    }
}

/// Whether a piece's tag is alone on its line, and prints nothing itself.
fn stands_alone(is_first: bool, piece: &Piece<'_>, next: &Piece<'_>) -> bool {
    let is_silent = matches!(
        piece.kind,
        Kind::Close | Kind::Comment | Kind::Inverted | Kind::Part | Kind::Section
    );
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
        assert!(read(&deep(DEPTH_MAX)).is_ok());
        let cases = [
            ("a\n{{#b}}\nc", 2, "{{#b}} is never closed"),
            ("{{^b}}{{#c}}{{/c}}", 1, "{{^b}} is never closed"),
            ("a\n\n{{/b}}", 3, "{{/b}} closes nothing"),
            ("{{#a}}\n{{#b}}\n{{/a}}{{/b}}", 3, "{{/a}} where {{#b}} of line 2 is open"),
            ("{{=<% %>=}}", 1, "delimiters other than {{ and }} are not supported"),
            ("\n{{<page}}{{/page}}", 2, "parents and blocks ({{< and {{$) are not supported"),
            ("{{$page}}{{/page}}", 1, "parents and blocks"),
            ("{{>}}", 1, "`` is not a name"),
            ("\n{{>a.b.c}}", 2, "`a.b.c` is neither a part, such as {{>head}}, nor a text"),
            ("{{> . }}", 1, "`.` is neither a part"),
            ("{{>a.}}", 1, "`a.` is not a name"),
            ("{{>../a}}", 1, "`../a` is not a name"),
            ("a\n{{name\n", 2, "`{{` has no `}}`"),
            ("{{{name}}", 1, "`{{{` has no `}}}`"),
            ("{{!\n never\n", 1, "`{{` has no `}}`"),
            ("{{}}", 1, "`` is not a name"),
            ("{{#a}}\n{{else}}{{/a}}", 2, "{{else}} is not Mustache: expected {{/a}}{{^a}} in its"),
            (
                "{{^a.b}}{{#c}}{{/c}}{{ else }}{{/a.b}}",
                1,
                "{{else}} is not Mustache: expected {{/a.b}}",
            ),
            ("{{a b}}", 1, "`a b` is not a name"),
            ("{{#a}}{{b..c}}{{/a}}", 1, "`b..c` is not a name"),
            ("{{!\n\n}}\n{{a <br>\n{{b}}", 4, "`a <br>` is not a name"),
            ("{{{!a}}}", 1, "`!a` is not a name"),
            (&deep(DEPTH_MAX + 1), 17, "sections nest deeper than 16"),
        ];
        for (template, line, reason) in cases {
            let complaint = read(template).expect_err(template);
            assert_eq!(complaint.line, line, "{template}");
            assert!(complaint.reason.starts_with(reason), "{template}: {}", complaint.reason);
        }
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
            ("a\n{{> b }}\nc", "a\n{{>b}}c"),
            ("a\n{{> b.c }}\nc", "a\n{{>b.c}}\nc"),
            ("{{#a}}\n{{>b}}\n{{/a}}\n", "{{#a}}{{>b}}{{/a}}"),
        ];
        for (template, expected) in cases {
            let pieces = read(template).expect(template);
            let printed: String =
                pieces.iter().map(|piece| format!("{}{piece}", piece.text)).collect();
            assert_eq!(printed, expected, "{template}");
        }
    }
}
