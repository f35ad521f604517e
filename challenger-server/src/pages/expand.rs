//! Puts parts and words into a template, so that the result is one plain template.
//!
//! A template, a part and a text of the catalogue are each valid Mustache on their own, so that a
//! mistake is reported with its own file and line.

use std::path::Path;
use std::vec;

use super::TemplateError;
use super::lint::{self, DEPTH_MAX, Kind, Piece};
use crate::secrecy;

/// The maximum number of parts and texts in a template: ours have some thirty. Parts that name
/// several parts each would otherwise double with each level.
const PARTIALS_MAX: usize = 1000;
/// How deep parts may nest. Nobody can follow more.
const PARTIALS_DEPTH_MAX: usize = 8;
/// The longest expanded template, in bytes: a logo of the largest size fits in, and much more would
/// not be a page any more.
const TEMPLATE_MAX: usize = 512 * 1024;

/// The parts and texts that templates of earlier versions could name, and what to write now.
const FORMER: &[(&str, &str)] = &[
    ("again-in", "write {{>wait}}"),
    ("masked", "write {{>shown}}"),
    ("send-again", "write {{>again-form}}"),
    ("address.reference", "the page for the code shows the reference: leave it out"),
    ("change.left", "write {{#changes.one}}{{>change.one}}{{/changes.one}}, and the same with two"),
    ("code.help", "leave it out, or write {{#tries.one}}{{>code.one_try}}{{/tries.one}}"),
    ("code.sent_to", "write {{>sent.before}}"),
    ("code.title", "write {{>code-title}}"),
    ("done.link", "write {{>stuck.link}}"),
    ("over_budget.days", "write {{>wait}}"),
    ("over_budget.hours", "write {{>wait}}"),
    ("over_budget.minutes", "write {{>wait}}"),
    ("over_budget.one_minute", "write {{>wait}}"),
    ("sent_before.email", "write {{>sent.before}}"),
    ("sent_before.other", "write {{>sent.before}}"),
    ("sent_before.phone", "write {{>sent.before}}"),
    ("sent_before.post", "write {{>sent.before}}"),
    ("unsent.now", "write {{>again.now}}"),
];

/// A text and its origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub file: &'a Path,
    /// The line on which it begins, counted from 1.
    pub line: usize,
    pub text: &'a str,
}

impl<'a> Source<'a> {
    /// All of a file.
    pub(super) fn file(file: &'a Path, text: &'a str) -> Self {
        Self { file, line: 1, text }
    }

    /// The text in pieces.
    pub(super) fn read(self) -> Result<Vec<Piece<'a>>, TemplateError> {
        lint::read(self.text).map_err(|it| self.complain(it.line, it.reason))
    }

    /// An error in a line, counted from 1 in the text.
    fn complain(self, line: usize, reason: impl Into<String>) -> TemplateError {
        let line = self.line.saturating_add(line).saturating_sub(1);
        TemplateError { file: self.file.into(), line: Some(line), reason: reason.into() }
    }
}

/// Finds a partial: one word names a part, two with a dot name a text of the catalogue.
pub(super) type Find<'a> = dyn Fn(&str) -> Option<Source<'a>> + 'a;

/// A template without partials, which ramhorns renders as Mustache would.
#[derive(Debug, Default)]
pub(super) struct Expanded<'a> {
    pub text: String,
    /// The tags of variables and sections, in their order.
    pub tags: Vec<Written<'a>>,
    /// The positions where the text changes from one source to another, with the new source.
    marks: Vec<(usize, Source<'a>)>,
}

/// A tag, and the text that it was written in.
#[derive(Debug)]
pub(super) struct Written<'a> {
    pub piece: Piece<'a>,
    pub source: Source<'a>,
}

impl Written<'_> {
    /// File and line.
    pub(super) fn place(&self) -> String {
        let line = self.source.line.saturating_add(self.piece.line).saturating_sub(1);
        format!("{}:{line}", secrecy::path(self.source.file))
    }
}

impl<'a> Expanded<'a> {
    /// Tags that print their value without escaping, each with file and line.
    pub(super) fn unescaped(&self) -> impl Iterator<Item = String> {
        let tags = self.tags.iter().filter(|tag| tag.piece.kind == Kind::Unescaped);
        tags.map(|tag| format!("{}: {}", tag.place(), tag.piece))
    }

    /// Copies a piece, and remembers where it came from.
    fn push(&mut self, source: Source<'a>, piece: Piece<'a>) {
        let lines_before = piece.line.saturating_sub(piece.text.matches('\n').count());
        let line = source.line.saturating_add(lines_before).saturating_sub(1);
        self.marks.push((self.text.len(), Source { line, text: piece.text, ..source }));
        self.text.push_str(piece.text);
    }

    /// File and line of a byte of the text.
    pub(super) fn place(&self, offset: usize) -> String {
        let mark = self.marks.iter().rev().find(|(start, _)| *start <= offset);
        let Some((start, source)) = mark else { return String::new() };
        let before = source.text.get(..offset.saturating_sub(*start)).unwrap_or(source.text);
        format!("{}:{}", secrecy::path(source.file), source.line + before.matches('\n').count())
    }
}

/// A text that is being copied.
struct Frame<'a> {
    name: &'a str,
    source: Source<'a>,
    pieces: vec::IntoIter<Piece<'a>>,
}

/// Expands a template, with an explicit stack.
pub(super) fn expand<'a>(
    template: Source<'a>,
    partials: &Find<'a>,
) -> Result<Expanded<'a>, TemplateError> {
    let mut expanded = Expanded::default();
    let mut count = 0;
    let mut sections = 0_usize;
    let pieces = template.read()?.into_iter();
    let mut stack = vec![Frame { name: "", source: template, pieces }];
    while let Some(frame) = stack.last_mut() {
        let Some(piece) = frame.pieces.next() else {
            stack.pop();
            continue;
        };
        let source = frame.source;
        let complain = |reason: &str| Err(source.complain(piece.line, reason));
        expanded.push(source, piece);
        if expanded.text.len() > TEMPLATE_MAX {
            return complain(&format!("the template gets longer than {TEMPLATE_MAX} bytes"));
        }
        match piece.kind {
            Kind::Part | Kind::Words => {
                count += 1;
                if count > PARTIALS_MAX {
                    return complain(&format!("more than {PARTIALS_MAX} parts and texts"));
                }
                let frame = find(piece, source, &stack, partials)?;
                stack.push(frame);
                continue;
            }
            Kind::Inverted | Kind::Section => sections += 1,
            Kind::Close => sections = sections.saturating_sub(1),
            Kind::Comment | Kind::End | Kind::Unescaped | Kind::Variable => {}
        }
        if sections > DEPTH_MAX {
            return complain(&format!("sections nest deeper than {DEPTH_MAX}, with those around"));
        }
        expanded.text.push_str(&piece.to_string());
        if !matches!(piece.kind, Kind::Comment | Kind::End) {
            expanded.tags.push(Written { piece, source });
        }
    }
    Ok(expanded)
}

/// Finds a partial, and opens it.
fn find<'a>(
    piece: Piece<'a>,
    source: Source<'a>,
    stack: &[Frame<'a>],
    partials: &Find<'a>,
) -> Result<Frame<'a>, TemplateError> {
    let name = piece.name;
    let complain = |reason: String| Err(source.complain(piece.line, reason));
    if stack.iter().any(|frame| frame.name == name) {
        return complain(format!("{piece} is within itself"));
    }
    if stack.len() > PARTIALS_DEPTH_MAX {
        return complain(format!("{piece}: parts nest deeper than {PARTIALS_DEPTH_MAX}"));
    }
    match partials(name) {
        Some(source) => Ok(Frame { name, source, pieces: source.read()?.into_iter() }),
        None => {
            if let Some((_, now)) = FORMER.iter().find(|(former, _)| *former == name) {
                return complain(format!("{piece} no longer exists: {now}"));
            }
            let missing = match name.split_once('.') {
                None => format!("there is no file {name}.part.must"),
                Some((section, key)) => format!("en.lang has no {key} in [{section}]"),
            };
            complain(format!("{piece}: {missing}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::shipped::SHIPPED;

    /// Expands with parts and words that are each written on line 7 of a file of their name.
    fn expanded(template: &str, partials: &[(&str, &str)]) -> Result<String, String> {
        let find = |name: &str| {
            let (name, text) = partials.iter().find(|(it, _)| *it == name)?;
            Some(Source { file: Path::new(*name), line: 7, text })
        };
        let source = Source::file(Path::new("page"), template);
        expand(source, &find).map(|it| it.text).map_err(|error| error.to_string())
    }

    #[test]
    fn parts_and_words_take_the_place_of_their_tags() {
        let partials = [
            ("head", "<title>{{>page.title}}</title>\n"),
            ("page.title", "Hello{{#name}}, {{name}}{{/name}}"),
            ("empty", ""),
        ];
        let hello = "Hello{{#name}}, {{name}}{{/name}}";
        for (template, expected) in [
            ("{{>page.title}}\n", format!("{hello}\n")),
            ("{{>head}}\n<p>\n", format!("<title>{hello}</title>\n<p>\n")),
            ("a\n  {{> head }}  \nb", format!("a\n<title>{hello}</title>\nb")),
            ("a\n{{>empty}}\nb", "a\nb".to_string()),
            ("{{#a}}{{>page.title}}{{/a}}", format!("{{{{#a}}}}{hello}{{{{/a}}}}")),
            ("{{!>nothing}}", String::new()),
        ] {
            assert_eq!(expanded(template, &partials), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_is_gone_is_gone_and_what_is_advised_is_there() {
        let shipped = |file: &str| SHIPPED.iter().find(|(name, _)| *name == file);
        let (_, words) = shipped("en.lang").unwrap();
        let exists = |name: &str| match name.split_once('.') {
            None => shipped(&format!("{name}.part.must")).is_some(),
            Some((section, key)) => {
                let (_, rest) = words.split_once(&format!("\n[{section}]\n")).unwrap_or_default();
                let of_section = rest.split("\n[").next().unwrap_or_default();
                of_section.lines().any(|line| line.starts_with(&format!("{key} = ")))
            }
        };
        for (former, now) in FORMER {
            assert!(!exists(former), "{former}");
            for advised in now.split("{{>").skip(1).filter_map(|it| it.split("}}").next()) {
                assert!(exists(advised), "{former}: {advised}");
            }
        }
        assert!(exists("code.button") && exists("wait"), "whatever there is is found");
    }

    #[test]
    fn mistakes_are_told_where_they_are() {
        let deep = "{{#a}}".repeat(9) + &"{{/a}}".repeat(9);
        let partials = [
            ("self", "\n{{>self}}"),
            ("one", "{{>two}}"),
            ("two", "{{>one}}"),
            ("open", "a\nb {{#c}}"),
            ("lost", "{{>gone.gone}}"),
            ("deep", &deep),
            ("a", "{{>b}}"),
            ("b", "{{>c}}"),
            ("c", "{{>d}}"),
            ("d", "{{>e}}"),
            ("e", "{{>f}}"),
            ("f", "{{>g}}"),
            ("g", "{{>h}}"),
            ("h", "{{>i}}"),
            ("i", ""),
        ];
        for (template, expected) in [
            ("\n{{>none}}", "page:2: {{>none}}: there is no file none.part.must"),
            ("{{>a.none}}", "page:1: {{>a.none}}: en.lang has no none in [a]"),
            ("{{>lost}}", "lost:7: {{>gone.gone}}: en.lang has no gone in [gone]"),
            ("{{>self}}", "self:8: {{>self}} is within itself"),
            ("{{>one}}", "two:7: {{>one}} is within itself"),
            ("{{>open}}{{/c}}", "page:1: {{/c}} closes nothing"),
            ("{{>open}}", "open:8: {{#c}} is never closed"),
            ("{{>a}}", "h:7: {{>i}}: parts nest deeper than 8"),
        ] {
            assert_eq!(expanded(template, &partials), Err(expected.to_string()), "{template}");
        }
        assert!(expanded("{{>b}}", &partials).is_ok());
        let around = |count| "{{#x}}".repeat(count) + "{{>deep}}" + &"{{/x}}".repeat(count);
        assert!(expanded(&around(7), &partials).is_ok());
        let complaint = expanded(&around(8), &partials);
        let expected = "deep:7: sections nest deeper than 16, with those around";
        assert_eq!(complaint, Err(expected.to_string()));
    }

    #[test]
    fn every_byte_knows_where_it_was_written() {
        let part = Source { file: Path::new("part"), line: 7, text: "\n{{#a}}\nc\n{{/a}}\nd\n" };
        let source = Source::file(Path::new("page"), "{{! x\n y }}\na\n{{>part}}\n\nb{{x}}\ne");
        let expanded = expand(source, &|_| Some(part)).expect("good");
        for (letter, place) in
            [("a", "page:3"), ("c", "part:9"), ("d", "part:11"), ("b", "page:6"), ("e", "page:7")]
        {
            let text = expanded.text.replace("{{#a}}", "{{#.}}").replace("{{/a}}", "{{/.}}");
            let offset = text.find(letter).expect(letter);
            assert_eq!(expanded.place(offset), place, "{letter} in {text}");
        }
    }

    #[test]
    fn nothing_grows_without_bounds() {
        let twelve = |name: &str| format!("{{{{>{name}}}}}").repeat(12);
        let [b, c, d] = ["b", "c", "d"].map(twelve);
        let partials = [("a", b.as_str()), ("b", &c), ("c", &d), ("d", "")];
        let complaint = expanded("{{>a}}", &partials).expect_err("many");
        assert!(complaint.ends_with("more than 1000 parts and texts"), "{complaint}");
        let long = "x".repeat(100_000);
        let partials = [("a", b.as_str()), ("b", &long)];
        let complaint = expanded("{{>a}}", &partials).expect_err("long");
        assert_eq!(complaint, "b:7: the template gets longer than 524288 bytes");
    }

    #[test]
    fn what_is_not_escaped_is_reported() {
        let part = Source { file: Path::new("part"), line: 7, text: "a\n{{{b}}}" };
        let source = Source::file(Path::new("page"), "{{a}}\n{{& c.d }}{{! {{{x}}} }}{{>part}}");
        let expanded = expand(source, &|_| Some(part)).expect("good");
        assert_eq!(
            expanded.unescaped().collect::<Vec<_>>(),
            ["page:2: {{{c.d}}}", "part:8: {{{b}}}"]
        );
    }
}
