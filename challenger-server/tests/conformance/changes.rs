//! What an operator changes of a client: its name, its secrets, its redirect URI, and whether it
//! may do anything at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use challenger_proto::oauth::{Client, ClientName, HashedSecret, RedirectUri};
use challenger_proto::store::{Commit, Keys, Write};
use challenger_proto::{Entropy, Span, Timestamp};
use challenger_server::store::{Changed, Changes, NewClient, Registry, Rotated, Store};
use challenger_testkit::Raise;

use super::database::{TestDatabase, served};
use super::{NOW, fresh, open, register, reload};

const DAY: Span = Span::days(1);

fn hashed(secret: &str) -> HashedSecret {
    HashedSecret::new(secret, Entropy::new([9; 32]))
}

fn find(store: &dyn Store, client: &Client) -> Client {
    let load = Keys { client: Some(client.id), ..Keys::default() };
    store.load(&load).unwrap().client.unwrap()
}

fn disable(disabled: bool) -> Changes {
    Changes { disabled: Some(disabled), ..Changes::default() }
}

/// All that is said about a new client is kept, with the time.
pub(crate) fn a_client_is_registered_with_all_it_has<D: TestDatabase>() {
    let (_it, store) = served::<D>();
    let uri = RedirectUri::parse("https://client.example/cb").unwrap();
    let new = NewClient {
        name: ClientName::parse("Zoë & Söhne"),
        messages_per_day: Some(5),
        open: true,
        ..NewClient::new(uri.clone(), hashed("x"))
    };
    let id = store.add_client(&new, NOW).unwrap().id();
    let plain = Client::new(id, uri, hashed("x"));
    let (name, messages_per_day) = (new.name.clone(), new.messages_per_day);
    let expected = Client { name, messages_per_day, open: true, ..plain.clone() };
    assert_eq!(find(&store, &plain), expected);
    let [summary] = &store.clients().unwrap()[..] else { panic!("one") };
    assert_eq!((&summary.name, summary.created), (&new.name, Some(NOW)));
    assert_eq!((summary.disabled, summary.earlier_secret_until), (false, None));
    // What it opens says when, and keeps its name.
    let opened = open(&store, &expected, [1; 32]);
    assert_eq!((opened.created, &opened.client_name), (Some(NOW), &new.name));
    assert_eq!(reload(&store, &opened), Some(opened.clone()));
    let unnamed = Changes { name: Some(None), ..Changes::default() };
    assert_eq!(store.change_client(id, &unnamed), Ok(Changed::Done));
    assert_eq!(find(&store, &plain).name, None);
    assert_eq!(reload(&store, &opened), Some(opened));
}

/// What is not asked for stays as it is, and all that is asked for is done, or nothing.
pub(crate) fn changes_are_made_together<D: TestDatabase>() {
    let (_it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let other = register(&store, "https://other.example/cb", "x");
    let uri = RedirectUri::parse("https://new.example/cb").unwrap();
    let all = Changes {
        disabled: Some(true),
        messages_per_day: Some(Some(5)),
        name: Some(ClientName::parse("Shop")),
        open: Some(true),
        redirect_uri: Some(uri.clone()),
    };
    assert_eq!(store.change_client(client.id, &all), Ok(Changed::Done));
    let changed = Client {
        disabled: true,
        messages_per_day: Some(5),
        name: ClientName::parse("Shop"),
        open: true,
        redirect_uri: uri.clone(),
        ..client
    };
    assert_eq!(find(&store, &client), changed);
    assert_eq!(store.change_client(client.id, &Changes::default()), Ok(Changed::Done));
    assert_eq!(find(&store, &client), changed);
    let refused = Changes {
        disabled: Some(false),
        messages_per_day: Some(None),
        name: Some(None),
        ..Changes::default()
    };
    assert_eq!(store.change_client(client.id, &refused), Ok(Changed::NeedsBudget));
    let taken = Changes {
        disabled: Some(false),
        redirect_uri: Some(other.redirect_uri.clone()),
        ..Changes::default()
    };
    assert_eq!(store.change_client(client.id, &taken), Ok(Changed::Taken(other.id)));
    assert_eq!(find(&store, &client), changed);
    let same = Changes { redirect_uri: Some(uri), ..Changes::default() };
    assert_eq!(store.change_client(client.id, &same), Ok(Changed::Done));
    assert_eq!(find(&store, &other), other);
}

/// A client moves to another place, which is its alone; what it has opened stays where it was.
pub(crate) fn a_client_moves<D: TestDatabase>() {
    let (_it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let before = open(&store, &client, [1; 32]);
    let uri = RedirectUri::parse("https://new.example/cb").unwrap();
    let moved = Changes { redirect_uri: Some(uri.clone()), ..Changes::default() };
    assert_eq!(store.change_client(client.id, &moved), Ok(Changed::Done));
    assert_eq!(reload(&store, &before), Some(before));
    assert_eq!(find(&store, &client).redirect_uri, uri);
    let again = register(&store, "https://client.example/cb", "x");
    assert_ne!(again.id, client.id);

    // Of several who want the same place, one gets it.
    let uri = RedirectUri::parse("https://wanted.example/cb").unwrap();
    let wish = Changes { redirect_uri: Some(uri), ..Changes::default() };
    let mut outcomes = thread::scope(|scope| {
        let threads = [client.id, again.id].map(|id| {
            let (store, wish) = (&store, &wish);
            scope.spawn(move || (id, store.change_client(id, wish).unwrap()))
        });
        threads.map(|it| it.join().unwrap())
    });
    outcomes.sort_by_key(|(_, changed)| *changed != Changed::Done);
    let [(first, done), (_, refused)] = outcomes;
    assert_eq!((done, refused), (Changed::Done, Changed::Taken(first)));
}

/// The secret of before is kept as long as that is asked for, and then not even for a new one.
pub(crate) fn a_secret_may_be_kept_for_a_while<D: TestDatabase>() {
    let (_it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "a");
    let (a, b, c) = (client.secret, hashed("b"), hashed("c"));
    let until = NOW.plus(DAY);
    let stands = |secret, earlier: Option<(HashedSecret, Timestamp)>| {
        let expected = Client { secret, earlier_secret: earlier, ..client.clone() };
        assert_eq!(find(&store, &client), expected);
        let said = store.clients().unwrap()[0].earlier_secret_until;
        assert_eq!(said, earlier.map(|(_, until)| until));
    };
    let rotate = |secret, keep, now| store.rotate_secret(client.id, secret, keep, now).unwrap();
    let opened = open(&store, &client, [1; 32]);
    assert_eq!(rotate(b, Some(DAY), NOW), Rotated::Done);
    stands(b, Some((a, until)));
    // What was decided with the old secret is decided again, and by then either is good.
    let by = |secret: HashedSecret, id: u8| {
        store.commit(&Write::Open(fresh(&client, [id; 32]), secret.digest)).unwrap()
    };
    assert_eq!((by(a, 2), by(b, 2)), (Commit::Conflict, Commit::Done));
    assert_eq!(reload(&store, &opened), Some(opened));

    let last = NOW.plus(Span::seconds(DAY.as_seconds() - 1));
    assert_eq!(rotate(c, Some(DAY), last), Rotated::KeepsEarlier(until));
    stands(b, Some((a, until)));
    assert_eq!(rotate(c, Some(DAY), until), Rotated::Done);
    stands(c, Some((b, until.plus(DAY))));
    assert_eq!(rotate(a, None, until), Rotated::Done);
    stands(a, None);
}

/// A client that is being deleted has no secret, of now or of before, and does nothing.
pub(crate) fn a_deletion_voids_both_secrets<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "a");
    assert_eq!(store.rotate_secret(client.id, hashed("b"), Some(DAY), NOW), Ok(Rotated::Done));
    let limit = Changes { messages_per_day: Some(Some(5)), open: Some(true), ..Changes::default() };
    assert_eq!(store.change_client(client.id, &limit), Ok(Changed::Done));
    it.execute("CREATE TABLE keeper (client bigint REFERENCES clients (id))");
    it.execute(&format!("INSERT INTO keeper VALUES ({})", client.id));
    assert!(store.delete_client(client.id).is_err());
    let left = find(&store, &client);
    assert_eq!((left.earlier_secret, left.open, left.disabled), (None, false, true));
    assert_eq!(left.secret.digest.as_bytes(), &[0; 32]);
    it.execute("DROP TABLE keeper");
    assert_eq!(store.delete_client(client.id), Ok(true));
    assert_eq!(store.clients(), Ok(Vec::new()));
}

/// When it is said that a client is disabled, it opens nothing any more, whatever is under way.
pub(crate) fn nothing_opens_once_a_client_is_disabled<D: TestDatabase>() {
    const CROWD: u8 = 4;
    let (it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let count = || it.number("SELECT count(*) FROM validations");
    for round in 0..8 {
        let over = AtomicBool::new(false);
        let at_the_end = thread::scope(|scope| {
            let at_the_end = Raise(&over);
            let begun = count();
            for thread in 0..CROWD {
                let (store, client, over) = (&store, &client, &over);
                scope.spawn(move || {
                    for number in 0_u16.. {
                        let [high, low] = number.to_be_bytes();
                        let mut id = [round; 32];
                        id[..3].copy_from_slice(&[thread, high, low]);
                        let write = Write::Open(fresh(client, id), client.secret.digest);
                        let _ = store.commit(&write).unwrap();
                        if over.load(Ordering::SeqCst) {
                            return;
                        }
                    }
                });
            }
            challenger_testkit::wait_for("a crowd", || (count() > begun + 20).then_some(()));
            assert_eq!(store.change_client(client.id, &disable(true)), Ok(Changed::Done));
            let at_once = count();
            thread::yield_now();
            let write = Write::Open(fresh(&client, [99; 32]), client.secret.digest);
            assert_eq!(store.commit(&write), Ok(Commit::Conflict));
            drop(at_the_end);
            at_once
        });
        assert_eq!(count(), at_the_end, "round {round}");
        assert_eq!(store.change_client(client.id, &disable(false)), Ok(Changed::Done));
    }
    open(&store, &client, [99; 32]);
}
