//! Axes: where a value lies, and the round values that are written beside it.

use crate::clock::{Micros, SECOND};
use crate::report::words;

/// Most labels on an axis of time: as many as a phone has room for.
const TIMES_MAX: i64 = 6;
/// Stretches that an axis of numbers has at least: up to two and a half times as many.
const STRETCHES_MIN: f64 = 2.0;
/// Steps of an axis of minutes.
const MINUTES: [Micros; 8] = [1, 2, 5, 10, 20, 60, 120, 300];

/// An axis from 0 on.
#[derive(Debug)]
pub(super) struct Axis {
    /// The value at its end.
    end: f64,
    /// Where what is written; 0 is the beginning, 1 the end.
    pub(super) labels: Vec<(f64, String)>,
}

impl Axis {
    /// Of time, to exactly `span`.
    pub(super) fn of_time(span: Micros) -> Self {
        let span = span.max(1);
        let step = time_step(span);
        let times = (0..=span / step).map(|index| index * step);
        let labels = times.map(|at| (at as f64 / span as f64, words::moment(at))).collect();
        Self { end: span as f64, labels }
    }

    /// Of numbers, to the next round one from `greatest` on.
    pub(super) fn of_numbers(greatest: f64) -> Self {
        let greatest = if greatest > 0.0 { greatest } else { 1.0 };
        let power = 10_f64.powf((greatest / STRETCHES_MIN).log10().floor());
        let fits = |factor: &f64| greatest / (factor * power) >= STRETCHES_MIN;
        let step = [5.0, 2.0, 1.0].into_iter().find(fits).unwrap_or(1.0) * power;
        let stretches = (greatest / step - 1e-9).ceil();
        let numbers = std::iter::successors(Some(0.0), |number| Some(number + 1.0)).take_while(|n| *n <= stretches);
        let labels = numbers.map(|number| (number / stretches, words::figure(number * step))).collect();
        Self { end: stretches * step, labels }
    }

    /// Where a value lies; at the ends what is beyond them.
    pub(super) fn at(&self, value: f64) -> f64 {
        (value / self.end).clamp(0.0, 1.0)
    }

    /// Where a moment lies.
    pub(super) fn at_moment(&self, at: Micros) -> f64 {
        self.at(at as f64)
    }

    /// Where a number of units lies.
    pub(super) fn at_count(&self, count: i64) -> f64 {
        self.at(count as f64)
    }
}

fn time_step(span: Micros) -> Micros {
    let seconds = (0..8).flat_map(|power| [1, 2, 5].map(|factor| factor * 10_i64.pow(power)));
    let minutes = MINUTES.map(|minutes| minutes * 60 * SECOND);
    let mut steps = seconds.take_while(|step| *step < 60 * SECOND).chain(minutes);
    steps.find(|step| span / step <= TIMES_MAX).unwrap_or(span)
}

/// A logarithmic axis between two powers of ten.
#[derive(Debug)]
pub(super) struct Decades {
    first: f64,
    count: f64,
}

impl Decades {
    /// Around all of these values; those that are not above 0 count as the smallest, 1.
    pub(super) fn around(values: &(impl Iterator<Item = f64> + Clone)) -> Self {
        let logarithms = || values.clone().map(|value| value.max(1.0).log10());
        let first = logarithms().fold(f64::INFINITY, f64::min).floor();
        let last = logarithms().fold(0.0, f64::max).ceil();
        let first = if first.is_finite() { first } else { 0.0 };
        Self { first, count: (last - first).max(1.0) }
    }

    /// Where a value lies.
    pub(super) fn at(&self, value: f64) -> f64 {
        ((value.max(1.0).log10() - self.first) / self.count).clamp(0.0, 1.0)
    }

    /// The powers of ten, and where they lie.
    pub(super) fn powers(&self) -> impl Iterator<Item = (f64, f64)> {
        let (first, count) = (self.first, self.count);
        let numbers = std::iter::successors(Some(0.0), |number| Some(number + 1.0)).take_while(move |n| *n <= count);
        numbers.map(move |number| (number / count, 10_f64.powf(first + number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.labels.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn numbers_end_at_a_round_one() {
        assert_eq!(labels(&Axis::of_numbers(2_000.0)), ["0", "1,000", "2,000"]);
        assert_eq!(labels(&Axis::of_numbers(4_321.0)), ["0", "2,000", "4,000", "6,000"]);
        assert_eq!(labels(&Axis::of_numbers(0.7)), ["0", "0.2", "0.4", "0.6", "0.8"]);
        for greatest in [0.0, 0.003, 1.0, 19.9, 99.0, 1e9] {
            let axis = Axis::of_numbers(greatest);
            assert!(axis.at(greatest) <= 1.0 && (3..=6).contains(&axis.labels.len()), "{greatest}: {axis:?}");
        }
    }

    #[test]
    fn times_fit_on_a_phone() {
        assert_eq!(labels(&Axis::of_time(17 * SECOND)), ["0", "5 s", "10 s", "15 s"]);
        assert_eq!(labels(&Axis::of_time(600 * SECOND)), ["0", "2 min", "4 min", "6 min", "8 min", "10 min"]);
        for span in [0, 1, 1_000, SECOND, 47 * SECOND, 100 * SECOND, 3_600 * SECOND, 100_000 * SECOND] {
            assert!((1..=7).contains(&Axis::of_time(span).labels.len()), "{span}");
        }
    }

    #[test]
    fn decades_lie_around_all_values() {
        let decades = Decades::around(&[30.0, 4_000.0].into_iter());
        let powers: Vec<_> = decades.powers().map(|(_, power)| power.round()).collect();
        assert_eq!((powers, decades.at(10.0), decades.at(10_000.0)), (vec![10.0, 100.0, 1_000.0, 10_000.0], 0.0, 1.0));
        assert_eq!(Decades::around(&std::iter::empty()).at(0.0), 0.0);
    }
}
