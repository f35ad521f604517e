//! The front: an HTTP/1.1 server that withstands strangers.
//!
//! It turns sockets into complete, bounded, unambiguous requests, and writes the answers of a
//! [`Respond`]. Everything else that strangers send is refused here or cut off.
//!
//! ```text
//! accept thread ── Table::admit ── one thread per connection
//!                                  │
//!                    bytes ── Exchange ── Request ── Respond ── Answer ── Exchange ── bytes
//! ```
//!
//! The protocol is [`exchange::Exchange`], a value without IO or a clock; the threads only carry
//! out what it asks for.
//!
//! - A thread serves one connection, one request at a time, and there are never more threads than
//!   [`Limits::connections`]. So a slow peer holds nothing but its own connection, and that only as
//!   long as no one else needs it: when all are taken, the one that has waited longest for its peer
//!   makes room.
//! - A request reaches `Respond` when all of it has arrived. Nothing interrupts it there.
//! - All time limits are totals: a byte now and then prolongs nothing.

mod answer;
mod bell;
mod body;
mod connection;
pub mod exchange;
pub mod head;
mod listener;
mod network;
mod pulse;
mod stream;
mod table;
#[cfg(feature = "tiny-http")]
mod tiny;
#[cfg(feature = "tiny-http")]
mod watch;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use challenger_proto::Refused;
use challenger_proto::http::Request;
use rustix::io::Errno;
use socket2::Socket;

pub use self::answer::Answer;
pub use self::listener::Listener;
pub use self::network::Network;
pub use self::pulse::{Pulse, Traffic};
use self::stream::is_passing;
use self::table::{Slot, Table};
#[cfg(feature = "tiny-http")]
pub use self::tiny::Tiny;
#[cfg(feature = "tiny-http")]
pub(crate) use self::watch::Watch;

/// Answers requests. Called concurrently from many threads.
pub trait Respond: Send + Sync + 'static {
    /// Answers a complete request of a peer that waits for it.
    fn respond(&self, request: Request, peer: &dyn Peer) -> Answer;

    /// Words a refusal of the front. `head` is there if the request got as far as its body.
    fn refuse(&self, head: Option<&Request>, refused: Refused) -> Answer;
}

/// The other end of a connection.
pub trait Peer {
    /// Whether it has gone, or at least sends nothing more, so that the answer may be of no use.
    fn has_left(&self) -> bool;
}

/// A peer of which nothing is known: it is taken to be there.
#[derive(Clone, Copy, Debug)]
pub struct Present;

impl Peer for Present {
    fn has_left(&self) -> bool {
        false
    }
}

/// The implementation of HTTP that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The [`Front`].
    Front,
    /// [`Tiny`], which withstands nobody but a proxy.
    #[cfg(feature = "tiny-http")]
    TinyHttp,
}

/// How much the front gives to strangers. The times are totals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections. Each costs a thread, a file descriptor and at most some 128 KiB: together
    /// 64 MiB, and half of the 1024 descriptors that a process usually may have.
    pub connections: usize,
    /// Open connections of one peer address, or one /64 network of IPv6. A browser opens six, and
    /// people may share an address. Loopback and UNIX sockets do not count: behind a proxy everyone
    /// comes from there.
    pub connections_per_peer: usize,
    /// The addresses of other proxies, whose connections do not count either.
    pub trusted_proxies: Vec<Network>,
    /// From the first byte of a request to the end of its head. It is a few packets; a bad mobile
    /// network repeats one after 1, 3 and 7 seconds.
    pub head: Duration,
    /// From the end of the head to the end of the body: 64 KiB at 26 kbit/s.
    pub body: Duration,
    /// From one request to the next. People need longer to fill in a form; their browser then
    /// connects again.
    pub idle: Duration,
    /// For writing an answer, and as long again for every 128 KiB of it: it passes at 50 kbit/s. A
    /// slow reader holds no copy of it.
    pub write: Duration,
    /// Closes each connection after its first request.
    pub close_each: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_per_peer: 64,
            trusted_proxies: Vec::new(),
            head: Duration::from_secs(10),
            body: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(20),
            close_each: false,
        }
    }
}

/// How many connections may wait to be accepted. The standard library asks for 128; a crowd that
/// arrives at once overflows that, and a peer that is dropped tries again only a second later.
pub(crate) const BACKLOG: i32 = 1024;
/// How often the accept thread checks whether to stop.
const TICK: Duration = Duration::from_millis(250);
/// How long to wait when a connection cannot be accepted. Some causes, such as too many open files,
/// do not go away at once.
const PAUSE: Duration = Duration::from_millis(50);
/// How often to report connections that were not served: a crowd must not fill the log as well.
const REPORT: Duration = Duration::from_secs(10);
/// How long a front that is dropped waits for the requests in flight.
const DROP: Duration = Duration::from_secs(5);

/// A listener and its connections.
///
/// ```
/// use std::net::TcpListener;
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use challenger_proto::Refused;
/// use challenger_proto::http::{Request, Status};
/// use challenger_server::front::{Answer, Front, Limits, Peer, Respond};
///
/// struct Empty;
///
/// impl Respond for Empty {
///     fn respond(&self, _: Request, _: &dyn Peer) -> Answer {
///         Answer { status: Status(204), headers: Vec::new(), body: [].into() }
///     }
///
///     fn refuse(&self, _: Option<&Request>, _: Refused) -> Answer {
///         Answer { status: Status(400), headers: Vec::new(), body: [].into() }
///     }
/// }
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let mut front = Front::start(listener, Arc::new(Empty), Limits::default())?;
/// assert!(front.drain(Duration::from_secs(10)));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Front {
    table: Arc<Table>,
    place: String,
    pulse: Pulse,
}

impl Front {
    /// Begins to accept and to serve connections.
    pub fn start(
        listener: impl Into<Listener>,
        respond: Arc<dyn Respond>,
        limits: Limits,
    ) -> io::Result<Self> {
        let listener = listener.into();
        let place = listener.place()?;
        listener.prepare(BACKLOG, TICK)?;
        let table = Arc::new(Table::new()?);
        table.set_listening(true);
        let limits = Arc::new(limits);
        let (pulse, own) = Pulse::new(Arc::clone(&table));
        let acceptor = Acceptor { table: Arc::clone(&table), respond, limits, own };
        thread::Builder::new().name("accept".to_owned()).spawn(move || {
            acceptor.accept_all(&listener);
            drop(listener);
            acceptor.table.set_listening(false);
        })?;
        Ok(Self { table, place, pulse })
    }

    /// Where it listens: an address with a port, or a path.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    /// How it does, to be felt by another thread.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Stops listening, answers the requests that had arrived, read and accepted or not, and closes
    /// the connections. Cuts off those that are left when the time has passed, and returns whether
    /// none was left.
    pub fn drain(&mut self, timeout: Duration) -> bool {
        self.table.drain(timeout)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if !self.table.is_draining() {
            self.drain(DROP);
        }
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Front(at {}, {} connections)", self.place, self.connections())
    }
}

/// The accept thread.
struct Acceptor {
    table: Arc<Table>,
    respond: Arc<dyn Respond>,
    limits: Arc<Limits>,
    /// Connections of our own.
    own: Receiver<Socket>,
}

impl Acceptor {
    /// Nothing ends this but a drain.
    fn accept_all(&self, listener: &Listener) {
        let mut unserved = Unserved::default();
        while !self.table.is_draining() {
            self.accept_next(listener, &mut unserved);
        }
        // Connections that the system has let in would be reset when the listener is closed. If it
        // stays open somewhere else, there may be no end of them, and they can wait there.
        let mut left = BACKLOG;
        while left > 0 && listener.has_next() {
            self.accept_next(listener, &mut unserved);
            left -= 1;
        }
    }

    fn accept_next(&self, listener: &Listener, unserved: &mut Unserved) {
        for socket in self.own.try_iter() {
            self.serve(self.table.admit_own(Arc::new(socket)), unserved);
        }
        match listener.accept() {
            Ok((socket, peer)) => self.accept(socket, peer, unserved),
            // No connection came within a tick.
            Err(error) if is_passing(&error) => {}
            Err(error) => {
                if matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE)) {
                    self.table.make_room();
                }
                unserved.failures += 1;
                unserved.last = Some(error);
                thread::sleep(PAUSE);
            }
        }
        unserved.report(self.table.evicted());
    }

    fn accept(&self, socket: Socket, peer: Option<IpAddr>, unserved: &mut Unserved) {
        let Ok(slot) = self.table.admit(Arc::new(socket), peer, &self.limits) else {
            self.table.turn_away();
            unserved.turned_away += 1;
            return;
        };
        self.serve(slot, unserved);
    }

    fn serve(&self, slot: Slot, unserved: &mut Unserved) {
        let (respond, limits) = (Arc::clone(&self.respond), Arc::clone(&self.limits));
        let serve = move || connection::serve(&slot, &*respond, &limits);
        if let Err(error) = thread::Builder::new().name("connection".to_owned()).spawn(serve) {
            unserved.failures += 1;
            unserved.last = Some(error);
        }
    }
}

/// Connections that were not served and are not in the log yet.
#[derive(Default)]
struct Unserved {
    /// Connections that could not be accepted or got no thread.
    failures: u64,
    /// The error of the last of them.
    last: Option<io::Error>,
    /// Newcomers for which no connection could make room.
    turned_away: u64,
    /// Evictions already reported.
    evicted: u64,
    /// When something was last reported.
    reported: Option<Instant>,
}

impl Unserved {
    fn is_too_soon(&self) -> bool {
        self.reported.is_some_and(|reported| reported.elapsed() < REPORT)
    }

    /// Logs the news, if there is any, but not too often.
    fn report(&mut self, evicted: u64) {
        let crowded = self.turned_away > 0 || evicted > self.evicted;
        if !(crowded || self.failures > 0) || self.is_too_soon() {
            return;
        }
        if crowded {
            let ended = evicted - self.evicted;
            log::warn!(ended, turned_away = self.turned_away; "too many connections");
        }
        if let Some(error) = &self.last {
            log::warn!(failures = self.failures, error:%; "connections not accepted");
        }
        *self = Self { evicted, reported: Some(Instant::now()), ..Self::default() };
    }
}
