//! Helpers that stay: `AUTH_HELPER = resident`.
//!
//! There are as many as messages are delivered at the same time, which the places before them
//! bound. The one that was used last is used first, so that those that are not needed become idle
//! and are ended. One thread attends those without a message: it ends them when they were idle for
//! too long, and finds those that ended by themselves.

use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::process::resident::{Asked, End, Passport, Resident};
use crate::process::{HelperCommand, Kept, Private, ProcessErrorKind};
use crate::secrecy;

pub use crate::process::resident::{ANSWER_MAX, ResidentError};

/// How long one that has nothing to do is kept: a person asks for the next message sooner, as long
/// as anybody comes at all.
pub const IDLE: Duration = Duration::from_secs(60);

/// How often to look whether one without a message is still as it should be.
const LOOK: Duration = Duration::from_secs(1);

/// The pause after the second failure in a row; each further failure doubles it.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause. People wait for it.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Helpers that stay, all of the same program.
pub struct Residents {
    shared: Arc<Shared>,
    attendant: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    command: HelperCommand,
    idle_max: Duration,
    book: Mutex<Book>,
    /// One has come back, for those that wait behind a pause.
    returned: Condvar,
    /// One is leaving, or all is over, for the thread that attends them.
    changed: Condvar,
}

#[derive(Default)]
struct Book {
    /// Those without a message, the one that was used last at the end.
    idle: Vec<Idle>,
    /// Those that are no longer fit for a message.
    leaving: Vec<Resident>,
    failures: Failures,
    is_over: bool,
}

struct Idle {
    resident: Resident,
    since: Instant,
}

/// Failures in a row.
#[derive(Default)]
struct Failures {
    count: u32,
    last: Option<Instant>,
}

impl Failures {
    /// The pause after them.
    fn pause(&self) -> Duration {
        let doublings = self.count.saturating_sub(2);
        let pause = PAUSE.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX));
        if self.count < 2 { Duration::ZERO } else { pause.min(PAUSE_MAX) }
    }

    /// How long nothing must be started yet.
    fn left(&self) -> Duration {
        self.last.map_or(Duration::ZERO, |last| self.pause().saturating_sub(last.elapsed()))
    }

    /// Counts one, of a program that was started at this time. Programs that ran at the same time
    /// often fail at the same time, and count once.
    fn add(&mut self, started: Instant) {
        if self.last.is_none_or(|last| last <= started) {
            self.count = self.count.saturating_add(1);
        }
        self.last = Some(Instant::now());
    }
}

/// What became of a message.
#[derive(Debug)]
pub struct Delivered {
    /// Why it was not delivered.
    pub result: Result<(), ResidentError>,
    /// What the helper had to say, in the form that [`HelperCommand::run`] returns.
    pub said: String,
}

impl Residents {
    /// Helpers of this program, none of which is started yet. One is ended when it was idle for
    /// `idle_max`.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn new(command: HelperCommand, idle_max: Duration) -> io::Result<Self> {
        let (book, returned, changed) = (Mutex::default(), Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { command, idle_max, book, returned, changed });
        let attended = Arc::clone(&shared);
        let attendant = thread::Builder::new().name("residents".to_string());
        let attendant = attendant.spawn(move || attended.attend())?;
        Ok(Self { shared, attendant: Mutex::new(Some(attendant)) })
    }

    /// The program, as it was given.
    pub fn program(&self) -> &str {
        self.shared.command.program()
    }

    /// Has a message delivered, which is one line of JSON, without its end. An answer that has a
    /// reference must have the message's. `private` is hidden in what the helper says, and in what
    /// it says during its next message.
    pub fn deliver(&self, message: &str, reference: &str, private: &[Private<'_>]) -> Delivered {
        let shared = &*self.shared;
        let (begun, timeout) = (Instant::now(), shared.command.timeout());
        let mut resident = match shared.take(begun) {
            Ok(resident) => resident,
            Err(error) => return Delivered { result: Err(error), said: String::new() },
        };
        let passport = resident.passport;
        let kept = private.iter().copied().map(Kept::from).collect();
        let before = mem::replace(&mut resident.private, kept);
        let asked = resident.ask(message, reference, timeout.saturating_sub(begun.elapsed()));
        let Asked { mut result, said: (said, is_cut), resident } = asked;
        if let Err(ResidentError::Process(ProcessErrorKind::TimedOut(time))) = &mut result {
            *time = timeout;
        }
        match resident {
            Ok(resident) => shared.give_back(resident),
            Err(how) => shared.failed(passport, &how),
        }
        let private: Vec<Private<'_>> =
            private.iter().copied().chain(before.iter().map(Private::from)).collect();
        Delivered { result, said: shared.command.printable(&said, is_cut, &private) }
    }

    /// Ends all that have no message, and from now on each after its message. Returns when they
    /// have ended.
    pub fn finish(&self) {
        self.shared.book().is_over = true;
        self.shared.changed.notify_all();
        let attendant = self.attendant.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It panics only if there is a bug, and then there is nobody left to end them.
        let _ = attendant.map(JoinHandle::join);
    }
}

impl Drop for Residents {
    fn drop(&mut self) {
        self.finish();
    }
}

impl fmt::Debug for Residents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Residents({:?})", self.shared.command)
    }
}

impl Shared {
    /// No code panics while it holds the lock, so the content is consistent.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One for a message that is under way since `begun`: an idle one, or a new one, as soon as it
    /// may be started.
    fn take(&self, begun: Instant) -> Result<Resident, ResidentError> {
        let mut book = self.book();
        loop {
            while let Some(Idle { mut resident, .. }) = book.idle.pop() {
                if resident.is_ready() {
                    return Ok(resident);
                }
                book.leaving.push(resident);
                self.changed.notify_all();
            }
            let pause = book.failures.left();
            if pause.is_zero() {
                break;
            }
            // Behind the pause, there has to be time enough to deliver the message.
            if pause > (self.command.timeout() / 2).saturating_sub(begun.elapsed()) {
                return Err(ResidentError::Paused(pause));
            }
            let waited = self.returned.wait_timeout(book, pause);
            book = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(book);
        let resident = Resident::start(&self.command)
            .map_err(|error| ResidentError::Process(ProcessErrorKind::NotStarted(error)))?;
        let process = resident.passport.process;
        log::info!(program = self.program(), process; "helper started");
        Ok(resident)
    }

    /// Takes one back that has answered.
    fn give_back(&self, resident: Resident) {
        let mut book = self.book();
        book.failures = Failures::default();
        if book.is_over {
            drop(book);
            self.end(vec![resident]);
            return;
        }
        book.idle.push(Idle { resident, since: Instant::now() });
        drop(book);
        self.returned.notify_all();
    }

    /// Counts one that failed, and logs it.
    fn failed(&self, Passport { process, started }: Passport, error: &str) {
        let mut book = self.book();
        book.failures.add(started);
        let pause_ms = book.failures.pause().as_millis();
        drop(book);
        log::warn!(program = self.program(), process, error, pause_ms; "helper failed");
    }

    /// Attends those without a message, until all is over and they have ended.
    fn attend(&self) {
        let mut book = self.book();
        loop {
            let is_over = book.is_over;
            let mut leaving = mem::take(&mut book.leaving);
            for Idle { mut resident, since } in mem::take(&mut book.idle) {
                if is_over || since.elapsed() >= self.idle_max || !resident.is_ready() {
                    leaving.push(resident);
                } else {
                    book.idle.push(Idle { resident, since });
                }
            }
            if !leaving.is_empty() {
                drop(book);
                self.end(leaving);
                book = self.book();
            } else if is_over {
                return;
            } else {
                // Nobody wakes it for each message.
                let waited = self.changed.wait_timeout(book, LOOK.min(self.idle_max));
                book = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Ends some that have no message, and logs how they ended.
    fn end(&self, residents: Vec<Resident>) {
        for (passport, end) in Resident::end(residents) {
            match end {
                End::Good => {
                    let (program, process) = (self.program(), passport.process);
                    log::info!(program, process; "helper ended");
                }
                End::Bad(error) => self.failed(passport, &error),
            }
        }
    }

    fn program(&self) -> &str {
        secrecy::quote(self.command.program())
    }
}
