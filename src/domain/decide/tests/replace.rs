//! A changed cart: a new hold in place of an old one, in one step.

use crate::domain::tests::fixture::*;
use crate::domain::tests::world::World;
use crate::domain::{CapacityMode, EventConfig, JournalKind, Refusal, Reserve, State};

#[test]
fn granted_it_releases_the_old_hold_in_the_same_step() {
    let mut world = World::selling(&[("a", 3), ("b", 3)]);
    world.ok(reserve("ann", 1, &[("a", 3)]));
    world.pass(1);
    world.ok(replace("ann", 2, &[("a", 2), ("b", 1)], 1));
    assert_eq!((world.state(1), world.state(2)), (State::Released, State::Held));
    assert_eq!((world.counts("a"), world.counts("b")), ((3, 2, 0), (3, 1, 0)));
    assert_eq!(world.kinds()[4..], [JournalKind::Released, JournalKind::Reserved]);
    world.unchanged(replace("ann", 2, &[("a", 2), ("b", 1)], 1));
    assert_eq!(world.refused(confirm("ann", 1, "o")), Refusal::AlreadyReleased);
}

#[test]
fn refused_it_leaves_the_old_hold_alone() {
    let mut world = World::selling(&[("a", 3)]);
    world.ok(reserve("ann", 1, &[("a", 2)]));
    world.ok(reserve("bob", 2, &[("a", 1)]));
    let refusal = world.refused(replace("ann", 3, &[("a", 3)], 1));
    assert!(matches!(&refusal, Refusal::InsufficientAvailability(lacks) if lacks[0].available == 2), "{refusal:?}");
    assert_eq!(world.state(1), State::Held);
    world.ok(replace("ann", 3, &[("a", 2)], 1));
}

#[test]
fn the_old_units_do_not_count_against_limits() {
    let mut world = World::with(EventConfig { limit_per_owner: Some(3), ..config() }, &[("a", 9), ("b", 9)]);
    world.ok(set_limit("a", Some(2)));
    world.ok(reserve("ann", 1, &[("a", 2), ("b", 1)]));
    for wanted in [&[("a", 3)][..], &[("a", 2), ("b", 2)], &[("b", 4)]] {
        let refusal = world.refused(replace("ann", 2, wanted, 1));
        assert!(matches!(refusal, Refusal::OwnerLimitExceeded { .. }), "{refusal:?}");
    }
    world.ok(replace("ann", 2, &[("a", 2)], 1));
    world.ok(replace("ann", 3, &[("b", 3)], 2));
    world.ok(replace("ann", 4, &[("a", 2), ("b", 1)], 3));
    assert!(world.one(reserve("ann", 5, &[("b", 1)])).is_err());
}

#[test]
fn up_to_fills_the_old_place_and_what_is_free() {
    let mut world = World::selling(&[("a", 5)]);
    world.ok(reserve("bob", 1, &[("a", 2)]));
    world.ok(reserve("ann", 2, &[("a", 1)]));
    let mut wanted = request(3, &[("a", 9)]);
    wanted.mode = crate::domain::Mode::UpTo;
    wanted.replaces = Some(id(2));
    assert_eq!(granted(&world.granted(ask("ann", wanted))), [("a", 3)]);
    assert_eq!(world.counts("a"), (5, 5, 0));
}

#[test]
fn it_keeps_its_place_in_a_draining_allocation() {
    let mut world = World::selling(&[("a", 5), ("b", 5)]);
    world.ok(reserve("ann", 1, &[("a", 4)]));
    world.ok(set_capacity("a", 0, CapacityMode::Drain));
    assert_eq!(world.counts("a"), (4, 4, 0));
    assert!(matches!(world.refused(replace("ann", 2, &[("a", 5)], 1)), Refusal::InsufficientAvailability(_)));
    world.ok(replace("ann", 2, &[("a", 4)], 1));
    assert_eq!(world.counts("a"), (4, 4, 0));
    world.ok(replace("ann", 3, &[("a", 1), ("b", 1)], 2));
    assert_eq!(world.counts("a"), (1, 1, 0), "what it left has drained");
    world.ok(replace("ann", 4, &[("b", 1)], 3));
    assert_eq!(world.counts("a"), (0, 0, 0));
    assert_eq!(world.allocation("a").drain_to, None);
}

#[test]
fn it_may_be_sold_in_the_same_step() {
    let mut world = World::selling(&[("a", 2)]);
    world.ok(reserve("ann", 1, &[("a", 2)]));
    world.ok(ask("ann", Reserve { replaces: Some(id(1)), order_ref: Some(order("o")), ..request(2, &[("a", 2)]) }));
    assert_eq!(world.counts("a"), (2, 0, 2));
}

#[test]
fn what_ended_already_is_no_obstacle() {
    let mut world = World::selling(&[("a", 2)]);
    world.ok(reserve("ann", 1, &[("a", 2)]));
    world.ok(release("ann", 1));
    world.ok(replace("ann", 2, &[("a", 2)], 1));
    world.pass(600);
    world.ok(replace("ann", 3, &[("a", 2)], 2));
    assert_eq!(world.state(2), State::Expired, "it lapsed, and is not called released");
    world.ok(confirm("ann", 3, "o"));
    assert_eq!(world.refused(replace("ann", 4, &[("a", 1)], 3)), Refusal::AlreadyConfirmed);
    world.ok(cancel("ann", 3, &[]));
    world.ok(replace("ann", 4, &[("a", 1)], 3));
}

#[test]
fn only_an_own_hold_can_be_replaced() {
    let mut world = World::selling(&[("a", 2)]);
    world.ok(reserve("bob", 1, &[("a", 1)]));
    assert_eq!(world.refused(replace("ann", 2, &[("a", 1)], 1)), Refusal::ReservationNotFound);
    assert_eq!(world.refused(replace("ann", 2, &[("a", 1)], 77)), Refusal::ReservationNotFound);
    assert_eq!(world.refused(replace("ann", 2, &[("a", 1)], 2)), Refusal::ReservationNotFound);
}

#[test]
fn of_two_that_replace_one_hold_the_second_has_no_place_to_take_over() {
    let mut world = World::selling(&[("a", 2)]);
    world.ok(reserve("ann", 1, &[("a", 2)]));
    let outcomes = world.run(&[replace("ann", 2, &[("a", 2)], 1), replace("ann", 3, &[("a", 2)], 1)]);
    assert!(outcomes[0].is_ok());
    assert!(matches!(outcomes[1], Err(Refusal::AllHeld { .. })), "{outcomes:?}");
}
