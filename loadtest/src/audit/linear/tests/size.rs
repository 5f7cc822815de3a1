//! Histories as large as a sale's.

use super::drawn::{Hints, Sketch, draw};
use super::fixture::{event, held};
use crate::audit::linear::history::{Answer, History};
use crate::audit::linear::search::Budget;
use crate::audit::linear::{Proof, prove};
use crate::history::Reason;

/// A hundred thousand calls, of which some 512 are in flight at any moment.
fn rush() -> Sketch {
    Sketch {
        capacities: vec![6_000, 3_000],
        limit: Some(4),
        limit_each: None,
        owners: 30_000,
        reservations: 40_000,
        calls: 100_000,
        gap: 20,
        reach: 5_120,
        ttl: 200_000,
        hints: Hints::True,
        unanswered: 3,
        operators: false,
    }
}

#[test]
fn a_hundred_thousand_calls_with_512_in_flight_are_proven_in_few_steps() {
    let history = draw(&rush(), 1);
    let count = history.operations.len() as u64;
    assert!(count > 100_000, "{count}");
    let refused = |reason| move |answer: &&Answer| **answer == Answer::Refused(reason);
    let answers = || history.operations.iter().map(|operation| &operation.answer);
    let lacks = answers().filter(refused(Reason::AllHeld)).count() + answers().filter(refused(Reason::SoldOut)).count();
    assert!(lacks > 1_000, "{lacks}");
    match prove(&history, Budget { steps: 20 * count, dead_ends: 0 }) {
        Proof::Linearizable { steps } => assert!(steps < 20 * count, "{steps} steps for {count} operations"),
        proof => panic!("{proof:#?}"),
    }
}

#[test]
fn one_unit_too_many_in_a_hundred_thousand_calls_is_no_success() {
    let mut history = draw(&rush(), 2);
    // The same answers, from an event that had one unit less.
    history.capacities[0] -= 1;
    let proof = prove(&history, Budget { steps: 2_000_000, dead_ends: 100_000 });
    assert!(matches!(proof, Proof::Illegal(_) | Proof::Unknown { stuck: Some(_), .. }), "{proof:#?}");
}

#[test]
fn fifty_thousand_calls_at_once_need_no_depth_of_stack() {
    let mut history = History { reservations: 50_000, owners: 50_000, ..event(&[50_000]) };
    for buyer in 0..50_000 {
        history = history.one(0, 10, buyer, held(&[1], 500));
    }
    let proof = prove(&history, Budget { steps: 1_000_000, dead_ends: 0 });
    assert!(matches!(proof, Proof::Linearizable { .. }), "{proof:#?}");
}
