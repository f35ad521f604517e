//! A primary with a synchronous standby, and a service that knows both: the primary is lost under
//! load, the standby is promoted, and the service goes on with it.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "it measures, and asserts no times")]

mod site;
mod story;

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use challenger_testkit::{Cluster, End, wait_for};
use site::{Site, stderr};
use story::{Caller, FILE, Story, verify};

/// More than there are connections to a database.
const PEOPLE: usize = 24;

/// How long a failed person rests.
const REST: Duration = Duration::from_millis(50);

/// For how long the primary goes on without the standby.
const CUT: Duration = Duration::from_secs(1);

/// Two clusters, and a service that runs on the first of them.
struct Pair {
    primary: Cluster,
    standby: Cluster,
    site: Site,
}

impl Pair {
    fn start() -> Self {
        let primary = Cluster::durable();
        let name = primary.create_database();
        let standby = primary.with_standby();
        let mut site = Site::bare("");
        site.use_postgres(&Cluster::uri_of_all(&[&primary, &standby], &name));
        site.set_helper(FILE);
        site.initialize();
        site.start();
        Self { primary, standby, site }
    }

    /// People prove addresses while the primary is lost. Everything that they were told must still
    /// be so, and they must get on with the standby.
    fn survives(mut self, how: &str, lose: impl FnOnce(&Cluster)) {
        let outbox: &Path = &self.site.directory.path().join("outbox");
        let (place, next) = (self.site.place.clone(), AtomicUsize::new(0));
        let (stories, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
        let proved = AtomicUsize::new(0);
        thread::scope(|scope| {
            for person in 0..PEOPLE {
                let (stories, over, proved, next) = (&stories, &over, &proved, &next);
                let (place, outbox) = (place.clone(), outbox.to_path_buf());
                let caller = Caller { place, outbox, may_fail: true };
                scope.spawn(move || {
                    while !over.load(Ordering::SeqCst) {
                        let number = next.fetch_add(1, Ordering::SeqCst);
                        let email = format!("p{number}@example.com");
                        let mut story = Story { email, ..Story::default() };
                        // Half of them only begin: no helper takes their time.
                        let done = match person % 2 {
                            0 => caller.prove(&mut story),
                            _ => caller.begin(&mut story),
                        };
                        match (done, &story.token) {
                            (Some(()), Some(_)) => drop(proved.fetch_add(1, Ordering::SeqCst)),
                            (Some(()), None) => {}
                            (None, _) => thread::sleep(REST),
                        }
                        stories.lock().unwrap().push(story);
                    }
                });
            }
            let get_on = || {
                let before = proved.load(Ordering::SeqCst);
                let all = before + PEOPLE;
                let now = || proved.load(Ordering::SeqCst);
                let begun = Instant::now();
                wait_for("anybody to get on", || (now() > before).then_some(()));
                let first = begun.elapsed();
                wait_for("people to get on", || (now() > all).then_some(()));
                (first, begun.elapsed())
            };
            get_on();
            lose(&self.primary);
            self.standby.promote();
            let (first, all) = get_on();
            println!("{how}: the first person got on {first:?} after the promotion, all {all:?}");
            over.store(true, Ordering::SeqCst);
        });
        let stories = stories.into_inner().unwrap();
        let told = stories.iter().filter(|it| it.nonce.is_some()).count();
        println!("{how}: {} people, of whom {told} were told something", stories.len());
        for story in &stories {
            verify(&self.site, story);
        }
        self.site.stop();
    }
}

#[test]
fn nothing_is_lost_with_the_primary() {
    Pair::start().survives("a primary that is killed", |primary| {
        // Whoever is told something now is told too much.
        primary.cut_standby();
        thread::sleep(CUT);
        primary.end(End::Lost);
    });
}

#[test]
fn a_primary_that_hangs_does_not_keep_the_service_from_the_new_one() {
    // It takes connections, and says nothing.
    Pair::start().survives("a primary that hangs", Cluster::pause);
}

#[test]
fn a_host_that_hangs_and_one_that_only_reads_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let _silent = UnixListener::bind(directory.path().join(".s.PGSQL.5432")).unwrap();
    let primary = Cluster::durable();
    let name = primary.create_database();
    let standby = primary.with_standby();
    let mut site = Site::bare("");
    let others = Cluster::uri_of_all(&[&standby, &primary], &name);
    let uri = others.replace("host=", &format!("host={},", directory.path().display()));
    site.use_postgres(&format!("{uri} connect_timeout=1"));
    site.initialize();
    site.start();
    site.prove("ada@example.com");
    primary.end(End::Fast);
    let check = site.run("challenger-httpd", &["--check"]);
    assert_eq!(check.status.code(), Some(1));
    let said = stderr(&check);
    let silent = format!("{}: the database did not answer in time; ", directory.path().display());
    assert!(said.contains(&silent), "{said}");
    assert!(
        said.contains(": error connecting to server: database does not allow writes; "),
        "{said}"
    );
    assert!(said.contains(": error connecting to server: No such file or directory"), "{said}");
    primary.start();
    site.stop();
}
