//! The scenario `overload`: up to ten times the load that the server can serve.
//!
//! Generator, server and database share one machine, which could not send ten times what a server on SQLite can do. So the
//! database is made slow, not the server: it stands behind a [`link`] that takes its time for each round trip and each byte. The
//! server has all of its speed, and must refuse nine of ten calls because its database cannot take more: as it is in production,
//! where the database is what is full.

mod level;
mod link;
mod verdict;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use serde_json::json;
use tokio::time::sleep;

use crate::bench::driver;
use crate::bench::stage::TERMS;
use crate::bench::tally::{Acknowledged, Shown};
use crate::bench::work::{Names, Reserve};
use crate::cli::OverloadArgs;
use crate::client::Connections;
use crate::clock::{Micros, now};
use crate::event::{SaleEvent, fresh_id};
use crate::fetch;
use crate::report::course::{Course, FaultMark, Marked, Memory};
use crate::report::{AuditCounts, Latency, Measurement, Report};
use crate::server::{Options, PrivateDatabase, Servers, StoreChoice};
use level::{Outcome, Plan, Plotted};
use link::{Link, Slow};

/// The link: so slow that a generator on the same machine, even one that was not optimized, can send ten times what passes.
const SLOW: Slow = Slow { delay: Duration::from_millis(4), bytes_per_second: 200_000.0 };
/// The database of the servers.
const DATABASE: &str = "boxoffice";
const CAPACITY: i32 = 1_000_000_000;
/// Callers of the closed loop that finds the best rate. The best of both counts.
const CLOSED: [usize; 2] = [64, 256];
/// Times the best rate, as it is plotted, and as it is told.
const LEVELS: [(f64, &str, &str); 5] = [
    (0.5, "0.5 ×", "at_half_load"),
    (1.0, "1 ×", "at_1x"),
    (2.0, "2 ×", "at_2x"),
    (5.0, "5 ×", "at_5x"),
    (10.0, "10 ×", "at_10x"),
];
/// Between two levels, and between two looks at the server's memory.
const LULL: Duration = Duration::from_secs(1);
const MEMORY_INTERVAL: Duration = Duration::from_millis(250);

/// Loads the server more and more.
///
/// # Errors
/// Where it cannot be measured.
pub async fn run(args: &OverloadArgs) -> Result<Report> {
    ensure!(args.common.target.is_none(), "overload makes the database slow, so it needs servers of its own");
    let database = PrivateDatabase::start(None).await?;
    let direct = database.url();
    let target = direct.split_once('@').and_then(|(_, rest)| rest.split_once('/')).context("no address")?.0.parse()?;
    let link = Link::start(target, SLOW).await?;
    let mut common = args.common.clone();
    common.store = StoreChoice::Postgres { url: link.url(DATABASE, &direct)? };
    let servers = Servers::start(&common, Options::default()).await?;
    let result = load(args, &servers).await.map_err(|error| servers.explain(error));
    drop(servers);
    drop(link);
    result
}

/// What was measured at one level.
struct Measured {
    name: String,
    outcome: Outcome,
    rate: f64,
    from: Micros,
    counted_from: Micros,
    to: Micros,
}

async fn load(args: &OverloadArgs, servers: &Servers) -> Result<Report> {
    let connections = Connections::new(&servers.urls(), args.connections as usize)?;
    let mut random = SmallRng::seed_from_u64(args.common.seed);
    let event =
        SaleEvent::create(&mut connections.admin(0), &fresh_id("overload", &mut random), CAPACITY, TERMS).await?;
    let mut reserved = 0;
    let mut measurements = Vec::new();
    for in_flight in CLOSED {
        let work = |task| Reserve {
            client: connections.inventory(task),
            events: Arc::new(vec![event.clone()]),
            next: 0,
            names: Names::new(args.common.seed, (in_flight + task) as u64),
        };
        let length = Duration::from_secs_f64(args.seconds / 2.0);
        let turn = driver::run((0..in_flight).map(work).collect(), length).await?;
        reserved += turn.units_in_all;
        measurements.push(Measurement {
            name: "closed_loop".to_owned(),
            in_flight,
            rate_per_s: turn.rate(),
            latency_us: Latency::from(&turn.latency),
            ..Measurement::default()
        });
    }
    let best = measurements.iter().map(|each| each.rate_per_s).fold(0.0, f64::max);
    let memory = Arc::new(Mutex::new(Vec::new()));
    let plotted = Plotted::begin();
    let begun = plotted.begun;
    let (levels, plotted) = tokio::select! {
        levels = levels(args, &connections, &event, best, plotted) => levels,
        never = watch_memory(servers, &memory, begun) => match never {},
    };
    let memory = memory.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let sum = |of: fn(&Outcome) -> u64| levels.iter().map(|level| of(&level.outcome)).sum::<u64>();
    reserved += sum(|outcome| outcome.accepted_in_all);
    let (audit, faults) = audit(&connections, &event, reserved, sum(|outcome| outcome.unknown_in_all)).await?;
    report(args, best, measurements, &levels, memory, plotted, audit, &faults)
}

async fn levels(
    args: &OverloadArgs,
    connections: &Connections,
    event: &SaleEvent,
    best: f64,
    mut plotted: Plotted,
) -> (Vec<Measured>, Plotted) {
    let mut levels = Vec::new();
    for ((factor, name, _), number) in LEVELS.into_iter().zip(1_u64..) {
        eprintln!("{name} of {best:.0} a second");
        let seed = args.common.seed.wrapping_add(number);
        let (settle, length) = (Duration::from_secs_f64(args.settle_seconds), Duration::from_secs_f64(args.seconds));
        let plan = Plan { rate: best * factor, settle, length, seed };
        let names = Names::new(args.common.seed, 10_000 + number);
        let from = now() - plotted.begun;
        let begun = plotted.begun;
        let (outcome, more) = level::run(connections, event, names, plan, plotted).await;
        plotted = more;
        let micros = |seconds: Duration| Micros::try_from(seconds.as_micros()).unwrap_or_default();
        let counted_from = from + micros(settle);
        let to = (counted_from + micros(length)).min(now() - begun);
        levels.push(Measured { name: name.to_owned(), outcome, rate: plan.rate, from, counted_from, to });
        sleep(LULL).await;
    }
    (levels, plotted)
}

async fn watch_memory(servers: &Servers, into: &Mutex<Vec<Memory>>, begun: Micros) -> std::convert::Infallible {
    loop {
        if let Some(usage) = servers.usage() {
            let memory = Memory { at: now() - begun, bytes: usage.memory_bytes };
            into.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        }
        sleep(MEMORY_INTERVAL).await;
    }
}

/// Holds what was acknowledged against the counters and the server's own audit. `unknown` calls may have had an effect or not.
async fn audit(
    connections: &Connections,
    event: &SaleEvent,
    reserved: u64,
    unknown: u64,
) -> Result<(AuditCounts, Vec<String>)> {
    let mut faults = fetch::differences(&fetch::server_audit(&mut connections.admin(0), event).await?);
    let mismatched = faults.len() as u64;
    let mut shown = Shown::default();
    shown.add_all(&fetch::counters(&mut connections.inventory(0), event).await?);
    let (counts, wrong) = shown.judge("the event", Acknowledged { reserved, confirmed: 0, unknown });
    faults.extend(wrong);
    Ok((AuditCounts { mismatched, ..counts }, faults))
}

#[expect(clippy::too_many_arguments, reason = "all that a report is made of, once")]
fn report(
    args: &OverloadArgs,
    closed: f64,
    mut measurements: Vec<Measurement>,
    levels: &[Measured],
    memory: Vec<Memory>,
    plotted: Plotted,
    audit: AuditCounts,
    faults: &[String],
) -> Result<Report> {
    let (half, highest) = (levels.first().context("no level")?, levels.last().context("no level")?);
    let best = levels.iter().map(|level| level.outcome.goodput()).fold(closed, f64::max);
    let growth = verdict::growth(&memory, highest.counted_from, highest.to);
    let verdict = verdict::judge(best, &half.outcome, &highest.outcome, growth);
    measurements.extend(levels.iter().map(|level| Measurement {
        name: format!("open_loop {}", level.name),
        rate_per_s: level.outcome.goodput(),
        latency_us: Latency::from(&level.outcome.latency),
        ..Measurement::default()
    }));
    let met = verdict.targets.iter().all(|target| target.met);
    if let Some(last) = measurements.last_mut() {
        last.targets = verdict.targets;
    }
    let of_levels: Vec<_> = levels
        .iter()
        .map(|level| {
            json!({"load": level.name, "due_per_s": level.rate, "due": level.outcome.due, "unsent": level.outcome.unsent,
                   "accepted": level.outcome.accepted, "refused": level.outcome.refused,
                   "p99_us": level.outcome.latency.value_at_quantile(0.99),
                   "p99_while_settling_us": level.outcome.settling.value_at_quantile(0.99),
                   "late_p99_us": level.outcome.late.value_at_quantile(0.99)})
        })
        .collect();
    let mut facts = vec![
        ("goodput_at_10x_of_best", json!(verdict.goodput)),
        ("p99_at_10x_of_half_load", json!(verdict.p99)),
        ("memory_growth_at_10x", json!(verdict.memory)),
        ("server_memory_peak_mb", json!(memory.iter().map(|each| each.bytes).max().map(|bytes| bytes / 1_000_000))),
        ("best_per_s", json!(best)),
        ("seconds_each", json!(args.seconds)),
        ("settle_seconds", json!(args.settle_seconds)),
        ("levels", json!(of_levels)),
    ];
    facts.extend(levels.iter().zip(LEVELS).map(|(level, (_, _, name))| (name, json!(level.outcome.told()))));
    let marks = levels.iter().zip(LEVELS).map(|(level, (_, name, _))| FaultMark {
        fault: name,
        from: level.from,
        to: level.to,
    });
    let course = Course {
        title: "overload".to_owned(),
        begun: plotted.begun,
        traffic: plotted.traffic,
        faults: marks.collect(),
        marked: Marked::Levels,
        memory,
        ..Course::default()
    };
    let summary = if faults.is_empty() {
        format!(
            "at ten times the load goodput is {:.2} of its best, and p99 {:.1} times that at half load; the audit holds",
            verdict.goodput, verdict.p99
        )
    } else {
        faults.join("; ")
    };
    Ok(Report {
        scenario: "overload",
        passed: faults.is_empty() && met,
        audit,
        measurements,
        baselines: Vec::new(),
        courses: vec![course],
        violations: Vec::new(),
        facts,
        summary,
    })
}
