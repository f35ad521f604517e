//! Requests that had arrived when the server was asked to stop are answered, on both databases and
//! over both kinds of socket.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::fs;
use std::io::Read;

use challenger_testkit::{Cluster, Peer, request, wait_for};
use site::{SECRET, Site};

/// How many connections have a request under way when the signal comes, and how many have two.
const CONNECTIONS: usize = 64;
const PIPELINING: usize = 16;
/// How many connections come while the server cannot accept any.
const NEWCOMERS: usize = 16;

/// A request that both databases have to write for.
fn setup() -> Vec<u8> {
    request("POST", "setup/1", &[("Authorization", &format!("Bearer {SECRET}"))], b"")
}

fn asks(site: &Site) -> Peer {
    let mut peer = site.connect();
    assert!(peer.send(setup()));
    peer
}

/// The number of these peers that get one more answer.
fn answered<'a>(peers: impl IntoIterator<Item = &'a mut Peer>) -> usize {
    let replies = peers.into_iter().filter_map(Peer::reply);
    replies.inspect(|reply| assert_eq!(reply.status, 200, "{}", reply.body)).count()
}

/// Stops the whole process, and waits until it has.
fn freeze(site: &Site) {
    site.signal("STOP");
    wait_for("the process to stop", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", site.process())).unwrap();
        stat.rsplit(") ").next().unwrap().starts_with('T').then_some(())
    });
}

fn everything_is_answered(mut site: Site) {
    site.start();
    let mut kept: Vec<Peer> = (0..CONNECTIONS).map(|_| asks(&site)).collect();
    let mut pipelining: Vec<Peer> = (0..PIPELINING).map(|_| asks(&site)).collect();
    let mut idle = asks(&site);
    let all = kept.iter_mut().chain(&mut pipelining).chain([&mut idle]);
    assert_eq!(answered(all), CONNECTIONS + PIPELINING + 1, "{}", site.log());

    freeze(&site);
    for peer in &mut kept {
        assert!(peer.send(setup()));
    }
    for peer in &mut pipelining {
        assert!(peer.send(setup().repeat(2)));
    }
    let mut newcomers: Vec<Peer> = (0..NEWCOMERS).map(|_| asks(&site)).collect();
    site.signal("TERM");
    site.signal("CONT");

    let found = [
        answered(&mut kept),
        answered(&mut pipelining),
        answered(&mut pipelining),
        answered(&mut newcomers),
    ];
    assert_eq!(found, [CONNECTIONS, PIPELINING, PIPELINING, NEWCOMERS], "{}", site.log());
    let all = kept.iter_mut().chain(&mut pipelining).chain(&mut newcomers).chain([&mut idle]);
    assert_eq!(answered(all), 0, "each connection ends");
    drop((kept, pipelining, newcomers, idle));
    assert_eq!(site.wait(), Some(0), "{}", site.log());
}

fn on_postgresql(site: Site, cluster: &Cluster) -> Site {
    site.use_postgres(&cluster.uri(&cluster.create_database()));
    site.initialize();
    site
}

#[test]
fn what_had_arrived_over_tcp_is_answered_from_sqlite() {
    everything_is_answered(Site::new(""));
}

#[test]
fn what_had_arrived_over_a_unix_socket_is_answered_from_sqlite() {
    everything_is_answered(Site::at_socket(""));
}

#[test]
fn what_had_arrived_over_tcp_is_answered_from_postgresql() {
    let cluster = Cluster::shared();
    everything_is_answered(on_postgresql(Site::new(""), &cluster));
}

#[test]
fn what_had_arrived_over_a_unix_socket_is_answered_from_postgresql() {
    let cluster = Cluster::shared();
    everything_is_answered(on_postgresql(Site::at_socket(""), &cluster));
}

#[test]
fn an_idle_peer_sees_an_end_and_no_reset() {
    let mut site = Site::new("");
    site.start();
    let mut peer = asks(&site);
    assert_eq!(answered([&mut peer]), 1);
    site.signal("TERM");
    let mut rest = Vec::new();
    assert_eq!(peer.stream().try_clone().unwrap().read_to_end(&mut rest).unwrap(), 0);
    assert_eq!(site.wait(), Some(0), "{}", site.log());
}
