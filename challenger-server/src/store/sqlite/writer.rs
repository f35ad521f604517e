//! The one thread of this process that writes. It carries out all waiting commits in one
//! transaction, so that they share the cost of one sync.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use challenger_proto::store::{Balance, Commit, Write};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::SqliteError;
use super::file::DatabaseFile;
use super::{statements, wal};
use crate::store::{LIMIT, StoreError};

/// Maximum number of commits in one transaction. More would make the first of them wait for little
/// gain.
pub(super) const BATCH_MAX: usize = 64;

/// How often the write-ahead log is emptied: rows that a tool deletes while another process reads
/// stay in it no longer than that.
const EMPTIED_EVERY: Duration = Duration::from_secs(10);

/// Error for callers whose deadline has passed.
const LATE: &str = "was not written to in time";

/// The thread, and the queue of its jobs.
pub(super) struct Writer {
    file: Arc<DatabaseFile>,
    /// Both are there until the drop.
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// What became of a write, and the balances that it charged.
type Written = (Commit, Vec<Balance>);

/// One write, and its caller.
struct Job {
    write: Write,
    /// When the caller gives up.
    deadline: Instant,
    reply: SyncSender<Result<Written, StoreError>>,
}

impl Job {
    fn is_awaited(&self) -> bool {
        Instant::now() < self.deadline
    }
}

impl Writer {
    /// Starts the thread with a connection of its own.
    pub(super) fn start(
        connection: Connection,
        file: Arc<DatabaseFile>,
    ) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn({
                let file = Arc::clone(&file);
                move || work(&jobs, connection, &file)
            })
            .map_err(|error| file.error(format_args!("no thread for the store: {error}")))?;
        Ok(Self { file, queue: Some(queue), thread: Some(thread) })
    }

    /// Hands over a write, and waits until it is on the disk or has failed.
    pub(super) fn commit(&self, write: &Write) -> Result<Written, StoreError> {
        let stopped = || self.file.error("the thread that writes has stopped");
        let (reply, answer) = mpsc::sync_channel(1);
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        let deadline = Instant::now() + LIMIT;
        queue.send(Job { write: write.clone(), deadline, reply }).map_err(|_| stopped())?;
        answer.recv_timeout(LIMIT).map_err(|error| match error {
            RecvTimeoutError::Disconnected => stopped(),
            RecvTimeoutError::Timeout => self.file.error(LATE),
        })?
    }
}

impl Drop for Writer {
    /// Lets the thread finish what was queued.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn work(jobs: &Receiver<Job>, mut connection: Connection, file: &DatabaseFile) {
    let mut emptied = Instant::now();
    loop {
        match jobs.recv_timeout(EMPTIED_EVERY.saturating_sub(emptied.elapsed())) {
            Ok(first) => carry_out(first, jobs, &mut connection, file),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if emptied.elapsed() >= EMPTIED_EVERY {
            emptied = Instant::now();
            if file.has_log() {
                // Errors of the file show up at loads and commits; if a reader is in the way, the
                // next time will do.
                let _ = wal::empty(&mut connection, Duration::ZERO);
            }
        }
    }
}

fn carry_out(first: Job, jobs: &Receiver<Job>, connection: &mut Connection, file: &DatabaseFile) {
    let mut batch = vec![first];
    batch.extend(jobs.try_iter().take(BATCH_MAX - 1));
    batch.retain(Job::is_awaited);
    let committed = file.check_in_place().and_then(|()| commit_all(connection, &batch));
    let replies = match committed {
        Ok(replies) => replies,
        Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
    };
    for (job, reply) in batch.into_iter().zip(replies) {
        // A caller that gave up does not need to know.
        job.reply.send(reply.map_err(|error| file.error(error))).ok();
    }
}

/// Carries out a batch. On an error, none of it is kept.
fn commit_all(
    connection: &mut Connection,
    batch: &[Job],
) -> Result<Vec<Result<Written, SqliteError>>, SqliteError> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut replies = Vec::with_capacity(batch.len());
    for job in batch {
        if !job.is_awaited() {
            // The caller gave up while others had locked the file.
            replies.push(Err(SqliteError(LATE.to_owned())));
            continue;
        }
        let reply = apply_alone(&mut transaction, &job.write)?;
        if transaction.is_autocommit() {
            // Some errors, such as a full disk, end the whole transaction. Later writes would be
            // outside of any.
            let lost = |_| SqliteError("lost its transaction".into());
            return Err(reply.map_or_else(|error| error, lost));
        }
        replies.push(reply);
    }
    transaction.commit()?;
    Ok(replies)
}

/// Carries out a write so that, if it fails, only its own changes are rolled back. The outer error
/// is one of rolling back.
fn apply_alone(
    transaction: &mut Transaction<'_>,
    write: &Write,
) -> Result<Result<Written, SqliteError>, SqliteError> {
    if statements::is_single(write) {
        // SQLite itself rolls back a single statement.
        return Ok(statements::apply(transaction, write));
    }
    let savepoint = transaction.savepoint()?;
    let reply = statements::apply(&savepoint, write);
    match reply {
        // There is nothing left to roll back.
        Err(_) if savepoint.is_autocommit() => {}
        Ok((Commit::Done, _)) => savepoint.commit()?,
        Ok((Commit::Conflict, _)) | Err(_) => savepoint.finish()?,
    }
    Ok(reply)
}
