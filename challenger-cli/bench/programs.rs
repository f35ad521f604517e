//! Finds the programs that belong together, and runs others for their output.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Programs that were built together: this one with those beside it, or an older build.
#[derive(Clone, Debug)]
pub struct Build(PathBuf);

impl Build {
    /// The one that this program belongs to.
    pub fn own() -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
        Self::of(&own)
    }

    /// The one that a `challenger-bench` belongs to.
    pub fn of(bench: &Path) -> Result<Self, String> {
        if !bench.is_file() {
            return Err(format!("{}: expected the challenger-bench of a build", bench.display()));
        }
        Ok(Self(bench.with_file_name("")))
    }

    /// One of its programs.
    pub fn program(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.0.join(name);
        if path.is_file() {
            Ok(path)
        } else {
            Err(format!("{} is not there: build all programs of challenger-cli", path.display()))
        }
    }
}

/// Runs a program to its end, and returns what it printed.
pub fn output(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_owned();
    let program = program.display();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(format!("{program}: {}: {}", output.status, complaint.trim_end()))
    }
}
