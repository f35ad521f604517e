//! Configuration errors, as the operator reads them.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use super::{Setting, Value};
use crate::secrecy::{self, HIDDEN};

/// The origin of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A default of the program.
    BuiltIn,
    /// A file.
    File {
        /// Its path, with symbolic links resolved.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// An argument of the program.
    Program,
    /// A text that is not a file.
    Text {
        /// The line, counted from 1.
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built-in"),
            Self::File { path, line } => write!(f, "{}:{line}", secrecy::path(path)),
            Self::Program => f.write_str("set by this program"),
            Self::Text { line } => write!(f, "line {line}"),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// A line breaks the rules of the syntax, or of inclusion.
    Line {
        /// The line.
        origin: Origin,
        /// The rule it breaks.
        error: LineError,
    },
    /// A required option is absent: the service is not configured.
    Missing {
        /// The section it belongs to.
        section: String,
        /// Its name.
        option: String,
        /// Where to look, or where to write it.
        advice: String,
    },
    /// A file that must be read cannot be.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The line that includes it; none for the file that the configuration starts with.
        included_by: Option<Origin>,
        /// The system's error.
        reason: String,
    },
    /// A value is not what its option accepts.
    Value {
        /// The section, as it is spelled in the configuration.
        section: String,
        /// The option with the value and its origin.
        setting: Box<Setting>,
        /// The values that would be accepted.
        expected: String,
    },
}

impl ConfigError {
    pub(super) const fn line(origin: Origin, error: LineError) -> Self {
        Self::Line { origin, error }
    }

    /// Whether an option is absent, as opposed to wrong; programs then exit with their own code.
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { origin, error } => write!(f, "{origin}: {error}"),
            Self::Missing { section, option, advice } => {
                let section = secrecy::quote(section);
                write!(f, "[{section}] {option} is missing: {advice}")
            }
            Self::Unreadable { file, included_by, reason } => {
                if let Some(origin) = included_by {
                    write!(f, "{origin}: ")?;
                }
                write!(f, "cannot read {}: {reason}", secrecy::path(file))
            }
            Self::Value { section, setting, expected } => {
                let Setting { name, value } = &**setting;
                let Value { text, origin } = value;
                let (section, name) = (secrecy::quote(section), secrecy::name(name));
                if secrecy::is_secret(name, text) {
                    return write!(f, "{origin}: [{section}] {name}: expected {expected}");
                }
                write!(f, "{origin}: [{section}] {name} = {text:?}: expected {expected}")
            }
        }
    }
}

impl Error for ConfigError {}

/// An error in a line. No variant contains a value, which could be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineError {
    /// The file starts with a byte order mark, which some editors write.
    ByteOrderMark,
    /// A file includes itself, perhaps through others.
    Cycle(PathBuf),
    /// A directive in a file that was included for one secret section.
    DirectiveInSecret,
    /// A directive in a text that is not a file, which it could be relative to.
    DirectiveInText,
    /// A directive without its argument; the field shows the complete form.
    DirectiveIncomplete(&'static str),
    /// A directive without its second `@`.
    DirectiveUnclosed,
    /// An unknown directive.
    DirectiveUnknown(String),
    /// An option above the first section.
    NoSection,
    /// A line of no known kind.
    NotALine,
    /// Bytes that are not UTF-8, outside of comments.
    NotUtf8,
    /// The name of a file whose references are too deep, or too long; the field says the bound.
    NameUnbounded(String),
    /// A NUL, which could not be part of a file name or of an argument later.
    Nul,
    /// An `=` with nothing before it.
    OptionUnnamed,
    /// A line that begins like a section header and does not end like one.
    SectionUnclosed,
    /// The files include each other too often.
    TooManyFiles(usize),
    /// A pattern with `*` or `?` in a directory.
    WildcardInDirectory,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByteOrderMark => "the file starts with a byte order mark: expected plain UTF-8",
            Self::Cycle(path) => {
                return write!(f, "{} includes itself: expected no cycle", secrecy::path(path));
            }
            Self::DirectiveInSecret => {
                "directives are not accepted in a file of @inline-secret@: expected only options"
            }
            Self::DirectiveInText => "directives are accepted in files only",
            Self::DirectiveIncomplete(usage) => return write!(f, "expected {usage}"),
            Self::DirectiveUnclosed => "the directive is not closed: expected a second @",
            Self::DirectiveUnknown(name) => {
                // The rest of a connection text may stand behind it, up to its `@`.
                let name = if secrecy::name(name.trim()) == HIDDEN { HIDDEN } else { name };
                return write!(
                    f,
                    "unknown directive {name:?}: expected @inline@, @inline-matching@ or \
                     @inline-secret@"
                );
            }
            Self::NameUnbounded(bound) => {
                return write!(f, "the name of the file cannot be expanded: expected {bound}");
            }
            Self::NoSection => "an option before any section: expected a [section] first",
            Self::NotALine => {
                "expected [section], OPTION = VALUE, a directive, or a comment starting with # or %"
            }
            Self::NotUtf8 => "the line is not UTF-8: expected UTF-8 outside of comments",
            Self::Nul => "the line has a NUL byte: expected text",
            Self::OptionUnnamed => "no name before the =: expected OPTION = VALUE",
            Self::SectionUnclosed => {
                "the section header does not end with ]: expected [section] and nothing behind it"
            }
            Self::TooManyFiles(limit) => {
                return write!(f, "more than {limit} files are included: expected fewer");
            }
            Self::WildcardInDirectory => {
                "* and ? are accepted in the last part of the path only: expected literal \
                 directories before it"
            }
        })
    }
}
