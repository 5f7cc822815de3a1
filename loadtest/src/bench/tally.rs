//! What was acknowledged, held against what the counters show.

use crate::audit::evidence::{Counter, Counters};
use crate::report::AuditCounts;

/// What the load generator knows of one or more events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Acknowledged {
    /// Units that were reserved, whether or not they were sold later.
    pub reserved: u64,
    /// Of these, units that were sold.
    pub confirmed: u64,
    /// Units of calls that may have had an effect or not.
    pub unknown: u64,
}

/// What the counters of the same events show, in all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown {
    capacity: i64,
    held: i64,
    sold: i64,
    oversold: u64,
    stranded: u64,
}

impl Shown {
    /// Adds what an event shows.
    pub fn add_all(&mut self, counters: &Counters) {
        counters.allocations.iter().for_each(|counter| self.add(counter));
    }

    /// Adds what one allocation shows. Each is judged by itself, so that what one has too much does not hide what another lacks.
    fn add(&mut self, counter: &Counter) {
        let (capacity, available) = (i64::from(counter.capacity), i64::from(counter.available));
        let (held, sold) = (i64::from(counter.held), i64::from(counter.sold));
        self.capacity += capacity;
        self.held += held;
        self.sold += sold;
        self.oversold += (held + sold - capacity).max(0).unsigned_abs();
        self.stranded += (capacity - held - sold - available).unsigned_abs();
    }

    /// The figures, and in words whatever is wrong with them. `events`: which these are.
    pub fn judge(&self, events: &str, acknowledged: Acknowledged) -> (AuditCounts, Vec<String>) {
        let Acknowledged { reserved, confirmed, unknown } = acknowledged;
        let (taken, sold) = ((self.held + self.sold).max(0).unsigned_abs(), self.sold.max(0).unsigned_abs());
        let counts = AuditCounts {
            capacity: self.capacity,
            sold: self.sold,
            oversold: self.oversold,
            lost: reserved.saturating_sub(taken) + confirmed.saturating_sub(sold),
            duplicated: taken.saturating_sub(reserved + unknown) + sold.saturating_sub(confirmed),
            stranded: self.stranded,
            unknown,
            ..AuditCounts::default()
        };
        let mut faults = Vec::new();
        if counts.lost + counts.duplicated > 0 {
            let or_not = if unknown > 0 { format!(" (and {unknown} unknown)") } else { String::new() };
            faults.push(format!(
                "{events}: {reserved} acknowledged{or_not} and {confirmed} confirmed, but {taken} taken and {sold} sold"
            ));
        }
        if counts.oversold > 0 {
            faults.push(format!("{events}: {} oversold of a capacity of {}", counts.oversold, counts.capacity));
        }
        if counts.stranded > 0 {
            faults.push(format!("{events}: {} that are neither taken nor for sale, or both", counts.stranded));
        }
        (counts, faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What counters show (capacity, held, sold, available), what was acknowledged (reserved, confirmed, unknown), and what that
    /// comes to (oversold, lost, duplicated, stranded).
    type Case = (&'static [[i32; 4]], [u64; 3], [u64; 4]);

    #[test]
    fn whatever_is_counted_is_told_too() {
        let cases: [Case; 10] = [
            (&[[100, 20, 10, 70]], [30, 10, 0], [0, 0, 0, 0]),
            (&[[100, 20, 10, 70], [50, 0, 5, 45]], [35, 15, 0], [0, 0, 0, 0]),
            (&[[100, 22, 10, 68]], [30, 10, 2], [0, 0, 0, 0]),
            (&[[100, 20, 10, 70]], [31, 10, 0], [0, 1, 0, 0]),
            (&[[100, 20, 10, 70]], [30, 11, 0], [0, 1, 0, 0]),
            (&[[100, 20, 10, 70]], [29, 10, 0], [0, 0, 1, 0]),
            (&[[100, 23, 10, 67]], [30, 10, 2], [0, 0, 1, 0]),
            (&[[100, 20, 10, 69]], [30, 10, 0], [0, 0, 0, 1]),
            (&[[100, 20, 10, 71]], [30, 10, 0], [0, 0, 0, 1]),
            (&[[10, 0, 12, -2], [50, 0, 0, 50]], [12, 12, 0], [2, 0, 0, 0]),
        ];
        for (counters, [reserved, confirmed, unknown], expected) in cases {
            let mut shown = Shown::default();
            for [capacity, held, sold, available] in counters.iter().copied() {
                shown.add(&Counter { allocation: String::new(), capacity, held, sold, available });
            }
            let (counts, faults) = shown.judge("here", Acknowledged { reserved, confirmed, unknown });
            let counted = [counts.oversold, counts.lost, counts.duplicated, counts.stranded];
            assert_eq!(counted, expected, "{counters:?}");
            assert_eq!(faults.is_empty(), counts.is_clean(), "{faults:?}");
        }
    }
}
