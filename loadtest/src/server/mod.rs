//! The servers under test: child processes, or one that runs already.

mod binary;
mod children;
mod database;
mod home;
mod process;
mod shares;
mod store;
mod usage;

use std::time::Duration;

use anyhow::{Result, ensure};

pub use children::Children;
pub use database::PrivateDatabase;
pub use process::{Child, Paused};
pub use shares::{CpuShares, Shares, cores};
pub use store::StoreChoice;
pub use usage::{Usage, children_cpu_seconds, generator_cpu_seconds};

use crate::cli::Common;

/// How child servers are to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// How long each commit of a private PostgreSQL waits for its standby.
    pub commit_delay: Option<Duration>,
    /// How often the servers look for holds that have lapsed; `None`: as they do by themselves; zero: never.
    pub sweep_interval: Option<Duration>,
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
            Self::Children(children) => anyhow::anyhow!("{error:#}; {}", children.log_tails()),
            Self::Running { .. } => error,
        }
    }
}
