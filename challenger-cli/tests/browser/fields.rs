//! The fields: their meaning for browsers and password managers, and the texts that may be pasted.

use serde_json::Value;

use crate::driver::{Browser, Element};
use crate::person::{CODE_FORM, enter_address, field, send};
use crate::service::{EMAIL, KINDS, Service};
use crate::shop::{HERE, Shop};

/// Per field: the role for a screen reader; the purpose by which browsers fill it in (WCAG 2.2,
/// 1.3.5); and the keyboard that phones show.
const FIELDS: [(&str, &[&str], &str, &str); 6] = [
    ("CONTACT_EMAIL", &["textbox"], "email", "email"),
    ("CONTACT_PHONE", &["textbox"], "tel", "tel"),
    ("CONTACT_NAME", &["textbox"], "name", "text"),
    ("ADDRESS_LINES", &["textbox"], "street-address", "text"),
    ("ADDRESS_COUNTRY", &["combobox"], "country", "text"),
    ("filename", &["textbox"], "off", "text"),
];

/// A field may not end before this many characters: a pasted text has separators, too.
const ROOM: u64 = 32;

#[test]
fn fields_tell_what_they_are_for() {
    let shop = Shop::open();
    let browser = Browser::start();
    for kind in &KINDS {
        let service = Service::start(kind, &shop, "");
        browser.open(&service.link(Value::Null, HERE));
        for (name, _) in kind.good {
            let (_, roles, purpose, keyboard) =
                FIELDS.iter().find(|(field, ..)| field == name).unwrap();
            let field = field(&browser, name);
            assert!(roles.contains(&field.role().as_str()), "{name} is a {}", field.role());
            assert_described(&field, name, purpose, keyboard);
        }
        enter_address(&browser, kind.good);
        let code = field(&browser, "pin");
        assert_eq!(code.role(), "textbox");
        assert_described(&code, "pin", "one-time-code", "numeric");
        let kept = code.attribute("autocapitalize").unwrap_or_default();
        assert!(kept.is_empty() || kept == "none" || kept == "off", "{kept}");
    }
}

fn assert_described(field: &Element<'_>, name: &str, purpose: &str, keyboard: &str) {
    assert_eq!(field.attribute("autocomplete").as_deref(), Some(purpose), "{name}");
    let kind = field.property("type");
    let shown = field.attribute("inputmode").or_else(|| kind.as_str().map(str::to_string));
    let shown = shown.unwrap_or_default();
    let plain = keyboard == "text" && (shown == "textarea" || shown.starts_with("select"));
    assert!(shown == keyboard || plain, "{name} has the keyboard {shown}");
    assert_eq!(field.property("labels").as_array().unwrap().len(), 1, "{name} has a label");
    assert!(!field.label().trim().is_empty(), "{name} has a label with text");
    assert_eq!(field.property("required"), true, "{name}");
    let most = field.property("maxLength").as_i64().unwrap_or(-1);
    assert!(most < 0 || most.unsigned_abs() >= ROOM, "{name} ends after {most} characters");
}

#[test]
fn a_code_may_be_pasted_as_it_stands_in_the_message() {
    let shop = Shop::open();
    let service = Service::start(EMAIL, &shop, "");
    let browser = Browser::start();
    for way in 0..5 {
        browser.open(&service.link(Value::Null, HERE));
        enter_address(&browser, EMAIL.good);
        let text = spellings(&service.latest_code())[way].clone();
        copy(&browser, &text);
        let field = field(&browser, "pin");
        field.click();
        browser.press_with_control("v");
        let kept = field.property("value");
        assert_eq!(kept.as_str().unwrap(), text.trim_end_matches('\n'), "all of it was taken");
        send(&browser, CODE_FORM);
        assert_eq!(shop.arrivals().len(), way + 1, "{text:?} was refused: {}", browser.text());
    }
}

/// Texts that people may copy from a message, or get from a keyboard for other scripts.
fn spellings(code: &str) -> [String; 5] {
    let (first, second) = code.split_at(4);
    let wide = |digits: &str| digits.chars().map(to_full_width).collect::<String>();
    [
        format!("{first}-{second}"),
        format!(" {first} {second} "),
        format!("{first}–{second}\n"),
        format!("{}－{}", wide(first), wide(second)),
        code.chars().flat_map(|digit| [digit, ' ']).collect(),
    ]
}

/// Copies a text, by way of a field that is only there for that.
fn copy(browser: &Browser, text: &str) {
    let script = "const field = document.createElement('textarea');
        field.id = 'to-copy';
        field.value = arguments[0];
        document.body.append(field);";
    browser.script(script, &[text.into()]);
    browser.find("#to-copy").click();
    browser.press_with_control("a");
    browser.press_with_control("c");
    browser.script("document.getElementById('to-copy').remove()", &[]);
}

fn to_full_width(digit: char) -> char {
    char::from_u32(u32::from('０') + digit.to_digit(10).unwrap()).unwrap()
}
