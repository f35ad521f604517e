//! How a page is shown: on which screen, and to which taste; and pictures of it.

use std::fs;
use std::path::{Path, PathBuf};

use challenger_testkit::wait_for;
use serde_json::json;

use crate::driver::Browser;

/// The widths that pages have to fit: a small phone (WCAG 2.2, 1.4.10), and a desk.
pub const PHONE: u32 = 320;
pub const DESK: u32 = 1280;

/// A person's preference, or another way in which a page is shown.
#[derive(Clone, Copy)]
pub enum Taste {
    Dark,
    ForcedColors,
    Light,
    Print,
    ReducedMotion,
}

impl Taste {
    pub fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::ForcedColors => "forced-colors",
            Self::Light => "light",
            Self::Print => "print",
            Self::ReducedMotion => "reduced-motion",
        }
    }
}

/// Returns what is wrong with a page for a taste.
const LOOK: &str = include_str!("look.js");

/// Shows the page in a window of this width in CSS pixels, `zoom` times enlarged.
pub fn resize(browser: &Browser, width: u32, zoom: u32) {
    browser.remote().resize(width, zoom);
    wait_to_match(browser, &format!("(width: {width}px)"));
}

/// Shows pages to a taste from now on.
pub fn please(browser: &Browser, taste: Taste) {
    let (medium, feature, value) = match taste {
        Taste::Dark => ("screen", "prefers-color-scheme", "dark"),
        Taste::ForcedColors => ("screen", "forced-colors", "active"),
        Taste::Light => ("screen", "prefers-color-scheme", "light"),
        Taste::Print => ("print", "prefers-color-scheme", "light"),
        Taste::ReducedMotion => ("screen", "prefers-reduced-motion", "reduce"),
    };
    browser.remote().emulate(medium, feature, value);
    wait_to_match(browser, &format!("{medium} and ({feature}: {value})"));
}

/// Waits until the page is shown in a way that a media query describes.
fn wait_to_match(browser: &Browser, query: &str) {
    let script = "return matchMedia(arguments[0]).matches";
    let matches = || (browser.script(script, &[json!(query)]) == true).then_some(());
    matches().unwrap_or_else(|| wait_for(query, matches));
}

/// Adds rules to the style of the page, in place of those added before.
pub fn restyle(browser: &Browser, rules: &str) {
    let script = "const sheet = new CSSStyleSheet();
        sheet.replaceSync(arguments[0]);
        document.adoptedStyleSheets = [sheet];";
    browser.script(script, &[json!(rules)]);
}

/// Complaints about the page for the taste to which it is shown.
pub fn complaints(browser: &Browser, taste: Taste) -> Vec<String> {
    let found = browser.script(LOOK, &[json!(taste.name())]);
    found.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_string()).collect()
}

/// Keeps a picture of the page for people to look at.
pub fn photograph(browser: &Browser, name: &str) {
    let folder = artifacts().join("screenshots");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{name}.png")), browser.remote().picture()).unwrap();
}

/// The folder for files of these tests that are not part of the project: `target/browser`.
pub fn artifacts() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("browser")
}
