//! The copy of an event's state that a batch works on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Answer, Need, Outcome, Refusal};
use crate::domain::change::{Changes, Delta, Edited, JournalEntry, JournalKind};
use crate::domain::command::Command;
use crate::domain::event::{Allocation, Event};
use crate::domain::ids::{Actor, AllocationId, OwnerId, ReservationId};
use crate::domain::reservation::{Reservation, State};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::domain::usage::UpperBounds;

/// What the batch has changed so far, over the snapshot that it began with.
#[derive(Clone)]
pub(super) struct Working<'a> {
    pub(super) now: Timestamp,
    /// How many commands the batch has.
    commands: usize,
    snapshot: &'a Snapshot,
    usage: &'a dyn UpperBounds,
    event: Option<Event>,
    allocations: BTreeMap<AllocationId, Allocation>,
    /// Changed reservations; `order` keeps the order of their first change.
    reservations: HashMap<ReservationId, Reservation>,
    order: Vec<ReservationId>,
    journal: Vec<JournalEntry>,
    /// Units that owners gained or lost in this batch.
    gained: HashMap<OwnerId, Gained>,
    /// Whether this batch set a limit where there was none, so that the usage table has not counted for it.
    new_limits: bool,
    /// The earliest expiry of the holds that this batch made or extended.
    earliest_new: Option<Timestamp>,
    reclaimed: bool,
    needs_expired: bool,
    needs_usage: BTreeSet<OwnerId>,
}

/// Units that an owner gained or lost: of the event, and of each allocation.
#[derive(Clone, Default)]
struct Gained {
    total: i64,
    by_allocation: BTreeMap<AllocationId, i64>,
}

impl Gained {
    fn of(&self, allocation: Option<&AllocationId>) -> i64 {
        match allocation {
            Some(allocation) => self.by_allocation.get(allocation).copied().unwrap_or(0),
            None => self.total,
        }
    }

    fn add(&mut self, allocation: &AllocationId, units: i64) {
        self.total += units;
        *self.by_allocation.entry(allocation.clone()).or_insert(0) += units;
    }
}

impl<'a> Working<'a> {
    /// For a batch of so many commands.
    pub(super) fn new(snapshot: &'a Snapshot, usage: &'a dyn UpperBounds, now: Timestamp, commands: usize) -> Self {
        Self {
            now,
            commands,
            snapshot,
            usage,
            event: snapshot.event.clone(),
            allocations: BTreeMap::new(),
            reservations: HashMap::new(),
            order: Vec::new(),
            journal: Vec::new(),
            gained: HashMap::new(),
            new_limits: false,
            earliest_new: None,
            reclaimed: false,
            needs_expired: false,
            needs_usage: BTreeSet::new(),
        }
    }

    /// Goes back to an earlier state of this batch, as if nothing had been done since. What must be loaded before it can be
    /// decided remains to be loaded.
    pub(super) fn go_back(&mut self, mut earlier: Self) {
        earlier.needs_expired |= self.needs_expired;
        earlier.needs_usage.append(&mut self.needs_usage);
        *self = earlier;
    }

    pub(super) fn event(&self) -> Result<&Event, Refusal> {
        self.event.as_ref().ok_or(Refusal::EventNotFound)
    }

    pub(super) fn event_if_any(&self) -> Option<&Event> {
        self.event.as_ref()
    }

    /// Replaces the event. `new_limit`: units that were taken before have a limit now that had none.
    pub(super) fn put_event(&mut self, event: Event, new_limit: bool) {
        let counted = self.event.as_ref().is_some_and(Event::has_limits);
        let counts = event.has_limits();
        self.event = Some(event);
        self.new_limits |= new_limit;
        if counts && !counted {
            // What the batch did while there was no limit was not counted; what it did under an earlier limit was.
            self.gained.clear();
            for entry in std::mem::take(&mut self.journal) {
                self.count_usage(&entry);
                self.journal.push(entry);
            }
        }
    }

    pub(super) fn allocation(&self, id: &AllocationId) -> Result<&Allocation, Refusal> {
        let found = self.allocations.get(id).or_else(|| self.snapshot.allocations.get(id));
        found.ok_or_else(|| Refusal::AllocationNotFound(id.clone()))
    }

    pub(super) fn put_allocation(&mut self, allocation: Allocation) {
        self.allocations.insert(allocation.id.clone(), allocation);
    }

    pub(super) fn reservation(&self, id: ReservationId) -> Option<&Reservation> {
        self.reservations.get(&id).or_else(|| self.snapshot.reservations.get(&id))
    }

    /// The actor's own reservation. Another owner's does not exist for him.
    pub(super) fn own(&self, command: &Command, id: ReservationId) -> Result<Reservation, Refusal> {
        let found = self.reservation(id).filter(|reservation| command.is_by(&reservation.owner));
        found.cloned().ok_or(Refusal::ReservationNotFound)
    }

    pub(super) fn put_reservation(&mut self, reservation: Reservation) {
        let id = reservation.id;
        if reservation.state == State::Held {
            let expiry = reservation.expires_at;
            self.earliest_new = Some(self.earliest_new.map_or(expiry, |earliest| earliest.min(expiry)));
        }
        if self.reservations.insert(id, reservation).is_none() {
            self.order.push(id);
        }
    }

    /// The reservation as everybody sees it now.
    pub(super) fn answer(&self, mut reservation: Reservation) -> Outcome {
        reservation.state = reservation.state_at(self.now);
        Ok(Answer::Reservation(reservation))
    }

    /// At most how many units `owner` has, and whether that is exact.
    pub(super) fn units(&self, owner: &OwnerId, allocation: Option<&AllocationId>) -> Units {
        let gained = self.gained.get(owner).map_or(0, |gained| gained.of(allocation));
        if let Some(units) = self.snapshot.exact_usage.get(owner) {
            let stored = match allocation {
                Some(allocation) => units.get(allocation).copied().unwrap_or(0),
                None => units.values().sum(),
            };
            return Units { at_most: stored + gained, exact: true };
        }
        let Some(event) = &self.snapshot.event else { return Units { at_most: gained, exact: true } };
        if self.new_limits || !event.has_limits() || self.usage.as_of() != event.last_seq {
            return Units { at_most: i64::MAX, exact: false };
        }
        Units { at_most: self.usage.units_at_most(owner, allocation).saturating_add(gained), exact: false }
    }

    /// Asks for what `owner` has in truth; this decision is made again with it.
    pub(super) fn need_usage(&mut self, owner: &OwnerId) {
        self.needs_usage.insert(owner.clone());
    }

    /// Whether [`Self::need_usage`] was called for `owner`.
    pub(super) fn awaits_usage(&self, owner: &OwnerId) -> bool {
        self.needs_usage.contains(owner)
    }

    /// Gets units back that nobody holds any more. Returns whether something came back, so that it is worth trying again.
    /// Where more must be loaded first, it notes the need.
    pub(super) fn reclaim(&mut self) -> bool {
        let loaded = self.reclaim_loaded();
        if loaded == 0 && self.may_have_more_expired() {
            self.needs_expired = true;
        }
        loaded > 0
    }

    /// Reclaims the expired holds that are loaded: how many.
    pub(super) fn reclaim_loaded(&mut self) -> usize {
        if std::mem::replace(&mut self.reclaimed, true) {
            return 0;
        }
        let ids = &self.snapshot.expired;
        let held = |id: &ReservationId| self.reservation(*id).filter(|found| found.state == State::Held).cloned();
        let expired: Vec<Reservation> = ids.iter().filter_map(held).collect();
        let count = expired.len();
        for reservation in expired {
            self.expire(reservation);
        }
        count
    }

    pub(super) fn may_have_more_expired(&self) -> bool {
        match self.snapshot.expired.is_empty() {
            true => self.snapshot.earliest_expiry.is_some_and(|at| at <= self.now),
            false => self.snapshot.more_expired,
        }
    }

    /// Writes into the books that a hold has lapsed, and returns it so.
    pub(super) fn expire(&mut self, mut reservation: Reservation) -> Reservation {
        reservation.state = State::Expired;
        reservation.updated_at = self.now;
        let deltas = self.give_back(&reservation);
        self.log_reservation(JournalKind::Expired, Actor::System, &reservation, deltas, |_| {});
        self.put_reservation(reservation.clone());
        reservation
    }

    /// A moment before which no hold expires, as late as it is known. `None` where the earliest of the stored holds has
    /// expired, since the snapshot does not tell the one after it.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        match self.snapshot.earliest_expiry {
            Some(stored) if stored <= self.now => None,
            stored => [stored, self.earliest_new].into_iter().flatten().min(),
        }
    }

    /// Takes the units of a hold out of `held`. A draining capacity follows.
    pub(super) fn give_back(&mut self, reservation: &Reservation) -> Vec<Delta> {
        let mut deltas = self.adjust(reservation, |line| (-line.quantity, 0));
        self.shrink_drained(&mut deltas);
        deltas
    }

    /// Adds what `change` says of each line to (held, sold) of its allocation. Lines without change leave no delta.
    pub(super) fn adjust(
        &mut self,
        reservation: &Reservation,
        change: impl Fn(&crate::domain::Line) -> (i64, i64),
    ) -> Vec<Delta> {
        let mut deltas = Vec::with_capacity(reservation.lines.len());
        for line in &reservation.lines {
            let (held, sold) = change(line);
            if (held, sold) != (0, 0) {
                self.add(&line.allocation, held, sold);
                deltas.push(Delta { allocation: line.allocation.clone(), capacity: 0, held, sold });
            }
        }
        deltas
    }

    /// Lets the capacity of draining allocations follow what `deltas` gave back, and adds that to `deltas`.
    pub(super) fn shrink_drained(&mut self, deltas: &mut [Delta]) {
        for delta in deltas {
            let Ok(allocation) = self.allocation(&delta.allocation) else { continue };
            if allocation.drain_to.is_none() {
                continue;
            }
            let mut after = allocation.clone();
            after.follow_drain();
            delta.capacity += after.capacity - allocation.capacity;
            self.put_allocation(after);
        }
    }

    fn add(&mut self, id: &AllocationId, held: i64, sold: i64) {
        if !self.allocations.contains_key(id)
            && let Some(allocation) = self.snapshot.allocations.get(id)
        {
            self.allocations.insert(id.clone(), allocation.clone());
        }
        debug_assert!(self.allocations.contains_key(id), "allocations are loaded with the reservations that name them");
        if let Some(allocation) = self.allocations.get_mut(id) {
            allocation.held += held;
            allocation.sold += sold;
        }
    }

    /// Writes a reservation's change into the journal; `fill` adds what the kind has besides.
    pub(super) fn log_reservation(
        &mut self,
        kind: JournalKind,
        actor: Actor,
        reservation: &Reservation,
        deltas: Vec<Delta>,
        fill: impl FnOnce(&mut JournalEntry),
    ) {
        let of = Some((reservation.id, reservation.owner.clone()));
        self.log(kind, actor, |entry| {
            entry.reservation = of;
            entry.deltas = deltas;
            fill(entry);
        });
    }

    /// Writes a change into the journal, as the event's next one.
    pub(super) fn log(&mut self, kind: JournalKind, actor: Actor, fill: impl FnOnce(&mut JournalEntry)) {
        let Some(event) = &mut self.event else { return };
        event.last_seq += 1;
        let counts = event.has_limits();
        let mut entry = JournalEntry::new(event.last_seq, self.now, kind, actor);
        fill(&mut entry);
        if self.journal.is_empty() {
            // Where one command changes something, most do. A batch of refusals sets no room aside.
            self.journal.reserve(self.commands);
            self.order.reserve(self.commands);
            self.reservations.reserve(self.commands);
            self.gained.reserve(if counts { self.commands } else { 0 });
        }
        if counts {
            self.count_usage(&entry);
        }
        self.journal.push(entry);
    }

    fn count_usage(&mut self, entry: &JournalEntry) {
        let Some((_, owner)) = &entry.reservation else { return };
        let gained = self.gained.entry(owner.clone()).or_default();
        for delta in &entry.deltas {
            gained.add(&delta.allocation, delta.held + delta.sold);
        }
    }

    /// What must be loaded before the decision can go on, if anything.
    pub(super) fn need(&self) -> Option<Need> {
        self.needs_expired.then_some(Need::Expired)
    }

    /// What the batch changed, or what must be loaded before that is known.
    pub(super) fn into_changes(mut self) -> Result<Changes, Need> {
        if !self.needs_usage.is_empty() {
            return Err(Need::Usage(self.needs_usage.into_iter().collect()));
        }
        if self.journal.is_empty() {
            return Ok(Changes::default());
        }
        let before = self.snapshot.event.clone();
        let event = self.event.map(|after| Edited { before, after });
        let allocations = self.allocations.into_iter().filter_map(|(id, after)| {
            let before = self.snapshot.allocations.get(&id).cloned();
            (before.as_ref() != Some(&after)).then_some(Edited { before, after })
        });
        let allocations = allocations.collect();
        let mut reservations = Vec::with_capacity(self.order.len());
        for id in &self.order {
            if let Some(after) = self.reservations.remove(id) {
                reservations.push(Edited { before: self.snapshot.reservations.get(id).cloned(), after });
            }
        }
        Ok(Changes { event, allocations, reservations, journal: self.journal })
    }
}

/// See [`Working::units`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Units {
    pub(super) at_most: i64,
    pub(super) exact: bool,
}
