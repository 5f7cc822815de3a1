//! Histories by chance: the honest ones have an order, and whatever is done to tiny ones, the checker says of them what a
//! search of every order says.

use boxoffice_proto::v1::reservation::State;
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::drawn::{Hints, Sketch, draw};
use super::exhaustive::has_an_order;
use super::fixture::{BUDGET, search};
use crate::audit::linear::history::{Answer, History};
use crate::audit::linear::search::Outcome;
use crate::audit::linear::{Proof, prove};
use crate::history::Reason;

fn sketches(calls: std::ops::Range<usize>, hints: &'static [Hints]) -> impl Strategy<Value = Sketch> {
    let limits = (proptest::option::of(1..6_i64), proptest::option::weighted(0.3, 1..4_i64));
    let times = (0..20_000_i64, 0..40_000_i64, 10_000..100_000_i64);
    let shape = (proptest::collection::vec(0..5_i64, 1..=3), 1..4_usize, 1..6_usize);
    let rest = (calls, proptest::sample::select(hints), 0..40_u32, any::<bool>());
    (limits, times, shape, rest).prop_map(
        |((limit, limit_each), (gap, reach, ttl), (capacities, owners, reservations), rest)| {
            let (calls, hints, unanswered, operators) = rest;
            Sketch {
                capacities,
                limit,
                limit_each,
                owners,
                reservations,
                calls,
                gap,
                reach,
                ttl,
                hints,
                unanswered,
                operators,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_honest_history_has_an_order(sketch in sketches(1..60, &[Hints::True]), seed: u64) {
        let history = draw(&sketch, seed);
        let proof = prove(&history, BUDGET);
        prop_assert!(matches!(proof, Proof::Linearizable { .. }), "{:#?} of {:#?}", proof, history);
    }

    #[test]
    fn an_honest_history_has_an_order_even_if_its_journal_tells_nothing_or_nonsense(
        sketch in sketches(1..16, &[Hints::Missing, Hints::Wrong]),
        seed: u64,
    ) {
        let history = draw(&sketch, seed);
        let proof = prove(&history, BUDGET);
        prop_assert!(matches!(proof, Proof::Linearizable { .. }), "{:#?} of {:#?}", proof, history);
    }

    #[test]
    fn a_doctored_history_has_an_order_only_if_a_search_of_every_order_finds_one(
        sketch in sketches(1..6, &[Hints::True, Hints::Missing, Hints::Wrong]),
        seed: u64,
    ) {
        let mut history = draw(&sketch, seed);
        prop_assume!(history.operations.len() <= 7);
        let expected = has_an_order(&history);
        prop_assert!(expected, "the honest one has none: {:#?}", history);
        doctor(&mut history, &mut SmallRng::seed_from_u64(!seed));
        let expected = has_an_order(&history);
        let outcome = search(&history, BUDGET);
        prop_assert_eq!(matches!(outcome, Outcome::Linearizable { .. }), expected, "{:#?} of {:#?}", outcome, history);
        prop_assert_eq!(matches!(outcome, Outcome::Illegal(_)), !expected);
        let proof = prove(&history, BUDGET);
        prop_assert_eq!(matches!(proof, Proof::Illegal(_)), !expected, "{:#?} of {:#?}", proof, history);
    }
}

/// Changes one answer, or one time.
fn doctor(history: &mut History, random: &mut SmallRng) {
    let count = history.operations.len();
    let Some(operation) =
        (count > 0).then(|| random.random_range(0..count)).map(|index| &mut history.operations[index])
    else {
        return;
    };
    let shift = random.random_range(-30_000..=30_000);
    match random.random_range(0..4) {
        0 => operation.start = (operation.start + shift).min(operation.end),
        1 if operation.is_certain() => operation.end = (operation.end + shift).max(operation.start),
        2 if operation.is_certain() => {
            operation.start += shift;
            operation.end += shift;
        }
        _ => operation.answer = doctored(&operation.answer, random),
    }
}

fn doctored(answer: &Answer, random: &mut SmallRng) -> Answer {
    const REASONS: [Reason; 6] = [
        Reason::SoldOut,
        Reason::AllHeld,
        Reason::InsufficientAvailability,
        Reason::OwnerLimitExceeded,
        Reason::ReservationExpired,
        Reason::ReservationNotFound,
    ];
    const STATES: [State; 5] = [State::Held, State::Confirmed, State::Released, State::Expired, State::Cancelled];
    match answer {
        Answer::Shown(shown) if random.random_bool(0.7) => {
            let mut shown = shown.clone();
            match random.random_range(0..4) {
                0 => shown.state = STATES[random.random_range(0..STATES.len())],
                1 => shown.expires += random.random_range(-20_000..=20_000),
                2 => shown.lines[0].quantity = (shown.lines[0].quantity + random.random_range(-1..=1)).max(1),
                _ => shown.lines[0].cancelled = random.random_range(0..=shown.lines[0].quantity),
            }
            Answer::Shown(shown)
        }
        Answer::Done => Answer::BelowCommitted,
        Answer::BelowCommitted => Answer::Done,
        Answer::Shown(_) | Answer::Refused(_) => Answer::Refused(REASONS[random.random_range(0..REASONS.len())]),
        Answer::Unknown(_) => answer.clone(),
    }
}
