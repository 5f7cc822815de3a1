//! The hand-written way, for comparison: one atomic conditional update and one insert, a transaction for each reservation,
//! sent by PostgreSQL's own `pgbench` as one prepared statement. Nothing is faster on a client's side.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hdrhistogram::Histogram;

use super::driver::Turn;
use crate::report::latency_histogram;
use crate::server::PrivateDatabase;

/// The program that sends it.
pub const PROGRAM: &str = "pgbench";

const DATABASE: &str = "by_hand";
const TABLES: &str = include_str!("tables.sql");
const RESERVE: &str = include_str!("reserve.sql");

/// Threads of the program: as many as the generator of the other measurements has.
const THREADS: usize = 2;
/// So much of all transactions is logged, which is where the latencies come from: writing all down would cost time.
const LOGGED: &str = "0.2";
const LOG_PREFIX: &str = "by_hand_log";

/// Creates the database, beside that of the servers.
///
/// # Errors
/// Where PostgreSQL refuses.
pub async fn prepare(database: &PrivateDatabase) -> Result<()> {
    database.psql("postgres", &format!("CREATE DATABASE {DATABASE} TEMPLATE template0")).await.map(drop)
}

/// One turn on fresh tables: so many clients, each with a connection of its own, for `length` (whole seconds, at least one).
///
/// # Errors
/// Where the program fails, or did not do what it says.
pub async fn turn(database: &PrivateDatabase, clients: usize, length: Duration) -> Result<Turn> {
    database.psql(DATABASE, TABLES).await?;
    let (clients_argument, threads) = (clients.to_string(), clients.min(THREADS).to_string());
    let seconds = length.as_secs_f64().ceil().max(1.0).to_string();
    let (rate, prefix) = (format!("--sampling-rate={LOGGED}"), format!("--log-prefix={LOG_PREFIX}"));
    let arguments = ["-n", "-M", "prepared", "-f", "-", "-c", &clients_argument, "-j", &threads, "-T", &seconds];
    let arguments: Vec<_> = arguments.into_iter().chain(["-l", &rate, &prefix, DATABASE]).collect();
    let printed = database.run(PROGRAM, &arguments, RESERVE, length).await?;
    let latency = take_logs(database.directory())?;
    let turn =
        read(&printed, latency).with_context(|| format!("{PROGRAM} prints what is not understood: {printed}"))?;
    let held: u64 = database.psql(DATABASE, "SELECT held FROM allocation").await?.parse()?;
    ensure!(held >= turn.units, "{PROGRAM} says that it made {} reservations, and there are {held}", turn.units);
    Ok(turn)
}

/// Reads what the program prints at its end. The last `tps` is the one without the time that connecting took.
fn read(printed: &str, latency: Histogram<u64>) -> Option<Turn> {
    let after = |start: &str| printed.lines().filter_map(|line| line.strip_prefix(start)).next_back();
    let units: u64 = after("number of transactions actually processed: ")?.split('/').next()?.trim().parse().ok()?;
    let rate: f64 = after("tps = ")?.split(' ').next()?.parse().ok()?;
    let seconds = units as f64 / rate;
    (units > 0 && seconds.is_finite()).then_some(Turn { units, seconds, latency, units_in_all: units })
}

/// Reads the latencies of the logged transactions, and removes the logs.
fn take_logs(directory: &Path) -> Result<Histogram<u64>> {
    let mut latency = latency_histogram();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(LOG_PREFIX) {
            continue;
        }
        for line in std::fs::read_to_string(entry.path())?.lines() {
            // Client, transaction, microseconds, …
            let micros = line.split(' ').nth(2).and_then(|micros| micros.parse().ok());
            latency.saturating_record(micros.with_context(|| format!("not a line of {PROGRAM}'s log: {line}"))?);
        }
        std::fs::remove_file(entry.path())?;
    }
    ensure!(!latency.is_empty(), "{PROGRAM} logged nothing: the time measured is too short");
    Ok(latency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pgbench_prints_is_understood_in_all_versions() {
        let newer = "number of transactions actually processed: 3000\nlatency average = 1.0 ms\n\
                     initial connection time = 9.1 ms\ntps = 1500.000000 (without initial connection time)";
        let older = "number of transactions actually processed: 3000\ntps = 1400.0 (including connections establishing)\n\
                     tps = 1500.0 (excluding connections establishing)";
        for printed in [newer, older] {
            let turn = read(printed, latency_histogram()).unwrap();
            assert_eq!((turn.units, turn.seconds), (3_000, 2.0));
        }
        assert!(read("tps = 5", latency_histogram()).is_none());
    }
}
