//! A program that does not outlive the test that started it.

use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Starts a program, and ends it together with all that it started as soon as standard input ends:
/// when the test is done with it, and also when the test is killed. They are one process group.
const KEEPER: &str = "\"$@\" </dev/null & exec >/dev/null; cat; kill -KILL -$$";

/// A running program, which ends when this is dropped.
pub struct Kept {
    keeper: Child,
    /// Open as long as it is to live.
    lifeline: Option<ChildStdin>,
}

impl Kept {
    /// Starts a program with arguments; its messages go to `output` and `errors`.
    pub fn start(program: &[&str], output: Stdio, errors: Stdio) -> Self {
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .args(program)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .unwrap();
        let lifeline = keeper.stdin.take();
        Self { keeper, lifeline }
    }

    /// Its output, if that is a pipe.
    pub fn output(&mut self) -> ChildStdout {
        self.keeper.stdout.take().unwrap()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.keeper.wait();
    }
}
