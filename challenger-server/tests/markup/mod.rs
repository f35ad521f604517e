//! The shipped pages, and a reader that fails on anything that is not plain and complete HTML.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use challenger_server::pages::Templates;

/// The languages of the shipped pages.
pub(crate) const LANGUAGES: [&str; 8] = ["de", "en", "es", "fr", "it", "nl", "pl", "pt"];

/// A text that must not get into a page as it is, and the form in which it may.
pub(crate) const EVIL: &str = "<script>\"'&</p>{{nonce}}{{{hint}}}";

const EVIL_ESCAPED: &str = "&lt;script&gt;&quot;&#39;&amp;&lt;/p&gt;{{nonce}}{{{hint}}}";

/// Elements without an end tag.
const VOID: [&str; 5] = ["br", "input", "link", "meta", "!DOCTYPE"];

/// Elements whose text is not HTML.
const RAW: [&str; 2] = ["script", "style"];

/// The shipped pages, put together once for all tests.
pub(crate) fn embedded() -> &'static Templates {
    static EMBEDDED: OnceLock<Templates> = OnceLock::new();
    EMBEDDED.get_or_init(|| Templates::embedded().expect("the shipped templates are good"))
}

/// A start or end tag: its name, and its attributes.
pub(crate) struct Tag {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    pub(crate) fn get(&self, attribute: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(name, _)| name == attribute);
        found.map(|(_, value)| value.as_str())
    }
}

/// Each tag of a page with the text behind it.
pub(crate) fn pieces(html: &str) -> Vec<(&str, &str)> {
    let mut pieces = Vec::new();
    let mut rest = html.split_once('<').map(|(_, rest)| rest);
    while let Some(piece) = rest {
        let (tag, text) = piece.split_once('>').expect("a tag ends");
        let end = if RAW.contains(&tag) { text.find(&format!("</{tag}>")) } else { text.find('<') };
        let end = end.unwrap_or(text.len());
        pieces.push((tag, text.get(..end).expect("a boundary")));
        rest = text.get(end + 1..);
    }
    pieces
}

/// Reads the tags of a page, and fails on anything that is not plain and complete HTML.
pub(crate) fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    for (tag, text) in pieces(html) {
        let raw = RAW.contains(&tag);
        assert!(raw || !text.contains(['>', '"', '\'']), "unescaped text: {text}");
        assert!(!raw || !text.contains(EVIL_ESCAPED), "a value among {tag}: {text}");
        let (name, mut rest) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
        let mut attributes = Vec::new();
        while !rest.trim().is_empty() {
            rest = rest.trim_start();
            let (name, after) = match rest.split_once("=\"") {
                Some((name, after)) if !name.contains([' ', '\n']) => (name, after),
                _ => {
                    let (name, after) = rest.split_once([' ', '\n']).unwrap_or((rest, ""));
                    attributes.push((name.to_string(), String::new()));
                    rest = after;
                    continue;
                }
            };
            let (value, after) = after.split_once('"').expect("an attribute ends");
            attributes.push((name.to_string(), value.to_string()));
            rest = after;
        }
        tags.push(Tag { name: name.to_string(), attributes });
    }
    tags
}

pub(crate) fn check_page(html: &str, language: &str) {
    let start = format!("<!DOCTYPE html>\n<html lang=\"{language}\" dir=\"ltr\">\n");
    assert!(html.starts_with(&start), "{html}");
    assert!(html.ends_with("</html>\n") && !html.contains("\n\n"), "{html}");
    let tags = tags(html);
    let mut open = Vec::new();
    let mut ids = BTreeSet::new();
    for tag in &tags {
        match tag.name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{html}"),
            None if VOID.contains(&tag.name.as_str()) => {}
            None => open.push(&tag.name),
        }
        let names: BTreeSet<_> = tag.attributes.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), tag.attributes.len(), "no attribute twice: {html}");
        if let Some(id) = tag.get("id") {
            assert!(ids.insert(id), "{id} twice");
        }
    }
    assert!(open.is_empty(), "{open:?} left open: {html}");
    check_elements(&tags, &ids);
}

fn check_elements(tags: &[Tag], ids: &BTreeSet<&str>) {
    let count = |name: &str| tags.iter().filter(|tag| tag.name == name).count();
    for once in ["title", "style", "h1", "main", "body", "head"] {
        assert_eq!(count(once), 1, "{once}");
    }
    let labelled: BTreeSet<_> = tags.iter().filter_map(|tag| tag.get("for")).collect();
    for tag in tags {
        let attributes = ["for", "aria-describedby", "aria-labelledby"];
        let refers = attributes.iter().filter_map(|name| tag.get(name));
        for id in refers.flat_map(str::split_whitespace) {
            assert!(ids.contains(id), "{id} does not exist");
        }
        match tag.name.as_str() {
            "form" => {
                let action = tag.get("action").expect("an action");
                let actions = ["../challenge/", "../solve/"].map(|a| a.to_string() + EVIL_ESCAPED);
                assert!(actions.contains(&action.to_string()), "{action}");
                assert_eq!(tag.get("method"), Some("post"));
            }
            "input" | "select" | "textarea" if tag.get("type") != Some("hidden") => {
                let id = tag.get("id").expect("an id");
                assert!(labelled.contains(id), "{id} has a label");
                assert!(tag.get("autocomplete").is_some(), "{id}");
                // One that only shows what a hidden field sends is not sent itself.
                assert!(tag.get("name").is_some() || tag.get("readonly").is_some(), "{id}");
            }
            "a" => {
                let href = tag.get("href").expect("a link leads somewhere");
                assert!([EVIL_ESCAPED, "../terms", "../privacy"].contains(&href), "{href}");
            }
            "link" => {
                assert_eq!(tag.get("rel"), Some("icon"));
                let is_inside = tag.get("href").is_some_and(|it| it.starts_with("data:image/"));
                assert!(is_inside, "nothing else is loaded");
            }
            "script" | "style" => assert!(tag.attributes.is_empty(), "all of it is inside"),
            name => assert!(!["img", "iframe"].contains(&name)),
        }
    }
    // What can be unfolded has a name, and that comes first.
    for (tag, next) in tags.iter().zip(tags.iter().skip(1)) {
        assert_eq!(tag.name == "details", next.name == "summary", "{}: {}", tag.name, next.name);
    }
}
