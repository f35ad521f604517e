//! The mistakes of operators in templates that the templates cannot know of.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;

use challenger_proto::Service;
use challenger_proto::address::{AddressType, Restrictions};
use challenger_server::pages::{Messages, Sources, Templates};

/// The warnings and errors about these files over the shipped ones, without their directory.
fn found(files: &[(&str, &str)], service: &Service) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        fs::write(directory.path().join(name), text).expect("a file");
    }
    let mut sources = Sources::embedded();
    let mut errors = sources.overlay(directory.path());
    let (templates, more) = Templates::compile(&sources);
    errors.extend(more);
    let (messages, more) = Messages::compile(&sources, Some(&service.address_type));
    errors.extend(more);
    let warnings = templates.warnings().map(str::to_owned);
    let warnings = warnings.chain(templates.dead_ends(service));
    let warnings = warnings.chain(messages.warnings().iter().cloned());
    let all = errors.iter().map(ToString::to_string).chain(warnings);
    let shorten = |it: String| it.replace(&format!("{}/", directory.path().display()), "");
    all.map(shorten).collect()
}

fn service(name: &str) -> Service {
    Service::new(AddressType::new(name).expect("a name"))
}

/// A form with this action, these fields, and the one that every form has.
fn form(action: &str, fields: &[&str]) -> String {
    let fields = fields.iter().chain(&["budget_seen"]);
    let fields: Vec<String> = fields.map(|name| format!("<input name={name}>")).collect();
    format!("<h1>\n<form method=POST action='{action}'>\n{}</form>", fields.join("\n"))
}

const CHALLENGE: &str = "../challenge/{{nonce}}";

/// The only finding about a form for an e-mail address.
#[track_caller]
fn about(form: &str) -> String {
    let found = found(&[("enter-email-form.must", form)], &service("email"));
    assert_eq!(found.len(), 1, "{found:?}");
    found.concat()
}

#[test]
fn what_is_shipped_has_no_mistakes() {
    for address_type in ["address", "email", "file", "phone", "postal", "postal-ch"] {
        assert_eq!(found(&[], &service(address_type)), [""; 0]);
    }
}

#[test]
fn variables_that_a_page_never_gets_are_said() {
    let rest = form(CHALLENGE, &["CONTACT_EMAIL"]);
    for (text, expected) in [
        (
            "{{adress_hint}}",
            "1: {{adress_hint}}: enter-email-form has no such variable: expected \
          address_hint, or another one of those in challenger.conf(5)",
        ),
        ("\n{{{pin}}}", "2: {{{pin}}}: enter-email-form has no such variable: expected one of"),
        ("{{#wrong}}{{/wrong}}", "1: {{#wrong}}: enter-email-form has no such variable"),
        ("{{^exhausted}}{{/exhausted}}", "1: {{^exhausted}}: enter-email-form has no such"),
        (
            "{{error.filed}}",
            "1: {{error.filed}}: enter-email-form has no such variable: expected \
          error.field, or another",
        ),
        ("{{#fields}}{{client}} {{vale}}{{/fields}}", "1: {{vale}}: enter-email-form has no such"),
        ("{{value}}", "1: {{value}}: enter-email-form has no such"),
        ("{{#error.at.A}}{{vague}}{{/error.at.A}}", "1: {{vague}}: enter-email-form has no"),
    ] {
        let all = found(&[("enter-email-form.must", &format!("{text}{rest}"))], &service("email"));
        let all: Vec<String> =
            all.into_iter().filter(|it| !it.contains("without escaping")).collect();
        assert_eq!(all.len(), 1, "{text}: {all:?}");
        assert!(all.concat().starts_with(&format!("enter-email-form.must:{expected}")), "{all:?}");
    }
    let good = "{{#fields}}{{name}}{{value}}{{client}}{{/fields}}{{#error}}{{field}}{{#at.A}}{{.}}\
        {{/at.A}}{{/error}}{{last_address.A}}{{#restrictions.A.hint}}{{.}}{{/restrictions.A.hint}}\
        {{#wait}}{{text}}{{wait.seconds}}{{/wait}}";
    let good = format!("{good}{rest}");
    assert_eq!(found(&[("enter-email-form.must", &good)], &service("email")), [""; 0]);
}

#[test]
fn parts_texts_and_messages_have_their_variables_too() {
    for (file, text, expected) in [
        (
            "foot.part.must",
            "\n{{#ecc}}{{/ecc}}",
            "foot.part.must:2: {{#ecc}}: no page has such a variable: expected ec, or another",
        ),
        (
            "de.lang",
            "[done]\n\nclose = {{client}} {{clint}}",
            "de.lang:3: {{clint}}: no page has such a variable: expected client, or",
        ),
        (
            "invalid-request.en.must",
            "{{refused.TooMuch}}",
            "invalid-request.en.must:1: {{refused.TooMuch}}: invalid-request has no such variable",
        ),
        (
            "message.must",
            "{{pin}}\n{{valid.minute}}",
            "message.must:2: {{valid.minute}}: messages have no such variable: expected \
             valid.minutes, or another",
        ),
        (
            "fr.lang",
            "[message]\nsubject = {{cleint}}",
            "fr.lang:2: {{cleint}}: messages have no such variable: expected client, or another",
        ),
    ] {
        let all = found(&[(file, text)], &service("email"));
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all.concat().starts_with(expected), "{all:?}");
    }
    // A part may name what any page has, and a template that belongs to no page is not read.
    let fine = [("foot.part.must", "{{pin_error}}{{ec}}"), ("old.must", "{{old}}<form>")];
    assert_eq!(found(&fine, &service("email")), [""; 0]);
}

#[test]
fn forms_that_lead_nowhere_are_said() {
    let fields = ["CONTACT_EMAIL"];
    let dead_end =
        "enter-email-form.must: the page has no form whose action is ../challenge/{{nonce}}";
    for (action, expected) in [
        ("", "a form has no action: expected ../challenge/{{nonce}} or ../solve/{{nonce}}"),
        ("challenge/{{nonce}}", "the action challenge/{{nonce}} of a form leads nowhere: expected"),
        ("../chalenge/{{nonce}}", "the action ../chalenge/{{nonce}} of a form leads nowhere"),
        ("../challenge/{{reference}}x", ""),
        ("../challenge", "the action ../challenge of a form leads nowhere"),
    ] {
        let all = found(&[("enter-email-form.must", &form(action, &fields))], &service("email"));
        if expected.is_empty() {
            assert_eq!(all, [""; 0], "variables decide");
        } else {
            assert_eq!(all.get(1).map(String::as_str), Some(dead_end), "{all:?}");
            let expected = format!("enter-email-form.must:2: {expected}");
            assert!(all.first().is_some_and(|it| it.starts_with(&expected)), "{all:?}");
        }
    }
    for action in ["/challenge/{{nonce}}", "https://id.example/challenge/{{nonce}}"] {
        let found = about(&form(action, &fields));
        let expected =
            format!("enter-email-form.must:2: the action {action} of a form is absolute");
        assert!(found.starts_with(&expected), "{found}");
    }
    let found = about(&form(CHALLENGE, &fields).replace("POST", "get"));
    assert_eq!(found, "enter-email-form.must:2: this form has to be sent with method=\"post\"");
    let found = about(&form(CHALLENGE, &fields).replace("budget_seen", "budget"));
    let expected =
        "enter-email-form.must:2: this form has no hidden field budget_seen, so a second";
    assert!(found.starts_with(expected), "{found}");
    let query = format!("{CHALLENGE}?a=b");
    for good in [CHALLENGE, " ../challenge/{{ nonce }} ", &query] {
        let good = form(good, &fields);
        assert_eq!(self::found(&[("enter-email-form.must", &good)], &service("email")), [""; 0]);
    }
    let found = self::found(&[("enter-tan-form.must", "<p>")], &service("email"));
    let expected = "enter-tan-form.must: the page has no form whose action is ../solve/{{nonce}}";
    assert_eq!(found, [expected]);
}

#[test]
fn fields_that_a_form_lacks_are_said() {
    let found = about(&form(CHALLENGE, &["EMAIL"]));
    let expected = "enter-email-form.must:2: this form has no field with name=\"CONTACT_EMAIL\", \
        so nobody can enter that";
    assert_eq!(found, expected);
    // The form for another type of address is not used.
    let phone = [("enter-phone-form.must", "<p>")];
    assert_eq!(self::found(&phone, &service("email")), [""; 0]);
    // The type has it, even if it may be left out.
    let postal = form(CHALLENGE, &["CONTACT_NAME", "ADDRESS_LINES"]);
    let lacking = "enter-postal-form.must:2: this form has no field with \
        name=\"ADDRESS_COUNTRY\", so nobody can enter that";
    assert_eq!(self::found(&[("enter-postal-form.must", &postal)], &service("postal")), [lacking]);
    // A field beside the form is not sent with it.
    let beside = format!("<input name=CONTACT_EMAIL>{}", form(CHALLENGE, &[]));
    assert_eq!(about(&beside), expected);
    let any = form(CHALLENGE, &["{{name}}"])
        .replace("<h1>", "{{#fields}}")
        .replace("</form>", "</form>{{/fields}}");
    assert_eq!(self::found(&[("enter-email-form.must", &any)], &service("email")), [""; 0]);
    let found = self::found(
        &[("invalid-pin.must", &form("../solve/{{nonce}}", &["code"]))],
        &service("email"),
    );
    let expected = "invalid-pin.must:2: this form has no field with name=\"pin\", so nobody";
    assert!(found.len() == 1 && found.concat().starts_with(expected), "{found:?}");
    // What the operator demands beside the fields of the type.
    let mut demanding = service("postal");
    demanding.restrictions = Restrictions::parse(
        r#"{"VAT": {"regex": ".", "hint": ""}, "COMPANY": {"regex": ".", "hint": ""}}"#,
    )
    .expect("good");
    let found = self::found(&[], &demanding);
    let expected = "this form has no field with name=\"COMPANY\", name=\"VAT\", so nobody";
    assert!(found.len() == 1 && found.concat().contains(expected), "{found:?}");
}

#[test]
fn what_templates_of_before_could_name_is_refused_with_advice() {
    for (text, expected) in [
        ("{{>masked}}", "1: {{>masked}} no longer exists: write {{>shown}}"),
        ("\n{{>code.title}}", "2: {{>code.title}} no longer exists: write {{>code-title}}"),
        ("{{>nothing}}", "1: {{>nothing}}: there is no file nothing.part.must"),
        ("{{>code.nothing}}", "1: {{>code.nothing}}: en.lang has no nothing in [code]"),
    ] {
        let all = found(&[("already-done.must", text)], &service("email"));
        assert_eq!(all, [format!("already-done.must:{expected}")]);
    }
}

#[test]
fn handlebars_are_refused() {
    let text = "{{#wait}}\na\n{{else}}\nb{{/wait}}";
    for file in ["already-done.must", "message.must", "foot.part.must"] {
        let all = found(&[(file, text)], &service("email"));
        let expected =
            format!("{file}:3: {{{{else}}}} is not Mustache: expected {{{{/wait}}}}{{{{^wait}}}}");
        assert!(all.first().is_some_and(|it| it.starts_with(&expected)), "{all:?}");
    }
}
