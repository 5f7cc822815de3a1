//! Replays a journal: adding up its deltas gives the counts, and its last edits give the settings.

use std::collections::BTreeMap;

use super::change::{AllocationEdit, EventEdit, JournalEntry};
use super::ids::{AllocationId, Seq};

/// Counts of one allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Units in all.
    pub capacity: i64,
    /// Units in holds.
    pub held: i64,
    /// Units sold.
    pub sold: i64,
}

/// What a journal must never say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// An entry is missing, or there twice.
    #[error("entry {found} follows where {expected} should")]
    Gap {
        /// Which should follow.
        expected: Seq,
        /// Which does.
        found: Seq,
    },
    /// After an entry an allocation has more units out than it has, or fewer than none.
    #[error("after entry {seq} allocation {allocation} has {} held and {} sold of {}", counts.held, counts.sold, counts.capacity)]
    Impossible {
        /// After which.
        seq: Seq,
        /// Which allocation.
        allocation: AllocationId,
        /// Its counts then.
        counts: Counts,
    },
}

/// The counts and settings of one event after the entries that it was given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// The number of the last entry.
    pub seq: Seq,
    /// By allocation.
    pub allocations: BTreeMap<AllocationId, Counts>,
    /// The last edit of the event.
    pub event: Option<EventEdit>,
    /// The last edit of each allocation. (Its capacity has gone on since.)
    pub edits: BTreeMap<AllocationId, AllocationEdit>,
}

impl Ledger {
    /// Adds up the next entry.
    ///
    /// # Errors
    /// Where the entry does not follow the last one, or leads to an impossible count. It is added up all the same, so that
    /// an audit can go on.
    pub fn apply(&mut self, entry: &JournalEntry) -> Result<(), LedgerError> {
        let expected = self.seq + 1;
        self.seq = entry.seq;
        self.event = entry.event.clone().or(self.event.take());
        if let Some(edit) = &entry.allocation
            && let Ok(id) = AllocationId::new(&edit.id)
        {
            self.allocations.entry(id.clone()).or_default();
            self.edits.insert(id, edit.clone());
        }
        let mut impossible = None;
        for delta in &entry.deltas {
            let counts = self.allocations.entry(delta.allocation.clone()).or_default();
            counts.capacity = counts.capacity.saturating_add(delta.capacity);
            counts.held = counts.held.saturating_add(delta.held);
            counts.sold = counts.sold.saturating_add(delta.sold);
            if counts.held < 0 || counts.sold < 0 || counts.held.saturating_add(counts.sold) > counts.capacity {
                impossible = Some((delta.allocation.clone(), *counts));
            }
        }
        if entry.seq != expected {
            return Err(LedgerError::Gap { expected, found: entry.seq });
        }
        match impossible {
            Some((allocation, counts)) => Err(LedgerError::Impossible { seq: entry.seq, allocation, counts }),
            None => Ok(()),
        }
    }
}
