//! The audit after the measurements.

use anyhow::Result;

use super::Stage;
use crate::bench::tally::{Acknowledged, Shown};
use crate::fetch;
use crate::report::AuditCounts;

/// See [`Stage::is_replayed`].
const REPLAYED_RESERVATIONS_MAX: u64 = 1_000_000;

impl Stage {
    /// Audits the hot event: by the server's own audit, and by our own count of what was acknowledged. Of the many events, where
    /// there are any, by our own count in all.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn audit(&self) -> Result<(AuditCounts, Vec<String>)> {
        eprintln!("auditing {} reservations", self.reserved);
        let (mut admin, mut inventory) = (self.connections.admin(0), self.connections.inventory(0));
        let mut faults = match self.is_replayed() {
            true => fetch::differences(&fetch::server_audit(&mut admin, &self.hot).await?),
            false => Vec::new(),
        };
        let mismatched = faults.len() as u64;
        let mut shown = Shown::default();
        shown.add_all(&fetch::counters(&mut inventory, &self.hot).await?);
        let acknowledged = Acknowledged { reserved: self.reserved, confirmed: self.confirmed, unknown: 0 };
        let (mut counts, wrong) = shown.judge("the hot event", acknowledged);
        faults.extend(wrong);
        let mut shown = Shown::default();
        for event in self.spread.iter() {
            shown.add_all(&fetch::counters(&mut inventory, event).await?);
        }
        let acknowledged = Acknowledged { reserved: self.reserved_spread, ..Acknowledged::default() };
        let (of_many, wrong) = shown.judge("the many events", acknowledged);
        counts.add(&of_many);
        faults.extend(wrong);
        Ok((AuditCounts { mismatched, ..counts }, faults))
    }

    /// Whether the audit has the server replay the hot event's journal. Beyond a million reservations that takes minutes; the
    /// counts are then only compared with what was acknowledged.
    pub const fn is_replayed(&self) -> bool {
        self.reserved <= REPLAYED_RESERVATIONS_MAX
    }
}
