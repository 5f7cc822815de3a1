//! The counters over time, folded from the journal.

use super::Stock;
use crate::audit::evidence::Entry;
use crate::clock::Micros;

/// Points that a stretch of time is thinned to, at most: see [`extremes`].
const POINTS_PER_STRETCH_MAX: usize = 4;

/// The counters after each change, at the time of the change. What was before the beginning counts as being there then, and
/// holds count until the journal ends them.
pub(super) fn fold<'a>(journal: impl Iterator<Item = &'a Entry>, begun: Micros) -> Vec<Stock> {
    // The journals of several events follow one another; each is in the order of its times.
    let mut entries: Vec<_> = journal.collect();
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

/// At most `most` of these steps: the first and the last, and of every stretch of time the extremes. While all goes up, most
/// stretches have only one; so the stretches are made as short as there is room for.
pub(in crate::report) fn thinned(steps: &[Stock], most: usize) -> Vec<Stock> {
    if steps.len() <= most {
        return steps.to_vec();
    }
    let stretches = (1..=POINTS_PER_STRETCH_MAX).map(|points| most.saturating_sub(2) / points);
    let mut kept = stretches.map(|stretches| with_extremes(steps, stretches));
    kept.find(|kept| kept.len() <= most).unwrap_or_default()
}

fn with_extremes(steps: &[Stock], stretches: usize) -> Vec<Stock> {
    let [first, inside @ .., last] = steps else { return steps.to_vec() };
    let width = (last.at - first.at) / i64::try_from(stretches).unwrap_or(i64::MAX).max(1) + 1;
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
