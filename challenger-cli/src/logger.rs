//! The log of the programs: one line per event that matters to an operator, to stderr or a file.
//!
//! ```text
//! 2026-01-05T10:01:07Z INFO request method=POST route=/solve/$NONCE status=403 refusal=PinInvalid
//! time                 level what    key=value …, in quotes if the value is more than one word
//! ```
//!
//! A line never contains anything that a stranger sent: no request targets (they carry nonces), no
//! values of headers (secrets), no bodies (addresses).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use challenger_proto::Timestamp;
use challenger_server::os;
use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::syslog;

/// The target of records about what operators changed. They are kept in the file, or else in the
/// log of the system, under this name.
pub(crate) const CHANGES: &str = "challenger-admin";

/// Writes the records of the `log` crate.
pub struct Logger {
    /// Where lines go instead of stderr.
    file: Option<(PathBuf, RwLock<File>)>,
}

impl Logger {
    /// Makes a new logger the one of this process. It writes records of level `least` and more
    /// important ones to stderr, or appends them to a file.
    ///
    /// # Errors
    /// The file cannot be opened for writing, or the process has a logger already.
    pub fn start(least: LevelFilter, path: Option<&Path>) -> io::Result<Arc<Self>> {
        let logger = Arc::new(Self::open(path)?);
        log::set_boxed_logger(Box::new(Arc::clone(&logger))).map_err(io::Error::other)?;
        log::set_max_level(least);
        Ok(logger)
    }

    fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = match path {
            Some(path) => Some((path.to_owned(), RwLock::new(append_to(path)?))),
            None => None,
        };
        Ok(Self { file })
    }

    /// Opens the file again under its name, because the old one was moved away.
    ///
    /// # Errors
    /// The file cannot be opened for writing; the old one stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        if let Some((path, file)) = &self.file {
            let new = append_to(path)?;
            *file.write().unwrap_or_else(PoisonError::into_inner) = new;
        }
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Log for Logger {
    /// Only records of our own crates are written. Others log things that must not be kept: the
    /// driver of PostgreSQL, for one, logs the parameters of statements, which include addresses.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("challenger")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if record.target() == CHANGES && self.file.is_none() {
            syslog::send(CHANGES, &event(record));
            return;
        }
        let line = line(os::now(), record);
        // One write, so that the lines of two threads do not mix. If it fails, there is no place
        // left to report that.
        let _ = match &self.file {
            Some((_, file)) => {
                let file = file.read().unwrap_or_else(PoisonError::into_inner);
                (&*file).write_all(line.as_bytes())
            }
            None => io::stderr().write_all(line.as_bytes()),
        };
    }

    fn flush(&self) {}
}

fn line(time: Timestamp, record: &Record<'_>) -> String {
    let level = match record.level() {
        Level::Error => "ERROR",
        Level::Warn => "WARNING",
        Level::Info => "INFO",
        Level::Debug | Level::Trace => "DEBUG",
    };
    format!("{} {level} {}\n", time.to_rfc3339(), event(record))
}

/// What happened, and what is known about it. Control characters become spaces, so that nothing in
/// a record can pass for another line.
fn event(record: &Record<'_>) -> String {
    let mut event = record.args().to_string();
    // Fails only if `Pairs` does, which it never does.
    let _ = record.key_values().visit(&mut Pairs(&mut event));
    if event.contains(char::is_control) {
        event = event.replace(char::is_control, " ");
    }
    event
}

/// Appends ` key=value` for each pair whose value is known.
struct Pairs<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        if is_unknown(&value) {
            return Ok(());
        }
        let value = value.to_string();
        let is_word = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=');
        self.0.extend([" ", key.as_str(), "="]);
        if !value.is_empty() && value.chars().all(is_word) {
            self.0.push_str(&value);
        } else {
            self.0.extend(["\"", &value.replace('"', "'"), "\""]);
        }
        Ok(())
    }
}

/// Whether a value is the `None` of an `Option`.
fn is_unknown(value: &Value<'_>) -> bool {
    struct Unknown(bool);
    impl VisitValue<'_> for Unknown {
        fn visit_any(&mut self, _: Value<'_>) -> Result<(), kv::Error> {
            Ok(())
        }

        fn visit_null(&mut self) -> Result<(), kv::Error> {
            self.0 = true;
            Ok(())
        }
    }
    let mut unknown = Unknown(false);
    let _ = value.visit(&mut unknown);
    unknown.0
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The line for a record of these pairs, without its time.
    fn written(level: Level, what: &str, pairs: &[(&str, Value<'_>)]) -> String {
        let time = Timestamp::from_seconds(1_767_607_267);
        let args = format_args!("{what}");
        let record = Record::builder().level(level).args(args).key_values(&pairs).build();
        let line = line(time, &record);
        line.strip_prefix("2026-01-05T10:01:07Z ").expect("the time comes first").to_owned()
    }

    #[test]
    fn an_event_is_one_line() {
        assert_eq!(
            written(Level::Warn, "too many things\r\nERROR forged", &[]),
            "WARNING too many things  ERROR forged\n"
        );
        let forged = [("said", Value::from("a\nb"))];
        assert_eq!(written(Level::Error, "helper", &forged), "ERROR helper said=\"a b\"\n");
    }

    #[test]
    fn what_is_known_can_be_taken_apart() {
        let pairs = [
            ("route", Value::from("/solve/$NONCE")),
            ("status", Value::from(403)),
            ("refusal", Value::null()),
            ("a", Value::from("")),
            ("b", Value::from("c=d")),
            ("e", Value::from("f g")),
        ];
        assert_eq!(
            written(Level::Info, "request", &pairs),
            "INFO request route=/solve/$NONCE status=403 a=\"\" b=\"c=d\" e=\"f g\"\n"
        );
        let forged = [("said", Value::from("\" status=200 x=\""))];
        assert_eq!(
            written(Level::Debug, "helper", &forged),
            "DEBUG helper said=\"' status=200 x='\"\n"
        );
    }

    #[test]
    fn only_records_of_our_own_crates_are_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let logger = Logger::open(Some(&path)).expect("a file");
        for target in ["tokio_postgres::prepare", "challenger_server::helper", "rustls", "ureq"] {
            let args = format_args!("from {target}");
            logger.log(&Record::builder().target(target).args(args).build());
        }
        let text = fs::read_to_string(&path).expect("what was written");
        assert!(text.ends_with(" INFO from challenger_server::helper\n"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let [path, old] = ["log", "log.1"].map(|name| folder.path().join(name));
        let logger = Logger::open(Some(&path)).expect("a file");
        let event = Record::builder().target("challenger").args(format_args!("event")).build();
        logger.log(&event);
        fs::rename(&path, &old).expect("moved");
        logger.log(&event);
        logger.reopen().expect("opened again");
        logger.log(&event);
        let lines = [old, path].map(|path| fs::read_to_string(path).expect("a file"));
        assert_eq!(lines.map(|text| text.lines().count()), [2, 1]);
    }
}
