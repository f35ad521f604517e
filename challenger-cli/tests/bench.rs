//! The benchmark works: flows come to their end on both stores, and the limit runs the statements
//! that a server sends to PostgreSQL at most. Speed is not tested.

#![cfg(feature = "bench")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use challenger_testkit::{Cluster, End, code_of, wrong};
use serde_json::Value;
use site::{REDIRECT_URI, SECRET, Site, stderr};

/// How many flows go through when statements are counted: enough to distinguish statements of each
/// from those that are run once.
const FLOWS: u64 = 20;

/// Runs `challenger-bench flows` once, with these more arguments.
fn bench(arguments: &str) -> Value {
    let connections = if arguments.contains("--connections") { "" } else { "--connections 2" };
    report(&format!("flows --runs 1 {connections} {arguments}"))
}

/// Runs `challenger-bench`.
fn report(arguments: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_challenger-bench"));
    let output = command.args(arguments.split_whitespace()).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Flows came to their end, and nothing else happened.
fn went_well(cell: &Value) {
    cell["runs"].as_array().unwrap().iter().for_each(ran_well);
}

fn ran_well(run: &Value) {
    let flows = run["flows"].as_u64().unwrap();
    assert!(flows > 0, "{run}");
    assert_eq!(run["requests"], 7 * flows, "{run}");
    assert_eq!(run["errors"].as_object().unwrap().len(), 0, "{run}");
}

#[test]
fn flows_go_through_on_both_stores_beside_their_limit() {
    let report = bench("--seconds 1");
    let services = report["services"].as_array().unwrap();
    let names: Vec<&str> = services.iter().map(|it| it["service"].as_str().unwrap()).collect();
    assert_eq!(names, ["PostgreSQL", "SQLite"]);
    services.iter().for_each(went_well);
    assert!(services[0]["limit_flows_per_second"]["median"].as_f64().unwrap() > 0.0);
    went_well(&report["driver_alone"][0]);
    let settings = &report["settings"];
    assert_eq!(settings["PostgreSQL"]["fsync"], "on");
    assert_eq!(settings["PostgreSQL"]["synchronous_commit"], "on");
    assert_eq!(settings["SQLite"]["journal_mode"], "wal");
    // 2 is FULL.
    assert_eq!(settings["SQLite"]["synchronous"], "2");
}

#[test]
fn flows_go_through_with_real_helpers_over_a_unix_socket_and_for_programs() {
    let report = bench(
        "--stores sqlite --helper process --socket unix --reader program --alone --seconds 1",
    );
    went_well(&report["services"][0]);
}

#[test]
fn flows_go_through_with_helpers_that_stay() {
    let report = bench("--helper resident --alone --seconds 1");
    report["services"].as_array().unwrap().iter().for_each(went_well);
}

#[test]
fn the_helper_that_stays_takes_lines_and_ends_with_them() {
    let run = |arguments: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_challenger-bench"));
        command.args(arguments.split(' ')).stdin(Stdio::null()).output().unwrap()
    };
    let ended = run("resident --codes . --serve");
    assert!(ended.status.success() && ended.stdout.is_empty(), "{}", stderr(&ended));
    assert!(!run("resident --codes .").status.success());
}

#[test]
fn flows_go_through_while_old_rows_are_deleted() {
    let report = bench("--old-rows 3000 --seconds 4");
    for aged in report["old_rows"].as_array().unwrap() {
        went_well(&aged["empty"]);
        went_well(&aged["full"]);
        let deleted = aged["deleted"].as_u64().unwrap();
        assert!((1..=3000).contains(&deleted), "{aged}");
    }
}

#[test]
fn servers_of_one_database_serve_each_flow_together() {
    let report = bench("--servers 2 --alone --seconds 1");
    report["services"].as_array().unwrap().iter().for_each(went_well);
}

#[test]
fn what_has_expired_is_deleted_while_flows_go_on() {
    let report = report("growth --flows 300 --day 3 --connections 4 --servers 2");
    let days = report["days"].as_array().unwrap();
    let (first, last) = (&days[0], days.last().unwrap());
    days.iter().for_each(|day| ran_well(&day["run"]));
    assert!(last["flows"].as_u64().unwrap() >= 300, "{last}");
    assert_eq!(first["deleted"], 0, "{first}");
    assert!(days.len() < 4 || last["deleted"].as_u64().unwrap() > 0, "{last}");
    for table in ["validations", "grants", "ledger"] {
        let table = &first["tables"][table];
        let figures = ["bytes", "index_bytes"].map(|it| table[it].as_u64().unwrap());
        assert!(figures.iter().all(|it| *it > 0), "{first}");
    }
    assert!(first["wal_bytes_per_flow"].as_f64().unwrap() > 0.0, "{first}");
}

#[test]
fn two_builds_take_turns_on_databases_with_slow_commits() {
    let this = env!("CARGO_BIN_EXE_challenger-bench");
    let report = bench(&format!("--slow-commits --against {this} --seconds 1 --connections 1,2"));
    let pairs = report["against"].as_array().unwrap();
    let connections: Vec<_> = pairs.iter().map(|it| it["new"]["connections"].as_u64()).collect();
    assert_eq!(connections, [Some(1), Some(2)]);
    for pair in pairs {
        assert_eq!(pair["new"]["service"], "PostgreSQL");
        went_well(&pair["old"]);
        went_well(&pair["new"]);
        for figure in ["flows/s", "server CPU ms/flow", "database CPU ms/flow"] {
            assert!(pair["ratios"][figure]["median"].as_f64().unwrap() > 0.0, "{pair}");
        }
    }
    let report = bench("--slow-commits --alone --seconds 1");
    let settings = &report["settings"]["PostgreSQL"];
    assert_eq!(
        (&settings["commit_delay"], &settings["commit_siblings"]),
        (&"3000".into(), &"0".into())
    );
}

#[test]
fn a_service_that_runs_is_measured_by_its_messages() {
    let mut site = Site::new("AUTH_ADDRESS_FORMAT = plain\nHELPERS_MAX = 64");
    site.set_helper("#!/bin/sh\nexec cat > \"${0%/*}/codes/$1\"\n");
    let codes = site.directory.path().join("codes");
    std::fs::create_dir(&codes).unwrap();
    site.start();
    let arguments = format!(
        "--url http://127.0.0.1:{} --client-secret {SECRET} --redirect-uri {REDIRECT_URI} \
         --codes {} --seconds 1",
        site.port,
        codes.display()
    );
    went_well(&bench(&arguments)["services"][0]);
    site.stop();
}

#[test]
fn the_server_asks_no_more_of_the_database_than_the_limit() {
    let cluster = Cluster::durable();
    let library = "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'";
    cluster.psql("postgres", library);
    cluster.end(End::Fast);
    cluster.start();
    let database = cluster.create_database();
    cluster.psql(&database, "CREATE EXTENSION pg_stat_statements");
    let mut site = Site::on_postgres("", &cluster.uri(&database));

    site.start();
    cluster.psql(&database, "SELECT pg_stat_statements_reset()");
    for number in 0..FLOWS {
        flow(&site, &format!("person{number}@example.com"));
    }
    let served = statements(&cluster, &database);
    site.stop();

    cluster.psql(&database, "SELECT pg_stat_statements_reset()");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/bench/flow.sql");
    let mut pgbench = Command::new("pgbench");
    pgbench.args(["-M", "prepared", "-n", "-t", &FLOWS.to_string()]);
    let output = pgbench.arg("-f").arg(file).arg(cluster.uri(&database)).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let limit = statements(&cluster, &database);

    // A server may know rows already, and not load them; what it writes is the same.
    for (text, calls) in &served {
        assert!(limit.get(text).is_some_and(|most| calls <= most), "{text}: {served:#?}");
    }
    let writes = |statements: &BTreeMap<String, u64>| {
        let mut statements = statements.clone();
        statements.retain(|text, _| !text.starts_with("SELECT"));
        statements
    };
    assert_eq!(writes(&served), writes(&limit));
    assert_eq!(limit.values().sum::<u64>(), 14, "{limit:#?}");
    let rows = format!(
        "SELECT count(*) FROM challenger.validations v JOIN challenger.grants g \
         ON g.token = v.token WHERE v.progress = 'redeemed' AND v.version = 6 \
         HAVING count(*) = {}",
        2 * FLOWS
    );
    assert_eq!(cluster.psql(&database, &rows), (2 * FLOWS).to_string());
}

/// One flow, as the benchmark's people go through it.
fn flow(site: &Site, address: &str) {
    let nonce = site.setup();
    let query = "response_type=code&client_id=1&state=a1b2c3d4";
    assert_eq!(site.get(&format!("authorize/{nonce}?{query}"), &[]).status, 200);
    assert_eq!(site.challenge(&nonce, address).status, 200);
    let pin = site.pin(address);
    assert_eq!(site.solve(&nonce, &wrong(&pin)).status, 403);
    let reply = site.solve(&nonce, &pin);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let token = site.token(&code_of(reply.json()["redirect_url"].as_str().unwrap()));
    assert_eq!(token.status, 200, "{}", token.body);
    assert_eq!(site.info(token.json()["access_token"].as_str().unwrap()).status, 200);
}

/// The statements about our tables, without the values, and how often each is run for each flow.
fn statements(cluster: &Cluster, database: &str) -> BTreeMap<String, u64> {
    let json = cluster.psql(
        database,
        "SELECT json_agg(json_build_object('query', query, 'calls', calls)) \
         FROM pg_stat_statements WHERE query LIKE '%challenger.%' AND query NOT LIKE '%json_agg%'",
    );
    let rows: Vec<Value> = serde_json::from_str(&json).unwrap();
    let mut calls = BTreeMap::<String, u64>::new();
    for row in rows {
        let text = without_values(row["query"].as_str().unwrap());
        *calls.entry(text).or_default() += row["calls"].as_u64().unwrap();
    }
    // Statements that are run less often belong to no flow.
    calls.retain(|_, calls| *calls >= FLOWS);
    calls.into_iter().map(|(text, calls)| (text, calls / FLOWS)).collect()
}

/// A statement with `?` for each value, however it is made, and single spaces.
fn without_values(query: &str) -> String {
    let words: Vec<&str> = query.split_whitespace().collect();
    let mut left = words.join(" ");
    let mut text = String::new();
    while let Some(at) = left.find('$') {
        let digits = left[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        text.push_str(&left[..at]);
        text.push('?');
        left.drain(..=at + digits);
    }
    text.push_str(&left);
    let text = text.replace("sha256(int8send(?))", "?").replace("( ", "(").replace(" )", ")");
    // Literals that are not replaced, in some versions of PostgreSQL.
    text.replace("NULL", "?").replace("true", "?").replace("false", "?").replace('\n', " ")
}
