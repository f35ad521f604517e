//! The budgets and durations of a validation, and their defaults.

use core::num::NonZeroU8;

use crate::address::AddressType;
use crate::time::Span;

const THREE: NonZeroU8 = NonZeroU8::MIN.saturating_add(2);

/// What a validation may use up, and how long things last.
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
    /// From `/setup` until a validation is forgotten.
    pub validation_duration: Span,
    /// From the right PIN until the address no longer counts as validated.
    pub validation_expiration: Span,
    /// From the latest right PIN until the authorization code is stale.
    pub code_duration: Span,
    /// From `/token` until the access token is stale.
    pub token_duration: Span,
    /// How many validations whose time is not over a client may have; `None`: any number.
    pub client_validations: Option<u32>,
}

impl Limits {
    /// The defaults for a type of address.
    ///
    /// Three of each lets people mistype and messages get lost. That makes 27 guesses, and 9 more
    /// if three deliveries fail, because a failed one may have arrived: with eight digits, all of
    /// them together are right once in 2.8 million. A letter takes days where an SMS takes
    /// seconds. RFC 6749 §4.1.2 wants codes to live ten minutes at most. 100,000 validations of a
    /// client take 100 MB or so of the database, and are more than a busy one has in a day.
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
}

/// Within this time, doing something twice counts as impatience. A second use of a code costs an
/// honest client nothing; later it counts as a theft and ends the access token (RFC 6749 §4.1.2).
/// A right PIN entered again gives the same code; later it makes a new one.
pub(crate) const REPLAY_GRACE: Span = Span::seconds(10);
