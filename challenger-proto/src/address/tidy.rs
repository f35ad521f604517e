//! Tidying: one spelling for each address, whatever people type, browsers fill in and clients
//! propose.
//!
//! A value is tidied by the name of its field, before it is restricted, compared, stored, sent and
//! returned. A value that does not look like one of its kind is left as it is, so that a person
//! finds it in the form again.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::address::country;
use crate::text::{as_seen, digit, is_dash, visible};

/// The longest local part of an e-mail address, in bytes (RFC 5321 §4.5.3.1.1).
const LOCAL_PART_MAX: usize = 64;
/// The longest label of a domain, in bytes (RFC 1035 §2.3.4).
const LABEL_MAX: usize = 63;
/// The longest e-mail address, in bytes: a path has 256, with the brackets around the address
/// (RFC 5321 §4.5.3.1.3). A domain of 255 bytes, the most that §4.5.3.1.2 allows, is longer.
const EMAIL_MAX: usize = 254;

/// Country codes after which a zero belongs to the number, so that `(0)` is not a trunk prefix:
/// Italy with the Vatican, the Ivory Coast, the Congo, and San Marino.
const ZERO_IS_KEPT: [&str; 4] = ["39", "225", "242", "378"];
/// The country codes of two digits (ITU-T E.164). Those of one digit are 1 and 7, all others have
/// three.
const TWO_DIGITS: [&str; 44] = [
    "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47",
    "48", "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65",
    "66", "81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98",
];

/// A value in the one spelling of its field.
pub(crate) fn tidied(field: &str, value: &str) -> String {
    match field {
        country::COUNTRY => country::tidied(visible(value).collect::<String>().trim()),
        "ADDRESS_LINES" => lines(value),
        "CONTACT_EMAIL" => email(value),
        "CONTACT_NAME" => words(&as_seen(value)),
        "CONTACT_PHONE" => phone(value),
        _ => as_seen(value),
    }
}

/// Whether a tidied value can be one of its field at all, whatever the operator's restriction says.
pub(crate) fn is_possible(field: &str, value: &str) -> bool {
    match field {
        country::COUNTRY => value.is_empty() || country::exists(value),
        "CONTACT_EMAIL" => value.rsplit_once('@').is_none_or(|(local, domain)| {
            let is_label = |label: &str| (1..=LABEL_MAX).contains(&label.len());
            local.len() <= LOCAL_PART_MAX
                && value.len() <= EMAIL_MAX
                && (domain.starts_with('[') || domain.split('.').all(is_label))
                && idna::domain_to_ascii(domain).is_ok()
        }),
        _ => true,
    }
}

/// A value as people read it on a page: an internationalized domain is in its own script, unless
/// that has something that nobody sees. A form sends it back, and it has to be the same address.
pub(crate) fn shown(field: &str, value: &str) -> String {
    let unicode = || {
        let (local, domain) = value.rsplit_once('@').filter(|_| field == "CONTACT_EMAIL")?;
        let (unicode, result) = idna::domain_to_unicode(domain);
        let read = format!("{local}@{unicode}");
        (result.is_ok() && email(&read) == value).then_some(read)
    };
    unicode().unwrap_or_else(|| value.to_owned())
}

/// One blank for several.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lines without empty ones, each with one blank for several.
fn lines(value: &str) -> String {
    let seen = as_seen(value);
    seen.lines().map(words).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// An e-mail address with its domain in ASCII and in lower case (RFC 5891 §4.4): domains do not
/// distinguish cases (RFC 1035 §2.3.3). Only its server knows which local parts are the same.
fn email(value: &str) -> String {
    let typed = as_seen(&value.replace(['＠', '﹫'], "@"));
    let typed = without_scheme(&typed, "mailto:");
    let is_domain = |text: &str| !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let Some((local, domain)) = typed.rsplit_once('@').filter(|(_, domain)| is_domain(domain))
    else {
        return typed.to_owned();
    };
    match idna::domain_to_ascii(domain) {
        Ok(domain) => format!("{local}@{}", domain.trim_end_matches('.')),
        Err(_) => typed.to_owned(),
    }
}

/// A telephone number as `+` and digits (ITU-T E.164), or as digits where the country is missing.
fn phone(value: &str) -> String {
    let typed: String = visible(value).collect();
    let number = without_scheme(typed.trim(), "tel:");
    let number: String = number.chars().filter(|c| !is_between(*c)).map(spelled).collect();
    let number = without_trunk_zero(&number).replace(['(', ')'], "");
    let (plus, digits) = match number.strip_prefix('+') {
        Some(digits) => ("+", digits),
        None if number.starts_with("00") => ("+", number.as_str()),
        None => ("", number.as_str()),
    };
    // No country code begins with a zero.
    let digits = if plus.is_empty() { digits } else { digits.trim_start_matches("00") };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return typed.trim().to_owned();
    }
    format!("{plus}{digits}")
}

/// Whether people write a character between the digits of a telephone number.
fn is_between(c: char) -> bool {
    c.is_whitespace() || is_dash(c) || ".·•．/／⁄∕".contains(c)
}

/// The telephone number in a value, in the form of a tidied one: without words in front of it, and
/// without what follows, such as an extension. That is what a gateway may call.
pub(crate) fn dialled(value: &str) -> Option<String> {
    let seen: String = visible(value).map(spelled).collect();
    let begin = seen.find(|c: char| c == '+' || c.is_ascii_digit())?;
    let (_, number) = seen.split_at_checked(begin)?;
    let (plus, rest) = number.split_at_checked(usize::from(number.starts_with('+')))?;
    let is_part = |c: char| c.is_ascii_digit() || is_between(c) || "()".contains(c);
    let rest = rest.split(|c| !is_part(c)).next()?;
    let number = phone(&format!("{plus}{rest}"));
    number.contains(|c: char| c.is_ascii_digit()).then_some(number)
}

/// The digits of a number in the form of E.164, without the zeros that belong to calls within a
/// country (+41 079 …), and without those in front of its code. Some gateways leave them out.
pub(crate) fn without_trunk_zeros(digits: &str) -> String {
    let digits = digits.trim_start_matches('0');
    let (code, rest) = digits.split_at(country_code(digits).len());
    format!("{code}{}", rest.trim_start_matches('0'))
}

/// The number that a gateway calls which leaves out those zeros, where they do not belong to it;
/// `None` for a number without a country.
pub(crate) fn as_called(number: &str) -> Option<String> {
    let digits = number.strip_prefix('+')?.trim_start_matches('0');
    let is_kept = ZERO_IS_KEPT.contains(&country_code(digits));
    Some(if is_kept { format!("+{digits}") } else { format!("+{}", without_trunk_zeros(digits)) })
}

/// A character of a telephone number, in ASCII.
fn spelled(c: char) -> char {
    match (c, digit(c)) {
        (_, Some(value)) => char::from(b'0' + value),
        ('＋' | '﹢', None) => '+',
        ('（' | '[' | '［' | '{', None) => '(',
        ('）' | ']' | '］' | '}', None) => ')',
        (_, None) => c,
    }
}

/// A number without the `(0)` that people in a country write in front of it, and that callers from
/// abroad leave out.
fn without_trunk_zero(number: &str) -> String {
    let parts = number.split_once("(0)").filter(|(before, _)| {
        let before = before.replace(['(', ')'], "");
        let code = before.strip_prefix('+').or_else(|| before.strip_prefix("00"));
        code.is_some_and(|code| is_country_code(code) && !ZERO_IS_KEPT.contains(&code))
    });
    parts.map_or_else(|| number.to_owned(), |(before, after)| format!("{before}{after}"))
}

/// Whether digits have the form of a whole country code. In `+38 (0)44`, the zero is the end of one
/// (380), and without it, the number would be somebody else's.
fn is_country_code(digits: &str) -> bool {
    match digits.len() {
        1 => matches!(digits, "1" | "7"),
        2 => TWO_DIGITS.contains(&digits),
        3 => !digits.starts_with(['1', '7']) && !TWO_DIGITS.iter().any(|it| digits.starts_with(it)),
        _ => false,
    }
}

/// The country code that a number in the form of E.164 begins with, without the `+`.
fn country_code(number: &str) -> &str {
    let whole = (1..=3).find_map(|len| number.get(..len).filter(|code| is_country_code(code)));
    whole.unwrap_or_default()
}

/// A link's text without its scheme, however often it stands there.
fn without_scheme<'a>(mut text: &'a str, scheme: &str) -> &'a str {
    while let Some((first, rest)) = text.split_at_checked(scheme.len()) {
        if !first.eq_ignore_ascii_case(scheme) {
            break;
        }
        text = rest.trim_start();
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every row has spellings of one address, and the one that is kept.
    fn check(field: &str, rows: &[(&[&str], &str)]) {
        for (spellings, kept) in rows {
            for spelling in *spellings {
                assert_eq!(tidied(field, spelling), *kept, "{spelling:?}");
            }
            assert_eq!(tidied(field, kept), *kept);
            assert!(is_possible(field, kept), "{kept:?}");
        }
    }

    #[test]
    fn telephone_numbers_are_plus_and_digits() {
        let ada: &[&str] = &[
            "+41 79 123 45 67",
            "+41791234567",
            "+41-79-123-45-67",
            "+41.79.123.45.67",
            "+41/79/1234567",
            "+41 (79) 123 45 67",
            "(+41) 79 [123] 45 67",
            "+41 (0)79 123 45 67",
            "+41 ( 0 ) 79 123 45 67",
            "(+41)(0)791234567",
            "0041 79 123 45 67",
            "0041 (0) 79 123 45 67",
            "+0041791234567",
            "＋４１ （０）７９ １２３−４５−６７",
            "tel:+41-79-123-45-67",
            "TEL: +41 79 1234567",
            "\u{202a}+41\u{a0}79\u{2009}123\u{2011}45\u{2013}67\u{202c}",
            "+٤١ ٧٩ ١٢٣ ٤٥ ٦٧",
            "+४१७९१२३४५६७",
            "\u{feff}+41\t79\n123 45\u{200d} 67 ",
        ];
        check(
            "CONTACT_PHONE",
            &[
                (ada, "+41791234567"),
                (&["079 123 45 67", "(079) 123-45-67", "079/1234567"], "0791234567"),
                (&["+39 (0)6 1234 5678", "0039 06 12345678", "+39(0)612345678"], "+390612345678"),
                (&["+378 (0549) 123456", "+378 (0)549 123456"], "+3780549123456"),
                (&["+1 (202) 555-0123", "001 202 555 0123"], "+12025550123"),
                (&["+353 (0)1 234 5678", "+353 1 2345678"], "+35312345678"),
                (&["+225 (0)7 12 34 56 78"], "+2250712345678"),
                // The zero of the country code: Norway and nobody would have the others.
                (&["+4(0)721 234 567", "+40 (0)721 234567", "+40721234567"], "+40721234567"),
                (&["+38 (0)44 123-45-67", "+380 (0)44 1234567"], "+380441234567"),
            ],
        );
    }

    #[test]
    fn what_is_not_a_number_is_left_as_it_is() {
        for typed in [
            "call me",
            "+41 79 123 45 67 ext. 8",
            "tel:+41;ext=1",
            "tel:mailto:1",
            "+",
            "( )",
            "00",
        ] {
            assert_eq!(tidied("CONTACT_PHONE", &format!(" {typed}\u{200b} ")), typed);
        }
        // A zero in brackets elsewhere is a digit.
        assert_eq!(tidied("CONTACT_PHONE", "+4179(0)123"), "+41790123");
        assert_eq!(tidied("CONTACT_PHONE", "(0)79 123"), "079123");
        assert_eq!(tidied("CONTACT_PHONE", ""), "");
    }

    #[test]
    fn domains_have_one_spelling_and_local_parts_their_own() {
        check(
            "CONTACT_EMAIL",
            &[
                (
                    &[
                        "ada@EXAMPLE.com",
                        " ada@Example.Com. ",
                        "ada＠example．com",
                        "ada﹫example.com",
                    ],
                    "ada@example.com",
                ),
                (&["mailto:ada@example.com", "ada\u{200b}@exam\u{ad}ple.com"], "ada@example.com"),
                (&["mailto: MAILTO:ada@example.com", "ada﹫example.com"], "ada@example.com"),
                (&["ada＠\u{200d}é.example", "ada@é.example"], "ada@xn--9ca.example"),
                (&["Ada.Lovelace@example.com"], "Ada.Lovelace@example.com"),
                (
                    &["ada@bücher.example", "ada@BÜCHER.example", "ada@xn--BCHER-kva.example"],
                    "ada@xn--bcher-kva.example",
                ),
                (&["ada@bu\u{308}cher。example"], "ada@xn--bcher-kva.example"),
                (&["ada@straße.example"], "ada@xn--strae-oqa.example"),
                (&["ада@пример.рф", "ада@ПРИМЕР.РФ"], "ада@xn--e1afmkfd.xn--p1ai"),
                (&["a!b#c/d{e}|f@example.com"], "a!b#c/d{e}|f@example.com"),
                (&["a@b@Example.com"], "a@b@example.com"),
                (&["ada@[192.0.2.1]"], "ada@[192.0.2.1]"),
            ],
        );
        for typed in ["ada", "ada@xn--a.example", "ada@exa mple.com", "ada@a.example\nBcc: b", ""] {
            assert_eq!(tidied("CONTACT_EMAIL", typed), typed);
        }
    }

    #[test]
    fn an_email_address_has_the_lengths_of_its_parts() {
        let email = |local: usize, labels: &[usize]| {
            let labels: Vec<String> = labels.iter().map(|len| "x".repeat(*len)).collect();
            is_possible("CONTACT_EMAIL", &format!("{}@{}", "a".repeat(local), labels.join(".")))
        };
        assert!(email(64, &[63, 3]) && !email(65, &[63, 3]) && !email(64, &[64, 3]));
        assert!(email(62, &[63, 63, 63]) && !email(63, &[63, 63, 63]));
        assert!(!email(1, &[3, 0, 3]) && !email(1, &[0]));
        // 60 letters are longer as an A-label.
        assert!(!is_possible("CONTACT_EMAIL", &format!("a@{}.example", "ü".repeat(60))));
        assert!(!is_possible("CONTACT_EMAIL", "ada@xn--a.example"));
        assert!(is_possible("CONTACT_EMAIL", "ada@[IPv6:2001:db8::1]"));
        assert!(is_possible("CONTACT_EMAIL", "no address"), "the restriction's business");
    }

    #[test]
    fn letters_have_lines_without_gaps() {
        check(
            "ADDRESS_LINES",
            &[
                (
                    &[
                        "  Bahnhofstrasse\t1 \r\n\r\n 8001\u{a0}  Zürich\n \n",
                        "Bahnhofstrasse 1\u{2028}8001 Zürich",
                        "Bahnhofstrasse 1\u{b}8001\u{3000}Zürich\u{200b}",
                    ],
                    "Bahnhofstrasse 1\n8001 Zürich",
                ),
                (&[" \n\t\r\n"], ""),
            ],
        );
        let ada: &[&str] = &["Ada Lovelace", " Ada \t Lovelace\u{200b}", "Ada\nLovelace"];
        check("CONTACT_NAME", &[(ada, "Ada Lovelace")]);
    }

    #[test]
    fn countries_are_codes_that_exist() {
        check(
            "ADDRESS_COUNTRY",
            &[
                (&["ch", "CH", " Ch\u{200e} "], "CH"),
                (&["uk", "UK", "gb"], "GB"),
                (&["el", "EL", "gr"], "GR"),
                (&[" "], ""),
            ],
        );
        for code in ["ZZ", "CHE", "Switzerland", "C"] {
            assert!(!is_possible("ADDRESS_COUNTRY", &tidied("ADDRESS_COUNTRY", code)), "{code}");
        }
    }

    #[test]
    fn other_fields_keep_their_blanks_and_lines() {
        assert_eq!(tidied("NOTE", " a\u{a0} b\u{200b}\r\n\r\nc "), "a  b\n\nc");
        assert!(is_possible("NOTE", "anything"));
    }

    #[test]
    fn people_read_domains_in_their_script() {
        for (value, read) in [
            ("ada@xn--bcher-kva.example", "ada@bücher.example"),
            ("ada@example.com", "ada@example.com"),
            ("ada@xn--a.example", "ada@xn--a.example"),
            // With a blank that nobody sees, or one that a letter becomes, it would be another.
            ("ada@xn--ab-10y.example", "ada@xn--ab-10y.example"),
            ("ada@xn--a b-eec.example", "ada@xn--a b-eec.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(shown("CONTACT_EMAIL", value), read);
            assert_eq!(tidied("CONTACT_EMAIL", read), value);
            assert_eq!(shown("OTHER", value), value);
        }
    }

    const FIELDS: [&str; 6] = [
        "ADDRESS_COUNTRY",
        "ADDRESS_LINES",
        "CONTACT_EMAIL",
        "CONTACT_NAME",
        "CONTACT_PHONE",
        "NOTE",
    ];

    proptest! {
        #[test]
        fn what_is_tidy_stays_as_it_is(
            value in prop_oneof![
                "\\PC{0,12}",
                "[+＋0-9()／. \u{200b}\u{200d}-]{0,16}",
                "(tel: ?|mailto: ?){0,2}[a-zA-Zü]{0,3}[@＠﹫](xn--)?[a-zßü\u{200d}.。A-Z-]{0,12}",
                "[a\r\n\t \u{a0}\u{2028}]{0,12}",
            ],
        ) {
            for field in FIELDS {
                let tidy = tidied(field, &value);
                prop_assert_eq!(&tidied(field, &tidy), &tidy, "{}", field);
                prop_assert_eq!(tidy.trim(), tidy.as_str());
                prop_assert_eq!(&tidied(field, &shown(field, &tidy)), &tidy, "{}", field);
            }
        }
    }
}
