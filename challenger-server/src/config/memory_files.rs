//! Files in memory, for the tests of loading.

use std::collections::BTreeMap;
use std::io::{self, Error, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Config, ConfigError, Environment, Files};

/// The main file of the tests.
pub(super) const MAIN: &str = "/etc/challenger/challenger.conf";

/// Files in memory: by path a content, the path a link leads to, or the kind of error.
#[derive(Default)]
pub(super) struct MemoryFiles(BTreeMap<PathBuf, Entry>);

enum Entry {
    Closed,
    Link(&'static str),
    Text(Vec<u8>),
}

impl MemoryFiles {
    pub(super) fn with(mut self, path: &str, text: impl Into<Vec<u8>>) -> Self {
        self.0.insert(PathBuf::from(path), Entry::Text(text.into()));
        self
    }

    pub(super) fn with_closed(mut self, path: &str) -> Self {
        self.0.insert(PathBuf::from(path), Entry::Closed);
        self
    }

    pub(super) fn with_link(mut self, path: &str, target: &'static str) -> Self {
        self.0.insert(PathBuf::from(path), Entry::Link(target));
        self
    }

    pub(super) fn load(&self) -> Config {
        self.load_in(&[]).unwrap()
    }

    pub(super) fn load_in(&self, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::load(self, &environment(variables), None)
    }

    pub(super) fn complaint(&self) -> String {
        self.load_in(&[]).unwrap_err().to_string()
    }
}

/// The environment of the tests.
pub(super) fn environment(variables: &[(&str, &str)]) -> Environment {
    let pairs = variables.iter();
    Environment {
        variables: pairs.map(|(name, value)| (String::from(*name), String::from(*value))).collect(),
        directory: PathBuf::from("/srv"),
        prefix: None,
    }
}

/// A path without `..`. No test has a `..` after a link.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.0.get(&self.canonical(path)?) {
            Some(Entry::Text(text)) => Ok(text.clone()),
            Some(Entry::Closed) => Err(Error::from(ErrorKind::PermissionDenied)),
            Some(Entry::Link(_)) | None => Err(Error::from(ErrorKind::NotFound)),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let directory = plain(directory);
        if let Some(Entry::Closed) = self.0.get(&directory) {
            return Err(Error::from(ErrorKind::PermissionDenied));
        }
        let inside = |path: &&PathBuf| path.parent() == Some(directory.as_path());
        // Backwards, so that sorting is not left to chance.
        let paths: Vec<_> = self.0.keys().rev().filter(inside).cloned().collect();
        match paths.as_slice() {
            [] => Err(Error::from(ErrorKind::NotFound)),
            _ => Ok(paths),
        }
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        let path = plain(path);
        match self.0.get(&path) {
            Some(Entry::Link(target)) => Ok(PathBuf::from(target)),
            Some(_) => Ok(path),
            None => Err(Error::from(ErrorKind::NotFound)),
        }
    }
}

/// The text of an option, if it has one.
pub(super) fn text<'a>(config: &'a Config, section: &str, option: &str) -> Option<&'a str> {
    config.value(section, option).map(|value| value.text.as_str())
}

/// Where an option was set.
pub(super) fn origin(config: &Config, section: &str, option: &str) -> String {
    config.value(section, option).unwrap().origin.to_string()
}

pub(super) fn loaded(config: &Config) -> Vec<(usize, &str)> {
    let files = config.files().iter();
    files.map(|file| (file.depth, file.path.to_str().unwrap())).collect()
}
