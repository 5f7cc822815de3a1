//! A history of one event, as the checker wants it: everything that has a name is a small number.

use boxoffice_proto::v1::reservation::State;

use crate::clock::Micros;
use crate::history::Reason;

/// What happened to one event, as those who asked for it saw it.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// Units of each allocation at the beginning. In order of the allocations' ids, in which the server grants.
    pub capacities: Vec<i64>,
    /// Most units that an owner may have of the event; `None`: no limit.
    pub limit: Option<i64>,
    /// Most units that an owner may have of each allocation; `None`: no limit.
    pub limit_each: Option<i64>,
    /// How many reservations there are.
    pub reservations: usize,
    /// How many owners there are.
    pub owners: usize,
    /// The different requests for a reservation.
    pub requests: Vec<Request>,
    /// In any order.
    pub operations: Vec<Operation>,
}

/// A request for a reservation. The same request sent again has the same number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Request {
    /// Which it asks for.
    pub reservation: usize,
    /// Who asks.
    pub owner: usize,
    /// Units of each allocation, each allocation once, in order.
    pub wishes: Vec<(usize, i64)>,
    /// Fewer are welcome too.
    pub up_to: bool,
    /// The hold to be released if this one is granted.
    pub replaces: Option<usize>,
    /// Sell at once, as this order.
    pub order: Option<usize>,
}

/// Something that took effect, if at all, at one moment between `start` and `end`.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    /// Not before.
    pub start: Micros,
    /// Not after; [`NEVER`] where it need not have happened at all.
    pub end: Micros,
    /// What was to be done.
    pub deed: Deed,
    /// What was answered.
    pub answer: Answer,
    /// Where to try it first.
    pub hint: Hint,
    /// Where it comes from.
    pub source: Source,
}

/// Both clocks are the machine's, but times are cut to microseconds and the clock may be slewed: a hold lapses so much
/// before or after its expiry.
pub(super) const CLOCK_TOLERANCE: Micros = 5_000;

/// The end of an operation that nobody knows to have happened: it may take effect later than everything else, or never.
pub(super) const NEVER: Micros = Micros::MAX;

/// An order in which to try operations: a moment, what comes first within the moment, and a number within that.
pub(super) type Hint = (Micros, u8, i64);

/// Where an operation comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The call with this number.
    Call(usize),
    /// The operator's call with this number.
    Operator(usize),
    /// Time.
    Clock,
}

/// What was to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// Take units.
    Reserve {
        /// The number of the request.
        request: usize,
    },
    /// Do something with a reservation that is there.
    Change {
        /// Which.
        reservation: usize,
        /// Who asks.
        owner: usize,
        /// What.
        change: Transition,
    },
    /// A hold lapses, if it still has that very expiry.
    Expire {
        /// Which.
        reservation: usize,
        /// The expiry.
        expires: Micros,
    },
    /// Change the units that there are, unless more are held and sold.
    SetCapacity {
        /// Of which allocation.
        allocation: usize,
        /// To so many.
        capacity: i64,
    },
    /// Move units that nobody has.
    Transfer {
        /// Gives.
        from: usize,
        /// Takes.
        to: usize,
        /// How many.
        quantity: i64,
    },
}

impl Deed {
    /// Whether it makes a reservation.
    pub(super) fn grants(&self) -> bool {
        matches!(self, Self::Reserve { .. })
    }
}

/// What to do with a reservation that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Transition {
    /// Make the hold last longer.
    Extend {
        /// No expiry later than this can come of it.
        latest: Micros,
    },
    /// Sell the hold.
    Confirm {
        /// The order.
        order: usize,
        /// Take the units again if the hold has lapsed.
        reacquire: bool,
    },
    /// Give the hold back.
    Release,
    /// Refund until so many units have been refunded in all, each allocation once; empty: everything.
    Cancel {
        /// The allocation and the units.
        targets: Vec<(usize, i64)>,
    },
    /// Look.
    Get,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The reservation as it then was.
    Shown(Shown),
    /// No, and why.
    Refused(Reason),
    /// An operator's change is done.
    Done,
    /// An operator would go below what is held and sold.
    BelowCommitted,
    /// Nobody knows the answer. If it is known from elsewhere what the reservation became, that is the effect which the call
    /// may have had: the expiry of a hold is not for the model to choose, nor, where availability is left out, are the
    /// units.
    Unknown(Option<Shown>),
}

/// A reservation as an answer shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// Its state.
    pub state: State,
    /// In order of allocations; those of which nothing was granted are left out.
    pub lines: Vec<Line>,
    /// When the hold lapses; matters only of holds.
    pub expires: Micros,
    /// The order; matters only of what is sold.
    pub order: Option<usize>,
}

/// Units of one allocation in a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    /// Of which.
    pub allocation: usize,
    /// Granted.
    pub quantity: i64,
    /// Of these, refunded.
    pub cancelled: i64,
}

impl Shown {
    /// Whether both show the same, in all that matters in that state.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        self.state == other.state
            && self.lines == other.lines
            && (self.state != State::Held || self.expires == other.expires)
            && (self.state != State::Confirmed || self.order == other.order)
    }

    /// Units that it keeps from sale: those of a hold, or those sold and not refunded.
    pub(super) fn units(&self) -> impl Iterator<Item = (usize, i64)> {
        let lines = if matches!(self.state, State::Held | State::Confirmed) { &self.lines[..] } else { &[] };
        lines.iter().map(|line| (line.allocation, line.quantity - line.cancelled))
    }
}

impl Operation {
    /// Whether it must have happened.
    pub(super) fn is_certain(&self) -> bool {
        self.end != NEVER
    }

    /// Whether there are states which it changes.
    pub(super) fn may_change(&self) -> bool {
        let looks = matches!(self.deed, Deed::Change { change: Transition::Get, .. });
        !looks && !matches!(self.answer, Answer::Refused(_) | Answer::BelowCommitted)
    }

    /// Whether it never changes anything any more once there is nothing for it to change, so that it may be counted as
    /// done at once. Capacity can go forth and back, so that this is not so for operators.
    pub(super) fn stays_idle(&self) -> bool {
        !matches!(self.deed, Deed::SetCapacity { .. } | Deed::Transfer { .. }) || !self.may_change()
    }
}
