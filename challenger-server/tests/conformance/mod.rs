//! The laws that every store obeys. [`laws`] makes a test of each, on one kind of database.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use challenger_proto::address::{Address, AddressType};
use challenger_proto::machine::{Limits, Progress, RowVersion, Solution, Validation};
use challenger_proto::oauth::{Client, Grant, HashedSecret, RedirectUri};
use challenger_proto::secret::{CodeDigest, Nonce, Salt, TokenDigest};
use challenger_proto::store::{Commit, Keys, Write};
use challenger_proto::{Entropy, Timestamp};
use challenger_server::store::{Added, NewClient, Registry, Store};

mod changes;
mod clients;
mod count;
mod database;
pub(crate) mod flow;
mod garbage;
mod ledger;
mod people;
mod rows;
mod schema;
mod statistics;
mod trouble;
mod walk;
mod warnings;

pub(crate) use changes::*;
pub(crate) use clients::*;
pub(crate) use count::*;
pub(crate) use database::{TestDatabase, error_of, laws, served};
pub(crate) use garbage::*;
pub(crate) use ledger::*;
pub(crate) use people::*;
pub(crate) use rows::*;
pub(crate) use schema::*;
pub(crate) use statistics::*;
pub(crate) use trouble::*;
pub(crate) use walk::walk_like_records;
pub(crate) use warnings::*;

/// Any fixed point in time will do.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

/// Registers a new client.
pub(crate) fn register(registry: &dyn Registry, uri: &str, secret: &str) -> Client {
    let redirect_uri = RedirectUri::parse(uri).unwrap();
    let secret = HashedSecret::new(secret, Entropy::new([3; 32]));
    let Added::New(id) =
        registry.add_client(&NewClient::new(redirect_uri.clone(), secret), NOW).unwrap()
    else {
        panic!("{uri} is registered already");
    };
    Client::new(id, redirect_uri, secret)
}

/// A new validation that is not in the store.
pub(crate) fn fresh(client: &Client, id: [u8; 32]) -> Validation {
    let limits = Limits::for_type(&AddressType::new("email").unwrap());
    let nonce = Nonce::draw(Entropy::new(id));
    Validation {
        id: nonce.digest(),
        client: client.id,
        version: RowVersion::FIRST,
        created: Some(NOW),
        expires: NOW.plus(limits.validation_duration),
        redirect_uri: client.redirect_uri.clone(),
        client_name: client.name.clone(),
        prefill: None,
        read_only: false,
        authorization: None,
        request_uri_until: None,
        addresses_left: limits.address_changes,
        refunds_left: limits.refunds,
        last_failure: None,
        earlier: Vec::new(),
        progress: Progress::Open,
    }
}

/// A new validation in the store.
pub(crate) fn open(store: &dyn Store, client: &Client, id: [u8; 32]) -> Validation {
    let validation = fresh(client, id);
    assert_eq!(
        store.commit(&Write::Open(validation.clone(), client.secret.digest)),
        Ok(Commit::Done)
    );
    validation
}

/// The validation as the store has it now.
pub(crate) fn reload(store: &dyn Store, validation: &Validation) -> Option<Validation> {
    let load = Keys { validation: Some(validation.id), ..Keys::default() };
    store.load(&load).unwrap().validation
}

/// Whether the store has a grant for the token.
pub(crate) fn has_grant(store: &dyn Store, token: [u8; 32]) -> bool {
    let load = Keys { grant: Some(TokenDigest::from_bytes(token)), ..Keys::default() };
    store.load(&load).unwrap().grant.is_some()
}

pub(crate) fn email(text: &str) -> Address {
    Address::new([("CONTACT_EMAIL".to_owned(), text.to_owned())]).unwrap()
}

/// The write that redeems a code.
pub(crate) fn redemption(mut validation: Validation, token: [u8; 32]) -> Write {
    let token = TokenDigest::from_bytes(token);
    let solution = Solution {
        address: email("ada@example.com"),
        salt: Salt::from_bytes([4; 32]),
        at: NOW,
        renewed_at: NOW,
        code: CodeDigest::from_bytes([5; 32]),
    };
    validation.progress = Progress::Redeemed { solution, token, at: NOW };
    let grant = Grant {
        token,
        client: validation.client,
        address: email("ada@example.com"),
        valid_until: Timestamp::NEVER,
        expires: validation.expires,
    };
    Write::Redeem(validation, grant)
}
