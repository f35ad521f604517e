//! The log of the programs: one line per event that matters to an operator, to stderr or a file.
//!
//! ```text
//! 2026-01-05T10:01:07Z INFO request method=POST route=/solve/$NONCE status=403 refusal=PinInvalid
//! time                 level what    key=value …, in quotes if the value is more than one word
//! ```
//!
//! A line never contains anything that a stranger sent: no request targets (they carry nonces), no
//! values of headers (secrets), no bodies (addresses).

mod line;
mod queue;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use challenger_server::logging::LogFormat;
use challenger_server::os;
use log::{Level, LevelFilter, Log, Metadata, Record};

use self::line::{event, line};
use self::queue::Queue;
use crate::syslog;

/// The target of records about what operators changed. They are kept in the file, or else in the
/// log of the system, under this name.
pub(crate) const CHANGES: &str = "challenger-admin";

/// Writes the records of the `log` crate.
pub struct Logger {
    way: Way,
    is_json: AtomicBool,
}

/// How lines get where they go.
enum Way {
    /// Each is written before its program goes on.
    Direct(Output),
    /// A thread writes them, and the program does not wait.
    Queued(Queue),
}

/// Where lines go.
enum Output {
    File(PathBuf, File),
    Stderr,
}

impl Logger {
    /// Makes a new logger the one of this process. It writes records of level `least` and more
    /// important ones to stderr, or appends them to a file, before the program goes on.
    ///
    /// # Errors
    /// The file cannot be opened for writing, or the process has a logger already.
    pub fn start(least: LevelFilter, path: Option<&Path>) -> io::Result<Arc<Self>> {
        Self::new(Way::Direct(Output::open(path)?)).install(least)
    }

    /// The same for a service, which goes on at once: lines that nobody takes are lost in the end,
    /// and counted. [`Flushed`] is for its end.
    ///
    /// # Errors
    /// As for [`Self::start`], or there is no thread to write.
    pub fn start_queued(least: LevelFilter, path: Option<&Path>) -> io::Result<Arc<Self>> {
        Self::queued(Output::open(path)?)?.install(least)
    }

    fn queued(output: Output) -> io::Result<Arc<Self>> {
        let logger = Self::new(Way::Queued(Queue::default()));
        let writer = Arc::clone(&logger);
        let write = move || {
            if let Way::Queued(queue) = &writer.way {
                queue.write(output, |lost| writer.report(lost), |error| writer.complaint(error));
            }
        };
        thread::Builder::new().name("log".to_owned()).spawn(write)?;
        Ok(logger)
    }

    fn new(way: Way) -> Arc<Self> {
        Arc::new(Self { way, is_json: AtomicBool::new(false) })
    }

    fn install(self: Arc<Self>, least: LevelFilter) -> io::Result<Arc<Self>> {
        log::set_boxed_logger(Box::new(Arc::clone(&self))).map_err(io::Error::other)?;
        log::set_max_level(least);
        Ok(self)
    }

    /// Has lines look like this from now on; at first they are text.
    pub fn set_format(&self, format: LogFormat) {
        self.is_json.store(format == LogFormat::Json, Ordering::Relaxed);
    }

    /// Has the file opened again under its name, because the old one was moved away. If that fails,
    /// it is logged, and the old one stays in use. Does nothing without a queue.
    pub fn reopen(&self) {
        if let Way::Queued(queue) = &self.way {
            queue.reopen();
        }
    }

    fn line(&self, record: &Record<'_>) -> String {
        let is_json = self.is_json.load(Ordering::Relaxed);
        line(if is_json { LogFormat::Json } else { LogFormat::Text }, os::now(), record)
    }

    /// The line that says how many are missing.
    fn report(&self, lost: u64) -> String {
        let mut record = Record::builder();
        record.level(Level::Warn).args(format_args!("log lines"));
        self.line(&record.key_values(&[("lost", lost)]).build())
    }

    /// The line that says why the file was not opened again.
    fn complaint(&self, error: &io::Error) -> String {
        let error = error.to_string();
        let mut record = Record::builder();
        record.level(Level::Error).args(format_args!("log not reopened"));
        self.line(&record.key_values(&[("error", error.as_str())]).build())
    }
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
        match &self.way {
            Way::Direct(Output::Stderr) if record.target() == CHANGES => {
                syslog::send(CHANGES, &event(record));
            }
            // If it fails, there is no place left to report that.
            Way::Direct(output) => drop(output.write(&self.line(record))),
            Way::Queued(queue) => queue.push(self.line(record)),
        }
    }

    /// Waits until the queue is written, or for two seconds.
    fn flush(&self) {
        if let Way::Queued(queue) = &self.way {
            queue.flush();
        }
    }
}

impl Output {
    fn open(path: Option<&Path>) -> io::Result<Self> {
        Ok(match path {
            Some(path) => Self::File(path.to_owned(), append_to(path)?),
            None => Self::Stderr,
        })
    }

    /// In one write, so that the lines of two threads or programs do not mix.
    fn write(&self, line: &str) -> io::Result<()> {
        match self {
            Self::File(_, file) => (&*file).write_all(line.as_bytes()),
            Self::Stderr => io::stderr().write_all(line.as_bytes()),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Self::File(path, file) = self {
            *file = append_to(path)?;
        }
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Logs panics instead of printing them: a print would block while nobody reads standard error. Of
/// what a panic says, only fixed texts are kept; others may quote what people entered.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let error = panic.payload().downcast_ref::<&str>().copied();
        log::error!(place, error; "panic");
    }));
}

/// Writes what is queued when a program ends, be it by a panic.
pub struct Flushed;

impl Drop for Flushed {
    fn drop(&mut self) {
        log::logger().flush();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{BufRead, BufReader, pipe};
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::symlink;
    use std::sync::mpsc;

    use challenger_server::logging::lost_lines;

    use super::*;

    fn event_of(target: &str, logger: &Logger) {
        let args = format_args!("from {target}");
        logger.log(&Record::builder().target(target).args(args).build());
    }

    #[test]
    fn only_records_of_our_own_crates_are_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let output = Output::open(Some(&path)).expect("a file");
        let logger = Logger::new(Way::Direct(output));
        for target in ["tokio_postgres::prepare", "challenger_server::helper", "rustls", "ureq"] {
            event_of(target, &logger);
        }
        let text = fs::read_to_string(&path).expect("what was written");
        assert!(text.ends_with(" INFO from challenger_server::helper\n"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let [path, old] = ["log", "log.1"].map(|name| folder.path().join(name));
        let logger = Logger::queued(Output::open(Some(&path)).expect("a file")).expect("a thread");
        event_of("challenger", &logger);
        logger.flush();
        fs::rename(&path, &old).expect("moved");
        event_of("challenger", &logger);
        logger.flush();
        logger.reopen();
        event_of("challenger", &logger);
        logger.flush();
        let lines = [&old, &path].map(|path| fs::read_to_string(path).expect("a file"));
        assert_eq!(lines.map(|text| text.lines().count()), [2, 1]);
    }

    #[test]
    fn a_file_that_cannot_be_opened_again_stays_in_use() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).expect("a folder");
        let path = inner.join("log");
        let logger = Logger::queued(Output::open(Some(&path)).expect("a file")).expect("a thread");
        let old = folder.path().join("log.1");
        fs::rename(&path, &old).expect("moved");
        fs::remove_dir(&inner).expect("gone");
        logger.reopen();
        event_of("challenger", &logger);
        logger.flush();
        let text = fs::read_to_string(&old).expect("a file");
        let [complaint, event] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert!(complaint.contains(" ERROR log not reopened error=\"No such file"), "{text}");
        assert!(event.ends_with(" INFO from challenger"), "{text}");
    }

    #[test]
    fn what_nobody_reads_is_lost_and_counted_and_nobody_waits() {
        const EVENTS: u64 = 20_000;
        let (reader, writer) = pipe().expect("a pipe");
        let output = Output::File(PathBuf::new(), File::from(OwnedFd::from(writer)));
        let logger = Logger::queued(output).expect("a thread");
        logger.set_format(LogFormat::Json);
        let (send, lines) = mpsc::channel();
        let before = lost_lines();
        (0..EVENTS).for_each(|_| event_of("challenger::before", &logger));
        // Other tests may lose some, too.
        let lost_by_now = lost_lines() - before;
        assert!(lost_by_now > 1000, "{lost_by_now}");
        thread::spawn(move || {
            for line in BufReader::new(reader).lines() {
                let json: serde_json::Value =
                    serde_json::from_str(&line.expect("a line")).expect("JSON");
                send.send(json).expect("somebody waits");
            }
        });
        let (mut written, mut lost) = (0, 0);
        while written + lost < EVENTS {
            let line = lines.recv().expect("a line");
            match line["lost"].as_u64() {
                Some(number) => lost += number,
                None => written += 1,
            }
            assert!(lost == 0 || written + lost == EVENTS, "the gap is at the end: {line}");
        }
        assert!(lost <= lost_by_now, "{lost} of {lost_by_now}");
        // Once there is room, nothing is lost.
        event_of("challenger::after", &logger);
        assert_eq!(lines.recv().expect("a line")["event"], "from challenger::after");
    }

    #[test]
    fn what_cannot_be_written_is_reported_when_something_can() {
        let folder = tempfile::tempdir().expect("a folder");
        let [path, good] = ["log", "good"].map(|name| folder.path().join(name));
        symlink("/dev/full", &path).expect("a link");
        let logger = Logger::queued(Output::open(Some(&path)).expect("a file")).expect("a thread");
        for _ in 0..3 {
            event_of("challenger", &logger);
            logger.flush();
        }
        fs::remove_file(&path).expect("gone");
        symlink(&good, &path).expect("a link");
        logger.reopen();
        event_of("challenger", &logger);
        logger.flush();
        let text = fs::read_to_string(&good).expect("a file");
        let [report, event] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert!(report.ends_with(" WARNING log lines lost=3"), "{text}");
        assert!(event.ends_with(" INFO from challenger"), "{text}");
    }
}
