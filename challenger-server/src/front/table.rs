//! The table of open connections: which are let in, which must make room, and when all are gone.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, Shutdown};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::Socket;

use super::bell::Bell;
use super::stream;
use super::{Limits, Network, Peer, Traffic};

/// How long a connection that must make room may take to end. Its socket is shut down, so its
/// thread has nothing to wait for.
const LEAVE: Duration = Duration::from_secs(1);
/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waiting for its peer: to send a request, to take an answer, or to close.
    Waiting,
    /// Deciding about a request, which has all arrived. Nothing interrupts this.
    Deciding,
}

/// Why a newcomer is not let in: there are as many connections as there may be, and none of them
/// waits for its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// All open connections.
pub(super) struct Table {
    connections: Mutex<Connections>,
    /// Notified whenever a drain or a newcomer may go on: a connection or the listener went away.
    changed: Condvar,
    /// Rings when a drain begins, for connections that wait for a request.
    bell: Bell,
}

#[derive(Default)]
struct Connections {
    open: BTreeMap<u64, Connection>,
    next: u64,
    /// How many were ended to make room.
    evicted: u64,
    /// How many found no room.
    turned_away: u64,
    draining: bool,
    listening: bool,
}

struct Connection {
    socket: Arc<Socket>,
    peer: Option<IpAddr>,
    phase: Phase,
    /// When it began to wait for its peer; nothing the peer sends makes it look younger, short of a
    /// complete request.
    since: Instant,
    /// It was shut down to make room, or at the end of a drain, and is about to go.
    leaving: bool,
}

impl Table {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { connections: Mutex::default(), changed: Condvar::default(), bell: Bell::new()? })
    }

    /// Lets a newcomer in, if necessary in place of the connection that has waited longest. During
    /// a drain it can make one request: a connection that was accepted cannot be given to our
    /// successor.
    pub(super) fn admit(
        self: &Arc<Self>,
        socket: Arc<Socket>,
        peer: Option<IpAddr>,
        limits: &Limits,
    ) -> Result<Slot, Full> {
        let peer = peer.and_then(|peer| counted_as(peer, &limits.trusted_proxies));
        let mut connections = self.connections();
        if connections.is_full(peer, limits) {
            let crowd = if connections.is_full_for(peer, limits) { peer } else { None };
            if !connections.evict(crowd) {
                return Err(Full);
            }
            connections = self
                .wait_while(connections, LEAVE, |connections| connections.is_full(peer, limits));
        }
        if connections.is_full(peer, limits) {
            return Err(Full);
        }
        let id = connections.enter(&socket, peer);
        Ok(Slot { table: Arc::clone(self), id, socket })
    }

    /// Lets a connection of our own in, whether there is room or not.
    pub(super) fn admit_own(self: &Arc<Self>, socket: Arc<Socket>) -> Slot {
        let id = self.connections().enter(&socket, None);
        Slot { table: Arc::clone(self), id, socket }
    }

    /// Ends the connection that has waited longest, whatever its peer.
    pub(super) fn make_room(&self) {
        self.connections().evict(None);
    }

    /// How many connections are open.
    pub(super) fn len(&self) -> usize {
        self.connections().open.len()
    }

    /// How many connections are open, and what became of others.
    pub(super) fn traffic(&self) -> Traffic {
        let Connections { open, evicted, turned_away, .. } = &*self.connections();
        Traffic { open: open.len(), evicted: *evicted, turned_away: *turned_away }
    }

    /// Counts a newcomer for which there is no room.
    pub(super) fn turn_away(&self) {
        self.connections().turned_away += 1;
    }

    /// How many connections were ended to make room, ever.
    pub(super) fn evicted(&self) -> u64 {
        self.connections().evicted
    }

    pub(super) fn is_draining(&self) -> bool {
        self.connections().draining
    }

    /// Says whether the listener is open.
    pub(super) fn set_listening(&self, listening: bool) {
        self.connections().listening = listening;
        self.changed.notify_all();
    }

    /// Makes the last call, waits for all connections and for the listener, and ends those that are
    /// left when the time has passed. Returns whether none was left.
    ///
    /// None is ended earlier: only its own thread knows whether a connection is idle, because it
    /// checks whether something has arrived.
    pub(super) fn drain(&self, timeout: Duration) -> bool {
        let mut connections = self.connections();
        connections.draining = true;
        self.bell.ring();
        let busy =
            |connections: &mut Connections| connections.listening || !connections.open.is_empty();
        connections = self.wait_while(connections, timeout, busy);
        connections.end_all();
        !busy(&mut connections)
    }

    fn wait_while<'a>(
        &self,
        connections: MutexGuard<'a, Connections>,
        timeout: Duration,
        condition: impl FnMut(&mut Connections) -> bool,
    ) -> MutexGuard<'a, Connections> {
        let waited = self.changed.wait_timeout_while(connections, timeout, condition);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// No code can panic while it holds the lock, so everything in there is in order.
    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    fn enter(&mut self, socket: &Arc<Socket>, peer: Option<IpAddr>) -> u64 {
        let id = self.next;
        self.next += 1;
        let (socket, phase, since) = (Arc::clone(socket), Phase::Waiting, Instant::now());
        self.open.insert(id, Connection { socket, peer, phase, since, leaving: false });
        id
    }

    fn is_full(&self, peer: Option<IpAddr>, limits: &Limits) -> bool {
        self.open.len() >= limits.connections || self.is_full_for(peer, limits)
    }

    fn is_full_for(&self, peer: Option<IpAddr>, limits: &Limits) -> bool {
        let open = || self.open.values().filter(|connection| connection.peer == peer).count();
        peer.is_some() && open() >= limits.connections_per_peer
    }

    fn end_all(&mut self) {
        self.open.values_mut().for_each(Connection::leave);
    }

    /// Ends the connection, if there is one, that has waited longest for its peer: for this peer if
    /// one is given. Returns whether there is one.
    fn evict(&mut self, peer: Option<IpAddr>) -> bool {
        let longest = self
            .open
            .values_mut()
            .filter(|connection| peer.is_none() || connection.peer == peer)
            .filter(|connection| connection.phase != Phase::Deciding && !connection.leaving)
            .min_by_key(|connection| connection.since);
        let Some(connection) = longest else { return false };
        connection.leave();
        self.evicted += 1;
        true
    }
}

impl Connection {
    /// Wakes the thread that reads or writes: there is nothing left to read or write.
    fn leave(&mut self) {
        self.leaving = true;
        // An error means that the peer went first.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// A connection's place in the table, given back when it ends, however it ends.
pub(super) struct Slot {
    table: Arc<Table>,
    id: u64,
    socket: Arc<Socket>,
}

impl Slot {
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Enters a phase. Returns whether the connection may: it may not if it has to make room.
    pub(super) fn enter(&self, phase: Phase) -> bool {
        let mut connections = self.table.connections();
        let Some(connection) = connections.open.get_mut(&self.id) else {
            return false;
        };
        if connection.phase == Phase::Deciding {
            connection.since = Instant::now();
        }
        connection.phase = phase;
        !connection.leaving
    }

    /// The bell that rings when a drain begins.
    pub(super) fn bell(&self) -> &Bell {
        &self.table.bell
    }

    pub(super) fn is_draining(&self) -> bool {
        self.table.is_draining()
    }
}

impl Peer for Slot {
    fn has_left(&self) -> bool {
        stream::has_left(&self.socket)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.table.connections().open.remove(&self.id);
        self.table.changed.notify_all();
    }
}

/// The peer that a connection counts for; `None` where many people share an address that we know
/// of: a proxy on this machine, or one that the operator named. An IPv6 host usually has 2⁶⁴
/// addresses to choose from, so they count as one.
fn counted_as(peer: IpAddr, trusted: &[Network]) -> Option<IpAddr> {
    match peer.to_canonical() {
        peer if peer.is_loopback() || trusted.iter().any(|it| it.contains(peer)) => None,
        IpAddr::V4(peer) => Some(IpAddr::V4(peer)),
        IpAddr::V6(peer) => {
            let network = u128::from(peer) >> 64 << 64;
            Some(IpAddr::V6(Ipv6Addr::from(network)))
        }
    }
}
