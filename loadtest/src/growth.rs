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
/// The server never has more memory than this while it sells.
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
    let mut stage = Stage::set_up(&args.common, &args.pace, None).await?;
    let [start] = measure(&mut stage, &args.pace, [What::Reserve]).await?;
    let bar = bar::new(args.reservations);
    stage.fill_and_forget(args.reservations, |made| bar.set_position(made)).await?;
    bar.finish_and_clear();
    let [grown] = measure(&mut stage, &args.pace, [What::Reserve]).await?;
    stage.spread = Arc::new(create_events(&stage, args).await?);
    let [single, spread] = measure(&mut stage, &args.pace, [What::Reserve, What::ReserveSpread]).await?;
    let after_to_before = grown.rate_per_s / start.rate_per_s;
    // Minutes lie between the two, in which a shared machine changes its pace: so both are measured by the empty call of
    // their own turns. Single and spread take turns with one another.
    let ratios = (grown.ratio_to_empty / start.ratio_to_empty, spread.rate_per_s / single.rate_per_s);
    let measurements = with_targets([start, grown, single, spread], ratios, &stage);
    let (audit, faults) = stage.audit().await.map_err(|error| stage.servers.explain(error))?;
    let mut report = report("growth", &args.pace, &stage, measurements, audit, &faults);
    report.facts.extend([
        ("reservations_between", json!(args.reservations)),
        ("events", json!(args.events)),
        ("rate_after_to_before", rounded(after_to_before)),
        ("rate_after_to_before_by_empty_call", rounded(ratios.0)),
        ("rate_spread_to_single", rounded(ratios.1)),
    ]);
    Ok(report)
}

/// The medians of some turns, in each of which the empty call comes first.
async fn measure<const N: usize>(stage: &mut Stage, pace: &Pace, whats: [What; N]) -> Result<[Measurement; N]> {
    let bar = bar::new(u64::from(pace.turns) * N as u64);
    let mut empty_rates = Vec::new();
    let mut turns: [Vec<Measured>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..pace.turns {
        empty_rates.push(stage.measure(What::Empty, IN_FLIGHT).await?.turn.rate());
        for (what, turns) in whats.into_iter().zip(&mut turns) {
            bar.set_message(format!("{} at {IN_FLIGHT} in flight", what.as_str()));
            turns.push(stage.measure(what, IN_FLIGHT).await?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let empty = table::median(&empty_rates);
    let mut whats = whats.into_iter();
    Ok(turns.map(|turns| table::measurement(whats.next().unwrap_or(What::Reserve), IN_FLIGHT, &turns, Some(empty))))
}

/// The targets of this scenario in place of those of the benchmark.
fn with_targets(
    [start, grown, single, spread]: [Measurement; 4],
    (after, over_events): (f64, f64),
    stage: &Stage,
) -> Vec<Measurement> {
    let named = |measurement: Measurement, name: &str, targets| {
        let name = name.to_owned();
        Measurement { name, targets, ..measurement }
    };
    let ratio = |ratio: f64, least: f64, of: &str| Target {
        text: format!("{ratio:.2}, at least {least:.2}, of {of}"),
        met: ratio >= least,
    };
    let memory = stage.servers.usage().map(|usage| {
        let (peak, most) = (usage.memory_peak_bytes, MEMORY_MAX_BYTES);
        let text = format!("server memory {} MB, under {} MB", peak / 1_000_000, most / 1_000_000);
        Target { text, met: peak < most }
    });
    let over_events = ratio(over_events, RATIO_SPREAD_MIN, "one event");
    vec![
        named(start, "reserve_at_start", Vec::new()),
        named(grown, "reserve_grown", vec![ratio(after, RATIO_AFTER_MIN, "the start, both by the empty call")]),
        named(single, "reserve_one_of_many", Vec::new()),
        named(spread, "reserve_spread", std::iter::once(over_events).chain(memory).collect()),
    ]
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
