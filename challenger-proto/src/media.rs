//! The formats and languages that a request accepts: `Accept` (RFC 9110 §12.5.1) and
//! `Accept-Language` (§12.5.4).

use core::cmp::Reverse;

/// A weight in thousandths, as RFC 9110 §12.4.2 counts them.
type Weight = u16;

const FULL_WEIGHT: Weight = 1000;

/// The longest language tag for which RFC 5646 §4.4.1 recommends to make room.
const LANGUAGE_TAG_MAX: usize = 35;

/// Whether a text has the shape of an accepted language tag, such as `de` or `pt-BR`: the subset of
/// RFC 5646 §2.1 whose primary subtag is a two- or three-letter ISO 639 code. Private tags are not
/// accepted, nor is the `de_CH` of locales, for which browsers do not ask.
pub fn is_language_tag(text: &str) -> bool {
    let (language, more) = text.split_once('-').map_or((text, None), |(it, more)| (it, Some(more)));
    let is_subtag = |it: &str| {
        (1..=8).contains(&it.len()) && it.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic())
        && more.is_none_or(|more| more.split('-').all(is_subtag))
        && text.len() <= LANGUAGE_TAG_MAX
}

/// The elements of a negotiation header with their weights. One without a readable `q` has full
/// weight.
fn elements(header: &str) -> impl Iterator<Item = (&str, Weight)> {
    header.split(',').filter_map(|element| {
        let mut parts = element.split(';');
        let name = parts.next()?.trim();
        let weight = parts
            .filter_map(|parameter| parameter.trim().split_once('='))
            .find(|(key, _)| key.trim().eq_ignore_ascii_case("q"))
            .map_or(FULL_WEIGHT, |(_, value)| parse_weight(value.trim()));
        (!name.is_empty()).then_some((name, weight))
    })
}

/// Reads `0`, `0.8` or `1.000`; anything else has full weight.
fn parse_weight(text: &str) -> Weight {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut thousandths: Weight = match whole {
        "0" => 0,
        _ => return FULL_WEIGHT,
    };
    let mut place = 100;
    for digit in fraction.chars().take(3) {
        let Some(digit) = digit.to_digit(10).and_then(|digit| Weight::try_from(digit).ok()) else {
            return FULL_WEIGHT;
        };
        thousandths += digit * place;
        place /= 10;
    }
    thousandths
}

/// The position and weight of a media type that is named literally, and not by a wildcard.
fn explicit_weight(accept: &str, media_type: &str) -> Option<(usize, Weight)> {
    elements(accept)
        .enumerate()
        .find(|(_, (name, weight))| name.eq_ignore_ascii_case(media_type) && *weight > 0)
        .map(|(position, (_, weight))| (position, weight))
}

/// Whether `preferred` is named, and before `other`: with more weight, or the same weight earlier.
fn prefers(accept: Option<&str>, preferred: &str, other: &str) -> bool {
    let Some(accept) = accept else { return false };
    let Some((position, weight)) = explicit_weight(accept, preferred) else { return false };
    match explicit_weight(accept, other) {
        None => true,
        Some((other_position, other_weight)) => {
            weight > other_weight || (weight == other_weight && position < other_position)
        }
    }
}

/// Whether HTML is asked for by name, rather than JSON.
pub(crate) fn wants_html(accept: Option<&str>) -> bool {
    prefers(accept, "text/html", "application/json")
}

/// Whether JSON is asked for by name, rather than HTML.
pub(crate) fn wants_json(accept: Option<&str>) -> bool {
    prefers(accept, "application/json", "text/html")
}

/// How well a media type fits what is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// Not at all.
    None,
    /// By a wildcard.
    Wildcard,
    /// By its name.
    Named,
}

/// How well a media type fits the best element. No header means `text/plain`.
pub(crate) fn fit(accept: Option<&str>, media_type: &str) -> Fit {
    let (kind, _) = media_type.split_once('/').unwrap_or((media_type, ""));
    let fit = |(name, _): (&str, Weight)| {
        if name.eq_ignore_ascii_case(media_type) {
            return Fit::Named;
        }
        let family = name.strip_suffix("/*");
        let any = name == "*/*" || family.is_some_and(|family| family.eq_ignore_ascii_case(kind));
        if any { Fit::Wildcard } else { Fit::None }
    };
    elements(accept.unwrap_or("text/plain")).map(fit).max().unwrap_or(Fit::None)
}

/// The weight of a language, and where it is named first: by the weight of its own tag, else of
/// a tag of one of its regions (`de-CH` for `de`; RFC 4647 §3.4 in reverse), else not at all. No
/// header means English.
fn rank(accept_language: Option<&str>, language: &str) -> (Weight, Reverse<usize>) {
    let mut exact = None;
    let mut regional = 0;
    let mut first = usize::MAX;
    for (position, (tag, weight)) in elements(accept_language.unwrap_or("en")).enumerate() {
        let primary = tag.split_once('-').map(|(primary, _)| primary);
        if tag.eq_ignore_ascii_case(language) {
            exact = exact.or(Some(weight));
        } else if primary.is_some_and(|primary| primary.eq_ignore_ascii_case(language)) {
            regional = regional.max(weight);
        } else {
            continue;
        }
        first = first.min(position);
    }
    (exact.unwrap_or(regional), Reverse(first))
}

/// The weight of a language.
pub(crate) fn language_weight(accept_language: Option<&str>, language: &str) -> Weight {
    rank(accept_language, language).0
}

/// The language with the highest weight in `Accept-Language`; of equals, the one that it names
/// first. A tag of a region counts for its language. No header means English.
pub fn best_language<'a>(
    accept_language: Option<&str>,
    languages: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    languages
        .map(|language| (rank(accept_language, language), language))
        .filter(|((weight, _), _)| *weight > 0)
        .max_by_key(|(rank, _)| *rank)
        .map(|(_, language)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_tags_have_a_shape() {
        let longest = "de-CH-1996-x-aaaaaaaa-bbbbbbbb-cccc";
        assert_eq!(longest.len(), LANGUAGE_TAG_MAX);
        for good in ["de", "gsw", "DE-ch", "pt-BR", "zh-Hant-TW", "es-419", longest] {
            assert!(is_language_tag(good), "{good}");
        }
        let long = longest.replace("cccc", "ccccc");
        for bad in [
            "",
            "d",
            "-",
            "en-",
            "-en",
            "en--GB",
            "e1",
            "de_CH",
            "english",
            "en-aaaaaaaaa",
            "dé",
            "de CH",
            "de\">",
            &long,
        ] {
            assert!(!is_language_tag(bad), "{bad}");
        }
    }

    #[test]
    fn only_named_types_count() {
        assert!(wants_html(Some("text/html,application/xhtml+xml,*/*;q=0.8")));
        assert!(wants_html(Some(" TEXT/HTML ; q=0.5, application/json;q=0.4")));
        assert!(!wants_html(Some("*/*")));
        assert!(!wants_html(Some("text/*")));
        assert!(!wants_html(None));
        assert!(!wants_html(Some("text/html;q=0")));
        assert!(wants_json(Some("application/json, text/html")));
        assert!(!wants_json(Some("text/html, application/json")));
        assert!(!wants_json(Some("application/json;q=0.9, text/html")));
        assert!(wants_html(Some("application/json;q=0.9, text/html")));
    }

    #[test]
    fn weights_have_three_digits() {
        for (text, weight) in
            [("1", 1000), ("1.0", 1000), ("0", 0), ("0.5", 500), ("0.123", 123), ("x", 1000)]
        {
            assert_eq!(parse_weight(text), weight, "{text}");
        }
    }

    #[test]
    fn wildcards_fit_documents() {
        assert_eq!(fit(None, "text/plain"), Fit::Named);
        assert_eq!(fit(None, "text/html"), Fit::None);
        assert_eq!(fit(Some("text/*"), "text/html"), Fit::Wildcard);
        assert_eq!(fit(Some("image/png, */*"), "application/pdf"), Fit::Wildcard);
        assert_eq!(fit(Some("*/*, Text/HTML;q=0.1"), "text/html"), Fit::Named);
        assert_eq!(fit(Some("image/png"), "application/pdf"), Fit::None);
    }

    #[test]
    fn languages_are_chosen_by_weight_then_order() {
        let have = || ["de", "en", "fr", "pt-BR"].into_iter();
        let best = |header| best_language(Some(header), have());
        assert_eq!(best("fr;q=0.5, de;q=0.9, en;q=0.1"), Some("de"));
        assert_eq!(best("fr, de"), Some("fr"));
        assert_eq!(best("de-CH, fr;q=0.9"), Some("de"));
        assert_eq!(best("PT-br"), Some("pt-BR"));
        assert_eq!(best("es"), None);
        assert_eq!(best("de;q=0"), None);
        assert_eq!(best_language(None, have()), Some("en"));
    }
}
