//! The store in a PostgreSQL database, which many servers may share.
//!
//! ```text
//!   load   ──▶ the desk ──▶ a connection ──▶ one SELECT a row   lost? once more
//!   commit ──▶ the desk ──▶ a connection ──▶ one statement      lost before it left? once more
//! ```
//!
//! What has to be paid from an account that many share is paid from a purse, which a statement of
//! its own fills now and then.
//!
//! What waits at the desk for a connection travels together, in one round trip. No transaction
//! stays open after it: a write names the version of the row that it rests on, and changes nothing
//! if the row has another one.

use std::sync::Arc;
use std::time::Instant;

use challenger_proto::store::{Balance, Commit, Keys, Rows, Write};

pub use self::database::PostgresDatabase;
use self::desk::{Desk, Wire};
use self::error::PostgresError;
use self::purse::{Purses, Rest};
pub(in crate::store) use self::task::Parameter;
use self::task::{Answer, Call, Reply, Task};
use self::wire::Route;
use super::ledger::note;
use super::tally::Tally;
use super::{LIMIT, OpenMode, Statistic, Store, StoreError, one_of_each};
use crate::metrics::Metrics;

mod clients;
mod database;
mod desk;
mod error;
mod host;
mod ledger;
mod people;
mod purse;
mod registry;
mod schema;
mod session;
mod spending;
mod statements;
mod statistics;
mod task;
#[cfg(test)]
mod tests;
#[cfg_attr(not(feature = "tls"), path = "postgres/no_tls.rs")]
mod tls;
mod wire;

/// How often to try a task that can be repeated. The second connection may be as dead as the first,
/// if the loss of that is not known at the desk yet. The third is a new one.
const TRIES: usize = 3;

/// What orders the writes of statistics among those of rows: all servers lock in the same order.
const STATISTICS: &[u8] = b"statistics";

/// Keeps everything in a PostgreSQL database.
pub struct PostgresStore {
    database: PostgresDatabase,
    route: Arc<Route>,
    desk: Arc<Desk>,
    tally: Tally,
    purses: Purses,
    metrics: Metrics,
}

impl PostgresStore {
    /// The version of the schema that this program knows.
    #[cfg(feature = "metrics")]
    pub(super) const SCHEMA: usize = schema::NEWEST;

    /// Opens a database. For a server it may be unreachable: connections are made when needed.
    ///
    /// # Errors
    /// The database has another schema than the mode asks for, refuses us, or, for a tool, is
    /// unreachable; the error says what to do.
    pub fn open(database: PostgresDatabase, mode: OpenMode) -> Result<Self, StoreError> {
        let store = Self::unopened(database)?;
        let opened = match mode {
            OpenMode::Maintain => {
                store.connect().and_then(|mut it| schema::version_of(&mut it)).map(drop)
            }
            OpenMode::Serve | OpenMode::Use => store.route.connect().map(drop),
        };
        match opened {
            Err(error @ PostgresError::Unreachable(_)) if mode == OpenMode::Serve => {
                let error = store.error(error);
                log::warn!("{error}; serving without it until it can be reached");
            }
            Err(error) => return Err(store.error(error)),
            Ok(()) => {}
        }
        Ok(store)
    }

    /// Loads rows from a database, to see whether that works.
    ///
    /// # Errors
    /// The database is unreachable or cannot be used; the error says what to do.
    pub(super) fn check(database: PostgresDatabase, keys: &Keys) -> Result<(), StoreError> {
        Self::unopened(database)?.load_on_new_connection(keys)
    }

    fn unopened(database: PostgresDatabase) -> Result<Self, StoreError> {
        let route = Route::new(&database).map(Arc::new);
        let route = route.map_err(|cause| StoreError(format!("{database}: {cause}")))?;
        let the_same = Arc::clone(&route);
        let desk = Desk::new(Box::new(move || Ok(Box::new(the_same.connect()?) as Box<dyn Wire>)));
        let (tally, purses, metrics) = Default::default();
        Ok(Self { database, route, desk, tally, purses, metrics })
    }

    /// The same store, which tells what is charged.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    fn load_on_new_connection(&self, keys: &Keys) -> Result<(), StoreError> {
        let loaded = self.route.connect().and_then(|mut connection| {
            let deadline = Instant::now() + LIMIT;
            let task = Task { calls: statements::load(keys), row: None, deadline };
            let (mut answers, _) = desk::travel(&mut connection, vec![task]);
            statements::loaded(keys, answers.pop().transpose()?.unwrap_or_default())
        });
        loaded.map(drop).map_err(|error| self.error(error))
    }

    /// Carries out a task, and tries again where that can do no harm. A write that was carried out
    /// would be a conflict the second time, and be charged twice.
    fn run(&self, task: Task) -> Answer {
        let task = Arc::new(task);
        let mut tries = 1;
        loop {
            // After the first time it goes alone: it may be what was refused, and has less time.
            let answer = self.desk.run(&task, tries > 1);
            let can_repeat = match &answer {
                Err(PostgresError::Refused | PostgresError::Unsent(_)) => true,
                Err(PostgresError::Abandoned(_) | PostgresError::Lost(_)) => task.row.is_none(),
                _ => false,
            };
            if !can_repeat || tries == TRIES || task.deadline <= Instant::now() {
                return answer;
            }
            tries += 1;
        }
    }

    /// Carries out the calls of a load.
    fn read(&self, calls: Vec<Call>, deadline: Instant) -> Answer {
        self.run(Task { calls, row: None, deadline })
    }

    /// Carries out a call that changes this row.
    fn write(&self, call: Call, row: &[u8], deadline: Instant) -> Result<Reply, PostgresError> {
        let task = Task { calls: vec![call], row: Some(row.to_vec()), deadline };
        Ok(self.run(task)?.pop().unwrap_or_default())
    }

    /// Takes messages for a purse.
    fn take(&self, first: &Balance, deadline: Instant) -> Result<Balance, PostgresError> {
        let row = first.account.to_text();
        let taken = self.write(ledger::take(first), row.as_bytes(), deadline)?;
        let taken = ledger::charged(&taken)?;
        note(&self.metrics, &taken, first.spent, None);
        Ok(taken)
    }

    /// Writes what a purse has left.
    fn give_back(&self, rest: &Rest, deadline: Instant) -> Result<(), PostgresError> {
        let row = rest.account.to_text();
        self.write(ledger::give_back(rest), row.as_bytes(), deadline).map(drop)
    }

    /// Pays for a write, and carries it out.
    fn pay_and_write(&self, write: &Write) -> Result<(), PostgresError> {
        let deadline = Instant::now() + LIMIT;
        let entries = if let Write::Update(_, entries) = write { &entries[..] } else { &[] };
        self.purses.pay(entries, deadline, |first| self.take(&first, deadline))?;
        let written = statements::commit(write)
            .and_then(|call| self.write(call, statements::key_of(write), deadline))
            .and_then(|reply| statements::committed(write, &reply));
        if written.as_ref().err().is_none_or(PostgresError::is_harmless) {
            for rest in self.purses.settle(entries, written.is_ok()) {
                // The write is done. If this fails, a few proofs are not counted.
                let _ = self.give_back(&rest, deadline);
            }
        }
        if let Some(balance) = written? {
            note(&self.metrics, &balance, 1, write.row());
        }
        Ok(())
    }

    /// The error for the operator, which names the database.
    fn error(&self, error: PostgresError) -> StoreError {
        let message = self.database.conceal(&error.to_string());
        StoreError(format!("{}: {message}", self.database))
    }
}

impl Store for PostgresStore {
    fn load(&self, keys: &Keys) -> Result<Rows, StoreError> {
        let deadline = Instant::now() + LIMIT;
        let found = self.read(statements::load(keys), deadline);
        let loaded = found.and_then(|replies| statements::loaded(keys, replies));
        let mut rows = loaded.map_err(|error| self.error(error))?;
        if let (Some(count), Some(_)) = (keys.count, &rows.client) {
            let counted = || {
                let replies = self.read(vec![statements::count(&count)], deadline);
                let number = replies.and_then(|replies| statements::counted(&replies));
                number.map_err(|error| self.error(error))
            };
            rows.count = self.tally.number(&count, counted)?;
        }
        for balance in &mut rows.balances {
            self.purses.correct(balance, deadline);
        }
        Ok(rows)
    }

    fn commit(&self, write: &Write) -> Result<Commit, StoreError> {
        match self.pay_and_write(write) {
            Ok(()) => {}
            Err(PostgresError::Conflict(_)) => return Ok(Commit::Conflict),
            Err(error) => return Err(self.error(error)),
        }
        if let Write::Open(validation, _) = write {
            self.tally.opened(validation.client);
        }
        Ok(Commit::Done)
    }

    fn add_to_statistics(&self, counted: &[Statistic]) -> Result<(), StoreError> {
        let call = statistics::add(counted);
        match self.write(call, STATISTICS, Instant::now() + LIMIT) {
            Err(error) if error.is_harmless() => Err(self.error(error)),
            // It may have been added.
            Err(_) | Ok(_) => Ok(()),
        }
    }

    fn check(&self) -> Result<(), StoreError> {
        self.load_on_new_connection(&one_of_each())
    }

    fn finish(&self) -> Result<(), StoreError> {
        let deadline = Instant::now() + LIMIT;
        for rest in self.purses.empty() {
            self.give_back(&rest, deadline).map_err(|error| {
                let StoreError(error) = self.error(error);
                StoreError(format!(
                    "{error}; a few messages that were not sent count as spent until their windows \
                     end"
                ))
            })?;
        }
        Ok(())
    }
}
