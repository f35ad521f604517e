//! Runs a helper that stays, and gives it messages.

#![allow(dead_code, reason = "each test uses its part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use serde_json::{Value, json};

/// A helper that runs.
pub(crate) struct Resident {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// The answer to a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u64,
    pub(crate) log: String,
}

impl Answer {
    /// Checks that it reports a failure, with an explanation that contains this.
    #[track_caller]
    pub(crate) fn failed(&self, status: u64, with: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.log.contains(with), "{with} is not in {self:?}");
    }

    #[track_caller]
    pub(crate) fn sent(&self) {
        assert_eq!((self.status, self.log.as_str()), (0, ""));
    }

    /// Checks that it has none of these texts, which are in lower case.
    #[track_caller]
    pub(crate) fn without(self, private: &[&str]) -> Self {
        for private in private {
            assert!(!self.log.to_lowercase().contains(private), "{self:?}");
        }
        self
    }
}

/// Reads the line of an answer.
fn read(line: &str) -> Answer {
    assert!(line.ends_with('\n') && line.len() <= 16 * 1024, "{line}");
    let answer: Value = serde_json::from_str(line).unwrap();
    let log = answer.get("log").map_or("", |log| log.as_str().unwrap()).to_owned();
    Answer { status: answer["status"].as_u64().unwrap(), log }
}

impl Resident {
    /// Starts a program.
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout }
    }

    /// Writes a line, and returns the line that comes back. It is empty if the helper has ended.
    pub(crate) fn say(&mut self, line: &[u8]) -> String {
        // It need not read all of it.
        let _ = self.stdin.write_all(&[line, b"\n"].concat());
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).unwrap();
        answer
    }

    /// Writes a line, and reads the answer.
    pub(crate) fn answer(&mut self, line: &[u8]) -> Answer {
        read(&self.say(line))
    }

    /// Gives it a message.
    pub(crate) fn send(&mut self, address: &str, message: &str) -> Answer {
        self.send_with(address, message, json!({}))
    }

    /// Gives it a message with more members.
    pub(crate) fn send_with(&mut self, address: &str, message: &str, more: Value) -> Answer {
        let fields: Value = serde_json::from_str(address).unwrap_or_default();
        let mut order = json!({
            "address": fields, "argument": address, "message": message, "reference": "ABCDEF",
        });
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.say(order.to_string().as_bytes());
        assert!(answer.contains(r#""reference":"ABCDEF""#), "{answer}");
        read(&answer)
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Ends its input, and returns how it ended, and what it had printed for people.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        drop(self.stdin);
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    /// Ends its input. It succeeded, and has nothing to say to people.
    #[track_caller]
    pub(crate) fn end_well(self) {
        assert_eq!(self.end(), (Some(0), String::new()));
    }
}
