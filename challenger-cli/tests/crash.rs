//! The server killed again and again in the middle of its work: every answer that a client got
//! stays true.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;
mod story;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use challenger_testkit::{Cluster, wait_for};
use site::Site;
use story::{Caller, FILE, Story, verify};

const PEOPLE: usize = 4;
const KILLS: u64 = 6;

/// People prove addresses, and the server is killed at random moments.
fn under_fire(mut site: Site) {
    site.set_helper(FILE);
    site.start();
    let outbox: &Path = &site.directory.path().join("outbox");
    let (place, next) = (site.place.clone(), AtomicUsize::new(0));
    let (stories, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let told = || stories.lock().unwrap().len();
    thread::scope(|scope| {
        for _ in 0..PEOPLE {
            scope.spawn(|| {
                let caller =
                    Caller { place: place.clone(), outbox: outbox.to_path_buf(), may_fail: false };
                while !over.load(Ordering::SeqCst) {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let email = format!("p{number}@example.com");
                    let mut story = Story { email, ..Story::default() };
                    if caller.prove(&mut story).is_none() {
                        // The server is down; it comes back.
                        thread::sleep(Duration::from_millis(20));
                    }
                    stories.lock().unwrap().push(story);
                }
            });
        }
        for kill in 0..KILLS {
            let before = told();
            wait_for("people to get on", || (told() > before + 20).then_some(()));
            thread::sleep(Duration::from_millis(7 * kill));
            site.signal("KILL");
            assert_eq!(site.wait(), None);
            site.start();
        }
        over.store(true, Ordering::SeqCst);
    });
    let stories = stories.into_inner().unwrap();
    assert!(stories.iter().filter(|story| story.token.is_some()).count() > 20);
    let cut = stories.iter().filter(|story| story.nonce.is_some() && story.token.is_none());
    assert!(cut.count() > 0, "no kill hit anybody");
    for story in &stories {
        verify(&site, story);
    }
    site.stop();
}

#[test]
fn whatever_was_said_on_sqlite_is_so() {
    under_fire(Site::new(""));
}

#[test]
fn whatever_was_said_on_postgresql_is_so() {
    let cluster = Cluster::durable();
    under_fire(Site::on_postgres("", &cluster.uri(&cluster.create_database())));
}
