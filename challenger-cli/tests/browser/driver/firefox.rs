//! Firefox, asked over its own connection, and what only its inside can tell and do.
//!
//! With `--marionette`, Firefox listens on a port of this machine
//! (<https://firefox-source-docs.mozilla.org/testing/marionette/>). Both sides send lists in JSON,
//! each after its length and a colon: a command is `[0, NUMBER, NAME, PARAMETERS]`, and its answer
//! `[1, NUMBER, ERROR, RESULT]`. Requests for which WebDriver has no command go to `firefox.js`,
//! which runs where the browser's own scripts do.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;

use challenger_testkit::wait_for;
use data_encoding::BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::kept::Kept;
use super::{Command, EXECUTE_SCRIPT, Remote, Setup, TIMEOUT};
use crate::network::Fetched;

/// Answers to requests, in the scope of the browser's window.
const INSIDE: &str = include_str!("firefox.js");

/// A running Firefox. It ends when this is dropped.
pub struct Firefox {
    connection: RefCell<BufReader<TcpStream>>,
    _process: Kept,
    _profile: TempDir,
}

impl Firefox {
    pub fn start(setup: Setup<'_>) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let directory = profile.path();
        fs::write(directory.join("user.js"), preferences(setup)).unwrap();
        let path = directory.to_str().unwrap();
        // Whatever does not belong into the profile goes there as well.
        let home = format!("HOME={path}");
        let access = "-remote-allow-system-access";
        let program = ["env", &home, "firefox-esr", "--headless", "--profile", path];
        let program = [&program[..], &["--marionette", access]].concat();
        let process = Kept::start(&program, Stdio::null(), Stdio::null());
        let stream = TcpStream::connect(("127.0.0.1", port(directory))).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let connection = RefCell::new(BufReader::new(stream));
        let firefox = Self { connection, _process: process, _profile: profile };
        firefox.receive().unwrap();
        let capabilities = json!({"pageLoadStrategy": setup.page_load_strategy()});
        firefox.command(
            "WebDriver:NewSession",
            &json!({"capabilities": {"alwaysMatch": capabilities}}),
        );
        firefox.inside("start", &json!([]));
        firefox
    }

    /// Calls a function of `firefox.js`.
    fn inside(&self, function: &str, arguments: &Value) -> Value {
        let script = format!("{INSIDE}\nreturn window.inside.{function}(...arguments);");
        self.command("Marionette:SetContext", &json!({"value": "chrome"}));
        let value = self.ask(EXECUTE_SCRIPT, &json!({"script": script, "args": arguments}));
        self.command("Marionette:SetContext", &json!({"value": "content"}));
        value.unwrap_or_else(|problem| panic!("{function}: {problem}"))
    }

    fn command(&self, name: &str, parameters: &Value) -> Value {
        self.try_command(name, parameters).unwrap_or_else(|problem| panic!("{name}: {problem}"))
    }

    fn try_command(&self, name: &str, parameters: &Value) -> Result<Value, String> {
        let message = json!([0, 0, name, parameters]).to_string();
        let message = format!("{}:{message}", message.len());
        let sent = self.connection.borrow_mut().get_mut().write_all(message.as_bytes());
        sent.map_err(|error| error.to_string())?;
        let mut answer = self.receive()?;
        match answer[2].take() {
            Value::Null => Ok(answer[3].take()),
            error => Err(error["message"].to_string()),
        }
    }

    fn receive(&self) -> Result<Value, String> {
        let mut connection = self.connection.borrow_mut();
        let mut message = || {
            let mut length = Vec::new();
            connection.read_until(b':', &mut length)?;
            let length = String::from_utf8_lossy(&length).trim_end_matches(':').parse();
            let mut message = vec![0; length.unwrap_or_default()];
            connection.read_exact(&mut message).map(|()| message)
        };
        let message = message().map_err(|error| error.to_string())?;
        serde_json::from_slice(&message).map_err(|error| error.to_string())
    }
}

impl Remote for Firefox {
    fn ask(&self, command: Command, parameters: &Value) -> Result<Value, String> {
        let mut result = self.try_command(&format!("WebDriver:{}", command.name), parameters)?;
        // A list is a result by itself.
        Ok(result.get_mut("value").map(Value::take).unwrap_or(result))
    }

    fn resize(&self, width: u32, zoom: u32) {
        self.inside("resize", &json!([width, zoom]));
    }

    fn emulate(&self, medium: &str, feature: &str, value: &str) {
        self.inside("emulate", &json!([medium, feature, value]));
    }

    fn picture(&self) -> Vec<u8> {
        let picture = self.command("WebDriver:TakeScreenshot", &json!({"full": true}));
        BASE64.decode(picture["value"].as_str().unwrap().as_bytes()).unwrap()
    }

    fn fetched(&self) -> Option<Vec<Fetched>> {
        let fetched = self.inside("fetched", &json!([]));
        let fetched = fetched.as_array()?.iter().map(|it| Fetched {
            url: it["url"].as_str().unwrap().to_string(),
            bytes: it["bytes"].as_u64().unwrap(),
            headers: it["headers"].clone(),
        });
        Some(fetched.collect())
    }

    fn console(&self) -> Vec<String> {
        let messages = self.inside("console", &json!([]));
        messages.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_string()).collect()
    }
}

/// The port on which a Firefox with this profile listens, as soon as it does.
fn port(profile: &Path) -> u16 {
    let file = profile.join("MarionetteActivePort");
    let port = || fs::read_to_string(&file).ok()?.trim().parse().ok();
    wait_for("Firefox, which make browser installs", port)
}

/// The profile's settings: the setup's, and those that keep Firefox quiet.
fn preferences(setup: Setup<'_>) -> String {
    let preferences = json!({
        "intl.accept_languages": setup.languages,
        "javascript.enabled": setup.javascript,
        "marionette.port": 0,
        // An empty page at the start.
        "browser.startup.page": 0,
        // As on a phone, where the bar of a page that is long takes no room.
        "ui.useOverlayScrollbars": 1,
        // Nobody is contacted but this machine: there is no such proxy.
        "network.proxy.type": 1,
        "network.proxy.http": "127.0.0.1",
        "network.proxy.http_port": 1,
        "network.proxy.ssl": "127.0.0.1",
        "network.proxy.ssl_port": 1,
    });
    let line = |(name, value): (&String, &Value)| format!("user_pref({name:?}, {value});\n");
    preferences.as_object().unwrap().iter().map(line).collect()
}
