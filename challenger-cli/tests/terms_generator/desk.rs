//! A desk to make legal documents at: a folder with texts, and the generator.

#![allow(dead_code, reason = "each test uses its part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::site::{stderr, stdout};

pub(crate) const EXTENSIONS: [&str; 4] = ["html", "md", "pdf", "txt"];

/// A text with a bit of everything.
pub(crate) const TEXT: &str = "\
The *first* line
================

.. Not for [[ANYBODY]]'s eyes.

.. contents::

In force since 2026. See Second_ and
`the site <https://client.example/?a=1&b=2>`_ of \"us\" \\\\ <them>.

Second
------

* one item
* another item

.. list-table:: Costs
   :header-rows: 1

   * - What
     - How much
   * - A check
     - nothing

| Example Ltd.
| Street 1
";

/// A folder with texts.
pub(crate) struct Desk(pub TempDir);

impl Desk {
    pub(crate) fn new(texts: &[(&str, &str)]) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        for (name, text) in texts {
            desk.write(name, text);
        }
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The generator, not started yet.
    pub(crate) fn generator(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(script());
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        for variable in ["LOCALE_DIR", "OUTPUT", "SOURCE_DATE_EPOCH"] {
            command.env_remove(variable);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.generator(arguments).output().unwrap()
    }

    /// Runs it with success, and returns its output and its warnings.
    pub(crate) fn make(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        (stdout(&output), stderr(&output))
    }

    /// Runs it in vain, and returns its complaint: nothing may change.
    pub(crate) fn fail(&self, command: &mut Command) -> String {
        let before = self.contents();
        let output = command.output().unwrap();
        let said = stderr(&output);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""), "{said}");
        assert!(!said.contains("Traceback"), "{said}");
        assert!(before == self.contents(), "something was written: {said}");
        said
    }

    /// All files with their contents, and folders.
    pub(crate) fn contents(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.0.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path.clone());
                }
                let content = path.is_file().then(|| fs::read(&path).unwrap());
                found.insert(path, content);
            }
        }
        found
    }

    /// The output of a program about a file.
    pub(crate) fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let output =
            Command::new(program).args(arguments).current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        format!("{}{}", stdout(&output), stderr(&output))
    }

    pub(crate) fn pdf_text(&self, name: &str) -> String {
        self.ask("pdftotext", &["-layout", name, "-"])
    }

    /// Enters translations into a file.
    pub(crate) fn translate(&self, name: &str, pairs: &[(&str, &str)]) {
        let mut text = self.read(name);
        for (english, translated) in pairs {
            let entry = format!("msgid \"{english}\"\nmsgstr \"");
            assert_eq!(text.matches(&format!("{entry}\"")).count(), 1, "{english}: {text}");
            text = text.replace(&entry, &format!("{entry}{translated}"));
        }
        self.write(name, text);
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

pub(crate) fn script() -> PathBuf {
    root().join("challenger-cli/helpers/challenger-terms-generator")
}
