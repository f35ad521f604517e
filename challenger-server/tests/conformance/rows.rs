//! Rows are found as they were written, and no change is lost, however many make them.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use challenger_proto::Entropy;
use challenger_proto::oauth::{ClientId, HashedSecret, RedirectUri};
use challenger_proto::store::{Commit, Keys, Write};
use challenger_server::store::{Added, NewClient, Registry, Store};

use super::database::{TestDatabase, served};
use super::{NOW, has_grant, open, redemption, register, reload, walk_like_records};

/// Whatever is loaded and committed, the store answers as the reference store does.
pub(crate) fn a_random_walk_goes_as_in_the_reference_store<D: TestDatabase>() {
    for seed in 1..=3 {
        let (_it, store) = served::<D>();
        walk_like_records(&store, &store, seed, 2000);
    }
}

/// A registered client is found again. Numbers start at one, and each belongs to one client.
pub(crate) fn clients_are_registered_once<D: TestDatabase>() {
    let (_it, store) = served::<D>();
    let first = register(&store, "https://first.example/cb", "x");
    let second = register(&store, "https://second.example/cb", "y");
    assert_eq!([first.id, second.id].map(ClientId::number), [1, 2]);
    let other_secret = HashedSecret::new("z", Entropy::new([8; 32]));
    let again = store.add_client(&NewClient::new(first.redirect_uri.clone(), other_secret), NOW);
    assert_eq!(again, Ok(Added::Exists(first.id)));
    for client in [first, second] {
        let load = Keys { client: Some(client.id), ..Keys::default() };
        assert_eq!(store.load(&load).unwrap().client, Some(client));
    }
}

/// Eight threads count in one row, and no count is lost.
pub(crate) fn eight_threads_change_one_row(store: &dyn Store, registry: &dyn Registry) {
    const ROUNDS: usize = 25;
    let client = register(registry, "https://contended.example/cb", "x");
    let mut validation = open(store, &client, [1; 32]);
    validation.addresses_left = 0;
    assert_eq!(store.commit(&Write::Update(validation.clone(), Vec::new())), Ok(Commit::Done));
    let before = reload(store, &validation).unwrap();
    let (done, conflicts) = (AtomicI64::new(0), AtomicI64::new(0));
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut seen = reload(store, &validation).unwrap();
                start.wait(); // Now all of them have the same version.
                for _ in 0..ROUNDS {
                    loop {
                        seen.addresses_left += 1;
                        let commit = store.commit(&Write::Update(seen, Vec::new())).unwrap();
                        seen = reload(store, &validation).unwrap();
                        if commit == Commit::Done {
                            done.fetch_add(1, Ordering::Relaxed);
                            break;
                        }
                        conflicts.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let (done, conflicts) = (done.into_inner(), conflicts.into_inner());
    let after = reload(store, &validation).unwrap();
    assert_eq!(usize::try_from(done).unwrap(), 8 * ROUNDS);
    assert_eq!(after.version.0 - before.version.0, done);
    assert_eq!(i64::from(after.addresses_left), done);
    assert!(conflicts >= 7, "{conflicts} conflicts, but seven threads began with a stale row");
}

/// If many register a client at once, one is registered.
pub(crate) fn many_register_the_same_client_once<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let added: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let uri = RedirectUri::parse("https://a.example/").unwrap();
                    let secret = HashedSecret::new("x", Entropy::new([3; 32]));
                    store.add_client(&NewClient::new(uri, secret), NOW).unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(added.iter().filter(|added| matches!(added, Added::New(_))).count(), 1);
    assert_eq!(it.number("SELECT count(*) FROM clients"), 1);
}

/// Each store sees at once what the other one wrote, and so does one that is opened later.
pub(crate) fn stores_share_what_is_there<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let other = it.serve();
    let client = register(&store, "https://client.example/cb", "x");
    let validation = open(&store, &client, [1; 32]);
    assert_eq!(reload(&other, &validation), Some(validation.clone()));
    assert_eq!(store.commit(&Write::Update(validation.clone(), Vec::new())), Ok(Commit::Done));
    let second = reload(&other, &validation).unwrap();
    assert_eq!(second.version, validation.version.next());
    assert_eq!(other.commit(&redemption(second.clone(), [7; 32])), Ok(Commit::Done));
    assert_eq!(store.commit(&Write::Update(second, Vec::new())), Ok(Commit::Conflict));
    assert!(has_grant(&store, [7; 32]));
    let last = reload(&store, &validation);
    drop((store, other));

    let reopened = it.serve();
    assert_eq!(reload(&reopened, &validation), last);
    assert!(has_grant(&reopened, [7; 32]));
    let load = Keys { client: Some(client.id), ..Keys::default() };
    assert_eq!(reopened.load(&load).unwrap().client, Some(client));
}

/// Two stores count in one row, and no count is lost.
pub(crate) fn two_stores_change_one_row<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let other = it.serve();
    let client = register(&store, "https://client.example/cb", "x");
    let validation = open(&store, &client, [1; 32]);
    let count = |store: &D::Store| {
        let mut done = 0;
        for _ in 0..100 {
            let seen = reload(store, &validation).unwrap();
            done += i64::from(store.commit(&Write::Update(seen, Vec::new())) == Ok(Commit::Done));
        }
        done
    };
    let (here, there) = thread::scope(|scope| {
        let there = scope.spawn(|| count(&other));
        (count(&store), there.join().unwrap())
    });
    assert_eq!(reload(&store, &validation).unwrap().version.0, 1 + here + there);
}

/// Threads that contend for a row, or for a code, lose nothing.
pub(crate) fn threads_that_contend_lose_nothing<D: TestDatabase>() {
    let (_it, store) = served::<D>();
    eight_threads_change_one_row(&store, &store);
    one_code_buys_one_grant(&store, &store);
}

/// Sixty-four threads redeem one code, and it buys one grant.
pub(crate) fn one_code_buys_one_grant(store: &dyn Store, registry: &dyn Registry) {
    let client = register(registry, "https://raced.example/cb", "x");
    let validation = open(store, &client, [2; 32]);
    let start = Barrier::new(64);
    let winners: Vec<u8> = thread::scope(|scope| {
        let start = &start;
        let threads: Vec<_> = (0..64_u8)
            .map(|number| {
                let redemption = redemption(validation.clone(), [number; 32]);
                scope.spawn(move || {
                    start.wait();
                    (number, store.commit(&redemption).unwrap())
                })
            })
            .collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap());
        results.filter(|(_, commit)| *commit == Commit::Done).map(|(number, _)| number).collect()
    });
    assert_eq!(winners.len(), 1);
    let granted: BTreeSet<u8> = (0..64).filter(|number| has_grant(store, [*number; 32])).collect();
    assert_eq!(granted, BTreeSet::from_iter(winners));
}
