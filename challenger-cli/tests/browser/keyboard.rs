//! The pages without a mouse.

use serde_json::Value;

use crate::complaints::Complaints;
use crate::driver::{Browser, ENTER, TAB};
use crate::service::{KINDS, Service};
use crate::shop::{HERE, Shop};
use crate::states::Stage;
use crate::view::restyle;

/// Puts the focus nowhere, as at the top of a page, and a number on everything that can have it.
/// Returns where these are on the page, with some room for an outline.
const STOPS: &str = "const all = 'a[href], button, input, select, textarea, summary, [tabindex]';
    const stops = [...document.querySelectorAll(all)].filter((it) =>
        !it.disabled && it.tabIndex >= 0 && it.type !== 'hidden' && it.checkVisibility());
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute('tabindex');
    return stops.map((it, number) => {
        it.stop = number;
        const box = it.getBoundingClientRect();
        return { x: box.x + scrollX - 8, y: box.y + scrollY - 8, scale: 1,
            width: box.width + 16, height: box.height + 16 };
    });";

/// The element that has the focus: its number, a name for people, and whether something lies over
/// it.
const AT: &str = "const at = document.activeElement;
    const box = at.getBoundingClientRect();
    const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    return {
        stop: at.stop ?? null,
        name: at.name || at.innerText,
        covered: !at.contains(top) && !top?.contains(at),
    };";

#[test]
fn the_keyboard_is_enough() {
    let shop = Shop::open();
    let browser = Browser::start();
    for (count, kind) in KINDS.iter().enumerate() {
        let service = Service::start(kind, &shop, "");
        browser.open(&service.link(Value::Null, HERE));
        for (name, value) in kind.good {
            go_to(&browser, &format!("[name={name}]"));
            // In a list, one types what it shows.
            let shown = "const options = [...(document.activeElement.options ?? [])];
                return options.find((it) => it.value === arguments[0])?.text ?? arguments[0]";
            let shown = browser.script(shown, &[(*value).into()]);
            browser.press(&shown.as_str().unwrap().replace('\n', ENTER));
        }
        // In a field with several lines, Enter makes another; in a list, it chooses.
        if ["ADDRESS_LINES", "ADDRESS_COUNTRY"].contains(&kind.good.last().unwrap().0) {
            go_to(&browser, "button");
        }
        browser.follow(|| browser.press(ENTER));
        go_to(&browser, "[name=pin]");
        browser.press(&service.latest_code());
        browser.follow(|| browser.press(ENTER));
        assert_eq!(shop.arrivals().len(), count + 1, "{}", browser.text());
    }
}

/// Presses the Tab key until the focus is on the element that the selector finds.
pub fn go_to(browser: &Browser, css: &str) {
    let there = "return document.activeElement.matches(arguments[0])";
    for _ in 0..20 {
        if browser.script(there, &[css.into()]) == true {
            return;
        }
        browser.press(TAB);
    }
    panic!("the Tab key does not lead to {css}: {}", browser.text());
}

#[test]
fn the_tab_key_goes_through_all_of_a_page_and_everybody_sees_where() {
    let stage = Stage::build();
    let browser = Browser::start();
    let mut complaints = Complaints::default();
    stage.tour(&browser, |state| {
        // A blinking caret would be a difference that says nothing.
        restyle(&browser, "* { caret-color: #0000 !important; transition: none !important; }");
        let places = browser.script(STOPS, &[]);
        let places = places.as_array().unwrap();
        let picture = |place: &Value| browser.chromium().picture_of(place);
        let without_focus: Vec<Vec<u8>> = places.iter().map(picture).collect();
        for (number, place) in places.iter().enumerate() {
            browser.press(TAB);
            let at = browser.script(AT, &[]);
            let (name, mut found) = (&at["name"], Vec::new());
            if at["stop"] != number {
                found.push(format!("stop {number} is {name}"));
            }
            // WCAG 2.2, 2.4.7 and 2.4.11.
            if picture(place) == without_focus[number] {
                found.push(format!("nothing shows that {name} has the focus"));
            }
            if at["covered"] == true {
                found.push(format!("something covers {name}"));
            }
            complaints.add(&state.name, found);
        }
        browser.press(TAB);
        // A browser without a window has nothing to go on to, and may begin again.
        let next = browser.script(AT, &[])["stop"].take();
        assert!(next == Value::Null || next == 0, "{}: it leaves, to {next}", state.name);
    });
    complaints.assert_none();
}
