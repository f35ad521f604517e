//! The statements of loading and committing, one round trip each.

use std::sync::LazyLock;

use challenger_proto::{
    Client, ClientSecretDigest, Commit, Count, Grant, GrantSerial, Load, Loaded, TokenDigest,
    Validation, Write,
};
use postgres::Row;
use postgres::types::{FromSql, ToSql};

use super::pool::{Fault, Session};
use crate::store::row::{ClientRow, GrantRow, ValidationRow, to_seconds};

const SELECT_CLIENT: &str = "\
    SELECT id, redirect_uri, secret_salt, secret_digest FROM challenger.clients WHERE id = $1";

const SELECT_VALIDATION: &str = "\
    SELECT id, version, authorized, state, scope, code_challenge, code_challenge_method, \
        addresses_left, refunds_left, progress, address, salt, sent_at, transmissions_left, \
        attempts_left, solved_at, renewed_at, code, token, redeemed_at, \
        earlier, client, expires, redirect_uri, prefill, read_only \
    FROM challenger.validations WHERE id = $1";

const SELECT_GRANT: &str = "\
    SELECT id, token, client, address, valid_until, expires FROM challenger.grants \
    WHERE token = $1";

const COUNT: &str = "\
    SELECT count(*) FROM \
        (SELECT FROM challenger.validations WHERE client = $1 AND expires > $2 LIMIT $3) counted";

/// Nothing is inserted for a client that has another secret by now. `FOR KEY SHARE` also locks the
/// table before it looks, so that `end_unsolved` can wait for those that still see the old secret.
/// The lock of the row itself is the one that the foreign key takes anyway. `FOR SHARE` would make
/// it wait whenever garbage is counted, and could have a crowd keep a secret from being replaced.
const INSERT: &str = "\
    INSERT INTO challenger.validations (\
        id, version, authorized, state, scope, code_challenge, code_challenge_method, \
        addresses_left, refunds_left, progress, address, salt, sent_at, transmissions_left, \
        attempts_left, solved_at, renewed_at, code, token, redeemed_at, \
        earlier, client, expires, redirect_uri, prefill, read_only) \
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
        $20, $21, $22, $23, $24, $25, $26 \
    FROM challenger.clients WHERE id = $22 AND secret_digest = $27 FOR KEY SHARE \
    ON CONFLICT (id) DO NOTHING";

const UPDATE: &str = "\
    UPDATE challenger.validations SET version = version + 1, authorized = $3, state = $4, \
        scope = $5, code_challenge = $6, code_challenge_method = $7, addresses_left = $8, \
        refunds_left = $9, progress = $10, address = $11, salt = $12, sent_at = $13, \
        transmissions_left = $14, attempts_left = $15, solved_at = $16, renewed_at = $17, \
        code = $18, token = $19, redeemed_at = $20, earlier = $21 \
    WHERE id = $1 AND version = $2";

/// A token is drawn once, so there is nothing to replace; but were it drawn twice, the later grant
/// would count.
static REDEEM: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH changed AS ({UPDATE} RETURNING id) \
        INSERT INTO challenger.grants (token, client, address, valid_until, expires) \
        SELECT $22::bytea, $23::bigint, $24::text, $25::bigint, $26::bigint FROM changed \
        ON CONFLICT (token) DO UPDATE SET id = excluded.id, client = excluded.client, \
            address = excluded.address, valid_until = excluded.valid_until, \
            expires = excluded.expires"
    )
});

static REVOKE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH changed AS ({UPDATE} RETURNING id), \
            revoked AS (DELETE FROM challenger.grants USING changed WHERE grants.token = $22) \
        SELECT id FROM changed"
    )
});

/// Finds what is asked for. One statement for each is faster than one for all: it has no joins, and
/// mostly only one thing is asked for. Two rows may be of two moments: a client that is deleted
/// between them takes its validations along, so that a write which rests on both is a conflict.
pub(super) fn load(session: &mut Session, load: &Load) -> Result<Loaded, Fault> {
    let mut loaded = Loaded::default();
    if let Some(id) = load.client {
        let row = session.find(SELECT_CLIENT, &[&id.number()])?;
        loaded.client = row.as_ref().map(client).transpose()?;
    }
    if let Some(id) = &load.validation {
        let row = session.find(SELECT_VALIDATION, &[&id.as_bytes().as_slice()])?;
        loaded.validation = row.as_ref().map(validation).transpose()?;
    }
    if let Some(token) = &load.grant {
        let row = session.find(SELECT_GRANT, &[&token.as_bytes().as_slice()])?;
        loaded.grant = row.as_ref().map(grant).transpose()?;
    }
    Ok(loaded)
}

/// Counts the validations of a client.
pub(super) fn count(session: &mut Session, count: &Count) -> Result<u32, Fault> {
    let (client, now) = (count.client.number(), to_seconds(count.now));
    let row = session.find(COUNT, &[&client, &now, &i64::from(count.most)])?;
    let number: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Carries out a write.
pub(super) fn commit(session: &mut Session, write: &Write) -> Result<Commit, Fault> {
    let changed = match write {
        Write::Open(validation, secret) => insert(session, validation, secret),
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

fn insert(
    session: &mut Session,
    validation: &Validation,
    secret: &ClientSecretDigest,
) -> Result<u64, Fault> {
    let (row, secret) = (ValidationRow::from(validation), secret.as_bytes().as_slice());
    let secret: [&(dyn ToSql + Sync); 1] = [&secret];
    let columns = [&changing_columns(&row)[..], &fixed_columns(&row), &secret].concat();
    session.execute(INSERT, &columns)
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
fn changing_columns(row: &ValidationRow) -> [&(dyn ToSql + Sync); 21] {
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

/// What only an insert sets, from `$22` on.
fn fixed_columns(row: &ValidationRow) -> [&(dyn ToSql + Sync); 5] {
    [&row.client, &row.expires, &row.redirect_uri, &row.prefill, &row.read_only]
}

/// The columns of a row, one after the other.
struct Columns<'a> {
    row: &'a Row,
    next: usize,
}

impl<'a> Columns<'a> {
    const fn of(row: &'a Row) -> Self {
        Self { row, next: 0 }
    }

    fn next<T: FromSql<'a>>(&mut self) -> Result<T, Fault> {
        let column = self.row.try_get(self.next)?;
        self.next += 1;
        Ok(column)
    }
}

fn client(row: &Row) -> Result<Client, Fault> {
    let mut columns = Columns::of(row);
    let row = ClientRow {
        id: columns.next()?,
        redirect_uri: columns.next()?,
        secret_salt: columns.next()?,
        secret_digest: columns.next()?,
    };
    Ok(Client::try_from(row)?)
}

fn validation(row: &Row) -> Result<Validation, Fault> {
    let mut columns = Columns::of(row);
    let row = ValidationRow {
        id: columns.next()?,
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
        earlier: columns.next()?,
        client: columns.next()?,
        expires: columns.next()?,
        redirect_uri: columns.next()?,
        prefill: columns.next()?,
        read_only: columns.next()?,
    };
    Ok(Validation::try_from(row)?)
}

fn grant(row: &Row) -> Result<(GrantSerial, Grant), Fault> {
    let mut columns = Columns::of(row);
    let serial = GrantSerial(columns.next()?);
    let row = GrantRow {
        token: columns.next()?,
        client: columns.next()?,
        address: columns.next()?,
        valid_until: columns.next()?,
        expires: columns.next()?,
    };
    Ok((serial, Grant::try_from(row)?))
}
