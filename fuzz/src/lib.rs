//! Claims about all code that reads from strangers or operators, as functions of bytes. cargo-fuzz
//! looks for bytes that break a claim; the test replays known ones.

mod connection;
pub mod found;
mod mail;
mod request;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use challenger_proto::address::Pattern;
use challenger_proto::http::{Form, Variables};
use challenger_server::config::{Config, Environment};
use challenger_server::front::head::{Parsed, parse_head};
use challenger_server::pages::{Messages, Sources};
use challenger_testkit::{Dice, escape, simulation};

pub use connection::connection;
pub use mail::mail;
pub use request::request;

/// Runs a simulation in which the bytes decide who does what, which request continues, and what
/// fails. The auditor asserts I1 to I12.
pub fn history(data: &[u8]) {
    simulation::play(Dice::fed(data));
}

/// A head has one reading, wherever the bytes are cut: a decision about the beginning of the bytes
/// holds for all of them.
pub fn head(data: &[u8]) {
    let whole = parse_head(data);
    for cut in 0..data.len().min(512) {
        match parse_head(&data[..cut]) {
            Ok(Parsed::Incomplete) => {}
            decided => assert_eq!(decided, whole, "cut at {cut}"),
        }
    }
    if let Ok(Parsed::Complete(head)) = whole {
        assert!(head.length <= data.len());
        assert!(head.request.target.starts_with('/'));
        assert!(!head.request.target.contains(char::is_control));
    }
}

/// An accepted form repeats no name, and has the same meaning when it is written again.
pub fn form(data: &[u8]) {
    let Ok(form) = Form::parse(data) else { return };
    let pairs: Vec<(&str, &str)> = form.pairs().collect();
    let names: BTreeMap<&str, &str> = pairs.iter().copied().collect();
    assert_eq!(names.len(), pairs.len());
    let again: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    let again = Form::parse(again.join("&").as_bytes()).expect("what was written by the rules");
    assert!(again.pairs().eq(pairs));
}

/// A pattern never panics, and an accepted pattern compiles.
pub fn pattern(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (pattern, subject) = text.split_once('\t').unwrap_or((&text, "ada@example.com"));
    match Pattern::parse(pattern) {
        Ok(pattern) => {
            let first = pattern.is_match(subject);
            assert_eq!(first, pattern.is_match(subject));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A configuration never panics, and its values stay within bounds.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let environment = Environment {
        variables: BTreeMap::from([("HOME".to_string(), "/home/ada".to_string())]),
        directory: PathBuf::from("/"),
        prefix: None,
    };
    let config = match Config::from_text(&text, &environment) {
        Ok(config) => config,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let names: Vec<(String, String)> = config
        .sections()
        .iter()
        .flat_map(|section| {
            section.settings.iter().map(|it| (section.name.clone(), it.name.clone()))
        })
        .collect();
    for (section, option) in names {
        let entry = config.entry(&section, &option).expect("it is set");
        if let Ok(path) = entry.filename() {
            assert!(path.is_absolute());
            assert!(path.as_os_str().len() <= 128 * 1024);
        }
        // The result does not matter, but reading must end.
        let _ = entry.duration();
        let _ = entry.number(0..=u64::MAX);
    }
}

/// An accepted template can be rendered. It may use the shipped parts and words.
pub fn template(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    static SOURCES: OnceLock<Sources> = OnceLock::new();
    if let Ok(messages) = Messages::parse(SOURCES.get_or_init(Sources::embedded), &text) {
        let message = messages.render("en", &data_for_templates()).expect("it is English");
        // Even a part with a one-letter name can be of the maximum length.
        assert!(message.text.len() <= 1024 * 1024 * (text.len() + 1));
    }
}

fn data_for_templates() -> Variables {
    Variables::from(serde_json::json!({
        "pin": "1234-5678",
        "client": "",
        "list": [1, {"pin": "{{pin}}"}, []],
        "deep": {"er": {"value": "x"}},
    }))
}
