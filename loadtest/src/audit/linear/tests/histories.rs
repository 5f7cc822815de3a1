//! Histories by hand, legal and illegal.

use boxoffice_proto::v1::reservation::State;

use super::fixture::*;
use crate::audit::linear::bounds;
use crate::audit::linear::history::{Answer, Deed, History, Transition};
use crate::audit::linear::search::{Budget, Outcome};
use crate::audit::linear::{Fault, Proof, prove};
use crate::history::Reason::{self, *};

const SOLD_OUT: Answer = Answer::Refused(SoldOut);

#[test]
fn an_event_where_nothing_happened_is_legal() {
    assert_legal(&event(&[3]));
}

#[test]
fn one_of_two_who_want_the_last_gets_it_whichever_began_first() {
    let both = |first: Answer, second: Answer| event(&[1]).one(0, 10, 1, first).one(5, 15, 2, second);
    assert_legal(&both(held(&[1], 100), refused(AllHeld)));
    assert_legal(&both(refused(AllHeld), held(&[1], 100)));
    assert_illegal(&both(held(&[1], 100), held(&[1], 100)));
    assert_illegal(&both(refused(AllHeld), refused(AllHeld)));
}

#[test]
fn a_stale_sold_out_is_illegal() {
    let sale = |from, to| {
        let one = event(&[1]).one(0, 10, 1, held(&[1], 500)).change(20, 30, 1, confirm(1), sold(&[1], 1));
        one.change(40, 50, 1, refund(1), refunded(1, 1, 1)).one(from, to, 2, SOLD_OUT)
    };
    assert_legal(&sale(31, 35));
    assert_legal(&sale(45, 60));
    assert_illegal(&sale(51, 60));
}

#[test]
fn a_stale_sold_out_amid_a_hundred_buyers_is_illegal_without_trying_all_their_orders() {
    let mut crowd = History { reservations: 200, owners: 200, ..event(&[150]) };
    for buyer in 0..100 {
        crowd = crowd.one(0, 10, buyer, held(&[1], 500));
    }
    assert_legal(&crowd.clone().one(5, 15, 150, held(&[1], 500)));
    let faults = faults(&crowd.one(5, 15, 150, refused(AllHeld)));
    assert!(
        matches!(&faults[..], [Fault::Sum(bounds::Fault::FalseLack { free, .. })] if *free == [(0, 50)]),
        "{faults:#?}"
    );
}

#[test]
fn a_double_sale_is_illegal() {
    let twice = |second| {
        let one = event(&[1]).one(0, 10, 1, held(&[1], 500)).one(1, 11, 2, second);
        one.change(20, 30, 1, confirm(1), sold(&[1], 1))
    };
    assert_legal(&twice(refused(AllHeld)));
    assert_illegal(&twice(held(&[1], 500)));
    // The same order confirmed twice is one sale; another order is refused.
    let again = |answer| {
        let one = event(&[1]).one(0, 10, 1, held(&[1], 500)).change(20, 30, 1, confirm(1), sold(&[1], 1));
        one.change(25, 35, 1, confirm(2), answer)
    };
    assert_legal(&again(refused(AlreadyConfirmed)));
    assert_illegal(&again(sold(&[1], 2)));
}

#[test]
fn an_oversell_by_one_amid_a_hundred_buyers_is_illegal_without_trying_all_their_orders() {
    let mut crowd = History { reservations: 200, owners: 200, ..event(&[100]) };
    for buyer in 0..100 {
        crowd = crowd.one(0, 10, buyer, held(&[1], 500));
    }
    assert_legal(&crowd);
    let faults = faults(&crowd.one(0, 11, 150, held(&[1], 500)));
    let by_one = |fault: &bounds::Fault| matches!(fault, bounds::Fault::Oversold { had: 101, capacity: 100, by, .. } if by.first() == Some(&150));
    assert!(matches!(&faults[..], [Fault::Sum(fault)] if by_one(fault)), "{faults:#?}");
}

#[test]
fn a_lost_acknowledgement_is_illegal() {
    let retry = |answer| event(&[5]).one(0, 10, 1, held(&[1], 500)).change(20, 30, 1, confirm(1), answer);
    assert_legal(&retry(sold(&[1], 1)));
    assert_illegal(&retry(refused(ReservationNotFound)));
    // The retry of the first request must show the hold that it was granted, not a new one.
    let again = |expires| event(&[5]).one(0, 10, 1, held(&[1], 500)).one(20, 30, 1, held(&[1], expires));
    assert_legal(&again(500));
    assert_illegal(&again(600));
    let sold_again = |answer| {
        let one = event(&[1]).one(0, 10, 1, held(&[1], 500)).change(20, 30, 1, confirm(1), sold(&[1], 1));
        one.one(40, 50, 2, answer)
    };
    assert_legal(&sold_again(SOLD_OUT));
    assert_illegal(&sold_again(held(&[1], 900)));
}

#[test]
fn a_second_refund_of_the_same_units_is_illegal() {
    let sale = |second, third| {
        let one = event(&[2]).reserve(0, 10, request(1, 1, &[(0, 2)]), held(&[2], 500));
        let one = one.change(20, 30, 1, confirm(1), sold(&[2], 1)).change(40, 50, 1, refund(1), refunded(2, 1, 1));
        one.change(60, 70, 1, refund(1), second).reserve(80, 90, request(2, 2, &[(0, 2)]), third)
    };
    assert_legal(&sale(refunded(2, 1, 1), refused(InsufficientAvailability)));
    assert_illegal(&sale(refunded(2, 2, 1), held(&[2], 900)));
    assert_illegal(&sale(refunded(2, 1, 1), held(&[2], 900)));
}

#[test]
fn requests_at_the_same_time_cannot_pass_a_limit_together() {
    let both = |second| {
        let one = limited(&[9], 3).reserve(0, 10, request(1, 1, &[(0, 2)]), held(&[2], 500));
        one.reserve(0, 10, request(1, 2, &[(0, 2)]), second)
    };
    assert_legal(&both(refused(OwnerLimitExceeded)));
    assert_illegal(&both(held(&[2], 500)));
    let alone = limited(&[9], 3).reserve(0, 10, request(1, 1, &[(0, 2)]), refused(OwnerLimitExceeded));
    assert_illegal(&alone);
}

#[test]
fn a_reservation_of_two_allocations_is_granted_in_one_step() {
    let pair = |start, answer| {
        let one = event(&[1, 1]).reserve(0, 10, request(1, 1, &[(0, 1), (1, 1)]), held(&[1, 1], 500));
        one.reserve(start, 30, request(2, 2, &[(0, 1)]), answer)
    };
    assert_legal(&pair(20, refused(AllHeld)));
    assert_illegal(&pair(20, held(&[1], 600)));
    // Two looks at the same grant, one before and one after it: in this order, half of it was there.
    let looks = |first, second| {
        let one = event(&[1, 1]).reserve(0, 100, request(1, 1, &[(0, 1), (1, 1)]), held(&[1, 1], 500));
        let line = |allocation| request(2 + allocation, 2 + allocation, &[(allocation, 1)]);
        one.reserve(20, 30, line(0), first).reserve(40, 50, line(1), second)
    };
    assert_legal(&looks(refused(AllHeld), refused(AllHeld)));
    let second_only = Answer::Shown(crate::audit::linear::history::Shown {
        lines: vec![crate::audit::linear::history::Line { allocation: 1, quantity: 1, cancelled: 0 }],
        ..match held(&[1], 600) {
            Answer::Shown(shown) => shown,
            _ => unreachable!(),
        }
    });
    assert_illegal(&looks(refused(AllHeld), second_only));
}

#[test]
fn a_hold_can_be_confirmed_until_its_expiry_and_not_after() {
    let late = |from, to, answer| {
        let one = event(&[1]).one(0, 10, 1, held(&[1], 100)).expiry(1, 100);
        one.change(from, to, 1, confirm(1), answer)
    };
    assert_legal(&late(80, 90, sold(&[1], 1)));
    assert_legal(&late(80, 200, sold(&[1], 1)));
    assert_legal(&late(80, 200, refused(ReservationExpired)));
    assert_legal(&late(104, 110, sold(&[1], 1)));
    assert_illegal(&late(106, 110, sold(&[1], 1)));
    assert_illegal(&late(80, 94, refused(ReservationExpired)));
    assert_legal(&late(80, 95, refused(ReservationExpired)));
}

#[test]
fn an_extended_hold_lives_until_its_new_expiry() {
    let extended = |from, to, answer| {
        let one = event(&[1]).one(0, 10, 1, held(&[1], 100)).expiry(1, 100).expiry(1, 200);
        one.change(50, 60, 1, extend(), held(&[1], 200)).one(from, to, 2, answer)
    };
    assert_legal(&extended(110, 120, refused(AllHeld)));
    assert_illegal(&extended(110, 120, held(&[1], 300)));
    assert_legal(&extended(206, 210, held(&[1], 300)));
    assert_illegal(&extended(206, 210, refused(AllHeld)));
}

#[test]
fn a_late_confirmation_takes_the_units_again_if_they_are_there() {
    let again = Transition::Confirm { order: 1, reacquire: true };
    let late = |other, answer| {
        let one = event(&[1]).one(0, 10, 1, held(&[1], 100)).expiry(1, 100).one(120, 130, 2, other);
        one.change(140, 150, 1, again.clone(), answer)
    };
    assert_legal(&late(held(&[1], 300), refused(AllHeld)));
    assert_illegal(&late(held(&[1], 300), sold(&[1], 1)));
    assert_illegal(&late(held(&[1], 300), refused(ReservationExpired)));
    let alone = event(&[1]).one(0, 10, 1, held(&[1], 100)).expiry(1, 100);
    assert_legal(&alone.change(140, 150, 1, again.clone(), sold(&[1], 1)));
}

#[test]
fn a_call_without_an_answer_may_have_an_effect_late_or_never() {
    let unanswered = |from, to, second| {
        let one = event(&[1]).one(0, 10, 1, held(&[1], 900)).unanswered().expiry(1, 900);
        one.one(from, to, 2, second)
    };
    assert_legal(&unanswered(50, 60, held(&[1], 800)));
    assert_legal(&unanswered(50, 60, refused(AllHeld)));
    // What the clock took away can no longer be granted.
    assert_illegal(&unanswered(910, 920, refused(AllHeld)));
    // Nobody holds it before it was asked for.
    let early = event(&[1]).one(40, 50, 1, held(&[1], 900)).unanswered().one(10, 20, 2, refused(AllHeld));
    assert_illegal(&early);
}

#[test]
fn a_retry_is_shown_the_effect_of_the_call_that_got_no_answer() {
    let retry = |answer| {
        let one = event(&[5]).one(0, 10, 1, held(&[1], 900)).unanswered().expiry(1, 900);
        one.one(50, 60, 1, answer)
    };
    assert_legal(&retry(held(&[1], 900)));
    assert_illegal(&retry(ended(State::Expired, &[1])));
}

#[test]
fn a_cart_that_is_replaced_keeps_its_place() {
    let replace = |units, other: Answer, answer| {
        let mut new = request(1, 3, &[(0, units)]);
        new.replaces = Some(1);
        let one = event(&[2]).one(0, 10, 1, held(&[1], 500)).one(0, 10, 2, other);
        one.reserve(20, 30, new, answer)
    };
    assert_legal(&replace(1, held(&[1], 500), held(&[1], 600)));
    assert_legal(&replace(2, held(&[1], 500), refused(InsufficientAvailability)));
    assert_illegal(&replace(2, held(&[1], 500), held(&[2], 600)));
    // The old one is gone with the grant.
    let one = event(&[1]).one(0, 10, 1, held(&[1], 500));
    let mut new = request(1, 3, &[(0, 1)]);
    new.replaces = Some(1);
    let replaced = one.reserve(20, 30, new, held(&[1], 600));
    assert_legal(&replaced.clone().change(40, 50, 1, confirm(1), refused(AlreadyReleased)));
    assert_illegal(&replaced.change(40, 50, 1, confirm(1), sold(&[1], 1)));
}

#[test]
fn capacity_that_an_operator_adds_moves_or_takes_counts_from_then_on() {
    let grown = |from, to, answer| {
        let grow = Deed::SetCapacity { allocation: 0, capacity: 2 };
        let one = event(&[1, 1]).one(0, 10, 1, held(&[1], 500)).add(20, 30, grow, Answer::Done);
        one.one(from, to, 2, answer)
    };
    assert_legal(&grown(12, 18, refused(AllHeld)));
    assert_legal(&grown(40, 50, held(&[1], 500)));
    assert_illegal(&grown(40, 50, refused(AllHeld)));
    assert_illegal(&grown(12, 18, held(&[1], 500)));
    let moved = |answer: Answer| {
        let transfer = Deed::Transfer { from: 0, to: 1, quantity: 1 };
        event(&[1, 1]).one(0, 10, 1, held(&[1], 500)).add(20, 30, transfer, answer)
    };
    assert_legal(&moved(Answer::BelowCommitted));
    assert_illegal(&moved(Answer::Done));
}

#[test]
fn capacity_may_go_forth_and_back() {
    let set = |capacity| Deed::SetCapacity { allocation: 0, capacity };
    // Each of the two fits the beginning as a change that finds itself done; only later is it one.
    let swing = |answer| {
        let there = event(&[2]).add(0, 100, set(2), Answer::Done).add(0, 50, set(1), Answer::Done);
        there.reserve(110, 120, request(1, 1, &[(0, 2)]), answer)
    };
    assert_legal(&swing(held(&[2], 500)));
    assert_legal(&swing(refused(InsufficientAvailability)));
}

#[test]
fn a_budget_that_is_spent_is_unknown_and_no_success() {
    let one =
        event(&[1]).one(0, 10, 1, held(&[1], 500)).one(1, 11, 2, refused(AllHeld)).one(20, 30, 3, refused(AllHeld));
    assert_legal(&one);
    let proof = prove(&one, Budget { steps: 1, dead_ends: 100 });
    assert!(matches!(proof, Proof::Unknown { stuck: Some(_), .. }), "{proof:#?}");
    let no_memory = Budget { steps: 1_000, dead_ends: 0 };
    let illegal = event(&[1]).one(0, 10, 1, held(&[1], 500)).one(1, 11, 2, held(&[1], 500));
    assert!(matches!(search(&illegal, no_memory), Outcome::Unknown { .. }));
}

#[test]
fn what_is_stuck_is_told_with_what_was_open() {
    let two =
        event(&[1]).one(0, 10, 1, held(&[1], 500)).one(20, 30, 2, held(&[1], 500)).one(25, 40, 3, refused(AllHeld));
    let Outcome::Illegal(stuck) = search(&two, BUDGET) else { unreachable!() };
    assert_eq!((stuck.placed, stuck.next), (vec![0, 2], 1));
    assert_eq!(stuck.open, vec![1]);
}

#[test]
fn an_owner_is_convicted_by_his_own_calls_alone() {
    let mut crowd = History { reservations: 200, owners: 200, ..event(&[500]) };
    for buyer in 0..100 {
        crowd = crowd.one(0, 10, buyer, held(&[1], 500));
    }
    let lost = crowd.change(5, 20, 7, Transition::Get, refused(Reason::ReservationNotFound));
    assert_legal(&lost.clone());
    let faults = faults(&lost.change(30, 40, 7, confirm(1), refused(Reason::ReservationNotFound)));
    let [Fault::Owner(stuck)] = &faults[..] else { unreachable!("{faults:#?}") };
    assert_eq!((stuck.placed.len(), stuck.next), (2, 101));
}
