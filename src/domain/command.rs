//! What can be asked of one event.

use xxhash_rust::xxh3::Xxh3;

use super::SalesState;
use super::event::{EventConfig, WaitingRoom};
use super::ids::{Actor, AllocationId, OrderRef, OwnerId, ReservationId, Version};
use super::snapshot::Wanted;
use super::time::{Duration, Timestamp};

/// Something to do, and who asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Who asks. Ownership of reservations is checked against it.
    pub actor: Actor,
    /// What to do.
    pub action: Action,
}

/// Something to do. Shapes and bounds were checked before; only what depends on the event's state is decided here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Take units for the actor, who is an owner.
    Reserve(Reserve),
    /// Make the actor's hold last until at least `ttl` from now.
    Extend {
        /// Which.
        id: ReservationId,
        /// From now.
        ttl: Duration,
    },
    /// Give the actor's hold back.
    Release {
        /// Which.
        id: ReservationId,
    },
    /// Sell the actor's hold.
    Confirm {
        /// Which.
        id: ReservationId,
        /// The buyer's order.
        order_ref: OrderRef,
        /// What to do if the hold has expired.
        on_expired: OnExpired,
    },
    /// Refund the actor's sold units.
    Cancel {
        /// Which.
        id: ReservationId,
        /// Units that shall have been refunded in all, for each allocation once; empty: everything.
        lines: Vec<(AllocationId, i64)>,
    },
    /// Create the event.
    CreateEvent(EventConfig),
    /// Edit the event.
    UpdateEvent {
        /// The version that was read, if it is to be checked.
        expected: Option<Version>,
        /// The edit.
        patch: EventPatch,
    },
    /// Add an allocation.
    CreateAllocation {
        /// Its id.
        id: AllocationId,
        /// For people.
        display_name: String,
        /// Units in all.
        capacity: i64,
        /// Most units that an owner may have.
        limit_per_owner: Option<i64>,
    },
    /// Edit an allocation.
    UpdateAllocation {
        /// Which.
        id: AllocationId,
        /// The version that was read, if it is to be checked.
        expected: Option<Version>,
        /// The edit.
        patch: AllocationPatch,
        /// What a smaller capacity does to units that are taken.
        mode: CapacityMode,
    },
    /// Bring the event and allocations of it to a target state, wholly or not at all.
    ApplyEvent(ApplyEvent),
    /// Move capacity between two allocations.
    TransferCapacity(TransferCapacity),
    /// Give anybody's hold back.
    ForceRelease {
        /// Which.
        id: ReservationId,
        /// Why, for the journal.
        reason: String,
    },
    /// Tidy: reclaim the expired holds that the snapshot holds.
    ReclaimExpired,
}

/// See [`Action::Reserve`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// The id that the client chose: the idempotency key.
    pub id: ReservationId,
    /// Units wanted: each allocation once, in order of their ids.
    pub lines: Vec<(AllocationId, i64)>,
    /// How long to hold; the event's default if not said.
    pub ttl: Option<Duration>,
    /// What to do when not everything can be granted.
    pub mode: Mode,
    /// An own hold to release if, and only if, this one is granted.
    pub replaces: Option<ReservationId>,
    /// Where set, sell at once.
    pub order_ref: Option<OrderRef>,
}

impl Reserve {
    /// A number that tells two requests with the same id apart, stored with the reservation and so the same in every
    /// version and on every machine: XXH3-64 over the request's fields. It guards clients against their own mistakes;
    /// a made collision gains nothing, since the owner is compared as well.
    pub fn fingerprint(&self) -> i64 {
        let mut hash = Xxh3::new();
        for (allocation, quantity) in &self.lines {
            hash.update(allocation.as_str().as_bytes());
            hash.update(&[0]);
            hash.update(&quantity.to_le_bytes());
        }
        hash.update(&[
            0,
            match self.mode {
                Mode::AllOrNothing => 0,
                Mode::UpTo => 1,
            },
        ]);
        hash.update(&self.ttl.map_or(-1, Duration::as_micros).to_le_bytes());
        // The nil UUID is a name like any other, so that nothing is replaced must be said apart.
        hash.update(&[u8::from(self.replaces.is_some())]);
        hash.update(self.replaces.as_ref().map_or(&[0; 16], |id| id.as_uuid().as_bytes()));
        hash.update(self.order_ref.as_ref().map_or("", OrderRef::as_str).as_bytes());
        hash.digest().cast_signed()
    }
}

/// What to do when not everything can be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every line in full, or nothing.
    AllOrNothing,
    /// What availability and limits allow; refuse only nothing at all.
    UpTo,
}

/// What a confirm does when the hold has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExpired {
    /// Refuse.
    Fail,
    /// Take the same units again if they are there.
    Reacquire,
}

/// What a smaller capacity does to units that are held or sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapacityMode {
    /// Refuse to go below them.
    Strict,
    /// Go there as units come back.
    Drain,
}

/// New values of the fields that an edit names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventPatch {
    /// See [`EventConfig`].
    pub display_name: Option<String>,
    /// See [`EventConfig`].
    pub sales_state: Option<SalesState>,
    /// See [`EventConfig`]; the inner `None` clears.
    pub on_sale_at: Option<Option<Timestamp>>,
    /// See [`EventConfig`]; the inner `None` clears.
    pub off_sale_at: Option<Option<Timestamp>>,
    /// See [`EventConfig`]; the inner `None`: [`super::HOLD_TTL_DEFAULT`], or the longest where that is less.
    pub hold_ttl_default: Option<Option<Duration>>,
    /// See [`EventConfig`].
    pub hold_ttl_max: Option<Duration>,
    /// See [`EventConfig`]; the inner `None` clears.
    pub limit_per_owner: Option<Option<i64>>,
    /// See [`EventConfig`]; as a whole; the inner `None` turns it off.
    pub waiting_room: Option<Option<WaitingRoom>>,
}

/// New values of the fields that an edit names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllocationPatch {
    /// See [`super::Allocation`].
    pub display_name: Option<String>,
    /// See [`super::Allocation`].
    pub capacity: Option<i64>,
    /// See [`super::Allocation`]; the inner `None` clears.
    pub limit_per_owner: Option<Option<i64>>,
}

/// What an expected version is where nothing shall be there yet. Versions of what exists begin with 1.
pub const VERSION_OF_NOTHING: Version = 0;

/// See [`Action::ApplyEvent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyEvent {
    /// As the event shall be.
    pub config: EventConfig,
    /// The version of the event that was read, if it is to be checked; [`VERSION_OF_NOTHING`]: there was none.
    pub expected: Option<Version>,
    /// As these allocations shall be, each once. Others are left alone.
    pub allocations: Vec<AllocationTarget>,
    /// What smaller capacities do to units that are taken.
    pub mode: CapacityMode,
    /// Decide, but change nothing.
    pub validate_only: bool,
}

/// An allocation as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationTarget {
    /// Its id.
    pub id: AllocationId,
    /// See [`super::Allocation`].
    pub display_name: String,
    /// See [`super::Allocation`].
    pub capacity: i64,
    /// See [`super::Allocation`].
    pub limit_per_owner: Option<i64>,
    /// The version that was read, if it is to be checked; [`VERSION_OF_NOTHING`]: there was none.
    pub expected: Option<Version>,
}

/// See [`Action::TransferCapacity`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferCapacity {
    /// Gives.
    pub from: AllocationId,
    /// Takes; another one.
    pub to: AllocationId,
    /// Units to move, at least 1.
    pub quantity: i64,
    /// The version of `from` that was read.
    pub from_expected: Version,
    /// The version of `to` that was read.
    pub to_expected: Version,
}

impl Command {
    /// Adds to `wanted` what deciding on this command needs to know.
    pub fn add_wanted(&self, wanted: &mut Wanted) {
        match &self.action {
            Action::Reserve(reserve) => {
                wanted.reservations.push(reserve.id);
                wanted.reservations.extend(reserve.replaces);
                wanted.allocations.extend(reserve.lines.iter().map(|(id, _)| id.clone()));
            }
            Action::Extend { id, .. }
            | Action::Release { id }
            | Action::Confirm { id, .. }
            | Action::Cancel { id, .. }
            | Action::ForceRelease { id, .. } => wanted.reservations.push(*id),
            Action::CreateAllocation { id, .. } | Action::UpdateAllocation { id, .. } => {
                wanted.allocations.push(id.clone());
            }
            Action::ApplyEvent(apply) => {
                wanted.allocations.extend(apply.allocations.iter().map(|target| target.id.clone()));
            }
            Action::TransferCapacity(transfer) => {
                wanted.allocations.extend([transfer.from.clone(), transfer.to.clone()]);
            }
            Action::CreateEvent(_) | Action::UpdateEvent { .. } => {}
            Action::ReclaimExpired => wanted.expired = true,
        }
    }

    /// Whether the actor is the owner that `owner` names.
    pub fn is_by(&self, owner: &OwnerId) -> bool {
        matches!(&self.actor, Actor::Owner(actor) if actor == owner)
    }
}
