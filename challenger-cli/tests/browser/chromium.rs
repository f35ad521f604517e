//! The processes of a browser: Chromium, and the driver that starts it and passes commands on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Starts the driver, and ends it together with its browsers as soon as standard input ends: when
/// the test is done with it, and also when the test is killed. They are one process group.
const KEEPER: &str = "chromedriver --port=0 </dev/null & exec >/dev/null; cat; kill -KILL -$$";

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

/// How a browser is set up.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// The languages that it asks for, the best first, as in `de-CH,de`.
    pub languages: &'a str,
    /// Whether pages may run JavaScript. The tests' own scripts run in any case.
    pub javascript: bool,
    /// Whether a command that leaves a page returns at once, and not when the next has loaded.
    pub hasty: bool,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self { languages: "en", javascript: true, hasty: false }
    }
}

/// A driver, ready to start a browser. Both end when this is dropped.
pub struct Chromium {
    /// Where the driver listens.
    pub port: u16,
    keeper: Child,
    /// Open as long as they are to live.
    lifeline: Option<ChildStdin>,
    profile: TempDir,
}

impl Chromium {
    /// Starts the driver, on a port that it chooses. Two that start at once may choose the same:
    /// then one ends again.
    pub fn prepare() -> Self {
        let started = (0..5).find_map(|_| Self::try_to_prepare());
        started.expect("chromedriver did not start; make browser installs it")
    }

    fn try_to_prepare() -> Option<Self> {
        let profile = tempfile::tempdir().unwrap();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let lifeline = keeper.stdin.take();
        let lines = BufReader::new(keeper.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        let chromium = Self { port: port.unwrap_or_default(), keeper, lifeline, profile };
        port.is_some().then_some(chromium)
    }

    /// The description of the browser to start, for the driver.
    pub fn capabilities(&self, setup: Setup<'_>) -> Value {
        let mut flags: Vec<String> = FLAGS.map(str::to_string).into();
        flags.push(format!("--user-data-dir={}", self.profile.path().display()));
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            // Chromium's sandbox refuses to work for root.
            flags.push("--no-sandbox".to_string());
        }
        // In Chromium's words: 1 allows, 2 blocks; 4 opens these pages at start.
        let javascript = if setup.javascript { 1 } else { 2 };
        json!({
            "browserName": "chrome",
            "pageLoadStrategy": if setup.hasty { "none" } else { "normal" },
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
}

impl Drop for Chromium {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.keeper.wait();
    }
}
