//! Expired rows are deleted, and still count.

use challenger_proto::machine::Validation;
use challenger_proto::oauth::Client;
use challenger_proto::store::{Commit, Write};
use challenger_proto::{Span, Timestamp};
use challenger_server::store::{Collected, Registry, Store};

use super::database::{TestDatabase, served};
use super::{NOW, fresh, has_grant, open, redemption, register, reload};

/// Validations and grants are deleted when they expire, each by its own time, and their clients'
/// totals grow.
pub(crate) fn garbage_is_counted_when_it_goes<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let ada = register(&store, "https://ada.example/cb", "x");
    let bob = register(&store, "https://bob.example/cb", "x");
    let expiring = |client: &Client, id: u8, expires: Timestamp| {
        let validation = Validation { expires, ..fresh(client, [id; 32]) };
        let write = Write::Open(validation.clone(), client.secret.digest);
        assert_eq!(store.commit(&write), Ok(Commit::Done));
        validation
    };
    let later = NOW.plus(Span::seconds(1));
    let short_lived = expiring(&ada, 1, NOW);
    expiring(&ada, 2, Timestamp::EPOCH);
    let living = expiring(&ada, 3, later);
    let eternal = expiring(&ada, 4, Timestamp::NEVER);
    let bobs = expiring(&bob, 5, NOW);
    // Grants expire on their own: this one is to outlive its validation.
    let Write::Redeem(redeemed, mut grant) = redemption(short_lived.clone(), [1; 32]) else {
        unreachable!()
    };
    grant.expires = later;
    assert_eq!(store.commit(&Write::Redeem(redeemed, grant)), Ok(Commit::Done));
    assert_eq!(store.commit(&redemption(bobs, [2; 32])), Ok(Commit::Done));

    let collected = store.collect_garbage(NOW);
    assert_eq!(collected, Ok(Collected { validations: 3, grants: 1, balances: 0 }));
    assert_eq!(store.collect_garbage(NOW), Ok(Collected::default()));
    assert!(reload(&store, &short_lived).is_none());
    assert!(reload(&store, &living).is_some() && reload(&store, &eternal).is_some());
    assert!(has_grant(&store, [1; 32]) && !has_grant(&store, [2; 32]));
    assert_eq!(
        store.collect_garbage(later),
        Ok(Collected { validations: 1, grants: 1, balances: 0 })
    );
    assert_eq!([totals(&it, &ada), totals(&it, &bob)], [(3, 1), (1, 1)]);
}

/// More rows are deleted than fit into one piece.
pub(crate) fn garbage_is_collected_in_pieces<D: TestDatabase>() {
    const ROWS: i64 = 2500;
    let (it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let kept = open(&store, &client, [1; 32]);
    let row = |number| format!("({}, {}, '{{}}', 0, 0)", token::<D>(number), client.id);
    let rows: Vec<String> = (0..ROWS).map(row).collect();
    let columns = "token, client, address, valid_until, expires";
    it.execute(&format!("INSERT INTO grants ({columns}) VALUES {}", rows.join(", ")));
    let collected = store.collect_garbage(Timestamp::EPOCH);
    assert_eq!(collected, Ok(Collected { grants: ROWS.unsigned_abs(), ..Collected::default() }));
    assert_eq!(totals(&it, &client), (0, ROWS));
    assert_eq!(reload(&store, &kept), Some(kept));
}

fn token<D: TestDatabase>(number: i64) -> String {
    D::bytes(&format!("{number:064x}"))
}

/// How many rows of a client were deleted: validations, grants.
pub(crate) fn totals(it: &impl TestDatabase, client: &Client) -> (i64, i64) {
    let total =
        |column| it.number(&format!("SELECT {column} FROM clients WHERE id = {}", client.id));
    (total("validations_collected"), total("grants_collected"))
}
