//! Runs one of the helper scripts, with nothing in its `PATH` but programs that write down their
//! arguments first.

#![allow(dead_code, reason = "each test uses its part of it")]

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use challenger_server::process::{self, ProcessError};
use tempfile::TempDir;

use crate::site::write_script;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The path of a script.
pub(crate) fn path(name: &str) -> PathBuf {
    root().join("challenger-cli/helpers").join(name)
}

/// A script, with the programs it may use.
pub(crate) struct Script {
    name: &'static str,
    pub(crate) folder: TempDir,
    settings: Vec<(String, String)>,
}

/// The outcome of a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// As when all is well, without a word.
    pub(crate) fn well() -> Self {
        Self { code: Some(0), stdout: String::new(), stderr: String::new() }
    }
}

impl Script {
    pub(crate) fn new(name: &'static str, programs: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in ["bin", "tmp", "home"] {
            fs::create_dir(folder.path().join(part)).unwrap();
        }
        let script = Self { name, folder, settings: Vec::new() };
        for program in programs {
            script.install(program, "records.sh");
        }
        script
    }

    /// Sets a setting, also in place of an earlier value.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.unset(name);
        self.settings.push((name.to_owned(), value.into()));
    }

    pub(crate) fn unset(&mut self, name: &str) {
        self.settings.retain(|(it, _)| it != name);
    }

    fn install(&self, program: &str, stand_in: &str) {
        let stand_in = root().join("testdata/helpers").join(stand_in);
        symlink(stand_in, self.folder.path().join("bin").join(program)).unwrap();
    }

    /// Puts a stand-in of `testdata/helpers` in the place of a program.
    pub(crate) fn replace(&self, program: &str, stand_in: &str) {
        self.uninstall(program);
        self.install(program, stand_in);
    }

    /// Puts a program in the place of another.
    pub(crate) fn rewrite(&self, program: &str, text: &str) {
        write_script(&self.folder.path().join("bin").join(program), text);
    }

    /// Takes a program away.
    pub(crate) fn uninstall(&self, program: &str) {
        fs::remove_file(self.folder.path().join("bin").join(program)).unwrap();
    }

    pub(crate) fn run(&self, address: &str, message: &str) -> Ran {
        self.run_with(&[], &[address], message)
    }

    /// Runs it with options for the shell, and with these arguments.
    pub(crate) fn run_with(&self, shell: &[&str], arguments: &[&str], message: &str) -> Ran {
        let ran = self.run_beside(shell, arguments, message);
        assert_eq!(self.left(), Vec::<String>::new(), "it cleans up");
        ran
    }

    /// Like [`Self::run_with`], beside files that are not its own.
    pub(crate) fn run_beside(&self, shell: &[&str], arguments: &[&str], message: &str) -> Ran {
        let mut command = Command::new("/bin/sh");
        command.args(shell).arg(path(self.name)).args(arguments).env_clear();
        command.envs(self.environment());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It need not read.
        let _ = child.stdin.take().unwrap().write_all(message.as_bytes());
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let folder = |name: &str| self.folder.path().join(name).display().to_string();
        let own = [
            ("PATH", folder("bin")),
            ("RECORD", folder("record")),
            ("TMPDIR", folder("tmp")),
            ("HOME", folder("home")),
            ("LANG", "C.UTF-8".to_owned()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        own.into_iter().chain(self.settings.iter().cloned()).collect()
    }

    /// Has the service run it, for so long at most. Returns how it failed.
    pub(crate) fn serve(&self, address: &str, message: &str, limit: Duration) -> ProcessError {
        let helper =
            process::HelperCommand::new("/bin/sh", limit).with_environment(self.environment());
        let helper = helper.with_arguments(&[path(self.name).to_str().unwrap()]);
        helper.run(address, message, &[], &[]).unwrap_err()
    }

    /// The files in its directory for temporary files.
    pub(crate) fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("tmp")).unwrap();
        let name = |entry: DirEntry| entry.file_name().into_string().unwrap();
        let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
        names.sort();
        names
    }

    /// The outcome of a failure, with this as the only output.
    pub(crate) fn complaint(&self, code: i32, complaint: &str) -> Ran {
        let stderr = format!("{}: {complaint}\n", self.name);
        Ran { code: Some(code), stdout: String::new(), stderr }
    }

    /// The command lines of all programs it ever ran.
    pub(crate) fn command_lines(&self) -> String {
        fs::read_to_string(self.folder.path().join("record")).unwrap_or_default()
    }
}
