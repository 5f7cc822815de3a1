//! What buyers felt of faults, over all sales: one row for each kind.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tabled::builder::Builder;

use super::course::{Course, Felt, RISE_FELT};
use super::words;
use crate::clock::Micros;

/// The worst of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Worst {
    pub(super) fault: &'static str,
    pub(super) times: usize,
    /// The one with the greatest rise, where any can be compared.
    pub(super) felt: Option<Felt>,
    /// The longest that any was felt.
    pub(super) above_us: Micros,
}

/// The worst of each kind, by its name.
pub(super) fn worst(courses: &[Course]) -> Vec<Worst> {
    let mut kinds: BTreeMap<&'static str, Worst> = BTreeMap::new();
    for felt in courses.iter().flat_map(|course| &course.felt) {
        let none = Worst { fault: felt.fault, times: 0, felt: None, above_us: 0 };
        let worst = kinds.entry(felt.fault).or_insert(none);
        worst.times += 1;
        worst.above_us = worst.above_us.max(felt.above_us.unwrap_or_default());
        if felt.rise_us > worst.felt.as_ref().and_then(|worst| worst.rise_us) {
            worst.felt = Some(felt.clone());
        }
    }
    kinds.into_values().collect()
}

/// The heads of the columns. The p99 are those of `CreateReservation`.
pub(super) fn heads() -> [String; 6] {
    let limit = words::latency(RISE_FELT.unsigned_abs());
    let heads = ["fault", "times", "p99 before", "p99 during", "rise, at most"].map(str::to_owned);
    let [fault, times, before, during, rise] = heads;
    [fault, times, before, during, rise, format!("more than {limit} above, at most for")]
}

/// What stands below them.
pub(super) fn cells(worst: &Worst) -> [String; 6] {
    let none = || "–".to_owned();
    let time = |of: fn(&Felt) -> Option<Micros>| worst.felt.as_ref().and_then(of).map_or_else(none, signed);
    [
        worst.fault.to_owned(),
        worst.times.to_string(),
        time(|felt| felt.p99_before_us),
        time(|felt| felt.p99_during_us),
        time(|felt| felt.rise_us),
        words::moment(worst.above_us),
    ]
}

fn signed(micros: Micros) -> String {
    let sign = if micros < 0 { "−" } else { "" };
    format!("{sign}{}", words::latency(micros.unsigned_abs()))
}

/// For the terminal.
pub(super) fn table(worst: &[Worst]) -> Builder {
    let mut rows = Builder::default();
    rows.push_record(heads());
    worst.iter().for_each(|worst| rows.push_record(cells(worst)));
    rows
}

/// For programs.
pub(super) fn json(worst: &[Worst]) -> Value {
    let one = |worst: &Worst| {
        let of = |of: fn(&Felt) -> Option<Micros>| worst.felt.as_ref().and_then(of);
        json!({
            "fault": worst.fault,
            "times": worst.times,
            "p99_before_us": of(|felt| felt.p99_before_us),
            "p99_during_us": of(|felt| felt.p99_during_us),
            "rise_us": of(|felt| felt.rise_us),
            "above_us": worst.above_us,
        })
    };
    worst.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn felt(fault: &'static str, rise: Option<Micros>, above_us: Option<Micros>) -> Felt {
        Felt {
            fault,
            from: 0,
            to: 1,
            calls_before: 1,
            p99_before_us: rise.map(|_| 2_000),
            calls_during: 1,
            p99_during_us: rise.map(|rise| 2_000 + rise),
            rise_us: rise,
            above_us,
        }
    }

    #[test]
    fn the_greatest_rise_of_each_kind_is_told() {
        let felt = vec![
            felt("pause-redis", Some(-500), Some(0)),
            felt("pause-redis", Some(14_000), Some(0)),
            felt("pause-redis", Some(9_000), Some(200_000)),
            felt("kill-redis", None, None),
        ];
        let worst = worst(&[Course { felt, ..Course::default() }]);
        let told: Vec<_> = worst.iter().map(cells).collect();
        let expected =
            [["kill-redis", "1", "–", "–", "–", "0"], ["pause-redis", "3", "2.00 ms", "16.0 ms", "14.0 ms", "200 ms"]];
        assert_eq!(told, expected);
        assert_eq!(json(&worst)[1]["rise_us"], 14_000);
    }
}
