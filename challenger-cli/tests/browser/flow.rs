//! The whole way: from the shop's link to the shop again, with a proved address.

use serde_json::Value;

use crate::driver::{Browser, Engine, Setup};
use crate::network;
use crate::person::{enter_address, enter_code};
use crate::service::{KINDS, Service, to_json};
use crate::shop::{HERE, ONWARD, Shop};

#[test]
fn every_type_of_address_is_proved_with_and_without_javascript() {
    prove_all(Engine::Chromium);
}

#[test]
fn every_type_of_address_is_proved_in_firefox_with_and_without_javascript() {
    prove_all(Engine::Firefox);
}

fn prove_all(engine: Engine) {
    let shop = Shop::open();
    let services = KINDS.each_ref().map(|kind| Service::start(kind, &shop, ""));
    for javascript in [true, false] {
        let browser = Browser::start_as(Setup { engine, javascript, ..Setup::default() });
        let script = "<script>document.title = 'on'</script>";
        browser.open(&format!("data:text/html,<!DOCTYPE html><title>off</title>{script}"));
        assert_eq!(browser.title(), if javascript { "on" } else { "off" });
        for (count, service) in services.iter().enumerate() {
            // Each meets both ends, one with JavaScript and one without.
            let state = if javascript == (count % 2 == 0) { HERE } else { ONWARD };
            prove(&browser, service, &shop, state);
        }
        let problems = network::console(&browser);
        assert!(problems.is_empty(), "the browser complains: {problems:?}");
    }
}

/// Proves an address, with this state at the shop.
fn prove(browser: &Browser, service: &Service, shop: &Shop, state: &str) {
    browser.open(&service.link(Value::Null, state));
    enter_address(browser, service.kind.good);
    enter_code(browser, &service.latest_code());

    let place = if state == ONWARD { &shop.onward_uri } else { &shop.redirect_uri };
    let arrival = shop.arrivals().pop().unwrap_or_else(|| panic!("lost: {}", browser.text()));
    assert!(browser.url().starts_with(place), "{} is not at {place}", browser.url());
    assert!(browser.text().contains("Welcome back"), "{}", browser.text());
    assert_eq!(arrival.state, state);
    assert_eq!(service.redeem(&arrival.code), to_json(service.kind.good));
}
