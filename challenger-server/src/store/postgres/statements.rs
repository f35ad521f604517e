//! Loads and commits: their statements, and what the replies mean.

use std::array;
use std::sync::LazyLock;

use challenger_proto::machine::Validation;
use challenger_proto::oauth::{Client, Grant, GrantSerial};
use challenger_proto::secret::{ClientSecretDigest, TokenDigest};
use challenger_proto::store::{Account, Balance, Count, Entry, Event, Keys, Rows, Write};
use postgres::Row;

use super::error::PostgresError;
use super::ledger;
use super::task::{Call, Parameter, Reply};
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

const DISCARD: &str = "DELETE FROM challenger.grants WHERE token = $1";

/// The calls of a load. One statement for each row is faster than one for all: it has no joins, and
/// mostly only one row is asked for. Two rows may be of two moments: a client that is deleted
/// between them takes its validations along, so that a write which rests on both is a conflict.
pub(super) fn load(keys: &Keys) -> Vec<Call> {
    let mut calls = Vec::new();
    if let Some(id) = keys.client {
        calls.push(Call { sql: &SELECT_CLIENT, parameters: vec![Box::new(id.number())] });
    }
    if let Some(accounts) = &keys.accounts {
        calls.push(ledger::load(keys.validation.as_ref(), accounts));
    } else if let Some(id) = &keys.validation {
        calls.push(with_key(&SELECT_VALIDATION, id.as_bytes()));
    }
    if let Some(token) = &keys.grant {
        calls.push(with_key(&SELECT_GRANT, token.as_bytes()));
    }
    calls
}

fn with_key(sql: &'static str, key: &[u8]) -> Call {
    Call { sql, parameters: vec![Box::new(key.to_vec())] }
}

/// What [`load`] found.
pub(super) fn loaded(keys: &Keys, replies: Vec<Reply>) -> Result<Rows, PostgresError> {
    let mut replies = replies.into_iter();
    let mut next = || replies.next().unwrap_or_default();
    let mut loaded = Rows::default();
    if keys.client.is_some() {
        loaded.client = next().rows.first().map(|row| client(row, 0)).transpose()?;
    }
    if let Some(accounts) = &keys.accounts {
        let (row, balances) = ledger::loaded(next())?;
        let mut accounts = accounts.clone();
        if let Some(row) = row {
            let payer = client(&row, ledger::CLIENT)?;
            accounts.push(Account::Client(payer.id));
            loaded.validation = Some(validation(&row)?);
            if keys.client.is_none() {
                loaded.client = Some(payer);
            }
        }
        loaded.balances = accounts.iter().filter_map(|it| balances.get(it).cloned()).collect();
    } else if keys.validation.is_some() {
        loaded.validation = next().rows.first().map(validation).transpose()?;
    }
    if keys.grant.is_some() {
        loaded.grant = next().rows.first().map(grant).transpose()?;
    }
    Ok(loaded)
}

/// Counts the validations of a client.
pub(super) fn count(count: &Count) -> Call {
    let (client, now) = (count.client.number(), to_seconds(count.now));
    let parameters: [Parameter; 3] =
        [Box::new(client), Box::new(now), Box::new(i64::from(count.most))];
    Call { sql: COUNT, parameters: parameters.into() }
}

/// What [`count`] found.
pub(super) fn counted(replies: &[Reply]) -> Result<u32, PostgresError> {
    let row = replies.first().and_then(|reply| reply.rows.first());
    let number: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The entry to the account of an address that a write posts with its own statement.
fn entry_of_address(write: &Write) -> Option<&Entry> {
    let Write::Update(_, entries) = write else { return None };
    entries.iter().find(|entry| !entry.account.is_shared())
}

/// The call of a write. Of its entries, it posts that of an address.
pub(super) fn commit(write: &Write) -> Result<Call, PostgresError> {
    Ok(match (write, entry_of_address(write)) {
        (Write::Open(validation, secret), _) => insert(validation, secret),
        (Write::Redeem(validation, grant), _) => redeem(validation, grant),
        (Write::Revoke(validation, token), _) => revoke(validation, token),
        (Write::Discard(token), _) => with_key(DISCARD, token.as_bytes()),
        (Write::Update(validation, _), entry) => match entry {
            Some(message @ Entry { event: Event::Message { .. }, .. }) => {
                ledger::update_and_charge(validation, message)?
            }
            Some(Entry { account, event: Event::Refund { charged } }) => {
                ledger::update_and_refund(validation, account, *charged)
            }
            Some(Entry { event: Event::Proof { .. }, .. }) | None => {
                let parameters = ChangingColumns::from(validation).postgres_parameters();
                Call { sql: &UPDATE, parameters }
            }
        },
    })
}

/// The row that a write changes, or, if it changes no validation, the token of the grant.
pub(super) fn key_of(write: &Write) -> &[u8] {
    match write {
        Write::Discard(token) => token.as_bytes(),
        Write::Open(row, _)
        | Write::Update(row, _)
        | Write::Redeem(row, _)
        | Write::Revoke(row, _) => row.id.as_bytes(),
    }
}

/// What [`commit`] did: the balance of an address, if it was charged. Nothing to change is an
/// error, except when a grant was to be deleted.
pub(super) fn committed(write: &Write, reply: &Reply) -> Result<Option<Balance>, PostgresError> {
    match entry_of_address(write).map(|entry| &entry.event) {
        Some(Event::Message { .. }) => ledger::charged(reply).map(Some),
        Some(Event::Proof { .. } | Event::Refund { .. }) | None if reply.count == 1 => Ok(None),
        None if matches!(write, Write::Discard(_)) => Ok(None),
        _ => Err(PostgresError::nothing()),
    }
}

fn insert(validation: &Validation, secret: &ClientSecretDigest) -> Call {
    let fixed = FixedColumns::from(validation);
    let client: [Parameter; 2] = [Box::new(fixed.client), Box::new(secret.as_bytes().to_vec())];
    let mut parameters = ChangingColumns::from(validation).postgres_parameters();
    parameters.extend(fixed.postgres_parameters().into_iter().chain(client));
    Call { sql: &INSERT, parameters }
}

fn redeem(validation: &Validation, grant: &Grant) -> Call {
    let mut parameters = ChangingColumns::from(validation).postgres_parameters();
    parameters.extend(GrantRow::from(grant).postgres_parameters());
    Call { sql: &REDEEM, parameters }
}

fn revoke(validation: &Validation, token: &TokenDigest) -> Call {
    let mut parameters = ChangingColumns::from(validation).postgres_parameters();
    parameters.push(Box::new(token.as_bytes().to_vec()));
    Call { sql: &REVOKE, parameters }
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
