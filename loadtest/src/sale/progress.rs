//! How far the sale is, for the progress bar and for what goes wrong.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::bar;
use crate::faults::Load;
use crate::report::course::FaultMark;

/// Counters that all tasks share.
#[derive(Debug, Default)]
pub(super) struct Progress {
    buyers: u32,
    next: AtomicU32,
    served: AtomicU32,
    late: AtomicU32,
    faults: AtomicU32,
    over: AtomicBool,
}

impl Progress {
    /// Nobody has come yet.
    pub(super) fn new(buyers: u32) -> Self {
        Self { buyers, ..Self::default() }
    }

    /// The next buyer's number.
    pub(super) fn next(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A buyer has gone.
    pub(super) fn add_served(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    /// A buyer found all places taken when he came.
    pub(super) fn add_late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    /// Buyers who found all places taken.
    pub(super) fn late(&self) -> u32 {
        self.late.load(Ordering::Relaxed)
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
    pub(super) async fn show(&self) {
        let bar = bar::new(u64::from(self.buyers));
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            bar.set_position(u64::from(self.served.load(Ordering::Relaxed)));
            bar.set_message(format!("buyers served, {} faults", self.faults.load(Ordering::Relaxed)));
        }
    }
}

impl Load for Progress {
    fn done(&self) -> f64 {
        if self.is_over() {
            return 1.0;
        }
        // The last one served is not the end yet: what is owed then still comes.
        f64::from(self.served.load(Ordering::Relaxed)) / f64::from(self.buyers.max(1)) * 0.999
    }

    fn struck(&self, _mark: &FaultMark) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }
}
