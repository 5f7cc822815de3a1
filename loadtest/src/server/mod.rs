//! The servers under test: child processes, or one that runs already.

mod binary;
mod children;
mod database;
mod home;
mod process;
mod redis;
mod redis_log;
mod shares;
mod store;
mod usage;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};

pub use children::Children;
pub use database::PrivateDatabase;
pub use process::{Child, Paused};
pub use redis::PrivateRedis;
pub use redis_log::RedisLines;
pub(crate) use shares::BUSY_OF_THE_LIMIT;
pub use shares::{CpuShares, Shares, cores};
pub use store::StoreChoice;
pub use usage::{Usage, children_cpu_seconds, generator_cpu_seconds};

use crate::cli::Common;
use crate::misdeed::Misdeed;

/// How child servers are to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// How long each commit of a private PostgreSQL waits for its standby.
    pub commit_delay: Option<Duration>,
    /// How often the servers look for holds that have lapsed; `None`: as they do by themselves; zero: never.
    pub sweep_interval: Option<Duration>,
    /// Where they share a Redis: whether it has a replica that can take its place.
    pub redis_replica: bool,
    /// Calls a second that each owner may make; `None`: any number.
    pub owner_rate: Option<u32>,
    /// Whether they take each other's passes of waiting rooms.
    pub share_passes: bool,
}

/// The program that child servers run: the one that was named, else the one beside ours, built if need be.
///
/// # Errors
/// Where there is none and none can be built.
pub fn find_binary(common: &Common) -> Result<PathBuf> {
    binary::find(common.server_binary.as_deref())
}

/// The servers under test.
pub enum Servers {
    /// Ours, to kill and to measure.
    Children(Children),
    /// Somebody else's.
    Running {
        /// Where it serves.
        url: String,
    },
}

impl Servers {
    /// Starts child servers on an empty store, or takes the server that runs already.
    ///
    /// # Errors
    /// Where there is no binary, where something does not come up, or where the options contradict each other.
    pub async fn start(common: &Common, options: Options) -> Result<Self> {
        let Some(url) = &common.target else {
            return Ok(Self::Children(Children::start(common, options).await?));
        };
        ensure!(common.servers == 1, "--target names one server; --servers {} are not at hand", common.servers);
        ensure!(!common.redis, "--redis needs servers of the load test's own, not --target");
        ensure!(options.commit_delay.is_none(), "--commit-delay needs a server of the load test's own, not --target");
        Ok(Self::Running { url: url.clone() })
    }

    /// Where they serve: at least one place.
    pub fn urls(&self) -> Vec<String> {
        match self {
            Self::Children(children) => children.urls(),
            Self::Running { url } => vec![url.clone()],
        }
    }

    /// Looks whether all children still run.
    ///
    /// # Errors
    /// Where one has died by itself; the error holds the end of its log.
    pub fn check_alive(&mut self) -> Result<()> {
        match self {
            Self::Children(children) => children.check_alive(),
            Self::Running { .. } => Ok(()),
        }
    }

    /// The PostgreSQL that was started for them, if there is one.
    pub fn database(&self) -> Option<&PrivateDatabase> {
        match self {
            Self::Children(children) => children.database(),
            Self::Running { .. } => None,
        }
    }

    /// The Redis that was started for them, if there is one.
    pub fn redis(&self) -> Option<&PrivateRedis> {
        match self {
            Self::Children(children) => children.redis(),
            Self::Running { .. } => None,
        }
    }

    /// What the log of each says of Redis.
    pub fn redis_lines(&self) -> Vec<RedisLines> {
        match self {
            Self::Children(children) => children.redis_lines(),
            Self::Running { .. } => Vec::new(),
        }
    }

    /// What they have used so far; `None` where that cannot be seen.
    pub fn usage(&self) -> Option<Usage> {
        match self {
            Self::Children(children) => children.usage(),
            Self::Running { .. } => None,
        }
    }

    /// CPU time that they have used so far, killed processes included; `None` where that cannot be seen.
    pub fn cpu_seconds(&self) -> Option<f64> {
        match self {
            Self::Children(children) => children.cpu_seconds(),
            Self::Running { .. } => None,
        }
    }

    /// Bytes of their data; `None` where that cannot be seen.
    pub fn data_bytes(&self) -> Option<u64> {
        match self {
            Self::Children(children) => children.data_bytes(),
            Self::Running { .. } => None,
        }
    }

    /// Adds what their logs end with to an error.
    pub fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        match self {
            Self::Children(children) => match error.downcast::<Misdeed>() {
                Ok(misdeed) => misdeed.with(&children.log_tails()).into(),
                Err(error) => anyhow::anyhow!("{error:#}; {}", children.log_tails()),
            },
            Self::Running { .. } => error,
        }
    }
}
