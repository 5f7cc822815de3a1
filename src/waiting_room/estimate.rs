//! How long it will take, as far as the recent past tells: a range, or that it cannot be told.
//!
//! People let in are counted so that each counts less the longer ago it was, as e^(-age / [`MEMORY_MILLIS`]). Divided by what
//! the whole memory would hold at one person a second, that is a rate, and its square root says how much chance is in it.

use super::{Facts, Millis, Rules};

/// After so long somebody who was let in counts 1/e.
pub(super) const MEMORY_MILLIS: f64 = 30_000.0;
/// Before so long was observed, the settings tell more than what was counted.
const WARM_UP_MILLIS: Millis = 5_000;
/// How many standard deviations the range has to either side.
const SIGMAS: f64 = 2.0;
/// How late somebody may learn that he is let in: what clients wait between two calls near the front, and a little.
const NOTICE_MILLIS: f64 = 1_500.0;
/// What is longer is not an estimate any more.
const TELLABLE_MILLIS: f64 = 24.0 * 3_600_000.0;

/// How much of a count is left after so many milliseconds.
pub(super) fn kept(passed: f64) -> f64 {
    (-passed / MEMORY_MILLIS).exp()
}

/// How long somebody will have to wait. What is not known is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// At least, in milliseconds.
    pub min: Option<Millis>,
    /// At most, in milliseconds.
    pub max: Option<Millis>,
}

impl Estimate {
    /// For whoever stands at `position` (1: next).
    pub fn of(position: u64, facts: &Facts, rules: &Rules) -> Self {
        let rate = rules.rate as f64;
        if rules.rate == 0 {
            return Self { min: None, max: None };
        }
        let position = position as f64;
        let capped = facts.inside >= u64::try_from(rules.inside_max).unwrap_or(u64::MAX);
        let seconds = MEMORY_MILLIS / 1_000.0 * (1.0 - kept(facts.observed.max(1) as f64));
        let (mut fast, slow) = if facts.observed < WARM_UP_MILLIS {
            // If the cap is what holds people up, at worst everybody inside stays for as long as he may.
            let turnover = rules.inside_max as f64 / (rules.pass_millis as f64 / 1_000.0);
            let free = (rules.inside_max as f64 - facts.inside as f64).max(0.0);
            let worst = if position <= free { rate } else { turnover.min(rate) };
            (rate, worst)
        } else {
            let measured = facts.admitted / seconds;
            let doubt = SIGMAS * facts.admitted.max(1.0).sqrt() / seconds;
            // Without the cap in the way, the rate is what comes next, whatever came before.
            let fast = if capped { (measured + doubt).min(rate) } else { rate };
            (fast, (measured - doubt).min(rate))
        };
        // Those who give up stand anywhere in the line: some of them before this one.
        fast += facts.left / seconds * (position / facts.waiting.max(1) as f64).min(1.0);
        Self {
            min: tellable((position - 1.0) / fast * 1_000.0),
            max: tellable(position / slow.max(0.0) * 1_000.0 + NOTICE_MILLIS),
        }
    }
}

fn tellable(millis: f64) -> Option<Millis> {
    #[expect(clippy::cast_possible_truncation, reason = "less than a day")]
    (millis <= TELLABLE_MILLIS).then(|| millis.max(0.0) as Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules =
        Rules { rate: 10, inside_max: 100, pass_millis: 100_000, grace_millis: 60_000, places_max: 1_000 };

    #[test]
    fn before_anything_was_counted_the_settings_tell() {
        let facts = Facts { waiting: 200, inside: 0, ..Facts::default() };
        assert_eq!(Estimate::of(51, &facts, &RULES), Estimate { min: Some(5_000), max: Some(6_600) });
        // Beyond the cap, one place a second becomes free at worst.
        assert_eq!(Estimate::of(101, &facts, &RULES), Estimate { min: Some(10_000), max: Some(102_500) });
        // Those who are inside already take places under the cap.
        let half = Facts { inside: 50, ..facts };
        assert_eq!(Estimate::of(50, &half, &RULES), Estimate { min: Some(4_900), max: Some(6_500) });
        assert_eq!(Estimate::of(51, &half, &RULES), Estimate { min: Some(5_000), max: Some(52_500) });
    }

    #[test]
    fn what_was_counted_tells_a_range_that_gets_narrower() {
        let at = |observed: Millis, rate: f64| {
            let admitted = rate * MEMORY_MILLIS / 1_000.0 * (1.0 - kept(observed as f64));
            Estimate::of(100, &Facts { waiting: 200, inside: 100, admitted, left: 0.0, observed }, &RULES)
        };
        let (early, late) = (at(6_000, 2.0), at(120_000, 2.0));
        for estimate in [early, late] {
            let (min, max) = (estimate.min.unwrap(), estimate.max.unwrap());
            assert!(min < 50_000 && 50_000 < max, "{estimate:?}");
        }
        assert!(late.min > early.min && late.max < early.max, "{early:?} {late:?}");
        // Of 59 people in the memory's 29.5 s; two standard deviations are 15 people, or half a person a second.
        assert_eq!(late, Estimate { min: Some(39_267), max: Some(69_122) });
        assert_eq!(at(120_000, 0.0).max, None, "if nobody was let in, there is no telling");
    }

    #[test]
    fn a_closed_door_has_no_estimate() {
        let closed = Rules { rate: 0, ..RULES };
        assert_eq!(Estimate::of(1, &Facts::default(), &closed), Estimate { min: None, max: None });
        let before = Facts { waiting: 9, inside: 5, admitted: 5.0, left: 5.0, observed: 60_000 };
        assert_eq!(Estimate::of(5, &before, &closed), Estimate { min: None, max: None }, "whatever was counted");
    }

    #[test]
    fn who_gives_up_makes_it_shorter_and_never_longer() {
        let facts = Facts { waiting: 1_000, inside: 0, admitted: 250.0, left: 0.0, observed: 60_000 };
        let without = Estimate::of(500, &facts, &RULES);
        let with = Estimate::of(500, &Facts { left: 250.0, ..facts }, &RULES);
        assert!(with.min < without.min && with.max == without.max, "{without:?} {with:?}");
        // Of nearly ten who leave in a second, half stood before somebody in the middle of the line, and all before the last.
        assert_eq!((without.min, with.min), (Some(49_900), Some(33_673)));
        let last = Estimate::of(1_000, &Facts { left: 250.0, ..facts }, &RULES);
        assert_eq!(last.min, Some(50_871));
    }
}
