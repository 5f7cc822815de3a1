//! What the buyers asked for and what they were told, with times: one half of the evidence.

use std::fmt;

use boxoffice_proto::v1::reservation::State;
use uuid::Uuid;

use crate::clock::Micros;

/// One attempt of one call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The number of its event in the run.
    pub event: usize,
    /// What was asked.
    pub ask: Ask,
    /// When it was to be sent: with arrival times that are fixed in advance it may have had to wait for its turn. Of a further
    /// attempt: when the first one was, since its buyer has waited all the time.
    pub due: Micros,
    /// Before it was sent.
    pub start: Micros,
    /// After the answer came, or hope for one was given up.
    pub end: Micros,
    /// The answer.
    pub told: Told,
    /// After how many attempts the buyer gave up, where this was the last one and none was answered.
    pub gave_up_after: Option<u32>,
}

/// A request of a buyer. The same `Ask` sent again is a retry.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Who asks: see [`owner_name`].
    pub owner: u32,
    /// Whether he asks for a reservation that he knows to be somebody else's.
    pub intruder: bool,
    /// Of which reservation.
    pub reservation: Uuid,
    /// What to do.
    pub action: Action,
}

/// What a buyer can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Take units.
    Reserve {
        /// How many, of at least one allocation; none is named twice.
        lines: Vec<Units>,
        /// Fewer are welcome too.
        up_to: bool,
        /// The own hold that it replaces.
        replaces: Option<Uuid>,
        /// Sell at once, as this order.
        sell_as: Option<String>,
    },
    /// Make the hold last this long from now.
    Extend {
        /// In seconds.
        ttl_seconds: i64,
    },
    /// Sell the hold.
    Confirm {
        /// The buyer's order.
        order_ref: String,
        /// Take the units again if the hold has expired.
        reacquire: bool,
    },
    /// Give the hold back.
    Release,
    /// Refund.
    Cancel {
        /// What is to be refunded in all, earlier calls included; nothing named: everything.
        lines: Vec<Units>,
    },
    /// Look.
    Get,
}

/// Units of one allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// The number of the allocation in its event.
    pub allocation: usize,
    /// How many.
    pub count: i32,
}

/// What a reservation has of one allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The number of the allocation in its event.
    pub allocation: usize,
    /// Units granted.
    pub quantity: i32,
    /// Of these, units refunded.
    pub cancelled: i32,
}

/// A reservation as one answer or one moment of the journal shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its state.
    pub state: State,
    /// What was granted, in the order of the allocations' numbers.
    pub lines: Vec<Line>,
    /// When the hold lapses; told of holds only.
    pub expires: Micros,
    /// The order, once it is sold.
    pub order_ref: String,
}

impl View {
    /// Units granted, over all lines.
    pub fn quantity(&self) -> i32 {
        self.lines.iter().map(|line| line.quantity).sum()
    }

    /// Of these, units refunded.
    pub fn cancelled(&self) -> i32 {
        self.lines.iter().map(|line| line.cancelled).sum()
    }

    /// Units that it keeps from sale.
    pub fn units(&self) -> i32 {
        self.kept().map(|units| units.count).sum()
    }

    /// Units of one allocation that it keeps from sale.
    pub fn units_of(&self, allocation: usize) -> i32 {
        self.kept().filter(|units| units.allocation == allocation).map(|units| units.count).sum()
    }

    fn kept(&self) -> impl Iterator<Item = Units> {
        let keeps = match self.state {
            State::Held | State::Confirmed => true,
            State::Unspecified | State::Released | State::Expired | State::Cancelled => false,
        };
        let lines = self.lines.iter().filter(move |_| keeps);
        lines.map(|line| Units { allocation: line.allocation, count: line.quantity - line.cancelled })
    }

    /// Whether both show the same: the expiry matters only of holds, the order only of what is sold.
    pub fn agrees(&self, other: &Self) -> bool {
        self.state == other.state
            && self.lines == other.lines
            && (self.state != State::Held || self.expires == other.expires)
            && (self.state != State::Confirmed || self.order_ref == other.order_ref)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.as_str_name().trim_start_matches("STATE_");
        write!(f, "{state} of {} units", self.quantity())?;
        if self.lines.len() > 1 {
            let lines: Vec<_> =
                self.lines.iter().map(|line| format!("{}×#{}", line.quantity, line.allocation)).collect();
            write!(f, " ({})", lines.join(" + "))?;
        }
        if self.cancelled() != 0 {
            write!(f, ", {} refunded", self.cancelled())?;
        }
        if self.state == State::Held {
            write!(f, ", until {}", self.expires)?;
        }
        if !self.order_ref.is_empty() {
            write!(f, ", order {}", self.order_ref)?;
        }
        Ok(())
    }
}

/// The answer to one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The reservation as it is.
    Shown(View),
    /// A refusal: nothing was done.
    Refused(Reason),
    /// The server was too busy, or is asked too often: nothing was done, and the same again may succeed.
    Busy,
    /// No answer, or one that does not say whether anything was done.
    Unknown(String),
    /// An answer that nobody should get, such as another reservation than the one asked for.
    Nonsense(String),
}

impl Told {
    /// Whether the buyer knows what became of it.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Shown(_) | Self::Refused(_) | Self::Nonsense(_) => true,
            Self::Busy | Self::Unknown(_) => false,
        }
    }
}

/// Why a buyer was refused: the reasons of the API that a well-formed request of a buyer can meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the proto documents them under the same names")]
pub enum Reason {
    SoldOut,
    InsufficientAvailability,
    AllHeld,
    OwnerLimitExceeded,
    SalesNotOpen,
    ReservationExpired,
    AlreadyConfirmed,
    AlreadyReleased,
    AlreadyCancelled,
    NotConfirmed,
    ReservationIdReused,
    ReservationNotFound,
}

impl Reason {
    /// Every reason.
    const ALL: [Self; 12] = [
        Self::SoldOut,
        Self::InsufficientAvailability,
        Self::AllHeld,
        Self::OwnerLimitExceeded,
        Self::SalesNotOpen,
        Self::ReservationExpired,
        Self::AlreadyConfirmed,
        Self::AlreadyReleased,
        Self::AlreadyCancelled,
        Self::NotConfirmed,
        Self::ReservationIdReused,
        Self::ReservationNotFound,
    ];

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SoldOut => "SOLD_OUT",
            Self::InsufficientAvailability => "INSUFFICIENT_AVAILABILITY",
            Self::AllHeld => "ALL_HELD",
            Self::OwnerLimitExceeded => "OWNER_LIMIT_EXCEEDED",
            Self::SalesNotOpen => "SALES_NOT_OPEN",
            Self::ReservationExpired => "RESERVATION_EXPIRED",
            Self::AlreadyConfirmed => "ALREADY_CONFIRMED",
            Self::AlreadyReleased => "ALREADY_RELEASED",
            Self::AlreadyCancelled => "ALREADY_CANCELLED",
            Self::NotConfirmed => "NOT_CONFIRMED",
            Self::ReservationIdReused => "RESERVATION_ID_REUSED",
            Self::ReservationNotFound => "RESERVATION_NOT_FOUND",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Whether it says that units are lacking.
    pub fn is_lack(self) -> bool {
        matches!(self, Self::SoldOut | Self::InsufficientAvailability | Self::AllHeld)
    }
}

/// What an operator did in mid-sale, and what he was told.
#[derive(Debug, Clone)]
pub struct OperatorCall {
    /// The number of its event in the run.
    pub event: usize,
    /// The newest change of the event when he read it, to decide what he wants; its etags went along.
    pub seen: i64,
    /// What he wanted.
    pub change: Edit,
    /// Before it was sent.
    pub start: Micros,
    /// After the answer came, or hope for one was given up.
    pub end: Micros,
    /// The answer.
    pub told: OperatorTold,
}

/// What an operator can want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// Another capacity, unless more units than that are held and sold (`STRICT`).
    Set {
        /// The number of the allocation in its event.
        allocation: usize,
        /// The capacity.
        capacity: i32,
    },
    /// Units that are for sale in one allocation go to another.
    Transfer {
        /// The number of the allocation that loses them.
        from: usize,
        /// The number of the allocation that gets them.
        to: usize,
        /// How many.
        units: i32,
    },
    /// The event is paused, or opened again.
    Sales {
        /// Whether it is on sale then.
        open: bool,
    },
}

/// The answer to an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperatorTold {
    /// It is done.
    Done,
    /// It is not, and nothing was changed: the reason of the API.
    Refused(String),
    /// Nobody knows.
    Unknown(String),
}

/// The name of a buyer.
pub fn owner_name(owner: u32) -> String {
    format!("buyer-{owner}")
}

impl fmt::Display for OperatorCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { change, start, end, told, .. } = self;
        write!(f, "operator {start}..{end}: {change:?}: {told:?}")
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ask, start, end, told, .. } = self;
        write!(f, "call {start}..{end} by {}: {:?} {}: ", owner_name(ask.owner), ask.action, ask.reservation)?;
        match told {
            Told::Shown(view) => write!(f, "{view}"),
            Told::Refused(reason) => write!(f, "refused, {}", reason.as_str()),
            Told::Busy => write!(f, "server busy"),
            Told::Unknown(why) => write!(f, "outcome unknown ({why})"),
            Told::Nonsense(why) => write!(f, "nonsense ({why})"),
        }
    }
}
