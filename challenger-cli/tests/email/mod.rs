//! Runs the helper for e-mail, with everything that it needs.

#![allow(dead_code, reason = "each test uses its part of it")]

pub(crate) mod dialogues;
pub(crate) mod mail;
pub(crate) mod postfix;
pub(crate) mod server;

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_challenger-send-email");
pub(crate) const ADA: &str = r#"{"CONTACT_EMAIL":"Ada.Lovelace@example.com"}"#;
pub(crate) const MESSAGE: &str = "1234-5678 is your code for shop.example.\n\n\
                           Do not tell it to anybody.\n";

/// A setting.
pub(crate) type Setting = (&'static str, String);

/// The outcome of a delivery.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    /// Its output, without the name of the program.
    pub(crate) said: String,
}

impl Outcome {
    /// Checks that it failed, and reported that in one line that contains this.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, with: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.said.contains(with), "{with} is not in {self:?}");
    }

    #[track_caller]
    pub(crate) fn sent(&self) {
        assert_eq!((self.code, self.said.as_str()), (Some(0), ""));
    }
}

/// Sends a message to Ada.
pub(crate) fn send(settings: &[Setting]) -> Outcome {
    send_to(ADA, settings, MESSAGE)
}

/// Sends a message, with the sender `noreply@shop.example` unless the settings have another.
pub(crate) fn send_to(address: &str, settings: &[Setting], message: impl AsRef<[u8]>) -> Outcome {
    run(&[address], settings, message)
}

/// Runs the helper, and checks that it prints nothing private.
pub(crate) fn run(arguments: &[&str], settings: &[Setting], message: impl AsRef<[u8]>) -> Outcome {
    let mut child = start(arguments, settings, message.as_ref());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    if !stderr.is_empty() {
        assert!(stderr.starts_with("challenger-send-email: "), "{stderr}");
        assert_eq!(stderr.find('\n'), Some(stderr.len() - 1), "one line: {stderr}");
    }
    let lower = stderr.to_lowercase();
    for private in ["lovelace", "1234-5678", "tell it to anybody", "swordfish"] {
        assert!(!lower.contains(private), "{stderr}");
    }
    let said = stderr.trim_start_matches("challenger-send-email: ").trim_end().to_owned();
    Outcome { code: output.status.code(), said }
}

/// The helper with these arguments and settings.
pub(crate) fn command(arguments: &[&str], settings: &[Setting]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().env("EMAIL_FROM", "noreply@shop.example");
    command.env("PATH", "/usr/bin:/bin").envs(settings.iter().map(|(name, value)| (name, value)));
    command
}

/// Starts the helper, and gives it the message.
pub(crate) fn start(arguments: &[&str], settings: &[Setting], message: &[u8]) -> Child {
    let mut command = command(arguments, settings);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It need not read all of it, or any.
    let _ = child.stdin.take().unwrap().write_all(message);
    child
}

/// Settings with others in place of those of the same name.
pub(crate) fn with(settings: &[Setting], others: &[(&'static str, &str)]) -> Vec<Setting> {
    let is_kept = |(name, _): &&Setting| others.iter().all(|(other, _)| other != name);
    let kept = settings.iter().filter(is_kept).cloned();
    kept.chain(others.iter().map(|(name, value)| (*name, (*value).to_owned()))).collect()
}
