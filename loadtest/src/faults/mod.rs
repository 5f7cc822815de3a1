//! Faults while the load runs: servers killed and paused, a database killed, a network that loses, delays and splits, and all
//! that can become of a Redis that the servers share.
//!
//! A scenario takes [`FaultArgs`], refuses by [`check`] what its servers cannot have, lets its clients connect to [`Fronts`]
//! instead of to the servers, and runs a [`Storm`] beside its load.

mod fronts;
pub mod proxy;
mod redis;
mod storm;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

pub use fronts::{Fronts, Imposed};
pub use storm::{Load, Storm};

use crate::cli::Common;
use crate::server::StoreChoice;

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// A server is killed (SIGKILL), and started again
    KillServer,
    /// What servers answer is lost for a while, though it took effect
    DropReplies,
    /// The network between clients and servers is slow for a while
    Delay,
    /// Nothing passes between clients and servers for a while
    Partition,
    /// A server is stopped where it is (SIGSTOP), and goes on after a while
    Pause,
    /// The private PostgreSQL is killed with all its processes, and started again
    KillDatabase,
    /// Redis is emptied
    FlushRedis,
    /// Redis is killed (SIGKILL), and started again, empty
    KillRedis,
    /// Redis is stopped where it is (SIGSTOP), and goes on after a while
    PauseRedis,
    /// Redis answers late for a while
    SlowRedis,
    /// Redis is killed, and a replica that has fallen behind takes its place
    FailOverRedis,
    /// Redis' memory is full for a while, and takes nothing more
    FillRedis,
    /// What servers keep in Redis is replaced by garbage of other types, again and again for a while
    GarbleRedis,
}

impl Fault {
    /// Its name on the command line and in the report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KillServer => "kill-server",
            Self::DropReplies => "drop-replies",
            Self::Delay => "delay",
            Self::Partition => "partition",
            Self::Pause => "pause",
            Self::KillDatabase => "kill-database",
            Self::FlushRedis => "flush-redis",
            Self::KillRedis => "kill-redis",
            Self::PauseRedis => "pause-redis",
            Self::SlowRedis => "slow-redis",
            Self::FailOverRedis => "fail-over-redis",
            Self::FillRedis => "fill-redis",
            Self::GarbleRedis => "garble-redis",
        }
    }

    /// To what it is done.
    const fn site(self) -> Site {
        match self {
            Self::KillServer | Self::Pause => Site::Server,
            Self::DropReplies | Self::Delay | Self::Partition => Site::Network,
            Self::KillDatabase => Site::Database,
            Self::FlushRedis | Self::KillRedis | Self::PauseRedis | Self::SlowRedis => Site::Redis,
            Self::FailOverRedis | Self::FillRedis | Self::GarbleRedis => Site::Redis,
        }
    }
}

/// To what a fault is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Site {
    /// A server.
    Server,
    /// The network between clients and servers.
    Network,
    /// The PostgreSQL of the load test's own.
    Database,
    /// The Redis that the servers share.
    Redis,
}

/// Whether a fault of this name leaves servers without Redis for a while.
pub fn takes_redis_away(name: &str) -> bool {
    [Fault::KillRedis, Fault::PauseRedis, Fault::FailOverRedis].iter().any(|fault| fault.as_str() == name)
}

/// Options of scenarios in which something goes wrong.
#[derive(Debug, Clone, Default, Args)]
pub struct FaultArgs {
    /// What goes wrong while the load runs, one fault after another in random order
    #[arg(long, value_name = "FAULT", value_delimiter = ',')]
    pub faults: Vec<Fault>,
}

/// Refuses faults that cannot be caused to these servers.
///
/// # Errors
/// At the first; the error says what it needs.
pub fn check(faults: &[Fault], common: &Common) -> Result<()> {
    faults.iter().try_for_each(|fault| {
        let name = fault.as_str();
        match fault.site() {
            Site::Network => {}
            Site::Server => {
                ensure!(common.target.is_none(), "--faults {name} needs a server of the load test's own, not --target");
            }
            Site::Database => ensure!(
                common.target.is_none() && common.store == StoreChoice::PrivatePostgres,
                "--faults {name} needs --store postgres: only a PostgreSQL of the load test's own can be killed"
            ),
            Site::Redis => ensure!(
                common.target.is_none() && common.redis,
                "--faults {name} needs --redis: only a Redis of the load test's own can be spoiled"
            ),
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        faults: FaultArgs,
    }

    fn checked(line: &str) -> Result<Vec<Fault>> {
        let line = Line::try_parse_from(line.split(' '))?;
        check(&line.faults.faults, &line.common).map(|()| line.faults.faults)
    }

    #[test]
    fn every_fault_has_the_same_name_on_the_command_line_and_in_the_report() {
        for fault in Fault::value_variants() {
            assert_eq!(fault.to_possible_value().unwrap().get_name(), fault.as_str());
        }
        let line = "loadtest --store postgres --faults kill-server,drop-replies,delay,partition,pause,kill-database";
        assert_eq!(checked(line).unwrap(), Fault::value_variants()[..6]);
        assert!(checked("loadtest --faults earthquake").unwrap_err().to_string().contains("kill-server"));
    }

    #[test]
    fn what_cannot_be_caused_is_refused() {
        let refusal = |line: &str| checked(line).unwrap_err().to_string();
        for fault in ["kill-server", "pause"] {
            let line = format!("loadtest --target http://h:1 --faults delay,{fault}");
            assert!(refusal(&line).contains(&format!("--faults {fault} needs a server of the load test's own")));
        }
        for rest in ["", " --store postgres://h/d", " --store postgres --target http://h:1"] {
            let line = format!("loadtest --faults kill-database{rest}");
            assert!(refusal(&line).contains("--faults kill-database needs --store postgres"));
        }
        for fault in Fault::value_variants()[6..].iter().map(|fault| fault.as_str()) {
            assert!(
                refusal(&format!("loadtest --faults {fault}")).contains(&format!("--faults {fault} needs --redis"))
            );
            assert!(checked(&format!("loadtest --redis --faults {fault}")).is_ok());
        }
        assert!(checked("loadtest --target http://h:1 --faults drop-replies,delay,partition").is_ok());
        assert!(checked("loadtest --faults kill-server,pause").is_ok());
    }
}
