//! The pool: how many connections are kept, and when they are replaced.
//!
//! A connection of the pool may be dead without being noticed, because the database was restarted.
//! Checking it before each use would cost a round trip. Instead, the first connection that is found
//! dead begins a new generation, and those of earlier ones are not used again. Only a write, which
//! cannot be repeated once it was sent, is preceded by a check, and only on a connection that has
//! been idle.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use r2d2_postgres::PostgresConnectionManager;
use r2d2_postgres::r2d2::{self, ManageConnection};

use super::connection::{Connection, ThreadCount};
use super::database::PostgresDatabase;
use super::error::PostgresError;
use super::schema;
use super::semaphore::Semaphore;
use super::session::{LATE, Session};
use super::tls::Connector;
use crate::store::lock;

/// Maximum number of connections. More statements at once do not make a database faster.
const CONNECTIONS_MAX: u32 = 16;

/// How long a request waits for a connection, for example while the database restarts.
const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(5);

/// The connections of a server.
pub(super) struct Pool {
    connections: r2d2::Pool<Manager>,
    /// One permit for each connection.
    semaphore: Semaphore,
    manager: Manager,
}

/// The state that all connections share.
#[derive(Default)]
struct State {
    generation: AtomicU64,
    /// Whether there was a connection. From then on, the schema may be newer than ours.
    has_begun: AtomicBool,
    /// Why the last attempt to connect failed, if it did: part of the error for all that wait.
    failure: Mutex<Option<PostgresError>>,
    threads: ThreadCount,
}

impl Pool {
    /// A pool without connections: they are made when they are needed.
    pub(super) fn new(database: &PostgresDatabase, connector: Connector) -> Self {
        let connections = PostgresConnectionManager::new(database.serving_config(), connector);
        let (connections, limit) = (Arc::new(connections), database.connect_limit());
        let manager = Manager { connections, limit, state: Arc::default() };
        let connections = r2d2::Pool::builder()
            .max_size(CONNECTIONS_MAX)
            .min_idle(Some(0))
            .connection_timeout(CHECKOUT_TIMEOUT)
            .build_unchecked(manager.clone());
        Self { connections, semaphore: Semaphore::new(CONNECTIONS_MAX), manager }
    }

    /// Runs a task with a connection. It has to be over at the deadline.
    pub(super) fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        task: impl FnOnce(&mut Session) -> Result<T, PostgresError> + Send + 'static,
    ) -> Result<T, PostgresError> {
        let checkout = deadline.min(Instant::now() + CHECKOUT_TIMEOUT);
        // Released after the connection went back.
        let _permit = self.semaphore.acquire(checkout).ok_or_else(|| self.timed_out())?;
        let left = checkout.saturating_duration_since(Instant::now());
        let mut connection = self.connections.get_timeout(left).map_err(|_| self.timed_out())?;
        let done = connection.run(deadline, task);
        if let Err(PostgresError::Lost(_) | PostgresError::Unsent(_)) = done {
            let next = connection.generation().saturating_add(1);
            self.manager.state.generation.fetch_max(next, Ordering::Relaxed);
        }
        done
    }

    /// An unpooled connection, for callers that need the connection error immediately.
    pub(super) fn connect(&self) -> Result<Connection, PostgresError> {
        self.manager.connect()
    }

    /// The error of a request that got no connection.
    fn timed_out(&self) -> PostgresError {
        let cause = lock(&self.manager.state.failure).as_ref().map(ToString::to_string);
        let cause = cause.unwrap_or_else(|| match self.connections.state().connections {
            CONNECTIONS_MAX.. => "all of them are in use".to_owned(),
            _ => LATE.to_owned(),
        });
        PostgresError::Unreachable(format!("timed out waiting for a connection: {cause}"))
    }
}

/// Makes connections, and decides which of them are still good, without a round trip.
#[derive(Clone)]
pub(super) struct Manager {
    connections: Arc<PostgresConnectionManager<Connector>>,
    /// How long it may take to connect. That may be longer than any request waits; later requests
    /// then find the connection.
    limit: Duration,
    state: Arc<State>,
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = PostgresError;

    fn connect(&self) -> Result<Connection, PostgresError> {
        // Read first: whatever happens from now on may concern this connection.
        let generation = self.state.generation.load(Ordering::Relaxed);
        let check = match self.state.has_begun.load(Ordering::Relaxed) {
            true => schema::check_not_older,
            false => schema::check,
        };
        let connections = Arc::clone(&self.connections);
        let connect = move || Session::connect(&connections, check);
        let opened = Connection::open(connect, generation, &self.state.threads, self.limit);
        if opened.is_ok() {
            self.state.has_begun.store(true, Ordering::Relaxed);
        }
        *lock(&self.state.failure) = opened.as_ref().err().cloned();
        opened
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), PostgresError> {
        if self.has_broken(connection) {
            return Err(PostgresError::Other("the database was restarted".to_owned()));
        }
        Ok(())
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        let generation = self.state.generation.load(Ordering::Relaxed);
        !connection.is_usable() || connection.generation() < generation
    }
}
