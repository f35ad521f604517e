//! Tests of the table: which connections are let in, which make room, and when a drain ends.

use std::thread;

use socket2::{Domain, Type};

use super::super::stream::{self, Arrival};
use super::*;

/// Connections that end as soon as they are shut down, as their threads would.
struct Crowd {
    table: Arc<Table>,
    limits: Limits,
    /// The peers' ends, and the connections that are still open.
    slots: Vec<(Socket, Option<Slot>)>,
}

impl Crowd {
    fn new(connections: usize, connections_per_peer: usize) -> Self {
        let limits = Limits { connections, connections_per_peer, ..Limits::default() };
        let table = Arc::new(Table::new().unwrap());
        Self { table, limits, slots: Vec::new() }
    }

    fn admit(&mut self, peer: &str) -> Result<(), Full> {
        let (ours, theirs) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        ours.set_nonblocking(true).unwrap();
        let (table, limits, peer) =
            (Arc::clone(&self.table), self.limits.clone(), peer.parse().ok());
        let newcomer = thread::spawn(move || table.admit(Arc::new(ours), peer, &limits));
        while !newcomer.is_finished() {
            for (_, slot) in &mut self.slots {
                slot.take_if(|slot| slot.has_left());
            }
            thread::yield_now();
        }
        self.slots.push((theirs, Some(newcomer.join().unwrap()?)));
        assert!(self.table.len() <= self.limits.connections);
        Ok(())
    }

    fn enter(&self, number: usize, phase: Phase) -> bool {
        self.slots[number].1.as_ref().is_some_and(|slot| slot.enter(phase))
    }

    /// The numbers of the connections that are still there.
    fn present(&self) -> Vec<usize> {
        (0..self.slots.len()).filter(|number| self.slots[*number].1.is_some()).collect()
    }
}

#[test]
fn who_has_waited_longest_makes_room() {
    let mut crowd = Crowd::new(3, 3);
    for peer in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        crowd.admit(peer).unwrap();
    }
    // The first has been served meanwhile, and the second sends something.
    assert!(crowd.enter(0, Phase::Deciding) && crowd.enter(0, Phase::Waiting));
    assert!(crowd.enter(1, Phase::Waiting));
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
    // A peer outside of these networks counts, and makes room.
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
    assert!(crowd.enter(1, Phase::Waiting) && crowd.enter(2, Phase::Deciding));
    assert!(!crowd.table.drain(Duration::ZERO));
    assert!((0..3).all(|number| !crowd.enter(number, Phase::Waiting)));
    crowd.slots.clear();
    assert!(crowd.table.drain(Duration::ZERO));
}

#[test]
fn a_drain_closes_no_connection_itself() {
    let mut crowd = Crowd::new(100, 100);
    crowd.table.set_listening(true);
    for _ in 0..3 {
        crowd.admit("192.0.2.1").unwrap();
    }
    // One of them is being served.
    assert!(crowd.enter(1, Phase::Deciding));
    let wakes = |crowd: &Crowd, number: usize| {
        let slot = crowd.slots[number].1.as_ref().unwrap();
        let (now, bell) = (Instant::now(), Some(slot.bell()));
        stream::read(slot.socket(), &mut [0], now, bell) == Arrival::Bell
    };
    assert!(!(0..3).any(|number| wakes(&crowd, number)));
    let table = Arc::clone(&crowd.table);
    let draining = thread::spawn(move || table.drain(Duration::from_secs(60)));
    while !crowd.table.is_draining() || !wakes(&crowd, 0) {
        thread::yield_now();
    }
    crowd.admit("192.0.2.1").unwrap();
    // Each is woken, and may go on, because it may have a request whose bytes nobody has read.
    for number in 0..4 {
        assert!(wakes(&crowd, number));
        for phase in [Phase::Waiting, Phase::Deciding, Phase::Waiting] {
            assert!(crowd.enter(number, phase), "{number} {phase:?}");
        }
    }
    assert_eq!(crowd.present(), [0, 1, 2, 3]);
    assert!(crowd.slots.iter().all(|(_, slot)| !slot.as_ref().unwrap().has_left()));
    crowd.table.set_listening(false);
    assert!(!draining.is_finished());
    crowd.slots.clear();
    assert!(draining.join().unwrap());
}
