//! Destinations: parts of the world that messages go to, by the beginning of a telephone number,
//! the end of a domain, or a country.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use crate::address::country::{self, COUNTRY};
use crate::address::pattern::Pattern;
use crate::address::tidy::{as_called, dialled};

/// The longest telephone number, in digits (ITU-T E.164).
const DIGITS_MAX: usize = 15;

/// Addresses that belong together because messages to them cost the same, or are abused together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    kind: Kind,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Country,
    Domain,
    Prefix,
}

impl Destination {
    /// Addresses in a country, by its code of two letters (ISO 3166-1).
    pub fn country(code: &str) -> Option<Self> {
        let code = country::tidied(code);
        country::exists(&code).then_some(Self { kind: Kind::Country, text: code })
    }

    /// E-mail addresses of a domain and of those below it.
    pub fn domain(name: &str) -> Option<Self> {
        let name = idna::domain_to_ascii(name).ok()?;
        let name = name.trim_end_matches('.');
        let is_label = |label: &str| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !label.is_empty() && label.bytes().all(is_allowed)
        };
        let is_domain = name.split('.').all(is_label);
        is_domain.then(|| Self { kind: Kind::Domain, text: name.to_owned() })
    }

    /// Telephone numbers that begin with these digits, behind the `+` of the country. A `+` alone
    /// stands for all numbers, also those without one.
    pub fn prefix(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let is_prefix = !text.is_empty()
            && digits.len() <= DIGITS_MAX
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            // No country code begins with a zero.
            && !text.starts_with("+0");
        is_prefix.then(|| Self { kind: Kind::Prefix, text: text.to_owned() })
    }

    /// The destination of a kind, as [`Self::kind`] names it.
    pub(crate) fn of_kind(kind: &str, text: &str) -> Option<Self> {
        match kind {
            "country" => Self::country(text),
            "domain" => Self::domain(text),
            "prefix" => Self::prefix(text),
            _ => None,
        }
    }

    /// What it goes by: `country`, `domain` or `prefix`.
    pub const fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Country => "country",
            Kind::Domain => "domain",
            Kind::Prefix => "prefix",
        }
    }

    /// The code, the domain or the digits.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The field of an address that says whether it belongs to the destination.
    pub const fn field(&self) -> &'static str {
        match self.kind {
            Kind::Country => COUNTRY,
            Kind::Domain => "CONTACT_EMAIL",
            Kind::Prefix => "CONTACT_PHONE",
        }
    }

    /// Whether it has the addresses with this tidied value of its field.
    pub fn covers(&self, value: &str) -> bool {
        match self.kind {
            Kind::Country => value == self.text,
            Kind::Domain => {
                let domain = value.rsplit_once('@').map_or(value, |(_, domain)| domain);
                let below = domain.strip_suffix(&self.text);
                below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
            }
            Kind::Prefix => self.text == "+" || self.begins(value),
        }
    }

    /// Whether the number that a gateway would call begins with the prefix. Some gateways leave out
    /// zeros behind the country's code, and what stands behind the number.
    fn begins(&self, value: &str) -> bool {
        dialled(value).is_some_and(|number| {
            number.starts_with(&self.text)
                || as_called(&number).is_some_and(|it| it.starts_with(&self.text))
        })
    }

    /// Whether a pattern for its field lets any of its addresses through.
    pub fn is_allowed_by(&self, pattern: &Pattern) -> bool {
        let text = self.text.as_str();
        match self.kind {
            Kind::Country => pattern.is_match(text),
            Kind::Domain => {
                let can_end = |before: char| pattern.can_match("", &format!("{before}{text}"));
                can_end('@') || can_end('.') || pattern.is_match(text)
            }
            Kind::Prefix => self.text == "+" || pattern.can_match(text, ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_has_the_addresses_that_it_names() {
        for (destination, within, outside) in [
            (Destination::prefix("+41"), &["+41791234567", "+41"][..], &["+4", "41", "+1"][..]),
            (Destination::prefix("+"), &["+41791234567", "0791234567", "call me"], &[]),
            (Destination::prefix("0900"), &["0900123456"], &["+410900", "090"]),
            // As gateways call them.
            (
                Destination::prefix("+41900"),
                &["+410900123456", "+041900123456", "+41 900 12 ext. 3", "tel:+41900;ext=1"],
                &["+4190", "+41 90-1", "call me", "0900123456", "+491900"],
            ),
            (Destination::prefix("+410"), &["+410900123456"], &["+41900123456"]),
            // In Italy the zero is a part of the number.
            (Destination::prefix("+39345"), &["+393451234567"], &["+390345123456", "+0390345"]),
            (
                Destination::domain("Example.com."),
                &["ada@example.com", "ada@mail.example.com"],
                &["ada@anexample.com", "ada@example.com.example", "ada@example.org"],
            ),
            (Destination::domain("bücher.example"), &["a@xn--bcher-kva.example"], &["a@example"]),
            (Destination::domain("com"), &["ada@example.com"], &["ada@example.dotcom"]),
            (Destination::country("uk"), &["GB"], &["CH", ""]),
        ] {
            let destination = destination.unwrap();
            assert!(within.iter().all(|it| destination.covers(it)), "{destination:?}");
            assert!(!outside.iter().any(|it| destination.covers(it)), "{destination:?}");
            let text = destination.text();
            assert_eq!(Destination::of_kind(destination.kind(), text).as_ref(), Some(&destination));
        }
    }

    #[test]
    fn a_pattern_may_let_none_of_its_addresses_through() {
        for (destination, pattern, expected) in [
            (Destination::prefix("+"), "^none$", true),
            (Destination::prefix("+41"), r"^\+41[0-9]+$", true),
            (Destination::prefix("+49"), r"^\+41[0-9]+$", false),
            (Destination::prefix("0900"), r"^\+", false),
            (Destination::domain("own.example"), "^[a-z]+@own[.]example$", true),
            (Destination::domain("example"), "^[a-z]+@own[.]example$", true),
            (Destination::domain("n.example"), "^[a-z]+@own[.]example$", false),
            (Destination::domain("mail.own.example"), "^[a-z]+@own[.]example$", false),
            (Destination::domain("example"), "^example$", true),
            (Destination::country("CH"), "^(AT|CH)$", true),
            (Destination::country("DE"), "^(AT|CH)$", false),
        ] {
            let destination = destination.unwrap();
            let pattern = Pattern::parse(pattern).unwrap();
            assert_eq!(
                destination.is_allowed_by(&pattern),
                expected,
                "{destination:?} {pattern:?}"
            );
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for bad in ["", "41 79", "+41x", "++41", "+041", "+1234567890123456", "１"] {
            assert!(Destination::prefix(bad).is_none(), "{bad}");
        }
        for bad in ["", ".", "a@example.com", "*.example.com", "exa mple.com", "a..b", ".com"] {
            assert!(Destination::domain(bad).is_none(), "{bad}");
        }
        for bad in ["", "ZZ", "CHE", "Switzerland"] {
            assert!(Destination::country(bad).is_none(), "{bad}");
        }
    }
}
