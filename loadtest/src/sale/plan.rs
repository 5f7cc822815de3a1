//! What each scenario sells, to whom, and how they come.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::arrivals::Shape;
use super::habits::{DUPLICATES, EXPIRY, Habits, LIMITS, MIXED, SALE, STORM};
use crate::audit::evidence::Limits;
use crate::cli::{Common, LoadArgs};
use crate::faults::{self, Fault};

/// A scenario that sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everybody wants one allocation.
    Sale,
    /// A hundred requests for each ticket.
    Storm,
    /// Many events, several lines, operators who change them.
    Mixed,
    /// Owners who try to pass their limit.
    Limits,
    /// Confirmations on the edge of expiry.
    Expiry,
    /// Every request several times.
    Duplicates,
}

impl Kind {
    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Storm => "storm",
            Self::Mixed => "mixed",
            Self::Limits => "limits",
            Self::Expiry => "expiry",
            Self::Duplicates => "duplicates",
        }
    }
}

/// Buyers at work at the same time, at most, where they come at times that were asked for.
const OPEN_IN_FLIGHT: u32 = 4_096;

/// What is sold, to whom, and how they come.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Its name.
    pub scenario: &'static str,
    /// Events on sale at once.
    pub events: u32,
    /// Allocations of each.
    pub allocations: u32,
    /// Tickets in all; each allocation gets the same share, at least one.
    pub tickets: i32,
    /// Buyers who want them.
    pub buyers: u32,
    /// What each may have.
    pub limits: Limits,
    /// How long a hold lives.
    pub hold_seconds: i64,
    /// How buyers come.
    pub shape: Shape,
    /// Over how long.
    pub length: Duration,
    /// Buyers at work at the same time, at most.
    pub in_flight: u32,
    /// Connections that they share.
    pub connections: u32,
    /// Operators who change capacities in mid-sale, and pause sales.
    pub operators: u32,
    /// People who only look.
    pub viewers: u32,
    /// How often a server is killed, spread over the sale.
    pub kills: u32,
    /// What else goes wrong, all the time.
    pub faults: Vec<Fault>,
    /// Whether the servers look for holds that have lapsed. Of a server that runs already nobody knows.
    pub swept: bool,
    /// How long all holds may take to drain.
    pub patience: Duration,
    /// What buyers are like.
    pub habits: &'static Habits,
}

/// People who look where servers share a Redis, unless said otherwise: it is there for them.
const VIEWERS_WITH_REDIS: u32 = 8;

/// How many look, unless said otherwise.
pub(super) const fn viewers(common: &Common) -> u32 {
    if common.redis { VIEWERS_WITH_REDIS } else { 0 }
}

impl Plan {
    /// What a kind does by itself.
    fn default_of(kind: Kind) -> Self {
        let sale = Self {
            scenario: kind.as_str(),
            events: 1,
            allocations: 1,
            tickets: 20_000,
            buyers: 60_000,
            limits: Limits { per_owner: 4, per_allocation: 0 },
            hold_seconds: 2,
            shape: Shape::Rush,
            length: Duration::from_secs(15),
            in_flight: 512,
            connections: 16,
            operators: 0,
            viewers: 0,
            kills: 3,
            faults: Vec::new(),
            swept: true,
            patience: Duration::from_secs(60),
            habits: &SALE,
        };
        let other = Self { kills: 0, shape: Shape::Closed, ..sale.clone() };
        match kind {
            Kind::Sale => sale,
            Kind::Storm => Self { tickets: 600, limits: Limits::default(), in_flight: 1_024, habits: &STORM, ..other },
            Kind::Mixed => Self {
                events: 20,
                allocations: 4,
                buyers: 30_000,
                limits: Limits { per_owner: 8, per_allocation: 0 },
                shape: Shape::Steady,
                operators: 4,
                habits: &MIXED,
                ..other
            },
            Kind::Limits => Self {
                allocations: 2,
                tickets: 20_000,
                buyers: 3_000,
                limits: Limits { per_owner: 5, per_allocation: 3 },
                in_flight: 128,
                habits: &LIMITS,
                ..other
            },
            Kind::Expiry => Self {
                tickets: 2_000,
                buyers: 12_000,
                hold_seconds: 1,
                shape: Shape::Steady,
                in_flight: 4_096,
                habits: &EXPIRY,
                ..other
            },
            Kind::Duplicates => Self { tickets: 5_000, buyers: 15_000, in_flight: 128, habits: &DUPLICATES, ..other },
        }
    }

    /// The same in so many seconds, with so many buyers a second who come at times that are fixed in advance.
    pub(super) fn small(kind: Kind, seconds: u32, buyers_per_second: u32) -> Self {
        let plan = Self::default_of(kind);
        // Who asks for much at once is many buyers in one.
        let buyers = seconds * buyers_per_second / plan.habits.parallel;
        let per_buyer = f64::from(plan.tickets) / f64::from(plan.buyers);
        #[expect(clippy::cast_possible_truncation, reason = "fewer tickets than the plan has")]
        let tickets = (per_buyer * f64::from(buyers)).ceil() as i32;
        let length = Duration::from_secs(seconds.into());
        let in_flight = plan.in_flight.max(OPEN_IN_FLIGHT);
        Self { tickets, buyers, length, in_flight, shape: Shape::Steady, ..plan }
    }

    /// What a kind does with these options.
    ///
    /// # Errors
    /// Where the options contradict each other.
    pub(super) fn of(kind: Kind, args: &LoadArgs) -> Result<Self> {
        faults::check(&args.faults.faults, &args.common)?;
        let plan = Self::default_of(kind);
        let buyers = args.buyers.unwrap_or(plan.buyers);
        let length = match (args.rate, args.seconds) {
            (Some(rate), None) => Duration::from_secs_f64(f64::from(buyers) / rate),
            (_, Some(seconds)) => Duration::from_secs_f64(seconds),
            (None, None) => plan.length,
        };
        let open = args.rate.is_some() || args.seconds.is_some();
        let shape = match plan.shape {
            Shape::Closed if open => Shape::Steady,
            // Whoever names a rate wants that rate, and not half of all at once.
            Shape::Rush if args.rate.is_some() => Shape::Steady,
            shape => shape,
        };
        let shape = args.shape.unwrap_or(shape);
        ensure!(shape != Shape::Closed || !open, "--shape closed knows no times: leave --rate and --seconds out");
        // Who comes at a fixed time should find a free place.
        let fixed = open && matches!(shape, Shape::Steady | Shape::Ramp | Shape::Bursts);
        let in_flight = if fixed { plan.in_flight.max(OPEN_IN_FLIGHT) } else { plan.in_flight };
        let limits = Limits {
            per_owner: args.limit.unwrap_or(plan.limits.per_owner),
            per_allocation: args.allocation_limit.unwrap_or(plan.limits.per_allocation),
        };
        Ok(Self {
            events: args.events.unwrap_or(plan.events),
            allocations: args.allocations.unwrap_or(plan.allocations),
            tickets: args.tickets.unwrap_or(plan.tickets),
            buyers,
            limits,
            hold_seconds: args.hold_seconds.unwrap_or(plan.hold_seconds),
            shape,
            length,
            in_flight: args.in_flight.unwrap_or(in_flight),
            connections: args.connections,
            operators: args.operators.unwrap_or(plan.operators),
            viewers: args.viewers.unwrap_or(viewers(&args.common)),
            kills: if args.common.target.is_some() { 0 } else { args.kills.unwrap_or(plan.kills) },
            faults: args.faults.faults.clone(),
            swept: args.common.target.is_none(),
            patience: Duration::from_secs(args.drain_seconds),
            ..plan
        })
    }

    /// Units of each allocation.
    pub(super) fn capacity(&self) -> i32 {
        let allocations = self.events.saturating_mul(self.allocations);
        (self.tickets / i32::try_from(allocations).unwrap_or(i32::MAX)).max(1)
    }

    /// Most units of one line of a reservation.
    pub(super) fn quantity_max(&self) -> i32 {
        let limits = [self.limits.per_owner, self.limits.per_allocation];
        let limits = limits.into_iter().filter(|limit| *limit != 0);
        limits.fold(self.habits.quantity_max, i32::min).max(1)
    }

    /// How long a hold lives.
    pub(super) fn hold(&self) -> Duration {
        Duration::from_secs(self.hold_seconds.unsigned_abs())
    }
}
