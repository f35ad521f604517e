//! In which language a page is.

use crate::driver::Browser;
use crate::network::Fetched;

/// What is wrong with the language of the page that is shown.
pub fn complaints(browser: &Browser, page: &Fetched, language: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let own = browser.find("html").attribute("lang").unwrap_or_default();
    if own != language {
        complaints.push(format!("the page says that its language is {own:?}"));
    }
    let told = page.header("Content-Language");
    if told != language {
        complaints.push(format!("the answer says that its language is {told:?}"));
    }
    complaints
}
