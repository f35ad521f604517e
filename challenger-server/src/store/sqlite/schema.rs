//! The schema: which version a file has, and how it gets to the newest.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::SqliteError;
use crate::store::{Migrated, version};

/// The mark of this program in the file's header: `Chal`.
const APPLICATION_ID: i64 = 0x4368_616c;

/// The steps from version to version, in order and never changed once released. The version of a
/// file is the number of steps it has seen.
const MIGRATIONS: [&str; 5] = [
    include_str!("../sql/sqlite/0001.sql"),
    include_str!("../sql/sqlite/0002.sql"),
    include_str!("../sql/sqlite/0003.sql"),
    include_str!("../sql/sqlite/0004.sql"),
    include_str!("../sql/sqlite/0005.sql"),
];

/// The version of a schema that has seen them all.
#[cfg(feature = "metrics")]
pub(super) const NEWEST: usize = MIGRATIONS.len();

/// The version of the schema; 0 for an empty file.
pub(super) fn version(connection: &Connection) -> Result<usize, SqliteError> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let application = number("application_id")?;
    let is_empty: bool =
        connection
            .query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", (), |row| row.get(0))?;
    let foreign = || SqliteError("is a database of another program".to_owned());
    match application {
        APPLICATION_ID => usize::try_from(number("user_version")?).map_err(|_| foreign()),
        0 if is_empty => Ok(0),
        _ => Err(foreign()),
    }
}

/// Checks that this program can work with that version.
pub(super) fn check(version: usize) -> Result<(), SqliteError> {
    version::check(version, MIGRATIONS.len()).map_err(SqliteError)
}

/// Checks that a server can go on with that version.
pub(super) fn check_not_older(version: usize) -> Result<(), SqliteError> {
    version::check_not_older(version, MIGRATIONS.len()).map_err(SqliteError)
}

fn check_not_newer(version: usize) -> Result<(), SqliteError> {
    version::check_not_newer(version, MIGRATIONS.len()).map_err(SqliteError)
}

/// Turns on write-ahead logging, so that readers and the writer work at the same time. The file
/// remembers it, but a copy that was made as a backup does not.
pub(super) fn write_ahead(connection: &Connection) -> Result<(), SqliteError> {
    let mode = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    if mode == "wal" {
        return Ok(());
    }
    Err(SqliteError(format!("stays in journal mode {mode}; it has to be on a local file system")))
}

/// Runs the steps that the file has not seen yet.
pub(super) fn migrate(connection: &mut Connection) -> Result<Migrated, SqliteError> {
    write_ahead(connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version(&transaction)?;
    check_not_newer(version)?;
    migrate_from(&transaction, version)?;
    transaction.commit()?;
    Ok(Migrated { from: version, to: MIGRATIONS.len() })
}

/// Drops all tables and creates them again.
pub(super) fn reset(connection: &mut Connection) -> Result<(), SqliteError> {
    write_ahead(connection)?;
    // Otherwise the order of the tables would matter.
    connection.pragma_update(None, "foreign_keys", false)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    version(&transaction)?;
    for table in tables(&transaction)? {
        transaction.execute_batch(&format!("DROP TABLE \"{}\"", table.replace('"', "\"\"")))?;
    }
    migrate_from(&transaction, 0)?;
    transaction.commit()?;
    Ok(())
}

fn tables(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<String>> {
    transaction
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        )?
        .query_map((), |row| row.get(0))?
        .collect()
}

fn migrate_from(transaction: &Transaction<'_>, version: usize) -> rusqlite::Result<()> {
    for step in MIGRATIONS.iter().skip(version) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", i64::try_from(MIGRATIONS.len()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        let newest = MIGRATIONS.len();
        assert!(check(newest).is_ok());
        assert!(check(0).unwrap_err().0.contains("run challenger-dbinit"));
        assert!(check(newest + 1).unwrap_err().0.contains("upgrade the program"));
        assert!(check_not_newer(0).is_ok());
        assert!(check_not_newer(newest + 1).is_err());
    }
}
