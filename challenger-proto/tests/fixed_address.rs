//! A fixed address that the operator stops accepting: the person can neither correct nor confirm
//! it, so every page leads back to the client.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use challenger_proto::address::{AddressType, Restrictions};
use challenger_proto::http::{Body, Page, PageName, Request, Response, Status};
use challenger_proto::testing::Challenger;
use challenger_proto::{AddressFormat, Refusal};

const QUERY: &str = "response_type=code&client_id=1&state=a%26b";
/// Where pages lead back to.
const BACK: &str = "https://client.example/cb?error=invalid_request&state=a%26b\
                    &iss=https%3A%2F%2Fchallenger.example";

/// A service with pages, and a validation whose address is fixed to a number.
fn fixed(number: &str) -> (Challenger, String) {
    let mut challenger = Challenger::new("phone");
    for name in [PageName::EnterAddressForm, PageName::EnterTanForm, PageName::InvalidRequest] {
        challenger.service.pages.insert(name, "en");
    }
    let client = challenger.register("https://client.example/cb");
    let proposal = format!(r#"{{"CONTACT_PHONE": "{number}", "read_only": true}}"#);
    let response = challenger.ask(&client.setup(&proposal));
    let nonce = response.member("nonce").and_then(|nonce| nonce.as_str()).unwrap().to_owned();
    (challenger, nonce)
}

fn allow_only_swiss_numbers(challenger: &mut Challenger) {
    let json = r#"{"CONTACT_PHONE": {"regex": "^[+]41", "hint": ""}}"#;
    challenger.service.restrictions = Restrictions::parse(json).unwrap();
}

fn visit(challenger: &mut Challenger, nonce: &str) -> Response {
    let request = Request::get(&format!("/authorize/{nonce}?{QUERY}"));
    challenger.ask(&request.with("Accept", "text/html"))
}

fn send(challenger: &mut Challenger, nonce: &str, number: &str) -> Response {
    let request = Request::post(&format!("/challenge/{nonce}"), format!("CONTACT_PHONE={number}"));
    challenger.ask(&request.with("Accept", "text/html"))
}

/// The page, and where it leads if only the client can help.
fn page(response: &Response) -> (PageName, Option<&str>) {
    let Body::Page(Page { name, data, .. }) = &response.body else { panic!("{response:?}") };
    (*name, data.get("stuck").and_then(|stuck| stuck["url"].as_str()))
}

#[test]
fn an_address_that_is_not_accepted_any_more_leads_back_to_the_client() {
    let (mut challenger, nonce) = fixed("+49 151 12345678");
    let response = visit(&mut challenger, &nonce);
    assert_eq!(page(&response), (PageName::EnterAddressForm, None));
    // The next visit is the first with its state.
    let (mut challenger, nonce) = fixed("+49 151 12345678");
    allow_only_swiss_numbers(&mut challenger);
    let responses = [
        visit(&mut challenger, &nonce),
        send(&mut challenger, &nonce, "%2B4915112345678"),
        send(&mut challenger, &nonce, "call+me"),
    ];
    for response in responses {
        assert_eq!(response.status, Status(400));
        assert_eq!(response.refusal, Some(Refusal::ParameterMalformed));
        assert_eq!(page(&response), (PageName::InvalidRequest, Some(BACK)));
    }
    assert!(challenger.inbox().is_empty());
}

#[test]
fn another_address_than_the_fixed_one_is_not_offered_for_correction() {
    let (mut challenger, nonce) = fixed("+41 79 123 45 67");
    allow_only_swiss_numbers(&mut challenger);
    for number in ["call+me", "%2B4915112345678", "%2B41791234568"] {
        let response = send(&mut challenger, &nonce, number);
        assert_eq!(response.refusal, Some(Refusal::AddressReadOnly), "{number}");
        assert_eq!(page(&response), (PageName::InvalidRequest, None), "{number}");
    }
    let response = send(&mut challenger, &nonce, "0041+(0)79+123+45+67");
    assert_eq!(page(&response), (PageName::EnterTanForm, None));
    assert_eq!(challenger.inbox().len(), 1);
}

#[test]
fn an_address_that_the_helper_cannot_get_is_not_fixed_and_leads_back_to_the_client() {
    let (mut challenger, nonce) = fixed("-x");
    challenger.service.address_format = AddressFormat::Plain;
    let client = challenger.register("https://other.example/cb");
    let response = challenger.ask(&client.setup(r#"{"CONTACT_PHONE": "-x", "read_only": true}"#));
    assert_eq!(response.refusal, Some(Refusal::ParameterMalformed));
    let responses = [visit(&mut challenger, &nonce), send(&mut challenger, &nonce, "-x")];
    for response in responses {
        assert_eq!(page(&response), (PageName::InvalidRequest, Some(BACK)));
    }
}

#[test]
fn an_address_of_another_type_leads_back_to_the_client() {
    let (mut challenger, nonce) = fixed("+41 79 123 45 67");
    challenger.service.address_type = AddressType::new("email").unwrap();
    let responses =
        [visit(&mut challenger, &nonce), send(&mut challenger, &nonce, "%2B41791234567")];
    for response in responses {
        assert_eq!(response.refusal, Some(Refusal::ParameterMalformed));
        assert_eq!(page(&response), (PageName::InvalidRequest, Some(BACK)));
    }
}

#[test]
fn a_fixed_address_that_is_proved_is_not_over_for_its_client() {
    let (mut challenger, nonce) = fixed("+41 79 123 45 67");
    send(&mut challenger, &nonce, "%2B41791234567");
    let pin = challenger.pin().unwrap().to_owned();
    challenger.ask(&Request::post(&format!("/solve/{nonce}"), format!("pin={pin}")));
    let status = Request::get(&format!("/status/{nonce}"));
    let status = status.with("Authorization", "Bearer secret-token:client-1");
    let response = challenger.ask(&status);
    assert_eq!(response.member("state").and_then(|it| it.as_str()), Some("proved"));
}
