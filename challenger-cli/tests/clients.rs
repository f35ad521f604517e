//! Clients that have many rows, on both stores: to delete one harms no other, a new secret ends
//! what was opened with the old one, and there is a limit to what one may open.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod place;
mod site;

use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use challenger_testkit::{Raise, code_of, escape, wait_for};
use place::Place;
use rusqlite::Connection;
use serde_json::Value;
use site::{REDIRECT_URI, SECRET, Site, stderr, stdout};

const OTHER: &str = "https://other.example/cb";
const NEW_SECRET: &str = "secret-token:9HT3XW5ZB7KQ0DJ6YN2VRC8M4P";

/// How many rows a client has that is deleted: so many that it takes a while.
const ON_SQLITE: u32 = 10_000;
const ON_POSTGRES: u32 = 50_000;

impl Place {
    /// Has a site use this database.
    fn configure(&self, site: &Site) {
        let Some((cluster, database)) = &self.postgres else {
            let theirs = site.directory.path().join("data/challenger.sqlite");
            let text = std::fs::read_to_string(site.config()).unwrap();
            let text = text.replace(theirs.to_str().unwrap(), self.file().to_str().unwrap());
            return std::fs::write(site.config(), text).unwrap();
        };
        site.use_postgres(&cluster.uri(database));
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.site.run(program, arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    }

    /// The clients in the list, in JSON.
    fn list(&self) -> Vec<Value> {
        serde_json::from_str(&self.run("challenger-admin", &["--list", "--json"])).unwrap()
    }

    /// A number from the database. `%` is the place before the name of a table.
    fn number(&self, sql: &str) -> u32 {
        match &self.postgres {
            None => {
                let connection = Connection::open(self.file()).unwrap();
                connection.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
                connection.query_row(&sql.replace('%', ""), (), |row| row.get(0)).unwrap()
            }
            Some((cluster, database)) => {
                cluster.psql(database, &sql.replace('%', "challenger.")).parse().unwrap()
            }
        }
    }

    /// Gives client 2 as many rows of each kind, behind the server's back.
    fn fill(&self, rows: u32) {
        match &self.postgres {
            None => Connection::open(self.file())
                .unwrap()
                .execute_batch(&format!(
                    "WITH RECURSIVE n(i) AS
                        (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                    INSERT INTO validations (id, version, client, expires, redirect_uri, read_only,
                        authorized, addresses_left, refunds_left, progress)
                    SELECT randomblob(32), 1, 2, 4000000000 + i, '{OTHER}', 0, 0, 3, 3, 'open'
                    FROM n;
                    INSERT INTO grants (token, client, address, valid_until, expires)
                    SELECT id, 2, '{{}}', 4000000000, 4000000000 FROM validations
                    WHERE client = 2 LIMIT 500"
                ))
                .unwrap(),
            Some((cluster, database)) => drop(cluster.psql(
                database,
                &format!(
                    "INSERT INTO challenger.validations (id, version, client, expires, redirect_uri,
                        read_only, authorized, addresses_left, refunds_left, progress)
                    SELECT sha256(int8send(i)), 1, 2, 4000000000 + i, '{OTHER}', false, false, 3, 3,
                        'open' FROM generate_series(1, {rows}) i;
                    INSERT INTO challenger.grants (token, client, address, valid_until, expires)
                    SELECT sha256(int8send(i)), 2, '{{}}', 4000000000, 4000000000
                    FROM generate_series(1, 1500) i"
                ),
            )),
        }
    }

    /// `--delete`, which is killed when some rows are gone.
    fn delete_and_kill(&self) {
        let rows = "SELECT count(*) FROM %validations WHERE client = 2";
        let before = self.number(rows);
        let mut command: Command = self.site.command("challenger-admin");
        let mut child = command.args(["--delete", OTHER]).stdin(Stdio::null()).spawn().unwrap();
        let left = wait_for("some rows to be gone", || {
            let left = self.number(rows);
            (left < before).then_some(left)
        });
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().code(), None, "it was still at work");
        assert!(left > 0, "it was killed too late");
    }
}

/// The answer of `/setup` to a client: status, code and `Retry-After`.
fn setup(site: &Site, client: u8, secret: &str) -> (u16, Option<u64>, Option<String>) {
    let bearer = format!("Bearer {secret}");
    let reply = site.post(&format!("setup/{client}"), &[("Authorization", &bearer)], "");
    let retry = reply.header("Retry-After").map(str::to_owned);
    (reply.status, reply.json()["code"].as_u64(), retry)
}

fn deleting_harms_nobody(mut place: Place, rows: u32) {
    place.run("challenger-admin", &["--add", SECRET, OTHER]);
    place.fill(rows);
    place.site.start();
    let (over, people) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let at_the_end = Raise(&over);
        let workers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        let number = people.fetch_add(1, Ordering::SeqCst);
                        place.site.prove(&format!("person{number}@example.com"));
                    }
                })
            })
            .collect();
        place.delete_and_kill();
        // Void, and still there; others cannot have its redirect URI yet, nor does it come back.
        assert_eq!(setup(&place.site, 2, SECRET).0, 404);
        assert_eq!(place.list()[1]["being_deleted"], true);
        assert!(place.run("challenger-admin", &["--list"]).contains("cb (being deleted)"));
        assert_eq!(place.number("SELECT count(*) FROM %grants WHERE client = 2"), 0);
        for (action, complaint) in [
            (["--add", SECRET, OTHER], "client 2, which has this redirect URI, is still being del"),
            (["--rotate", SECRET, OTHER], "no client is registered with this redirect URI"),
        ] {
            let output = place.site.run("challenger-admin", &action);
            assert_eq!(output.status.code(), Some(1));
            assert!(stderr(&output).contains(complaint), "{}", stderr(&output));
        }
        place.delete_and_kill();
        // The rest goes with the garbage.
        let said = place.run("challenger-dbinit", &["--garbagecollect"]);
        assert_eq!(
            said,
            "Deleted 0 expired validations, 0 expired access tokens and 0 balances.\n"
        );
        assert_eq!(place.list().len(), 1);
        assert_eq!(place.number("SELECT count(*) FROM %validations WHERE client = 2"), 0);
        drop(at_the_end);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
    assert!(people.load(Ordering::SeqCst) > 3);
    let added = place.run("challenger-admin", &["-q", "--add", SECRET, OTHER]);
    assert_eq!(added, "3\n");
    place.site.stop();
    let log = place.site.log();
    assert!(!log.contains(" ERROR "), "{log}");
}

#[test]
fn deleting_a_client_with_much_harms_nobody_on_sqlite() {
    deleting_harms_nobody(Place::on_sqlite(""), ON_SQLITE);
}

#[test]
fn deleting_a_client_with_much_harms_nobody_on_postgresql() {
    deleting_harms_nobody(Place::on_postgres(""), ON_POSTGRES);
}

fn a_new_secret_ends(mut place: Place) {
    place.run("challenger-admin", &["--add", SECRET, OTHER]);
    place.site.start();
    let site = &place.site;
    let bearer = format!("Bearer {SECRET}");
    let others = site.post("setup/2", &[("Authorization", &bearer)], "").json();
    let others = others["nonce"].as_str().unwrap();
    let unsolved = || {
        let challenged = site.setup();
        assert_eq!(site.challenge(&challenged, "bob@example.com").status, 200);
        [site.setup(), challenged]
    };
    let is_open = |nonce: &str| {
        let query = "response_type=code&client_id=1";
        site.get(&format!("authorize/{nonce}?{query}"), &[]).status == 200
    };
    let (solved, code) = site.solved("ada@example.com");
    let totals = || place.list()[0]["validations"].clone();

    // Where the operator says so, all of it goes on.
    let kept = unsolved();
    let said =
        place.run("challenger-admin", &["--rotate", NEW_SECRET, "--keep-open", REDIRECT_URI]);
    assert_eq!(said, "Secret replaced. Client ID is: 1\n");
    assert!(kept.iter().all(|nonce| is_open(nonce)));
    assert_eq!(totals(), 3);

    let said = place.run("challenger-admin", &["--rotate", SECRET, REDIRECT_URI]);
    assert_eq!(said, "Secret replaced. Client ID is: 1\nUnsolved validations ended: 2\n");
    for nonce in &kept {
        assert_eq!(site.challenge(nonce, "bob@example.com").refusal(), (404, 9755));
        assert_eq!(site.solve(nonce, &site.pin("bob@example.com")).refusal(), (404, 9755));
    }
    assert_eq!(totals(), 3, "they count as opened");
    assert_eq!(site.solve(&solved, &site.pin("ada@example.com")).status, 200);
    assert_eq!(site.token(&code).status, 200, "a code needs the secret anyway");
    let query = "response_type=code&client_id=2";
    assert_eq!(
        site.get(&format!("authorize/{others}?{query}"), &[]).status,
        200,
        "another client's"
    );

    let ended = unsolved();
    let json: Value = serde_json::from_str(
        &place.run("challenger-admin", &["--regenerate", "--json", REDIRECT_URI]),
    )
    .unwrap();
    assert_eq!(json["validations_ended"], 2);
    assert!(!ended.iter().any(|nonce| is_open(nonce)));
    let secret = json["client_secret"].as_str().unwrap();
    assert_eq!(setup(site, 1, secret).0, 200);
    let quiet = place.run("challenger-admin", &["--regenerate", "-q", REDIRECT_URI]);
    assert_eq!(quiet.lines().count(), 2, "{quiet}");
    for action in [["--add", SECRET, OTHER].as_slice(), &["--delete", OTHER], &["--list"]] {
        let output = site.run("challenger-admin", &[action, &["--keep-open"]].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("--keep-open belongs to"), "{}", stderr(&output));
    }
    place.site.stop();
}

#[test]
fn a_new_secret_ends_what_the_old_one_opened_on_sqlite() {
    a_new_secret_ends(Place::on_sqlite(""));
}

#[test]
fn a_new_secret_ends_what_the_old_one_opened_on_postgresql() {
    a_new_secret_ends(Place::on_postgres(""));
}

/// A crowd that has the old secret opens validations while it is replaced.
fn a_new_secret_ends_in_flight(mut place: Place) {
    const CROWD: usize = 24;
    const MOST: usize = 200;
    const ROUNDS: usize = 6;
    place.site.start();
    let site = &place.site;
    for round in 0..ROUNDS {
        let (old, new) = [(SECRET, NEW_SECRET), (NEW_SECRET, SECRET)][round % 2];
        let bearer = format!("Bearer {old}");
        let opened = AtomicUsize::new(0);
        // Each goes on until the old secret is wrong.
        let open = || {
            let mut nonces = Vec::new();
            for _ in 0..MOST {
                let reply = site.post("setup/1", &[("Authorization", &bearer)], "");
                if reply.status != 200 {
                    assert_eq!(reply.refusal(), (404, 9750), "{}", reply.body);
                    break;
                }
                nonces.push(reply.json()["nonce"].as_str().unwrap().to_owned());
                opened.fetch_add(1, Ordering::SeqCst);
            }
            nonces
        };
        let nonces: Vec<String> = thread::scope(|scope| {
            let crowd: Vec<_> = (0..CROWD).map(|_| scope.spawn(open)).collect();
            wait_for("a crowd", || (opened.load(Ordering::SeqCst) > 2 * CROWD).then_some(()));
            place.run("challenger-admin", &["--rotate", new, REDIRECT_URI]);
            crowd.into_iter().flat_map(|one| one.join().unwrap()).collect()
        });
        for nonce in &nonces {
            assert_eq!(site.challenge(nonce, "bob@example.com").refusal(), (404, 9755));
        }
        assert_eq!(place.number("SELECT count(*) FROM %validations"), 0);
    }
    place.site.stop();
}

#[test]
fn a_new_secret_ends_what_is_opened_in_that_moment_on_sqlite() {
    a_new_secret_ends_in_flight(Place::on_sqlite(""));
}

#[test]
fn a_new_secret_ends_what_is_opened_in_that_moment_on_postgresql() {
    a_new_secret_ends_in_flight(Place::on_postgres(""));
}

/// As many may be open as the operator says. A crowd at one moment may get a few more, of two
/// servers each; the next moment, nobody does.
fn a_client_opens_no_more(mut place: Place) {
    const MOST: usize = 20;
    const CROWD: usize = 16;
    let mut other = Site::bare(&format!("CLIENT_VALIDATIONS_MAX = {MOST}"));
    place.configure(&other);
    place.run("challenger-admin", &["--add", SECRET, OTHER]);
    place.site.start();
    other.start();
    let servers = [&place.site, &other];
    let refused = (429, Some(9757), Some("60".to_owned()));
    let start = Barrier::new(2 * CROWD);
    let opened = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..2 * CROWD {
            let (start, opened, refused, server) = (&start, &opened, &refused, servers[number % 2]);
            scope.spawn(move || {
                start.wait();
                for _ in 0..8 {
                    match setup(server, 1, SECRET) {
                        (200, None, None) => drop(opened.fetch_add(1, Ordering::SeqCst)),
                        other => assert_eq!(&other, refused),
                    }
                }
            });
        }
    });
    let opened = opened.into_inner();
    assert!((MOST..=2 * (MOST + CROWD)).contains(&opened), "{opened}");
    let there = place.number("SELECT count(*) FROM %validations");
    assert_eq!(usize::try_from(there).unwrap(), opened);
    // Each of them knows, and other clients and those who come back to their own do not notice.
    for server in servers {
        wait_for("it to have counted", || (setup(server, 1, SECRET) == refused).then_some(()));
        assert_eq!(setup(server, 2, SECRET).0, 200);
        assert_eq!(setup(server, 1, NEW_SECRET).0, 404);
    }
    let page = place.site.post(
        "token",
        &[],
        format!(
            "grant_type=authorization_code&client_id=1&code=x&client_secret={}&redirect_uri={}",
            escape(SECRET),
            escape(REDIRECT_URI)
        ),
    );
    assert_eq!(page.refusal(), (401, 9754), "{}", page.body);
    // A new secret makes room, which every server sees soon.
    place.run("challenger-admin", &["--rotate", SECRET, REDIRECT_URI]);
    for server in servers {
        wait_for("a place", || (setup(server, 1, SECRET).0 == 200).then_some(()));
    }
    other.stop();
    place.site.stop();
}

#[test]
fn a_client_opens_no_more_than_it_may_on_sqlite() {
    a_client_opens_no_more(Place::on_sqlite("CLIENT_VALIDATIONS_MAX = 20"));
}

#[test]
fn a_client_opens_no_more_than_it_may_on_postgresql() {
    a_client_opens_no_more(Place::on_postgres("CLIENT_VALIDATIONS_MAX = 20"));
}

/// A client's secret is changed while it works: some of its parts use the old one for a while, and
/// none of them is refused.
fn a_secret_changes_under_load(mut place: Place) {
    place.site.start();
    let site = &place.site;
    let token = |code: &str, secret: &str| {
        let form = format!(
            "grant_type=authorization_code&client_id=1&code={code}&client_secret={}\
             &redirect_uri={}",
            escape(secret),
            escape(REDIRECT_URI)
        );
        site.post("token", &[], form)
    };
    let open = |secret: &str| {
        let bearer = format!("Bearer {secret}");
        let reply = site.post("setup/1", &[("Authorization", &bearer)], "");
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.member("nonce").unwrap()
    };
    let prove = |nonce: &str, email: &str| {
        assert_eq!(site.challenge(nonce, email).status, 200);
        code_of(&site.solve(nonce, &site.pin(email)).member("redirect_url").unwrap())
    };
    let over = AtomicBool::new(false);
    let done = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let work = |which: usize| {
        let secret = [SECRET, NEW_SECRET][which];
        while !over.load(Ordering::SeqCst) {
            let number = done[which].fetch_add(1, Ordering::SeqCst);
            let nonce = open(secret);
            let code = prove(&nonce, &format!("person{number}@{which}.example"));
            let reply = token(&code, secret);
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
    };
    let busy = |which: usize, more: usize| {
        let before = done[which].load(Ordering::SeqCst);
        wait_for("work", || (done[which].load(Ordering::SeqCst) > before + more).then_some(()));
    };
    let nonce = thread::scope(|scope| {
        let at_the_end = Raise(&over);
        let mut workers: Vec<_> = (0..3).map(|_| scope.spawn(|| work(0))).collect();
        busy(0, 6);
        let nonce = open(SECRET);
        let rotate = ["--rotate", NEW_SECRET, "--keep-old=1 day", REDIRECT_URI];
        let said = place.run("challenger-admin", &rotate);
        let (first, second) = said.split_once('\n').unwrap();
        assert_eq!(first, "Secret replaced. Client ID is: 1");
        assert!(second.starts_with("The old secret is good until: 2"), "{second}");
        workers.extend((0..3).map(|_| scope.spawn(|| work(1))));
        busy(0, 6);
        busy(1, 6);
        drop(at_the_end);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        nonce
    });
    assert!(place.run("challenger-admin", &["--list"]).contains(" (old secret until 2"));
    let again = site.run("challenger-admin", &["--regenerate", "--keep-old=1 h", "1"]);
    assert_eq!((again.status.code(), stdout(&again).as_str()), (Some(1), ""));
    assert!(stderr(&again).contains("its secret of before is good until"), "{}", stderr(&again));

    // The operator ends it early. What the old secret opened goes on with the new one.
    let rotate = ["--rotate", NEW_SECRET, "--keep-open", "--json", "1"];
    place.run("challenger-admin", &rotate);
    assert!(place.list()[0]["old_secret_until"].is_null());
    let code = prove(&nonce, "late@example.com");
    assert_eq!(token(&code, SECRET).refusal(), (401, 9750));
    assert_eq!(setup(site, 1, SECRET).0, 404);
    assert_eq!(token(&code, NEW_SECRET).status, 200);
    place.site.stop();
}

#[test]
fn a_secret_changes_without_an_outage_on_sqlite() {
    a_secret_changes_under_load(Place::on_sqlite(""));
}

#[test]
fn a_secret_changes_without_an_outage_on_postgresql() {
    a_secret_changes_under_load(Place::on_postgres(""));
}
