//! What the figures must reach.

use super::plan::{Kind, Point, name};
use super::stage::{BATCHES_IN_FLIGHT, What};
use crate::report::{Measurement, Target};

/// What one measurement must reach.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// Which measurement.
    pub of: Point,
    aim: Aim,
}

#[derive(Debug, Clone, Copy)]
enum Aim {
    /// At least so many times the rate of another measurement.
    Rate(f64, Point),
    /// The p99 at most so many times the p50.
    Spread(u64),
    /// The p50 at most so many times the p50 of two other measurements together.
    Median(f64, [Point; 2]),
}

const fn rate(of: Point, least: f64, reference: Point) -> Goal {
    Goal { of, aim: Aim::Rate(least, reference) }
}

const RESERVE: Point = (What::Reserve, 64);
const RESERVE_256: Point = (What::Reserve, 256);
const BATCH_RESERVE: Point = (What::BatchReserve, BATCHES_IN_FLIGHT);
const EMPTY: Point = (What::Empty, 64);
const EMPTY_256: Point = (What::Empty, 256);
const ALONE: Point = (What::Reserve, 1);
const EMPTY_AND_COMMIT: [Point; 2] = [(What::Empty, 1), (What::ByHand, 1)];

const SQLITE: [Goal; 5] = [
    rate(RESERVE, 0.50, EMPTY),
    Goal { of: RESERVE, aim: Aim::Spread(3) },
    rate(RESERVE_256, 0.60, EMPTY_256),
    rate(BATCH_RESERVE, 2.5, EMPTY),
    rate((What::Refuse, 256), 0.85, EMPTY_256),
];

const POSTGRES: [Goal; 6] = [
    rate(RESERVE, 0.45, EMPTY),
    rate(RESERVE, 6.0, (What::ByHand, 64)),
    rate(RESERVE_256, 0.50, EMPTY_256),
    rate(RESERVE_256, 25.0, (What::ByHand, 256)),
    rate(BATCH_RESERVE, 1.3, EMPTY),
    Goal { of: ALONE, aim: Aim::Median(1.5, EMPTY_AND_COMMIT) },
];

const SEVERAL_SERVERS: [Goal; 1] = [rate(RESERVE, 0.8, (What::ReserveOneServer, 64))];

const COMMIT_DELAY: [Goal; 2] = [rate(RESERVE, 40.0, (What::ByHand, 64)), rate(RESERVE_256, 40.0, (What::ByHand, 256))];

/// The goals of a kind of run.
pub const fn of(kind: Kind) -> &'static [Goal] {
    match kind {
        Kind::Sqlite => &SQLITE,
        Kind::Postgres => &POSTGRES,
        Kind::SeveralServers => &SEVERAL_SERVERS,
        Kind::CommitDelay => &COMMIT_DELAY,
    }
}

impl Goal {
    /// What the measurement is compared with.
    pub fn references(&self) -> &[Point] {
        match &self.aim {
            Aim::Rate(_, reference) => std::slice::from_ref(reference),
            Aim::Spread(_) => &[],
            Aim::Median(_, references) => references,
        }
    }

    /// How the goal was met; `None` where it, or what it is compared with, was not measured.
    fn judge(&self, measured: &[(Point, Measurement)]) -> Option<Target> {
        let find = |point: Point| measured.iter().find(|(at, _)| *at == point).map(|(_, measurement)| measurement);
        let own = find(self.of)?;
        Some(match self.aim {
            Aim::Rate(least, reference) => {
                let ratio = own.rate_per_s / find(reference)?.rate_per_s;
                let text = format!("{ratio:.2} of {}, at least {least:.2}", name(reference));
                Target { text, met: ratio >= least }
            }
            Aim::Spread(most) => {
                let text = format!("p99 at most {most} times p50");
                Target { text, met: own.latency_us.p99 <= most * own.latency_us.p50 }
            }
            Aim::Median(most, references) => {
                let [one, other] = references;
                let together = find(one)?.latency_us.p50 + find(other)?.latency_us.p50;
                let ratio = own.latency_us.p50 as f64 / together as f64;
                let references = format!("{} and {} together", name(one), name(other));
                Target { text: format!("p50 {ratio:.2} of {references}, at most {most:.2}"), met: ratio <= most }
            }
        })
    }
}

/// Writes to each measurement how it has met its goals.
pub fn judge(goals: &[Goal], measured: &mut [(Point, Measurement)]) {
    for goal in goals {
        if let Some(target) = goal.judge(measured)
            && let Some((_, own)) = measured.iter_mut().find(|(point, _)| *point == goal.of)
        {
            own.targets.push(target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::table;
    use crate::report::Latency;

    fn measured(point: Point, rate_per_s: f64, p50: u64, p99: u64) -> (Point, Measurement) {
        let (what, in_flight) = point;
        let latency_us = Latency { p50, p99, ..Latency::default() };
        (point, Measurement { rate_per_s, latency_us, ..table::measurement(what, in_flight, &[], None) })
    }

    fn met(goals: &[Goal], mut measured: Vec<(Point, Measurement)>) -> Vec<bool> {
        judge(goals, &mut measured);
        measured.iter().flat_map(|(_, measurement)| &measurement.targets).map(|target| target.met).collect()
    }

    #[test]
    fn a_goal_is_met_from_its_figure_on() {
        let empty = || measured(EMPTY, 100.0, 1, 1);
        assert_eq!(met(&SQLITE, vec![empty(), measured(RESERVE, 50.0, 100, 300)]), [true, true]);
        assert_eq!(met(&SQLITE, vec![empty(), measured(RESERVE, 49.0, 100, 301)]), [false, false]);
        let alone = |p50| vec![measured(ALONE, 1.0, p50, 1), measured(EMPTY_AND_COMMIT[0], 1.0, 100, 1)];
        let commit = || measured(EMPTY_AND_COMMIT[1], 1.0, 300, 1);
        assert_eq!(met(&POSTGRES, [alone(600), vec![commit()]].concat()), [true]);
        assert_eq!(met(&POSTGRES, [alone(601), vec![commit()]].concat()), [false]);
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        assert_eq!(met(&POSTGRES, vec![measured(RESERVE, 1.0, 1, 1)]), [] as [bool; 0]);
    }
}
