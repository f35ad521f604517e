//! Rules that were broken, and promises that have to be checked later.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The books of a run.
#[derive(Default)]
pub struct Ledger {
    /// The rules that were broken: how often, and the first case.
    broken: Mutex<BTreeMap<&'static str, (u64, String)>>,
    /// Other things worth counting.
    counts: Mutex<BTreeMap<String, u64>>,
    /// Proofs to be looked at again, the oldest first, by pair.
    pub proofs: [Mutex<VecDeque<Proof>>; 2],
    /// How many people are on their way.
    pub under_way: AtomicU64,
}

/// An address that was proved, as far as the client knows.
#[derive(Clone)]
pub struct Proof {
    pub address: String,
    pub code: String,
    pub verifier: Option<String>,
    pub token: String,
    pub redeemed: Instant,
}

impl Ledger {
    /// A rule is broken.
    pub fn break_rule(&self, rule: &'static str, case: impl Into<String>) {
        let mut broken = self.broken.lock().unwrap();
        let entry = broken.entry(rule).or_insert_with(|| {
            let case = case.into();
            println!("BROKEN: {rule}: {case}");
            (0, case)
        });
        entry.0 += 1;
    }

    pub fn broken(&self) -> BTreeMap<&'static str, (u64, String)> {
        self.broken.lock().unwrap().clone()
    }

    pub fn count(&self, what: &str, how_often: u64) {
        *self.counts.lock().unwrap().entry(what.to_string()).or_default() += how_often;
    }

    /// The counts whose name begins like this, without that beginning.
    pub fn counts(&self, beginning: &str) -> Vec<(String, u64)> {
        let counts = self.counts.lock().unwrap();
        let all = counts.iter();
        all.filter_map(|(name, count)| Some((name.strip_prefix(beginning)?.to_string(), *count)))
            .collect()
    }

    /// Somebody sets out.
    pub fn set_out(&self) {
        self.under_way.fetch_add(1, Ordering::SeqCst);
    }

    /// Somebody has arrived, or given up.
    pub fn arrive(&self) {
        self.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}
