//! The times that requests and whole validations took.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The name of a whole validation among the kinds of requests: from the time it was due until the
/// client has the address, without the pauses that the person makes.
pub const FLOW: &str = "whole flow";

/// The time that one of them took.
#[derive(Clone, Copy)]
pub struct Sample {
    pub pair: &'static str,
    pub kind: &'static str,
    pub at: Instant,
    pub micros: u64,
    /// Whether nothing was done to the pair while the validation went on.
    pub is_clean: bool,
}

impl Sample {
    pub fn new(kind: &'static str, at: Instant, took: Duration) -> Self {
        let micros = u64::try_from(took.as_micros()).unwrap();
        Self { pair: "", kind, at, micros, is_clean: false }
    }
}

/// All samples.
#[derive(Default)]
pub struct Figures {
    samples: Mutex<Vec<Sample>>,
}

/// The summary of many times.
#[derive(Clone, Copy, Default)]
pub struct Summary {
    pub count: usize,
    pub median: u64,
    pub p99: u64,
    pub max: u64,
}

/// A minute of the run.
pub struct Minute {
    pub number: u64,
    /// Whole validations and all of their requests, in times without a fault.
    pub clean: [Summary; 2],
    /// Whole validations and all of their requests, in all the time.
    pub all: [Summary; 2],
}

impl Figures {
    pub fn add(&self, samples: impl Iterator<Item = Sample>) {
        self.samples.lock().unwrap().extend(samples);
    }

    /// By pair and kind: in times without a fault, and in all the time.
    pub fn by_kind(&self) -> BTreeMap<(&'static str, &'static str), [Summary; 2]> {
        let mut micros: BTreeMap<_, [Vec<u64>; 2]> = BTreeMap::new();
        for sample in self.samples.lock().unwrap().iter() {
            let [clean, all] = micros.entry((sample.pair, sample.kind)).or_default();
            all.push(sample.micros);
            if sample.is_clean {
                clean.push(sample.micros);
            }
        }
        micros.into_iter().map(|(key, lists)| (key, lists.map(summarize))).collect()
    }

    /// A minute, by when things began.
    pub fn minute(&self, begun: Instant, number: u64) -> Minute {
        let samples = self.samples.lock().unwrap();
        let of = |is_flow: bool, clean_only: bool| {
            let counts = samples.iter().filter(|it| {
                minute_of(begun, it) == number
                    && (it.kind == FLOW) == is_flow
                    && (it.is_clean || !clean_only)
            });
            summarize(counts.map(|sample| sample.micros).collect())
        };
        let [clean, all] = [true, false].map(|clean| [of(true, clean), of(false, clean)]);
        Minute { number, clean, all }
    }

    /// All minutes in which something began.
    pub fn minutes(&self, begun: Instant) -> Vec<Minute> {
        let samples = self.samples.lock().unwrap();
        let numbers: BTreeSet<u64> = samples.iter().map(|it| minute_of(begun, it)).collect();
        drop(samples);
        numbers.into_iter().map(|number| self.minute(begun, number)).collect()
    }
}

fn minute_of(begun: Instant, sample: &Sample) -> u64 {
    sample.at.saturating_duration_since(begun).as_secs() / 60
}

fn summarize(mut micros: Vec<u64>) -> Summary {
    micros.sort_unstable();
    let count = micros.len();
    // The smallest that so many in a hundred do not exceed.
    let percentile = |percent: usize| {
        let rank = (count * percent).div_ceil(100).max(1);
        micros.get(rank - 1).copied().unwrap_or_default()
    };
    Summary { count, median: percentile(50), p99: percentile(99), max: percentile(100) }
}

/// Milliseconds with one digit behind the point.
pub fn ms(micros: u64) -> String {
    format!("{}.{}", micros / 1000, micros % 1000 / 100)
}
