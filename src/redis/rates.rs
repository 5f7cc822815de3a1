//! Rate limits that hold for all servers together.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use super::breaker::Breakers;
use super::{Redis, RedisFailure, Script};
use crate::metrics::RedisOutcome;
use crate::rate::{Cost, Key, Quota, SharedRates};

/// What one call costs in time, at a rate of one a second.
const MICROS_PER_SECOND: f64 = 1_000_000.0;

/// The rule of [`Quota::decide`], run by Redis by its own clock. Each name that has used any of its budget has one key, which is
/// gone when the budget is full again.
///
/// Calls wait much less long than a command may take, so a breaker of their own is opened by the first of them that
/// waited in vain: the others do not wait, each for himself, for what is likely to be in vain again. Meanwhile the connection is
/// looked at. (Views and waiting rooms wait longer. For them Redis is not away because it was late for a limit.)
pub struct RedisRates {
    redis: Arc<Redis>,
    script: Script,
    late: Breakers,
}

impl RedisRates {
    /// Asks this Redis.
    pub fn new(redis: Arc<Redis>) -> Self {
        let late = Breakers::new(redis.shared.is_cluster);
        Self { redis, script: Script::new(include_str!("scripts/rate.lua")), late }
    }
}

#[async_trait]
impl SharedRates for RedisRates {
    async fn admit(&self, key: Key<'_>, quota: Quota, cost: Cost, until: Instant) -> Result<(), Duration> {
        let begun = Instant::now();
        if until <= begun {
            return Ok(());
        }
        let name = self.redis.key_of(key.scope.redis_key(), key.name);
        let part = self.late.of(&name);
        if !self.late.enter(part, begun) {
            self.redis.shared.metrics.count(RedisOutcome::Away);
            return Ok(());
        }
        let arguments = (MICROS_PER_SECOND / quota.calls_per_second(), quota.burst(), cost.calls, cost.paid);
        let asked = timeout_at(until, self.redis.run::<u64>(&self.script, &[&name], arguments)).await;
        if asked.is_err() {
            self.redis.shared.metrics.count(RedisOutcome::Silent);
        }
        if let Err(_) | Ok(Err(RedisFailure::Silent)) = asked {
            self.late.broken(part, Instant::now());
            self.redis.was_late();
            return Ok(());
        }
        // A failure that was told at once costs nobody a wait.
        self.late.answered(part);
        match asked {
            Ok(Ok(wait_micros)) if wait_micros > 0 => Err(Duration::from_micros(wait_micros)),
            // Whatever else it says, or does not, is no refusal.
            _ => Ok(()),
        }
    }
}
