//! The table of open connections: who is let in, who must make room, and when all are gone.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, Shutdown};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::bell::Bell;
use super::stream::Stream;
use super::{Limits, Network, Peer};

/// How long a connection that must make room may take to end. Its socket is shut down, so its
/// thread has nothing to wait for.
const LEAVE: Duration = Duration::from_secs(1);
/// How long, during a drain, a connection may take to begin its first request. As a rule that is on
/// its way already: who connects has something to ask.
const ARRIVE: Duration = Duration::from_secs(1);
/// The same for a connection that has made requests. Those of a proxy or a browser are idle most of
/// the time, and a restart must not wait for them. But where many requests come, the next one often
/// comes now, and its answer can say that it is the last: nothing else ends a connection without a
/// moment in which a request could be lost.
const STAY: Duration = Duration::from_millis(200);

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waiting for the first byte of a request.
    Idle,
    /// Reading a request.
    Reading,
    /// Deciding about a request, which has all arrived. Nothing interrupts this.
    Deciding,
    /// Writing the answer, and then perhaps waiting for the peer to close.
    Writing,
}

/// Why a newcomer is not let in: there are as many connections as there may be, and none of them
/// waits for its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// All open connections.
pub(super) struct Table {
    rows: Mutex<Rows>,
    /// Told whenever a drain or a newcomer may go on: a row or the listener went away.
    changed: Condvar,
    /// Rings when a drain begins, for those who wait for a request.
    bell: Bell,
}

#[derive(Default)]
struct Rows {
    open: BTreeMap<u64, Row>,
    next: u64,
    /// How many were ended to make room.
    evicted: u64,
    draining: bool,
    listening: bool,
}

struct Row {
    stream: Arc<dyn Stream>,
    peer: Option<IpAddr>,
    phase: Phase,
    /// When it began to wait for its peer; nothing the peer sends makes it look younger, short of a
    /// complete request.
    since: Instant,
    /// It has not made a request yet.
    is_new: bool,
    /// It was shut down to make room, or at the end of a drain, and is about to go.
    leaving: bool,
}

impl Table {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { rows: Mutex::default(), changed: Condvar::default(), bell: Bell::new()? })
    }

    /// Lets a newcomer in, if necessary in place of the connection that has waited longest. During
    /// a drain it can make one request: whoever was accepted cannot be given to our successor.
    pub(super) fn admit(
        self: &Arc<Self>,
        stream: Arc<dyn Stream>,
        peer: Option<IpAddr>,
        limits: &Limits,
    ) -> Result<Seat, Full> {
        let peer = peer.and_then(|peer| counted_as(peer, &limits.trusted_proxies));
        let mut rows = self.rows();
        if rows.is_full(peer, limits) {
            let crowd = if rows.is_full_for(peer, limits) { peer } else { None };
            if !rows.evict(crowd) {
                return Err(Full);
            }
            rows = self.wait_while(rows, LEAVE, |rows| rows.is_full(peer, limits));
        }
        if rows.is_full(peer, limits) {
            return Err(Full);
        }
        let id = rows.next;
        rows.next += 1;
        let row = Row {
            stream: Arc::clone(&stream),
            peer,
            phase: Phase::Idle,
            since: Instant::now(),
            is_new: true,
            leaving: false,
        };
        rows.open.insert(id, row);
        Ok(Seat { table: Arc::clone(self), id, stream })
    }

    /// Ends the connection that has waited longest, whoever it is.
    pub(super) fn make_room(&self) {
        self.rows().evict(None);
    }

    /// How many connections are open.
    pub(super) fn len(&self) -> usize {
        self.rows().open.len()
    }

    /// How many connections were ended to make room, ever.
    pub(super) fn evicted(&self) -> u64 {
        self.rows().evicted
    }

    pub(super) fn is_draining(&self) -> bool {
        self.rows().draining
    }

    /// Says that somebody listens, or that nobody does any more.
    pub(super) fn set_listening(&self, listening: bool) {
        self.rows().listening = listening;
        self.changed.notify_all();
    }

    /// Makes the last call, waits for all connections and for the listener, and ends whoever is
    /// left when the time has passed. Says whether nobody was.
    ///
    /// It ends nobody before: that a connection is idle is known to its thread alone, which looks
    /// whether something has come.
    pub(super) fn drain(&self, timeout: Duration) -> bool {
        let mut rows = self.rows();
        rows.draining = true;
        self.bell.ring();
        let busy = |rows: &mut Rows| rows.listening || !rows.open.is_empty();
        rows = self.wait_while(rows, timeout, busy);
        rows.end_all();
        !busy(&mut rows)
    }

    fn wait_while<'a>(
        &self,
        rows: MutexGuard<'a, Rows>,
        timeout: Duration,
        condition: impl FnMut(&mut Rows) -> bool,
    ) -> MutexGuard<'a, Rows> {
        let waited = self.changed.wait_timeout_while(rows, timeout, condition);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// No code can panic while it holds the lock, so whatever is in there is in order.
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn is_full(&self, peer: Option<IpAddr>, limits: &Limits) -> bool {
        self.open.len() >= limits.connections || self.is_full_for(peer, limits)
    }

    fn is_full_for(&self, peer: Option<IpAddr>, limits: &Limits) -> bool {
        let open = || self.open.values().filter(|row| row.peer == peer).count();
        peer.is_some() && open() >= limits.connections_per_peer
    }

    fn end_all(&mut self) {
        self.open.values_mut().for_each(Row::leave);
    }

    /// Ends the connection, if there is one, that has waited longest for its peer: for this peer if
    /// one is given. Says whether there is one.
    fn evict(&mut self, peer: Option<IpAddr>) -> bool {
        let longest = self
            .open
            .values_mut()
            .filter(|row| peer.is_none() || row.peer == peer)
            .filter(|row| row.phase != Phase::Deciding && !row.leaving)
            .min_by_key(|row| row.since);
        let Some(row) = longest else { return false };
        row.leave();
        self.evicted += 1;
        true
    }
}

impl Row {
    /// Wakes the thread that reads or writes: there is nothing left to read or write.
    fn leave(&mut self) {
        self.leaving = true;
        // An error means that the peer went first.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A connection's place in the table, given back when it ends, however it ends.
pub(super) struct Seat {
    table: Arc<Table>,
    id: u64,
    stream: Arc<dyn Stream>,
}

impl Seat {
    pub(super) fn stream(&self) -> &dyn Stream {
        &*self.stream
    }

    /// Says what the connection is doing next, and learns whether it may.
    pub(super) fn enter(&self, phase: Phase) -> bool {
        let mut rows = self.table.rows();
        let Some(row) = rows.open.get_mut(&self.id) else {
            return false;
        };
        if row.phase == Phase::Deciding {
            row.since = Instant::now();
        }
        row.phase = phase;
        row.is_new &= phase != Phase::Deciding;
        !row.leaving
    }

    /// What rings when a drain begins.
    pub(super) fn bell(&self) -> &Bell {
        &self.table.bell
    }

    /// How long, once it rings, the connection may still take to begin a request.
    pub(super) fn last_call(&self) -> Duration {
        let is_new = self.table.rows().open.get(&self.id).is_some_and(|row| row.is_new);
        if is_new { ARRIVE } else { STAY }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.table.is_draining()
    }
}

impl Peer for Seat {
    fn has_left(&self) -> bool {
        self.stream.has_left()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.table.rows().open.remove(&self.id);
        self.table.changed.notify_all();
    }
}

/// Whom a connection counts for; `None` where many people share an address that we know of: a proxy
/// on this machine, or one that the operator named. An IPv6 host usually has 2⁶⁴ addresses to
/// choose from, so they count as one.
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
