//! Clients, as the operator's tools register, find and change them.

use challenger_proto::oauth::{ClientId, ClientName, HashedSecret, RedirectUri};
use challenger_proto::{Span, Timestamp};
use postgres::Client;
use postgres::error::SqlState;

use super::error::PostgresError;
use crate::store::row::{
    ClientSummaryRow, client_id, optional_timestamp, redirect_uri, to_seconds,
};
use crate::store::{Added, Changed, Changes, ClientKey, ClientSummary, NewClient, Rotated};

const SELECT_BY_ID: &str = "\
    SELECT id, redirect_uri, deleting FROM challenger.clients WHERE id = $1";

const SELECT_BY_URI: &str = "\
    SELECT id, redirect_uri, deleting FROM challenger.clients WHERE redirect_uri = $1";

/// Clients with their totals: the rows that are there, and those that were collected.
const SELECT_ALL: &str = "\
    SELECT c.id, c.redirect_uri, \
        c.validations_collected + coalesce(opened.kept, 0), \
        c.grants_collected + coalesce(granted.kept, 0), \
        c.deleting, c.messages_per_day, c.open, c.name, c.disabled, c.created, \
        c.earlier_until \
    FROM challenger.clients c \
    LEFT JOIN (SELECT client, count(*) AS kept FROM challenger.validations GROUP BY client) opened \
        ON opened.client = c.id \
    LEFT JOIN (SELECT client, count(*) AS kept FROM challenger.grants GROUP BY client) granted \
        ON granted.client = c.id \
    ORDER BY c.id";

const INSERT: &str = "\
    INSERT INTO challenger.clients (redirect_uri, secret_salt, secret_digest, name, \
        messages_per_day, open, created) \
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (redirect_uri) DO NOTHING RETURNING id";

/// For what may be empty, one parameter says whether it changes.
const UPDATE: &str = "\
    UPDATE challenger.clients SET \
        disabled = coalesce($2::boolean, disabled), \
        messages_per_day = CASE WHEN $3::boolean THEN $4::bigint ELSE messages_per_day END, \
        name = CASE WHEN $5::boolean THEN $6::text ELSE name END, \
        open = coalesce($7::boolean, open), \
        redirect_uri = coalesce($8::text, redirect_uri) \
    WHERE id = $1 AND NOT deleting AND (NOT coalesce($7::boolean, open) \
        OR CASE WHEN $3::boolean THEN $4::bigint ELSE messages_per_day END IS NOT NULL)";

const UPDATE_SECRET: &str = "\
    UPDATE challenger.clients SET \
        secret_salt = $2, secret_digest = $3, \
        earlier_salt = CASE WHEN $4::bigint IS NOT NULL THEN secret_salt END, \
        earlier_digest = CASE WHEN $4::bigint IS NOT NULL THEN secret_digest END, \
        earlier_until = $4::bigint \
    WHERE id = $1 AND NOT deleting \
        AND ($4::bigint IS NULL OR earlier_until IS NULL OR earlier_until <= $5::bigint)";

/// No secret has this digest.
const VOID: &str = "\
    UPDATE challenger.clients SET deleting = true, disabled = true, open = false, \
        secret_digest = decode(repeat('00', 32), 'hex'), \
        earlier_salt = NULL, earlier_digest = NULL, earlier_until = NULL \
    WHERE id = $1";

/// A client that was found.
struct Found {
    id: ClientId,
    redirect_uri: RedirectUri,
    is_being_deleted: bool,
}

pub(super) fn find(
    client: &mut Client,
    key: &ClientKey,
) -> Result<Option<(ClientId, RedirectUri)>, PostgresError> {
    let found = look_up(client, key)?;
    Ok(found.map(|found| (found.id, found.redirect_uri)))
}

pub(super) fn all(client: &mut Client) -> Result<Vec<ClientSummary>, PostgresError> {
    let rows = client.query(SELECT_ALL, &[])?;
    rows.iter().map(|row| Ok(ClientSummaryRow::from_postgres(row, 0)?.try_into()?)).collect()
}

pub(super) fn add(
    client: &mut Client,
    new: &NewClient,
    now: Timestamp,
) -> Result<Added, PostgresError> {
    let key = ClientKey::RedirectUri(new.redirect_uri.clone());
    // Without this, each conflict would use up a number.
    if let Some(found) = look_up(client, &key)? {
        return Ok(found.into());
    }
    let inserted = client.query_opt(
        INSERT,
        &[
            &new.redirect_uri.as_str(),
            &new.secret.salt.as_slice(),
            &new.secret.digest.as_bytes().as_slice(),
            &new.name.as_ref().map(ClientName::as_str),
            &new.messages_per_day.map(i64::from),
            &(new.open && new.messages_per_day.is_some()),
            &to_seconds(now),
        ],
    )?;
    if let Some(row) = inserted {
        return Ok(Added::New(client_id("clients.id", row.try_get(0)?)?));
    }
    // Another process registered it between the two statements.
    let found = look_up(client, &key)?.ok_or_else(come_and_gone)?;
    Ok(found.into())
}

pub(super) fn change(
    client: &mut Client,
    id: ClientId,
    changes: &Changes,
) -> Result<Changed, PostgresError> {
    let Changes { disabled, messages_per_day, name, open, redirect_uri } = changes;
    let name = name.as_ref().map(|name| name.as_ref().map(ClientName::as_str));
    let changed = client.execute(
        UPDATE,
        &[
            &id.number(),
            disabled,
            &messages_per_day.is_some(),
            &messages_per_day.flatten().map(i64::from),
            &name.is_some(),
            &name.flatten(),
            open,
            &redirect_uri.as_ref().map(RedirectUri::as_str),
        ],
    );
    match (changed, redirect_uri) {
        (Err(error), Some(uri)) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
            let owner = look_up(client, &ClientKey::RedirectUri(uri.clone()))?;
            Ok(Changed::Taken(owner.ok_or_else(come_and_gone)?.id))
        }
        (Err(error), _) => Err(error.into()),
        (Ok(0), _) => Ok(match look_up(client, &ClientKey::Id(id))? {
            Some(found) if !found.is_being_deleted => Changed::NeedsBudget,
            _ => Changed::Unknown,
        }),
        (Ok(_), _) => Ok(Changed::Done),
    }
}

pub(super) fn rotate(
    client: &mut Client,
    id: ClientId,
    secret: HashedSecret,
    keep_old: Option<Span>,
    now: Timestamp,
) -> Result<Rotated, PostgresError> {
    let until = keep_old.map(|span| to_seconds(now.plus(span)));
    let (salt, digest) = (secret.salt.as_slice(), secret.digest.as_bytes().as_slice());
    let rotated =
        client.execute(UPDATE_SECRET, &[&id.number(), &salt, &digest, &until, &to_seconds(now)])?;
    if rotated > 0 {
        return Ok(Rotated::Done);
    }
    let select = "SELECT earlier_until FROM challenger.clients WHERE id = $1 AND NOT deleting";
    let Some(row) = client.query_opt(select, &[&id.number()])? else {
        return Ok(Rotated::Unknown);
    };
    let until = optional_timestamp("clients.earlier_until", row.try_get(0)?)?;
    until.map(Rotated::KeepsEarlier).ok_or_else(come_and_gone)
}

/// Voids the secrets of a client that is to be deleted. Returns whether there is one.
pub(super) fn void(client: &mut Client, id: ClientId) -> Result<bool, PostgresError> {
    Ok(client.execute(VOID, &[&id.number()])? > 0)
}

fn look_up(client: &mut Client, key: &ClientKey) -> Result<Option<Found>, PostgresError> {
    let row = match key {
        ClientKey::Id(id) => client.query_opt(SELECT_BY_ID, &[&id.number()])?,
        ClientKey::RedirectUri(uri) => client.query_opt(SELECT_BY_URI, &[&uri.as_str()])?,
    };
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Found {
        id: client_id("clients.id", row.try_get(0)?)?,
        redirect_uri: redirect_uri("clients.redirect_uri", row.try_get(1)?)?,
        is_being_deleted: row.try_get(2)?,
    }))
}

/// Others changed the client between two statements: worth another try.
fn come_and_gone() -> PostgresError {
    PostgresError::Conflict("the client comes and goes".to_owned())
}

impl From<Found> for Added {
    fn from(found: Found) -> Self {
        if found.is_being_deleted { Self::BeingDeleted(found.id) } else { Self::Exists(found.id) }
    }
}
