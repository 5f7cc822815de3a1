//! What happened in the course of a sale, over time: what the plots show.

mod felt;
mod latencies;
mod recorded;
mod stock;
#[cfg(test)]
mod tests;
mod traffic;

use serde::Serialize;

use crate::audit::evidence::Entry;
use crate::clock::Micros;
use crate::history::Call;
pub use felt::{Felt, RISE_FELT};
pub use latencies::Latencies;
pub(super) use stock::thinned;
pub(super) use traffic::round_width;

/// One sale, or one round of a soak.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Course {
    /// What it was, for people.
    pub title: String,
    /// The moment that all times below are counted from.
    pub begun: Micros,
    /// What was for sale over time.
    pub stock: Vec<Stock>,
    /// Calls over time.
    pub traffic: Vec<Traffic>,
    /// When which fault was at work, or whatever else [`Course::marked`] says.
    pub faults: Vec<FaultMark>,
    /// What `faults` are.
    pub marked: Marked,
    /// What buyers felt of each.
    pub felt: Vec<Felt>,
    /// How long calls took.
    pub latencies: Latencies,
    /// The memory of the servers, where it was looked at.
    pub memory: Vec<Memory>,
}

/// What is marked in a course.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Marked {
    /// What went wrong.
    #[default]
    Faults,
    /// How much load there was.
    Levels,
}

impl Marked {
    /// So many of them, in words.
    pub fn number_of(self, count: usize) -> String {
        let (one, several) = match self {
            Self::Faults => ("fault", "faults"),
            Self::Levels => ("level of load", "levels of load"),
        };
        format!("{count} {}", if count == 1 { one } else { several })
    }
}

/// What the servers had in memory at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// In microseconds since the beginning.
    pub at: Micros,
    /// Resident bytes.
    pub bytes: u64,
}

impl Course {
    /// The course of what was recorded: of all calls, and of the journals of all events, one after the other. The times of
    /// `faults` are by the clock, as those of the calls; here they are counted from the beginning.
    pub fn of<'a>(
        title: impl Into<String>,
        calls: impl Iterator<Item = &'a Call> + Clone,
        journal: impl Iterator<Item = &'a Entry> + Clone,
        faults: Vec<FaultMark>,
    ) -> Self {
        let first_call = calls.clone().map(recorded::due).min();
        let begun = first_call.or_else(|| journal.clone().map(|entry| entry.at).min()).unwrap_or_default();
        let from_begun = |mark: FaultMark| FaultMark { from: mark.from - begun, to: mark.to - begun, ..mark };
        Self {
            title: title.into(),
            begun,
            stock: thinned(&stock::fold(journal, begun), STOCK_POINTS_MAX),
            traffic: traffic::count(calls.clone(), begun),
            felt: felt::of(calls.clone(), &faults, begun),
            faults: faults.into_iter().map(from_begun).collect(),
            marked: Marked::Faults,
            latencies: Latencies::of(calls),
            memory: Vec::new(),
        }
    }

    /// How long it lasted: to the last call, change or fault.
    pub fn span(&self) -> Micros {
        let calls = self.traffic.last().map(|interval| interval.at + interval.width);
        let changes = self.stock.last().map(|stock| stock.at);
        let faults = self.faults.iter().map(|fault| fault.to);
        faults.chain(calls).chain(changes).max().unwrap_or_default().max(1)
    }

    /// All calls that ended.
    pub fn calls(&self) -> u64 {
        self.traffic.iter().map(Traffic::calls).sum()
    }
}

/// Most points of [`Course::stock`]: about two for each pixel of a plot on a phone.
pub const STOCK_POINTS_MAX: usize = 400;

/// The counters at one moment, over all allocations, as the journal tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stock {
    /// Microseconds since the beginning.
    pub at: Micros,
    /// Units in all.
    pub capacity: i64,
    /// Units held.
    pub held: i64,
    /// Units sold.
    pub sold: i64,
}

impl Stock {
    /// Units that nobody else can have: more than there are where it was oversold.
    pub fn taken(&self) -> i64 {
        self.held + self.sold
    }
}

/// The calls that ended in one interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// When the interval began, in microseconds since the beginning.
    pub at: Micros,
    /// How long it is, in microseconds.
    pub width: Micros,
    /// Calls that did or showed what was asked.
    pub granted: u64,
    /// Calls that were refused because units lack.
    pub lacking: u64,
    /// Calls that were refused for any other reason.
    pub refused: u64,
    /// Calls that the server was too busy for, whose outcome stayed unknown, or whose answer made no sense.
    pub failed: u64,
}

impl Traffic {
    /// All of them.
    pub fn calls(&self) -> u64 {
        self.granted + self.lacking + self.refused + self.failed
    }

    /// Adds the calls of another interval.
    pub(super) fn add(&mut self, other: &Self) {
        self.granted += other.granted;
        self.lacking += other.lacking;
        self.refused += other.refused;
        self.failed += other.failed;
    }
}

/// A fault that was at work for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FaultMark {
    /// Its name on the command line.
    pub fault: &'static str,
    /// When it began, in microseconds since the beginning.
    pub from: Micros,
    /// When it was over.
    pub to: Micros,
}

/// How long the calls of one RPC with one outcome took, from the moment they were due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallLatency {
    /// Such as `CreateReservation`.
    pub rpc: &'static str,
    /// `granted`, the reason of a refusal, `busy`, `unknown`, or `nonsense`.
    pub outcome: &'static str,
    /// How many there were.
    pub count: u64,
    /// In microseconds, here and below.
    pub p50: u64,
    /// 9 of 10 were faster.
    pub p90: u64,
    /// 99 of 100 were faster.
    pub p99: u64,
    /// 999 of 1,000 were faster.
    pub p999: u64,
    /// 9,999 of 10,000 were faster.
    pub p9999: u64,
    /// The slowest.
    pub max: u64,
}
