//! The actions of a person on the pages.

use serde_json::Value;

use crate::driver::{Browser, Element};
use crate::service::{EMAIL, Service};
use crate::shop::{HERE, Shop};

/// The form for the address, and the one that asks for another message.
pub const ADDRESS_FORM: &str = "form[action*='challenge/']";
/// The form for the code.
pub const CODE_FORM: &str = "form[action*='solve/']";

/// A person who was sent by a shop to a service for e-mail addresses, and sees its first page. The
/// link led there.
pub fn arrive(options: &str) -> (Shop, Service, Browser, String) {
    let shop = Shop::open();
    let service = Service::start(EMAIL, &shop, options);
    let browser = Browser::start();
    let link = service.link(Value::Null, HERE);
    browser.open(&link);
    (shop, service, browser, link)
}

/// Enters an address and sends it.
pub fn enter_address(browser: &Browser, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        fill_in(browser, name, value);
    }
    send(browser, ADDRESS_FORM);
}

/// Types into a field, or chooses the value from its list.
pub fn fill_in(browser: &Browser, name: &str, value: &str) {
    let field = field(browser, name);
    if field.property("localName") == "select" {
        browser.find(&format!("[name={name}] option[value={value}]")).click();
    } else {
        field.type_text(value);
    }
}

/// Enters a code and sends it.
pub fn enter_code(browser: &Browser, code: &str) {
    field(browser, "pin").type_text(code);
    send(browser, CODE_FORM);
}

/// Presses the button of a form, and waits for the next page.
pub fn send(browser: &Browser, form: &str) {
    let button = unfolded(browser, &format!("{form} button"));
    browser.follow(|| button.click());
}

/// A field of the page by its name; one that people see.
pub fn field<'a>(browser: &'a Browser, name: &str) -> Element<'a> {
    unfolded(browser, &format!("[name={name}]:not([type=hidden])"))
}

/// The first of some elements. If it is folded away, that is opened.
pub fn unfolded<'a>(browser: &'a Browser, css: &str) -> Element<'a> {
    for summary in browser.find_all(&format!("details:not([open]):has({css}) > summary")) {
        summary.click();
    }
    browser.find(css)
}
