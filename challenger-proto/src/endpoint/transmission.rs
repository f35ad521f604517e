//! The message that carries a PIN, before a template gives it words.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde_json::{Value, json};

use crate::address::Address;
use crate::endpoint::duration::at_least;
use crate::http::json::insert;
use crate::http::names::UNTIL;
use crate::http::page::Variables;
use crate::oauth::client::ClientId;
use crate::secret::nonce::Nonce;
use crate::secret::pin::Pin;
use crate::time::Timestamp;

/// A message to hand to the helper.
#[derive(Clone)]
#[non_exhaustive]
pub struct Transmission {
    /// The address it goes to.
    pub address: Address,
    /// The address as the helper's command-line argument.
    pub argument: String,
    /// The PIN it carries.
    pub pin: Pin,
    /// The nonce of the validation that the PIN belongs to.
    pub nonce: Nonce,
    /// The language it should be in, of those that the service has.
    pub language: String,
    /// The client that asked for the proof.
    pub client: ClientId,
    /// Its name for people.
    pub client_name: String,
    /// The host of its redirect URI: what people read if the operator gave it no name.
    pub client_host: String,
    /// When the PIN can no longer be entered.
    pub expires: Timestamp,
    /// When the decision to send it was made.
    pub now: Timestamp,
}

/// Without the argument, which is the address.
impl fmt::Debug for Transmission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transmission").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The variables of the message's template, without the parts of `until`.
const VARIABLES: &[&str] = &[
    "address.*",
    "client",
    "client_host",
    "expires",
    "host",
    "minutes",
    "nonce",
    "pin",
    "pin_digits",
    "reference",
    "valid.days",
    "valid.hours",
    "valid.minutes",
    "valid.one_minute",
    "valid.text",
];

impl Transmission {
    /// The names of all variables of the message's template. A dot leads to the member of an
    /// object, and `*` stands for the name of a field.
    pub fn variable_names() -> Vec<&'static str> {
        [VARIABLES, UNTIL].concat()
    }

    /// The variables of the message's template. `host` is the service's own, from its base URL.
    /// `pin` is for people, and `pin_digits` for programs that fill in the form.
    pub fn variables(&self, host: &str) -> Variables {
        let variables = [
            ("address", self.address.to_json()),
            ("client", self.client_name.as_str().into()),
            ("client_host", self.client_host.as_str().into()),
            ("expires", self.expires.to_text().into()),
            ("host", host.into()),
            ("minutes", self.expires.since(self.now).as_minutes().into()),
            ("nonce", self.nonce.to_text().into()),
            ("pin", self.pin.spelled().into()),
            ("pin_digits", self.pin.digits().into()),
            ("reference", self.nonce.digest().reference().into()),
            ("until", until(self.expires)),
            ("valid", at_least(self.expires.since(self.now))),
        ];
        variables.into_iter().collect()
    }
}

/// The members of `until` that stand for months: a template cannot compare numbers.
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The parts of a date in UTC, from which a catalogue makes what people write in its language. Only
/// the member of the month itself is there, and `first` on the first day of a month.
pub(super) fn until(time: Timestamp) -> Value {
    let ((year, month, day), (hour, minute, _)) = (time.date(), time.time_of_day());
    let mut parts = json!({
        "year": year,
        "day": day,
        "hour": format!("{hour:02}"),
        "minute": format!("{minute:02}"),
    });
    let name = (1..).zip(MONTHS).find_map(|(number, name)| (number == month).then_some(name));
    for flag in name.into_iter().chain((day == 1).then_some("first")) {
        insert(&mut parts, flag, true);
    }
    parts
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn dates_come_in_parts() {
        for (seconds, expected) in [
            (
                1_772_323_200,
                r#"{"day":1,"first":true,"hour":"00","march":true,"minute":"00","year":2026}"#,
            ),
            (1_767_607_260, r#"{"day":5,"hour":"10","january":true,"minute":"01","year":2026}"#),
            (1_798_761_599, r#"{"day":31,"december":true,"hour":"23","minute":"59","year":2026}"#),
        ] {
            assert_eq!(until(Timestamp::from_seconds(seconds)).to_string(), expected);
        }
    }
}
