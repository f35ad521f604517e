//! Values that must never be printed, that are wiped from memory where they are kept as a
//! [`Secret`], and how to compare them.

pub(crate) mod base32;
pub(crate) mod digest;
pub(crate) mod entropy;
pub(crate) mod nonce;
pub(crate) mod pin;

pub use digest::{
    AddressDigest, ClientSecretDigest, CodeDigest, MailboxDigest, NonceDigest, TokenDigest,
};
pub use nonce::{Nonce, Salt};
pub use pin::Pin;

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Something that no `Debug`, log line or error may show, in any build. Its memory is overwritten
/// when it is dropped.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the value into custody.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Hands the value out. Every call is a place to review.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Whether both are the same bytes, in a time that depends on their lengths only.
    pub fn matches(&self, other: impl AsRef<[u8]>) -> bool {
        constant_time_eq(self.0.as_ref(), other.as_ref())
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Equality in a time that depends on the lengths only.
pub(crate) fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_secret_is_overwritten() {
        struct Witness<'a>(&'a mut bool);
        impl Zeroize for Witness<'_> {
            fn zeroize(&mut self) {
                *self.0 = true;
            }
        }
        let mut overwritten = false;
        drop(Secret::new(Witness(&mut overwritten)));
        assert!(overwritten);
    }
}
