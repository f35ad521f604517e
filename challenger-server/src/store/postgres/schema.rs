//! The schema: which version a database has, and how it gets to the newest.

use postgres::{Client, GenericClient, Row, Transaction};

use super::error::PostgresError;
use crate::store::{Migrated, version};

/// The steps from version to version, in order and never changed once released. The version of a
/// database is the number of steps it has seen.
const MIGRATIONS: [&str; 5] = [
    include_str!("../sql/postgres/0001.sql"),
    include_str!("../sql/postgres/0002.sql"),
    include_str!("../sql/postgres/0003.sql"),
    include_str!("../sql/postgres/0004.sql"),
    include_str!("../sql/postgres/0005.sql"),
];

/// The version of a schema that has seen them all.
#[cfg(feature = "metrics")]
pub(super) const NEWEST: usize = MIGRATIONS.len();

/// The version of the schema; 0 if there is no schema. Names of people need more than one alphabet,
/// so a database in an encoding other than UTF-8 is refused. `ask` runs a query for one row.
pub(super) fn version<E: Into<PostgresError>>(
    mut ask: impl FnMut(&str) -> Result<Row, E>,
) -> Result<usize, PostgresError> {
    let mut ask = |sql: &str| ask(sql).map_err(Into::into);
    let encoding: String = ask("SHOW server_encoding")?.try_get(0)?;
    if encoding != "UTF8" {
        return Err(other(format!(
            "is in {encoding}; create it anew with createdb -E UTF8 -T template0"
        )));
    }
    let row = ask("SELECT count(*), count(*) FILTER (WHERE relname = 'migrations') \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = 'challenger'")?;
    match (row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?) {
        (0, _) => Ok(0),
        // For example the original Challenger, whose schema has the same name.
        (_, 0) => Err(other("has a schema \"challenger\" of another program".to_owned())),
        (_, _) => {
            let newest = "SELECT coalesce(max(version), 0) FROM challenger.migrations";
            let version: i32 = ask(newest)?.try_get(0)?;
            usize::try_from(version).map_err(|_| other("has no such version".to_owned()))
        }
    }
}

/// The version of a tool's database.
pub(super) fn version_of(client: &mut impl GenericClient) -> Result<usize, PostgresError> {
    version(|sql| client.query_one(sql, &[]))
}

/// Checks that this program can begin to work with that version.
pub(super) fn check(version: usize) -> Result<(), PostgresError> {
    version::check(version, MIGRATIONS.len()).map_err(other)
}

/// Checks that a server can go on with that version. Servers are upgraded one after the other, and
/// the first of them migrates.
pub(super) fn check_not_older(version: usize) -> Result<(), PostgresError> {
    version::check_not_older(version, MIGRATIONS.len()).map_err(other)
}

fn check_not_newer(version: usize) -> Result<(), PostgresError> {
    version::check_not_newer(version, MIGRATIONS.len()).map_err(other)
}

/// Runs the steps that the database has not seen yet.
pub(super) fn migrate(client: &mut Client) -> Result<Migrated, PostgresError> {
    let mut transaction = client.transaction()?;
    let version = version_of(&mut transaction)?;
    check_not_newer(version)?;
    migrate_from(&mut transaction, version)?;
    transaction.commit()?;
    Ok(Migrated { from: version, to: MIGRATIONS.len() })
}

/// Drops all tables and creates them again. The schema itself stays, with its privileges.
pub(super) fn reset(client: &mut Client) -> Result<(), PostgresError> {
    let mut transaction = client.transaction()?;
    version_of(&mut transaction)?;
    let tables = "SELECT format('DROP TABLE %I.%I CASCADE', schemaname, tablename) \
        FROM pg_catalog.pg_tables WHERE schemaname = 'challenger'";
    for row in transaction.query(tables, &[])? {
        transaction.batch_execute(row.try_get(0)?)?;
    }
    migrate_from(&mut transaction, 0)?;
    Ok(transaction.commit()?)
}

fn migrate_from(transaction: &mut Transaction<'_>, version: usize) -> Result<(), PostgresError> {
    let missing = "SELECT NOT EXISTS (\
        SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'challenger')";
    // Not IF NOT EXISTS, which needs the right to create schemas even where it exists.
    if transaction.query_one(missing, &[])?.try_get(0)? {
        transaction.batch_execute("CREATE SCHEMA challenger")?;
    }
    for (number, step) in (1..).zip(MIGRATIONS).skip(version) {
        transaction.batch_execute(step)?;
        let number: i32 = number;
        transaction
            .execute("INSERT INTO challenger.migrations (version) VALUES ($1)", &[&number])?;
    }
    Ok(())
}

const fn other(cause: String) -> PostgresError {
    PostgresError::Other(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        let newest = MIGRATIONS.len();
        let message = |version| check(version).unwrap_err().to_string();
        assert!(check(newest).is_ok());
        assert!(message(0).contains("run challenger-dbinit"));
        assert!(message(newest + 1).contains("upgrade the program"));
        assert!(check_not_older(newest + 1).is_ok());
        assert_eq!(check_not_older(0).unwrap_err().to_string(), message(0));
        assert!(check_not_newer(0).is_ok());
        assert!(check_not_newer(newest + 1).is_err());
    }
}
