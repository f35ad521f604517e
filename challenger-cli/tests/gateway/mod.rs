//! Runs the helper for gateways, with everything that it needs.

#![allow(dead_code, reason = "each test uses its part of it")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::provider::{Act, Asked, Provider};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_challenger-send-http");
pub(crate) const ADDRESS: &str = r#"{"CONTACT_PHONE":"+41798765432"}"#;
pub(crate) const MESSAGE: &str = "1234-5678 is your code for shop.example.\nTell nobody.\n";
pub(crate) const SECRET: &str = "swordfish-\"7\"/+ü";

/// The texts that no output may have, in lower case.
pub(crate) const PRIVATE: [&str; 6] =
    ["798765432", "1234-5678", "tell nobody", "swordfish", "lovelace", "c3dvc"];

/// A setting.
pub(crate) type Setting<'a> = (&'a str, &'a str);

/// The outcome of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    /// Its complaint, without the name of the program.
    pub(crate) said: String,
}

impl Outcome {
    /// Checks that it failed, and reported that in one line that contains this.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, with: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.said.contains(with), "{with} is not in {self:?}");
        assert!(!self.said.contains('\n'), "{self:?}");
    }

    /// Checks that nothing was wrong with the settings, whether there is such a gateway or not.
    #[track_caller]
    pub(crate) fn has_no_mistake(&self) {
        assert!(matches!(self.code, Some(0 | 75)), "{self:?}");
    }

    #[track_caller]
    pub(crate) fn sent(&self) {
        assert_eq!((self.code, self.said.as_str()), (Some(0), ""), "{self:?}");
    }
}

/// The path of a ready configuration.
pub(crate) fn ready_file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/gateways")).join(name)
}

/// Sends a message to the number in [`ADDRESS`].
pub(crate) fn send(settings: &[Setting<'_>]) -> Outcome {
    run(&[ADDRESS], settings, MESSAGE)
}

/// The helper with these arguments and settings.
pub(crate) fn command(arguments: &[&str], settings: &[Setting<'_>]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin");
    command.env("CHALLENGER_BASE_CONFIG", "/none").env("HOME", "/none");
    command.envs(settings.iter().copied());
    command
}

/// Runs the helper, and checks that it prints nothing private.
pub(crate) fn run(arguments: &[&str], settings: &[Setting<'_>], message: &str) -> Outcome {
    let mut command = command(arguments, settings);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It need not read all of it, or any.
    let _ = child.stdin.take().unwrap().write_all(message.as_bytes());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    if !stderr.is_empty() {
        assert!(stderr.starts_with("challenger-send-http: "), "{stderr}");
    }
    let lower = stderr.to_lowercase();
    for private in PRIVATE {
        assert!(!lower.contains(private), "{stderr}");
    }
    let said = stderr.trim_start_matches("challenger-send-http: ").trim_end().to_owned();
    let stdout = String::from_utf8(output.stdout).unwrap();
    Outcome { code: output.status.code(), stdout, said }
}

/// A gateway that always does this.
pub(crate) fn gateway(act: Act) -> Provider {
    Provider::start(move |_| act.clone())
}

/// The only request that a gateway got.
#[track_caller]
pub(crate) fn only(gateway: &Provider) -> Asked {
    let [asked] = gateway.asked().try_into().unwrap();
    asked
}
