//! Clients, as the operator's tools register, find and change them.

use challenger_proto::oauth::{ClientId, ClientName, HashedSecret, RedirectUri};
use challenger_proto::{Span, Timestamp};
use rusqlite::{Connection, OptionalExtension, ToSql, TransactionBehavior};

use super::error::SqliteError;
use crate::store::row::{
    ClientSummaryRow, client_id, optional_timestamp, redirect_uri, to_seconds,
};
use crate::store::{Added, Changed, Changes, ClientKey, ClientSummary, NewClient, Rotated};

const SELECT_BY_ID: &str = "SELECT id, redirect_uri, deleting FROM clients WHERE id = ?1";

const SELECT_BY_URI: &str =
    "SELECT id, redirect_uri, deleting FROM clients WHERE redirect_uri = ?1";

/// Clients with their totals: the rows that are there, and those that were collected.
const SELECT_ALL: &str = "\
    SELECT clients.id, clients.redirect_uri, \
        clients.validations_collected + coalesce(opened.kept, 0), \
        clients.grants_collected + coalesce(granted.kept, 0), \
        clients.deleting, clients.messages_per_day, clients.open, clients.name, \
        clients.disabled, clients.created, clients.earlier_until \
    FROM clients \
    LEFT JOIN (SELECT client, count(*) AS kept FROM validations GROUP BY client) AS opened \
        ON opened.client = clients.id \
    LEFT JOIN (SELECT client, count(*) AS kept FROM grants GROUP BY client) AS granted \
        ON granted.client = clients.id \
    ORDER BY clients.id";

const INSERT: &str = "\
    INSERT INTO clients (redirect_uri, secret_salt, secret_digest, name, messages_per_day, open, \
        created) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id";

/// For what may be empty, one parameter says whether it changes.
const UPDATE: &str = "\
    UPDATE clients SET \
        disabled = coalesce(?2, disabled), \
        messages_per_day = CASE WHEN ?3 THEN ?4 ELSE messages_per_day END, \
        name = CASE WHEN ?5 THEN ?6 ELSE name END, \
        open = coalesce(?7, open), \
        redirect_uri = coalesce(?8, redirect_uri) \
    WHERE id = ?1 AND deleting = 0 AND (coalesce(?7, open) = 0 \
        OR CASE WHEN ?3 THEN ?4 ELSE messages_per_day END IS NOT NULL)";

const UPDATE_SECRET: &str = "\
    UPDATE clients SET \
        secret_salt = ?2, secret_digest = ?3, \
        earlier_salt = CASE WHEN ?4 IS NOT NULL THEN secret_salt END, \
        earlier_digest = CASE WHEN ?4 IS NOT NULL THEN secret_digest END, \
        earlier_until = ?4 \
    WHERE id = ?1 AND deleting = 0 \
        AND (?4 IS NULL OR earlier_until IS NULL OR earlier_until <= ?5)";

/// No secret has this digest.
const VOID: &str = "\
    UPDATE clients SET deleting = 1, disabled = 1, open = 0, secret_digest = zeroblob(32), \
        earlier_salt = NULL, earlier_digest = NULL, earlier_until = NULL \
    WHERE id = ?1";

/// A client that was found.
struct Found {
    id: ClientId,
    redirect_uri: RedirectUri,
    is_being_deleted: bool,
}

pub(super) fn find(
    connection: &Connection,
    key: &ClientKey,
) -> Result<Option<(ClientId, RedirectUri)>, SqliteError> {
    let found = look_up(connection, key)?;
    Ok(found.map(|found| (found.id, found.redirect_uri)))
}

pub(super) fn all(connection: &Connection) -> Result<Vec<ClientSummary>, SqliteError> {
    let mut statement = connection.prepare(SELECT_ALL)?;
    let rows = statement.query_map((), |row| ClientSummaryRow::from_sqlite(row, 0))?;
    rows.map(|row| Ok(row?.try_into()?)).collect()
}

pub(super) fn add(
    connection: &mut Connection,
    new: &NewClient,
    now: Timestamp,
) -> Result<Added, SqliteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let key = ClientKey::RedirectUri(new.redirect_uri.clone());
    if let Some(found) = look_up(&transaction, &key)? {
        let added = if found.is_being_deleted { Added::BeingDeleted } else { Added::Exists };
        return Ok(added(found.id));
    }
    let parameters = (
        new.redirect_uri.as_str(),
        new.secret.salt,
        new.secret.digest.as_bytes(),
        new.name.as_ref().map(ClientName::as_str),
        new.messages_per_day,
        new.open && new.messages_per_day.is_some(),
        to_seconds(now),
    );
    let number = transaction.query_row(INSERT, parameters, |row| row.get(0))?;
    transaction.commit()?;
    Ok(Added::New(client_id("clients.id", number)?))
}

pub(super) fn change(
    connection: &mut Connection,
    id: ClientId,
    changes: &Changes,
) -> Result<Changed, SqliteError> {
    let Changes { disabled, messages_per_day, name, open, redirect_uri } = changes;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(uri) = redirect_uri
        && let Some(owner) = look_up(&transaction, &ClientKey::RedirectUri(uri.clone()))?
        && owner.id != id
    {
        return Ok(Changed::Taken(owner.id));
    }
    let name = name.as_ref().map(|name| name.as_ref().map(ClientName::as_str));
    let parameters: [&dyn ToSql; 8] = [
        &id.number(),
        disabled,
        &messages_per_day.is_some(),
        &messages_per_day.flatten(),
        &name.is_some(),
        &name.flatten(),
        open,
        &redirect_uri.as_ref().map(RedirectUri::as_str),
    ];
    let rows = transaction.execute(UPDATE, &parameters[..])?;
    let found = look_up(&transaction, &ClientKey::Id(id))?;
    transaction.commit()?;
    Ok(match (rows, found) {
        (1.., _) => Changed::Done,
        (0, Some(found)) if !found.is_being_deleted => Changed::NeedsBudget,
        _ => Changed::Unknown,
    })
}

pub(super) fn rotate(
    connection: &mut Connection,
    id: ClientId,
    secret: HashedSecret,
    keep_old: Option<Span>,
    now: Timestamp,
) -> Result<Rotated, SqliteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let select = "SELECT earlier_until FROM clients WHERE id = ?1 AND deleting = 0";
    let until = transaction.query_row(select, [id.number()], |row| row.get(0)).optional()?;
    let Some(until) = until else { return Ok(Rotated::Unknown) };
    let parameters = (
        id.number(),
        secret.salt,
        secret.digest.as_bytes(),
        keep_old.map(|span| to_seconds(now.plus(span))),
        to_seconds(now),
    );
    let rows = transaction.execute(UPDATE_SECRET, parameters)?;
    transaction.commit()?;
    let until = optional_timestamp("clients.earlier_until", until)?;
    Ok(until.filter(|_| rows == 0).map_or(Rotated::Done, Rotated::KeepsEarlier))
}

/// Voids the secrets of a client that is to be deleted. Returns whether there is one.
pub(super) fn void(connection: &Connection, id: ClientId) -> Result<bool, SqliteError> {
    Ok(connection.execute(VOID, [id.number()])? > 0)
}

fn look_up(connection: &Connection, key: &ClientKey) -> Result<Option<Found>, SqliteError> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let row = match key {
        ClientKey::Id(id) => connection.query_row(SELECT_BY_ID, [id.number()], read),
        ClientKey::RedirectUri(uri) => connection.query_row(SELECT_BY_URI, [uri.as_str()], read),
    };
    let Some((id, uri, is_being_deleted)) = row.optional()? else { return Ok(None) };
    let uri: String = uri;
    Ok(Some(Found {
        id: client_id("clients.id", id)?,
        redirect_uri: redirect_uri("clients.redirect_uri", &uri)?,
        is_being_deleted,
    }))
}
