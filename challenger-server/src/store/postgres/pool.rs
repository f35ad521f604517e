//! Connections: how many are kept, when they are replaced, and how their errors are told.
//!
//! A connection of the pool may be dead without anybody knowing, because the database was
//! restarted. Asking before each use would cost a round trip. Instead, whoever finds a connection
//! dead begins a new era, and those of earlier eras are used no more. Only a write, which cannot be
//! repeated once it left, is preceded by a question, and only if the connection has been idle.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use postgres::error::{Severity, SqlState};
use postgres::types::ToSql;
use postgres::{Client, Row, Statement};
use r2d2_postgres::PostgresConnectionManager;
use r2d2_postgres::r2d2::{self, ManageConnection, PooledConnection};

use super::database::PostgresDatabase;
use super::line::{LATE, Line, Threads};
use super::schema;
use super::tls::Connector;
use super::turns::{Turn, Turns};
use crate::store::StoreError;

/// How many connections are kept at most. More statements at once do not make a database faster.
const CONNECTIONS_MAX: u32 = 16;

/// How long a request waits for a connection, such as during a restart of the database.
const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(5);

/// For how long after its last use a connection is believed to be alive. No database restarts so
/// fast, and where many requests make questions dear, connections are seldom idle for so long.
const TRUST: Duration = Duration::from_millis(100);

/// The connections of a server.
pub(super) struct Pool {
    lines: r2d2::Pool<Manager>,
    /// One for each connection.
    turns: Turns,
    manager: Manager,
}

/// What all connections share.
#[derive(Default)]
struct State {
    era: AtomicU64,
    /// Whether there was a connection. From then on, the schema may be newer than ours.
    has_begun: AtomicBool,
    /// Why the last attempt to connect failed, if it did. All who wait are told.
    failure: Mutex<Option<Fault>>,
    threads: Threads,
}

impl State {
    fn failure(&self) -> MutexGuard<'_, Option<Fault>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// A pool without connections: they are made when they are needed.
    pub(super) fn new(database: &PostgresDatabase, connector: Connector) -> Self {
        let connections = PostgresConnectionManager::new(database.serving(), connector);
        let (connections, limit) = (Arc::new(connections), database.connecting());
        let manager = Manager { connections, limit, state: Arc::default() };
        let lines = r2d2::Pool::builder()
            .max_size(CONNECTIONS_MAX)
            .min_idle(Some(0))
            .connection_timeout(CHECKOUT_TIMEOUT)
            .build_unchecked(manager.clone());
        Self { lines, turns: Turns::new(CONNECTIONS_MAX), manager }
    }

    /// A connection of the present era, for something that has to be over at `until`.
    pub(super) fn line(&self, until: Instant) -> Result<Lent<'_>, Fault> {
        let patient = until.min(Instant::now() + CHECKOUT_TIMEOUT);
        let lent = self.turns.take(patient).and_then(|turn| {
            let patience = patient.saturating_duration_since(Instant::now());
            let line = self.lines.get_timeout(patience).ok()?;
            Some(Lent { line, _turn: turn })
        });
        lent.ok_or_else(|| {
            let cause = self.manager.state.failure().as_ref().map(ToString::to_string);
            let cause = cause.unwrap_or_else(|| match self.lines.state().connections {
                CONNECTIONS_MAX.. => "all of them are in use".to_owned(),
                _ => LATE.to_owned(),
            });
            Fault::Away(format!("timed out waiting for a connection: {cause}"))
        })
    }

    /// A connection that is not kept, for who wants to know at once why there is none.
    pub(super) fn probe(&self) -> Result<Line, Fault> {
        self.manager.connect()
    }

    /// Begins a new era, unless that has happened since the connection was made.
    pub(super) fn end_era_of(&self, line: &Line) {
        self.manager.state.era.fetch_max(line.era().saturating_add(1), Ordering::Relaxed);
    }
}

/// A connection until it is dropped, which goes back before the turn does.
pub(super) struct Lent<'a> {
    line: PooledConnection<Manager>,
    _turn: Turn<'a>,
}

impl Deref for Lent<'_> {
    type Target = Line;

    fn deref(&self) -> &Line {
        &self.line
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Line {
        &mut self.line
    }
}

/// Makes connections, and tells which are still good, without asking them.
#[derive(Clone)]
pub(super) struct Manager {
    connections: Arc<PostgresConnectionManager<Connector>>,
    /// How long it may take to connect, which may be longer than anybody waits: then the next ones
    /// find the connection.
    limit: Duration,
    state: Arc<State>,
}

impl ManageConnection for Manager {
    type Connection = Line;
    type Error = Fault;

    fn connect(&self) -> Result<Line, Fault> {
        // Read first: what happens from now on may concern this connection.
        let era = self.state.era.load(Ordering::Relaxed);
        let check = match self.state.has_begun.load(Ordering::Relaxed) {
            true => schema::check_not_older,
            false => schema::check,
        };
        let connections = Arc::clone(&self.connections);
        let connect = move || Session::connect(&connections, check);
        let made = Line::connect(connect, era, &self.state.threads, self.limit);
        if made.is_ok() {
            self.state.has_begun.store(true, Ordering::Relaxed);
        }
        *self.state.failure() = made.as_ref().err().cloned();
        made
    }

    fn is_valid(&self, line: &mut Line) -> Result<(), Fault> {
        if self.has_broken(line) {
            return Err(Fault::Other("the database was restarted".to_owned()));
        }
        Ok(())
    }

    fn has_broken(&self, line: &mut Line) -> bool {
        !line.is_usable() || line.era() < self.state.era.load(Ordering::Relaxed)
    }
}

/// A connection, and the statements that were prepared on it.
pub(super) struct Session {
    client: Client,
    statements: BTreeMap<&'static str, Statement>,
    used: Instant,
    /// When whoever asked gives up.
    until: Instant,
    /// Whether another one may be able to do more.
    is_stale: bool,
}

impl Session {
    /// Connects to a database that has our schema: it may be another one than the last time.
    fn connect(
        connections: &PostgresConnectionManager<Connector>,
        check: fn(usize) -> Result<(), Fault>,
    ) -> Result<Self, Fault> {
        let mut client = connections.connect().map_err(|error| match may_pass(&error) {
            true => Fault::Away(Fault::new(&error).to_string()),
            false => Fault::new(&error),
        })?;
        let checked = schema::version(&mut client).and_then(check);
        match checked {
            Err(fault) if client.is_closed() => return Err(Fault::Away(fault.to_string())),
            checked => checked?,
        }
        let (statements, used) = (BTreeMap::new(), Instant::now());
        Ok(Self { client, statements, used, until: used, is_stale: false })
    }

    /// Does something for somebody who waits that long.
    pub(super) fn until<T>(
        &mut self,
        until: Instant,
        task: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.until = until;
        task(self)
    }

    /// Whether it may be used again, as far as that is known without asking.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_stale && !self.client.is_closed()
    }

    /// Runs a statement that must not run twice, and returns how many rows it touched.
    pub(super) fn execute(
        &mut self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Fault> {
        let alive = self.ask_if_idle().and_then(|()| self.prepared(sql));
        let statement = alive.map_err(Fault::before_leaving)?;
        if self.until <= Instant::now() {
            // They were told that it failed, and may have tried again.
            return Err(Fault::Unsent(LATE.to_owned()));
        }
        let executed = self.client.execute(&statement, parameters);
        self.used = Instant::now();
        executed.map_err(|error| self.failed(sql, &error))
    }

    /// Runs a statement that returns one row at most.
    pub(super) fn find(
        &mut self,
        sql: &'static str,
        keys: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Fault> {
        let statement = self.prepared(sql)?;
        let found = self.client.query_opt(&statement, keys);
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

    fn fault(&mut self, error: &postgres::Error) -> Fault {
        match Fault::new(error) {
            Fault::Other(cause) if self.client.is_closed() => Fault::Lost(cause),
            Fault::ReadOnly(cause) => {
                // Connections remember that they may only read, even when others may write again.
                self.is_stale = true;
                Fault::Other(cause)
            }
            fault => fault,
        }
    }
}

/// Whether what keeps us from connecting may pass by itself.
fn may_pass(error: &postgres::Error) -> bool {
    match error.code() {
        // Connections broken, resources used up, and the database starting or stopping.
        Some(code) => ["08", "53", "57"].iter().any(|class| code.code().starts_with(class)),
        None => error.is_closed() || error.source().is_some_and(|cause| cause.is::<io::Error>()),
    }
}

/// What went wrong, before anybody said in which database.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The database cannot be reached now, and perhaps later. Nothing was changed.
    Away(String),
    /// Another transaction was faster, or took the client away. Nothing was changed.
    Conflict(String),
    /// The connection was lost, and nobody knows whether the statement had been carried out.
    Lost(String),
    /// Anything else. Nothing was changed.
    Other(String),
    /// This connection may only read. Nothing was changed.
    ReadOnly(String),
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
                SqlState::READ_ONLY_SQL_TRANSACTION => Self::ReadOnly(said),
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
            Self::Away(_)
            | Self::Conflict(_)
            | Self::Other(_)
            | Self::ReadOnly(_)
            | Self::Unsent(_) => self,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(cause)
            | Self::Conflict(cause)
            | Self::Lost(cause)
            | Self::Other(cause)
            | Self::ReadOnly(cause)
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
