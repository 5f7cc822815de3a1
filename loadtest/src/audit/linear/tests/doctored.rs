//! Evidence that was doctored together with its journal, so that the journal agrees with the lie: the calls alone convict.

use boxoffice_proto::v1::reservation::State;

use crate::audit::evidence::{Evidence, Kind};
use crate::audit::findings::{EVIDENCE_LINES_MAX, Key};
use crate::audit::judge;
use crate::audit::tests::fixture::{
    buy, call, confirm, entry, evidence, honest, honest_calls, honest_journal, id, ms, reserve, sold, units, view,
    with_call,
};
use crate::history::{Action, Edit, OperatorCall, OperatorTold, Reason, Told};

#[track_caller]
fn assert_told(evidence: &Evidence, words: &[&str], lines: &[&str]) {
    let findings = judge(evidence).findings;
    let violations = findings.violations.iter().filter(|violation| violation.key == Key::NotLinearizable);
    let told: Vec<_> = violations.collect();
    let found = told.iter().find(|violation| words.iter().all(|words| violation.text.contains(words)));
    let Some(found) = found else { panic!("nothing says {words:?}: {told:#?}") };
    for line in lines {
        assert!(found.evidence.iter().any(|told| told.contains(line)), "no line says {line:?}: {found:#?}");
    }
    assert!(found.evidence.len() <= EVIDENCE_LINES_MAX, "{found:#?}");
}

#[track_caller]
fn assert_clean(evidence: &Evidence) {
    let findings = judge(evidence).findings;
    assert!(findings.is_clean(), "{:#?}", findings.violations);
}

#[test]
fn a_lost_acknowledgement_is_told_with_the_call_and_the_journal() {
    let lost = call(10_900, 1, Action::Get, Told::Refused(Reason::ReservationNotFound));
    // A look may be a second old.
    assert!(judge(&with_call(lost)).findings.count(Key::NotLinearizable) == 0);
    let lost = call(11_300, 1, confirm(1), Told::Refused(Reason::ReservationNotFound));
    let words = ["buyer-1 was told RESERVATION_NOT_FOUND", "it would have been CONFIRMED of 2 units", "was lost"];
    let lines =
        ["refused, RESERVATION_NOT_FOUND", "then: its reservation is CONFIRMED", "journal 3", "before it: call"];
    assert_told(&with_call(lost), &words, &lines);
}

/// Met on a machine with much else to do: one of two copies was granted and not answered, and the other came when the hold had
/// lapsed.
#[test]
fn a_repeat_that_is_told_of_a_lapsed_hold_has_not_made_it() {
    let mut evidence = honest();
    let first = evidence.calls.iter_mut().find(|call| call.ask.reservation == id(3)).unwrap();
    (first.end, first.told) = (ms(17_450), Told::Unknown("no answer in time".to_owned()));
    let mut copy = call(12_450, 3, reserve(2), Told::Shown(view(State::Expired, 2, 14_500)));
    copy.end = ms(15_200);
    evidence.calls.push(copy);
    assert_clean(&evidence);
    evidence.calls.retain(|call| !matches!(call.told, Told::Unknown(_)) || call.ask.reservation != id(3));
    assert_told(&evidence, &["buyer-3 was told RESERVATION_EXPIRED, which no order"], &[]);
}

#[test]
fn a_double_sale_is_told_with_the_state_in_which_it_was_impossible() {
    let mut journal = honest_journal();
    journal.push(entry(21_100, Kind::Sold, 7, 0, 1));
    let mut calls = honest_calls();
    calls.push(call(21_050, 7, buy(7), Told::Shown(sold(7, 1, 0))));
    let words = ["buyer-7 was told CONFIRMED of 1 units", "it would have been SOLD_OUT (oversold)"];
    let lines = ["events/e/allocations/hot has capacity 4, held 0, sold 4", "by buyer-5", "journal 14"];
    assert_told(&evidence(journal, calls), &words, &lines);
}

#[test]
fn an_oversell_that_sums_cannot_show_is_told_with_the_counts() {
    // In flight during the sale of the last unit, and gone before anybody could add up.
    let mut journal = honest_journal();
    journal.push(entry(21_010, Kind::Sold, 7, 0, 1));
    journal.push(entry(21_200, Kind::Cancelled, 7, 0, -1));
    let mut calls = honest_calls();
    calls.push(call(20_970, 7, buy(7), Told::Shown(sold(7, 1, 0))));
    calls.push(call(20_980, 7, Action::Cancel { lines: Vec::new() }, Told::Shown(refunded())));
    let clean = evidence(journal.clone(), calls.clone());
    assert!(judge(&clean).findings.count(Key::NotLinearizable) == 0, "the refund may have come first");
    let late = calls.last_mut().unwrap();
    (late.start, late.end) = (ms(21_071), ms(21_171));
    let words = ["CONFIRMED of 1 units, which no order", "it would have been SOLD_OUT (oversold)"];
    assert_told(&evidence(journal, calls), &words, &["hot has capacity 4, held 0, sold 4"]);
}

fn refunded() -> crate::history::View {
    crate::history::View { state: State::Cancelled, ..sold(7, 1, 1) }
}

#[test]
fn a_second_refund_is_told_as_such() {
    let mut calls = honest_calls();
    let place = calls.iter().position(|call| matches!(call.ask.action, Action::Cancel { .. })).unwrap();
    calls.insert(place + 1, call(20_200, 4, Action::Cancel { lines: units(1) }, Told::Shown(sold(4, 2, 2))));
    let mut journal = honest_journal();
    journal.insert(12, entry(20_250, Kind::Cancelled, 4, 0, -1));
    let words =
        ["buyer-4 was told CONFIRMED of 2 units, 2 refunded", "it would have been CONFIRMED of 2 units, 1 refunded"];
    assert_told(&evidence(journal, calls), &words, &["before it: call"]);
}

#[test]
fn a_stale_sold_out_is_told_with_what_was_for_sale() {
    let stale = call(20_300, 7, reserve(1), Told::Refused(Reason::SoldOut));
    let words = ["buyer-7 was told SOLD_OUT", "it would have been HELD of 1 units (a false \"sold out\")"];
    assert_told(&with_call(stale), &words, &["refused, SOLD_OUT", "hot has capacity 4, held 0, sold 3"]);
}

#[test]
fn a_wrong_name_for_a_true_lack_is_told() {
    // At 18.7 all is sold and nothing is held, so nothing can come back by itself.
    let wrong = call(18_720, 7, reserve(1), Told::Refused(Reason::AllHeld));
    assert_told(&with_call(wrong), &["buyer-7 was told ALL_HELD", "it would have been SOLD_OUT"], &["held 0, sold 4"]);
}

#[test]
fn an_operators_capacity_counts() {
    let raise = |told, capacity| OperatorCall {
        event: 0,
        seen: 13,
        change: Edit::Set { allocation: 0, capacity },
        start: ms(21_500),
        end: ms(21_600),
        told,
    };
    let buyer = call(22_000, 7, buy(7), Told::Shown(sold(7, 1, 0)));
    let with = |operator: Option<OperatorCall>| {
        let mut journal = honest_journal();
        let mut grown = entry(21_550, Kind::AllocationUpdated, 0, 0, 0);
        grown.reservation = None;
        grown.deltas = vec![crate::audit::evidence::Delta { allocation: 0, capacity: 1, held: 0, sold: 0 }];
        journal.extend([grown, entry(22_050, Kind::Sold, 7, 0, 1)]);
        let mut calls = honest_calls();
        calls.push(buyer.clone());
        let mut evidence = evidence(journal, calls);
        evidence.operators.extend(operator);
        evidence
    };
    assert_clean(&with(Some(raise(OperatorTold::Done, 5))));
    assert_clean(&with(Some(raise(OperatorTold::Unknown("no answer".to_owned()), 5))));
    assert_told(
        &with(Some(raise(OperatorTold::Refused("ETAG_MISMATCH".to_owned()), 5))),
        &["(oversold)"],
        &["buyer-7"],
    );
    assert_told(&with(None), &["(oversold)"], &["capacity 4"]);
}

#[test]
fn a_call_without_an_answer_explains_what_others_saw() {
    let mut journal = honest_journal();
    journal.truncate(12);
    let mut unknown = entry(20_500, Kind::Sold, 9, 0, 1);
    unknown.order_ref = "order-9".to_owned();
    journal.push(unknown);
    let mut calls = honest_calls();
    calls.retain(|call| call.ask.reservation != id(5) && call.ask.reservation != id(40));
    calls.push(call(20_450, 9, buy(9), Told::Unknown("connection lost".to_owned())));
    calls.push(call(20_700, 8, reserve(1), Told::Refused(Reason::SoldOut)));
    assert_clean(&evidence(journal.clone(), calls.clone()));
    // Without such a call, nobody can have had the unit.
    calls.retain(|call| call.ask.reservation != id(9));
    assert_told(&evidence(journal, calls), &["buyer-8 was told SOLD_OUT"], &[]);
}

#[test]
fn a_hold_that_was_shown_stays_until_its_expiry_though_the_journal_ends_it_early() {
    let mut journal = honest_journal();
    // Of 3, which holds the last two until 14.5.
    journal[7] = entry(13_500, Kind::Expired, 3, -2, 0);
    let mut calls = honest_calls();
    calls.push(call(13_600, 7, reserve(1), Told::Shown(view(State::Held, 1, 15_650))));
    journal.insert(8, entry(13_650, Kind::Reserved, 7, 1, 0));
    journal.insert(9, entry(15_650, Kind::Expired, 7, -1, 0));
    assert_told(&evidence(journal, calls), &["buyers had 5 units"], &["buyer-7", "buyer-3"]);
    assert_clean(&honest());
}
