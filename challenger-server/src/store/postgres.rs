//! The store in a PostgreSQL database, which many servers may share.
//!
//! ```text
//!   load   ──▶ a connection of the pool ──▶ one SELECT     lost? once more
//!   commit ──▶ a connection of the pool ──▶ one statement  lost before it left? once more
//! ```
//!
//! Each is one round trip. Nobody waits for anybody with a transaction open: a write names the
//! version of the row that it rests on, and changes nothing if that is no longer there.

use challenger_proto::{Commit, Load, Loaded, Write};

pub use self::database::PostgresDatabase;
use self::pool::{Fault, Pool, Session};
use super::{OpenMode, Store, StoreError};

mod database;
mod pool;
mod registry;
mod schema;
mod statements;
#[cfg_attr(not(feature = "tls"), path = "postgres/no_tls.rs")]
mod tls;

/// How often to try something that can be repeated. The second connection is a new one, and lost
/// only if the database is stopping.
const TRIES: usize = 3;

/// Keeps everything in a PostgreSQL database.
pub struct PostgresStore {
    database: PostgresDatabase,
    pool: Pool,
}

impl PostgresStore {
    /// Opens a database.
    ///
    /// # Errors
    /// The database is out of reach, or has another schema than the mode asks for; the error says
    /// what to do.
    pub fn open(database: PostgresDatabase, mode: OpenMode) -> Result<Self, StoreError> {
        let connector =
            database.connector().map_err(|cause| StoreError(format!("{database}: {cause}")))?;
        let pool = Pool::new(&database, connector);
        let store = Self { database, pool };
        store
            .connect()
            .and_then(|mut client| schema::version(&mut client))
            .and_then(|version| match mode {
                OpenMode::Maintain => Ok(()),
                OpenMode::Serve => schema::check(version),
            })
            .map_err(|fault| store.error(fault))?;
        Ok(store)
    }

    /// Does something, and does it again if the connection was lost and that is harmless.
    fn run<T>(
        &self,
        task: impl Fn(&mut Session) -> Result<T, Fault>,
        is_harmless: impl Fn(&Fault) -> bool,
    ) -> Result<T, StoreError> {
        let mut tries = 1..TRIES;
        loop {
            let mut session = self.pool.session().map_err(|fault| self.error(fault))?;
            let fault = match task(&mut session) {
                Ok(done) => return Ok(done),
                Err(fault) => fault,
            };
            if matches!(fault, Fault::Lost(_) | Fault::Unsent(_)) {
                self.pool.end_era_of(&session);
            }
            if !is_harmless(&fault) || tries.next().is_none() {
                return Err(self.error(fault));
            }
        }
    }

    /// Says where something went wrong.
    fn error(&self, fault: Fault) -> StoreError {
        StoreError(format!("{}: {fault}", self.database))
    }
}

impl Store for PostgresStore {
    fn load(&self, load: &Load) -> Result<Loaded, StoreError> {
        if load.is_empty() {
            return Ok(Loaded::default());
        }
        self.run(
            |session| statements::load(session, load),
            |fault| matches!(fault, Fault::Lost(_) | Fault::Unsent(_)),
        )
    }

    fn commit(&self, write: &Write) -> Result<Commit, StoreError> {
        self.run(
            |session| statements::commit(session, write),
            // A write that was kept would be a conflict the second time, and be charged twice.
            |fault| matches!(fault, Fault::Unsent(_)),
        )
    }
}
