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
    bytes: u64,
    headers: Value,
    /// Whether there is no more to come.
    over: bool,
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

/// Chromium's complaints since the last look, such as one about a page that broke its policy.
pub fn console(browser: &Browser) -> Vec<String> {
    let messages = browser.log("browser");
    let messages = messages.iter().map(|entry| entry["message"].as_str().unwrap().to_string());
    // It also reports every status that is not a success.
    messages.filter(|message| !message.contains("responded with a status of")).collect()
}

/// Everything that the browser fetched since the last look, once all of it is there; without the
/// parts that are in a page itself.
pub fn fetched(browser: &Browser) -> Vec<Fetched> {
    let mut events = Vec::new();
    wait_for("all that the page fetches", || {
        events.extend(browser.log("performance").iter().map(|entry| -> Value {
            serde_json::from_str(entry["message"].as_str().unwrap()).unwrap()
        }));
        let fetched = in_order(&events);
        (!fetched.is_empty() && fetched.iter().all(|it| it.over)).then_some(fetched)
    })
}

/// Puts the network's events together, each of which reports a piece.
fn in_order(events: &[Value]) -> Vec<Fetched> {
    let mut order: Vec<(&str, Fetched)> = Vec::new();
    for event in events {
        let event = &event["message"];
        let parameters = &event["params"];
        let id = parameters["requestId"].as_str().unwrap_or_default();
        let known = order.iter_mut().find(|(known, _)| *known == id).map(|(_, fetched)| fetched);
        match (event["method"].as_str().unwrap(), known) {
            ("Network.requestWillBeSent", None) => {
                let url = parameters["request"]["url"].as_str().unwrap();
                if !url.starts_with("data:") && !url.starts_with("about:") {
                    order.push((id, Fetched { url: url.to_string(), ..Fetched::default() }));
                }
            }
            ("Network.responseReceived", Some(fetched)) => {
                fetched.headers = parameters["response"]["headers"].clone();
            }
            ("Network.loadingFinished", Some(fetched)) => {
                fetched.bytes = parameters["encodedDataLength"].as_u64().unwrap();
                fetched.over = true;
            }
            ("Network.loadingFailed", Some(fetched)) => fetched.over = true,
            _ => {}
        }
    }
    order.into_iter().map(|(_, fetched)| fetched).collect()
}
