//! The audit after the measurements.

use anyhow::{Context as _, Result};

use super::Stage;
use crate::fetch;
use crate::report::AuditCounts;

/// See [`Stage::is_replayed`].
const REPLAYED_RESERVATIONS_MAX: u64 = 1_000_000;

impl Stage {
    /// Audits the hot event: by the server's own audit, and by our own count of what was acknowledged.
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
        let counters = fetch::counters(&mut inventory, &self.hot).await?;
        let hot = counters.allocations.first().context("the hot event has lost its allocation")?;
        let (taken, sold) = (i64::from(hot.held) + i64::from(hot.sold), i64::from(hot.sold));
        let (reserved, confirmed) = (i64::try_from(self.reserved)?, i64::try_from(self.confirmed)?);
        let counts = AuditCounts {
            capacity: hot.capacity.into(),
            sold,
            oversold: (taken - i64::from(hot.capacity)).max(0).unsigned_abs(),
            lost: (reserved - taken).max(0).unsigned_abs() + (confirmed - sold).max(0).unsigned_abs(),
            duplicated: (taken - reserved).max(0).unsigned_abs() + (sold - confirmed).max(0).unsigned_abs(),
            stranded: (i64::from(hot.capacity) - taken - i64::from(hot.available)).unsigned_abs(),
            mismatched,
            ..AuditCounts::default()
        };
        if (reserved, confirmed) != (taken, sold) {
            let text = format!("{reserved} acknowledged and {confirmed} confirmed, but {taken} taken and {sold} sold");
            faults.push(text);
        }
        Ok((counts, faults))
    }

    /// Whether the audit has the server replay the hot event's journal. Beyond a million reservations that takes minutes; the
    /// counts are then only compared with what was acknowledged.
    pub const fn is_replayed(&self) -> bool {
        self.reserved <= REPLAYED_RESERVATIONS_MAX
    }
}
