//! The language of pages and messages: the reader's, for all of them.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::Value;

use crate::driver::{Browser, Setup};
use crate::network::Fetched;
use crate::person::enter_address;
use crate::service::{KINDS, Service, UNREACHABLE, UNREACHABLE_NAME};
use crate::shop::{HERE, Shop};
use crate::states::Stage;

/// The languages that browsers ask for, and the one that they should get.
pub const READERS: [(&str, &str); 8] = [
    ("en", "en"),
    ("de-CH", "de"),
    ("fr-CA,en", "fr"),
    ("es", "es"),
    ("it,de", "it"),
    ("nl-BE,fr", "nl"),
    ("pl", "pl"),
    ("pt-BR,pt", "pt"),
];

/// Names and examples, which are the same in all languages.
const NAMES: [&str; 12] = [
    "message.txt",
    "challenger.example",
    "localhost",
    "Ada Lovelace",
    "Heidi Zürcher",
    "St James’s Square",
    "London",
    "Bahnhofstrasse",
    "Zürich",
    "ada@example.com",
    UNREACHABLE,
    UNREACHABLE_NAME,
];

/// Whole sentences that are the same in English and another language.
const SHARED: [&str; 4] = ["Code", "Error", "Name", "Ref"];

/// All texts of a page, those for screen readers included, without the names in lists.
const TEXTS: &str = "const names = [...document.querySelectorAll('option:not([value=\"\"])')];
    const listed = new Set(names.map((it) => it.text));
    const lines = document.body.innerText.split('\\n');
    const texts = [document.title, ...lines.filter((line) => !listed.has(line.trim()))];
    for (const name of ['alt', 'aria-label', 'placeholder', 'title']) {
        for (const it of document.querySelectorAll(`[${name}]`)) {
            texts.push(it.getAttribute(name));
        }
    }
    return texts;";

/// Complaints about the language of the page that is shown.
pub fn complaints(browser: &Browser, page: &Fetched, language: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let own = browser.find("html").attribute("lang").unwrap_or_default();
    if own != language {
        complaints.push(format!("the page says that its language is {own:?}"));
    }
    let told = page.header("Content-Language");
    if told != language {
        complaints.push(format!("the answer says that its language is {told:?}"));
    }
    if language != "en" {
        let english = sentences_of(browser).into_iter().filter(|it| english().contains(it));
        complaints.extend(english.map(|sentence| format!("{sentence:?} is English")));
    }
    complaints
}

/// All sentences of all pages in English.
fn english() -> &'static BTreeSet<String> {
    static ENGLISH: OnceLock<BTreeSet<String>> = OnceLock::new();
    ENGLISH.get_or_init(|| {
        let browser = Browser::start();
        let mut sentences = BTreeSet::new();
        Stage::build().tour(&browser, |_| sentences.extend(sentences_of(&browser)));
        sentences
    })
}

fn sentences_of(browser: &Browser) -> BTreeSet<String> {
    let texts = browser.script(TEXTS, &[]);
    let texts = texts.as_array().unwrap().iter().map(|text| text.as_str().unwrap());
    texts.flat_map(sentences).collect()
}

/// The sentences of a text that need a translation: without names and numbers, which differ from
/// page to page.
fn sentences(text: &str) -> BTreeSet<String> {
    let text = NAMES.iter().fold(text.to_string(), |text, name| text.replace(name, ""));
    // Neither do addresses, in full or in part.
    let is_address = |part: &&str| part.contains('@') || part.contains("•••");
    let parts = text.split_inclusive(char::is_whitespace).filter(|part| !is_address(part));
    let ends = parts.collect::<String>().replace(['!', '?', ':', ';'], ".");
    let plain = |sentence: &str| {
        let words = sentence.split(|it: char| !it.is_alphabetic() && it != '’');
        let words = words.filter(|word| word.chars().any(char::is_lowercase));
        words.collect::<Vec<_>>().join(" ")
    };
    let needs_translation = |it: &String| !it.is_empty() && !SHARED.contains(&it.as_str());
    ends.split('.').map(plain).filter(needs_translation).collect()
}

#[test]
fn a_message_is_in_the_language_of_the_page() {
    let shop = Shop::open();
    let services = ["email", "phone", "postal"].map(|name| {
        let kind = KINDS.iter().find(|kind| kind.name == name).unwrap();
        // All readers have the same address.
        Service::start(kind, &shop, "ADDRESS_MESSAGES = 8")
    });
    let mut english = [(); 3].map(|()| BTreeSet::new());
    for (languages, language) in READERS {
        let browser = Browser::start_as(Setup { languages, ..Setup::default() });
        for (service, english) in services.iter().zip(&mut english) {
            browser.open(&service.link(Value::Null, HERE));
            enter_address(&browser, service.kind.good);
            let message = service.outbox().pop().unwrap();
            let kind = service.kind.name;
            assert_eq!(message.language, language, "what the helper for {kind} is told");
            let sentences = sentences(&message.text);
            assert!(!sentences.is_empty(), "{kind} {language}: {}", message.text);
            if language == "en" {
                *english = sentences;
            } else {
                let left: Vec<_> = sentences.intersection(english).collect();
                assert!(left.is_empty(), "{kind} {language}: {left:?} is English");
            }
        }
    }
}

#[test]
fn sentences_are_told_apart_from_names_and_numbers() {
    let text = "Your reference is ABCDEF. For localhost: 12 tries left!";
    assert_eq!(Vec::from_iter(sentences(text)), ["For", "Your reference is", "tries left"]);
    assert!(sentences("1234-5678 GHKLMN Ada Lovelace. Name:").is_empty());
}
