//! Latencies by RPC and outcome, as a table for the terminal.

use tabled::builder::Builder;

use super::course::CallLatency;
use super::words;

/// One row for each RPC and outcome.
pub(super) fn rows(latencies: &[CallLatency]) -> Builder {
    let mut rows = Builder::default();
    rows.push_record(["call", "outcome", "count", "p50", "p90", "p99", "p99.9", "p99.99", "max"]);
    for latency in latencies {
        let CallLatency { rpc, outcome, count, p50, p90, p99, p999, p9999, max } = latency;
        let times = [p50, p90, p99, p999, p9999, max].map(|micros| words::latency(*micros));
        let named = [(*rpc).to_owned(), (*outcome).to_owned(), words::count(*count)];
        rows.push_record(named.into_iter().chain(times));
    }
    rows
}
