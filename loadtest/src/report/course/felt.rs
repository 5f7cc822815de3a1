//! What buyers felt of each fault: how long reservations took before it and while it was at work.

use serde::Serialize;

use super::{FaultMark, recorded};
use crate::clock::{Micros, SECOND};
use crate::history::Call;

/// How long before a fault is compared with it, and how long after its end it may still be felt.
const AROUND: Micros = 2 * SECOND;
/// A fault is felt where the p99 is more than so much above that before it.
pub const RISE_FELT: Micros = 20_000;
/// The p99 is looked at in pieces of this length. Of fewer than a hundred calls it is the slowest.
const SLICE: Micros = SECOND / 10;

/// What was felt of one fault. Times are in microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Felt {
    /// Its name on the command line.
    pub fault: &'static str,
    /// When it began, since the beginning of the sale.
    pub from: Micros,
    /// When it was over.
    pub to: Micros,
    /// Reservations that were due and answered in the two seconds before, as far as no other fault was at work.
    pub calls_before: usize,
    /// The p99 of these; `null` where there are none.
    pub p99_before_us: Option<Micros>,
    /// Reservations that were due from its beginning until two seconds after its end, or until the next fault; and those that
    /// were under way when it began.
    pub calls_during: usize,
    /// The p99 of these.
    pub p99_during_us: Option<Micros>,
    /// By how much that is more.
    pub rise_us: Option<Micros>,
    /// For how long the p99 of each tenth of a second was more than [`RISE_FELT`] above that before.
    pub above_us: Option<Micros>,
}

/// What was felt of each of these faults; their times and those of the calls are by the same clock, and `begun` is when the sale
/// began.
pub(super) fn of<'a>(calls: impl Iterator<Item = &'a Call>, faults: &[FaultMark], begun: Micros) -> Vec<Felt> {
    if faults.is_empty() {
        return Vec::new();
    }
    // Whoever got no answer has tried again, and waited on: the answer that he got in the end tells how long.
    let is_reserve = |call: &&Call| recorded::rpc(call) == recorded::RPCS[0] && call.told.is_final();
    let took = |call: &Call| (recorded::due(call), recorded::end(call) - recorded::due(call));
    let mut calls: Vec<(Micros, Micros)> = calls.filter(is_reserve).map(took).collect();
    calls.sort_unstable();
    let mut faults: Vec<&FaultMark> = faults.iter().collect();
    faults.sort_by_key(|mark| mark.from);
    let one = |(index, mark): (usize, &&FaultMark)| {
        let earlier = index.checked_sub(1).and_then(|index| faults.get(index)).map_or(Micros::MIN, |other| other.to);
        let later = faults.get(index + 1).map_or(Micros::MAX, |other| other.from);
        felt(&calls, mark, earlier, later, begun)
    };
    faults.iter().enumerate().map(one).collect()
}

fn felt(calls: &[(Micros, Micros)], mark: &FaultMark, earlier: Micros, later: Micros, begun: Micros) -> Felt {
    let due_before = due_between(calls, (mark.from - AROUND).max(earlier), mark.from);
    let (before, mut during): (Vec<_>, Vec<_>) = due_before.iter().partition(|(due, took)| due + took <= mark.from);
    let until = (mark.to + AROUND).min(later.max(mark.to));
    during.extend_from_slice(due_between(calls, mark.from, until));
    let (p99_before_us, p99_during_us) = (p99(&before), p99(&during));
    let above = |usual: Micros| {
        let slices = (mark.from..until).step_by(usize::try_from(SLICE).unwrap_or(usize::MAX));
        let is_above = |from: &Micros| {
            let slice = due_between(calls, *from, (from + SLICE).min(until));
            p99(slice).is_some_and(|p99| p99 > usual + RISE_FELT)
        };
        slices.filter(is_above).map(|from| (from + SLICE).min(until) - from).sum()
    };
    Felt {
        fault: mark.fault,
        from: mark.from - begun,
        to: mark.to - begun,
        calls_before: before.len(),
        p99_before_us,
        calls_during: during.len(),
        p99_during_us,
        rise_us: p99_before_us.zip(p99_during_us).map(|(before, during)| during - before),
        above_us: p99_before_us.map(above),
    }
}

/// Of calls in the order in which they were due, those that were due from one moment until before another.
fn due_between(calls: &[(Micros, Micros)], from: Micros, until: Micros) -> &[(Micros, Micros)] {
    let place = |moment| calls.partition_point(|(due, _)| *due < moment);
    calls.get(place(from)..place(until)).unwrap_or_default()
}

/// The smallest that 99 of 100 do not exceed.
fn p99(calls: &[(Micros, Micros)]) -> Option<Micros> {
    let mut took: Vec<_> = calls.iter().map(|(_, took)| *took).collect();
    took.sort_unstable();
    took.get((took.len() * 99).div_ceil(100).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::history::{Action, Ask, Reason, Told};

    const BEGUN: Micros = 1_000 * SECOND;

    /// A call each ten milliseconds for ten seconds, of a millisecond each, but slow ones between two moments.
    fn calls(slow: std::ops::Range<Micros>, took: Micros) -> Vec<(Micros, Micros)> {
        let at = (0..1_000).map(|number| number * SECOND / 100);
        at.map(|at| (BEGUN + at, if slow.contains(&at) { took } else { 1_000 })).collect()
    }

    fn mark(from: Micros, to: Micros) -> FaultMark {
        FaultMark { fault: "pause-redis", from: BEGUN + from, to: BEGUN + to }
    }

    fn felt_of(slow: std::ops::Range<Micros>, took: Micros, marks: &[FaultMark]) -> Felt {
        felt(&calls(slow, took), &marks[0], Micros::MIN, marks.get(1).map_or(Micros::MAX, |mark| mark.from), BEGUN)
    }

    #[test]
    fn a_rise_is_told_with_how_long_it_was_felt() {
        let marks = [mark(4 * SECOND, 5 * SECOND)];
        let felt = felt_of(4 * SECOND..4 * SECOND + SECOND / 2, 31_000, &marks);
        assert_eq!((felt.from, felt.to, felt.calls_before, felt.calls_during), (4 * SECOND, 5 * SECOND, 200, 300));
        assert_eq!((felt.p99_before_us, felt.p99_during_us), (Some(1_000), Some(31_000)));
        assert_eq!((felt.rise_us, felt.above_us), (Some(30_000), Some(SECOND / 2)));
        let felt = felt_of(4 * SECOND..9 * SECOND, 21_000, &marks);
        assert_eq!((felt.rise_us, felt.above_us), (Some(20_000), Some(0)), "20 ms are no rise that counts");
    }

    #[test]
    fn what_the_next_fault_does_is_not_laid_to_this_one() {
        let felt =
            felt_of(6 * SECOND..7 * SECOND, 90_000, &[mark(4 * SECOND, 5 * SECOND), mark(6 * SECOND, 6 * SECOND)]);
        assert_eq!((felt.calls_during, felt.rise_us, felt.above_us), (200, Some(0), Some(0)));
    }

    #[test]
    fn who_was_under_way_when_it_began_has_felt_it() {
        let felt = felt_of(4 * SECOND - SECOND / 20..4 * SECOND, SECOND, &[mark(4 * SECOND, 5 * SECOND)]);
        assert_eq!((felt.calls_before, felt.calls_during), (195, 305));
        assert_eq!((felt.p99_before_us, felt.p99_during_us), (Some(1_000), Some(SECOND)));
    }

    #[test]
    fn of_several_attempts_the_one_that_was_answered_tells() {
        let attempt = |end: Micros, told: Told| {
            let action = Action::Reserve { lines: Vec::new(), up_to: false, replaces: None, sell_as: None };
            let ask = Ask { owner: 1, intruder: false, reservation: Uuid::nil(), action };
            let due = BEGUN + 4 * SECOND;
            Call { event: 0, ask, due, start: end - 1_000, end, told, gave_up_after: None }
        };
        let lost = attempt(BEGUN + 4 * SECOND + 1_000, Told::Unknown("gone".to_owned()));
        let answered = attempt(BEGUN + 5 * SECOND, Told::Refused(Reason::AllHeld));
        let felt = of([lost, answered].iter(), &[mark(4 * SECOND, 5 * SECOND)], BEGUN);
        assert_eq!((felt[0].calls_during, felt[0].p99_during_us), (1, Some(SECOND)));
    }

    #[test]
    fn without_calls_before_there_is_nothing_to_compare() {
        let felt = felt_of(0..1, 1, &[mark(0, SECOND)]);
        assert_eq!((felt.p99_before_us, felt.rise_us, felt.above_us), (None, None, None));
        assert_eq!(felt.p99_during_us, Some(1_000));
    }
}
