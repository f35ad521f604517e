//! The operator's tools. Each call has a connection of its own, because calls are rare.

use std::time::{Duration, Instant};

use challenger_proto::address::Address;
use challenger_proto::oauth::{ClientId, HashedSecret, RedirectUri};
use challenger_proto::store::Account;
use challenger_proto::{Span, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::SqliteError;
use super::{SqliteStore, clients, ledger, schema, statistics, wal};
use crate::store::row::to_seconds;
use crate::store::{
    Added, Changed, Changes, ClientKey, ClientSummary, Collected, DAYS_KEPT, Day, Forgotten, Found,
    Migrated, NewClient, Registry, Rotated, Spending, Statistic, Store, StoreError, Whom, people,
    rest,
};

/// How many rows are deleted in one transaction: a running server waits for them, and they may lie
/// in as many pages.
pub(super) const PIECE_ROWS: u32 = 100;

/// Clients of which rows have expired, and clients that are being deleted.
const SELECT_DUE: &str = "\
    SELECT id, deleting FROM clients WHERE deleting = 1 \
        OR EXISTS (SELECT 1 FROM validations WHERE client = clients.id AND expires <= ?1) \
        OR EXISTS (SELECT 1 FROM grants WHERE client = clients.id AND expires <= ?1)";

/// Rows that a request wrote meanwhile are deleted with it: `ON DELETE CASCADE`.
const DELETE_CLIENT: &str = "DELETE FROM clients WHERE id = ?1 AND deleting = 1";

const SELECT_UNSOLVED: &str = "\
    SELECT id FROM validations \
    WHERE client = ?1 AND expires > ?2 AND progress IN ('open', 'challenged')";

const DELETE_UNSOLVED: &str = "\
    DELETE FROM validations WHERE id = ?1 AND progress IN ('open', 'challenged')";

impl Registry for SqliteStore {
    fn migrate(&self) -> Result<Migrated, StoreError> {
        self.maintain(schema::migrate)
    }

    fn reset(&self) -> Result<(), StoreError> {
        self.maintain(schema::reset)
    }

    fn collect_garbage(&self, now: Timestamp) -> Result<Collected, StoreError> {
        self.maintain(|connection| Ok(collect(connection, now)?))
    }

    fn add_client(&self, client: &NewClient, now: Timestamp) -> Result<Added, StoreError> {
        self.maintain(|connection| clients::add(connection, client, now))
    }

    fn find_client(&self, key: &ClientKey) -> Result<Option<(ClientId, RedirectUri)>, StoreError> {
        self.with_connection(|connection| clients::find(connection, key))
    }

    fn clients(&self) -> Result<Vec<ClientSummary>, StoreError> {
        self.with_connection(|connection| clients::all(connection))
    }

    fn change_client(&self, client: ClientId, changes: &Changes) -> Result<Changed, StoreError> {
        self.maintain(|connection| clients::change(connection, client, changes))
    }

    fn rotate_secret(
        &self,
        client: ClientId,
        secret: HashedSecret,
        keep_old: Option<Span>,
        now: Timestamp,
    ) -> Result<Rotated, StoreError> {
        self.maintain(|connection| clients::rotate(connection, client, secret, keep_old, now))
    }

    fn end_unsolved(&self, client: ClientId, now: Timestamp) -> Result<u64, StoreError> {
        self.maintain(|connection| Ok(end_unsolved(connection, client, now)?))
    }

    fn delete_client(&self, client: ClientId) -> Result<bool, StoreError> {
        self.maintain(|connection| {
            // Makes room for what follows on a disk that is almost full.
            let _ = wal::empty(connection, Duration::ZERO);
            let is_known = clients::void(connection, client)?;
            if is_known {
                delete(connection, client.number())?;
            }
            Ok(is_known)
        })
    }

    fn spending(&self, now: Timestamp) -> Result<Spending, StoreError> {
        self.with_connection(|connection| ledger::spending(connection, now))
    }

    fn forgive(&self, account: &Account) -> Result<bool, StoreError> {
        self.maintain(|connection| ledger::forgive(connection, account))
    }

    fn find(&self, whom: &Whom) -> Result<Found, StoreError> {
        people::find(self, whom)
    }

    fn forget(&self, address: &Address) -> Result<Forgotten, StoreError> {
        people::forget(self, address)
    }

    fn statistics(&self, since: Day) -> Result<Vec<Statistic>, StoreError> {
        self.with_connection(|connection| statistics::since(connection, since))
    }
}

impl SqliteStore {
    /// Runs a task that changes something, and takes the old rows out of the write-ahead log.
    pub(super) fn maintain<T>(
        &self,
        task: impl FnOnce(&mut Connection) -> Result<T, SqliteError>,
    ) -> Result<T, StoreError> {
        let done = self.with_connection(task);
        if let Err(error) = self.finish() {
            log::warn!("{error}");
        }
        done
    }

    /// Runs a task.
    fn with_connection<T>(
        &self,
        task: impl FnOnce(&mut Connection) -> Result<T, SqliteError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.file.connect()?;
        task(&mut connection).map_err(|error| self.file.error(error))
    }
}

fn collect(connection: &mut Connection, now: Timestamp) -> rusqlite::Result<Collected> {
    let due: Vec<(i64, bool)> = connection
        .prepare(SELECT_DUE)?
        .query_map([to_seconds(now)], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut collected = Collected::default();
    for (client, is_deleted) in due {
        if is_deleted {
            delete(connection, client)?;
        } else {
            collected.grants += delete_rows(connection, "grants", client, now)?;
            collected.validations += delete_rows(connection, "validations", client, now)?;
        }
    }
    let mut last = String::new();
    collected.balances = in_pieces(connection, |transaction| {
        ledger::delete_ended(transaction, now, PIECE_ROWS, &mut last)
    })?;
    statistics::delete_before(connection, Day::of(now).before(DAYS_KEPT))?;
    Ok(collected)
}

/// Deletes a client whose secret is void, with all its rows.
fn delete(connection: &mut Connection, client: i64) -> rusqlite::Result<()> {
    delete_rows(connection, "grants", client, Timestamp::NEVER)?;
    delete_rows(connection, "validations", client, Timestamp::NEVER)?;
    connection.execute(DELETE_CLIENT, [client]).map(drop)
}

/// Deletes the rows of a client in a table that expire until a time, the latest first, and counts
/// them in its totals.
fn delete_rows(
    connection: &mut Connection,
    table: &str,
    client: i64,
    until: Timestamp,
) -> rusqlite::Result<u64> {
    let delete = format!(
        "DELETE FROM {table} WHERE id IN \
            (SELECT id FROM {table} WHERE client = ?1 AND expires <= ?2 \
            ORDER BY expires DESC LIMIT ?3)"
    );
    in_pieces(connection, |transaction| {
        let parameters = (client, to_seconds(until), PIECE_ROWS);
        let rows = number(transaction.prepare_cached(&delete)?.execute(parameters)?);
        count(transaction, table, client, rows)?;
        Ok(rows)
    })
}

/// Counts deleted rows of a table in a client's totals.
pub(super) fn count(
    transaction: &Transaction<'_>,
    table: &str,
    client: i64,
    rows: u32,
) -> rusqlite::Result<()> {
    let total = format!("{table}_collected");
    let add = format!("UPDATE clients SET {total} = {total} + ?2 WHERE id = ?1");
    transaction.prepare_cached(&add)?.execute((client, rows)).map(drop)
}

/// Ends the unsolved validations of a client.
fn end_unsolved(
    connection: &mut Connection,
    client: ClientId,
    now: Timestamp,
) -> rusqlite::Result<u64> {
    let mut ids: Vec<Vec<u8>> = connection
        .prepare(SELECT_UNSOLVED)?
        .query_map((client.number(), to_seconds(now)), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut ended = 0;
    in_pieces(connection, |transaction| {
        let mut delete = transaction.prepare_cached(DELETE_UNSOLVED)?;
        let (mut looked_at, mut deleted) = (0, 0);
        while looked_at < PIECE_ROWS
            && let Some(id) = ids.pop()
        {
            looked_at += 1;
            // Unless it was solved meanwhile.
            deleted += number(delete.execute([id])?);
        }
        count(transaction, "validations", client.number(), deleted)?;
        ended += u64::from(deleted);
        Ok(looked_at)
    })?;
    Ok(ended)
}

/// Repeats a transaction until it has fewer rows than [`PIECE_ROWS`], and lets others have the
/// database in between. Returns the number of rows in all.
pub(super) fn in_pieces(
    connection: &mut Connection,
    mut piece: impl FnMut(&Transaction<'_>) -> rusqlite::Result<u32>,
) -> rusqlite::Result<u64> {
    let mut done = 0;
    loop {
        // Others wait for us only from here on.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let begun = Instant::now();
        let rows = piece(&transaction)?;
        transaction.commit()?;
        done += u64::from(rows);
        if rows < PIECE_ROWS {
            return Ok(done);
        }
        rest(begun);
    }
}

/// The number of rows that a statement changed.
fn number(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}
