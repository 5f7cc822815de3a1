//! What operators do.

use crate::domain::tests::fixture::*;
use crate::domain::tests::world::World;
use crate::domain::{
    ALLOCATIONS_PER_EVENT_MAX, AllocationPatch, Answer, CAPACITY_MAX, CapacityMode, Current, EventConfig, EventPatch,
    HOLD_TTL_DEFAULT, JournalKind, OnLoss, Refusal, SalesState, State, WaitingRoom,
};

fn empty() -> World {
    World::empty(std::hash::RandomState::new())
}

fn named(name: &str) -> EventPatch {
    EventPatch { display_name: Some(name.to_owned()), ..EventPatch::default() }
}

#[test]
fn an_event_is_created_once() {
    let mut world = empty();
    let reversed = EventConfig { on_sale_at: Some(START), off_sale_at: Some(START), ..config() };
    assert_eq!(world.refused(create_event(reversed.clone())), Refusal::WindowReversed);
    let long = EventConfig { hold_ttl_default: secs(3601), ..config() };
    assert_eq!(world.refused(create_event(long)), Refusal::TtlDefaultAboveMax);
    let cancelled = EventConfig { sales_state: SalesState::Cancelled, ..reversed.clone() };
    assert_eq!(world.refused(create_event(cancelled)), Refusal::CancelledFromTheBeginning);
    let first = world.ok(create_event(config()));
    let Answer::Event(event) = &first else { panic!() };
    assert_eq!((event.last_seq, event.version, event.created_at), (1, 1, START));
    assert_eq!(world.unchanged(create_event(config())), first);
    assert_eq!(world.refused(create_event(reversed)), Refusal::EventExists, "that it exists comes first");
    assert_eq!(world.kinds(), [JournalKind::EventCreated]);
}

#[test]
fn edits_of_an_event_are_refused_in_order() {
    let mut world = empty();
    let wrong = |expected| {
        let patch = EventPatch {
            sales_state: Some(SalesState::Draft),
            on_sale_at: Some(Some(START)),
            off_sale_at: Some(Some(START)),
            hold_ttl_default: Some(Some(secs(7200))),
            ..EventPatch::default()
        };
        (expected, patch)
    };
    let edit = |(expected, patch): (Option<i64>, EventPatch)| update_event(expected, patch);
    assert_eq!(world.refused(edit(wrong(Some(9)))), Refusal::EventNotFound);
    world.ok(create_event(config()));
    let current = Current::Event(world.event.clone().unwrap());
    assert_eq!(world.refused(edit(wrong(Some(9)))), Refusal::EtagMismatch(Box::new(current)));
    let to_draft = Refusal::SalesStateTransition { from: SalesState::OnSale, to: SalesState::Draft };
    assert_eq!(world.refused(edit(wrong(Some(1)))), to_draft);
    assert_eq!(world.refused(edit(wrong(None))), to_draft, "no etag overwrites");
    let mut patch = wrong(None).1;
    patch.sales_state = Some(SalesState::Paused);
    assert_eq!(world.refused(update_event(Some(1), patch.clone())), Refusal::WindowReversed);
    patch.off_sale_at = Some(Some(START.plus(secs(1))));
    assert_eq!(world.refused(update_event(Some(1), patch.clone())), Refusal::TtlDefaultAboveMax);
    patch.hold_ttl_default = Some(Some(TTL_MAX));
    let Answer::Event(event) = world.ok(update_event(Some(1), patch)) else { panic!() };
    assert_eq!((event.version, event.config.sales_state, event.last_seq), (2, SalesState::Paused, 2));
}

#[test]
fn an_edit_that_changes_nothing_needs_no_etag() {
    let mut world = World::selling(&[("a", 5)]);
    world.ok(update_event(Some(1), named("Other")));
    world.unchanged(update_event(Some(1), named("Other")));
    world.unchanged(update_event(None, EventPatch::default()));
    let patch = AllocationPatch { capacity: Some(7), ..AllocationPatch::default() };
    let edit = || update_allocation("a", Some(1), patch.clone(), CapacityMode::Strict);
    world.ok(edit());
    world.unchanged(edit());
    let stale = world.refused(update_allocation(
        "a",
        Some(1),
        AllocationPatch { capacity: Some(8), ..AllocationPatch::default() },
        CapacityMode::Strict,
    ));
    assert_eq!(stale, Refusal::EtagMismatch(Box::new(Current::Allocation(world.allocation("a").clone()))));
    // Counts are not what people edit: they leave the etags alone.
    world.ok(reserve("ann", 1, &[("a", 1)]));
    assert_eq!((world.allocation("a").version, world.event.as_ref().unwrap().version), (2, 2));
}

#[test]
fn sales_states_change_as_documented() {
    for from in SalesState::ALL {
        for to in SalesState::ALL {
            let mut world = empty();
            // What is final cannot be the first state, and what is the first cannot be had again.
            let first = if from == SalesState::Cancelled { SalesState::OnSale } else { from };
            world.ok(create_event(EventConfig { sales_state: first, ..config() }));
            world.ok(set_state(from));
            let allowed = from == to || (from != SalesState::Cancelled && to != SalesState::Draft);
            assert_eq!(world.one(set_state(to)).is_ok(), allowed, "{from:?} to {to:?}");
        }
    }
    let mut world = empty();
    world.ok(create_event(config()));
    world.ok(set_state(SalesState::Cancelled));
    world.ok(update_event(None, named("Cancelled: The concert")));
}

#[test]
fn fields_can_be_cleared() {
    let mut world = empty();
    let full = EventConfig {
        on_sale_at: Some(START),
        off_sale_at: Some(START.plus(secs(1))),
        limit_per_owner: Some(3),
        waiting_room: Some(WaitingRoom {
            admissions_per_second: 5,
            inside_max: None,
            on_loss: OnLoss::Open,
            pass_lifetime: secs(60),
            grace: secs(10),
        }),
        ..config()
    };
    world.ok(create_event(full));
    world.ok(create_allocation("a", 3, Some(1)));
    let clear = EventPatch {
        on_sale_at: Some(None),
        off_sale_at: Some(None),
        limit_per_owner: Some(None),
        waiting_room: Some(None),
        ..EventPatch::default()
    };
    world.ok(update_event(None, clear));
    assert_eq!(world.event.as_ref().unwrap().config, config());
    world.ok(set_limit("a", None));
    assert_eq!(world.allocation("a").limit_per_owner, None);
    world.ok(reserve("ann", 1, &[("a", 3)]));
}

#[test]
fn a_default_ttl_that_is_cleared_is_that_of_a_new_event() {
    let mut world = empty();
    world.ok(create_event(config()));
    for (max, default) in [(3_600, HOLD_TTL_DEFAULT), (300, secs(300))] {
        let patch = EventPatch { hold_ttl_default: Some(None), hold_ttl_max: Some(secs(max)), ..EventPatch::default() };
        world.ok(update_event(None, patch));
        assert_eq!(world.event.as_ref().unwrap().config.hold_ttl_default, default);
    }
}

#[test]
fn an_allocation_is_created_once() {
    let mut world = empty();
    assert_eq!(world.refused(create_allocation("a", 5, None)), Refusal::EventNotFound);
    world.ok(create_event(config()));
    world.ok(create_allocation("a", 5, Some(2)));
    world.unchanged(create_allocation("a", 5, Some(2)));
    for other in [create_allocation("a", 6, Some(2)), create_allocation("a", 5, None)] {
        assert_eq!(world.refused(other), Refusal::AllocationExists);
    }
    world.ok(reserve("ann", 1, &[("a", 2)]));
    world.unchanged(create_allocation("a", 5, Some(2)));
    let event = world.event.as_ref().unwrap();
    assert_eq!((event.allocation_count, event.version, event.has_allocation_limits), (1, 1, true));
}

#[test]
fn an_event_has_a_bounded_number_of_allocations() {
    let mut world = empty();
    let mut commands = vec![create_event(config())];
    commands.extend((0..ALLOCATIONS_PER_EVENT_MAX).map(|number| create_allocation(&format!("a{number}"), 1, None)));
    let outcomes = world.run(&commands);
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(world.refused(create_allocation("b", 1, None)), Refusal::TooManyAllocations);
    assert_eq!(world.refused(create_allocation("a0", 2, None)), Refusal::AllocationExists);
    world.unchanged(create_allocation("a0", 1, None));
}

#[test]
fn edits_of_an_allocation_are_refused_in_order() {
    let mut world = empty();
    let patch = || AllocationPatch { capacity: Some(1), limit_per_owner: Some(Some(1)), ..AllocationPatch::default() };
    let edit = |expected| update_allocation("a", expected, patch(), CapacityMode::Strict);
    assert_eq!(world.refused(edit(Some(9))), Refusal::EventNotFound);
    world.ok(create_event(config()));
    assert_eq!(world.refused(edit(Some(9))), Refusal::AllocationNotFound(allocation("a")));
    world.ok(create_allocation("a", 5, None));
    world.run(&[reserve("ann", 1, &[("a", 2)]), buy("bob", 2, &[("a", 1)])]);
    let current = Current::Allocation(world.allocation("a").clone());
    assert_eq!(world.refused(edit(Some(9))), Refusal::EtagMismatch(Box::new(current)));
    let below = |committed| Refusal::CapacityBelowCommitted { allocation: allocation("a"), committed };
    assert_eq!(world.refused(edit(Some(1))), below(3));
    world.ok(release("ann", 1));
    let Answer::Allocation(after) = world.ok(edit(Some(1))) else { panic!() };
    assert_eq!((after.capacity, after.limit_per_owner, after.version), (1, Some(1), 2));
}

#[test]
fn draining_follows_what_comes_back() {
    let mut world = World::selling(&[("a", 10)]);
    let holds = [
        reserve("ann", 1, &[("a", 2)]),
        reserve("ann", 2, &[("a", 2)]),
        buy("ann", 3, &[("a", 2)]),
        reserve("ann", 4, &[("a", 2)]),
    ];
    world.run(&holds);
    world.ok(set_capacity("a", 3, CapacityMode::Drain));
    assert_eq!((world.counts("a"), world.allocation("a").drain_to), ((8, 6, 2), Some(3)));
    world.unchanged(set_capacity("a", 3, CapacityMode::Drain));
    world.ok(release("ann", 1));
    assert_eq!(world.counts("a"), (6, 4, 2));
    world.ok(cancel("ann", 3, &[("a", 1)]));
    assert_eq!(world.counts("a"), (5, 4, 1));
    world.ok(confirm("ann", 4, "o"));
    assert_eq!((world.counts("a"), world.allocation("a").drain_to), ((5, 2, 3), Some(3)));
    world.pass(600);
    world.ok(sweep());
    assert_eq!((world.state(2), world.counts("a"), world.allocation("a").drain_to), (State::Expired, (3, 0, 3), None));
    world.ok(cancel("ann", 3, &[]));
    assert_eq!(world.counts("a"), (3, 0, 2), "it does not go below what was wanted");
    world.ok(reserve("bob", 5, &[("a", 1)]));
}

#[test]
fn a_release_past_the_target_leaves_the_rest_available() {
    let mut world = World::selling(&[("a", 10)]);
    world.run(&[reserve("ann", 1, &[("a", 6)]), reserve("ann", 2, &[("a", 1)])]);
    world.ok(set_capacity("a", 5, CapacityMode::Drain));
    world.ok(release("ann", 1));
    assert_eq!((world.counts("a"), world.allocation("a").drain_to), ((5, 1, 0), None));
}

#[test]
fn a_capacity_edit_ends_draining_and_other_edits_do_not() {
    let mut world = World::selling(&[("a", 10)]);
    world.ok(reserve("ann", 1, &[("a", 6)]));
    world.ok(set_capacity("a", 2, CapacityMode::Drain));
    let rename = AllocationPatch { display_name: Some("Floor".to_owned()), ..AllocationPatch::default() };
    world.ok(update_allocation("a", None, rename, CapacityMode::Strict));
    assert_eq!((world.counts("a"), world.allocation("a").drain_to), ((6, 6, 0), Some(2)));
    // The capacity that is wanted already, sent along with something new, is no edit of the capacity.
    let both =
        AllocationPatch { display_name: Some("Hall".to_owned()), capacity: Some(2), ..AllocationPatch::default() };
    world.ok(update_allocation("a", None, both, CapacityMode::Strict));
    assert_eq!((world.allocation("a").display_name.as_str(), world.allocation("a").drain_to), ("Hall", Some(2)));
    assert!(matches!(
        world.refused(set_capacity("a", 5, CapacityMode::Strict)),
        Refusal::CapacityBelowCommitted { committed: 6, .. }
    ));
    world.ok(set_capacity("a", 5, CapacityMode::Drain));
    assert_eq!((world.counts("a"), world.allocation("a").drain_to), ((6, 6, 0), Some(5)));
    world.ok(set_capacity("a", 6, CapacityMode::Strict));
    assert_eq!((world.counts("a"), world.allocation("a").drain_to), ((6, 6, 0), None));
    world.ok(release("ann", 1));
    assert_eq!(world.counts("a"), (6, 0, 0));
}

#[test]
fn a_transfer_is_refused_in_order() {
    let mut world = empty();
    let wrong = transfer(("a", 9), ("b", 9), 5);
    assert_eq!(world.refused(wrong.clone()), Refusal::EventNotFound);
    world.ok(create_event(config()));
    assert_eq!(world.refused(wrong.clone()), Refusal::AllocationNotFound(allocation("a")));
    world.ok(create_allocation("a", 5, None));
    assert_eq!(world.refused(wrong.clone()), Refusal::AllocationNotFound(allocation("b")));
    world.ok(create_allocation("b", CAPACITY_MAX - 4, None));
    let current =
        |world: &World, name| Refusal::EtagMismatch(Box::new(Current::Allocation(world.allocation(name).clone())));
    assert_eq!(world.refused(wrong), current(&world, "a"));
    assert_eq!(world.refused(transfer(("a", 1), ("b", 9), 5)), current(&world, "b"));
    world.ok(reserve("ann", 1, &[("a", 3)]));
    assert_eq!(world.refused(transfer(("a", 1), ("b", 1), 5)), Refusal::CapacityTooLarge(allocation("b")));
    let below = Refusal::CapacityBelowCommitted { allocation: allocation("a"), committed: 3 };
    assert_eq!(world.refused(transfer(("a", 1), ("b", 1), 4)), below);
    let Answer::Transferred { from, to } = world.ok(transfer(("a", 1), ("b", 1), 2)) else { panic!() };
    assert_eq!((from.capacity, from.version, to.capacity, to.version), (3, 2, CAPACITY_MAX - 2, 2));
    assert!(matches!(world.refused(transfer(("a", 1), ("b", 1), 2)), Refusal::EtagMismatch(_)), "not twice");
    assert_eq!(world.journal.last().unwrap().deltas.len(), 2);
}

#[test]
fn more_than_all_cannot_be_transferred() {
    let mut world = World::selling(&[("a", 5), ("b", 5)]);
    let refusal = world.refused(transfer(("a", 1), ("b", 1), 6));
    assert!(matches!(refusal, Refusal::CapacityBelowCommitted { committed: 0, .. }));
    world.ok(transfer(("a", 1), ("b", 1), 5));
    assert_eq!((world.counts("a"), world.counts("b")), ((0, 0, 0), (10, 0, 0)));
}

#[test]
fn a_draining_allocation_has_nothing_to_give() {
    let mut world = World::selling(&[("a", 5), ("b", 5)]);
    world.ok(reserve("ann", 1, &[("a", 4)]));
    world.ok(set_capacity("a", 2, CapacityMode::Drain));
    assert!(matches!(
        world.refused(transfer(("a", 2), ("b", 1), 1)),
        Refusal::CapacityBelowCommitted { committed: 4, .. }
    ));
}

#[test]
fn a_draining_allocation_takes_what_it_is_given_as_a_later_end() {
    let mut world = World::selling(&[("a", 5), ("b", 5)]);
    world.ok(reserve("ann", 1, &[("a", 4)]));
    world.ok(set_capacity("a", 1, CapacityMode::Drain));
    world.ok(transfer(("b", 1), ("a", 2), 2));
    assert_eq!((world.counts("a"), world.allocation("a").drain_to), ((4, 4, 0), Some(3)));
    let told = |world: &World| {
        let entry = world.journal.last().unwrap();
        let edit = entry.allocation.as_ref().map(|edit| (edit.id.clone(), edit.capacity, edit.drain_to));
        (entry.deltas.iter().map(|delta| delta.capacity).collect::<Vec<_>>(), edit)
    };
    assert_eq!(told(&world), (vec![-2], Some(("a".to_owned(), 4, Some(3)))), "no count of it tells that");
    world.ok(transfer(("b", 2), ("a", 3), 2));
    assert_eq!((world.counts("a"), world.allocation("a").drain_to), ((5, 4, 0), None));
    assert_eq!(told(&world), (vec![-2, 1], Some(("a".to_owned(), 5, None))));
    assert_eq!(world.counts("b"), (1, 0, 0));
    world.ok(transfer(("a", 4), ("b", 3), 1));
    assert_eq!(told(&world), (vec![-1, 1], None), "counts tell all");
}

/// The API refuses it; if it came here all the same, no capacity may come of it.
#[test]
fn a_transfer_to_itself_makes_no_capacity() {
    let mut world = World::selling(&[("a", 5)]);
    world.ok(transfer(("a", 1), ("a", 1), 3));
    assert_eq!(world.counts("a"), (5, 0, 0));
}

#[test]
fn edits_are_journalled_with_the_actor_and_what_they_lead_to() {
    let mut world = World::selling(&[("a", 5)]);
    world.ok(reserve("ann", 1, &[("a", 4)]));
    world.ok(set_capacity("a", 2, CapacityMode::Drain));
    let entry = world.journal.last().unwrap();
    assert_eq!((entry.kind, entry.actor.to_string()), (JournalKind::AllocationUpdated, "admin:root".to_owned()));
    let edit = entry.allocation.as_ref().unwrap();
    assert_eq!((edit.capacity, edit.drain_to, entry.deltas[0].capacity), (4, Some(2), -1));
    world.ok(update_event(None, named("Other")));
    assert_eq!(world.journal.last().unwrap().event.as_ref().unwrap().display_name, "Other");
}
