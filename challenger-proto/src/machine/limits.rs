//! The budgets and durations of a validation, and their defaults.

use core::num::NonZeroU8;

use crate::address::AddressType;
use crate::time::{Span, Timestamp};

const THREE: NonZeroU8 = NonZeroU8::MIN.saturating_add(2);

/// The budgets of a validation, and how long things last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How often the address may be chosen or changed.
    pub address_changes: u8,
    /// How many messages go to one address.
    pub pin_transmissions: NonZeroU8,
    /// How many guesses each message allows.
    pub pin_attempts: NonZeroU8,
    /// How many failed deliveries of a validation are not charged.
    pub refunds: u8,
    /// The least time between two messages to one address.
    pub retransmission_interval: Span,
    /// From `/setup` until a validation expires.
    pub validation_duration: Span,
    /// From the right PIN until the address no longer counts as validated.
    pub validation_expiration: Span,
    /// From the latest right PIN until the authorization code expires.
    pub code_duration: Span,
    /// From `/token` until the access token expires.
    pub token_duration: Span,
    /// How many unexpired validations a client may have; `None`: any number.
    pub client_validations: Option<u32>,
}

impl Limits {
    /// The defaults for a type of address.
    ///
    /// Three of each lets people mistype and messages get lost. That makes 27 guesses: with eight
    /// digits, all of them together are right once in 3.7 million. A letter takes days where an SMS
    /// takes seconds. RFC 6749 §4.1.2 recommends that codes live ten minutes at most. 100,000
    /// validations of a client take 100 MB or so of the database, and are more than a busy one has
    /// in a day.
    pub fn for_type(address_type: &AddressType) -> Self {
        let postal = address_type.is_postal();
        Self {
            address_changes: 3,
            pin_transmissions: THREE,
            pin_attempts: THREE,
            refunds: 3,
            retransmission_interval: if postal { Span::days(1) } else { Span::minutes(1) },
            validation_duration: Span::days(if postal { 30 } else { 1 }),
            validation_expiration: Span::days(365),
            code_duration: Span::minutes(10),
            token_duration: Span::minutes(60),
            client_validations: Some(100_000),
        }
    }

    /// Whether a message that was sent then is too fresh for another. If it was sent in the future,
    /// the clock was set back: then the next one is due, and only the budget limits it.
    pub(crate) fn is_early(&self, sent_at: Timestamp, now: Timestamp) -> bool {
        sent_at <= now && now < sent_at.plus(self.retransmission_interval)
    }
}

/// Within this time, a repetition counts as impatience. A second use of a code is only refused;
/// later it counts as theft and ends the access token (RFC 6749 §4.1.2). The right PIN, entered
/// again, gives the same code; later it makes a new one.
pub(crate) const REPLAY_GRACE: Span = Span::seconds(10);
