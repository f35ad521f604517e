//! A histogram of durations that many threads fill at the same time without waiting for each other.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The upper bounds, in microseconds: from a decision without a database to a helper that uses all
/// of its time.
const BOUNDS: [u32; 15] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// Durations, counted by how long they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Timing(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    /// One for each bound, and one for all that is longer.
    counts: [AtomicU64; BOUNDS.len() + 1],
    /// The sum, in microseconds.
    sum: AtomicU64,
}

impl Timing {
    pub(super) fn add(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS.partition_point(|bound| u64::from(*bound) < micros);
        let Cells { counts, sum } = &*self.0;
        counts.iter().skip(place).take(1).for_each(|it| {
            it.fetch_add(1, Ordering::Relaxed);
        });
        sum.fetch_add(micros, Ordering::Relaxed);
    }
}

impl TypedMetric for Timing {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Timing {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Cells { counts, sum } = &*self.0;
        let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
        let bounds = BOUNDS.iter().map(|bound| seconds(u64::from(*bound))).chain([f64::INFINITY]);
        let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        // Of the same numbers, so that it is that of the last bucket.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = seconds(sum.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
