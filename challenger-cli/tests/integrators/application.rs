//! An application in a process of its own, as its drivers in `testdata/integrators` play it: it
//! prints where to send the browser, reads where the browser ended up, and prints the proof.

#![allow(dead_code, reason = "each test uses its part of it")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::markdown::{block, read, root, section};
use crate::site::{SECRET, Site};

/// A folder with an application and what runs it.
pub struct Application {
    folder: TempDir,
    command: Vec<&'static str>,
}

/// An application that runs, and waits for the browser.
pub struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Where it sends the browser.
    pub link: String,
}

impl Application {
    /// The code for a language in the reference, with its driver.
    pub fn documented(language: &str, ending: &str, command: &[&'static str]) -> Self {
        let reference = read("docs/api.md");
        let code = block(section(&reference, "## Code"), language);
        Self::new(&code, &format!("drive.{ending}"), command)
    }

    /// An application of ours in JavaScript.
    pub fn ours(name: &str) -> Self {
        let code = read(&format!("testdata/integrators/{name}"));
        Self::new(&code, "drive.mjs", &["node", "drive.mjs"])
    }

    /// Code, with a driver for it, and what runs them.
    pub fn new(code: &str, driver: &str, command: &[&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let (_, ending) = driver.split_once('.').unwrap();
        fs::write(path.join(format!("application.{ending}")), code).unwrap();
        fs::copy(root().join("testdata/integrators").join(driver), path.join(driver)).unwrap();
        let libraries = artifacts().join("node_modules");
        assert!(libraries.is_dir(), "make integrators gets {}", libraries.display());
        symlink(libraries, path.join("node_modules")).unwrap();
        Self { folder, command: command.to_vec() }
    }

    /// Runs a program in its folder, such as a compiler.
    pub fn prepared_by(
        self,
        program: &str,
        arguments: &[&str],
        settings: &[(&str, &Path)],
    ) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).envs(settings.iter().copied()).current_dir(self.folder.path());
        let output = command.output();
        let output = output.unwrap_or_else(|_| panic!("make integrators installs {program}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self
    }

    /// Starts it as the client of a site, and waits until it sends the browser away.
    pub fn start(&self, site: &Site, callback: &str) -> Running {
        let mut command = Command::new(self.command[0]);
        command.args(&self.command[1..]).current_dir(self.folder.path());
        command.env("CHALLENGER", site.url("").trim_end_matches('/'));
        command.envs([("CLIENT_ID", "1"), ("CLIENT_SECRET", SECRET), ("CALLBACK", callback)]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn();
        let mut child =
            child.unwrap_or_else(|_| panic!("make integrators installs {}", self.command[0]));
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut link = String::new();
        stdout.read_line(&mut link).unwrap();
        let link = link.trim_end().to_string();
        assert!(!link.is_empty(), "{}", complaint(&mut child));
        Running { child, stdout, link }
    }
}

impl Running {
    /// The proof, after the browser came back to this URL; or the application's complaint.
    pub fn finish(mut self, back: &str) -> Result<Value, String> {
        let mut stdin = self.child.stdin.take().unwrap();
        stdin.write_all(format!("{back}\n").as_bytes()).unwrap();
        drop(stdin);
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        let complaint = complaint(&mut self.child);
        let ended = self.child.wait().unwrap();
        if ended.success() { Ok(serde_json::from_str(&said).unwrap()) } else { Err(complaint) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All that it says on standard error, until it ends.
fn complaint(child: &mut Child) -> String {
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    complaint
}

/// Where `make integrators` puts libraries, and compilers may keep what they built.
pub fn artifacts() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("integrators")
}
