//! The message that carries a PIN, before a template gives it words.

use alloc::string::String;
use core::fmt;

use crate::address::Address;
use crate::http::page::Variables;
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
    /// The host of the site that asked for the proof.
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

impl Transmission {
    /// The variables of the message's template. `host` is the service's own, from its base URL.
    /// `pin` is for people, and `pin_digits` for programs that fill in the form.
    pub fn variables(&self, host: &str) -> Variables {
        let variables = [
            ("address", self.address.to_json()),
            ("client", self.client_host.as_str().into()),
            ("expires", self.expires.to_text().into()),
            ("host", host.into()),
            ("minutes", self.expires.since(self.now).as_minutes().into()),
            ("nonce", self.nonce.to_text().into()),
            ("pin", self.pin.spelled().into()),
            ("pin_digits", self.pin.digits().into()),
            ("reference", self.nonce.digest().reference().into()),
        ];
        variables.into_iter().collect()
    }
}
