//! What is claimed about everything that reads from strangers or operators, as functions of bytes.
//! cargo-fuzz looks for bytes that break a claim; the test plays known ones.

// The simulation of challenger-proto's tests, with its auditor.
#[path = "../../challenger-proto/tests/audit/mod.rs"]
mod audit;
#[path = "../../challenger-proto/tests/bends/mod.rs"]
mod bends;
mod connection;
pub mod found;
mod request;
#[path = "../../challenger-proto/tests/simulation/mod.rs"]
mod simulation;
#[path = "../../challenger-proto/tests/world/mod.rs"]
mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use challenger_proto::{Form, Pattern, Variables};
use challenger_server::config::{Config, Environment};
use challenger_server::front::head::{Parsed, parse_head};
use challenger_server::pages::{Messages, Sources};

pub use connection::connection;
pub use request::request;

/// Bytes become the dice of a simulation: who does what, which request goes on, and what fails. The
/// auditor asserts I1 to I12.
pub fn history(data: &[u8]) {
    simulation::Simulation::new(simulation::Dice::fed(data)).run();
}

/// A head has one reading, wherever the bytes are cut: what is said about the beginning of the
/// bytes holds for all of them.
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

/// A form that is accepted repeats no name, and means the same when it is written again.
pub fn form(data: &[u8]) {
    let Ok(form) = Form::parse(data) else { return };
    let pairs: Vec<(&str, &str)> = form.pairs().collect();
    let names: BTreeMap<&str, &str> = pairs.iter().copied().collect();
    assert_eq!(names.len(), pairs.len());
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let again: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    let again = Form::parse(again.join("&").as_bytes()).expect("what was written by the rules");
    assert!(again.pairs().eq(pairs));
}

/// A pattern never panics, and what translates, compiles.
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

/// A configuration never panics, and what can be read of it stays within bounds.
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
        assert!(config.string(&section, &option).is_ok());
        if let Ok(Some(path)) = config.filename(&section, &option) {
            assert!(path.is_absolute());
            assert!(path.as_os_str().len() <= 128 * 1024);
        }
        // Whether it is one does not matter, but asking must end.
        let _ = config.duration(&section, &option);
        let _ = config.number(&section, &option, 0..=u64::MAX);
    }
}

/// A template that is accepted can be rendered. It may have the parts and words that come along.
pub fn template(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    static SOURCES: OnceLock<Sources> = OnceLock::new();
    if let Ok(messages) = Messages::parse(SOURCES.get_or_init(Sources::embedded), &text) {
        let message = messages.render("en", &data_for_templates()).expect("it is English");
        // A part that has a name of a letter can be the longest there is.
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
