//! What the lane knows of events from the batches before, so that the next batch need not load it again: that saves a
//! hand-over to the connection's thread, which costs more than the reading.
//!
//! It is optimistic: whoever decides from it must have it confirmed by the database before the outcome is told. The
//! guards of the writes do that (an event is met only at the `last_seq` that was remembered), and where nothing is
//! written, a look at the `last_seq` does. After any error everything is forgotten.

use std::collections::{BTreeMap, HashMap};

use crate::domain::{
    Allocation, AllocationId, Changes, Event, EventId, ReservationId, Seq, Snapshot, State, Timestamp, Wanted,
};

/// Most events and allocations together. Beyond it everything is forgotten: the next batches load what they need.
const ROWS_MAX: usize = 100_000;

/// See the module.
#[derive(Default)]
pub(super) struct Remembered {
    events: HashMap<EventId, Known>,
    rows: usize,
}

/// What is known of one event.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) event: Event,
    /// Those that were loaded, not all.
    pub(super) allocations: BTreeMap<AllocationId, Allocation>,
    pub(super) greatest_id: Option<ReservationId>,
    /// How far its owner index reaches.
    pub(super) owner_indexed: Seq,
    /// No hold expires before.
    pub(super) earliest_expiry: Option<Timestamp>,
}

impl Remembered {
    /// What is wanted, if all of it is known.
    pub(super) fn snapshots(&self, wanted: &[Wanted], now: Timestamp) -> Option<Vec<Snapshot>> {
        wanted.iter().map(|wanted| self.events.get(&wanted.event)?.snapshot(wanted, now)).collect()
    }

    /// Takes up what was loaded, and what a committed batch made of it.
    pub(super) fn committed(&mut self, loaded: Vec<Known>, changes: &[Changes]) {
        for mut known in loaded {
            if let Some(before) = self.events.remove(&known.event.id) {
                self.rows -= before.rows();
                if before.event.last_seq == known.event.last_seq {
                    for (id, allocation) in before.allocations {
                        known.allocations.entry(id).or_insert(allocation);
                    }
                }
            }
            self.rows += known.rows();
            self.events.insert(known.event.id.clone(), known);
        }
        for change in changes {
            let Some(event) = &change.event else { continue };
            let Some(known) = self.events.get_mut(&event.after.id) else { continue };
            self.rows -= known.rows();
            known.take_up(change, &event.after);
            self.rows += known.rows();
        }
        if self.rows > ROWS_MAX {
            self.forget();
        }
    }

    /// How far the owner index of an event reaches: 0 where that is not known, since looking again costs little.
    pub(super) fn owner_indexed(&self, event: &EventId) -> Seq {
        self.events.get(event).map_or(0, |known| known.owner_indexed)
    }

    pub(super) fn forget(&mut self) {
        self.events.clear();
        self.rows = 0;
    }

    pub(super) fn forget_event(&mut self, event: &EventId) {
        if let Some(known) = self.events.remove(event) {
            self.rows -= known.rows();
        }
    }
}

impl Known {
    fn rows(&self) -> usize {
        1 + self.allocations.len()
    }

    /// What is wanted, if it is known: allocations that were loaded, and reservations that cannot exist yet.
    fn snapshot(&self, wanted: &Wanted, now: Timestamp) -> Option<Snapshot> {
        let lapsed = self.earliest_expiry.is_some_and(|expiry| expiry <= now);
        let all_new = wanted.reservations.iter().all(|id| self.greatest_id.is_none_or(|greatest| *id > greatest));
        if lapsed || wanted.expired || !all_new {
            return None;
        }
        let mut allocations = BTreeMap::new();
        for id in &wanted.allocations {
            if !allocations.contains_key(id) {
                allocations.insert(id.clone(), self.allocations.get(id)?.clone());
            }
        }
        Some(Snapshot {
            event_id: self.event.id.clone(),
            event: Some(self.event.clone()),
            allocations,
            reservations: HashMap::new(),
            earliest_expiry: self.earliest_expiry,
            expired: Vec::new(),
            more_expired: false,
            exact_usage: HashMap::new(),
        })
    }

    fn take_up(&mut self, change: &Changes, event: &Event) {
        self.event = event.clone();
        for edited in &change.allocations {
            self.allocations.insert(edited.after.id.clone(), edited.after.clone());
        }
        for edited in &change.reservations {
            let after = &edited.after;
            self.greatest_id = self.greatest_id.max(Some(after.id));
            if after.state == State::Held {
                self.earliest_expiry =
                    Some(self.earliest_expiry.map_or(after.expires_at, |earliest| earliest.min(after.expires_at)));
            }
        }
    }
}
