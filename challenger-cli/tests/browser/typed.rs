//! Addresses as people type them, and as browsers fill them in.

use serde_json::{Value, json};

use crate::driver::{Browser, Element, Setup};
use crate::person::{ADDRESS_FORM, enter_address, enter_code, field, fill_in, send};
use crate::service::{KINDS, Kind, Service, to_json};
use crate::shop::{HERE, Shop};

fn kind(name: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.name == name).unwrap()
}

/// For each type of address, the fields as somebody types them, and the address that is proved.
type Typed = (&'static str, &'static [(&'static str, &'static str)], Value);

/// A page in each of these languages gets all of it.
const LANGUAGES: [&str; 2] = ["en", "de-CH"];

fn typed() -> Vec<Typed> {
    let london = "12 St James’s Square\nLondon SW1Y 4JH";
    let zurich = "Bahnhofstrasse 1\nCH-8001 Zürich";
    vec![
        (
            "phone",
            &[("CONTACT_PHONE", "+41 79 123 45 67")],
            json!({"CONTACT_PHONE": "+41791234567"}),
        ),
        (
            "phone",
            &[("CONTACT_PHONE", "0041 (0)79/123-45-67 ")],
            json!({"CONTACT_PHONE": "+41791234567"}),
        ),
        (
            "email",
            &[("CONTACT_EMAIL", " Ada@Bücher.Example")],
            json!({"CONTACT_EMAIL": "Ada@xn--bcher-kva.example"}),
        ),
        (
            "email",
            &[("CONTACT_EMAIL", "mailto:ada/o'neill@\u{200b}example.com")],
            json!({"CONTACT_EMAIL": "ada/o'neill@example.com"}),
        ),
        (
            "postal",
            &[
                ("CONTACT_NAME", " Ada  Lovelace"),
                ("ADDRESS_LINES", "  12 St James’s  Square \n\nLondon\u{a0}SW1Y 4JH\n"),
                ("ADDRESS_COUNTRY", "GB"),
            ],
            json!({
                "CONTACT_NAME": "Ada Lovelace", "ADDRESS_LINES": london, "ADDRESS_COUNTRY": "GB",
            }),
        ),
        (
            "postal-ch",
            &[
                ("CONTACT_NAME", "Heidi Zürcher"),
                ("ADDRESS_LINES", "Bahnhofstrasse 1\nCH-8001\u{a0}Zürich"),
            ],
            json!({"CONTACT_NAME": "Heidi Zürcher", "ADDRESS_LINES": zurich}),
        ),
    ]
}

#[test]
fn addresses_are_accepted_as_people_type_them() {
    let shop = Shop::open();
    let services: Vec<_> =
        typed().into_iter().map(|it| (Service::start(kind(it.0), &shop, ""), it)).collect();
    for languages in LANGUAGES {
        let browser = Browser::start_as(Setup { languages, ..Setup::default() });
        for (service, (_, fields, proved)) in &services {
            browser.open(&service.link(Value::Null, HERE));
            enter_address(&browser, fields);
            enter_code(&browser, &service.latest_code());
            let arrival = shop.arrivals().pop().unwrap_or_else(|| panic!("{}", browser.text()));
            assert_eq!(service.redeem(&arrival.code), *proved, "{fields:?}");
        }
    }
}

#[test]
fn an_internationalized_domain_is_shown_in_its_script() {
    let shop = Shop::open();
    let service = Service::start(kind("email"), &shop, "");
    let browser = Browser::start();
    let link = service.link(json!({"CONTACT_EMAIL": "ada@xn--bcher-kva.example"}), HERE);
    browser.open(&link);
    let script = "return document.querySelector('[name=CONTACT_EMAIL]').getAttribute('value')";
    assert_eq!(browser.script(script, &[]), "ada@bücher.example");
    send(&browser, ADDRESS_FORM);
    assert!(browser.text().contains("@bücher.example"), "{}", browser.text());
    assert_eq!(service.status(&link)["changes_left"], 3, "the same address was confirmed");
}

/// The text that the field names as its mistake.
fn mistake(browser: &Browser, field: &Element<'_>) -> String {
    let invalid = field.attribute("aria-invalid");
    assert_eq!(invalid.as_deref(), Some("true"), "{}", browser.text());
    let script = "const ids = arguments[0].getAttribute('aria-describedby').split(' ');
        return ids.map((id) => document.getElementById(id))
            .find((it) => it.matches('[role=alert]')).innerText.trim()";
    browser.script(script, &[field.as_json()]).as_str().unwrap().to_owned()
}

/// What each field of a letter accepts, by language.
const ACCEPTED: [(&str, [&str; 3]); 2] = [
    (
        "en",
        [
            "Enter your first and last name.",
            "Enter the street and number, then the postcode and town, on separate lines.",
            "Choose a country.",
        ],
    ),
    (
        "de-CH",
        [
            "Geben Sie Ihren Vor- und Nachnamen ein.",
            "Geben Sie Straße und Hausnummer ein und auf einer neuen Zeile Postleitzahl und Ort.",
            "Wählen Sie ein Land aus.",
        ],
    ),
];

#[test]
fn all_wrong_fields_are_marked_at_once() {
    let shop = Shop::open();
    let service = Service::start(kind("postal"), &shop, "");
    let good = service.kind.good;
    for (languages, accepted) in ACCEPTED {
        let browser = Browser::start_as(Setup { languages, ..Setup::default() });
        let link = service.link(Value::Null, HERE);
        browser.open(&link);
        send(&browser, ADDRESS_FORM);
        for ((name, _), accepted) in good.iter().zip(accepted) {
            assert_eq!(mistake(&browser, &field(&browser, name)), accepted);
        }
        let focus = "return document.activeElement.name";
        assert_eq!(browser.script(focus, &[]), "CONTACT_NAME");

        // What was right stays, and only the rest is marked.
        for (name, value) in &good[..2] {
            fill_in(&browser, name, value);
        }
        send(&browser, ADDRESS_FORM);
        let marked = browser.find_all("[aria-invalid=true]");
        assert_eq!(marked.len(), 1, "{}", browser.text());
        assert_eq!(mistake(&browser, &marked[0]), accepted[2]);
        assert_eq!(browser.script(focus, &[]), "ADDRESS_COUNTRY");
        for (name, value) in &good[..2] {
            assert_eq!(field(&browser, name).property("value"), *value);
        }
        assert_eq!(service.status(&link)["changes_left"], 3, "nothing was charged");

        fill_in(&browser, "ADDRESS_COUNTRY", "GB");
        send(&browser, ADDRESS_FORM);
        enter_code(&browser, &service.latest_code());
        let arrival = shop.arrivals().pop().unwrap_or_else(|| panic!("{}", browser.text()));
        assert_eq!(service.redeem(&arrival.code), to_json(good));
    }
}

#[test]
fn a_phone_number_gets_an_example() {
    let shop = Shop::open();
    let service = Service::start(kind("phone"), &shop, "");
    let browser = Browser::start();
    browser.open(&service.link(Value::Null, HERE));
    enter_address(&browser, service.kind.bad);
    let told = mistake(&browser, &field(&browser, "CONTACT_PHONE"));
    assert_eq!(told, "Enter a mobile number with its country code, like +41 79 123 45 67.");
}

#[test]
fn countries_are_chosen_from_those_that_are_allowed() {
    let shop = Shop::open();
    let allowed = "ADDRESS_RESTRICTIONS = {\"ADDRESS_COUNTRY\": \
                   {\"regex\": \"^(AT|CH|DE)$\", \"hint\": \"Near here.\"}}";
    let service = Service::start(kind("postal"), &shop, allowed);
    let names = "return [...document.querySelectorAll('option')].map((it) => it.text)";
    for (languages, expected) in [
        ("en", ["Please choose", "Austria", "Germany", "Switzerland"]),
        ("de-CH", ["Bitte auswählen", "Deutschland", "Österreich", "Schweiz"]),
    ] {
        let browser = Browser::start_as(Setup { languages, ..Setup::default() });
        browser.open(&service.link(Value::Null, HERE));
        assert_eq!(browser.script(names, &[]), json!(expected));
        // A proposal of a program, in its own spelling.
        browser.open(&service.link(json!({"ADDRESS_COUNTRY": "ch"}), HERE));
        assert_eq!(field(&browser, "ADDRESS_COUNTRY").property("value"), "CH");
        assert_eq!(browser.script(names, &[]), json!(expected[1..]));
    }
}

#[test]
fn an_address_that_only_the_client_can_change_leads_back_there() {
    let shop = Shop::open();
    let mut service = Service::start(kind("email"), &shop, "");
    let mut proposal = to_json(service.kind.good);
    proposal["read_only"] = json!(true);
    let link = service.link(proposal, HERE);
    let only = "ADDRESS_RESTRICTIONS = {\"CONTACT_EMAIL\": \
                {\"regex\": \"@own[.]example$\", \"hint\": \"Yours at own.example.\"}}";
    service.start_again(only);
    let browser = Browser::start();
    browser.open(&link);
    assert!(browser.find_all("form").is_empty(), "{}", browser.text());
    let text = browser.text();
    assert!(text.contains("a•••@example.com") && text.contains("do not accept it"), "{text}");
    let back = browser.find("main a");
    browser.follow(|| back.click());
    assert!(browser.text().contains("Something went wrong"), "{}", browser.text());
    let url = browser.url();
    assert!(url.starts_with(&shop.redirect_uri) && url.contains("&error=invalid_request"), "{url}");
    assert!(url.contains("&state="), "{url}");
}
