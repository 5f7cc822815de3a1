//! The scenarios that sell: more buyers than tickets, all kinds of behaviour, trouble in the midst of it, and an audit of
//! every answer that anybody got.

mod aftermath;
mod arrivals;
mod buyer;
mod caller;
mod drain;
mod habits;
mod operator;
mod patience;
pub mod plan;
mod progress;
mod results;
mod round;
pub mod soak;
mod viewer;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

pub use arrivals::Shape;
pub use plan::Kind;

use crate::audit::evidence::{Holds, Limits};
use crate::cli::{Common, LoadArgs};
use crate::client::Connections;
use crate::event::SaleEvent;
use crate::faults::Fault;
use crate::report::Report;
use crate::server::{Options, Servers};
use caller::Caller;
use habits::Habits;
use plan::Plan;
use results::Results;

/// What every task of a sale needs to know.
#[derive(Clone)]
struct Sale {
    events: Arc<Vec<SaleEvent>>,
    connections: Connections,
    seed: u64,
    limits: Limits,
    holds: Holds,
    habits: &'static Habits,
}

impl Sale {
    /// A caller over the `index`th connection and its neighbour.
    fn caller(&self, index: usize, random: &mut SmallRng) -> Caller {
        let clients = [self.connections.inventory(index), self.connections.inventory(index + 1)];
        Caller::new(clients, Arc::clone(&self.events), self.habits, SmallRng::seed_from_u64(random.random()))
    }
}

/// Holds the sale of a scenario, and audits.
///
/// # Errors
/// Where the sale could not be held: no server. A [`Misdeed`](crate::misdeed::Misdeed) where one died by itself.
pub async fn run(kind: Kind, args: &LoadArgs) -> Result<Report> {
    let plan = Plan::of(kind, args)?;
    let mut results = Results::new(kind.as_str());
    for (title, plan) in rounds(kind, plan, args) {
        let sweep_interval = (!plan.swept).then_some(Duration::ZERO);
        let options = Options { sweep_interval, ..options(&args.common, &plan.faults) };
        let mut servers = Servers::start(&args.common, options).await?;
        let round = round::hold(&plan, args.common.seed, &mut servers).await?;
        results.add(title, &plan, round).await?;
        results.hear(&servers);
    }
    Ok(results.report())
}

/// Calls a second that each owner may make where servers share a Redis: more than anybody here makes, so that Redis is asked about
/// each call and nobody is refused.
const OWNER_RATE: u32 = 10_000;

/// Servers that can have these faults.
fn options(common: &Common, faults: &[Fault]) -> Options {
    let redis_replica = faults.contains(&Fault::FailOverRedis);
    Options { redis_replica, owner_rate: common.redis.then_some(OWNER_RATE), ..Options::default() }
}

/// The sales to hold, each with its title. Whether servers look for lapsed holds must make no difference; where expiry is what
/// matters, both is tried.
fn rounds(kind: Kind, plan: Plan, args: &LoadArgs) -> Vec<(&'static str, Plan)> {
    match kind {
        Kind::Expiry if args.common.target.is_none() => {
            vec![("expiry, swept", plan.clone()), ("expiry, not swept", Plan { swept: false, ..plan })]
        }
        Kind::Sale | Kind::Storm | Kind::Mixed | Kind::Limits | Kind::Expiry | Kind::Duplicates => {
            vec![(kind.as_str(), plan)]
        }
    }
}
