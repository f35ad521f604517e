//! The pages on small and large screens, and with larger or wider text: all of it can be seen, and
//! nothing has to be scrolled sideways (WCAG 2.2, 1.4.4, 1.4.10, 1.4.12 and 2.5.8).

use serde_json::json;

use crate::complaints::Complaints;
use crate::driver::Browser;
use crate::states::Stage;
use crate::view::{DESK, PHONE, resize, restyle};

/// Returns everything that is wrong.
const AUDIT: &str = include_str!("layout.js");

/// The spacing that a page must endure (WCAG 2.2, 1.4.12).
const WIDE_TEXT: &str = "* {
        line-height: 1.5 !important;
        letter-spacing: 0.12em !important;
        word-spacing: 0.16em !important;
    }
    p { margin-bottom: 2em !important; }";

/// Ways to look at a page: the width of the window, the zoom, and rules for the text.
const LOOKS: [(&str, u32, u32, &str); 5] = [
    ("on a phone", PHONE, 1, ""),
    ("on a desk", DESK, 1, ""),
    ("with a zoom of 200 %", DESK / 2, 2, ""),
    ("with text of 200 %", DESK, 1, "html { font-size: 200% !important; }"),
    ("with wide text on a phone", PHONE, 1, WIDE_TEXT),
];

#[test]
fn every_page_fits_every_screen() {
    let stage = Stage::build();
    let browser = Browser::start();
    let mut complaints = Complaints::default();
    stage.tour(&browser, |state| {
        for (how, width, zoom, rules) in LOOKS {
            resize(&browser, width, zoom);
            restyle(&browser, rules);
            complaints.add(&format!("{} {how}", state.name), found(&browser, width));
        }
    });
    complaints.assert_none();
}

/// What is wrong with the layout of the page that is shown, in a window of this width.
pub fn found(browser: &Browser, width: u32) -> Vec<String> {
    let found = browser.script(AUDIT, &[json!(width)]);
    found.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_string()).collect()
}
