//! The names of countries for the list on a page, in each language and in its order.
//!
//! A file has a line for each country: its code in ISO 3166-1 and its name, such as
//! `CH Switzerland`. The order of the file is the order of the list, so that nobody has to know
//! how a language sorts. Empty lines and lines that begin with `#` are comments.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use challenger_proto::http::{FALLBACK_LANGUAGE, Variables};
use serde_json::{Value, json};

use super::TemplateError;
use super::sources::own;

/// The variable of a page with the countries to choose from, which are objects with a `code`; the
/// chosen one is `selected`.
const COUNTRIES: &str = "countries";
/// The variable with the chosen one.
const COUNTRY: &str = "country";
/// The variable with the fields of an address.
const FIELDS: &str = "fields";
/// The field with a country.
const FIELD: &str = "ADDRESS_COUNTRY";

/// The variables that are added to those of the core.
pub(super) const VARIABLES: [&str; 3] = ["countries.name", "country.code", "country.name"];

/// The names by language.
#[derive(Clone, Default)]
pub(super) struct Countries(BTreeMap<String, Vec<Country>>);

#[derive(Clone)]
struct Country {
    code: String,
    name: String,
}

impl Countries {
    /// Adds the file of a language, in place of an earlier one, and returns its errors.
    pub(super) fn read(&mut self, language: &str, file: &Path, text: &str) -> Vec<TemplateError> {
        let mut countries: Vec<Country> = Vec::new();
        let mut errors = Vec::new();
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let reason = match country(line) {
                None => "expected a code of two capital letters and a name, such as CH Switzerland",
                Some(country) if countries.iter().any(|other| other.code == country.code) => {
                    "this country has a name already"
                }
                Some(country) => {
                    countries.push(country);
                    continue;
                }
            };
            let (file, reason) = (file.to_path_buf(), reason.to_owned());
            errors.push(TemplateError { file, line: Some(number), reason });
        }
        self.0.insert(language.to_owned(), countries);
        errors
    }

    /// The languages that have a file, each with the codes that English has and it lacks.
    pub(super) fn missing(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        let english = self.0.get(FALLBACK_LANGUAGE).map_or(&[][..], Vec::as_slice);
        self.0.iter().map(move |(language, list)| {
            let own: BTreeSet<&str> = codes(list).collect();
            (language.as_str(), codes(english).filter(|code| !own.contains(code)).collect())
        })
    }

    /// The variables of a page, with names for its countries in its language: for those to choose
    /// from, in the order of the language, for the chosen one, which has a variable of its own, and
    /// for that of an address that is shown. `None` for a page that has none of them.
    pub(super) fn name(&self, data: &Variables, language: &str) -> Option<Variables> {
        let list = self.list(data, language);
        let fields = self.fields(data, language);
        if list.is_none() && fields.is_none() {
            return None;
        }
        let mut data = data.clone();
        if let Some(list) = list {
            if let Some(chosen) = list.iter().find(|country| country["selected"] == true) {
                data.set(COUNTRY, chosen.clone());
            }
            data.set(COUNTRIES, list);
        }
        if let Some(fields) = fields {
            data.set(FIELDS, fields);
        }
        Some(data)
    }

    /// All names of a language. What its file lacks has an English name, after the others.
    fn names<'a>(&'a self, language: &'a str) -> impl Iterator<Item = &'a Country> {
        let languages = own(language).chain([FALLBACK_LANGUAGE]);
        languages.filter_map(|it| self.0.get(it)).flatten()
    }

    /// The countries to choose from.
    fn list(&self, data: &Variables, language: &str) -> Option<Vec<Value>> {
        let countries = data.get(COUNTRIES)?.as_array()?;
        let code = |country: &'_ Value| country["code"].as_str().map(str::to_owned);
        let mut left: BTreeMap<String, bool> = countries
            .iter()
            .filter_map(|country| Some((code(country)?, country["selected"] == true)))
            .collect();
        let mut named = Vec::new();
        for Country { code, name } in self.names(language) {
            if let Some(selected) = left.remove(code) {
                named.push(json!({"code": code, "name": name, "selected": selected}));
            }
        }
        for (code, selected) in left {
            named.push(json!({"code": code, "name": code, "selected": selected}));
        }
        Some(named)
    }

    /// The fields of an address that is shown, if it has a country.
    fn fields(&self, data: &Variables, language: &str) -> Option<Value> {
        let mut fields = data.get(FIELDS)?.clone();
        let country = fields.as_array_mut()?.iter_mut().find(|it| it["name"] == FIELD)?;
        let named = self.names(language).find(|it| country["shown"] == *it.code)?;
        country["shown"] = named.name.as_str().into();
        Some(fields)
    }
}

fn codes(countries: &[Country]) -> impl Iterator<Item = &str> {
    countries.iter().map(|country| country.code.as_str())
}

/// A line of a file.
fn country(line: &str) -> Option<Country> {
    let (code, name) = line.split_once(' ')?;
    let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    is_code.then(|| Country { code: code.to_owned(), name: name.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = "# comment\n\nAT Austria\nDE Germany\nCH Switzerland\n";

    fn countries(files: &[(&str, &str)]) -> Countries {
        let mut countries = Countries::default();
        for (language, text) in files {
            assert_eq!(countries.read(language, Path::new("file"), text), []);
        }
        countries
    }

    /// The names of a list in a language, and the chosen one.
    fn named(countries: &Countries, language: &str, list: Value) -> (Vec<String>, Value) {
        let data = Variables::from(json!({"countries": list, "client": "shop.example"}));
        let named = countries.name(&data, language).expect("there is a list");
        assert_eq!(named.get("client"), Some(&json!("shop.example")));
        let list = named.get("countries").and_then(Value::as_array).expect("a list");
        let names = list.iter().map(|it| it["name"].as_str().expect("a name").to_owned());
        (names.collect(), named.get("country").cloned().unwrap_or_default())
    }

    #[test]
    fn a_list_is_in_the_order_of_its_language() {
        let german = "DE Deutschland\nAT Österreich\nCH Schweiz";
        let countries = countries(&[("en", ENGLISH), ("de", german), ("de-AT", "AT Daheim")]);
        let list = || json!([{"code": "AT"}, {"code": "CH", "selected": true}, {"code": "DE"}]);
        for (language, expected) in [
            ("en", ["Austria", "Germany", "Switzerland"]),
            ("de", ["Deutschland", "Österreich", "Schweiz"]),
            ("de-CH", ["Deutschland", "Österreich", "Schweiz"]),
            ("de-AT", ["Daheim", "Deutschland", "Schweiz"]),
            ("pt", ["Austria", "Germany", "Switzerland"]),
        ] {
            let (names, chosen) = named(&countries, language, list());
            assert_eq!(names, expected, "{language}");
            assert_eq!((&chosen["code"], &chosen["selected"]), (&json!("CH"), &json!(true)));
        }
        let (names, _) = named(&Countries::default(), "en", list());
        assert_eq!(names, ["AT", "CH", "DE"], "without any file");
    }

    #[test]
    fn perhaps_no_country_is_chosen() {
        let countries = countries(&[("en", ENGLISH)]);
        let (names, chosen) = named(&countries, "en", json!([{"code": "CH"}]));
        assert_eq!(names, ["Switzerland"]);
        assert_eq!(chosen, Value::Null);
        assert!(countries.name(&Variables::default(), "en").is_none());
    }

    #[test]
    fn the_country_of_an_address_is_shown_by_its_name_and_sent_by_its_code() {
        let countries = countries(&[("en", ENGLISH), ("de", "CH Schweiz")]);
        let field = |shown: &str| {
            let lines = json!({"name": "ADDRESS_LINES", "shown": "CH", "value": "CH"});
            json!({"fields": [lines, {"name": "ADDRESS_COUNTRY", "shown": shown, "value": shown}]})
        };
        for (shown, language, expected) in
            [("CH", "de", Some("Schweiz")), ("AT", "de", Some("Austria")), ("XX", "de", None)]
        {
            let named = countries.name(&field(shown).into(), language);
            let fields = named.map(|it| it.get("fields").cloned().unwrap());
            let seen = fields.map(|it| {
                [&it[0]["shown"], &it[1]["shown"], &it[1]["value"]].map(Value::to_string)
            });
            assert_eq!(seen, expected.map(|it| ["CH", it, shown].map(|it| json!(it).to_string())));
        }
    }

    #[test]
    fn what_a_file_lacks_is_known() {
        let countries = countries(&[("en", ENGLISH), ("de", "CH Schweiz")]);
        let missing: Vec<_> = countries.missing().collect();
        assert_eq!(missing, [("de", vec!["AT", "DE"]), ("en", vec![])]);
    }

    #[test]
    fn mistakes_are_reported_where_they_are() {
        let mut countries = Countries::default();
        let text = "CH Switzerland\nUKR Ukraine\nch Switzerland\nCH\nCH Suisse\n";
        let errors = countries.read("en", Path::new("en.countries"), text);
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let shape = "expected a code of two capital letters and a name, such as CH Switzerland";
        let shape = |line| format!("en.countries:{line}: {shape}");
        let twice = "en.countries:5: this country has a name already".to_owned();
        assert_eq!(errors, [shape(2), shape(3), shape(4), twice]);
    }
}
