//! Addresses that were challenged before another replaced them. They keep their budget, and their
//! mailbox keeps its interval, in case they come back.
//!
//! They are remembered by digests under the nonce, which the store does not have.

use alloc::vec::Vec;

use crate::address::Address;
use crate::address::mailbox::mailbox;
use crate::machine::limits::Limits;
use crate::machine::validation::{Challenge, Earlier};
use crate::secret::digest::{AddressDigest, hmac_sha256};
use crate::secret::entropy::Entropy;
use crate::secret::nonce::Nonce;
use crate::time::Timestamp;

/// The challenge of another address, and all addresses that are then earlier.
///
/// An address that comes back finds its PIN and what was left to it. Another spelling of a mailbox
/// is another address, with a PIN of its own; but as long as the latest message to that mailbox is
/// fresh, the first one of the new spelling has to wait, and no guess is judged before it.
pub(crate) fn turn_to(
    address: Address,
    current: Option<&Challenge>,
    earlier: &[Earlier],
    nonce: &Nonce,
    now: Timestamp,
    limits: &Limits,
    entropy: Entropy,
) -> (Challenge, Vec<Earlier>) {
    let mut earlier = earlier.to_vec();
    earlier.extend(current.map(|challenge| Earlier::of(challenge, nonce)));
    let (exact, mailbox) = (digest(&address, nonce), mailbox_digest(&address, nonce));
    let fresh = earlier
        .iter()
        .filter(|it| it.mailbox == mailbox)
        .filter_map(|it| it.sent_at)
        .filter(|sent_at| limits.is_early(*sent_at, now))
        .max();
    let known = earlier.iter().position(|it| it.address == exact);
    let mut challenge = if let Some(known) = known {
        earlier.remove(known).resumed(address)
    } else {
        Challenge::new(address, limits, entropy)
    };
    // Its own message is among them, unless it is old, or of a time before the clock was set back.
    challenge.sent_at = fresh.or(challenge.sent_at);
    (challenge, earlier)
}

impl Earlier {
    fn of(challenge: &Challenge, nonce: &Nonce) -> Self {
        Self {
            address: digest(&challenge.address, nonce),
            mailbox: mailbox_digest(&challenge.address, nonce),
            salt: challenge.salt,
            sent_at: challenge.sent_at,
            transmissions_left: challenge.transmissions_left,
            attempts_left: challenge.attempts_left,
        }
    }

    const fn resumed(self, address: Address) -> Challenge {
        Challenge {
            address,
            salt: self.salt,
            sent_at: self.sent_at,
            transmissions_left: self.transmissions_left,
            attempts_left: self.attempts_left,
        }
    }
}

fn digest(address: &Address, nonce: &Nonce) -> AddressDigest {
    let text = address.to_json_text();
    AddressDigest::from_bytes(hmac_sha256(nonce.key(), &[b"address", text.as_bytes()]))
}

fn mailbox_digest(address: &Address, nonce: &Nonce) -> AddressDigest {
    let text = mailbox(address);
    AddressDigest::from_bytes(hmac_sha256(nonce.key(), &[b"mailbox", text.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::tidy::tidied;

    fn one(name: &str, value: &str) -> Address {
        Address::new([(name.into(), tidied(name, value))]).unwrap()
    }

    #[test]
    fn digests_need_the_nonce() {
        let address = one("CONTACT_EMAIL", "ada@example.com");
        let nonces = [1, 2].map(|seed| Nonce::draw(Entropy::new([seed; 32])));
        let [first, second] = &nonces;
        assert_eq!(digest(&address, first), digest(&address, first));
        assert_ne!(digest(&address, first), digest(&address, second));
        assert_ne!(mailbox_digest(&address, first), mailbox_digest(&address, second));
        assert_ne!(digest(&address, first), mailbox_digest(&address, first));
    }
}
