//! The contract with a store: what a request needs to see, and the one change it asks for.

use crate::client::{Client, ClientId};
use crate::digest::{ClientSecretDigest, NonceDigest, TokenDigest};
use crate::grant::{Grant, GrantSerial};
use crate::time::Timestamp;
use crate::validation::Validation;

/// What to load: rows that are known from the request alone, and how far to count. An empty load
/// must not touch the store.
///
/// A store that reads every field is complete, so none will be added without a new major version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// A client by its identifier.
    pub client: Option<ClientId>,
    /// A validation by the digest of its nonce.
    pub validation: Option<NonceDigest>,
    /// A grant by the digest of its access token.
    pub grant: Option<TokenDigest>,
    /// How many validations of a client there are.
    pub count: Option<Count>,
}

/// What to count: the validations of a client whose time is not over.
///
/// [`crate::Records`] counts exactly. A store that many requests and servers use at the same time
/// may be wrong by those that others open in these seconds, so that no request waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Whose validations. If there is no such client, there is nothing to count.
    pub client: ClientId,
    /// The time now.
    pub now: Timestamp,
    /// Where to stop: whether there are so many, or more, is all the same.
    pub most: u32,
}

impl Load {
    /// Whether there is nothing to load.
    pub const fn is_empty(&self) -> bool {
        let Self { client, validation, grant, count } = self;
        client.is_none() && validation.is_none() && grant.is_none() && count.is_none()
    }
}

/// What was found. Expired rows are returned like others; the machine judges time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The client, if it was asked for and exists.
    pub client: Option<Client>,
    /// The validation, if it was asked for and exists.
    pub validation: Option<Validation>,
    /// The grant, if it was asked for and exists.
    pub grant: Option<(GrantSerial, Grant)>,
    /// How many validations were counted; 0 if nobody asked.
    pub count: u32,
}

/// The one change that a request asks for, all or nothing.
///
/// A store that carries out every variant is complete, so none will be added without a new major
/// version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Insert the row. Its client must exist and still have this secret, by which the request was
    /// allowed, and its nonce must not exist.
    Open(Validation, ClientSecretDigest),
    /// Replace the row, if it still has this version; the version then goes up by one.
    Update(Validation),
    /// The same, and insert the grant.
    Redeem(Validation, Grant),
    /// The same, and delete the grant of this token if it is still there.
    Revoke(Validation, TokenDigest),
}

impl Write {
    /// The row of the validation that is written, with the version that the decision rested on.
    pub const fn row(&self) -> &Validation {
        match self {
            Self::Open(row, _)
            | Self::Update(row)
            | Self::Redeem(row, _)
            | Self::Revoke(row, _) => row,
        }
    }
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Commit {
    /// Nothing was changed: the row, or the client, is no longer what the decision rested on.
    Conflict,
    /// It is kept, and survives a crash.
    Done,
}
