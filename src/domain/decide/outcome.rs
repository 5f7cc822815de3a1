//! What a command comes to. Refusals are values, one variant each: they say what is true, not what went wrong.

use crate::domain::event::{Allocation, Event, SalesState};
use crate::domain::ids::AllocationId;
use crate::domain::reservation::Reservation;
use crate::domain::time::{Duration, Timestamp};

/// What a command comes to.
pub type Outcome = Result<Answer, Refusal>;

/// What a granted command answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The reservation as it is now.
    Reservation(Reservation),
    /// The event as it is now.
    Event(Event),
    /// The allocation as it is now.
    Allocation(Allocation),
    /// Both allocations as they are now.
    Transferred {
        /// Gave.
        from: Allocation,
        /// Took.
        to: Allocation,
    },
    /// How many expired holds were reclaimed, and whether more may be left.
    Reclaimed {
        /// Reclaimed.
        count: usize,
        /// Whether more may be left.
        more: bool,
    },
}

/// Too few units of an allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// Of which.
    pub allocation: AllocationId,
    /// Asked for.
    pub requested: i64,
    /// To be had.
    pub available: i64,
}

/// The present state, for an editor whose version is old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Current {
    /// Of the event.
    Event(Event),
    /// Of the allocation.
    Allocation(Allocation),
}

/// Why a command was not done. It then had no effect; only expired holds may have been reclaimed on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No such event.
    EventNotFound,
    /// No such allocation in the event.
    AllocationNotFound(AllocationId),
    /// No such reservation, or it is somebody else's.
    ReservationNotFound,
    /// The id was used for another request or by another owner.
    ReservationIdReused,
    /// The event takes no new reservations now, or (Cancelled) none can be confirmed.
    SalesNotOpen {
        /// The event's state.
        state: SalesState,
        /// Its window.
        on_sale_at: Option<Timestamp>,
        /// Its window.
        off_sale_at: Option<Timestamp>,
    },
    /// The ttl is longer than the event allows.
    TtlTooLong {
        /// What it allows.
        max: Duration,
    },
    /// It is sold (with another order, where that matters).
    AlreadyConfirmed,
    /// It was given back.
    AlreadyReleased,
    /// It was refunded.
    AlreadyCancelled,
    /// It lapsed.
    ReservationExpired,
    /// It is a live hold: there is nothing to refund.
    NotConfirmed,
    /// The owner would have more than he may.
    OwnerLimitExceeded {
        /// Of one allocation; `None`: of the event.
        allocation: Option<AllocationId>,
        /// How many he may have.
        limit: i64,
    },
    /// Nothing is left of at least one allocation (with [`crate::domain::Mode::UpTo`]: of all of them), not even if all
    /// holds lapse: of these.
    SoldOut(Vec<Lack>),
    /// Nothing is free of at least one allocation, but some is held and may come back.
    AllHeld {
        /// Of which ones.
        lacks: Vec<Lack>,
        /// The earliest expiry of any hold of the event, where it is known.
        next_expiry: Option<Timestamp>,
    },
    /// Fewer than asked for.
    InsufficientAvailability(Vec<Lack>),
    /// The line at this index names an allocation that the reservation does not have.
    CancelUnknownAllocation(usize),
    /// The line at this index names more units than the reservation has.
    CancelTooMany {
        /// Which line.
        index: usize,
        /// How many it has.
        quantity: i64,
    },
    /// An event of this id exists with other content.
    EventExists,
    /// An allocation of this id exists with other content.
    AllocationExists,
    /// The event has as many allocations as it may.
    TooManyAllocations,
    /// The capacity wanted is less than what is held or sold.
    CapacityBelowCommitted {
        /// Of which.
        allocation: AllocationId,
        /// Held and sold.
        committed: i64,
    },
    /// The capacity would be larger than an allocation may have.
    CapacityTooLarge(AllocationId),
    /// Somebody changed it since it was read.
    EtagMismatch(Box<Current>),
    /// Such a change of state is not possible.
    SalesStateTransition {
        /// From.
        from: SalesState,
        /// To.
        to: SalesState,
    },
    /// What is final cannot be the first state of an event.
    CancelledFromTheBeginning,
    /// With this edit the sale would end before it begins.
    WindowReversed,
    /// With this edit the default ttl would be longer than the longest.
    TtlDefaultAboveMax,
}

impl Refusal {
    /// Every [`Self::reason`], the most frequent first.
    pub const REASONS: [&str; 25] = [
        "SOLD_OUT",
        "ALL_HELD",
        "INSUFFICIENT_AVAILABILITY",
        "OWNER_LIMIT_EXCEEDED",
        "SALES_NOT_OPEN",
        "RESERVATION_EXPIRED",
        "EVENT_NOT_FOUND",
        "ALLOCATION_NOT_FOUND",
        "RESERVATION_NOT_FOUND",
        "RESERVATION_ID_REUSED",
        "INVALID_TTL",
        "ALREADY_CONFIRMED",
        "ALREADY_RELEASED",
        "ALREADY_CANCELLED",
        "NOT_CONFIRMED",
        "INVALID_LINES",
        "EVENT_EXISTS",
        "ALLOCATION_EXISTS",
        "TOO_MANY_ALLOCATIONS",
        "CAPACITY_BELOW_COMMITTED",
        "INVALID_QUANTITY",
        "ETAG_MISMATCH",
        "INVALID_SALES_STATE",
        "INVALID_OFF_SALE_TIME",
        "INVALID_DEFAULT_HOLD_TTL",
    ];

    /// Its name, as programs and metrics know it.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::EventNotFound => "EVENT_NOT_FOUND",
            Self::AllocationNotFound(_) => "ALLOCATION_NOT_FOUND",
            Self::ReservationNotFound => "RESERVATION_NOT_FOUND",
            Self::ReservationIdReused => "RESERVATION_ID_REUSED",
            Self::SalesNotOpen { .. } => "SALES_NOT_OPEN",
            Self::TtlTooLong { .. } => "INVALID_TTL",
            Self::AlreadyConfirmed => "ALREADY_CONFIRMED",
            Self::AlreadyReleased => "ALREADY_RELEASED",
            Self::AlreadyCancelled => "ALREADY_CANCELLED",
            Self::ReservationExpired => "RESERVATION_EXPIRED",
            Self::NotConfirmed => "NOT_CONFIRMED",
            Self::OwnerLimitExceeded { .. } => "OWNER_LIMIT_EXCEEDED",
            Self::SoldOut(_) => "SOLD_OUT",
            Self::AllHeld { .. } => "ALL_HELD",
            Self::InsufficientAvailability(_) => "INSUFFICIENT_AVAILABILITY",
            Self::CancelUnknownAllocation(_) | Self::CancelTooMany { .. } => "INVALID_LINES",
            Self::EventExists => "EVENT_EXISTS",
            Self::AllocationExists => "ALLOCATION_EXISTS",
            Self::TooManyAllocations => "TOO_MANY_ALLOCATIONS",
            Self::CapacityBelowCommitted { .. } => "CAPACITY_BELOW_COMMITTED",
            Self::CapacityTooLarge(_) => "INVALID_QUANTITY",
            Self::EtagMismatch(_) => "ETAG_MISMATCH",
            Self::SalesStateTransition { .. } | Self::CancelledFromTheBeginning => "INVALID_SALES_STATE",
            Self::WindowReversed => "INVALID_OFF_SALE_TIME",
            Self::TtlDefaultAboveMax => "INVALID_DEFAULT_HOLD_TTL",
        }
    }
}
