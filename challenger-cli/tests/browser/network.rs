//! The cost of a page: its bytes and its requests; and the effect of its policy.

use challenger_testkit::wait_for;
use serde_json::Value;

use crate::driver::Browser;

/// The most bytes for a page with its style.
const BYTES_MAX: u64 = 30_000;

/// Something that the browser fetched for a page, or would have, had the policy allowed it.
#[derive(Default)]
pub struct Fetched {
    pub url: String,
    /// With the head of the answer.
    pub bytes: u64,
    pub headers: Value,
}

impl Fetched {
    /// A header of the answer; empty without it.
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].as_str().unwrap_or_default()
    }
}

/// Complaints about everything that was fetched for the page that is shown, the page itself first.
pub fn complaints(browser: &Browser, fetched: &[Fetched]) -> Vec<String> {
    let mut complaints = Vec::new();
    let own = browser.script("return location.origin + '/'", &[]);
    let own = own.as_str().unwrap();
    for stranger in fetched.iter().filter(|it| !it.url.starts_with(own)) {
        complaints.push(format!("the page asks for {}", stranger.url));
    }
    let bytes: u64 = fetched.iter().map(|it| it.bytes).sum();
    if bytes > BYTES_MAX {
        complaints.push(format!("the page weighs {bytes} bytes"));
    }
    let policy = fetched[0].header("Content-Security-Policy");
    let has = |part: &str| policy.split("; ").any(|it| it == part);
    let open = policy.contains('*') || policy.contains("unsafe-eval");
    let strict =
        has("default-src 'none'") && has("base-uri 'none'") && has("frame-ancestors 'none'");
    if open || !strict {
        complaints.push(format!("the policy is {policy:?}"));
    }
    complaints
}

/// The browser's complaints since the last look, such as one about a page that broke its policy.
pub fn console(browser: &Browser) -> Vec<String> {
    browser.remote().console()
}

/// Everything that the browser fetched since the last look, once all of it is there; without the
/// parts that are in a page itself.
pub fn fetched(browser: &Browser) -> Vec<Fetched> {
    wait_for("all that the page fetches", || browser.remote().fetched())
}
