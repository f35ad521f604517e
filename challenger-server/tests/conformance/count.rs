//! How many validations a client has, as far as a store has to know.

use challenger_proto::{
    Client, ClientId, Commit, Count, GrantSerial, Load, NonceDigest, Records, RowVersion, Span,
    Timestamp, TokenDigest, Validation, Write,
};
use challenger_server::store::{Registry, Store};

use super::{NOW, fresh, register};

/// What a load says.
fn number(store: &dyn Store, client: ClientId, now: Timestamp, most: u32) -> u32 {
    let count = Some(Count { client, now, most });
    store.load(&Load { client: Some(client), count, ..Load::default() }).unwrap().count
}

/// A count is exact when it is made, and a store knows what it opened itself; what another one
/// opened, it learns a few seconds later.
pub(crate) fn open_validations_are_counted(
    store: &dyn Store,
    other: &dyn Store,
    registry: &dyn Registry,
) {
    let mut records = Records::default();
    let [ada, bob] = ["https://ada.example/cb", "https://bob.example/cb"].map(|uri| {
        let client = register(registry, uri, "x");
        records.insert_client(client.clone());
        client
    });
    let mut open = |store: &dyn Store, client: &Client, id: u8, expires: Timestamp| {
        let write =
            Write::Open(Validation { expires, ..fresh(client, [id; 32]) }, client.secret.digest);
        assert_eq!(store.commit(&write), Ok(Commit::Done));
        assert_eq!(records.commit(&write), Commit::Done);
        // Another one of the same name is no other.
        assert_eq!(store.commit(&write), Ok(Commit::Conflict));
    };
    let later = |seconds| NOW.plus(Span::seconds(seconds));
    open(store, &ada, 1, NOW);
    for (id, seconds) in [(2, 1), (3, 10), (4, 10), (5, 1_000_000)] {
        open(store, &ada, id, later(seconds));
    }
    open(store, &bob, 6, later(10));
    assert_eq!(number(other, ada.id, NOW, 100), 4, "of those, one is over");
    assert_eq!(number(store, ada.id, NOW, 100), 4);
    assert_eq!(number(store, bob.id, NOW, 100), 1);
    open(store, &ada, 7, later(10));
    assert_eq!(number(store, ada.id, later(1), 100), 5);
    assert_eq!(number(other, ada.id, later(4), 100), 4);
    assert_eq!(number(other, ada.id, later(5), 100), 4, "one is over, and there is a new one");
    let unknown = ClientId::new(4711).unwrap();
    for (client, seconds, most) in [
        (ada.id, 20, 100),
        (ada.id, 30, 1),
        (ada.id, 40, 0),
        (ada.id, 2_000_000, 100),
        (bob.id, 5, 100),
        (unknown, 5, 100),
    ] {
        let count = Some(Count { client, now: later(seconds), most });
        let load = Load { client: Some(client), count, ..Load::default() };
        assert_eq!(store.load(&load), Ok(records.load(&load)));
    }
}

/// Whoever is interrupted while deleting a client leaves one that is void, and what has not expired
/// goes with the garbage.
pub(crate) fn what_is_left_of_a_client_is_collected(
    store: &dyn Store,
    registry: &dyn Registry,
    begin_to_delete: impl FnOnce(&Client),
) {
    let ada = register(registry, "https://ada.example/cb", "x");
    let bob = register(registry, "https://bob.example/cb", "x");
    let hers = super::open(store, &ada, [1; 32]);
    let his = super::open(store, &bob, [2; 32]);
    assert_eq!(store.commit(&super::redemption(hers.clone(), [1; 32])), Ok(Commit::Done));
    begin_to_delete(&ada);
    let list = registry.clients().unwrap();
    assert_eq!(list.iter().map(|it| it.is_being_deleted).collect::<Vec<_>>(), [true, false]);
    let collected = registry.collect_garbage(Timestamp::EPOCH).unwrap();
    assert_eq!((collected.validations, collected.grants), (0, 0), "these had not expired");
    assert_eq!(super::reload(store, &hers), None);
    assert!(!super::has_grant(store, [1; 32]));
    assert_eq!(super::reload(store, &his), Some(his));
    assert_eq!(registry.clients().unwrap().len(), 1);
}

/// What the tests of both stores put into a database of version 1 is still there.
pub(crate) fn version_1_is_there(store: &dyn Store, registry: &dyn Registry) {
    let load = Load {
        client: ClientId::new(3),
        validation: Some(NonceDigest::from_bytes([0; 32])),
        grant: Some(TokenDigest::from_bytes([0; 32])),
        count: None,
    };
    let loaded = store.load(&load).unwrap();
    let (client, validation) = (loaded.client.unwrap(), loaded.validation.unwrap());
    assert_eq!(client.redirect_uri.as_str(), "https://a.example/cb");
    assert_eq!((validation.version, validation.addresses_left), (RowVersion(7), 2));
    assert_eq!(validation.expires, Timestamp::from_seconds(4_000_000_000));
    let (serial, grant) = loaded.grant.unwrap();
    assert_eq!((serial, grant.client), (GrantSerial(9), client.id));
    let list = registry.clients().unwrap();
    let [summary] = &list[..] else { panic!("{list:?}") };
    assert_eq!((summary.validations, summary.grants, summary.is_being_deleted), (6, 7, false));
    assert_eq!(store.commit(&Write::Update(validation)), Ok(Commit::Done));
    super::open(store, &client, [1; 32]);
}
