//! Connections: how many are kept, when they are replaced, and how their errors are told.
//!
//! A connection of the pool may be dead without anybody knowing, because the database was
//! restarted. Asking before each use would cost a round trip. Instead, whoever finds a connection
//! dead begins a new era, and those of earlier eras are used no more. Only a write, which cannot be
//! repeated once it left, is preceded by a question, and only if the connection has been idle.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use postgres::error::{Severity, SqlState};
use postgres::types::ToSql;
use postgres::{Client, Row, Statement};
use r2d2_postgres::PostgresConnectionManager;
use r2d2_postgres::r2d2::{self, ManageConnection, PooledConnection};

use super::database::PostgresDatabase;
use super::tls::Connector;
use crate::store::StoreError;

/// How many connections there are at most. More statements at once do not make a database faster.
const CONNECTIONS_MAX: u32 = 16;

/// How long a request waits for a connection, such as during a restart of the database.
const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(5);

/// For how long after its last use a connection is believed to be alive. No database restarts so
/// fast, and where many requests make questions dear, connections are seldom idle for so long.
const TRUST: Duration = Duration::from_millis(100);

/// The connections of a server.
pub(super) struct Pool {
    sessions: r2d2::Pool<Manager>,
    era: Arc<AtomicU64>,
}

impl Pool {
    /// A pool without connections: they are made when they are needed.
    pub(super) fn new(database: &PostgresDatabase, connector: Connector) -> Self {
        let era = Arc::new(AtomicU64::new(0));
        let connections = PostgresConnectionManager::new(database.serving(), connector);
        let sessions = r2d2::Pool::builder()
            .max_size(CONNECTIONS_MAX)
            .min_idle(Some(0))
            .connection_timeout(CHECKOUT_TIMEOUT)
            .build_unchecked(Manager { connections, era: Arc::clone(&era) });
        Self { sessions, era }
    }

    /// A connection of the present era.
    pub(super) fn session(&self) -> Result<PooledConnection<Manager>, Fault> {
        self.sessions.get().map_err(|error| Fault::Other(error.to_string()))
    }

    /// Begins a new era, unless that has happened since the session was made.
    pub(super) fn end_era_of(&self, session: &Session) {
        self.era.fetch_max(session.era.saturating_add(1), Ordering::Relaxed);
    }
}

/// Makes connections, and tells which are still good, without asking them.
pub(super) struct Manager {
    connections: PostgresConnectionManager<Connector>,
    era: Arc<AtomicU64>,
}

impl ManageConnection for Manager {
    type Connection = Session;
    type Error = Fault;

    fn connect(&self) -> Result<Session, Fault> {
        // Read first: what happens from now on may concern this connection.
        let era = self.era.load(Ordering::Relaxed);
        let client = self.connections.connect()?;
        Ok(Session { client, era, statements: BTreeMap::new(), used: Instant::now() })
    }

    fn is_valid(&self, session: &mut Session) -> Result<(), Fault> {
        if self.has_broken(session) {
            return Err(Fault::Other("the database was restarted".to_owned()));
        }
        Ok(())
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        session.client.is_closed() || session.era < self.era.load(Ordering::Relaxed)
    }
}

/// A connection, and the statements that were prepared on it.
pub(super) struct Session {
    client: Client,
    era: u64,
    statements: BTreeMap<&'static str, Statement>,
    used: Instant,
}

impl Session {
    /// Runs a statement that must not run twice, and returns how many rows it touched.
    pub(super) fn execute(
        &mut self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Fault> {
        let alive = self.ask_if_idle().and_then(|()| self.prepared(sql));
        let statement = alive.map_err(Fault::before_leaving)?;
        let executed = self.client.execute(&statement, parameters);
        self.used = Instant::now();
        executed.map_err(|error| self.failed(sql, &error))
    }

    /// Runs a statement that returns one row.
    pub(super) fn query_one(
        &mut self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, Fault> {
        let statement = self.prepared(sql)?;
        let found = self.client.query_one(&statement, parameters);
        self.used = Instant::now();
        found.map_err(|error| self.failed(sql, &error))
    }

    /// Asks nothing, and so finds out whether the connection is alive.
    fn ask_if_idle(&mut self) -> Result<(), Fault> {
        if self.used.elapsed() < TRUST {
            return Ok(());
        }
        self.client.batch_execute("").map_err(|error| self.fault(&error))
    }

    fn prepared(&mut self, sql: &'static str) -> Result<Statement, Fault> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).map_err(|error| self.fault(&error))?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// Forgets the statement as well: the database may no longer know it, or know it otherwise.
    fn failed(&mut self, sql: &'static str, error: &postgres::Error) -> Fault {
        self.statements.remove(sql);
        self.fault(error)
    }

    fn fault(&self, error: &postgres::Error) -> Fault {
        match Fault::new(error) {
            Fault::Other(cause) if self.client.is_closed() => Fault::Lost(cause),
            fault => fault,
        }
    }
}

/// What went wrong, before anybody said in which database.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Another transaction was faster, or took the client away. Nothing was changed.
    Conflict(String),
    /// The connection was lost, and nobody knows whether the statement had been carried out.
    Lost(String),
    /// Anything else. Nothing was changed.
    Other(String),
    /// The connection was lost, and the statement had not left yet.
    Unsent(String),
}

impl Fault {
    fn new(error: &postgres::Error) -> Self {
        if let Some(refusal) = error.as_db_error() {
            // Keeps the number, because sentences are translated. Details would quote values.
            let code = refusal.code();
            let said = format!("{} (SQLSTATE {})", refusal.message(), code.code());
            let fatal =
                matches!(refusal.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
            return match *code {
                _ if fatal => Self::Lost(said),
                SqlState::FOREIGN_KEY_VIOLATION
                | SqlState::T_R_DEADLOCK_DETECTED
                | SqlState::T_R_SERIALIZATION_FAILURE => Self::Conflict(said),
                _ => Self::Other(said),
            };
        }
        match error.source() {
            None => Self::Other(error.to_string()),
            Some(cause) => Self::Other(format!("{error}: {cause}")),
        }
    }

    /// The same fault, of something that only prepares the statement.
    fn before_leaving(self) -> Self {
        match self {
            Self::Lost(cause) => Self::Unsent(cause),
            Self::Conflict(_) | Self::Other(_) | Self::Unsent(_) => self,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(cause)
            | Self::Lost(cause)
            | Self::Other(cause)
            | Self::Unsent(cause) => f.write_str(cause),
        }
    }
}

impl std::error::Error for Fault {}

impl From<postgres::Error> for Fault {
    fn from(error: postgres::Error) -> Self {
        Self::new(&error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Other(error.0)
    }
}
