//! What a decision is made from.

use std::collections::{BTreeMap, HashMap};

use super::event::{Allocation, Event};
use super::ids::{AllocationId, EventId, OwnerId, ReservationId};
use super::reservation::Reservation;
use super::time::Timestamp;
use super::usage::OwnerUnits;

/// What a batch needs to know of one event before it can decide. Lists may name a thing twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which event.
    pub event: EventId,
    /// Reservations, if they exist.
    pub reservations: Vec<ReservationId>,
    /// Allocations, if they exist; those of the reservations' lines are loaded as well.
    pub allocations: Vec<AllocationId>,
    /// Whether the batch is there to reclaim expired holds: then the store loads a first bite of them at once.
    pub expired: bool,
}

impl Wanted {
    /// Nothing yet, of `event`.
    pub const fn new(event: EventId) -> Self {
        Self { event, reservations: Vec::new(), allocations: Vec::new(), expired: false }
    }
}

/// The exact state of one event while its row is locked, as far as a batch needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Which event.
    pub event_id: EventId,
    /// The event, if it exists.
    pub event: Option<Event>,
    /// Those of the wanted allocations, and of the loaded reservations' lines, that exist.
    pub allocations: BTreeMap<AllocationId, Allocation>,
    /// Those of the wanted reservations that exist, and expired holds that were loaded.
    pub reservations: HashMap<ReservationId, Reservation>,
    /// The earliest `expires_at` of the event's holds, expired ones included. `None`: there are no holds.
    pub earliest_expiry: Option<Timestamp>,
    /// Expired holds that were loaded (they are in `reservations`), earliest first.
    pub expired: Vec<ReservationId>,
    /// Whether there may be expired holds beyond these.
    pub more_expired: bool,
    /// What owners who were asked for have in truth, read from their reservations.
    pub exact_usage: HashMap<OwnerId, OwnerUnits>,
}

impl Snapshot {
    /// Of an event of which nothing is known to exist.
    pub fn empty(event_id: EventId) -> Self {
        Self {
            event_id,
            event: None,
            allocations: BTreeMap::new(),
            reservations: HashMap::new(),
            earliest_expiry: None,
            expired: Vec::new(),
            more_expired: false,
            exact_usage: HashMap::new(),
        }
    }
}
