//! The scenario `sale`: more buyers than tickets, all kinds of behaviour, servers that are killed in the midst of it, and
//! an audit of every answer that anybody got.

mod aftermath;
mod buyer;
mod caller;
mod chaos;
mod progress;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::audit::{self, Verdict};
use crate::cli::SaleArgs;
use crate::client::Connections;
use crate::event::{SaleEvent, Terms, fresh_id};
use crate::history::{Call, Told};
use crate::report::{AuditCounts, Latency, Measurement, Report, latency_histogram};
use crate::server::Servers;
use buyer::Buyer;
use caller::Caller;
use progress::Progress;

/// What every task of a sale needs to know.
#[derive(Clone)]
struct Sale {
    event: SaleEvent,
    connections: Connections,
    seed: u64,
    limit: i32,
}

impl Sale {
    /// A caller over the `index`th connection and its neighbour.
    fn caller(&self, index: usize, random: &mut SmallRng) -> Caller {
        let clients = [self.connections.inventory(index), self.connections.inventory(index + 1)];
        Caller::new(clients, self.event.clone(), SmallRng::seed_from_u64(random.random()))
    }
}

/// The figures of a sale that only the driver knows.
struct Course {
    seconds: f64,
    drained_after: Duration,
    kills: u32,
    away: Duration,
}

/// Sells out an event, and audits.
///
/// # Errors
/// Where the sale could not be held: no server, or one that died by itself.
pub async fn run(args: &SaleArgs) -> Result<Report> {
    let mut servers = Servers::start(&args.common, None).await?;
    let connections = Connections::new(&servers.urls(), args.connections as usize)?;
    let mut random = SmallRng::seed_from_u64(args.common.seed);
    let id = fresh_id("sale", &mut random);
    let terms = Terms {
        limit_per_owner: args.limit,
        limit_per_allocation: 0,
        hold_seconds: args.hold_seconds,
        hold_seconds_max: args.hold_seconds * 2 + 1,
    };
    let created = SaleEvent::create(&mut connections.admin(0), &id, args.tickets, terms).await;
    let event = created.map_err(|error| servers.explain(error))?;
    let sale = Sale { event, connections, seed: args.common.seed, limit: args.limit };
    let (calls, course, held) = hold(&sale, args, &mut servers).await?;
    eprintln!("auditing {} calls", calls.len());
    let evidence = aftermath::gather(&sale, calls, held).await.map_err(|error| servers.explain(error))?;
    let verdict = audit::judge(&evidence);
    Ok(report(args, &evidence.calls, &course, verdict))
}

/// The rush, the draining, and the last tickets.
async fn hold(sale: &Sale, args: &SaleArgs, servers: &mut Servers) -> Result<(Vec<Call>, Course, i32)> {
    let progress = Arc::new(Progress::default());
    let kills = if matches!(servers, Servers::Children(_)) { args.kills } else { 0 };
    let random = SmallRng::seed_from_u64(!args.common.seed);
    let begun = Instant::now();
    let torment = chaos::torment(servers, kills, args.buyers, &progress, random);
    let mut calls = tokio::select! {
        done = async { tokio::try_join!(rush(sale, args, &progress), torment) } => done?.0,
        () = progress.show(args.buyers) => Vec::new(),
    };
    let seconds = begun.elapsed().as_secs_f64();
    let patience = Duration::from_secs(args.drain_seconds);
    let (held, drained_after) = aftermath::drain(sale, patience).await.map_err(|error| servers.explain(error))?;
    calls.extend(aftermath::sell_the_rest(sale).await.map_err(|error| servers.explain(error))?);
    let course = Course { seconds, drained_after, kills: progress.kills(), away: progress.away() };
    Ok((calls, course, held))
}

/// All buyers come and go. The first half come at once, the others evenly over the given seconds.
async fn rush(sale: &Sale, args: &SaleArgs, progress: &Arc<Progress>) -> Result<Vec<Call>> {
    let opening = Instant::now();
    let mut tasks = JoinSet::new();
    for index in 0..args.concurrency {
        tasks.spawn(serve_buyers(sale.clone(), args.clone(), Arc::clone(progress), index as usize, opening));
    }
    let mut calls = Vec::new();
    while let Some(done) = tasks.join_next().await {
        calls.extend(done?);
    }
    progress.end();
    Ok(calls)
}

async fn serve_buyers(
    sale: Sale,
    args: SaleArgs,
    progress: Arc<Progress>,
    index: usize,
    opening: Instant,
) -> Vec<Call> {
    let mut random = SmallRng::seed_from_u64(sale.seed.wrapping_add(index as u64));
    let mut caller = sale.caller(index, &mut random);
    let early = args.buyers / 2;
    let gap = Duration::from_secs(args.seconds) / (args.buyers - early).max(1);
    loop {
        let owner = progress.next();
        if owner >= args.buyers {
            return caller.into_calls();
        }
        tokio::time::sleep_until(opening + gap * owner.saturating_sub(early)).await;
        // Each buyer's habits come from the seed and his number alone, whichever task serves him.
        let habits = SmallRng::seed_from_u64(sale.seed ^ (u64::from(owner) << 32));
        let hold = Duration::from_secs(args.hold_seconds.unsigned_abs());
        Buyer::new(&mut caller, owner, habits, args.limit, hold).visit().await;
        progress.add_served();
    }
}

fn report(args: &SaleArgs, calls: &[Call], course: &Course, verdict: Verdict) -> Report {
    let answered = calls.iter().filter(|call| call.told.is_final()).count();
    let told = |wanted: fn(&Told) -> bool| calls.iter().filter(|call| wanted(&call.told)).count();
    let facts = vec![
        ("buyers", json!(args.buyers)),
        ("kills", json!(course.kills)),
        ("seconds_with_a_server_down", json!(rounded(course.away.as_secs_f64()))),
        ("sale_seconds", json!(rounded(course.seconds))),
        ("drained_after_seconds", json!(rounded(course.drained_after.as_secs_f64()))),
        ("calls", json!(calls.len())),
        ("calls_answered", json!(answered)),
        ("calls_granted", json!(told(|told| matches!(told, Told::Shown(_))))),
        ("calls_refused", json!(told(|told| matches!(told, Told::Refused(_))))),
    ];
    let audit = AuditCounts::from(&verdict);
    let passed = verdict.findings.is_clean();
    let summary = if passed {
        let AuditCounts { sold, capacity, .. } = audit;
        format!("{sold} of {capacity} sold, none oversold, through {} kills; every answer was true", course.kills)
    } else {
        "see the violations above; --keep keeps the server's data".to_owned()
    };
    Report {
        scenario: "sale",
        passed,
        audit,
        measurements: vec![measurement(args, calls, course)],
        baselines: Vec::new(),
        courses: Vec::new(),
        violations: verdict.findings.violations,
        facts,
        summary,
    }
}

/// All answered calls of all kinds; the times in which a server was down count in.
fn measurement(args: &SaleArgs, calls: &[Call], course: &Course) -> Measurement {
    let mut histogram = latency_histogram();
    for call in calls.iter().filter(|call| call.told.is_final()) {
        histogram.saturating_record((call.end - call.start).unsigned_abs());
    }
    #[allow(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
    let rate = histogram.len() as f64 / course.seconds;
    Measurement {
        name: "sale".to_owned(),
        in_flight: args.concurrency as usize,
        rate_per_s: rate,
        ratio_to_empty: 0.0,
        latency_us: Latency::from(&histogram),
        turns_per_s: vec![rate],
        server_cpu_s: None,
        generator_cpu_s: None,
        targets: Vec::new(),
    }
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}
