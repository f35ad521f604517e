//! One line per event worth telling an operator, to stderr or a file; the only place that prints.
//!
//! ```text
//! 2026-01-05T10:01:07Z INFO request method=POST route=/solve/$NONCE status=403 refusal=PinInvalid
//! time                 level what    key=value …, in quotes if the value has blanks
//! ```
//!
//! A line never holds what a stranger sent: no request targets (they carry nonces), no values of
//! headers (secrets), no bodies (addresses).

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{PoisonError, RwLock};

use challenger_proto::Timestamp;

use crate::os;

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Something does not work and needs the operator.
    Error = 1,
    /// Something went wrong, and the service goes on.
    Warning,
    /// The normal course of things: started, stopped.
    Info,
    /// For whoever looks for a fault.
    Debug,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        })
    }
}

/// Less than any level: nothing is told.
const SILENCE: u8 = 0;

static LEAST: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Where lines go instead of stderr.
static FILE: RwLock<Option<(PathBuf, File)>> = RwLock::new(None);

/// From now on, tells only what matters at least this much; with `None`, nothing. At first,
/// [`Level::Info`].
pub fn set_level(least: Option<Level>) {
    LEAST.store(least.map_or(SILENCE, |level| level as u8), Ordering::Relaxed);
}

/// From now on, appends to this file.
///
/// # Errors
/// The file cannot be opened for writing.
pub fn open_file(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    *FILE.write().unwrap_or_else(PoisonError::into_inner) = Some((path.to_path_buf(), file));
    Ok(())
}

/// Opens the file again under its name, because the old one was moved away.
///
/// # Errors
/// The file cannot be opened for writing; the old one stays in use.
pub fn reopen() -> io::Result<()> {
    let path = match &*FILE.read().unwrap_or_else(PoisonError::into_inner) {
        Some((path, _)) => path.clone(),
        None => return Ok(()),
    };
    open_file(&path)
}

/// Tells an event, if it matters enough.
pub fn log(level: Level, message: fmt::Arguments<'_>) {
    if level as u8 <= LEAST.load(Ordering::Relaxed) {
        let line = line(level, os::now(), message);
        // In one write, so that the lines of two threads do not mix. When the log is gone there is
        // nobody left to tell.
        let _ = match &*FILE.read().unwrap_or_else(PoisonError::into_inner) {
            Some((_, file)) => (&*file).write_all(line.as_bytes()),
            None => io::stderr().write_all(line.as_bytes()),
        };
    }
}

/// Tells an event of the running service, with what is known about it. A value that is more than
/// one word stands in quotes.
pub fn event(level: Level, what: &str, known: &[(&str, &dyn fmt::Display)]) {
    if level as u8 <= LEAST.load(Ordering::Relaxed) {
        log(level, format_args!("{}", pairs(what, known)));
    }
}

fn pairs(what: &str, known: &[(&str, &dyn fmt::Display)]) -> String {
    let mut text = what.to_owned();
    for (key, value) in known {
        let value = value.to_string();
        let is_word = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=');
        text.extend([" ", key, "="]);
        if !value.is_empty() && value.chars().all(is_word) {
            text.push_str(&value);
        } else {
            text.extend(["\"", &value.replace('"', "'"), "\""]);
        }
    }
    text
}

/// Tells an [`Level::Error`].
pub fn error(message: fmt::Arguments<'_>) {
    log(Level::Error, message);
}

/// Tells a [`Level::Warning`].
pub fn warn(message: fmt::Arguments<'_>) {
    log(Level::Warning, message);
}

/// Tells an [`Level::Info`].
pub fn info(message: fmt::Arguments<'_>) {
    log(Level::Info, message);
}

/// Tells a [`Level::Debug`].
pub fn debug(message: fmt::Arguments<'_>) {
    log(Level::Debug, message);
}

/// Control characters become spaces, so that nothing in a message can pass for another line.
fn line(level: Level, time: Timestamp, message: fmt::Arguments<'_>) -> String {
    let mut line = format!("{} {level} {message}", rfc3339(time));
    if line.contains(char::is_control) {
        line = line.replace(char::is_control, " ");
    }
    line.push('\n');
    line
}

/// As `2026-01-05T10:01:07Z`, from the text that the protocol shows to people.
fn rfc3339(time: Timestamp) -> String {
    let text = time.to_text();
    let minutes = text.trim_end_matches(" UTC").replace(' ', "T");
    format!("{minutes}:{:02}Z", time.seconds() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let time = Timestamp::from_seconds(1_767_607_267);
        assert_eq!(
            line(Level::Warning, time, format_args!("too many {}\r\nERROR forged", "things")),
            "2026-01-05T10:01:07Z WARNING too many things  ERROR forged\n"
        );
    }

    #[test]
    fn what_is_known_can_be_taken_apart() {
        let known: [(&str, &dyn fmt::Display); 5] = [
            ("route", &"/solve/$NONCE"),
            ("status", &403),
            ("a", &""),
            ("b", &"c=d"),
            ("e", &"f g"),
        ];
        let said = pairs("request", &known);
        assert_eq!(said, "request route=/solve/$NONCE status=403 a=\"\" b=\"c=d\" e=\"f g\"");
        let forged: [(&str, &dyn fmt::Display); 1] = [("said", &"\" status=200 x=\"")];
        assert_eq!(pairs("helper", &forged), "helper said=\"' status=200 x='\"");
    }

    #[test]
    fn levels_are_ordered_by_how_much_they_matter() {
        assert!(Level::Error < Level::Warning && Level::Warning < Level::Info);
        assert!(Level::Info < Level::Debug);
    }
}
