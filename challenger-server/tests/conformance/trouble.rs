//! Corrupt rows and locks are errors that harm nothing, and secrets are not kept.

use challenger_proto::oauth::ClientId;
use challenger_proto::secret::TokenDigest;
use challenger_proto::store::{Commit, Keys, Rows, Write};
use challenger_server::store::Store;

use super::database::{TestDatabase, error_of, served};
use super::{flow, open, register, reload};

/// A corrupt row is an error that names the column, and does not quote the content.
pub(crate) fn corrupt_rows_are_refused<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let salt = D::bytes("00");
    for (nonce, nonsense, column) in [
        (1, "redirect_uri = 'secret nonsense'", "redirect_uri"),
        (2, "progress = 'nonsense'", "progress"),
        (3, "progress = 'challenged'", "address"),
        (4, "addresses_left = 256", "addresses_left"),
        (5, "expires = -1", "expires"),
        (6, &format!("progress = 'challenged', address = '{{}}', salt = {salt}"), "salt"),
        (7, "authorized = true, code_challenge = 'nonsense'", "code_challenge_method"),
    ] {
        let validation = open(&store, &client, [nonce; 32]);
        let load = Keys { validation: Some(validation.id), ..Keys::default() };
        assert!(store.load(&load).is_ok());
        // Only this row has not changed yet.
        it.execute(&format!("UPDATE validations SET version = 9, {nonsense} WHERE version = 1"));
        let expected = format!("validations.{column} of a row holds what it must not");
        let error = error_of(store.load(&load));
        assert_eq!(error, format!("{}: {expected}", it.place()), "{nonsense}");
    }
    let sound = open(&store, &client, [8; 32]);
    assert_eq!(reload(&store, &sound), Some(sound));
}

/// A row that stays locked is an error in time. Reading goes on, and so does writing afterwards.
pub(crate) fn a_lock_that_lasts_is_an_error_and_no_harm<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let validation = open(&store, &client, [1; 32]);
    let (lock, expected) = it.lock();
    let error = error_of(store.commit(&Write::Update(validation.clone(), Vec::new())));
    assert!(error.starts_with(&it.place()) && error.contains(expected), "{error}");
    assert_eq!(reload(&store, &validation), Some(validation.clone()));
    drop(lock);
    assert_eq!(store.commit(&Write::Update(validation, Vec::new())), Ok(Commit::Done));
}

/// A database that went away is named in the error.
pub(crate) fn a_database_that_is_gone_is_an_error<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let expected = it.remove();
    let load = Keys { grant: Some(TokenDigest::from_bytes([0; 32])), ..Keys::default() };
    let error = error_of(store.load(&load));
    assert!(error.contains(expected), "{error}");
}

/// No secret of a validation is in the database, while the store is open and afterwards.
pub(crate) fn no_secret_is_kept<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let secrets = flow::secrets_of_a_flow(&store, &store);
    assert_eq!(secrets.len(), 9);
    let load = Keys { client: ClientId::new(1), ..Keys::default() };
    let salt = store.load(&load).unwrap().client.unwrap().secret.salt;
    let while_open = it.contents();
    drop(store);
    for contents in [while_open, it.contents()] {
        assert!(contains(&contents, flow::ADDRESS.as_bytes()), "the search works");
        assert!(contains(&contents, &salt), "and finds bytes");
        for (number, secret) in secrets.iter().enumerate() {
            assert!(!contains(&contents, secret), "secret number {number}");
        }
    }
}

/// Whether bytes are there, as they are or in hex.
fn contains(contents: &[u8], wanted: &[u8]) -> bool {
    let hex: String = wanted.iter().map(|byte| format!("{byte:02x}")).collect();
    let is_there = |wanted: &[u8]| contents.windows(wanted.len()).any(|window| window == wanted);
    is_there(wanted) || is_there(hex.as_bytes())
}
