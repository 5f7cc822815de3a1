//! How many units were for sale at each moment, or could become so, as the journal proves it.

use std::collections::HashMap;

use uuid::Uuid;

use super::evidence::{Delta, Entry, Kind};
use crate::clock::Micros;

/// Units of one allocation for sale over time.
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
    /// Reads the journal; one for each allocation, in the order of their numbers.
    pub(super) fn of(journal: &[Entry], allocations: usize) -> Vec<Self> {
        Self::by_allocation(all_steps(journal), allocations)
    }

    /// The same of what is not sold, held or not; one for each allocation.
    pub(super) fn unsold(journal: &[Entry], allocations: usize) -> Vec<Self> {
        let steps = journal.iter().enumerate().flat_map(|(order, entry)| {
            let step = move |delta: &Delta| (delta.allocation, (entry.at, order, delta.capacity - delta.sold));
            entry.deltas.iter().map(step)
        });
        Self::by_allocation(steps, allocations)
    }

    fn by_allocation(steps: impl IntoIterator<Item = (usize, Step)>, allocations: usize) -> Vec<Self> {
        let mut by_allocation = vec![Vec::new(); allocations];
        for (allocation, step) in steps {
            if let Some(steps) = by_allocation.get_mut(allocation) {
                steps.push(step);
            }
        }
        by_allocation.into_iter().map(Self::new).collect()
    }

    fn new(mut steps: Vec<Step>) -> Self {
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

/// The steps of all allocations, each with the number of its allocation.
fn all_steps(journal: &[Entry]) -> Vec<(usize, Step)> {
    let mut steps = Vec::with_capacity(journal.len() + 1);
    let mut holds: HashMap<Uuid, Hold> = HashMap::new();
    for (order, entry) in journal.iter().enumerate() {
        let mut add = |units: fn(&Delta) -> i32| {
            let steps_of = entry.deltas.iter().map(|delta| (delta.allocation, (entry.at, order, units(delta))));
            steps.extend(steps_of.filter(|(_, (_, _, units))| *units != 0));
        };
        add(|delta| delta.capacity);
        let Some(id) = entry.reservation else { continue };
        match entry.kind {
            Kind::Reserved => {
                add(|delta| -delta.held);
                let units = entry.deltas.iter().map(|delta| (delta.allocation, delta.held)).collect();
                holds.insert(id, Hold { units, expires: entry.expires.unwrap_or(Micros::MAX) });
            }
            Kind::Extended => {
                if let (Some(hold), Some(expires)) = (holds.get_mut(&id), entry.expires) {
                    hold.expires = expires;
                }
            }
            Kind::Sold | Kind::Cancelled => add(|delta| -delta.sold),
            Kind::Reacquired => {
                add(|delta| -delta.sold);
                steps.extend(holds.remove(&id).into_iter().flat_map(|hold| hold.back(entry.at, order)));
            }
            Kind::Released | Kind::Expired => {
                steps.extend(holds.remove(&id).into_iter().flat_map(|hold| hold.back(entry.at, order)));
            }
            Kind::Confirmed => drop(holds.remove(&id)),
            Kind::Unspecified
            | Kind::EventCreated
            | Kind::EventUpdated
            | Kind::AllocationCreated
            | Kind::AllocationUpdated
            | Kind::CapacityTransferred => {}
        }
    }
    steps.extend(holds.into_values().flat_map(|hold| hold.back(Micros::MAX, usize::MAX)));
    steps
}

/// A hold that the journal has not ended yet.
struct Hold {
    /// The number of each allocation, and how many units of it are held.
    units: Vec<(usize, i32)>,
    expires: Micros,
}

impl Hold {
    /// The return of its units: at its end in the journal, or at its expiry, after all else of that moment.
    fn back(self, ended: Micros, order: usize) -> impl Iterator<Item = (usize, Step)> {
        let (at, order) = if self.expires < ended { (self.expires, usize::MAX) } else { (ended, order) };
        self.units.into_iter().map(move |(allocation, units)| (allocation, (at, order, units)))
    }
}
