//! What is done to a Redis that servers share. It is advisory: none of this may change what is sold, or to whom.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::Result;
use rand::Rng as _;
use tokio::time::Instant;

use super::{Load, Storm};
use crate::server::PrivateRedis;

/// How long faults last.
const DOWN: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_millis(1_000);
const PAUSED: RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_millis(1_500);
const SLOW: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(2);
const FULL: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(2);
const GARBLED: RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_millis(1_000);
/// How long a replica has heard nothing when it takes the place of its primary.
const LAG: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_millis(500);
/// How long a slow Redis lets commands wait: less and more than its callers have patience.
const ANSWERS_HELD: RangeInclusive<Duration> = Duration::from_millis(5)..=Duration::from_millis(60);
/// Between two times that all is replaced by garbage.
const GARBLE_AGAIN: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_millis(50);

impl Storm {
    pub(super) async fn kill_redis(&mut self, redis: &PrivateRedis, load: &impl Load) -> Result<()> {
        redis.kill().await?;
        self.last(DOWN, load).await;
        redis.start_again().await
    }

    pub(super) async fn pause_redis(&mut self, redis: &PrivateRedis, load: &impl Load) -> Result<()> {
        redis.pause().await?;
        self.last(PAUSED, load).await;
        redis.resume().await
    }

    pub(super) async fn slow_redis(&mut self, redis: &PrivateRedis, load: &impl Load) -> Result<()> {
        let end = Instant::now() + self.random.random_range(SLOW);
        while Instant::now() < end && load.done() < 1.0 {
            // Each waits for the one before, as all others do.
            redis.hold_answers(self.random.random_range(ANSWERS_HELD)).await?;
        }
        Ok(())
    }

    pub(super) async fn fail_over_redis(&mut self, redis: &PrivateRedis, load: &impl Load) -> Result<()> {
        let lag = self.random.random_range(LAG);
        redis.fail_over(lag).await?;
        self.last(DOWN, load).await;
        redis.replace_replica().await
    }

    pub(super) async fn fill_redis(&mut self, redis: &PrivateRedis, load: &impl Load) -> Result<()> {
        redis.set_full(true).await?;
        self.last(FULL, load).await;
        redis.set_full(false).await
    }

    pub(super) async fn garble_redis(&mut self, redis: &PrivateRedis, load: &impl Load) -> Result<()> {
        let end = Instant::now() + self.random.random_range(GARBLED);
        while Instant::now() < end && load.done() < 1.0 {
            redis.garble().await?;
            self.last(GARBLE_AGAIN, load).await;
        }
        Ok(())
    }
}
