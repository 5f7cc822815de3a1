//! What a decision changes, and how the journal tells of it.

use serde::{Deserialize, Serialize};

use super::event::{Allocation, Event, EventConfig, OnLoss, WaitingRoom};
use super::ids::{Actor, AllocationId, OrderRef, OwnerId, ReservationId, Seq};
use super::reservation::Reservation;
use super::time::{Duration, Timestamp};

/// A row before and after a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited<T> {
    /// As it was; `None`: it is new.
    pub before: Option<T>,
    /// As it is to be.
    pub after: T,
}

/// All that a batch changes of one event. Empty where nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// The event; always there if anything changes, since its `last_seq` does.
    pub event: Option<Edited<Event>>,
    /// Allocations whose counts or settings change.
    pub allocations: Vec<Edited<Allocation>>,
    /// Reservations, new and changed.
    pub reservations: Vec<Edited<Reservation>>,
    /// What happened, numbered from the event's old `last_seq + 1` to its new `last_seq`.
    pub journal: Vec<JournalEntry>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JournalKind {
    /// The event was created: always its first entry.
    EventCreated,
    /// A person edited the event.
    EventUpdated,
    /// An allocation was added.
    AllocationCreated,
    /// A person edited an allocation.
    AllocationUpdated,
    /// Capacity moved between allocations.
    CapacityTransferred,
    /// A hold was granted.
    Reserved,
    /// A reservation was granted and sold in one step.
    Sold,
    /// A hold got a later expiry.
    Extended,
    /// A hold was sold.
    Confirmed,
    /// An expired hold got its units again and was sold.
    Reacquired,
    /// A hold was given back.
    Released,
    /// A hold lapsed.
    Expired,
    /// Sold units were refunded.
    Cancelled,
}

impl JournalKind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::EventCreated,
        Self::EventUpdated,
        Self::AllocationCreated,
        Self::AllocationUpdated,
        Self::CapacityTransferred,
        Self::Reserved,
        Self::Sold,
        Self::Extended,
        Self::Confirmed,
        Self::Reacquired,
        Self::Released,
        Self::Expired,
        Self::Cancelled,
    ];

    /// The name, as stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EventCreated => "EVENT_CREATED",
            Self::EventUpdated => "EVENT_UPDATED",
            Self::AllocationCreated => "ALLOCATION_CREATED",
            Self::AllocationUpdated => "ALLOCATION_UPDATED",
            Self::CapacityTransferred => "CAPACITY_TRANSFERRED",
            Self::Reserved => "RESERVED",
            Self::Sold => "SOLD",
            Self::Extended => "EXTENDED",
            Self::Confirmed => "CONFIRMED",
            Self::Reacquired => "REACQUIRED",
            Self::Released => "RELEASED",
            Self::Expired => "EXPIRED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What one change did to the counts of one allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// Which allocation.
    pub allocation: AllocationId,
    /// Added to `capacity`.
    pub capacity: i64,
    /// Added to `held`.
    pub held: i64,
    /// Added to `sold`.
    pub sold: i64,
}

/// One change of an event: ledger, outbox and feed in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its number.
    pub seq: Seq,
    /// When, by the clock that decides on expiry.
    pub occurred_at: Timestamp,
    /// What happened.
    pub kind: JournalKind,
    /// Who did it.
    pub actor: Actor,
    /// To which reservation, and whose that is.
    pub reservation: Option<(ReservationId, OwnerId)>,
    /// What it did to the counts; none where all numbers are zero.
    pub deltas: Vec<Delta>,
    /// Reserved, Extended: when the hold lapses.
    pub expires_at: Option<Timestamp>,
    /// Sold, Confirmed, Reacquired: the buyer's order.
    pub order_ref: Option<OrderRef>,
    /// Released by an operator: why.
    pub reason: Option<String>,
    /// `EventCreated`, `EventUpdated`: the settings from then on.
    pub event: Option<EventEdit>,
    /// `AllocationCreated`, `AllocationUpdated`: the settings from then on. `CapacityTransferred`: those of the allocation that was given
    /// units, where it was being drained.
    pub allocation: Option<AllocationEdit>,
}

impl JournalEntry {
    /// An entry that tells nothing yet but what happened.
    pub const fn new(seq: Seq, occurred_at: Timestamp, kind: JournalKind, actor: Actor) -> Self {
        Self {
            seq,
            occurred_at,
            kind,
            actor,
            reservation: None,
            deltas: Vec::new(),
            expires_at: None,
            order_ref: None,
            reason: None,
            event: None,
            allocation: None,
        }
    }
}

/// Settings of an event, as the journal keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventEdit {
    /// See [`EventConfig`].
    pub display_name: String,
    /// The name of the [`super::SalesState`].
    pub sales_state: String,
    /// Microseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_sale_at: Option<i64>,
    /// Microseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_sale_at: Option<i64>,
    /// Microseconds.
    pub hold_ttl_default: i64,
    /// Microseconds.
    pub hold_ttl_max: i64,
    /// See [`EventConfig`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_per_owner: Option<i64>,
    /// See [`EventConfig`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_room: Option<WaitingRoomEdit>,
}

/// Settings of a waiting room, as the journal keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingRoomEdit {
    /// See [`WaitingRoom`].
    pub admissions_per_second: i64,
    /// See [`WaitingRoom`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside_max: Option<i64>,
    /// The name of the [`OnLoss`].
    pub on_loss: String,
    /// Microseconds.
    pub pass_lifetime: i64,
    /// Microseconds.
    pub grace: i64,
}

impl From<&WaitingRoom> for WaitingRoomEdit {
    fn from(room: &WaitingRoom) -> Self {
        Self {
            admissions_per_second: room.admissions_per_second,
            inside_max: room.inside_max,
            on_loss: room.on_loss.as_str().to_owned(),
            pass_lifetime: room.pass_lifetime.as_micros(),
            grace: room.grace.as_micros(),
        }
    }
}

impl WaitingRoomEdit {
    /// The settings that it tells of. A choice that this program does not know counts as closed.
    pub fn to_settings(&self) -> WaitingRoom {
        WaitingRoom {
            admissions_per_second: self.admissions_per_second,
            inside_max: self.inside_max,
            on_loss: OnLoss::parse(&self.on_loss).unwrap_or(OnLoss::Closed),
            pass_lifetime: Duration::from_micros(self.pass_lifetime),
            grace: Duration::from_micros(self.grace),
        }
    }
}

impl From<&EventConfig> for EventEdit {
    fn from(config: &EventConfig) -> Self {
        Self {
            display_name: config.display_name.clone(),
            sales_state: config.sales_state.as_str().to_owned(),
            on_sale_at: config.on_sale_at.map(Timestamp::as_micros),
            off_sale_at: config.off_sale_at.map(Timestamp::as_micros),
            hold_ttl_default: config.hold_ttl_default.as_micros(),
            hold_ttl_max: config.hold_ttl_max.as_micros(),
            limit_per_owner: config.limit_per_owner,
            waiting_room: config.waiting_room.as_ref().map(WaitingRoomEdit::from),
        }
    }
}

/// Settings of an allocation, as the journal keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocationEdit {
    /// Which.
    pub id: String,
    /// For people.
    pub display_name: String,
    /// Capacity after the edit.
    pub capacity: i64,
    /// Where capacity is going while it is drained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_to: Option<i64>,
    /// Most units that an owner may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_per_owner: Option<i64>,
}

impl From<&Allocation> for AllocationEdit {
    fn from(allocation: &Allocation) -> Self {
        Self {
            id: allocation.id.as_str().to_owned(),
            display_name: allocation.display_name.clone(),
            capacity: allocation.capacity,
            drain_to: allocation.drain_to,
            limit_per_owner: allocation.limit_per_owner,
        }
    }
}
