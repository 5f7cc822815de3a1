//! What people who only look were shown.

use super::fixture::{assert_caught, assert_clean, honest, ms};
use crate::audit::evidence::{Counter, Counters, Evidence, Shown};
use crate::audit::findings::Key;

/// The last state of the honest history as somebody was shown it, changed.
fn shown(doctor: impl FnOnce(&mut Shown)) -> Evidence {
    let honest = honest();
    let seq = honest.journal.last().unwrap().seq;
    let counters = Counters { seq, ..honest.counters.clone() };
    let mut shown = Shown { counters, age: Some(240_000), asked: Some(ms(30_000)) };
    doctor(&mut shown);
    Evidence { shown: vec![shown], ..honest }
}

#[test]
fn what_was_true_may_be_shown_up_to_the_bound() {
    assert_clean(&shown(|_| {}));
    assert_clean(&shown(|shown| (shown.age, shown.asked) = (None, None)));
}

/// 3 holds 2 units until 14.5, of which the journal tells at 15.0.
#[test]
fn a_hold_is_shown_until_it_lapses_and_no_longer() {
    let held = |read_at, held| {
        shown(|shown| {
            let allocations = shown.counters.allocations.iter().cloned();
            let allocations = allocations.map(|counter| Counter { held, sold: 2, available: 2 - held, ..counter });
            let counters = Counters { seq: 7, read_at: ms(read_at), allocations: allocations.collect() };
            *shown = Shown { counters, age: None, asked: None };
        })
    };
    assert_clean(&held(14_499, 2));
    assert_clean(&held(14_500, 0));
    for (read_at, units) in [(14_499, 0), (14_499, 1), (14_500, 2)] {
        assert_caught(&held(read_at, units), Key::WrongAnswer, 1, "after change 7 it was 4");
    }
}

/// 5 bought the last unit, change 13, and was told so at 21.05.
#[test]
fn what_others_were_told_of_before_is_shown_whatever_it_says_of_its_age() {
    let before = |asked| {
        shown(|shown| {
            let allocations = shown.counters.allocations.iter().cloned();
            let allocations = allocations.map(|counter| Counter { sold: 3, available: 1, ..counter });
            shown.counters = Counters { seq: 12, allocations: allocations.collect(), ..shown.counters.clone() };
            (shown.age, shown.asked) = (Some(0), Some(ms(asked)));
        })
    };
    assert_clean(&before(21_300));
    assert_caught(&before(21_310), Key::WrongAnswer, 1, "long after others had been told of more");
}

#[test]
fn what_was_never_true_is_caught() {
    for wrong in [[1, 0, 1, 0], [0, 0, 1, -1], [0, 1, 0, -1], [0, 0, 0, 1], [0, 0, -1, 1]] {
        let [capacity, held, sold, available] = wrong;
        let evidence = shown(|shown| {
            let counter = &mut shown.counters.allocations[0];
            counter.capacity += capacity;
            counter.held += held;
            counter.sold += sold;
            counter.available += available;
        });
        assert_caught(&evidence, Key::WrongAnswer, 1, "was shown");
    }
}

#[test]
fn what_is_too_old_out_of_order_or_of_the_future_is_caught() {
    assert_caught(&shown(|shown| shown.age = Some(256_000)), Key::WrongAnswer, 1, "256 ms before");
    assert_caught(&shown(|shown| shown.counters.seq += 1), Key::WrongAnswer, 1, "which the journal has not");
    let disorder = vec!["a stream went back from 3 to 2".to_owned()];
    assert_caught(&Evidence { disorder, ..honest_with_a_look() }, Key::WrongAnswer, 1, "went back");
}

fn honest_with_a_look() -> Evidence {
    shown(|_| {})
}
