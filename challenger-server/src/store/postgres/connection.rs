//! A session in a thread of its own, so that its caller can give up waiting: the database's own
//! timeouts do not help when the database hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::error::PostgresError;
use super::session::{LATE, Session};

/// Maximum number of these threads: those of the pool, and as many that were abandoned. The latter
/// end when the database goes on or the connection breaks; until then no more are started.
const THREADS_MAX: usize = 32;

/// Error for a thread that ended without an answer.
const GONE: &str = "the thread of the connection has ended";

/// How many of these threads there are.
#[derive(Clone, Default)]
pub(super) struct ThreadCount(Arc<AtomicUsize>);

impl ThreadCount {
    /// Counts one more, unless there are too many.
    fn add(&self) -> Option<CountedThread> {
        let more = |count| (count < THREADS_MAX).then_some(count + 1);
        let added = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        added.ok().map(|_| CountedThread(self.clone()))
    }
}

/// A thread that is counted until this is dropped.
struct CountedThread(ThreadCount);

impl Drop for CountedThread {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

type Job = Box<dyn FnOnce(&mut Session) + Send>;

/// A connection to the database. Its thread ends when this is dropped and the last statement has
/// returned.
pub(super) struct Connection {
    jobs: Sender<Job>,
    generation: u64,
    is_usable: bool,
}

impl Connection {
    /// Starts a thread that connects, and waits for it for as long as `limit`.
    pub(super) fn open(
        connect: impl FnOnce() -> Result<Session, PostgresError> + Send + 'static,
        generation: u64,
        threads: &ThreadCount,
        limit: Duration,
    ) -> Result<Self, PostgresError> {
        let counted = threads
            .add()
            .ok_or_else(|| PostgresError::Unreachable("too many connections hang".to_owned()))?;
        let (jobs, queue) = mpsc::channel::<Job>();
        let (reply, connected) = mpsc::sync_channel(1);
        let work = move || {
            let _counted = counted;
            match connect() {
                Ok(mut session) => {
                    reply.send(Ok(())).ok();
                    queue.into_iter().for_each(|job| job(&mut session));
                }
                Err(error) => drop(reply.send(Err(error))),
            }
        };
        thread::Builder::new().name("database".to_owned()).spawn(work).map_err(no_thread)?;
        match connected.recv_timeout(limit) {
            Ok(connected) => connected.map(|()| Self { jobs, generation, is_usable: true }),
            Err(RecvTimeoutError::Timeout) => Err(PostgresError::Unreachable(LATE.to_owned())),
            // The postgres crate panics when there are no file descriptors for its runtime.
            Err(RecvTimeoutError::Disconnected) => Err(PostgresError::Unreachable(format!(
                "{GONE}; are there enough file descriptors?"
            ))),
        }
    }

    /// Runs a task that has to be over at the deadline. If it is late, its outcome is not known,
    /// and the connection is of no further use.
    pub(super) fn run<T: Send + 'static>(
        &mut self,
        deadline: Instant,
        task: impl FnOnce(&mut Session) -> Result<T, PostgresError> + Send + 'static,
    ) -> Result<T, PostgresError> {
        let (reply, answer) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |session| {
            let result = session.run(deadline, task);
            // A caller who gave up does not need to know.
            reply.send((result, session.is_usable())).ok();
        });
        self.is_usable = false;
        self.jobs.send(job).map_err(|_| PostgresError::Unsent(GONE.to_owned()))?;
        match answer.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((result, is_usable)) => {
                self.is_usable = is_usable;
                result
            }
            Err(error) => {
                let is_late = error == RecvTimeoutError::Timeout;
                Err(PostgresError::Abandoned(if is_late { LATE } else { GONE }.to_owned()))
            }
        }
    }

    /// The pool's generation in which it was opened.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether it can be used again, as far as that is known without a round trip.
    pub(super) const fn is_usable(&self) -> bool {
        self.is_usable
    }
}

/// The error for a thread that the operating system did not start.
pub(super) fn no_thread(error: std::io::Error) -> PostgresError {
    PostgresError::Unreachable(format!("no thread for a connection: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[test]
    fn threads_are_counted_until_they_end() {
        let threads = ThreadCount::default();
        let counted: Vec<_> = (0..THREADS_MAX).map(|_| threads.add().unwrap()).collect();
        let connect = || unreachable!("there is no thread for it");
        let refused = Connection::open(connect, 0, &threads, LIMIT).err().unwrap();
        assert_eq!(refused.to_string(), "too many connections hang");
        drop(counted);
        assert!(threads.add().is_some());
    }

    #[test]
    fn a_thread_that_panics_is_not_late() {
        let connect = || panic!("no descriptors for a runtime");
        let gone = Connection::open(connect, 0, &ThreadCount::default(), LIMIT).err().unwrap();
        assert!(
            matches!(&gone, PostgresError::Unreachable(cause) if cause.starts_with(GONE)),
            "{gone}"
        );
    }
}
