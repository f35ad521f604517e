//! Renders every shipped page with the worst of data, and reads what comes out as a browser would.
#![expect(clippy::expect_used, reason = "the functions below are part of the tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use challenger_proto::{AddressType, Page, PageName};
use challenger_server::pages::{SHIPPED, Templates};
use serde_json::{Value, json};
use tempfile::TempDir;

const EVIL: &str = "<script>\"'&</p>{{nonce}}{{{hint}}}";
const EVIL_ESCAPED: &str = "&lt;script&gt;&quot;&#39;&amp;&lt;/p&gt;{{nonce}}{{{hint}}}";
const TYPES: [&str; 6] = ["address", "email", "file", "phone", "postal", "postal-ch"];
/// Elements without an end tag.
const VOID: [&str; 4] = ["br", "input", "meta", "!DOCTYPE"];

fn embedded() -> Templates {
    Templates::embedded().expect("the shipped templates are good")
}

fn kind(name: &str) -> AddressType {
    AddressType::new(name).expect("a good name")
}

fn render(name: PageName, address_type: &str, data: Value) -> String {
    let page = Page { name, language: "en".to_string(), data };
    embedded().render(&page, &kind(address_type)).expect("the page exists")
}

/// Every variable of every page, all of them hostile.
fn hostile() -> Value {
    let field = |name: &str| json!({"name": name, "value": EVIL});
    let restriction = json!({"regex": EVIL, "hint": EVIL, "hint_i18n": {"de": EVIL}});
    let names = ["ADDRESS_COUNTRY", "ADDRESS_LINES", "CONTACT_EMAIL", "CONTACT_NAME"];
    let names = names.into_iter().chain(["CONTACT_PHONE", "filename"]);
    let address: Value = names.clone().map(|name| (name.to_string(), json!(EVIL))).collect();
    json!({
        "address": address, "address_hint": EVIL, "addresses_left": 3, "attempts_left": 3,
        "auth_attempts_left": 3, "can_retransmit": true, "can_retry": true, "change_url": EVIL,
        "changes_left": 3, "client": EVIL, "detail": EVIL, "ec": 9758, "exhausted": true,
        "fields": names.clone().map(field).collect::<Vec<_>>(), "fix_address": true, "hint": EVIL,
        "last_address": address, "next_tx_time": EVIL, "no_challenge": true, "nonce": EVIL,
        "pin_transmissions_left": 3, "reference": EVIL,
        "restrictions": names.map(|n| (n.to_string(), restriction.clone())).collect::<Value>(),
        "solved": true, "transmitted": true,
    })
}

/// The same with every switch the other way, and everything optional left out.
fn sparse() -> Value {
    json!({
        "addresses_left": 0, "attempts_left": 1, "auth_attempts_left": 0, "can_retransmit": false,
        "can_retry": false, "changes_left": 0, "client": EVIL, "ec": 9758, "exhausted": false,
        "fields": [{"name": EVIL, "value": EVIL}], "fix_address": false, "hint": EVIL,
        "next_tx_time": EVIL, "no_challenge": false, "nonce": EVIL, "pin_transmissions_left": 1,
        "reference": EVIL, "restrictions": {}, "transmitted": false,
    })
}

/// A start or end tag: its name, and its attributes.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn get(&self, attribute: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(name, _)| name == attribute);
        found.map(|(_, value)| value.as_str())
    }
}

/// Reads the tags of a page, and fails on what is not plain and complete HTML.
fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    for part in html.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag ends");
        assert!(!text.contains('>') && !text.contains(['"', '\'']), "unescaped text: {text}");
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

fn check_page(html: &str) {
    assert!(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">\n"), "{html}");
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
    for once in ["title", "h1", "main", "body", "head"] {
        assert_eq!(count(once), 1, "{once}");
    }
    let labelled: BTreeSet<_> = tags.iter().filter_map(|tag| tag.get("for")).collect();
    for tag in tags {
        let refers = tag.get("for").into_iter().chain(tag.get("aria-describedby"));
        refers.for_each(|id| assert!(ids.contains(id), "{id} does not exist"));
        match tag.name.as_str() {
            "form" => {
                let action = tag.get("action").expect("an action");
                let actions = ["../challenge/", "../solve/"].map(|a| a.to_string() + EVIL_ESCAPED);
                assert!(actions.contains(&action.to_string()), "{action}");
                assert_eq!(tag.get("method"), Some("post"));
            }
            "input" | "textarea" if tag.get("type") != Some("hidden") => {
                let id = tag.get("id").expect("an id");
                assert!(labelled.contains(id), "{id} has a label");
                assert!(tag.get("name").is_some() && tag.get("autocomplete").is_some(), "{id}");
            }
            "a" => assert_eq!(tag.get("href"), Some(EVIL_ESCAPED)),
            name => assert!(!["script", "style", "link", "img", "iframe"].contains(&name)),
        }
    }
}

#[test]
fn the_list_of_shipped_pages_is_the_directory() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates");
    let names = fs::read_dir(&directory).expect("templates").filter_map(Result::ok);
    let mut names: BTreeSet<_> =
        names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !name.starts_with("message"));
    assert_eq!(names, SHIPPED.iter().map(|(name, _)| (*name).to_string()).collect());
    let loaded = Templates::load(&directory).expect("good templates");
    for address_type in TYPES {
        let address_type = kind(address_type);
        assert_eq!(loaded.missing(&address_type), embedded().missing(&address_type));
        assert_eq!(embedded().missing(&address_type), Vec::<String>::new());
    }
    assert_eq!(embedded().warnings(), Vec::<String>::new());
}

#[test]
fn every_page_is_plain_html_whatever_the_data() {
    for address_type in TYPES {
        for name in PageName::ALL {
            for data in [hostile(), sparse()] {
                let html = render(name, address_type, data);
                assert!(!html.contains(EVIL), "{html}");
                assert!(!html.contains("<script"), "{html}");
                check_page(&html);
            }
        }
    }
}

#[test]
fn forms_have_the_registered_fields() {
    for address_type in TYPES {
        let html = render(PageName::EnterAddressForm, address_type, sparse());
        let tags = tags(&html);
        let names: BTreeSet<&str> = tags.iter().filter_map(|tag| tag.get("name")).collect();
        let expected: &[&str] = match address_type {
            "address" => &["CONTACT_NAME", "ADDRESS_LINES", "ADDRESS_COUNTRY"],
            "file" => &["filename"],
            _ => kind(address_type).fields().expect("a registered type"),
        };
        let expected = expected.iter().copied().chain(["viewport"]).collect();
        assert_eq!(names, expected, "{address_type}");
    }
}

#[test]
fn a_fixed_address_cannot_be_edited() {
    for address_type in TYPES {
        for (data, readonly) in [(hostile(), true), (sparse(), false)] {
            let html = render(PageName::EnterAddressForm, address_type, data);
            let tags = tags(&html);
            let inputs = tags.iter().filter(|tag| ["input", "textarea"].contains(&&*tag.name));
            assert!(inputs.clone().count() > 0);
            assert!(inputs.clone().all(|tag| tag.get("readonly").is_some() == readonly), "{html}");
        }
    }
}

#[test]
fn a_line_break_at_the_start_of_a_textarea_survives() {
    let data = json!({"last_address": {"ADDRESS_LINES": "\nMain St 1\nTown"}});
    let html = render(PageName::EnterAddressForm, "postal", data);
    // Browsers drop one line break after the start tag.
    assert!(html.contains(">\n\nMain St 1\nTown</textarea>"), "{html}");
}

#[test]
fn a_wrong_code_always_leaves_a_way_on() {
    let solve = "action=\"../solve/N\"";
    let send = "action=\"../challenge/N\"";
    let change = "href=\"../authorize/N?a=1&amp;b=2\"";
    for bits in 0..8 {
        let [can_retry, can_send, can_change] = [1, 2, 4].map(|bit| bits & bit != 0);
        let url = if can_change { json!("../authorize/N?a=1&b=2") } else { Value::Null };
        let html = render(
            PageName::InvalidPin,
            "email",
            json!({
                "nonce": "N", "can_retry": can_retry, "can_retransmit": can_send,
                "pin_transmissions_left": i32::from(can_send), "change_url": url,
                "fields": [{"name": "CONTACT_EMAIL", "value": "ada@example.com"}],
                "client": "shop.example", "ec": 9758, "hint": "wrong",
            }),
        );
        assert_eq!(html.contains(solve), can_retry, "{html}");
        assert_eq!(html.contains(send), can_send, "{html}");
        assert_eq!(html.contains("name=\"CONTACT_EMAIL\" value=\"ada@example.com\""), can_send);
        assert_eq!(html.contains(change), can_change, "{html}");
    }
}

#[test]
fn the_directory_decides_what_exists() {
    let directory = TempDir::new().expect("a directory");
    let write = |name: &str, text: &str| {
        fs::write(directory.path().join(name), text).expect("written");
    };
    write("already-done.en.must", "Done {{{client}}}");
    write("already-done.de.must", "Fertig");
    write("README", "{{#not a template");
    write(".already-done.en.must.swp", "{{#");
    write("enter-email-form.de.must", "Adresse");
    let templates = Templates::load(directory.path()).expect("good");
    let set = templates.page_set(&kind("email"));
    assert!(set.contains(PageName::AlreadyDone, "de"));
    assert!(set.contains(PageName::EnterAddressForm, "de"));
    assert!(!set.contains(PageName::EnterAddressForm, "en"));
    assert!(!set.contains(PageName::EnterTanForm, "en"));
    assert!(!templates.page_set(&kind("phone")).contains(PageName::EnterAddressForm, "de"));
    assert_eq!(templates.missing(&kind("email"))[0], "enter-email-form.en.must");
    assert_eq!(templates.warnings().len(), 1);
    assert!(templates.warnings()[0].contains("already-done.en.must:1: {{{client}}} "));
    let page = |language: &str| Page {
        name: PageName::AlreadyDone,
        language: language.to_string(),
        data: json!({"client": "<b>"}),
    };
    let render = |language| templates.render(&page(language), &kind("email"));
    assert_eq!(render("de").as_deref(), Some("Fertig"));
    assert_eq!(render("en").as_deref(), Some("Done <b>"));
    assert_eq!(render("fr"), None);
}

#[test]
fn bad_files_are_refused_by_name() {
    let cases = [
        ("a.en.must", "x\n{{#a}}", "a.en.must:2: {{#a}} is never closed"),
        ("a.must", "", "a.must: the name of a template is NAME.LANGUAGE.must"),
        ("a.b.en.must", "", "a.b.en.must: the name of a template is"),
        ("a.e n.must", "", "a.e n.must: the name of a template is"),
    ];
    for (name, text, expected) in cases {
        let directory = TempDir::new().expect("a directory");
        fs::write(directory.path().join(name), text).expect("written");
        let error = Templates::load(directory.path()).err().expect(name).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = Templates::load(Path::new("/no/such/directory")).err().expect("missing");
    assert!(error.to_string().starts_with("/no/such/directory: No such file"), "{error}");
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("a.en.must"), b"\xff").expect("written");
    let error = Templates::load(directory.path()).err().expect("not text");
    assert!(error.to_string().contains("UTF-8"), "{error}");
}

#[test]
fn threads_can_share_templates() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&embedded());
}
