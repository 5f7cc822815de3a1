//! Builds the changes of one event by hand.

use crate::domain::{
    Actor, Allocation, AllocationEdit, Changes, Delta, Edited, Event, EventEdit, JournalEntry, JournalKind,
    Reservation, Snapshot, State, Timestamp,
};

/// Changes in the making, on a snapshot.
pub(in crate::storage) struct Draft {
    pub(in crate::storage) snapshot: Snapshot,
    pub(in crate::storage) now: Timestamp,
    pub(super) changes: Changes,
}

impl Draft {
    pub(in crate::storage) fn new(snapshot: Snapshot, now: Timestamp) -> Self {
        let event = snapshot.event.clone().map(|event| Edited { before: Some(event.clone()), after: event });
        Self { snapshot, now, changes: Changes { event, ..Changes::default() } }
    }

    /// The event as it is to be.
    pub(super) fn event(&mut self) -> &mut Event {
        &mut self.changes.event.as_mut().expect("the event exists or was created").after
    }

    /// Appends an entry, which gets the next number.
    pub(super) fn journal(&mut self, kind: JournalKind, actor: Actor) -> &mut JournalEntry {
        self.event().last_seq += 1;
        let seq = self.event().last_seq;
        self.changes.journal.push(JournalEntry::new(seq, self.now, kind, actor));
        self.changes.journal.last_mut().expect("pushed above")
    }

    pub(in crate::storage) fn create_event(&mut self, event: Event) {
        let edit = EventEdit::from(&event.config);
        self.changes.event = Some(Edited { before: None, after: event });
        self.journal(JournalKind::EventCreated, Actor::System).event = Some(edit);
    }

    pub(in crate::storage) fn create_allocation(&mut self, allocation: Allocation) {
        self.event().allocation_count += 1;
        let edit = AllocationEdit::from(&allocation);
        let delta = Delta { allocation: allocation.id.clone(), capacity: allocation.capacity, held: 0, sold: 0 };
        self.changes.allocations.push(Edited { before: None, after: allocation });
        let entry = self.journal(JournalKind::AllocationCreated, Actor::System);
        entry.allocation = Some(edit);
        entry.deltas = if delta.capacity == 0 { Vec::new() } else { vec![delta] };
    }

    /// An allocation as it is to be.
    pub(super) fn allocation(&mut self, id: &str) -> &mut Allocation {
        let at = self.changes.allocations.iter().position(|edited| edited.after.id.as_str() == id);
        let at = at.unwrap_or_else(|| {
            let before = self.snapshot.allocations[&super::allocation_id(id)].clone();
            self.changes.allocations.push(Edited { before: Some(before.clone()), after: before });
            self.changes.allocations.len() - 1
        });
        &mut self.changes.allocations[at].after
    }

    /// A new reservation, held or sold.
    pub(in crate::storage) fn insert(&mut self, reservation: Reservation) {
        let kind = if reservation.state == State::Held { JournalKind::Reserved } else { JournalKind::Sold };
        self.put(None, reservation, kind);
    }

    /// A reservation of the snapshot, changed.
    pub(super) fn change(&mut self, after: Reservation, kind: JournalKind) {
        let before = self.snapshot.reservations[&after.id].clone();
        self.put(Some(before), after, kind);
    }

    fn put(&mut self, before: Option<Reservation>, after: Reservation, kind: JournalKind) {
        let mut deltas = Vec::new();
        for (index, line) in after.lines.iter().enumerate() {
            let old = before.as_ref().map_or((0, 0), |before| taken(before, index));
            let new = taken(&after, index);
            let delta =
                Delta { allocation: line.allocation.clone(), capacity: 0, held: new.0 - old.0, sold: new.1 - old.1 };
            if (delta.held, delta.sold) != (0, 0) {
                let allocation = self.allocation(line.allocation.as_str());
                allocation.held += delta.held;
                allocation.sold += delta.sold;
                deltas.push(delta);
            }
        }
        let actor = Actor::Owner(after.owner.clone());
        let entry = self.journal(kind, actor);
        entry.reservation = Some((after.id, after.owner.clone()));
        entry.deltas = deltas;
        entry.order_ref.clone_from(&after.order_ref);
        if matches!(kind, JournalKind::Reserved | JournalKind::Extended) {
            entry.expires_at = Some(after.expires_at);
        }
        self.changes.reservations.push(Edited { before, after });
    }

    /// The changes; of an event that stays as it is, none.
    pub(in crate::storage) fn finish(self) -> Changes {
        if self.changes.journal.is_empty() { Changes::default() } else { self.changes }
    }
}

/// Units that a line of a reservation holds, and that it has bought.
fn taken(reservation: &Reservation, line: usize) -> (i64, i64) {
    let line = &reservation.lines[line];
    match reservation.state {
        State::Held => (line.quantity, 0),
        State::Confirmed => (0, line.quantity - line.cancelled),
        State::Released | State::Expired | State::Cancelled => (0, 0),
    }
}
