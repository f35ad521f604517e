//! The source of chance: a seed, or bytes that somebody chose.

/// Dice whose throws are the same in every run.
#[derive(Clone, Debug)]
pub enum Dice {
    /// Thrown by a fuzzer: bytes in their order, and zeros after the last.
    Fed(std::vec::IntoIter<u8>),
    /// Numbers that look random (splitmix64).
    Seeded(u64),
}

impl Dice {
    /// Dice made of a fuzzer's bytes.
    pub fn fed(bytes: &[u8]) -> Self {
        Self::Fed(Vec::from(bytes).into_iter())
    }

    /// Independent dice for each purpose and each number of a seed.
    pub fn for_purpose(seed: u64, purpose: &str, number: u64) -> Self {
        let bytes = purpose.bytes().chain(number.to_le_bytes());
        bytes.fold(Self::Seeded(seed), |mut dice, byte| {
            Self::Seeded(dice.number() ^ u64::from(byte))
        })
    }

    /// Whether nothing is left to throw.
    pub fn is_spent(&self) -> bool {
        match self {
            Self::Fed(bytes) => bytes.len() == 0,
            Self::Seeded(_) => false,
        }
    }

    /// A number of 64 bits; fed dice give 16.
    pub fn number(&mut self) -> u64 {
        self.throw(usize::MAX)
    }

    /// A number of 64 bits, or of as many fed bytes as one below `end` needs.
    fn throw(&mut self, end: usize) -> u64 {
        match self {
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
        }
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        let end = end.max(1);
        let thrown = self.throw(end) % u64::try_from(end).unwrap();
        usize::try_from(thrown).unwrap()
    }

    /// A number between two ends, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        let span = usize::try_from(most - least + 1).unwrap();
        least + u64::try_from(self.below(span)).unwrap()
    }

    /// Whether something happens that has this many chances in a thousand.
    pub fn chance(&mut self, per_mille: usize) -> bool {
        per_mille > 0 && self.below(1000) < per_mille
    }

    /// Whether something happens that has one chance in this many.
    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Puts cards into any order.
    pub fn shuffle<T>(&mut self, cards: &mut [T]) {
        for last in (1..cards.len()).rev() {
            cards.swap(last, self.below(last + 1));
        }
    }

    /// One of two.
    pub fn coin(&mut self) -> bool {
        self.one_in(2)
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    /// Any bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }
}
