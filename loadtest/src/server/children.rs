//! All child servers of a run, and the database that they share.

use anyhow::{Result, anyhow};

use super::database::PrivateDatabase;
use super::home::Settings;
use super::process::Child;
use super::redis::PrivateRedis;
use super::redis_log::RedisLines;
use super::store::Store;
use super::usage::Usage;
use super::{Options, binary};
use crate::cli::Common;

/// At least one server on one store. The fields end in this order: no server outlives its database or its Redis.
pub struct Children {
    servers: Vec<Child>,
    store: Store,
    redis: Option<PrivateRedis>,
}

impl Children {
    /// Finds or builds the binary, makes the store, and starts as many servers on it as are asked for.
    ///
    /// # Errors
    /// Where there is no binary, or something does not come up.
    pub(super) async fn start(common: &Common, options: Options) -> Result<Self> {
        let store = Store::make(&common.store, common.servers, options.commit_delay).await?;
        let redis = if common.redis { Some(PrivateRedis::start(options.redis_replica).await?) } else { None };
        let binary = binary::find(common.server_binary.as_deref())?;
        let settings = Settings {
            database_url: store.database_url(),
            redis_url: redis.as_ref().map(PrivateRedis::url),
            owner_rate: options.owner_rate,
            share_passes: options.share_passes,
            sweep_interval: options.sweep_interval,
            keep: common.keep,
        };
        let mut children = Self { servers: Vec::new(), store, redis };
        // One after another: the first brings the tables up to date.
        for _ in 0..common.servers.max(1) {
            children.servers.push(Child::start(&binary, settings.clone()).await?);
        }
        Ok(children)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.servers.len()
    }

    /// Where they serve.
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(Child::url).collect()
    }

    /// The `index`th server.
    ///
    /// # Errors
    /// Where there are fewer.
    pub fn server(&mut self, index: usize) -> Result<&mut Child> {
        self.servers.get_mut(index).ok_or_else(|| anyhow!("there is no server of number {index}"))
    }

    /// Looks whether all still run.
    ///
    /// # Errors
    /// Where one has died by itself; the error holds the end of its log.
    pub fn check_alive(&mut self) -> Result<()> {
        self.servers.iter_mut().try_for_each(Child::check_alive)
    }

    /// What the present processes have used: the time of all, the memory of the largest.
    pub fn usage(&self) -> Option<Usage> {
        let mut all = Usage { cpu_seconds: 0.0, memory_bytes: 0, memory_peak_bytes: 0 };
        for server in &self.servers {
            let usage = server.usage()?;
            all.cpu_seconds += usage.cpu_seconds;
            all.memory_bytes = all.memory_bytes.max(usage.memory_bytes);
            all.memory_peak_bytes = all.memory_peak_bytes.max(usage.memory_peak_bytes);
        }
        Some(all)
    }

    /// CPU time of all, killed processes included.
    pub fn cpu_seconds(&self) -> Option<f64> {
        self.servers.iter().map(Child::cpu_seconds).sum()
    }

    /// Bytes of their data; `None` where that cannot be seen.
    pub fn data_bytes(&self) -> Option<u64> {
        match &self.store {
            Store::Sqlite => Some(self.servers.iter().map(Child::data_bytes).sum()),
            Store::Private(database) => database.bytes(),
            Store::Named { .. } => None,
        }
    }

    /// The PostgreSQL that was started for them, if there is one.
    pub fn database(&self) -> Option<&PrivateDatabase> {
        self.store.private()
    }

    /// The Redis that was started for them, if there is one.
    pub fn redis(&self) -> Option<&PrivateRedis> {
        self.redis.as_ref()
    }

    /// What the log of each says of Redis.
    pub fn redis_lines(&self) -> Vec<RedisLines> {
        self.servers.iter().map(Child::redis_lines).collect()
    }

    /// The ends of their logs.
    pub fn log_tails(&self) -> String {
        let tails: Vec<_> = self.servers.iter().map(Child::log_tail).collect();
        tails.join("\n")
    }
}
