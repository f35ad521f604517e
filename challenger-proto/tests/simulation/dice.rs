//! Where chance comes from: a seed, or bytes that somebody chose.

/// Dice that fall in the same way in every run.
#[derive(Clone, Debug)]
pub(crate) enum Dice {
    /// Thrown by a fuzzer: bytes in their order, and zeros after the last.
    Fed(std::vec::IntoIter<u8>),
    /// Numbers that look random (splitmix64).
    Seeded(u64),
}

impl Dice {
    /// From what a fuzzer found.
    pub(crate) fn fed(bytes: &[u8]) -> Self {
        Self::Fed(Vec::from(bytes).into_iter())
    }

    /// Whether nothing is left to throw.
    pub(crate) fn is_spent(&self) -> bool {
        match self {
            Self::Fed(bytes) => bytes.len() == 0,
            Self::Seeded(_) => false,
        }
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap();
        let thrown = match self {
            Self::Fed(bytes) => {
                let mut next = || u64::from(bytes.next().unwrap_or_default());
                if end <= 256 { next() } else { next() << 8 | next() }
            }
            Self::Seeded(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut mixed = *state;
                mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                mixed ^ (mixed >> 31)
            }
        };
        usize::try_from(thrown % end).unwrap()
    }

    /// Whether something happens that does so many times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: usize) -> bool {
        per_mille > 0 && self.below(1000) < per_mille
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}
