//! One room, call by call, to the millisecond.

use super::*;
use crate::waiting_room::room::BITE;

#[test]
fn a_place_is_kept_for_the_grace_time_and_then_passed_on() {
    let shut = Rules { rate: 0, ..RULES };
    let mut room = Room::new(START, &shut);
    for n in 0..3 {
        assert_eq!(position(room.ask(START, who(n), Ask::Join, &shut)), u64::from(n) + 1);
    }
    // The third keeps asking; the second comes back within the grace time, the first after it.
    for at in (1..=10).map(|n| START + n * 1_000) {
        assert_eq!(position(room.ask(at, who(2), Ask::Join, &shut)), 3);
    }
    assert_eq!(position(room.ask(START + 10_000, who(1), Ask::Join, &shut)), 2);
    assert_eq!(position(room.ask(START + 10_001, who(2), Ask::Join, &shut)), 2, "the first has lost his place");
    assert_eq!(position(room.ask(START + 10_001, who(0), Ask::Join, &shut)), 3, "and begins anew at the end");
    assert_eq!(position(room.ask(START + 10_001, who(1), Ask::Join, &shut)), 1);
    // Now the third is the only one who goes on asking.
    for at in (11..=20).map(|n| START + n * 1_000) {
        assert_eq!(position(room.ask(at, who(2), Ask::Join, &shut)), 2);
    }
    let alone = room.ask(START + 20_002, who(2), Ask::Join, &shut);
    assert_eq!((position(alone), alone.facts.waiting), (1, 1), "the others asked again once, and then no more");
}

/// Nobody's call has taken him out yet: his own does.
#[test]
fn who_is_the_first_to_ask_after_his_grace_time_begins_anew() {
    let shut = Rules { rate: 0, ..RULES };
    let mut room = Room::new(START, &shut);
    for n in 0..3 {
        room.ask(START, who(n), Ask::Join, &shut);
    }
    for at in (1..=10).map(|n| START + n * 1_000) {
        room.ask(at, who(2), Ask::Join, &shut);
    }
    assert_eq!(position(room.ask(START + 10_001, who(0), Ask::Join, &shut)), 2);
}

#[test]
fn when_nobody_could_ask_nobody_loses_his_place() {
    let shut = Rules { rate: 0, ..RULES };
    let mut room = Room::new(START, &shut);
    for n in 0..3 {
        room.ask(START, who(n), Ask::Join, &shut);
    }
    // An hour without a server. Then they come back in another order, each within half of the grace time.
    let back = START + 3_600_000;
    for (n, after) in [(2, 0), (0, 2_000), (1, 5_000)] {
        assert_eq!(position(room.ask(back + after, who(n), Ask::Join, &shut)), u64::from(n) + 1);
    }
}

/// As where the room was turned off meanwhile, and everybody was told that he needs none.
#[test]
fn after_a_day_nobody_is_behind_those_of_the_day_before() {
    let shut = Rules { rate: 0, ..RULES };
    let mut room = Room::new(START, &shut);
    for n in 0..100 {
        room.ask(START, who(n), Ask::Join, &shut);
    }
    assert_eq!(position(room.ask(START + 86_400_000, who(200), Ask::Join, &shut)), 1);
}

#[test]
fn who_was_called_and_does_not_come_makes_room() {
    let one = Rules { rate: 1_000, inside_max: 1, ..RULES };
    let mut room = Room::new(START, &one);
    assert!(is_inside(room.ask(START, who(0), Ask::Join, &one)));
    room.ask(START, who(1), Ask::Join, &one);
    room.ask(START, who(2), Ask::Join, &one);
    assert_eq!(room.ask(START + 1_000, who(0), Ask::Leave, &one).stand, Stand::Gone);
    // The second is called by that, and does not come: after the grace time it is the third's turn.
    for at in 2..=11 {
        assert_eq!(position(room.ask(START + at * 1_000, who(2), Ask::Join, &one)), 1, "{at}");
    }
    assert!(is_inside(room.ask(START + 11_001, who(2), Ask::Join, &one)));
    assert_eq!(position(room.ask(START + 11_001, who(1), Ask::Join, &one)), 1);
}

#[test]
fn who_was_heard_of_a_grace_time_ago_is_called_in_and_not_passed_over() {
    let (shut, open) = (Rules { rate: 0, ..RULES }, Rules { rate: 1_000, ..RULES });
    let mut room = Room::new(START, &shut);
    room.ask(START, who(0), Ask::Join, &shut);
    for at in (0..10).map(|n| START + n * 1_000) {
        assert_eq!(position(room.ask(at, who(1), Ask::Join, &shut)), 2);
    }
    room.ask(START + 9_999, who(1), Ask::Join, &open);
    assert_eq!(position(room.ask(START + 10_000, who(1), Ask::Join, &open)), 1);
    assert!(is_inside(room.ask(START + 10_000, who(0), Ask::Join, &open)));
}

#[test]
fn who_was_called_may_come_until_the_last_moment() {
    let one = Rules { rate: 1_000, inside_max: 1, ..RULES };
    let mut room = Room::new(START, &one);
    for n in 0..3 {
        room.ask(START, who(n), Ask::Join, &one);
    }
    room.ask(START, who(0), Ask::Leave, &one);
    for at in (1..=10).map(|n| START + n * 1_000) {
        assert_eq!(position(room.ask(at, who(2), Ask::Join, &one)), 1);
    }
    assert!(is_inside(room.ask(START + 10_000, who(1), Ask::Join, &one)));
}

#[test]
fn a_pass_ends_at_its_moment_and_makes_room() {
    let one = Rules { rate: 1_000, inside_max: 1, ..RULES };
    let mut room = Room::new(START, &one);
    assert!(is_inside(room.ask(START, who(0), Ask::Join, &one)));
    for at in (0..20).map(|n| START + n * 1_000) {
        assert_eq!(position(room.ask(at, who(1), Ask::Join, &one)), 1);
    }
    assert_eq!(position(room.ask(START + 19_999, who(1), Ask::Join, &one)), 1);
    assert!(is_inside(room.ask(START + 20_000, who(1), Ask::Join, &one)));
}

/// More have vanished than one call takes out.
#[test]
fn nobody_is_called_in_who_is_not_there() {
    let (shut, one) = (Rules { rate: 0, ..RULES }, Rules { rate: 1_000, inside_max: 1, ..RULES });
    let nth = |n: usize| Who((n as u128).to_be_bytes());
    let mut room = Room::new(START, &shut);
    for n in 0..=BITE + 1 {
        room.ask(START, nth(n), Ask::Join, &shut);
    }
    for at in (1..10).map(|n| START + n * 1_000) {
        room.ask(at, nth(BITE + 1), Ask::Join, &shut);
    }
    room.ask(START + 10_000, nth(BITE + 1), Ask::Join, &one);
    room.ask(START + 10_001, nth(BITE + 1), Ask::Join, &one);
    assert!(is_inside(room.ask(START + 10_001, nth(BITE + 1), Ask::Join, &one)));
}

#[test]
fn one_call_calls_in_a_bounded_number() {
    let (shut, open) = (Rules { rate: 0, ..RULES }, Rules { rate: 1_000, inside_max: 1_000, ..RULES });
    let nth = |n: usize| Who((n as u128).to_be_bytes());
    let mut room = Room::new(START, &shut);
    for n in 0..2 * BITE {
        room.ask(START, nth(n), Ask::Join, &shut);
    }
    room.ask(START, nth(0), Ask::Join, &open);
    let last = room.ask(START + 1_000, nth(2 * BITE - 1), Ask::Join, &open);
    assert_eq!((position(last), last.facts.inside), (BITE as u64, BITE as u64));
}

#[test]
fn what_was_counted_tells_nothing_of_other_settings_or_of_another_crowd() {
    let mut rules = Rules { rate: 1, ..RULES };
    let mut room = Room::new(START, &rules);
    for n in 0..6 {
        room.ask(START, who(n), Ask::Join, &rules);
    }
    let mut counted = |at: Millis, n: u8, ask: Ask, rules: &Rules| {
        let facts = room.ask(START + at, who(n), ask, rules).facts;
        (facts.admitted > 0.0, facts.left > 0.0, facts.observed)
    };
    assert_eq!(counted(1_000, 5, Ask::Join, &rules), (true, false, 1_000));
    assert_eq!(counted(1_000, 4, Ask::Leave, &rules), (true, true, 1_000));
    rules.rate = 0;
    assert_eq!(counted(2_000, 5, Ask::Join, &rules), (false, false, 0));
    assert_eq!(counted(3_000, 5, Ask::Join, &rules), (false, false, 1_000));
    rules.inside_max += 1;
    assert_eq!(counted(4_000, 5, Ask::Join, &rules), (false, false, 0));
    for n in 2..6 {
        counted(5_000, n, Ask::Leave, &rules);
    }
    assert_eq!(counted(6_000, 0, Ask::Leave, &rules), (false, true, 2_000));
    assert_eq!(counted(6_000, 7, Ask::Join, &rules), (false, false, 0));
}

#[test]
fn who_left_counts_less_the_longer_ago_it_was() {
    let shut = Rules { rate: 0, ..RULES };
    let mut room = Room::new(START, &shut);
    room.ask(START, who(0), Ask::Join, &shut);
    room.ask(START, who(1), Ask::Join, &shut);
    assert!((room.ask(START, who(1), Ask::Leave, &shut).facts.left - 1.0).abs() < 1e-9);
    let left = (1..=30).map(|n| room.ask(START + n * 1_000, who(0), Ask::Join, &shut).facts.left).last().unwrap();
    assert!((left - (-1.0_f64).exp()).abs() < 1e-9, "{left} after the memory's length");
}

/// Calls may come with moments that several servers read, or that were set back.
#[test]
fn a_clock_that_goes_back_stands_still() {
    let mut room = Room::new(START, &RULES);
    for (at, n) in [(START, 0), (START - 5_000, 0), (START - 5_000, 1)] {
        let until = START + RULES.pass_millis;
        assert_eq!(room.ask(at, who(n), Ask::Join, &RULES).stand, Stand::Inside { until });
    }
    assert_eq!(position(room.ask(START - 5_000, who(2), Ask::Join, &RULES)), 1);
    assert_eq!(position(room.ask(START + 400, who(2), Ask::Join, &RULES)), 1, "that was less than half a second");
    assert!(is_inside(room.ask(START + 600, who(2), Ask::Join, &RULES)));
}

#[test]
fn people_are_let_in_at_the_rate_however_often_they_ask() {
    let rules = Rules { inside_max: 1_000, ..RULES };
    let mut room = Room::new(START, &rules);
    for (after, inside) in [(0, 2), (400, 2), (600, 3), (900, 3), (1_100, 4), (2_100, 6), (9_100, 8), (9_400, 8)] {
        for _ in 0..10 {
            let ask = |n: &u8| is_inside(room.ask(START + after, who(*n), Ask::Join, &rules));
            assert_eq!((0..12).filter(ask).count(), inside, "{after}");
        }
    }
}

#[test]
fn rate_and_cap_change_for_those_who_wait_already() {
    let mut rules = Rules { rate: 0, inside_max: 2, ..RULES };
    let mut room = Room::new(START, &rules);
    for n in 0..10 {
        assert_eq!(position(room.ask(START, who(n), Ask::Join, &rules)), u64::from(n) + 1);
    }
    rules.rate = 1_000;
    room.ask(START + 10, who(9), Ask::Join, &rules);
    let mut come =
        |at: Millis, rules: &Rules| (0..10).filter(|n| is_inside(room.ask(at, who(*n), Ask::Join, rules))).count();
    assert_eq!(come(START + 100, &rules), 2, "the cap");
    rules.inside_max = 7;
    assert_eq!(come(START + 200, &rules), 7);
    rules.inside_max = 3;
    assert_eq!(come(START + 300, &rules), 7, "nobody is thrown out");
    rules.inside_max = 8;
    assert_eq!(come(START + 400, &rules), 8);
}

#[test]
fn a_full_line_takes_nobody_more_and_keeps_those_it_has() {
    let small = Rules { rate: 0, places_max: 2, ..RULES };
    let mut room = Room::new(START, &small);
    room.ask(START, who(0), Ask::Join, &small);
    room.ask(START, who(1), Ask::Join, &small);
    assert_eq!(room.ask(START, who(2), Ask::Join, &small).stand, Stand::Full);
    assert_eq!(position(room.ask(START, who(1), Ask::Join, &small)), 2);
    room.ask(START, who(0), Ask::Leave, &small);
    assert_eq!(position(room.ask(START, who(2), Ask::Join, &small)), 2);
}
