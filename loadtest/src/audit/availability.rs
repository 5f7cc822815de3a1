//! How many units were for sale at each moment, as the journal proves it.

use std::collections::HashMap;

use uuid::Uuid;

use super::evidence::{Entry, Kind};
use crate::clock::Micros;

/// Units for sale over time, over all allocations (a sale has one).
///
/// A hold keeps its units until the journal ends it, or until it expires, whichever is first: the service promises that
/// a decision never sees an expired hold as held. Changes of the same moment count one by one, in the journal's order.
#[derive(Debug)]
pub(super) struct Availability {
    /// When each step begins.
    times: Vec<Micros>,
    /// `minima[k][i]`: the least units for sale in the steps `i..i + 2^k`. (A sparse table: Bender and Farach-Colton,
    /// "The LCA Problem Revisited", 2000.)
    minima: Vec<Vec<i32>>,
}

/// A change of what is for sale: when, in which order within one moment, and by how many units.
type Step = (Micros, usize, i32);

impl Availability {
    /// Reads the journal.
    pub(super) fn new(journal: &[Entry]) -> Self {
        let mut steps = steps(journal);
        steps.sort_unstable();
        let mut level = 0;
        let levels = steps.iter().map(|(_, _, units)| {
            level += units;
            level
        });
        let mut minima = vec![levels.collect::<Vec<_>>()];
        let mut width = 1;
        while let Some(below) = minima.last()
            && below.len() > width
        {
            let wider = below.iter().zip(below.iter().skip(width)).map(|(left, right)| *left.min(right)).collect();
            minima.push(wider);
            width *= 2;
        }
        Self { times: steps.iter().map(|(at, ..)| *at).collect(), minima }
    }

    /// The least units that were for sale at any moment between `from` and `to`, both included; 0 before the first step.
    pub(super) fn least_between(&self, from: Micros, to: Micros) -> i32 {
        let begin = self.times.partition_point(|at| *at < from);
        let end = self.times.partition_point(|at| *at <= to);
        // The step that was in force when the time began counts too.
        let Some(begin) = begin.checked_sub(1) else { return 0 };
        self.least_of(begin, end)
    }

    fn least_of(&self, begin: usize, end: usize) -> i32 {
        let length = end.saturating_sub(begin).max(1);
        let power = length.ilog2() as usize;
        let Some(row) = self.minima.get(power) else { return 0 };
        let last = (begin + length).saturating_sub(1 << power);
        let left = row.get(begin).copied().unwrap_or_default();
        left.min(row.get(last).copied().unwrap_or_default())
    }
}

fn steps(journal: &[Entry]) -> Vec<Step> {
    let mut steps = Vec::with_capacity(journal.len() + 1);
    let mut holds: HashMap<Uuid, (i32, Micros)> = HashMap::new();
    for (order, entry) in journal.iter().enumerate() {
        let capacity: i32 = entry.deltas.iter().map(|delta| delta.capacity).sum();
        if capacity != 0 {
            steps.push((entry.at, order, capacity));
        }
        let Some(id) = entry.reservation else { continue };
        match entry.kind {
            Kind::Reserved => {
                holds.insert(id, (entry.held(), entry.expires.unwrap_or(Micros::MAX)));
                steps.push((entry.at, order, -entry.held()));
            }
            Kind::Extended => {
                if let (Some(hold), Some(expires)) = (holds.get_mut(&id), entry.expires) {
                    hold.1 = expires;
                }
            }
            Kind::Released | Kind::Expired => steps.extend(holds.remove(&id).map(|hold| back(hold, entry.at, order))),
            Kind::Reacquired => {
                steps.extend(holds.remove(&id).map(|hold| back(hold, entry.at, order)));
                steps.push((entry.at, order, -entry.sold()));
            }
            Kind::Confirmed => drop(holds.remove(&id)),
            Kind::Sold | Kind::Cancelled => steps.push((entry.at, order, -entry.sold())),
            Kind::Unspecified
            | Kind::EventCreated
            | Kind::EventUpdated
            | Kind::AllocationCreated
            | Kind::AllocationUpdated
            | Kind::CapacityTransferred => {}
        }
    }
    steps.extend(holds.into_values().map(|hold| back(hold, Micros::MAX, usize::MAX)));
    steps
}

/// The return of a hold's units: at its end in the journal, or at its expiry, after all else of that moment.
fn back((units, expires): (i32, Micros), ended: Micros, order: usize) -> Step {
    if expires < ended { (expires, usize::MAX, units) } else { (ended, order, units) }
}
