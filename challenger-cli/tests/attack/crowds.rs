//! More connections than anybody needs, and slower ones: nobody else waits for them.

use std::net::Shutdown;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use challenger_testkit::{Peer, Raise, wait_for};

use crate::harness::{
    Footprint, HASTY, authorize, everywhere, everywhere_with, prove, under, warm_up,
};
use crate::site::{DELIVER, Site};

const GET: &str = "GET /config HTTP/1.1\r\nHost: a\r\n\r\n";
const HALF_A_HEAD: &str = "GET /config HTTP/1.1\r\nHos";
const HALF_A_BODY: &str = "POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\na=b";
const ASKING: &str =
    "POST /token HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n";
const UPGRADING: &str = "POST /token HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\
                         Content-Length: 5000\r\n\r\n";

/// Where a request can get stuck.
const STUCK: [&str; 6] = ["", "G", HALF_A_HEAD, HALF_A_BODY, ASKING, UPGRADING];

/// This many peers that are stuck, some in each place.
fn stuck(site: &Site, count: usize) -> Vec<Peer> {
    let peer = |beginning: &&str| {
        let mut peer = site.connect();
        peer.send(beginning);
        peer
    };
    STUCK.iter().cycle().take(count).map(peer).collect()
}

#[test]
fn a_crowd_that_does_nothing_is_in_nobodys_way() {
    everywhere("", |site| under(site, || (0..400).map(|_| site.connect()).collect::<Vec<_>>()));
}

#[test]
fn a_crowd_that_is_stuck_is_in_nobodys_way() {
    everywhere("", |site| under(site, || stuck(site, 400)));
}

#[test]
fn a_crowd_at_full_speed_is_served_to_the_last() {
    everywhere("", |site| {
        under(site, || {
            let mut crowd: Vec<Peer> = (0..100).map(|_| site.connect()).collect();
            thread::scope(|scope| {
                for peers in crowd.chunks_mut(10) {
                    scope.spawn(|| {
                        for _ in 0..20 {
                            assert!(peers.iter_mut().all(|peer| peer.send(GET)));
                            let replies = peers.iter_mut().map(|peer| peer.reply().unwrap());
                            assert!(replies.into_iter().all(|reply| reply.status == 200));
                        }
                    });
                }
            });
            crowd
        });
    });
}

#[test]
fn a_crowd_beyond_all_limits_makes_room() {
    everywhere("MAX_CONNECTIONS = 24\nHELPERS_MAX = 8", |site| {
        warm_up(site);
        let before = Footprint::of(site);
        // While they arrive, they look like honest people: the peer that waits longest has to go.
        let crowd = stuck(site, 300);
        let mut last = site.connect();
        last.send(GET);
        assert_eq!(last.reply().unwrap().status, 200);
        for _ in 0..3 {
            prove(site);
        }
        drop((crowd, last));
        before.comes_back(site);
        wait_for("the operator to be told", || {
            site.log().contains("too many connections").then_some(())
        });
    });
}

/// Lets peers send a byte now and then, as long as the server takes them.
fn drip(peers: &[Peer], over: &AtomicBool) {
    let streams = peers.iter().map(|peer| Peer::new(peer.stream().try_clone().unwrap()));
    let mut streams: Vec<Peer> = streams.collect();
    while !over.load(Ordering::Relaxed) {
        streams.retain_mut(|stream| stream.send("x"));
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn slow_requests_are_cut_off_although_bytes_keep_coming() {
    everywhere(HASTY, |site| {
        under(site, || {
            let beginnings = ["G", HALF_A_HEAD, HALF_A_BODY, ASKING, UPGRADING];
            let mut peers: Vec<Peer> = beginnings
                .iter()
                .cycle()
                .take(100)
                .map(|beginning| {
                    let mut peer = site.connect();
                    peer.send(beginning);
                    peer
                })
                .collect();
            let silent: Vec<Peer> = (0..20).map(|_| site.connect()).collect();
            let over = AtomicBool::new(false);
            thread::scope(|scope| {
                let _at_the_end = Raise(&over);
                let dripping: Vec<Peer> =
                    peers.iter().map(|it| Peer::new(it.stream().try_clone().unwrap())).collect();
                let over = &over;
                scope.spawn(move || drip(&dripping, over));
                for (number, peer) in peers.iter_mut().enumerate() {
                    let mut replies = std::iter::from_fn(|| peer.reply());
                    let last = replies.find(|reply| reply.status != 100).unwrap();
                    assert_eq!(last.refusal(), (408, 23), "{number}");
                    assert_eq!(peer.rest(), "");
                }
            });
            for mut peer in silent {
                assert_eq!(peer.rest(), "", "who said nothing is told nothing");
            }
        });
    });
}

/// A helper that takes its time for some addresses.
fn slow_helper(site: &Site) {
    let slow = "set -eu\ncase \"$1\" in *slow*) sleep 1;; esac\n";
    site.set_helper(&DELIVER.replace("set -eu\n", slow));
}

/// All phases of a request, each as the part of it that was sent. A message is slow to be sent.
fn phases(site: &Site) -> Vec<String> {
    let form = "CONTACT_EMAIL=slow%40example.com";
    let length = form.len();
    let sending = format!(
        "POST /challenge/{} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{form}",
        site.setup()
    );
    site.remember("slow@example.com");
    let page = format!(
        "GET /{} HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n",
        authorize(&site.setup())
    );
    let mut phases: Vec<String> = STUCK.iter().map(|it| (*it).to_owned()).collect();
    phases.extend([GET.to_owned(), sending, page.repeat(500)]);
    phases
}

#[test]
fn peers_that_reset_their_connection_leave_nothing_behind() {
    everywhere("", |site| {
        slow_helper(site);
        under(site, || {
            for phase in phases(site).iter().cycle().take(90) {
                let mut peer = site.connect();
                peer.send(GET);
                peer.read_byte();
                peer.send(phase);
                // A connection that is closed with an answer unread is reset.
                drop(peer);
            }
        });
    });
}

#[test]
fn peers_that_close_half_or_all_leave_nothing_behind() {
    everywhere("", |site| {
        slow_helper(site);
        under(site, || {
            let mut held = Vec::new();
            for how in [Shutdown::Write, Shutdown::Read, Shutdown::Both] {
                for phase in phases(site).iter().cycle().take(36) {
                    let mut peer = site.connect();
                    peer.send(phase);
                    // The server may have gone first.
                    let _ = peer.stream().shutdown(how);
                    held.push(peer);
                }
            }
            held
        });
    });
}

#[test]
fn who_only_knocks_is_forgotten() {
    everywhere("", |site| {
        under(site, || {
            for _ in 0..2000 {
                drop(site.connect());
            }
        });
    });
}

#[test]
fn a_lack_of_descriptors_ends_when_the_crowd_leaves() {
    let few = |site: &Site| {
        let server = site.server();
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""]).arg(server.get_program());
        command.args(server.get_args());
        command.env("CHALLENGER_BASE_CONFIG", site.directory.path().join("config.d"));
        command
    };
    everywhere_with("", few, |site| {
        prove(site);
        let before = Footprint::of(site);
        let crowd = stuck(site, 120);
        wait_for("the lack to be told", || {
            site.log().contains("connections not accepted").then_some(())
        });
        // One after the other makes room, until it is our turn.
        let mut peer = site.connect();
        peer.send(GET);
        assert_eq!(peer.reply().unwrap().status, 200);
        drop((crowd, peer));
        before.comes_back(site);
        prove(site);
        before.comes_back(site);
    });
}
