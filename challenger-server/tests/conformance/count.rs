//! The number of validations of a client, as exactly as a store has to know it.

use challenger_proto::machine::Validation;
use challenger_proto::oauth::{Client, ClientId};
use challenger_proto::store::{Commit, Count, Keys, Records, Write};
use challenger_proto::{Span, Timestamp};
use challenger_server::store::Store;

use super::database::{TestDatabase, served};
use super::{NOW, fresh, register};

/// The number that a load returns.
fn number(store: &dyn Store, client: ClientId, now: Timestamp, most: u32) -> u32 {
    let count = Some(Count { client, now, most });
    store.load(&Keys { client: Some(client), count, ..Keys::default() }).unwrap().count
}

/// A count is exact when it is made. A store adds what it opened itself; it learns of what another
/// store opened a few seconds later.
pub(crate) fn open_validations_are_counted<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let other = it.serve();
    let (store, other): (&D::Store, &D::Store) = (&store, &other);
    let mut records = Records::default();
    let [ada, bob] = ["https://ada.example/cb", "https://bob.example/cb"].map(|uri| {
        let client = register(store, uri, "x");
        records.insert_client(client.clone());
        client
    });
    let mut open = |store: &dyn Store, client: &Client, id: u8, expires: Timestamp| {
        let write =
            Write::Open(Validation { expires, ..fresh(client, [id; 32]) }, client.secret.digest);
        assert_eq!(store.commit(&write), Ok(Commit::Done));
        assert_eq!(records.commit(&write), Commit::Done);
        // A second one with the same identity does not count.
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
        let load = Keys { client: Some(client), count, ..Keys::default() };
        assert_eq!(store.load(&load), Ok(records.load(&load)));
    }
}
