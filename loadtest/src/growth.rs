//! The scenario `growth`: does the rate hold after millions of reservations, and with thousands of events on sale?

use std::sync::Arc;

use anyhow::Result;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bar;
use crate::bench::stage::{Measured, Stage, TERMS, What};
use crate::bench::{report, table};
use crate::cli::{GrowthArgs, Pace};
use crate::event::{SaleEvent, fresh_id};
use crate::report::{Measurement, Report, Target};

/// In flight in every measurement here.
const IN_FLIGHT: usize = 64;
/// The rate after the growth is at least so much of the rate before.
const RATIO_AFTER_MIN: f64 = 0.8;
/// The rate over many events is at least so much of the rate of a single one.
const RATIO_SPREAD_MIN: f64 = 0.6;
/// The server never has more memory than this.
const MEMORY_MAX_BYTES: u64 = 300_000_000;
/// Tickets of each of the many events.
const SPREAD_CAPACITY: i32 = 1_000_000;
/// Events created at the same time.
const CREATIONS_IN_FLIGHT: usize = 64;

/// Measures, grows, and measures again.
///
/// # Errors
/// Where it cannot be measured: no server, or a call that fails.
pub async fn run(args: &GrowthArgs) -> Result<Report> {
    let mut stage = Stage::set_up(&args.common, &args.pace).await?;
    let start = measure(&mut stage, &args.pace, What::Reserve).await?;
    let bar = bar::new(args.reservations);
    stage.fill_and_forget(args.reservations, |made| bar.set_position(made)).await?;
    bar.finish_and_clear();
    let grown = measure(&mut stage, &args.pace, What::Reserve).await?;
    stage.spread = Arc::new(create_events(&stage, args).await?);
    let spread = measure(&mut stage, &args.pace, What::ReserveSpread).await?;
    let ratios = (grown.rate_per_s / start.rate_per_s, spread.rate_per_s / grown.rate_per_s);
    let measurements = with_targets(start, grown, spread, ratios, &stage);
    let (audit, faults) = stage.audit().await.map_err(|error| stage.server.explain(error))?;
    let mut report = report("growth", &args.pace, &stage, measurements, audit, &faults);
    report.facts.extend([
        ("reservations_between", json!(args.reservations)),
        ("events", json!(args.events)),
        ("rate_after_to_before", rounded(ratios.0)),
        ("rate_spread_to_single", rounded(ratios.1)),
    ]);
    Ok(report)
}

/// The median of some turns, each beside a turn of the empty call.
async fn measure(stage: &mut Stage, pace: &Pace, what: What) -> Result<Measurement> {
    let bar = bar::new(u64::from(pace.turns));
    let (mut empty, mut turns): (Vec<Measured>, Vec<Measured>) = (Vec::new(), Vec::new());
    for _ in 0..pace.turns {
        bar.set_message(format!("{} at {IN_FLIGHT} in flight", what.as_str()));
        empty.push(stage.measure(What::Empty, IN_FLIGHT).await?);
        turns.push(stage.measure(what, IN_FLIGHT).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let rates: Vec<_> = empty.iter().map(|measured| measured.turn.rate()).collect();
    Ok(table::measurement(what, IN_FLIGHT, &turns, Some(table::median(&rates))))
}

/// The targets of this scenario in place of those of the benchmark.
fn with_targets(
    mut start: Measurement,
    mut grown: Measurement,
    mut spread: Measurement,
    (after, over_events): (f64, f64),
    stage: &Stage,
) -> Vec<Measurement> {
    let ratio = |ratio: f64, least: f64, of: &str| Target {
        text: format!("{ratio:.2}, at least {least:.2}, of {of}"),
        met: ratio >= least,
    };
    start.name = "reserve_at_start".to_owned();
    start.targets.clear();
    grown.name = "reserve_grown".to_owned();
    grown.targets = vec![ratio(after, RATIO_AFTER_MIN, "the start")];
    spread.targets = vec![ratio(over_events, RATIO_SPREAD_MIN, "one event")];
    if let Some(usage) = stage.server.usage() {
        let (peak, most) = (usage.memory_peak_bytes, MEMORY_MAX_BYTES);
        let text = format!("server memory {} MB, under {} MB", peak / 1_000_000, most / 1_000_000);
        spread.targets.push(Target { text, met: peak < most });
    }
    vec![start, grown, spread]
}

async fn create_events(stage: &Stage, args: &GrowthArgs) -> Result<Vec<SaleEvent>> {
    let prefix = fresh_id("many", &mut SmallRng::seed_from_u64(args.common.seed));
    let bar = bar::new(u64::from(args.events)).with_message("events created");
    let mut tasks = JoinSet::new();
    let mut events = Vec::new();
    for number in 0..args.events {
        if tasks.len() >= CREATIONS_IN_FLIGHT
            && let Some(created) = tasks.join_next().await
        {
            events.push(created??);
            bar.inc(1);
        }
        let (mut admin, id) = (stage.connections.admin(number as usize), format!("{prefix}-{number}"));
        tasks.spawn(async move { SaleEvent::create(&mut admin, &id, SPREAD_CAPACITY, TERMS).await });
    }
    while let Some(created) = tasks.join_next().await {
        events.push(created??);
    }
    bar.finish_and_clear();
    Ok(events)
}

fn rounded(ratio: f64) -> Value {
    json!((ratio * 1_000.0).round() / 1_000.0)
}
