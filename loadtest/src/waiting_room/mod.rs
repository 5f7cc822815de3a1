//! The scenario `waiting-room`: a crowd joins, the door is opened, and all that people were told is held against what the room
//! promises. In one run with several servers that share a Redis, and with one server that has the room in its memory.

mod audit;
mod crowd;
mod door;
mod estimates;
mod figures;
mod flow;
mod history;
mod passes;
mod stage;

use anyhow::{Context as _, Result, ensure};
use indicatif::ProgressBar;

use crate::audit::findings::{Findings, Key};
use crate::bar;
use crate::cli::WaitingRoomArgs;
use crate::report::Report;
use crate::server::{CpuShares, StoreChoice};
use figures::Outcome;
use flow::Numbers;
use history::{History, Told};
use passes::Passes;
use stage::{Kind, Stage};

/// Plays it.
///
/// # Errors
/// Where it cannot be played: no PostgreSQL, no Redis, no server, or a call that is not answered in a while.
pub async fn run(args: &WaitingRoomArgs) -> Result<Report> {
    let is_own = args.common.store == StoreChoice::PrivatePostgres && args.common.target.is_none();
    ensure!(is_own, "waiting-room needs a PostgreSQL, a Redis and servers of its own: leave --store and --target out");
    ensure!(args.seconds < 3_000.0, "--seconds must be below 3000");
    let least = args.admitted as usize + Numbers::of(args).watch;
    ensure!(args.joined as usize >= least, "--joined must be {least} at least, so that somebody is left in the line");
    let bar = bar::new(u64::from(args.joined) * 2);
    let mut outcomes = Vec::new();
    for kind in Kind::ALL {
        bar.set_message(kind.as_str());
        let mut stage = Stage::start(kind, args).await?;
        let outcome = play(&mut stage, kind, args, &bar).await;
        outcomes.push(outcome.map_err(|error| stage.servers.explain(error))?);
    }
    bar.finish_and_clear();
    Ok(figures::report(args, outcomes))
}

async fn play(stage: &mut Stage, kind: Kind, args: &WaitingRoomArgs, bar: &ProgressBar) -> Result<Outcome> {
    let empty_bytes = memory(stage).await?;
    let shares = CpuShares::begin(&stage.servers);
    let joined = crowd::joins(stage, args, bar).await?;
    let shares = shares.end(&stage.servers);
    let full_bytes = memory(stage).await?;
    let mut history = History { crowd: args.joined, asks: joined.asks, ..History::default() };
    let (line, numbers, mut passes) = (audit::line(&history), Numbers::of(args), Passes::default());
    let (inside, waiting) = line.split_at(args.admitted as usize);
    let (front, back) = waiting.split_at(numbers.watch);
    let late: Vec<_> = (args.joined..).take(numbers.late).collect();

    history.asks.extend(door::trickle(stage, args, &line, &mut passes).await?);
    let trickled = inside.iter().filter(|who| passes.has(**who)).count();
    let rush = door::rush(stage, args, &line, &mut passes).await?;
    let leaving = inside.get(..numbers.leave).context("more leave than are inside")?;
    let flow = flow::run(stage, args, leaving, front, &late, &mut passes).await?;
    let watching: Vec<_> =
        front.iter().filter(|who| flow.leaves.iter().all(|leave| leave.who != **who)).copied().collect();
    let back: Vec<_> = back.iter().chain(&late).copied().collect();
    let (asks, settled) = door::shut(stage, args, &watching, &back, &mut passes).await?;

    history.asks.extend(rush.asks.into_iter().chain(flow.asks).chain(asks));
    history.leaves = flow.leaves;
    history.settings.clone_from(&stage.settings);
    history.settled = settled;
    let mut findings = audit::audit(&history);
    expect(&mut findings, rush.admitted, inside.len(), "were let in when the door was wide open");
    expect(&mut findings, flow.admitted, leaving.len(), "were let in for those who left");
    passes.try_out(stage, &back, &mut findings).await?;
    Ok(Outcome {
        kind,
        joined_seconds: joined.seconds,
        latency: joined.latency,
        shares,
        empty_bytes,
        full_bytes,
        trickled,
        rush_seconds: rush.seconds,
        flow_admitted: flow.admitted,
        unanswered: history.asks.iter().filter(|ask| ask.told == Told::Nothing).count() as u64,
        history,
        findings,
    })
}

fn expect(findings: &mut Findings, admitted: usize, expected: usize, what: &str) {
    if admitted < expected {
        findings.add(Key::OutOfTurn, 1, format!("only {admitted} of {expected} {what}"), Vec::new());
    }
}

/// Bytes that hold the room: all of Redis, or of the one server; `None` where that cannot be seen.
async fn memory(stage: &Stage) -> Result<Option<u64>> {
    match stage.servers.redis() {
        Some(redis) => redis.memory_bytes().await.map(Some),
        None => Ok(stage.servers.usage().map(|usage| usage.memory_bytes)),
    }
}
