//! What is counted of Redis.

use std::sync::atomic::{AtomicBool, Ordering};

use super::counters::Counters;
use super::histogram::Histogram;

/// Bounds of the time of an answer, in seconds.
const SECONDS: [f64; 11] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0];

/// What became of commands: a name for each [`RedisOutcome`], in order.
const OUTCOMES: [&str; 6] = ["answered", "refused", "silent", "broken", "away", "busy"];

/// The instruments of the connection to Redis. They are shown where there is one.
#[derive(Debug)]
pub struct RedisMetrics {
    pub(super) commands: Counters,
    pub(super) seconds: Histogram,
    up: AtomicBool,
}

/// What became of a command. Its number is its place in [`OUTCOMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RedisOutcome {
    Answered,
    /// Redis refused it.
    Refused,
    /// No answer in time.
    Silent,
    /// The connection broke, or a node was away.
    Broken,
    /// Not sent: Redis is known to be away.
    Away,
    /// Not sent: too many are in flight.
    Busy,
}

impl Default for RedisMetrics {
    fn default() -> Self {
        Self { commands: Counters::new(&OUTCOMES), seconds: Histogram::new(&SECONDS), up: AtomicBool::new(false) }
    }
}

impl RedisMetrics {
    pub(crate) fn count(&self, outcome: RedisOutcome) {
        self.commands.increment(outcome as usize);
    }

    /// How many commands had this outcome.
    #[cfg(test)]
    pub(crate) fn counted(&self, outcome: RedisOutcome) -> u64 {
        self.commands.read().nth(outcome as usize).map_or(0, |(_, count)| count)
    }

    /// A command was sent and got an answer.
    pub(crate) fn took(&self, time: std::time::Duration) {
        self.seconds.observe_duration(time);
    }

    pub(crate) fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_counted_under_its_name() {
        let named = [
            (RedisOutcome::Answered, "answered"),
            (RedisOutcome::Refused, "refused"),
            (RedisOutcome::Silent, "silent"),
            (RedisOutcome::Broken, "broken"),
            (RedisOutcome::Away, "away"),
            (RedisOutcome::Busy, "busy"),
        ];
        assert_eq!(named.len(), OUTCOMES.len());
        for (outcome, name) in named {
            let metrics = RedisMetrics::default();
            metrics.count(outcome);
            let counted: Vec<_> = metrics.commands.read().filter(|(_, count)| *count > 0).collect();
            assert_eq!(counted, [(name, 1)]);
        }
    }
}
