//! An honest sale of one allocation, and the words that doctored ones are written in.

use boxoffice_proto::v1::reservation::State;
use uuid::Uuid;

use crate::audit::evidence::{Counter, Counters, Delta, Entry, Evidence, Holds, Kind, Limits, Rest, Stored};
use crate::audit::findings::{Findings, Key};
use crate::audit::ledger::{self, Counts};
use crate::audit::{Verdict, judge};
use crate::clock::Micros;
use crate::history::{Action, Ask, Call, Line, Reason, Told, Units, View, owner_name};

/// The number of the allocation that is sold.
pub(super) const NUMBER: usize = 0;
/// The number of a second one, in the histories of several.
pub(super) const OTHER: usize = 1;
const NAMES: [&str; 2] = ["events/e/allocations/hot", "events/e/allocations/spare"];
pub(super) const LIMIT: i32 = 3;
/// The honest sale has this many units, of which the last change leaves none.
pub(super) const CAPACITY: i32 = 4;

pub(in crate::audit) fn ms(millis: i64) -> Micros {
    millis * 1_000
}

pub(in crate::audit) fn id(number: u32) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

/// A change of reservation `number`, whose owner has the same number.
pub(in crate::audit) fn entry(at: i64, kind: Kind, number: u32, held: i32, sold: i32) -> Entry {
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
        on_sale: (kind == Kind::EventCreated).then_some(true),
    }
}

pub(super) fn set_up(at: i64, kind: Kind, capacity: i32) -> Entry {
    let delta = Delta { allocation: NUMBER, capacity, held: 0, sold: 0 };
    Entry { reservation: None, owner: String::new(), deltas: vec![delta], ..entry(at, kind, 0, 0, 0) }
}

pub(super) fn order(number: u32) -> String {
    format!("order-{number}")
}

pub(in crate::audit) fn view(state: State, quantity: i32, expires: i64) -> View {
    let line = Line { allocation: NUMBER, quantity, cancelled: 0 };
    View { state, lines: vec![line], expires: ms(expires), order_ref: String::new() }
}

pub(in crate::audit) fn sold(number: u32, quantity: i32, cancelled: i32) -> View {
    let lines = vec![Line { allocation: NUMBER, quantity, cancelled }];
    View { lines, order_ref: order(number), ..view(State::Confirmed, quantity, 0) }
}

pub(in crate::audit) fn call(start: i64, number: u32, action: Action, told: Told) -> Call {
    let ask = Ask { owner: number, intruder: false, reservation: id(number), action };
    Call { event: 0, ask, due: ms(start), start: ms(start), end: ms(start + 100), told, gave_up_after: None }
}

pub(in crate::audit) fn units(count: i32) -> Vec<Units> {
    vec![Units { allocation: NUMBER, count }]
}

pub(in crate::audit) fn reserve(quantity: i32) -> Action {
    Action::Reserve { lines: units(quantity), up_to: false, replaces: None, sell_as: None }
}

/// One unit, without a hold.
pub(in crate::audit) fn buy(number: u32) -> Action {
    Action::Reserve { lines: units(1), up_to: false, replaces: None, sell_as: Some(order(number)) }
}

pub(in crate::audit) fn confirm(number: u32) -> Action {
    Action::Confirm { order_ref: order(number), reacquire: false }
}

/// 1 buys 2; 2 releases; 3 abandons; 4 extends, buys 2 and returns 1; 5 buys the last at once; 6 comes while all is sold.
pub(in crate::audit) fn honest_journal() -> Vec<Entry> {
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

pub(in crate::audit) fn honest_calls() -> Vec<Call> {
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

pub(super) fn intrusion(action: Action, told: Told) -> Call {
    let mut call = call(11_500, 99, action, told);
    call.ask.intruder = true;
    call.ask.reservation = id(1);
    call
}

/// What a server would hold after this journal.
pub(in crate::audit) fn evidence(mut journal: Vec<Entry>, calls: Vec<Call>) -> Evidence {
    for (entry, seq) in journal.iter_mut().zip(1..) {
        entry.seq = seq;
    }
    let replayed = ledger::replay(&journal, Limits::default(), &mut Findings::default());
    let stored = replayed.stories.iter().map(|(id, story)| Stored {
        id: *id,
        owner: story.owner.clone(),
        view: story.last().unwrap().clone(),
    });
    let counter = |(counts, name): (&Counts, &str)| Counter {
        allocation: name.to_owned(),
        capacity: counts.capacity,
        held: counts.held,
        sold: counts.sold,
        available: counts.capacity - counts.held - counts.sold,
    };
    let allocations = replayed.counts.iter().zip(NAMES).map(counter).collect();
    Evidence {
        calls,
        operators: Vec::new(),
        counters: Counters { seq: replayed.seq, read_at: ms(60_000), allocations },
        reservations: stored.collect(),
        own_lists: Vec::new(),
        journal,
        server_audit: Vec::new(),
        limits: Limits { per_owner: LIMIT, per_allocation: 0 },
        holds: Holds { granted: ms(2_000), longest: ms(5_000) },
        held_after_drain: 0,
        rest: Rest::AskedFor(vec![Some(ms(22_000)); replayed.counts.len()]),
        clock_step: 0,
        shown: Vec::new(),
        disorder: Vec::new(),
    }
}

pub(in crate::audit) fn honest() -> Evidence {
    evidence(honest_journal(), honest_calls())
}

/// The honest history with another journal, and tables that agree with it.
pub(super) fn with_journal(doctor: impl FnOnce(&mut Vec<Entry>)) -> Evidence {
    let mut journal = honest_journal();
    doctor(&mut journal);
    evidence(journal, honest_calls())
}

/// The honest history with one more call.
pub(in crate::audit) fn with_call(call: Call) -> Evidence {
    let mut evidence = honest();
    evidence.calls.push(call);
    evidence
}

#[track_caller]
pub(super) fn assert_caught(evidence: &Evidence, key: Key, count: u64, words: &str) {
    let Verdict { findings, .. } = judge(evidence);
    let told = findings.violations.iter().any(|violation| violation.key == key && violation.text.contains(words));
    assert!(told, "no {key:?} with {words:?} in {:#?}", findings.violations);
    assert_eq!(findings.count(key), count, "{:#?}", findings.violations);
}

#[track_caller]
pub(super) fn assert_clean(evidence: &Evidence) {
    let Verdict { findings, .. } = judge(evidence);
    assert!(findings.is_clean(), "{:#?}", findings.violations);
}
