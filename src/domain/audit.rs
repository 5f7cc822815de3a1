//! Compares what an event's journal says of its reservations with what the table says.
//!
//! An event may have more reservations than fit in memory. So an audit runs in passes: each replays the whole journal but
//! keeps only the reservations of its share, at most [`RESERVATION_BYTES`] each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use xxhash_rust::xxh3::xxh3_64;

use super::change::{JournalEntry, JournalKind};
use super::ids::{AllocationId, OrderRef, OwnerId, ReservationId};
use super::reservation::{Reservation, State};
use super::time::Timestamp;

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The event itself.
    Event,
    /// One of its allocations.
    Allocation(AllocationId),
    /// One of its reservations.
    Reservation(ReservationId),
}

/// Something that is not as the journal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub subject: Subject,
    /// Which of its fields.
    pub field: &'static str,
    /// What the journal says.
    pub journal: String,
    /// What the table says.
    pub stored: String,
}

/// The reservations of one pass, as the journal tells of them.
#[derive(Debug)]
pub struct ReservationBook {
    pass: u64,
    passes: u64,
    folded: HashMap<ReservationId, Folded>,
}

/// What an audit keeps of a reservation, and its id, before what a hash table leaves free.
const RESERVATION_BYTES: usize = 112;
const _: () =
    assert!(size_of::<(ReservationId, Folded)>() <= RESERVATION_BYTES, "an audit takes more memory than is said");

/// What the journal says of one reservation. Units are kept as totals and as a sum weighted by allocation, so that units
/// of the wrong allocation show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Folded {
    state: State,
    expires_at: Timestamp,
    created_at: Timestamp,
    updated_at: Timestamp,
    owner: u64,
    order_ref: u64,
    granted: Units,
    held: Units,
    sold: Units,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Units {
    total: i64,
    weighted: u64,
}

impl Units {
    fn add(&mut self, allocation: &AllocationId, units: i64) {
        self.total = self.total.wrapping_add(units);
        let weight = xxh3_64(allocation.as_str().as_bytes());
        self.weighted = self.weighted.wrapping_add(weight.wrapping_mul(units.cast_unsigned()));
    }
}

impl ReservationBook {
    /// For pass number `pass` (from 0) of `passes`.
    pub fn new(pass: u64, passes: u64) -> Self {
        Self { pass, passes, folded: HashMap::new() }
    }

    fn has(&self, id: &ReservationId) -> bool {
        self.passes == 1 || xxh3_64(id.as_uuid().as_bytes()) % self.passes == self.pass
    }

    /// How many reservations it has.
    pub fn len(&self) -> usize {
        self.folded.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.folded.is_empty()
    }

    /// Takes up the next journal entry. Returns what it does that cannot be done to the reservation.
    pub fn apply(&mut self, entry: &JournalEntry) -> Option<Difference> {
        let (id, owner) = entry.reservation.as_ref()?;
        if !self.has(id) {
            return None;
        }
        let slot = self.folded.entry(*id);
        let from = match &slot {
            Entry::Occupied(found) => Some(found.get().state),
            Entry::Vacant(_) => None,
        };
        let folded = slot.or_insert(Folded {
            state: State::Released,
            // What is sold at once lapses as it is made.
            expires_at: entry.occurred_at,
            created_at: entry.occurred_at,
            updated_at: entry.occurred_at,
            owner: digest_owner(owner),
            order_ref: 0,
            granted: Units::default(),
            held: Units::default(),
            sold: Units::default(),
        });
        for delta in &entry.deltas {
            if matches!(entry.kind, JournalKind::Reserved | JournalKind::Sold) {
                folded.granted.add(&delta.allocation, delta.held.wrapping_add(delta.sold));
            }
            folded.held.add(&delta.allocation, delta.held);
            folded.sold.add(&delta.allocation, delta.sold);
        }
        if let Some(order_ref) = &entry.order_ref {
            folded.order_ref = digest_order(Some(order_ref));
        }
        folded.expires_at = entry.expires_at.unwrap_or(folded.expires_at);
        folded.updated_at = entry.occurred_at;
        let same_owner = folded.owner == digest_owner(owner);
        let to = next_state(from, entry.kind, folded.sold.total);
        folded.state = to.or(from).unwrap_or(State::Released);
        (to.is_none() || !same_owner).then(|| Difference {
            subject: Subject::Reservation(*id),
            field: if same_owner { "state" } else { "owner" },
            journal: format!("{} (entry {})", entry.kind.as_str(), entry.seq),
            stored: from.map_or("none", State::as_str).to_owned(),
        })
    }

    /// Compares a stored reservation, and forgets it.
    pub fn compare(&mut self, stored: &Reservation, report: &mut impl FnMut(Difference)) {
        if !self.has(&stored.id) {
            return;
        }
        let mut differs = |field, journal: String, stored_value: String| {
            let subject = Subject::Reservation(stored.id);
            report(Difference { subject, field, journal, stored: stored_value });
        };
        let Some(folded) = self.folded.remove(&stored.id) else {
            differs("reservation", "none".to_owned(), stored.state.as_str().to_owned());
            return;
        };
        if folded.state != stored.state {
            differs("state", folded.state.as_str().to_owned(), stored.state.as_str().to_owned());
        }
        let stored_units = stored_units(stored);
        for (field, journal, stored) in [
            ("granted units", folded.granted, stored_units.granted),
            ("held units", folded.held, stored_units.held),
            ("sold units", folded.sold, stored_units.sold),
        ] {
            if journal != stored {
                differs(field, journal.total.to_string(), stored.total.to_string());
            }
        }
        for (field, journal, stored) in [
            ("expires_at", folded.expires_at, stored.expires_at),
            ("created_at", folded.created_at, stored.created_at),
            ("updated_at", folded.updated_at, stored.updated_at),
        ] {
            if journal != stored {
                differs(field, journal.as_micros().to_string(), stored.as_micros().to_string());
            }
        }
        if folded.owner != digest_owner(&stored.owner) {
            differs("owner", "another".to_owned(), stored.owner.to_string());
        }
        if folded.order_ref != digest_order(stored.order_ref.as_ref()) {
            let shown = stored.order_ref.as_ref().map_or("none", OrderRef::as_str);
            differs("order_ref", "another".to_owned(), shown.to_owned());
        }
    }

    /// What the journal tells of and the table lacks.
    pub fn finish(self, report: &mut impl FnMut(Difference)) {
        for (id, folded) in self.folded {
            report(Difference {
                subject: Subject::Reservation(id),
                field: "reservation",
                journal: folded.state.as_str().to_owned(),
                stored: "none".to_owned(),
            });
        }
    }
}

/// The state that a change leads to. `None`: it cannot be done in this state.
fn next_state(from: Option<State>, kind: JournalKind, sold_left: i64) -> Option<State> {
    match (from, kind) {
        (None, JournalKind::Reserved) | (Some(State::Held), JournalKind::Extended) => Some(State::Held),
        (None, JournalKind::Sold)
        | (Some(State::Held), JournalKind::Confirmed)
        | (Some(State::Expired), JournalKind::Reacquired) => Some(State::Confirmed),
        (Some(State::Held), JournalKind::Released) => Some(State::Released),
        (Some(State::Held), JournalKind::Expired) => Some(State::Expired),
        (Some(State::Confirmed), JournalKind::Cancelled) => {
            Some(if sold_left == 0 { State::Cancelled } else { State::Confirmed })
        }
        _ => None,
    }
}

#[derive(Default)]
struct StoredUnits {
    granted: Units,
    held: Units,
    sold: Units,
}

fn stored_units(stored: &Reservation) -> StoredUnits {
    let mut units = StoredUnits::default();
    for line in &stored.lines {
        units.granted.add(&line.allocation, line.quantity);
        match stored.state {
            State::Held => units.held.add(&line.allocation, line.quantity),
            State::Confirmed | State::Cancelled => units.sold.add(&line.allocation, line.quantity - line.cancelled),
            State::Released | State::Expired => {}
        }
    }
    units
}

fn digest_owner(owner: &OwnerId) -> u64 {
    xxh3_64(owner.as_str().as_bytes())
}

fn digest_order(order_ref: Option<&OrderRef>) -> u64 {
    order_ref.map_or(0, |order_ref| xxh3_64(order_ref.as_str().as_bytes()))
}
