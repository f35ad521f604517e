//! The shipped names of countries: complete, and in the order in which readers look for them.
#![expect(clippy::expect_used, reason = "the functions below are part of the tests")]

#[allow(dead_code, reason = "only the list of languages is of interest")]
mod markup;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use challenger_proto::Service;
use challenger_proto::address::AddressType;
use challenger_proto::http::{Page, PageName};
use challenger_server::pages::{Sources, Templates};
use markup::LANGUAGES;
use serde_json::{Value, json};

/// Letters of the Polish alphabet, each of which follows the letter without its mark.
const POLISH: &str = "ąćęłńóśźż";

/// The codes of all countries that an address may have.
fn codes() -> BTreeSet<String> {
    let service = Service::new(AddressType::new("postal").expect("a good name"));
    let letters = || (b'A'..=b'Z').map(char::from);
    let pairs = letters().flat_map(|first| letters().map(move |second| format!("{first}{second}")));
    // Other codes for the same country are replaced.
    let is_code = |code: &String| {
        let address = service.address([("ADDRESS_COUNTRY", code.as_str())]);
        address.is_ok_and(|address| address.get("ADDRESS_COUNTRY") == Some(code))
    };
    pairs.filter(is_code).collect()
}

/// Codes and names, in the order of the file.
fn countries(language: &str) -> Vec<(String, String)> {
    let path = format!("{}/../templates/{language}.countries", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(Path::new(&path)).expect("the file is there");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let countries = lines.map(|line| line.split_once(' ').expect("a code and a name"));
    countries.map(|(code, name)| (code.to_owned(), name.to_owned())).collect()
}

/// What decides about the place of a name: its words, in lower case and without diacritics, except
/// for those that make another letter in its language.
fn words(language: &str, name: &str) -> Vec<String> {
    let mut key = String::new();
    for letter in name.to_lowercase().chars() {
        key.push(plain(letter));
        if language == "pl" && POLISH.contains(letter) {
            key.push('~');
        }
    }
    key.split_whitespace().map(|word| word.replace('æ', "ae")).collect()
}

/// A letter without diacritics; a blank for what is not a letter.
fn plain(letter: char) -> char {
    match letter {
        'a'..='z' | 'æ' => letter,
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ą' => 'a',
        'ç' | 'ć' => 'c',
        'è' | 'é' | 'ê' | 'ë' | 'ę' => 'e',
        'í' | 'î' | 'ï' => 'i',
        'ł' => 'l',
        'ñ' | 'ń' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => 'o',
        'ś' => 's',
        'ú' | 'ù' | 'ü' => 'u',
        'ź' | 'ż' => 'z',
        ' ' | '-' | '.' | ',' | '’' | '(' | ')' => ' ',
        other => panic!("{other} is not expected in a name"),
    }
}

#[test]
fn every_language_has_each_country_once_and_in_order() {
    let codes = codes();
    let count = 250;
    assert_eq!(codes.len(), count, "those of ISO 3166-1, and Kosovo");
    for language in LANGUAGES {
        let countries = countries(language);
        assert_eq!(countries.len(), count, "{language}");
        let own: BTreeSet<String> = countries.iter().map(|(code, _)| code.clone()).collect();
        assert_eq!(own, codes, "{language}");
        let names: BTreeSet<&String> = countries.iter().map(|(_, name)| name).collect();
        assert_eq!(names.len(), count, "{language}: no name is there twice");
        for pair in countries.windows(2) {
            let (before, after) = (&pair[0].1, &pair[1].1);
            let ordered = words(language, before) < words(language, after);
            assert!(ordered, "{language}: {before} before {after}");
            assert_eq!(after.trim(), after, "{language}");
            assert!(after.starts_with(char::is_uppercase), "{language}: {after}");
        }
    }
}

/// The options of the list on the page for an address, with the chosen one marked.
fn options(templates: &Templates, language: &str, data: Value) -> Vec<String> {
    let kind = AddressType::new("postal").expect("a good name");
    let language = language.to_owned();
    let page = Page { name: PageName::EnterAddressForm, language, data: data.into() };
    let html = templates.render(&page, &kind).expect("the page exists");
    let options = html.split("<option value=").skip(1);
    options.map(|it| it.split_once("</option>").expect("it ends").0.to_owned()).collect()
}

#[test]
fn people_choose_from_names_in_their_language() {
    let templates = Templates::embedded().expect("the shipped templates are good");
    let two = |chosen: &str| {
        let country = |code: &str| json!({"code": code, "selected": code == chosen});
        json!({"countries": [country("AT"), country("CH")]})
    };
    let open = |language| options(&templates, language, two(""));
    assert_eq!(open("en"), ["\"\">Please choose", "\"AT\">Austria", "\"CH\">Switzerland"]);
    assert_eq!(open("de"), ["\"\">Bitte auswählen", "\"AT\">Österreich", "\"CH\">Schweiz"]);
    assert_eq!(open("fr")[1..], ["\"AT\">Autriche", "\"CH\">Suisse"]);
    assert_eq!(open("it")[1..], ["\"AT\">Austria", "\"CH\">Svizzera"]);
    assert_eq!(open("es")[1..], ["\"AT\">Austria", "\"CH\">Suiza"]);
    let chosen = options(&templates, "de", two("CH"));
    assert_eq!(chosen, ["\"AT\">Österreich", "\"CH\" selected>Schweiz"]);
    let only = options(&templates, "de", json!({"countries": [{"code": "CH"}]}));
    assert_eq!(only, ["\"\">Bitte auswählen", "\"CH\">Schweiz"]);
}

#[test]
fn a_fixed_country_is_shown_by_its_name() {
    let templates = Templates::embedded().expect("the shipped templates are good");
    let data = json!({
        "fix_address": true, "countries": [{"code": "AT"}, {"code": "CH", "selected": true}],
    });
    let kind = AddressType::new("postal").expect("a good name");
    let (name, language) = (PageName::EnterAddressForm, "fr".to_owned());
    let page = Page { name, language, data: data.into() };
    let html = templates.render(&page, &kind).expect("the page exists");
    assert!(
        html.contains("<input type=\"hidden\" name=\"ADDRESS_COUNTRY\" value=\"CH\">"),
        "{html}"
    );
    assert!(html.contains("value=\"Suisse\"\n  readonly"), "{html}");
    assert!(!html.contains("<select"), "{html}");
}

#[test]
fn an_operators_names_take_the_place_of_ours() {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in [
        ("de.countries", "CH Daheim\nAT Nebenan\n"),
        ("sv.countries", "CH Schweiz\nAT Österrike\n"),
        ("sv.lang", "[post]\ncountry = Land\n"),
        ("rm.lang", "[post]\ncountry = Pajais\n"),
    ] {
        fs::write(directory.path().join(name), text).expect("written");
    }
    let mut sources = Sources::embedded();
    assert_eq!(sources.overlay(directory.path()), []);
    let (templates, errors) = Templates::compile(&sources);
    assert_eq!(errors, []);
    let list = || json!({"countries": [{"code": "AT"}, {"code": "CH"}, {"code": "DE"}]});
    for (language, expected) in [
        ("de", ["\"CH\">Daheim", "\"AT\">Nebenan", "\"DE\">Germany"]),
        ("sv", ["\"CH\">Schweiz", "\"AT\">Österrike", "\"DE\">Germany"]),
        ("rm", ["\"AT\">Austria", "\"DE\">Germany", "\"CH\">Switzerland"]),
        ("en", ["\"AT\">Austria", "\"DE\">Germany", "\"CH\">Switzerland"]),
    ] {
        assert_eq!(options(&templates, language, list())[1..], expected, "{language}");
    }
    let warnings = sources.warnings();
    let warnings: Vec<_> = warnings.iter().filter(|it| it.contains(".countries")).collect();
    let expected = "lacks some countries, which have English names at the end of the list (248): \
                    AF, AX, AL, ...";
    assert_eq!(
        warnings,
        [&format!("de.countries {expected}"), &format!("sv.countries {expected}")]
    );
    fs::write(directory.path().join("d e.countries"), "").expect("written");
    fs::write(directory.path().join("it.countries"), "CH Svizzera\nItalia\n").expect("written");
    let errors: Vec<_> = Sources::embedded().overlay(directory.path());
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert!(errors[0].contains("the name of a list of countries is LANGUAGE.countries"));
    assert!(
        errors[1].contains("it.countries:2: expected a code of two capital letters and a name")
    );
    assert_eq!(errors.len(), 2, "{errors:?}");
}
