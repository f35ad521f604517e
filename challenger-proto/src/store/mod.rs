//! The contract with a store: the rows that a request needs, and the one change that it makes.

pub(crate) mod ledger;
pub(crate) mod records;

pub use ledger::{Account, Alert, Balance, Entry, Event, MessageBudget, OverBudget};
pub use records::Records;

use alloc::vec::Vec;

use crate::machine::validation::{Progress, Validation};
use crate::oauth::client::{Client, ClientId};
use crate::oauth::grant::{Grant, GrantSerial};
use crate::secret::digest::{ClientSecretDigest, NonceDigest, TokenDigest};
use crate::time::Timestamp;

/// The rows to load, all of them known from the request alone, and how far to count. There is
/// always at least one: what needs no rows is answered without a store.
///
/// A store that reads every field is complete, so none will be added without a new major version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// A client by its identifier.
    pub client: Option<ClientId>,
    /// A validation by the digest of its nonce.
    pub validation: Option<NonceDigest>,
    /// A grant by the digest of its access token.
    pub grant: Option<TokenDigest>,
    /// How many validations of a client there are.
    pub count: Option<Count>,
    /// Accounts of the ledger, if a message may have to be paid for. With them come the client of
    /// the validation, and that client's account.
    pub accounts: Option<Vec<Account>>,
}

/// What to count: the unexpired validations of a client.
///
/// [`Records`] counts exactly. A store that many requests and servers use at the same time
/// may be wrong by those that others open in these seconds, so that no request waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The client. If it does not exist, the count is 0.
    pub client: ClientId,
    /// The time now.
    pub now: Timestamp,
    /// Where counting may stop: more than this makes no difference.
    pub most: u32,
}

/// What was found. Expired rows are returned like others; the machine judges time.
///
/// A store that fills every field is complete, so none will be added without a new major version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The client, if it was asked for and exists, or if accounts were asked for.
    pub client: Option<Client>,
    /// The validation, if it was asked for and exists.
    pub validation: Option<Validation>,
    /// The grant, if it was asked for and exists.
    pub grant: Option<(GrantSerial, Grant)>,
    /// How many validations were counted; 0 if none were to be counted.
    pub count: u32,
    /// The balances of the accounts, as far as there are any.
    pub balances: Vec<Balance>,
}

/// The one change that a request asks for, all or nothing.
///
/// A store that carries out every variant is complete, so none will be added without a new major
/// version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Insert the row. Its client must exist, not be disabled, and still have this secret, which it
    /// had when the request was allowed; and its nonce must not exist.
    Open(Validation, ClientSecretDigest),
    /// Replace the row, if it still has this version; the version then goes up by one. With it,
    /// post these entries, of which each account has one at most, and one at most is of an address.
    /// If the budget of one does not allow it, that is a conflict: others were faster.
    Update(Validation, Vec<Entry>),
    /// Replace the row in the same way, and insert the grant.
    Redeem(Validation, Grant),
    /// Replace the row in the same way, and delete the grant of this token if it still exists.
    Revoke(Validation, TokenDigest),
    /// Delete the grant of this token if it still exists. This is never a conflict.
    Discard(TokenDigest),
}

impl Write {
    /// The row of the validation that is written, with the version that the decision rested on;
    /// `None` if only a grant is deleted.
    pub const fn row(&self) -> Option<&Validation> {
        match self {
            Self::Open(row, _)
            | Self::Update(row, _)
            | Self::Redeem(row, _)
            | Self::Revoke(row, _) => Some(row),
            Self::Discard(_) => None,
        }
    }

    /// How far the write brings its validation, if that is further than before.
    pub fn milestone(&self) -> Option<Milestone> {
        match self {
            Self::Open(..) => Some(Milestone::Opened),
            // When a proof is repeated, so that its code is renewed, the first time stays.
            Self::Update(Validation { progress: Progress::Solved(it), .. }, _)
                if it.at == it.renewed_at =>
            {
                Some(Milestone::Proved)
            }
            Self::Redeem(..) => Some(Milestone::Redeemed),
            Self::Update(..) | Self::Revoke(..) | Self::Discard(_) => None,
        }
    }

    /// The row of the validation as it is once the write is done.
    pub fn row_after(&self) -> Option<Validation> {
        let row = self.row()?.clone();
        Some(match self {
            Self::Open(..) => row,
            Self::Update(..) | Self::Redeem(..) | Self::Revoke(..) | Self::Discard(_) => {
                Validation { version: row.version.next(), ..row }
            }
        })
    }
}

/// How far a write brings a validation, for those who count and log how many get there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Milestone {
    /// It was opened.
    Opened,
    /// Its address was proved, for the first time.
    Proved,
    /// Its code was exchanged for an access token.
    Redeemed,
}

impl Milestone {
    /// All of them, in the order in which a validation comes to them.
    pub const ALL: &'static [Self] = &[Self::Opened, Self::Proved, Self::Redeemed];

    /// It in one word, for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Proved => "proved",
            Self::Redeemed => "redeemed",
        }
    }
}

/// What became of a write. There is nothing between all and nothing, so no variant will be added
/// without a new major version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Commit {
    /// Nothing was changed: the row, the client or a balance is no longer the one that was decided
    /// on.
    Conflict,
    /// The change is kept, and survives a crash.
    Done,
}
