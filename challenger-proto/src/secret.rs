//! Values that must never be printed, and how to compare them.

use core::fmt;

use subtle::ConstantTimeEq;

/// Something that no `Debug`, log line or error may show, in any build.
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Takes the value into custody.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Hands the value out. Every call is a place to review.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: AsRef<[u8]>> Secret<T> {
    /// Whether both are the same bytes, in a time that depends on their lengths only.
    pub fn matches(&self, other: impl AsRef<[u8]>) -> bool {
        constant_time_eq(self.0.as_ref(), other.as_ref())
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Equality in a time that depends on the lengths only.
pub(crate) fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}
