//! The table of open connections: who is let in, who must make room, and when all are gone.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, Shutdown};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::stream::Stream;
use super::{Limits, Network};

/// How long a connection that must make room may take to end. Its socket is shut down, so its
/// thread has nothing to wait for.
const LEAVE: Duration = Duration::from_secs(1);
/// How long, during a drain, a connection may take to begin its first request. As a rule that is on
/// its way already: who connects has something to ask.
const ARRIVE: Duration = Duration::from_secs(1);

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
#[derive(Default)]
pub(super) struct Table {
    rows: Mutex<Rows>,
    /// Told whenever a drain or a newcomer may go on: a row or the listener went away, or a request
    /// that a drain waits for has come.
    changed: Condvar,
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
    /// It was shut down to make room or to drain, and is about to go.
    leaving: bool,
}

impl Table {
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

    /// Ends the connections that are idle after a request, gives those that are new a moment to
    /// make one, waits for the others and for the listener, and ends whoever is left when the time
    /// has passed. Says whether nobody was.
    pub(super) fn drain(&self, timeout: Duration) -> bool {
        let start = Instant::now();
        let mut rows = self.rows();
        rows.draining = true;
        rows.end(|row| row.phase == Phase::Idle && !row.is_new);
        let coming = |rows: &mut Rows| rows.listening || rows.open.values().any(|row| row.is_new);
        rows = self.wait_while(rows, ARRIVE.min(timeout), coming);
        rows.end(|row| row.phase == Phase::Idle);
        let busy = |rows: &mut Rows| rows.listening || !rows.open.is_empty();
        rows = self.wait_while(rows, timeout.saturating_sub(start.elapsed()), busy);
        rows.end(|_| true);
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

    /// Ends all connections of a kind.
    fn end(&mut self, kind: impl Fn(&Row) -> bool) {
        for row in self.open.values_mut().filter(|row| kind(row)) {
            row.leave();
        }
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
        let draining = rows.draining;
        let Some(row) = rows.open.get_mut(&self.id) else {
            return false;
        };
        if row.phase == Phase::Deciding {
            row.since = Instant::now();
        }
        row.phase = phase;
        row.is_new &= phase != Phase::Deciding;
        if draining && phase == Phase::Deciding {
            self.table.changed.notify_all();
        }
        let over = draining && phase == Phase::Idle && !row.is_new;
        !(row.leaving || over)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.table.is_draining()
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

#[cfg(test)]
mod tests {
    use std::io::{self, IoSlice};
    use std::thread;

    use super::*;

    /// Knows only whether it was shut down.
    #[derive(Default)]
    struct Socket(Mutex<bool>);

    impl Stream for Socket {
        fn read(&self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }

        fn write(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
            Ok(0)
        }

        fn set_read_timeout(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        fn set_write_timeout(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        fn shutdown(&self, _: Shutdown) -> io::Result<()> {
            *self.0.lock().unwrap() = true;
            Ok(())
        }
    }

    /// Connections that end as soon as they are shut down, as their threads would.
    struct Crowd {
        table: Arc<Table>,
        limits: Limits,
        seats: Vec<(Arc<Socket>, Option<Seat>)>,
    }

    impl Crowd {
        fn new(connections: usize, connections_per_peer: usize) -> Self {
            let limits = Limits { connections, connections_per_peer, ..Limits::default() };
            Self { table: Arc::default(), limits, seats: Vec::new() }
        }

        fn admit(&mut self, peer: &str) -> Result<(), Full> {
            let socket = Arc::new(Socket::default());
            let (table, limits) = (Arc::clone(&self.table), self.limits.clone());
            let (stream, peer) = (Arc::clone(&socket), peer.parse().ok());
            let newcomer = thread::spawn(move || table.admit(stream, peer, &limits));
            while !newcomer.is_finished() {
                for (socket, seat) in &mut self.seats {
                    if *socket.0.lock().unwrap() {
                        *seat = None;
                    }
                }
                thread::yield_now();
            }
            self.seats.push((socket, Some(newcomer.join().unwrap()?)));
            assert!(self.table.len() <= self.limits.connections);
            Ok(())
        }

        fn enter(&self, number: usize, phase: Phase) -> bool {
            self.seats[number].1.as_ref().is_some_and(|seat| seat.enter(phase))
        }

        /// The numbers of those who are still there.
        fn present(&self) -> Vec<usize> {
            (0..self.seats.len()).filter(|number| self.seats[*number].1.is_some()).collect()
        }
    }

    #[test]
    fn who_has_waited_longest_makes_room() {
        let mut crowd = Crowd::new(3, 3);
        for peer in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
            crowd.admit(peer).unwrap();
        }
        // The first has been served meanwhile, and the second sends something.
        assert!(crowd.enter(0, Phase::Deciding) && crowd.enter(0, Phase::Writing));
        assert!(crowd.enter(1, Phase::Reading));
        crowd.admit("192.0.2.4").unwrap();
        assert_eq!(crowd.present(), [0, 2, 3]);
        // Nobody interrupts a decision.
        assert!(crowd.enter(2, Phase::Deciding));
        crowd.admit("192.0.2.5").unwrap();
        assert_eq!(crowd.present(), [2, 3, 4]);
        assert!(crowd.enter(3, Phase::Deciding) && crowd.enter(4, Phase::Deciding));
        assert_eq!(crowd.admit("192.0.2.6"), Err(Full));
        assert_eq!(crowd.table.evicted(), 2);
    }

    #[test]
    fn a_peer_makes_room_for_itself_only() {
        let mut crowd = Crowd::new(100, 2);
        crowd.admit("198.51.100.1").unwrap();
        // The same IPv4 address in two forms, and two addresses of one IPv6 network.
        for peer in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8::2:3:4:5"] {
            crowd.admit(peer).unwrap();
        }
        crowd.admit("2001:db8:0:1::1").unwrap();
        assert_eq!(crowd.present(), [0, 1, 2, 3, 4, 5]);
        crowd.admit("192.0.2.1").unwrap();
        crowd.admit("2001:db8::3").unwrap();
        assert_eq!(crowd.present(), [0, 2, 4, 5, 6, 7]);
        assert!(crowd.enter(2, Phase::Deciding) && crowd.enter(6, Phase::Deciding));
        assert_eq!(crowd.admit("192.0.2.1"), Err(Full));
        assert_eq!(crowd.present(), [0, 2, 4, 5, 6, 7]);
    }

    #[test]
    fn many_may_come_through_a_proxy_on_this_machine() {
        let mut crowd = Crowd::new(100, 1);
        for peer in ["127.0.0.1", "127.0.0.1", "::1", "::1", "::ffff:127.0.0.1", "not known"] {
            crowd.admit(peer).unwrap();
        }
        assert_eq!(crowd.present().len(), 6);
    }

    #[test]
    fn many_may_come_through_a_proxy_that_is_named() {
        let mut crowd = Crowd::new(100, 1);
        for network in ["10.0.0.5", "10.1.0.0/16", "2001:db8::/32"] {
            crowd.limits.trusted_proxies.push(Network::parse(network).unwrap());
        }
        let trusted = ["10.0.0.5", "::ffff:10.0.0.5", "::ffff:10.1.2.3", "2001:db8::1"];
        for peer in trusted.into_iter().chain(trusted) {
            crowd.admit(peer).unwrap();
        }
        assert_eq!(crowd.present().len(), 8);
        // Who stands beside them counts, and makes room.
        for peer in ["10.0.0.6", "2001:db9::1", "10.0.0.6", "2001:db9::2"] {
            crowd.admit(peer).unwrap();
        }
        assert_eq!(crowd.present(), [0, 1, 2, 3, 4, 5, 6, 7, 10, 11]);
    }

    #[test]
    fn a_drain_ends_all_in_time() {
        let mut crowd = Crowd::new(100, 100);
        for _ in 0..3 {
            crowd.admit("192.0.2.1").unwrap();
        }
        assert!(crowd.enter(1, Phase::Reading) && crowd.enter(2, Phase::Deciding));
        assert!(!crowd.table.drain(Duration::ZERO));
        assert!((0..3).all(|number| !crowd.enter(number, Phase::Writing)));
        crowd.seats.clear();
        assert!(crowd.table.drain(Duration::ZERO));
    }

    #[test]
    fn who_comes_during_a_drain_makes_one_request() {
        let mut crowd = Crowd::new(100, 100);
        crowd.table.set_listening(true);
        for _ in 0..2 {
            crowd.admit("192.0.2.1").unwrap();
        }
        assert!(crowd.enter(0, Phase::Deciding) && crowd.enter(0, Phase::Idle));
        let table = Arc::clone(&crowd.table);
        let draining = thread::spawn(move || table.drain(Duration::from_secs(60)));
        while !*crowd.seats[0].0.0.lock().unwrap() {
            thread::yield_now();
        }
        crowd.admit("192.0.2.1").unwrap();
        let ended: Vec<bool> =
            crowd.seats.iter().map(|(socket, _)| *socket.0.lock().unwrap()).collect();
        assert_eq!(ended, [true, false, false], "only who had been served");
        for number in [1, 2] {
            for phase in [Phase::Reading, Phase::Deciding, Phase::Writing] {
                assert!(crowd.enter(number, phase), "{phase:?}");
            }
            assert!(!crowd.enter(number, Phase::Idle));
        }
        crowd.table.set_listening(false);
        crowd.seats.clear();
        assert!(draining.join().unwrap());
    }

    #[test]
    fn who_is_served_during_a_drain_may_finish_but_not_begin_again() {
        let mut crowd = Crowd::new(100, 100);
        crowd.admit("192.0.2.1").unwrap();
        assert!(crowd.enter(0, Phase::Deciding));
        let table = Arc::clone(&crowd.table);
        let draining = thread::spawn(move || table.drain(Duration::from_secs(60)));
        while !crowd.table.is_draining() {
            thread::yield_now();
        }
        assert!(crowd.enter(0, Phase::Writing));
        assert!(!crowd.enter(0, Phase::Idle));
        crowd.seats.clear();
        assert!(draining.join().unwrap());
    }
}
