//! SHA-256 and HMAC-SHA-256 over parts, and the digests that stand for secrets in a store.

use core::{array, fmt};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::secret::constant_time_eq;

/// SHA-256 of the concatenated parts.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// HMAC-SHA-256 (RFC 2104) of the concatenated parts under a 32-byte key.
pub(crate) fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC itself pads a short key with zeros to the block size.
    let block = Zeroizing::new(array::from_fn::<u8, 64, _>(|at| key.get(at).copied().unwrap_or(0)));
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Defines a digest that a store may keep in place of the secret it was made from.
macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, PartialOrd, Ord)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From the 32 bytes that a store kept.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes for a store to keep.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl PartialEq for $name {
            /// In constant time.
            fn eq(&self, other: &Self) -> bool {
                constant_time_eq(&self.0, &other.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let [first, second, ..] = self.0;
                write!(f, "{}({first:02x}{second:02x}…)", stringify!($name))
            }
        }
    };
}

digest! {
    /// SHA-256 of a nonce: the identity of a validation in the store.
    NonceDigest
}
digest! {
    /// SHA-256 of the second half of an authorization code.
    CodeDigest
}
digest! {
    /// SHA-256 of an access token.
    TokenDigest
}
digest! {
    /// HMAC-SHA-256 of an address, or of its mailbox, under a nonce.
    AddressDigest
}
digest! {
    /// SHA-256 of the mailbox of an address: the identity of its account in the ledger.
    MailboxDigest
}
digest! {
    /// SHA-256 of a salt followed by a client secret.
    ClientSecretDigest
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn hashes_agree_with_published_vectors() {
        // FIPS 180-2 appendix B.1 and RFC 4231 §4.2 (its 20-byte key padded with zeros, which HMAC
        // does as well).
        assert_eq!(
            data_encoding::HEXLOWER.encode(&sha256(&[b"a", b"", b"bc"])),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        assert_eq!(
            data_encoding::HEXLOWER.encode(&hmac_sha256(&key, &[b"Hi ", b"There"])),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }

    #[test]
    fn debug_shows_two_bytes_at_most() {
        assert_eq!(format!("{:?}", TokenDigest::from_bytes([0xab; 32])), "TokenDigest(abab…)");
    }
}
