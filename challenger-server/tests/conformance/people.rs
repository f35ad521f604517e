//! People are found by an address in any spelling, or by a reference, and forgotten.

use challenger_proto::Span;
use challenger_proto::Timestamp;
use challenger_proto::machine::{Challenge, Progress, Validation};
use challenger_proto::secret::Salt;
use challenger_proto::store::{Account, Commit, Entry, Event, MessageBudget, Write};
use challenger_server::store::{Forgotten, Found, Registry, Store, Whom};

use super::database::{TestDatabase, served};
use super::garbage::totals;
use super::{NOW, email, fresh, has_grant, open, redemption, register, reload};

/// A message to an address is paid for.
fn challenge(store: &dyn Store, validation: &Validation, address: &str) -> Validation {
    let address = email(address);
    let budget = MessageBudget { messages: 10, period: Span::days(1) };
    let event = Event::Message { budget, now: NOW };
    let entry = Entry { account: Account::of_address(&address), event };
    let challenge = Challenge {
        address,
        salt: Salt::from_bytes([4; 32]),
        sent_at: Some(NOW),
        transmissions_left: 2,
        attempts_left: 3,
    };
    let progress = Progress::Challenged(challenge);
    let write = Write::Update(Validation { progress, ..validation.clone() }, vec![entry]);
    assert_eq!(store.commit(&write), Ok(Commit::Done));
    write.row_after().unwrap()
}

/// What has an address in it is found in any of its spellings, and what has another is not; then
/// the same goes, and counts in the totals of its clients.
pub(crate) fn a_person_is_found_in_any_spelling_and_forgotten<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let ours = register(&store, "https://ours.example/cb", "x");
    let theirs = register(&store, "https://theirs.example/cb", "x");
    let prefill = Some(email("ADA@example.com"));
    let proposed = Validation { prefill, expires: Timestamp::NEVER, ..fresh(&theirs, [2; 32]) };
    let write = Write::Open(proposed.clone(), theirs.secret.digest);
    assert_eq!(store.commit(&write), Ok(Commit::Done));
    let redeem = redemption(open(&store, &ours, [3; 32]), [3; 32]);
    assert_eq!(store.commit(&redeem), Ok(Commit::Done));
    let redeemed = redeem.row_after().unwrap();
    // A grant outlives its validation.
    let short = Validation { expires: Timestamp::EPOCH, ..fresh(&ours, [4; 32]) };
    assert_eq!(store.commit(&Write::Open(short.clone(), ours.secret.digest)), Ok(Commit::Done));
    let Write::Redeem(row, mut grant) = redemption(short, [4; 32]) else { unreachable!() };
    grant.expires = Timestamp::NEVER;
    assert_eq!(store.commit(&Write::Redeem(row, grant)), Ok(Commit::Done));
    assert_eq!(store.collect_garbage(Timestamp::EPOCH).map(|it| it.validations), Ok(1));
    let waiting = challenge(&store, &open(&store, &ours, [1; 32]), "a.da+shop@example.com");
    let other = challenge(&store, &open(&store, &ours, [5; 32]), "bob@example.com");

    for spelling in ["ada@example.com", "A.d.a+x@example.com"] {
        let found = store.find(&Whom::Address(email(spelling))).unwrap();
        let Found { mut validations, grants, balances, has_more } = found;
        validations.sort_by_key(|it| it.id);
        let mut expected = vec![waiting.clone(), proposed.clone(), redeemed.clone()];
        expected.sort_by_key(|it| it.id);
        assert_eq!((validations, has_more), (expected, false));
        assert_eq!(grants.iter().map(|(serial, _)| serial.0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(balances.iter().map(|it| it.spent).collect::<Vec<_>>(), [1]);
    }
    let whom = Whom::Reference(redeemed.id.reference());
    let found = store.find(&whom).unwrap();
    assert_eq!((found.validations, found.grants.len()), (vec![redeemed], 1));
    assert_eq!(store.find(&Whom::Reference("ABCDEF".to_owned())), Ok(Found::default()));

    let forgotten = store.forget(&email("ada@example.com"));
    assert_eq!(forgotten, Ok(Forgotten { validations: 3, grants: 2, balances: 1 }));
    let whom = Whom::Address(email("ada@example.com"));
    assert_eq!(store.find(&whom), Ok(Found::default()));
    assert_eq!(store.forget(&email("ada@example.com")), Ok(Forgotten::default()));
    assert!(!has_grant(&store, [3; 32]) && !has_grant(&store, [4; 32]));
    // Whoever still has such a row has it in vain.
    assert_eq!(store.commit(&Write::Update(waiting, Vec::new())), Ok(Commit::Conflict));
    assert_eq!(reload(&store, &other), Some(other));
    assert_eq!([totals(&it, &ours), totals(&it, &theirs)], [(3, 2), (1, 0)]);
}

/// More rows are read and deleted than fit into one piece.
pub(crate) fn a_person_is_forgotten_in_pieces<D: TestDatabase>() {
    const ROWS: i64 = 2500;
    let (it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let row = |number: i64| {
        let (name, token) = (["ada", "bob"][usize::from(number % 5 == 0)], number);
        let token = D::bytes(&format!("{token:064x}"));
        format!("({token}, {}, '{{\"CONTACT_EMAIL\":\"{name}@example.com\"}}', 0, 0)", client.id)
    };
    let rows: Vec<String> = (0..ROWS).map(row).collect();
    let columns = "token, client, address, valid_until, expires";
    it.execute(&format!("INSERT INTO grants ({columns}) VALUES {}", rows.join(", ")));
    let forgotten = store.forget(&email("ada@example.com")).unwrap();
    assert_eq!(forgotten, Forgotten { grants: 2000, ..Forgotten::default() });
    assert_eq!(totals(&it, &client), (0, 2000));
    let found = store.find(&Whom::Address(email("bob@example.com"))).unwrap();
    assert_eq!((found.grants.len(), found.has_more), (500, false));
}
