//! Wall-clock times and ids. The audit compares them with the server's, which runs on the same machine.

use rand::Rng;
use uuid::{Builder, Uuid};

/// Microseconds since the epoch, UTC.
pub type Micros = i64;

/// Microseconds in a second.
pub const SECOND: Micros = 1_000_000;

/// The machine's clock, the same that the server of a run on this machine reads.
#[allow(clippy::disallowed_methods, reason = "the load test is the outside world, whose clock this is")]
pub fn now() -> Micros {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX)
}

/// A time-ordered id, as the API recommends.
pub fn time_ordered_id(random: &mut impl Rng) -> Uuid {
    let millis = u64::try_from(now() / 1_000).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &random.random()).into_uuid()
}

/// A time of the API.
pub fn micros(time: &prost_types::Timestamp) -> Micros {
    time.seconds * SECOND + i64::from(time.nanos) / 1_000
}

/// A span for the API.
pub fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}
