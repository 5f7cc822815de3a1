//! Limits per owner: exact, whatever the usage table knows.

use crate::domain::tests::fixture::*;
use crate::domain::tests::world::World;
use crate::domain::{CapacityMode, EventConfig, Mode, Refusal, Reserve};

/// Limits: 3 in the event, 2 of `a`; knows usage, or does not.
fn limited(follows_usage: bool) -> World {
    let mut world = World::with(EventConfig { limit_per_owner: Some(3), ..config() }, &[("a", 100), ("b", 100)]);
    world.ok(set_limit("a", Some(2)));
    world.follows_usage = follows_usage;
    world
}

fn over(name: Option<&str>, limit: i64) -> Refusal {
    Refusal::OwnerLimitExceeded { allocation: name.map(allocation), limit }
}

#[test]
fn they_hold_to_the_unit() {
    for follows_usage in [true, false] {
        let mut world = limited(follows_usage);
        assert_eq!(world.refused(reserve("ann", 1, &[("a", 3)])), over(Some("a"), 2));
        assert_eq!(world.refused(reserve("ann", 1, &[("b", 4)])), over(None, 3));
        world.ok(reserve("ann", 1, &[("a", 2)]));
        assert_eq!(world.refused(reserve("ann", 2, &[("a", 1)])), over(Some("a"), 2));
        assert_eq!(world.refused(reserve("ann", 2, &[("b", 2)])), over(None, 3));
        world.ok(reserve("ann", 2, &[("b", 1)]));
        assert_eq!(world.refused(reserve("ann", 3, &[("b", 1)])), over(None, 3));
        world.ok(reserve("bob", 3, &[("a", 2), ("b", 1)]));
    }
}

#[test]
fn sold_units_count_and_returned_ones_do_not() {
    for follows_usage in [true, false] {
        let mut world = limited(follows_usage);
        world.ok(buy("ann", 1, &[("a", 2), ("b", 1)]));
        assert_eq!(world.refused(reserve("ann", 2, &[("b", 1)])), over(None, 3));
        world.ok(cancel("ann", 1, &[("a", 1)]));
        world.ok(reserve("ann", 2, &[("a", 1)]));
        world.ok(release("ann", 2));
        world.ok(reserve("ann", 3, &[("b", 1)]));
        world.ok(force_release(3));
        world.ok(reserve("ann", 4, &[("a", 1)]));
    }
}

#[test]
fn they_hold_within_a_batch() {
    for follows_usage in [true, false] {
        let mut world = limited(follows_usage);
        let outcomes = world.run(&[
            reserve("ann", 1, &[("a", 2)]),
            reserve("bob", 2, &[("a", 2)]),
            reserve("ann", 3, &[("a", 1)]),
            release("ann", 1),
            reserve("ann", 4, &[("a", 2)]),
            reserve("bob", 5, &[("b", 1)]),
            reserve("bob", 6, &[("b", 1)]),
            buy("cid", 7, &[("a", 2)]),
            reserve("cid", 8, &[("a", 1)]),
        ]);
        let granted: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
        assert_eq!(granted, [true, true, false, true, true, true, false, true, false], "{outcomes:?}");
    }
}

#[test]
fn within_the_bound_nothing_is_loaded() {
    let mut world = limited(true);
    world.ok(reserve("ann", 1, &[("a", 1)]));
    world.ok(reserve("ann", 2, &[("a", 1)]));
    assert_eq!(world.loads, (0, 0));
    // What was counted for a limit counts for another one in its place, too; and of what is new nothing was taken.
    let outcomes = world.run(&[
        set_limit("a", Some(3)),
        set_event_limit(Some(4)),
        create_allocation("c", 1, Some(1)),
        reserve("ann", 3, &[("a", 1), ("c", 1)]),
    ]);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(world.loads, (0, 0));
    world.refused(reserve("ann", 4, &[("a", 1)]));
    assert_eq!(world.loads, (0, 1));
}

#[test]
fn no_edit_but_that_of_a_limit_makes_an_event_one_with_limits() {
    let mut world = World::selling(&[("a", 5)]);
    let has_limits = |world: &World| world.event.as_ref().unwrap().has_limits();
    world.ok(set_capacity("a", 7, CapacityMode::Strict));
    assert!(!has_limits(&world));
    world.ok(set_limit("a", Some(2)));
    assert!(has_limits(&world));
    world.ok(create_allocation("b", 5, Some(2)));
    assert!(has_limits(&world), "two have limits now");
}

#[test]
fn up_to_takes_what_limits_leave_and_skips_a_line_that_is_full() {
    for follows_usage in [true, false] {
        let mut world = limited(follows_usage);
        assert_eq!(granted(&world.granted(up_to("ann", 1, &[("a", 9), ("b", 9)]))), [("a", 2), ("b", 1)]);
        assert_eq!(world.refused(up_to("ann", 2, &[("a", 9), ("b", 9)])), over(None, 3));
        world.ok(set_event_limit(Some(5)));
        assert_eq!(granted(&world.granted(up_to("ann", 2, &[("a", 9), ("b", 1)]))), [("a", 0), ("b", 1)]);
        assert_eq!(world.refused(up_to("ann", 3, &[("a", 1)])), over(Some("a"), 2));
    }
}

#[test]
fn what_one_line_lacks_is_left_to_the_next() {
    let mut world = World::with(EventConfig { limit_per_owner: Some(3), ..config() }, &[("a", 1), ("b", 9), ("c", 9)]);
    let reservation = world.granted(up_to("ann", 1, &[("a", 3), ("b", 1), ("c", 3)]));
    assert_eq!(granted(&reservation), [("a", 1), ("b", 1), ("c", 1)]);
    let mut world = World::with(EventConfig { limit_per_owner: Some(2), ..config() }, &[("a", 0), ("b", 9)]);
    assert_eq!(granted(&world.granted(up_to("ann", 1, &[("a", 2), ("b", 2)]))), [("a", 0), ("b", 2)]);
}

#[test]
fn where_limits_allow_something_up_to_names_the_shortage() {
    let mut world = World::selling(&[("a", 9), ("b", 1)]);
    world.ok(set_limit("a", Some(1)));
    world.ok(buy("ann", 1, &[("a", 1)]));
    world.ok(buy("bob", 2, &[("b", 1)]));
    assert!(
        matches!(world.refused(up_to("ann", 3, &[("a", 1), ("b", 1)])), Refusal::SoldOut(lacks) if lacks.len() == 1)
    );
}

#[test]
fn a_limit_counts_what_was_taken_before_it_was_set() {
    for follows_usage in [true, false] {
        let mut world = World::selling(&[("a", 100), ("b", 100)]);
        world.follows_usage = follows_usage;
        world.ok(buy("ann", 1, &[("a", 3)]));
        world.ok(set_event_limit(Some(4)));
        assert_eq!(world.refused(reserve("ann", 2, &[("b", 2)])), over(None, 4));
        world.ok(reserve("ann", 2, &[("b", 1)]));
        world.ok(set_limit("a", Some(2)));
        world.ok(set_event_limit(None));
        assert_eq!(world.refused(reserve("ann", 3, &[("a", 1)])), over(Some("a"), 2));
        world.ok(reserve("bob", 3, &[("a", 2)]));
    }
}

#[test]
fn a_limit_set_in_a_batch_counts_what_the_batch_took() {
    for follows_usage in [true, false] {
        let mut world = World::selling(&[("a", 100), ("b", 100)]);
        world.follows_usage = follows_usage;
        world.ok(buy("ann", 1, &[("a", 1)]));
        let outcomes = world.run(&[
            reserve("ann", 2, &[("a", 1)]),
            set_limit("a", Some(3)),
            reserve("ann", 3, &[("a", 2)]),
            reserve("ann", 4, &[("a", 1)]),
            set_event_limit(Some(3)),
            reserve("ann", 5, &[("b", 1)]),
            reserve("bob", 6, &[("b", 3)]),
        ]);
        let granted: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
        assert_eq!(granted, [true, true, false, true, true, false, true], "{outcomes:?}");
        assert_eq!(outcomes[5], Err(over(None, 3)));
    }
}

/// The usage table is up to date, but has not counted for a limit that the batch sets only now.
#[test]
fn a_new_limit_beside_an_old_one_counts_what_was_taken_before() {
    let mut world = World::selling(&[("a", 100), ("b", 100)]);
    world.ok(set_limit("b", Some(5)));
    world.ok(buy("ann", 1, &[("a", 3)]));
    let of_a = world.clone().run(&[set_limit("a", Some(3)), reserve("ann", 2, &[("a", 1)])]);
    assert_eq!(of_a[1], Err(over(Some("a"), 3)));
    let of_both =
        world.clone().run(&[set_limit("a", Some(3)), set_event_limit(Some(9)), reserve("ann", 2, &[("a", 1)])]);
    assert_eq!(of_both[2], Err(over(Some("a"), 3)));
    let of_event = world.run(&[set_event_limit(Some(3)), reserve("ann", 2, &[("b", 1)])]);
    assert_eq!(of_event[1], Err(over(None, 3)));
}

/// What the batch took under the first limit was counted once, and must not be counted again.
#[test]
fn a_limit_cleared_and_set_again_in_one_batch_counts_each_unit_once() {
    for follows_usage in [true, false] {
        let mut world = World::with(EventConfig { limit_per_owner: Some(5), ..config() }, &[("a", 100)]);
        world.follows_usage = follows_usage;
        let outcomes = world.run(&[
            reserve("ann", 1, &[("a", 2)]),
            set_event_limit(None),
            reserve("ann", 2, &[("a", 2)]),
            set_event_limit(Some(5)),
            reserve("ann", 3, &[("a", 1)]),
            reserve("ann", 4, &[("a", 1)]),
        ]);
        assert!(outcomes[4].is_ok(), "{outcomes:?}");
        assert_eq!(outcomes[5], Err(over(None, 5)));
    }
}

/// An allocation of the same batch turns the counting on before the event's limit does.
#[test]
fn the_events_limit_counts_what_the_batch_took_before_the_first_limited_allocation() {
    let mut world = World::selling(&[("a", 100)]);
    let outcomes = world.run(&[
        reserve("ann", 1, &[("a", 2)]),
        create_allocation("b", 9, Some(1)),
        set_event_limit(Some(3)),
        reserve("ann", 2, &[("b", 1)]),
        reserve("ann", 3, &[("a", 1)]),
    ]);
    assert!(outcomes[3].is_ok(), "{outcomes:?}");
    assert_eq!(outcomes[4], Err(over(None, 3)));
}

#[test]
fn a_lowered_limit_takes_nothing_away() {
    let mut world = limited(true);
    world.ok(reserve("ann", 1, &[("a", 2), ("b", 1)]));
    world.ok(set_event_limit(Some(1)));
    world.ok(extend("ann", 1, secs(700)));
    world.ok(confirm("ann", 1, "o"));
    assert_eq!(world.refused(ask("ann", Reserve { mode: Mode::UpTo, ..request(2, &[("b", 1)]) })), over(None, 1));
}
