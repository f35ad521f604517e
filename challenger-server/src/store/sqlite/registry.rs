//! What the operator's tools do. Each call has a connection of its own, because they are rare.

use std::collections::BTreeMap;
use std::time::Instant;

use challenger_proto::{ClientId, HashedSecret, RedirectUri, Timestamp};
use rusqlite::{Connection, OptionalExtension, Params, Transaction, TransactionBehavior};

use super::file::Fault;
use super::{SqliteStore, schema};
use crate::log;
use crate::store::row::{ClientSummaryRow, client_id, to_seconds};
use crate::store::{Added, ClientSummary, Collected, Registry, Store, StoreError, rest};

/// How many rows are deleted at once: a server that runs waits for them, and they are scattered
/// over as many pages.
const CHUNK_ROWS: i64 = 100;

/// How to forget the expired rows of a table, and to count them.
struct Expiring {
    delete: &'static str,
    count: &'static str,
}

const VALIDATIONS: Expiring = Expiring {
    delete: "\
        DELETE FROM validations WHERE id IN \
            (SELECT id FROM validations WHERE expires <= ?1 ORDER BY expires LIMIT ?2) \
        RETURNING client",
    count: "\
        UPDATE clients SET validations_collected = validations_collected + ?2 WHERE id = ?1",
};

const GRANTS: Expiring = Expiring {
    delete: "\
        DELETE FROM grants WHERE id IN \
            (SELECT id FROM grants WHERE expires <= ?1 ORDER BY expires LIMIT ?2) \
        RETURNING client",
    count: "UPDATE clients SET grants_collected = grants_collected + ?2 WHERE id = ?1",
};

/// Rows that are there, and those that were collected.
const SELECT_CLIENTS: &str = "\
    SELECT clients.id, clients.redirect_uri, \
        clients.validations_collected + coalesce(opened.kept, 0), \
        clients.grants_collected + coalesce(granted.kept, 0) \
    FROM clients \
    LEFT JOIN (SELECT client, count(*) AS kept FROM validations GROUP BY client) AS opened \
        ON opened.client = clients.id \
    LEFT JOIN (SELECT client, count(*) AS kept FROM grants GROUP BY client) AS granted \
        ON granted.client = clients.id \
    ORDER BY clients.id";

const UPDATE_SECRET: &str = "\
    UPDATE clients SET secret_salt = ?2, secret_digest = ?3 WHERE redirect_uri = ?1 RETURNING id";

/// Validations and grants go with it: `ON DELETE CASCADE`.
const DELETE_CLIENT: &str = "DELETE FROM clients WHERE redirect_uri = ?1 RETURNING id";

impl Registry for SqliteStore {
    fn migrate(&self) -> Result<(), StoreError> {
        self.maintain(schema::migrate)
    }

    fn reset(&self) -> Result<(), StoreError> {
        self.maintain(schema::reset)
    }

    fn collect_garbage(&self, now: Timestamp) -> Result<Collected, StoreError> {
        self.maintain(|connection| {
            Ok(Collected {
                validations: collect(connection, &VALIDATIONS, now)?,
                grants: collect(connection, &GRANTS, now)?,
            })
        })
    }

    fn add_client(
        &self,
        redirect_uri: &RedirectUri,
        secret: HashedSecret,
    ) -> Result<Added, StoreError> {
        self.maintain(|connection| add_client(connection, redirect_uri, secret))
    }

    fn clients(&self) -> Result<Vec<ClientSummary>, StoreError> {
        self.ask(|connection| clients(connection))
    }

    fn rotate_secret(
        &self,
        redirect_uri: &RedirectUri,
        secret: HashedSecret,
    ) -> Result<Option<ClientId>, StoreError> {
        let parameters = (redirect_uri.as_str(), secret.salt, secret.digest.as_bytes());
        self.maintain(|connection| change_client(connection, UPDATE_SECRET, parameters))
    }

    fn delete_client(&self, redirect_uri: &RedirectUri) -> Result<Option<ClientId>, StoreError> {
        let parameters = [redirect_uri.as_str()];
        self.maintain(|connection| change_client(connection, DELETE_CLIENT, parameters))
    }
}

impl SqliteStore {
    /// Changes something, and takes what was there before out of the write-ahead log.
    fn maintain<T>(
        &self,
        task: impl FnOnce(&mut Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let done = self.ask(task);
        if let Err(error) = self.finish() {
            log::warn(format_args!("{error}"));
        }
        done
    }

    /// Does something that leaves nothing behind.
    fn ask<T>(
        &self,
        task: impl FnOnce(&mut Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let mut connection = self.file.connect()?;
        task(&mut connection).map_err(|fault| self.file.error(fault))
    }
}

fn collect(connection: &mut Connection, table: &Expiring, now: Timestamp) -> rusqlite::Result<u64> {
    let mut collected = 0;
    loop {
        // Nobody waits for us while we wait for others.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let begun = Instant::now();
        let chunk = collect_chunk(&transaction, table, now)?;
        transaction.commit()?;
        collected += chunk.cast_unsigned();
        if chunk < CHUNK_ROWS {
            return Ok(collected);
        }
        rest(begun);
    }
}

fn collect_chunk(
    transaction: &Transaction<'_>,
    table: &Expiring,
    now: Timestamp,
) -> rusqlite::Result<i64> {
    let mut rows_of_client = BTreeMap::<i64, i64>::new();
    let mut delete = transaction.prepare(table.delete)?;
    let clients = delete.query_map((to_seconds(now), CHUNK_ROWS), |row| row.get(0))?;
    for client in clients {
        *rows_of_client.entry(client?).or_default() += 1;
    }
    drop(delete);
    for (client, rows) in &rows_of_client {
        transaction.execute(table.count, (client, rows))?;
    }
    Ok(rows_of_client.values().sum())
}

fn add_client(
    connection: &mut Connection,
    redirect_uri: &RedirectUri,
    secret: HashedSecret,
) -> Result<Added, Fault> {
    let id = |number| client_id("clients.id", number);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let existing = transaction
        .query_row(
            "SELECT id FROM clients WHERE redirect_uri = ?1",
            [redirect_uri.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(number) = existing {
        return Ok(Added::Exists(id(number)?));
    }
    let number = transaction.query_row(
        "INSERT INTO clients (redirect_uri, secret_salt, secret_digest) VALUES (?1, ?2, ?3) \
        RETURNING id",
        (redirect_uri.as_str(), secret.salt, secret.digest.as_bytes()),
        |row| row.get(0),
    )?;
    transaction.commit()?;
    Ok(Added::New(id(number)?))
}

fn clients(connection: &Connection) -> Result<Vec<ClientSummary>, Fault> {
    let mut statement = connection.prepare(SELECT_CLIENTS)?;
    let rows = statement.query_map((), |row| {
        Ok(ClientSummaryRow {
            id: row.get(0)?,
            redirect_uri: row.get(1)?,
            validations: row.get(2)?,
            grants: row.get(3)?,
        })
    })?;
    rows.map(|row| Ok(row?.try_into()?)).collect()
}

/// Changes one client, and says which.
fn change_client(
    connection: &mut Connection,
    statement: &str,
    parameters: impl Params,
) -> Result<Option<ClientId>, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = transaction.query_row(statement, parameters, |row| row.get(0)).optional()?;
    transaction.commit()?;
    Ok(number.map(|number| client_id("clients.id", number)).transpose()?)
}
