//! A browser under remote control, asked by WebDriver (<https://www.w3.org/TR/webdriver2/>).
//!
//! Chromium and Firefox know the same commands, each in its own way of asking: `chromium.rs` and
//! `firefox.rs` give them, and do in their ways the little for which WebDriver has no command.

mod chromium;
mod firefox;
mod kept;

use std::cell::Cell;
use std::slice;
use std::time::Duration;

use challenger_testkit::wait_for;
use serde_json::{Value, json};

use self::chromium::Chromium;
use self::firefox::Firefox;
use crate::network::Fetched;

/// Keys without a character, as WebDriver spells them.
pub const CONTROL: &str = "\u{e009}";
pub const ENTER: &str = "\u{e007}";
pub const TAB: &str = "\u{e004}";

/// The member under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How long a browser may take for one command; to start takes longest.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A command of WebDriver.
#[derive(Clone, Copy)]
pub struct Command {
    /// Its name for Firefox.
    name: &'static str,
    /// Its method and path over HTTP, with places for parameters.
    request: &'static str,
}

const fn command(name: &'static str, request: &'static str) -> Command {
    Command { name, request }
}

const BACK: Command = command("Back", "POST /back");
const CLEAR: Command = command("ElementClear", "POST /element/{id}/clear");
const CLICK: Command = command("ElementClick", "POST /element/{id}/click");
const EXECUTE_ASYNC_SCRIPT: Command = command("ExecuteAsyncScript", "POST /execute/async");
const EXECUTE_SCRIPT: Command = command("ExecuteScript", "POST /execute/sync");
const FIND_ELEMENTS: Command = command("FindElements", "POST /elements");
const GET_LABEL: Command = command("GetComputedLabel", "GET /element/{id}/computedlabel");
const GET_PROPERTY: Command = command("GetElementProperty", "GET /element/{id}/property/{name}");
const GET_ROLE: Command = command("GetComputedRole", "GET /element/{id}/computedrole");
const GET_TITLE: Command = command("GetTitle", "GET /title");
const GET_URL: Command = command("GetCurrentURL", "GET /url");
const NAVIGATE: Command = command("Navigate", "POST /url");
const PERFORM_ACTIONS: Command = command("PerformActions", "POST /actions");
const REFRESH: Command = command("Refresh", "POST /refresh");
const SEND_KEYS: Command = command("ElementSendKeys", "POST /element/{id}/value");

/// A program that shows pages, under remote control.
pub trait Remote {
    /// Gives a command; the message of a failed one is the error.
    fn ask(&self, command: Command, parameters: &Value) -> Result<Value, String>;

    /// Gives the window this width in CSS pixels, `zoom` times enlarged.
    fn resize(&self, width: u32, zoom: u32);

    /// Shows pages as on this medium, and with this value of a media feature alone.
    fn emulate(&self, medium: &str, feature: &str, value: &str);

    /// A picture of the whole page, as PNG.
    fn picture(&self) -> Vec<u8>;

    /// Everything that was fetched since the last look; `None` as long as that is nothing, or there
    /// is more to come.
    fn fetched(&self) -> Option<Vec<Fetched>>;

    /// The messages of the console since the last look.
    fn console(&self) -> Vec<String>;
}

/// The browsers that people use.
#[derive(Clone, Copy, PartialEq)]
pub enum Engine {
    Chromium,
    Firefox,
}

/// How a browser is set up.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    pub engine: Engine,
    /// The languages that it asks for, the best first, as in `de-CH,de`.
    pub languages: &'a str,
    /// Whether pages may run JavaScript. The tests' own scripts run in any case.
    pub javascript: bool,
    /// Whether a command that leaves a page returns at once, and not when the next has loaded.
    pub hasty: bool,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self { engine: Engine::Chromium, languages: "en", javascript: true, hasty: false }
    }
}

impl Setup<'_> {
    fn page_load_strategy(&self) -> &'static str {
        if self.hasty { "none" } else { "normal" }
    }
}

/// A browser with one window. It ends when this is dropped.
pub struct Browser {
    program: Program,
    /// How many pages were followed to.
    steps: Cell<u32>,
}

enum Program {
    Chromium(Chromium),
    Firefox(Firefox),
}

/// An element of the page that is shown.
pub struct Element<'a> {
    browser: &'a Browser,
    id: String,
}

impl Browser {
    /// Starts Chromium in English.
    pub fn start() -> Self {
        Self::start_as(Setup::default())
    }

    pub fn start_as(setup: Setup<'_>) -> Self {
        let program = match setup.engine {
            Engine::Chromium => Program::Chromium(Chromium::start(setup)),
            Engine::Firefox => Program::Firefox(Firefox::start(setup)),
        };
        Self { program, steps: Cell::new(0) }
    }

    /// What any browser can do, besides the commands of WebDriver.
    pub fn remote(&self) -> &dyn Remote {
        match &self.program {
            Program::Chromium(chromium) => chromium,
            Program::Firefox(firefox) => firefox,
        }
    }

    /// What only Chromium can do.
    pub fn chromium(&self) -> &Chromium {
        match &self.program {
            Program::Chromium(chromium) => chromium,
            Program::Firefox(_) => panic!("only Chromium can do that"),
        }
    }

    /// Opens a page, and waits until it has loaded.
    pub fn open(&self, url: &str) {
        self.tell(NAVIGATE, &json!({"url": url}));
    }

    pub fn back(&self) {
        self.tell(BACK, &json!({}));
    }

    /// Loads the page again. A form that led to it is sent again.
    pub fn reload(&self) {
        self.tell(REFRESH, &json!({}));
    }

    /// Does what leads to another page, and waits until that has loaded.
    pub fn follow(&self, act: impl FnOnce()) {
        self.steps.set(self.steps.get() + 1);
        let step = json!(self.steps.get());
        let leave = "window.leftInStep = arguments[0]; return document.title";
        let left = text(&self.script(leave, slice::from_ref(&step)));
        act();
        wait_for(&format!("what comes after {left:?}"), || {
            // Between two pages, there is no page to answer, or only an empty one.
            let there = "return window.leftInStep !== arguments[0] \
                         && document.readyState === 'complete' && document.URL !== 'about:blank'";
            let there = self.try_script(there, slice::from_ref(&step));
            there.is_ok_and(|there| there == true).then_some(())
        });
    }

    pub fn url(&self) -> String {
        text(&self.tell(GET_URL, &json!({})))
    }

    pub fn title(&self) -> String {
        text(&self.tell(GET_TITLE, &json!({})))
    }

    /// All the text that can be seen, with line breaks where the page has them.
    pub fn text(&self) -> String {
        text(&self.script("return document.body.innerText", &[]))
    }

    /// The elements that a CSS selector finds, in the order of the page.
    pub fn find_all(&self, css: &str) -> Vec<Element<'_>> {
        let found = self.tell(FIND_ELEMENTS, &json!({"using": "css selector", "value": css}));
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
        self.remote().ask(EXECUTE_SCRIPT, &json!({"script": body, "args": arguments}))
    }

    /// Runs JavaScript that returns by calling its last argument.
    pub fn script_with_callback(&self, body: &str) -> Value {
        self.tell(EXECUTE_ASYNC_SCRIPT, &json!({"script": body, "args": []}))
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
        self.tell(PERFORM_ACTIONS, &json!({"actions": [mouse]}));
    }

    fn keyboard(&self, moves: impl Iterator<Item = (&'static str, String)>) {
        let moves: Vec<Value> =
            moves.map(|(kind, key)| json!({"type": kind, "value": key})).collect();
        self.tell(
            PERFORM_ACTIONS,
            &json!({"actions": [{"type": "key", "id": "k", "actions": moves}]}),
        );
    }

    fn tell(&self, command: Command, parameters: &Value) -> Value {
        let answer = self.remote().ask(command, parameters);
        answer.unwrap_or_else(|problem| panic!("{} {parameters}: {problem}", command.name))
    }
}

impl Element<'_> {
    pub fn click(&self) {
        self.tell(CLICK, json!({}));
    }

    /// Types into the element, which gets the focus.
    pub fn type_text(&self, text: &str) {
        self.tell(SEND_KEYS, json!({"text": text}));
    }

    pub fn clear(&self) {
        self.tell(CLEAR, json!({}));
    }

    /// The value in the page's source; `None` without the attribute.
    pub fn attribute(&self, name: &str) -> Option<String> {
        let script = "return arguments[0].getAttribute(arguments[1])";
        let value = self.browser.script(script, &[self.as_json(), json!(name)]);
        value.as_str().map(str::to_string)
    }

    /// The current value, as for `value`.
    pub fn property(&self, name: &str) -> Value {
        self.tell(GET_PROPERTY, json!({"name": name}))
    }

    /// The element's role for a screen reader, as in `textbox`.
    pub fn role(&self) -> String {
        text(&self.tell(GET_ROLE, json!({})))
    }

    /// The element's name for a screen reader.
    pub fn label(&self) -> String {
        text(&self.tell(GET_LABEL, json!({})))
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

    fn tell(&self, command: Command, mut parameters: Value) -> Value {
        parameters["id"] = json!(self.id);
        self.browser.tell(command, &parameters)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_string()
}
