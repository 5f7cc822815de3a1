//! Rate limits that hold for all servers together.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::{Redis, Script};
use crate::rate::{Key, Quota, SharedRates};

/// How long a call waits to hear what the other servers saw. Then it passes: what this server saw was within the limit, and
/// whoever buys must not wait for Redis.
const WAIT_MAX: Duration = Duration::from_millis(15);

/// What one call costs in time, at a rate of one a second.
const MICROS_PER_SECOND: f64 = 1_000_000.0;

/// The rule of [`Quota::decide`], run by Redis by its own clock. Each name that has used any of its budget has one key, which is
/// gone when the budget is full again.
pub struct RedisRates {
    redis: Arc<Redis>,
    script: Script,
}

impl RedisRates {
    /// Asks this Redis.
    pub fn new(redis: Arc<Redis>) -> Self {
        Self { redis, script: Script::new(include_str!("scripts/rate.lua")) }
    }
}

#[async_trait]
impl SharedRates for RedisRates {
    async fn admit(&self, key: Key<'_>, quota: Quota, cost: u32) -> Result<(), Duration> {
        let name = self.redis.key_of(key.scope.redis_key(), key.name);
        let arguments = (MICROS_PER_SECOND / quota.calls_per_second(), quota.burst(), cost);
        match timeout(WAIT_MAX, self.redis.run::<u64>(&self.script, &[&name], arguments)).await {
            Ok(Ok(wait_micros)) if wait_micros > 0 => Err(Duration::from_micros(wait_micros)),
            // Whatever else it says, or does not, is no refusal.
            Ok(Ok(_) | Err(_)) => Ok(()),
            Err(_) => {
                self.redis.was_late();
                Ok(())
            }
        }
    }
}
