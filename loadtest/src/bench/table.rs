//! From turns to the figures of the report.

use super::stage::{Measured, What};
use crate::WORKER_THREADS;
use crate::report::{Latency, Measurement, latency_histogram};
use crate::server::cores;

/// One measurement over all its turns, not judged yet. `empty_rate` is what it is compared with.
pub fn measurement(what: What, in_flight: usize, turns: &[Measured], empty_rate: Option<f64>) -> Measurement {
    let rates: Vec<_> = turns.iter().map(|measured| measured.turn.rate()).collect();
    let mut latency = latency_histogram();
    for measured in turns {
        // Both were made by the same function, so that their bounds agree.
        let _ = latency.add(&measured.turn.latency);
    }
    let rate = median(&rates);
    let ratio = empty_rate.filter(|empty| *empty > 0.0).map_or(0.0, |empty| rate / empty);
    let generator_cpu_s: Option<f64> = turns.iter().map(|measured| measured.generator_cpu_s).sum();
    let units: u64 = turns.iter().map(|measured| measured.turn.units_in_all).sum();
    let seconds_each = generator_cpu_s.map(|seconds| seconds / units as f64).filter(|seconds| seconds.is_normal());
    Measurement {
        name: what.as_str().to_owned(),
        in_flight,
        rate_per_s: rate,
        ratio_to_empty: ratio,
        latency_us: Latency::from(&latency),
        turns_per_s: rates,
        server_cpu_s: turns.iter().map(|measured| measured.server_cpu_s).sum(),
        generator_cpu_s,
        generator_us_each: seconds_each.map(|seconds| seconds * 1e6),
        generator_headroom: seconds_each.map(|seconds| headroom(cores(), seconds, rate)),
        targets: Vec::new(),
    }
}

/// How many times this rate the generator could drive on a machine of its own: its threads are busy, not all of the cores.
fn headroom(cores: f64, seconds_each: f64, rate: f64) -> f64 {
    cores.min(WORKER_THREADS as f64) / seconds_each / rate
}

/// The middle value; of an even number, the mean of the two in the middle. 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or_default();
    f64::midpoint(lower, upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_drives_no_more_than_its_threads_can() {
        // A call that costs it 10 µs, 20,000 times a second.
        assert!((headroom(1.0, 1e-5, 20_000.0) - 5.0).abs() < 1e-9);
        assert!((headroom(2.0, 1e-5, 20_000.0) - 10.0).abs() < 1e-9);
        assert!((headroom(16.0, 1e-5, 20_000.0) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(&[1.0, 3.0]), 2.0);
        assert_eq!(median(&[]), 0.0);
    }
}
