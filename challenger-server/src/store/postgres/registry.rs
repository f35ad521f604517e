//! What the operator's tools do. Each call has a connection of its own, because they are rare.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use challenger_proto::{ClientId, HashedSecret, RedirectUri, Timestamp};
use postgres::Client;
use postgres::types::ToSql;

use super::line::LATE;
use super::pool::Fault;
use super::{PostgresStore, schema};
use crate::store::row::{ClientSummaryRow, client_id, to_seconds};
use crate::store::{Added, ClientSummary, Collected, Registry, StoreError, rest};

/// Whoever creates, upgrades or cleans holds this lock, so that only one does. Any number will do;
/// this one spells `Chal`.
const LOCK: i64 = 0x4368_616c;

/// How long it may take to connect, whatever hangs. What is done then may take as long as it takes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How many rows are deleted at once: a server may wait for them.
const CHUNK_ROWS: i64 = 1000;

/// How often a tool tries a change that meets a conflict.
const TRIES: u32 = 5;

/// How long it waits before it tries again.
const PAUSE: Duration = Duration::from_millis(20);

/// Forgets some expired rows and counts them, in one statement. What a server is changing is left
/// to the next time.
const COLLECT_VALIDATIONS: &str = "\
    WITH expired AS (\
            SELECT id FROM challenger.validations WHERE expires <= $1 \
            ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED), \
        deleted AS (\
            DELETE FROM challenger.validations v USING expired WHERE v.id = expired.id \
            RETURNING v.client), \
        counted AS (SELECT client, count(*) AS number FROM deleted GROUP BY client), \
        added AS (\
            UPDATE challenger.clients c \
            SET validations_collected = c.validations_collected + counted.number \
            FROM counted WHERE c.id = counted.client) \
    SELECT count(*) FROM deleted";

/// The same for grants.
const COLLECT_GRANTS: &str = "\
    WITH expired AS (\
            SELECT id FROM challenger.grants WHERE expires <= $1 \
            ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED), \
        deleted AS (\
            DELETE FROM challenger.grants g USING expired WHERE g.id = expired.id \
            RETURNING g.client), \
        counted AS (SELECT client, count(*) AS number FROM deleted GROUP BY client), \
        added AS (\
            UPDATE challenger.clients c \
            SET grants_collected = c.grants_collected + counted.number \
            FROM counted WHERE c.id = counted.client) \
    SELECT count(*) FROM deleted";

/// Rows that are there, and those that were collected.
const SELECT_CLIENTS: &str = "\
    SELECT c.id, c.redirect_uri, \
        c.validations_collected + coalesce(opened.kept, 0), \
        c.grants_collected + coalesce(granted.kept, 0) \
    FROM challenger.clients c \
    LEFT JOIN (SELECT client, count(*) AS kept FROM challenger.validations GROUP BY client) opened \
        ON opened.client = c.id \
    LEFT JOIN (SELECT client, count(*) AS kept FROM challenger.grants GROUP BY client) granted \
        ON granted.client = c.id \
    ORDER BY c.id";

const UPDATE_SECRET: &str = "\
    UPDATE challenger.clients SET secret_salt = $2, secret_digest = $3 \
    WHERE redirect_uri = $1 RETURNING id";

/// Validations and grants go with it: `ON DELETE CASCADE`.
const DELETE_CLIENT: &str = "DELETE FROM challenger.clients WHERE redirect_uri = $1 RETURNING id";

impl Registry for PostgresStore {
    fn migrate(&self) -> Result<(), StoreError> {
        self.maintain(schema::migrate)
    }

    fn reset(&self) -> Result<(), StoreError> {
        self.maintain(schema::reset)
    }

    fn collect_garbage(&self, now: Timestamp) -> Result<Collected, StoreError> {
        self.maintain(|client| {
            Ok(Collected {
                validations: collect(client, COLLECT_VALIDATIONS, now)?,
                grants: collect(client, COLLECT_GRANTS, now)?,
            })
        })
    }

    fn add_client(
        &self,
        redirect_uri: &RedirectUri,
        secret: HashedSecret,
    ) -> Result<Added, StoreError> {
        self.ask(|client| add_client(client, redirect_uri, secret))
    }

    fn clients(&self) -> Result<Vec<ClientSummary>, StoreError> {
        self.ask(clients)
    }

    fn rotate_secret(
        &self,
        redirect_uri: &RedirectUri,
        secret: HashedSecret,
    ) -> Result<Option<ClientId>, StoreError> {
        let (salt, digest) = (secret.salt.as_slice(), secret.digest.as_bytes().as_slice());
        let parameters: [&(dyn ToSql + Sync); 3] = [&redirect_uri.as_str(), &salt, &digest];
        self.ask(|client| change_client(client, UPDATE_SECRET, &parameters))
    }

    fn delete_client(&self, redirect_uri: &RedirectUri) -> Result<Option<ClientId>, StoreError> {
        self.ask(|client| change_client(client, DELETE_CLIENT, &[&redirect_uri.as_str()]))
    }
}

impl PostgresStore {
    /// A connection for a tool, made on the side: the limits of the client are for each host, and
    /// none of them helps when the database hangs.
    pub(super) fn connect(&self) -> Result<Client, Fault> {
        let connector = self.database.connector().map_err(Fault::Other)?;
        let config = self.database.maintaining();
        let (told, connected) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || told.send(config.connect(connector)).ok())
            .map_err(|error| Fault::Away(format!("no thread for a connection: {error}")))?;
        let made = connected.recv_timeout(CONNECT_TIMEOUT);
        Ok(made.map_err(|_| Fault::Away(LATE.to_owned()))??)
    }

    /// Does something that others may do at the same time, and again when they were in the way: a
    /// client's rows may be locked in another order by who redeems one of its codes.
    fn ask<T>(&self, task: impl Fn(&mut Client) -> Result<T, Fault>) -> Result<T, StoreError> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match self.connect().and_then(|mut client| task(&mut client)) {
                Err(Fault::Conflict(_)) if tries > 0 => thread::sleep(PAUSE),
                done => return done.map_err(|fault| self.error(fault)),
            }
        }
    }

    /// Does something alone. The lock ends with the connection, whatever happens.
    fn maintain<T>(
        &self,
        task: impl FnOnce(&mut Client) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let locked = self.connect().and_then(|mut client| {
            client.execute("SELECT pg_advisory_lock($1)", &[&LOCK])?;
            Ok(client)
        });
        let done = locked.and_then(|mut client| task(&mut client));
        done.map_err(|fault| self.error(fault))
    }
}

fn collect(client: &mut Client, chunk: &str, now: Timestamp) -> Result<u64, Fault> {
    let statement = client.prepare(chunk)?;
    let mut collected = 0;
    loop {
        let begun = Instant::now();
        let row = client.query_one(&statement, &[&to_seconds(now), &CHUNK_ROWS])?;
        let rows: i64 = row.try_get(0)?;
        collected += rows.cast_unsigned();
        if rows < CHUNK_ROWS {
            return Ok(collected);
        }
        rest(begun);
    }
}

fn clients(client: &mut Client) -> Result<Vec<ClientSummary>, Fault> {
    let mut clients = Vec::new();
    for row in client.query(SELECT_CLIENTS, &[])? {
        let row = ClientSummaryRow {
            id: row.try_get(0)?,
            redirect_uri: row.try_get(1)?,
            validations: row.try_get(2)?,
            grants: row.try_get(3)?,
        };
        clients.push(row.try_into()?);
    }
    Ok(clients)
}

/// Changes the client of a redirect URI, if there is one, and tells which that was.
fn change_client(
    client: &mut Client,
    change: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Option<ClientId>, Fault> {
    let Some(row) = client.query_opt(change, parameters)? else { return Ok(None) };
    Ok(Some(client_id("clients.id", row.try_get(0)?)?))
}

fn add_client(
    client: &mut Client,
    redirect_uri: &RedirectUri,
    secret: HashedSecret,
) -> Result<Added, Fault> {
    // Not by the conflict alone, because that would use up a number.
    if let Some(id) = find_client(client, redirect_uri)? {
        return Ok(Added::Exists(id));
    }
    let (salt, digest) = (secret.salt.as_slice(), secret.digest.as_bytes().as_slice());
    let inserted = client.query_opt(
        "INSERT INTO challenger.clients (redirect_uri, secret_salt, secret_digest) \
        VALUES ($1, $2, $3) ON CONFLICT (redirect_uri) DO NOTHING RETURNING id",
        &[&redirect_uri.as_str(), &salt, &digest],
    )?;
    if let Some(row) = inserted {
        return Ok(Added::New(client_id("clients.id", row.try_get(0)?)?));
    }
    // Somebody registered it between the two statements.
    let id = find_client(client, redirect_uri)?;
    id.map(Added::Exists).ok_or_else(|| Fault::Other("the client comes and goes".to_owned()))
}

fn find_client(client: &mut Client, redirect_uri: &RedirectUri) -> Result<Option<ClientId>, Fault> {
    let find = "SELECT id FROM challenger.clients WHERE redirect_uri = $1";
    let Some(row) = client.query_opt(find, &[&redirect_uri.as_str()])? else { return Ok(None) };
    Ok(Some(client_id("clients.id", row.try_get(0)?)?))
}
