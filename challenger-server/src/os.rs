//! The operating system's clock and randomness.

use std::time::{SystemTime, UNIX_EPOCH};

use challenger_proto::{Entropy, Timestamp};
use rand::RngExt;

use crate::ports::{Clock, EntropySource};

/// The system's real-time clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        now()
    }
}

/// The time by the system's clock; a time before 1970 counts as its beginning.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_seconds(since.as_secs())
}

/// A cryptographic generator in each thread, which is seeded by the system, repeatedly.
pub struct OsEntropy;

impl EntropySource for OsEntropy {
    fn draw(&self) -> Entropy {
        Entropy::new(rand::rng().random())
    }
}
