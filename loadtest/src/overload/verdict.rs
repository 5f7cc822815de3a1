//! What the levels must come to.

use hdrhistogram::Histogram;

use super::level::Outcome;
use crate::clock::Micros;
use crate::report::Target;
use crate::report::course::Memory;

/// At ten times the load, at least this part of the best goodput.
const GOODPUT_MIN: f64 = 0.8;
/// And at most so many times the p99 at half load.
const P99_MAX: f64 = 5.0;
/// The server's memory in the last quarter of that level, to the first: at most so many times as much.
const MEMORY_MAX: f64 = 1.1;
/// Calls that the generator could not send, and its lateness at p99, as part of the p99 of what is accepted (which counts it):
/// more, and it was no open loop of that rate.
const UNSENT_MAX: f64 = 0.01;
const LATE_MAX: f64 = 0.1;

/// The figures, and whether each is as it must be.
pub(super) struct Verdict {
    pub(super) goodput: f64,
    pub(super) p99: f64,
    pub(super) memory: Option<f64>,
    pub(super) targets: Vec<Target>,
}

/// Judges the highest level by the best goodput seen anywhere, and by the level of half the load.
pub(super) fn judge(best: f64, half: &Outcome, highest: &Outcome, memory: Option<f64>) -> Verdict {
    let p99 = |latency: &Histogram<u64>| latency.value_at_quantile(0.99) as f64;
    let goodput = highest.goodput() / best.max(1.0);
    let ratio = p99(&highest.latency) / p99(&half.latency).max(1.0);
    let unsent = highest.unsent as f64 / (highest.due as f64).max(1.0);
    let late = p99(&highest.late) / p99(&highest.latency).max(1.0);
    let mut targets = vec![
        target(format!("goodput {goodput:.2} of the best, at least {GOODPUT_MIN}"), goodput >= GOODPUT_MIN),
        target(
            format!("p99 of what is accepted {ratio:.1} times that at half load, at most {P99_MAX:.0}"),
            ratio <= P99_MAX && highest.accepted > 0,
        ),
        target(format!("{:.1} % could not be sent, at most 1 %", unsent * 100.0), unsent <= UNSENT_MAX),
        target(format!("of its p99 {late:.2} is the generator's own lateness, at most {LATE_MAX}"), late <= LATE_MAX),
    ];
    if let Some(memory) = memory {
        let text = format!("memory at its end {memory:.2} times that at its beginning, at most {MEMORY_MAX}");
        targets.push(target(text, memory <= MEMORY_MAX));
    }
    Verdict { goodput, p99: ratio, memory, targets }
}

const fn target(text: String, met: bool) -> Target {
    Target { text, met }
}

/// The mean memory in the last quarter of a stretch of time, to that in the first.
pub(super) fn growth(memory: &[Memory], from: Micros, to: Micros) -> Option<f64> {
    let quarter = (to - from) / 4;
    let mean = |from: Micros, to: Micros| {
        let of: Vec<_> = memory.iter().filter(|each| (from..to).contains(&each.at)).map(|each| each.bytes).collect();
        (!of.is_empty()).then(|| of.iter().sum::<u64>() as f64 / of.len() as f64)
    };
    Some(mean(to - quarter, to)? / mean(from, from + quarter)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_compared_by_quarters() {
        let memory: Vec<_> = (0..100).map(|at| Memory { at, bytes: if at < 50 { 100 } else { 150 } }).collect();
        assert_eq!(growth(&memory, 0, 100), Some(1.5));
        assert_eq!(growth(&memory, 60, 100), Some(1.0));
        assert_eq!(growth(&[], 0, 100), None);
    }
}
