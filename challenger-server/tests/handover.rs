//! A service that restarts behind a socket that stays open, as systemd keeps it, turns nobody away.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use challenger_server::front::{Front, Limits};

use challenger_testkit::{Peer, Place, WAIT};
use site::{Echo, GET, patient};

/// How often it restarts, and how many people come meanwhile, one request each on a connection of
/// its own, as from a proxy.
const RESTARTS: usize = 10;
const PEOPLE: u64 = 8;

#[test]
fn a_restart_turns_nobody_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let socket = UnixListener::bind(&path).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicU64::new(0));
    let people: Vec<_> = (0..PEOPLE)
        .map(|number| {
            let place = Place::Unix(path.clone());
            let (over, served) = (Arc::clone(&over), Arc::clone(&served));
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let mut peer = Peer::new(place.connect().unwrap());
                    // Some think a little before they ask.
                    thread::sleep(Duration::from_millis(number));
                    peer.send(GET.as_bytes());
                    let answer = peer.rest();
                    assert!(answer.ends_with("GET / 0"), "{answer:?}");
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let start = || {
        let limits = Limits { close_each: true, ..patient() };
        Front::start(socket.try_clone().unwrap(), Arc::new(Echo::default()), limits).unwrap()
    };
    for _ in 0..RESTARTS {
        let mut front = start();
        let before = served.load(Ordering::Relaxed);
        while served.load(Ordering::Relaxed) < before + PEOPLE {
            assert!(!people.iter().any(thread::JoinHandle::is_finished), "somebody gave up");
            thread::sleep(Duration::from_millis(1));
        }
        assert!(front.drain(WAIT));
    }
    // Those who wait now are served, too.
    let mut front = start();
    over.store(true, Ordering::Relaxed);
    for person in people {
        person.join().unwrap();
    }
    assert!(front.drain(WAIT));
}
