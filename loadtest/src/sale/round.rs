//! One sale from its first to its last moment.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::arrivals::Arrivals;
use super::buyer::{Buyer, Errand};
use super::plan::Plan;
use super::progress::Progress;
use super::viewer::Views;
use super::{Sale, aftermath, drain, operator, viewer};
use crate::audit::CLOCK_TOLERANCE;
use crate::audit::evidence::{Evidence, Holds};
use crate::client::{Connections, Inventory};
use crate::clock::{Micros, SECOND, Watch, now};
use crate::event::{SaleEvent, Terms, fresh_id};
use crate::faults::{Fronts, Storm};
use crate::fetch;
use crate::history::{Call, OperatorCall};
use crate::report::course::FaultMark;
use crate::server::{CpuShares, Servers, Shares};

/// What a sale came to.
pub(super) struct Round {
    /// Of each event.
    pub evidence: Vec<Evidence>,
    /// How long it took until the last of the rush had gone.
    pub seconds: f64,
    /// How long until nothing was held any more.
    pub drained_after: Duration,
    /// What went wrong in the rush, with absolute times.
    pub faults: Vec<FaultMark>,
    /// Who used the processors in the rush.
    pub shares: Shares,
    /// Buyers who came at a fixed time and found all places taken.
    pub late: u32,
    /// What those who only looked were shown; the states themselves are in the evidence.
    pub views: Views,
}

/// Puts the events on sale, lets everybody in, waits until all has drained, and gathers the evidence.
///
/// # Errors
/// Where the sale could not be held: a server that died by itself, refuses or does not answer.
pub(super) async fn hold(plan: &Plan, seed: u64, servers: &mut Servers) -> Result<Round> {
    let mut clock = Watch::begin();
    let fronts = Fronts::start(servers, &plan.faults, seed).await?;
    let sale = put_on_sale(plan, fronts.urls(), seed).await.map_err(|error| servers.explain(error))?;
    let progress = Arc::new(Progress::new(plan.buyers));
    let mut storm = Storm::new(&plan.faults, !seed).kills(plan.kills);
    let used = CpuShares::begin(servers);
    let (begun, opening) = (now(), Instant::now());
    let (mut calls, mut operators, mut views, faults) = tokio::select! {
        done = async {
            tokio::try_join!(
                rush(&sale, plan, &progress, opening, begun),
                operators(&sale, plan, &progress),
                viewer::look_on(&sale, plan.viewers, &progress),
                storm.run(servers, &fronts, &*progress),
            )
        } => done?,
        () = progress.show() => (Vec::new(), Vec::new(), Views::default(), Vec::new()),
    };
    let seconds = opening.elapsed().as_secs_f64();
    let shares = used.end(servers);
    clock.look();
    let drained = drain::drain(&sale, plan.swept, plan.patience).await;
    let (held, drained_after) = drained.map_err(|error| servers.explain(error))?;
    operators.extend(operator::open_all(&sale, plan.patience).await.map_err(|error| servers.explain(error))?);
    let late = aftermath::sell_the_rest(&sale, plan.patience).await.map_err(|error| servers.explain(error))?;
    calls.extend(late.calls);
    let gathered =
        aftermath::gather(&sale, calls, operators, late.told_sold_out, &held, &mut views, plan.patience).await;
    let mut evidence = gathered.map_err(|error| servers.explain(error))?;
    let clock_step = clock.look();
    evidence.iter_mut().for_each(|evidence| evidence.clock_step = clock_step);
    Ok(Round { evidence, seconds, drained_after, faults, shares, late: progress.late(), views })
}

/// Creates the events of a plan.
async fn put_on_sale(plan: &Plan, urls: &[String], seed: u64) -> Result<Sale> {
    let connections = Connections::new(urls, plan.connections as usize)?;
    let mut random = SmallRng::seed_from_u64(seed);
    let id = fresh_id(plan.scenario, &mut random);
    let terms = Terms {
        limit_per_owner: plan.limits.per_owner,
        limit_per_allocation: plan.limits.per_allocation,
        hold_seconds: plan.hold_seconds,
        hold_seconds_max: plan.hold_seconds * 2 + 1,
    };
    let capacities = vec![plan.capacity(); plan.allocations as usize];
    let mut events = Vec::with_capacity(plan.events as usize);
    for number in 0..plan.events {
        let id = if plan.events == 1 { id.clone() } else { format!("{id}-{number}") };
        events.push(SaleEvent::create_with(&mut connections.admin(0), &id, &capacities, terms).await?);
    }
    if let Some(event) = events.first() {
        check_clock(event, &mut connections.inventory(0)).await?;
    }
    let holds = Holds { granted: terms.hold_seconds * SECOND, longest: terms.hold_seconds_max * SECOND };
    Ok(Sale { events: Arc::new(events), connections, seed, limits: plan.limits, holds, habits: plan.habits })
}

/// Whether the clock of the database is this machine's, as far as the audit needs it: else it would find true answers false.
async fn check_clock(event: &SaleEvent, inventory: &mut Inventory) -> Result<()> {
    let asked = now();
    let read_at = fetch::counters(inventory, event).await?.read_at;
    let answered = now();
    let off = (read_at - answered).max(0) + (read_at - asked).min(0);
    let tolerance = CLOCK_TOLERANCE / 1_000;
    ensure!(
        off.abs() <= CLOCK_TOLERANCE,
        "the clock of the server's database is {:+} ms off this machine's, of which the audit can bear {tolerance}",
        off / 1_000
    );
    Ok(())
}

/// All buyers come and go.
async fn rush(
    sale: &Sale,
    plan: &Plan,
    progress: &Arc<Progress>,
    opening: Instant,
    begun: Micros,
) -> Result<Vec<Call>> {
    let arrivals = Arc::new(Arrivals::new(plan.shape, plan.buyers, plan.length, sale.seed));
    let mut tasks = JoinSet::new();
    for index in 0..plan.in_flight.min(plan.buyers) {
        let place = Place { sale: sale.clone(), plan: plan.clone(), arrivals: Arc::clone(&arrivals), opening, begun };
        tasks.spawn(place.serve(index as usize, Arc::clone(progress)));
    }
    let mut calls = Vec::new();
    while let Some(done) = tasks.join_next().await {
        calls.extend(done?);
    }
    progress.end();
    Ok(calls)
}

async fn operators(sale: &Sale, plan: &Plan, progress: &Progress) -> Result<Vec<OperatorCall>> {
    let operate = |number: u32| {
        let random = SmallRng::seed_from_u64(sale.seed ^ (u64::from(number + 1) << 48));
        operator::operate(sale, number as usize, random, progress)
    };
    let calls = futures::future::join_all((0..plan.operators).map(operate)).await;
    Ok(calls.into_iter().flatten().collect())
}

/// One of the places where buyers are served, one after another.
struct Place {
    sale: Sale,
    plan: Plan,
    arrivals: Arc<Arrivals>,
    opening: Instant,
    begun: Micros,
}

/// Who begins so much later than he came was kept waiting by us: the timer itself is exact to a millisecond.
const LATE: Duration = Duration::from_millis(10);

impl Place {
    async fn serve(self, index: usize, progress: Arc<Progress>) -> Vec<Call> {
        let Self { sale, plan, arrivals, opening, begun } = self;
        let mut random = SmallRng::seed_from_u64(sale.seed.wrapping_add(index as u64));
        let mut caller = sale.caller(index, &mut random);
        loop {
            let owner = progress.next();
            if owner >= plan.buyers || caller.has_given_up() {
                return caller.into_calls();
            }
            let after = arrivals.of(owner);
            if let Some(after) = after {
                tokio::time::sleep_until(opening + after).await;
                if opening.elapsed() > after + LATE {
                    progress.add_late();
                }
            }
            let due = after.map(|after| begun + Micros::try_from(after.as_micros()).unwrap_or(Micros::MAX));
            let event = owner as usize % sale.events.len().max(1);
            let allocations = plan.allocations as usize;
            let quantity_max = plan.quantity_max();
            let errand = Errand { owner, event, allocations, due, quantity_max, hold: plan.hold() };
            // Each buyer's doings come from the seed and his number alone, whichever task serves him.
            let doings = SmallRng::seed_from_u64(sale.seed ^ (u64::from(owner) << 32));
            Buyer::new(&mut caller, errand, plan.habits, doings).visit().await;
            progress.add_served();
        }
    }
}
