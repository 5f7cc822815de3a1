//! Several edits as one.

use crate::domain::tests::fixture::*;
use crate::domain::tests::world::World;
use crate::domain::{
    Answer, ApplyEvent, CapacityMode, Current, EventConfig, JournalKind, Refusal, SalesState, VERSION_OF_NOTHING,
};

const NEW: Option<i64> = Some(VERSION_OF_NOTHING);

fn empty() -> World {
    World::empty(std::hash::RandomState::new())
}

fn draft() -> EventConfig {
    EventConfig { sales_state: SalesState::Draft, ..config() }
}

#[test]
fn an_event_and_its_allocations_are_created_in_one_step_and_once() {
    let mut world = empty();
    let target = || apply_event(apply(draft(), NEW, &[("a", 5, None, NEW), ("b", 3, Some(2), NEW)]));
    let Answer::Event(event) = world.ok(target()) else { panic!() };
    assert_eq!((event.last_seq, event.allocation_count, event.has_allocation_limits), (3, 2, true));
    let created = [JournalKind::EventCreated, JournalKind::AllocationCreated, JournalKind::AllocationCreated];
    assert_eq!(world.kinds(), created);
    world.unchanged(target());
}

#[test]
fn only_what_differs_is_changed_and_what_is_not_named_is_left_alone() {
    let mut world = World::selling(&[("a", 5), ("b", 3), ("c", 1)]);
    world.ok(apply_event(apply(config(), Some(1), &[("a", 5, None, Some(1)), ("b", 4, None, Some(1))])));
    assert_eq!(world.kinds()[4..], [JournalKind::AllocationUpdated]);
    let versions = ["a", "b", "c"].map(|name| world.allocation(name).version);
    assert_eq!((versions, world.allocation("b").capacity), ([1, 2, 1], 4));
}

#[test]
fn the_first_refusal_undoes_the_steps_before_it() {
    let mut world = World::selling(&[("a", 5), ("b", 3)]);
    world.ok(reserve("ann", 1, &[("b", 2)]));
    let paused = || EventConfig { sales_state: SalesState::Paused, ..config() };
    let target = |targets| apply_event(apply(paused(), Some(1), targets));
    let too_small = Refusal::CapacityBelowCommitted { allocation: allocation("b"), committed: 2 };
    assert_eq!(world.refused(target(&[("a", 9, Some(1), None), ("b", 1, None, None)])), too_small);
    let stale = Current::Allocation(world.allocation("b").clone());
    assert_eq!(
        world.refused(target(&[("a", 9, None, None), ("b", 9, None, Some(7))])),
        Refusal::EtagMismatch(Box::new(stale))
    );
    let missing = Refusal::AllocationNotFound(allocation("c"));
    assert_eq!(world.refused(target(&[("a", 9, None, None), ("c", 1, None, Some(1))])), missing);
    let event = world.event.clone().unwrap();
    assert_eq!((event.config, event.version, event.has_allocation_limits), (config(), 1, false));
    assert_eq!((world.counts("a"), world.counts("b")), ((5, 0, 0), (3, 2, 0)));
    let nothing_is_there = apply_event(apply(config(), Some(1), &[("a", 9, None, Some(1))]));
    assert_eq!(empty().refused(nothing_is_there), Refusal::EventNotFound, "the event comes first");
}

#[test]
fn what_is_made_is_refused_as_by_itself() {
    let mut world = empty();
    let cancelled = || EventConfig { sales_state: SalesState::Cancelled, ..config() };
    let target = || apply_event(apply(cancelled(), NEW, &[]));
    assert_eq!(world.refused(target()), Refusal::CancelledFromTheBeginning);
    world.ok(apply_event(apply(config(), NEW, &[])));
    world.ok(apply_event(apply(cancelled(), None, &[])));
}

#[test]
fn what_must_be_new_is_refused_where_it_exists_with_other_content() {
    let mut world = World::selling(&[("a", 5)]);
    world.unchanged(apply_event(apply(config(), NEW, &[("a", 5, None, NEW)])));
    let event = Current::Event(world.event.clone().unwrap());
    assert_eq!(world.refused(apply_event(apply(draft(), NEW, &[]))), Refusal::EtagMismatch(Box::new(event)));
    let a = Current::Allocation(world.allocation("a").clone());
    let refused = world.refused(apply_event(apply(config(), None, &[("b", 1, None, NEW), ("a", 6, None, NEW)])));
    assert_eq!(refused, Refusal::EtagMismatch(Box::new(a)));
}

#[test]
fn what_is_only_validated_is_answered_as_if_it_were_done_and_leaves_no_trace() {
    let mut world = World::selling(&[("a", 5)]);
    world.ok(reserve("ann", 1, &[("a", 4)]));
    let target = |capacity, mode| {
        let target = apply(config(), None, &[("a", capacity, Some(1), None), ("b", 2, None, None)]);
        apply_event(ApplyEvent { mode, validate_only: true, ..target })
    };
    world.unchanged(target(4, CapacityMode::Strict));
    let too_small = Refusal::CapacityBelowCommitted { allocation: allocation("a"), committed: 4 };
    assert_eq!(world.refused(target(3, CapacityMode::Strict)), too_small);
    world.unchanged(target(3, CapacityMode::Drain));
    // Within a batch it leaves no trace either.
    let outcomes = world.run(&[target(4, CapacityMode::Strict), reserve("bob", 2, &[("a", 1)])]);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(world.counts("a"), (5, 5, 0));
}

#[test]
fn a_smaller_capacity_gets_expired_holds_back_first() {
    let mut world = World::selling(&[("a", 5)]);
    world.ok(reserve("ann", 1, &[("a", 4)]));
    world.pass(TTL_MAX.as_micros() / 1_000_000 + 1);
    world.ok(apply_event(apply(config(), None, &[("a", 2, None, None)])));
    assert_eq!(world.counts("a"), (2, 0, 0));
}
