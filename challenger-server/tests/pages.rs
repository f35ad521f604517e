//! Renders every shipped page with the worst of data, and reads the result as a browser would.
#![expect(clippy::expect_used, reason = "the functions below are part of the tests")]

mod markup;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use challenger_proto::address::AddressType;
use challenger_proto::http::{Inline, Page, PageName};
use challenger_proto::{FailureKind, Refusal};
use challenger_server::pages::{Sources, Templates};
use markup::{EVIL, LANGUAGES, check_page, embedded, tags};
use serde_json::{Value, json};
use tempfile::TempDir;

const TYPES: [&str; 6] = ["address", "email", "file", "phone", "postal", "postal-ch"];

fn kind(name: &str) -> AddressType {
    AddressType::new(name).expect("a good name")
}

fn page(name: PageName, language: &str, data: Value) -> Page {
    Page { name, language: language.to_string(), data: data.into() }
}

fn render(name: PageName, address_type: &str, data: Value) -> String {
    let page = page(name, "en", data);
    embedded().render(&page, &kind(address_type)).expect("the page exists")
}

/// The directory that comes with the program.
fn templates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates")
}

/// The shipped pages with a directory over them, and the errors in that directory.
fn overlaid(directory: &Path) -> (Sources, Templates, Vec<String>) {
    let mut sources = Sources::embedded();
    let mut errors = sources.overlay(directory);
    let (templates, more) = Templates::compile(&sources);
    errors.extend(more);
    (sources, templates, errors.iter().map(ToString::to_string).collect())
}

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().expect("a directory");
    for (name, text) in files {
        fs::write(directory.path().join(name), text).expect("written");
    }
    directory
}

/// Every variable of every page, all of them hostile.
fn hostile() -> Value {
    let field = |name: &str| json!({"name": name, "value": EVIL, "masked": EVIL, "shown": EVIL});
    let restriction = json!({"regex": EVIL, "hint": EVIL, "hint_i18n": {"de": EVIL}});
    let names = ["ADDRESS_COUNTRY", "ADDRESS_LINES", "CONTACT_EMAIL", "CONTACT_NAME"];
    let names = names.into_iter().chain(["CONTACT_PHONE", "filename"]);
    let at = |wrong: Value| -> Value {
        names.clone().map(|name| (name.to_string(), wrong.clone())).collect()
    };
    let address: Value = names.clone().map(|name| (name.to_string(), json!(EVIL))).collect();
    let mut all = json!({
        "changes": {"one": true}, "service": EVIL, "tries": {"two": true},
        "until": {"day": EVIL, "may": true, "year": EVIL, "hour": EVIL, "minute": EVIL},
        "wait": {"brief": EVIL, "seconds": EVIL, "text": EVIL},
    });
    let more = json!({
        "address": address, "address_form": true, "address_hint": EVIL,
        "addresses_left": 3, "budget_seen": EVIL,
        "attempts_left": 3, "auth_attempts_left": 3, "by_post": true, "can_ask_again": true,
        "can_retransmit": true, "can_retry": true, "change_url": EVIL,
        "changes_left": 3, "client": EVIL, "detail": EVIL, "ec": 9758, "exhausted": true,
        "countries": [{"code": EVIL, "selected": true}, {"code": "CH"}],
        "error": {
            "field": EVIL, "at": at(json!({"missing": true})), "first": at(json!(true)),
            "missing": true,
        },
        "fields": names.clone().map(field).collect::<Vec<_>>(), "fix_address": true, "hint": EVIL,
        "last_address": address, "next_tx_time": EVIL, "no_challenge": true, "nonce": EVIL,
        "pin_transmissions_left": 3, "reference": EVIL,
        "restrictions": names.map(|n| (n.to_string(), restriction.clone())).collect::<Value>(),
        "pin_error": true, "refused": {"TooManyAttempts": true, "HelperFailed": true},
        "failure": {"address": true},
        "wrong": true,
        "has_terms": true, "has_privacy": true, "solved": true, "transmitted": true,
        "cancel_url": EVIL, "home_url": EVIL,
    });
    let object = all.as_object_mut().expect("an object");
    object.extend(more.as_object().expect("an object").clone());
    all
}

/// These variables with every switch the other way, and everything optional left out.
fn sparse() -> Value {
    json!({
        "addresses_left": 0, "attempts_left": 1, "auth_attempts_left": 0, "can_retransmit": false,
        "again": {"minutes": 5}, "back_url": EVIL, "unsent": true, "used_up": true,
        "can_retry": false, "changes_left": 0, "client": EVIL, "ec": 9758, "exhausted": false,
        "countries": [{"code": EVIL}, {"code": "CH"}],
        "by_email": true, "refused": {"HelpersBusy": true, "AddressReadOnly": true},
        "fields": [{"name": EVIL, "value": EVIL, "masked": EVIL, "shown": EVIL}],
        "fix_address": false, "hint": EVIL,
        "next_tx_time": EVIL, "no_challenge": false, "nonce": EVIL, "pin_transmissions_left": 1,
        "reference": EVIL, "restrictions": {}, "stuck": {"url": EVIL}, "transmitted": false,
    })
}

#[test]
fn the_shipped_files_are_the_directory() {
    let (_, loaded, errors) = overlaid(&templates());
    assert_eq!(errors, [""; 0]);
    assert_eq!(embedded().warnings().count(), 0);
    for address_type in TYPES {
        assert_eq!(embedded().missing(&kind(address_type)), [""; 0]);
        for name in PageName::ALL {
            for language in LANGUAGES {
                let page = page(name, language, hostile());
                let render = |it: &Templates| it.render(&page, &kind(address_type));
                assert!(render(embedded()).is_some());
                assert_eq!(render(embedded()), render(&loaded), "{name:?} {language}");
            }
        }
    }
}

#[test]
fn every_page_is_plain_html_whatever_the_data() {
    let templates = embedded();
    for (address_type, language) in TYPES.iter().flat_map(|t| LANGUAGES.map(|l| (t, l))) {
        for name in PageName::ALL {
            for data in [hostile(), sparse()] {
                let page = page(name, language, data);
                let html = templates.render(&page, &kind(address_type)).expect("the page exists");
                assert!(!html.contains(EVIL), "{html}");
                assert!(html.matches("<script").count() <= 1, "{html}");
                check_page(&html, language);
            }
        }
    }
}

#[test]
fn what_a_page_may_apply_is_what_is_in_it() {
    let directory = directory(&[
        ("brand.css", ":root { --accent: purple }\r\n"),
        ("already-done.de.must", "{{>style}}<script>one()</script><style>x{}</style>"),
    ]);
    let (_, branded, errors) = overlaid(directory.path());
    assert_eq!(errors, [""; 0]);
    let between = |html: &str, name: &str| -> Vec<String> {
        let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
        let parts = html.split(&begin).skip(1);
        parts.map(|part| part.split_once(&end).expect("it ends").0.to_owned()).collect()
    };
    for templates in [embedded(), &branded] {
        let set = templates.page_set(&kind("email"));
        for (name, language) in PageName::ALL.iter().flat_map(|n| LANGUAGES.map(|l| (*n, l))) {
            let page = page(name, language, hostile());
            let html = templates.render(&page, &kind("email")).expect("the page exists");
            let mut inline = Inline::default();
            between(&html, "style").iter().for_each(|style| inline.add_style(style));
            between(&html, "script").iter().for_each(|script| inline.add_script(script));
            assert_ne!(inline, Inline::default());
            assert_eq!(set.inline(name, language), Some(&inline), "{name:?} {language}");
        }
        assert_eq!(templates.warnings().collect::<Vec<_>>(), [""; 0]);
    }
    let page = page(PageName::EnterTanForm, "fr", sparse());
    let html = branded.render(&page, &kind("email")).expect("the page exists");
    assert!(html.contains("}\n:root { --accent: purple }\r\n</style>"), "{html}");
}

#[test]
fn what_browsers_would_refuse_is_said_at_start() {
    let directory = directory(&[
        ("already-done.must", "<p>\n<p style=\"x\">\n<img src=\"https://a.example/b\">"),
        ("style.part.must", "<style>\n{{client}}</style>"),
    ]);
    let (_, templates, errors) = overlaid(directory.path());
    assert_eq!(errors, [""; 0]);
    let warnings: Vec<&str> = templates.warnings().collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for (warning, expected) in warnings.iter().zip([
        "already-done.must:2: p has an attribute style, which browsers refuse",
        "already-done.must:3: img loads something from elsewhere",
        "style.part.must:1: this style has variables",
    ]) {
        assert!(warning.contains(expected), "{warning}");
    }
}

#[test]
fn forms_have_the_registered_fields() {
    for address_type in TYPES {
        let html = render(PageName::EnterAddressForm, address_type, sparse());
        let tags = tags(&html);
        let names: BTreeSet<&str> = tags.iter().filter_map(|tag| tag.get("name")).collect();
        let expected: &[&str] = match address_type {
            "address" => &["CONTACT_NAME", "ADDRESS_LINES", "ADDRESS_COUNTRY"],
            "file" => &["filename"],
            _ => kind(address_type).fields().expect("a registered type"),
        };
        let expected = expected.iter().copied();
        let expected = expected.chain(["viewport", "robots", "budget_seen"]).collect();
        assert_eq!(names, expected, "{address_type}");
    }
}

#[test]
fn a_fixed_address_cannot_be_edited() {
    for address_type in TYPES {
        for (data, readonly) in [(hostile(), true), (sparse(), false)] {
            let html = render(PageName::EnterAddressForm, address_type, data);
            let tags = tags(&html);
            let inputs =
                tags.iter().filter(|tag| ["input", "select", "textarea"].contains(&&*tag.name));
            let inputs = inputs.filter(|tag| tag.get("type") != Some("hidden"));
            let inputs = inputs.filter(|tag| tag.get("name") != Some("pin"));
            assert!(inputs.clone().count() > 0);
            assert!(inputs.clone().all(|tag| tag.get("readonly").is_some() == readonly), "{html}");
        }
    }
}

#[test]
fn a_line_break_at_the_start_of_a_textarea_survives() {
    let data = json!({"last_address": {"ADDRESS_LINES": "\nMain St 1\nTown"}});
    let html = render(PageName::EnterAddressForm, "postal", data);
    // Browsers drop one line break after the start tag.
    assert!(html.contains(">\n\nMain St 1\nTown</textarea>"), "{html}");
}

#[test]
fn a_wrong_code_always_leaves_a_way_on() {
    let solve = "action=\"../solve/N\"";
    let send = "action=\"../challenge/N\"";
    let change = "href=\"../authorize/N\"";
    for bits in 0..8 {
        let [can_retry, can_send, can_change] = [1, 2, 4].map(|bit| bits & bit != 0);
        let url = if can_change { json!("../authorize/N") } else { Value::Null };
        let html = render(
            PageName::InvalidPin,
            "email",
            json!({
                "nonce": "N", "can_retry": can_retry, "can_ask_again": can_send,
                "pin_transmissions_left": i32::from(can_send), "change_url": url,
                "fields": [{"name": "CONTACT_EMAIL", "value": "ada@example.com"}],
                "client": "shop.example", "ec": 9758, "hint": "wrong",
            }),
        );
        assert_eq!(html.contains(solve), can_retry, "{html}");
        assert_eq!(html.contains(send), can_send, "{html}");
        assert_eq!(html.contains("name=\"CONTACT_EMAIL\" value=\"ada@example.com\""), can_send);
        assert_eq!(html.contains(change), can_change, "{html}");
    }
}

#[test]
fn an_address_that_waits_for_its_first_message_gets_a_button_and_no_code_form() {
    for language in LANGUAGES {
        let data = json!({
            "nonce": "N", "unsent": true, "transmitted": false, "can_ask_again": true,
            "fields": [{"name": "CONTACT_EMAIL", "value": "Ada@example.com"}], "by_email": true,
            "client": "shop.example", "wait": {"seconds": 50, "text": "50 s"},
        });
        let page = page(PageName::EnterTanForm, language, data);
        let html = embedded().render(&page, &kind("email")).unwrap();
        assert!(!html.contains("action=\"../solve/N\""), "{html}");
        assert_eq!(html.matches("action=\"../challenge/N\"").count(), 1, "{html}");
        assert!(html.contains("data-seconds=\"50\""), "{html}");
    }
}

#[test]
fn a_limit_leaves_a_way_on_while_there_is_one() {
    for (can_retry, can_change) in [(false, false), (false, true), (true, false)] {
        let url = if can_change { json!("../authorize/N") } else { Value::Null };
        let html = render(
            PageName::InvalidRequest,
            "email",
            json!({
                "nonce": "N", "can_retry": can_retry, "change_url": url, "client": "shop.example",
                "refused": {"TooManyAttempts": true},
            }),
        );
        assert_eq!(html.contains("action=\"../solve/N\""), can_retry, "{html}");
        assert_eq!(html.contains("href=\"../authorize/N\""), can_change, "{html}");
        assert_eq!(html.contains("Go back to <strong>"), !can_retry && !can_change, "{html}");
    }
}

#[test]
fn an_operators_page_is_in_its_language() {
    let directory = directory(&[
        ("already-done.ro.must", "Gata {{client}} {{>done.close}}{{>language.tag}}"),
        ("enter-own-form.de.must", "Adresse"),
        ("README", "{{#not a template"),
        (".already-done.en.must.swp", "{{#"),
    ]);
    let (_, templates, errors) = overlaid(directory.path());
    assert_eq!(errors, [""; 0]);
    let set = templates.page_set(&kind("email"));
    assert!(set.contains(PageName::AlreadyDone, "ro") && set.contains(PageName::AlreadyDone, "de"));
    assert!(!set.contains(PageName::EnterTanForm, "ro"));
    let set = templates.page_set(&kind("own"));
    assert!(set.contains(PageName::EnterAddressForm, "de"));
    assert!(!set.contains(PageName::EnterAddressForm, "en"));
    assert_eq!(templates.missing(&kind("own")), ["enter-own-form.must"]);
    let page = |language: &str| {
        let page = page(PageName::AlreadyDone, language, json!({"client": "<b>"}));
        templates.render(&page, &kind("email"))
    };
    // Where a language has no catalogue, the words are English ones.
    let expected = "Gata &lt;b&gt; You can close this page.ro";
    assert_eq!(page("ro").as_deref(), Some(expected));
    assert!(page("de").expect("shipped").contains("<html lang=\"de\""));
    assert_eq!(page("rm"), None);
}

#[test]
fn what_is_written_for_one_language_wins_in_its_place_only() {
    let (below, above) = (
        directory(&[("already-done.de.must", "below de"), ("already-done.must", "below")]),
        directory(&[("already-done.must", "above"), ("already-done.fr.must", "above fr")]),
    );
    let mut sources = Sources::embedded();
    let said = |sources: &Sources| {
        let (templates, errors) = Templates::compile(sources);
        assert_eq!(errors, []);
        ["de", "en", "fr"].map(|language| {
            let name = PageName::AlreadyDone;
            let page = page(name, language, json!({}));
            templates.render(&page, &kind("email")).expect("it is there")
        })
    };
    assert_eq!(sources.overlay(below.path()), []);
    assert_eq!(said(&sources), ["below de", "below", "below"]);
    assert_eq!(sources.overlay(above.path()), []);
    assert_eq!(said(&sources), ["above", "above", "above fr"]);
}

#[test]
fn catalogues_and_parts_are_replaced_one_by_one() {
    let directory = directory(&[
        ("de.lang", "[done]\ntitle = Geschafft"),
        ("foot.part.must", "<p>{{>own.by}}</p></main></body></html>\n"),
        ("en.lang", "[own]\nby = By us"),
    ]);
    let (sources, templates, errors) = overlaid(directory.path());
    assert_eq!(errors, [""; 0]);
    let name = PageName::AlreadyDone;
    let page = page(name, "de", json!({"client": "shop.example"}));
    let html = templates.render(&page, &kind("email")).expect("it is there");
    for part in ["<h1>Geschafft</h1>", "<strong>shop.example</strong>", "<p>By us</p>"] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let warnings = sources.warnings();
    let others = LANGUAGES.into_iter().filter(|it| *it != "en");
    let lacks =
        |it| format!("{it}.lang lacks some texts, and English ones take their place (1): own.by");
    assert_eq!(warnings, others.map(lacks).collect::<Vec<_>>());
}

#[test]
fn a_new_language_is_a_new_catalogue() {
    let directory = directory(&[
        ("ar.lang", "[language]\ndirection = rtl\n[done]\ntitle = تم\nheadng = x"),
        ("de-CH.lang", "[done]\ntitle = Fertig"),
        ("de.lang", "[done]\nclose = Sonst nichts."),
    ]);
    let (sources, templates, errors) = overlaid(directory.path());
    assert_eq!(errors, [""; 0]);
    let page = |language: &str, name| {
        let page = page(name, language, json!({}));
        templates.render(&page, &kind("email")).expect("it is there")
    };
    let html = page("ar", PageName::AlreadyDone);
    assert!(html.contains("<html lang=\"ar\" dir=\"rtl\">"), "{html}");
    assert!(html.contains("<h1>تم</h1>") && html.contains("close this page"), "{html}");
    assert!(page("ar", PageName::EnterTanForm).contains(">Confirm</button>"));
    // A regional form borrows from its language, not from English.
    let html = page("de-CH", PageName::AlreadyDone);
    assert!(html.contains("<html lang=\"de-CH\" dir=\"ltr\">"), "{html}");
    assert!(html.contains("<h1>Fertig</h1>") && html.contains("<p>Sonst nichts.</p>"), "{html}");
    let warnings = sources.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].ends_with("ar.lang:5: no template uses the text done.headng"));
    assert!(warnings[1].starts_with("ar.lang lacks "), "{warnings:?}");
    let some = "): address.example, address.fixed, address.last, ...";
    assert!(warnings[1].ends_with(some), "{warnings:?}");
}

#[test]
fn what_is_not_escaped_is_said_once() {
    let directory =
        directory(&[("already-done.must", "{{>raw}}"), ("raw.part.must", "\nDone {{{client}}}")]);
    let (_, templates, errors) = overlaid(directory.path());
    assert_eq!(errors, [""; 0]);
    let warnings: Vec<&str> = templates.warnings().collect();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("raw.part.must:2: {{{client}}} prints its value"), "{warnings:?}");
}

#[test]
fn bad_files_are_refused_by_name() {
    let long = format!("a.en{}.must", "-abcdefg".repeat(24));
    let cases = [
        ("a.en.must", "x\n{{#a}}", "a.en.must:2: {{#a}} is never closed"),
        ("a.must", "\n{{#a}}", "a.must:2: {{#a}} is never closed"),
        ("a.must", "\n{{>b}}", "a.must:2: {{>b}}: there is no file b.part.must"),
        ("a.must", "{{=<% %>=}}", "a.must:1: delimiters other than {{ and }} are not supported"),
        ("head.part.must", "{{/b}}", "head.part.must:1: {{/b}} closes nothing"),
        ("it.lang", "\n[done]\nclose = {{#x}}", "it.lang:3: {{#x}} is never closed"),
        ("it.lang", "close = x", "it.lang:1: an option before any section"),
        ("a.b.en.must", "", "a.b.en.must: the name of a template is NAME.must or NAME.LANGUAGE"),
        ("a.e n.must", "", "a.e n.must: the name of a template is"),
        (".must", "", ""),
        ("d e.lang", "", "d e.lang: the name of a catalogue is LANGUAGE.lang"),
        ("en-.lang", "", "en-.lang: the name of a catalogue is LANGUAGE.lang, with a language tag"),
        ("en--GB.lang", "", "en--GB.lang: the name of a catalogue is"),
        ("e1.lang", "", "e1.lang: the name of a catalogue is"),
        ("deutschland.lang", "", "deutschland.lang: the name of a catalogue is"),
        ("a.en-aaaaaaaaa.must", "", "a.en-aaaaaaaaa.must: the name of a template is"),
        (&long, "", &format!("{long}: the name of a template is")),
        ("a.b.part.must", "", "a.b.part.must: the name of a part is NAME.part.must"),
        ("brand.css", "a{}\n{{x", "brand.css: the rules contain {{, which begins a tag"),
        ("brand.css", "</STYLE>", "brand.css: the rules contain </style"),
    ];
    for (name, text, expected) in cases {
        let directory = directory(&[(name, text)]);
        let (_, _, errors) = overlaid(directory.path());
        assert_eq!(errors.len(), usize::from(!expected.is_empty()), "{name}: {errors:?}");
        assert!(errors.iter().all(|error| error.contains(expected)), "{errors:?}");
    }
    let (_, _, errors) = overlaid(Path::new("/no/such/directory"));
    assert!(errors[0].starts_with("/no/such/directory: No such file"), "{errors:?}");
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("a.en.must"), b"\xff").expect("written");
    let (_, _, errors) = overlaid(directory.path());
    assert!(errors[0].contains("UTF-8"), "{errors:?}");
}

#[test]
fn threads_can_share_templates() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(embedded());
}

#[test]
fn templates_ask_for_refusals_and_failures_that_exist() {
    let refusals = Refusal::ALL.iter().map(|refusal| refusal.name()).collect();
    let failures = FailureKind::ALL.iter().map(|kind| kind.name()).collect();
    let asks: [(&str, Vec<&str>); 2] = [("refused.", refusals), ("failure.", failures)];
    for (object, names) in asks {
        let mut asked = 0;
        for entry in fs::read_dir(templates()).expect("a directory") {
            let text = fs::read_to_string(entry.expect("an entry").path()).expect("read");
            for rest in text.split(object).skip(1) {
                let name = rest.split("}}").next().unwrap_or_default();
                assert!(names.contains(&name), "{object}{name}");
                asked += 1;
            }
        }
        assert!(asked > 0, "{object}");
    }
}
