//! Sale after sale on the same servers, of each kind in turn, while everything goes wrong in turn; each is audited by itself.

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use super::plan::{Kind, Plan};
use super::results::Results;
use super::round;
use crate::cli::SoakArgs;
use crate::faults::{self, Fault};
use crate::report::Report;
use crate::server::Servers;

/// The kinds of sales, in turn. Their number has no divisor in common with that of the faults of either store, so that each
/// kind meets each fault.
const KINDS: [Kind; 7] =
    [Kind::Mixed, Kind::Sale, Kind::Duplicates, Kind::Mixed, Kind::Limits, Kind::Expiry, Kind::Storm];

/// What goes wrong, one kind of it in each round.
const FAULTS: [Fault; 13] = [
    Fault::KillServer,
    Fault::DropReplies,
    Fault::Delay,
    Fault::Partition,
    Fault::Pause,
    Fault::KillDatabase,
    Fault::FlushRedis,
    Fault::KillRedis,
    Fault::PauseRedis,
    Fault::SlowRedis,
    Fault::FailOverRedis,
    Fault::FillRedis,
    Fault::GarbleRedis,
];

/// Sells until the time is over; at least one round.
///
/// # Errors
/// Where a sale could not be held: no server. A [`Misdeed`](crate::misdeed::Misdeed) where one died by itself.
pub async fn run(args: &SoakArgs) -> Result<Report> {
    let possible = possible(args)?;
    let mut servers = Servers::start(&args.common, super::options(&args.common, &possible)).await?;
    let mut results = Results::new("soak");
    let begun = Instant::now();
    for round in 0.. {
        let kind = *KINDS.get(round % KINDS.len()).unwrap_or(&Kind::Mixed);
        let fault = possible.get(round % possible.len().max(1)).copied();
        let plan = plan(kind, fault, args);
        let title = format!("round {}: {}, {}", round + 1, kind.as_str(), fault.map_or("no faults", Fault::as_str));
        let seed = args.common.seed.wrapping_add(round as u64);
        let sold = round::hold(&plan, seed, &mut servers).await?;
        results.add(&title, &plan, sold).await?;
        if begun.elapsed() >= args.duration || !results.is_clean() {
            break;
        }
    }
    results.hear(&servers);
    Ok(results.report())
}

/// The faults that were asked for, or all that these servers can have.
fn possible(args: &SoakArgs) -> Result<Vec<Fault>> {
    let asked = &args.faults.faults;
    faults::check(asked, &args.common)?;
    let can = |fault: &Fault| faults::check(&[*fault], &args.common).is_ok();
    Ok(if asked.is_empty() { FAULTS.into_iter().filter(can).collect() } else { asked.clone() })
}

/// A sale of a few thousand buyers, with more of them than tickets.
fn plan(kind: Kind, fault: Option<Fault>, args: &SoakArgs) -> Plan {
    Plan {
        connections: args.connections,
        viewers: super::plan::viewers(&args.common),
        kills: 0,
        faults: fault.into_iter().collect(),
        swept: args.common.target.is_none(),
        patience: Duration::from_secs(60),
        ..Plan::small(kind, args.round_seconds, args.rate)
    }
}
