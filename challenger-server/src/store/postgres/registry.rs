//! The operator's tools. Each call has a connection of its own, because calls are rare.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use challenger_proto::address::Address;
use challenger_proto::oauth::{ClientId, HashedSecret, RedirectUri};
use challenger_proto::store::Account;
use challenger_proto::{Span, Timestamp};
use postgres::{Client, Config};

use super::error::{LATE, PostgresError};
use super::tls::Connector;
use super::{PostgresStore, clients, schema, session, spending, statistics};
use crate::store::row::to_seconds;
use crate::store::{
    Added, Changed, Changes, ClientKey, ClientSummary, Collected, DAYS_KEPT, Day, Forgotten, Found,
    Migrated, NewClient, Registry, Rotated, Spending, Statistic, StoreError, Whom, people, rest,
};

/// The advisory lock that is held while creating, upgrading or cleaning up, so that only one
/// process does so. Any number will do; this one spells `Chal`.
const LOCK: i64 = 0x4368_616c;

/// How long it may take to connect, whatever hangs. The work itself has no limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How many rows are deleted in one statement: a server may wait for them.
pub(super) const PIECE_ROWS: i64 = 1000;

/// How often a tool tries a change that meets a conflict.
const TRIES: u32 = 5;

/// How long to wait before the next try.
const PAUSE: Duration = Duration::from_millis(20);

/// Clients of which rows have expired, and clients that are being deleted.
const SELECT_DUE: &str = "\
    SELECT c.id, c.deleting FROM challenger.clients c WHERE c.deleting \
        OR EXISTS (SELECT FROM challenger.validations v WHERE v.client = c.id AND v.expires <= $1) \
        OR EXISTS (SELECT FROM challenger.grants g WHERE g.client = c.id AND g.expires <= $1)";

/// Rows that a request wrote meanwhile are deleted with it: `ON DELETE CASCADE`.
const DELETE_CLIENT: &str = "DELETE FROM challenger.clients WHERE id = $1 AND deleting";

/// Waits for the statements that look at a client's secret while they open a validation; others
/// wait meanwhile. A lock of the table is granted in turn, so that a crowd of them cannot hold this
/// up for ever, as it could with a lock of the client's row. Another program's transaction still
/// can, hence the limit, which is that of servers, too.
const AWAIT_OPENING: &str = "\
    BEGIN; \
    SET LOCAL lock_timeout = '3s'; \
    LOCK TABLE challenger.clients IN EXCLUSIVE MODE; \
    COMMIT";

const SELECT_UNSOLVED: &str = "\
    SELECT id FROM challenger.validations \
    WHERE client = $1 AND expires > $2 AND progress IN ('open', 'challenged')";

const DELETE_UNSOLVED: &str = "\
    WITH deleted AS (\
            DELETE FROM challenger.validations \
            WHERE id = ANY ($2) AND progress IN ('open', 'challenged') RETURNING id), \
        counted AS (SELECT count(*) AS number FROM deleted), \
        added AS (\
            UPDATE challenger.clients c \
            SET validations_collected = c.validations_collected + counted.number \
            FROM counted WHERE c.id = $1) \
    SELECT number FROM counted";

impl Registry for PostgresStore {
    fn migrate(&self) -> Result<Migrated, StoreError> {
        self.maintain(schema::migrate)
    }

    fn reset(&self) -> Result<(), StoreError> {
        self.maintain(schema::reset)
    }

    fn collect_garbage(&self, now: Timestamp) -> Result<Collected, StoreError> {
        self.maintain(|client| collect(client, now))
    }

    fn add_client(&self, client: &NewClient, now: Timestamp) -> Result<Added, StoreError> {
        self.with_connection(|session| clients::add(session, client, now))
    }

    fn find_client(&self, key: &ClientKey) -> Result<Option<(ClientId, RedirectUri)>, StoreError> {
        self.with_connection(|session| clients::find(session, key))
    }

    fn clients(&self) -> Result<Vec<ClientSummary>, StoreError> {
        self.with_connection(clients::all)
    }

    fn change_client(&self, client: ClientId, changes: &Changes) -> Result<Changed, StoreError> {
        let changed = self.with_connection(|session| clients::change(session, client, changes))?;
        if changed == Changed::Done && changes.disabled == Some(true) {
            self.with_connection(|session| Ok(session.batch_execute(AWAIT_OPENING)?))?;
        }
        Ok(changed)
    }

    fn rotate_secret(
        &self,
        client: ClientId,
        secret: HashedSecret,
        keep_old: Option<Span>,
        now: Timestamp,
    ) -> Result<Rotated, StoreError> {
        self.with_connection(|session| clients::rotate(session, client, secret, keep_old, now))
    }

    fn end_unsolved(&self, client: ClientId, now: Timestamp) -> Result<u64, StoreError> {
        let mut session = self.connect().map_err(|error| self.error(error))?;
        end_unsolved(&mut session, client, now).map_err(|error| self.error(error))
    }

    fn delete_client(&self, client: ClientId) -> Result<bool, StoreError> {
        let is_known = self.with_connection(|session| clients::void(session, client))?;
        if is_known {
            self.with_connection(|session| delete(session, client.number()))?;
        }
        Ok(is_known)
    }

    fn spending(&self, now: Timestamp) -> Result<Spending, StoreError> {
        self.with_connection(|client| spending::spending(client, now))
    }

    fn forgive(&self, account: &Account) -> Result<bool, StoreError> {
        self.with_connection(|client| spending::forgive(client, account))
    }

    fn find(&self, whom: &Whom) -> Result<Found, StoreError> {
        people::find(self, whom)
    }

    fn forget(&self, address: &Address) -> Result<Forgotten, StoreError> {
        people::forget(self, address)
    }

    fn statistics(&self, since: Day) -> Result<Vec<Statistic>, StoreError> {
        self.with_connection(|client| statistics::since(client, since))
    }
}

impl PostgresStore {
    /// A connection for a tool, made in another thread: the limits of the postgres crate are for
    /// each host, and none of them helps when the database hangs.
    pub(super) fn connect(&self) -> Result<Client, PostgresError> {
        let config = Config::from(self.route.place()?);
        let connector = self.database.connector().map_err(PostgresError::Other)?;
        let (reply, connected) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || reply.send(begin(&config, connector)).ok())
            .map_err(|error| PostgresError::no_thread(&error))?;
        let made = connected.recv_timeout(CONNECT_TIMEOUT);
        made.map_err(|_| PostgresError::Unreachable(LATE.to_owned()))?
    }

    /// Runs a task beside others.
    fn with_connection<T>(
        &self,
        task: impl Fn(&mut Client) -> Result<T, PostgresError>,
    ) -> Result<T, StoreError> {
        let done = retry(|| self.connect().and_then(|mut client| task(&mut client)));
        done.map_err(|error| self.error(error))
    }

    /// Runs a task alone. The lock ends with the connection, whatever happens.
    fn maintain<T>(
        &self,
        task: impl FnOnce(&mut Client) -> Result<T, PostgresError>,
    ) -> Result<T, StoreError> {
        let locked = self.connect().and_then(|mut client| {
            client.execute("SELECT pg_advisory_lock($1)", &[&LOCK])?;
            Ok(client)
        });
        let done = locked.and_then(|mut client| task(&mut client));
        done.map_err(|error| self.error(error))
    }
}

/// Connects, and begins a session.
fn begin(config: &Config, connector: Connector) -> Result<Client, PostgresError> {
    let connected = config.connect(connector);
    let mut client = connected.map_err(|error| PostgresError::of_connecting(&error))?;
    session::settle(&mut |sql| say(&mut client, sql), session::MAINTAIN)?;
    Ok(client)
}

fn say(client: &mut Client, sql: &str) -> Result<Option<String>, PostgresError> {
    Ok(session::first_value(&client.simple_query(sql)?))
}

/// Runs a task again after a conflict: a request that redeems a code may lock a client's rows in
/// another order.
pub(super) fn retry<T>(
    mut task: impl FnMut() -> Result<T, PostgresError>,
) -> Result<T, PostgresError> {
    for _ in 1..TRIES {
        match task() {
            Err(PostgresError::Conflict(_)) => thread::sleep(PAUSE),
            done => return done,
        }
    }
    task()
}

fn collect(client: &mut Client, now: Timestamp) -> Result<Collected, PostgresError> {
    let mut collected = Collected::default();
    for row in client.query(SELECT_DUE, &[&to_seconds(now)])? {
        let (id, is_deleted) = (row.try_get(0)?, row.try_get(1)?);
        if is_deleted {
            delete(client, id)?;
        } else {
            collected.grants += delete_rows(client, "grants", id, now)?;
            collected.validations += delete_rows(client, "validations", id, now)?;
        }
    }
    collected.balances = delete_balances(client, now)?;
    statistics::delete_before(client, Day::of(now).before(DAYS_KEPT))?;
    Ok(collected)
}

/// Deletes the balances of windows that are not of this time. Those that a server is changing are
/// left for the next time.
fn delete_balances(client: &mut Client, now: Timestamp) -> Result<u64, PostgresError> {
    let statement = spending::prepare_delete_ended(client)?;
    let (mut deleted, mut last) = (0, String::new());
    loop {
        let begun = Instant::now();
        let piece = || spending::delete_ended(client, &statement, now, PIECE_ROWS, &mut last);
        let rows = retry(piece)?;
        deleted += rows.cast_unsigned();
        if rows < PIECE_ROWS {
            return Ok(deleted);
        }
        rest(begun);
    }
}

/// Deletes a client whose secret is void, with all its rows.
fn delete(client: &mut Client, id: i64) -> Result<(), PostgresError> {
    delete_rows(client, "grants", id, Timestamp::NEVER)?;
    delete_rows(client, "validations", id, Timestamp::NEVER)?;
    retry(|| Ok(client.execute(DELETE_CLIENT, &[&id]).map(drop)?))
}

/// Deletes the rows of a client in a table that expire until a time, the latest first, and counts
/// them in its totals. Rows that a server is changing are left for the next time.
fn delete_rows(
    client: &mut Client,
    table: &str,
    id: i64,
    until: Timestamp,
) -> Result<u64, PostgresError> {
    let statement = client.prepare(&format!(
        "WITH chosen AS (\
            SELECT id FROM challenger.{table} WHERE client = $1 AND expires <= $2 \
            ORDER BY expires DESC LIMIT $3 FOR UPDATE SKIP LOCKED), \
        deleted AS (\
            DELETE FROM challenger.{table} t USING chosen WHERE t.id = chosen.id \
            RETURNING t.expires), \
        counted AS (SELECT count(*) AS number, min(expires) AS earliest FROM deleted), \
        added AS (\
            UPDATE challenger.clients c \
            SET {table}_collected = c.{table}_collected + counted.number \
            FROM counted WHERE c.id = $1 AND counted.number > 0) \
        SELECT number, earliest FROM counted"
    ))?;
    let mut until = to_seconds(until);
    let mut deleted = 0;
    loop {
        let begun = Instant::now();
        let row = retry(|| Ok(client.query_one(&statement, &[&id, &until, &PIECE_ROWS])?))?;
        let rows: i64 = row.try_get(0)?;
        deleted += rows.cast_unsigned();
        if rows < PIECE_ROWS {
            return Ok(deleted);
        }
        // Deleted rows stay in the index for a while, and need not be passed again.
        until = row.try_get(1)?;
        rest(begun);
    }
}

/// Ends the unsolved validations of a client. Waits for those whose opening is not committed yet;
/// if that is in vain, the others end all the same.
fn end_unsolved(client: &mut Client, id: ClientId, now: Timestamp) -> Result<u64, PostgresError> {
    let awaited = client.batch_execute(AWAIT_OPENING);
    if awaited.is_err() {
        client.batch_execute("ROLLBACK")?;
    }
    let rows = client.query(SELECT_UNSOLVED, &[&id.number(), &to_seconds(now)])?;
    let ids: Vec<Vec<u8>> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let statement = client.prepare(DELETE_UNSOLVED)?;
    let mut ended = 0;
    for piece in ids.chunks(usize::try_from(PIECE_ROWS).unwrap_or(1)) {
        let begun = Instant::now();
        let row = retry(|| Ok(client.query_one(&statement, &[&id.number(), &piece])?))?;
        ended += row.try_get::<_, i64>(0)?.cast_unsigned();
        rest(begun);
    }
    awaited?;
    Ok(ended)
}
