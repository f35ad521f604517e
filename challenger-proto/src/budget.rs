//! What is left to a validation, as answers report it and forms carry it.

use alloc::format;
use alloc::string::String;
use core::array;

use crate::limits::Limits;
use crate::time::Timestamp;
use crate::validation::{Progress, Validation};

/// What is left to a validation, as the wire reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Changes of the address.
    pub(crate) addresses: u8,
    /// Messages to the current address.
    pub(crate) transmissions: u8,
    /// Guesses.
    pub(crate) attempts: u8,
    /// The earliest time of the next message; the epoch when that is at once.
    pub(crate) next_transmission: Timestamp,
}

/// What was left when a form was shown, as the form says: changes, messages and guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// So much was left.
    Left { addresses: u8, transmissions: u8, attempts: u8 },
    /// The request does not say; programs need not.
    Unsaid,
    /// The request says something else, which nothing that is left is equal to.
    Unreadable,
}

impl Seen {
    /// Reads what [`Budget::seen`] wrote.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        fn left(text: &str) -> Option<Seen> {
            let mut numbers = text.splitn(3, '.').map(|number| number.parse().ok());
            let [addresses, transmissions, attempts] = array::from_fn(|_| numbers.next().flatten());
            Some(Seen::Left {
                addresses: addresses?,
                transmissions: transmissions?,
                attempts: attempts?,
            })
        }
        text.map_or(Self::Unsaid, |text| left(text).unwrap_or(Self::Unreadable))
    }
}

impl Budget {
    /// What is left, for a form to carry: changes, messages and guesses, as `2.1.3`.
    pub(crate) fn seen(&self) -> String {
        format!("{}.{}.{}", self.addresses, self.transmissions, self.attempts)
    }

    /// Whether no change of address and no message has been used up since the form was shown.
    pub(crate) fn has_messages_of(&self, seen: Seen) -> bool {
        match seen {
            Seen::Left { addresses, transmissions, .. } => {
                (addresses, transmissions) == (self.addresses, self.transmissions)
            }
            Seen::Unsaid => true,
            Seen::Unreadable => false,
        }
    }

    /// Whether nothing has been used up since the form was shown.
    pub(crate) fn is_that_of(&self, seen: Seen) -> bool {
        let Self { addresses, transmissions, attempts, .. } = *self;
        seen == Seen::Unsaid || seen == Seen::Left { addresses, transmissions, attempts }
    }

    /// Whether nothing at all is left.
    pub(crate) const fn is_exhausted(&self) -> bool {
        self.addresses == 0 && self.transmissions == 0 && self.attempts == 0
    }
}

impl Validation {
    /// What is left.
    pub(crate) fn budget(&self, limits: &Limits) -> Budget {
        let (transmissions, attempts, next_transmission) = match &self.progress {
            Progress::Open => {
                (limits.pin_transmissions.get(), limits.pin_attempts.get(), Timestamp::EPOCH)
            }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_what_was_left_and_anything_else_is_outdated() {
        let mut budget = Budget {
            addresses: 2,
            transmissions: 1,
            attempts: 3,
            next_transmission: Timestamp::EPOCH,
        };
        assert_eq!(budget.seen(), "2.1.3");
        let fits = |budget: &Budget, text| {
            let seen = Seen::parse(text);
            (budget.has_messages_of(seen), budget.is_that_of(seen))
        };
        assert_eq!(fits(&budget, None), (true, true), "programs need not say it");
        assert_eq!(fits(&budget, Some("2.1.3")), (true, true));
        budget.attempts = 2;
        assert_eq!(fits(&budget, Some("2.1.3")), (true, false), "a guess was used up");
        budget.transmissions = 0;
        assert_eq!(fits(&budget, Some("2.1.3")), (false, false), "a message was used up");
        for text in ["", "2", "2.0", "2.0.", "2.0.2.1", "2.0.256", "x.0.2"] {
            assert_eq!(fits(&budget, Some(text)), (false, false), "{text}");
        }
    }
}
