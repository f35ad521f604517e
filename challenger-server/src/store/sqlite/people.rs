//! What the search for a person does in the file.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};

use super::SqliteStore;
use super::error::SqliteError;
use super::registry::{PIECE_ROWS, count, in_pieces};
use crate::store::StoreError;
use crate::store::people::{Key, Look, Table, Tables};

/// How many rows are read at once. No snapshot lasts longer, so the write-ahead log can be emptied
/// meanwhile; and readers do not keep the writer waiting.
const READ_ROWS: u32 = 1000;

/// A row as it is looked at: its place in the table, its key, and the addresses in it.
type SeenRow = (i64, Key, Option<String>, Option<String>);

impl Tables for SqliteStore {
    fn each(&self, table: Table, look: Look<'_>) -> Result<(), StoreError> {
        let connection = self.file.connect_to_read()?;
        let mut last = i64::MIN;
        loop {
            let rows = rows_after(&connection, table, last);
            let rows = rows.map_err(|error| self.file.error(SqliteError::from(error)))?;
            let Some((place, ..)) = rows.last() else { return Ok(()) };
            last = *place;
            for (_, key, first, second) in &rows {
                look(*key, [first.as_deref(), second.as_deref()])?;
            }
        }
    }

    fn delete(&self, table: Table, keys: &BTreeSet<Key>) -> Result<u64, StoreError> {
        self.maintain(|connection| Ok(delete(connection, table, keys)?))
    }
}

/// The next rows in the order in which they lie in the file. A row keeps its place.
fn rows_after(connection: &Connection, table: Table, last: i64) -> rusqlite::Result<Vec<SeenRow>> {
    let (name, columns) = (table.name(), table.columns().join(", "));
    let select =
        format!("SELECT rowid, {columns} FROM {name} WHERE rowid > ?1 ORDER BY rowid LIMIT ?2");
    connection
        .prepare_cached(&select)?
        .query_map((last, READ_ROWS), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect()
}

fn delete(
    connection: &mut Connection,
    table: Table,
    keys: &BTreeSet<Key>,
) -> rusqlite::Result<u64> {
    let (name, [key, ..]) = (table.name(), table.columns());
    let delete = format!("DELETE FROM {name} WHERE {key} = ?1 RETURNING client");
    let (mut keys, mut deleted) = (keys.iter(), 0);
    in_pieces(connection, |transaction| {
        let mut looked_at = 0;
        for key in keys.by_ref().take(PIECE_ROWS as usize) {
            looked_at += 1;
            let mut delete = transaction.prepare_cached(&delete)?;
            let client: Option<i64> = delete.query_row([key], |row| row.get(0)).optional()?;
            if let Some(client) = client {
                count(transaction, name, client, 1)?;
                deleted += 1;
            }
        }
        Ok(looked_at)
    })?;
    Ok(deleted)
}
