//! Finds the programs that belong to this one, and runs others for their output.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A program that was built together with this one.
pub fn sibling(program: &str) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let path = own.with_file_name(program);
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{} is not there: build all programs of challenger-cli", path.display()))
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
