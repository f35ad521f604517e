//! Services behind a connection pooler: with sessions of their own they work, and otherwise they
//! say what to do instead of serving.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::sync::atomic::{AtomicUsize, Ordering};

use challenger_testkit::{Cluster, Pooler, Reply, at_once, wait_for};
use site::{SECRET, Site, stderr};

/// What the manual says.
const REFUSED: &str = "a connection pooler gives our session to others, as PgBouncer does with \
    pool_mode = transaction or statement; set pool_mode = session for this database, or let CONFIG \
    name PostgreSQL itself";

/// What takes all connections of two services.
const ROOM: &str = "default_pool_size = 80";

/// A database with a schema, and a site that reaches it through a pooler.
fn site_behind(pooler: &Pooler<'_>, cluster: &Cluster) -> (Site, String) {
    let name = cluster.create_database();
    let direct = Site::on_postgres("", &cluster.uri(&name));
    drop(direct);
    let site = Site::bare("");
    site.use_postgres(&pooler.uri(&name));
    (site, name)
}

/// What all programs do with a database.
const PROGRAMS: [(&str, &[&str]); 5] = [
    ("challenger-httpd", &["--check"]),
    ("challenger-httpd", &[]),
    ("challenger-dbinit", &[]),
    ("challenger-dbinit", &["--garbagecollect"]),
    ("challenger-admin", &["--list"]),
];

fn assert_refused(site: &Site, programs: &[(&str, &[&str])], words: &str) {
    for (program, arguments) in programs {
        let output = site.run(program, arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{program} {arguments:?}: {said}");
        assert!(said.contains(words), "{program} {arguments:?}: {said}");
    }
}

#[test]
fn in_session_mode_two_services_share_a_pool() {
    let cluster = Cluster::shared();
    for more in ["", "ignore_startup_parameters = options", "server_reset_query ="] {
        let pooler = Pooler::start(&cluster, "session", &format!("{ROOM}\n{more}"));
        let (mut one, name) = site_behind(&pooler, &cluster);
        let mut other = Site::bare("");
        other.use_postgres(&pooler.uri(&name));
        for site in [&mut one, &mut other] {
            let check = site.run("challenger-httpd", &["--check"]);
            assert_eq!(check.status.code(), Some(0), "{more}: {}", stderr(&check));
            site.start();
        }
        let number = AtomicUsize::new(0);
        let next = || number.fetch_add(1, Ordering::SeqCst);
        at_once(20, || {
            let number = next();
            let site = if number % 2 == 0 { &one } else { &other };
            for round in 0..2 {
                site.prove(&format!("p{number}r{round}@example.com"));
            }
        });
        let collected = one.run("challenger-dbinit", &["--garbagecollect"]);
        assert!(collected.status.success(), "{}", stderr(&collected));
        for mut site in [one, other] {
            assert!(!site.log().contains(" ERROR "), "{more}: {}", site.log());
            site.stop();
        }
    }
}

#[test]
fn sessions_that_are_lent_to_others_are_refused() {
    let cluster = Cluster::shared();
    for mode in ["transaction", "statement"] {
        let pooler = Pooler::start(&cluster, mode, "");
        let (site, _) = site_behind(&pooler, &cluster);
        assert_refused(&site, &PROGRAMS, REFUSED);
        // Whichever session it lends next, and however few it has.
        for order in [0, 1] {
            for sessions in [2, 3, 20] {
                let more = format!(
                    "ignore_startup_parameters = options\nserver_round_robin = {order}\n\
                     default_pool_size = {sessions}"
                );
                pooler.restart(mode, &more);
                for _ in 0..2 {
                    assert_refused(&site, &PROGRAMS[..1], REFUSED);
                }
            }
        }
    }
}

#[test]
fn what_a_pooler_does_not_take_is_said() {
    let cluster = Cluster::shared();
    let pooler = Pooler::start(&cluster, "session", "");
    let name = cluster.create_database();
    let site = Site::bare("");
    site.use_postgres(&format!("{}&options=-c%20work_mem%3D4MB", pooler.uri(&name)));
    assert_refused(
        &site,
        &PROGRAMS,
        "unsupported startup parameter: options (SQLSTATE 08P01): a connection pooler takes no \
         options; leave them out of CONFIG, and set them for the role with ALTER ROLE",
    );
}

#[test]
fn a_pooler_that_changes_its_mode_costs_clear_errors_and_nothing_else() {
    let cluster = Cluster::shared();
    let pooler = Pooler::start(&cluster, "session", ROOM);
    let (mut site, _) = site_behind(&pooler, &cluster);
    site.start();
    let refused = || site.log().matches(REFUSED).count();
    let crowd = || at_once(8, || setup(&site));
    let changes: [fn(&Pooler<'_>, &str); 2] =
        [|it, mode| it.restart(mode, ROOM), |it, mode| it.reload(mode, ROOM)];
    for (round, change) in changes.into_iter().enumerate() {
        assert!(crowd().iter().all(|reply| reply.status == 200));
        let before = refused();
        change(&pooler, "transaction");
        wait_for("the reason", || {
            let refusals = crowd().into_iter().filter(|reply| reply.status != 200);
            let mut seen = refusals.into_iter().map(|reply| reply.refusal());
            assert!(seen.all(|refusal| matches!(refusal, (500, 52 | 53))));
            (refused() > before).then_some(())
        });
        change(&pooler, "session");
        wait_for("the service", || (setup(&site).status == 200).then_some(()));
        site.prove(&format!("p{round}@example.com"));
    }
    site.stop();
}

fn setup(site: &Site) -> Reply {
    site.post("setup/1", &[("Authorization", &format!("Bearer {SECRET}"))], "")
}
