//! The surroundings of a responder, as a test wants them.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use challenger_proto::{Entropy, Timestamp};
use challenger_server::ports::{Clock, EntropySource};

/// A clock that advances only when a test says so.
#[derive(Default)]
pub(crate) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(crate) fn set(&self, now: Timestamp) {
        self.0.store(now.seconds(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::SeqCst))
    }
}

/// Draws that differ, and are the same in every run.
#[derive(Default)]
pub(crate) struct CountingEntropy(AtomicU8);

impl EntropySource for CountingEntropy {
    fn draw(&self) -> Entropy {
        Entropy::new([self.0.fetch_add(1, Ordering::SeqCst); 32])
    }
}
