//! What it came to, in figures.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::estimates::Honesty;
use super::history::History;
use super::stage::Kind;
use crate::audit::Verdict;
use crate::audit::findings::Findings;
use crate::cli::WaitingRoomArgs;
use crate::clock::{Micros, SECOND};
use crate::report::{AuditCounts, Latency, Measurement, Report};
use crate::server::Shares;

/// For so long after an edit estimates tell of the settings; later of what was seen.
const WARM_UP: Micros = 5 * SECOND;

/// The names of the facts of one kind. Whose memory holds the room differs.
macro_rules! names {
    ($kind:literal, $memory:literal) => {
        [
            concat!($kind, "_all_joined_after_s"),
            concat!($kind, "_memory_mib_of_", $memory),
            concat!($kind, "_bytes_a_place"),
            concat!($kind, "_let_in_at_the_rate"),
            concat!($kind, "_others_at_once_let_in_after_s"),
            concat!($kind, "_let_in_for_those_who_left"),
            concat!($kind, "_calls_without_a_position"),
            concat!($kind, "_estimates"),
            concat!($kind, "_estimates_that_held"),
            concat!($kind, "_estimates_error_p50"),
            concat!($kind, "_estimates_error_p95"),
            concat!($kind, "_estimates_after_5_s"),
            concat!($kind, "_estimates_after_5_s_that_held"),
            concat!($kind, "_estimates_after_5_s_error_p50"),
            concat!($kind, "_estimates_after_5_s_error_p95"),
        ]
    };
}

/// What became of one room.
pub(super) struct Outcome {
    pub(super) kind: Kind,
    /// How long it took until all were lined up.
    pub(super) joined_seconds: f64,
    /// Of their calls.
    pub(super) latency: Histogram<u64>,
    /// Who used the processors meanwhile.
    pub(super) shares: Shares,
    /// Of what holds the room, before and after.
    pub(super) empty_bytes: Option<u64>,
    pub(super) full_bytes: Option<u64>,
    /// How many were let in while the rate alone kept the others out.
    pub(super) trickled: usize,
    /// How long it took from when the door was opened wide until the last of those had his pass who could be let in.
    pub(super) rush_seconds: f64,
    /// Of those let in later.
    pub(super) flow_admitted: usize,
    /// Calls without an answer, or with one that did not tell a position.
    pub(super) unanswered: u64,
    pub(super) history: History,
    pub(super) findings: Findings,
}

impl Outcome {
    fn measurement(&self, args: &WaitingRoomArgs) -> Measurement {
        let name = match self.kind {
            Kind::WithRedis => "join_with_redis",
            Kind::WithoutRedis => "join_without_redis",
        };
        let rate = f64::from(args.joined) / self.joined_seconds;
        Measurement {
            name: name.to_owned(),
            in_flight: args.in_flight as usize,
            rate_per_s: rate,
            latency_us: Latency::from(&self.latency),
            turns_per_s: vec![rate],
            server_cpu_s: self.shares.servers_seconds,
            generator_cpu_s: self.shares.generator_seconds,
            ..Measurement::default()
        }
    }

    fn facts(&self, args: &WaitingRoomArgs) -> Vec<(&'static str, Value)> {
        let added = self.full_bytes.zip(self.empty_bytes).map(|(full, empty)| full.saturating_sub(empty));
        let opened = self.history.settings.iter().rev().find(|setting| setting.rate > 0);
        let from = opened.map_or(Micros::MAX, |setting| setting.sent);
        let (all, later) = (Honesty::of(&self.history, from), Honesty::of(&self.history, from.saturating_add(WARM_UP)));
        let values = [
            json!(rounded(self.joined_seconds)),
            json!(self.full_bytes.map(|bytes| bytes >> 20)),
            json!(added.map(|bytes| bytes / u64::from(args.joined))),
            json!(self.trickled),
            json!(rounded(self.rush_seconds)),
            json!(self.flow_admitted),
            json!(self.unanswered),
            json!(all.told),
            json!(all.held.map(rounded)),
            json!(all.error_at(0.5).map(rounded)),
            json!(all.error_at(0.95).map(rounded)),
            json!(later.told),
            json!(later.held.map(rounded)),
            json!(later.error_at(0.5).map(rounded)),
            json!(later.error_at(0.95).map(rounded)),
        ];
        let names = match self.kind {
            Kind::WithRedis => names!("with_redis", "redis"),
            Kind::WithoutRedis => names!("without_redis", "the_server"),
        };
        names.into_iter().zip(values).collect()
    }
}

/// To the thousandth.
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

/// Of all rooms.
pub(super) fn report(args: &WaitingRoomArgs, outcomes: Vec<Outcome>) -> Report {
    let mut facts = vec![("joined", json!(args.joined)), ("inside_at_most", json!(args.admitted))];
    let (mut audit, mut measurements, mut violations) = (AuditCounts::default(), Vec::new(), Vec::new());
    let (mut passed, mut shares) = (true, Shares::default());
    for outcome in outcomes {
        facts.extend(outcome.facts(args));
        measurements.push(outcome.measurement(args));
        shares.add(&outcome.shares);
        let Outcome { kind, unanswered, findings, .. } = outcome;
        passed &= findings.is_clean();
        let verdict = Verdict { capacity: 0, sold: 0, unknown: unanswered, findings };
        audit.add(&AuditCounts::from(&verdict));
        violations.extend(verdict.findings.violations.into_iter().map(|mut violation| {
            violation.text = format!("{}: {}", kind.as_str(), violation.text);
            violation
        }));
    }
    facts.extend(shares.facts());
    let summary = if passed {
        format!("{} waited with and without Redis, each had one place, and the order was kept", args.joined)
    } else {
        "a waiting room broke its order, its bounds or its passes".to_owned()
    };
    Report {
        scenario: "waiting-room",
        passed,
        audit,
        measurements,
        baselines: Vec::new(),
        courses: Vec::new(),
        violations,
        facts,
        summary,
    }
}
