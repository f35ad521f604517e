//! The store in a PostgreSQL database, which many servers may share.
//!
//! ```text
//!   load   ──▶ a connection of the pool ──▶ one SELECT a row  lost? once more
//!   commit ──▶ a connection of the pool ──▶ one statement     lost before it left? once more
//! ```
//!
//! Each statement is one round trip. Nobody waits for anybody with a transaction open: a write
//! names the version of the row that it rests on, and changes nothing if that is no longer there.

use std::sync::Arc;
use std::time::Instant;

use challenger_proto::{Commit, Load, Loaded, Write};

pub use self::database::PostgresDatabase;
use self::pool::{Fault, Pool, Session};
use super::tally::Tally;
use super::{LIMIT, OpenMode, Store, StoreError};

mod database;
mod line;
mod pool;
mod registry;
mod schema;
mod statements;
#[cfg_attr(not(feature = "tls"), path = "postgres/no_tls.rs")]
mod tls;
mod turns;

/// How often to try something that can be repeated. The second connection is a new one, and lost
/// only if the database is stopping.
const TRIES: usize = 3;

/// Keeps everything in a PostgreSQL database.
pub struct PostgresStore {
    database: PostgresDatabase,
    pool: Pool,
    tally: Tally,
}

impl PostgresStore {
    /// Opens a database. One to serve from may be out of reach: it is looked for when it is needed.
    ///
    /// # Errors
    /// The database has another schema than the mode asks for, or does not let us in, or is out of
    /// reach of a tool; the error says what to do.
    pub fn open(database: PostgresDatabase, mode: OpenMode) -> Result<Self, StoreError> {
        let store = Self::unopened(database)?;
        let opened = match mode {
            OpenMode::Maintain => {
                store.connect().and_then(|mut it| schema::version(&mut it)).map(drop)
            }
            OpenMode::Serve | OpenMode::Use => store.pool.probe().map(drop),
        };
        match opened.map_err(|fault| (matches!(fault, Fault::Away(_)), store.error(fault))) {
            Err((true, error)) if mode == OpenMode::Serve => {
                log::warn!("{error}; serving without it until it can be reached");
            }
            Err((_, error)) => return Err(error),
            Ok(()) => {}
        }
        Ok(store)
    }

    /// Reads something from a database, which must not be out of reach.
    ///
    /// # Errors
    /// What is in the way, and what to do.
    pub(super) fn check(database: PostgresDatabase, load: &Load) -> Result<(), StoreError> {
        let store = Self::unopened(database)?;
        let load = *load;
        let look = move |session: &mut Session| statements::load(session, &load);
        let loaded = store.pool.probe().and_then(|mut line| line.run(Instant::now() + LIMIT, look));
        loaded.map(drop).map_err(|fault| store.error(fault))
    }

    fn unopened(database: PostgresDatabase) -> Result<Self, StoreError> {
        let connector =
            database.connector().map_err(|cause| StoreError(format!("{database}: {cause}")))?;
        let pool = Pool::new(&database, connector);
        Ok(Self { database, pool, tally: Tally::default() })
    }

    /// Does something, and does it again if the connection was lost and that is harmless.
    fn run<T: Send + 'static>(
        &self,
        task: impl Fn(&mut Session) -> Result<T, Fault> + Send + Sync + 'static,
        is_harmless: impl Fn(&Fault) -> bool,
    ) -> Result<T, StoreError> {
        let until = Instant::now() + LIMIT;
        let task = Arc::new(task);
        let mut tries = 1..TRIES;
        loop {
            let mut line = self.pool.line(until).map_err(|fault| self.error(fault))?;
            let task = Arc::clone(&task);
            let fault = match line.run(until, move |session| task(session)) {
                Ok(done) => return Ok(done),
                Err(fault) => fault,
            };
            if line.is_given_up() {
                // That says nothing about the other connections.
                return Err(self.error(fault));
            }
            if matches!(fault, Fault::Lost(_) | Fault::Unsent(_)) {
                self.pool.end_era_of(&line);
            }
            if !is_harmless(&fault) || tries.next().is_none() {
                return Err(self.error(fault));
            }
        }
    }

    /// Reads something, which can be repeated.
    fn look<T: Send + 'static>(
        &self,
        task: impl Fn(&mut Session) -> Result<T, Fault> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        self.run(task, |fault| matches!(fault, Fault::Lost(_) | Fault::Unsent(_)))
    }

    /// Says where something went wrong.
    fn error(&self, fault: Fault) -> StoreError {
        let said = self.database.conceal(&fault.to_string());
        StoreError(format!("{}: {said}", self.database))
    }
}

impl Store for PostgresStore {
    fn load(&self, load: &Load) -> Result<Loaded, StoreError> {
        if load.is_empty() {
            return Ok(Loaded::default());
        }
        let load = *load;
        let mut loaded = self.look(move |session| statements::load(session, &load))?;
        if let (Some(count), Some(_)) = (load.count, &loaded.client) {
            let rows = || self.look(move |session| statements::count(session, &count));
            loaded.count = self.tally.number(&count, rows)?;
        }
        Ok(loaded)
    }

    fn commit(&self, write: &Write) -> Result<Commit, StoreError> {
        let opened =
            if let Write::Open(validation, _) = write { Some(validation.client) } else { None };
        let write = write.clone();
        let commit = self.run(
            move |session| statements::commit(session, &write),
            // A write that was kept would be a conflict the second time, and be charged twice.
            |fault| matches!(fault, Fault::Unsent(_)),
        )?;
        if let (Some(client), Commit::Done) = (opened, commit) {
            self.tally.opened(client);
        }
        Ok(commit)
    }
}
