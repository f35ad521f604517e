//! The operator's changes of clients, and their effects on the server.

use std::thread;

use challenger_proto::machine::Validation;
use challenger_proto::oauth::{Client, ClientId, HashedSecret, RedirectUri};
use challenger_proto::secret::{ClientSecretDigest, TokenDigest};
use challenger_proto::store::{Commit, Keys, Write};
use challenger_proto::{Entropy, Span, Timestamp};
use challenger_server::store::{Changed, Changes, ClientKey, NewClient, Registry, Rotated, Store};

use super::database::{TestDatabase, served};
use super::{NOW, fresh, has_grant, open, redemption, register, reload};

fn find(store: &dyn Store, client: &Client) -> Option<Client> {
    let load = Keys { client: Some(client.id), ..Keys::default() };
    store.load(&load).unwrap().client
}

/// The rows of the list: number, redirect URI, validations, grants.
fn list(registry: &dyn Registry) -> Vec<(i64, String, u64, u64)> {
    let clients = registry.clients().unwrap().into_iter();
    clients
        .map(|it| (it.id.number(), it.redirect_uri.as_str().to_owned(), it.validations, it.grants))
        .collect()
}

fn row(client: &Client, validations: u64, grants: u64) -> (i64, String, u64, u64) {
    (client.id.number(), client.redirect_uri.as_str().to_owned(), validations, grants)
}

/// A write of a request that loaded a client is a conflict once the client has another secret, or
/// is being deleted.
pub(crate) fn nothing_opens_by_a_secret_that_was_replaced<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let old = register(&store, "https://changing.example/cb", "x");
    let write = |seen: &Client, id: u8| Write::Open(fresh(seen, [id; 32]), seen.secret.digest);
    let (before, late) = (write(&old, 1), write(&old, 2));
    assert_eq!(store.commit(&before), Ok(Commit::Done));
    let secret = HashedSecret::new("y", Entropy::new([9; 32]));
    assert_eq!(store.rotate_secret(old.id, secret, None, NOW), Ok(Rotated::Done));
    assert_eq!(store.commit(&late), Ok(Commit::Conflict));
    assert_eq!(late.row().and_then(|row| reload(&store, row)), None);
    let new = Client { secret, ..old };
    assert_eq!(store.commit(&write(&new, 2)), Ok(Commit::Done));
    assert_eq!(store.end_unsolved(new.id, NOW), Ok(2));

    let void = D::bytes(&"00".repeat(32));
    it.execute(&format!("UPDATE clients SET deleting = true, secret_digest = {void}"));
    assert_eq!(store.commit(&write(&new, 3)), Ok(Commit::Conflict));
    assert_eq!(find(&store, &new).unwrap().secret.digest, ClientSecretDigest::from_bytes([0; 32]));
}

/// Totals survive the garbage collection, a new secret replaces the old one, and a client is
/// deleted with all its rows and no others.
pub(crate) fn clients_are_counted_changed_and_deleted<D: TestDatabase>() {
    let (_it, store) = served::<D>();
    let (store, registry): (&dyn Store, &dyn Registry) = (&store, &store);
    // The write of a request that loaded this client.
    let late = |seen: &Client, id: u8| {
        store.commit(&Write::Open(fresh(seen, [id; 32]), seen.secret.digest))
    };
    assert_eq!(list(registry), []);
    let first = register(registry, "https://first.example/cb", "x");
    let second = register(registry, "https://second.example/cb", "x");
    let third = register(registry, "https://third.example/cb", "x");
    let validations: Vec<Validation> = (1..=3).map(|id| open(store, &first, [id; 32])).collect();
    let others = open(store, &second, [4; 32]);
    for (validation, token) in [(&validations[0], 1), (&others, 4)] {
        let redemption = redemption(validation.clone(), [token; 32]);
        assert_eq!(store.commit(&redemption), Ok(Commit::Done));
    }
    let expected = [row(&first, 3, 1), row(&second, 1, 1), row(&third, 0, 0)];
    assert_eq!(list(registry), expected);
    let _ = registry.collect_garbage(NOW.plus(Span::seconds(1_000_000_000))).unwrap();
    assert_eq!(reload(store, &others), None);
    assert_eq!(list(registry), expected);

    let secret = HashedSecret::new("y", Entropy::new([9; 32]));
    assert_eq!(registry.rotate_secret(second.id, secret, None, NOW), Ok(Rotated::Done));
    assert_eq!(find(store, &second), Some(Client { secret, ..second.clone() }));
    assert_eq!(find(store, &first), Some(first.clone()));
    assert_eq!(late(&second, 8), Ok(Commit::Conflict), "the secret is another one now");
    let second = Client { secret, ..second };

    let (mine, theirs) = (open(store, &first, [5; 32]), open(store, &second, [6; 32]));
    assert_eq!(store.commit(&redemption(mine.clone(), [5; 32])), Ok(Commit::Done));
    assert_eq!(store.commit(&redemption(theirs.clone(), [6; 32])), Ok(Commit::Done));
    assert_eq!(registry.delete_client(first.id), Ok(true));
    assert_eq!((find(store, &first), reload(store, &mine)), (None, None));
    assert!(!has_grant(store, [5; 32]) && has_grant(store, [6; 32]));
    assert!(reload(store, &theirs).is_some());
    assert_eq!(store.commit(&Write::Update(mine, Vec::new())), Ok(Commit::Conflict));
    assert_eq!(late(&first, 7), Ok(Commit::Conflict));
    assert_eq!(list(registry), [row(&second, 2, 2), row(&third, 0, 0)]);

    for id in [first.id, ClientId::new(99).unwrap()] {
        assert_eq!(registry.find_client(&ClientKey::Id(id)), Ok(None));
        assert_eq!(registry.delete_client(id), Ok(false));
        assert_eq!(registry.rotate_secret(id, secret, None, NOW), Ok(Rotated::Unknown));
        assert_eq!(registry.change_client(id, &Changes::default()), Ok(Changed::Unknown));
    }
    let gone = ClientKey::RedirectUri(first.redirect_uri);
    assert_eq!(registry.find_client(&gone), Ok(None));
    let known = Ok(Some((third.id, third.redirect_uri.clone())));
    assert_eq!(registry.find_client(&ClientKey::Id(third.id)), known);
    let key = ClientKey::RedirectUri(third.redirect_uri.clone());
    assert_eq!(registry.find_client(&key), known);
    let again = register(registry, "https://first.example/cb", "x");
    assert!(again.id > third.id, "no number is used twice");
}

/// An interrupted deletion leaves a void client, which the garbage collection deletes.
pub(crate) fn what_is_left_of_a_client_is_collected<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let ada = register(&store, "https://ada.example/cb", "x");
    let bob = register(&store, "https://bob.example/cb", "x");
    let hers = open(&store, &ada, [1; 32]);
    let his = open(&store, &bob, [2; 32]);
    assert_eq!(store.commit(&redemption(hers.clone(), [1; 32])), Ok(Commit::Done));
    it.execute(&format!("UPDATE clients SET deleting = true WHERE id = {}", ada.id));
    let list = store.clients().unwrap();
    assert_eq!(list.iter().map(|it| it.is_being_deleted).collect::<Vec<_>>(), [true, false]);
    let collected = store.collect_garbage(Timestamp::EPOCH).unwrap();
    assert_eq!((collected.validations, collected.grants), (0, 0), "these had not expired");
    assert_eq!(reload(&store, &hers), None);
    assert!(!has_grant(&store, [1; 32]));
    assert_eq!(reload(&store, &his), Some(his));
    assert_eq!(store.clients().unwrap().len(), 1);
}

/// A client is opened only within a budget, and keeps it until it is closed.
pub(crate) fn an_open_client_has_a_budget<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let set = |open, messages_per_day| {
        let changes = Changes { open, messages_per_day, ..Changes::default() };
        store.change_client(client.id, &changes).unwrap()
    };
    let stands = |open, messages_per_day| {
        let expected = Client { open, messages_per_day, ..client.clone() };
        assert_eq!(find(&store, &client), Some(expected));
        let summary = &store.clients().unwrap()[0];
        assert_eq!((summary.open, summary.messages_per_day), (open, messages_per_day));
    };
    assert_eq!(set(Some(true), None), Changed::NeedsBudget);
    assert_eq!(set(Some(false), None), Changed::Done);
    stands(false, None);
    assert_eq!(set(None, Some(Some(0))), Changed::Done);
    assert_eq!(set(Some(true), None), Changed::Done);
    assert_eq!(set(Some(true), None), Changed::Done);
    assert_eq!(set(None, Some(None)), Changed::NeedsBudget);
    stands(true, Some(0));
    assert_eq!(set(None, Some(Some(5))), Changed::Done);
    stands(true, Some(5));
    assert_eq!(set(Some(true), Some(None)), Changed::NeedsBudget);
    assert_eq!(set(Some(false), Some(None)), Changed::Done);
    stands(false, None);
    assert_eq!(set(Some(true), Some(Some(7))), Changed::Done);
    stands(true, Some(7));

    it.execute("UPDATE clients SET deleting = true");
    for open in [true, false] {
        assert_eq!(set(Some(open), None), Changed::Unknown);
    }
    assert_eq!(store.delete_client(client.id), Ok(true));
    assert_eq!(set(Some(false), None), Changed::Unknown);

    let uri = RedirectUri::parse("https://client.example/cb").unwrap();
    let new = NewClient { open: true, ..NewClient::new(uri, client.secret) };
    let added = store.add_client(&new, NOW).unwrap();
    assert!(!find(&store, &Client { id: added.id(), ..client }).unwrap().open, "no budget");
}

/// If one opens a client while another takes its budget away, one of them is refused.
pub(crate) fn a_race_leaves_no_open_client_without_a_budget<D: TestDatabase>() {
    let (_it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let set = |open, messages_per_day| {
        let changes = Changes { open, messages_per_day, ..Changes::default() };
        store.change_client(client.id, &changes).unwrap()
    };
    for _ in 0..10 {
        let _ = set(None, Some(Some(1)));
        let changed = thread::scope(|scope| {
            let opens = scope.spawn(|| set(Some(true), None));
            [set(None, Some(None)), opens.join().unwrap()]
        });
        let refused = changed.iter().filter(|it| **it == Changed::NeedsBudget);
        assert_eq!(refused.count(), 1, "{changed:?}");
        let _ = set(Some(false), None);
    }
}

/// A grant is deleted, whether it is there or not, and nothing else.
pub(crate) fn a_grant_is_discarded_alone<D: TestDatabase>() {
    let (_it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    for id in [1, 2] {
        let validation = open(&store, &client, [id; 32]);
        assert_eq!(store.commit(&redemption(validation, [id; 32])), Ok(Commit::Done));
    }
    let before = reload(&store, &fresh(&client, [1; 32]));
    for _ in 0..2 {
        let discard = Write::Discard(TokenDigest::from_bytes([1; 32]));
        assert_eq!(store.commit(&discard), Ok(Commit::Done));
        assert!(!has_grant(&store, [1; 32]) && has_grant(&store, [2; 32]));
    }
    assert_eq!(reload(&store, &fresh(&client, [1; 32])), before);
}
