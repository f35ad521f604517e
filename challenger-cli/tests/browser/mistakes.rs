//! Messages about a mistake: beside the field, with the person's input still in it.

use challenger_testkit::wrong;
use serde_json::Value;

use crate::driver::{Browser, Element};
use crate::person::{ADDRESS_FORM, CODE_FORM, arrive, enter_address, enter_code, field, send};
use crate::service::{EMAIL, KINDS, Service};
use crate::shop::{HERE, Shop};

/// The text about a mistake: what a field names as its error or description, as far as it is in a
/// live region, which screen readers speak at once.
const TOLD: &str = "const field = arguments[0];
    const ids = ['aria-errormessage', 'aria-describedby'].flatMap((name) =>
        (field.getAttribute(name) ?? '').split(/\\s+/));
    return ids.map((id) => document.getElementById(id))
        .filter((it) => it?.closest('[role=alert], [aria-live]') && it.checkVisibility())
        .map((it) => it.innerText).join(' ').trim();";

/// The page's message about a mistake in this field.
fn told(browser: &Browser, field: &Element<'_>, about: &str) -> String {
    let invalid = field.attribute("aria-invalid");
    assert_eq!(invalid.as_deref(), Some("true"), "{about}: {}", browser.text());
    let told = browser.script(TOLD, &[field.as_json()]);
    let told = told.as_str().unwrap().to_string();
    assert!(!told.is_empty(), "{about} is explained in a live region: {}", browser.text());
    let at = browser.script("return document.activeElement === arguments[0]", &[field.as_json()]);
    assert_eq!(at, true, "{about} has the focus");
    told
}

#[test]
fn a_wrong_address_stays_in_its_field() {
    let shop = Shop::open();
    let browser = Browser::start();
    for (count, kind) in KINDS.iter().enumerate() {
        let service = Service::start(kind, &shop, "");
        let link = service.link(Value::Null, HERE);
        browser.open(&link);
        enter_address(&browser, kind.bad);
        for ((name, good), (_, bad)) in kind.good.iter().zip(kind.bad) {
            let field = field(&browser, name);
            assert_eq!(field.property("value"), *bad, "{name} keeps what was entered");
            if good != bad {
                told(&browser, &field, name);
                field.clear();
                field.type_text(good);
            }
        }
        assert_eq!(service.status(&link)["changes_left"], 3, "nothing was charged");
        send(&browser, ADDRESS_FORM);
        enter_code(&browser, &service.latest_code());
        assert_eq!(shop.arrivals().len(), count + 1, "{}", browser.text());
    }
}

#[test]
fn a_wrong_code_may_be_corrected_in_its_place() {
    let (shop, service, browser, link) = arrive("");
    enter_address(&browser, EMAIL.good);
    let code = service.latest_code();

    // Too short for a code: said at once, and no try is lost, even if the browser lets it pass.
    browser.script("document.querySelector(arguments[0]).noValidate = true", &[CODE_FORM.into()]);
    enter_code(&browser, "1234");
    told(&browser, &field(&browser, "pin"), "a short code");
    assert_eq!(service.status(&link)["auth_attempts_left"], 3);

    field(&browser, "pin").clear();
    enter_code(&browser, &wrong(&code));
    told(&browser, &field(&browser, "pin"), "a wrong code");
    assert!(
        browser.text().contains("two tries left"),
        "the tries that are left: {}",
        browser.text()
    );
    assert_eq!(service.status(&link)["auth_attempts_left"], 2);

    field(&browser, "pin").clear();
    enter_code(&browser, &code);
    assert_eq!(shop.arrivals().len(), 1, "{}", browser.text());
}

#[test]
fn reloading_after_a_wrong_code_costs_no_other_try() {
    let (_shop, service, browser, link) = arrive("");
    enter_address(&browser, EMAIL.good);
    enter_code(&browser, &wrong(&service.latest_code()));
    browser.follow(|| browser.reload());
    assert_eq!(service.status(&link)["auth_attempts_left"], 2);
}

#[test]
fn one_step_back_from_a_wrong_code_leads_to_a_page_of_ours() {
    let (shop, service, browser, link) = arrive("");
    enter_address(&browser, EMAIL.good);
    let code = service.latest_code();
    enter_code(&browser, &wrong(&code));
    browser.back();
    // Chromium has a page of its own for those it would have to send a form for.
    let place = browser.script("return location.origin", &[]);
    assert!(place.as_str().unwrap().starts_with("http://127.0.0.1:"), "{}", browser.text());
    // That form was sent before: a try for it is neither judged nor charged, or a double click
    // would cost two.
    enter_code(&browser, &code);
    assert_eq!(service.status(&link)["auth_attempts_left"], 2, "{}", browser.text());
    enter_code(&browser, &code);
    assert_eq!(shop.arrivals().len(), 1, "{}", browser.text());
}
