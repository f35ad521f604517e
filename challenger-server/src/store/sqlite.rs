//! The embedded store: one SQLite file that several processes may share.
//!
//! ```text
//!   load ───▶ a connection of the pool ──▶ one snapshot
//!   commit ─▶ queue ─▶ the writer's thread ──▶ many commits, one transaction, one sync
//! ```

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use challenger_proto::store::{Account, Commit, Keys, Rows, Write};
use rusqlite::Connection;
use rusqlite::types::Value;

use self::error::SqliteError;
use self::file::DatabaseFile;
use self::writer::Writer;
use super::ledger::note;
use super::tally::Tally;
use super::{OpenMode, Statistic, Store, StoreError, lock, one_of_each};
use crate::metrics::Metrics;

mod clients;
mod error;
mod file;
mod ledger;
mod people;
mod registry;
mod schema;
mod statements;
mod statistics;
mod wal;
mod writer;

/// How many idle reading connections are kept. When a transaction of the writer is done, this many
/// requests go on at once, and opening a connection costs more than many loads.
const READERS_KEPT: usize = writer::BATCH_MAX;

/// How long an ending process tries to empty the write-ahead log while others read.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps everything in one SQLite file.
pub struct SqliteStore {
    file: Arc<DatabaseFile>,
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
    tally: Tally,
    metrics: Metrics,
}

impl SqliteStore {
    /// The version of the schema that this program knows.
    #[cfg(feature = "metrics")]
    pub(super) const SCHEMA: usize = schema::NEWEST;

    /// Opens a file. A new file, and a new folder around it, can be read by the owner only.
    ///
    /// # Errors
    /// The file is missing, belongs to another program, cannot be written, or has another schema
    /// than the mode asks for; the error says what to do.
    pub fn open(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        let file = Arc::new(DatabaseFile::new(path)?);
        if mode == OpenMode::Maintain {
            file.create()?;
        }
        let connection = file.connect()?;
        let version = schema::version(&connection).map_err(|error| file.error(error))?;
        if mode != OpenMode::Maintain {
            schema::check(version)
                .and_then(|()| schema::write_ahead(&connection))
                .map_err(|error| file.error(error))?;
        }
        let writer = Writer::start(connection, Arc::clone(&file))?;
        let (readers, tally, metrics) = (Mutex::default(), Tally::default(), Metrics::default());
        Ok(Self { file, writer, readers, tally, metrics })
    }

    /// The same store, which tells what is charged.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// The value of an SQLite setting in a connection of the store, for reports such as benchmarks.
    /// Many settings, such as `synchronous`, belong to the connection and not to the file, so no
    /// other connection has them.
    ///
    /// # Errors
    /// The file cannot be opened, or there is no such setting.
    pub fn pragma(path: &Path, name: &str) -> Result<String, StoreError> {
        let file = DatabaseFile::new(path)?;
        let connection = file.connect()?;
        let value = connection.pragma_query_value(None, name, |row| row.get::<_, Value>(0));
        match value.map_err(|error| file.error(SqliteError::from(error)))? {
            Value::Integer(number) => Ok(number.to_string()),
            Value::Text(text) => Ok(text),
            other => Err(file.error(format_args!("{name} is {other:?}"))),
        }
    }

    /// Loads rows from a file, to see whether that works, and leaves the file as it is.
    ///
    /// # Errors
    /// Those of [`Self::open`] for a server.
    pub(super) fn check(path: &Path, load: &Keys) -> Result<(), StoreError> {
        let file = DatabaseFile::new(path)?;
        let mut connection = file.connect_to_read()?;
        schema::version(&connection)
            .and_then(schema::check)
            .and_then(|()| read(&mut connection, load).map(drop))
            .map_err(|error| file.error(error))
    }

    fn reader(&self) -> Result<Connection, StoreError> {
        let idle = lock(&self.readers).pop();
        idle.map_or_else(|| self.file.connect_to_read(), Ok)
    }

    fn keep_reader(&self, reader: Connection) {
        let mut idle = lock(&self.readers);
        if idle.len() < READERS_KEPT {
            idle.push(reader);
        }
    }
}

impl Store for SqliteStore {
    fn load(&self, keys: &Keys) -> Result<Rows, StoreError> {
        self.file.check_in_place().map_err(|error| self.file.error(error))?;
        let mut reader = self.reader()?;
        let mut rows = read(&mut reader, keys).map_err(|error| self.file.error(error))?;
        if let (Some(count), Some(_)) = (&keys.count, &rows.client) {
            let counted =
                || statements::count(&reader, count).map_err(|error| self.file.error(error));
            rows.count = self.tally.number(count, counted)?;
        }
        // After an error it is closed instead, because its state is not known.
        self.keep_reader(reader);
        Ok(rows)
    }

    fn commit(&self, write: &Write) -> Result<Commit, StoreError> {
        let (commit, charged) = self.writer.commit(write)?;
        if let (Write::Open(validation, _), Commit::Done) = (write, commit) {
            self.tally.opened(validation.client);
        }
        for balance in &charged {
            note(&self.metrics, balance, 1, write.row());
        }
        Ok(commit)
    }

    fn add_to_statistics(&self, counted: &[Statistic]) -> Result<(), StoreError> {
        let mut connection = self.file.connect()?;
        statistics::add(&mut connection, counted).map_err(|error| self.file.error(error))
    }

    fn check(&self) -> Result<(), StoreError> {
        self.file.check_in_place().map_err(|error| self.file.error(error))?;
        let mut reader = self.reader()?;
        schema::version(&reader)
            .and_then(schema::check_not_older)
            .and_then(|()| read(&mut reader, &one_of_each()).map(drop))
            .map_err(|error| self.file.error(error))?;
        self.keep_reader(reader);
        Ok(())
    }

    fn finish(&self) -> Result<(), StoreError> {
        if !self.file.has_log() {
            return Ok(());
        }
        let mut connection = self.file.connect()?;
        match wal::empty(&mut connection, PATIENCE) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.file.error(
                "others read all the time, so what was deleted is still in the write-ahead log; a \
                 service that runs empties it when they are done, and so does challenger-dbinit -g",
            )),
            Err(error) => Err(self.file.error(SqliteError::from(error))),
        }
    }
}

fn read(connection: &mut Connection, load: &Keys) -> Result<Rows, SqliteError> {
    // Without a transaction, each statement would see the database at another moment. That makes no
    // difference if there is only one.
    let names = [
        load.client.is_some(),
        load.validation.is_some(),
        load.grant.is_some(),
        load.accounts.is_some(),
    ];
    if names.into_iter().filter(|&named| named).count() <= 1 {
        return select(connection, load);
    }
    let snapshot = connection.transaction()?;
    let loaded = select(&snapshot, load)?;
    snapshot.commit()?;
    Ok(loaded)
}

fn select(connection: &Connection, load: &Keys) -> Result<Rows, SqliteError> {
    let validation =
        load.validation.map(|id| statements::validation(connection, &id)).transpose()?.flatten();
    let payer = load.accounts.as_ref().and(validation.as_ref()).map(|row| row.client);
    let client = load.client.or(payer);
    let accounts = load.accounts.iter().flatten().cloned().chain(payer.map(Account::Client));
    let balances = accounts.map(|account| ledger::balance(connection, &account));
    Ok(Rows {
        client: client.map(|id| statements::client(connection, id)).transpose()?.flatten(),
        validation,
        grant: load.grant.map(|token| statements::grant(connection, &token)).transpose()?.flatten(),
        count: 0,
        balances: balances.filter_map(Result::transpose).collect::<Result<_, _>>()?,
    })
}
