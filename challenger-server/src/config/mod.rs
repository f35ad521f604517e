//! Reading a configuration in the syntax of GNUnet and Taler, with the origin of every value.
//!
//! ```
//! use std::path::PathBuf;
//! use challenger_server::config::{Config, Environment};
//!
//! let environment = Environment { directory: PathBuf::from("/"), ..Environment::default() };
//! let text = "[challenger]\nPORT = 9967\nTERMS_DIR = ${DATADIR}terms/\n";
//! let config = Config::from_text(text, &environment)?;
//!
//! let port = config.required("Challenger", "port")?.number(1..=65535)?;
//! assert_eq!(port, 9967);
//! let terms = config.required("challenger", "TERMS_DIR")?.filename()?;
//! assert_eq!(terms, PathBuf::from("/usr/share/challenger/terms/"));
//! assert!(config.entry("challenger", "ADDRESS_TYPE").is_none());
//! # Ok::<(), challenger_server::config::ConfigError>(())
//! ```

mod duration;
mod error;
mod expand;
mod files;
mod include;
mod load;
#[cfg(test)]
mod memory_files;
pub(crate) mod parse;
mod values;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

pub use duration::TimeSpan;
pub use error::{ConfigError, LineError, Origin};
pub use files::{Disk, Environment, Files};
pub use values::Entry;

/// All sections in the order in which they were first named, and how they came together.
pub struct Config {
    sections: Vec<Section>,
    files: Vec<LoadedFile>,
    /// How many of the files are defaults.
    base_files: usize,
    main_file: Option<PathBuf>,
    usual_places: Vec<PathBuf>,
    environment: Environment,
    warnings: RefCell<BTreeSet<String>>,
}

impl Config {
    /// Reads the base configuration and then the file that is asked for, else the first readable
    /// one of the usual places, if any.
    pub fn load(
        files: &dyn Files,
        environment: &Environment,
        asked_for: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        load::load(files, environment, asked_for)
    }

    /// Reads a text that is not a file, over the built-in defaults only. It may not have
    /// directives.
    pub fn from_text(text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        load::from_text(text, environment)
    }

    /// All sections.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// A section by its name, in any case.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name.eq_ignore_ascii_case(name))
    }

    /// The value of an option by its names, in any case. A hidden section has none.
    pub fn value(&self, section: &str, option: &str) -> Option<&Value> {
        self.entry(section, option).map(|entry| &entry.setting.value)
    }

    /// The files that were read, in order, and how deep they were included.
    pub fn files(&self) -> &[LoadedFile] {
        &self.files
    }

    /// The file the configuration starts with, if one was asked for or found.
    pub fn main_file(&self) -> Option<&Path> {
        self.main_file.as_deref()
    }

    /// Sets an option to a value of the program's own, over the loaded one.
    pub fn set(&mut self, section: &str, option: &str, text: &str) {
        self.assign(section, option, Value::new(String::from(text), Origin::Program));
    }

    /// The warnings so far, from loading and from expanding file names.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().iter().cloned().collect()
    }

    /// The environment that it was read in.
    pub const fn environment(&self) -> &Environment {
        &self.environment
    }

    fn empty(environment: Environment) -> Self {
        Self {
            sections: Vec::new(),
            files: Vec::new(),
            base_files: 0,
            main_file: None,
            usual_places: Vec::new(),
            environment,
            warnings: RefCell::default(),
        }
    }

    /// The latest assignment wins, spelling included.
    fn assign(&mut self, section: &str, option: &str, value: Value) {
        let setting = Setting { name: String::from(option), value };
        self.edit(section, |Section { settings, .. }| {
            match settings.iter_mut().find(|other| other.name.eq_ignore_ascii_case(option)) {
                None => settings.push(setting),
                Some(other) => *other = setting,
            }
        });
    }

    fn hide(&mut self, section: &str, file: PathBuf) {
        self.edit(section, |section| section.hidden_in = Some(file));
    }

    fn mark_secret(&mut self, section: &str, file: &Path) {
        self.edit(section, |section| section.secret_in = Some(file.to_path_buf()));
    }

    /// Changes a section, and adds it first if it does not exist.
    fn edit(&mut self, name: &str, change: impl FnOnce(&mut Section)) {
        match self.sections.iter_mut().find(|section| section.name.eq_ignore_ascii_case(name)) {
            None => {
                let name = String::from(name);
                let settings = Vec::new();
                let mut section = Section { name, settings, hidden_in: None, secret_in: None };
                change(&mut section);
                self.sections.push(section);
            }
            Some(section) => change(section),
        }
    }

    fn warn(&self, warning: String) {
        self.warnings.borrow_mut().insert(warning);
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("sections", &self.sections).finish_non_exhaustive()
    }
}

/// A section with its settings in the order in which they were first made.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name, as it was first spelled.
    pub name: String,
    /// Its options.
    pub settings: Vec<Setting>,
    /// The secret file that would hold the section but cannot be read. All options then count as
    /// absent.
    pub hidden_in: Option<PathBuf>,
    /// The secret file that some of its values were read from.
    pub secret_in: Option<PathBuf>,
}

impl Section {
    /// An option by its name, in any case, even of a hidden section.
    pub fn setting(&self, option: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name.eq_ignore_ascii_case(option))
    }
}

/// An option with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name of the option, as it was last spelled.
    pub name: String,
    /// The value it was last given.
    pub value: Value,
}

/// A value and where it comes from.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    /// The text, without the quotes around it.
    pub text: String,
    /// Where it was written.
    pub origin: Origin,
}

impl Value {
    const fn new(text: String, origin: Origin) -> Self {
        Self { text, origin }
    }
}

/// Without the text, which may be a secret.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({})", self.origin)
    }
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedFile {
    /// Its path, with symbolic links resolved.
    pub path: PathBuf,
    /// How many files it was included through.
    pub depth: usize,
}
