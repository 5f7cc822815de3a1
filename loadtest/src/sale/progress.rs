//! How far the sale is, for the progress bar and for the kills.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::bar;

/// Counters that all tasks share.
#[derive(Debug, Default)]
pub(super) struct Progress {
    next: AtomicU32,
    served: AtomicU32,
    late: AtomicU32,
    kills: AtomicU32,
    over: AtomicBool,
    away_micros: AtomicU64,
}

impl Progress {
    /// The next buyer's number.
    pub(super) fn next(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A buyer has gone.
    pub(super) fn add_served(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    /// Buyers who have gone.
    pub(super) fn served(&self) -> u32 {
        self.served.load(Ordering::Relaxed)
    }

    /// A buyer found all places taken when he came.
    pub(super) fn add_late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    /// Buyers who found all places taken.
    pub(super) fn late(&self) -> u32 {
        self.late.load(Ordering::Relaxed)
    }

    /// A server was killed, and was away for so long.
    pub(super) fn add_kill(&self, away: Duration) {
        self.kills.fetch_add(1, Ordering::Relaxed);
        self.away_micros.fetch_add(u64::try_from(away.as_micros()).unwrap_or_default(), Ordering::Relaxed);
    }

    /// How often a server was killed.
    pub(super) fn kills(&self) -> u32 {
        self.kills.load(Ordering::Relaxed)
    }

    /// How long one was away in all.
    pub(super) fn away(&self) -> Duration {
        Duration::from_micros(self.away_micros.load(Ordering::Relaxed))
    }

    /// All buyers have gone.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether all buyers have gone.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Shows the counters until dropped. Never ends.
    pub(super) async fn show(&self, buyers: u32) {
        let bar = bar::new(u64::from(buyers));
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            bar.set_position(u64::from(self.served()));
            bar.set_message(format!("buyers served, servers killed {} times", self.kills()));
        }
    }
}
