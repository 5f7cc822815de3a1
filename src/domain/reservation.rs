//! Reservations.

use super::ids::{AllocationId, OrderRef, OwnerId, ReservationId};
use super::time::Timestamp;

/// What has become of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Its units are set aside until it expires.
    Held,
    /// Sold.
    Confirmed,
    /// Given back.
    Released,
    /// Lapsed.
    Expired,
    /// Sold, and wholly refunded.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Held, Self::Confirmed, Self::Released, Self::Expired, Self::Cancelled];

    /// The name, as stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "HELD",
            Self::Confirmed => "CONFIRMED",
            Self::Released => "RELEASED",
            Self::Expired => "EXPIRED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Units of one allocation in a reservation. Invariant: `0 <= cancelled <= quantity <= requested`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Of which allocation.
    pub allocation: AllocationId,
    /// Units granted; fewer than `requested` only with [`super::Mode::UpTo`].
    pub quantity: i64,
    /// Units asked for.
    pub requested: i64,
    /// Of the granted units, those refunded.
    pub cancelled: i64,
}

/// A claim of one owner on units of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Its id within the event.
    pub id: ReservationId,
    /// Whose it is.
    pub owner: OwnerId,
    /// What has become of it.
    pub state: State,
    /// In order of allocation ids, each allocation once.
    pub lines: Vec<Line>,
    /// When the hold lapses or lapsed; for one that was sold at once, when it was sold.
    pub expires_at: Timestamp,
    /// When it was granted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Of the request that made it: see [`super::Reserve::fingerprint`].
    pub fingerprint: i64,
    /// The buyer's order, once sold.
    pub order_ref: Option<OrderRef>,
}

impl Reservation {
    /// Whether its hold is live at `now`: exactly while `now < expires_at`.
    pub fn is_live_hold(&self, now: Timestamp) -> bool {
        self.state == State::Held && now < self.expires_at
    }

    /// Its state as everybody must see it at `now`: a hold that nobody reclaimed yet has expired all the same.
    pub fn state_at(&self, now: Timestamp) -> State {
        if self.state == State::Held && now >= self.expires_at { State::Expired } else { self.state }
    }
}
