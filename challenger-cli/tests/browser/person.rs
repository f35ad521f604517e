//! What a person does on the pages.

use crate::driver::{Browser, Element};

/// The form for the address, and the one that asks for another message.
pub const ADDRESS_FORM: &str = "form[action*='challenge/']";
/// The form for the code.
pub const CODE_FORM: &str = "form[action*='solve/']";

/// Enters an address and sends it.
pub fn enter_address(browser: &Browser, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        field(browser, name).type_text(value);
    }
    send(browser, ADDRESS_FORM);
}

/// Enters a code and sends it.
pub fn enter_code(browser: &Browser, code: &str) {
    field(browser, "pin").type_text(code);
    send(browser, CODE_FORM);
}

/// Presses the button of a form, and waits for what comes then.
pub fn send(browser: &Browser, form: &str) {
    let button = browser.find(&format!("{form} button"));
    browser.follow(|| button.click());
}

/// A field of the page by its name; one that people see.
pub fn field<'a>(browser: &'a Browser, name: &str) -> Element<'a> {
    browser.find(&format!("[name={name}]:not([type=hidden])"))
}
