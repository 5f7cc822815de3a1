//! What is counted of Redis.

use std::sync::atomic::{AtomicBool, Ordering};

use super::counters::Counters;
use super::histogram::Histogram;
use super::{REDIS_OUTCOMES, REDIS_SECONDS};

/// The instruments of the connection to Redis. They are shown where there is one.
#[derive(Debug)]
pub struct RedisMetrics {
    pub(super) commands: Counters,
    pub(super) seconds: Histogram,
    up: AtomicBool,
}

/// What became of a command.
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

impl RedisOutcome {
    /// Its place in [`REDIS_OUTCOMES`].
    const fn place(self) -> usize {
        match self {
            Self::Answered => 0,
            Self::Refused => 1,
            Self::Silent => 2,
            Self::Broken => 3,
            Self::Away => 4,
            Self::Busy => 5,
        }
    }
}

impl Default for RedisMetrics {
    fn default() -> Self {
        Self {
            commands: Counters::new(&REDIS_OUTCOMES),
            seconds: Histogram::new(&REDIS_SECONDS),
            up: AtomicBool::new(false),
        }
    }
}

impl RedisMetrics {
    pub(crate) fn count(&self, outcome: RedisOutcome) {
        self.commands.increment(outcome.place());
    }

    /// How many commands had this outcome.
    #[cfg(test)]
    pub(crate) fn counted(&self, outcome: RedisOutcome) -> u64 {
        self.commands.read().nth(outcome.place()).map_or(0, |(_, count)| count)
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
