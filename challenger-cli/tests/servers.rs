//! Several servers on one PostgreSQL database, and a database that goes away under load.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use challenger_testkit::{Cluster, End, at_once, code_of, pin_in, wait_for, wrong};
use site::{ISS, SECRET, Site};

/// Two servers, and a client that takes turns.
struct Pair {
    sites: [Site; 2],
    turn: AtomicUsize,
    /// Runs as long as they do.
    _cluster: Arc<Cluster>,
}

impl Pair {
    fn start(options: &str) -> Self {
        let cluster = Cluster::shared();
        let uri = cluster.uri(&cluster.create_database());
        let mut sites = [Site::on_postgres(options, &uri), Site::bare(options)];
        sites[1].use_postgres(&uri);
        for site in &mut sites {
            site.start();
        }
        Self { sites, turn: AtomicUsize::new(0), _cluster: cluster }
    }

    /// The server that has the next turn.
    fn next(&self) -> &Site {
        &self.sites[self.turn.fetch_add(1, Ordering::SeqCst) % 2]
    }

    /// The PIN that either server's helper got.
    fn pin(&self, email: &str) -> String {
        let message = self.sites.iter().find_map(|site| site.message(email)).unwrap();
        pin_in(&message).unwrap()
    }

    fn stop(mut self) {
        for site in &mut self.sites {
            site.stop();
        }
    }
}

#[test]
fn what_one_server_begins_another_continues() {
    let pair = Pair::start("");
    // Each step is taken by the other server; twice, so that each server takes every step.
    for email in ["ada@example.com", "bob@example.com"] {
        let nonce = pair.next().setup();
        let query = "response_type=code&client_id=1&state=s";
        let status = pair.next().get(&format!("authorize/{nonce}?{query}"), &[]);
        assert_eq!(status.status, 200);
        assert_eq!(pair.next().challenge(&nonce, email).status, 200);
        let again = pair.next().challenge(&nonce, email);
        assert_eq!(again.json()["transmitted"], false, "both know when the message was sent");
        let pin = pair.pin(email);
        assert_eq!(pair.next().solve(&nonce, &wrong(&pin)).refusal(), (403, 9758));
        let solved = pair.next().solve(&nonce, &pin);
        let location = solved.json()["redirect_url"].as_str().unwrap().to_string();
        assert!(location.ends_with(&format!("&state=s{ISS}")), "{location}");
        let token = pair.next().token(&code_of(&location));
        let token = token.json()["access_token"].as_str().unwrap().to_string();
        assert_eq!(pair.next().info(&token).json()["address"]["CONTACT_EMAIL"], email);
        assert_eq!(pair.next().token(&code_of(&location)).refusal(), (401, 9753));
        pair.next();
    }
    pair.stop();
}

#[test]
fn races_are_decided_once_between_two_servers() {
    let pair = Pair::start("PIN_ATTEMPTS = 5");
    let nonce = pair.next().setup();
    assert_eq!(pair.next().challenge(&nonce, "ada@example.com").status, 200);
    let bad = wrong(&pair.pin("ada@example.com"));
    let replies = at_once(64, || pair.next().solve(&nonce, &bad));
    assert!(replies.iter().all(|reply| reply.refusal() == (403, 9758)));
    let judged = replies.iter().filter(|reply| reply.json()["exhausted"] == false).count();
    assert_eq!(judged, 5);

    let nonce = pair.next().setup();
    assert_eq!(pair.next().challenge(&nonce, "bob@example.com").status, 200);
    let solved = pair.next().solve(&nonce, &pair.pin("bob@example.com"));
    let code = code_of(solved.json()["redirect_url"].as_str().unwrap());
    let replies = at_once(64, || pair.next().token(&code));
    let granted: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(granted.len(), 1);
    let refused = replies.iter().filter(|reply| reply.status != 200);
    assert!(refused.into_iter().all(|reply| reply.refusal() == (401, 9753)));
    assert_eq!(pair.next().info(granted[0].json()["access_token"].as_str().unwrap()).status, 200);
    pair.stop();
}

#[test]
fn garbage_is_collected_beside_the_servers() {
    let pair = Pair::start("VALIDATION_DURATION = 1 s");
    for _ in 0..20 {
        pair.next().setup();
    }
    let live = pair.sites[0].setup();
    // The rows need not expire in the same second.
    let mut deleted = 0;
    wait_for("the rows to expire", || {
        let output = pair.sites[1].run("challenger-dbinit", &["--garbagecollect"]);
        pair.next().get("config", &[]);
        let text = site::stdout(&output);
        let (count, rest) = text.strip_prefix("Deleted ")?.split_once(' ')?;
        assert!(rest.contains(" 0 expired access tokens"), "{text}");
        deleted += count.parse::<u32>().unwrap();
        (deleted >= 21).then_some(())
    });
    assert_eq!(deleted, 21);
    assert_eq!(pair.next().challenge(&live, "ada@example.com").refusal(), (404, 9755));
    pair.stop();
}

/// Answers to clients that have to be kept.
#[derive(Default)]
struct Promises {
    nonces: Mutex<Vec<String>>,
    refused: AtomicUsize,
}

/// Asks for validations until `stop` is set; every request is granted or refused by the book.
fn ask(site: &Site, promises: &Promises, stop: &AtomicBool) {
    let bearer = format!("Bearer {SECRET}");
    while !stop.load(Ordering::SeqCst) {
        let reply = site.post("setup/1", &[("Authorization", &bearer)], "");
        if reply.status == 200 {
            let nonce = reply.json()["nonce"].as_str().unwrap().to_string();
            promises.nonces.lock().unwrap().push(nonce);
        } else {
            let refusal = reply.refusal();
            assert!(matches!(refusal, (500, 52 | 53)), "{refusal:?}");
            promises.refused.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn a_database_that_goes_away_under_load_costs_clear_errors_and_nothing_else() {
    let cluster = Cluster::durable();
    let uri = cluster.uri(&cluster.create_database());
    let mut site = Site::on_postgres("", &uri);
    site.start();
    let (promises, stop) = (Promises::default(), AtomicBool::new(false));
    let granted = || promises.nonces.lock().unwrap().len();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| ask(&site, &promises, &stop));
        }
        for end in [End::Fast, End::Killed] {
            let before = granted();
            wait_for("requests to be granted", || (granted() > before + 20).then_some(()));
            cluster.end(end);
            let refused = promises.refused.load(Ordering::SeqCst);
            wait_for("a request to be refused", || {
                (promises.refused.load(Ordering::SeqCst) > refused).then_some(())
            });
            for path in ["config", "terms", "privacy"] {
                assert!(
                    matches!(site.get(path, &[]).status, 200 | 501),
                    "{path} needs no database"
                );
            }
            cluster.start();
            let before = granted();
            wait_for("the service to recover", || (granted() > before).then_some(()));
        }
        stop.store(true, Ordering::SeqCst);
    });
    let nonces = promises.nonces.into_inner().unwrap();
    assert!(nonces.len() > 40);
    let lost = nonces.iter().filter(|nonce| {
        let query = "response_type=code&client_id=1";
        site.get(&format!("authorize/{nonce}?{query}"), &[]).status != 200
    });
    assert_eq!(lost.count(), 0, "of {}", nonces.len());
    site.stop();
}
