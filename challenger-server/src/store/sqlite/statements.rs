//! The statements of loading and committing.

use challenger_proto::{
    Client, ClientId, ClientSecretDigest, Commit, Count, Grant, GrantSerial, NonceDigest,
    TokenDigest, Validation, Write,
};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, ToSql, ffi, params_from_iter};

use super::file::Fault;
use crate::store::row::{ClientRow, GrantRow, ValidationRow, to_seconds};

const SELECT_CLIENT: &str = "\
    SELECT id, redirect_uri, secret_salt, secret_digest FROM clients WHERE id = ?1";

const SELECT_VALIDATION: &str = "\
    SELECT id, version, authorized, state, scope, code_challenge, code_challenge_method, \
        addresses_left, refunds_left, progress, address, salt, sent_at, transmissions_left, \
        attempts_left, solved_at, renewed_at, code, token, redeemed_at, \
        earlier, client, expires, redirect_uri, prefill, read_only \
    FROM validations WHERE id = ?1";

const SELECT_GRANT: &str = "\
    SELECT id, token, client, address, valid_until, expires FROM grants WHERE token = ?1";

const COUNT_VALIDATIONS: &str = "\
    SELECT count(*) FROM \
        (SELECT 1 FROM validations WHERE client = ?1 AND expires > ?2 LIMIT ?3)";

/// Nothing is inserted for a client that has another secret by now.
const INSERT_VALIDATION: &str = "\
    INSERT INTO validations (\
        id, version, authorized, state, scope, code_challenge, code_challenge_method, \
        addresses_left, refunds_left, progress, address, salt, sent_at, transmissions_left, \
        attempts_left, solved_at, renewed_at, code, token, redeemed_at, \
        earlier, client, expires, redirect_uri, prefill, read_only) \
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, \
        ?20, ?21, ?22, ?23, ?24, ?25, ?26 \
    FROM clients WHERE id = ?22 AND secret_digest = ?27 \
    ON CONFLICT (id) DO NOTHING";

const UPDATE_VALIDATION: &str = "\
    UPDATE validations SET version = version + 1, authorized = ?3, state = ?4, scope = ?5, \
        code_challenge = ?6, code_challenge_method = ?7, addresses_left = ?8, refunds_left = ?9, \
        progress = ?10, address = ?11, salt = ?12, sent_at = ?13, transmissions_left = ?14, \
        attempts_left = ?15, solved_at = ?16, renewed_at = ?17, code = ?18, token = ?19, \
        redeemed_at = ?20, earlier = ?21 \
    WHERE id = ?1 AND version = ?2";

const INSERT_GRANT: &str = "\
    INSERT INTO grants (token, client, address, valid_until, expires) VALUES (?1, ?2, ?3, ?4, ?5)";

const DELETE_GRANT: &str = "DELETE FROM grants WHERE token = ?1";

/// Finds a client.
pub(super) fn client(connection: &Connection, id: ClientId) -> Result<Option<Client>, Fault> {
    let row = connection
        .prepare_cached(SELECT_CLIENT)?
        .query_row([id.number()], |row| {
            Ok(ClientRow {
                id: row.get(0)?,
                redirect_uri: row.get(1)?,
                secret_salt: row.get(2)?,
                secret_digest: row.get(3)?,
            })
        })
        .optional()?;
    Ok(row.map(Client::try_from).transpose()?)
}

/// Finds a validation.
pub(super) fn validation(
    connection: &Connection,
    id: &NonceDigest,
) -> Result<Option<Validation>, Fault> {
    let row = connection
        .prepare_cached(SELECT_VALIDATION)?
        .query_row([id.as_bytes()], validation_row)
        .optional()?;
    Ok(row.map(Validation::try_from).transpose()?)
}

/// Finds a grant.
pub(super) fn grant(
    connection: &Connection,
    token: &TokenDigest,
) -> Result<Option<(GrantSerial, Grant)>, Fault> {
    let found = connection
        .prepare_cached(SELECT_GRANT)?
        .query_row([token.as_bytes()], |row| {
            let grant = GrantRow {
                token: row.get(1)?,
                client: row.get(2)?,
                address: row.get(3)?,
                valid_until: row.get(4)?,
                expires: row.get(5)?,
            };
            Ok((GrantSerial(row.get(0)?), grant))
        })
        .optional()?;
    Ok(found.map(|(serial, row)| Grant::try_from(row).map(|grant| (serial, grant))).transpose()?)
}

/// Counts the validations of a client.
pub(super) fn count(connection: &Connection, count: &Count) -> Result<u32, Fault> {
    let parameters = (count.client.number(), to_seconds(count.now), count.most);
    let mut statement = connection.prepare_cached(COUNT_VALIDATIONS)?;
    Ok(statement.query_row(parameters, |row| row.get(0))?)
}

/// Whether a write is one statement, which is carried out whole or not at all.
pub(super) const fn is_single(write: &Write) -> bool {
    match write {
        Write::Open(..) | Write::Update(_) => true,
        Write::Redeem(..) | Write::Revoke(..) => false,
    }
}

/// Carries out a write. Unless it is done, the caller has to roll it back.
pub(super) fn apply(connection: &Connection, write: &Write) -> rusqlite::Result<Commit> {
    let commit = match write {
        Write::Open(validation, secret) => insert(connection, validation, secret),
        Write::Update(validation) => update(connection, validation),
        Write::Redeem(validation, grant) => redeem(connection, validation, grant),
        Write::Revoke(validation, token) => revoke(connection, validation, token),
    };
    match commit {
        Err(error) if is_client_missing(&error) => Ok(Commit::Conflict),
        Ok(_) | Err(_) => commit,
    }
}

fn insert(
    connection: &Connection,
    validation: &Validation,
    secret: &ClientSecretDigest,
) -> rusqlite::Result<Commit> {
    let row = ValidationRow::from(validation);
    let (changing, fixed) = (changing_columns(&row), fixed_columns(&row));
    let secret: [&dyn ToSql; 1] = [secret.as_bytes()];
    let inserted = connection
        .prepare_cached(INSERT_VALIDATION)?
        .execute(params_from_iter(changing.iter().chain(&fixed).chain(&secret)))?;
    Ok(done_if_one(inserted))
}

fn update(connection: &Connection, validation: &Validation) -> rusqlite::Result<Commit> {
    let row = ValidationRow::from(validation);
    let updated = connection
        .prepare_cached(UPDATE_VALIDATION)?
        .execute(params_from_iter(changing_columns(&row)))?;
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
        connection.prepare_cached(INSERT_GRANT)?.execute((
            &row.token,
            row.client,
            &row.address,
            row.valid_until,
            row.expires,
        ))?;
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

/// What an update sets, from `?1` on: identity and version first, by which it finds the row.
fn changing_columns(row: &ValidationRow) -> [&dyn ToSql; 21] {
    [
        &row.id,
        &row.version,
        &row.authorized,
        &row.state,
        &row.scope,
        &row.code_challenge,
        &row.code_challenge_method,
        &row.addresses_left,
        &row.refunds_left,
        &row.progress,
        &row.address,
        &row.salt,
        &row.sent_at,
        &row.transmissions_left,
        &row.attempts_left,
        &row.solved_at,
        &row.renewed_at,
        &row.code,
        &row.token,
        &row.redeemed_at,
        &row.earlier,
    ]
}

/// What only an insert sets, from `?22` on.
fn fixed_columns(row: &ValidationRow) -> [&dyn ToSql; 5] {
    [&row.client, &row.expires, &row.redirect_uri, &row.prefill, &row.read_only]
}

fn validation_row(row: &Row<'_>) -> rusqlite::Result<ValidationRow> {
    Ok(ValidationRow {
        id: row.get(0)?,
        version: row.get(1)?,
        authorized: row.get(2)?,
        state: row.get(3)?,
        scope: row.get(4)?,
        code_challenge: row.get(5)?,
        code_challenge_method: row.get(6)?,
        addresses_left: row.get(7)?,
        refunds_left: row.get(8)?,
        progress: row.get(9)?,
        address: row.get(10)?,
        salt: row.get(11)?,
        sent_at: row.get(12)?,
        transmissions_left: row.get(13)?,
        attempts_left: row.get(14)?,
        solved_at: row.get(15)?,
        renewed_at: row.get(16)?,
        code: row.get(17)?,
        token: row.get(18)?,
        redeemed_at: row.get(19)?,
        earlier: row.get(20)?,
        client: row.get(21)?,
        expires: row.get(22)?,
        redirect_uri: row.get(23)?,
        prefill: row.get(24)?,
        read_only: row.get(25)?,
    })
}
