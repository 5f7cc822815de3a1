//! The calls over time, counted in intervals.

use super::{Traffic, recorded};
use crate::clock::Micros;
use crate::history::Call;

/// Most intervals that time is cut into. Their width is the next round one, so that there are seldom fewer than half as many.
const INTERVALS_MAX: i64 = 120;

/// How many calls ended in each interval, from the beginning to the last call, with nothing left out between.
pub(super) fn count<'a>(calls: impl Iterator<Item = &'a Call> + Clone, begun: Micros) -> Vec<Traffic> {
    let Some(last) = calls.clone().map(recorded::end).max() else { return Vec::new() };
    let width = round_width(last - begun);
    let interval = |at| Traffic { at, width, ..Traffic::default() };
    let mut intervals: Vec<_> = (0..=(last - begun) / width).map(|index| interval(index * width)).collect();
    for call in calls {
        let index = usize::try_from((recorded::end(call) - begun) / width).unwrap_or_default();
        if let Some(interval) = intervals.get_mut(index) {
            interval.add(&recorded::as_traffic(call));
        }
    }
    intervals
}

/// The smallest width of 1, 2 or 5 times a power of ten microseconds that cuts a span into few enough intervals.
pub(in crate::report) fn round_width(span: Micros) -> Micros {
    let mut power = 1;
    loop {
        for width in [power, 2 * power, 5 * power] {
            if span / width < INTERVALS_MAX {
                return width;
            }
        }
        power *= 10;
    }
}
