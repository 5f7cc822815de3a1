//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::faults::FaultArgs;
use crate::sale::{Kind, Shape};
use crate::server::StoreChoice;

/// Hammers a Boxoffice server, and proves that it did not oversell. Exit code 0: passed, 1: failed, 2: could not run.
#[derive(Debug, Parser)]
#[command(version, about, after_help = "Without a scenario, it is `sale`.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub scenario: Scenario,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Scenario {
    /// Sell out a hot event while servers are killed again and again; then audit every answer.
    Sale(LoadArgs),
    /// A hundred requests for each ticket; then the same audit, as after each of the following.
    Storm(LoadArgs),
    /// Many events and allocations, several of them in one reservation, and operators who change capacities
    /// and pause sales.
    Mixed(LoadArgs),
    /// Owners who try to pass their limits with many requests at once.
    Limits(LoadArgs),
    /// Buyers who come back at the very moment of expiry; once with servers that look for lapsed holds, once without.
    Expiry(LoadArgs),
    /// Every request is sent one to five times at once, and some are given up before the answer.
    Duplicates(LoadArgs),
    /// Sale after sale on the same servers, of each of these kinds in turn, while everything goes wrong in turn.
    Soak(SoakArgs),
    /// Measure rates and latencies against the empty call of the same server; on a private PostgreSQL also against SQL that is
    /// written by hand, and with several servers against one of them.
    Bench(BenchArgs),
    /// Measure whether the rate holds after millions of reservations and with thousands of events.
    Growth(GrowthArgs),
    /// Load a server with up to ten times of what it can serve, and see what it still serves, how soon, and in how much memory.
    Overload(OverloadArgs),
    /// Measure what a Redis that servers share brings those who look at a sale, and what it costs those who buy, on a PostgreSQL
    /// and a Redis of its own: against servers without one, in turns.
    Views(ViewsArgs),
    /// Let a crowd into a waiting room, with and without a Redis that servers share, on servers of its own; then audit its order, its
    /// bounds, its passes and its estimates by what each was told.
    WaitingRoom(WaitingRoomArgs),
    /// Hold the same sale in the ways that people write by hand, on a PostgreSQL and a Redis of its own, and with Boxoffice:
    /// what each sells in a second, oversells, and loses when its store is killed.
    Compare(CompareArgs),
}

/// What may stand first without a scenario.
const OTHER_FIRST_WORDS: [&str; 5] = ["help", "-h", "--help", "-V", "--version"];

/// Reads the command line; the scenario is `sale` where none is named.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Cli {
    let mut arguments: Vec<_> = arguments.into_iter().collect();
    let cli = Cli::command();
    let words = cli.get_subcommands().map(clap::Command::get_name).chain(OTHER_FIRST_WORDS);
    let named = arguments.get(1).is_some_and(|first| words.into_iter().any(|word| first == word));
    if !named {
        arguments.insert(arguments.len().min(1), "sale".into());
    }
    Cli::parse_from(arguments)
}

/// Options of every scenario.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Seed of all random choices
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write the result to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the result to this file, as a page to look at: one file that needs no network
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Store of the child servers: sqlite, postgres (a private server on a fresh database, gone at the end), or the
    /// postgres://… URL of a database on this machine, to which events are added and from which nothing is removed
    #[arg(long, default_value = "sqlite", value_name = "STORE|URL")]
    pub store: StoreChoice,
    /// How many child servers share the store; with sqlite only 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub servers: u32,
    /// Let the child servers share a Redis of the load test's own: what people look at, and the limits of how often they may call
    #[arg(long)]
    pub redis: bool,
    /// Use the server that runs at this URL (with --dev) instead of a child; it is never killed
    #[arg(long, value_name = "URL")]
    pub target: Option<String>,
    /// The server to start; else the one beside this program, built if need be
    #[arg(long, value_name = "PATH", env = "BOXOFFICE_SERVER_BINARY")]
    pub server_binary: Option<PathBuf>,
    /// Keep the child servers' SQLite data and logs; a private PostgreSQL is never kept
    #[arg(long)]
    pub keep: bool,
}

/// Options of the scenarios that sell. What is not given is as the scenario has it.
#[derive(Debug, Clone, Args)]
pub struct LoadArgs {
    /// Options of every scenario.
    #[command(flatten)]
    pub common: Common,
    /// Events on sale at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub events: Option<u32>,
    /// Allocations of each event
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub allocations: Option<u32>,
    /// Tickets to sell, over all allocations
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=100_000_000))]
    pub tickets: Option<i32>,
    /// Buyers who want them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    pub buyers: Option<u32>,
    /// How often to kill a server in mid-sale, one at random of several; 0 with --target
    #[arg(long, value_name = "N")]
    pub kills: Option<u32>,
    /// Most tickets for one buyer; 0: no limit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..=1_000))]
    pub limit: Option<i32>,
    /// Most tickets for one buyer of one allocation; 0: no limit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..=1_000))]
    pub allocation_limit: Option<i32>,
    /// How long a hold lives, in seconds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=600))]
    pub hold_seconds: Option<i64>,
    /// How buyers come
    #[arg(long)]
    pub shape: Option<Shape>,
    /// Buyers a second, who come at times that are fixed in advance however slow the servers are
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = positive)]
    pub rate: Option<f64>,
    /// Buyers come within so many seconds, at times that are fixed in advance
    #[arg(long, value_name = "N", value_parser = positive)]
    pub seconds: Option<f64>,
    /// Buyers at work at the same time, at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub in_flight: Option<u32>,
    /// Connections that they share
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub connections: u32,
    /// Operators who change capacities and pause sales, in mid-sale
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub operators: Option<u32>,
    /// People who only look: half of them ask again and again, half of them follow the event. What they are shown is audited,
    /// too. Without --redis 0, with it 8, unless said otherwise
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub viewers: Option<u32>,
    /// How long to wait, in seconds, for all holds to drain
    #[arg(long, default_value_t = 60)]
    pub drain_seconds: u64,
    /// What goes wrong.
    #[command(flatten)]
    pub faults: FaultArgs,
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "must be a number".to_owned())?;
    if number.is_finite() && number > 0.0 && number <= 1e6 {
        Ok(number)
    } else {
        Err("must be above 0, and at most 1,000,000".to_owned())
    }
}

/// Options of `soak`.
#[derive(Debug, Clone, Args)]
pub struct SoakArgs {
    /// Options of every scenario.
    #[command(flatten)]
    pub common: Common,
    /// How long; the last round is played to its end
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration)]
    pub duration: Duration,
    /// Within how many seconds the buyers of each round come
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub round_seconds: u32,
    /// Buyers a second
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Connections that buyers share
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub connections: u32,
    /// What goes wrong: without it, everything that these servers can have.
    #[command(flatten)]
    pub faults: FaultArgs,
}

/// Options of the scenarios that measure.
#[derive(Debug, Clone, Args)]
pub struct Pace {
    /// Turns of each measurement; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub turns: u32,
    /// Seconds of each turn of each measurement
    #[arg(long, default_value_t = 4.0, value_parser = positive)]
    pub seconds: f64,
    /// Connections of the generator
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub connections: u32,
    /// Fail where a target is missed, not only where the audit finds something
    #[arg(long)]
    pub strict: bool,
}

/// Options of `bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Options of every scenario.
    #[command(flatten)]
    pub common: Common,
    /// How to measure.
    #[command(flatten)]
    pub pace: Pace,
    /// Only these measurements, such as reserve@64; those that they are compared with come along
    #[arg(long, value_name = "NAME@IN_FLIGHT", value_delimiter = ',')]
    pub only: Vec<String>,
    /// With --store postgres: let each commit wait for a standby that applies it so much later, as in another zone
    #[arg(long, value_name = "DURATION", value_parser = commit_delay)]
    pub commit_delay: Option<Duration>,
}

/// PostgreSQL counts such a delay in whole milliseconds.
fn commit_delay(text: &str) -> Result<Duration, String> {
    let delay = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let whole = delay.subsec_nanos() % 1_000_000 == 0;
    if whole && (Duration::from_millis(1)..=Duration::from_secs(1)).contains(&delay) {
        Ok(delay)
    } else {
        Err("must be 1ms to 1s, in whole milliseconds".to_owned())
    }
}

/// Options of `growth`.
#[derive(Debug, Clone, Args)]
pub struct GrowthArgs {
    /// Options of every scenario.
    #[command(flatten)]
    pub common: Common,
    /// How to measure.
    #[command(flatten)]
    pub pace: Pace,
    /// Reservations to make in one event between the measurements
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=500_000_000))]
    pub reservations: u64,
    /// Events that are on sale at once
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub events: u32,
}

/// Options of `overload`. Its database is always its own, and made slow.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("store", |store| store.default_value("postgres").hide(true)))]
#[command(mut_arg("target", |target| target.hide(true)))]
pub struct OverloadArgs {
    /// Options of every scenario.
    #[command(flatten)]
    pub common: Common,
    /// Seconds of each level that count
    #[arg(long, default_value_t = 8.0, value_parser = positive)]
    pub seconds: f64,
    /// Seconds at the beginning of each level that do not: a crowd is served for half a second before the queue is found to stand
    #[arg(long, default_value_t = 6.0, value_parser = positive)]
    pub settle_seconds: f64,
    /// Connections of the generator
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub connections: u32,
}

/// Options of `views`. Its store, its Redis and its servers are always its own.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("store", |store| store.default_value("postgres").hide(true)))]
#[command(mut_arg("servers", |servers| servers.default_value("3")))]
#[command(mut_arg("target", |target| target.hide(true)))]
#[command(mut_arg("redis", |redis| redis.hide(true)))]
pub struct ViewsArgs {
    /// Options of every scenario.
    #[command(flatten)]
    pub common: Common,
    /// How to measure.
    #[command(flatten)]
    pub pace: Pace,
    /// Those who look, each again as soon as he was shown something
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub viewers: u32,
    /// Reservations a second meanwhile
    #[arg(long, value_name = "N", default_value_t = 200.0, value_parser = positive)]
    pub sale_rate: f64,
}

/// Options of `waiting-room`. Its Redis and its servers are always its own; without Redis it is one server on SQLite.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("store", |store| store.default_value("postgres").hide(true)))]
#[command(mut_arg("servers", |servers| servers.default_value("2")))]
#[command(mut_arg("target", |target| target.hide(true)))]
#[command(mut_arg("redis", |redis| redis.hide(true)))]
pub struct WaitingRoomArgs {
    /// Options of every scenario.
    #[command(flatten)]
    pub common: Common,
    /// People who join before the door is opened
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1..=1_900_000))]
    pub joined: u32,
    /// People who may be inside: some are let in at --rate for three seconds, the others then at once
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub admitted: u32,
    /// Admissions a second, at first and when the house is full; then half as many leave, for each of whom somebody else is let in
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// For how many seconds they leave
    #[arg(long, value_name = "N", default_value_t = 20.0, value_parser = positive)]
    pub seconds: f64,
    /// Owners who are at it at the same time
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub in_flight: u32,
    /// Connections that they share
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub connections: u32,
}

/// Options of `compare`. Its stores and servers are always its own, so what says otherwise is refused, and not offered.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("store", |store| store.default_value("postgres").hide(true)))]
#[command(mut_arg("target", |target| target.hide(true)))]
pub struct CompareArgs {
    /// Options of every scenario.
    #[command(flatten)]
    pub common: Common,
    /// Tickets of each sale; each way holds two
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(i32).range(1..=1_000_000))]
    pub tickets: i32,
    /// Buyers who want one ticket each; half as many again as there are tickets, unless said otherwise
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    pub buyers: Option<u32>,
    /// Buyers at work at the same time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=500))]
    pub in_flight: u32,
    /// Connections that buyers of the ways by hand on PostgreSQL share; one each, unless said otherwise
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub connections: Option<u32>,
    /// How often the store (and with Boxoffice also its server) is killed in the second sale
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub kills: u32,
    /// Only these ways, such as racy,for_update
    #[arg(long, value_name = "WAY", value_delimiter = ',')]
    pub only: Vec<String>,
}

impl Scenario {
    /// Its name on the command line.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sale(_) => Kind::Sale.as_str(),
            Self::Storm(_) => Kind::Storm.as_str(),
            Self::Mixed(_) => Kind::Mixed.as_str(),
            Self::Limits(_) => Kind::Limits.as_str(),
            Self::Expiry(_) => Kind::Expiry.as_str(),
            Self::Duplicates(_) => Kind::Duplicates.as_str(),
            Self::Soak(_) => "soak",
            Self::Bench(_) => "bench",
            Self::Growth(_) => "growth",
            Self::Overload(_) => "overload",
            Self::Views(_) => "views",
            Self::WaitingRoom(_) => "waiting-room",
            Self::Compare(_) => "compare",
        }
    }

    /// Its options that all scenarios have.
    pub fn common(&self) -> &Common {
        match self {
            Self::Sale(args)
            | Self::Storm(args)
            | Self::Mixed(args)
            | Self::Limits(args)
            | Self::Expiry(args)
            | Self::Duplicates(args) => &args.common,
            Self::Soak(args) => &args.common,
            Self::Bench(args) => &args.common,
            Self::Growth(args) => &args.common,
            Self::Overload(args) => &args.common,
            Self::Views(args) => &args.common,
            Self::WaitingRoom(args) => &args.common,
            Self::Compare(args) => &args.common,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(line: &str) -> Scenario {
        parse(line.split(' ').map(OsString::from)).scenario
    }

    #[test]
    fn the_scenario_is_sale_where_none_is_named() {
        assert!(matches!(scenario("loadtest"), Scenario::Sale(args) if args.kills.is_none()));
        assert!(matches!(scenario("loadtest --kills 9 --seed 4"), Scenario::Sale(args) if args.kills == Some(9)));
        assert!(matches!(scenario("loadtest sale --kills 9"), Scenario::Sale(args) if args.kills == Some(9)));
        assert!(matches!(scenario("loadtest bench --turns 5"), Scenario::Bench(args) if args.pace.turns == 5));
        assert_eq!(scenario("loadtest growth --seed 7").common().seed, 7);
        let names = Cli::command();
        for name in names.get_subcommands().map(clap::Command::get_name) {
            assert_eq!(scenario(&format!("loadtest {name}")).name(), name);
        }
        assert!(matches!(scenario("loadtest compare --kills 2"), Scenario::Compare(args) if args.kills == 2));
    }

    #[test]
    fn the_store_is_sqlite_unless_the_scenario_has_its_own() {
        assert_eq!(scenario("loadtest bench").common().store, StoreChoice::Sqlite);
        assert_eq!(scenario("loadtest compare").common().store, StoreChoice::PrivatePostgres);
        assert_eq!(scenario("loadtest compare --store sqlite").common().store, StoreChoice::Sqlite);
    }
}
