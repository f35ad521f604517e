//! The store in a PostgreSQL database, which many servers may share.
//!
//! ```text
//!   load   ──▶ a connection of the pool ──▶ one SELECT a row  lost? once more
//!   commit ──▶ a connection of the pool ──▶ one statement     lost before it left? once more
//! ```
//!
//! What has to be paid from an account that many share is paid from a purse, which a statement of
//! its own fills now and then.
//!
//! Each statement is one round trip, and no transaction stays open between two of them: a write
//! names the version of the row that it rests on, and changes nothing if the row has another one.

use std::sync::Arc;
use std::time::Instant;

use challenger_proto::store::{Balance, Commit, Keys, Rows, Write};

pub use self::database::PostgresDatabase;
use self::error::PostgresError;
use self::pool::Pool;
use self::purse::{Order, Outcome, Purses, Unpaid};
use self::session::Session;
use super::ledger::warn;
use super::tally::Tally;
use super::{LIMIT, OpenMode, Store, StoreError};

mod connection;
mod database;
mod error;
mod host;
mod ledger;
mod pool;
mod purse;
mod registry;
mod schema;
mod semaphore;
mod session;
mod statements;
#[cfg_attr(not(feature = "tls"), path = "postgres/no_tls.rs")]
mod tls;

/// How often to try a task that can be repeated. The second connection is a new one, and lost only
/// if the database is stopping.
const TRIES: usize = 3;

/// Keeps everything in a PostgreSQL database.
pub struct PostgresStore {
    database: PostgresDatabase,
    pool: Pool,
    tally: Tally,
    purses: Purses,
}

impl PostgresStore {
    /// Opens a database. For a server it may be unreachable: connections are made when needed.
    ///
    /// # Errors
    /// The database has another schema than the mode asks for, refuses us, or, for a tool, is
    /// unreachable; the error says what to do.
    pub fn open(database: PostgresDatabase, mode: OpenMode) -> Result<Self, StoreError> {
        let store = Self::unopened(database)?;
        let opened = match mode {
            OpenMode::Maintain => {
                store.connect().and_then(|mut it| schema::version(&mut it)).map(drop)
            }
            OpenMode::Serve | OpenMode::Use => store.pool.connect().map(drop),
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
    pub(super) fn check(database: PostgresDatabase, load: &Keys) -> Result<(), StoreError> {
        let store = Self::unopened(database)?;
        let load = load.clone();
        let task = move |session: &mut Session| statements::load(session, &load);
        let loaded = store
            .pool
            .connect()
            .and_then(|mut connection| connection.run(Instant::now() + LIMIT, task));
        loaded.map(drop).map_err(|error| store.error(error))
    }

    fn unopened(database: PostgresDatabase) -> Result<Self, StoreError> {
        let connector =
            database.connector().map_err(|cause| StoreError(format!("{database}: {cause}")))?;
        let pool = Pool::new(&database, connector);
        Ok(Self { database, pool, tally: Tally::default(), purses: Purses::default() })
    }

    /// Runs a task with a connection of the pool, and with another one after an error that
    /// `can_repeat` accepts.
    fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        task: impl Fn(&mut Session) -> Result<T, PostgresError> + Send + Sync + 'static,
        can_repeat: impl Fn(&PostgresError) -> bool,
    ) -> Result<T, PostgresError> {
        let task = Arc::new(task);
        let mut tries = 1;
        loop {
            let task = Arc::clone(&task);
            match self.pool.run(deadline, move |session| task(session)) {
                Err(error) if tries < TRIES && can_repeat(&error) => tries += 1,
                done => return done,
            }
        }
    }

    /// Runs a task that only reads, and so can be repeated.
    fn read<T: Send + 'static>(
        &self,
        deadline: Instant,
        task: impl Fn(&mut Session) -> Result<T, PostgresError> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let is_lost =
            |error: &_| matches!(error, PostgresError::Lost(_) | PostgresError::Unsent(_));
        self.run(deadline, task, is_lost).map_err(|error| self.error(error))
    }

    /// Runs a task that writes. If it was carried out, it would be a conflict the second time, and
    /// be charged twice.
    fn write<T: Send + 'static>(
        &self,
        deadline: Instant,
        task: impl Fn(&mut Session) -> Result<T, PostgresError> + Send + Sync + 'static,
    ) -> Result<T, PostgresError> {
        self.run(deadline, task, |error| matches!(error, PostgresError::Unsent(_)))
    }

    /// Carries out the order of a purse.
    fn take(&self, order: Order, deadline: Instant) -> Result<Option<Balance>, PostgresError> {
        let charged = order.messages.saturating_sub(order.back.messages);
        let taken = self.write(deadline, move |session| ledger::take(session, &order))?;
        if let Some(balance) = &taken {
            warn(balance, charged, None);
        }
        Ok(taken)
    }

    /// Pays for a write, and carries it out.
    fn pay_and_write(&self, write: &Write) -> Result<Commit, PostgresError> {
        let deadline = Instant::now() + LIMIT;
        let entries = if let Write::Update(_, entries) = write { entries } else { &Vec::new() };
        let take = |order| self.take(order, deadline);
        let bill = match self.purses.pay(entries, deadline, take) {
            Ok(bill) => bill,
            Err(Unpaid::OverBudget) => return Ok(Commit::Conflict),
            Err(Unpaid::Failed(error)) => return Err(error),
        };
        let (row, entries, held) = (write.clone(), bill.entries.clone(), bill.held.clone());
        let written =
            self.write(deadline, move |session| statements::commit(session, &row, &entries, &held));
        self.purses.settle(
            bill,
            match &written {
                Ok((Commit::Done, _)) => Outcome::Done,
                Ok((Commit::Conflict, _)) => Outcome::Nothing,
                Err(error) if error.is_harmless() => Outcome::Nothing,
                Err(_) => Outcome::Unknown,
            },
        );
        let (commit, charged) = written?;
        for balance in &charged {
            warn(balance, 1, Some(write.row()));
        }
        Ok(commit)
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
        let wanted = keys.clone();
        let mut rows = self.read(deadline, move |session| statements::load(session, &wanted))?;
        if let (Some(count), Some(_)) = (keys.count, &rows.client) {
            let counted = || self.read(deadline, move |session| statements::count(session, &count));
            rows.count = self.tally.number(&count, counted)?;
        }
        for balance in &mut rows.balances {
            self.purses.correct(balance, deadline);
        }
        Ok(rows)
    }

    fn commit(&self, write: &Write) -> Result<Commit, StoreError> {
        let commit = match self.pay_and_write(write) {
            Err(PostgresError::Conflict(_)) => Commit::Conflict,
            done => done.map_err(|error| self.error(error))?,
        };
        if let (Write::Open(validation, _), Commit::Done) = (write, commit) {
            self.tally.opened(validation.client);
        }
        Ok(commit)
    }

    fn finish(&self) -> Result<(), StoreError> {
        let deadline = Instant::now() + LIMIT;
        for (account, rest, proofs) in self.purses.empty() {
            let give_back =
                move |session: &mut Session| ledger::give_back(session, &account, rest, &proofs);
            self.write(deadline, give_back).map_err(|error| {
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
