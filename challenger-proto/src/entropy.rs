//! Randomness as a value that can be spent once.

use crate::secret::Secret;

/// 32 bytes from a cryptographic generator, drawn anew for every decision.
///
/// It is neither `Clone` nor `Copy` and every secret takes it by value, so no decision can buy two
/// secrets with the same bytes.
#[derive(Debug)]
pub struct Entropy(Secret<[u8; 32]>);

impl Entropy {
    /// Wraps freshly drawn bytes. The caller answers for their quality.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    pub(crate) fn spend(self) -> [u8; 32] {
        *self.0.expose()
    }
}
