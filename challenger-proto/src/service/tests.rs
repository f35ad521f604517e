//! Tests of `service`: which addresses are accepted.

use alloc::string::ToString;
use alloc::vec;

use serde_json::json;

use super::*;

fn service(address_type: &str, restrictions: &str) -> Service {
    let mut service = Service::new(AddressType::new(address_type).unwrap());
    service.restrictions = Restrictions::parse(restrictions).unwrap();
    service
}

/// What is wrong with a form, each as the name of the field and whether it is missing.
fn wrong(service: &Service, fields: &[(&str, &str)]) -> Vec<(String, bool)> {
    let Err(wrong) = service.address(fields.iter().copied()) else { return vec![] };
    let flaw = |it: &Refused| {
        assert!(matches!(it.refusal, Refusal::ParameterMissing | Refusal::ParameterMalformed));
        (it.detail.clone().unwrap(), it.refusal == Refusal::ParameterMissing)
    };
    wrong.each().map(flaw).collect()
}

const POSTAL: &str = r#"{
    "ADDRESS_COUNTRY": {"regex": "^(CH|LI|GB)$", "hint": ""},
    "ADDRESS_LINES": {"regex": "^.+\n.+$", "hint": ""},
    "CONTACT_NAME": {"regex": ".", "hint": ""},
    "NOTE": {"regex": "^(yes|)$", "hint": ""}
}"#;

#[test]
fn all_wrong_fields_are_named_in_the_order_of_the_form() {
    let service = service("postal", POSTAL);
    let lines = "Strasse 1\n8001 Zürich";
    let good = [
        ("CONTACT_NAME", "Ada"),
        ("ADDRESS_LINES", lines),
        ("ADDRESS_COUNTRY", "uk"),
        ("NOTE", ""),
    ];
    assert_eq!(wrong(&service, &good), []);
    let [name, lines, country, note] =
        ["CONTACT_NAME", "ADDRESS_LINES", "ADDRESS_COUNTRY", "NOTE"].map(ToString::to_string);
    let all = [
        (name.clone(), true),
        (lines.clone(), true),
        (country.clone(), true),
        (note.clone(), true),
    ];
    assert_eq!(wrong(&service, &[]), all);
    assert_eq!(
        wrong(
            &service,
            &[
                ("CONTACT_NAME", " \u{200b}\t"),
                ("ADDRESS_LINES", "one line"),
                ("ADDRESS_COUNTRY", "FR"),
                ("NOTE", "no"),
            ]
        ),
        [(name, true), (lines, false), (country, false), (note, false)]
    );
    // A field that nobody declared is not on the form, so there is nothing to mark there.
    assert_eq!(wrong(&service, &[("COLOUR", "red")]), [("COLOUR".to_string(), false)]);
}

#[test]
fn without_restrictions_an_address_has_some_field_and_none_that_is_impossible() {
    let service = service("postal", "{}");
    assert_eq!(wrong(&service, &[("CONTACT_NAME", "Ada")]), []);
    assert_eq!(wrong(&service, &[]), [("CONTACT_NAME".to_string(), true)]);
    for country in ["ZZ", "Schweiz"] {
        let address = [("CONTACT_NAME", "Ada"), ("ADDRESS_COUNTRY", country)];
        assert_eq!(wrong(&service, &address), [("ADDRESS_COUNTRY".to_string(), false)]);
    }
    let long = "x".repeat(FIELD_VALUE_MAX + 1);
    assert_eq!(
        wrong(&service, &[("ADDRESS_LINES", &long)]),
        [("ADDRESS_LINES".to_string(), false)]
    );
    assert_eq!(
        wrong(&service, &[("CONTACT_NAME", "A\u{7}")]),
        [("CONTACT_NAME".to_string(), false)]
    );
}

#[test]
fn line_breaks_are_for_fields_of_several_lines() {
    for (address_type, field, value) in [
        ("email", "CONTACT_EMAIL", "ada@example.com\r\nBcc: bob"),
        ("email", "COLOUR", "red\nblue"),
        ("phone", "COLOUR", "red\nblue"),
    ] {
        let restrictions = r#"{"COLOUR": {"regex": "", "hint": ""}}"#;
        let service = service(address_type, restrictions);
        let other = if field == "COLOUR" { "OTHER" } else { "COLOUR" };
        let mut fields = vec![(field, value), (other, "")];
        fields.retain(|(name, _)| service.has_field(name));
        let found = wrong(&service, &fields);
        assert_eq!(found, [(field.to_string(), false)]);
    }
    let own = service("own", r#"{"COLOUR": {"regex": "", "hint": ""}}"#);
    assert_eq!(wrong(&own, &[("COLOUR", "red\r\nblue")]), []);
}

#[test]
fn countries_are_those_that_the_restriction_allows() {
    assert!(service("postal", POSTAL).countries().eq(["CH", "GB", "LI"]));
    assert_eq!(service("postal", "{}").countries().count(), country::CODES.len());
    assert_eq!(service("postal-ch", "{}").countries().count(), 0);
}

#[test]
fn a_fixed_proposal_is_judged_at_once_and_another_later() {
    let restrictions = r#"{"CONTACT_PHONE": {"regex": "^[+]41", "hint": ""}}"#;
    let phone = service("phone", restrictions);
    let propose = |value: &str, read_only| {
        let proposal = json!({ "CONTACT_PHONE": value });
        phone.address_from_client(proposal.as_object().unwrap(), read_only)
    };
    for read_only in [false, true] {
        let address = propose("0041 (0)79 123 45 67", read_only).unwrap().unwrap();
        assert_eq!(address.get("CONTACT_PHONE"), Some("+41791234567"));
    }
    let malformed = Refusal::ParameterMalformed.about("CONTACT_PHONE");
    assert_eq!(propose("call me", true), Err(malformed));
    assert_eq!(propose("call me", false).unwrap().unwrap().get("CONTACT_PHONE"), Some("call me"));
    // The person could not add a field that the client left out.
    let postal = service("postal", POSTAL);
    let proposal = json!({"CONTACT_NAME": "Ada", "ADDRESS_COUNTRY": "CH", "NOTE": ""});
    let fixed = postal.address_from_client(proposal.as_object().unwrap(), true);
    assert_eq!(fixed, Err(Refusal::ParameterMalformed.about("ADDRESS_LINES")));
    assert!(postal.address_from_client(proposal.as_object().unwrap(), false).unwrap().is_some());
}

#[test]
fn an_address_of_other_times_is_judged_by_the_restrictions_of_today() {
    let mut phone = service("phone", "{}");
    let address = phone.address([("CONTACT_PHONE", "+4912345678")]).unwrap();
    assert!(phone.check(&address).is_ok());
    phone.restrictions =
        Restrictions::parse(r#"{"CONTACT_PHONE": {"regex": "^[+]41", "hint": ""}}"#).unwrap();
    let wrong = phone.check(&address).unwrap_err();
    assert_eq!(*wrong.first(), Refusal::ParameterMalformed.about("CONTACT_PHONE"));
}
