//! A page offers only what can be done, and shows an address in full only in answer to a form.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use challenger_proto::http::{Body, Page, PageName, Request, Response};
use challenger_proto::testing::{Challenger, TestClient};
use challenger_proto::{Refusal, Span};
use serde_json::{Value, json};

const ADA: &str = "CONTACT_EMAIL=ada%40example.com";
const BOB: &str = "CONTACT_EMAIL=bob%40example.com";

/// A service with pages that lets people enter one address only, and a client.
fn service() -> (Challenger, TestClient) {
    let mut it = Challenger::new("email");
    for name in PageName::ALL {
        it.service.pages.insert(name, "en");
    }
    it.service.limits.address_changes = 1;
    it.service.limits.retransmission_interval = Span::seconds(60);
    let client = it.register("https://shop.example/cb");
    (it, client)
}

fn link(it: &mut Challenger, nonce: &str) -> Response {
    it.ask(&Request::get(&format!("/authorize/{nonce}")).with("Accept", "text/html"))
}

fn post(it: &mut Challenger, step: &str, nonce: &str, form: &str) -> Response {
    it.ask(&Request::post(&format!("/{step}/{nonce}"), form).with("Accept", "text/html"))
}

#[track_caller]
fn page(response: &Response) -> &Page {
    let Body::Page(page) = &response.body else { panic!("{response:?}") };
    page
}

#[track_caller]
fn get<'a>(response: &'a Response, name: &str) -> Option<&'a Value> {
    page(response).data.get(name)
}

/// The address, as the page shows it.
#[track_caller]
fn shown<'a>(response: &'a Response, variable: &str) -> &'a str {
    let field = get(response, variable).and_then(|it| it.get(0)).unwrap();
    field.get("shown").and_then(Value::as_str).unwrap()
}

#[test]
fn an_address_is_in_full_only_in_answer_to_a_form() {
    let (full, masked) = ("ada@example.com", "a•••@example.com");
    // With a form for another address, and without.
    for (changes, name) in [(3, PageName::EnterAddressForm), (1, PageName::EnterTanForm)] {
        let (mut it, client) = service();
        it.service.limits.address_changes = changes;
        let nonce = it.setup(&client);
        for (step, form) in [("challenge", ADA), ("challenge", ADA), ("solve", "pin=00000000")] {
            let response = post(&mut it, step, &nonce, form);
            assert_eq!(shown(&response, "fields"), full, "{step}");
            assert_eq!(get(&response, "fields").unwrap()[0]["masked"], masked);
        }
        let response = link(&mut it, &nonce);
        assert_eq!(page(&response).name, name);
        assert_eq!(shown(&response, "fields"), masked);
    }
}

#[test]
fn an_address_that_cannot_be_changed_any_more_is_not_offered_for_change() {
    let (mut it, client) = service();
    it.service.limits.address_changes = 3;
    let nonce = it.setup(&client);
    let form = json!(format!("../authorize/{nonce}"));
    assert_eq!(get(&link(&mut it, &nonce), "change_url"), Some(&form));
    for (address, left) in [("a", json!({"two": true})), ("b", json!({"one": true}))] {
        let address = format!("CONTACT_EMAIL={address}%40example.com");
        let response = post(&mut it, "challenge", &nonce, &address);
        assert_eq!(get(&response, "change_url"), Some(&form));
        assert_eq!(get(&response, "changes"), Some(&left));
    }
    let last = post(&mut it, "challenge", &nonce, ADA);
    assert_eq!((get(&last, "change_url"), get(&last, "changes")), (None, None));
    // The first address can be taken back, until no other is left.
    let response = post(&mut it, "challenge", &nonce, BOB);
    assert_eq!(response.refusal, Some(Refusal::TooManyAttempts));
    assert_eq!(get(&response, "change_url"), None);
    assert_eq!(get(&response, "can_retry"), Some(&json!(true)), "the code can still be entered");
}

#[test]
fn a_link_leads_to_the_code_once_no_other_address_can_be_entered() {
    let (mut it, client) = service();
    let nonce = it.setup(&client);
    assert_eq!(page(&link(&mut it, &nonce)).name, PageName::EnterAddressForm);
    post(&mut it, "challenge", &nonce, ADA);
    let response = link(&mut it, &nonce);
    assert_eq!((response.status.0, page(&response).name), (200, PageName::EnterTanForm));
    assert_eq!(get(&response, "transmitted"), Some(&json!(false)), "nothing was sent now");
    // The tries are used up, and the message can be asked for again.
    for (left, tries) in [(2, "two"), (1, "one")] {
        let response = post(&mut it, "solve", &nonce, "pin=00000000");
        assert_eq!(get(&response, "auth_attempts_left"), Some(&json!(left)));
        assert_eq!(get(&response, "tries"), Some(&json!({ (tries): true })));
    }
    post(&mut it, "solve", &nonce, "pin=00000000");
    let response = link(&mut it, &nonce);
    assert_eq!((response.status.0, page(&response).name), (403, PageName::InvalidPin));
    assert_eq!(get(&response, "exhausted"), Some(&json!(true)));
    assert_eq!(get(&response, "can_ask_again"), Some(&json!(true)));
    assert_eq!(get(&response, "tries"), None);
}

#[test]
fn a_link_to_what_is_used_up_says_so() {
    let (mut it, client) = service();
    let nonce = it.setup(&client);
    let messages = it.service.limits.pin_transmissions.get();
    let guesses = it.service.limits.pin_attempts.get();
    for _ in 0..messages {
        post(&mut it, "challenge", &nonce, ADA);
        for _ in 0..guesses {
            post(&mut it, "solve", &nonce, "pin=00000000");
        }
        it.pass(Span::seconds(60));
    }
    for _ in 0..2 {
        let response = link(&mut it, &nonce);
        assert_eq!((response.status.0, page(&response).name), (429, PageName::InvalidRequest));
        assert_eq!(response.refusal, Some(Refusal::TooManyAttempts));
        for offer in ["can_ask_again", "can_retry"] {
            assert_eq!(get(&response, offer), Some(&json!(false)), "{offer}");
        }
        assert_eq!(get(&response, "change_url"), None);
    }
    // Programs read the numbers, as ever.
    let response = it.ask(&Request::get(&format!("/authorize/{nonce}")));
    assert_eq!(response.status.0, 200);
    for left in ["changes_left", "pin_transmissions_left", "auth_attempts_left"] {
        assert_eq!(response.member(left), Some(&json!(0)), "{left}");
    }
}

#[test]
fn a_proved_address_is_not_offered_for_change() {
    let (mut it, client) = service();
    it.service.limits.address_changes = 3;
    let nonce = it.setup(&client);
    post(&mut it, "challenge", &nonce, ADA);
    let pin = format!("pin={}", it.pin().unwrap());
    post(&mut it, "solve", &nonce, &pin);
    let response = post(&mut it, "solve", &nonce, "pin=1");
    assert_eq!(response.refusal, Some(Refusal::ParameterMalformed));
    assert_eq!(get(&response, "change_url"), None);
    assert_eq!(get(&response, "home_url"), Some(&json!("https://shop.example/")));
}

#[test]
fn the_name_of_the_service_is_on_every_page_if_there_is_one() {
    let (mut it, client) = service();
    let nonce = it.setup(&client);
    assert_eq!(get(&link(&mut it, &nonce), "service"), None);
    it.service.name = "Example ID".to_owned();
    let name = json!("Example ID");
    let answers = [
        link(&mut it, &nonce),
        post(&mut it, "challenge", &nonce, ADA),
        post(&mut it, "solve", &nonce, "pin=00000000"),
        link(&mut it, "unknown"),
    ];
    for response in answers {
        assert_eq!(get(&response, "service"), Some(&name), "{response:?}");
    }
}
