//! The programs with a PostgreSQL database.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::process::Stdio;

use challenger_testkit::{Cluster, End, wait_for};
use site::{REDIRECT_URI, SECRET, Site, stderr, stdout};

/// A site that keeps everything in PostgreSQL, with a database but without a schema.
fn site(cluster: &Cluster, section: &str) -> Site {
    let site = Site::bare("VALIDATION_DURATION = 1 h");
    let uri = cluster.uri(&cluster.create_database());
    site.replace_sqlite(&format!("[{section}]\nCONFIG = {uri}"));
    site
}

#[test]
fn an_address_is_proved_though_the_database_restarts() {
    let cluster = Cluster::durable();
    let mut site = site(&cluster, "challengerdb-postgres");
    site.initialize();
    site.start();
    let (_, code) = site.solved("ada@example.com");
    cluster.end(End::Killed);
    cluster.start();
    let reply = site.token(&code);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let token = reply.json()["access_token"].as_str().unwrap().to_string();
    cluster.end(End::Fast);
    // 500 and GANA's TALER_EC_GENERIC_DB_FETCH_FAILED, after a while.
    let refusal = site.info(&token);
    assert_eq!(refusal.status, 500, "{}", refusal.body);
    wait_for("the log", || site.log().contains("PostgreSQL database ").then_some(()));
    cluster.start();
    assert_eq!(site.info(&token).json()["address"]["CONTACT_EMAIL"], "ada@example.com");
    site.stop();
}

#[test]
fn the_tools_do_with_postgres_what_they_do_with_files() {
    let cluster = Cluster::shared();
    // As the original's manual has it.
    let site = site(&cluster, "challenger-postgres");
    for (program, arguments) in
        [("challenger-httpd", &[][..]), ("challenger-admin", &["--add", SECRET, REDIRECT_URI])]
    {
        let output = site.run(program, arguments);
        assert_eq!(output.status.code(), Some(1), "{program}");
        assert!(stderr(&output).contains("run challenger-dbinit"), "{}", stderr(&output));
    }
    site.initialize();
    for _ in 0..2 {
        let output = site.run("challenger-dbinit", &["--garbagecollect"]);
        let said = "Deleted 0 expired validations, 0 expired access tokens and 0 balances.\n";
        assert_eq!(stdout(&output), said, "{}", stderr(&output));
    }
    let secret = format!("--add={SECRET}");
    let again = site.run("challenger-admin", &[&secret, REDIRECT_URI]);
    assert!(stderr(&again).contains("client 1 is registered"), "{}", stderr(&again));
    assert_eq!(site.run("challenger-dbinit", &["-r", "--yes"]).status.code(), Some(0));
    let added = site.run("challenger-admin", &[&secret, "-q", REDIRECT_URI]);
    assert_eq!(stdout(&added), "1\n", "the client is gone, and numbers begin anew");
}

#[test]
fn a_bad_uri_is_named_by_its_place_and_not_quoted() {
    for (config, expected) in [
        ("postgres://ada:swordfish@db.example/c", "expected sslmode=disable"),
        ("postgres://ada:swordfish@/c?sslmode=require", "expected sslmode=disable"),
        ("postgres://ada:swordfish@/c?sslcert=x", "expected a URI such as"),
    ] {
        let site = Site::bare("");
        site.use_postgres(config);
        for program in ["challenger-httpd", "challenger-dbinit"] {
            let output = site.run(program, &[]);
            assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
            let said = stderr(&output);
            assert!(said.contains("challenger.conf:"), "{said}");
            assert!(said.contains("[challengerdb-postgres] CONFIG: "), "{said}");
            assert!(said.contains(expected), "{said}");
            assert!(!said.contains("swordfish"), "{said}");
        }
    }
}

#[test]
fn a_database_that_hangs_does_not_keep_the_tools() {
    let cluster = Cluster::durable();
    let site = site(&cluster, "challengerdb-postgres");
    site.initialize();
    cluster.pause();
    for (program, arguments) in [
        ("challenger-dbinit", &[][..]),
        ("challenger-dbinit", &["--garbagecollect"]),
        ("challenger-admin", &["--list"]),
    ] {
        let mut child = site.command(program);
        let child = child.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let status = wait_for("the end of a tool", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(1), "{program}");
        let said = stderr(&child.wait_with_output().unwrap());
        assert!(said.ends_with(": the database did not answer in time\n"), "{said}");
    }
    cluster.resume();
    assert_eq!(site.run("challenger-admin", &["--list"]).status.code(), Some(0));
}
