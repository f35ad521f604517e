//! One validation from `/setup` to `/token`: its row. What may become of it is in `machine.rs`.

use alloc::vec::Vec;

use crate::address::Address;
use crate::client::ClientId;
use crate::digest::{CodeDigest, NonceDigest, TokenDigest};
use crate::earlier::Earlier;
use crate::grant::{AuthorizationCode, AuthorizationRequest};
use crate::nonce::{Nonce, Salt};
use crate::redirect::RedirectUri;
use crate::time::Timestamp;

/// Which state of a row this is. A store compares and increments it; nothing else touches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowVersion(pub i64);

impl RowVersion {
    /// What a new row has.
    pub const FIRST: Self = Self(1);

    /// What the row has after a store replaced it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// One validation process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// Its name in the store.
    pub id: NonceDigest,
    /// Who asked for it.
    pub client: ClientId,
    /// Which state of the row this is.
    pub version: RowVersion,
    /// From then on it is unknown to everybody.
    pub expires: Timestamp,
    /// Where its user is sent back to, copied from the client at birth.
    pub redirect_uri: RedirectUri,
    /// The address that the client proposed.
    pub prefill: Option<Address>,
    /// Whether no other address than the proposed one will do.
    pub read_only: bool,
    /// The latest authorization request.
    pub authorization: Option<AuthorizationRequest>,
    /// How often the address may still be chosen.
    pub addresses_left: u8,
    /// How many failed deliveries are still forgiven.
    pub refunds_left: u8,
    /// The addresses that were challenged before the current one, until it is solved.
    pub earlier: Vec<Earlier>,
    /// How far it got.
    pub progress: Progress,
}

/// How far a validation got.
///
/// A store keeps every state, so none will be added without a new major version; nor will a field
/// to a [`Validation`] and its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No message was asked for.
    Open,
    /// A message is on its way, or was.
    Challenged(Challenge),
    /// The right PIN was entered.
    Solved(Solution),
    /// The code was redeemed.
    Redeemed {
        /// What was proved.
        solution: Solution,
        /// The token that the code bought.
        token: TokenDigest,
        /// When.
        at: Timestamp,
    },
    /// The code was used again, late, so the token was taken back.
    Revoked(Solution),
}

/// An address under test, and its budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Where the messages go.
    pub address: Address,
    /// From which, with the nonce, the PIN follows.
    pub salt: Salt,
    /// When the latest message was sent; `None` if it failed and the next is due at once.
    pub sent_at: Option<Timestamp>,
    /// How many more messages this address may get.
    pub transmissions_left: u8,
    /// How many more guesses will be judged.
    pub attempts_left: u8,
}

/// A proved address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solution {
    /// Where the PIN was sent.
    pub address: Address,
    /// From which, with the nonce, PIN and code follow.
    pub salt: Salt,
    /// When the right PIN was entered first.
    pub at: Timestamp,
    /// When it was entered last, of which the code is made and from which its time counts.
    pub renewed_at: Timestamp,
    /// How to recognise the code; those of earlier moments are void.
    pub code: CodeDigest,
}

impl Validation {
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

    /// What was proved, if anything was.
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

impl Solution {
    /// The code that this solution gives.
    pub(crate) fn authorization_code(&self, nonce: &Nonce, uri: &RedirectUri) -> AuthorizationCode {
        AuthorizationCode::derive(nonce, &self.salt, self.renewed_at, uri)
    }
}
