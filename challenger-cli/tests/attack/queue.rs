//! Strangers who want all the helpers, and crowds that are nobody's fault: everybody has a turn.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use challenger_testkit::{Peer, Raise, Reply, request, wait_for};

use crate::harness::{authorize, everywhere, prove};
use crate::site::{DELIVER, SECRET, Site, stdout};

/// How many people press the button at once.
const CROWD: usize = 64;
/// How many people there are beside a stranger that takes all it can get.
const PEOPLE: usize = 24;

/// The helper of all sites, that takes so many seconds.
fn set_slow_helper(site: &Site, seconds: &str) {
    site.set_helper(&DELIVER.replace("set -eu\n", &format!("set -eu\nsleep {seconds}\n")));
}

fn address(number: usize) -> String {
    format!("person{number}@example.com")
}

/// So many people at once enter an address and press the button.
fn press_the_button(site: &Site, count: usize) -> Vec<Reply> {
    let nonces: Vec<String> = (0..count).map(|_| site.setup()).collect();
    thread::scope(|scope| {
        let press = |(number, nonce): (usize, String)| {
            scope.spawn(move || site.challenge(&nonce, &address(number)))
        };
        let pressed: Vec<_> = nonces.into_iter().enumerate().map(press).collect();
        pressed.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

/// How many messages each address has.
fn mailboxes(site: &Site) -> BTreeMap<String, usize> {
    let mut mailboxes = BTreeMap::new();
    for entry in fs::read_dir(site.directory.path().join("outbox")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "address") {
            *mailboxes.entry(fs::read_to_string(path).unwrap()).or_default() += 1;
        }
    }
    mailboxes
}

fn assert_one_message_each(site: &Site, count: usize) {
    let mailboxes = mailboxes(site);
    for number in 0..count {
        let address = format!("{{\"CONTACT_EMAIL\":\"{}\"}}", address(number));
        assert_eq!(mailboxes.get(&address), Some(&1), "{number}");
    }
}

#[test]
fn a_crowd_that_is_nobodys_fault_gets_its_messages() {
    everywhere("HELPERS_MAX = 16\nHELPERS_WAIT = 1 min", |site| {
        set_slow_helper(site, "0.3");
        for reply in press_the_button(site, CROWD) {
            assert_eq!(reply.json()["transmitted"], true, "{reply:?}");
        }
        assert_one_message_each(site, CROWD);
    });
}

/// A client of the stranger's own, with validations to begin with.
struct Stranger<'a> {
    site: &'a Site,
    bearer: String,
    client: usize,
}

impl<'a> Stranger<'a> {
    /// A stranger at the client that everybody uses.
    fn at_the_client(site: &'a Site) -> Self {
        Self { site, bearer: format!("Bearer {SECRET}"), client: 1 }
    }

    /// A stranger who is a client.
    fn as_client(site: &'a Site) -> Self {
        let secret = "secret-token:3XJ8Q0ZK5W9MB7T2VRD4YN6HCF";
        let arguments = ["--add", secret, "https://stranger.example/"];
        let added = stdout(&site.run("challenger-admin", &arguments));
        assert_eq!(added, "Client added. Client ID is: 2\n");
        Self { site, bearer: format!("Bearer {secret}"), client: 2 }
    }

    /// Requests for messages, each for a validation of its own.
    fn requests(&self, count: usize) -> Vec<Vec<u8>> {
        let open = |number: usize| {
            let path = format!("setup/{}", self.client);
            let reply = self.site.post(&path, &[("Authorization", &self.bearer)], "");
            let nonce = reply.json()["nonce"].as_str().unwrap().to_owned();
            let body = format!("CONTACT_EMAIL=victim{number}%40example.com");
            request("POST", &format!("challenge/{nonce}"), &[], body.as_bytes())
        };
        (0..count).map(open).collect()
    }

    /// Sends one, and does not wait for the answer.
    fn fire(&self, request: &[u8]) -> Peer {
        let mut peer = self.site.connect();
        assert!(peer.send(request));
        peer
    }
}

#[test]
fn one_stranger_starves_nobody_of_messages() {
    everywhere("HELPERS_MAX = 16", |site| {
        set_slow_helper(site, "1");
        let stranger = Stranger::at_the_client(site);
        // 20 a second, which is more than there are helpers for.
        let requests = stranger.requests(400);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let _at_the_end = Raise(&over);
            let (over, stranger) = (&over, &stranger);
            let attack = scope.spawn(move || {
                let mut peers = Vec::new();
                for request in requests {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    peers.push(stranger.fire(&request));
                    thread::sleep(Duration::from_millis(50));
                }
                peers
            });
            wait_for("all helpers to be at work", || (site.messages().len() >= 16).then_some(()));
            for reply in press_the_button(site, PEOPLE) {
                assert_eq!(reply.json()["transmitted"], true, "{reply:?}");
            }
            over.store(true, Ordering::Relaxed);
            drop(attack.join().unwrap());
        });
        assert_one_message_each(site, PEOPLE);
    });
}

#[test]
fn a_client_that_wants_everything_has_half() {
    everywhere("HELPERS_MAX = 8", |site| {
        set_slow_helper(site, "0.5");
        let stranger = Stranger::as_client(site);
        // More than may wait, all at once.
        let requests = stranger.requests(300);
        let mut peers: Vec<Peer> = requests.iter().map(|it| stranger.fire(it)).collect();
        for reply in press_the_button(site, PEOPLE) {
            assert_eq!(reply.json()["transmitted"], true, "{reply:?}");
        }
        assert_one_message_each(site, PEOPLE);
        let statuses = peers.iter_mut().map(|peer| peer.reply().unwrap().status);
        let refused = statuses.filter(|status| *status == 503).count();
        assert!(refused > 100, "{refused}: the queue has an end");
        prove(site);
    });
}

#[test]
fn whoever_leaves_gives_up_the_turn() {
    everywhere("HELPERS_MAX = 1\nHELPERS_WAIT = 1 day\nAUTH_TIMEOUT = 1 day", |site| {
        let slow = "set -eu\nhere=$(dirname \"$0\")\n: >\"$here/begun\"\n\
                    while [ ! -e \"$here/go\" ]; do sleep 0.02; done\n";
        site.set_helper(&DELIVER.replace("set -eu\n", slow));
        let stranger = Stranger::at_the_client(site);
        let peers: Vec<Peer> =
            stranger.requests(5).iter().map(|request| stranger.fire(request)).collect();
        let refused = || site.log().matches("refusal=HelpersBusy").count();
        let begun = || site.directory.path().join("begun").exists();
        wait_for("the helper to begin", || begun().then_some(()));
        drop(peers);
        // One is being served; that cannot be taken back.
        wait_for("the others to be forgotten", || (refused() == 4).then_some(()));
        fs::write(site.directory.path().join("go"), "").unwrap();
        prove(site);
        assert_eq!(site.messages().len(), 2);
    });
}

#[test]
fn one_link_has_one_turn_however_often_it_is_used() {
    everywhere("HELPERS_MAX = 4\nHELPERS_WAIT = 1 min", |site| {
        set_slow_helper(site, "0.5");
        let nonce = site.setup();
        let challenge = |address: &str| {
            let body = format!("CONTACT_EMAIL={address}%40example.com");
            let mut peer = site.connect();
            let path = format!("challenge/{nonce}");
            assert!(peer.send(request("POST", &path, &[], body.as_bytes())));
            peer
        };
        let first = challenge("a");
        wait_for("the helper of the first", || {
            let status = site.get(&authorize(&nonce), &[]).json();
            (status["pin_transmissions_left"] == 2).then_some(())
        });
        // More than may wait for one client.
        let crowd: Vec<Peer> = (0..150).map(|_| challenge("b")).collect();
        for reply in press_the_button(site, CROWD) {
            assert_eq!(reply.json()["transmitted"], true, "{reply:?}");
        }
        assert_one_message_each(site, CROWD);
        drop((first, crowd));
    });
}

#[test]
fn a_client_whose_messages_hang_leaves_room_for_others() {
    everywhere("HELPERS_MAX = 8\nAUTH_TIMEOUT = 1 day", |site| {
        let slow = "set -eu\nhere=$(dirname \"$0\")\ncase \"$1\" in *victim*)\n    \
                    echo >>\"$here/begun\"\n    \
                    while [ -d \"$here/outbox\" ] && [ ! -e \"$here/go\" ]; do sleep 0.05; done\n\
                    esac\n";
        site.set_helper(&DELIVER.replace("set -eu\n", slow));
        // Both clients have people.
        prove(site);
        let stranger = Stranger::as_client(site);
        let peers: Vec<Peer> = stranger.requests(8).iter().map(|it| stranger.fire(it)).collect();
        let begun = || fs::read_to_string(site.directory.path().join("begun")).unwrap_or_default();
        wait_for("the helpers of the stranger", || (begun().len() == 6).then_some(()));
        for reply in press_the_button(site, PEOPLE) {
            assert_eq!(reply.json()["transmitted"], true, "{reply:?}");
        }
        assert_eq!(begun().len(), 6);
        fs::write(site.directory.path().join("go"), "").unwrap();
        drop(peers);
    });
}

#[test]
fn what_is_sent_already_is_never_said_to_be_unsent() {
    everywhere("HELPERS_MAX = 4\nHELPERS_WAIT = 0", |site| {
        for _ in 0..10 {
            let nonce = site.setup();
            let replies: Vec<Reply> = thread::scope(|scope| {
                let pressed = [(); 4].map(|()| scope.spawn(|| site.challenge(&nonce, &address(0))));
                pressed.into_iter().map(|it| it.join().unwrap()).collect()
            });
            assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
        }
    });
}
