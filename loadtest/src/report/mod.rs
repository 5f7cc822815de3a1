//! What a run ends with: a table and a verdict for people, an object for programs, a page to look at.

pub mod baseline;
pub mod course;
mod felt;
mod files;
mod html;
mod percentiles;
mod run;
mod table;
mod words;

use std::io::{ErrorKind, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::audit::Verdict;
use crate::audit::findings::{Key, Violation};
use crate::cli::Common;
use crate::misdeed::Misdeed;
use baseline::Baseline;
use course::{Course, Latencies};
pub use files::check as check_files;
pub use run::Run;

/// What a scenario came to.
#[derive(Debug)]
pub struct Report {
    /// Its name.
    pub scenario: &'static str,
    /// Whether everything was as it must be.
    pub passed: bool,
    /// See [`AuditCounts`].
    pub audit: AuditCounts,
    /// Rates and latencies.
    pub measurements: Vec<Measurement>,
    /// Ways to sell tickets, one beside the other.
    pub baselines: Vec<Baseline>,
    /// What happened over time: one for each sale.
    pub courses: Vec<Course>,
    /// What went wrong, in words.
    pub violations: Vec<Violation>,
    /// Further facts, for people and programs alike: a name and a value.
    pub facts: Vec<(&'static str, Value)>,
    /// The verdict in one line, without the word itself.
    pub summary: String,
}

/// The audit in figures; the first nine are the contract's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AuditCounts {
    /// Units in all.
    pub capacity: i64,
    /// Units sold.
    pub sold: i64,
    /// See [`Key`], here and below.
    pub oversold: u64,
    /// See [`Key`].
    pub lost: u64,
    /// See [`Key`].
    pub duplicated: u64,
    /// See [`Key`].
    pub leaked: u64,
    /// See [`Key`].
    pub stranded: u64,
    /// See [`Key`].
    pub false_sold_out: u64,
    /// Attempts whose outcome the client did not learn; no violation.
    pub unknown: u64,
    /// See [`Key`].
    pub limit_passed: u64,
    /// See [`Key`].
    pub journal: u64,
    /// See [`Key`].
    pub mismatched: u64,
    /// See [`Key`].
    pub disclosed: u64,
    /// See [`Key`].
    pub wrong_answer: u64,
    /// See [`Key`].
    pub out_of_turn: u64,
    /// See [`Key`].
    pub not_linearizable: u64,
    /// See [`Key`].
    pub unproven: u64,
}

impl AuditCounts {
    /// Adds those of another event.
    pub fn add(&mut self, other: &Self) {
        self.capacity += other.capacity;
        self.sold += other.sold;
        self.unknown += other.unknown;
        for (key, count) in other.violations() {
            *self.of_mut(key) += count;
        }
    }

    /// Units or cases of each kind of violation, in the order of the contract.
    fn violations(&self) -> [(Key, u64); Key::ALL.len()] {
        let mut counts = self.clone();
        Key::ALL.map(|key| (key, *counts.of_mut(key)))
    }

    /// Whether there is no violation of any kind.
    pub fn is_clean(&self) -> bool {
        self.violations().iter().all(|(_, count)| *count == 0)
    }

    /// Where violations of one kind are counted.
    fn of_mut(&mut self, key: Key) -> &mut u64 {
        match key {
            Key::Oversold => &mut self.oversold,
            Key::Lost => &mut self.lost,
            Key::Duplicated => &mut self.duplicated,
            Key::Leaked => &mut self.leaked,
            Key::Stranded => &mut self.stranded,
            Key::FalseSoldOut => &mut self.false_sold_out,
            Key::LimitPassed => &mut self.limit_passed,
            Key::Journal => &mut self.journal,
            Key::Mismatched => &mut self.mismatched,
            Key::Disclosed => &mut self.disclosed,
            Key::WrongAnswer => &mut self.wrong_answer,
            Key::OutOfTurn => &mut self.out_of_turn,
            Key::NotLinearizable => &mut self.not_linearizable,
            Key::Unproven => &mut self.unproven,
        }
    }
}

impl From<&Verdict> for AuditCounts {
    fn from(verdict: &Verdict) -> Self {
        let mut counts = Self {
            capacity: verdict.capacity.into(),
            sold: verdict.sold.into(),
            unknown: verdict.unknown,
            ..Self::default()
        };
        for key in Key::ALL {
            *counts.of_mut(key) = verdict.findings.count(key);
        }
        counts
    }
}

/// One rate with its latencies.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Measurement {
    /// Of what.
    pub name: String,
    /// Calls at the same time.
    pub in_flight: usize,
    /// Median over the turns. Of `batch_reserve`: reservations, not calls.
    pub rate_per_s: f64,
    /// The rate over that of the empty call at the same `in_flight` (of `batch_reserve`: at 64); 0 where there is none.
    pub ratio_to_empty: f64,
    /// Of single calls, over all turns.
    pub latency_us: Latency,
    /// The rate of each turn.
    pub turns_per_s: Vec<f64>,
    /// CPU time of the servers over all turns, without a PostgreSQL below them; `null` where it cannot be seen.
    pub server_cpu_s: Option<f64>,
    /// CPU time of the load generator over all turns; `null` where it cannot be seen.
    pub generator_cpu_s: Option<f64>,
    /// CPU time of the load generator for each unit of work, in microseconds; `null` where it cannot be seen.
    pub generator_us_each: Option<f64>,
    /// How many times this rate the generator could drive with its threads, if it had the machine to itself; `null` where it cannot be seen.
    pub generator_headroom: Option<f64>,
    /// What it must reach.
    pub targets: Vec<Target>,
}

/// What a measurement must reach.
#[derive(Debug, Clone, Serialize)]
pub struct Target {
    /// In words.
    pub text: String,
    /// Whether it did.
    pub met: bool,
}

/// Latencies in microseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Latency {
    /// Half of the calls were faster.
    pub p50: u64,
    /// 99 of 100 were faster.
    pub p99: u64,
    /// 999 of 1,000 were faster.
    pub p999: u64,
    /// The slowest.
    pub max: u64,
}

impl From<&Histogram<u64>> for Latency {
    fn from(histogram: &Histogram<u64>) -> Self {
        Self {
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

/// A histogram of microseconds, exact to a percent, small enough that each of hundreds of tasks can have one.
pub fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_MAX_MICROS, 2).expect("the highest value is above 2, and 2 digits are allowed")
}

/// Records one in such a histogram.
pub fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    histogram.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
}

/// Longer latencies count as this: five minutes.
const LATENCY_MAX_MICROS: u64 = 300_000_000;

impl Report {
    /// Of a run that a server ended by what it did.
    pub fn ended_by(misdeed: Misdeed, scenario: &'static str) -> Self {
        let violation = misdeed.into_violation();
        let mut audit = AuditCounts::default();
        *audit.of_mut(violation.key) += 1;
        Self {
            scenario,
            passed: false,
            audit,
            measurements: Vec::new(),
            baselines: Vec::new(),
            courses: Vec::new(),
            summary: format!("it ended early: {}", violation.text),
            violations: vec![violation],
            facts: Vec::new(),
        }
    }

    /// The object of the contract.
    pub fn to_json(&self, common: &Common) -> Value {
        let facts: Map<_, _> = self.facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let violation = |violation: &Violation| json!({"key": violation.key.as_str(), "text": violation.text, "evidence": violation.evidence});
        json!({
            "scenario": self.scenario,
            "verdict": if self.passed { "pass" } else { "fail" },
            "seed": common.seed,
            "store": common.store.as_str(),
            "servers": common.servers,
            "audit": self.audit,
            "measurements": self.measurements,
            "baselines": self.baselines,
            "courses": self.courses,
            "latencies": self.latencies(),
            "faults": felt::json(&felt::worst(&self.courses)),
            "violations": self.violations.iter().map(violation).collect::<Vec<_>>(),
            "facts": facts,
        })
    }

    /// Over all courses.
    pub fn latencies(&self) -> Latencies {
        Latencies::sum(self.courses.iter().map(|course| &course.latencies))
    }

    /// Prints it for people. Who closes stdout has read enough.
    ///
    /// # Errors
    /// Where it cannot be printed.
    pub fn print(&self) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(table::text(self).as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("the report cannot be printed"),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Writes the files that the command line asks for.
    ///
    /// # Errors
    /// Where one cannot be written.
    pub fn write(&self, common: &Common, run: &Run) -> Result<()> {
        if let Some(path) = &common.json {
            files::write(path, &files::json_lines(&self.to_json(common)))?;
        }
        if let Some(path) = &common.html {
            files::write(path, &html::page(self, common, run))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::findings::Findings;

    #[test]
    fn each_kind_of_violation_is_counted_under_its_own_name() {
        let mut findings = Findings::default();
        for (key, count) in Key::ALL.into_iter().zip(1..) {
            findings.add(key, count, String::new(), Vec::new());
        }
        let mut counts = AuditCounts::from(&Verdict { capacity: 50, sold: 40, unknown: 30, findings });
        counts.add(&counts.clone());
        let Value::Object(told) = serde_json::to_value(&counts).unwrap() else { panic!("not an object") };
        let mut expected =
            Map::from_iter([("capacity", 100), ("sold", 80), ("unknown", 60)].map(|(n, c)| (n.to_owned(), json!(c))));
        expected.extend(Key::ALL.into_iter().zip(1..).map(|(key, count)| (key.as_str().to_owned(), json!(2 * count))));
        assert_eq!(told, expected);
        assert!(!counts.is_clean() && AuditCounts { sold: 1, ..AuditCounts::default() }.is_clean());
    }
}
