//! People who want to stop: one link on every page leads back to the shop.

use challenger_testkit::{code_of, wait_for, wrong};
use serde_json::Value;

use crate::driver::{Browser, ENTER};
use crate::keyboard::go_to;
use crate::network;
use crate::person::{arrive, enter_address, enter_code, field};
use crate::service::{EMAIL, Service};
use crate::shop::{Failure, HERE, Shop};
use crate::states::Stage;

/// The link.
const CANCEL: &str = ".cancel a";

/// Goes back by the link, and sees that the shop is told that it was this person's will.
fn cancel(browser: &Browser, shop: &Shop) {
    let before = shop.failures().len();
    let link = browser.find(CANCEL);
    assert_eq!(
        (link.role(), link.label()),
        ("link".into(), "Cancel and go back to localhost".into())
    );
    browser.follow(|| link.click());
    told(browser, shop, before);
}

/// The shop has heard of one more person who stopped.
fn told(browser: &Browser, shop: &Shop, before: usize) {
    let stopped = Failure { error: "access_denied".to_owned(), state: HERE.to_owned() };
    assert_eq!(shop.failures()[before..], [stopped], "{}", browser.text());
    assert!(browser.url().starts_with(&shop.redirect_uri), "{}", browser.url());
}

#[test]
fn a_person_stops_on_any_page_and_may_still_change_her_mind() {
    let (shop, service, browser, link) = arrive("");
    // Nothing is lost by it: every page is there again, one step back.
    let stop = || {
        let status = service.status(&link);
        cancel(&browser, &shop);
        assert_eq!(service.status(&link), status);
        browser.back();
    };
    stop();
    enter_address(&browser, EMAIL.good);
    stop();
    let code = service.latest_code();
    enter_code(&browser, &wrong(&code));
    stop();
    field(&browser, "pin").clear();
    enter_code(&browser, &code);
    assert_eq!(shop.arrivals().len(), 1, "{}", browser.text());
    assert_eq!(shop.failures().len(), 3);
}

#[test]
fn a_person_stops_when_no_message_can_be_sent() {
    let (shop, service, browser, _) = arrive("ADDRESS_MESSAGES = 1");
    enter_address(&browser, EMAIL.good);
    browser.open(&service.link(Value::Null, HERE));
    enter_address(&browser, EMAIL.good);
    assert!(browser.text().contains("No message was sent"), "{}", browser.text());
    cancel(&browser, &shop);
    assert_eq!(service.outbox().len(), 1);
}

#[test]
fn the_keyboard_leads_back_last() {
    let (shop, service, browser, link) = arrive("");
    let stop = || {
        let before = shop.failures().len();
        go_to(&browser, CANCEL);
        browser.follow(|| browser.press(ENTER));
        told(&browser, &shop, before);
        browser.open(&link);
    };
    stop();
    enter_address(&browser, EMAIL.good);
    go_to(&browser, CANCEL);
    // Whoever presses Enter in a field goes on, and does not go back.
    go_to(&browser, "[name=pin]");
    browser.press(&wrong(&service.latest_code()));
    browser.follow(|| browser.press(ENTER));
    assert_eq!(service.status(&link)["auth_attempts_left"], 2);
    stop();
}

#[test]
fn who_is_done_goes_on_to_the_shop() {
    let (shop, service, browser, link) = arrive("");
    enter_address(&browser, EMAIL.good);
    enter_code(&browser, &service.latest_code());
    service.redeem(&code_of(&browser.url()));
    browser.open(&link);
    let go = browser.find("main a");
    assert_eq!(go.label(), "Back to localhost");
    browser.follow(|| go.click());
    assert!(browser.text().contains("The shop's first page"), "{}", browser.text());
    assert!(shop.redirect_uri.starts_with(&browser.url()), "{}", browser.url());
}

#[test]
fn an_app_is_called_by_its_scheme() {
    let mut shop = Shop::open();
    shop.redirect_uri = "com.example.app:/callback".to_owned();
    let service = Service::start(EMAIL, &shop, "");
    let browser = Browser::start();
    browser.open(&service.link(Value::Null, HERE));
    browser.find(CANCEL).click();
    // No such app is there, but no policy keeps the browser from calling it.
    let app = "com.example.app:/callback?error=access_denied&state=a%20b%26c%3Dd%2F%C3%BC";
    wait_for("the browser to call the app", || {
        let fetched = network::fetched(&browser);
        fetched.iter().any(|it| it.url.starts_with(app)).then_some(())
    });
    assert_eq!(network::console(&browser), [""; 0]);
}

#[test]
fn no_page_has_two_ways_back() {
    let stage = Stage::build();
    let browser = Browser::start();
    let mut found = 0;
    stage.tour(&browser, |state| {
        let ways = browser.find_all("main a:not([href^='../'])");
        let proved = state.name == "already-done";
        assert!(ways.len() <= 1, "{}: {}", state.name, browser.text());
        found += usize::from(!ways.is_empty() && !proved);
    });
    assert!(found > 50, "{found}");
}
