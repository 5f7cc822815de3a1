//! Servers on a database of their own, with an event on sale.

use anyhow::{Context as _, Result};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use crate::bench::stage::TERMS;
use crate::bench::work::Names;
use crate::cli::{Common, ViewsArgs};
use crate::client::Connections;
use crate::event::{SaleEvent, fresh_id};
use crate::fetch;
use crate::report::AuditCounts;
use crate::server::{Options, PrivateDatabase, Servers, StoreChoice};

/// More than anybody sells here.
const CAPACITY: i32 = 1_000_000_000;
/// Calls a second that each buyer may make: each makes one, so that Redis is asked and nobody is refused.
const OWNER_RATE: u32 = 1_000;

/// What the servers share beside their database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    WithoutRedis,
    /// What people look at.
    WithRedis,
    /// That, and how often buyers may call.
    WithLimits,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::WithoutRedis, Self::WithRedis, Self::WithLimits];

    /// Its name, also that of its database.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::WithoutRedis => "without_redis",
            Self::WithRedis => "with_redis",
            Self::WithLimits => "with_limits",
        }
    }
}

/// See the module.
pub(super) struct Fleet {
    pub(super) kind: Kind,
    servers: Servers,
    pub(super) connections: Connections,
    pub(super) event: SaleEvent,
    /// Reservations that were acknowledged, and calls of which nobody knows.
    pub(super) reserved: u64,
    pub(super) unknown: u64,
    seed: u64,
    next_task: u64,
}

impl Fleet {
    /// Starts it.
    ///
    /// # Errors
    /// Where something does not come up.
    pub(super) async fn start(kind: Kind, database: &PrivateDatabase, args: &ViewsArgs) -> Result<Self> {
        let name = kind.as_str();
        database.psql("postgres", &format!("CREATE DATABASE {name}")).await?;
        let store = StoreChoice::Postgres { url: database.url_of(name) };
        let common = Common { store, redis: kind != Kind::WithoutRedis, ..args.common.clone() };
        let owner_rate = (kind == Kind::WithLimits).then_some(OWNER_RATE);
        let servers = Servers::start(&common, Options { owner_rate, ..Options::default() }).await?;
        let connections = Connections::new(&servers.urls(), args.pace.connections as usize)?;
        let id = fresh_id(&name.replace('_', "-"), &mut SmallRng::seed_from_u64(common.seed));
        let event = SaleEvent::create(&mut connections.admin(0), &id, CAPACITY, TERMS).await;
        let event = event.map_err(|error| servers.explain(error))?;
        let seed = common.seed;
        Ok(Self { kind, servers, connections, event, reserved: 0, unknown: 0, seed, next_task: 0 })
    }

    /// Names that no other task has.
    pub(super) fn names(&mut self) -> Names {
        self.next_task += 1;
        Names::new(self.seed, self.next_task)
    }

    /// What was acknowledged, against what is held.
    ///
    /// # Errors
    /// Where the servers do not answer.
    pub(super) async fn audit(&self) -> Result<AuditCounts> {
        let counters = fetch::counters(&mut self.connections.inventory(0), &self.event).await?;
        let hot = counters.allocations.first().context("the event has lost its allocation")?;
        let taken = (i64::from(hot.held) + i64::from(hot.sold)).unsigned_abs();
        Ok(AuditCounts {
            capacity: hot.capacity.into(),
            sold: hot.sold.into(),
            lost: self.reserved.saturating_sub(taken),
            duplicated: taken.saturating_sub(self.reserved + self.unknown),
            stranded: (i64::from(hot.capacity - hot.available) - i64::from(hot.held + hot.sold)).unsigned_abs(),
            unknown: self.unknown,
            ..AuditCounts::default()
        })
    }

    /// Adds what the servers' logs end with to an error.
    pub(super) fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        self.servers.explain(error)
    }
}
