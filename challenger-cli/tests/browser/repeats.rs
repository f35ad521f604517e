//! Back, reload, and whatever is done twice: nothing is lost, and nothing happens twice.

use std::fs;

use challenger_testkit::{at_once, wait_for, wrong};
use serde_json::{Value, json};

use crate::driver::{Browser, Setup};
use crate::person::{
    ADDRESS_FORM, CODE_FORM, arrive, enter_address, enter_code, field, send, unfolded,
};
use crate::service::{EMAIL, Service};
use crate::shop::{HERE, Shop};

const HTML: [(&str, &str); 1] = [("Accept", "text/html")];

/// Says that it began, and sends nothing before it may.
const PATIENT_HELPER: &str = r#"#!/bin/sh
set -eu
here=$(dirname "$0")
name=$(mktemp "$here/outbox/XXXXXX")
cat > "$name.message"
touch "$here/begun"
while [ -e "$here/begun" ] && [ ! -e "$here/go" ]; do sleep 0.05; done
touch "$name.language"
printf '%s' "$1" > "$name.address"
"#;

#[test]
fn a_double_click_counts_once() {
    let shop = Shop::open();
    let service = Service::start(EMAIL, &shop, "");
    let browser = Browser::start();
    let link = service.link(Value::Null, HERE);
    let send_twice = |form: &str| {
        let button = browser.find(&format!("{form} button"));
        browser.follow(|| browser.click_twice(&button));
    };
    browser.open(&link);
    field(&browser, "CONTACT_EMAIL").type_text("ada@example.com");
    send_twice(ADDRESS_FORM);
    // The second answer may come while the helper is still at work for the first.
    wait_for("the message", || service.outbox().pop());
    assert_eq!(service.outbox().len(), 1);
    assert_eq!(service.status(&link)["changes_left"], 2);
    let code = service.latest_code();
    field(&browser, "pin").type_text(&wrong(&code));
    send_twice(CODE_FORM);
    assert_eq!(service.status(&link)["auth_attempts_left"], 2);
    field(&browser, "pin").clear();
    field(&browser, "pin").type_text(&code);
    send_twice(CODE_FORM);
    assert!(browser.url().starts_with(&shop.redirect_uri), "{}", browser.text());
    let arrivals = shop.arrivals();
    assert!(arrivals.iter().all(|arrival| *arrival == arrivals[0]), "one code: {arrivals:?}");
    assert_eq!(service.redeem(&arrivals[0].code), json!({"CONTACT_EMAIL": "ada@example.com"}));
}

#[test]
fn a_second_click_while_the_message_is_sent_sends_no_other() {
    let shop = Shop::open();
    let service = Service::start(EMAIL, &shop, "");
    service.site.set_helper(PATIENT_HELPER);
    let browser = Browser::start_as(Setup { hasty: true, ..Setup::default() });
    let link = service.link(Value::Null, HERE);
    browser.follow(|| browser.open(&link));
    field(&browser, "CONTACT_EMAIL").type_text("ada@example.com");
    let button = browser.find(&format!("{ADDRESS_FORM} button")).middle();
    let here = service.site.directory.path();
    browser.follow(|| {
        browser.chromium().click_at(&button);
        wait_for("the helper to begin", || here.join("begun").exists().then_some(()));
        browser.chromium().click_at(&button);
    });
    fs::write(here.join("go"), "").unwrap();
    let answered = || service.site.log().matches("method=POST route=/challenge/").count();
    wait_for("both answers", || (answered() == 2).then_some(()));
    assert_eq!(service.site.messages().len(), 1, "the helper ran once");
    assert_eq!(service.status(&link)["changes_left"], 2);
    field(&browser, "pin").type_text(&service.latest_code());
    let button = browser.find(&format!("{CODE_FORM} button"));
    browser.follow(|| button.click());
    assert_eq!(shop.arrivals().len(), 1, "{}", browser.text());
}

#[test]
fn forms_that_arrive_at_once_count_once() {
    let shop = Shop::open();
    let service = Service::start(EMAIL, &shop, "");
    let link = service.link(Value::Null, HERE);
    let (_, path) = link.split_once("authorize/").unwrap();
    let nonce = path.split('?').next().unwrap();
    let twice = |step: &str, body: &str| {
        at_once(2, || service.site.post(&format!("{step}/{nonce}"), &HTML, body))
    };
    let pages = twice("challenge", "CONTACT_EMAIL=ada%40example.com");
    assert!(pages.iter().all(|page| page.status == 200), "{pages:?}");
    assert_eq!(service.outbox().len(), 1);
    assert_eq!(service.status(&link)["changes_left"], 2);
    let ends = twice("solve", &format!("pin={}", service.latest_code()));
    assert!(ends.iter().all(|end| end.status == 302), "{ends:?}");
    assert_eq!(ends[0].header("Location"), ends[1].header("Location"));
}

#[test]
fn reloading_changes_nothing() {
    let (shop, service, browser, link) = arrive("");
    browser.follow(|| browser.reload());
    enter_address(&browser, EMAIL.good);
    for _ in 0..2 {
        browser.follow(|| browser.reload());
        field(&browser, "pin");
    }
    let sent = service.site.log().matches("method=POST route=/challenge/").count();
    assert_eq!(sent, 3, "the browser sends the form again");
    assert_eq!(service.outbox().len(), 1);
    assert_eq!(service.status(&link)["changes_left"], 2);
    enter_code(&browser, &service.latest_code());
    assert_eq!(shop.arrivals().len(), 1, "{}", browser.text());
}

#[test]
fn going_back_keeps_what_was_entered() {
    let (shop, service, browser, link) = arrive("");
    enter_address(&browser, EMAIL.good);
    browser.back();
    assert_eq!(field(&browser, "CONTACT_EMAIL").property("value"), "ada@example.com");
    send(&browser, ADDRESS_FORM);
    assert_eq!(service.outbox().len(), 1, "the same address gets no second message so soon");
    assert_eq!(service.status(&link)["changes_left"], 2);
    enter_code(&browser, &service.latest_code());
    let arrival = shop.arrivals().pop().unwrap();

    // And after the end: a person who goes all the way back ends up where they were.
    browser.open(&link);
    assert!(browser.url().starts_with(&shop.redirect_uri), "{}", browser.text());
    assert_eq!(shop.arrivals(), [arrival.clone(), arrival], "the same code");
}

#[test]
fn a_wrong_address_can_be_corrected() {
    let shop = Shop::open();
    let service = Service::start(EMAIL, &shop, "");
    let browser = Browser::start();
    browser.open(&service.link(Value::Null, HERE));
    enter_address(&browser, &[("CONTACT_EMAIL", "eve@example.com")]);
    let old = service.latest_code();
    let correct = unfolded(&browser, "a[href*='authorize/']");
    browser.follow(|| correct.click());
    assert_eq!(field(&browser, "CONTACT_EMAIL").property("value"), "eve@example.com");
    field(&browser, "CONTACT_EMAIL").clear();
    enter_address(&browser, EMAIL.good);
    assert!(service.outbox()[1].address.contains("ada@example.com"));
    enter_code(&browser, &old);
    assert!(shop.arrivals().is_empty(), "the code of another address");
    enter_code(&browser, &service.latest_code());
    let arrival = shop.arrivals().pop().unwrap();
    assert_eq!(service.redeem(&arrival.code), json!({"CONTACT_EMAIL": "ada@example.com"}));
}

#[test]
fn a_message_that_did_not_arrive_is_sent_again() {
    let (shop, service, browser, link) = arrive("RETRANSMISSION_INTERVAL = 0 s");
    enter_address(&browser, EMAIL.good);
    send(&browser, ADDRESS_FORM);
    let outbox = service.outbox();
    assert_eq!(outbox.len(), 2);
    // The time that is left is less by then.
    let [first, second] =
        [0, 1].map(|it| outbox[it].text.split_once("It is valid for ").unwrap().0);
    assert_eq!(first, second, "the same message with the same code");
    assert_eq!(service.status(&link)["changes_left"], 2);
    enter_code(&browser, &service.latest_code());
    assert_eq!(shop.arrivals().len(), 1, "{}", browser.text());
}
