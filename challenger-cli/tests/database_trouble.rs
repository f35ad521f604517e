//! Every trouble that a database can have, end to end: while it lasts, answers are clear and do not
//! keep anybody waiting; then the service goes on, with nothing lost, doubled or left over.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::thread;
use std::time::Duration;

use challenger_testkit::{Cluster, End, Reply, notified, send, wait_for};
use rusqlite::Connection;
use site::{SECRET, Site, stderr};

/// How many ask at once during a trouble: more than there are connections to a database.
const CROWD: usize = 24;

/// How often to look whether what is left over goes, and how many times at most.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: usize = 300;

/// How many descriptors a connection to PostgreSQL costs at most.
const DESCRIPTORS: usize = 4;

/// A site that keeps everything in PostgreSQL, not started yet.
fn site_on(cluster: &Cluster, name: &str) -> Site {
    let site = Site::bare("");
    site.use_postgres(&cluster.uri(name));
    site
}

/// A service with a cluster of its own.
struct OnPostgres {
    cluster: Cluster,
    name: String,
    site: Site,
}

impl OnPostgres {
    fn start() -> Self {
        let cluster = Cluster::durable();
        let name = cluster.create_database();
        let mut site = site_on(&cluster, &name);
        site.initialize();
        site.start();
        Self { cluster, name, site }
    }

    fn sql(&self, sql: &str) -> String {
        self.cluster.psql(&self.name, sql)
    }

    /// Goes through a trouble, and looks for connections that nobody uses.
    fn suffers(&self, begin: impl FnOnce(), end: impl FnOnce()) -> Outcome {
        let connections = || self.cluster.backends(&self.name).len();
        let outcome = suffers(&self.site, connections, begin, end);
        // There may be twice as many until those that were given up have ended.
        wait_for("16 at most, as the manual says", || (connections() <= 16).then_some(()));
        outcome
    }
}

/// The outcome of the requests during a trouble.
struct Outcome {
    /// Taler's codes of the refusals.
    codes: Vec<u64>,
    /// The new lines of the log.
    log: String,
}

impl Outcome {
    /// Checks that nothing worked, and that the log said why, in these words of the manual.
    fn is(&self, code: u64, cause: &str) {
        assert_eq!(self.codes, [code; CROWD]);
        assert!(self.log.contains(cause), "{}", self.log);
    }
}

fn try_setup(site: &Site) -> Reply {
    site.post("setup/1", &[("Authorization", &format!("Bearer {SECRET}"))], "")
}

/// Many ask at once: half of them for validations, half of them for messages.
fn crowd(site: &Site, nonces: &[String], round: &str) -> Vec<Reply> {
    thread::scope(|scope| {
        let ask = |number: usize| match nonces.get(number) {
            Some(nonce) => site.challenge(nonce, &format!("{round}{number}@example.com")),
            None => try_setup(site),
        };
        let threads: Vec<_> = (0..CROWD).map(|number| scope.spawn(move || ask(number))).collect();
        // Nothing of that keeps the others.
        for path in ["config", "terms", "privacy"] {
            let status = site.get(path, &[]).status;
            assert!(matches!(status, 200 | 501), "{path} needs no database: {status}");
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Threads and descriptors of the server.
fn resources(site: &Site) -> (usize, usize) {
    let count = |what| fs::read_dir(format!("/proc/{}/{what}", site.process())).unwrap().count();
    (count("task"), count("fd"))
}

/// A trouble from its beginning until everything is as before.
fn suffers(
    site: &Site,
    connections: impl Fn() -> usize,
    begin: impl FnOnce(),
    end: impl FnOnce(),
) -> Outcome {
    let nonces: Vec<_> = (0..CROWD / 2).map(|_| site.setup()).collect();
    let warm = crowd(site, &nonces, "before");
    assert!(warm.iter().all(|reply| reply.status == 200));
    // In this order, because connections may still be arriving.
    let before = connections();
    let (threads, descriptors) = resources(site);

    begin();
    let replies = crowd(site, &nonces, "during");
    let codes = replies.iter().filter(|reply| reply.status != 200).map(|reply| {
        let (status, code) = reply.refusal();
        assert_eq!(status, 500, "{}", reply.body);
        assert!(matches!(code, 52 | 53), "{}", reply.body);
        code
    });
    let codes: Vec<_> = codes.collect();
    end();

    wait_for("the service to go on", || (try_setup(site).status == 200).then_some(()));
    site.prove("after@example.com");
    for nonce in &nonces {
        let query = "response_type=code&client_id=1";
        let status = site.get(&format!("authorize/{nonce}?{query}"), &[]);
        assert_eq!(status.status, 200, "an acknowledged nonce works");
        assert!(status.json()["changes_left"].as_u64() < Some(3), "so does an address");
    }
    let challenged = replies.iter().take(nonces.len()).filter(|reply| reply.status == 200);
    let sent = nonces.len() + challenged.count() + 1;
    assert_eq!(site.messages().len(), sent, "no message without a committed write");
    let mut seen = String::new();
    let over = (0..LOOKS).any(|_| {
        thread::sleep(LOOK);
        let (threads_now, descriptors_now) = resources(site);
        let new = connections().saturating_sub(before);
        let more = DESCRIPTORS * new;
        seen = format!("{threads_now} of {threads}, {descriptors_now} of {descriptors}, {new} new");
        threads_now <= threads && descriptors_now <= descriptors + more
    });
    assert!(over, "threads and descriptors are left over: {seen}");
    let log = site.log();
    let failures = log.matches("ERROR database route=").count();
    assert!(failures >= codes.len(), "{failures} lines for {}", codes.len());
    Outcome { codes, log }
}

#[test]
fn a_service_may_start_before_its_database() {
    let cluster = Cluster::durable();
    let name = cluster.create_database();
    let mut site = site_on(&cluster, &name);
    cluster.end(End::Fast);
    let path = site.directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut server = site.server();
    server.env("NOTIFY_SOCKET", &path);
    site.start_as(server);
    assert_eq!(notified(&manager), "READY=1");
    let warning = "serving without it until it can be reached";
    wait_for("the warning", || site.log().contains(warning).then_some(()));
    assert_eq!(site.get("config", &[]).status, 200);
    assert_eq!(try_setup(&site).refusal(), (500, 53));
    for (tool, argument) in [
        ("challenger-httpd", "--check"),
        ("challenger-admin", "--list"),
        ("challenger-dbinit", "--garbagecollect"),
    ] {
        let tried = site.run(tool, &[argument]);
        assert_eq!(tried.status.code(), Some(1));
        let said = stderr(&tried);
        assert!(said.contains("error connecting to server"), "{tool}: {said}");
        assert!(!said.contains("serving"), "{tool}: {said}");
    }
    // It comes, but without a schema.
    cluster.start();
    wait_for("the reason", || {
        assert_eq!(try_setup(&site).refusal(), (500, 53));
        site.log().contains("has no schema yet; run challenger-dbinit").then_some(())
    });
    let second = site.run("challenger-httpd", &[]);
    assert_eq!(second.status.code(), Some(1), "that does not heal by itself");
    site.initialize();
    wait_for("the service", || (try_setup(&site).status == 200).then_some(()));
    site.prove("ada@example.com");
    site.stop();
}

#[test]
fn a_database_that_hangs() {
    let mut it = OnPostgres::start();
    let outcome = it.suffers(|| it.cluster.pause(), || it.cluster.resume());
    outcome.is(53, ": the database did not answer in time\"");
    it.site.stop();
}

#[test]
fn one_connection_that_hangs() {
    let mut it = OnPostgres::start();
    let victim = std::cell::Cell::new(0);
    let stop = || {
        victim.set(it.cluster.backends(&it.name)[0]);
        assert!(send(victim.get(), "STOP"));
    };
    let outcome = it.suffers(stop, || assert!(send(victim.get(), "CONT")));
    assert!(outcome.codes.len() <= 1, "{:?}", outcome.codes);
    it.site.stop();
}

/// Ends the holder of the lock, so that a test that fails need not wait for them.
struct Unlock<'a>(&'a OnPostgres);

impl Unlock<'_> {
    fn now(&self) -> Result<String, String> {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE query LIKE 'LOCK TABLE%'";
        self.0.cluster.psql_as("postgres", &self.0.name, end)
    }
}

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        // A second panic would hide the first.
        self.now().ok();
    }
}

#[test]
fn a_database_that_is_locked_for_long() {
    let mut it = OnPostgres::start();
    thread::scope(|scope| {
        let unlock = Unlock(&it);
        let lock = || {
            let locks =
                "LOCK TABLE challenger.clients, challenger.validations; SELECT pg_sleep(600)";
            scope.spawn(|| it.cluster.psql_as("postgres", &it.name, locks));
            let held = "SELECT count(*) FROM pg_locks WHERE granted \
                AND relation = 'challenger.validations'::regclass AND mode = 'AccessExclusiveLock'";
            wait_for("the lock", || (it.sql(held) == "1").then_some(()));
        };
        let unlock = || assert_eq!(unlock.now().unwrap(), "t");
        it.suffers(lock, unlock).is(53, "lock timeout (SQLSTATE 55P03)");
    });
    it.site.stop();
}

#[test]
fn a_database_that_may_only_be_read() {
    let mut it = OnPostgres::start();
    let allow = |writing: &str| {
        let text = format!("ALTER DATABASE {} SET default_transaction_read_only = ", it.name);
        it.cluster.psql("postgres", &format!("{text}{writing}"));
    };
    let forbid = || {
        allow("on");
        it.cluster.end_backends(&it.name);
    };
    let outcome = it.suffers(forbid, || allow("off"));
    outcome.is(52, "in a read-only transaction (SQLSTATE 25006)");
    it.site.stop();
}

#[test]
fn a_database_on_a_full_disk() {
    let mut it = OnPostgres::start();
    let (_, code) = it.site.solved("ada@example.com");
    let free = it.cluster.fill_disk(&it.name, "challenger.grants");
    for _ in 0..3 {
        assert_eq!(it.site.token(&code).refusal(), (500, 52));
    }
    assert!(it.site.log().contains("No space left on device (SQLSTATE 53100)"));
    free();
    it.cluster.end_backends(&it.name);
    let granted = it.site.token(&code);
    assert_eq!(granted.status, 200, "the code was not used up: {}", granted.body);
    it.site.prove("bob@example.com");
    it.site.stop();
}

#[test]
fn a_database_that_is_restarted() {
    let mut it = OnPostgres::start();
    for end in [End::Fast, End::Immediate] {
        it.cluster.end(end);
        assert_eq!(try_setup(&it.site).refusal(), (500, 53));
        it.cluster.start();
        wait_for("the service", || (try_setup(&it.site).status == 200).then_some(()));
    }
    let outcome = it.suffers(|| it.cluster.end(End::Immediate), || it.cluster.start());
    outcome.is(53, ": timed out waiting for a connection: error connecting to server");
    it.site.stop();
}

/// A service on a file.
fn on_sqlite() -> Site {
    let mut site = Site::new("");
    site.start();
    site
}

/// Goes through a trouble of a file, which each connection has open.
fn file_suffers(site: &Site, begin: impl FnOnce(), end: impl FnOnce()) -> Outcome {
    let connections = || {
        let open = fs::read_dir(format!("/proc/{}/fd", site.process())).unwrap();
        let open = open.filter_map(|it| fs::read_link(it.unwrap().path()).ok());
        open.filter(|it| it.extension().is_some_and(|it| it == "sqlite")).count()
    };
    let outcome = suffers(site, connections, begin, end);
    assert!(connections() <= 2 * CROWD, "no more than needed at once");
    outcome
}

#[test]
fn a_file_on_a_full_disk() {
    let mut site = on_sqlite();
    // The superuser of a container may not be able to fill a disk of its own, but everybody can say
    // how large files may become.
    let limit = |size: &str| {
        let process = site.process().to_string();
        let limited = Command::new("prlimit").args(["--pid", &process, size]).status();
        assert!(limited.unwrap().success());
    };
    let outcome = file_suffers(&site, || limit("--fsize=4096:"), || limit("--fsize=unlimited:"));
    outcome.is(52, "disk I/O error (SQLite error 778)");
    site.stop();
}

#[test]
fn a_file_that_is_locked_for_long() {
    let mut site = on_sqlite();
    let other = Connection::open(site.directory.path().join("data/challenger.sqlite")).unwrap();
    let sql = |sql: &str| other.execute_batch(sql).unwrap();
    let outcome = file_suffers(&site, || sql("BEGIN IMMEDIATE"), || sql("ROLLBACK"));
    outcome.is(52, "database is locked (SQLite error 5)");
    drop(other);
    site.stop();
}

#[test]
fn a_file_that_goes_away() {
    let mut site = on_sqlite();
    let file = site.directory.path().join("data/challenger.sqlite");
    let aside = file.with_extension("aside");
    let outcome = file_suffers(
        &site,
        || fs::rename(&file, &aside).unwrap(),
        || fs::rename(&aside, &file).unwrap(),
    );
    outcome.is(53, "was deleted while it was in use; put it back, or restart the service");
    site.stop();
}
