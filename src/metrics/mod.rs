//! What the server counts of itself, for `/metrics`. Every name is described in `docs/metrics.md`.
//!
//! Everything on a request's way is a relaxed atomic in an array: no lock, no allocation, no look-up by a string of labels.
//! (`prometheus-client` writes the text format and checks its form; its own histograms take a lock for each value, so there is
//! one of atomics here.) Labels come from fixed lists, so that nobody outside can make more series.

mod counters;
mod exposition;
mod histogram;
mod methods;
mod process;
mod redis;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use self::counters::Counters;
pub(crate) use self::exposition::CONTENT_TYPE;
use self::histogram::Histogram;
pub(crate) use self::methods::Method;
pub use self::redis::RedisMetrics;
pub(crate) use self::redis::RedisOutcome;
use crate::domain::{JournalKind, Refusal};
use crate::storage::{StoreError, Totals};

/// Bounds of the time of an answer and of a batch, in seconds.
const SECONDS: [f64; 16] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Bounds of how many there are of something at once.
const COUNTS: [f64; 13] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0];

/// Why a command has no answer, besides [`Refusal::REASONS`].
pub(crate) const OVERLOADED: &str = "OVERLOADED";
pub(crate) const DEADLINE_EXCEEDED: &str = "DEADLINE_EXCEEDED";
pub(crate) const RATE_LIMITED: &str = "RATE_LIMITED";
pub(crate) const TOO_MANY_WATCHERS: &str = "TOO_MANY_WATCHERS";
pub(crate) const WAITING_ROOM_UNAVAILABLE: &str = "WAITING_ROOM_UNAVAILABLE";
const FAILURES: [&str; 11] = [
    OVERLOADED,
    DEADLINE_EXCEEDED,
    RATE_LIMITED,
    TOO_MANY_WATCHERS,
    "STORE_UNAVAILABLE",
    "SHUTTING_DOWN",
    WAITING_ROOM_UNAVAILABLE,
    "INTERNAL",
    "WAITING_ROOM_REQUIRED",
    "PASS_INVALID",
    "PASS_EXPIRED",
];

/// Kinds of [`StoreError`].
const STORE_ERRORS: [&str; 4] = ["retry", "unavailable", "guard", "corrupt"];

/// gRPC's status codes, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The instruments of one server.
#[derive(Debug)]
pub struct Metrics {
    calls: Vec<Calls>,
    /// Requests that are being answered. Admission counts them.
    pub(crate) requests_in_flight: Arc<AtomicUsize>,
    /// Streams that are open. Admission counts them.
    pub(crate) watchers: Arc<AtomicUsize>,
    refusals: Counters,
    changes: Counters,
    store_errors: Counters,
    /// Commands of a batch.
    pub(crate) batch_commands: Histogram,
    /// From a batch's beginning until all are answered.
    pub(crate) batch_seconds: Histogram,
    /// Lock and load.
    pub(crate) load_seconds: Histogram,
    /// Write and commit.
    pub(crate) commit_seconds: Histogram,
    /// How many changes a stream of changes was behind when it looked.
    pub(crate) watch_lag: Histogram,
    queues: OnceLock<Vec<Arc<AtomicUsize>>>,
    serving: AtomicBool,
    /// Shared waiting rooms that were lost, as this server noticed.
    waiting_rooms_lost: AtomicU64,
    totals: [AtomicU64; 4],
    redis: OnceLock<Arc<RedisMetrics>>,
}

/// Calls of one method.
#[derive(Debug)]
struct Calls {
    by_code: Counters,
    seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let calls = || Calls { by_code: Counters::new(&CODES), seconds: Histogram::new(&SECONDS) };
        Self {
            calls: Method::all().map(|_| calls()).collect(),
            requests_in_flight: Arc::default(),
            watchers: Arc::default(),
            refusals: Counters::new(Refusal::REASONS.iter().chain(&FAILURES)),
            changes: Counters::new(&JournalKind::ALL.map(JournalKind::as_str)),
            store_errors: Counters::new(&STORE_ERRORS),
            batch_commands: Histogram::new(&COUNTS),
            batch_seconds: Histogram::new(&SECONDS),
            load_seconds: Histogram::new(&SECONDS),
            commit_seconds: Histogram::new(&SECONDS),
            watch_lag: Histogram::new(&COUNTS),
            queues: OnceLock::new(),
            serving: AtomicBool::new(false),
            waiting_rooms_lost: AtomicU64::new(0),
            totals: Default::default(),
            redis: OnceLock::new(),
        }
    }
}

impl Metrics {
    /// A call was answered with the status of this number.
    pub(crate) fn answered(&self, method: Method, code: usize, took: Duration) {
        if let Some(calls) = self.calls.get(method.index()) {
            calls.by_code.increment(code);
            calls.seconds.observe_duration(took);
        }
    }

    /// A command was refused, or failed, for one of the API's reasons.
    pub(crate) fn refused(&self, reason: &str) {
        self.refusals.increment_named(reason);
    }

    /// A change was committed.
    pub(crate) fn changed(&self, kind: JournalKind) {
        self.changes.increment_named(kind.as_str());
    }

    /// The store failed.
    pub(crate) fn store_failed(&self, error: &StoreError) {
        self.store_errors.increment(match error {
            StoreError::Retry(_) => 0,
            StoreError::Unavailable(_) => 1,
            StoreError::Guard { .. } => 2,
            StoreError::Corrupt(_) => 3,
        });
    }

    /// Where the lanes count what waits. Only the first call counts.
    pub(crate) fn watch_queues(&self, queues: Vec<Arc<AtomicUsize>>) {
        let _ = self.queues.set(queues);
    }

    /// A shared waiting room was lost, and is a new one now.
    pub(crate) fn waiting_room_lost(&self) {
        self.waiting_rooms_lost.fetch_add(1, Ordering::Relaxed);
    }

    /// What is counted of Redis, where there is one. Only the first call counts.
    pub fn watch_redis(&self, redis: Arc<RedisMetrics>) {
        let _ = self.redis.set(redis);
    }

    /// Whether the store answers.
    pub(crate) fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Relaxed);
    }

    /// What the database held when it was last asked.
    pub(crate) fn set_totals(&self, totals: &Totals) {
        let values = [totals.capacity, totals.held, totals.sold, totals.owner_index_lag];
        for (total, value) in self.totals.iter().zip(values) {
            total.store(u64::try_from(value).unwrap_or(0), Ordering::Relaxed);
        }
    }
}
