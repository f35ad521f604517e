//! The operator's tools. Each call has a connection of its own, because calls are rare.

use std::time::{Duration, Instant};

use challenger_proto::Timestamp;
use challenger_proto::address::Address;
use challenger_proto::oauth::{ClientId, HashedSecret, RedirectUri};
use challenger_proto::store::Account;
use rusqlite::{Connection, OptionalExtension, Params, ToSql, Transaction, TransactionBehavior};

use super::error::SqliteError;
use super::{SqliteStore, ledger, schema, statistics, wal};
use crate::store::row::{ClientSummaryRow, client_id, to_seconds};
use crate::store::{
    Added, Changed, ClientSummary, Collected, DAYS_KEPT, Day, Forgotten, Found, Migrated, Registry,
    Spending, Statistic, Store, StoreError, Whom, people, rest,
};

/// How many rows are deleted in one transaction: a running server waits for them, and they may lie
/// in as many pages.
pub(super) const PIECE_ROWS: u32 = 100;

/// Clients of which rows have expired, and clients that are being deleted.
const SELECT_DUE: &str = "\
    SELECT id, deleting FROM clients WHERE deleting = 1 \
        OR EXISTS (SELECT 1 FROM validations WHERE client = clients.id AND expires <= ?1) \
        OR EXISTS (SELECT 1 FROM grants WHERE client = clients.id AND expires <= ?1)";

/// Clients with their totals: the rows that are there, and those that were collected.
const SELECT_CLIENTS: &str = "\
    SELECT clients.id, clients.redirect_uri, \
        clients.validations_collected + coalesce(opened.kept, 0), \
        clients.grants_collected + coalesce(granted.kept, 0), \
        clients.deleting, clients.messages_per_day, clients.open, clients.name, clients.disabled, clients.created, \
        clients.earlier_until \
    FROM clients \
    LEFT JOIN (SELECT client, count(*) AS kept FROM validations GROUP BY client) AS opened \
        ON opened.client = clients.id \
    LEFT JOIN (SELECT client, count(*) AS kept FROM grants GROUP BY client) AS granted \
        ON granted.client = clients.id \
    ORDER BY clients.id";

const UPDATE_SECRET: &str = "\
    UPDATE clients SET secret_salt = ?2, secret_digest = ?3 \
    WHERE redirect_uri = ?1 AND deleting = 0 RETURNING id";

const UPDATE_MESSAGES: &str = "\
    UPDATE clients SET messages_per_day = ?2 \
    WHERE redirect_uri = ?1 AND deleting = 0 AND (open = 0 OR ?2 IS NOT NULL) RETURNING id";

const UPDATE_OPEN: &str = "\
    UPDATE clients SET open = ?2 \
    WHERE redirect_uri = ?1 AND deleting = 0 AND (?2 = 0 OR messages_per_day IS NOT NULL) \
    RETURNING id";

/// No secret has this digest.
const VOID_SECRET: &str = "\
    UPDATE clients SET deleting = 1, secret_digest = zeroblob(32) \
    WHERE redirect_uri = ?1 RETURNING id";

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

    fn add_client(
        &self,
        redirect_uri: &RedirectUri,
        secret: HashedSecret,
    ) -> Result<Added, StoreError> {
        self.maintain(|connection| add_client(connection, redirect_uri, secret))
    }

    fn clients(&self) -> Result<Vec<ClientSummary>, StoreError> {
        self.with_connection(|connection| clients(connection))
    }

    fn rotate_secret(
        &self,
        redirect_uri: &RedirectUri,
        secret: HashedSecret,
    ) -> Result<Option<ClientId>, StoreError> {
        let parameters = (redirect_uri.as_str(), secret.salt, secret.digest.as_bytes());
        self.maintain(|connection| change_client(connection, UPDATE_SECRET, parameters))
    }

    fn end_unsolved(&self, client: ClientId, now: Timestamp) -> Result<u64, StoreError> {
        self.maintain(|connection| Ok(end_unsolved(connection, client, now)?))
    }

    fn delete_client(&self, redirect_uri: &RedirectUri) -> Result<Option<ClientId>, StoreError> {
        let parameters = [redirect_uri.as_str()];
        self.maintain(|connection| {
            // Makes room for what follows on a disk that is almost full.
            let _ = wal::empty(connection, Duration::ZERO);
            let id = change_client(connection, VOID_SECRET, parameters)?;
            if let Some(id) = id {
                delete(connection, id.number())?;
            }
            Ok(id)
        })
    }

    fn set_messages_per_day(
        &self,
        redirect_uri: &RedirectUri,
        messages: Option<u32>,
    ) -> Result<Changed, StoreError> {
        let parameters = (redirect_uri.as_str(), messages);
        self.maintain(|connection| within_budget(connection, UPDATE_MESSAGES, parameters))
    }

    fn set_open(&self, redirect_uri: &RedirectUri, open: bool) -> Result<Changed, StoreError> {
        let parameters = (redirect_uri.as_str(), open);
        self.maintain(|connection| within_budget(connection, UPDATE_OPEN, parameters))
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

fn add_client(
    connection: &mut Connection,
    redirect_uri: &RedirectUri,
    secret: HashedSecret,
) -> Result<Added, SqliteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(existing) = find_client(&transaction, redirect_uri.as_str())? {
        return Ok(existing);
    }
    let number = transaction.query_row(
        "INSERT INTO clients (redirect_uri, secret_salt, secret_digest) VALUES (?1, ?2, ?3) \
        RETURNING id",
        (redirect_uri.as_str(), secret.salt, secret.digest.as_bytes()),
        |row| row.get(0),
    )?;
    transaction.commit()?;
    Ok(Added::New(client_id("clients.id", number)?))
}

/// The client that has a redirect URI already.
fn find_client(connection: &Connection, redirect_uri: &str) -> Result<Option<Added>, SqliteError> {
    let find = "SELECT id, deleting FROM clients WHERE redirect_uri = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let Some((number, is_being_deleted)) =
        connection.query_row(find, [redirect_uri], read).optional()?
    else {
        return Ok(None);
    };
    let id = client_id("clients.id", number)?;
    Ok(Some(if is_being_deleted { Added::BeingDeleted(id) } else { Added::Exists(id) }))
}

fn clients(connection: &Connection) -> Result<Vec<ClientSummary>, SqliteError> {
    let mut statement = connection.prepare(SELECT_CLIENTS)?;
    let rows = statement.query_map((), |row| ClientSummaryRow::from_sqlite(row, 0))?;
    rows.map(|row| Ok(row?.try_into()?)).collect()
}

/// Changes the client with a redirect URI, if there is one, and returns its number.
fn change_client(
    connection: &mut Connection,
    statement: &str,
    parameters: impl Params,
) -> Result<Option<ClientId>, SqliteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = transaction.query_row(statement, parameters, |row| row.get(0)).optional()?;
    transaction.commit()?;
    Ok(number.map(|number| client_id("clients.id", number)).transpose()?)
}

/// Makes a change that an open client may not allow. The first of the parameters is the redirect
/// URI.
fn within_budget(
    connection: &mut Connection,
    statement: &str,
    (redirect_uri, value): (&str, impl ToSql),
) -> Result<Changed, SqliteError> {
    let changed = change_client(connection, statement, (redirect_uri, value))?;
    if let Some(id) = changed {
        return Ok(Changed::Done(id));
    }
    Ok(match find_client(connection, redirect_uri)? {
        Some(Added::Exists(id)) => Changed::NeedsBudget(id),
        _ => Changed::Unknown,
    })
}
