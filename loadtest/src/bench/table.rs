//! From turns to the figures of the report, and the targets that these must reach.

use super::stage::{Measured, What};
use crate::report::{Latency, Measurement, Target, latency_histogram};

/// At least so many of the empty calls' rate: the first version's targets.
const RATIO_TARGETS: [(What, usize, f64); 4] = [
    (What::Reserve, 64, 0.50),
    (What::Reserve, 256, 0.60),
    (What::BatchReserve, super::stage::BATCHES_IN_FLIGHT, 2.5),
    (What::Refuse, 256, 0.85),
];

/// The p99 of a reservation at this many in flight is at most so many times its p50.
const SPREAD_TARGET: (usize, u64) = (64, 3);

/// One measurement over all its turns. `empty_rate` is what it is compared with.
pub fn measurement(what: What, in_flight: usize, turns: &[Measured], empty_rate: Option<f64>) -> Measurement {
    let rates: Vec<_> = turns.iter().map(|measured| measured.turn.rate()).collect();
    let mut latency = latency_histogram();
    for measured in turns {
        // Both were made by the same function, so that their bounds agree.
        let _ = latency.add(&measured.turn.latency);
    }
    let rate = median(&rates);
    let ratio = empty_rate.filter(|empty| *empty > 0.0).map_or(0.0, |empty| rate / empty);
    let latency = Latency::from(&latency);
    Measurement {
        name: what.as_str().to_owned(),
        in_flight,
        rate_per_s: rate,
        ratio_to_empty: ratio,
        latency_us: latency,
        turns_per_s: rates,
        server_cpu_s: turns.iter().map(|measured| measured.server_cpu_s).sum(),
        generator_cpu_s: turns.iter().map(|measured| measured.generator_cpu_s).sum(),
        targets: targets(what, in_flight, ratio, latency),
    }
}

fn targets(what: What, in_flight: usize, ratio: f64, latency: Latency) -> Vec<Target> {
    let ratio_target = RATIO_TARGETS.iter().find(|(of, at, _)| (*of, *at) == (what, in_flight));
    let mut targets: Vec<_> = ratio_target
        .map(|(.., least)| Target { text: format!("at least {least:.2} of empty"), met: ratio >= *least })
        .into_iter()
        .collect();
    let (at, times) = SPREAD_TARGET;
    if what == What::Reserve && in_flight == at {
        let text = format!("p99 at most {times} times p50");
        targets.push(Target { text, met: latency.p99 <= times * latency.p50 });
    }
    targets
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
    fn the_median_is_the_middle() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(&[1.0, 3.0]), 2.0);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn a_target_is_met_from_its_figure_on() {
        let latency = Latency { p50: 100, p99: 300, ..Latency::default() };
        assert!(targets(What::Reserve, 64, 0.5, latency).iter().all(|target| target.met));
        let slower = Latency { p99: 301, ..latency };
        let missed = targets(What::Reserve, 64, 0.49, slower);
        assert_eq!(missed.iter().map(|target| target.met).collect::<Vec<_>>(), [false, false]);
        assert!(targets(What::Reserve, 1, 0.1, slower).is_empty());
    }
}
