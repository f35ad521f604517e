//! Loads and commits: their statements.

use std::sync::LazyLock;

use challenger_proto::machine::Validation;
use challenger_proto::oauth::{Client, ClientId, Grant, GrantSerial};
use challenger_proto::secret::{ClientSecretDigest, NonceDigest, TokenDigest};
use challenger_proto::store::{Balance, Commit, Count, OverBudget, Write};
use rusqlite::{Connection, ErrorCode, OptionalExtension, ToSql, ffi};

use super::error::SqliteError;
use super::ledger;
use crate::store::row::{
    ChangingColumns, ClientRow, Dialect, FixedColumns, GrantRow, ValidationRow, to_seconds,
};

pub(super) const DIALECT: Dialect = Dialect { schema: "", sigil: '?' };

static SELECT_CLIENT: LazyLock<String> =
    LazyLock::new(|| DIALECT.select("clients", &[ClientRow::NAMES], "id"));

static SELECT_VALIDATION: LazyLock<String> = LazyLock::new(|| {
    let columns = [ChangingColumns::NAMES, FixedColumns::NAMES];
    DIALECT.select("validations", &columns, "id")
});

static SELECT_GRANT: LazyLock<String> =
    LazyLock::new(|| DIALECT.select("grants", &[&["id"], GrantRow::NAMES], "token"));

const COUNT_VALIDATIONS: &str = "\
    SELECT count(*) FROM \
        (SELECT 1 FROM validations WHERE client = ?1 AND expires > ?2 LIMIT ?3)";

static INSERT_VALIDATION: LazyLock<String> = LazyLock::new(|| DIALECT.insert_validation(""));

static UPDATE_VALIDATION: LazyLock<String> = LazyLock::new(|| DIALECT.update_validation());

static INSERT_GRANT: LazyLock<String> = LazyLock::new(|| {
    let (columns, values) = (GrantRow::NAMES.join(", "), DIALECT.parameters(GrantRow::COUNT));
    format!("INSERT INTO grants ({columns}) VALUES ({values})")
});

const DELETE_GRANT: &str = "DELETE FROM grants WHERE token = ?1";

/// Finds a client.
pub(super) fn client(connection: &Connection, id: ClientId) -> Result<Option<Client>, SqliteError> {
    let row = connection
        .prepare_cached(&SELECT_CLIENT)?
        .query_row([id.number()], |row| ClientRow::from_sqlite(row, 0))
        .optional()?;
    Ok(row.map(Client::try_from).transpose()?)
}

/// Finds a validation.
pub(super) fn validation(
    connection: &Connection,
    id: &NonceDigest,
) -> Result<Option<Validation>, SqliteError> {
    let row = connection
        .prepare_cached(&SELECT_VALIDATION)?
        .query_row([id.as_bytes()], |row| {
            Ok(ValidationRow {
                changing: ChangingColumns::from_sqlite(row, 0)?,
                fixed: FixedColumns::from_sqlite(row, ChangingColumns::COUNT)?,
            })
        })
        .optional()?;
    Ok(row.map(Validation::try_from).transpose()?)
}

/// Finds a grant.
pub(super) fn grant(
    connection: &Connection,
    token: &TokenDigest,
) -> Result<Option<(GrantSerial, Grant)>, SqliteError> {
    let found = connection
        .prepare_cached(&SELECT_GRANT)?
        .query_row([token.as_bytes()], |row| {
            Ok((GrantSerial(row.get(0)?), GrantRow::from_sqlite(row, 1)?))
        })
        .optional()?;
    Ok(found.map(|(serial, row)| Grant::try_from(row).map(|grant| (serial, grant))).transpose()?)
}

/// Counts the validations of a client.
pub(super) fn count(connection: &Connection, count: &Count) -> Result<u32, SqliteError> {
    let parameters = (count.client.number(), to_seconds(count.now), count.most);
    let mut statement = connection.prepare_cached(COUNT_VALIDATIONS)?;
    Ok(statement.query_row(parameters, |row| row.get(0))?)
}

/// Whether a write is one statement, which is carried out whole or not at all.
pub(super) const fn is_single(write: &Write) -> bool {
    match write {
        Write::Open(..) | Write::Discard(_) => true,
        Write::Update(_, entries) => entries.is_empty(),
        Write::Redeem(..) | Write::Revoke(..) => false,
    }
}

/// Carries out a write, and returns the balances that it charged. Unless it returns
/// [`Commit::Done`], the caller has to roll back.
pub(super) fn apply(
    connection: &Connection,
    write: &Write,
) -> Result<(Commit, Vec<Balance>), SqliteError> {
    let mut charged = Vec::new();
    let commit = match write {
        Write::Open(validation, secret) => insert(connection, validation, secret),
        Write::Update(validation, entries) => match ledger::post(connection, entries)? {
            Ok(balances) => {
                charged = balances;
                update(connection, validation)
            }
            Err(OverBudget) => Ok(Commit::Conflict),
        },
        Write::Redeem(validation, grant) => redeem(connection, validation, grant),
        Write::Revoke(validation, token) => revoke(connection, validation, token),
        Write::Discard(token) => delete_grant(connection, token).map(|()| Commit::Done),
    };
    match commit {
        Ok(Commit::Done) => Ok((Commit::Done, charged)),
        Ok(Commit::Conflict) => Ok((Commit::Conflict, Vec::new())),
        Err(error) if is_client_missing(&error) => Ok((Commit::Conflict, Vec::new())),
        Err(error) => Err(error.into()),
    }
}

fn insert(
    connection: &Connection,
    validation: &Validation,
    secret: &ClientSecretDigest,
) -> rusqlite::Result<Commit> {
    let (changing, fixed) = (ChangingColumns::from(validation), FixedColumns::from(validation));
    let client: [&dyn ToSql; 2] = [&fixed.client, secret.as_bytes()];
    let columns = [&changing.sqlite_parameters()[..], &fixed.sqlite_parameters(), &client];
    let inserted = connection.prepare_cached(&INSERT_VALIDATION)?.execute(&*columns.concat())?;
    Ok(done_if_one(inserted))
}

fn update(connection: &Connection, validation: &Validation) -> rusqlite::Result<Commit> {
    let row = ChangingColumns::from(validation);
    let updated =
        connection.prepare_cached(&UPDATE_VALIDATION)?.execute(row.sqlite_parameters())?;
    Ok(done_if_one(updated))
}

fn redeem(
    connection: &Connection,
    validation: &Validation,
    grant: &Grant,
) -> rusqlite::Result<Commit> {
    let commit = update(connection, validation)?;
    if commit == Commit::Done {
        // A token is drawn once, so there is nothing to delete; but were it drawn twice, the later
        // grant would count.
        delete_grant(connection, &grant.token)?;
        let row = GrantRow::from(grant);
        connection.prepare_cached(&INSERT_GRANT)?.execute(row.sqlite_parameters())?;
    }
    Ok(commit)
}

fn revoke(
    connection: &Connection,
    validation: &Validation,
    token: &TokenDigest,
) -> rusqlite::Result<Commit> {
    let commit = update(connection, validation)?;
    if commit == Commit::Done {
        delete_grant(connection, token)?;
    }
    Ok(commit)
}

fn delete_grant(connection: &Connection, token: &TokenDigest) -> rusqlite::Result<()> {
    connection.prepare_cached(DELETE_GRANT)?.execute([token.as_bytes()])?;
    Ok(())
}

const fn done_if_one(changed: usize) -> Commit {
    if changed == 1 { Commit::Done } else { Commit::Conflict }
}

/// The only foreign keys are those of clients.
fn is_client_missing(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|cause| {
        cause.code == ErrorCode::ConstraintViolation
            && cause.extended_code == ffi::SQLITE_CONSTRAINT_FOREIGNKEY
    })
}
