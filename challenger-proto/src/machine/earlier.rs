//! Addresses that were challenged before another replaced them. They keep their budget, and their
//! mailbox keeps its interval, in case they come back.
//!
//! They are remembered by digests under the nonce, which the store does not have.

use alloc::string::String;
use alloc::vec::Vec;

use crate::address::Address;
use crate::machine::limits::Limits;
use crate::machine::validation::{Challenge, Earlier};
use crate::secret::digest::{AddressDigest, hmac_sha256};
use crate::secret::entropy::Entropy;
use crate::secret::nonce::Nonce;
use crate::text::visible;
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
        let mut challenge = Challenge::new(address, limits, entropy);
        if fresh.is_some() {
            challenge.attempts_left = 0;
        }
        challenge
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

/// The mailbox of an address, only for comparing spellings. Two spellings of one mailbox should
/// give the same text. If two mailboxes give the same text, a person has to wait for a minute.
fn mailbox(address: &Address) -> String {
    let mut text = String::new();
    for (name, value) in address.fields() {
        text.push_str(name);
        text.push('=');
        text.push_str(&mailbox_value(value));
        text.push('\n');
    }
    text
}

/// Addresses are tidy, so what is left is what the servers of a mailbox do not distinguish.
fn mailbox_value(value: &str) -> String {
    let seen = visible(value).filter(|c| !c.is_whitespace() && !c.is_control());
    let seen: String = seen.flat_map(char::to_lowercase).collect();
    let is_number = |it: &&str| it.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(number) = seen.strip_prefix('+').filter(is_number) {
        // Some gateways leave out the zero that belongs to calls within a country (+41 079 …).
        return number.replace('0', "");
    }
    let Some((local, domain)) = seen.rsplit_once('@') else { return seen };
    // The largest providers ignore dots and tags, and all of them ignore quotes.
    let (local, _) = local.split_once('+').unwrap_or((local, ""));
    let mut mailbox = local.replace(['.', '"', '\\'], "");
    mailbox.push('@');
    mailbox.push_str(domain.trim_end_matches('.'));
    mailbox
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::tidy::tidied;

    fn one(name: &str, value: &str) -> Address {
        Address::new([(name.into(), tidied(name, value))]).unwrap()
    }

    #[test]
    fn spellings_of_a_mailbox_are_one() {
        let same = |name: &str, spellings: &[&str]| {
            let first = mailbox(&one(name, spellings[0]));
            for spelling in spellings {
                assert_eq!(mailbox(&one(name, spelling)), first, "{spelling}");
            }
        };
        same(
            "CONTACT_EMAIL",
            &[
                "ada.lovelace@example.com",
                "Ada.Lovelace@EXAMPLE.com",
                "ada.lovelace+shop@example.com",
                "ada.lovelace+a+b@example.com.",
                " ada.love\u{200b}lace@exam\u{ad}ple.com",
                "adalovelace@example.com",
                "\"ada.lovelace\"@example.com",
                "ada.lovelace\u{3164}@example.com\u{e0041}",
            ],
        );
        same("CONTACT_PHONE", &["+41791234567", "+41 79 123-45-67", "0041 (79) 1234567"]);
        same("CONTACT_PHONE", &["+41791234567", "＋４１７９１２３４５６７", "+41 079 123 45 67"]);
        same("ADDRESS_LINES", &["Strasse 1\n8001 Zürich", "STRASSE 1\n 8001  Zürich\u{2060}"]);
        same("N", &["Peer@Chat.example", "peer+x@chat.example"]);
    }

    #[test]
    fn mailboxes_are_told_apart() {
        let mailboxes = [
            one("CONTACT_EMAIL", "ada@example.com"),
            one("CONTACT_EMAIL", "bob@example.com"),
            one("CONTACT_EMAIL", "ada@example.org"),
            one("CONTACT_EMAIL", "ada@example-com"),
            one("OTHER_EMAIL", "ada@example.com"),
            one("CONTACT_PHONE", "+41791234567"),
            one("CONTACT_PHONE", "+41791234568"),
            one("CONTACT_PHONE", "none"),
        ];
        for (at, address) in mailboxes.iter().enumerate() {
            for other in &mailboxes[at + 1..] {
                assert_ne!(mailbox(address), mailbox(other), "{address:?}");
            }
        }
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
