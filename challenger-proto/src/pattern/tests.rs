//! Tests of `pattern`.

use alloc::collections::BTreeSet;
use alloc::format;

use proptest::prelude::*;

use super::*;

const VECTORS: &str = include_str!("../../testdata/vectors/patterns.txt");

fn verdict(pattern: &str, text: &str) -> &'static str {
    match Pattern::parse(pattern) {
        Err(_) => "refused",
        Ok(pattern) if pattern.is_match(text) => "yes",
        Ok(_) => "no",
    }
}

#[test]
fn vectors_agree() {
    let mut seen = BTreeSet::new();
    for line in VECTORS.lines().filter(|line| !line.starts_with("# ")) {
        let [pattern, text, expected]: [&str; 3] =
            line.split('\t').collect::<Vec<_>>().try_into().expect("three columns");
        let text = text.replace(r"\\", "\0").replace(r"\n", "\n").replace('\0', r"\");
        assert_eq!(verdict(pattern, &text), expected, "{line}");
        assert!(seen.insert(line), "twice: {line}");
    }
    assert!(seen.len() >= 250);
}

#[test]
fn errors_say_what_and_where() {
    use PatternErrorKind as Fault;
    let cases = [
        (r"é\1", Fault::BackReference, 2),
        ("a[b", Fault::BracketOpen, 2),
        ("a[b-", Fault::BracketOpen, 2),
        ("ab[:alpha:]", Fault::ClassOutsideBrackets, 3),
        ("[é[:foo:]]", Fault::ClassUnknown, 3),
        ("[a[:alpha]", Fault::ClassUnknown, 3),
        ("[a[.b.]]", Fault::CollatingElement, 3),
        ("(((a{255}){255}){255})", Fault::CompiledTooLarge, 1),
        ("a{256}", Fault::CountTooLarge, 2),
        (r"[[:digit:]]\d", Fault::EscapeUnknown, 12),
        (r"\\\", Fault::EscapeUnfinished, 3),
        ("a(?i)", Fault::GroupExtension, 2),
        ("a(b(c)", Fault::GroupOpen, 2),
        ("a))", Fault::GroupUnopened, 2),
        ("a{b}", Fault::IntervalMalformed, 2),
        ("a{3,2}", Fault::IntervalReversed, 2),
        ("a|*", Fault::NothingToRepeat, 3),
        ("a\0", Fault::Nul, 2),
        ("a**", Fault::QuantifierRepeated, 3),
        ("[a-c-e]", Fault::RangeAmbiguous, 5),
        ("[ba-[:digit:]]", Fault::RangeEnd, 3),
        ("[a-cz-a]", Fault::RangeReversed, 5),
    ];
    for (pattern, kind, position) in cases {
        let error = Pattern::parse(pattern).unwrap_err();
        assert_eq!(error, PatternError { kind, position }, "{pattern}");
        let said = error.to_string();
        assert!(!said.ends_with('.') && !said.contains("  "), "{said}");
    }
    let error = Pattern::parse("^a++$").unwrap_err().to_string();
    assert!(error.starts_with("at character 4: a quantifier after a quantifier"), "{error}");
}

#[test]
fn limits_hold() {
    let nested = |depth: usize| format!("{}a{}", "(b|[c]".repeat(depth), ")?".repeat(depth));
    assert!(Pattern::parse(&nested(DEPTH_MAX)).is_ok());
    let error = Pattern::parse(&nested(DEPTH_MAX + 1)).unwrap_err();
    assert_eq!((error.kind, error.position), (PatternErrorKind::GroupsTooDeep, 6 * DEPTH_MAX + 1));
    assert!(Pattern::parse(&"a".repeat(PATTERN_MAX)).is_ok());
    let error = Pattern::parse(&"a".repeat(PATTERN_MAX + 1)).unwrap_err();
    assert_eq!((error.kind, error.position), (PatternErrorKind::TooLong, 1));
    assert!(Pattern::parse("^.{1,255}$").is_ok());
}

#[test]
fn the_limits_in_messages_are_the_limits() {
    let says = |kind: PatternErrorKind, limit: usize| {
        assert!(kind.to_string().contains(&limit.to_string()), "{kind}");
    };
    says(PatternErrorKind::TooLong, PATTERN_MAX);
    says(PatternErrorKind::GroupsTooDeep, DEPTH_MAX);
    says(PatternErrorKind::CountTooLarge, usize::try_from(COUNT_MAX).unwrap());
    says(PatternErrorKind::CompiledTooLarge, COMPILED_MAX >> 20);
    for class in CLASSES {
        assert!(PatternErrorKind::ClassUnknown.to_string().contains(class), "{class}");
    }
}

#[test]
fn a_pattern_keeps_its_source() {
    let pattern = Pattern::parse(r"[\.]{,3}").unwrap();
    assert_eq!(pattern.as_str(), r"[\.]{,3}");
    assert_eq!(format!("{:?}", pattern), r#"Pattern("[\\.]{,3}")"#);
}

/// Text that is rich in what the translator looks at.
const RICH: &str = r"([]\[(){}|^$*+?.,:=&~a-c0-9é\\<>#-]|\[:alpha:\]|\{1,3\}|\[\^?|\\\.){0,24}";

proptest! {
    #[test]
    fn no_text_makes_a_panic(pattern: String, text: String) {
        verdict(&pattern, &text);
    }

    #[test]
    fn what_is_translated_is_understood(pattern in RICH, text in RICH) {
        if let Ok(translated) = translate(&pattern) {
            let compiled = compile(&translated);
            prop_assert!(!matches!(compiled, Err(regex::Error::Syntax(_))), "{compiled:?}");
        }
        verdict(&pattern, &text);
    }

    #[test]
    fn a_literal_matches_itself_only(text: String, other: String) {
        let mut pattern = String::from("^");
        for character in text.chars() {
            match character {
                '\\' => pattern.push_str(r"\\"),
                '^' => pattern.push_str(r"\^"),
                other => pattern.extend(['[', other, ']']),
            }
        }
        pattern.push('$');
        prop_assume!(!text.contains('\0') && pattern.len() <= PATTERN_MAX);
        let pattern = Pattern::parse(&pattern).unwrap();
        prop_assert!(pattern.is_match(&text));
        prop_assert_eq!(pattern.is_match(&other), text == other);
    }
}
