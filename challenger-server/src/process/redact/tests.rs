//! Tests of the texts that are hidden in the output of programs, and of those that are not.

use std::fmt::Write as _;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use proptest::prelude::*;

use super::*;

const EMAIL: Private<'_> = Private::Address("Ada.Lovelace@example.com");
const PHONE: Private<'_> = Private::Address("+41791234567");
const POSTAL: Private<'_> =
    Private::Address("Ada \"Countess\" Lovelace\nBahnhofstraße 1\r\n8001 Zürich");
const CODE: Private<'_> = Private::Text("1234-5678");

fn redaction(private: &[Private<'_>], settings: &[(&str, &str)]) -> Redaction {
    let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Redaction::new(private, &settings.collect())
}

fn line(private: &[Private<'_>], output: &str) -> String {
    redaction(private, &[]).line(output.as_bytes(), false)
}

/// Checks the outputs in a table, in which everything hidden has to appear as `***`.
#[track_caller]
fn check(private: &[Private<'_>], cases: &[(&str, &str)]) {
    for (output, expected) in cases {
        assert_eq!(line(private, output), *expected, "{output}");
    }
}

#[test]
fn addresses_vanish_in_every_spelling() {
    check(
        &[EMAIL],
        &[
            ("to Ada.Lovelace@example.com.", "to ***."),
            ("to ADA.LOVELACE@EXAMPLE.COM now", "to *** now"),
            ("<ada.lovelace@Example.com>", "<***>"),
            ("no mailbox ada.lovelace at mx.example.com", "no mailbox *** at mx.***"),
            ("user 'Ada.Lovelace', (Lovelace)", "user '***', (***)"),
            ("SRS0=x=example.com=ada.lovelace@relay.example", "SRS0=x=***=***@relay.example"),
            ("?to=Ada.Lovelace%40example.com&x=1", "?to=***&x=1"),
            ("?to=ada%2Elovelace%40example%2ecom", "?to=***"),
            ("?to=%41%64%61%2E%4C%6F%76%65%6c%61%63%65%40%65xample.com", "?to=***"),
            ("url=x%3Fto%3DAda.Lovelace%2540example.com", "url=x%3Fto%3D***"),
            (r"{'to': 'Ada.Lovelace\u0040example.com'}", "{'to': '***'}"),
            (r"\nAda.Lovelace@example.com\n", "\\\\n***\\\\n"),
            (r"b'Ada.Lovelace\x40example\056com'", "b'***'"),
            ("&lt;Ada.Lovelace&#64;example.com&gt; &#x41;da.Lovelace", "&lt;***&gt; ***"),
            ("Ada.Lovelace=40example.com", "***"),
            ("Ada.Love=\r\nlace=40example=2Ecom", "***"),
            ("QWRhLkxvdmVsYWNlQGV4YW1wbGUuY29t", "***"),
            ("word\nQWRhLkxvdmVsYWNlQGV4YW\n1wbGUuY29t", "word\\n***"),
            ("x/QWRhLkxvdmVsYWNlQGV4YW1wbGUuY29t", "x/***"),
            ("Ada.\u{ad}Lovelace@\u{200b}example.com", "***"),
            ("\u{1b}[31mAda.Lovelace\u{1b}[0m@example.com", "\\u{1b}[31m***"),
        ],
    );
    check(
        &[POSTAL],
        &[
            ("BAHNHOFSTRASSE 1, 8001 ZÜRICH!", "***, ***!"),
            ("at bahnhofstraẞe  1", "at ***"),
            ("town: Z\\u00fcrich; zürich.", "town: ***; ***."),
            ("town=Z%C3%BCrich, Z%FCrich, Z=C3=BCrich", "town=***, ***, ***"),
            (
                r#"{"N":"Ada \"Countess\" Lovelace\nBahnhofstraße 1\r\n8001 Zürich"}"#,
                r#"{"N":"***"}"#,
            ),
            ("Ada &quot;Countess&quot; Lovelace", "***"),
            ("Ms Lovelace", "Ms ***"),
            ("n=Ada+%22Countess%22+Lovelace", "n=***"),
        ],
    );
}

#[test]
fn numbers_vanish_in_every_spelling() {
    for spelling in [
        "+41791234567",
        "41791234567",
        "0041791234567",
        "+41 79 123 45 67",
        "+41-79-123-45-67",
        "+41 (0)79 123 45 67",
        "0041 (0) 79 / 123.45.67",
        "079 123 45 67",
        "079/123 45 67",
        "79.123.45.67",
        "+41\u{a0}79\u{2009}123\u{2011}45\u{2013}67",
        "(079) 123\u{2212}4567",
        "123 45 67",
        "%2B41791234567",
        "%2B41%2079%20123%2045%2067",
        "+41&nbsp;79&nbsp;123&nbsp;45&nbsp;67",
        "＋４１７９１２３４５６７",
        "\u{664}\u{661} \u{667}\u{669}\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}\u{667}",
    ] {
        let hidden = line(&[PHONE], &format!("status 21211: {spelling} is no mobile"));
        let hidden = hidden.replace(['+', '＋', '('], "").replace("%2B", "");
        assert_eq!(hidden, "status 21211: *** is no mobile", "{spelling}");
    }
    check(
        &[PHONE],
        &[("79:123:45:67", "***"), ("7|9|1|2|3|4|5|6|7", "***"), ("21: 79|123|45|67", "21: ***")],
    );
}

#[test]
fn codes_vanish_in_every_spelling() {
    for spelling in [
        "1234-5678",
        "12345678",
        "1234 5678",
        "1234\u{2013}5678",
        "1234\u{2014}5678",
        "12 34 56 78",
        "1-2-3-4-5-6-7-8",
        "1234.5678",
        "1234%2D5678",
        "1234\\u20115678",
        "1234\u{ad}5678",
        "１２３４－５６７８",
        "1234\r\n5678",
        "[1234][5678]",
        "MTIzNC01Njc4",
        "1234:5678",
        "1234 : 5678",
        "1234\u{b7}5678",
        "1234;5678",
        "1234=5678",
        "1234~5678",
        "1234\u{2026}5678",
        "1|2|3|4|5|6|7|8",
        "1234\\u{2d}5678",
        "\\U00000031\\U00000032345678",
        "1\u{fe0f}\u{20e3}2345678",
        "\u{9e7}\u{9e8}\u{9e9}\u{9ea}-\u{9eb}\u{9ec}\u{9ed}\u{9ee}",
        "\u{1d7cf}\u{1d7d0}\u{1d7d1}\u{1d7d2}\u{1d7d3}\u{1d7d4}\u{1d7d5}\u{1d7d6}",
        "\u{1d7f7}\u{1d7f8}\u{1d7f9}\u{1d7fa}\u{1d7fb}\u{1d7fc}\u{1d7fd}\u{1d7fe}",
    ] {
        let hidden = line(&[CODE], &format!("code={spelling} (refused)"));
        assert_eq!(hidden.replace("[***]", "***"), "code=*** (refused)", "{spelling}");
    }
    check(
        &[CODE],
        &[
            ("1234-56781234-5678", "***"),
            ("id 9912345678 x", "id 99*** x"),
            (r#"["1234","5678"]"#, r#"["***"]"#),
            (r#"["1234", "5678"]"#, r#"["***"]"#),
            (r#"{\"code\":[\"1234\",\"5678\"]}"#, r#"{\\"code\\":[\\"***\\"]}"#),
            ("error 21:1234-5678", "error 21:***"),
        ],
    );
}

#[test]
fn settings_vanish_by_their_names() {
    let settings = [
        ("SMTP_PASSWORD", "pa55"),
        ("GATEWAY_TOKEN", "x"),
        ("API_KEY", "+/=?"),
        ("DB_PWD", "$a!"),
        ("RELAY_CREDENTIALS", "shop@relay.example"),
        ("SMTP_HOST", "mail.relay.example"),
        ("EMAIL_FROM", "Shop <no-reply@shop.example>"),
        ("TELESIGN_CUSTOMER_ID", "0A1B-2C3D"),
        ("PROXY_URL", "http://user:pw99@proxy.example:3128"),
        ("SMTP_SECURITY", "tls"),
        ("SMTP_PORT", "465"),
        ("RETRIES", "1"),
        ("EMPTY_SECRET", ""),
    ];
    for (output, expected) in [
        ("no login with pa55 at port 465", "no login with *** at port 465"),
        ("PA55: pa555 is not it", "***: pa555 is not it"),
        ("Bearer x, tls 1, text x1", "Bearer ***, tls 1, text x1"),
        ("key +/=? or %2B%2F%3D%3F", "key *** or ***"),
        ("PWD=\"$A!\"y, b$a!c", "PWD=\"***\"y, b***c"),
        ("as SHOP@relay.example", "as ***"),
        (
            "mail.relay.example: 550 no-reply@shop.example",
            "mail.relay.example: 550 no-reply@shop.example",
        ),
        ("Shop <no-reply@shop.example> by 0A1B-2C3D", "Shop <no-reply@shop.example> by 0A1B-2C3D"),
        ("via http://user:pw99@proxy.example:3128", "via ***"),
        ("Basic c2hvcEByZWxheS5leGFtcGxlOnBhNTU=", "Basic ***="),
        ("Basic AHNob3BAcmVsYXkuZXhhbXBsZQBwYTU1", "Basic A***"),
    ] {
        let redaction = redaction(&[], &settings);
        let hidden = redaction.line(output.as_bytes(), false);
        // Of base64, the letters between two texts stay.
        let hidden = if output.starts_with("Basic") { squeezed(&hidden) } else { hidden };
        assert_eq!(hidden, expected, "{output}");
    }
}

/// With one `***` for all that begins and ends with it.
fn squeezed(line: &str) -> String {
    match (line.find(HIDDEN), line.rfind(HIDDEN)) {
        (Some(first), Some(last)) if last > first => {
            format!("{}{}", &line[..first], &line[last..])
        }
        _ => line.to_owned(),
    }
}

#[test]
fn what_is_not_private_stays() {
    let all = [EMAIL, PHONE, POSTAL, CODE];
    for output in [
        "",
        "HTTP 401, invalid token",
        "450 4.7.1 try again in 300 s",
        "2026-11-29T10:38:04Z error 21211 at 127.0.0.1:587",
        "Canada, adamant, examples.com, example.org, Zürichsee",
        "12345, 234-56, 1235-5679, 12-34-56",
        "1234 or 5678",
        "1234 \u{ab}\u{bb}::\u{bb} 5678, 1235:5679, 12:34",
        "+41 79 765 43 21",
        "CONTACT_EMAIL is missing; 8001 is a code of the post",
        "100% of a+b = 30 & more; C:\\new\\x",
    ] {
        let expected: String = output.replace('\\', "\\\\");
        assert_eq!(line(&all, output), expected);
    }
    // Short addresses are hidden as words, not as parts of others.
    let short = [Private::Address("a"), Private::Address("."), Private::Address("1")];
    check(
        &short,
        &[
            (
                "a mail to a@b.example failed: 1 of 12",
                "*** mail to ***@b.example failed: *** of 12",
            ),
            ("as all. And . is a dot", "as all. And *** is *** dot"),
        ],
    );
    check(&[Private::Address("a@b.ch")], &[("nobody at b.ch, Bach", "nobody at ***, Bach")]);
    check(
        &[Private::Text(""), Private::Address(" \n ")],
        &[("nothing to hide", "nothing to hide")],
    );
}

#[test]
fn of_an_address_without_an_end_nothing_is_said() {
    let words =
        |count: usize| (0..count).fold(String::new(), |all, it| all + &format!("word{it} "));
    for (count, expected) in [(400, "*** of many"), (600, "***")] {
        assert_eq!(line(&[Private::Address(&words(count))], "word17 of many"), expected);
    }
    assert_eq!(line(&[Private::Address(&words(600))], " "), "");
}

#[test]
fn overlapping_texts_vanish_whole() {
    let texts = ["abcdefgh", "efghijkl", "b"].map(Private::Text);
    check(&texts, &[("-abcdefghijkl-", "-***-")]);
}

#[test]
fn a_text_cut_in_two_vanishes() {
    for (private, output, expected) in [
        (POSTAL, "in Zü", "in ***"),
        (POSTAL, "at Bahnhofstra", "at ***"),
        (POSTAL, "at BAHNHOFSTRASSE", "at ***"),
        (EMAIL, "to=ada.lovelace%4", "to=***"),
        (EMAIL, "to=ada.lovela", "to=***"),
        (EMAIL, r#"{"to":"Ada.Lovelace\u00"#, r#"{"to":"***"#),
        (PHONE, "to 00417", "to ***"),
        (PHONE, "to 079 12", "to ***"),
        (CODE, "code: 12345", "code: ***"),
        (CODE, "code: 1234 -", "code: *** -"),
    ] {
        let redaction = redaction(&[private], &[]);
        assert_eq!(redaction.line(output.as_bytes(), true), expected, "{output}");
    }
    assert_eq!(line(&[CODE], "code: 12345"), "code: 12345");
    assert_eq!(redaction(&[POSTAL], &[]).line(b"in Z\xc3", true), "in ***");
}

#[test]
fn the_log_keeps_its_lines() {
    let output = "one\ntwo\r\t\u{1b}[31m\u{202e}\u{2028}\\n 'ü' \"🙂\"\n";
    let expected = r#"one\ntwo\r\t\u{1b}[31m\u{202e}\u{2028}\\n 'ü' "🙂""#;
    assert_eq!(line(&[], output), expected);
    assert_eq!(Redaction::default().line(b"\xff\0", false), "\u{fffd}\\0");
}

/// How a program may spell a text.
const SPELLINGS: [fn(&str) -> String; 15] = [
    str::to_owned,
    str::to_uppercase,
    str::to_lowercase,
    |text| bytes(text, |byte| format!("%{byte:02X}")),
    |text| bytes(text, |byte| format!("%{byte:02x}")).replace('%', "%25"),
    |text| bytes(text, |byte| format!("={byte:02X}")),
    |text| bytes(text, |byte| format!("\\x{byte:02x}")),
    |text| bytes(text, |byte| format!("\\{byte:03o}")),
    |text| text.encode_utf16().fold(String::new(), |all, it| all + &format!("\\u{it:04x}")),
    |text| text.chars().fold(String::new(), |all, it| all + &it.escape_unicode().to_string()),
    |text| text.chars().fold(String::new(), |all, it| all + &format!("\\U{:08X}", u32::from(it))),
    |text| text.chars().fold(String::new(), |all, it| all + &format!("&#{};", u32::from(it))),
    |text| text.chars().fold(String::new(), |all, it| all + &format!("{it}\u{200b}")),
    |text| BASE64.encode(text.as_bytes()),
    |text| BASE64URL_NOPAD.encode(text.as_bytes()),
];

fn bytes(text: &str, spell: impl Fn(u8) -> String) -> String {
    text.bytes().map(spell).collect()
}

/// An e-mail address, a name, or a street with a number.
fn text() -> impl Strategy<Value = String> {
    "[a-zA-ZäöüßÀ-ÿα-ω東京]{5,12}([.@ -]{1}[a-zA-Z0-9ü]{3,9}){1,3}"
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_spelling_of_a_text_passes(text in text(), first in 0..15_usize) {
        let spelled = SPELLINGS[first](&text);
        let hidden = line(&[Private::Address(&text)], &format!("{{<{spelled}>, !}}"));
        let hidden = hidden.replace("\\u{200b}", "").replace("==", "=").replace("=>", ">");
        prop_assert_eq!(hidden, "{<***>, !}");
    }

    #[test]
    fn no_spelling_of_a_number_passes(
        country in "[1-9][0-9]{0,2}",
        national in "[1-9][0-9]{6,10}",
        prefix in 0..6_usize,
        between in prop::collection::vec("(|[ ./()\u{2010}-\u{2015}\u{a0}-]|\\) |%20)", 12),
    ) {
        let mut spelled = ["+", "00", "", "+", "0", ""][prefix].to_owned();
        if prefix < 4 {
            spelled.push_str(&country);
        }
        if prefix == 3 {
            spelled.push_str("(0)");
        }
        let last = national.len() - 1;
        for (digit, between) in national[..last].chars().zip(&between) {
            write!(spelled, "{digit}{between}").unwrap();
        }
        spelled.push_str(&national[last..]);
        let number = format!("+{country}{national}");
        let hidden = line(&[Private::Address(&number)], &format!("to {spelled}: no"));
        prop_assert!(!hidden.contains(|it: char| it.is_ascii_digit()), "{}", hidden);
        prop_assert!(hidden.starts_with("to ") && hidden.ends_with(": no"), "{}", hidden);
    }

    #[test]
    fn any_output_makes_a_line(
        output in prop::collection::vec(any::<u8>(), 0..300),
        escapes in "([%=&\\\\a-f0-9ux;+@]|\u{1b}\\[){0,300}",
        cut in any::<bool>(),
        private in ".{0,20}",
    ) {
        let redaction = redaction(&[Private::Address(&private), PHONE], &[("KEY", &private)]);
        for output in [&output, escapes.as_bytes()] {
            let line = redaction.line(output, cut);
            prop_assert!(!line.contains(char::is_control));
        }
    }
}
