//! The scenario `bench`: rates and latencies against the empty call of the same server, all in turns in one run.

pub mod driver;
pub mod stage;
pub mod table;
pub mod work;

use anyhow::{Result, bail};
use serde_json::json;

use crate::bar;
use crate::cli::{BenchArgs, Pace};
use crate::report::{AuditCounts, Measurement, Report};
use stage::{BATCHES_IN_FLIGHT, Measured, Stage, What};

/// Something to measure at so many in flight, compared with the empty call at so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    what: What,
    in_flight: usize,
    empty_at: usize,
}

const fn item(what: What, in_flight: usize) -> Item {
    Item { what, in_flight, empty_at: in_flight }
}

/// The order of one turn.
const PLAN: [Item; 10] = [
    item(What::Empty, 64),
    item(What::Reserve, 64),
    item(What::Empty, 256),
    item(What::Reserve, 256),
    Item { what: What::BatchReserve, in_flight: BATCHES_IN_FLIGHT, empty_at: 64 },
    item(What::Refuse, 64),
    item(What::Refuse, 256),
    item(What::Confirm, 64),
    item(What::Empty, 1),
    item(What::Reserve, 1),
];

/// Measures.
///
/// # Errors
/// Where it cannot be measured: no server, or a call that fails.
pub async fn run(args: &BenchArgs) -> Result<Report> {
    let plan = chosen(&args.only)?;
    let mut stage = Stage::set_up(&args.common, &args.pace).await?;
    let turns = take_turns(&mut stage, &plan, args.pace.turns).await?;
    let measurements = figures(&plan, &turns);
    let (audit, faults) = stage.audit().await.map_err(|error| stage.servers.explain(error))?;
    Ok(report("bench", &args.pace, &stage, measurements, audit, &faults))
}

/// The items of the plan that were asked for, and those that they are compared with.
fn chosen(only: &[String]) -> Result<Vec<Item>> {
    let name = |item: &Item| format!("{}@{}", item.what.as_str(), item.in_flight);
    for wanted in only {
        if !PLAN.iter().any(|item| name(item) == *wanted) {
            let known: Vec<_> = PLAN.iter().map(name).collect();
            bail!("--only {wanted} is not measured; these are: {}", known.join(", "));
        }
    }
    let wanted: Vec<_> = PLAN.iter().filter(|item| only.is_empty() || only.contains(&name(item))).collect();
    let compared = |item: &Item| item.what == What::Empty && wanted.iter().any(|w| w.empty_at == item.in_flight);
    Ok(PLAN.into_iter().filter(|item| wanted.contains(&item) || compared(item)).collect())
}

/// All turns of each item of the plan, in the plan's order.
async fn take_turns(stage: &mut Stage, plan: &[Item], turns: u32) -> Result<Vec<Vec<Measured>>> {
    let bar = bar::new(u64::from(turns) * plan.len() as u64);
    let mut measured = vec![Vec::new(); plan.len()];
    for _ in 0..turns {
        for (item, results) in plan.iter().zip(&mut measured) {
            bar.set_message(format!("{} at {} in flight", item.what.as_str(), item.in_flight));
            results.push(stage.measure(item.what, item.in_flight).await?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(measured)
}

fn figures(plan: &[Item], turns: &[Vec<Measured>]) -> Vec<Measurement> {
    let rate_of_empty = |in_flight| {
        let index = plan.iter().position(|item| (item.what, item.in_flight) == (What::Empty, in_flight))?;
        let rates: Vec<_> = turns.get(index)?.iter().map(|measured| measured.turn.rate()).collect();
        Some(table::median(&rates))
    };
    let figure = |(item, turns): (&Item, &Vec<Measured>)| {
        table::measurement(item.what, item.in_flight, turns, rate_of_empty(item.empty_at))
    };
    plan.iter().zip(turns).map(figure).collect()
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
        format!("the audit holds; {} of {} targets met", targets().count() - missed, targets().count())
    } else {
        faults.join("; ")
    };
    let mut facts = vec![("turns", json!(pace.turns)), ("seconds_each", json!(pace.seconds))];
    facts.push(("connections", json!(pace.connections)));
    if let Some(usage) = stage.servers.usage() {
        facts.push(("server_memory_peak_mb", json!(usage.memory_peak_bytes / 1_000_000)));
    }
    if let Some(bytes) = stage.servers.data_bytes() {
        facts.push(("data_mb", json!(bytes / 1_000_000)));
    }
    Report { scenario, passed, audit, measurements, violations: Vec::new(), facts, summary }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_brings_along_what_it_is_compared_with() {
        let plan = chosen(&["batch_reserve@8".to_owned()]).unwrap();
        assert_eq!(
            plan.iter().map(|item| (item.what, item.in_flight)).collect::<Vec<_>>(),
            [(What::Empty, 64), (What::BatchReserve, 8),]
        );
        assert_eq!(chosen(&[]).unwrap().len(), PLAN.len());
        assert!(chosen(&["reserve@7".to_owned()]).unwrap_err().to_string().contains("reserve@64"));
    }
}
