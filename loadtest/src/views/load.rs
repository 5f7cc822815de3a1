//! A sale at a fixed rate that as many look at as can, and how much of it reaches the database.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use boxoffice_proto::v1::{Consistency, GetEventRequest};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::fleet::Fleet;
use crate::bench::driver::{self, Turn, Work};
use crate::bench::work::{Reserve, reserve_one};
use crate::cli::ViewsArgs;
use crate::client::{Inventory, owned_by};
use crate::event::SaleEvent;
use crate::report::{latency_histogram, record};
use crate::server::PrivateDatabase;

/// How long the load has been at work when the database's statements are counted first.
const SETTLE: Duration = Duration::from_millis(1_500);
/// Every statement, and that with which a server reads an event to show it (`storage/postgres/queries/event.sql`).
const ANY: &str = "%";
const READING: &str = "%LEFT JOIN expired AS x%";
/// Most reservations of the sale that wait for their answers; more are not sent.
const SALE_IN_FLIGHT_MAX: usize = 1_000;

/// What one turn came to.
#[derive(Debug)]
pub(super) struct Watched {
    /// Those who looked.
    pub(super) looks: Turn,
    /// Reservations that were granted.
    pub(super) sales_per_s: f64,
    /// Their p99.
    pub(super) sale_p99_ms: f64,
    /// Statements of all servers together, and how many of them read the event to show it.
    pub(super) statements_per_s: f64,
    pub(super) readings_per_s: f64,
}

/// Holds a sale at the rate that was asked for while so many look again and again.
///
/// # Errors
/// Where a look fails, or the database does not answer.
pub(super) async fn watched_sale(fleet: &mut Fleet, database: &PrivateDatabase, args: &ViewsArgs) -> Result<Watched> {
    let length = Duration::from_secs_f64(args.pace.seconds);
    let in_all = SETTLE + length;
    let look = |task| Look { client: fleet.connections.inventory(task), event: fleet.event.clone() };
    let looks = (0..args.viewers as usize).map(look).collect();
    let counted = statements(database, fleet.kind.as_str(), length);
    let sold = sell(fleet, args.sale_rate, in_all);
    let (looks, sold, (statements_per_s, readings_per_s)) =
        tokio::try_join!(driver::run::<Look>(looks, in_all - driver::WARM_UP), sold, counted)?;
    let (sold_count, p99) = (sold.len() as f64, sold.value_at_quantile(0.99) as f64);
    let sales_per_s = sold_count / in_all.as_secs_f64();
    Ok(Watched { looks, sales_per_s, sale_p99_ms: p99 / 1e3, statements_per_s, readings_per_s })
}

/// Statements a second while the load is at work, and readings of the event.
async fn statements(database: &PrivateDatabase, name: &str, length: Duration) -> Result<(f64, f64)> {
    let count = async || -> Result<(Instant, u64, u64)> {
        let (all, readings) = (database.statements(name, ANY).await?, database.statements(name, READING).await?);
        Ok((Instant::now(), all, readings))
    };
    sleep(SETTLE).await;
    let (begun, all_before, readings_before) = count().await?;
    // The load is at work until the second count, too.
    sleep(length.saturating_sub(begun.elapsed() + Duration::from_millis(100))).await;
    let (ended, all, readings) = count().await?;
    ensure!(readings > 0, "no server has ever read the event, by a statement like {READING}");
    let per_s = |count: u64| count as f64 / (ended - begun).as_secs_f64();
    Ok((per_s(all - all_before), per_s(readings - readings_before)))
}

/// Reserves at a fixed rate; answers how long what was granted took, from when it was due.
async fn sell(fleet: &mut Fleet, rate: f64, length: Duration) -> Result<Histogram<u64>> {
    let mut names = fleet.names();
    let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut calls, mut took, begun) = (JoinSet::new(), latency_histogram(), Instant::now());
    let mut unknown = 0;
    let mut note = |done: Result<Option<Duration>, tokio::task::JoinError>| -> Result<()> {
        match done? {
            Some(span) => record(&mut took, span),
            None => unknown += 1,
        }
        Ok(())
    };
    for number in 0.. {
        let due = ticks.tick().await;
        if begun.elapsed() >= length {
            break;
        }
        while let Some(done) = calls.try_join_next() {
            note(done)?;
        }
        if calls.len() < SALE_IN_FLIGHT_MAX {
            let mut client = fleet.connections.inventory(number);
            let request = owned_by(names.owner_value(), reserve_one(&fleet.event, names.id()));
            // What is refused or gets no answer may have been done.
            calls.spawn(async move { client.create_reservation(request).await.ok().map(|_| due.elapsed()) });
        }
    }
    while let Some(done) = calls.join_next().await {
        note(done)?;
    }
    fleet.unknown += unknown;
    fleet.reserved += took.len();
    Ok(took)
}

/// As many reservations as so many at a time can make.
///
/// # Errors
/// Where one fails.
pub(super) async fn reserve(fleet: &mut Fleet, in_flight: usize, args: &ViewsArgs) -> Result<Turn> {
    let events = Arc::new(vec![fleet.event.clone()]);
    let mut works = Vec::with_capacity(in_flight);
    for task in 0..in_flight {
        let (client, names) = (fleet.connections.inventory(task), fleet.names());
        works.push(Reserve { client, events: Arc::clone(&events), next: 0, names });
    }
    let turn = driver::run(works, Duration::from_secs_f64(args.pace.seconds)).await?;
    fleet.reserved += turn.units_in_all;
    Ok(turn)
}

/// A page view: the event as it was a moment ago.
struct Look {
    client: Inventory,
    event: SaleEvent,
}

impl Work for Look {
    async fn once(&mut self) -> Result<Option<u64>> {
        let request = GetEventRequest { name: self.event.name.clone(), consistency: Consistency::Cached.into() };
        self.client.get_event(request).await.context("a look failed")?;
        Ok(Some(1))
    }
}
