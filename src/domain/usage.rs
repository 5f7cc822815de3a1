//! How many units each owner has, for limits per owner.
//!
//! Reading it from the database for each reservation would cost a random page each. So a server keeps it in memory for
//! events that have limits, as a fold of the journal, tagged with the `seq` that it reflects; under the event's lock it is
//! brought up to date with what other servers wrote. The table is compact and may *over*count (two owners may share a
//! fingerprint), never undercount. So "within the limit" is exact at once, and "over the limit" is checked against the
//! owner's reservations before it is said ([`super::Need::Usage`]).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::change::{JournalEntry, JournalKind};
use super::ids::{AllocationId, OwnerId, Seq};

/// Units that one owner has held or bought, by allocation.
pub type OwnerUnits = BTreeMap<AllocationId, i64>;

/// What is known of owners' units without asking the database.
pub(super) trait UpperBounds {
    /// See [`UsageTable::as_of`].
    fn as_of(&self) -> Seq;
    /// See [`UsageTable::units_at_most`].
    fn units_at_most(&self, owner: &OwnerId, allocation: Option<&AllocationId>) -> i64;
}

impl<S: BuildHasher> UpperBounds for UsageTable<S> {
    fn as_of(&self) -> Seq {
        Self::as_of(self)
    }

    fn units_at_most(&self, owner: &OwnerId, allocation: Option<&AllocationId>) -> i64 {
        Self::units_at_most(self, owner, allocation)
    }
}

/// Upper bounds of the units of each owner of one event: 9 to 18 bytes for each owner and limit.
pub struct UsageTable<S = RandomState> {
    hasher: S,
    cells: Cells,
    as_of: Seq,
    /// Whether the event has had a limit, and which allocations have had one: only these are counted.
    event_limited: bool,
    limited: BTreeSet<AllocationId>,
}

const UNITS_BITS: u32 = 24;
const UNITS_MAX: u64 = (1 << UNITS_BITS) - 1;

impl<S: BuildHasher> UsageTable<S> {
    /// Of an event before its first change. `hasher` must be keyed at random where clients choose owners' names.
    pub fn new(hasher: S) -> Self {
        Self { hasher, cells: Cells::new(), as_of: 0, event_limited: false, limited: BTreeSet::new() }
    }

    /// The number of the last change that it reflects. It goes back to 0 when a change sets a limit where there was
    /// none, because the units taken before were not counted: then replay from the first change on.
    pub const fn as_of(&self) -> Seq {
        self.as_of
    }

    /// How many entries it has, as a measure of its memory.
    pub fn entries(&self) -> usize {
        self.cells.len()
    }

    /// Takes up the change that follows [`Self::as_of`].
    pub fn apply(&mut self, entry: &JournalEntry) {
        debug_assert_eq!(entry.seq, self.as_of + 1, "changes come in order, without gaps");
        self.as_of = entry.seq;
        // Of what was just created, no units were taken before.
        let edited = matches!(entry.kind, JournalKind::EventUpdated | JournalKind::AllocationUpdated);
        if self.sets_new_limit(entry) && edited {
            self.cells = Cells::new();
            self.as_of = 0;
            return;
        }
        let Some((_, owner)) = &entry.reservation else { return };
        let mut total = 0;
        for delta in &entry.deltas {
            let units = delta.held + delta.sold;
            total += units;
            if self.limited.contains(&delta.allocation) {
                self.add(owner, Some(&delta.allocation), units);
            }
        }
        if self.event_limited {
            self.add(owner, None, total);
        }
    }

    /// At most how many units the owner has: of one allocation, or (`None`) of the whole event. Only for what has a limit.
    pub fn units_at_most(&self, owner: &OwnerId, allocation: Option<&AllocationId>) -> i64 {
        let print = self.fingerprint(owner, allocation);
        match self.cells.units(print) {
            UNITS_MAX => i64::MAX,
            units => units.cast_signed(),
        }
    }

    fn sets_new_limit(&mut self, entry: &JournalEntry) -> bool {
        let mut new = false;
        if entry.event.as_ref().is_some_and(|event| event.limit_per_owner.is_some()) {
            new |= !std::mem::replace(&mut self.event_limited, true);
        }
        if let Some(edit) = &entry.allocation
            && edit.limit_per_owner.is_some()
            && let Ok(id) = AllocationId::new(&edit.id)
        {
            new |= self.limited.insert(id);
        }
        new
    }

    fn fingerprint(&self, owner: &OwnerId, allocation: Option<&AllocationId>) -> u64 {
        self.hasher.hash_one((owner, allocation)) & !UNITS_MAX
    }

    fn add(&mut self, owner: &OwnerId, allocation: Option<&AllocationId>, units: i64) {
        let print = self.fingerprint(owner, allocation);
        self.cells.add(print, units);
    }
}

/// Cells of a fingerprint (the upper 40 bits) and a number of units (the lower 24). Many cells are spread over parts, so
/// that when one grows only that part is in memory twice; and the parts are of different sizes, so that they do not all grow
/// at the same time.
struct Cells {
    parts: Vec<HashTable<u64>>,
    len: usize,
}

/// How many cells there are before they are spread over parts, and over how many.
const PARTED_FROM: usize = 1 << 15;
const PARTS: usize = 64;

impl Cells {
    fn new() -> Self {
        Self { parts: vec![HashTable::new()], len: 0 }
    }

    const fn len(&self) -> usize {
        self.len
    }

    fn part(&self, print: u64) -> usize {
        // The larger of two numbers made of upper bits: the last part gets 127 times as much as the first, and the upper half of
        // them three quarters of all. What the parts' own tables use is spread anew.
        let (first, second) = (print >> 58, print >> 52 & 63);
        usize::try_from(first.max(second)).map_or(0, |bits| bits % self.parts.len())
    }

    fn units(&self, print: u64) -> u64 {
        let cell = self.parts[self.part(print)].find(table_hash(print), |cell| cell & !UNITS_MAX == print);
        cell.map_or(0, |cell| cell & UNITS_MAX)
    }

    fn add(&mut self, print: u64, units: i64) {
        let part = self.part(print);
        match self.parts[part].find_entry(table_hash(print), |cell| cell & !UNITS_MAX == print) {
            Ok(mut entry) => match *entry.get() & UNITS_MAX {
                // A saturated cell has lost count and stays at "any number", so that it is never too low.
                UNITS_MAX => {}
                old => match old.saturating_add_signed(units).min(UNITS_MAX) {
                    0 => {
                        entry.remove();
                        self.len -= 1;
                    }
                    new => *entry.get_mut() = print | new,
                },
            },
            Err(_) if units > 0 => {
                self.insert(part, print | units.unsigned_abs().min(UNITS_MAX));
                if self.len == PARTED_FROM && self.parts.len() == 1 {
                    self.spread();
                }
            }
            Err(_) => {}
        }
    }

    fn insert(&mut self, part: usize, cell: u64) {
        self.parts[part].insert_unique(table_hash(cell), cell, |cell| table_hash(*cell));
        self.len += 1;
    }

    fn spread(&mut self) {
        let whole = std::mem::replace(&mut self.parts, (0..PARTS).map(|_| HashTable::new()).collect());
        self.len = 0;
        for cell in whole.into_iter().flatten() {
            self.insert(self.part(cell), cell);
        }
    }
}

/// Spreads a cell's fingerprint over all 64 bits, since the table uses the lowest and the highest (Fibonacci hashing).
const fn table_hash(cell: u64) -> u64 {
    (cell >> UNITS_BITS).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_do_not_all_grow_at_the_same_time() {
        let mut cells = Cells::new();
        let (mut room_before, mut worst) = (0, 0.0_f64);
        for number in 1..=400_000_u64 {
            // SplitMix64's steps: as good as random, and the same each time.
            let mixed = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            cells.add((mixed ^ mixed >> 31) & !UNITS_MAX, 1);
            if number >= 100_000 && number % 10_000 == 0 {
                let room: u32 = cells.parts.iter().map(|part| u32::try_from(part.capacity()).unwrap()).sum();
                if room_before > 0 {
                    worst = worst.max(f64::from(room) / f64::from(room_before));
                }
                room_before = room;
            }
        }
        // Parts of one size would double all at once.
        assert!((1.0..1.4).contains(&worst), "{worst} times as much room for a tenth more cells");
    }
}
