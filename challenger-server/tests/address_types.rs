//! The configurations of the types of address in `docs/address-types`: they start without a
//! warning, and accept the addresses that they should.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use challenger_proto::Budgets;
use challenger_proto::address::AddressType;
use challenger_proto::http::{Page, PageName};
use challenger_proto::machine::Limits;
use challenger_server::config::{Config, Disk, Environment};
use challenger_server::pages::Templates;
use challenger_server::settings::Settings;
use serde_json::json;

const TYPES: [&str; 6] = ["address", "email", "file", "phone", "postal", "postal-ch"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/address-types")
}

/// The settings of a service with the type's configuration.
fn settings(name: &str) -> Settings {
    let here = tempfile::tempdir().unwrap();
    fs::create_dir(here.path().join("config.d")).unwrap();
    let file = here.path().join("challenger.conf");
    let snippet = folder().join(format!("{name}.conf"));
    let text = format!(
        "@inline@ {}\n[challenger]\nSERVE = tcp\nPORT = 1\nBASE_URL = https://id.example/\n\
         AUTH_COMMAND = sh\nDB = sqlite\n[challengerdb-sqlite]\nFILENAME = /none\n",
        snippet.display()
    );
    fs::write(&file, text).unwrap();
    let variables = BTreeMap::from([(
        "CHALLENGER_BASE_CONFIG".to_owned(),
        here.path().join("config.d").display().to_string(),
    )]);
    let environment = Environment { variables, directory: here.path().to_path_buf(), prefix: None };
    let config = Config::load(&Disk, &environment, Some(&file)).unwrap();
    Settings::read(&config, None).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn each_type_starts_without_a_warning() {
    let files = fs::read_dir(folder()).unwrap();
    let files: BTreeSet<_> =
        files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, TYPES.map(|name| format!("{name}.conf")).into());
    for name in TYPES {
        let settings = settings(name);
        assert_eq!(settings.warnings, Vec::<String>::new(), "{name}");
        assert_eq!(settings.helper_missing(), None);
        let service = settings.service;
        assert_eq!(service.address_type.as_str(), name);
        assert!(!service.address_hint.is_empty());
        for field in service.restrictions.fields() {
            let general = service.restrictions.hint(field, "en").unwrap();
            for language in ["de", "es", "fr", "it", "nl", "pl", "pt"] {
                let hint = service.restrictions.hint(field, language).unwrap();
                assert!(hint != general && hint.ends_with('.'), "{name} {field} {language}");
            }
        }
    }
}

/// The example that a page shows below the label of a field.
fn example(html: &str, field: &str) -> String {
    let (_, help) = html.split_once(&format!("id=\"{field}-help\">")).unwrap();
    let (_, example) = help.split_once("</p>").unwrap().0.split_once(':').unwrap();
    example.replace("<span class=\"lines\">", "").replace("</span>", "").trim().to_owned()
}

#[test]
fn the_example_on_every_page_is_accepted() {
    let templates = Templates::embedded().unwrap();
    for name in TYPES {
        let service = settings(name).service;
        let is_letter = service.fields().contains(&"ADDRESS_LINES");
        let field = if is_letter { "ADDRESS_LINES" } else { service.fields()[0] };
        for language in ["de", "en", "es", "fr", "it", "nl", "pl", "pt"] {
            let data = json!({"address_hint": service.address_hint}).into();
            let (page, language) = (PageName::EnterAddressForm, language.to_owned());
            let page = Page { name: page, language, data };
            let html = templates.render(&page, &service.address_type).unwrap();
            let example = example(&html, field);
            let fields = [("CONTACT_NAME", "Ada"), ("ADDRESS_COUNTRY", "CH"), (field, &example)];
            let fields = fields.into_iter().filter(|(name, _)| service.fields().contains(name));
            let address = service.address(fields);
            assert!(address.is_ok(), "{name}: {example:?} {address:?}");
        }
    }
}

#[test]
fn letters_have_the_time_and_the_budget_they_need() {
    let postal = AddressType::new("postal").unwrap();
    let email = AddressType::new("email").unwrap();
    for (like, names) in
        [(postal, &["address", "postal", "postal-ch"][..]), (email, &["email", "phone"])]
    {
        for name in names {
            let service = settings(name).service;
            assert_eq!(service.limits, Limits::for_type(&like), "{name}");
            assert_eq!(service.budgets, Budgets::for_type(&like), "{name}");
        }
    }
}

/// Checks that of each list the good values are accepted and the bad ones are not, in an address
/// whose other fields are good.
fn judge(names: &[&str], others: &[(&str, &str)], field: &str, good: [&str; 10], bad: [&str; 10]) {
    for name in names {
        let service = settings(name).service;
        let verdict =
            |value| service.address(others.iter().copied().chain([(field, value)])).is_ok();
        for value in good {
            assert!(verdict(value), "{name}: {value:?} is good");
        }
        for value in bad {
            assert!(!verdict(value), "{name}: {value:?} is bad");
        }
    }
}

const LONG: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ\
    ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ\
    ABCDEFGHIJKLMNOPQRSTUVWXYZ";

#[test]
fn email_addresses_are_judged() {
    judge(
        &["email"],
        &[],
        "CONTACT_EMAIL",
        [
            "ada@example.com",
            "ada.lovelace@example.com",
            "ada+shop@mail.example.co.uk",
            "a@b.ch",
            "o'neill@example.ie",
            "1815@example.com",
            "ada_l@ex-ample.com",
            "!#$%&'*+/=?^_`{|}~@example.com",
            "a!#$%&'*+-/=?^_`{|}~.!#$%&'*+-/=?^_`{|}~@EXAMPLE.com",
            "ada@bücher.пример",
        ],
        [
            "ada",
            "ada@localhost",
            "@example.com",
            "ada@@example.com",
            "ada lovelace@example.com",
            "-ada@example.com",
            "ada..l@example.com",
            "ada@example.com\nBcc: all@example.com",
            "ada@[192.0.2.1]",
            "ada@-example.com",
        ],
    );
}

#[test]
fn phone_numbers_are_judged() {
    judge(
        &["phone"],
        &[],
        "CONTACT_PHONE",
        [
            "+41791234567",
            "+4915112345678",
            "+33612345678",
            "+390612345678",
            "+34612345678",
            "+14155550123",
            "+442079460000",
            "+4237901234",
            "00 41 (79) 123-45-67",
            "+2905123",
        ],
        [
            "0791234567",
            "(0)79 123 45 67",
            "41791234567",
            "+41 79 123 45 67 ext. 8",
            "+0791234567",
            "+123456",
            "+1234567890123456",
            "+41791234567, +41791234568",
            "+4179123456x",
            "",
        ],
    );
}

#[test]
fn names_are_judged() {
    let long: String = format!("{LONG}x");
    judge(
        &["postal-ch"],
        &[("ADDRESS_LINES", "Bahnhofstrasse 1\n8001 Zürich")],
        "CONTACT_NAME",
        [
            "Ada Lovelace",
            "A",
            "Jean-Jacques d'Été",
            "Dr. Müller & Söhne AG",
            "李小龙",
            "Ångström, Anders",
            "O’Neill",
            "Maria del Carmen García López",
            "3M",
            " Ada \n Lovelace\t",
        ],
        ["", " ", "\t", "\n", "\u{200b}", "Ada\u{7}", "\u{85}", "\u{1b}[0m", "\u{2028}", &long],
    );
}

#[test]
fn postal_addresses_are_judged() {
    judge(
        &["postal", "address"],
        &[("CONTACT_NAME", "Ada Lovelace"), ("ADDRESS_COUNTRY", "CH")],
        "ADDRESS_LINES",
        [
            "Bahnhofstrasse 1\n8001 Zürich",
            "10 Downing Street\nLondon\nSW1A 2AA",
            "12 rue de l’Été\n75001 Paris",
            "c/o Babbage\nDorset Street 1\nMarylebone\nLondon",
            "1\n2",
            "1\n2\n3\n4\n5\n6",
            "Via Roma 1\n00184 Roma RM\n",
            "東京都千代田区1-1\n100-0001",
            "Postfach\n1234 Ort",
            "  Calle\tMayor 1\r\n\r\n28013 Madrid  ",
        ],
        [
            "",
            " ",
            "\n",
            "Bahnhofstrasse 1, 8001 Zürich",
            "Bahnhofstrasse 1\n",
            "\n8001 Zürich",
            "\r\n \r\n8001 Zürich\n\u{200b}\n",
            "\u{1b}[2J\n8001 Zürich",
            "1\n2\n3\n4\n5\n6\n7",
            "Bahnhofstrasse\u{8}1\n8001 Zürich",
        ],
    );
    judge(
        &["postal", "address"],
        &[("CONTACT_NAME", "Ada Lovelace"), ("ADDRESS_LINES", "Bahnhofstrasse 1\n8001 Zürich")],
        "ADDRESS_COUNTRY",
        ["CH", "DE", "FR", "IT", "ch", " Li ", "UK", "EL", "JP", "BR"],
        ["", "C", "CHE", "C H", "ZZ", "C1", "EU", "AN", "??", "Switzerland"],
    );
}

#[test]
fn swiss_addresses_are_judged() {
    judge(
        &["postal-ch"],
        &[("CONTACT_NAME", "Ada Lovelace")],
        "ADDRESS_LINES",
        [
            "Bahnhofstrasse 1\n8001 Zürich",
            "Rue du Rhône 2\nCH 1204 Genève",
            "Via Nassa 3\nch – 6900 Lugano",
            "Postfach\nCH3001 Bern",
            "c/o Babbage\nHauptstrasse 1\nFL-9490 Vaduz",
            "Hauptstrasse 1\nCH-4051 Basel",
            "Hauptstrasse 1\nfl 9490 Vaduz",
            "Hauptstrasse 1\n1000 Lausanne 25",
            "Ferme du Bois\n2300 La Chaux-de-Fonds\n",
            "a\nb\nc\n\nd\n9999\u{a0}Éx",
        ],
        [
            "Bahnhofstrasse 1",
            "8001 Zürich",
            "Bahnhofstrasse 1\n80331 München",
            "Bahnhofstrasse 1\n0800 Zürich",
            "Bahnhofstrasse 1\nZürich",
            "Bahnhofstrasse 1\nDE-8001 Zürich",
            "Bahnhofstrasse 1\nZürich 8001",
            "8001 Zürich\n\n8001",
            "Bahnhofstrasse 1\n8001 Zürich\nSchweiz",
            "a\nb\nc\nd\ne\n8001 Zürich",
        ],
    );
}

/// The restriction of `docs/configure.md` for a domain of the operator's own.
#[test]
fn addresses_at_an_own_domain_are_not_routes_to_another() {
    let manual = fs::read_to_string(folder().join("../configure.md")).unwrap();
    let line = manual.lines().find(|line| line.contains("own[.]example$")).unwrap();
    let settings = read(&format!("ADDRESS_TYPE = email\n{line}")).unwrap();
    let accepts = |email: &str| settings.service.address([("CONTACT_EMAIL", email)]).is_ok();
    for good in ["ada", "a", "ada.lovelace", "ada+shop", "a-l_1815", "_ada_", "1815"] {
        assert!(accepts(&format!("{good}@own.example")), "{good}");
    }
    for bad in
        ["ada%other.example", "other.example!ada", "-ada", "ada-", ".ada", "ada@x", "a|b", ""]
    {
        assert!(!accepts(&format!("{bad}@own.example")), "{bad}");
    }
    assert!(!accepts("ada@own.example.com") && !accepts("ada@ownxexample"));
}

#[test]
fn file_names_are_judged() {
    judge(
        &["file"],
        &[],
        "filename",
        ["message.txt", "a", "1", "a.b.c", "a-b_c", "A", "test-42.msg", "x.", "y-", "0_0"],
        ["", ".", "..", ".profile", "/tmp/message.txt", "a/b", "-f", "a b", "a\nb", LONG],
    );
}

/// The settings, or the complaints, of a service whose section has these lines.
fn read(lines: &str) -> Result<Settings, Vec<String>> {
    let text = format!(
        "[challenger]\nSERVE = tcp\nPORT = 1\n{lines}\nAUTH_COMMAND = sh\nDB = sqlite\n\
         [challengerdb-sqlite]\nFILENAME = /none\n"
    );
    let environment = Environment { directory: PathBuf::from("/"), ..Environment::default() };
    let config = Config::from_text(&text, &environment).unwrap();
    Settings::read(&config, None).map_err(|error| error.errors)
}

const OPEN: &str = r#"{"regex": "", "hint": ""}"#;

#[test]
fn without_a_configuration_nothing_is_restricted() {
    for name in TYPES.into_iter().filter(|name| *name != "file") {
        let settings = read(&format!("ADDRESS_TYPE = {name}")).unwrap();
        assert!(settings.service.restrictions.is_empty(), "{name}");
        let registered = settings.service.address_type.fields().unwrap();
        assert_eq!(settings.service.fields(), registered, "{name}");
    }
}

#[test]
fn addresses_have_declared_fields_only() {
    let fields = |lines: &str| {
        let settings = read(lines).unwrap_or_else(|complaints| panic!("{complaints:?}"));
        settings.service.fields().into_iter().map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(fields("ADDRESS_TYPE = own\nADDRESS_FIELDS = server, handle"), "server handle");
    let restricted = format!("ADDRESS_RESTRICTIONS = {{\"N\": {OPEN}}}");
    assert_eq!(fields(&format!("ADDRESS_TYPE = own\n{restricted}")), "N");
    let both = format!("ADDRESS_TYPE = own\n{restricted}\nADDRESS_FIELDS = M N");
    assert_eq!(fields(&both), "M N");
    assert_eq!(fields(&format!("ADDRESS_TYPE = email\n{restricted}")), "CONTACT_EMAIL N");
    assert_eq!(settings("file").service.fields(), ["filename"]);
    assert_eq!(settings("address").service.fields(), settings("postal").service.fields());
}

#[test]
fn fields_that_are_not_declared_are_a_mistake_at_the_start() {
    let restricted = format!("ADDRESS_RESTRICTIONS = {{\"N\": {OPEN}}}");
    let many: String = (0..16).map(|n| format!(", \"F{n}\": {OPEN}")).collect();
    for (lines, expected) in [
        ("ADDRESS_TYPE = own", "[challenger] ADDRESS_TYPE = \"own\": expected a type that has"),
        ("ADDRESS_TYPE = file", "the names of its fields in ADDRESS_FIELDS or ADDRESS_RESTRI"),
        ("ADDRESS_TYPE = own\nADDRESS_RESTRICTIONS = {}", "ADDRESS_TYPE = \"own\": expected"),
        (
            &format!("ADDRESS_TYPE = own\nADDRESS_FIELDS = M\n{restricted}"),
            "ADDRESS_FIELDS = \"M\": expected N among them, which ADDRESS_RESTRICTIONS demands",
        ),
        (
            "ADDRESS_TYPE = phone\nADDRESS_FIELDS = CONTACT_PHONE",
            "expected to be left out, because phone addresses have CONTACT_PHONE",
        ),
        ("ADDRESS_TYPE = own\nADDRESS_FIELDS = a a", "expected each name once, a stands twice"),
        ("ADDRESS_TYPE = own\nADDRESS_FIELDS = ,", "expected 1 to 16 names of fields"),
        (
            "ADDRESS_TYPE = own\nADDRESS_FIELDS = filename read_only",
            "expected names of fields instead of \"read_only\"",
        ),
        (
            &format!("ADDRESS_TYPE = email\nADDRESS_RESTRICTIONS = {{{}}}", &many[2..]),
            "expected 16 fields at most, with those of email addresses",
        ),
        (
            "ADDRESS_TYPE = own\nADDRESS_FIELDS = a b\nAUTH_ADDRESS_FORMAT = plain",
            "expected json, because these addresses have several fields",
        ),
        (
            "ADDRESS_TYPE = address\nAUTH_ADDRESS_FORMAT = plain",
            "expected json, because these addresses have several fields",
        ),
    ] {
        let complaints = read(lines).map(|_| ()).unwrap_err();
        assert!(complaints.len() == 1 && complaints[0].contains(expected), "{complaints:?}");
    }
}
