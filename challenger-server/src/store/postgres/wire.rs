//! A connection to the database. This is the only file in which anything is asynchronous: a call
//! drives the connection in the thread of its caller, and returns at the deadline.

mod bell;
#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use tokio::time::{timeout, timeout_at};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, Row, Statement};

use self::bell::together;
use super::database::PostgresDatabase;
use super::desk::{Fate, Ticket, Wire};
use super::error::{LATE, PostgresError};
use super::task::{Call, Reply};
use super::tls::Connector;
use super::{host, schema, session};

/// For how long after its last use a connection is believed to be alive. No database restarts so
/// fast, and where many requests make checks expensive, connections are seldom idle for so long.
const TRUST: Duration = Duration::from_millis(100);

/// Begins a transaction of several writes. If another transaction has locked the row of one, the
/// others do not wait for it longer than this.
const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '500ms'";

/// How to get to the database.
pub(super) struct Route {
    hosts: Vec<Config>,
    connector: Connector,
    /// How long each address of a host may take to let us in. All together may take longer than any
    /// request waits; later requests then find the connection.
    limit: Duration,
    /// Whether there was a connection. From then on, the schema may be newer than ours.
    has_begun: AtomicBool,
    /// Whether connections are known to be sessions of their own. After a loss, there may be a
    /// pooler in another mode.
    are_sessions: Arc<AtomicBool>,
}

impl Route {
    pub(super) fn new(database: &PostgresDatabase) -> Result<Self, String> {
        let (hosts, connector) = (database.hosts()?, database.connector()?);
        let (limit, has_begun) = (database.connect_limit(), AtomicBool::new(false));
        Ok(Self { hosts, connector, limit, has_begun, are_sessions: Arc::default() })
    }

    /// Connects, and checks the schema: it may not be the database of the last time.
    pub(super) fn connect(&self) -> Result<Connection, PostgresError> {
        let check = match self.has_begun.load(Ordering::Relaxed) {
            true => schema::check_not_older,
            false => schema::check,
        };
        let mut connection = self.open()?;
        let deadline = Instant::now() + self.limit;
        session::settle(&mut |sql| connection.say(sql, deadline), session::SERVE)
            .and_then(|()| schema::version(|sql| connection.ask(sql, deadline)))
            .and_then(check)
            .map_err(PostgresError::while_connecting)?;
        self.has_begun.store(true, Ordering::Relaxed);
        Ok(connection)
    }

    /// The host to connect to now, with one of its addresses.
    pub(super) fn place(&self) -> Result<Config, PostgresError> {
        self.open().map(|connection| connection.place)
    }

    /// Connects, and checks that connections are sessions of their own, which takes two of them to
    /// find out.
    fn open(&self) -> Result<Connection, PostgresError> {
        let mut one = self.open_any(&self.hosts)?;
        if !self.are_sessions.load(Ordering::Relaxed) {
            let mut other = self.open_any(slice::from_ref(&one.place))?;
            let deadline = Instant::now() + self.limit;
            let mut ask = |sql: &str| one.say(sql, deadline);
            session::check_own(&mut ask, &mut |sql| other.say(sql, deadline))
                .map_err(PostgresError::while_connecting)?;
            self.are_sessions.store(true, Ordering::Relaxed);
        }
        Ok(one)
    }

    /// Connects to the first host that accepts it.
    fn open_any(&self, hosts: &[Config]) -> Result<Connection, PostgresError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
            PostgresError::Unreachable(format!("cannot wait for a connection: {error}"))
        })?;
        let mut failures = Vec::new();
        for host in hosts {
            match runtime.block_on(self.reach(host)) {
                Err(failure) => failures.push((host::names(host).concat(), failure)),
                Ok((client, driver, place)) => {
                    let end = End::default();
                    let link = Link { runtime, driver: Some(driver), end: Arc::clone(&end) };
                    let session = Session::new(client, end, Arc::clone(&self.are_sessions));
                    return Ok(Connection { session, link, place });
                }
            }
        }
        // A thread of it may still look for a host.
        runtime.shutdown_background();
        Err(PostgresError::of_hosts(failures))
    }

    /// Connects to the first address of a host that accepts it. Each has its time, so that one that
    /// hangs does not use up that of the next.
    async fn reach(&self, host: &Config) -> Result<(Client, Driver, Config), PostgresError> {
        let found = timeout(self.limit, host::addresses(host)).await.map_err(|_| late())?;
        let unknown = |error| format!("error connecting to server: {error}");
        let found = found.map_err(|error| PostgresError::Unreachable(unknown(error)))?;
        let mut failure = PostgresError::Unreachable("the host has no address".to_owned());
        for place in found {
            let connect = place.connect(Connector::clone(&self.connector));
            match timeout(self.limit, connect).await {
                Ok(Ok((client, driver))) => return Ok((client, Box::pin(driver), place)),
                Ok(Err(error)) => failure = PostgresError::of_connecting(&error),
                Err(_) => failure = late(),
            }
        }
        Err(failure)
    }
}

/// A connection. When it is dropped, the session ends first, so that the link can say goodbye.
pub(super) struct Connection {
    session: Session,
    link: Link,
    place: Config,
}

impl Connection {
    /// Runs a query that returns one row.
    fn ask(&mut self, sql: &str, deadline: Instant) -> Result<Row, PostgresError> {
        let asked = self.link.wait(deadline, self.session.client.query_one(sql, &[]));
        asked.ok_or_else(late)?.map_err(|error| self.session.error(error))
    }

    /// Runs SQL without preparing it, and returns the first value.
    fn say(&mut self, sql: &str, deadline: Instant) -> Result<Option<String>, PostgresError> {
        let said = self.link.wait(deadline, self.session.client.simple_query(sql));
        let said = said.ok_or_else(late)?.map_err(|error| self.session.error(error))?;
        Ok(session::first_value(&said))
    }
}

impl Wire for Connection {
    fn carry(&mut self, trip: &[Ticket]) -> Fate {
        let Some(leader) = trip.first() else { return Fate::Usable };
        let carried = self.link.wait(leader.task.deadline, self.session.carry(leader, trip));
        if carried.is_none() { Fate::Hung } else { self.session.fate.get() }
    }

    fn end(self: Box<Self>) {
        let Self { session, mut link, .. } = *self;
        // Without it, the driver stops as soon as there is no more to come.
        drop(session);
        if let Some(driver) = link.driver.take() {
            link.runtime.block_on(driver).ok();
        }
    }
}

type Work<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;
type Driver = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// The socket, and what moves messages through it.
struct Link {
    runtime: Runtime,
    /// `None` once the connection has ended.
    driver: Option<Driver>,
    end: End,
}

/// Why a connection has ended.
type End = Arc<OnceLock<PostgresError>>;

impl Link {
    /// Works until the deadline, and returns `None` if that is not enough.
    fn wait<T>(&mut self, deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
        let Self { runtime, driver, end } = self;
        let mut work = pin!(work);
        let both = together(|context| {
            if let Some(it) = driver
                && let Poll::Ready(ended) = it.as_mut().poll(context)
            {
                *driver = None;
                if let Err(error) = ended {
                    end.set(error.into()).ok();
                }
            }
            work.as_mut().poll(context)
        });
        runtime.block_on(async { timeout_at(deadline.into(), both).await }).ok()
    }
}

impl Drop for Link {
    /// Says goodbye, without waiting. Databases log connections that break.
    fn drop(&mut self) {
        let _context = self.runtime.enter();
        if let Some(driver) = &mut self.driver {
            let _ = driver.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

/// What is said over a link.
struct Session {
    client: Client,
    /// Those that were prepared.
    statements: RefCell<BTreeMap<&'static str, Statement>>,
    used: Cell<Instant>,
    /// What becomes of the connection, by what is known of it.
    fate: Cell<Fate>,
    end: End,
    are_sessions: Arc<AtomicBool>,
}

impl Session {
    fn new(client: Client, end: End, are_sessions: Arc<AtomicBool>) -> Self {
        let (used, fate) = (Cell::new(Instant::now()), Cell::new(Fate::Usable));
        Self { client, statements: RefCell::default(), used, fate, end, are_sessions }
    }

    /// Makes a trip. First come the loads, so that they need not wait for the disk; each has its
    /// answer as soon as it is there.
    async fn carry(&self, leader: &Ticket, trip: &[Ticket]) {
        let mut ready = self.prepare(trip).await;
        // The callers of the others were given an error, and may have tried again.
        ready.retain(|ticket| {
            let is_in_time = Instant::now() < ticket.task.deadline;
            if !is_in_time {
                ticket.answer(Err(PostgresError::Unsent(LATE.to_owned())));
            }
            is_in_time
        });
        let is_load = |ticket: &&Ticket| ticket.task.row.is_none();
        let (loads, mut writes): (Vec<_>, Vec<_>) = ready.into_iter().partition(is_load);
        writes.sort_by(|one, other| one.task.row.cmp(&other.task.row));
        let mut work: Vec<Work<'_, ()>> = boxed(loads.into_iter().map(|it| self.carry_alone(it)));
        match writes[..] {
            [] => {}
            // Nobody else waits until it is done.
            [write] if ptr::eq(write, leader) => work.push(Box::pin(self.carry_alone(write))),
            _ => work.push(Box::pin(self.carry_together(&writes))),
        }
        all(work).await;
        self.used.set(Instant::now());
    }

    /// Prepares what a trip needs, and returns those that can go.
    async fn prepare<'a>(&self, trip: &'a [Ticket]) -> Vec<&'a Ticket> {
        let checked = self.check_if_idle(trip).await;
        let mut ready = Vec::new();
        for ticket in trip {
            let mut prepared = checked.clone();
            for call in &ticket.task.calls {
                if prepared.is_ok() {
                    let statement = self.statement(call.sql).await;
                    prepared = statement.map(drop).map_err(|error| self.error(error));
                }
            }
            match prepared {
                Ok(()) => ready.push(ticket),
                Err(error) => ticket.answer(Err(error.before_sending())),
            }
        }
        ready
    }

    /// Before a write, which cannot be repeated once it was sent, sends an empty query if the
    /// connection has been idle, to find out whether it is alive.
    async fn check_if_idle(&self, trip: &[Ticket]) -> Result<(), PostgresError> {
        let has_write = trip.iter().any(|ticket| ticket.task.row.is_some());
        if !has_write || self.used.get().elapsed() < TRUST {
            return Ok(());
        }
        // First reads what came meanwhile, such as the reason why it ended.
        yield_now().await;
        self.client.batch_execute("").await.map_err(|error| self.error(error))
    }

    /// Carries out the calls of a task, each a transaction by itself.
    async fn carry_alone(&self, ticket: &Ticket) {
        let calls = ticket.task.calls.iter().map(|it| self.call(it));
        let replies: Result<Vec<_>, _> = all(boxed(calls)).await.into_iter().collect();
        ticket.answer(replies.map_err(|error| self.error(error)));
    }

    /// Carries out writes as one transaction. If the database refuses any of them, each has to go
    /// alone.
    async fn carry_together(&self, writes: &[&Ticket]) {
        let calls = writes.iter().flat_map(|it| &it.task.calls).map(|it| self.call(it));
        let mut work: Vec<Work<'_, Result<Reply, Error>>> = boxed(calls);
        work.insert(0, Box::pin(self.command(BEGIN)));
        work.push(Box::pin(self.command("COMMIT")));
        let done = all(work).await;
        let is_refused = done.iter().flat_map(|it| it.as_ref().err()).any(|it| it.code().is_some());
        let mut done = done.into_iter().map(|it| it.map_err(|error| self.error(error)));
        let (Some(begun), Some(committed)) = (done.next(), done.next_back()) else { return };
        if (begun.is_err() || committed.is_err()) && self.fate.get() == Fate::Usable {
            // The transaction may still be open.
            self.fate.set(Fate::Spent);
        }
        // Without a beginning, each of them was on its own.
        let is_undone = is_refused && begun.is_ok();
        for (ticket, written) in writes.iter().zip(done) {
            ticket.answer(match (written, &committed) {
                (Ok(reply), Ok(_)) if !is_undone => Ok(vec![reply]),
                (Err(lost), _) if !lost.is_harmless() => Err(lost),
                (_, Err(lost)) if !lost.is_harmless() => Err(lost.clone()),
                _ => Err(PostgresError::Refused),
            });
        }
    }

    async fn command(&self, sql: &str) -> Result<Reply, Error> {
        self.client.batch_execute(sql).await.map(|()| Reply::default())
    }

    async fn call(&self, call: &Call) -> Result<Reply, Error> {
        let statement = self.statement(call.sql).await?;
        let parameters: Vec<&(dyn ToSql + Sync)> =
            call.parameters.iter().map(|it| &**it as &(dyn ToSql + Sync)).collect();
        let done = if statement.columns().is_empty() {
            let changed = self.client.execute(&statement, &parameters).await;
            changed.map(|count| Reply { rows: Vec::new(), count })
        } else {
            let found = self.client.query(&statement, &parameters).await;
            found.map(|rows| Reply { count: rows.len() as u64, rows })
        };
        if done.as_ref().is_err_and(|error| error.code().is_some()) {
            // The database may have forgotten or changed it. After an error of ours, another call
            // may be about to use it: if it were prepared anew, that would come after the COMMIT.
            self.statements.borrow_mut().remove(call.sql);
        }
        done
    }

    /// The statement, which is prepared at its first use.
    async fn statement(&self, sql: &'static str) -> Result<Statement, Error> {
        let known = self.statements.borrow().get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.borrow_mut().insert(sql, statement.clone());
        Ok(statement)
    }

    /// What an error means, also for the connection.
    fn error(&self, error: Error) -> PostgresError {
        let error = match PostgresError::from(error) {
            PostgresError::Other(cause) if self.client.is_closed() => {
                PostgresError::Lost(self.end.get().map_or(cause, ToString::to_string))
            }
            error => error,
        };
        match error {
            PostgresError::Lost(_) | PostgresError::Unsent(_) => {
                self.are_sessions.store(false, Ordering::Relaxed);
                self.fate.set(Fate::Lost);
            }
            // It stays read-only, even when new ones may write again.
            PostgresError::ReadOnly(_) => self.fate.set(Fate::Spent),
            _ => {}
        }
        error
    }
}

fn late() -> PostgresError {
    PostgresError::Unreachable(LATE.to_owned())
}

fn boxed<'a, T>(work: impl Iterator<Item = impl Future<Output = T> + 'a>) -> Vec<Work<'a, T>> {
    work.map(|it| Box::pin(it) as Work<'a, T>).collect()
}

/// Does all of it at the same time. It begins in this order.
async fn all<T>(work: Vec<Work<'_, T>>) -> Vec<T> {
    let mut parts: Vec<_> = work.into_iter().map(|it| (it, None)).collect();
    poll_fn(|context| {
        for (work, done) in parts.iter_mut().filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(it) = work.as_mut().poll(context) {
                *done = Some(it);
            }
        }
        match parts.iter().all(|(_, done)| done.is_some()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    parts.into_iter().filter_map(|(_, done)| done).collect()
}
