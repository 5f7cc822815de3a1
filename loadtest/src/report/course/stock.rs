//! The counters over time, folded from the journal.

use super::Stock;
use crate::audit::evidence::Entry;
use crate::clock::Micros;

/// Points that a stretch of time is thinned to, at most: see [`extremes`].
const POINTS_PER_STRETCH: usize = 4;

/// The counters after each change, at the time of the change. What was before the beginning counts as being there then, and
/// holds count until the journal ends them.
pub(super) fn fold(journal: &[Entry], begun: Micros) -> Vec<Stock> {
    // The journals of several events follow one another; each is in the order of its times.
    let mut entries: Vec<_> = journal.iter().collect();
    entries.sort_by_key(|entry| entry.at);
    let mut steps: Vec<Stock> = Vec::new();
    let mut now = Stock { at: 0, capacity: 0, held: 0, sold: 0 };
    for entry in entries {
        now.at = (entry.at - begun).max(0);
        for delta in &entry.deltas {
            now.capacity += i64::from(delta.capacity);
            now.held += i64::from(delta.held);
            now.sold += i64::from(delta.sold);
        }
        match steps.last_mut() {
            Some(last) if now.at == 0 => *last = now,
            _ => steps.push(now),
        }
    }
    steps
}

/// At most `most` of these steps: the first and the last, and of every stretch of time the extremes.
pub(in crate::report) fn thinned(steps: &[Stock], most: usize) -> Vec<Stock> {
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return Vec::new() };
    if steps.len() <= most {
        return steps.to_vec();
    }
    let stretches = i64::try_from(most.saturating_sub(2) / POINTS_PER_STRETCH).unwrap_or(1).max(1);
    let width = (last.at - first.at) / stretches + 1;
    let inside = steps.get(1..steps.len() - 1).unwrap_or_default();
    let same_stretch = |one: &Stock, other: &Stock| (one.at - first.at) / width == (other.at - first.at) / width;
    let kept = inside.chunk_by(same_stretch).flat_map(extremes);
    std::iter::once(*first).chain(kept).chain([*last]).collect()
}

/// In the order of time: where most were held, most sold, most taken, and how it ended.
fn extremes(stretch: &[Stock]) -> Vec<Stock> {
    let highest = |of: fn(&Stock) -> i64| (0..stretch.len()).max_by_key(|index| stretch.get(*index).map(of));
    let mut kept: Vec<_> = [highest(|stock| stock.held), highest(|stock| stock.sold), highest(Stock::taken)]
        .into_iter()
        .chain([stretch.len().checked_sub(1)])
        .flatten()
        .collect();
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().filter_map(|index| stretch.get(index).copied()).collect()
}
