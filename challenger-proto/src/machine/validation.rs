//! One validation from `/setup` to `/token`: its row. What may become of it is in `transitions.rs`.

use alloc::string::String;
use alloc::vec::Vec;

use crate::address::Address;
use crate::failure::FailureKind;
use crate::machine::limits::Limits;
use crate::oauth::client::{ClientId, ClientName, shown_name};
use crate::oauth::grant::{AuthorizationCode, AuthorizationRequest};
use crate::oauth::redirect::RedirectUri;
use crate::secret::digest::{AddressDigest, CodeDigest, NonceDigest, TokenDigest};
use crate::secret::entropy::Entropy;
use crate::secret::nonce::{Nonce, Salt};
use crate::time::Timestamp;

/// The version of a row. A store compares and increments it; nothing else changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowVersion(pub i64);

impl RowVersion {
    /// The version of a new row.
    pub const FIRST: Self = Self(1);

    /// The version after a store has replaced the row.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// One validation process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// The digest of its nonce, which identifies it in the store.
    pub id: NonceDigest,
    /// The client that asked for it.
    pub client: ClientId,
    /// The version of the row.
    pub version: RowVersion,
    /// When it was opened; `None` in rows of before this was kept.
    pub created: Option<Timestamp>,
    /// When it expires. From then on, it counts as unknown.
    pub expires: Timestamp,
    /// Where its user returns to, copied from the client when it was opened.
    pub redirect_uri: RedirectUri,
    /// The client's name for people, if it had one then.
    pub client_name: Option<ClientName>,
    /// The address that the client proposed.
    pub prefill: Option<Address>,
    /// Whether only the proposed address is accepted.
    pub read_only: bool,
    /// The latest authorization request.
    pub authorization: Option<AuthorizationRequest>,
    /// Until when a `request_uri` leads to it (RFC 9126), if it was opened with its authorization
    /// request. Then no other request may replace that one. A request that came with a browser has
    /// no `request_uri`: its time is over from the beginning.
    pub request_uri_until: Option<Timestamp>,
    /// How often the address may still be chosen.
    pub addresses_left: u8,
    /// How many failed deliveries will still be refunded.
    pub refunds_left: u8,
    /// The latest failed delivery, for the operator.
    pub last_failure: Option<LastFailure>,
    /// The addresses that were challenged before the current one, until it is solved.
    pub earlier: Vec<Earlier>,
    /// How far it has come.
    pub progress: Progress,
}

/// A delivery that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// What it meant to the person.
    pub kind: FailureKind,
    /// When.
    pub at: Timestamp,
}

/// How far a validation has come.
///
/// A store keeps every state, so none will be added without a new major version; nor will a field
/// to a [`Validation`] and its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No message was asked for.
    Open,
    /// A message was sent, or is being sent.
    Challenged(Challenge),
    /// The right PIN was entered.
    Solved(Solution),
    /// The code was redeemed.
    Redeemed {
        /// The proved address.
        solution: Solution,
        /// The token that the code bought.
        token: TokenDigest,
        /// When it was redeemed.
        at: Timestamp,
    },
    /// The code was used again, late, so the token was revoked.
    Revoked(Solution),
}

/// An address under test, and its budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Where the messages go.
    pub address: Address,
    /// With the nonce, it determines the PIN.
    pub salt: Salt,
    /// When the latest message was sent; `None` if it failed and the next is due at once.
    pub sent_at: Option<Timestamp>,
    /// How many more messages this address may get.
    pub transmissions_left: u8,
    /// How many more guesses will be judged.
    pub attempts_left: u8,
}

/// An address that was challenged before, and what was left to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The digest of the exact address.
    pub address: AddressDigest,
    /// The digest of its mailbox, which is the same for all spellings.
    pub mailbox: AddressDigest,
    /// With the nonce, it determines the PIN.
    pub salt: Salt,
    /// When the latest message was sent; `None` if it failed and the next is due at once.
    pub sent_at: Option<Timestamp>,
    /// How many more messages it may get.
    pub transmissions_left: u8,
    /// How many more guesses will be judged.
    pub attempts_left: u8,
}

/// A proved address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solution {
    /// Where the PIN was sent.
    pub address: Address,
    /// With the nonce, it determines the PIN and the code.
    pub salt: Salt,
    /// When the right PIN was entered first.
    pub at: Timestamp,
    /// When it was entered last. The code depends on it, and its time counts from here.
    pub renewed_at: Timestamp,
    /// The digest of the code. Codes of earlier moments are void.
    pub code: CodeDigest,
}

impl Validation {
    /// The name of its client for people.
    pub fn shown_client(&self) -> String {
        shown_name(self.client_name.as_ref(), &self.redirect_uri)
    }

    /// The address under test or proved, else the one the client proposed.
    pub const fn address(&self) -> Option<&Address> {
        match &self.progress {
            Progress::Open => self.prefill.as_ref(),
            Progress::Challenged(challenge) => Some(&challenge.address),
            Progress::Solved(solution)
            | Progress::Redeemed { solution, .. }
            | Progress::Revoked(solution) => Some(&solution.address),
        }
    }

    /// The address under test, with its budget.
    pub(crate) const fn challenged(&self) -> Option<&Challenge> {
        match &self.progress {
            Progress::Challenged(challenge) => Some(challenge),
            _ => None,
        }
    }

    /// The proved address, once the right PIN was entered.
    pub const fn solution(&self) -> Option<&Solution> {
        match &self.progress {
            Progress::Open | Progress::Challenged(_) => None,
            Progress::Solved(solution)
            | Progress::Redeemed { solution, .. }
            | Progress::Revoked(solution) => Some(solution),
        }
    }

    /// Whether the right PIN was entered.
    pub const fn is_solved(&self) -> bool {
        self.solution().is_some()
    }

    /// Whether the code was redeemed.
    pub(crate) const fn is_redeemed(&self) -> bool {
        matches!(self.progress, Progress::Redeemed { .. } | Progress::Revoked(_))
    }

    /// Whether the address can no longer be changed.
    pub(crate) const fn is_address_fixed(&self) -> bool {
        self.read_only || self.addresses_left == 0 || self.is_solved()
    }

    /// The authorization code, once the right PIN was entered.
    pub(crate) fn authorization_code(&self, nonce: &Nonce) -> Option<AuthorizationCode> {
        let solution = self.solution()?;
        Some(solution.authorization_code(nonce, &self.redirect_uri))
    }
}

impl Challenge {
    /// The challenge of a new address, with all messages that the limits allow. Each of them brings
    /// its guesses.
    pub(crate) fn new(address: Address, limits: &Limits, entropy: Entropy) -> Self {
        Self {
            address,
            salt: Salt::draw(entropy),
            sent_at: None,
            transmissions_left: limits.pin_transmissions.get(),
            attempts_left: 0,
        }
    }
}

impl Solution {
    /// The code that this solution gives.
    pub(crate) fn authorization_code(&self, nonce: &Nonce, uri: &RedirectUri) -> AuthorizationCode {
        AuthorizationCode::derive(nonce, &self.salt, self.renewed_at, uri)
    }
}
