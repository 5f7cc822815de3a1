//! What is done to a Redis that servers share. It is advisory: none of this may change what is sold, or to whom.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::Result;
use rand::Rng as _;
use tokio::time::Instant;

use super::{Fault, Load, Storm};
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
    /// Does one of these things, and makes it good again.
    ///
    /// # Errors
    /// Where Redis does not do what it is told, or the fault is none of Redis.
    pub(super) async fn strike_redis(&mut self, fault: Fault, redis: &PrivateRedis, load: &impl Load) -> Result<()> {
        match fault {
            Fault::KillRedis => {
                redis.kill().await?;
                self.last(DOWN, load).await;
                redis.start_again().await
            }
            Fault::PauseRedis => {
                redis.pause().await?;
                self.last(PAUSED, load).await;
                redis.resume().await
            }
            Fault::FailOverRedis => {
                let lag = self.random.random_range(LAG);
                redis.fail_over(lag).await?;
                self.last(DOWN, load).await;
                redis.replace_replica().await
            }
            Fault::FillRedis => {
                redis.set_full(true).await?;
                self.last(FULL, load).await;
                redis.set_full(false).await
            }
            Fault::SlowRedis => {
                let end = Instant::now() + self.random.random_range(SLOW);
                while Instant::now() < end && load.done() < 1.0 {
                    // Each waits for the one before, as all others do.
                    redis.hold_answers(self.random.random_range(ANSWERS_HELD)).await?;
                }
                Ok(())
            }
            Fault::GarbleRedis => {
                let end = Instant::now() + self.random.random_range(GARBLED);
                while Instant::now() < end && load.done() < 1.0 {
                    redis.garble().await?;
                    self.last(GARBLE_AGAIN, load).await;
                }
                Ok(())
            }
            Fault::FlushRedis => redis.flush().await,
            Fault::KillServer
            | Fault::DropReplies
            | Fault::Delay
            | Fault::Partition
            | Fault::Pause
            | Fault::KillDatabase => {
                anyhow::bail!("{} is nothing that is done to Redis", fault.as_str())
            }
        }
    }
}
