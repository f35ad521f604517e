//! What the operator's tools do. Each call has a connection of its own, because they are rare.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use challenger_proto::{HashedSecret, RedirectUri, Timestamp};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::file::Fault;
use super::{SqliteStore, schema};
use crate::store::row::{client_id, to_seconds};
use crate::store::{Added, Collected, Registry, StoreError};

/// How many rows are deleted at once: a server that runs waits for them.
const CHUNK_ROWS: i64 = 1000;

/// After each chunk, the time for a server that waits to get in.
const CHUNK_PAUSE: Duration = Duration::from_millis(20);

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
}

impl SqliteStore {
    fn maintain<T>(
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
        let chunk = collect_chunk(connection, table, now)?;
        collected += chunk.cast_unsigned();
        if chunk < CHUNK_ROWS {
            return Ok(collected);
        }
        thread::sleep(CHUNK_PAUSE);
    }
}

fn collect_chunk(
    connection: &mut Connection,
    table: &Expiring,
    now: Timestamp,
) -> rusqlite::Result<i64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
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
    transaction.commit()?;
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
