//! A histogram without locks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The sum is kept in millionths, as a whole number that atomics can add.
const MILLION: f64 = 1_000_000.0;

/// How many values lie below each of a few bounds. A reader may see a value counted whose sum is not added yet, which the
/// next reading mends.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [f64],
    /// One more than bounds: what is greater than all.
    counts: Vec<AtomicU64>,
    sum_millionths: AtomicU64,
}

/// What a histogram held when it was read.
pub(super) struct Reading {
    pub(super) sum: f64,
    pub(super) count: u64,
    /// Upper bound, and values up to it that are above the bound before.
    pub(super) buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// With these upper bounds, in ascending order.
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum_millionths: AtomicU64::new(0) }
    }

    /// Counts a time, in seconds.
    pub(crate) fn observe_duration(&self, took: Duration) {
        self.add(took.as_secs_f64(), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts a number of things.
    pub(crate) fn observe_count(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.add(f64::from(count), u64::from(count) * 1_000_000);
    }

    fn add(&self, value: f64, millionths: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
            self.sum_millionths.fetch_add(millionths, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> Reading {
        let bounds = self.bounds.iter().copied().chain([f64::MAX]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        Reading { sum: self.sum_millionths.load(Ordering::Relaxed) as f64 / MILLION, count, buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_up_to_and_with_their_bound() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for count in [0, 1, 2, 3] {
            histogram.observe_count(count);
        }
        let reading = histogram.read();
        assert_eq!(reading.buckets, [(1.0, 2), (2.0, 1), (f64::MAX, 1)]);
        assert_eq!(reading.count, 4);
        assert!((reading.sum - 6.0).abs() < 1e-9);
    }

    #[test]
    fn times_are_in_seconds() {
        let histogram = Histogram::new(&[0.001]);
        histogram.observe_duration(Duration::from_millis(1));
        histogram.observe_duration(Duration::from_millis(1_500));
        let reading = histogram.read();
        assert_eq!(reading.buckets, [(0.001, 1), (f64::MAX, 1)]);
        assert!((reading.sum - 1.501).abs() < 1e-9);
    }
}
