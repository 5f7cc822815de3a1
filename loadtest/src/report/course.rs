//! What happened in the course of a sale, over time: what the plots show.

use serde::Serialize;

use crate::clock::Micros;

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
    /// When which fault was at work.
    pub faults: Vec<FaultMark>,
    /// How long calls took.
    pub latencies: Vec<CallLatency>,
}

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
    /// Calls that the server was too busy for, or whose outcome stayed unknown.
    pub failed: u64,
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
    /// `granted`, the reason of a refusal, `busy`, or `unknown`.
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
