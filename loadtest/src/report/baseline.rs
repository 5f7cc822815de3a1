//! One way to sell tickets, as `compare` saw it.

use serde::Serialize;

/// What one way came to; the first six keys are the contract's.
#[derive(Debug, Clone, Serialize)]
pub struct Baseline {
    /// `racy`, `for_update`, …, `boxoffice`.
    pub name: &'static str,
    /// Tickets sold a second.
    pub rate_per_s: f64,
    /// Of single purchases, in microseconds.
    pub p99_us: u64,
    /// Tickets sold beyond capacity.
    pub oversold: u64,
    /// Units taken from sale that no buyer was told of.
    pub stranded: u64,
    /// Whether everything that a buyer was told is there after the store (and for Boxoffice also its server) was killed with
    /// SIGKILL in mid-sale.
    pub survives_kill: bool,
    /// In a few words: how it is done.
    pub how: &'static str,
}
