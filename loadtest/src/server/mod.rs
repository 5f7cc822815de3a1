//! The server under test: a child process, or one that runs already.

mod binary;
mod process;
mod usage;

use anyhow::Result;

pub use process::Child;
pub use usage::{Usage, generator_cpu_seconds};

use crate::cli::Common;

/// The server under test.
pub enum Server {
    /// Ours, to kill and to measure.
    Child(Box<Child>),
    /// Somebody else's.
    Running {
        /// Where it serves.
        url: String,
    },
}

impl Server {
    /// Finds or builds the binary and starts it on an empty directory, or takes the server that runs already.
    ///
    /// # Errors
    /// Where there is no binary, or it does not come up.
    pub async fn start(common: &Common) -> Result<Self> {
        if let Some(url) = &common.target {
            return Ok(Self::Running { url: url.clone() });
        }
        let binary = binary::find(common.server_binary.as_deref())?;
        Ok(Self::Child(Box::new(Child::start(&binary, common.keep).await?)))
    }

    /// Where it serves.
    pub fn url(&self) -> String {
        match self {
            Self::Child(child) => child.url(),
            Self::Running { url } => url.clone(),
        }
    }

    /// What it has used so far; `None` where that cannot be seen.
    pub fn usage(&self) -> Option<Usage> {
        match self {
            Self::Child(child) => child.usage(),
            Self::Running { .. } => None,
        }
    }

    /// Bytes in its data directory; `None` where that cannot be seen.
    pub fn data_bytes(&self) -> Option<u64> {
        match self {
            Self::Child(child) => Some(child.data_bytes()),
            Self::Running { .. } => None,
        }
    }

    /// Adds what its log ends with to an error.
    pub fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        match self {
            Self::Child(child) => anyhow::anyhow!("{error:#}; {}", child.log_tail()),
            Self::Running { .. } => error,
        }
    }
}
