//! Reports of runs that never were, to look at and to test the page with.

use clap::Parser as _;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;

use crate::audit::findings::{Key, Violation};
use crate::cli::{Cli, Common};
use crate::clock::{Micros, SECOND};
use crate::report::baseline::Baseline;
use crate::report::course::{Course, FaultMark, Felt, Latencies, RISE_FELT, Stock, Traffic};
use crate::report::{AuditCounts, Latency, Measurement, Report, Run, Target};

const BEGUN: Micros = 1_900_000_000 * SECOND;
const FAULTS: [&str; 5] = ["kill", "pause", "kill_database", "slow_network", "clock"];

pub(super) fn common(line: &str) -> Common {
    Cli::parse_from(line.split(' ')).scenario.common().clone()
}

pub(super) fn run(line: &str) -> Run {
    Run { command: line.to_owned(), begun: BEGUN }
}

pub(super) fn report(scenario: &'static str) -> Report {
    Report {
        scenario,
        passed: true,
        audit: AuditCounts { capacity: 2_000, sold: 2_000, unknown: 37, ..AuditCounts::default() },
        measurements: Vec::new(),
        baselines: Vec::new(),
        courses: Vec::new(),
        violations: Vec::new(),
        facts: vec![
            ("calls", json!(123_456)),
            ("generator_cpu_share", json!(0.412)),
            ("server_cpu_share", json!(0.395)),
            ("seconds_with_a_server_down", json!(1.25)),
        ],
        summary: "2000 of 2000 sold, none oversold, through 3 kills; every answer was true".to_owned(),
    }
}

/// A sale that went wrong in every way, and whose server writes what it should not.
pub(super) fn failed() -> Report {
    let evidence =
        (0..9).map(|line| format!("journal {line} at {}: RESERVED <b>&amp; \"{line}\"", BEGUN + line)).collect();
    let violation = |key, text: &str, evidence| Violation { key, text: text.to_owned(), evidence };
    Report {
        passed: false,
        audit: AuditCounts { sold: 2_013, oversold: 13, lost: 2, ..report("sale").audit },
        violations: vec![
            violation(
                Key::Oversold,
                "events/e/allocations/hot had 13 units more held and sold than its capacity",
                evidence,
            ),
            violation(Key::Disclosed, "buyer-7 was shown <script>alert('owned')</script>", Vec::new()),
        ],
        courses: vec![course(1, 15 * SECOND, 3, 30)],
        summary: "see the violations".to_owned(),
        ..report("sale")
    }
}

/// Many rounds, each with many faults.
pub(super) fn soak(rounds: u64) -> Report {
    let course = |round| {
        let begun = BEGUN + 20 * SECOND * i64::try_from(round).unwrap();
        Course { title: format!("Round {round}"), begun, ..course(round, 19 * SECOND, 8, 0) }
    };
    Report { courses: (1..=rounds).map(course).collect(), ..report("soak") }
}

/// A sale in which most tickets go at once, `beyond` more than there are.
fn course(seed: u64, span: Micros, faults: usize, beyond: i64) -> Course {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut latencies = Latencies::default();
    let outcomes = [
        ("CreateReservation", "granted", 2_000),
        ("CreateReservation", "SOLD_OUT", 9_000),
        ("CreateReservation", "INSUFFICIENT_AVAILABILITY", 300),
        ("CreateReservation", "ALL_HELD", 4_000),
        ("CreateReservation", "unknown", 40),
        ("GetReservation", "granted", 200),
        ("GetReservation", "RESERVATION_NOT_FOUND", 90),
        ("ExtendReservation", "granted", 80),
        ("ConfirmReservation", "granted", 1_900),
        ("ConfirmReservation", "RESERVATION_EXPIRED", 60),
        ("ConfirmReservation", "ALREADY_CONFIRMED", 50),
        ("ConfirmReservation", "busy", 12),
        ("ReleaseReservation", "granted", 200),
        ("CancelReservation", "granted", 150),
        ("CancelReservation", "NOT_CONFIRMED", 20),
    ];
    for (rpc, outcome, count) in outcomes {
        for _ in 0..count {
            let slow = if random.random_bool(0.01) { 40 } else { 1 };
            latencies.record(rpc, outcome, 300 + random.random_range(0..4_000) * random.random_range(1..3) * slow);
        }
    }
    let faults: Vec<_> = (0..faults)
        .map(|index| {
            let from = random.random_range(0..span * 9 / 10);
            let fault = FAULTS[index % FAULTS.len()];
            FaultMark { fault, from, to: from + random.random_range(SECOND / 10..SECOND) }
        })
        .collect();
    let felt = faults.iter().map(|mark| felt(mark, &mut random)).collect();
    let stock = (0..400).map(|index| stock(index, span, beyond, &mut random)).collect();
    let down = |at: Micros| faults.iter().any(|fault| (fault.from..fault.to).contains(&at));
    let traffic =
        (0..95).map(|index| traffic(index * span / 95, span / 95, down(index * span / 95), &mut random)).collect();
    let title = "sale".to_owned();
    Course { title, begun: BEGUN, stock, traffic, faults, felt, latencies, ..Course::default() }
}

fn felt(mark: &FaultMark, random: &mut SmallRng) -> Felt {
    let rise = random.random_range(-200..40_000);
    Felt {
        fault: mark.fault,
        from: mark.from,
        to: mark.to,
        calls_before: 400,
        p99_before_us: Some(4_000),
        calls_during: 300,
        p99_during_us: Some(4_000 + rise),
        rise_us: Some(rise),
        above_us: Some(if rise > RISE_FELT { SECOND / 2 } else { 0 }),
    }
}

fn stock(index: i64, span: Micros, beyond: i64, random: &mut SmallRng) -> Stock {
    let capacity = 2_000;
    let taken = (capacity + beyond) * (index * 4).min(400) / 400;
    let held = taken * (400 - index) / 400 * random.random_range(60..=100) / 100;
    Stock { at: index * index * span / 160_000, capacity, held, sold: taken * index / 400 }
}

fn traffic(at: Micros, width: Micros, down: bool, random: &mut SmallRng) -> Traffic {
    let times = if down { 0 } else { random.random_range(80..120) };
    let granted = if at < 2 * SECOND { 20 } else { 3 };
    let lacking = if at < 2 * SECOND { 5 } else { 14 };
    let failed = if down { random.random_range(1..30) } else { 0 };
    Traffic { at, width, granted: times * granted, lacking: times * lacking, refused: times / 2, failed }
}

pub(super) fn bench() -> Report {
    let rates = [("empty", 64, 84_321.0, 1.0), ("reserve", 64, 51_234.0, 0.607), ("reserve", 256, 66_001.0, 0.71)]
        .into_iter()
        .chain([("batch_reserve", 8, 301_250.0, 3.57), ("pgbench_update", 64, 2_731.0, 0.0)]);
    let measurement = |(name, in_flight, rate_per_s, ratio_to_empty): (&str, _, _, _)| Measurement {
        name: name.to_owned(),
        in_flight,
        rate_per_s,
        ratio_to_empty,
        latency_us: Latency { p50: 812, p99: 2_310, p999: 9_120, max: 31_007 },
        turns_per_s: vec![rate_per_s],
        server_cpu_s: Some(6.4),
        generator_us_each: Some(7.9),
        generator_headroom: Some(2.6),
        targets: match name {
            "reserve" => vec![
                Target { text: "0.61, at least 0.50, of empty@64".to_owned(), met: true },
                Target { text: "p99 2.8 times p50, at most 2".to_owned(), met: false },
            ],
            _ => Vec::new(),
        },
        ..Measurement::default()
    };
    Report { measurements: rates.map(measurement).collect(), ..report("bench") }
}

pub(super) fn compare() -> Report {
    let ways = [
        ("racy", 5_120.0, 812, 0, true, "read, then write: nothing between them keeps others out"),
        ("for_update", 871.0, 0, 0, true, "SELECT … FOR UPDATE, then write"),
        ("atomic_update", 1_612.0, 0, 0, true, "one conditional UPDATE"),
        ("serializable", 302.0, 0, 0, true, "serializable transactions, tried again where they clash"),
        ("version_column", 411.0, 0, 0, true, "a version column, compared when writing"),
        ("skip_locked", 2_410.0, 0, 0, true, "one row for each ticket, FOR UPDATE SKIP LOCKED"),
        ("redis_decr", 61_204.0, 0, 96, false, "DECR, and the order written afterwards"),
        ("redis_lua", 55_017.0, 0, 0, false, "a Lua script that checks, counts and notes the holder"),
        ("boxoffice", 43_876.0, 0, 0, true, "this server, over gRPC, holds and confirmations included"),
    ];
    let baseline = |(name, rate_per_s, oversold, stranded, survives_kill, how)| Baseline {
        name,
        rate_per_s,
        p99_us: 12_345,
        oversold,
        stranded,
        survives_kill,
        how,
    };
    Report { baselines: ways.map(baseline).into(), ..report("compare") }
}
