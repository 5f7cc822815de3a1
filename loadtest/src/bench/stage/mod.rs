//! What is measured on: a server, its events, and the making of tasks for each measurement.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use boxoffice_proto::v1::reservation::Line;
use boxoffice_proto::v1::{CreateReservationRequest, Reservation};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::driver::{self, Turn, Work};
use super::work::{BatchReserve, Confirm, Empty, Names, Refuse, Reserve};
use crate::cli::{Common, Pace};
use crate::client::{Connections, owned_by, owner_value};
use crate::clock::time_ordered_id;
use crate::event::{SaleEvent, Terms, fresh_id};
use crate::fetch;
use crate::report::AuditCounts;
use crate::server::{Servers, generator_cpu_seconds};

/// See [`Stage::is_replayed`].
const REPLAYED_RESERVATIONS_MAX: u64 = 1_000_000;

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
pub const TERMS: Terms =
    Terms { limit_per_owner: LIMIT_PER_OWNER, hold_seconds: HOLD_SECONDS, hold_seconds_max: HOLD_SECONDS };

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

/// A server with events on sale.
pub struct Stage {
    /// The servers.
    pub servers: Servers,
    /// The connections of the generator.
    pub connections: Connections,
    /// The hot event.
    pub hot: SaleEvent,
    /// A sold-out event.
    sold_out: SaleEvent,
    /// Many events, for [`What::ReserveSpread`].
    pub spread: Arc<Vec<SaleEvent>>,
    /// Reservations made in the hot event, and how many of these were confirmed.
    reserved: u64,
    confirmed: u64,
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
    /// Starts the server and puts the events on sale.
    ///
    /// # Errors
    /// Where the server does not come up or refuses.
    pub async fn set_up(common: &Common, pace: &Pace) -> Result<Self> {
        ensure!(pace.seconds > 0.0 && pace.seconds < 3_600.0, "--seconds must be above 0 and below 3600");
        let servers = Servers::start(common, None).await?;
        let connections = Connections::new(&servers.urls(), pace.connections as usize)?;
        let mut random = SmallRng::seed_from_u64(common.seed);
        let mut admin = connections.admin(0);
        let hot = SaleEvent::create(&mut admin, &fresh_id("hot", &mut random), CAPACITY, TERMS).await;
        let hot = hot.map_err(|error| servers.explain(error))?;
        let sold_out = SaleEvent::create(&mut admin, &fresh_id("sold-out", &mut random), 1, TERMS).await?;
        sell_the_only_ticket(&connections, &sold_out, time_ordered_id(&mut random)).await?;
        Ok(Self {
            servers,
            connections,
            hot,
            sold_out,
            spread: Arc::new(Vec::new()),
            reserved: 0,
            confirmed: 0,
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
                let measured = self.reserve_turn(in_flight, Arc::new(vec![self.hot.clone()])).await?;
                self.reserved += measured.turn.units_in_all;
                Ok(measured)
            }
            What::ReserveSpread => self.reserve_turn(in_flight, Arc::clone(&self.spread)).await,
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
        }
    }

    async fn run<W: Work>(&self, works: Vec<W>) -> Result<Measured> {
        let before = (self.server_cpu(), generator_cpu_seconds());
        let turn = driver::run(works, self.length).await.map_err(|error| self.servers.explain(error))?;
        let spent = |before: Option<f64>, after: Option<f64>| Some(after? - before?);
        Ok(Measured {
            turn,
            server_cpu_s: spent(before.0, self.server_cpu()),
            generator_cpu_s: spent(before.1, generator_cpu_seconds()),
        })
    }

    fn server_cpu(&self) -> Option<f64> {
        self.servers.usage().map(|usage| usage.cpu_seconds)
    }

    async fn reserve_turn(&mut self, in_flight: usize, events: Arc<Vec<SaleEvent>>) -> Result<Measured> {
        let apart = (events.len() / in_flight.max(1)).max(1);
        let work = |task| Reserve {
            client: self.connections.inventory(task),
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
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive count, far below 2^52")]
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

    /// Makes at least `count` reservations in the hot event by batches; answers them, and for whom. `tell` hears how many
    /// there are so far.
    ///
    /// # Errors
    /// Where a call fails.
    pub async fn fill(&mut self, count: u64, tell: impl Fn(u64)) -> Result<Vec<(Uuid, String)>> {
        self.fill_keeping(count, true, tell).await
    }

    /// As [`Self::fill`], for more than memory should hold.
    ///
    /// # Errors
    /// Where a call fails.
    pub async fn fill_and_forget(&mut self, count: u64, tell: impl Fn(u64)) -> Result<()> {
        self.fill_keeping(count, false, tell).await.map(drop)
    }

    async fn fill_keeping(&mut self, count: u64, keep: bool, tell: impl Fn(u64)) -> Result<Vec<(Uuid, String)>> {
        let mut tasks = JoinSet::new();
        let (mut kept, mut made, mut asked) = (Vec::new(), 0, 0);
        for task in 0..BATCHES_IN_FLIGHT {
            asked += BATCH_ITEMS as u64;
            tasks.spawn(one_batch(self.batch_work(task)));
        }
        while let Some(done) = tasks.join_next().await {
            let (work, batch) = done?.map_err(|error| self.servers.explain(error))?;
            made += batch.len() as u64;
            tell(made);
            if keep {
                kept.extend(batch);
            }
            if asked < count {
                asked += BATCH_ITEMS as u64;
                tasks.spawn(one_batch(work));
            }
        }
        self.reserved += made;
        Ok(kept)
    }

    /// Audits the hot event: by the server's own audit, and by our own count of what was acknowledged.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn audit(&self) -> Result<(AuditCounts, Vec<String>)> {
        let (mut admin, mut inventory) = (self.connections.admin(0), self.connections.inventory(0));
        let mut faults = match self.is_replayed() {
            true => fetch::differences(&fetch::server_audit(&mut admin, &self.hot).await?),
            false => Vec::new(),
        };
        let mismatched = faults.len() as u64;
        let counters = fetch::counters(&mut inventory, &self.hot).await?;
        let hot = counters.allocations.first().context("the hot event has lost its allocation")?;
        let (taken, sold) = (i64::from(hot.held) + i64::from(hot.sold), i64::from(hot.sold));
        let (reserved, confirmed) = (i64::try_from(self.reserved)?, i64::try_from(self.confirmed)?);
        let counts = AuditCounts {
            capacity: hot.capacity.into(),
            sold,
            oversold: (taken - i64::from(hot.capacity)).max(0).unsigned_abs(),
            lost: (reserved - taken).max(0).unsigned_abs() + (confirmed - sold).max(0).unsigned_abs(),
            duplicated: (taken - reserved).max(0).unsigned_abs() + (sold - confirmed).max(0).unsigned_abs(),
            stranded: (i64::from(hot.capacity) - taken - i64::from(hot.available)).unsigned_abs(),
            mismatched,
            ..AuditCounts::default()
        };
        if (reserved, confirmed) != (taken, sold) {
            let text = format!("{reserved} acknowledged and {confirmed} confirmed, but {taken} taken and {sold} sold");
            faults.push(text);
        }
        Ok((counts, faults))
    }

    /// Whether the audit has the server replay the hot event's journal. Beyond a million reservations that takes minutes; the
    /// counts are then only compared with what was acknowledged.
    pub const fn is_replayed(&self) -> bool {
        self.reserved <= REPLAYED_RESERVATIONS_MAX
    }
}

async fn one_batch(mut work: BatchReserve) -> Result<(BatchReserve, Vec<(Uuid, String)>)> {
    let batch = work.reserve().await?;
    Ok((work, batch))
}

async fn sell_the_only_ticket(connections: &Connections, event: &SaleEvent, id: Uuid) -> Result<()> {
    let line = Line { allocation: event.allocation.clone(), quantity: 1, ..Line::default() };
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
