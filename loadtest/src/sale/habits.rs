//! What buyers are like: one kind for each scenario.

use std::time::Duration;

use rand::Rng as _;
use rand::rngs::SmallRng;

/// What a buyer has in mind once he holds tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    Confirm,
    ConfirmTwice,
    ConfirmWithAnotherOrder,
    Refund,
    RefundPartly,
    Release,
    ReleaseTooLate,
    Abandon,
    ExtendAndConfirm,
    ConfirmTooLate,
    Reacquire,
    Replace,
    AskForMore,
    /// As close to the expiry as he can, before or after it.
    ConfirmAtExpiry,
    ReacquireAtExpiry,
    ExtendAtExpiry,
    ReleaseAtExpiry,
}

/// The habits of all buyers of a scenario. Shares are between 0 and 1.
#[derive(Debug)]
pub(super) struct Habits {
    /// How many of all have which intent.
    pub intents: &'static [(Intent, u32)],
    /// Most allocations in one reservation.
    pub lines_max: usize,
    /// Most units of one line.
    pub quantity_max: i32,
    /// Reservations that one buyer asks for at the same moment.
    pub parallel: u32,
    /// Asks for them in one call, as a gateway does.
    pub batches: f64,
    /// Takes what there is.
    pub up_to: f64,
    /// Buys without a hold.
    pub sells_at_once: f64,
    /// Comes back a little later where all is held.
    pub waits: f64,
    /// Sends the request once more after its answer, or when he has done all else.
    pub retries: f64,
    /// Sends another request under the same id.
    pub mistakes: f64,
    /// Somebody else learns of the id, and tries everything.
    pub is_watched: f64,
    /// Thinks before he goes on.
    pub thinks: f64,
    /// For how long at most.
    pub think_max: Duration,
    /// Looks at his reservation in the end.
    pub looks: f64,
    /// Each request is sent up to so many times at the same moment.
    pub copies_max: u32,
    /// Attempts that are given up before there can be an answer.
    pub gives_up: f64,
}

const ALL_KINDS: &[(Intent, u32)] = &[
    (Intent::Confirm, 42),
    (Intent::ConfirmTwice, 8),
    (Intent::ConfirmWithAnotherOrder, 3),
    (Intent::Refund, 7),
    (Intent::RefundPartly, 4),
    (Intent::Release, 8),
    (Intent::ReleaseTooLate, 2),
    (Intent::Abandon, 12),
    (Intent::ExtendAndConfirm, 4),
    (Intent::ConfirmTooLate, 2),
    (Intent::Reacquire, 2),
    (Intent::Replace, 3),
    (Intent::AskForMore, 3),
];

/// Most buy, many dither, some retry, and a few are up to something.
pub(super) const SALE: Habits = Habits {
    intents: ALL_KINDS,
    lines_max: 1,
    quantity_max: 4,
    parallel: 1,
    batches: 0.0,
    up_to: 0.1,
    sells_at_once: 0.03,
    waits: 0.3,
    retries: 0.05,
    mistakes: 0.03,
    is_watched: 0.04,
    thinks: 0.3,
    think_max: Duration::from_millis(300),
    looks: 0.05,
    copies_max: 1,
    gives_up: 0.0,
};

/// One ticket, bought by whoever gets it; nobody wastes a moment.
pub(super) const STORM: Habits = Habits {
    intents: &[(Intent::Confirm, 90), (Intent::Release, 5), (Intent::Abandon, 5)],
    quantity_max: 1,
    up_to: 0.0,
    waits: 0.0,
    retries: 0.0,
    mistakes: 0.0,
    is_watched: 0.0,
    thinks: 0.0,
    looks: 0.0,
    ..SALE
};

/// As in a sale, over several allocations at once.
pub(super) const MIXED: Habits = Habits { lines_max: 3, thinks: 0.5, ..SALE };

/// Few owners, who ask for more than they may have, many times at once.
pub(super) const LIMITS: Habits = Habits {
    intents: &[
        (Intent::Confirm, 40),
        (Intent::Release, 25),
        (Intent::Refund, 15),
        (Intent::Abandon, 10),
        (Intent::Reacquire, 10),
    ],
    lines_max: 2,
    quantity_max: 2,
    parallel: 8,
    batches: 0.3,
    waits: 0.0,
    thinks: 0.1,
    ..SALE
};

/// Everybody comes back at the moment of expiry.
pub(super) const EXPIRY: Habits = Habits {
    intents: &[
        (Intent::ConfirmAtExpiry, 45),
        (Intent::ReacquireAtExpiry, 20),
        (Intent::ExtendAtExpiry, 15),
        (Intent::ReleaseAtExpiry, 10),
        (Intent::Abandon, 10),
    ],
    thinks: 0.0,
    ..SALE
};

/// Each request one to five times at once, some given up before the answer.
pub(super) const DUPLICATES: Habits = Habits { copies_max: 5, gives_up: 0.1, retries: 0.3, ..SALE };

impl Habits {
    /// What one of the buyers has in mind.
    pub(super) fn intent(&self, random: &mut SmallRng) -> Intent {
        let mut left = random.random_range(0..self.intents.iter().map(|(_, weight)| weight).sum());
        for (intent, weight) in self.intents {
            match u32::checked_sub(left, *weight) {
                Some(rest) => left = rest,
                None => return *intent,
            }
        }
        Intent::Confirm
    }
}
