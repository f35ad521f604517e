//! The budgets that a configuration sets: messages to an address, to destinations, of the service.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use challenger_proto::address::Destination;
use challenger_proto::store::MessageBudget;
use challenger_proto::{Budgets, Span};
use challenger_server::config::{Config, Environment};
use challenger_server::settings::{Settings, SettingsError, addresses, shared_budgets};

/// How many lines of the configuration come before the options.
const BEFORE: usize = 9;

fn config(address_type: &str, text: &str) -> Config {
    let text = format!(
        "[challengerdb-sqlite]\nFILENAME = /none\n[challenger]\nSERVE = tcp\nPORT = 1\n\
         BASE_URL = https://id.example/\nAUTH_COMMAND = sh\nDB = sqlite\n\
         ADDRESS_TYPE = {address_type}\n{text}\n"
    );
    Config::from_text(&text, &Environment::default()).unwrap()
}

fn read(address_type: &str, text: &str) -> Result<Settings, SettingsError> {
    Settings::read(&config(address_type, text), None)
}

fn good(address_type: &str, text: &str) -> Budgets {
    let settings = read(address_type, text).unwrap();
    assert_eq!(settings.warnings, [""; 0], "{text}");
    settings.service.budgets
}

/// The mistakes in the budgets that many people share, read without the rest.
fn mistakes(text: &str) -> Vec<String> {
    shared_budgets(&config("phone", text)).unwrap_err().errors
}

fn budget(messages: u32, period: Span) -> MessageBudget {
    MessageBudget { messages, period }
}

/// A section of a destination.
fn section(name: &str, options: &[&str]) -> String {
    format!("[challenger-destination-{name}]\n{}\n", options.join("\n"))
}

/// Lines with the numbers that they have behind the options that all tests have.
fn numbered(lines: &[(usize, &str)]) -> Vec<String> {
    let line = |(number, text): &(usize, &str)| format!("line {}: {text}", BEFORE + number);
    lines.iter().map(line).collect()
}

#[test]
fn an_address_has_a_budget_from_the_start() {
    let day = Span::days(1);
    for (address_type, options, expected) in [
        ("email", "", budget(10, day)),
        ("phone", "", budget(10, day)),
        ("postal", "", budget(3, Span::days(30))),
        ("email", "ADDRESS_MESSAGES = 5", budget(5, day)),
        ("postal", "ADDRESS_MESSAGES = 5", budget(5, Span::days(30))),
        ("email", "ADDRESS_PERIOD = 2 h", budget(10, Span::minutes(120))),
        ("email", "ADDRESS_MESSAGES = 1\nADDRESS_PERIOD = 1 min", budget(1, Span::minutes(1))),
        ("email", "ADDRESS_MESSAGES = 4294967295", budget(u32::MAX, day)),
    ] {
        assert_eq!(good(address_type, options).address, Some(expected), "{options}");
    }
}

#[test]
fn a_service_has_a_budget_if_it_is_set() {
    assert_eq!(good("email", "").service, None);
    assert_eq!(good("email", "SERVICE_MESSAGES = 0").service, None);
    let day = budget(1000, Span::days(1));
    assert_eq!(good("email", "SERVICE_MESSAGES = 1000").service, Some(day));
    let hour = "SERVICE_MESSAGES = 1000\nSERVICE_PERIOD = 1 h";
    assert_eq!(good("email", hour).service, Some(budget(1000, Span::minutes(60))));
}

#[test]
fn destinations_have_sections_of_their_own() {
    let text = section("elsewhere", &["PREFIX = +", "MESSAGES = 0"])
        + &section("swiss", &["prefix = +41", "messages = 500"])
        + &section("swiss-mobile", &["PREFIX = +4179", "MESSAGES = 50", "PERIOD = 1 h"]);
    let budgets = good("phone", &text).destinations;
    let prefix = |text| Destination::prefix(text).unwrap();
    let expected = [
        (prefix("+"), budget(0, Span::days(1))),
        (prefix("+41"), budget(500, Span::days(1))),
        (prefix("+4179"), budget(50, Span::minutes(60))),
    ];
    assert_eq!(budgets, expected.into());

    let names = shared_budgets(&config("phone", &text)).unwrap().destinations;
    let names: Vec<&str> = names.values().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["elsewhere", "swiss", "swiss-mobile"]);

    let text = section("a", &["DOMAIN = Bücher.example.", "MESSAGES = 1"]);
    let domain = Destination::domain("xn--bcher-kva.example").unwrap();
    assert!(good("email", &text).destinations.contains_key(&domain));
    let text = section("a", &["COUNTRY = uk", "MESSAGES = 1"]);
    let country = Destination::country("GB").unwrap();
    assert!(good("postal", &text).destinations.contains_key(&country));
}

#[test]
fn amounts_that_make_no_budget_are_refused() {
    let number = "expected a number from 0 to 4294967295";
    let period = "expected a time longer than zero that is not forever";
    for (option, expected) in [
        ("ADDRESS_MESSAGES = -1", number),
        ("ADDRESS_MESSAGES = many", number),
        ("ADDRESS_MESSAGES = 4294967296", number),
        ("ADDRESS_PERIOD = 0", period),
        ("ADDRESS_PERIOD = forever", period),
        ("ADDRESS_PERIOD = 1 month", "expected a length of time like"),
        ("SERVICE_MESSAGES = -1", number),
        ("SERVICE_PERIOD = 0 s", period),
        ("SERVICE_PERIOD = forever", period),
    ] {
        let (name, value) = option.split_once(" = ").unwrap();
        let error = read("email", option).err().unwrap().to_string();
        let begin = format!("line {}: [challenger] {name} = {value:?}: {expected}", BEFORE + 1);
        assert!(error.starts_with(&begin) && error.lines().count() == 1, "{option}: {error}");
    }
    for (option, expected) in [
        ("MESSAGES = -1", number),
        ("MESSAGES =", number),
        ("PERIOD = 0", period),
        ("PERIOD = forever", period),
    ] {
        let others = ["PREFIX = +41", "MESSAGES = 1"];
        let (name, value) = option.split_once(" =").unwrap();
        let error = mistakes(&section("x", &[&others[..], &[option]].concat())).join("\n");
        let begin = format!(
            "line {}: [challenger-destination-x] {name} = {:?}: {expected}",
            BEFORE + 4,
            value.trim()
        );
        assert!(error.starts_with(&begin) && error.lines().count() == 1, "{option}: {error}");
    }
}

#[test]
fn a_section_is_about_one_destination() {
    let prefix = "+ and digits without spaces, such as +41, or + alone for all numbers, or digits \
                  for numbers without a country code";
    for (option, expected) in [
        ("COUNTRY = ZZ", "a country's code of two letters (ISO 3166-1), such as CH"),
        ("COUNTRY = Switzerland", "a country's code of two letters (ISO 3166-1), such as CH"),
        ("DOMAIN = ada@example.com", "a domain without an @, such as example.com"),
        ("DOMAIN = *.example.com", "a domain without an @, such as example.com"),
        ("PREFIX =", prefix),
        ("PREFIX = +41 79", prefix),
        ("PREFIX = 0041", prefix),
        ("PREFIX = +041", prefix),
    ] {
        let (name, value) = option.split_once(" =").unwrap();
        let errors = mistakes(&section("x", &[option, "MESSAGES = 1"]));
        let begin = format!("[challenger-destination-x] {name} = {:?}: expected ", value.trim());
        assert_eq!(errors, numbered(&[(2, &(begin + expected))]), "{option}");
    }
    let of = "expected one of COUNTRY, DOMAIN and PREFIX";
    let none = format!("[challenger-destination-x] has none: {of}");
    assert_eq!(mistakes(&section("x", &["MESSAGES = 1"])), numbered(&[(2, &none)]));
    let two = format!("[challenger-destination-x] has DOMAIN and PREFIX: {of}");
    let both = section("x", &["PREFIX = +41", "MESSAGES = 1", "DOMAIN = example.com"]);
    assert_eq!(mistakes(&both), numbered(&[(2, &two)]));
    for name in ["challenger-destination", "Challenger-Destinations-x", "challenger-destination-"] {
        let text = format!("[{name}]\nPREFIX = +41\nMESSAGES = 1\n");
        let expected = format!("[{name}]: expected [challenger-destination-NAME]");
        assert_eq!(mistakes(&text), numbered(&[(2, &expected)]));
    }
}

#[test]
fn two_sections_for_one_destination_are_refused() {
    for (first, second) in [
        ("PREFIX = +41", "PREFIX = +41"),
        ("DOMAIN = bücher.example", "domain = XN--BCHER-KVA.example."),
        ("COUNTRY = uk", "COUNTRY = GB"),
    ] {
        let text =
            section("a", &[first, "MESSAGES = 1"]) + &section("b", &["MESSAGES = 1", second]);
        let (option, value) = second.split_once(" = ").unwrap();
        let expected = format!(
            "[challenger-destination-b] {option} = {value:?}: expected another {} than that of \
             [challenger-destination-a] at line {}",
            option.to_uppercase(),
            BEFORE + 2
        );
        assert_eq!(mistakes(&text), numbered(&[(6, &expected)]));
    }
    // Parts of one another are different, and so is one section that is continued.
    let text = section("a", &["PREFIX = +4", "MESSAGES = 1"])
        + &section("b", &["PREFIX = +41", "MESSAGES = 1"])
        + &section("B", &["MESSAGES = 7"]);
    assert_eq!(good("phone", &text).destinations.len(), 2);
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let text = "ADDRESS_MESSAGES = -1\nSERVICE_PERIOD = 0\n".to_owned()
        + &section("a", &["PREFIX = 41 79", "MESSAGES = x", "PERIOD = 0"])
        + &section("b", &["COUNTRY = ZZ"])
        + "[challenger]\nADDRESS_TYPE = no/type\n";
    let error = read("phone", &text).err().unwrap().to_string();
    for begin in [
        "line 10: [challenger] ADDRESS_MESSAGES",
        "line 11: [challenger] SERVICE_PERIOD",
        "line 13: [challenger-destination-a] PREFIX",
        "line 14: [challenger-destination-a] MESSAGES",
        "line 15: [challenger-destination-a] PERIOD",
        "line 17: [challenger-destination-b] COUNTRY",
        "[challenger-destination-b] MESSAGES is missing: expected it to be set",
        "line 19: [challenger] ADDRESS_TYPE",
    ] {
        assert_eq!(error.lines().filter(|line| line.starts_with(begin)).count(), 1, "{error}");
    }
    assert_eq!(error.lines().count(), 8, "{error}");
}

fn warnings(address_type: &str, text: &str) -> Vec<String> {
    read(address_type, text).unwrap().warnings
}

#[test]
fn a_service_without_a_budget_for_addresses_is_warned_about_guesses() {
    let settings = read("email", "ADDRESS_MESSAGES = 0").unwrap();
    assert_eq!(settings.service.budgets.address, None);
    assert_eq!(
        settings.warnings,
        ["[challenger] ADDRESS_MESSAGES = 0: anybody may have any number of messages sent to an \
          address, and each brings guesses at its code, so that with enough validations somebody \
          proves an address that is not theirs"]
    );
}

#[test]
fn what_does_nothing_is_warned_about() {
    let nothing = |section: &str, period: &str, other: &str| {
        format!("[{section}] {period} does nothing without a number in {other} that is not 0")
    };
    let own = nothing("challenger", "SERVICE_PERIOD", "SERVICE_MESSAGES");
    assert_eq!(warnings("email", "SERVICE_PERIOD = 1 h"), numbered(&[(1, &own)]));
    let own = nothing("challenger", "ADDRESS_PERIOD", "ADDRESS_MESSAGES");
    let said = warnings("email", "ADDRESS_MESSAGES = 0\nADDRESS_PERIOD = 1 h");
    assert_eq!(said[1..], numbered(&[(2, &own)]));
    let own = nothing("challenger-destination-x", "PERIOD", "MESSAGES");
    let text = section("x", &["PREFIX = +41", "MESSAGES = 0", "PERIOD = 1 h"]);
    assert_eq!(warnings("phone", &text), numbered(&[(4, &own)]));

    let text = section("x", &["PREFIX = +41", "MESAGES = 5", "MESSAGES = 1"]);
    let own = "[challenger-destination-x] has no option MESAGES; ignored; did you mean MESSAGES?";
    assert_eq!(warnings("phone", &text), numbered(&[(3, own)]));

    let text = section("x", &["PREFIX = +41", "MESSAGES = 1", "PERIOD = 60"]);
    let own = "[challenger-destination-x] PERIOD is less than a second and counts as one; a number \
               without a unit is one of microseconds";
    assert_eq!(warnings("phone", &text), [own]);

    let own = "[challenger] ADDRESS_PERIOD is 30 s, shorter than RETRANSMISSION_INTERVAL, which \
               is 60 s: each period ends before a second message may be sent, so this limits \
               almost nothing";
    assert_eq!(warnings("email", "ADDRESS_PERIOD = 30 s"), [own]);
    assert_eq!(warnings("email", "RETRANSMISSION_INTERVAL = forever"), [""; 0]);
}

#[test]
fn destinations_without_addresses_are_warned_about() {
    let own = |regex: &str, field: &str| {
        let regex = regex.replace('\\', "\\\\");
        format!(
            "ADDRESS_RESTRICTIONS = {{\"{field}\": {{\"regex\": \"{regex}\", \"hint\": \"\"}}}}\n"
        )
    };
    let swiss = own(r"^\+41[0-9]{9}$", "CONTACT_PHONE");
    let domain = own("^[a-z]+@own[.]example$", "CONTACT_EMAIL");
    let country = own("^(AT|CH)$", "ADDRESS_COUNTRY");
    let refused = "ADDRESS_RESTRICTIONS refuses all of them";
    for (address_type, restriction, option, why) in [
        ("phone", &swiss, "PREFIX = +49", Some(refused)),
        ("phone", &swiss, "PREFIX = 079", Some(refused)),
        ("phone", &swiss, "PREFIX = +4179", None),
        ("phone", &swiss, "PREFIX = +4", None),
        ("phone", &swiss, "PREFIX = +", None),
        ("email", &domain, "DOMAIN = example.com", Some(refused)),
        ("email", &domain, "DOMAIN = example", None),
        ("postal", &country, "COUNTRY = DE", Some(refused)),
        ("postal", &country, "COUNTRY = CH", None),
        ("phone", &swiss, "DOMAIN = a.example", Some("ADDRESS_TYPE = phone has no CONTACT_EMAIL")),
        (
            "postal-ch",
            &String::new(),
            "COUNTRY = CH",
            Some("ADDRESS_TYPE = postal-ch has no ADDRESS_COUNTRY"),
        ),
        ("email", &domain, "PREFIX = +", Some("ADDRESS_TYPE = email has no CONTACT_PHONE")),
    ] {
        let text = format!("{restriction}{}", section("x", &[option, "MESSAGES = 1"]));
        let (name, value) = option.split_once(" = ").unwrap();
        let line = BEFORE + 2 + restriction.lines().count();
        let expected = why.map(|why| {
            format!(
                "line {line}: [challenger-destination-x] {name} = {value:?} has no addresses: {why}"
            )
        });
        assert_eq!(warnings(address_type, &text), Vec::from_iter(expected), "{option}");
    }
}

#[test]
fn tools_read_what_they_need_and_no_more() {
    let broken = "AUTH_ADDRESS_FORMAT = xml\nSERVICE_MESSAGES = 7\nPORT = none";
    let shared = shared_budgets(&config("no/type", broken)).unwrap();
    assert_eq!(shared.service, Some(budget(7, Span::days(1))));
    let service = addresses(&config("phone", "SERVICE_MESSAGES = x\nPORT = none")).unwrap();
    assert_eq!(service.fields(), ["CONTACT_PHONE"]);
    let error = addresses(&config("phone", broken)).unwrap_err().to_string();
    assert!(error.contains("[challenger] AUTH_ADDRESS_FORMAT = \"xml\""), "{error}");
}
