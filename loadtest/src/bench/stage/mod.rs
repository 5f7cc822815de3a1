//! What is measured on: servers, their events, and the making of tasks for each measurement.

mod audit;
mod fill;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use boxoffice_proto::v1::reservation::Line;
use boxoffice_proto::v1::{CreateReservationRequest, Reservation};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use uuid::Uuid;

use super::driver::{self, Turn, Work};
use super::work::{BatchReserve, Confirm, Empty, Names, Refuse, Reserve};
use super::{by_hand, h2load};
use crate::cli::{Common, Pace};
use crate::client::{Connections, owned_by, owner_value};
use crate::clock::time_ordered_id;
use crate::event::{SaleEvent, Terms, fresh_id};
use crate::server::{Options, Servers, children_cpu_seconds, generator_cpu_seconds};

/// The largest capacity that an allocation can have.
const CAPACITY: i32 = 1_000_000_000;
/// A limit is set, as at any real sale; nobody here comes near it.
const LIMIT_PER_OWNER: i32 = 10;
/// Holds outlive every measurement.
const HOLD_SECONDS: i64 = 24 * 3600;
/// Reservations in one call of `batch_reserve`.
pub const BATCH_ITEMS: usize = 256;
/// Calls of `batch_reserve` at the same time.
pub const BATCHES_IN_FLIGHT: usize = 8;

/// Terms of the events that are measured on.
pub const TERMS: Terms = Terms {
    limit_per_owner: LIMIT_PER_OWNER,
    limit_per_allocation: 0,
    hold_seconds: HOLD_SECONDS,
    hold_seconds_max: HOLD_SECONDS,
};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// `grpc.health.v1.Health/Check`
    Empty,
    /// A hold of one ticket for a new owner.
    Reserve,
    /// [`BATCH_ITEMS`] of them in one call.
    BatchReserve,
    /// A refusal on a sold-out allocation.
    Refuse,
    /// A sale of a hold.
    Confirm,
    /// A hold as in `Reserve`, spread over many events.
    ReserveSpread,
    /// A hold as in `Reserve`, through one of several servers only.
    ReserveOneServer,
    /// The same as `Reserve` without Boxoffice: see [`by_hand`].
    ByHand,
    /// The same as `Empty` from another generator: see [`h2load`].
    H2load,
}

impl What {
    /// The name in the report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Reserve => "reserve",
            Self::BatchReserve => "batch_reserve",
            Self::Refuse => "refuse",
            Self::Confirm => "confirm",
            Self::ReserveSpread => "reserve_spread",
            Self::ReserveOneServer => "reserve_one_server",
            Self::ByHand => "pgbench_update",
            Self::H2load => "h2load_empty",
        }
    }
}

/// One turn with what it cost.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The turn.
    pub turn: Turn,
    /// CPU time of the server and of the generator.
    pub server_cpu_s: Option<f64>,
    /// See above.
    pub generator_cpu_s: Option<f64>,
}

/// Servers with events on sale.
pub struct Stage {
    /// The servers.
    pub servers: Servers,
    /// The connections of the generator, spread over all servers.
    pub connections: Connections,
    /// As many connections to the first server.
    to_one: Connections,
    /// The hot event.
    pub hot: SaleEvent,
    /// A sold-out event.
    sold_out: SaleEvent,
    /// Many events, for [`What::ReserveSpread`].
    pub spread: Arc<Vec<SaleEvent>>,
    /// Reservations made in the hot event, and how many of these were confirmed.
    reserved: u64,
    confirmed: u64,
    /// Reservations made in the many events.
    reserved_spread: u64,
    /// The rate of the last turn of [`What::Confirm`], by which the next stock is made.
    confirm_rate: f64,
    seed: u64,
    next_task: u64,
    length: Duration,
}

/// How many confirmations a second the first stock is made for.
const CONFIRM_RATE_GUESS: f64 = 40_000.0;
/// How much more than that, so that a faster turn does not run out of holds.
const STOCK_RESERVE: f64 = 1.4;

impl Stage {
    /// Starts the servers and puts the events on sale. `commit_delay`: how long each commit of a private PostgreSQL waits for
    /// its standby.
    ///
    /// # Errors
    /// Where a server does not come up or refuses.
    pub async fn set_up(common: &Common, pace: &Pace, commit_delay: Option<Duration>) -> Result<Self> {
        ensure!(pace.seconds > 0.0 && pace.seconds < 3_600.0, "--seconds must be above 0 and below 3600");
        let servers = Servers::start(common, Options { commit_delay, ..Options::default() }).await?;
        let connections = Connections::new(&servers.urls(), pace.connections as usize)?;
        let first: Vec<_> = servers.urls().into_iter().take(1).collect();
        let to_one = Connections::new(&first, pace.connections as usize)?;
        let mut random = SmallRng::seed_from_u64(common.seed);
        let mut admin = connections.admin(0);
        let hot = SaleEvent::create(&mut admin, &fresh_id("hot", &mut random), CAPACITY, TERMS).await;
        let hot = hot.map_err(|error| servers.explain(error))?;
        let sold_out = SaleEvent::create(&mut admin, &fresh_id("sold-out", &mut random), 1, TERMS).await?;
        sell_the_only_ticket(&connections, &sold_out, time_ordered_id(&mut random)).await?;
        Ok(Self {
            servers,
            connections,
            to_one,
            hot,
            sold_out,
            spread: Arc::new(Vec::new()),
            reserved: 0,
            confirmed: 0,
            reserved_spread: 0,
            confirm_rate: CONFIRM_RATE_GUESS,
            seed: common.seed,
            next_task: 0,
            length: Duration::from_secs_f64(pace.seconds),
        })
    }

    /// Names that no other task has.
    pub fn names(&mut self) -> Names {
        self.next_task += 1;
        Names::new(self.seed, self.next_task)
    }

    /// Measures for one turn.
    ///
    /// # Errors
    /// Where a call fails that should not.
    pub async fn measure(&mut self, what: What, in_flight: usize) -> Result<Measured> {
        match what {
            What::Empty => {
                let works = (0..in_flight).map(|task| Empty(self.connections.health(task))).collect();
                self.run(works).await
            }
            What::Reserve => {
                let connections = self.connections.clone();
                self.reserve_hot_turn(in_flight, &connections).await
            }
            What::ReserveOneServer => {
                let connections = self.to_one.clone();
                self.reserve_hot_turn(in_flight, &connections).await
            }
            What::ReserveSpread => {
                let (connections, events) = (self.connections.clone(), Arc::clone(&self.spread));
                let measured = self.reserve_turn(in_flight, &connections, events).await?;
                self.reserved_spread += measured.turn.units_in_all;
                Ok(measured)
            }
            What::BatchReserve => {
                let works = (0..in_flight).map(|task| self.batch_work(task)).collect();
                let measured = self.run(works).await?;
                self.reserved += measured.turn.units_in_all;
                Ok(measured)
            }
            What::Refuse => {
                let works = (0..in_flight).map(|task| self.refuse_work(task)).collect();
                self.run(works).await
            }
            What::Confirm => self.confirm_turn(in_flight).await,
            What::ByHand => {
                let database = self.servers.database().context("there is no PostgreSQL of the load test's own")?;
                let turn = by_hand::turn(database, in_flight, self.length).await?;
                Ok(Measured { turn, server_cpu_s: None, generator_cpu_s: None })
            }
            What::H2load => {
                let url = self.servers.urls().into_iter().next().context("there is no server")?;
                let before = (self.server_cpu(), children_cpu_seconds());
                let turn = h2load::turn(&url, in_flight, self.connections.count(), self.length).await?;
                Ok(self.since(before, children_cpu_seconds(), turn))
            }
        }
    }

    async fn run<W: Work>(&self, works: Vec<W>) -> Result<Measured> {
        let before = (self.server_cpu(), generator_cpu_seconds());
        let turn = driver::run(works, self.length).await.map_err(|error| self.servers.explain(error))?;
        Ok(self.since(before, generator_cpu_seconds(), turn))
    }

    /// What servers and generator have used since they had used so much.
    fn since(&self, before: (Option<f64>, Option<f64>), generator: Option<f64>, turn: Turn) -> Measured {
        let spent = |before: Option<f64>, after: Option<f64>| Some(after? - before?);
        let server_cpu_s = spent(before.0, self.server_cpu());
        Measured { turn, server_cpu_s, generator_cpu_s: spent(before.1, generator) }
    }

    fn server_cpu(&self) -> Option<f64> {
        self.servers.usage().map(|usage| usage.cpu_seconds)
    }

    async fn reserve_hot_turn(&mut self, in_flight: usize, connections: &Connections) -> Result<Measured> {
        let measured = self.reserve_turn(in_flight, connections, Arc::new(vec![self.hot.clone()])).await?;
        self.reserved += measured.turn.units_in_all;
        Ok(measured)
    }

    async fn reserve_turn(
        &mut self,
        in_flight: usize,
        connections: &Connections,
        events: Arc<Vec<SaleEvent>>,
    ) -> Result<Measured> {
        let apart = (events.len() / in_flight.max(1)).max(1);
        let work = |task| Reserve {
            client: connections.inventory(task),
            events: Arc::clone(&events),
            next: task * apart,
            names: self.names(),
        };
        let works = (0..in_flight).map(work).collect();
        self.run(works).await
    }

    fn batch_work(&mut self, task: usize) -> BatchReserve {
        let client = self.connections.inventory(task);
        BatchReserve { client, event: self.hot.clone(), items: BATCH_ITEMS, names: self.names() }
    }

    fn refuse_work(&mut self, task: usize) -> Refuse {
        Refuse { client: self.connections.inventory(task), event: self.sold_out.clone(), names: self.names() }
    }

    async fn confirm_turn(&mut self, in_flight: usize) -> Result<Measured> {
        let stock = self.confirm_rate * (self.length + driver::WARM_UP).as_secs_f64() * STOCK_RESERVE;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive count, far below 2^52")]
        let mut stock = self.fill(stock as u64, |_| {}).await?;
        let share = stock.len() / in_flight.max(1);
        let work = |task| Confirm {
            client: self.connections.inventory(task),
            event: self.hot.clone(),
            stock: stock.split_off(stock.len().saturating_sub(share)),
        };
        let works = (0..in_flight).map(work).collect();
        let measured = self.run(works).await?;
        self.confirmed += measured.turn.units_in_all;
        self.confirm_rate = measured.turn.rate();
        Ok(measured)
    }
}

async fn sell_the_only_ticket(connections: &Connections, event: &SaleEvent, id: Uuid) -> Result<()> {
    let line = Line { allocation: event.allocation(0).to_owned(), quantity: 1, ..Line::default() };
    let request = CreateReservationRequest {
        parent: event.name.clone(),
        reservation_id: id.to_string(),
        reservation: Some(Reservation { lines: vec![line], ..Reservation::default() }),
        order_ref: "order".to_owned(),
        ..CreateReservationRequest::default()
    };
    let request = owned_by(owner_value("early-bird"), request);
    connections.inventory(0).create_reservation(request).await.context("the only ticket cannot be sold")?;
    Ok(())
}
