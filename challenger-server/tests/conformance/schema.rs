//! Schemas are checked, migrated and reset; rows are kept as they should be.

use challenger_proto::machine::{Earlier, Progress, RowVersion, Validation};
use challenger_proto::oauth::{
    AuthorizationRequest, ClientId, ClientName, GrantSerial, HashedSecret, RedirectUri,
};
use challenger_proto::secret::{AddressDigest, NonceDigest, TokenDigest};
use challenger_proto::store::{Commit, Keys, Write};
use challenger_proto::{Entropy, Timestamp};
use challenger_server::store::{Changed, Changes, NewClient, OpenMode, Registry, Store};

use super::database::{TestDatabase, error_of, served};
use super::{NOW, email, fresh, has_grant, open, redemption, register, reload};

/// A server begins with the version that it knows, and refuses others.
pub(crate) fn schemas_are_checked_before_serving<D: TestDatabase>() {
    let it = D::create();
    let tool = it.open(OpenMode::Maintain).unwrap();
    let place = it.place();
    let error = error_of(it.open(OpenMode::Serve));
    assert_eq!(error, format!("{place}: has no schema yet; run challenger-dbinit"));
    assert!(tool.migrate().is_ok());
    assert!(it.open(OpenMode::Serve).is_ok());

    it.set_version(99);
    let error = format!(
        "{place}: has schema version 99, but this program knows 5 at most; upgrade the program"
    );
    assert_eq!(error_of(it.open(OpenMode::Serve)), error);
    assert_eq!(error_of(tool.migrate()), error);
    assert_eq!(tool.reset(), Ok(()));
    assert!(it.open(OpenMode::Serve).is_ok());
}

/// A database of another program is refused, whatever it is opened for.
pub(crate) fn databases_of_others_are_left_alone<D: TestDatabase>() {
    let it = D::create();
    let expected = it.occupy();
    for mode in [OpenMode::Maintain, OpenMode::Serve, OpenMode::Use] {
        let error = error_of(it.open(mode));
        assert!(error.ends_with(expected), "{error}");
    }
}

/// Migrating again changes nothing, and resetting leaves nothing, not even tables of others.
pub(crate) fn migrating_keeps_and_resetting_drops<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let validation = open(&store, &client, [1; 32]);
    assert_eq!(store.commit(&redemption(validation.clone(), [2; 32])), Ok(Commit::Done));
    assert!(store.migrate().is_ok());
    assert!(reload(&store, &validation).is_some());

    let another = "CREATE TABLE \"a \"\" table\" (x int)";
    it.execute(another);
    assert_eq!(store.reset(), Ok(()));
    assert!(reload(&store, &validation).is_none());
    assert!(!has_grant(&store, [2; 32]));
    it.execute(another); // It would fail if the table was still there.
    // A store that was open all the while goes on.
    let again = register(&store, "https://client.example/cb", "x");
    assert_eq!(again.id, client.id);
    open(&store, &again, [1; 32]);
}

/// A database of version 1 has to be migrated; then its rows are as they were, and can remember
/// earlier addresses.
pub(crate) fn version_1_is_migrated_and_keeps_its_rows<D: TestDatabase>() {
    let it = D::create();
    it.create_version_1();
    it.execute(&rows_of_version_1::<D>());
    let error = error_of(it.open(OpenMode::Serve));
    let expected = "has schema version 1, but this program needs 5; run challenger-dbinit";
    assert_eq!(error, format!("{}: {expected}", it.place()));
    it.migrate();
    let [catalogue, name] = D::INDEXES;
    let indexes =
        format!("SELECT count(*) FROM {catalogue} WHERE {name} LIKE '%\\_by\\_%' ESCAPE '\\'");
    assert_eq!(it.number(&indexes), 2);
    rows_are_as_they_were(&it);
}

/// A database of version 2 has to be migrated; then its rows are as they were, and its clients can
/// have budgets.
pub(crate) fn version_2_is_migrated_and_keeps_its_rows<D: TestDatabase>() {
    let it = D::create();
    it.create_version_1();
    it.execute(&rows_of_version_1::<D>());
    it.execute(D::STEPS[0]);
    it.set_version(2);
    it.execute("UPDATE clients SET deleting = true");
    let error = error_of(it.open(OpenMode::Serve));
    let expected = "has schema version 2, but this program needs 5; run challenger-dbinit";
    assert_eq!(error, format!("{}: {expected}", it.place()));
    it.migrate();
    let tool = it.open(OpenMode::Use).unwrap();
    let summaries = tool.clients().unwrap();
    assert!(summaries[0].is_being_deleted && summaries[0].messages_per_day.is_none());
    it.execute("UPDATE clients SET deleting = false");
    let budget = Changes { messages_per_day: Some(Some(5)), ..Changes::default() };
    assert_eq!(tool.change_client(summaries[0].id, &budget), Ok(Changed::Done));
    assert_eq!(tool.clients().unwrap()[0].messages_per_day, Some(5));
    rows_are_as_they_were(&it);
}

/// A database of version 3 has to be migrated; then its rows are as they were: no client is open,
/// and each authorization request named its redirect URI.
pub(crate) fn version_3_is_migrated_and_keeps_its_rows<D: TestDatabase>() {
    let it = D::create();
    create_version(&it, 3);
    it.execute("UPDATE clients SET messages_per_day = 5");
    it.execute("UPDATE validations SET authorized = true WHERE version = 3");
    let error = error_of(it.open(OpenMode::Serve));
    let expected = "has schema version 3, but this program needs 5; run challenger-dbinit";
    assert_eq!(error, format!("{}: {expected}", it.place()));
    it.migrate();
    let store = it.serve();
    let summary = &store.clients().unwrap()[0];
    assert_eq!((summary.messages_per_day, summary.open), (Some(5), false));
    let opened = Changes { open: Some(true), ..Changes::default() };
    assert_eq!(store.change_client(summary.id, &opened), Ok(Changed::Done));
    let keys = Keys {
        validation: Some(NonceDigest::from_bytes([0x22; 32])),
        client: Some(summary.id),
        ..Keys::default()
    };
    let rows = store.load(&keys).unwrap();
    assert!(rows.client.unwrap().open);
    let validation = rows.validation.unwrap();
    assert_eq!(validation.request_uri_until, None);
    assert!(validation.authorization.unwrap().names_redirect_uri);
    rows_are_as_they_were(&it);
}

/// What a server of version 3 writes to newer tables can be read, by the same rules.
pub(crate) fn servers_of_version_3_go_on_with_the_tables_of_today<D: TestDatabase>() {
    let (it, store) = served::<D>();
    it.execute(&rows_of_version_1::<D>());
    rows_are_as_they_were(&it);
    // This one was opened by a server of today.
    it.execute("UPDATE validations SET authorized = true WHERE version = 1");
    let keys = Keys { client: ClientId::new(3), ..Keys::default() };
    let client = store.load(&keys).unwrap().client.unwrap();
    let request = AuthorizationRequest { names_redirect_uri: true, ..Default::default() };
    let row = Validation { authorization: Some(request), ..fresh(&client, [1; 32]) };
    assert_eq!(reload(&store, &row), Some(row));
}

/// A database of version 4 has to be migrated; then its rows are as they were: no client has a
/// name, another secret or a time, and none is disabled.
pub(crate) fn version_4_is_migrated_and_keeps_its_rows<D: TestDatabase>() {
    let it = D::create();
    create_version(&it, 4);
    it.execute("UPDATE clients SET messages_per_day = 5, open = true");
    let error = error_of(it.open(OpenMode::Serve));
    let expected = "has schema version 4, but this program needs 5; run challenger-dbinit";
    assert_eq!(error, format!("{}: {expected}", it.place()));
    it.migrate();
    let store = it.serve();
    let [summary] = &store.clients().unwrap()[..] else { panic!("one") };
    assert_eq!((summary.messages_per_day, summary.open), (Some(5), true));
    assert_eq!((&summary.name, summary.disabled, summary.created), (&None, false, None));
    let keys = Keys { client: Some(summary.id), ..Keys::default() };
    let client = store.load(&keys).unwrap().client.unwrap();
    assert_eq!((client.earlier_secret, client.name, client.disabled), (None, None, false));
    rows_are_as_they_were(&it);
}

/// What a server of version 4 writes to newer tables can be read, and it can write what is there.
pub(crate) fn servers_of_version_4_go_on_with_the_tables_of_today<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let new = RedirectUri::parse("https://client.example/new").unwrap();
    let named = NewClient {
        name: ClientName::parse("Shop"),
        ..NewClient::new(new, HashedSecret::new("x", Entropy::new([9; 32])))
    };
    let id = store.add_client(&named, NOW).unwrap().id();
    let load = Keys { client: Some(id), ..Keys::default() };
    let client = store.load(&load).unwrap().client.unwrap();
    let ours = open(&store, &client, [2; 32]);
    let hex: String = ours.id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let (name, digest) = (D::bytes(&hex), D::bytes(&"07".repeat(32)));
    // As version 4 opens a validation, changes one, and takes another secret.
    it.execute(&format!(
        "INSERT INTO validations (id, version, client, expires, redirect_uri, read_only, \
            authorized, names_redirect_uri, request_uri_until, addresses_left, refunds_left, \
            progress) \
        SELECT {digest}, 1, id, 4000000000, redirect_uri, false, true, false, 1790000300, 3, 3, \
            'open' FROM clients WHERE id = {id}; \
        UPDATE validations SET version = version + 1, addresses_left = 1 WHERE id = {name}; \
        UPDATE clients SET secret_digest = {digest}, messages_per_day = 5, open = true",
    ));
    let theirs = Keys { validation: Some(NonceDigest::from_bytes([7; 32])), ..Keys::default() };
    let theirs = store.load(&theirs).unwrap().validation.unwrap();
    assert_eq!((theirs.created, theirs.client_name, theirs.last_failure), (None, None, None));
    let changed = Validation { version: ours.version.next(), addresses_left: 1, ..ours };
    assert_eq!(reload(&store, &changed), Some(changed));
    let client = store.load(&load).unwrap().client.unwrap();
    assert_eq!((client.name, client.messages_per_day, client.open), (named.name, Some(5), true));
    assert_eq!(client.secret.digest.as_bytes(), &[7; 32]);
}

/// Creates the schema and rows as a program of this version did.
pub(crate) fn create_version<D: TestDatabase>(it: &D, wanted: i64) {
    it.create_version_1();
    it.execute(&rows_of_version_1::<D>());
    for (version, step) in (2..=wanted).zip(D::STEPS) {
        it.execute(step);
        it.set_version(version);
    }
}

fn rows_are_as_they_were<D: TestDatabase>(it: &D) {
    let store = it.serve();
    let summaries = store.clients().unwrap();
    let [summary] = &summaries[..] else { panic!("{summaries:?}") };
    assert_eq!((summary.validations, summary.grants, summary.is_being_deleted), (7, 7, false));
    let load = Keys {
        client: ClientId::new(3),
        validation: Some(NonceDigest::from_bytes([0; 32])),
        grant: Some(TokenDigest::from_bytes([0; 32])),
        count: None,
        accounts: None,
    };
    let loaded = store.load(&load).unwrap();
    let (client, validation) = (loaded.client.unwrap(), loaded.validation.unwrap());
    assert_eq!(client.redirect_uri.as_str(), "https://client.example/cb");
    assert_eq!((validation.version, validation.addresses_left), (RowVersion(7), 2));
    assert_eq!(validation.expires, Timestamp::from_seconds(4_000_000_000));
    let (serial, grant) = loaded.grant.unwrap();
    assert_eq!((serial, grant.client), (GrantSerial(9), client.id));
    assert_eq!(store.commit(&Write::Update(validation, Vec::new())), Ok(Commit::Done));
    open(&store, &client, [1; 32]);
    a_challenged_row_goes_on(&store);
}

fn a_challenged_row_goes_on(store: &dyn Store) {
    let id = NonceDigest::from_bytes([0x22; 32]);
    let load = Keys { validation: Some(id), ..Keys::default() };
    let mut validation = store.load(&load).unwrap().validation.unwrap();
    let Progress::Challenged(challenge) = &validation.progress else { panic!("{validation:?}") };
    assert_eq!(challenge.address, email("ada@example.com"));
    assert_eq!((challenge.sent_at, challenge.attempts_left), (Some(NOW), 1));
    assert_eq!((validation.version.0, &validation.earlier), (3, &vec![]));
    let digest = AddressDigest::from_bytes([0x33; 32]);
    validation.earlier.push(Earlier {
        address: digest,
        mailbox: digest,
        salt: challenge.salt,
        sent_at: Some(NOW),
        transmissions_left: 2,
        attempts_left: 1,
    });
    assert_eq!(store.commit(&Write::Update(validation.clone(), Vec::new())), Ok(Commit::Done));
    validation.version = validation.version.next();
    assert_eq!(reload(store, &validation), Some(validation));
}

/// A client with a grant, an open validation, and one that waits for its PIN, as a program of
/// version 1 kept them.
fn rows_of_version_1<D: TestDatabase>() -> String {
    let [salt, zeros, twos] =
        [("11", 16), ("00", 32), ("22", 32)].map(|(hex, count)| D::bytes(&hex.repeat(count)));
    format!(
        "INSERT INTO clients (id, redirect_uri, secret_salt, secret_digest, \
            validations_collected, grants_collected) \
        VALUES (3, 'https://client.example/cb', {salt}, {zeros}, 5, 6); \
        INSERT INTO validations (id, version, client, expires, redirect_uri, read_only, \
            authorized, addresses_left, refunds_left, progress) \
        VALUES ({zeros}, 7, 3, 4000000000, 'https://client.example/cb', false, false, 2, 3, \
            'open'); \
        INSERT INTO validations (id, version, client, expires, redirect_uri, read_only, \
            authorized, addresses_left, refunds_left, progress, address, salt, sent_at, \
            transmissions_left, attempts_left) \
        VALUES ({twos}, 3, 3, 1790003600, 'https://client.example/cb', false, false, 2, 3, \
            'challenged', '{{\"CONTACT_EMAIL\":\"ada@example.com\"}}', {twos}, 1790000000, 2, 1); \
        INSERT INTO grants (id, token, client, address, valid_until, expires) \
        VALUES (9, {zeros}, 3, '{{\"CONTACT_EMAIL\":\"a\"}}', 1, 4000000000)"
    )
}
