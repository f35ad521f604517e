//! A browser under remote control: headless Chromium, asked by WebDriver.
//!
//! WebDriver (<https://www.w3.org/TR/webdriver2/>) is plain HTTP. `chromedriver` listens on a port
//! of this machine; each command to the browser is a request to it with JSON in the body, and its
//! result is the `value` of the answer. So `POST /session/ID/url` with `{"url": …}` opens a page.
//! Requests for which WebDriver has no command go to Chromium's developer tools, through
//! `goog/cdp/execute`.

use std::cell::Cell;
use std::slice;
use std::time::Duration;

use challenger_testkit::wait_for;
use data_encoding::BASE64;
use serde_json::{Value, json};
use ureq::Agent;

use crate::chromium::{Chromium, Setup};

/// Keys without a character, as WebDriver spells them.
pub const CONTROL: &str = "\u{e009}";
pub const ENTER: &str = "\u{e007}";
pub const TAB: &str = "\u{e004}";

/// The member under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How long the driver may take for one command; to start a browser takes longest.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A browser with one window. It ends when this is dropped.
pub struct Browser {
    agent: Agent,
    /// The URL of the session, below which its commands are.
    session: String,
    /// How many pages were followed to.
    steps: Cell<u32>,
    _processes: Chromium,
}

/// An element of the page that is shown.
pub struct Element<'a> {
    browser: &'a Browser,
    id: String,
}

impl Browser {
    /// Starts a browser in English.
    pub fn start() -> Self {
        Self::start_as(Setup::default())
    }

    pub fn start_as(setup: Setup<'_>) -> Self {
        let chromium = Chromium::prepare();
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .build()
            .into();
        let session = format!("http://127.0.0.1:{}/session", chromium.port);
        let capabilities = chromium.capabilities(setup);
        let mut browser = Self { agent, session, steps: Cell::new(0), _processes: chromium };
        let session = browser.post("", &json!({"capabilities": {"alwaysMatch": capabilities}}));
        browser.session += &format!("/{}", session["sessionId"].as_str().unwrap());
        // As in the window that a person looks at; no other shows where the focus is.
        browser.devtools("Emulation.setFocusEmulationEnabled", json!({"enabled": true}));
        browser
    }

    /// Opens a page, and waits until it has loaded.
    pub fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    pub fn back(&self) {
        self.post("/back", &json!({}));
    }

    /// Loads the page again. A form that led to it is sent again.
    pub fn reload(&self) {
        self.post("/refresh", &json!({}));
    }

    /// Does what leads to another page, and waits until that has loaded.
    pub fn follow(&self, act: impl FnOnce()) {
        self.steps.set(self.steps.get() + 1);
        let step = json!(self.steps.get());
        let leave = "window.leftInStep = arguments[0]; return document.title";
        let left = text(&self.script(leave, slice::from_ref(&step)));
        act();
        wait_for(&format!("what comes after {left:?}"), || {
            let there = "return window.leftInStep !== arguments[0] \
                         && document.readyState === 'complete'";
            // Between two pages there is none that could answer.
            let there = self.try_script(there, slice::from_ref(&step));
            there.is_ok_and(|there| there == true).then_some(())
        });
    }

    pub fn url(&self) -> String {
        text(&self.get("/url"))
    }

    pub fn title(&self) -> String {
        text(&self.get("/title"))
    }

    /// All the text that can be seen, with line breaks where the page has them.
    pub fn text(&self) -> String {
        text(&self.script("return document.body.innerText", &[]))
    }

    /// The elements that a CSS selector finds, in the order of the page.
    pub fn find_all(&self, css: &str) -> Vec<Element<'_>> {
        let found = self.post("/elements", &json!({"using": "css selector", "value": css}));
        let ids = found.as_array().unwrap().iter();
        ids.map(|id| Element { browser: self, id: text(&id[ELEMENT]) }).collect()
    }

    /// The first of them, which must exist.
    pub fn find(&self, css: &str) -> Element<'_> {
        let first = self.find_all(css).into_iter().next();
        first.unwrap_or_else(|| panic!("no {css} on {}: {}", self.url(), self.text()))
    }

    /// Runs JavaScript in the page: the body of a function, with `arguments`.
    pub fn script(&self, body: &str, arguments: &[Value]) -> Value {
        self.try_script(body, arguments).unwrap_or_else(|problem| panic!("{problem}: {body}"))
    }

    fn try_script(&self, body: &str, arguments: &[Value]) -> Result<Value, String> {
        self.ask("/execute/sync", Some(&json!({"script": body, "args": arguments})))
    }

    /// Runs JavaScript that returns by calling its last argument.
    pub fn script_with_callback(&self, body: &str) -> Value {
        self.post("/execute/async", &json!({"script": body, "args": []}))
    }

    /// Presses keys one after the other, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let each = keys.chars().map(|key| key.to_string());
        let each = each.flat_map(|key| [("keyDown", key.clone()), ("keyUp", key)]);
        self.keyboard(each);
    }

    /// Presses a key while the Control key is held.
    pub fn press_with_control(&self, key: &str) {
        let control = || CONTROL.to_string();
        let key = || key.to_string();
        let held = [("keyDown", control()), ("keyDown", key())];
        self.keyboard(held.into_iter().chain([("keyUp", key()), ("keyUp", control())]));
    }

    /// Clicks twice, as fast as a mouse can.
    pub fn click_twice(&self, element: &Element<'_>) {
        let mut moves =
            vec![json!({"type": "pointerMove", "origin": element.as_json(), "x": 0, "y": 0})];
        for _ in 0..2 {
            moves.push(json!({"type": "pointerDown", "button": 0}));
            moves.push(json!({"type": "pointerUp", "button": 0}));
        }
        let mouse = json!({"type": "pointer", "id": "m", "actions": moves});
        self.post("/actions", &json!({"actions": [mouse]}));
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

    fn keyboard(&self, moves: impl Iterator<Item = (&'static str, String)>) {
        let moves: Vec<Value> =
            moves.map(|(kind, key)| json!({"type": kind, "value": key})).collect();
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "k", "actions": moves}]}));
    }

    /// A command of Chromium's developer tools
    /// (<https://chromedevtools.github.io/devtools-protocol/>).
    pub fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// The events since the last look: `browser` has the messages of the console, `performance` the
    /// events of the network.
    pub fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.post("/se/log", &json!({"type": kind}));
        entries.as_array().unwrap().clone()
    }

    /// A picture of the whole page, or of a part of it, as PNG.
    pub fn picture(&self, clip: Option<Value>) -> Vec<u8> {
        let mut parameters = json!({"format": "png", "captureBeyondViewport": true});
        if let Some(clip) = clip {
            parameters["clip"] = clip;
        }
        let picture = self.devtools("Page.captureScreenshot", parameters);
        BASE64.decode(picture["data"].as_str().unwrap().as_bytes()).unwrap()
    }

    fn get(&self, command: &str) -> Value {
        self.ask(command, None).unwrap_or_else(|problem| panic!("{command}: {problem}"))
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        let answer = self.ask(command, Some(body));
        answer.unwrap_or_else(|problem| panic!("{command} {body}: {problem}"))
    }

    /// Gives a command; the message of a failed one is the error.
    fn ask(&self, command: &str, body: Option<&Value>) -> Result<Value, String> {
        let url = format!("{}{command}", self.session);
        let answer = match body {
            None => self.agent.get(&url).call(),
            Some(body) => self.agent.post(&url).send(body.to_string()),
        };
        let mut answer = answer.map_err(|error| error.to_string())?;
        let failed = answer.status().as_u16() != 200;
        let text = answer.body_mut().with_config().limit(u64::MAX).read_to_string();
        let mut json: Value = serde_json::from_str(&text.unwrap()).unwrap();
        let value = json["value"].take();
        if failed { Err(value["message"].to_string()) } else { Ok(value) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // In good order, if that can be; its processes end in any case.
        let _ = self.agent.delete(&self.session).call();
    }
}

impl Element<'_> {
    pub fn click(&self) {
        self.post("click", &json!({}));
    }

    /// Types into the element, which gets the focus.
    pub fn type_text(&self, text: &str) {
        self.post("value", &json!({"text": text}));
    }

    pub fn clear(&self) {
        self.post("clear", &json!({}));
    }

    /// The value in the page's source; `None` without the attribute.
    pub fn attribute(&self, name: &str) -> Option<String> {
        let script = "return arguments[0].getAttribute(arguments[1])";
        let value = self.browser.script(script, &[self.as_json(), json!(name)]);
        value.as_str().map(str::to_string)
    }

    /// The current value, as for `value`.
    pub fn property(&self, name: &str) -> Value {
        self.get(&format!("property/{name}"))
    }

    /// The element's role for a screen reader, as in `textbox`.
    pub fn role(&self) -> String {
        text(&self.get("computedrole"))
    }

    /// The element's name for a screen reader.
    pub fn label(&self) -> String {
        text(&self.get("computedlabel"))
    }

    /// Where the middle of it is in the window: a pair of numbers.
    pub fn middle(&self) -> Value {
        let script = "const it = arguments[0].getBoundingClientRect();
            return [it.x + it.width / 2, it.y + it.height / 2];";
        self.browser.script(script, &[self.as_json()])
    }

    /// The element as an argument of a script.
    pub fn as_json(&self) -> Value {
        json!({ELEMENT: self.id})
    }

    fn get(&self, command: &str) -> Value {
        self.browser.get(&format!("/element/{}/{command}", self.id))
    }

    fn post(&self, command: &str, body: &Value) {
        self.browser.post(&format!("/element/{}/{command}", self.id), body);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_string()
}
