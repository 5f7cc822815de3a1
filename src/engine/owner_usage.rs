//! The usage tables of the events of one lane.

use std::collections::HashMap;
use std::hash::RandomState;

use crate::domain::{Delta, EventId, JournalEntry, OwnerId, OwnerUnits, Seq, Snapshot, UsageTable};
use crate::storage::{LaneConnection, Result};

/// Most entries of a lane's tables together (4 to 21 bytes each). Beyond it the table that was used longest ago goes; it is
/// built anew when it is needed.
const ENTRIES_MAX: usize = 16_000_000;

/// Journal entries read at once to bring a table up to date.
const CATCH_UP_BITE: usize = if cfg!(test) { 4 } else { 10_000 };

/// Most journal entries that one batch reads for that. Until a table is up to date, owners' units are read one by one.
const CATCH_UP_PER_BATCH_MAX: usize = if cfg!(test) { 8 } else { 100_000 };

/// The same of a batch in which more owners than [`READ_ALONE_MAX`] would have to be read.
const CATCH_UP_FOR_MANY_MAX: usize = 1_000_000;

/// So many owners of a batch are read one by one, though the table is not up to date.
pub(super) const READ_ALONE_MAX: usize = 8;

/// Most tables.
const TABLES_MAX: usize = 100_000;

/// Most allocations of all owners together whose exact units a lane remembers. Beyond it all are forgotten.
const EXACT_MAX: usize = if cfg!(test) { 12 } else { 100_000 };

/// Usage tables by event. See [`UsageTable`].
pub(super) struct OwnerUsage {
    /// For events without limits.
    none: UsageTable,
    tables: HashMap<EventId, Kept>,
    hasher: RandomState,
    entries: usize,
    /// How many allocations all [`Exact::owners`] have, those that went since included.
    exact: usize,
    clock: u64,
}

struct Kept {
    table: UsageTable,
    exact: Exact,
    last_used: u64,
}

/// What the database told of owners who may have reached a limit: they come again, and to read it costs a look at all of the journal
/// that the owner index does not cover yet.
#[derive(Default)]
struct Exact {
    /// The change up to which it is true.
    as_of: Seq,
    owners: HashMap<OwnerId, OwnerUnits>,
}

impl Exact {
    /// Takes up changes that follow one another.
    fn apply(&mut self, entries: &[JournalEntry]) {
        for entry in entries {
            if entry.seq != self.as_of + 1 {
                continue;
            }
            self.as_of = entry.seq;
            if let Some((_, owner)) = &entry.reservation {
                self.apply_to(owner, &entry.deltas);
            }
        }
    }

    /// Only of what is known of him; that he has more than that is for the database to tell, or this would grow.
    fn apply_to(&mut self, owner: &OwnerId, deltas: &[Delta]) {
        let Some(units) = self.owners.get_mut(owner) else { return };
        for delta in deltas {
            match units.get_mut(&delta.allocation) {
                Some(units) => *units += delta.held + delta.sold,
                None => {
                    self.owners.remove(owner);
                    return;
                }
            }
        }
    }

    /// Forgets what may be true no more at change `seq`.
    fn keep_at(&mut self, seq: Seq) {
        if self.as_of != seq {
            *self = Self { as_of: seq, owners: HashMap::new() };
        }
    }
}

impl Default for OwnerUsage {
    fn default() -> Self {
        let hasher = RandomState::new();
        Self { none: UsageTable::new(hasher.clone()), tables: HashMap::new(), hasher, entries: 0, exact: 0, clock: 0 }
    }
}

impl OwnerUsage {
    /// Brings what is known of the snapshot's event up to date, as far as one batch may.
    pub(super) async fn catch_up(&mut self, lane: &mut dyn LaneConnection, snapshot: &Snapshot) -> Result<()> {
        self.catch_up_by(lane, snapshot, CATCH_UP_PER_BATCH_MAX).await
    }

    /// The same for many, each of whom would have to be read by himself; at once, as far as that is worth it.
    pub(super) async fn catch_up_for_many(&mut self, lane: &mut dyn LaneConnection, snapshot: &Snapshot) -> Result<()> {
        self.catch_up_by(lane, snapshot, CATCH_UP_FOR_MANY_MAX).await
    }

    async fn catch_up_by(
        &mut self,
        lane: &mut dyn LaneConnection,
        snapshot: &Snapshot,
        entries_max: usize,
    ) -> Result<()> {
        let Some(event) = &snapshot.event else { return Ok(()) };
        if !event.has_limits() {
            // A command may set one.
            if let Some(kept) = self.tables.get_mut(&event.id) {
                kept.exact.keep_at(event.last_seq);
            }
            return Ok(());
        }
        self.clock += 1;
        let new = || Kept { table: UsageTable::new(self.hasher.clone()), exact: Exact::default(), last_used: 0 };
        let kept = self.tables.entry(snapshot.event_id.clone()).or_insert_with(new);
        kept.last_used = self.clock;
        let before = kept.table.entries();
        if kept.table.as_of() > event.last_seq {
            kept.table = UsageTable::new(self.hasher.clone());
        }
        let mut read = 0;
        while kept.table.as_of() < event.last_seq && read < entries_max {
            let entries = lane.load_journal(&event.id, kept.table.as_of() + 1, CATCH_UP_BITE).await?;
            if entries.is_empty() {
                break;
            }
            read += entries.len();
            kept.apply(&entries);
        }
        kept.exact.keep_at(event.last_seq);
        self.entries = (self.entries + kept.table.entries()).saturating_sub(before);
        Ok(())
    }

    /// The table of the snapshot's event; an empty one where the event has no limits.
    pub(super) fn table(&self, snapshot: &Snapshot) -> &UsageTable {
        let limited = snapshot.event.as_ref().filter(|event| event.has_limits());
        limited.and_then(|event| self.tables.get(&event.id)).map_or(&self.none, |kept| &kept.table)
    }

    /// What an owner has in truth, of an event that was brought up to date.
    pub(super) async fn exact(
        &mut self,
        lane: &mut dyn LaneConnection,
        event: &EventId,
        owner: &OwnerId,
    ) -> Result<OwnerUnits> {
        if let Some(units) = self.tables.get(event).and_then(|kept| kept.exact.owners.get(owner)) {
            return Ok(units.clone());
        }
        let units = lane.load_usage(event, owner).await?;
        self.exact += units.len() + 1;
        if self.exact > EXACT_MAX {
            self.tables.values_mut().for_each(|kept| kept.exact.owners = HashMap::new());
            self.exact = units.len() + 1;
        }
        if let Some(kept) = self.tables.get_mut(event) {
            kept.exact.owners.insert(owner.clone(), units.clone());
        }
        Ok(units)
    }

    /// Takes up what a batch has committed.
    pub(super) fn committed(&mut self, event: &EventId, journal: &[JournalEntry]) {
        let Some(kept) = self.tables.get_mut(event) else { return };
        let before = kept.table.entries();
        kept.apply(journal);
        self.entries = (self.entries + kept.table.entries()).saturating_sub(before);
        while self.tables.len() > 1 && (self.entries > ENTRIES_MAX || self.tables.len() > TABLES_MAX) {
            self.drop_oldest();
        }
    }

    /// Forgets everything, after a batch failed: nothing is assumed of what the database holds now.
    pub(super) fn clear(&mut self) {
        self.tables.clear();
        (self.entries, self.exact) = (0, 0);
    }

    fn drop_oldest(&mut self) {
        let oldest = self.tables.iter().min_by_key(|(_, kept)| kept.last_used).map(|(event, _)| event.clone());
        if let Some(kept) = oldest.and_then(|event| self.tables.remove(&event)) {
            self.entries = self.entries.saturating_sub(kept.table.entries());
        }
    }
}

impl Kept {
    fn apply(&mut self, entries: &[JournalEntry]) {
        apply_all(&mut self.table, entries);
        self.exact.apply(entries);
    }
}

/// Applies entries in order, as long as each follows the last: a new limit sends the table back to the beginning. Those behind it are
/// looked at for limits only, so that many that were set at once send it back once.
fn apply_all(table: &mut UsageTable, entries: &[JournalEntry]) {
    for entry in entries {
        if entry.seq == table.as_of() + 1 {
            table.apply(entry);
        } else if table.as_of() == 0 {
            table.foresee_limits(entry);
        } else {
            return;
        }
    }
}
