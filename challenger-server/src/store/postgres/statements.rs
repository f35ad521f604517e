//! The statements of loading and committing, one round trip each.

use std::sync::LazyLock;

use challenger_proto::{
    Client, Commit, Grant, GrantSerial, Load, Loaded, TokenDigest, Validation, Write,
};
use postgres::Row;
use postgres::types::{FromSql, ToSql};

use super::pool::{Fault, Session};
use crate::store::row::{ClientRow, GrantRow, ValidationRow};

/// Everything that may be asked for; what is not asked for is NULL, and NULL equals nothing.
const SELECT: &str = "\
    SELECT c.id, c.redirect_uri, c.secret_salt, c.secret_digest, \
        v.id, v.version, v.authorized, v.state, v.scope, v.code_challenge, \
        v.code_challenge_method, v.addresses_left, v.refunds_left, v.progress, v.address, v.salt, \
        v.sent_at, v.transmissions_left, v.attempts_left, v.solved_at, v.renewed_at, v.code, \
        v.token, v.redeemed_at, v.client, v.expires, v.redirect_uri, v.prefill, v.read_only, \
        g.id, g.token, g.client, g.address, g.valid_until, g.expires \
    FROM (VALUES ($1::bigint, $2::bytea, $3::bytea)) AS asked (client, validation, token) \
        LEFT JOIN challenger.clients c ON c.id = asked.client \
        LEFT JOIN challenger.validations v ON v.id = asked.validation \
        LEFT JOIN challenger.grants g ON g.token = asked.token";

// Where the columns of each row begin.
const CLIENT: usize = 0;
const VALIDATION: usize = 4;
const GRANT: usize = 29;

const INSERT: &str = "\
    INSERT INTO challenger.validations (\
        id, version, authorized, state, scope, code_challenge, code_challenge_method, \
        addresses_left, refunds_left, progress, address, salt, sent_at, transmissions_left, \
        attempts_left, solved_at, renewed_at, code, token, redeemed_at, \
        client, expires, redirect_uri, prefill, read_only) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
        $20, $21, $22, $23, $24, $25) \
    ON CONFLICT (id) DO NOTHING";

const UPDATE: &str = "\
    UPDATE challenger.validations SET version = version + 1, authorized = $3, state = $4, \
        scope = $5, code_challenge = $6, code_challenge_method = $7, addresses_left = $8, \
        refunds_left = $9, progress = $10, address = $11, salt = $12, sent_at = $13, \
        transmissions_left = $14, attempts_left = $15, solved_at = $16, renewed_at = $17, \
        code = $18, token = $19, redeemed_at = $20 \
    WHERE id = $1 AND version = $2";

/// A token is drawn once, so there is nothing to replace; but were it drawn twice, the later grant
/// would count.
static REDEEM: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH changed AS ({UPDATE} RETURNING id) \
        INSERT INTO challenger.grants (token, client, address, valid_until, expires) \
        SELECT $21::bytea, $22::bigint, $23::text, $24::bigint, $25::bigint FROM changed \
        ON CONFLICT (token) DO UPDATE SET id = excluded.id, client = excluded.client, \
            address = excluded.address, valid_until = excluded.valid_until, \
            expires = excluded.expires"
    )
});

static REVOKE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH changed AS ({UPDATE} RETURNING id), \
            revoked AS (DELETE FROM challenger.grants USING changed WHERE grants.token = $21) \
        SELECT id FROM changed"
    )
});

/// Finds what is asked for.
pub(super) fn load(session: &mut Session, load: &Load) -> Result<Loaded, Fault> {
    let client = load.client.map(|id| id.number());
    let validation = load.validation.as_ref().map(|id| id.as_bytes().as_slice());
    let grant = load.grant.as_ref().map(|token| token.as_bytes().as_slice());
    let row = session.query_one(SELECT, &[&client, &validation, &grant])?;
    Ok(Loaded {
        client: client_row(&row)?.map(Client::try_from).transpose()?,
        validation: validation_row(&row)?.map(Validation::try_from).transpose()?,
        grant: grant_row(&row)?,
    })
}

/// Carries out a write.
pub(super) fn commit(session: &mut Session, write: &Write) -> Result<Commit, Fault> {
    let changed = match write {
        Write::Open(validation) => insert(session, validation),
        Write::Update(validation) => update(session, validation),
        Write::Redeem(validation, grant) => redeem(session, validation, grant),
        Write::Revoke(validation, token) => revoke(session, validation, token),
    };
    match changed {
        Ok(1) => Ok(Commit::Done),
        Ok(_) | Err(Fault::Conflict(_)) => Ok(Commit::Conflict),
        Err(fault) => Err(fault),
    }
}

fn insert(session: &mut Session, validation: &Validation) -> Result<u64, Fault> {
    let row = ValidationRow::from(validation);
    session.execute(INSERT, &[&changing_columns(&row)[..], &fixed_columns(&row)].concat())
}

fn update(session: &mut Session, validation: &Validation) -> Result<u64, Fault> {
    session.execute(UPDATE, &changing_columns(&ValidationRow::from(validation)))
}

fn redeem(session: &mut Session, validation: &Validation, grant: &Grant) -> Result<u64, Fault> {
    let (row, grant) = (ValidationRow::from(validation), GrantRow::from(grant));
    let columns: [&(dyn ToSql + Sync); 5] =
        [&grant.token, &grant.client, &grant.address, &grant.valid_until, &grant.expires];
    session.execute(&REDEEM, &[&changing_columns(&row)[..], &columns].concat())
}

fn revoke(
    session: &mut Session,
    validation: &Validation,
    token: &TokenDigest,
) -> Result<u64, Fault> {
    let (row, token) = (ValidationRow::from(validation), token.as_bytes().as_slice());
    let columns: [&(dyn ToSql + Sync); 1] = [&token];
    session.execute(&REVOKE, &[&changing_columns(&row)[..], &columns].concat())
}

/// What an update sets, from `$1` on: identity and version first, by which it finds the row.
fn changing_columns(row: &ValidationRow) -> [&(dyn ToSql + Sync); 20] {
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
    ]
}

/// What only an insert sets, from `$21` on.
fn fixed_columns(row: &ValidationRow) -> [&(dyn ToSql + Sync); 5] {
    [&row.client, &row.expires, &row.redirect_uri, &row.prefill, &row.read_only]
}

/// The columns of a row, one after the other.
struct Columns<'a> {
    row: &'a Row,
    next: usize,
}

impl<'a> Columns<'a> {
    fn next<T: FromSql<'a>>(&mut self) -> Result<T, Fault> {
        let column = self.row.try_get(self.next)?;
        self.next += 1;
        Ok(column)
    }
}

// Where the first column is NULL, there was no row to join.

fn client_row(row: &Row) -> Result<Option<ClientRow>, Fault> {
    let mut columns = Columns { row, next: CLIENT };
    let Some(id) = columns.next()? else { return Ok(None) };
    Ok(Some(ClientRow {
        id,
        redirect_uri: columns.next()?,
        secret_salt: columns.next()?,
        secret_digest: columns.next()?,
    }))
}

fn validation_row(row: &Row) -> Result<Option<ValidationRow>, Fault> {
    let mut columns = Columns { row, next: VALIDATION };
    let Some(id) = columns.next()? else { return Ok(None) };
    Ok(Some(ValidationRow {
        id,
        version: columns.next()?,
        authorized: columns.next()?,
        state: columns.next()?,
        scope: columns.next()?,
        code_challenge: columns.next()?,
        code_challenge_method: columns.next()?,
        addresses_left: columns.next()?,
        refunds_left: columns.next()?,
        progress: columns.next()?,
        address: columns.next()?,
        salt: columns.next()?,
        sent_at: columns.next()?,
        transmissions_left: columns.next()?,
        attempts_left: columns.next()?,
        solved_at: columns.next()?,
        renewed_at: columns.next()?,
        code: columns.next()?,
        token: columns.next()?,
        redeemed_at: columns.next()?,
        client: columns.next()?,
        expires: columns.next()?,
        redirect_uri: columns.next()?,
        prefill: columns.next()?,
        read_only: columns.next()?,
    }))
}

fn grant_row(row: &Row) -> Result<Option<(GrantSerial, Grant)>, Fault> {
    let mut columns = Columns { row, next: GRANT };
    let Some(serial) = columns.next()? else { return Ok(None) };
    let grant = GrantRow {
        token: columns.next()?,
        client: columns.next()?,
        address: columns.next()?,
        valid_until: columns.next()?,
        expires: columns.next()?,
    };
    Ok(Some((GrantSerial(serial), Grant::try_from(grant)?)))
}
