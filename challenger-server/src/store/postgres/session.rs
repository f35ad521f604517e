//! A session with the database, and the statements that are prepared in it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use postgres::types::ToSql;
use postgres::{Client, Row, Statement};
use r2d2_postgres::PostgresConnectionManager;
use r2d2_postgres::r2d2::ManageConnection as _;

use super::error::PostgresError;
use super::schema;
use super::tls::Connector;

/// For how long after its last use a session is believed to be alive. No database restarts so
/// fast, and where many requests make checks expensive, sessions are seldom idle for so long.
const TRUST: Duration = Duration::from_millis(100);

/// Error for a database that does not answer, though it may be working on it.
pub(super) const LATE: &str = "the database did not answer in time";

/// A session, and its prepared statements.
pub(super) struct Session {
    client: Client,
    statements: BTreeMap<&'static str, Statement>,
    used: Instant,
    /// When the caller gives up.
    deadline: Instant,
    /// Whether a new session may be able to do more.
    is_stale: bool,
}

impl Session {
    /// Connects to a database whose schema passes `check`: it may not be the database of the last
    /// time.
    pub(super) fn connect(
        connections: &PostgresConnectionManager<Connector>,
        check: fn(usize) -> Result<(), PostgresError>,
    ) -> Result<Self, PostgresError> {
        let mut client =
            connections.connect().map_err(|error| PostgresError::of_connecting(&error))?;
        let checked = schema::version(&mut client).and_then(check);
        match checked {
            Err(error) if client.is_closed() => {
                return Err(PostgresError::Unreachable(error.to_string()));
            }
            checked => checked?,
        }
        let (statements, used) = (BTreeMap::new(), Instant::now());
        Ok(Self { client, statements, used, deadline: used, is_stale: false })
    }

    /// Runs a task for a caller who waits until the deadline.
    pub(super) fn run<T>(
        &mut self,
        deadline: Instant,
        task: impl FnOnce(&mut Self) -> Result<T, PostgresError>,
    ) -> Result<T, PostgresError> {
        self.deadline = deadline;
        task(self)
    }

    /// Whether the session can be used again, as far as that is known without a round trip.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_stale && !self.client.is_closed()
    }

    /// Runs a statement that must not run twice, and returns how many rows it touched.
    pub(super) fn execute(
        &mut self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, PostgresError> {
        self.run_once(sql, |client, statement| client.execute(statement, parameters))
    }

    /// Runs a statement that must not run twice, and returns the rows that it returns.
    pub(super) fn change(
        &mut self,
        sql: &'static str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, PostgresError> {
        self.run_once(sql, |client, statement| client.query(statement, parameters))
    }

    fn run_once<T>(
        &mut self,
        sql: &'static str,
        run: impl FnOnce(&mut Client, &Statement) -> Result<T, postgres::Error>,
    ) -> Result<T, PostgresError> {
        let statement = self.check_if_idle().and_then(|()| self.prepared(sql));
        let statement = statement.map_err(PostgresError::before_sending)?;
        if self.deadline <= Instant::now() {
            // The caller was given an error, and may have tried again.
            return Err(PostgresError::Unsent(LATE.to_owned()));
        }
        let done = run(&mut self.client, &statement);
        self.used = Instant::now();
        done.map_err(|error| self.failed(sql, error))
    }

    /// Runs a statement that returns one row at most.
    pub(super) fn find(
        &mut self,
        sql: &'static str,
        keys: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, PostgresError> {
        let statement = self.prepared(sql)?;
        let found = self.client.query_opt(&statement, keys);
        self.used = Instant::now();
        found.map_err(|error| self.failed(sql, error))
    }

    /// Runs a statement that returns any number of rows.
    pub(super) fn find_all(
        &mut self,
        sql: &'static str,
        keys: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, PostgresError> {
        let statement = self.prepared(sql)?;
        let found = self.client.query(&statement, keys);
        self.used = Instant::now();
        found.map_err(|error| self.failed(sql, error))
    }

    /// Sends an empty query if the session has been idle, to find out whether it is alive.
    fn check_if_idle(&mut self) -> Result<(), PostgresError> {
        if self.used.elapsed() < TRUST {
            return Ok(());
        }
        self.client.batch_execute("").map_err(|error| self.error(error))
    }

    fn prepared(&mut self, sql: &'static str) -> Result<Statement, PostgresError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).map_err(|error| self.error(error))?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// Drops the prepared statement as well: the database may have forgotten or changed it.
    fn failed(&mut self, sql: &'static str, error: postgres::Error) -> PostgresError {
        self.statements.remove(sql);
        self.error(error)
    }

    fn error(&mut self, error: postgres::Error) -> PostgresError {
        match PostgresError::from(error) {
            PostgresError::Other(cause) if self.client.is_closed() => PostgresError::Lost(cause),
            PostgresError::ReadOnly(cause) => {
                // A session stays read-only, even when new ones may write again.
                self.is_stale = true;
                PostgresError::Other(cause)
            }
            error => error,
        }
    }
}
