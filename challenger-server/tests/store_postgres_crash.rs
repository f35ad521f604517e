//! The database is stopped, killed and started again, and no store has to be opened again.

#![cfg(feature = "postgres")]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use challenger_proto::Span;
use challenger_proto::machine::Validation;
use challenger_proto::secret::{MailboxDigest, TokenDigest};
use challenger_proto::store::{Account, Commit, Entry, Event, Keys, MessageBudget, Rows, Write};
use challenger_server::store::{OpenMode, PostgresDatabase, PostgresStore, Registry, Store};
use challenger_testkit::{Cluster, Dice, End};
use conformance::{NOW, open, redemption, register, reload};

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

#[test]
fn what_was_charged_stays_charged() {
    let cluster = Cluster::durable();
    let store = store_in(&cluster);
    let client = register(&store, "https://client.example/cb", "x");
    let rows: Vec<_> = (0..THREADS).map(|id| open(&store, &client, [id; 32])).collect();
    let [done, unsure] = [(); 2].map(|()| rows.iter().map(|_| AtomicU32::new(0)).collect());
    let (done, unsure): (Vec<_>, Vec<_>) = (done, unsure);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for ((row, done), unsure) in rows.iter().zip(&done).zip(&unsure) {
            let (store, over) = (&store, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let charges = [account_of(row), Account::Service].map(charge);
                    let load = Keys { validation: Some(row.id), ..Keys::default() };
                    let Ok(Rows { validation: Some(row), .. }) = store.load(&load) else {
                        continue;
                    };
                    match store.commit(&Write::Update(row, charges.to_vec())) {
                        Ok(Commit::Done) => done.fetch_add(1, Ordering::Relaxed),
                        // The last one may have been carried out after the load.
                        Ok(Commit::Conflict) => 0,
                        Err(_) => unsure.fetch_add(1, Ordering::Relaxed),
                    };
                }
            });
        }
        let _ends = Ends(&over);
        for end in [End::Killed, End::Immediate, End::Killed] {
            let before: Vec<_> = done.iter().map(|it| it.load(Ordering::Relaxed)).collect();
            for (now, before) in done.iter().zip(before) {
                let moved = (0..LOOKS).any(|_| {
                    thread::sleep(LOOK);
                    now.load(Ordering::Relaxed) >= before + 5
                });
                assert!(moved, "everybody gets on with their work before {end:?}");
            }
            cluster.end(end);
            cluster.start();
        }
    });
    let spent = |account: Account| {
        let load = Keys { accounts: Some(vec![account]), ..Keys::default() };
        store.load(&load).unwrap().balances[0].spent
    };
    let number = |of: &AtomicU32| of.load(Ordering::Relaxed);
    for ((row, done), unsure) in rows.iter().zip(&done).zip(&unsure) {
        let spent = spent(account_of(row));
        assert!(number(done) <= spent && spent <= number(done) + number(unsure), "{spent}");
    }
    let [done, unsure] = [done, unsure].map(|all| all.iter().map(number).sum::<u32>());
    let seen = spent(Account::Service);
    assert_eq!(store.finish(), Ok(()));
    assert_eq!(spent(Account::Service), seen);
    // A portion that may have been taken is not spent, and each of those cost somebody a message.
    assert!(done <= seen && seen <= done + unsure * 16, "{done} {unsure} {seen}");
}

fn account_of(row: &Validation) -> Account {
    Account::Address(MailboxDigest::from_bytes(*row.id.as_bytes()))
}

fn charge(account: Account) -> Entry {
    let budget = MessageBudget { messages: u32::MAX, period: Span::days(1) };
    Entry { account, event: Event::Message { budget, now: NOW } }
}

/// Sets the flag when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
