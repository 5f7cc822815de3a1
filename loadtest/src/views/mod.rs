//! The scenario `views`: what a Redis that servers share brings those who look, and what it costs those who buy. In turns in one
//! run, on one PostgreSQL: servers that share nothing, servers that share a Redis, and such that ask it about each buyer's limit.

mod fleet;
mod load;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::bar;
use crate::bench::driver::Turn;
use crate::bench::table::median;
use crate::cli::ViewsArgs;
use crate::report::{AuditCounts, Latency, Measurement, Report, Target, latency_histogram};
use crate::server::{PrivateDatabase, StoreChoice};
use fleet::{Fleet, Kind};
use load::Watched;

/// Reservations in flight where the cost of limits is measured.
const IN_FLIGHT: usize = 64;
/// What limits may leave of the rate of reservations, at least.
const RATE_WITH_LIMITS_MIN: f64 = 0.9;

/// Measures. (The one that goes first goes last in the next turn.)
///
/// # Errors
/// Where it cannot be measured: no PostgreSQL, no Redis, no server, or a call that fails.
pub async fn run(args: &ViewsArgs) -> Result<Report> {
    let is_own = args.common.store == StoreChoice::PrivatePostgres && args.common.target.is_none();
    ensure!(is_own, "views needs a PostgreSQL, a Redis and servers of its own: leave --store and --target out");
    ensure!(args.pace.seconds > 0.0 && args.pace.seconds < 3_600.0, "--seconds must be above 0 and below 3600");
    let database = PrivateDatabase::start_counting().await?;
    let mut fleets = Vec::new();
    for kind in Kind::ALL {
        fleets.push(Fleet::start(kind, &database, args).await?);
    }
    let mut figures = Figures::default();
    let bar = bar::new(u64::from(args.pace.turns) * 4);
    for _ in 0..args.pace.turns {
        for fleet in fleets.iter_mut().filter(|fleet| fleet.kind != Kind::WithLimits) {
            bar.set_message(fleet.kind.as_str());
            let watched = load::watched_sale(fleet, &database, args).await;
            figures.watched(fleet.kind).push(watched.map_err(|error| fleet.explain(error))?);
            bar.inc(1);
        }
        fleets.reverse();
    }
    // Only now: what these leave behind, in tables and for PostgreSQL to tidy up, those who look would feel.
    for _ in 0..args.pace.turns {
        for fleet in fleets.iter_mut().filter(|fleet| fleet.kind != Kind::WithoutRedis) {
            bar.set_message(fleet.kind.as_str());
            let turn = load::reserve(fleet, IN_FLIGHT, args).await;
            figures.reserved(fleet.kind).push(turn.map_err(|error| fleet.explain(error))?);
            bar.inc(1);
        }
        fleets.reverse();
    }
    bar.finish_and_clear();
    let mut audit = AuditCounts::default();
    for fleet in &fleets {
        audit.add(&fleet.audit().await.map_err(|error| fleet.explain(error))?);
    }
    Ok(figures.report(args, audit, database.version()))
}

/// What was measured, turn by turn.
#[derive(Debug, Default)]
struct Figures {
    without: Vec<Watched>,
    with: Vec<Watched>,
    without_limits: Vec<Turn>,
    with_limits: Vec<Turn>,
}

impl Figures {
    const fn watched(&mut self, kind: Kind) -> &mut Vec<Watched> {
        match kind {
            Kind::WithoutRedis => &mut self.without,
            Kind::WithRedis | Kind::WithLimits => &mut self.with,
        }
    }

    const fn reserved(&mut self, kind: Kind) -> &mut Vec<Turn> {
        match kind {
            Kind::WithLimits => &mut self.with_limits,
            Kind::WithRedis | Kind::WithoutRedis => &mut self.without_limits,
        }
    }

    fn report(&self, args: &ViewsArgs, audit: AuditCounts, postgres: &str) -> Report {
        let viewers = args.viewers as usize;
        let looks =
            |name, watched: &[Watched]| measurement(name, viewers, watched.iter().map(|watched| &watched.looks));
        let free = measurement("reserve", IN_FLIGHT, self.without_limits.iter());
        let mut limited = measurement("reserve_with_limits", IN_FLIGHT, self.with_limits.iter());
        let share = limited.rate_per_s / free.rate_per_s;
        let text = format!("{share:.2} of reserve@{IN_FLIGHT}, at least {RATE_WITH_LIMITS_MIN:.2}");
        let met = share >= RATE_WITH_LIMITS_MIN;
        limited.targets.push(Target { text, met });
        let measurements =
            vec![looks("views_without_redis", &self.without), looks("views_with_redis", &self.with), free, limited];
        let is_clean = audit.is_clean();
        let summary = if is_clean {
            format!("the audit holds; limits that servers share leave {share:.2} of the rate of reservations")
        } else {
            "what was acknowledged is not what is held".to_owned()
        };
        Report {
            scenario: "views",
            passed: is_clean && (met || !args.pace.strict),
            audit,
            facts: self.facts(args, &measurements, postgres),
            measurements,
            baselines: Vec::new(),
            courses: Vec::new(),
            violations: Vec::new(),
            summary,
        }
    }

    fn facts(&self, args: &ViewsArgs, measured: &[Measurement], postgres: &str) -> Vec<(&'static str, Value)> {
        let of = |watched: &[Watched], figure: fn(&Watched) -> f64| {
            let figures: Vec<_> = watched.iter().map(figure).collect();
            json!((median(&figures) * 10.0).round() / 10.0)
        };
        let rates: Vec<_> = measured.iter().map(|measurement| measurement.rate_per_s).collect();
        let ratio = match rates.as_slice() {
            [without, with, ..] if *without > 0.0 => json!((with / without * 100.0).round() / 100.0),
            _ => Value::Null,
        };
        vec![
            ("turns", json!(args.pace.turns)),
            ("seconds_each", json!(args.pace.seconds)),
            ("viewers", json!(args.viewers)),
            ("sale_rate_due", json!(args.sale_rate)),
            ("sale_rate_without_redis", of(&self.without, |watched| watched.sales_per_s)),
            ("sale_rate_with_redis", of(&self.with, |watched| watched.sales_per_s)),
            ("sale_p99_ms_without_redis", of(&self.without, |watched| watched.sale_p99_ms)),
            ("sale_p99_ms_with_redis", of(&self.with, |watched| watched.sale_p99_ms)),
            ("database_statements_a_second_without_redis", of(&self.without, |watched| watched.statements_per_s)),
            ("database_statements_a_second_with_redis", of(&self.with, |watched| watched.statements_per_s)),
            ("readings_of_the_event_a_second_without_redis", of(&self.without, |watched| watched.readings_per_s)),
            ("readings_of_the_event_a_second_with_redis", of(&self.with, |watched| watched.readings_per_s)),
            ("views_with_redis_to_without", ratio),
            ("postgres_version", json!(postgres)),
        ]
    }
}

fn measurement<'a>(name: &str, in_flight: usize, turns: impl Iterator<Item = &'a Turn>) -> Measurement {
    let (mut rates, mut latency) = (Vec::new(), latency_histogram());
    for turn in turns {
        rates.push(turn.rate());
        // Both were made by the same function, so that their bounds agree.
        let _ = latency.add(&turn.latency);
    }
    Measurement {
        name: name.to_owned(),
        in_flight,
        rate_per_s: median(&rates),
        latency_us: Latency::from(&latency),
        turns_per_s: rates,
        ..Measurement::default()
    }
}
