//! Tests of `restriction`.

use alloc::format;
use alloc::string::ToString;

use proptest::prelude::*;

use super::*;
use crate::address::FIELD_NAME_MAX;
use crate::address::pattern::PatternErrorKind;

const PHONE: &str = r#"{
    "CONTACT_PHONE": {
        "regex": "^\\+[1-9][0-9]{7,14}$",
        "hint": "+41791234567",
        "hint_i18n": {"de": "mit Landesvorwahl", "de-CH": "mit +41", "fr": "avec indicatif"}
    },
    "COUNTRY": {"regex": "^(CH|)$", "hint": "", "hint_i18n": {}}
}"#;

fn error(json: &str) -> String {
    Restrictions::parse(json).expect_err(json).to_string()
}

#[test]
fn config_shows_what_the_operator_wrote() {
    let restrictions = Restrictions::parse(PHONE).unwrap();
    assert!(restrictions.fields().eq(["CONTACT_PHONE", "COUNTRY"]));
    assert!(!restrictions.is_empty());
    assert_eq!(restrictions.get("COUNTRY").unwrap().pattern.as_str(), "^(CH|)$");
    let mut wanted: Value = serde_json::from_str(PHONE).unwrap();
    wanted["COUNTRY"].as_object_mut().unwrap().remove("hint_i18n");
    assert_eq!(restrictions.to_json(), wanted);
    let again = Restrictions::parse(&restrictions.to_json().to_string()).unwrap();
    assert_eq!(again.to_json(), wanted);
}

#[test]
fn the_default_restricts_nothing() {
    for none in [Restrictions::default(), Restrictions::parse(" {} ").unwrap()] {
        assert!(none.is_empty());
        assert_eq!(none.to_json(), json!({}));
        assert_eq!(none.hint("ANY", "en"), None);
    }
}

#[test]
fn hints_follow_the_language() {
    let restrictions = Restrictions::parse(PHONE).unwrap();
    let hint = |language| restrictions.hint("CONTACT_PHONE", language).unwrap();
    assert_eq!(hint("de"), "mit Landesvorwahl");
    assert_eq!(hint("DE-at"), "mit Landesvorwahl");
    assert_eq!(hint("de-CH"), "mit +41");
    assert_eq!(hint("fr"), "avec indicatif");
    assert_eq!(hint("en"), "+41791234567");
    assert_eq!(hint(""), "+41791234567");
    assert_eq!(restrictions.hint("COUNTRY", "de"), Some(""));
    assert_eq!(restrictions.hint("OTHER", "de"), None);
}

#[test]
fn errors_name_the_field_and_what_is_wanted() {
    let long = "F".repeat(FIELD_NAME_MAX + 1);
    let cases = [
        ("", "no JSON at line 1"),
        ("{\n\"A\"}", "no JSON at line 2, column 4"),
        ("[]", "an object is wanted"),
        ("null", "an object is wanted"),
        (r#"{"": {"regex": "", "hint": ""}}"#, r#"field "": a name has 1 to 64 bytes"#),
        (&format!(r#"{{"{long}": {{}}}}"#), "a name has 1 to 64 bytes"),
        (r#"{"A\u200b": {}}"#, "no spaces, commas or invisible characters"),
        (r#"{"A B": {}}"#, "no spaces, commas or invisible characters"),
        (r#"{"read_only": {}}"#, "is not read_only or budget_seen"),
        (r#"{"A": "^a$"}"#, r#"field "A" is no object"#),
        (r#"{"A": {"hint": ""}}"#, r#"field "A" has no "regex""#),
        (r#"{"A": {"regex": ""}}"#, r#"field "A" has no "hint""#),
        (r#"{"A": {"regex": 1, "hint": ""}}"#, r#"field "A": "regex" is no string"#),
        (r#"{"A": {"regex": "", "hint": null}}"#, r#"field "A": "hint" is no string"#),
        (
            r#"{"A": {"regex": "", "hint": "", "hint_i18n": ["de"]}}"#,
            r#"field "A": "hint_i18n" is no object, write one such as {"de": "Ziffern"}"#,
        ),
        (
            r#"{"A": {"regex": "", "hint": "", "hint_i18n": {"de": 1}}}"#,
            r#"field "A": "hint_i18n.de" is no string"#,
        ),
        (
            r#"{"A": {"regex": "", "hint": "", "hint_i18n": {"de_CH": ""}}}"#,
            r#"field "A": "de_CH" in "hint_i18n" is no language"#,
        ),
        (
            r#"{"A": {"regex": "", "hint": "", "hint-i18n": {}}}"#,
            r#"field "A" has an unknown key "hint-i18n", there are "regex", "hint" and "hint_"#,
        ),
        (
            r#"{"A": {"regex": "[0-9]+\\d", "hint": ""}}"#,
            r#"field "A": "regex" at character 7: a backslash only"#,
        ),
    ];
    for (json, wanted) in cases {
        let message = error(json);
        assert!(message.contains(wanted), "{json} gives: {message}");
        assert!(!message.ends_with('.'));
    }
}

#[test]
fn limits_hold() {
    let many = |count: usize| {
        let fields = (0..count).map(|n| (format!("F{n}"), json!({"regex": "", "hint": ""})));
        Restrictions::parse(&fields.collect::<Value>().to_string()).map(|_| ())
    };
    assert_eq!(many(FIELDS_MAX), Ok(()));
    assert_eq!(many(FIELDS_MAX + 1), Err(RestrictionError::TooManyFields));
    let name = "F".repeat(FIELD_NAME_MAX);
    let json = format!(r#"{{"{name}": {{"regex": "", "hint": ""}}}}"#);
    assert!(Restrictions::parse(&json).is_ok());
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(error(&deep).starts_with("no JSON"));
}

#[test]
fn the_refused_pattern_is_kept() {
    let error = Restrictions::parse(r#"{"A": {"regex": "a**", "hint": ""}}"#).unwrap_err();
    let RestrictionError::Pattern { field, error } = error else { panic!("{error}") };
    assert_eq!((field.as_str(), error.kind), ("A", PatternErrorKind::QuantifierRepeated));
}

proptest! {
    #[test]
    fn no_text_makes_a_panic(json: String, field: String, regex: String, language: String) {
        let _ = Restrictions::parse(&json);
        let json = json!({&field: {"regex": &regex, "hint": "", "hint_i18n": {&language: ""}}});
        if let Ok(restrictions) = Restrictions::parse(&json.to_string()) {
            assert_eq!(restrictions.to_json(), json);
            assert_eq!(restrictions.hint(&field, &language), Some(""));
        }
    }
}
