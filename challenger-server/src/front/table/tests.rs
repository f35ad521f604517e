//! Who is let in, who makes room, and what a drain waits for.

use std::io::{self, IoSlice};
use std::thread;

use super::super::stream::{self, Event};
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

    fn has_left(&self) -> bool {
        *self.0.lock().unwrap()
    }

    fn wait(&self, _: Duration, bell: Option<&Bell>) -> io::Result<Event> {
        // Nobody ever sends anything here.
        let (_peer, ours) = std::os::unix::net::UnixStream::pair()?;
        stream::wait_for(&ours, Duration::ZERO, bell)
    }

    fn unread(&self) -> io::Result<u64> {
        Ok(0)
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
        let table = Arc::new(Table::new().unwrap());
        Self { table, limits, seats: Vec::new() }
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
fn a_drain_closes_no_connection_itself() {
    let mut crowd = Crowd::new(100, 100);
    crowd.table.set_listening(true);
    for _ in 0..3 {
        crowd.admit("192.0.2.1").unwrap();
    }
    // The first was served, the second is just being, and the third is new.
    assert!(crowd.enter(0, Phase::Deciding) && crowd.enter(0, Phase::Idle));
    assert!(crowd.enter(1, Phase::Deciding));
    let wakes = |crowd: &Crowd, number: usize| {
        let (socket, seat) = &crowd.seats[number];
        let bell = seat.as_ref().unwrap().bell();
        stream::wait(&**socket, Instant::now(), Some(bell)) == Event::Bell
    };
    assert!(!(0..3).any(|number| wakes(&crowd, number)));
    let table = Arc::clone(&crowd.table);
    let draining = thread::spawn(move || table.drain(Duration::from_secs(60)));
    while !crowd.table.is_draining() || !wakes(&crowd, 0) {
        thread::yield_now();
    }
    crowd.admit("192.0.2.1").unwrap();
    let time = |number: usize| crowd.seats[number].1.as_ref().unwrap().last_call();
    assert_eq!([0, 2, 3].map(time), [STAY, ARRIVE, ARRIVE]);
    // Each may have a request whose bytes nobody has read, and is told of the end all the same.
    for number in 0..4 {
        assert!(wakes(&crowd, number));
        for phase in [Phase::Writing, Phase::Idle, Phase::Reading, Phase::Deciding, Phase::Writing]
        {
            assert!(crowd.enter(number, phase), "{number} {phase:?}");
        }
    }
    assert!(!crowd.seats.iter().any(|(socket, _)| *socket.0.lock().unwrap()));
    assert_eq!(time(3), STAY, "it is new no more");
    crowd.table.set_listening(false);
    assert!(!draining.is_finished());
    crowd.seats.clear();
    assert!(draining.join().unwrap());
}
