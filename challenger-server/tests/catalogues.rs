//! The shipped catalogues against each other: nothing is missing, unused, untranslated or strange.
#![expect(clippy::expect_used, reason = "the functions below are part of the tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use challenger_server::config::{Config, Environment};
use challenger_server::pages::Sources;

/// Every language but English.
const TRANSLATIONS: [&str; 7] = ["de", "es", "fr", "it", "nl", "pl", "pt"];

/// Texts that are the same in English and in another language.
const SAME: [(&str, &str); 17] = [
    ("de", "date.april"),
    ("de", "date.august"),
    ("de", "date.november"),
    ("de", "date.september"),
    ("de", "language.direction"),
    ("de", "sms.reference"),
    ("es", "language.direction"),
    ("es", "page.error"),
    ("es", "sms.reference"),
    ("fr", "language.direction"),
    ("fr", "valid.minutes"),
    ("it", "language.direction"),
    ("nl", "language.direction"),
    ("nl", "sms.reference"),
    ("pl", "language.direction"),
    ("pt", "language.direction"),
    ("pt", "sms.reference"),
];

/// Texts that only one kind of message has, and that are plain.
const PLAIN: [&str; 5] = ["date.", "letter.", "message.", "sms.", "valid."];

fn file(language: &str) -> String {
    let path = format!("{}/../templates/{language}.lang", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(Path::new(&path)).expect("the catalogue is there")
}

/// The texts of a language by name.
fn texts(language: &str) -> BTreeMap<String, String> {
    let config = Config::from_text(&file(language), &Environment::default()).expect("good");
    let sections = config.sections().iter().filter(|section| section.name != "PATHS");
    let texts = sections.flat_map(|section| {
        section.settings.iter().map(|setting| {
            (format!("{}.{}", section.name, setting.name), setting.value.text.clone())
        })
    });
    texts.collect()
}

/// The tags of a text, in order, but for the order of sentences. Only some languages write the
/// first day of a month in another way.
fn tags(text: &str) -> Vec<&str> {
    let mustache = text.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0));
    let html = text.split('<').skip(1).filter_map(|rest| Some(rest.split_once('>')?.0));
    let tags = mustache.chain(html).filter(|tag| !tag.ends_with("until.first"));
    let mut tags: Vec<&str> = tags.collect();
    tags.sort_unstable();
    tags
}

#[test]
fn all_languages_have_the_same_texts_and_use_them_all() {
    assert_eq!(Sources::embedded().warnings(), [""; 0]);
    let english: Vec<String> = texts("en").into_keys().collect();
    assert!(english.len() > 80, "{}", english.len());
    for language in TRANSLATIONS {
        let names: Vec<String> = texts(language).into_keys().collect();
        assert_eq!(names, english, "{language}");
    }
    for language in TRANSLATIONS.into_iter().chain(["en"]) {
        let text = file(language);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let count = lines.filter(|line| line.contains('=')).count();
        assert_eq!(count, english.len(), "{language}: none is there twice");
    }
}

#[test]
fn every_text_is_translated() {
    let english = texts("en");
    let mut same = BTreeSet::new();
    for language in TRANSLATIONS {
        for (name, text) in texts(language) {
            if text == english[&name] {
                same.insert((language, name));
            }
        }
    }
    // The list contains exactly the texts that a language writes the same way.
    let expected = SAME.map(|(language, name)| (language, name.to_owned()));
    assert_eq!(same, expected.into());
}

#[test]
fn translations_have_the_tags_of_the_original() {
    let english = texts("en");
    for language in TRANSLATIONS {
        for (name, text) in texts(language) {
            assert_eq!(tags(&text), tags(&english[&name]), "{language} {name}");
            assert_eq!(
                text.ends_with('.'),
                english[&name].ends_with('.'),
                "{language} {name}: a sentence ends as one"
            );
        }
    }
}

#[test]
fn texts_are_typeset_with_care() {
    for language in TRANSLATIONS.into_iter().chain(["en"]) {
        for (name, text) in texts(language) {
            let place = format!("{language} {name}: {text}");
            assert!(text.trim() == text && !text.contains("  ") && !text.is_empty(), "{place}");
            assert!(!text.contains(['\'', '"', '\t']), "{place}");
            if PLAIN.iter().any(|section| name.starts_with(section)) {
                assert!(!text.replace("{{>", "").contains(['<', '>', '&']), "{place}");
            }
            // French has a space before these signs, at which no line breaks; an SMS has it plain.
            let spaced = language == "fr" && !name.starts_with("sms.");
            for (at, sign) in text.match_indices([':', '?', '!', ';']) {
                let before = text[..at].chars().next_back();
                assert_eq!(before == Some('\u{a0}'), spaced, "{place}: {sign}");
            }
            if language == "es" {
                let count = |sign| text.matches(sign).count();
                assert_eq!((count('¿'), count('¡')), (count('?'), count('!')), "{place}");
            }
        }
    }
}
