//! An honest history passes; each doctored one is caught, by the right key and in the right words.

use boxoffice_proto::v1::reservation::State;
use uuid::Uuid;

use super::evidence::{Counter, Counters, Delta, Entry, Evidence, Kind, Limits, Stored};
use super::findings::{Findings, Key};
use super::{Verdict, judge, ledger};
use crate::clock::Micros;
use crate::history::{
    Action, Ask, Call, CapacityChange, Line, OperatorCall, OperatorTold, Reason, Told, Units, View, owner_name,
};

const HOT: &str = "events/e/allocations/hot";
/// Its number.
const NUMBER: usize = 0;
const LIMIT: i32 = 3;
/// The honest sale has this many units, of which the last change leaves none.
const CAPACITY: i32 = 4;

pub(super) fn ms(millis: i64) -> Micros {
    millis * 1_000
}

pub(super) fn id(number: u32) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

/// A change of reservation `number`, whose owner has the same number.
pub(super) fn entry(at: i64, kind: Kind, number: u32, held: i32, sold: i32) -> Entry {
    let delta = Delta { allocation: NUMBER, capacity: 0, held, sold };
    let expires = matches!(kind, Kind::Reserved | Kind::Extended).then(|| ms(at + 2_000));
    let sells = matches!(kind, Kind::Confirmed | Kind::Sold | Kind::Reacquired);
    Entry {
        seq: 0,
        at: ms(at),
        kind,
        reservation: Some(id(number)),
        owner: owner_name(number),
        deltas: if (held, sold) == (0, 0) { Vec::new() } else { vec![delta] },
        expires,
        order_ref: if sells { order(number) } else { String::new() },
    }
}

fn set_up(at: i64, kind: Kind, capacity: i32) -> Entry {
    let delta = Delta { allocation: NUMBER, capacity, held: 0, sold: 0 };
    Entry { reservation: None, owner: String::new(), deltas: vec![delta], ..entry(at, kind, 0, 0, 0) }
}

fn order(number: u32) -> String {
    format!("order-{number}")
}

pub(super) fn view(state: State, quantity: i32, expires: i64) -> View {
    let line = Line { allocation: NUMBER, quantity, cancelled: 0 };
    View { state, lines: vec![line], expires: ms(expires), order_ref: String::new() }
}

pub(super) fn sold(number: u32, quantity: i32, cancelled: i32) -> View {
    let lines = vec![Line { allocation: NUMBER, quantity, cancelled }];
    View { lines, order_ref: order(number), ..view(State::Confirmed, quantity, 0) }
}

pub(super) fn call(start: i64, number: u32, action: Action, told: Told) -> Call {
    let ask = Ask { owner: number, intruder: false, reservation: id(number), action };
    Call { event: 0, ask, due: ms(start), start: ms(start), end: ms(start + 100), told }
}

pub(super) fn units(count: i32) -> Vec<Units> {
    vec![Units { allocation: NUMBER, count }]
}

pub(super) fn reserve(quantity: i32) -> Action {
    Action::Reserve { lines: units(quantity), up_to: false, replaces: None, sell_as: None }
}

/// One unit, without a hold.
pub(super) fn buy(number: u32) -> Action {
    Action::Reserve { lines: units(1), up_to: false, replaces: None, sell_as: Some(order(number)) }
}

pub(super) fn confirm(number: u32) -> Action {
    Action::Confirm { order_ref: order(number), reacquire: false }
}

/// 1 buys 2; 2 releases; 3 abandons; 4 extends, buys 2 and returns 1; 5 buys the last at once; 6 comes while all is sold.
pub(super) fn honest_journal() -> Vec<Entry> {
    vec![
        set_up(0, Kind::EventCreated, 0),
        set_up(10, Kind::AllocationCreated, CAPACITY),
        entry(10_000, Kind::Reserved, 1, 2, 0),
        entry(10_500, Kind::Reserved, 2, 1, 0),
        entry(11_000, Kind::Confirmed, 1, -2, 2),
        entry(12_000, Kind::Released, 2, -1, 0),
        entry(12_500, Kind::Reserved, 3, 2, 0),
        entry(15_000, Kind::Expired, 3, -2, 0),
        entry(16_000, Kind::Reserved, 4, 2, 0),
        entry(17_000, Kind::Extended, 4, 0, 0),
        entry(18_500, Kind::Confirmed, 4, -2, 2),
        entry(20_000, Kind::Cancelled, 4, 0, -1),
        entry(21_000, Kind::Sold, 5, 0, 1),
    ]
}

pub(super) fn honest_calls() -> Vec<Call> {
    let mut calls = vec![
        call(9_950, 1, reserve(2), Told::Shown(view(State::Held, 2, 12_000))),
        call(9_960, 1, reserve(2), Told::Shown(view(State::Held, 2, 12_000))),
        call(10_450, 2, reserve(1), Told::Shown(view(State::Held, 1, 12_500))),
        call(10_950, 1, confirm(1), Told::Unknown("connection lost".to_owned())),
        call(11_200, 1, confirm(1), Told::Shown(sold(1, 2, 0))),
        call(11_950, 2, Action::Release, Told::Shown(view(State::Released, 1, 0))),
        call(12_450, 3, reserve(2), Told::Shown(view(State::Held, 2, 14_500))),
        call(14_600, 3, confirm(3), Told::Refused(Reason::ReservationExpired)),
        call(15_950, 4, reserve(2), Told::Shown(view(State::Held, 2, 18_000))),
        call(16_950, 4, Action::Extend { ttl_seconds: 2 }, Told::Shown(view(State::Held, 2, 19_000))),
        call(18_450, 4, confirm(4), Told::Shown(sold(4, 2, 0))),
        call(18_700, 6, reserve(1), Told::Refused(Reason::SoldOut)),
        call(19_950, 4, Action::Cancel { lines: units(1) }, Told::Shown(sold(4, 2, 1))),
        call(20_950, 5, buy(5), Told::Shown(sold(5, 1, 0))),
        call(21_300, 4, reserve(3), Told::Refused(Reason::OwnerLimitExceeded)),
    ];
    calls.last_mut().unwrap().ask.reservation = id(40);
    calls.push(intrusion(reserve(2), Told::Refused(Reason::ReservationIdReused)));
    calls.push(intrusion(Action::Get, Told::Refused(Reason::ReservationNotFound)));
    calls
}

fn intrusion(action: Action, told: Told) -> Call {
    let mut call = call(11_500, 99, action, told);
    call.ask.intruder = true;
    call.ask.reservation = id(1);
    call
}

/// What a server would hold after this journal.
pub(super) fn evidence(mut journal: Vec<Entry>, calls: Vec<Call>) -> Evidence {
    for (entry, seq) in journal.iter_mut().zip(1..) {
        entry.seq = seq;
    }
    let replayed = ledger::replay(&journal, Limits::default(), &mut Findings::default());
    let counts = replayed.counts[NUMBER];
    let stored = replayed.stories.iter().map(|(id, story)| Stored {
        id: *id,
        owner: story.owner.clone(),
        view: story.last().unwrap().clone(),
    });
    let counter = Counter {
        allocation: HOT.to_owned(),
        capacity: counts.capacity,
        held: counts.held,
        sold: counts.sold,
        available: counts.capacity - counts.held - counts.sold,
    };
    Evidence {
        calls,
        operators: Vec::new(),
        counters: Counters { seq: replayed.seq, read_at: ms(60_000), allocations: vec![counter] },
        reservations: stored.collect(),
        journal,
        server_audit: Vec::new(),
        limits: Limits { per_owner: LIMIT, per_allocation: 0 },
        held_after_drain: 0,
        must_be_sold_out: true,
    }
}

pub(super) fn honest() -> Evidence {
    evidence(honest_journal(), honest_calls())
}

/// The honest history with another journal, and tables that agree with it.
pub(super) fn with_journal(doctor: impl FnOnce(&mut Vec<Entry>)) -> Evidence {
    let mut journal = honest_journal();
    doctor(&mut journal);
    evidence(journal, honest_calls())
}

/// The honest history with one more call.
pub(super) fn with_call(call: Call) -> Evidence {
    let mut evidence = honest();
    evidence.calls.push(call);
    evidence
}

#[track_caller]
fn assert_caught(evidence: &Evidence, key: Key, count: u64, words: &str) {
    let Verdict { findings, .. } = judge(evidence);
    let told = findings.violations.iter().any(|violation| violation.key == key && violation.text.contains(words));
    assert!(told, "no {key:?} with {words:?} in {:#?}", findings.violations);
    assert_eq!(findings.count(key), count, "{:#?}", findings.violations);
}

#[track_caller]
fn assert_clean(evidence: &Evidence) {
    let Verdict { findings, .. } = judge(evidence);
    assert!(findings.is_clean(), "{:#?}", findings.violations);
}

#[test]
fn an_honest_history_passes() {
    let verdict = judge(&honest());
    assert!(verdict.findings.is_clean(), "{:#?}", verdict.findings.violations);
    assert_eq!((verdict.capacity, verdict.sold, verdict.unknown), (CAPACITY, CAPACITY, 1));
}

#[test]
fn an_acknowledged_reservation_that_the_journal_lacks_is_lost() {
    let call = call(30_000, 7, reserve(1), Told::Shown(view(State::Held, 1, 32_000)));
    assert_caught(&with_call(call), Key::Lost, 1, "the journal knows no such reservation");
}

#[test]
fn an_acknowledged_confirmation_that_the_journal_lacks_is_lost() {
    let lost = with_journal(|journal| {
        journal.retain(|entry| (entry.kind, entry.reservation) != (Kind::Confirmed, Some(id(1))));
        journal.insert(6, entry(12_100, Kind::Expired, 1, -2, 0));
    });
    assert_caught(&lost, Key::Lost, 1, "buyer-1 was told CONFIRMED of 2 units, order order-1");
    assert_caught(&lost, Key::Stranded, 2, "2 units were not sold");
}

#[test]
fn an_acknowledgement_from_before_the_crash_that_only_the_retry_made_true_is_lost() {
    let late = with_journal(|journal| journal[4].at = ms(11_900));
    assert_caught(&late, Key::Lost, 1, "buyer-1 was told CONFIRMED");
}

#[test]
fn an_acknowledged_release_extension_or_refund_that_the_journal_lacks_is_lost() {
    let release = with_journal(|journal| journal[5] = entry(12_501, Kind::Expired, 2, -1, 0));
    assert_caught(&release, Key::Lost, 1, "buyer-2 was told RELEASED");
    let extension = with_journal(|journal| {
        journal.remove(9);
        journal[9].at = ms(17_900);
    });
    assert_caught(&extension, Key::Lost, 1, "buyer-4 was told HELD of 2 units, until 19000000");
    let refund = with_journal(|journal| journal.truncate(11));
    assert_caught(&refund, Key::Lost, 2, "buyer-4 was told CONFIRMED of 2 units, 1 refunded");
}

#[test]
fn one_id_granted_twice_is_a_duplicate() {
    let twice = with_journal(|journal| journal.insert(4, entry(10_600, Kind::Reserved, 2, 1, 0)));
    assert_caught(&twice, Key::Duplicated, 1, "was granted twice");
}

#[test]
fn a_second_confirmation_is_a_duplicate() {
    let twice = with_journal(|journal| journal.insert(5, entry(11_050, Kind::Confirmed, 1, -2, 2)));
    assert_caught(&twice, Key::Duplicated, 1, "was confirmed twice");
}

#[test]
fn a_second_refund_and_a_second_return_are_duplicates() {
    let refund = with_journal(|journal| {
        journal.extend([entry(21_500, Kind::Cancelled, 4, 0, -1), entry(21_600, Kind::Cancelled, 4, 0, -1)]);
    });
    assert_caught(&refund, Key::Duplicated, 1, "refunded what was not sold, or twice");
    let expired = with_journal(|journal| journal.insert(6, entry(12_600, Kind::Expired, 2, -1, 0)));
    assert_caught(&expired, Key::Duplicated, 1, "units came back twice");
}

#[test]
fn one_unit_too_many_is_oversold_even_if_only_for_a_moment() {
    let over = with_journal(|journal| {
        let passing = [entry(18_600, Kind::Reserved, 7, 1, 0), entry(18_700, Kind::Released, 7, -1, 0)];
        journal.splice(11..11, passing);
    });
    assert_caught(&over, Key::Oversold, 1, "had 1 units more held and sold than its capacity");
}

#[test]
fn promises_beyond_capacity_are_oversold_whatever_the_server_wrote_down() {
    let call = call(30_000, 7, reserve(1), Told::Shown(sold(7, 2, 0)));
    assert_caught(&with_call(call), Key::Oversold, 2, "6 units are theirs, of 4");
}

#[test]
fn counters_beyond_capacity_are_oversold() {
    let mut doctored = honest();
    doctored.counters.allocations[0].sold += 1;
    doctored.counters.allocations[0].available -= 1;
    assert_caught(&doctored, Key::Oversold, 1, "0 held and 5 sold of 4");
    assert_caught(&doctored, Key::Mismatched, 1, "says capacity 4, held 0, sold 5; its journal 4, 0, 4");
}

#[test]
fn a_stale_sold_out_is_false() {
    // At 19.0 all is sold; from 20.0 one is back, and stays so until 21.0.
    let stale = call(20_300, 7, reserve(1), Told::Refused(Reason::SoldOut));
    assert_caught(&with_call(stale), Key::FalseSoldOut, 1, "at least 1 units were for sale all the time");
    assert_clean(&with_call(call(20_300, 7, reserve(2), Told::Refused(Reason::InsufficientAvailability))));
    assert_clean(&with_call(call(19_950, 7, reserve(1), Told::Refused(Reason::SoldOut))));
    assert_clean(&with_call(call(20_950, 7, reserve(1), Told::Refused(Reason::SoldOut))));
}

#[test]
fn an_expired_hold_does_not_excuse_a_sold_out() {
    // The hold of 3 expired at 14.5 and was tidied at 15.0; a decision in between must not see it.
    let early = call(14_300, 7, reserve(2), Told::Refused(Reason::AllHeld));
    assert_clean(&with_call(early));
    let late = call(14_700, 7, reserve(2), Told::Refused(Reason::AllHeld));
    assert_caught(&with_call(late), Key::FalseSoldOut, 1, "refused, ALL_HELD");
}

#[test]
fn a_hold_that_outlives_its_expiry_is_leaked() {
    let leaked = with_journal(|journal| drop(journal.remove(7)));
    assert_caught(&leaked, Key::Leaked, 2, "expired at 14500000, and its units never came back");
    let mut held = honest();
    held.held_after_drain = 3;
    assert_caught(&held, Key::Leaked, 3, "3 units were still held");
}

#[test]
fn units_that_are_nowhere_are_stranded() {
    let mut doctored = honest();
    doctored.counters.allocations[0].available = -1;
    assert_caught(&doctored, Key::Stranded, 1, "1 of 4 units are neither available nor held nor sold");
}

#[test]
fn a_passed_owner_limit_is_caught() {
    let greedy = with_journal(|journal| journal[12].owner = owner_name(1));
    assert_eq!(judge(&greedy).findings.count(Key::LimitPassed), 0);
    let greedier = with_journal(|journal| {
        journal[12].owner = owner_name(1);
        journal.truncate(7);
        journal.push(entry(12_600, Kind::Sold, 8, 0, 2));
        journal[7].owner = owner_name(1);
    });
    assert_caught(&greedier, Key::LimitPassed, 1, "buyer-1 had 4 units at journal 8; the limit is 3");
}

#[test]
fn a_limit_that_was_not_reached_is_no_reason() {
    let call = call(30_000, 7, reserve(3), Told::Refused(Reason::OwnerLimitExceeded));
    assert_caught(&with_call(call), Key::WrongAnswer, 1, "the limit was not reached");
}

#[test]
fn a_gap_in_the_journal_is_caught() {
    let mut doctored = honest();
    doctored.journal.remove(9);
    assert_caught(&doctored, Key::Journal, 1, "the journal goes from 9 to 11");
}

#[test]
fn tables_that_disagree_with_the_journal_are_caught() {
    let mut doctored = honest();
    let stored = doctored.reservations.iter_mut().find(|stored| stored.id == id(1)).unwrap();
    stored.view.state = State::Held;
    assert_caught(&doctored, Key::Mismatched, 1, "is listed as HELD");
    let mut doctored = honest();
    doctored.reservations.retain(|stored| stored.id != id(5));
    assert_caught(&doctored, Key::Mismatched, 1, "is in the journal, but not listed");
    let mut doctored = honest();
    doctored.server_audit.push("sold of hot is 3; the journal says 4".to_owned());
    assert_caught(&doctored, Key::Mismatched, 1, "the server's own audit: sold of hot is 3");
}

#[test]
fn an_intruder_must_learn_nothing() {
    let shown = intrusion(Action::Get, Told::Shown(sold(1, 2, 0)));
    assert_caught(&with_call(shown), Key::Disclosed, 1, "was not told RESERVATION_NOT_FOUND");
    let hint = intrusion(confirm(1), Told::Refused(Reason::AlreadyConfirmed));
    assert_caught(&with_call(hint), Key::Disclosed, 1, "was not told RESERVATION_NOT_FOUND");
}

#[test]
fn a_refusal_that_contradicts_the_reservation_is_wrong() {
    let alive = call(11_500, 2, confirm(2), Told::Refused(Reason::ReservationExpired));
    assert_caught(&with_call(alive), Key::WrongAnswer, 1, "the reservation was not so at that time");
    let gone = call(11_500, 2, confirm(2), Told::Refused(Reason::ReservationNotFound));
    assert_caught(&with_call(gone), Key::Lost, 1, "the journal has it");
}

#[test]
fn a_refusal_to_replace_speaks_of_the_hold_to_be_replaced() {
    let replace = |replaced, reason| {
        let action = Action::Reserve { lines: units(1), up_to: false, replaces: Some(id(replaced)), sell_as: None };
        let mut call = call(30_000, 1, action, Told::Refused(reason));
        call.ask.reservation = id(41);
        with_call(call)
    };
    assert_clean(&replace(1, Reason::AlreadyConfirmed));
    assert_caught(&replace(2, Reason::AlreadyConfirmed), Key::WrongAnswer, 1, "was not so at that time");
    assert_clean(&replace(42, Reason::ReservationNotFound));
    assert_caught(&replace(2, Reason::ReservationNotFound), Key::Lost, 1, "the journal has it");
}

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
fn with_operator(change: CapacityChange, told: OperatorTold, delta: i32) -> Evidence {
    let operator = OperatorCall { event: 0, change, start: ms(22_000), end: ms(22_100), told };
    let mut journal = honest_journal();
    if delta != 0 {
        journal.push(set_up(22_050, Kind::AllocationUpdated, delta));
    }
    Evidence { operators: vec![operator], must_be_sold_out: false, ..evidence(journal, honest_calls()) }
}

#[test]
fn operators_get_what_they_are_told_and_nothing_else() {
    let set = CapacityChange::Set { allocation: NUMBER, capacity: 6 };
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

const SECOND: usize = 1;

/// Two allocations of two units each; 1 takes one of each, and they come back at once.
fn two_allocations() -> Evidence {
    let delta = |allocation, capacity, held| Delta { allocation, capacity, held, sold: 0 };
    let mut journal = vec![
        set_up(0, Kind::EventCreated, 0),
        set_up(10, Kind::AllocationCreated, 2),
        Entry { deltas: vec![delta(SECOND, 2, 0)], ..set_up(20, Kind::AllocationCreated, 0) },
        Entry { deltas: vec![delta(NUMBER, 0, 1), delta(SECOND, 0, 1)], ..entry(10_000, Kind::Reserved, 1, 1, 0) },
        Entry { deltas: vec![delta(NUMBER, 0, -1), delta(SECOND, 0, -1)], ..entry(10_500, Kind::Released, 1, 1, 0) },
    ];
    for (entry, seq) in journal.iter_mut().zip(1..) {
        entry.seq = seq;
    }
    let wish = vec![Units { allocation: NUMBER, count: 1 }, Units { allocation: SECOND, count: 1 }];
    let lines = wish.iter().map(|units| Line { allocation: units.allocation, quantity: 1, cancelled: 0 }).collect();
    let held = View { lines, ..view(State::Held, 0, 12_000) };
    let released = View { state: State::Released, ..held.clone() };
    let reserve = Action::Reserve { lines: wish, up_to: false, replaces: None, sell_as: None };
    let calls = vec![
        call(9_950, 1, reserve, Told::Shown(held)),
        call(10_450, 1, Action::Release, Told::Shown(released.clone())),
    ];
    let counter = |name: &str| Counter { allocation: name.to_owned(), capacity: 2, held: 0, sold: 0, available: 2 };
    Evidence {
        journal,
        counters: Counters { seq: 5, read_at: ms(60_000), allocations: vec![counter("hot"), counter("hot-1")] },
        reservations: vec![Stored { id: id(1), owner: owner_name(1), view: released }],
        // A limit is a reason that goes before a lack.
        limits: Limits::default(),
        must_be_sold_out: false,
        ..evidence(honest_journal(), calls)
    }
}

#[test]
fn a_reservation_of_several_allocations_moves_all_of_them() {
    assert_clean(&two_allocations());
    let mut half = two_allocations();
    half.journal[4].deltas.pop();
    half.counters.allocations[SECOND] = Counter { held: 1, available: 1, ..half.counters.allocations[SECOND].clone() };
    assert_caught(&half, Key::Journal, 1, "ended with other counts than were held");
    let mut swapped = two_allocations();
    swapped.journal[3].deltas[1].allocation = NUMBER;
    assert_caught(&swapped, Key::Lost, 2, "the journal does not show it for that time");
}

#[test]
fn whoever_takes_what_there_is_may_be_kept_from_it_by_his_limit() {
    let lines = vec![Units { allocation: NUMBER, count: 1 }, Units { allocation: SECOND, count: 1 }];
    let action = Action::Reserve { lines, up_to: true, replaces: None, sell_as: None };
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
        let lines =
            vec![Units { allocation: NUMBER, count: counts[0] }, Units { allocation: SECOND, count: counts[1] }];
        let action = Action::Reserve { lines, up_to: false, replaces: None, sell_as: None };
        let mut evidence = two_allocations();
        evidence.calls.push(call(start, 7, action, Told::Refused(Reason::InsufficientAvailability)));
        evidence
    };
    assert_caught(&refused([1, 2], 11_000), Key::FalseSoldOut, 1, "at least 2 and 2 units were for sale all the time");
    assert_clean(&refused([1, 3], 11_000));
    assert_clean(&refused([1, 2], 10_100));
    assert_caught(&refused([1, 1], 10_100), Key::FalseSoldOut, 1, "at least 1 and 1 units");
}
