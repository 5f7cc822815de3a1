//! The rules of the API, one by one: what each request is answered in each state.

use boxoffice_proto::v1::reservation::State;

use super::fixture::*;
use crate::audit::linear::history::{Answer, Deed, History, Request, Transition};
use crate::audit::linear::model::{Availability, Judgement, Model, Truth};
use crate::history::Reason::{self, *};

/// What the last operation is answered after all others, in their order.
fn truth(history: &History) -> Truth {
    let last = history.operations.len() - 1;
    let before: Vec<_> = (0..last).collect();
    Model::after(history, Availability::Counted, &before).truth(&history.operations[last])
}

/// 1 holds a unit, 2 has bought two, 3 has given one back, 4's has lapsed, 5 was refunded; ten units in all.
fn all_states() -> History {
    let two = request(2, 2, &[(0, 2)]);
    let one = event(&[10]).one(0, 1, 1, held(&[1], 500));
    let one = one.reserve(0, 1, two, held(&[2], 500)).change(2, 3, 2, confirm(2), sold(&[2], 2));
    let one = one.one(0, 1, 3, held(&[1], 500)).change(2, 3, 3, Transition::Release, ended(State::Released, &[1]));
    let one = one.one(0, 1, 4, held(&[1], 100)).expiry(4, 100);
    let one = one.one(0, 1, 5, held(&[1], 500)).change(2, 3, 5, confirm(5), sold(&[1], 5));
    one.change(4, 5, 5, refund(1), refunded(1, 1, 5))
}

#[test]
fn each_request_has_an_answer_in_each_state() {
    let order = |order, reacquire| Transition::Confirm { order, reacquire };
    let all = || Transition::Cancel { targets: Vec::new() };
    let released = [Ok(State::Released), Err(AlreadyConfirmed), Ok(State::Released), Err(ReservationExpired)];
    let released = released.into_iter().chain([Err(AlreadyCancelled), Err(ReservationNotFound)]);
    for (reservation, expected) in (1..).zip(released) {
        assert_eq!(state_or_reason(reservation, Transition::Release), expected, "release {reservation}");
    }
    let extended = [Ok(State::Held), Err(AlreadyConfirmed), Err(AlreadyReleased), Err(ReservationExpired)];
    let extended = extended.into_iter().chain([Err(AlreadyCancelled), Err(ReservationNotFound)]);
    for (reservation, expected) in (1..).zip(extended) {
        assert_eq!(state_or_reason(reservation, extend()), expected, "extend {reservation}");
    }
    let confirmed = [Ok(State::Confirmed), Ok(State::Confirmed), Err(AlreadyReleased), Err(ReservationExpired)];
    let confirmed = confirmed.into_iter().chain([Err(AlreadyCancelled), Err(ReservationNotFound)]);
    for (reservation, expected) in (1..).zip(confirmed) {
        assert_eq!(state_or_reason(reservation, order(reservation, false)), expected, "confirm {reservation}");
    }
    assert_eq!(state_or_reason(2, order(7, true)), Err(AlreadyConfirmed));
    assert_eq!(state_or_reason(4, order(7, true)), Ok(State::Confirmed));
    let cancelled = [Err(NotConfirmed), Ok(State::Cancelled), Err(AlreadyReleased), Err(ReservationExpired)];
    let cancelled = cancelled.into_iter().chain([Ok(State::Cancelled), Err(ReservationNotFound)]);
    for (reservation, expected) in (1..).zip(cancelled) {
        assert_eq!(state_or_reason(reservation, all()), expected, "cancel {reservation}");
    }
    assert_eq!(state_or_reason(2, refund(1)), Ok(State::Confirmed));
    let too_many = all_states().change(10, 11, 2, refund(3), Answer::Unknown(None));
    assert_eq!(truth(&too_many), Truth::Invalid);
}

fn state_or_reason(reservation: usize, change: Transition) -> Result<State, Reason> {
    match truth(&all_states().change(10, 11, reservation, change, Answer::Unknown(None))) {
        Truth::Shown(shown) => Ok(shown.state),
        Truth::Refused(reason) => Err(reason),
        other => panic!("{other:?}"),
    }
}

/// What a new request is answered after others.
fn answer(history: History, request: Request) -> Result<Vec<i64>, Reason> {
    match truth(&history.reserve(10, 11, request, Answer::Unknown(None))) {
        Truth::Shown(shown) => Ok(shown.lines.iter().map(|line| line.quantity).collect()),
        Truth::Refused(reason) => Err(reason),
        other => panic!("{other:?}"),
    }
}

fn up_to(request: Request) -> Request {
    Request { up_to: true, ..request }
}

#[test]
fn a_lack_has_the_name_of_its_kind() {
    let asks = |lines: &[(usize, i64)]| request(9, 9, lines);
    // Of the first, one of two is held; of the second, both are sold; of the third, both are held.
    let some = || {
        let one = event(&[2, 2, 2]).reserve(0, 1, request(1, 1, &[(0, 1)]), held(&[1], 500));
        let pair = Request { order: Some(2), ..request(2, 2, &[(1, 2)]) };
        let Answer::Shown(mut sold_pair) = sold(&[0, 2], 2) else { unreachable!() };
        sold_pair.lines.remove(0);
        let Answer::Shown(mut held_pair) = held(&[0, 0, 2], 500) else { unreachable!() };
        held_pair.lines.drain(..2);
        let one = one.reserve(0, 1, pair, Answer::Shown(sold_pair));
        one.reserve(0, 1, request(3, 3, &[(2, 2)]), Answer::Shown(held_pair))
    };
    assert_eq!(answer(some(), asks(&[(0, 1)])), Ok(vec![1]));
    assert_eq!(answer(some(), asks(&[(0, 2)])), Err(InsufficientAvailability));
    assert_eq!(answer(some(), asks(&[(1, 1)])), Err(SoldOut));
    assert_eq!(answer(some(), asks(&[(2, 1)])), Err(AllHeld));
    assert_eq!(answer(some(), asks(&[(0, 2), (2, 1)])), Err(AllHeld));
    assert_eq!(answer(some(), asks(&[(0, 1), (1, 1), (2, 1)])), Err(SoldOut));
    assert_eq!(answer(some(), up_to(asks(&[(0, 2), (1, 1)]))), Ok(vec![1]));
    assert_eq!(answer(some(), up_to(asks(&[(1, 1)]))), Err(SoldOut));
    assert_eq!(answer(some(), up_to(asks(&[(1, 1), (2, 1)]))), Err(AllHeld));
}

#[test]
fn limits_go_before_availability() {
    let two = |owner| request(owner, 1, &[(0, 2)]);
    let has_two = || limited(&[2, 9], 3).reserve(0, 1, two(1), held(&[2], 500));
    assert_eq!(answer(has_two(), request(1, 2, &[(0, 2)])), Err(OwnerLimitExceeded));
    assert_eq!(answer(has_two(), request(2, 2, &[(0, 2)])), Err(AllHeld));
    assert_eq!(answer(has_two(), up_to(request(1, 2, &[(1, 2)]))), Ok(vec![1]));
    assert_eq!(answer(has_two(), up_to(request(1, 2, &[(0, 2), (1, 2)]))), Ok(vec![1]));
    let replaced = Request { replaces: Some(1), ..request(1, 2, &[(0, 2), (1, 1)]) };
    assert_eq!(answer(has_two(), replaced), Ok(vec![2, 1]));
    let each = || History { limit: None, limit_each: Some(2), ..has_two() };
    assert_eq!(answer(each(), request(1, 2, &[(0, 1)])), Err(OwnerLimitExceeded));
    assert_eq!(answer(each(), request(1, 2, &[(1, 3)])), Err(OwnerLimitExceeded));
    assert_eq!(answer(each(), up_to(request(1, 2, &[(0, 1), (1, 3)]))), Ok(vec![2]));
    assert_eq!(answer(each(), up_to(request(1, 2, &[(0, 1)]))), Err(OwnerLimitExceeded));
}

#[test]
fn a_used_id_and_a_hold_to_be_replaced_go_before_limits() {
    let none_left = || History { limit: Some(2), ..all_states() };
    let asks = |owner, reservation, replaces| Request { replaces, ..request(owner, reservation, &[(0, 9)]) };
    assert_eq!(answer(none_left(), asks(1, 1, None)), Err(ReservationIdReused));
    assert_eq!(answer(none_left(), asks(9, 1, None)), Err(ReservationIdReused));
    assert_eq!(answer(none_left(), asks(9, 1, Some(1))), Err(ReservationNotFound));
    assert_eq!(answer(none_left(), asks(1, 6, Some(2))), Err(ReservationNotFound));
    assert_eq!(answer(none_left(), asks(2, 6, Some(2))), Err(AlreadyConfirmed));
    assert_eq!(answer(none_left(), asks(3, 6, Some(3))), Err(OwnerLimitExceeded));
    assert_eq!(answer(none_left(), asks(4, 6, Some(4))), Err(OwnerLimitExceeded));
    // The same request is answered with what became of it.
    assert_eq!(answer(none_left(), request(1, 1, &[(0, 1)])), Ok(vec![1]));
    assert_eq!(answer(none_left(), request(3, 3, &[(0, 1)])), Ok(vec![1]));
}

#[test]
fn capacity_cannot_go_below_what_is_held_and_sold() {
    let set = |capacity| Deed::SetCapacity { allocation: 0, capacity };
    let asked = |deed| truth(&all_states().add(10, 11, deed, Answer::Unknown(None)));
    assert_eq!(asked(set(3)), Truth::Done);
    assert_eq!(asked(set(2)), Truth::BelowCommitted);
    let two = || History { capacities: vec![10, 5], ..all_states() };
    let transfer = |quantity| Deed::Transfer { from: 0, to: 1, quantity };
    let moved = |quantity| truth(&two().add(10, 11, transfer(quantity), Answer::Unknown(None)));
    assert_eq!((moved(7), moved(8)), (Truth::Done, Truth::BelowCommitted));
}

#[test]
fn what_was_done_can_be_undone() {
    let history = all_states();
    let mut model = Model::new(&history, Availability::Counted);
    let before = (model.fingerprint(), model.pool(0));
    let mut undo = Vec::new();
    for operation in &history.operations {
        let Judgement::Changes(change) = model.judge(operation) else { panic!("{operation:?} changes nothing") };
        undo.push(model.apply(change));
    }
    assert_ne!(model.fingerprint(), before.0);
    assert_eq!((model.pool(0).held, model.pool(0).sold), (1, 2));
    for change in undo.into_iter().rev() {
        model.apply(change);
    }
    assert_eq!((model.fingerprint(), model.pool(0)), before);
}
