//! Events and their allocations.

use super::ids::{AllocationId, EventId, Seq, Version};
use super::time::{Duration, Timestamp};

/// Whether an event sells. `Cancelled` is final; `Draft` cannot be entered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SalesState {
    /// Being prepared.
    Draft,
    /// Sells, within its window.
    OnSale,
    /// Takes no new reservations for now.
    Paused,
    /// Takes no new reservations.
    Closed,
    /// Does not take place.
    Cancelled,
}

impl SalesState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Draft, Self::OnSale, Self::Paused, Self::Closed, Self::Cancelled];

    /// The name, as stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "DRAFT",
            Self::OnSale => "ON_SALE",
            Self::Paused => "PAUSED",
            Self::Closed => "CLOSED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What a waiting room does while the servers cannot reach what they share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnLoss {
    /// Each server lets people in at the event's rate by itself.
    Open,
    /// Nobody new is let in.
    Closed,
}

impl OnLoss {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Open, Self::Closed];

    /// The name, as stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Closed => "CLOSED",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.as_str() == text)
    }
}

/// How an event's waiting room lets people in. It delays buyers and never decides on a sale: `decide` does not look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WaitingRoom {
    /// People let in a second, at most. 0: nobody for now.
    pub admissions_per_second: i64,
    /// Most people inside at once; `None`: any number.
    pub inside_max: Option<i64>,
    /// What to do while the shared room is lost.
    pub on_loss: OnLoss,
    /// How long a pass lets its owner buy.
    pub pass_lifetime: Duration,
    /// How long a place is kept of somebody who is not heard of.
    pub grace: Duration,
}

/// What people edit of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventConfig {
    /// For people.
    pub display_name: String,
    /// Whether it sells.
    pub sales_state: SalesState,
    /// Nothing can be reserved before.
    pub on_sale_at: Option<Timestamp>,
    /// Nothing can be reserved from then on.
    pub off_sale_at: Option<Timestamp>,
    /// Life of a hold whose request names none.
    pub hold_ttl_default: Duration,
    /// Longest life of a hold, extensions included.
    pub hold_ttl_max: Duration,
    /// Most units that an owner may have held or bought, over all allocations.
    pub limit_per_owner: Option<i64>,
    /// Who buys waits there first; `None`: nobody waits.
    pub waiting_room: Option<WaitingRoom>,
}

/// An event, without its allocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// What people edit.
    pub config: EventConfig,
    /// Number of its newest change.
    pub last_seq: Seq,
    /// Version of `config`.
    pub version: Version,
    /// How many allocations it has.
    pub allocation_count: i64,
    /// Whether any of its allocations has a limit per owner.
    pub has_allocation_limits: bool,
    /// When it was created.
    pub created_at: Timestamp,
}

impl Event {
    /// Whether new units may be taken at `now`.
    pub fn sells_at(&self, now: Timestamp) -> bool {
        self.config.sales_state == SalesState::OnSale
            && self.config.on_sale_at.is_none_or(|from| from <= now)
            && self.config.off_sale_at.is_none_or(|until| now < until)
    }

    /// Whether any limit per owner applies in it.
    pub fn has_limits(&self) -> bool {
        self.config.limit_per_owner.is_some() || self.has_allocation_limits
    }
}

/// A sellable pool of units. Invariant: `0 <= held`, `0 <= sold`, `held + sold <= capacity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// Its id within the event.
    pub id: AllocationId,
    /// For people.
    pub display_name: String,
    /// Units in all.
    pub capacity: i64,
    /// Where capacity is going while it is drained; less than `capacity`.
    pub drain_to: Option<i64>,
    /// Units in holds, expired ones that were not reclaimed yet included.
    pub held: i64,
    /// Units sold.
    pub sold: i64,
    /// Most units that an owner may have held or bought.
    pub limit_per_owner: Option<i64>,
    /// Version of what people edit.
    pub version: Version,
}

impl Allocation {
    /// Units that can be taken now.
    pub const fn available(&self) -> i64 {
        self.capacity - self.held - self.sold
    }

    /// The capacity that people asked for.
    pub fn capacity_wanted(&self) -> i64 {
        self.drain_to.unwrap_or(self.capacity)
    }

    /// Lets a capacity that is being drained follow what is held and sold.
    pub fn follow_drain(&mut self) {
        let Some(target) = self.drain_to else { return };
        self.capacity = target.max(self.held + self.sold);
        self.drain_to = (self.capacity > target).then_some(target);
    }
}

/// An event with all its allocations, read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventView {
    /// The event.
    pub event: Event,
    /// All its allocations, in order of their ids. `held` leaves out what had expired at `read_at`, and capacities that are being
    /// drained follow that.
    pub allocations: Vec<Allocation>,
    /// The moment of the reading, by the clock that decides on expiry.
    pub read_at: Timestamp,
}

impl EventView {
    /// Of allocations whose `held` has just been made to leave out what had expired.
    #[must_use]
    pub fn drained(mut self) -> Self {
        self.allocations.iter_mut().for_each(Allocation::follow_drain);
        self
    }
}
