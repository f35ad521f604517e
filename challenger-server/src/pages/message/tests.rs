//! The shipped messages in every language and for every type of address, and those of operators.

use std::fs;

use serde_json::{Value, json};

use super::*;

const LANGUAGES: [&str; 8] = ["de", "en", "es", "fr", "it", "nl", "pl", "pt"];
const TYPES: [&str; 6] = ["address", "email", "file", "phone", "postal", "postal-ch"];

fn kind(name: &str) -> AddressType {
    AddressType::new(name).expect("a name")
}

fn is_letter(address_type: &str) -> bool {
    address_type.starts_with("postal") || address_type == "address"
}

fn shipped(address_type: &str) -> Messages {
    let (messages, errors) = Messages::compile(&Sources::embedded(), Some(&kind(address_type)));
    assert_eq!(errors, []);
    assert_eq!(messages.warnings(), [""; 0]);
    assert!(messages.languages().eq(LANGUAGES));
    messages
}

fn data(client: &str, host: &str) -> Variables {
    Variables::from(json!({
        "pin": "1234-5678", "pin_digits": "12345678", "reference": "KWRTBA",
        "client": client, "client_host": "shop.example", "host": host,
        "minutes": 1440, "expires": "2026-01-05 10:01 UTC",
        "address": {"CONTACT_EMAIL": "ada@example.com"}, "nonce": "SECRETNONCE",
        "until": {"day": 5, "hour": "10", "january": true, "minute": "01", "year": 2026},
        "valid": {"minutes": 120, "text": "120 min"},
    }))
}

/// The text of a message from the operator's file.
fn said(text: &str, data: Value) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("message.txt");
    fs::write(&file, text).expect("a file");
    let mut sources = Sources::embedded();
    let mut errors = sources.choose_message(&file);
    let (messages, more) = Messages::compile(&sources, None);
    errors.extend(more);
    match errors.as_slice() {
        [] => messages.render("en", &data.into()).expect("English").text,
        [error, ..] => error.to_string().replace(&*file.to_string_lossy(), "FILE"),
    }
}

#[test]
fn nothing_is_escaped_and_no_blank_lines_stay() {
    let text = "{{#client}}\nFor {{client}}\n{{/client}}\n{{! note }}\nCode: {{pin}}\n";
    let known = json!({"pin": "1234-5678", "client": "<O'Neill & Söhne>"});
    assert_eq!(said(text, known), "For <O'Neill & Söhne>\nCode: 1234-5678\n");
    assert_eq!(said(text, json!({"pin": "{{pin}}"})), "Code: {{pin}}\n");
    assert_eq!(said("{{>message.private}}", json!({})), "Never share the code with anyone.");
}

#[test]
fn a_bad_message_is_refused() {
    assert_eq!(said("a\n{{#b}}", json!({})), "FILE:2: {{#b}} is never closed");
    let expected = "FILE:1: {{>message.x}}: en.lang has no x in [message]";
    assert_eq!(said("{{>message.x}}", json!({})), expected);
    let errors = Sources::embedded().choose_message(Path::new("/no/such.must"));
    assert!(errors[0].to_string().starts_with("/no/such.must: No such file"), "{errors:?}");
    assert_eq!(errors.len(), 1);
}

#[test]
fn the_shipped_messages_say_what_is_needed() {
    for (address_type, language) in TYPES.iter().flat_map(|t| LANGUAGES.map(|l| (t, l))) {
        let messages = shipped(address_type);
        let place = format!("{address_type} {language}");
        let message = messages.render(language, &data("shop.example", "id.example"));
        let Message { subject, text } = message.expect("there");
        for part in ["1234-5678", "KWRTBA", "shop.example", "id.example"] {
            assert!(text.contains(part), "{place}: {part}: {text}");
        }
        // Nobody wants to look for the code, or to ask who is asking. A letter greets first.
        let (is_sms, is_letter) = (*address_type == "phone", is_letter(address_type));
        let lines: Vec<&str> = text.lines().skip(if is_letter { 2 } else { 0 }).collect();
        if is_sms {
            let code = lines[0].find("1234-5678").expect("the code in the first line");
            assert!(code < 10 && lines[0].contains("shop.example"), "{text}");
        } else {
            assert!(lines[0].starts_with("shop.example ") && lines[0].ends_with(':'), "{text}");
            // Programs recognize the code by its line, whatever else looks like one.
            assert_eq!(lines[1..4], ["", "1234-5678", ""], "{text}");
        }
        // It names what is confirmed, even if that is not an e-mail address.
        let mail = ["E-Mail", "e-mail", "correo"].iter().any(|it| lines[0].contains(it));
        assert_eq!(mail, !is_sms && !is_letter, "{text}");
        let is_reference = |line: &str| line.ends_with(": KWRTBA") && line.len() < 25;
        assert_eq!(text.lines().any(is_reference), !is_sms && !is_letter, "{place}: {text}");
        // An SMS is short, and a letter is days on its way.
        let says = |part: &str| text.contains(part);
        let until = says("2026") && says("10") && says("01") && says("UTC");
        assert_eq!(until, !is_sms, "{place}: {text}");
        assert_eq!(says("120"), !is_letter, "{place}: {text}");
        // The nonce is a secret: somebody else could act for the person with it.
        assert!(!text.contains("SECRETNONCE"), "{place}");
        assert!(!text.contains("\n\n\n") && !text.contains("  "), "{place}: {text}");
        // Programs wrap what a first line says; a letter has paragraphs.
        let most = if is_letter { 200 } else { 125 };
        assert!(text.lines().all(|line| line.chars().count() <= most), "{place}: {text}");
        assert!(!text.contains(['<', '{', '}']), "{place}: {text}");
        assert!(subject.contains("shop.example") && subject.contains(" KWRTBA)"), "{subject}");

        let bare = messages.render(language, &data("", "")).expect("there");
        assert!(bare.text.contains("1234-5678") && !bare.text.contains("  "), "{place}");
        assert!(!bare.text.contains(" ."), "{place}: {}", bare.text);
        assert!(!bare.text.contains(['@', '#']), "{place}: {}", bare.text);
        assert!(bare.subject.len() > 5 && !bare.subject.ends_with(' '), "{}", bare.subject);
    }
}

/// The line of a message that says how long the code is valid.
fn validity(language: &str, until: Value, valid: Value) -> String {
    let (messages, errors) = Messages::compile(&Sources::embedded(), None);
    assert_eq!(errors, []);
    let data = json!({"until": until, "valid": valid});
    let text = messages.render(language, &data.into()).expect("there").text;
    text.lines().find(|line| line.contains("UTC")).expect("a line").to_owned()
}

#[test]
fn people_read_how_long_a_code_is_valid_as_they_write_it() {
    let third = json!({"day": 3, "hour": "04", "march": true, "minute": "25", "year": 2027});
    for (language, expected) in [
        ("de", "Er gilt 60 Minuten, bis zum 3. März 2027, 04:25 Uhr (UTC)."),
        ("en", "It is valid for 60 minutes, until 3 March 2027, 04:25 UTC."),
        ("es", "Es válido durante 60 minutos, hasta el 3 de marzo de 2027, 04:25\u{a0}h (UTC)."),
        ("fr", "Il est valable 60 minutes, jusqu’au 3 mars 2027 à 04\u{a0}h\u{a0}25 (UTC)."),
        ("it", "È valido per 60 minuti. Scadenza: 3 marzo 2027, ore 04:25 (UTC)."),
        ("nl", "De code geldt 60 minuten, tot 3 maart 2027, 04:25 uur (UTC)."),
        ("pl", "Kod jest ważny przez 60 min, do 3 marca 2027 r., godz. 04:25 (UTC)."),
        ("pt", "É válido durante 60 minutos, até 3 de março de 2027, 04:25 (UTC)."),
    ] {
        assert_eq!(validity(language, third.clone(), json!({"minutes": 60})), expected);
    }
    let first =
        json!({"day": 1, "first": true, "hour": "00", "july": true, "minute": "00", "year": 2027});
    for (language, valid, expected) in [
        ("de", json!({"one_minute": true}), "Er gilt eine Minute, bis zum 1. Juli 2027, 00:00"),
        ("en", json!({"hours": 23}), "It is valid for 23 hours, until 1 July 2027, 00:00"),
        ("es", json!({"days": 2}), "Es válido durante 2 días, hasta el 1 de julio de 2027, 00:00"),
        (
            "fr",
            json!({"hours": 3}),
            "Il est valable 3 heures, jusqu’au 1er juillet 2027 à 00\u{a0}h\u{a0}00",
        ),
        ("it", json!({"days": 9}), "È valido per 9 giorni. Scadenza: 1º luglio 2027, ore 00:00"),
        ("nl", json!({"hours": 24}), "De code geldt 24 uur, tot 1 juli 2027, 00:00"),
        ("pl", json!({"one_minute": true}), "Kod jest ważny przez minutę, do 1 lipca 2027 r."),
        ("pt", json!({"days": 2}), "É válido durante 2 dias, até 1 de julho de 2027, 00:00"),
        ("de", json!(null), "Er gilt bis zum 1. Juli 2027"),
        ("en", json!(null), "It is valid until 1 July 2027"),
        ("es", json!(null), "Es válido hasta el 1 de julio"),
        ("fr", json!(null), "Il est valable jusqu’au 1er juillet"),
        ("it", json!(null), "Scadenza: 1º luglio"),
        ("nl", json!(null), "De code geldt tot 1 juli"),
        ("pl", json!(null), "Kod jest ważny do 1 lipca"),
        ("pt", json!(null), "É válido até 1 de julho"),
    ] {
        let line = validity(language, first.clone(), valid);
        assert!(line.starts_with(expected), "{line}");
    }
}

#[test]
fn each_month_has_its_name() {
    let is_month = |name: &&str| !["day", "first", "hour", "minute", "year"].contains(name);
    let names = Transmission::variable_names();
    let names = names.iter().filter_map(|name| name.strip_prefix("until."));
    let months: Vec<&str> = names.filter(is_month).collect();
    for language in LANGUAGES {
        let line = |month: &str| validity(language, json!({(month): true}), json!(null));
        let bare = line("none").len();
        let mut lines: Vec<String> = months.iter().copied().map(line).collect();
        assert!(lines.iter().all(|line| line.len() > bare), "{lines:?}");
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), 12, "{lines:?}");
    }
}

#[test]
fn a_language_of_the_operators_own_has_its_own_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let words = "[message]\nuntil = Den gäller i {{>valid}}, till {{>date.full}}.\n\
        [valid]\nhours = {{valid.hours}} timmar\n\
        [date]\nfull = den {{until.day}} {{>month}}\nmay = maj\n";
    fs::write(folder.path().join("sv.lang"), words).expect("a file");
    let mut sources = Sources::embedded();
    assert_eq!(sources.overlay(folder.path()), []);
    let (messages, errors) = Messages::compile(&sources, None);
    assert_eq!(errors, []);
    let data = json!({"until": {"day": 7, "may": true}, "valid": {"hours": 24}});
    let text = messages.render("sv", &data.into()).expect("Swedish").text;
    assert!(text.contains("\nDen gäller i 24 timmar, till den 7 maj.\n"), "{text}");
}

#[test]
fn subjects_are_one_line_and_know_no_secret() {
    let mut sources = Sources::embedded();
    let folder = tempfile::tempdir().expect("a folder");
    let words = "[message]\nsubject = {{client}}{{pin}}{{pin_digits}}{{nonce}} {{reference}}";
    fs::write(folder.path().join("en.lang"), words).expect("a file");
    assert_eq!(sources.overlay(folder.path()), []);
    let (messages, errors) = Messages::compile(&sources, None);
    assert_eq!(errors, []);
    let subject = messages.render("en", &data("<a>\r\nBcc: b\0", "")).expect("there").subject;
    assert_eq!(subject, "<a>  Bcc: b  KWRTBA");
    assert!(messages.render("sv", &data("", "")).is_none());
}

#[test]
fn an_sms_is_one_and_its_last_line_names_the_site() {
    let (long, longer) = ("a".repeat(40), "b".repeat(40));
    let messages = shipped("phone");
    for (client, host) in [
        ("shop.example", "id.example"),
        ("kyc.bank-of-somewhere.example.ch", "sms.challenger.somewhere.example"),
        ("", "sms.challenger.example.com"),
        ("exchange.example.com", ""),
        (&long, &longer),
    ] {
        for language in LANGUAGES {
            let text = messages.render(language, &data(client, host)).expect("there").text;
            // The characters that take seven bits in an SMS and are used here.
            let short =
                |c: char| c == '\n' || c.is_ascii_alphanumeric() || " .,-:#@äéèöùüÄÖÜ".contains(c);
            assert!(text.chars().all(short), "{text}");
            assert!(text.chars().count() <= 160, "{}: {text}", text.chars().count());
            let last = text.lines().last().unwrap_or_default();
            let bound = format!("@{host} #12345678");
            assert_eq!(last == bound && text.ends_with(&bound), !host.is_empty(), "{text}");
        }
    }
}

#[test]
fn a_name_that_would_make_an_sms_cost_more_gives_way_to_the_host() {
    let host = "sms.challenger.somewhere.example";
    let (fits, long) = ("x".repeat(40), "x".repeat(60));
    for (channel, name, expected) in [
        ("phone", "Zoe's Söhne", "Zoe's Söhne"),
        ("phone", &fits, &fits),
        ("phone", &long, "shop.example"),
        // No Polish letters, no typographic apostrophe, and not even ë.
        ("phone", "Żabka", "shop.example"),
        ("phone", "Zoe’s", "shop.example"),
        ("phone", "Zoë", "shop.example"),
        ("email", "Żabka", "Żabka"),
    ] {
        for language in LANGUAGES {
            let message = shipped(channel).render(language, &data(name, host)).expect("there");
            assert!(message.text.contains(expected), "{}", message.text);
            assert!(message.subject.contains(name), "{}", message.subject);
            let is_one = sms::count(&message.text) == 1;
            assert_eq!(is_one, channel == "phone", "{}", message.text);
        }
    }
    // Where that saves nothing, the name stays.
    let own = |text: &str, name: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("message-phone.must"), text).expect("a file");
        let mut sources = Sources::embedded();
        assert_eq!(sources.overlay(folder.path()), []);
        let (messages, errors) = Messages::compile(&sources, Some(&kind("phone")));
        assert_eq!(errors, []);
        messages.render("en", &data(name, host)).expect("there").text
    };
    assert_eq!(own("Код {{pin}}, {{client}}", "Żabka"), "Код 1234-5678, Żabka");
    let without = json!({"pin": "1", "client": "Ż".repeat(60)}).into();
    let text = shipped("phone").render("en", &without).expect("there").text;
    assert!(text.contains("ŻŻŻ"), "nothing else is known: {text}");
}

#[test]
fn the_best_message_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let [operators, installed] = ["a", "b"].map(|name| folder.path().join(name));
    let say = |folder: &Path, name: &str, text: &str| {
        fs::create_dir_all(folder).expect("a folder");
        fs::write(folder.join(name), text).expect("a file");
    };
    let nothing = Variables::default();
    let said = |name: &str| {
        let mut sources = Sources::embedded();
        for folder in [&installed, &operators] {
            if folder.exists() {
                assert_eq!(sources.overlay(folder), []);
            }
        }
        match Messages::compile(&sources, Some(&kind(name))) {
            (it, errors) if errors.is_empty() => it.render("en", &nothing).expect("it").text,
            (_, errors) => errors[0].to_string(),
        }
    };
    let shipped: Vec<String> = ["phone", "postal", "email"].map(said).into();
    assert_eq!(["address", "postal-ch"].map(said), [&*shipped[1]; 2]);
    assert_eq!(["file", "own"].map(said), [&*shipped[2]; 2]);
    assert!(shipped[0] != shipped[1] && shipped[1] != shipped[2] && shipped[0] != shipped[2]);
    say(&installed, "message-phone.en.must", "installed");
    say(&installed, "message-own.must", "installed own");
    assert_eq!(["phone", "own", "email"].map(said), ["installed", "installed own", &shipped[2]]);
    say(&operators, "message.en.must", "for all");
    assert_eq!(["phone", "postal", "email"].map(said), ["for all"; 3]);
    say(&operators, "message-postal-ch.must", "Swiss");
    say(&operators, "message-postal.en.must", "letter");
    assert_eq!(["postal-ch", "address", "phone"].map(said), ["Swiss", "letter", "for all"]);
    say(&operators, "message-phone.en.must", "{{#never}}");
    assert!(said("phone").contains("message-phone.en.must:1: {{#never}}"), "{}", said("phone"));
}

#[test]
fn a_message_is_in_the_languages_that_it_was_written_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let say = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("a file");
    };
    let chosen = |name: &str| {
        let mut sources = Sources::embedded();
        assert_eq!(sources.choose_message(&folder.path().join(name)), []);
        let (messages, errors) = Messages::compile(&sources, Some(&kind("phone")));
        assert_eq!(errors, []);
        let said = messages.languages().map(|language| {
            let data = json!({"pin": "1"}).into();
            let message = messages.render(language, &data).expect("there");
            format!("{language}: {}", message.text)
        });
        said.collect::<Vec<_>>()
    };
    say("sms.fr.must", "{{pin}} !");
    say("sms.sv.must", "{{pin}} {{>sms.private}}");
    say("other.de.must", "no");
    say("sms.part.must", "no");
    let both = ["fr: 1 !", "sv: 1 Never share it."];
    assert_eq!(chosen("sms.fr.must"), both);
    assert_eq!(chosen("sms.sv.must"), both);
    say("sms.must", "{{pin}}: {{>sms.private}}");
    let all = [
        "de: 1: Nicht weitergeben.",
        "en: 1: Never share it.",
        "es: 1: No la comparta.",
        "fr: 1 !",
        "it: 1: Non lo condivida.",
        "nl: 1: Deel hem nooit.",
        "pl: 1: Nie podawaj nikomu.",
        "pt: 1: Nunca divulgue.",
        "sv: 1 Never share it.",
    ];
    assert_eq!(chosen("sms.must"), all);
    say("sms.txt", "{{pin}}");
    assert_eq!(chosen("sms.txt"), LANGUAGES.map(|language| format!("{language}: 1")));
}

#[test]
fn what_only_readers_would_notice_is_said_at_start() {
    let advice = |address_type: &str, text: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("sms.txt");
        fs::write(&file, text).expect("a file");
        let mut sources = Sources::embedded();
        assert_eq!(sources.choose_message(&file), []);
        let (messages, errors) = Messages::compile(&sources, Some(&kind(address_type)));
        assert_eq!(errors, []);
        let name = file.display().to_string();
        let advice = messages.warnings().iter().map(|it| it.replace(&name, "F"));
        let others = [" (es)", " (it)", " (nl)", " (pl)", " (pt)"];
        advice.filter(|it| !others.iter().any(|other| it.contains(other))).collect::<Vec<_>>()
    };
    let last = "\n@{{host}} #{{pin_digits}}";
    let good = format!("{{{{client}}}}{last}");
    assert_eq!(advice("phone", &good), [""; 0]);
    assert_eq!(advice("email", "’ {{pin}}{{#pin}}{{/pin}} {{reference}}"), [""; 0]);
    let no_pin = ["de", "en", "fr"].map(|it| format!("F ({it}): the message has no {{{{pin}}}}"));
    assert_eq!(advice("email", "{{#pin}}pin{{/pin}}"), no_pin);
    let nonce = advice("email", "{{pin}}\n\n{{{nonce}}}");
    assert_eq!(nonce.len(), 1, "{nonce:?}");
    assert!(nonce[0].starts_with("F:3: {{nonce}} lets whoever reads the message act"));
    let text = format!("é\n{{{{#client}}}}\nê ê’{{{{/client}}}}{last}");
    let odd = advice("phone", &text);
    assert_eq!(odd.len(), 2, "{odd:?}");
    for (advice, character) in odd.iter().zip(["`ê` (U+00EA)", "`’` (U+2019)"]) {
        let expected = format!("F:3: an SMS has no {character} in its alphabet, and has room");
        assert!(advice.starts_with(&expected), "{odd:?}");
    }
    let odd = advice("phone", &format!("{{{{>message.ignore}}}}{last}"));
    let is_french = |it: &&String| it.starts_with("fr.lang:") && it.contains("has no `’`");
    assert_eq!(odd.iter().filter(is_french).count(), 1, "{odd:?}");
    let long = advice("phone", &format!("{}{{{{pin}}}}{good}", "x".repeat(61)));
    let two = |it| {
        format!("F ({it}): the message takes 2 SMS when the names of both sites have 40 characters")
    };
    assert_eq!(long, ["de", "en", "fr"].map(two));
    let behind = advice("phone", &format!("{good}\n"));
    assert!(behind[0].contains("has something behind the line `@{{host}} #{{pin_digits}}`"));
    assert_eq!(behind.len(), 3);
    for text in ["{{pin}}", "{{pin}} @{{host}} #{{pin_digits}}", "{{pin}}\n@{{host}} #{{pin}}"] {
        let advice = advice("phone", text);
        assert!(advice[0].contains("F (de): the message does not end with a line"), "{advice:?}");
        assert_eq!(advice.len(), 3, "{advice:?}");
    }
}

#[test]
fn a_secret_in_a_subject_is_said_at_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("de.lang");
    fs::write(&file, "[message]\n\nsubject = Code {{pin}}").expect("a file");
    let mut sources = Sources::embedded();
    assert_eq!(sources.overlay(folder.path()), []);
    let (messages, _) = Messages::compile(&sources, None);
    let expected = format!("{}:3: a subject does not get to know {{{{pin}}}}", file.display());
    assert_eq!(messages.warnings(), [expected]);
}
