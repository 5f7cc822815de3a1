//! The usage tables of the events of one lane.

use std::collections::HashMap;
use std::hash::RandomState;

use crate::domain::{EventId, JournalEntry, Snapshot, UsageTable};
use crate::storage::{LaneConnection, Result};

/// Most entries of a lane's tables together (4 to 21 bytes each). Beyond it the table that was used longest ago goes; it is
/// built anew when it is needed.
const ENTRIES_MAX: usize = 16_000_000;

/// Journal entries read at once to bring a table up to date.
const CATCH_UP_BITE: usize = 10_000;

/// Most journal entries that one batch reads for that. Until a table is up to date, owners' units are read one by one.
const CATCH_UP_PER_BATCH_MAX: usize = 100_000;

/// Most tables.
const TABLES_MAX: usize = 100_000;

/// Usage tables by event. See [`UsageTable`].
pub(super) struct OwnerUsage {
    /// For events without limits.
    none: UsageTable,
    tables: HashMap<EventId, Kept>,
    hasher: RandomState,
    entries: usize,
    clock: u64,
}

struct Kept {
    table: UsageTable,
    last_used: u64,
}

impl Default for OwnerUsage {
    fn default() -> Self {
        let hasher = RandomState::new();
        Self { none: UsageTable::new(hasher.clone()), tables: HashMap::new(), hasher, entries: 0, clock: 0 }
    }
}

impl OwnerUsage {
    /// The table of the snapshot's event, brought up to date as far as one batch may; an empty one where the event has no
    /// limits.
    pub(super) async fn table(&mut self, lane: &mut dyn LaneConnection, snapshot: &Snapshot) -> Result<&UsageTable> {
        let Some(event) = snapshot.event.as_ref().filter(|event| event.has_limits()) else { return Ok(&self.none) };
        self.clock += 1;
        let new = || Kept { table: UsageTable::new(self.hasher.clone()), last_used: 0 };
        let kept = self.tables.entry(snapshot.event_id.clone()).or_insert_with(new);
        kept.last_used = self.clock;
        let before = kept.table.entries();
        if kept.table.as_of() > event.last_seq {
            kept.table = UsageTable::new(self.hasher.clone());
        }
        let mut read = 0;
        while kept.table.as_of() < event.last_seq && read < CATCH_UP_PER_BATCH_MAX {
            let entries = lane.load_journal(&event.id, kept.table.as_of() + 1, CATCH_UP_BITE).await?;
            if entries.is_empty() {
                break;
            }
            read += entries.len();
            apply_all(&mut kept.table, &entries);
        }
        self.entries = (self.entries + kept.table.entries()).saturating_sub(before);
        Ok(&kept.table)
    }

    /// Takes up what a batch has committed.
    pub(super) fn committed(&mut self, event: &EventId, journal: &[JournalEntry]) {
        let Some(kept) = self.tables.get_mut(event) else { return };
        let before = kept.table.entries();
        apply_all(&mut kept.table, journal);
        self.entries = (self.entries + kept.table.entries()).saturating_sub(before);
        while self.tables.len() > 1 && (self.entries > ENTRIES_MAX || self.tables.len() > TABLES_MAX) {
            self.drop_oldest();
        }
    }

    /// Forgets everything, after a batch failed: nothing is assumed of what the database holds now.
    pub(super) fn clear(&mut self) {
        self.tables.clear();
        self.entries = 0;
    }

    fn drop_oldest(&mut self) {
        let oldest = self.tables.iter().min_by_key(|(_, kept)| kept.last_used).map(|(event, _)| event.clone());
        if let Some(kept) = oldest.and_then(|event| self.tables.remove(&event)) {
            self.entries = self.entries.saturating_sub(kept.table.entries());
        }
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
