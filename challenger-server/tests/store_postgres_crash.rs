//! The database is stopped, killed and started again, and no store has to be opened again.

#![cfg(feature = "postgres")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use challenger_proto::machine::Validation;
use challenger_proto::secret::TokenDigest;
use challenger_proto::store::{Commit, Keys, Write};
use challenger_server::store::{OpenMode, PostgresDatabase, PostgresStore, Registry, Store};
use challenger_testkit::{Cluster, Dice, End};
use conformance::{open, redemption, register, reload};

#[allow(dead_code, unused_imports, reason = "other tests use the rest")]
mod conformance;

const THREADS: u8 = 8;

/// How often to look for something that takes time, and how many times at most.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS: usize = 6000;

fn store_in(cluster: &Cluster) -> PostgresStore {
    let uri = cluster.uri(&cluster.create_database());
    let database = PostgresDatabase::parse(&uri, |_| None).unwrap();
    PostgresStore::open(database.clone(), OpenMode::Maintain).unwrap().migrate().unwrap();
    PostgresStore::open(database, OpenMode::Serve).unwrap()
}

/// Loads and commits in many threads at once, so that each of them needs a connection.
fn all_at_work(store: &PostgresStore, rows: &[Validation]) {
    let start = Barrier::new(rows.len());
    thread::scope(|scope| {
        for row in rows {
            scope.spawn(|| {
                for _ in 0..3 {
                    start.wait();
                    let seen = reload(store, row).unwrap();
                    start.wait();
                    assert_eq!(store.commit(&Write::Update(seen, Vec::new())), Ok(Commit::Done));
                }
            });
        }
    });
}

#[test]
fn after_a_restart_nobody_notices_the_dead_connections() {
    let cluster = Cluster::durable();
    let store = store_in(&cluster);
    let client = register(&store, "https://client.example/cb", "x");
    let rows: Vec<_> = (0..THREADS).map(|id| open(&store, &client, [id; 32])).collect();
    for (round, end) in (100..).zip([End::Fast, End::Immediate, End::Killed]) {
        all_at_work(&store, &rows);
        cluster.end(end);
        cluster.start();
        // A connection that was used a moment ago would be trusted.
        thread::sleep(LOOK * 20);
        // Commits first: no load has found out about the restart before.
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (store, client) = (&store, &client);
                let mut id = [round; 32];
                id[0] = number;
                scope.spawn(move || open(store, client, id));
            }
        });
        all_at_work(&store, &rows);
    }
    let load = Keys { validation: Some(rows[0].id), ..Keys::default() };
    cluster.end(End::Fast);
    let message = store.load(&load).unwrap_err().to_string();
    assert!(message.starts_with("PostgreSQL database "), "{message}");
    let message =
        store.commit(&Write::Update(rows[0].clone(), Vec::new())).unwrap_err().to_string();
    assert!(message.contains("error connecting to server: "), "{message}");
    cluster.start();
    all_at_work(&store, &rows);
}

#[test]
fn what_was_acknowledged_survives() {
    let cluster = Cluster::durable();
    let store = store_in(&cluster);
    let client = register(&store, "https://client.example/cb", "x");
    let rows: Vec<_> = (0..THREADS).map(|id| open(&store, &client, [id; 32])).collect();
    let acknowledged: Vec<_> = rows.iter().map(|row| AtomicI64::new(row.version.0)).collect();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for (row, acknowledged) in rows.iter().zip(&acknowledged) {
            let (store, over) = (&store, &over);
            scope.spawn(move || {
                let unsure = AtomicBool::new(false);
                while !over.load(Ordering::Relaxed) {
                    step(store, row, acknowledged, &unsure);
                }
            });
        }
        // Ends the threads even if this one panics.
        let _ends = Ends(&over);
        let mut dice = Dice::Seeded(7);
        for round in 0..6 {
            let before: Vec<_> = acknowledged.iter().map(|it| it.load(Ordering::Relaxed)).collect();
            for (now, before) in acknowledged.iter().zip(before) {
                let moved = (0..LOOKS).any(|_| {
                    thread::sleep(LOOK);
                    now.load(Ordering::Relaxed) >= before + 3
                });
                assert!(moved, "everybody gets on with their work before round {round}");
            }
            thread::sleep(Duration::from_millis(dice.between(0, 99)));
            cluster.end([End::Killed, End::Immediate, End::Fast][round % 3]);
            cluster.start();
        }
    });
    for (row, acknowledged) in rows.iter().zip(acknowledged) {
        assert!(reload(&store, row).unwrap().version.0 >= acknowledged.into_inner());
    }
}

/// One request: loads a row that nobody else changes, and redeems it once more.
fn step(store: &PostgresStore, row: &Validation, acknowledged: &AtomicI64, unsure: &AtomicBool) {
    // While the database is down there are errors, which say nothing about the rows.
    let load = Keys { validation: Some(row.id), ..Keys::default() };
    let Ok(loaded) = store.load(&load) else { return };
    let seen = loaded.validation.expect("the row was acknowledged");
    assert!(seen.version.0 >= acknowledged.load(Ordering::Relaxed), "a change was lost");
    let mut token = *row.id.as_bytes();
    token[..8].copy_from_slice(&seen.version.0.to_le_bytes());
    let next = seen.version.next().0;
    match store.commit(&redemption(seen, token)) {
        Ok(Commit::Done) => {
            acknowledged.store(next, Ordering::Relaxed);
            unsure.store(false, Ordering::Relaxed);
            let load = Keys { grant: Some(TokenDigest::from_bytes(token)), ..Keys::default() };
            assert!(store.load(&load).map_or(true, |loaded| loaded.grant.is_some()));
        }
        // Nobody else changes the row, but the last try, whose answer was lost, may have been
        // carried out after the load. A try that was repeated although it had been carried out
        // would show here as well.
        Ok(Commit::Conflict) => assert!(unsure.swap(false, Ordering::Relaxed), "a doubled change"),
        Err(_) => unsure.store(true, Ordering::Relaxed),
    }
}

/// Sets the flag when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
