//! Wall-clock times and ids. The audit compares them with the server's, which runs on the same machine.

use std::time::Instant;

use rand::Rng;
use uuid::{Builder, Uuid};

/// Microseconds since the epoch, UTC.
pub type Micros = i64;

/// Microseconds in a second.
pub const SECOND: Micros = 1_000_000;

/// The machine's clock, the same that the server of a run on this machine reads.
#[expect(clippy::disallowed_methods, reason = "the load test is the outside world, whose clock this is")]
pub fn now() -> Micros {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX)
}

/// Notices whether the machine's clock is set while something goes on: times before and after cannot be compared then. (One that
/// is slewed does no harm: all read the same clock, and it goes forward.)
#[derive(Debug)]
pub struct Watch {
    begun: Instant,
    first: Offset,
    step: Micros,
}

/// How far the machine's clock is ahead of the time since the watch began: at least and at most, since something else may have
/// run between two readings.
#[derive(Debug, Clone, Copy)]
struct Offset {
    least: Micros,
    most: Micros,
}

impl Watch {
    /// From now on.
    pub fn begin() -> Self {
        let begun = Instant::now();
        Self { begun, first: Offset::read(begun), step: 0 }
    }

    /// Looks at the clock. Answers by how much it has been set at least, the furthest of all looks; 0: for all that is known not at
    /// all. A clock that is set forth and back between two looks is not noticed.
    pub fn look(&mut self) -> Micros {
        let step = self.first.step_to(Offset::read(self.begun));
        if step.abs() > self.step.abs() {
            self.step = step;
        }
        self.step
    }
}

impl Offset {
    fn read(begun: Instant) -> Self {
        let micros = || Micros::try_from(begun.elapsed().as_micros()).unwrap_or(Micros::MAX);
        let before = micros();
        let wall = now();
        let after = micros();
        // Each is up to a microsecond later than it says.
        Self { least: wall - (after + 1), most: wall + 1 - before }
    }

    fn step_to(self, later: Self) -> Micros {
        (later.least - self.most).max(0) + (later.most - self.least).min(0)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_told_from_a_reader_that_is_held_up() {
        let offset = |least, most| Offset { least, most };
        let first = offset(1_000, 1_005);
        assert_eq!(first.step_to(offset(1_001, 1_007)), 0);
        assert_eq!(first.step_to(offset(-900_000, 1_003)), 0, "held up before the clock was read again");
        assert_eq!(offset(-900_000, 1_003).step_to(first), 0, "held up before it was read at first");
        assert_eq!(first.step_to(offset(61_005, 61_010)), 60_000);
        assert_eq!(first.step_to(offset(-59_010, -59_000)), -60_000);
    }

    #[test]
    fn a_watch_tells_the_furthest_step_that_it_has_seen() {
        let mut watch = Watch::begin();
        assert_eq!(watch.look(), 0);
        watch.first = Offset { least: watch.first.least + SECOND, most: watch.first.most + SECOND };
        assert!((-SECOND..-SECOND / 2).contains(&watch.look()), "{watch:?}");
        watch.first = Offset::read(watch.begun);
        assert!(watch.look() < 0);
    }
}
