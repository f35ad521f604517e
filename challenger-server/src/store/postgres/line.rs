//! A connection in a thread of its own, so that whoever waits for an answer can give up: the
//! database's own timeouts do not help when the database hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::pool::{Fault, Session};

/// How many of these threads there may be: those of the pool, and as many that were given up. These
/// end when the database goes on or the connection breaks, and until then no more are begun.
const THREADS_MAX: usize = 32;

/// Said of a database that does not answer, though it may be working on it.
pub(super) const LATE: &str = "the database did not answer in time";

/// How many of these threads there are.
#[derive(Clone, Default)]
pub(super) struct Threads(Arc<AtomicUsize>);

impl Threads {
    /// Counts one more, unless there are too many.
    fn one_more(&self) -> Option<Counted> {
        let more = |count| (count < THREADS_MAX).then_some(count + 1);
        let counted = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        counted.ok().map(|_| Counted(self.clone()))
    }
}

/// One of them, until it is dropped.
struct Counted(Threads);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Said when the thread is gone without a word.
const GONE: &str = "the thread of the connection has ended";

type Job = Box<dyn FnOnce(&mut Session) + Send>;

/// The way to the thread, which ends when this is dropped and the last statement has returned.
pub(super) struct Line {
    jobs: Sender<Job>,
    era: u64,
    is_given_up: bool,
    is_usable: bool,
}

impl Line {
    /// Starts a thread that connects, and is one of `threads`. After `limit` it is given up.
    pub(super) fn connect(
        connect: impl FnOnce() -> Result<Session, Fault> + Send + 'static,
        era: u64,
        threads: &Threads,
        limit: Duration,
    ) -> Result<Self, Fault> {
        let counted = threads
            .one_more()
            .ok_or_else(|| Fault::Away("too many connections hang".to_owned()))?;
        let (jobs, tasks) = mpsc::channel::<Job>();
        let (told, connected) = mpsc::sync_channel(1);
        let work = move || {
            let _counted = counted;
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
        match connected.recv_timeout(limit) {
            Ok(connected) => {
                connected.map(|()| Self { jobs, era, is_given_up: false, is_usable: true })
            }
            Err(RecvTimeoutError::Timeout) => Err(Fault::Away(LATE.to_owned())),
            // The postgres crate panics where it finds no descriptors for its runtime.
            Err(RecvTimeoutError::Disconnected) => {
                Err(Fault::Away(format!("{GONE}; are there enough file descriptors?")))
            }
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
        self.is_usable = false;
        self.jobs.send(job).map_err(|_| Fault::Unsent(GONE.to_owned()))?;
        match done.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((result, is_usable)) => {
                self.is_usable = is_usable;
                result
            }
            Err(error) => {
                self.is_given_up = true;
                let is_late = error == RecvTimeoutError::Timeout;
                Err(Fault::Lost(if is_late { LATE } else { GONE }.to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn threads_are_counted_until_they_end() {
        let threads = Threads::default();
        let counted: Vec<_> = (0..THREADS_MAX).map(|_| threads.one_more().unwrap()).collect();
        let connect = || unreachable!("there is no thread for it");
        let refused = Line::connect(connect, 0, &threads, LIMIT).err().unwrap();
        assert_eq!(refused.to_string(), "too many connections hang");
        drop(counted);
        assert!(threads.one_more().is_some());
    }

    #[test]
    fn a_thread_that_panics_is_not_late() {
        let connect = || panic!("no descriptors for a runtime");
        let gone = Line::connect(connect, 0, &Threads::default(), LIMIT).err().unwrap();
        assert!(matches!(&gone, Fault::Away(cause) if cause.starts_with(GONE)), "{gone}");
    }
}
