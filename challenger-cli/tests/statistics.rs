//! What happens to validations, counted by servers and shown by day and client, on both stores.

#![cfg(all(feature = "postgres", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::sync::Arc;

use challenger_server::os;
use challenger_server::store::Day;
use challenger_testkit::{Cluster, wait_for};
use serde_json::{Value, json};
use site::{DELIVER, SECRET, Site, admin, json_of, stderr, told};

const OPTIONS: &str = "RETRANSMISSION_INTERVAL = 0 s";

/// A helper that may succeed later.
const FAILING: &str = "#!/bin/sh\ncat > /dev/null\nexit 75\n";

const OTHER: &str = "https://a-client-with-a-very-long-name.example/cb";

fn counts(numbers: [u32; 5]) -> Value {
    let [opened, messages, failed, proved, redeemed] = numbers;
    json!({
        "opened": opened, "messages": messages, "failed": failed, "proved": proved,
        "redeemed": redeemed,
    })
}

/// The sums of the first client and of all.
fn sums(site: &Site, arguments: &[&str]) -> [Value; 2] {
    let json = json_of(site, &[&["--stats", "--json"], arguments].concat());
    [json["clients"][0]["sum"].clone(), json["all"]["sum"].clone()]
}

fn what_happens_is_counted(mut site: Site) {
    let add = format!("--add={SECRET}");
    told(&site, &[&add, OTHER]);
    let before = Day::of(os::now());
    site.start();
    for person in 0..3 {
        site.prove(&format!("person{person}@example.com"));
    }
    let (_, code) = site.solved("ada@example.com");
    site.set_helper(FAILING);
    let (nonce, open) = (site.setup(), site.setup());
    assert_eq!(site.challenge(&nonce, "ada@example.com").status, 502);
    assert_eq!(site.challenge(&nonce, "ada@example.com").status, 502);
    site.set_helper(DELIVER);
    assert_eq!(site.challenge(&nonce, "ada@example.com").status, 200);
    // What does not get further is not counted: a wrong code, a repetition, a refusal.
    assert_ne!(site.solve(&nonce, "00000000").status, 200);
    assert_eq!(site.challenge(&open, "").status, 400);
    assert_eq!(site.token(&code).status, 200);
    assert_ne!(site.token(&code).status, 200);

    let expected = counts([6, 7, 2, 4, 4]);
    wait_for("the service to have added it", || {
        (sums(&site, &[]) == [expected.clone(), expected.clone()]).then_some(())
    });
    // What came after is added at the end; and a second life adds to the first.
    site.setup();
    site.stop();
    assert_eq!(sums(&site, &[])[0], counts([7, 7, 2, 4, 4]));
    site.start();
    site.prove("person@example.com");
    site.stop();
    let expected = counts([8, 8, 2, 5, 5]);
    assert_eq!(sums(&site, &["--days=400"]), [expected.clone(), expected.clone()]);
    if before == Day::of(os::now()) {
        let json = json_of(&site, &["--stats", "--json", "--days=1"]);
        assert_eq!((&json["today"], &json["since"]), (&json!(before.to_string()), &json["today"]));
        assert_eq!(json["clients"][0]["days"], json!({ before.to_string(): expected }));
        assert_eq!(json["clients"][1]["days"], json!({}));
        is_a_table(&told(&site, &["--stats", "--days=30"]));
    }
}

fn is_a_table(said: &str) {
    let cells: Vec<Vec<&str>> = said.lines().map(|it| it.split_whitespace().collect()).collect();
    let head = "CLIENT ID DAYS OPENED MESSAGES FAILED PROVED REDEEMED RATIO";
    let ours = "8 8 2 5 5 62 %";
    let none = "0 0 0 0 0 -";
    let other = "a-client-with-a-very-long-n… 2";
    let expected = [
        head.to_owned(),
        format!("client.example 1 today {ours}"),
        format!("client.example 1 30 {ours}"),
        format!("{other} today {none}"),
        format!("{other} 30 {none}"),
        format!("in all today {ours}"),
        format!("in all 30 {ours}"),
    ];
    assert_eq!(cells.iter().map(|it| it.join(" ")).collect::<Vec<_>>(), expected);
    let widths: Vec<usize> = said.lines().map(|it| it.chars().count()).collect();
    assert!(widths.iter().all(|width| *width == widths[0] && *width <= 100), "{said}");
}

#[test]
fn what_happens_is_counted_on_sqlite() {
    what_happens_is_counted(Site::new(OPTIONS));
}

#[test]
fn what_happens_is_counted_on_postgresql() {
    let cluster: Arc<Cluster> = Cluster::shared();
    let database = cluster.create_database();
    what_happens_is_counted(Site::on_postgres(OPTIONS, &cluster.uri(&database)));
}

#[test]
fn a_number_of_days_is_one_of_those_that_are_kept() {
    let site = Site::new("");
    for (days, complaint) in [
        ("--days=0", "--days=0: expected a number from 1 to 400, today included"),
        ("--days=401", "--days=401: expected"),
        ("--days=+7", "--days=+7: expected"),
        ("--days=week", "--days=week: expected"),
    ] {
        let output = admin(&site, &["--stats", days]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(complaint), "{}", stderr(&output));
    }
    let output = admin(&site, &["--list", "--days=7"]);
    assert!(stderr(&output).contains("--days=N belongs to --stats"), "{}", stderr(&output));
}
