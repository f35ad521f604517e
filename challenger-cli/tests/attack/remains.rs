//! Deleted data is gone from all files of an SQLite database, while the server runs and when it has
//! ended.

use std::fs;

use challenger_testkit::wait_for;

use crate::holdings::entries;
use crate::site::{REDIRECT_URI, SECRET, Site, stderr, stdout};

/// How many people there are of each kind.
const PEOPLE: usize = 60;

const OTHER: &str = "https://other.example/cb";

const NOTHING: [&str; 0] = [];

const HELPER: &str = "#!/bin/sh\ncat > /dev/null\n";

/// Everybody gives an address to a validation of this client.
fn crowd(site: &Site, client: u8, name: &str) -> Vec<(String, String)> {
    let setup = format!("setup/{client}");
    let bearer = format!("Bearer {SECRET}");
    let person = |number| {
        let reply = site.post(&setup, &[("Authorization", &bearer)], "");
        let nonce = reply.json()["nonce"].as_str().unwrap().to_owned();
        let address = format!("{name}{number}@remains.example");
        assert_eq!(site.challenge(&nonce, &address).status, 200);
        (nonce, address)
    };
    (100..100 + PEOPLE).map(person).collect()
}

/// The addresses that are in some file of the database, and the file.
fn found(site: &Site, people: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for path in entries(&site.directory.path().join("data")) {
        let bytes = fs::read(&path).unwrap_or_default();
        for (_, address) in people {
            if bytes.windows(address.len()).any(|window| window == address.as_bytes()) {
                found.push(format!("{address} in {}", path.display()));
            }
        }
    }
    found
}

fn run(site: &Site, program: &str, arguments: &[&str]) -> String {
    let output = site.run(program, arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    stdout(&output)
}

#[test]
fn what_was_collected_is_in_no_file() {
    let mut site = Site::new("VALIDATION_DURATION = 3 s");
    site.set_helper(HELPER);
    site.start();
    let gone = crowd(&site, 1, "gone");
    wait_for("their time to be over", || {
        let page = site.get(&crate::harness::authorize(&gone[PEOPLE - 1].0), &[]);
        (page.status == 404).then_some(())
    });
    let kept = crowd(&site, 1, "kept");
    let mut deleted = 0;
    while deleted < PEOPLE {
        let said = run(&site, "challenger-dbinit", &["--garbagecollect"]);
        deleted += said.split(' ').nth(1).unwrap().parse::<usize>().unwrap();
    }
    assert_eq!(found(&site, &gone), NOTHING, "beside a server that runs");
    assert!(deleted > PEOPLE || found(&site, &kept).len() >= PEOPLE, "these are still there");
    site.stop();
    assert_eq!(found(&site, &gone), NOTHING);
}

#[test]
fn what_a_deleted_client_had_is_in_no_file() {
    let mut site = Site::new("");
    run(&site, "challenger-admin", &["--add", SECRET, OTHER]);
    site.set_helper(HELPER);
    site.start();
    let (gone, kept) = (crowd(&site, 1, "gone"), crowd(&site, 2, "kept"));
    run(&site, "challenger-admin", &["--delete", REDIRECT_URI]);
    assert_eq!(found(&site, &gone), NOTHING, "beside a server that runs");
    assert!(found(&site, &kept).len() >= PEOPLE, "these are still there");
    site.stop();
    assert_eq!(found(&site, &gone), NOTHING);
    assert_eq!(found(&site, &kept).len(), PEOPLE, "in one file");
}

#[test]
fn what_was_replaced_is_in_no_file_once_the_server_has_ended() {
    let mut site = Site::new("");
    site.set_helper(HELPER);
    site.start();
    let gone = crowd(&site, 1, "gone");
    for (number, (nonce, _)) in gone.iter().enumerate() {
        assert_eq!(site.challenge(nonce, &format!("kept{number}@remains.example")).status, 200);
    }
    site.stop();
    assert_eq!(found(&site, &gone), NOTHING);
}
