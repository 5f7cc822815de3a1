//! Histories of one allocation: answers, journal, counters and reservations that cannot be.

use boxoffice_proto::v1::reservation::State;

use super::fixture::{
    CAPACITY, assert_caught, assert_clean, call, confirm, entry, evidence, honest, honest_calls, honest_journal, id,
    intrusion, ms, order, reserve, sold, units, view, with_call, with_journal,
};
use crate::audit::evidence::{Entry, Evidence, Holds, Kind, OwnList, Rest};
use crate::audit::findings::{Key, Violation};
use crate::audit::judge;
use crate::history::{Action, Call, Reason, Told, View, owner_name};

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
fn what_is_held_is_not_sold_out() {
    // From 16.0 on 4 holds the last two, which are sold at 18.5.
    let refused = |start, reason| with_call(call(start, 7, reserve(1), Told::Refused(reason)));
    assert_clean(&refused(17_200, Reason::AllHeld));
    assert_caught(&refused(17_200, Reason::SoldOut), Key::FalseSoldOut, 1, "units were held all the time");
    assert_clean(&refused(18_600, Reason::SoldOut));
}

#[test]
fn a_hold_lives_as_long_as_it_should() {
    let with = |granted, longest| Evidence { holds: Holds { granted: ms(granted), longest: ms(longest) }, ..honest() };
    assert_clean(&with(2_000, 3_000));
    // Five were granted, of which one answer came twice.
    assert_caught(&with(1_000, 5_000), Key::WrongAnswer, 5, "until 12000000, which must be from 11000000");
    assert_caught(&with(2_000, 2_500), Key::WrongAnswer, 1, "until 19000000, which must be from 18500000");
    let shorter = with_journal(|journal| journal[9].expires = Some(ms(17_900)));
    assert_caught(&shorter, Key::Journal, 1, "extended to no later end");
    let mut longer = honest();
    let extends = |call: &&mut Call| matches!(call.ask.action, Action::Extend { .. });
    longer.calls.iter_mut().find(extends).unwrap().ask.action = Action::Extend { ttl_seconds: 3 };
    assert_caught(&longer, Key::WrongAnswer, 1, "until 19000000, which must be from 19950000 to 21000000");
}

#[test]
fn whom_only_times_accuse_is_not_accused_where_the_clock_was_set() {
    let mut stale = with_call(call(20_300, 7, reserve(1), Told::Refused(Reason::SoldOut)));
    stale.calls.push(call(30_000, 8, reserve(1), Told::Shown(sold(8, 1, 0))));
    let sure = judge(&stale).findings;
    assert!(sure.count(Key::FalseSoldOut) == 1 && sure.count(Key::Oversold) == 1, "{sure:#?}");
    stale.clock_step = ms(-1_000);
    let doubted = judge(&stale).findings;
    assert_eq!((doubted.count(Key::FalseSoldOut), doubted.count(Key::Oversold)), (0, 1), "{doubted:#?}");
    let told = |violation: &Violation| violation.text.starts_with("the machine's clock was set by -1000 ms meanwhile");
    assert!(doubted.violations.iter().any(|violation| violation.key == Key::Unproven && told(violation)));
    assert!(
        doubted.count(Key::Unproven) > 0 && judge(&Evidence { clock_step: ms(-1_000), ..honest() }).findings.is_clean()
    );
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
    let others = intrusion(Action::Get, Told::Nonsense("other words than of no reservation".to_owned()));
    assert_caught(&with_call(others), Key::Disclosed, 1, "was not told RESERVATION_NOT_FOUND");
    let replace = Action::Reserve { lines: units(1), up_to: false, replaces: Some(id(1)), sell_as: None };
    let mut replaced = intrusion(replace, Told::Refused(Reason::AlreadyConfirmed));
    replaced.ask.reservation = id(43);
    assert_caught(&with_call(replaced.clone()), Key::Disclosed, 1, "was not told RESERVATION_NOT_FOUND");
    replaced.told = Told::Refused(Reason::ReservationNotFound);
    assert_clean(&with_call(replaced));
    let hint = intrusion(confirm(1), Told::Refused(Reason::AlreadyConfirmed));
    assert_caught(&with_call(hint), Key::Disclosed, 1, "was not told RESERVATION_NOT_FOUND");
}

#[test]
fn whoever_was_never_answered_proves_nothing() {
    let mut confirms = call(11_500, 2, confirm(2), Told::Unknown("Internal: no".to_owned()));
    assert_clean(&with_call(confirms.clone()));
    confirms.gave_up_after = Some(240);
    assert_caught(&with_call(confirms.clone()), Key::Unproven, 1, "buyer-2 asked 240 times, and was never answered");
    confirms.told = Told::Busy;
    assert_caught(&with_call(confirms), Key::Unproven, 1, "buyer-2 asked 240 times, and was never answered");
    let mut intrudes = intrusion(Action::Get, Told::Unknown("Internal: no".to_owned()));
    intrudes.gave_up_after = Some(240);
    assert_caught(&with_call(intrudes), Key::Unproven, 1, "buyer-99 asked 240 times, and was never answered");
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

/// 5's purchase was decided at 21.0, and is committed when he is told.
#[test]
fn a_look_sees_nothing_that_is_not_committed_however_long_that_takes() {
    let looked = |told_at| {
        let mut evidence = honest();
        let buys = |call: &&mut Call| call.ask.owner == 5;
        evidence.calls.iter_mut().find(buys).unwrap().end = ms(told_at);
        evidence.calls.push(call(25_000, 5, Action::Get, Told::Refused(Reason::ReservationNotFound)));
        evidence
    };
    assert_clean(&looked(25_050));
    assert_caught(&looked(24_950), Key::Lost, 1, "the journal has it");
}

#[test]
fn units_that_nobody_could_have_bought_at_the_end_are_not_stranded() {
    let left = |told: Option<i64>| {
        let mut evidence = with_journal(|journal| {
            journal.truncate(12);
            journal.push(entry(21_500, Kind::Reserved, 5, 1, 0));
            journal.push(entry(23_500, Kind::Expired, 5, -1, 0));
        });
        evidence.calls.retain(|call| call.ask.owner != 5);
        evidence.calls.push(call(21_450, 5, reserve(1), Told::Unknown("connection lost".to_owned())));
        evidence.rest = Rest::AskedFor(vec![told.map(ms)]);
        evidence
    };
    let unproven = |told, words| {
        assert_caught(&left(told), Key::Unproven, 1, words);
        assert_eq!(judge(&left(told)).findings.count(Key::Stranded), 0);
    };
    unproven(None, "and buyers had no more patience");
    unproven(Some(23_400), "came back only after buyers had been told");
    assert_caught(&left(Some(23_600)), Key::Stranded, 1, "1 units were not sold, although buyers asked");
}

#[test]
fn a_reservation_is_listed_once_and_as_its_owners() {
    let mut twice = honest();
    twice.reservations.push(twice.reservations[0].clone());
    assert_caught(&twice, Key::Mismatched, 1, "is listed twice");
    let mut given = honest();
    given.reservations[0].owner = owner_name(9);
    assert_caught(&given, Key::Mismatched, 1, "is listed as buyer-9's");
    let given = with_journal(|journal| journal[4].owner = owner_name(9));
    assert_caught(&given, Key::Journal, 1, "of buyer-1 became one of buyer-9");
}

#[test]
fn everybody_is_shown_all_that_is_his_and_nothing_else() {
    let list = |owner, ids: &[u32]| {
        let mut evidence = honest();
        let stored = |number: &u32| evidence.reservations.iter().find(|stored| stored.id == id(*number)).cloned();
        let reservations = ids.iter().filter_map(stored).collect();
        evidence.own_lists = vec![OwnList { owner: owner_name(owner), reservations }];
        evidence
    };
    assert_clean(&list(1, &[1]));
    assert_clean(&list(99, &[]));
    assert_caught(&list(1, &[1, 2]), Key::Disclosed, 1, "buyer-1's list of his own reservations shows");
    assert_caught(&list(1, &[]), Key::Mismatched, 1, "but not in buyer-1's own list");
    assert_caught(&list(1, &[1, 1]), Key::Mismatched, 1, "is listed twice");
    let mut stale = list(1, &[1]);
    stale.own_lists[0].reservations[0].view.state = State::Held;
    assert_caught(&stale, Key::Mismatched, 1, "is listed as HELD");
}

#[test]
fn counters_that_are_ahead_of_the_journal_are_caught() {
    let mut ahead = honest();
    ahead.counters.seq += 1;
    assert_caught(&ahead, Key::Mismatched, 1, "the event says seq 14, its journal ends at 13");
}

#[test]
fn fewer_units_than_none_are_caught() {
    let below = with_journal(|journal| {
        journal.truncate(6);
        journal.push(entry(12_400, Kind::Expired, 2, -1, 0));
    });
    assert_caught(&below, Key::Journal, 1, "allocation #0 has -1 held and 2 sold");
}

#[test]
fn a_hold_that_ends_before_its_time_is_caught() {
    let early = with_journal(|journal| journal[7].at = ms(14_000));
    assert_caught(&early, Key::Journal, 1, "expired before its time");
}

#[test]
fn a_hold_that_is_given_back_when_it_has_lapsed_is_caught() {
    let mut late = with_journal(|journal| journal[7].kind = Kind::Released);
    late.calls.push(call(14_950, 3, Action::Release, Told::Shown(view(State::Released, 2, 14_500))));
    assert_caught(&late, Key::Journal, 1, "released although it had lapsed");
}

#[test]
fn an_id_belongs_to_the_first_request() {
    let again = |action, told| with_call(call(11_500, 1, action, told));
    let reused = || Told::Refused(Reason::ReservationIdReused);
    assert_clean(&again(reserve(3), reused()));
    assert_caught(&again(reserve(2), reused()), Key::WrongAnswer, 1, "it is the same owner and the same request");
    assert_caught(&again(reserve(3), Told::Shown(sold(1, 2, 0))), Key::WrongAnswer, 1, "was told CONFIRMED of 2 units");
    assert_clean(&again(reserve(2), Told::Shown(sold(1, 2, 0))));
}

#[test]
fn whoever_is_no_intruder_is_shown_his_own_reservations_only() {
    let mut shown = call(30_000, 7, Action::Get, Told::Shown(sold(1, 2, 0)));
    shown.ask.reservation = id(1);
    assert_caught(&with_call(shown), Key::Disclosed, 1, "buyer-7 was shown a reservation of buyer-1");
}

fn up_to(count: i32) -> Action {
    Action::Reserve { lines: units(count), up_to: true, replaces: None, sell_as: None }
}

#[test]
fn a_success_is_what_was_asked_for() {
    let asked = |index: usize, action| {
        let mut evidence = honest();
        evidence.calls[index].ask.action = action;
        evidence
    };
    let wrong = |evidence, words| assert_caught(&evidence, Key::WrongAnswer, 1, words);
    wrong(asked(0, up_to(1)), "was told HELD of 2 units");
    wrong(asked(2, reserve(2)), "was told HELD of 1 units");
    wrong(asked(10, Action::Release), "was told CONFIRMED of 2 units");
    wrong(asked(12, Action::Cancel { lines: units(2) }), "was told CONFIRMED of 2 units, 1 refunded");
    wrong(asked(12, Action::Cancel { lines: Vec::new() }), "was told CONFIRMED of 2 units, 1 refunded");
    let mut nothing = with_journal(|journal| journal.push(entry(30_000, Kind::Reserved, 7, 0, 0)));
    let view = View { lines: Vec::new(), ..view(State::Held, 0, 32_000) };
    nothing.calls.push(call(29_950, 7, up_to(1), Told::Shown(view)));
    wrong(nothing, "was told HELD of 0 units");
}

#[test]
fn whoever_takes_what_there_is_meets_his_limit_with_the_first_unit_beyond() {
    let refused = call(30_000, 7, up_to(5), Told::Refused(Reason::OwnerLimitExceeded));
    assert_caught(&with_call(refused), Key::WrongAnswer, 1, "the limit was not reached");
}

#[test]
fn an_extended_hold_excuses_a_sold_out_until_it_lapses() {
    let refused = |start| {
        let mut evidence = with_journal(|journal| {
            journal.insert(7, entry(13_000, Kind::Extended, 3, 0, 0));
            journal[8].at = ms(15_900);
        });
        // 3 asks to confirm before it lapses, and would have to be granted that.
        evidence.calls.remove(7);
        let told = Told::Shown(view(State::Held, 2, 15_000));
        evidence.calls.push(call(12_950, 3, Action::Extend { ttl_seconds: 2 }, told));
        evidence.calls.push(call(start, 7, reserve(2), Told::Refused(Reason::AllHeld)));
        evidence
    };
    assert_clean(&refused(14_700));
    assert_caught(&refused(15_200), Key::FalseSoldOut, 1, "refused, ALL_HELD");
}

/// The honest sale until the hold of 3 has lapsed; then 3 gets this many of his units again.
fn reacquired(units: i32) -> Evidence {
    let mut journal = honest_journal();
    journal.truncate(8);
    journal.push(entry(15_500, Kind::Reacquired, 3, 0, units));
    let mut calls = honest_calls();
    calls.retain(|call| call.start < ms(15_000));
    let again = Action::Confirm { order_ref: order(3), reacquire: true };
    calls.push(call(15_450, 3, again, Told::Shown(sold(3, 2, 0))));
    evidence(journal, calls)
}

#[test]
fn units_that_were_reacquired_are_sold_again() {
    let mut again = reacquired(2);
    again.calls.push(call(15_700, 7, reserve(1), Told::Refused(Reason::SoldOut)));
    assert_clean(&again);
    assert_caught(&reacquired(1), Key::Journal, 1, "reacquired although it had not just expired");
}

#[test]
fn units_that_were_reacquired_count_for_the_limit_and_lapsed_ones_do_not() {
    let bought = |kind, held, sold| {
        let mut evidence = reacquired(2);
        let other = Entry { owner: owner_name(3), ..entry(14_700, kind, 8, held, sold) };
        evidence.journal.insert(7, other);
        evidence
    };
    assert_caught(&bought(Kind::Sold, 0, 2), Key::LimitPassed, 1, "buyer-3 had 4 units");
    let mut lapsed = bought(Kind::Reserved, 2, 0);
    lapsed.journal.truncate(8);
    assert_eq!(judge(&lapsed).findings.count(Key::LimitPassed), 0);
}
