//! The scenario `bench`: rates and latencies against the empty call of the same server, and against what is written by hand
//! on the same database, all in turns in one run.

pub mod by_hand;
pub mod driver;
pub mod goals;
pub mod h2load;
pub mod plan;
pub mod stage;
pub mod table;
pub mod tally;
pub mod work;

use anyhow::Result;
use serde_json::{Value, json};

use crate::bar;
use crate::cli::{BenchArgs, Pace};
use crate::report::{AuditCounts, Measurement, Report};
use crate::server::BUSY_OF_THE_LIMIT;
use plan::{Item, Kind, Point, Programs};
use stage::{Measured, Stage, What};

/// Measures.
///
/// # Errors
/// Where it cannot be measured: no server, or a call that fails.
pub async fn run(args: &BenchArgs) -> Result<Report> {
    let kind = Kind::of(args);
    // What cannot be chosen is refused before anything is started.
    plan::chosen(&plan::all(kind, Programs::ALL), goals::of(kind), &args.only)?;
    let mut stage = Stage::set_up(&args.common, &args.pace, args.commit_delay).await?;
    let by_hand = stage.servers.database().filter(|database| database.has(by_hand::PROGRAM));
    let programs = Programs { pgbench: by_hand.is_some(), h2load: h2load::is_installed().await };
    let plan = plan::chosen(&plan::all(kind, programs), goals::of(kind), &args.only)?;
    if let Some(database) = by_hand {
        by_hand::prepare(database).await?;
    }
    let turns = take_turns(&mut stage, &plan, args.pace.turns).await?;
    let mut measured = figures(&plan, &turns);
    goals::judge(goals::of(kind), &mut measured);
    let facts = facts(args, &stage, &measured);
    let measurements = measured.into_iter().map(|(_, measurement)| measurement).collect();
    let (audit, faults) = stage.audit().await.map_err(|error| stage.servers.explain(error))?;
    let mut report = report("bench", &args.pace, &stage, measurements, audit, &faults);
    report.facts.extend(facts);
    Ok(report)
}

/// What else is to be known of a run on PostgreSQL.
fn facts(args: &BenchArgs, stage: &Stage, measured: &[(Point, Measurement)]) -> Vec<(&'static str, Value)> {
    let Some(database) = stage.servers.database() else { return Vec::new() };
    let mut facts = vec![("postgres_version", json!(database.version()))];
    if !database.has(by_hand::PROGRAM) {
        facts.push(("pgbench", json!("not installed: no pgbench_update, and no goal that is compared with it")));
    }
    if let Some(delay) = args.commit_delay {
        facts.push(("commit_delay", json!(humantime::format_duration(delay).to_string())));
    }
    // One client commits once for each transaction, and does nothing else.
    if let Some((_, alone)) = measured.iter().find(|(point, _)| *point == (What::ByHand, 1)) {
        facts.push(("one_commit_by_hand_takes_us", json!((1_000_000.0 / alone.rate_per_s).round())));
    }
    facts
}

/// All turns of each item of the plan, in the plan's order.
async fn take_turns(stage: &mut Stage, plan: &[Item], turns: u32) -> Result<Vec<Vec<Measured>>> {
    let bar = bar::new(u64::from(turns) * plan.len() as u64);
    let mut measured = vec![Vec::new(); plan.len()];
    for _ in 0..turns {
        for (item, results) in plan.iter().zip(&mut measured) {
            bar.set_message(plan::name(item.point));
            let (what, in_flight) = item.point;
            results.push(stage.measure(what, in_flight).await?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(measured)
}

fn figures(plan: &[Item], turns: &[Vec<Measured>]) -> Vec<(Point, Measurement)> {
    let rate_of_empty = |in_flight| {
        let index = plan.iter().position(|item| item.point == (What::Empty, in_flight))?;
        let rates: Vec<_> = turns.get(index)?.iter().map(|measured| measured.turn.rate()).collect();
        Some(table::median(&rates))
    };
    let figure = |(item, turns): (&Item, &Vec<Measured>)| {
        let (what, in_flight) = item.point;
        (item.point, table::measurement(what, in_flight, turns, rate_of_empty(item.empty_at)))
    };
    plan.iter().zip(turns).map(figure).collect()
}

/// What an audit without faults has shown.
const fn held(is_replayed: bool) -> &'static str {
    if is_replayed {
        "the audit holds"
    } else {
        "the counts are what was acknowledged, but the journal was NOT replayed: of more than a million reservations that takes \
         minutes (a run of fewer or shorter turns replays it)"
    }
}

/// Which measurements the generator likely limited, if any: it could not have driven much more.
fn limit(measurements: &[Measurement]) -> Option<String> {
    let is_limited = |measurement: &&Measurement| {
        measurement.generator_headroom.is_some_and(|headroom| headroom * BUSY_OF_THE_LIMIT < 1.0)
    };
    let name = |measurement: &Measurement| format!("{}@{}", measurement.name, measurement.in_flight);
    let limited: Vec<_> = measurements.iter().filter(is_limited).map(name).collect();
    (!limited.is_empty()).then(|| format!("likely the load generator of {}", limited.join(", ")))
}

/// The report of a scenario that measures: the audit must hold always; a missed target fails it only if that is asked.
pub fn report(
    scenario: &'static str,
    pace: &Pace,
    stage: &Stage,
    measurements: Vec<Measurement>,
    audit: AuditCounts,
    faults: &[String],
) -> Report {
    let targets = || measurements.iter().flat_map(|measurement| &measurement.targets);
    let missed = targets().filter(|target| !target.met).count();
    let passed = faults.is_empty() && (missed == 0 || !pace.strict);
    let summary = if faults.is_empty() {
        format!("{}; {} of {} targets met", held(stage.is_replayed()), targets().count() - missed, targets().count())
    } else {
        faults.join("; ")
    };
    let mut facts = vec![("turns", json!(pace.turns)), ("seconds_each", json!(pace.seconds))];
    facts.push(("connections", json!(pace.connections)));
    facts.push(("journal_replayed", json!(stage.is_replayed())));
    facts.extend(limit(&measurements).map(|text| ("limit", json!(text))));
    if let Some(usage) = stage.servers.usage() {
        facts.push(("server_memory_peak_mb", json!(usage.memory_peak_bytes / 1_000_000)));
    }
    if let Some(bytes) = stage.servers.data_bytes() {
        facts.push(("data_mb", json!(bytes / 1_000_000)));
    }
    Report {
        scenario,
        passed,
        audit,
        measurements,
        baselines: Vec::new(),
        courses: Vec::new(),
        violations: Vec::new(),
        facts,
        summary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_generator_could_drive_no_faster_is_told() {
        let measurement = |name: &str, generator_headroom| Measurement {
            name: name.to_owned(),
            in_flight: 64,
            generator_headroom,
            ..Measurement::default()
        };
        let mut measurements = vec![measurement("reserve", Some(1.2)), measurement("h2load_empty", None)];
        assert_eq!(limit(&measurements), None);
        measurements.push(measurement("empty", Some(1.05)));
        assert_eq!(limit(&measurements).as_deref(), Some("likely the load generator of empty@64"));
    }

    #[test]
    fn an_audit_without_the_journal_does_not_pass_for_a_whole_one() {
        assert_eq!(held(true), "the audit holds");
        assert!(held(false).contains("the journal was NOT replayed") && !held(false).contains("the audit holds"));
    }
}
