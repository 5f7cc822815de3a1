//! Hammers a Boxoffice server, and proves that it did not oversell.
//!
//! A black box: it knows the server only by the generated client. A scenario ([`sale`], [`bench`], [`growth`],
//! [`overload`], [`views`], [`waiting_room`], [`compare`]) drives [`server`]s that are its child processes; buyers record what they were told ([`history`]); the auditor ([`audit`]) holds
//! that against the journal, the counters and the reservations; [`report`] tells the outcome.

pub mod audit;
mod back_off;
mod bar;
pub mod bench;
pub mod cli;
pub mod client;
pub mod clock;
pub mod compare;
pub mod event;
pub mod faults;
pub mod fetch;
pub mod growth;
pub mod history;
mod interruption;
pub mod misdeed;
pub mod overload;
pub mod report;
pub mod sale;
pub mod server;
pub mod views;
pub mod waiting_room;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};

use cli::Scenario;
use misdeed::Misdeed;
use report::{Report, Run};
use sale::Kind;

/// Threads of the generator. More would take the processors from the server, which runs on the same machine.
const WORKER_THREADS: usize = 2;

/// Exit codes of the contract.
const FAILED: u8 = 1;
const COULD_NOT_RUN: u8 = 2;

/// Runs the scenario of a command line to its end, and tells how it went.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let this_run = Run::begin(&arguments);
    let scenario = cli::parse(arguments).scenario;
    match run(&scenario, &this_run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => {
            eprintln!("loadtest could not run: {error:#}");
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

fn run(scenario: &Scenario, this_run: &Run) -> Result<bool> {
    let common = scenario.common();
    report::check_files(common)?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(WORKER_THREADS).enable_all().build()?;
    // Whoever loses is dropped, and with the scenario all its processes and directories go.
    let played = runtime.block_on(async {
        tokio::select! {
            report = play(scenario) => report,
            signal = interruption::wait() => bail!("interrupted by {}", signal?),
        }
    });
    // An audit that nobody waits for any more keeps nobody.
    runtime.shutdown_background();
    let report = played?;
    // Neither is lost because the other fails.
    let written = report.write(common, this_run);
    report.print()?;
    written?;
    Ok(report.passed)
}

/// Plays a scenario; what it came to is in the report, also where a server ended it by what it did.
///
/// # Errors
/// Where it could not run.
pub async fn play(scenario: &Scenario) -> Result<Report> {
    match play_to_the_end(scenario).await {
        Ok(report) => Ok(report),
        Err(error) => Ok(Report::ended_by(error.downcast::<Misdeed>()?, scenario.name())),
    }
}

async fn play_to_the_end(scenario: &Scenario) -> Result<Report> {
    match scenario {
        Scenario::Sale(args) => sale::run(Kind::Sale, args).await,
        Scenario::Storm(args) => sale::run(Kind::Storm, args).await,
        Scenario::Mixed(args) => sale::run(Kind::Mixed, args).await,
        Scenario::Limits(args) => sale::run(Kind::Limits, args).await,
        Scenario::Expiry(args) => sale::run(Kind::Expiry, args).await,
        Scenario::Duplicates(args) => sale::run(Kind::Duplicates, args).await,
        Scenario::Soak(args) => sale::soak::run(args).await,
        Scenario::Bench(args) => bench::run(args).await,
        Scenario::Growth(args) => growth::run(args).await,
        Scenario::Overload(args) => overload::run(args).await,
        Scenario::Views(args) => views::run(args).await,
        Scenario::WaitingRoom(args) => waiting_room::run(args).await,
        Scenario::Compare(args) => compare::run(args).await,
    }
}
