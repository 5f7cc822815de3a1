//! An honest history passes, and each of those that somebody has doctored is found, in the right words.

use super::super::history::{Ask, Leave, Setting, Told};
use super::*;
use crate::clock::SECOND;

const MS: i64 = 1_000;

fn ask(who: u32, sent: i64, told: Told) -> Ask {
    Ask { who, sent: sent * MS, answered: (sent + 5) * MS, told }
}

fn waits(position: u32) -> Told {
    Told::Waiting { position, estimate: None }
}

/// Ten come one after the other, each with two tabs; from second 10 on five are let in, one each 100 ms; the first leaves, and the
/// sixth comes in for him; two more come late.
fn honest() -> History {
    let mut asks = Vec::new();
    for who in 0..10 {
        let at = i64::from(who) * 100;
        asks.extend([ask(who, at, waits(who + 1)), ask(who, at + 2, waits(who + 1))]);
    }
    for who in 0..5 {
        let at = 11_000 + i64::from(who) * 100;
        asks.extend([ask(who, at - 50, waits(1)), ask(who, at, Told::Admitted), ask(who, at + 50, Told::Admitted)]);
    }
    asks.extend([ask(10, 11_600, waits(6)), ask(11, 11_700, waits(7))]);
    asks.extend([ask(5, 12_000, waits(1)), ask(5, 12_100, Told::Admitted)]);
    asks.extend((6..12).map(|who| ask(who, 20_000, waits(who - 5))));
    let setting = |at: i64, rate| Setting { sent: at * MS, answered: (at + 5) * MS, rate, inside_max: 5 };
    History {
        crowd: 10,
        asks,
        settings: vec![setting(-1_000, 0), setting(10_000, 5), setting(15_000, 0)],
        leaves: vec![Leave { who: 0, sent: 12_050 * MS, answered: 12_055 * MS }],
        settled: 16 * SECOND,
    }
}

/// What is found once the history was changed.
fn found(doctor: impl FnOnce(&mut History)) -> Vec<String> {
    let mut history = honest();
    doctor(&mut history);
    let findings = audit(&history);
    assert_eq!(findings.count(Key::OutOfTurn) == 0, findings.is_clean(), "of this kind, and of no other");
    findings.violations.into_iter().map(|violation| violation.text).collect()
}

fn assert_found(words: &str, doctor: impl FnOnce(&mut History)) {
    let found = found(doctor);
    assert!(found.iter().any(|text| text.contains(words)), "{words:?} is not among {found:#?}");
}

/// Changes what was told to somebody at a moment.
fn tell(history: &mut History, who: u32, sent: i64, told: Told) {
    let ask = history.asks.iter_mut().find(|ask| (ask.who, ask.sent) == (who, sent * MS)).unwrap();
    ask.told = told;
}

#[test]
fn an_honest_history_passes() {
    assert_eq!(found(|_| {}), Vec::<String>::new());
}

#[test]
fn who_asked_at_the_same_time_may_stand_either_way() {
    let found = found(|history| {
        // The second asked before the first was answered.
        for ask in history.asks.iter_mut().filter(|ask| ask.who < 2 && ask.sent < SECOND) {
            ask.sent -= 100 * MS * i64::from(ask.who);
            ask.told = waits(2 - ask.who);
        }
        // They come in in this order, too.
        for ask in history.asks.iter_mut().filter(|ask| ask.who < 2 && ask.sent > SECOND) {
            ask.who = 1 - ask.who;
        }
        history.leaves[0].who = 1;
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_join_without_an_answer_may_have_taken_the_place() {
    let lost = |history: &mut History| {
        // The fourth is told the third place: he had asked before the third one was answered, in vain.
        for ask in history.asks.iter_mut().filter(|ask| (2..4).contains(&ask.who) && ask.sent < SECOND) {
            ask.told = waits(6 - ask.who);
        }
        for ask in history.asks.iter_mut().filter(|ask| (2..4).contains(&ask.who) && ask.sent > SECOND) {
            ask.who = 5 - ask.who;
        }
    };
    assert_found("owner-3 asked after owner-2 had his answer", lost);
    let explained = found(|history| {
        lost(history);
        history.asks.push(ask(3, 190, Told::Nothing));
    });
    assert_eq!(explained, Vec::<String>::new());
}

#[test]
fn a_swapped_order_is_found() {
    assert_found("owner-7 asked after owner-6 had his answer, and has place 7 before his 8", |history| {
        for ask in history.asks.iter_mut().filter(|ask| (6..8).contains(&ask.who) && ask.sent < SECOND) {
            ask.told = waits(14 - ask.who);
        }
    });
    // The places are right, and are not kept: the eighth comes in in the place of the sixth.
    assert_found("owner-7 was let in while owner-6, who stands before him, still waited", |history| {
        tell(history, 7, 20_000, Told::Admitted);
        history.asks.push(ask(6, 20_100, waits(1)));
    });
    assert_found("owner-11 was let in while owner-9", |history| {
        history.asks.push(ask(11, 12_500, Told::Admitted));
    });
}

#[test]
fn an_owner_with_two_places_or_none_is_found() {
    assert_found("owner-4 was told place 5 and place 11", |history| tell(history, 4, 402, waits(11)));
    assert_found("owner-4 and owner-5 both have place 5", |history| {
        tell(history, 5, 500, waits(5));
        tell(history, 5, 502, waits(5));
    });
    // Somebody's second place is told to nobody, but the others stand behind it.
    assert_found("owner-9 has place 11 of 10", |history| {
        tell(history, 9, 900, waits(11));
        tell(history, 9, 902, waits(11));
    });
    assert_found("owner-9 was told no place", |history| {
        history.asks.retain(|ask| ask.who != 9);
    });
}

#[test]
fn whoever_is_let_in_too_early_is_found() {
    assert_found("owner-0 was the 1th to be let in when at most 0 could be", |history| {
        history.asks.push(ask(0, 9_000, Told::Admitted));
    });
    assert_found("th to be let in when at most", |history| {
        // Ten within the first second, where five a second and a second's worth could be.
        history.settings.iter_mut().for_each(|setting| setting.inside_max = 100);
        history.settings[1].rate = 2;
    });
    assert_found("with owner-5 there were 6 inside, of at most 5", |history| {
        history.leaves[0].sent += SECOND;
    });
    // Who leaves the line makes no room inside.
    assert_found("with owner-5 there were 6 inside, of at most 5", |history| history.leaves[0].who = 9);
}

#[test]
fn whoever_loses_his_place_is_found() {
    assert_found("owner-2 was let in, and then told to wait", |history| tell(history, 2, 11_250, waits(1)));
    assert_found("owner-7 fell back from position 8 to 9", |history| tell(history, 7, 20_000, waits(9)));
    assert_found("owner-7 was told that there is no waiting room", |history| {
        tell(history, 7, 20_000, Told::NotNeeded);
    });
}

#[test]
fn a_position_that_is_not_true_in_the_end_is_found() {
    assert_found("owner-8 was told position 2 in the end, and has 3", |history| tell(history, 8, 20_000, waits(2)));
    assert_found("owner-10 came last, and has position 4", |history| tell(history, 10, 20_000, waits(4)));
    assert_found("owner-10 and owner-11 both have position 6", |history| tell(history, 10, 20_000, waits(6)));
}
