//! Finds the parts of a page that its Content-Security-Policy has to allow, and those that it never
//! allows.

use challenger_proto::http::Inline;

use super::expand::Expanded;
use super::forms::Form;

/// Elements whose content is only text.
const TEXT_ELEMENTS: [&str; 4] = ["script", "style", "textarea", "title"];

/// Elements that load something, and the attribute that names it.
const LOADING: [(&str, &str); 4] =
    [("iframe", "src"), ("img", "src"), ("link", "href"), ("script", "src")];

/// A start tag, or an end tag.
struct Tag<'a> {
    /// Its position.
    start: usize,
    /// In lower case, with the slash of an end tag.
    name: String,
    /// Names in lower case, with values.
    attributes: Vec<(String, &'a str)>,
}

/// The maximum number of warnings per page.
const WARNINGS_MAX: usize = 20;

/// Elements that are fields of a form.
const FIELDS: [&str; 4] = ["button", "input", "select", "textarea"];

/// What is in a page.
#[derive(Default)]
pub(super) struct Inspected {
    /// The styles and scripts.
    pub inline: Inline,
    /// The forms, with their fields.
    pub forms: Vec<Form>,
    /// Parts that browsers refuse, with file and line.
    pub warnings: Vec<String>,
}

/// Looks through a page.
pub(super) fn inspect(page: &Expanded<'_>) -> Inspected {
    let Inspected { mut inline, mut forms, mut warnings } = Inspected::default();
    let mut in_form = false;
    let mut rest = 0;
    while let Some((tag, end)) = next_tag(&page.text, rest) {
        let mut warn = |what: String| {
            // Finding the line of each takes time.
            if warnings.len() < WARNINGS_MAX {
                warnings.push(format!(
                    "{}: {what}, which browsers refuse: a page has what it needs in itself",
                    page.place(tag.start)
                ));
            }
        };
        tag.check(&mut warn);
        match &*tag.name {
            // A form within a form does not count (HTML Living Standard, 13.2.6.4.7).
            "form" if !in_form => {
                in_form = true;
                forms.push(tag.form(page.place(tag.start)));
            }
            "/form" => in_form = false,
            name if in_form && FIELDS.contains(&name) => {
                if let Some(form) = forms.last_mut() {
                    form.fields.extend(tag.attribute("name").map(str::to_owned));
                }
            }
            _ => {}
        }
        rest = end;
        if TEXT_ELEMENTS.contains(&&*tag.name) {
            let text = page.text.get(end..).unwrap_or_default();
            let text = text.get(..end_of_element(text, &tag.name)).unwrap_or(text);
            rest = end + text.len();
            let is_code = matches!(&*tag.name, "script" | "style");
            match &*tag.name {
                _ if is_code && text.contains("{{") => {
                    warn(format!("this {} has variables or sections in it", tag.name));
                }
                "script" => inline.add_script(text),
                "style" => inline.add_style(text),
                _ => {}
            }
        }
    }
    Inspected { inline, forms, warnings }
}

impl Tag<'_> {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(it, _)| it == name).map(|(_, value)| *value)
    }

    /// A form that begins with this tag.
    fn form(&self, place: String) -> Form {
        let is_post = self.attribute("method").is_some_and(|it| it.eq_ignore_ascii_case("post"));
        let action = self.attribute("action").unwrap_or_default().to_owned();
        Form { place, action, is_post, fields: Vec::new() }
    }

    /// Warns about what browsers refuse in a tag.
    fn check(&self, warn: &mut dyn FnMut(String)) {
        for (attribute, value) in &self.attributes {
            if attribute == "style" || attribute.starts_with("on") {
                warn(format!("{} has an attribute {attribute}", self.name));
            }
            let value = value.trim().to_ascii_lowercase();
            let is_foreign = ["http:", "https:", "//"].iter().any(|it| value.starts_with(it));
            if is_foreign && LOADING.contains(&(&self.name, attribute)) {
                warn(format!("{} loads something from elsewhere", self.name));
            }
        }
    }
}

/// The next tag at or after a position, and its end. Comments and declarations are skipped, as in
/// browsers (HTML Living Standard, 13.2.5).
fn next_tag(html: &str, from: usize) -> Option<(Tag<'_>, usize)> {
    let mut from = from;
    loop {
        let start = from + html.get(from..)?.find('<')?;
        let inside = html.get(start + 1..)?;
        if let Some(comment) = inside.strip_prefix("!--") {
            from = html.len() - comment.len() + end_of_comment(comment)?;
        } else if is_bogus_comment(inside) {
            from = start + 1 + inside.find('>')? + 1;
        } else if inside.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') {
            let is_end = |c: char| c.is_ascii_whitespace() || matches!(c, '>' | '{');
            let name = inside.get(..inside.find(is_end)?)?;
            let (attributes, end) = attributes(html, start + 1 + name.len())?;
            let name = name.trim_end_matches('/').to_ascii_lowercase();
            return Some((Tag { start, name, attributes }, end));
        } else {
            from = start + 1;
        }
    }
}

/// The attributes from a position to the end of the tag, and that end.
fn attributes(html: &str, from: usize) -> Option<(Vec<(String, &str)>, usize)> {
    let mut attributes = Vec::new();
    let mut at = from;
    loop {
        let rest = html.get(at..)?;
        let text = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        at += rest.len() - text.len();
        if text.starts_with('>') {
            return Some((attributes, at + 1));
        }
        let is_end = |c: char| c.is_ascii_whitespace() || matches!(c, '>' | '=' | '/');
        // The first character belongs to the name, whatever it is.
        let first = text.chars().next()?.len_utf8();
        let name = text.get(..first + text.get(first..)?.find(is_end)?)?;
        // Braces of Mustache may precede the name.
        let plain = name.rsplit("}}").next().unwrap_or(name).to_ascii_lowercase();
        let after = text.get(name.len()..)?;
        let Some(value) = after.trim_ascii_start().strip_prefix('=').map(str::trim_ascii_start)
        else {
            attributes.push((plain, ""));
            at += name.len();
            continue;
        };
        at = html.len() - value.len();
        let value = match value.chars().next()? {
            quote @ ('"' | '\'') => {
                let value = value.get(1..)?.split_once(quote)?.0;
                at += value.len() + 2;
                value
            }
            _ => {
                let value =
                    value.get(..value.find(|c: char| c.is_ascii_whitespace() || c == '>')?)?;
                at += value.len();
                value
            }
        };
        attributes.push((plain, value));
    }
}

/// The end of a comment that has just begun; it may end at once.
fn end_of_comment(comment: &str) -> Option<usize> {
    if let Some(end) = [">", "->"].into_iter().find(|end| comment.starts_with(end)) {
        return Some(end.len());
    }
    let is_end = |before: &str| before.ends_with("--") || before.ends_with("--!");
    let mut brackets = comment.match_indices('>');
    brackets.find(|(at, _)| comment.get(..*at).is_some_and(is_end)).map(|(at, _)| at + 1)
}

/// Whether this is a declaration, or another construct that ends with the next `>`.
fn is_bogus_comment(inside: &str) -> bool {
    let after_slash = inside.strip_prefix('/').and_then(|rest| rest.chars().next());
    inside.starts_with(['!', '?']) || after_slash.is_some_and(|c| !c.is_ascii_alphabetic())
}

/// The end of a text element's content: its end tag.
fn end_of_element(text: &str, name: &str) -> usize {
    let is_end = |tag: &str| {
        let (Some(found), Some(after)) = (tag.get(..name.len()), tag.get(name.len()..)) else {
            return false;
        };
        found.eq_ignore_ascii_case(name)
            && after.starts_with(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'))
    };
    let mut tags = text.match_indices("</");
    let end = tags.find(|(at, slash)| text.get(at + slash.len()..).is_some_and(is_end));
    end.map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::expand::{Source, expand};
    use super::*;

    fn inspected(html: &str) -> (Inline, Vec<String>) {
        let source = Source::file(Path::new("page"), html);
        let Inspected { inline, warnings, .. } = inspect(&expand(source, &|_| None).expect(html));
        (inline, warnings)
    }

    #[test]
    fn styles_and_scripts_are_found() {
        let mut expected = Inline::default();
        expected.add_style("\na > b { c: \"<d>\" }\n");
        expected.add_style("");
        expected.add_script("if (a < b) { c('<p style=x>') }");
        let html = "<!DOCTYPE html><!-- <style>no</style> --><title><style>no</style></title>\n\
            <STYLE media=\"x\">\na > b { c: \"<d>\" }\n</Style><style></style >\n\
            {{#x}}<script type='a>b'>if (a < b) { c('<p style=x>') }</script>{{/x}}\n\
            <textarea>\n<script>no</script></textarea><p>1 < 2<br/>";
        assert_eq!(inspected(html), (expected, Vec::new()));
        for html in ["<", "<a", "<a b", "<a b=", "<a b='", "<!--", "<style>", "<a ü>", "</", "<a/>"]
        {
            assert!(inspected(html).1.is_empty(), "{html}");
        }
    }

    #[test]
    fn comments_end_where_they_do_in_browsers() {
        let mut expected = Inline::default();
        expected.add_style("yes");
        for before in [
            "<!-->",
            "<!--->",
            "<!---->",
            "<!----!>",
            "<!-- --!>",
            "<!-- <style>no</style> --!>",
            "<!---!> <style>no</style> -->",
            "<!-- > <style>no</style> -- > -->",
            "<!--<!-->",
            "<!x <style>",
            "<?x <style>",
            "</3 '>",
            "</>",
            "</ <style>",
            "<!DOCTYPE html>",
            "<style></style/>",
            "<style></STYLE\n>",
            "<style></style >",
        ] {
            let html = format!("{before}<style>yes</style>");
            let (inline, warnings) = inspected(&html);
            let mut expected = expected.clone();
            if before.starts_with("<style>") {
                expected.add_style("");
            }
            assert_eq!((inline, warnings), (expected, Vec::new()), "{html}");
        }
        let mut expected = Inline::default();
        expected.add_style("</styles></styl</ style>ü</");
        let html = "<!-- --!><style></styles></styl</ style>ü</</style>";
        assert_eq!(inspected(html).0, expected);
    }

    #[test]
    fn a_page_full_of_elements_is_looked_through_once() {
        let mut expected = Inline::default();
        expected.add_style("a");
        expected.add_script("");
        let html = "<style>a</style><script style></script>".repeat(10_000);
        let (inline, warnings) = inspected(&html);
        assert_eq!((inline, warnings.len()), (expected, WARNINGS_MAX));
    }

    #[test]
    fn what_browsers_refuse_is_told_with_its_line() {
        for (html, line, expected) in [
            ("<p>\n<style>\n{{a}}</style>", 2, "this style has variables or sections in it"),
            ("<script>{{#a}}{{/a}}</script>", 1, "this script has variables or sections in it"),
            ("\n<p class=a STYLE='b'>", 2, "p has an attribute style"),
            ("<p{{#a}} style=b{{/a}}>", 1, "p has an attribute style"),
            ("<p {{#a}}style=b{{/a}}>", 1, "p has an attribute style"),
            ("<body onload=\"a > b\">", 1, "body has an attribute onload"),
            ("<img\n alt='>' src=\"https://a.example/b.png\">", 1, "img loads something from"),
            ("<link rel=stylesheet href=//a.example/b.css>", 1, "link loads something from"),
            ("<script src = HTTP://a.example></script>", 1, "script loads something from"),
            ("<iframe src=' https://a.example'/>", 1, "iframe loads something from elsewhere"),
        ] {
            let (_, warnings) = inspected(html);
            assert_eq!(warnings.len(), 1, "{html}: {warnings:?}");
            let expected = format!("page:{line}: {expected}");
            assert!(warnings[0].starts_with(&expected), "{html}: {warnings:?}");
        }
        let fine = "<a href='https://a.example'>a</a><img src='data:,x'><img src=\"{{a}}\">\
            <form action='https://a.example'></form><p data-style=x title='style=x'>";
        assert_eq!(inspected(fine).1, [""; 0]);
    }
}
