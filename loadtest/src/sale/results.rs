//! What the sales of a run came to, added up for the report.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::plan::Plan;
use super::round::Round;
use super::viewer::Views;
use crate::audit::evidence::Evidence;
use crate::audit::findings::Violation;
use crate::audit::{self, Verdict};
use crate::faults;
use crate::history::{Call, Told};
use crate::report::course::{Course, FaultMark};
use crate::report::{AuditCounts, Latency, Measurement, Report, latency_histogram};
use crate::server::{RedisLines, Servers, Shares};

/// Most violations that are told in words; all are counted.
const VIOLATIONS_MAX: usize = 50;

/// One run's sales.
pub(super) struct Results {
    scenario: &'static str,
    buyers: u64,
    in_flight: u32,
    shares: Shares,
    audit: AuditCounts,
    violations: Vec<Violation>,
    latency: hdrhistogram::Histogram<u64>,
    seconds: f64,
    drained_after: Duration,
    faults: Vec<FaultMark>,
    late: u32,
    operator_calls: usize,
    calls: Counts,
    courses: Vec<Course>,
    views: Views,
    redis_lines: Vec<RedisLines>,
}

/// How many calls had which answer.
#[derive(Debug, Default)]
struct Counts {
    all: usize,
    answered: usize,
    granted: usize,
    refused: usize,
}

impl Results {
    /// Nothing yet.
    pub(super) fn new(scenario: &'static str) -> Self {
        Self {
            scenario,
            buyers: 0,
            in_flight: 0,
            shares: Shares::default(),
            audit: AuditCounts::default(),
            violations: Vec::new(),
            latency: latency_histogram(),
            seconds: 0.0,
            drained_after: Duration::ZERO,
            faults: Vec::new(),
            late: 0,
            operator_calls: 0,
            calls: Counts::default(),
            courses: Vec::new(),
            views: Views::default(),
            redis_lines: Vec::new(),
        }
    }

    /// Reads what the servers' logs say of Redis, before they are gone.
    pub(super) fn hear(&mut self, servers: &Servers) {
        if servers.redis().is_some() {
            self.redis_lines.extend(servers.redis_lines());
        }
    }

    /// Audits a sale, and adds it. The audit has a thread of its own: meanwhile signals are heard.
    ///
    /// # Errors
    /// Where the audit breaks off.
    pub(super) async fn add(&mut self, title: &str, plan: &Plan, round: Round) -> Result<()> {
        let Round { evidence, faults, .. } = round;
        eprintln!("auditing {title}: {} calls", evidence.iter().map(|e| e.calls.len()).sum::<usize>());
        let (title, marks) = (title.to_owned(), faults.clone());
        let (course, judged) = spawn_blocking(move || judge(title, marks, evidence)).await?;
        self.courses.push(course);
        for (evidence, verdict) in judged {
            self.audit.add(&AuditCounts::from(&verdict));
            let room = VIOLATIONS_MAX.saturating_sub(self.violations.len());
            self.violations.extend(verdict.findings.violations.into_iter().take(room));
            self.operator_calls += evidence.operators.len();
            evidence.calls.iter().for_each(|call| self.count(call));
        }
        self.buyers += u64::from(plan.buyers);
        self.in_flight = self.in_flight.max(plan.in_flight);
        self.seconds += round.seconds;
        self.shares.add(&round.shares);
        self.drained_after = self.drained_after.max(round.drained_after);
        self.faults.extend(faults);
        self.late += round.late;
        self.views.count(&round.views);
        Ok(())
    }

    fn count(&mut self, call: &Call) {
        self.calls.all += 1;
        self.calls.answered += usize::from(call.told.is_final());
        self.calls.granted += usize::from(matches!(call.told, Told::Shown(_)));
        self.calls.refused += usize::from(matches!(call.told, Told::Refused(_)));
        if call.told.is_final() {
            self.latency.saturating_record((call.end - call.due).unsigned_abs());
        }
    }

    /// Whether nothing was found to be wrong so far.
    pub(super) fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.audit.is_clean()
    }

    /// The report.
    pub(super) fn report(self) -> Report {
        let passed = self.is_clean();
        let AuditCounts { sold, capacity, .. } = self.audit;
        let summary = if passed {
            let trouble = match self.faults.len() {
                0 => String::new(),
                1 => ", through 1 fault".to_owned(),
                faults => format!(", through {faults} faults"),
            };
            format!("{sold} of {capacity} sold, none oversold{trouble}; every answer was true")
        } else {
            "see the violations; --keep keeps the server's data".to_owned()
        };
        Report {
            scenario: self.scenario,
            passed,
            measurements: vec![self.measurement()],
            facts: self.facts(),
            audit: self.audit,
            baselines: Vec::new(),
            courses: self.courses,
            violations: self.violations,
            summary,
        }
    }

    fn facts(&self) -> Vec<(&'static str, Value)> {
        let mut facts = vec![
            ("buyers", json!(self.buyers)),
            ("sale_seconds", json!(rounded(self.seconds))),
            ("drained_after_seconds", json!(rounded(self.drained_after.as_secs_f64()))),
            ("calls", json!(self.calls.all)),
            ("calls_answered", json!(self.calls.answered)),
            ("calls_granted", json!(self.calls.granted)),
            ("calls_refused", json!(self.calls.refused)),
        ];
        facts.extend(self.shares.facts());
        let mut faults: BTreeMap<_, (u64, i64)> = BTreeMap::new();
        for FaultMark { fault, from, to } in &self.faults {
            let (count, micros) = faults.entry(*fault).or_default();
            *count += 1;
            *micros += to - from;
        }
        for (fault, (count, micros)) in faults {
            facts.push((fault, json!(times(count, micros))));
        }
        if self.views.looks + self.views.updates > 0 {
            facts.push(("looks", json!(self.views.looks)));
            facts.push(("updates_to_those_who_follow", json!(self.views.updates)));
            facts.push(("looks_and_streams_that_failed", json!(self.views.failed)));
            facts.push(("looks_that_went_back", json!(self.views.went_back)));
            facts.push(("oldest_look_ms", json!(self.views.oldest / 1_000)));
        }
        if !self.redis_lines.is_empty() {
            let each = |of: fn(&RedisLines) -> usize| {
                let counts: Vec<_> = self.redis_lines.iter().map(|lines| of(lines).to_string()).collect();
                json!(counts.join(", "))
            };
            let outages = self.faults.iter().filter(|mark| faults::takes_redis_away(mark.fault)).count();
            facts.push(("redis_outages", json!(outages)));
            facts.push(("log_lines_of_each_server_redis_is_away", each(|lines| lines.away)));
            facts.push(("log_lines_of_each_server_redis_is_back", each(|lines| lines.back)));
            facts.push(("log_lines_of_each_server_redis_otherwise", each(|lines| lines.other)));
        }
        if self.operator_calls > 0 {
            facts.push(("operator_calls", json!(self.operator_calls)));
        }
        if self.late > 0 {
            facts.push(("buyers_who_found_all_places_taken", json!(self.late)));
        }
        facts
    }

    /// All answered calls of all kinds, from when they were due; the times in which a server was down count in.
    fn measurement(&self) -> Measurement {
        let rate = self.latency.len() as f64 / self.seconds;
        Measurement {
            name: self.scenario.to_owned(),
            in_flight: self.in_flight as usize,
            rate_per_s: rate,
            ratio_to_empty: 0.0,
            latency_us: Latency::from(&self.latency),
            turns_per_s: vec![rate],
            server_cpu_s: None,
            generator_cpu_s: None,
            generator_us_each: None,
            generator_headroom: None,
            targets: Vec::new(),
        }
    }
}

/// The course of a sale, and the verdict on each of its events.
fn judge(title: String, faults: Vec<FaultMark>, evidence: Vec<Evidence>) -> (Course, Vec<(Evidence, Verdict)>) {
    let (calls, journal) = (evidence.iter().flat_map(|e| &e.calls), evidence.iter().flat_map(|e| &e.journal));
    let course = Course::of(title, calls, journal, faults);
    let judge = |evidence: Evidence| {
        let verdict = audit::judge(&evidence);
        (evidence, verdict)
    };
    (course, evidence.into_iter().map(judge).collect())
}

/// How often something happened, and for how long in all.
fn times(count: u64, micros: i64) -> String {
    let times = if count == 1 { "time" } else { "times" };
    format!("{count} {times}, {:.1} s in all", Duration::from_micros(micros.unsigned_abs()).as_secs_f64())
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;

    use super::*;
    use crate::sale::plan::Kind;

    #[test]
    fn while_an_audit_works_others_are_heard() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.max_blocking_threads(1).build().unwrap().block_on(async {
            // The one thread for such work has something else to do until it is let go.
            let (let_go, held) = mpsc::sync_channel::<()>(1);
            let _busy = spawn_blocking(move || held.recv());
            let round = Round {
                evidence: Vec::new(),
                seconds: 1.0,
                drained_after: Duration::ZERO,
                faults: Vec::new(),
                shares: Shares::default(),
                late: 0,
                views: Views::default(),
            };
            let (mut results, plan) = (Results::new("sale"), Plan::small(Kind::Sale, 1, 1));
            let mut adding = pin!(results.add("sale", &plan, round));
            assert!(futures::poll!(adding.as_mut()).is_pending());
            drop(let_go);
            adding.await.unwrap();
        });
    }

    #[test]
    fn once_is_told_as_one_time() {
        assert_eq!(times(1, 1_500_000), "1 time, 1.5 s in all");
        assert_eq!(times(2, 3_000_000), "2 times, 3.0 s in all");
    }
}
