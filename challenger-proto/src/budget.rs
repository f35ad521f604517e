//! What is left to a validation, and how far it got: a view of its row for those who report it.

use alloc::format;
use alloc::string::String;

use crate::address::Address;
use crate::limits::Limits;
use crate::nonce::Nonce;
use crate::oob::OobSecret;
use crate::time::Timestamp;
use crate::validation::{Challenge, Progress, Solution, Validation};

/// What is left to a validation, as the wire reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Changes of the address.
    pub addresses: u8,
    /// Messages to the current address.
    pub transmissions: u8,
    /// Guesses.
    pub attempts: u8,
    /// The earliest time of the next message; the epoch when that is at once.
    pub next_transmission: Timestamp,
}

impl Budget {
    /// What is left, for a form to carry: changes, messages and guesses, as `2.1.3`.
    pub(crate) fn seen(&self) -> String {
        format!("{}.{}.{}", self.addresses, self.transmissions, self.attempts)
    }

    /// Whether a form was shown when as many changes and messages were left as now.
    pub(crate) fn has_messages_of(&self, seen: Option<&str>) -> bool {
        let both = format!("{}.{}.", self.addresses, self.transmissions);
        seen.is_none_or(|seen| seen.starts_with(&both))
    }

    /// Whether a form was shown when all was left that is left now.
    pub(crate) fn is_that_of(&self, seen: Option<&str>) -> bool {
        seen.is_none_or(|seen| seen == self.seen())
    }

    /// Whether nothing at all is left.
    pub const fn is_exhausted(&self) -> bool {
        self.addresses == 0 && self.transmissions == 0 && self.attempts == 0
    }
}

impl Validation {
    /// What is left.
    pub fn budget(&self, limits: &Limits) -> Budget {
        let (transmissions, attempts, next_transmission) = match &self.progress {
            Progress::Open => (limits.pin_transmissions, limits.pin_attempts, Timestamp::EPOCH),
            Progress::Challenged(challenge) => (
                challenge.transmissions_left,
                challenge.attempts_left,
                challenge
                    .sent_at
                    .map_or(Timestamp::EPOCH, |at| at.plus(limits.retransmission_interval)),
            ),
            Progress::Solved(_) | Progress::Redeemed { .. } | Progress::Revoked(_) => {
                (0, 0, Timestamp::EPOCH)
            }
        };
        let addresses = if self.read_only { 0 } else { self.addresses_left };
        Budget { addresses, transmissions, attempts, next_transmission }
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
    pub const fn is_redeemed(&self) -> bool {
        matches!(self.progress, Progress::Redeemed { .. } | Progress::Revoked(_))
    }

    /// Whether the address can no longer be changed.
    pub const fn is_address_fixed(&self) -> bool {
        self.read_only || self.addresses_left == 0 || self.is_solved()
    }

    /// The PIN of the current address, while it is under test.
    pub fn secret(&self, nonce: &Nonce) -> Option<OobSecret> {
        self.challenged().map(|challenge| OobSecret::derive(nonce, &challenge.salt))
    }
}
