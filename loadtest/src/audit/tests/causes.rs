//! Effects that nobody asked for, and operators who did not get what they were told.

use super::fixture::{
    CAPACITY, NUMBER, OTHER, assert_caught, assert_clean, call, entry, evidence, honest, honest_calls, honest_journal,
    id, ms, order, set_up, sold, units, with_journal,
};
use crate::audit::evidence::{Delta, Entry, Evidence, Kind, Rest};
use crate::audit::findings::Key;
use crate::audit::judge;
use crate::history::{Action, Edit, OperatorCall, OperatorTold, Told};

#[test]
fn an_effect_without_a_cause_is_caught() {
    let ghost = with_journal(|journal| {
        let passing = [entry(11_100, Kind::Reserved, 7, 1, 0), entry(11_200, Kind::Released, 7, -1, 0)];
        journal.splice(5..5, passing);
    });
    assert_caught(&ghost, Key::Journal, 2, "nobody had asked for journal 6: RESERVED");
    let early = with_journal(|journal| journal[4].at = ms(10_700));
    assert_caught(&early, Key::Journal, 1, "nobody had asked for journal 5: CONFIRMED");
    let unasked = evidence(honest_journal(), {
        let mut calls = honest_calls();
        calls.retain(|call| call.ask.action != Action::Release);
        calls
    });
    assert_caught(&unasked, Key::Journal, 1, "nobody had asked for journal 6: RELEASED");
}

/// The honest sale, after which an operator sets another capacity, and the last two units are sold.
fn with_operator(change: Edit, told: OperatorTold, delta: i32) -> Evidence {
    let operator = OperatorCall { event: 0, seen: 13, change, start: ms(22_000), end: ms(22_100), told };
    let mut journal = honest_journal();
    if delta != 0 {
        journal.push(set_up(22_050, Kind::AllocationUpdated, delta));
    }
    Evidence { operators: vec![operator], rest: Rest::NotAsked, ..evidence(journal, honest_calls()) }
}

#[test]
fn operators_get_what_they_are_told_and_nothing_else() {
    let set = Edit::Set { allocation: NUMBER, capacity: 6 };
    let unknown = || OperatorTold::Unknown("no answer in time".to_owned());
    assert_clean(&with_operator(set, OperatorTold::Done, 2));
    assert_clean(&with_operator(set, unknown(), 2));
    assert_clean(&with_operator(set, unknown(), 0));
    assert_caught(&with_operator(set, OperatorTold::Done, 0), Key::Lost, 1, "the journal does not show it");
    assert_caught(&with_operator(set, OperatorTold::Done, 1), Key::Lost, 1, "the journal does not show it");
    // Somebody else had set it just before, and nothing was left to do.
    let mut same = with_operator(set, OperatorTold::Done, 2);
    same.operators.push(OperatorCall { start: ms(22_060), ..same.operators[0].clone() });
    assert_clean(&same);
    same.operators[1].end = ms(21_900);
    same.operators[1].start = ms(21_800);
    assert_caught(&same, Key::Lost, 1, "the journal does not show it");
    let refused = OperatorTold::Refused("CAPACITY_BELOW_COMMITTED".to_owned());
    assert_caught(&with_operator(set, refused, 2), Key::Journal, 1, "no operator had asked for journal 14");
    let mut twice = with_operator(set, OperatorTold::Done, 2);
    let again = Entry { seq: 15, ..set_up(22_060, Kind::AllocationUpdated, 0) };
    twice.journal.push(again);
    twice.counters.seq = 15;
    assert_caught(&twice, Key::Journal, 1, "no operator had asked for journal 15");
}

#[test]
fn what_only_an_intruder_asked_for_has_no_cause() {
    let mut stolen = honest();
    let release = stolen.calls.iter_mut().find(|call| call.ask.action == Action::Release).unwrap();
    release.ask.intruder = true;
    assert_caught(&stolen, Key::Journal, 1, "nobody had asked for journal 6: RELEASED");
}

#[test]
fn a_refund_has_a_cause_too() {
    let mut unasked = honest();
    unasked.calls.retain(|call| !matches!(call.ask.action, Action::Cancel { .. }));
    assert_caught(&unasked, Key::Journal, 1, "nobody had asked for journal 12: CANCELLED");
}

#[test]
fn only_who_asks_for_it_gets_lapsed_units_again() {
    let asked = |reacquire| {
        let mut journal = honest_journal();
        journal.truncate(8);
        journal.push(entry(15_500, Kind::Reacquired, 3, 0, 2));
        let mut calls = honest_calls();
        let again = Action::Confirm { order_ref: order(3), reacquire };
        calls.push(call(15_450, 3, again, Told::Shown(sold(3, 2, 0))));
        judge(&evidence(journal, calls)).findings.count(Key::Journal)
    };
    assert_eq!((asked(true), asked(false)), (0, 1));
}

#[test]
fn a_replacement_is_the_cause_of_a_release() {
    let mut replaced = honest();
    let index = replaced.calls.iter().position(|call| call.ask.action == Action::Release).unwrap();
    let lines = units(1);
    replaced.calls[index].ask.action = Action::Reserve { lines, up_to: false, replaces: Some(id(2)), sell_as: None };
    replaced.calls[index].ask.reservation = id(42);
    assert_eq!(judge(&replaced).findings.count(Key::Journal), 0);
}

#[test]
fn a_change_of_a_capacity_lies_in_the_time_of_its_call() {
    let set = Edit::Set { allocation: NUMBER, capacity: 6 };
    let moved = |start, told| {
        let mut evidence = with_operator(set, told, 2);
        evidence.operators[0].start = ms(start);
        evidence.operators[0].end = ms(start + 20);
        evidence
    };
    let words = "no operator had asked for journal 14: ALLOCATION_UPDATED";
    assert_caught(&moved(22_060, OperatorTold::Done), Key::Journal, 1, words);
    assert_caught(&moved(22_000, OperatorTold::Done), Key::Journal, 1, words);
    let unknown = || OperatorTold::Unknown("no answer in time".to_owned());
    assert_caught(&moved(22_060, unknown()), Key::Journal, 1, words);
    assert_clean(&moved(22_000, unknown()));
}

#[test]
fn a_capacity_can_have_been_so_for_a_part_of_a_call() {
    let set = |capacity| Edit::Set { allocation: NUMBER, capacity };
    let mut evidence = with_operator(set(6), OperatorTold::Done, 2);
    evidence.journal.push(Entry { seq: 15, ..set_up(22_150, Kind::AllocationUpdated, -1) });
    evidence.counters.seq = 15;
    let operator =
        |change, start, end| OperatorCall { change, start: ms(start), end: ms(end), ..evidence.operators[0].clone() };
    let same = operator(set(6), 22_060, 22_300);
    let late = operator(set(6), 22_200, 22_300);
    let fewer = operator(set(5), 22_120, 22_180);
    evidence.operators.push(fewer);
    evidence.operators.push(same);
    assert_eq!(judge(&evidence).findings.count(Key::Lost), 0);
    evidence.operators[2] = late;
    assert_caught(&evidence, Key::Lost, 1, "the journal does not show it");
}

#[test]
fn an_operator_changes_nothing_that_another_has_changed_since_he_read_it() {
    let set = |capacity| Edit::Set { allocation: NUMBER, capacity };
    let second = |seen, change| {
        let mut evidence = with_operator(set(6), OperatorTold::Done, 2);
        evidence.journal.push(Entry { seq: 15, ..set_up(22_060, Kind::AllocationUpdated, 1) });
        evidence.counters.seq = 15;
        evidence.operators.push(OperatorCall { seen, change, ..evidence.operators[0].clone() });
        evidence
    };
    let blind = |seen| judge(&second(seen, set(7))).findings.count(Key::WrongAnswer);
    assert_eq!((blind(14), blind(13)), (0, 1));
    let early = second(15, set(7));
    assert_caught(&early, Key::Journal, 1, "no operator had asked for journal 15");
}

/// The honest sale and one spare unit in a second allocation, of which an operator moves some.
fn with_transfer(units: [i32; 2], operators: &[(Edit, OperatorTold)]) -> Evidence {
    let delta = |(allocation, capacity)| Delta { allocation, capacity, held: 0, sold: 0 };
    let mut journal = honest_journal();
    let spare = set_up(20, Kind::AllocationCreated, 0);
    journal.insert(2, Entry { deltas: vec![delta((OTHER, 2))], ..spare });
    let deltas = [NUMBER, OTHER].into_iter().zip(units).map(delta).collect();
    journal.push(Entry { deltas, ..set_up(22_050, Kind::CapacityTransferred, 0) });
    let call = |(change, told): &(Edit, OperatorTold)| OperatorCall {
        event: 0,
        seen: 14,
        change: *change,
        start: ms(22_000),
        end: ms(22_100),
        told: told.clone(),
    };
    let operators = operators.iter().map(call).collect();
    Evidence { operators, rest: Rest::NotAsked, ..evidence(journal, honest_calls()) }
}

#[test]
fn a_transfer_moves_what_its_operator_asked_for() {
    let transfer = Edit::Transfer { from: OTHER, to: NUMBER, units: 1 };
    let done = || (transfer, OperatorTold::Done);
    let unknown = || (transfer, OperatorTold::Unknown("no answer in time".to_owned()));
    assert_clean(&with_transfer([1, -1], &[done()]));
    assert_clean(&with_transfer([1, -1], &[unknown(), done()]));
    for units in [[2, -1], [1, -2], [-1, 1]] {
        let wrong = with_transfer(units, &[done()]);
        assert_caught(&wrong, Key::Journal, 1, "no operator had asked for journal 15: CAPACITY_TRANSFERRED");
        assert_caught(&wrong, Key::Lost, 1, "the journal does not show it");
    }
    assert_caught(&with_transfer([1, -1], &[done(), done()]), Key::Lost, 1, "the journal does not show it");
    let set = Edit::Set { allocation: NUMBER, capacity: 5 };
    assert_caught(&with_transfer([1, -1], &[(set, OperatorTold::Done)]), Key::Journal, 1, "CAPACITY_TRANSFERRED");
}

#[test]
fn a_change_of_one_capacity_is_no_cause_for_another() {
    let set = Edit::Set { allocation: NUMBER, capacity: CAPACITY };
    let mut other = with_transfer([0, 1], &[(set, OperatorTold::Done)]);
    let last = other.journal.last_mut().unwrap();
    last.kind = Kind::AllocationUpdated;
    last.deltas.remove(0);
    assert_caught(&other, Key::Journal, 1, "no operator had asked for journal 15: ALLOCATION_UPDATED");
}
