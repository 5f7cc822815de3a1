//! How many units each owner has, for limits per owner.
//!
//! Reading it from the database for each reservation would cost a random page each. So a server keeps it in memory for
//! events that have limits, as a fold of the journal, tagged with the `seq` that it reflects; under the event's lock it is
//! brought up to date with what other servers wrote. The table is compact and may *over*count (two owners may share a
//! fingerprint), never undercount. So "within the limit" is exact at once, and "over the limit" is checked against the
//! owner's reservations before it is said ([`super::Need::Usage`]).

mod cells;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use self::cells::{Cells, UNITS_MAX};
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

/// Upper bounds of the units of each owner of one event: 4 to 5 bytes for each owner and limit in a large sale, see [`Cells`].
pub struct UsageTable<S = RandomState> {
    hasher: S,
    cells: Cells,
    as_of: Seq,
    /// Whether the event has had a limit, and which allocations have had one: only these are counted.
    event_limited: bool,
    limited: BTreeSet<AllocationId>,
}

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

    /// Takes note of a limit that a later change sets, before the first one is applied: then it counts from the beginning.
    pub fn foresee_limits(&mut self, entry: &JournalEntry) {
        debug_assert_eq!(self.as_of, 0, "what was taken before is counted, too");
        self.sets_new_limit(entry);
    }

    /// At most how many units the owner has: of one allocation, or (`None`) of the whole event. Only for what has a limit.
    pub fn units_at_most(&self, owner: &OwnerId, allocation: Option<&AllocationId>) -> i64 {
        match self.cells.units(self.fingerprint(owner, allocation)) {
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
        self.hasher.hash_one((owner, allocation))
    }

    fn add(&mut self, owner: &OwnerId, allocation: Option<&AllocationId>, units: i64) {
        let print = self.fingerprint(owner, allocation);
        self.cells.add(print, units);
    }
}
