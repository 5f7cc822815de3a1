//! Sales that were paused, and opened again.

use super::fixture::{
    assert_caught, assert_clean, call, confirm, entry, evidence, honest_calls, honest_journal, ms, reserve,
};
use crate::audit::evidence::{Entry, Evidence, Kind};
use crate::audit::findings::Key;
use crate::audit::judge;
use crate::clock::Micros;
use crate::history::{Action, Call, Edit, OperatorCall, OperatorTold, Reason, Told};

const PAUSE: Edit = Edit::Sales { open: false };
const OPEN: Edit = Edit::Sales { open: true };

fn edited(at: i64, on_sale: bool) -> Entry {
    let created = &honest_journal()[0];
    Entry { at: ms(at), kind: Kind::EventUpdated, on_sale: Some(on_sale), ..created.clone() }
}

fn operator(change: Edit, seen: i64, start: Micros) -> OperatorCall {
    OperatorCall { event: 0, seen, change, start, end: start + ms(100), told: OperatorTold::Done }
}

/// The honest sale, paused from 13 to 14.5 seconds: changes 8 and 9 of the journal.
fn paused(calls: impl IntoIterator<Item = Call>) -> Evidence {
    let mut journal = honest_journal();
    journal.splice(7..7, [edited(13_000, false), edited(14_500, true)]);
    let operators = vec![operator(PAUSE, 7, ms(12_950)), operator(OPEN, 8, ms(14_450))];
    Evidence { operators, ..evidence(journal, honest_calls().into_iter().chain(calls).collect()) }
}

/// A new buyer's wish.
fn wish(start: i64) -> Call {
    call(start, 50, reserve(1), Told::Refused(Reason::SalesNotOpen))
}

#[test]
fn a_pause_is_told_to_who_comes_meanwhile() {
    assert_clean(&paused([wish(13_500), wish(12_920), wish(14_450)]));
    for start in [12_800, 14_600] {
        assert_caught(&paused([wish(start)]), Key::WrongAnswer, 1, "SALES_NOT_OPEN, but the event was on sale");
    }
    let mut for_good = paused([wish(30_000)]);
    for_good.journal.push(Entry { seq: 16, ..edited(29_000, false) });
    for_good.operators.push(operator(PAUSE, 15, ms(28_950)));
    for_good.counters.seq = 16;
    assert_clean(&for_good);
    let reacquire = Action::Confirm { order_ref: "late".to_owned(), reacquire: true };
    assert_clean(&paused([call(13_500, 2, reacquire, Told::Refused(Reason::SalesNotOpen))]));
}

#[test]
fn a_pause_keeps_nobody_from_what_he_has() {
    let refused = |number, action| call(13_500, number, action, Told::Refused(Reason::SalesNotOpen));
    for (call, words) in [
        (refused(3, Action::Extend { ttl_seconds: 2 }), "that takes no new units"),
        (refused(3, confirm(3)), "that takes no new units"),
        (refused(3, Action::Release), "that takes no new units"),
        (refused(1, reserve(2)), "he had it already"),
    ] {
        assert_caught(&paused([call]), Key::WrongAnswer, 1, words);
    }
}

#[test]
fn whoever_is_sold_to_in_a_pause_is_found() {
    let mut evidence = paused([]);
    evidence.journal[7].at = ms(12_400);
    evidence.journal.swap(6, 7);
    evidence.journal[6].seq = 7;
    evidence.journal[7].seq = 8;
    evidence.operators[0] = operator(PAUSE, 6, ms(12_350));
    assert_caught(&evidence, Key::WrongAnswer, 1, "units were taken at journal 8, when the event was not on sale");
    // What was held before may be sold, whatever else is wrong with this journal: the hold lapses later.
    let mut confirmed = paused([call(13_450, 3, confirm(3), Told::Unknown("connection lost".to_owned()))]);
    confirmed.journal.insert(8, Entry { seq: 9, ..entry(13_500, Kind::Confirmed, 3, -2, 2) });
    let violations = judge(&confirmed).findings.violations;
    assert!(!violations.iter().any(|violation| violation.text.contains("not on sale")), "{violations:#?}");
}

#[test]
fn operators_pause_what_they_are_told_and_nothing_else() {
    let mut undone = paused([]);
    undone.operators.push(operator(PAUSE, 7, ms(16_000)));
    assert_caught(&undone, Key::Lost, 1, "the journal does not show it");
    // Somebody else had paused it by then.
    undone.operators[2] = operator(PAUSE, 7, ms(13_200));
    assert_clean(&undone);
    undone.operators[1].change = PAUSE;
    assert_caught(&undone, Key::Journal, 1, "no operator had asked for journal 9: EVENT_UPDATED");
    let mut stale = paused([]);
    stale.operators[1].seen = 7;
    assert_caught(&stale, Key::WrongAnswer, 1, "journal 9 was made from an etag that was old by then");
}
