//! Latencies by RPC and outcome, which can be added up over several sales.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use super::{CallLatency, recorded};
use crate::history::Call;
use crate::report::latency_histogram;

/// A histogram for each RPC and outcome. Written as a list of [`CallLatency`].
#[derive(Debug, Clone, Default)]
pub struct Latencies(BTreeMap<(&'static str, &'static str), Histogram<u64>>);

impl Latencies {
    /// Those of some calls.
    pub fn of<'a>(calls: impl Iterator<Item = &'a Call>) -> Self {
        let mut all = Self::default();
        for call in calls {
            all.record(recorded::rpc(call), recorded::outcome(call), recorded::latency_micros(call));
        }
        all
    }

    /// Those of several sales together.
    pub fn sum<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for (key, histogram) in parts.into_iter().flat_map(|part| &part.0) {
            // Both were made by the same function, so that their bounds agree.
            let _ = all.0.entry(*key).or_insert_with(latency_histogram).add(histogram);
        }
        all
    }

    /// Adds a call.
    pub fn record(&mut self, rpc: &'static str, outcome: &'static str, micros: u64) {
        self.0.entry((rpc, outcome)).or_insert_with(latency_histogram).saturating_record(micros);
    }

    /// For people and programs: by RPC, what was granted first, then what came most often.
    pub fn rows(&self) -> Vec<CallLatency> {
        let mut rows: Vec<_> = self.0.iter().map(|((rpc, outcome), histogram)| row(rpc, outcome, histogram)).collect();
        let place = |rpc| recorded::RPCS.iter().position(|name| *name == rpc);
        rows.sort_by_key(|row| (place(row.rpc), row.outcome != recorded::GRANTED, Reverse(row.count)));
        rows
    }
}

impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.rows().serialize(serializer)
    }
}

fn row(rpc: &'static str, outcome: &'static str, histogram: &Histogram<u64>) -> CallLatency {
    // The histogram answers with the end of a bucket, which may lie above the slowest call.
    let at = |quantile| histogram.value_at_quantile(quantile).min(histogram.max());
    CallLatency {
        rpc,
        outcome,
        count: histogram.len(),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        p9999: at(0.9999),
        max: histogram.max(),
    }
}
