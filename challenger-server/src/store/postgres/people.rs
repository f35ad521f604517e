//! What the search for a person does in the database.

use std::collections::BTreeSet;
use std::time::Instant;

use postgres::{Client, Row};

use super::PostgresStore;
use super::error::PostgresError;
use super::registry::{PIECE_ROWS, retry};
use crate::store::people::{Key, Look, Table, Tables};
use crate::store::{StoreError, rest, row};

/// How many rows are fetched at once.
const FETCH_ROWS: i32 = 1000;

impl Tables for PostgresStore {
    fn each(&self, table: Table, look: Look<'_>) -> Result<(), StoreError> {
        let read = self.connect().and_then(|mut client| each(&mut client, table, look));
        read.map_err(|error| self.error(error))
    }

    fn delete(&self, table: Table, keys: &BTreeSet<Key>) -> Result<u64, StoreError> {
        let deleted = self.connect().and_then(|mut client| delete(&mut client, table, keys));
        deleted.map_err(|error| self.error(error))
    }
}

/// Reads the table from one end to the other, in one snapshot: that needs no index and, unlike
/// reading by key, leaves the rows of others in the database's memory. Nobody waits for it.
fn each(client: &mut Client, table: Table, look: Look<'_>) -> Result<(), PostgresError> {
    let (name, [key, first, second]) = (table.name(), table.columns());
    let select = format!("SELECT {key}, {first}, {second}::text FROM challenger.{name}");
    let mut snapshot = client.build_transaction().read_only(true).start()?;
    let portal = snapshot.bind(&select, &[])?;
    loop {
        let rows = snapshot.query_portal(&portal, FETCH_ROWS)?;
        if rows.is_empty() {
            return Ok(snapshot.commit()?);
        }
        for row in &rows {
            look(key_of(row)?, [row.try_get(1)?, row.try_get(2)?])?;
        }
    }
}

fn key_of(row: &Row) -> Result<Key, PostgresError> {
    Ok(row::bytes("the key", row.try_get::<_, &[u8]>(0)?)?)
}

fn delete(client: &mut Client, table: Table, keys: &BTreeSet<Key>) -> Result<u64, PostgresError> {
    let (name, [key, ..]) = (table.name(), table.columns());
    let statement = client.prepare(&format!(
        "WITH deleted AS (\
            DELETE FROM challenger.{name} WHERE {key} = ANY ($1) RETURNING client), \
        counted AS (SELECT client, count(*) AS number FROM deleted GROUP BY client), \
        added AS (\
            UPDATE challenger.clients c \
            SET {name}_collected = c.{name}_collected + counted.number \
            FROM counted WHERE c.id = counted.client) \
        SELECT coalesce(sum(number), 0)::bigint FROM counted"
    ))?;
    let keys: Vec<&[u8]> = keys.iter().map(Key::as_slice).collect();
    let mut deleted = 0;
    for piece in keys.chunks(usize::try_from(PIECE_ROWS).unwrap_or(1)) {
        let begun = Instant::now();
        let row = retry(|| Ok(client.query_one(&statement, &[&piece])?))?;
        deleted += row.try_get::<_, i64>(0)?.cast_unsigned();
        rest(begun);
    }
    Ok(deleted)
}
