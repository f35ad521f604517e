//! Chromium, asked over HTTP, and what only its developer tools can do.
//!
//! `chromedriver` starts the browser, and listens on a port of this machine; each command is a
//! request to it with JSON in the body, and its result is the `value` of the answer. So
//! `POST /session/ID/url` with `{"url": …}` opens a page. Requests for which WebDriver has no
//! command go to Chromium's developer tools, through `goog/cdp/execute`.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use data_encoding::BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use super::kept::Kept;
use super::{Command, Remote, Setup, TIMEOUT};
use crate::network::Fetched;
use crate::view::PHONE;

/// Flags that keep Chromium quiet: no first-run dialogs, and nobody contacted but this machine.
const FLAGS: [&str; 9] = [
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
];

/// A running Chromium. It ends when this is dropped.
pub struct Chromium {
    agent: Agent,
    /// The URL of the session, below which its commands are.
    session: String,
    /// The events of the network since the last page of which everything was there.
    events: RefCell<Vec<Value>>,
    _driver: Kept,
    _profile: TempDir,
}

impl Chromium {
    pub fn start(setup: Setup<'_>) -> Self {
        // Two drivers that start at once may choose the same port: then one ends again.
        let driver = (0..5).find_map(|_| start_driver());
        let (driver, port) = driver.expect("chromedriver did not start; make browser installs it");
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .build()
            .into();
        let profile = tempfile::tempdir().unwrap();
        let capabilities = capabilities(setup, &profile);
        let mut chromium = Self {
            agent,
            session: format!("http://127.0.0.1:{port}/session"),
            events: RefCell::default(),
            _driver: driver,
            _profile: profile,
        };
        let session = chromium.post("", &json!({"capabilities": {"alwaysMatch": capabilities}}));
        chromium.session += &format!("/{}", session["sessionId"].as_str().unwrap());
        // As in the window that a person looks at; no other shows where the focus is.
        chromium.devtools("Emulation.setFocusEmulationEnabled", json!({"enabled": true}));
        chromium
    }

    /// Clicks at a place in the window. Unlike an element's click, it never waits for a page that
    /// is on its way.
    pub fn click_at(&self, place: &Value) {
        for kind in ["mousePressed", "mouseReleased"] {
            let (x, y) = (&place[0], &place[1]);
            let mouse = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
            self.devtools("Input.dispatchMouseEvent", mouse);
        }
    }

    /// A picture of a part of the page, as PNG.
    pub fn picture_of(&self, part: &Value) -> Vec<u8> {
        self.capture(json!({"clip": part}))
    }

    fn capture(&self, mut parameters: Value) -> Vec<u8> {
        parameters["format"] = json!("png");
        parameters["captureBeyondViewport"] = json!(true);
        let picture = self.devtools("Page.captureScreenshot", parameters);
        BASE64.decode(picture["data"].as_str().unwrap().as_bytes()).unwrap()
    }

    /// A command of Chromium's developer tools
    /// (<https://chromedevtools.github.io/devtools-protocol/>).
    fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// The events since the last look: `browser` has the messages of the console, `performance` the
    /// events of the network.
    fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.post("/se/log", &json!({"type": kind}));
        entries.as_array().unwrap().clone()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.request("POST", path, body);
        answer.unwrap_or_else(|problem| panic!("{path} {body}: {problem}"))
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let url = format!("{}{path}", self.session);
        let answer = match method {
            "GET" => self.agent.get(&url).call(),
            _ => self.agent.post(&url).send(body.to_string()),
        };
        let mut answer = answer.map_err(|error| error.to_string())?;
        let failed = answer.status().as_u16() != 200;
        let text = answer.body_mut().with_config().limit(u64::MAX).read_to_string();
        let mut json: Value = serde_json::from_str(&text.unwrap()).unwrap();
        let value = json["value"].take();
        if failed { Err(value["message"].to_string()) } else { Ok(value) }
    }
}

impl Remote for Chromium {
    fn ask(&self, command: Command, parameters: &Value) -> Result<Value, String> {
        let (method, path) = command.request.split_once(' ').unwrap();
        let parameter = |name: &str| parameters[name].as_str().unwrap_or_default();
        let path = path.replace("{id}", parameter("id")).replace("{name}", parameter("name"));
        self.request(method, &path, parameters)
    }

    fn resize(&self, width: u32, zoom: u32) {
        let screen = json!({
            "width": width,
            "height": 800,
            "deviceScaleFactor": zoom,
            "mobile": width == PHONE,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", screen);
    }

    fn emulate(&self, medium: &str, feature: &str, value: &str) {
        let features = json!([{"name": feature, "value": value}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"media": medium, "features": features}));
    }

    fn picture(&self) -> Vec<u8> {
        self.capture(json!({}))
    }

    fn fetched(&self) -> Option<Vec<Fetched>> {
        let mut events = self.events.borrow_mut();
        events.extend(self.log("performance").iter().map(|entry| -> Value {
            serde_json::from_str(entry["message"].as_str().unwrap()).unwrap()
        }));
        let fetched = in_order(&events)?;
        events.clear();
        Some(fetched)
    }

    fn console(&self) -> Vec<String> {
        let messages = self.log("browser");
        let messages = messages.iter().map(|entry| entry["message"].as_str().unwrap().to_string());
        // It also reports every status that is not a success.
        messages.filter(|message| !message.contains("responded with a status of")).collect()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // In good order, if that can be; its processes end in any case.
        let _ = self.agent.delete(&self.session).call();
    }
}

/// Starts the driver, on a port that it chooses.
fn start_driver() -> Option<(Kept, u16)> {
    let mut driver = Kept::start(&["chromedriver", "--port=0"], Stdio::piped(), Stdio::inherit());
    let lines = BufReader::new(driver.output()).lines();
    let port = lines.map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    Some((driver, port?))
}

/// The description of the browser to start, for the driver.
fn capabilities(setup: Setup<'_>, profile: &TempDir) -> Value {
    let mut flags: Vec<String> = FLAGS.map(str::to_string).into();
    flags.push(format!("--user-data-dir={}", profile.path().display()));
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        // Chromium's sandbox refuses to work for root.
        flags.push("--no-sandbox".to_string());
    }
    // In Chromium's words: 1 allows, 2 blocks; 4 opens these pages at start.
    let javascript = if setup.javascript { 1 } else { 2 };
    json!({
        "browserName": "chrome",
        "pageLoadStrategy": setup.page_load_strategy(),
        "goog:chromeOptions": {
            "args": flags,
            "prefs": {
                "intl.accept_languages": setup.languages,
                "profile.managed_default_content_settings.javascript": javascript,
                "session.restore_on_startup": 4,
                "session.startup_urls": ["about:blank"],
            },
        },
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    })
}

/// Puts the network's events together, each of which reports a piece. `None` if there is more to
/// come.
fn in_order(events: &[Value]) -> Option<Vec<Fetched>> {
    let mut order: Vec<(&str, Fetched, bool)> = Vec::new();
    for event in events {
        let event = &event["message"];
        let parameters = &event["params"];
        let id = parameters["requestId"].as_str().unwrap_or_default();
        let known = order.iter_mut().find(|(known, ..)| *known == id);
        match (event["method"].as_str().unwrap(), known) {
            ("Network.requestWillBeSent", None) => {
                let url = parameters["request"]["url"].as_str().unwrap();
                if !url.starts_with("data:") && !url.starts_with("about:") {
                    order.push((id, Fetched { url: url.to_string(), ..Fetched::default() }, false));
                }
            }
            ("Network.responseReceived", Some((_, fetched, _))) => {
                fetched.headers = parameters["response"]["headers"].clone();
            }
            ("Network.loadingFinished", Some((_, fetched, over))) => {
                fetched.bytes = parameters["encodedDataLength"].as_u64().unwrap();
                *over = true;
            }
            ("Network.loadingFailed", Some((.., over))) => *over = true,
            _ => {}
        }
    }
    let complete = !order.is_empty() && order.iter().all(|(.., over)| *over);
    complete.then(|| order.into_iter().map(|(_, fetched, _)| fetched).collect())
}
