//! A connection in a thread of its own, so that whoever waits for an answer can give up: the
//! database's own timeouts do not help when the database hangs.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::pool::{Fault, Session};

/// How many of these threads there may be: those of the pool, and as many that were given up. These
/// end when the database goes on or the connection breaks, and until then no more are begun.
const THREADS_MAX: usize = 32;

/// How long it may take to connect, whatever hangs.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Said of a database that does not answer, though it may be working on it.
pub(super) const LATE: &str = "the database did not answer in time";

type Job = Box<dyn FnOnce(&mut Session) + Send>;

/// The way to the thread, which ends when this is dropped and the last statement has returned.
pub(super) struct Line {
    jobs: Sender<Job>,
    era: u64,
    is_given_up: bool,
    is_usable: bool,
}

impl Line {
    /// Starts a thread that connects. Each of them holds `threads`.
    pub(super) fn connect(
        connect: impl FnOnce() -> Result<Session, Fault> + Send + 'static,
        era: u64,
        threads: &Arc<()>,
    ) -> Result<Self, Fault> {
        // One is held by whoever counts.
        if Arc::strong_count(threads) > THREADS_MAX {
            return Err(Fault::Away("too many connections hang".to_owned()));
        }
        let thread_counts = Arc::clone(threads);
        let (jobs, tasks) = mpsc::channel::<Job>();
        let (told, connected) = mpsc::sync_channel(1);
        let work = move || {
            let _counts = thread_counts;
            match connect() {
                Ok(mut session) => {
                    told.send(Ok(())).ok();
                    tasks.into_iter().for_each(|job| job(&mut session));
                }
                Err(fault) => drop(told.send(Err(fault))),
            }
        };
        thread::Builder::new()
            .name("database".to_owned())
            .spawn(work)
            .map_err(|error| Fault::Away(format!("no thread for a connection: {error}")))?;
        match connected.recv_timeout(CONNECT_TIMEOUT) {
            Ok(connected) => {
                connected.map(|()| Self { jobs, era, is_given_up: false, is_usable: true })
            }
            Err(_) => Err(Fault::Away(LATE.to_owned())),
        }
    }

    /// Has something done that has to be over at `until`. If it is late, nobody knows what becomes
    /// of it, and the line is of no use any more.
    pub(super) fn run<T: Send + 'static>(
        &mut self,
        until: Instant,
        task: impl FnOnce(&mut Session) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (told, done) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |session| {
            let result = session.until(until, task);
            // Whoever gave up does not need to know.
            told.send((result, session.is_usable())).ok();
        });
        let gone = "the thread of the connection has ended";
        self.jobs.send(job).map_err(|_| Fault::Unsent(gone.to_owned()))?;
        match done.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((result, is_usable)) => {
                self.is_usable = is_usable;
                result
            }
            Err(error) => {
                (self.is_given_up, self.is_usable) = (true, false);
                let is_late = error == RecvTimeoutError::Timeout;
                Err(Fault::Lost(if is_late { LATE } else { gone }.to_owned()))
            }
        }
    }

    /// When it was connected, as the pool counts.
    pub(super) const fn era(&self) -> u64 {
        self.era
    }

    /// Whether something was late, so that there is no time to try again, or the thread ended.
    pub(super) const fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// Whether it may be used again, as far as that is known without asking.
    pub(super) const fn is_usable(&self) -> bool {
        self.is_usable
    }
}
