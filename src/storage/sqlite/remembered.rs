//! What the lane knows of events from the batches before, so that the next batch need not load it again: that saves a
//! hand-over to the connection's thread, which costs more than the reading.
//!
//! It is optimistic: whoever decides from it must have it confirmed by the database before the outcome is told. The
//! guards of the writes do that (an event is met only at the `last_seq` that was remembered), and where nothing is
//! written, a look at the `last_seq` does. After any error everything is forgotten.

use std::collections::{BTreeMap, HashMap};

use crate::domain::{
    Allocation, AllocationId, Changes, Event, EventId, Reservation, ReservationId, Seq, Snapshot, State, Timestamp,
    Wanted,
};

/// Most events, allocations and reservations together. Beyond it all reservations are forgotten, and if that does not make
/// room, everything: the next batches load what they need.
const ROWS_MAX: usize = 65_536;

/// Most reservations of one event. Beyond it the half with the lesser ids is forgotten.
const RESERVATIONS_MAX: usize = 8_192;

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
    pub(super) recent: Recent,
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
                    known.recent = before.recent;
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
            self.make_room();
        }
    }

    fn make_room(&mut self) {
        self.events.values_mut().for_each(|known| known.recent.forget());
        self.rows = self.events.values().map(Known::rows).sum();
        if self.rows > ROWS_MAX / 2 {
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
        1 + self.allocations.len() + self.recent.reservations.len()
    }

    /// What is wanted, if all of it is known.
    fn snapshot(&self, wanted: &Wanted, now: Timestamp) -> Option<Snapshot> {
        let lapsed = self.earliest_expiry.is_some_and(|expiry| expiry <= now);
        if lapsed || wanted.expired || !wanted.reservations.iter().all(|id| self.recent.covers(*id)) {
            return None;
        }
        let found = wanted.reservations.iter().filter_map(|id| self.recent.reservations.get(id));
        let reservations: HashMap<_, _> = found.map(|found| (found.id, found.clone())).collect();
        let named = reservations.values().flat_map(|found: &Reservation| &found.lines).map(|line| &line.allocation);
        let mut allocations = BTreeMap::new();
        for id in wanted.allocations.iter().chain(named) {
            if !allocations.contains_key(id) {
                allocations.insert(id.clone(), self.allocations.get(id)?.clone());
            }
        }
        Some(Snapshot {
            event: Some(self.event.clone()),
            allocations,
            reservations,
            earliest_expiry: self.earliest_expiry,
            ..Snapshot::empty(self.event.id.clone())
        })
    }

    fn take_up(&mut self, change: &Changes, event: &Event) {
        self.event = event.clone();
        for edited in &change.allocations {
            self.allocations.insert(edited.after.id.clone(), edited.after.clone());
        }
        for edited in &change.reservations {
            let after = &edited.after;
            self.recent.put(after);
            if after.state == State::Held {
                self.earliest_expiry =
                    Some(self.earliest_expiry.map_or(after.expires_at, |earliest| earliest.min(after.expires_at)));
            }
        }
    }
}

/// All reservations of an event whose ids are greater than one of them: exactly those that clients are busy with, where ids
/// are in the order of time, as version 7 UUIDs are. An id beyond that and not among them is known to be new.
#[derive(Clone, Default)]
pub(super) struct Recent {
    /// `None`: there are no others.
    after: Option<ReservationId>,
    reservations: BTreeMap<ReservationId, Reservation>,
}

impl Recent {
    /// Knows nothing of the reservations up to the one with the greatest id.
    pub(super) const fn after(greatest: Option<ReservationId>) -> Self {
        Self { after: greatest, reservations: BTreeMap::new() }
    }

    fn covers(&self, id: ReservationId) -> bool {
        self.after.is_none_or(|after| id > after)
    }

    fn put(&mut self, reservation: &Reservation) {
        if !self.covers(reservation.id) {
            return;
        }
        self.reservations.insert(reservation.id, reservation.clone());
        if self.reservations.len() > RESERVATIONS_MAX
            && let Some(middle) = self.reservations.keys().nth(RESERVATIONS_MAX / 2).copied()
        {
            self.reservations = self.reservations.split_off(&middle);
            self.reservations.remove(&middle);
            self.after = Some(middle);
        }
    }

    fn forget(&mut self) {
        self.after = self.reservations.keys().next_back().copied().or(self.after);
        self.reservations = BTreeMap::new();
    }
}
