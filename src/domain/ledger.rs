//! Replays a journal: adding up its deltas gives the counts, its last edits give the settings, and their number the versions.

use std::collections::BTreeMap;

use super::change::{AllocationEdit, Delta, EventEdit, JournalEntry, JournalKind};
use super::event::Event;
use super::ids::{AllocationId, Seq, Version};
use super::time::Timestamp;

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

impl Counts {
    const fn is_impossible(&self) -> bool {
        self.held < 0 || self.sold < 0 || self.held.saturating_add(self.sold) > self.capacity
    }
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

/// What the journal says of an event, but for its allocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventAccount {
    /// Its last edit.
    pub edit: EventEdit,
    /// How often it was edited, its creation included.
    pub version: Version,
    /// When it was created.
    pub created_at: Timestamp,
}

impl From<&Event> for EventAccount {
    fn from(event: &Event) -> Self {
        Self { edit: EventEdit::from(&event.config), version: event.version, created_at: event.created_at }
    }
}

/// What the journal says of an allocation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllocationAccount {
    /// Its counts.
    pub counts: Counts,
    /// Its last edit. Its capacity has gone on since; `drain_to` follows that. `None`: the journal only counts units of it.
    pub edit: Option<AllocationEdit>,
    /// How often it was edited, its creation included.
    pub version: Version,
    /// Whether it has, or once had, a limit per owner.
    pub was_limited: bool,
}

impl AllocationAccount {
    fn add(&mut self, delta: &Delta) {
        let counts = &mut self.counts;
        counts.capacity = counts.capacity.saturating_add(delta.capacity);
        counts.held = counts.held.saturating_add(delta.held);
        counts.sold = counts.sold.saturating_add(delta.sold);
        // Draining ends where capacity has come down to what was asked for.
        if let Some(edit) = &mut self.edit {
            edit.drain_to = edit.drain_to.filter(|target| *target < self.counts.capacity);
        }
    }
}

/// The counts and settings of one event after the entries that it was given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// The number of the last entry.
    pub seq: Seq,
    /// The event. `None`: no entry tells of its settings.
    pub event: Option<EventAccount>,
    /// Its allocations.
    pub allocations: BTreeMap<AllocationId, AllocationAccount>,
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
        let is_transfer = entry.kind == JournalKind::CapacityTransferred;
        self.note_edits(entry, is_transfer);
        let mut impossible = None;
        for delta in &entry.deltas {
            let account = self.allocations.entry(delta.allocation.clone()).or_default();
            account.add(delta);
            // A transfer edits both of its allocations.
            account.version += Version::from(is_transfer);
            if account.counts.is_impossible() {
                impossible = Some((delta.allocation.clone(), account.counts));
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

    /// Whether any allocation has, or once had, a limit per owner.
    pub fn has_allocation_limits(&self) -> bool {
        self.allocations.values().any(|account| account.was_limited)
    }

    fn note_edits(&mut self, entry: &JournalEntry, is_transfer: bool) {
        if let Some(edit) = &entry.event {
            let before = self.event.take();
            self.event = Some(EventAccount {
                edit: edit.clone(),
                version: before.as_ref().map_or(1, |before| before.version + 1),
                created_at: before.map_or(entry.occurred_at, |before| before.created_at),
            });
        }
        if let Some(edit) = &entry.allocation
            && let Ok(id) = AllocationId::new(&edit.id)
        {
            let counted = is_transfer && entry.deltas.iter().any(|delta| delta.allocation == id);
            let account = self.allocations.entry(id).or_default();
            account.version += Version::from(!counted);
            account.was_limited |= edit.limit_per_owner.is_some();
            account.edit = Some(edit.clone());
        }
    }
}
