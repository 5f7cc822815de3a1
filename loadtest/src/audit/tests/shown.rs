//! What people who only look were shown.

use super::fixture::{assert_caught, assert_clean, honest};
use crate::audit::evidence::{Counters, Evidence, Shown};
use crate::audit::findings::Key;

/// The last state of the honest history as somebody was shown it, changed.
fn shown(doctor: impl FnOnce(&mut Shown)) -> Evidence {
    let honest = honest();
    let seq = honest.journal.last().unwrap().seq;
    let mut shown = Shown { counters: Counters { seq, ..honest.counters.clone() }, age: Some(240_000) };
    doctor(&mut shown);
    Evidence { shown: vec![shown], ..honest }
}

#[test]
fn what_was_true_may_be_shown_up_to_the_bound_and_lapsed_holds_need_not() {
    assert_clean(&shown(|_| {}));
    assert_clean(&shown(|shown| shown.age = None));
    assert_clean(&shown(|shown| {
        let counter = &mut shown.counters.allocations[0];
        (counter.available, counter.held) = (counter.available + counter.held, 0);
    }));
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
