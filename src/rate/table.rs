//! What everybody has used of his quota, in memory that never grows.
//!
//! A map from names to states would have to grow with the callers or forget some: an attacker with many names would fill it, or
//! would make it forget those that he has exhausted. So there is no map. A name's state is written to one cell in each of four
//! rows, chosen by a hash with a key that nobody knows, and read as the least of the four: a count-min sketch with conservative
//! update (Cormode and Muthukrishnan, "An Improved Data Stream Summary", 2005; Estan and Varghese, "New Directions in Traffic
//! Measurement and Accounting", 2002), over moments instead of counts.
//!
//! A cell only ever moves ahead, so nobody can have more than his quota. He can have less only where others who are themselves at
//! their limits share all four of his cells: with N of them at the same time about (N / 65,536)⁴ of all names. A cell whose moment
//! has passed is free again by itself.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Cost, Quota};

/// Rows; each is chosen by as many bits of a hash of 64.
const ROWS: usize = 4;
const ROW_BITS: u32 = 16;
const ROW_CELLS: usize = 1 << ROW_BITS;
/// Two calls for the same name must not both be decided by the state before either. Each name has one of so many locks, which is
/// held for four reads and writes.
const LOCKS: usize = 256;

/// The states of all names: 2 MiB, whatever their number.
pub(super) struct Table {
    hasher: RandomState,
    /// Row after row.
    cells: Vec<AtomicU64>,
    locks: Vec<Mutex<()>>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            cells: (0..ROWS * ROW_CELLS).map(|_| AtomicU64::new(0)).collect(),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
        }
    }

    /// See [`Quota::decide`].
    pub(super) fn decide(&self, name: &str, quota: Quota, now: u64, cost: Cost) -> Result<(), u64> {
        let hash = self.hasher.hash_one(name);
        let lock = self.locks.get(low(hash) % LOCKS);
        let _guard = lock.map(|lock| lock.lock().unwrap_or_else(PoisonError::into_inner));
        let cells = || {
            let place = |row| row * ROW_CELLS + low(hash >> (row * ROW_BITS as usize)) % ROW_CELLS;
            (0..ROWS).filter_map(move |row| self.cells.get(place(row)))
        };
        let tat = cells().map(|cell| cell.load(Ordering::Relaxed)).min().unwrap_or(0);
        let next = quota.decide(tat, now, cost)?;
        for cell in cells() {
            // Names that share a cell may have moved it further meanwhile.
            cell.fetch_max(next, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The low bits of a hash.
fn low(hash: u64) -> usize {
    usize::from(u16::try_from(hash & u64::from(u16::MAX)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const NOW: u64 = 1_000_000_000;

    #[test]
    fn names_have_their_own_budgets() {
        let table = Table::new();
        let quota = Quota::new(1.0, 2).unwrap();
        for name in ["ann", "bob"] {
            assert!(table.decide(name, quota, NOW, Cost::of(1)).is_ok());
            assert!(table.decide(name, quota, NOW, Cost::of(1)).is_ok());
            assert_eq!(table.decide(name, quota, NOW, Cost::of(1)), Err(NOW), "{name}");
        }
        assert!(table.decide("ann", quota, 2 * NOW, Cost::of(1)).is_ok());
    }

    #[test]
    fn calls_at_the_same_moment_do_not_pass_the_quota() {
        let table = Arc::new(Table::new());
        let quota = Quota::new(0.001, 1_000).unwrap();
        let admitted = Arc::new(AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..400 {
                        if table.decide("ann", quota, NOW, Cost::of(1)).is_ok() {
                            admitted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(admitted.load(Ordering::Relaxed), 1_000);
    }

    /// An attacker with twenty thousand names at their limits neither frees the exhausted nor stops the honest.
    #[test]
    fn a_crowd_of_names_makes_nobody_unlimited_and_stops_almost_nobody() {
        let table = Table::new();
        let quota = Quota::new(0.001, 3).unwrap();
        let exhaust = |name: &str| while table.decide(name, quota, NOW, Cost::of(1)).is_ok() {};
        exhaust("scalper");
        (0..20_000).for_each(|name| exhaust(&format!("sock-{name}")));
        assert!(table.decide("scalper", quota, NOW, Cost::of(1)).is_err());
        let stopped =
            (0..2_000).filter(|name| table.decide(&format!("honest-{name}"), quota, NOW, Cost::of(1)).is_err()).count();
        assert!(stopped < 60, "{stopped} of 2,000: about 5 are expected");
    }
}
