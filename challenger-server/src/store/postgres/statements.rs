//! Loads and commits: their statements, one round trip each.

use std::array;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use challenger_proto::machine::Validation;
use challenger_proto::oauth::{Client, Grant, GrantSerial};
use challenger_proto::secret::{ClientSecretDigest, TokenDigest};
use challenger_proto::store::{Account, Balance, Commit, Count, Entry, Keys, Rows, Write};
use postgres::Row;
use postgres::types::ToSql;

use super::error::PostgresError;
use super::ledger;
use super::purse::Rest;
use super::session::Session;
use crate::store::row::{
    ChangingColumns, ClientRow, Dialect, FixedColumns, GrantRow, ValidationRow, to_seconds,
};

pub(super) const DIALECT: Dialect = Dialect { schema: "challenger.", sigil: '$' };

static SELECT_CLIENT: LazyLock<String> =
    LazyLock::new(|| DIALECT.select("clients", &[ClientRow::NAMES], "id"));

static SELECT_VALIDATION: LazyLock<String> = LazyLock::new(|| {
    let columns = [ChangingColumns::NAMES, FixedColumns::NAMES];
    DIALECT.select("validations", &columns, "id")
});

static SELECT_GRANT: LazyLock<String> =
    LazyLock::new(|| DIALECT.select("grants", &[&["id"], GrantRow::NAMES], "token"));

const COUNT: &str = "\
    SELECT count(*) FROM \
        (SELECT FROM challenger.validations WHERE client = $1 AND expires > $2 LIMIT $3) counted";

/// `FOR KEY SHARE` also locks the table before it looks, so that `end_unsolved` can wait for those
/// that still see the old secret. The lock of the row itself is the one that the foreign key takes
/// anyway. `FOR SHARE` would make it wait whenever garbage is counted, and a crowd could keep a
/// secret from being replaced.
static INSERT: LazyLock<String> = LazyLock::new(|| DIALECT.insert_validation("FOR KEY SHARE"));

pub(super) static UPDATE: LazyLock<String> = LazyLock::new(|| DIALECT.update_validation());

/// A token is drawn once, so there is nothing to replace; but were it drawn twice, the later grant
/// would count.
static REDEEM: LazyLock<String> = LazyLock::new(|| {
    let (update, columns) = (&*UPDATE, GrantRow::NAMES.join(", "));
    let first = ChangingColumns::COUNT + 1;
    let [token, client, address, valid_until, expires] =
        array::from_fn(|index| format!("${}", first + index));
    format!(
        "WITH changed AS ({update} RETURNING id) \
        INSERT INTO challenger.grants ({columns}) \
        SELECT {token}::bytea, {client}::bigint, {address}::text, {valid_until}::bigint, \
            {expires}::bigint FROM changed \
        ON CONFLICT (token) DO UPDATE SET id = excluded.id, client = excluded.client, \
            address = excluded.address, valid_until = excluded.valid_until, \
            expires = excluded.expires"
    )
});

static REVOKE: LazyLock<String> = LazyLock::new(|| {
    let (update, token) = (&*UPDATE, ChangingColumns::COUNT + 1);
    format!(
        "WITH changed AS ({update} RETURNING id), \
            revoked AS (DELETE FROM challenger.grants USING changed WHERE grants.token = ${token}) \
        SELECT id FROM changed"
    )
});

/// Carries out a load. One statement for each row is faster than one for all: it has no joins, and
/// mostly only one row is asked for. Two rows may be of two moments: a client that is deleted
/// between them takes its validations along, so that a write which rests on both is a conflict.
pub(super) fn load(session: &mut Session, load: &Keys) -> Result<Rows, PostgresError> {
    let mut loaded = Rows::default();
    if let Some(id) = load.client {
        let row = session.find(&SELECT_CLIENT, &[&id.number()])?;
        loaded.client = row.as_ref().map(|row| client(row, 0)).transpose()?;
    }
    if let Some(accounts) = &load.accounts {
        let id = load.validation.as_ref().map(|id| id.as_bytes().as_slice());
        let (row, balances) = ledger::load(session, id, accounts)?;
        let mut accounts = accounts.clone();
        if let Some(row) = row {
            let payer = client(&row, ledger::CLIENT)?;
            accounts.push(Account::Client(payer.id));
            loaded.validation = Some(validation(&row)?);
            if load.client.is_none() {
                loaded.client = Some(payer);
            }
        }
        loaded.balances = accounts.iter().filter_map(|it| balances.get(it).cloned()).collect();
    } else if let Some(id) = &load.validation {
        let row = session.find(&SELECT_VALIDATION, &[&id.as_bytes().as_slice()])?;
        loaded.validation = row.as_ref().map(validation).transpose()?;
    }
    if let Some(token) = &load.grant {
        let row = session.find(&SELECT_GRANT, &[&token.as_bytes().as_slice()])?;
        loaded.grant = row.as_ref().map(grant).transpose()?;
    }
    Ok(loaded)
}

/// Counts the validations of a client.
pub(super) fn count(session: &mut Session, count: &Count) -> Result<u32, PostgresError> {
    let (client, now) = (count.client.number(), to_seconds(count.now));
    let row = session.find(COUNT, &[&client, &now, &i64::from(count.most)])?;
    let number: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Carries out a write, with these of its entries, and returns the balances that were charged. For
/// refunds, `held` is what the purse has of their accounts.
pub(super) fn commit(
    session: &mut Session,
    write: &Write,
    entries: &[Entry],
    held: &BTreeMap<Account, Rest>,
) -> Result<(Commit, Vec<Balance>), PostgresError> {
    let changed = match write {
        Write::Open(validation, secret) => insert(session, validation, secret),
        Write::Update(validation, _) if !entries.is_empty() => {
            return ledger::update_and_post(session, validation, entries, held);
        }
        Write::Update(validation, _) => update(session, validation),
        Write::Redeem(validation, grant) => redeem(session, validation, grant),
        Write::Revoke(validation, token) => revoke(session, validation, token),
    };
    let commit = if changed? == 1 { Commit::Done } else { Commit::Conflict };
    Ok((commit, Vec::new()))
}

fn insert(
    session: &mut Session,
    validation: &Validation,
    secret: &ClientSecretDigest,
) -> Result<u64, PostgresError> {
    let (changing, fixed) = (ChangingColumns::from(validation), FixedColumns::from(validation));
    let secret = secret.as_bytes().as_slice();
    let client: [&(dyn ToSql + Sync); 2] = [&fixed.client, &secret];
    let columns = [&changing.postgres_parameters()[..], &fixed.postgres_parameters(), &client];
    session.execute(&INSERT, &columns.concat())
}

fn update(session: &mut Session, validation: &Validation) -> Result<u64, PostgresError> {
    session.execute(&UPDATE, &ChangingColumns::from(validation).postgres_parameters())
}

fn redeem(
    session: &mut Session,
    validation: &Validation,
    grant: &Grant,
) -> Result<u64, PostgresError> {
    let (row, grant) = (ChangingColumns::from(validation), GrantRow::from(grant));
    let columns = [&row.postgres_parameters()[..], &grant.postgres_parameters()];
    session.execute(&REDEEM, &columns.concat())
}

fn revoke(
    session: &mut Session,
    validation: &Validation,
    token: &TokenDigest,
) -> Result<u64, PostgresError> {
    let (row, token) = (ChangingColumns::from(validation), token.as_bytes().as_slice());
    let token: [&(dyn ToSql + Sync); 1] = [&token];
    session.execute(&REVOKE, &[&row.postgres_parameters()[..], &token].concat())
}

fn client(row: &Row, first: usize) -> Result<Client, PostgresError> {
    Ok(ClientRow::from_postgres(row, first)?.try_into()?)
}

fn validation(row: &Row) -> Result<Validation, PostgresError> {
    let row = ValidationRow {
        changing: ChangingColumns::from_postgres(row, 0)?,
        fixed: FixedColumns::from_postgres(row, ChangingColumns::COUNT)?,
    };
    Ok(row.try_into()?)
}

fn grant(row: &Row) -> Result<(GrantSerial, Grant), PostgresError> {
    let serial = GrantSerial(row.try_get(0)?);
    Ok((serial, GrantRow::from_postgres(row, 1)?.try_into()?))
}
