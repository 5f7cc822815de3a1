//! Reservations of several allocations.

use boxoffice_proto::v1::reservation::State;

use super::fixture::{NUMBER, OTHER, assert_caught, assert_clean, call, entry, evidence, id, ms, set_up, sold, view};
use crate::audit::evidence::{Counter, Delta, Entry, Evidence, Kind, Limits, Rest};
use crate::audit::findings::Key;
use crate::audit::judge;
use crate::history::{Action, Call, Line, Reason, Told, Units, View};

/// Of each allocation.
fn wish(counts: [i32; 2]) -> Vec<Units> {
    let units = [NUMBER, OTHER].into_iter().zip(counts).map(|(allocation, count)| Units { allocation, count });
    units.filter(|units| units.count != 0).collect()
}

fn reserve(lines: Vec<Units>, up_to: bool) -> Action {
    Action::Reserve { lines, up_to, replaces: None, sell_as: None }
}

fn lines(quantities: [i32; 2]) -> Vec<Line> {
    let line = |units: Units| Line { allocation: units.allocation, quantity: units.count, cancelled: 0 };
    wish(quantities).into_iter().map(line).collect()
}

/// A change of reservation 1: what it adds to held and sold of each allocation.
fn change(at: i64, kind: Kind, units: [(i32, i32); 2]) -> Entry {
    let delta = |(allocation, (held, sold))| Delta { allocation, capacity: 0, held, sold };
    Entry { deltas: [NUMBER, OTHER].into_iter().zip(units).map(delta).collect(), ..entry(at, kind, 1, 0, 0) }
}

/// Two allocations of two units each, without a limit: that would be a reason that goes before a lack.
fn of_two(changes: Vec<Entry>, calls: Vec<Call>) -> Evidence {
    let mut other = set_up(20, Kind::AllocationCreated, 2);
    other.deltas[0].allocation = OTHER;
    let mut journal = vec![set_up(0, Kind::EventCreated, 0), set_up(10, Kind::AllocationCreated, 2), other];
    journal.extend(changes);
    Evidence { limits: Limits::default(), rest: Rest::NotAsked, ..evidence(journal, calls) }
}

/// 1 takes one of each, and they come back at once.
fn two_allocations() -> Evidence {
    let changes =
        vec![change(10_000, Kind::Reserved, [(1, 0), (1, 0)]), change(10_500, Kind::Released, [(-1, 0), (-1, 0)])];
    let held = View { lines: lines([1, 1]), ..view(State::Held, 0, 12_000) };
    let released = View { state: State::Released, ..held.clone() };
    let calls = vec![
        call(9_950, 1, reserve(wish([1, 1]), false), Told::Shown(held)),
        call(10_450, 1, Action::Release, Told::Shown(released)),
    ];
    of_two(changes, calls)
}

#[test]
fn a_reservation_of_several_allocations_moves_all_of_them() {
    assert_clean(&two_allocations());
    let mut half = two_allocations();
    half.journal[4].deltas.pop();
    half.counters.allocations[OTHER] = Counter { held: 1, available: 1, ..half.counters.allocations[OTHER].clone() };
    assert_caught(&half, Key::Journal, 1, "ended with other counts than were held");
    let mut swapped = two_allocations();
    swapped.journal[3].deltas[1].allocation = NUMBER;
    assert_caught(&swapped, Key::Lost, 2, "the journal does not show it for that time");
}

#[test]
fn whoever_takes_what_there_is_may_be_kept_from_it_by_his_limit() {
    let action = reserve(wish([1, 1]), true);
    let mut evidence = two_allocations();
    evidence.journal[2].deltas[0].capacity = 0;
    evidence.journal.truncate(3);
    evidence.calls = vec![call(11_000, 7, action, Told::Refused(Reason::AllHeld))];
    let told = |per_allocation| {
        let limits = Limits { per_owner: 0, per_allocation };
        judge(&Evidence { limits, ..evidence.clone() }).findings.count(Key::FalseSoldOut)
    };
    assert_eq!((told(0), told(1)), (1, 0));
}

#[test]
fn sold_out_is_false_if_each_of_the_lines_had_enough() {
    let refused = |counts: [i32; 2], start| {
        let action = reserve(wish(counts), false);
        let mut evidence = two_allocations();
        evidence.calls.push(call(start, 7, action, Told::Refused(Reason::InsufficientAvailability)));
        evidence
    };
    assert_caught(&refused([1, 2], 11_000), Key::FalseSoldOut, 1, "at least 2 and 2 units were for sale all the time");
    assert_clean(&refused([1, 3], 11_000));
    assert_clean(&refused([1, 2], 10_100));
    assert_caught(&refused([1, 1], 10_100), Key::FalseSoldOut, 1, "at least 1 and 1 units");
}

#[test]
fn the_order_of_the_lines_in_a_change_says_nothing() {
    let mut turned = two_allocations();
    turned.journal[3].deltas.reverse();
    turned.journal[4].deltas.reverse();
    assert_clean(&turned);
}

#[test]
fn units_come_back_to_the_allocation_that_they_were_taken_from() {
    let mut elsewhere = two_allocations();
    elsewhere.journal[4].deltas[1].allocation = NUMBER;
    assert_caught(&elsewhere, Key::Journal, 2, "ended with other counts than were held");
}

/// 1 buys two of the first and one of the other, and gets this many of each refunded.
fn refunded(units: [i32; 2]) -> Evidence {
    let mut changes = vec![change(10_000, Kind::Sold, [(0, 2), (0, 1)])];
    let refund = [(NUMBER, units[0]), (OTHER, units[1])].map(|(allocation, count)| Units { allocation, count });
    let deltas = refund.map(|units| Delta { allocation: units.allocation, capacity: 0, held: 0, sold: -units.count });
    let mut cancelled = entry(11_000, Kind::Cancelled, 1, 0, 0);
    cancelled.deltas = deltas.into_iter().filter(|delta| delta.sold != 0).collect();
    changes.push(cancelled);
    let bought = View { lines: lines([2, 1]), ..sold(1, 0, 0) };
    let mut after = bought.clone();
    for (line, units) in after.lines.iter_mut().zip(units) {
        line.cancelled = units;
    }
    let buy =
        Action::Reserve { lines: wish([2, 1]), up_to: false, replaces: None, sell_as: Some(bought.order_ref.clone()) };
    let calls = vec![
        call(9_950, 1, buy, Told::Shown(bought)),
        call(10_950, 1, Action::Cancel { lines: wish(units) }, Told::Shown(after)),
    ];
    of_two(changes, calls)
}

#[test]
fn a_refund_is_of_one_allocation() {
    assert_clean(&refunded([0, 1]));
    assert_clean(&refunded([1, 1]));
    assert_caught(&refunded([0, 2]), Key::Duplicated, 1, "refunded what was not sold, or twice");
}

#[test]
fn a_success_has_each_line_that_was_asked_for_and_no_other() {
    let asked = |counts, up_to| {
        let mut evidence = two_allocations();
        evidence.calls[0].ask.action = reserve(wish(counts), up_to);
        evidence
    };
    assert_clean(&asked([1, 1], true));
    for (counts, up_to) in [([2, 0], false), ([1, 0], false), ([1, 0], true)] {
        assert_caught(&asked(counts, up_to), Key::WrongAnswer, 1, "was told HELD of 2 units (1×#0 + 1×#1)");
    }
}

/// 1 asks for more, and is refused because of the limit of each allocation.
fn refused_at_limit(start: i64, lines: Vec<Units>, up_to: bool, per_allocation: i32) -> Evidence {
    let mut refused = call(start, 1, reserve(lines, up_to), Told::Refused(Reason::OwnerLimitExceeded));
    refused.ask.reservation = id(2);
    let mut evidence = two_allocations();
    evidence.calls.push(refused);
    Evidence { limits: Limits { per_owner: 0, per_allocation }, ..evidence }
}

#[test]
fn a_limit_of_each_allocation_counts_the_units_of_that_one() {
    let words = "the limit was not reached";
    assert_clean(&refused_at_limit(10_200, wish([0, 1]), false, 1));
    assert_caught(&refused_at_limit(11_000, wish([0, 1]), false, 1), Key::WrongAnswer, 1, words);
    assert_caught(&refused_at_limit(10_200, wish([0, 1]), false, 2), Key::WrongAnswer, 1, words);
    assert_caught(&refused_at_limit(10_200, wish([0, 5]), true, 2), Key::WrongAnswer, 1, words);
}

#[test]
fn a_passed_limit_of_an_allocation_is_caught() {
    let limited = |per_allocation| {
        let changes = vec![change(10_000, Kind::Reserved, [(2, 0), (1, 0)])];
        Evidence { limits: Limits { per_owner: 0, per_allocation }, ..of_two(changes, Vec::new()) }
    };
    let words = "buyer-1 in allocation #0 had 2 units at journal 4; the limit is 1";
    assert_caught(&limited(1), Key::LimitPassed, 1, words);
    assert_eq!(judge(&limited(2)).findings.count(Key::LimitPassed), 0);
}

#[test]
fn a_lapsed_hold_is_taken_from_the_counts_of_each_of_its_allocations() {
    let held = View { lines: lines([2, 1]), ..view(State::Held, 0, 12_000) };
    let calls = vec![call(9_950, 1, reserve(wish([2, 1]), false), Told::Shown(held))];
    let mut lapsed = of_two(vec![change(10_000, Kind::Reserved, [(2, 0), (1, 0)])], calls);
    lapsed.counters.read_at = ms(20_000);
    lapsed.reservations[0].view.state = State::Expired;
    assert_caught(&lapsed, Key::Mismatched, 2, "says capacity 2, held 1, sold 0; its journal 2, 0, 0");
    for counter in &mut lapsed.counters.allocations {
        (counter.held, counter.available) = (0, 2);
    }
    assert_clean(&lapsed);
    lapsed.counters.read_at = ms(22_001);
    assert_caught(&lapsed, Key::Leaked, 3, "its units never came back");
}
