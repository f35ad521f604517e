//! The nonce: the handle of a validation, and a secret. With a salt, all other secrets of the
//! validation follow from it.

use alloc::string::String;
use core::fmt;

use crate::secret::Secret;
use crate::secret::base32::{self, letter};
use crate::secret::digest::{NonceDigest, sha256};
use crate::secret::entropy::Entropy;

/// 32 random bytes that name a validation in URLs. The store knows only their digest.
#[derive(Clone, Debug)]
pub struct Nonce(Secret<[u8; 32]>);

impl Nonce {
    /// Draws a new one.
    pub fn draw(entropy: Entropy) -> Self {
        Self(Secret::new(entropy.spend()))
    }

    /// Reads the 52 characters of a path.
    pub fn parse(text: &str) -> Option<Self> {
        base32::decode(text).map(|bytes| Self(Secret::new(bytes)))
    }

    /// The 52 characters for a path.
    pub fn to_text(&self) -> String {
        base32::encode(self.0.expose())
    }

    /// The digest by which a store identifies the validation.
    pub fn digest(&self) -> NonceDigest {
        NonceDigest::from_bytes(sha256(&[self.0.expose()]))
    }

    /// The key from which the validation's other secrets follow.
    pub(crate) const fn key(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

/// Random bytes of a row. Its secrets follow from them and the nonce, and not from them alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 32]);

impl Salt {
    /// Draws a new one.
    pub(crate) fn draw(entropy: Entropy) -> Self {
        Self(entropy.spend())
    }

    /// From the 32 bytes that a store kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes for a store to keep.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}

/// How many letters a reference has: few enough to compare at a glance.
const REFERENCE_LEN: usize = 6;

impl NonceDigest {
    /// Six letters that both page and message show, for people to compare. There are no digits,
    /// so that people do not mistake them for the PIN, and no I, L, O or U, which look like others.
    pub fn reference(&self) -> String {
        const LETTERS: &[u8; 22] = b"ABCDEFGHJKMNPQRSTVWXYZ";
        self.as_bytes().iter().take(REFERENCE_LEN).map(|byte| letter(LETTERS, *byte)).collect()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn text_makes_the_round_trip_and_stays_out_of_debug() {
        let nonce = Nonce::draw(Entropy::new([7; 32]));
        let text = nonce.to_text();
        assert_eq!(Nonce::parse(&text).unwrap().digest(), nonce.digest());
        assert!(!format!("{nonce:?}").contains(&text[..8]));
        assert!(Nonce::parse("short").is_none());
    }

    #[test]
    fn references_have_six_unmistakable_letters() {
        for byte in 0..=255 {
            let reference = Nonce::draw(Entropy::new([byte; 32])).digest().reference();
            assert_eq!(reference.len(), 6);
            assert!(reference.bytes().all(|b| b.is_ascii_uppercase() && !b"ILOU".contains(&b)));
        }
    }
}
