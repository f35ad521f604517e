//! Every page about a validation leads back to its client, for people who want to stop.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use challenger_proto::FailureKind;
use challenger_proto::http::{Body, Page, PageName, Request, Response};
use challenger_proto::store::MessageBudget;
use challenger_proto::testing::{Challenger, Delivery, TestClient};
use challenger_proto::{Failure, Span};

const SHOP: &str = "https://shop.example:8443/cb?shop=1";
const APP: &str = "com.example.app:/cb";

/// A service with pages, and a client.
fn service(redirect_uri: &str) -> (Challenger, TestClient) {
    let mut it = Challenger::new("email");
    it.service.issuer = None;
    for name in PageName::ALL {
        it.service.pages.insert(name, "en");
    }
    let client = it.register(redirect_uri);
    (it, client)
}

fn get(it: &mut Challenger, target: &str) -> Response {
    it.ask(&Request::get(target).with("Accept", "text/html"))
}

fn post(it: &mut Challenger, step: &str, nonce: &str, form: &str) -> Response {
    it.ask(&Request::post(&format!("/{step}/{nonce}"), form).with("Accept", "text/html"))
}

/// The client's authorization request, with more parameters.
fn authorize(it: &mut Challenger, nonce: &str, more: &str) -> Response {
    get(it, &format!("/authorize/{nonce}?response_type=code&client_id=1{more}"))
}

fn link<'a>(response: &'a Response, name: &str) -> (PageName, Option<&'a str>) {
    let Body::Page(Page { name: page, data, .. }) = &response.body else { panic!("{response:?}") };
    (*page, data.get(name).map(|link| link.as_str().unwrap()))
}

fn cancel(response: &Response) -> (PageName, Option<&str>) {
    link(response, "cancel_url")
}

#[test]
fn every_page_until_the_proof_leads_back_with_the_same_error() {
    let (mut it, client) = service(SHOP);
    it.service.issuer = Some("https://challenger.example".to_owned());
    it.service.budgets.address = Some(MessageBudget { messages: 2, period: Span::minutes(60) });
    it.service.limits.retransmission_interval = Span::seconds(0);
    let nonce = it.setup(&client);
    let back = "https://shop.example:8443/cb?shop=1&error=access_denied&state=a%20%26b%22%0A\
                &iss=https%3A%2F%2Fchallenger.example";
    let ada = "CONTACT_EMAIL=ada%40example.com";
    let first = authorize(&mut it, &nonce, "&state=a+%26b%22%0A");
    assert_eq!(cancel(&first), (PageName::EnterAddressForm, Some(back)));
    let page = post(&mut it, "solve", &nonce, "pin=12345678");
    assert_eq!(cancel(&page), (PageName::InvalidPin, Some(back)));
    let page = post(&mut it, "challenge", &nonce, "CONTACT_EMAIL=");
    assert_eq!(cancel(&page), (PageName::EnterAddressForm, Some(back)));
    let reason = Failure::new(FailureKind::TryLater, "");
    it.delivery = Delivery::Fails(reason);
    let page = post(&mut it, "challenge", &nonce, ada);
    assert_eq!(cancel(&page), (PageName::InternalError, Some(back)));
    it.delivery = Delivery::Succeeds;
    for _ in 0..2 {
        let page = post(&mut it, "challenge", &nonce, ada);
        assert_eq!(cancel(&page), (PageName::EnterTanForm, Some(back)));
    }
    let page = post(&mut it, "challenge", &nonce, ada);
    assert_eq!(cancel(&page), (PageName::OverBudget, Some(back)));
    let page = post(&mut it, "solve", &nonce, "");
    assert_eq!(cancel(&page), (PageName::InvalidPin, Some(back)));

    // The last request counts.
    let page = authorize(&mut it, &nonce, "");
    let back = back.replace("&state=a%20%26b%22%0A", "");
    assert_eq!(cancel(&page), (PageName::EnterAddressForm, Some(&*back)));
}

#[test]
fn a_proved_address_cannot_be_given_up() {
    let (mut it, client) = service(SHOP);
    let nonce = it.setup(&client);
    let ada = "CONTACT_EMAIL=ada%40example.com";
    authorize(&mut it, &nonce, "");
    post(&mut it, "challenge", &nonce, ada);
    let pin = format!("pin={}", it.pin().unwrap());
    let solved = post(&mut it, "solve", &nonce, &pin);
    let (_, code) = solved.header("Location").unwrap().split_once("code=").unwrap();
    let page = post(&mut it, "solve", &nonce, "pin=1");
    assert_eq!(cancel(&page), (PageName::InvalidRequest, None));
    assert_eq!(it.ask(&client.token(code)).status.0, 200);
    let done = authorize(&mut it, &nonce, "");
    assert_eq!(cancel(&done), (PageName::AlreadyDone, None));
    let home = link(&done, "home_url");
    assert_eq!(home, (PageName::AlreadyDone, Some("https://shop.example:8443/")));
}

#[test]
fn without_a_request_the_way_back_is_the_clients_site() {
    for (uri, site, asked) in [
        (SHOP, Some("https://shop.example:8443/"), format!("{SHOP}&error=access_denied")),
        (APP, None, format!("{APP}?error=access_denied")),
    ] {
        let (mut it, client) = service(uri);
        let nonce = it.setup(&client);
        let page = post(&mut it, "challenge", &nonce, "CONTACT_EMAIL=ada%40example.com");
        assert_eq!(cancel(&page), (PageName::EnterTanForm, site), "{uri}");
        let page = authorize(&mut it, &nonce, "");
        assert_eq!(cancel(&page), (PageName::EnterAddressForm, Some(&*asked)), "{uri}");
    }
}

#[test]
fn an_app_has_no_first_page() {
    let (mut it, client) = service(APP);
    let nonce = it.setup(&client);
    post(&mut it, "challenge", &nonce, "CONTACT_EMAIL=ada%40example.com");
    let pin = format!("pin={}", it.pin().unwrap());
    let solved = post(&mut it, "solve", &nonce, &pin);
    let (_, code) = solved.header("Location").unwrap().split_once("code=").unwrap();
    assert_eq!(it.ask(&client.token(code)).status.0, 200);
    let done = authorize(&mut it, &nonce, "");
    assert_eq!(link(&done, "home_url"), (PageName::AlreadyDone, None));
}

#[test]
fn the_form_for_the_address_is_a_short_link_whatever_was_asked() {
    let (mut it, client) = service(SHOP);
    let nonce = it.setup(&client);
    let state = "!".repeat(8000);
    let page = authorize(&mut it, &nonce, &format!("&state={state}"));
    let form = format!("../authorize/{nonce}");
    assert_eq!(link(&page, "change_url").1, Some(&*form));
    let (_, found) = cancel(&page).1.unwrap().split_once("&state=").unwrap();
    assert!(found == state.replace('!', "%21"), "{} bytes", found.len());
}
