//! Randomness as a value that can be spent once.

use core::fmt;

/// 32 bytes from a cryptographic generator, drawn anew for every decision.
///
/// It is neither `Clone` nor `Copy` and every secret takes it by value, so no decision can buy two
/// secrets with the same bytes.
pub struct Entropy([u8; 32]);

impl Entropy {
    /// Wraps freshly drawn bytes. Whoever calls this answers for their quality.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn spend(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(…)")
    }
}
