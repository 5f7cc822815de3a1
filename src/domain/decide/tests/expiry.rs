//! Holds that lapse: exactly at their time, and without a sweeper.

use crate::domain::tests::fixture::*;
use crate::domain::tests::world::World;
use crate::domain::{Answer, CapacityMode, EventConfig, JournalKind, Refusal, Reserve, SalesState, State, decide};

const BITES: [usize; 3] = [1, 2, 1000];

/// A sold-out `a`: `lapsing` single holds of bob that end in 10 s, and `living` ones of ten minutes.
fn held_by_bob(lapsing: u128, living: u128) -> World {
    let total = i64::try_from(lapsing + living).unwrap();
    let mut world = World::selling(&[("a", total)]);
    for number in 0..lapsing {
        let short = Reserve { ttl: Some(secs(10)), ..request(100 + number, &[("a", 1)]) };
        world.ok(ask("bob", short));
    }
    for number in 0..living {
        world.ok(reserve("bob", 200 + number, &[("a", 1)]));
    }
    world
}

#[test]
fn a_hold_lives_until_its_expiry_and_not_at_it() {
    let commands = || [extend("ann", 1, secs(700)), confirm("ann", 1, "o"), release("ann", 1)];
    for command in commands() {
        let mut world = World::selling(&[("a", 1)]);
        world.ok(reserve("ann", 1, &[("a", 1)]));
        world.now = micros_before(START.plus(TTL), 1);
        assert!(matches!(world.refused(reserve("bob", 2, &[("a", 1)])), Refusal::AllHeld { .. }));
        world.ok(command);
    }
    for command in commands() {
        let mut world = World::selling(&[("a", 1)]);
        world.ok(reserve("ann", 1, &[("a", 1)]));
        world.now = START.plus(TTL);
        assert_eq!(world.refused(command), Refusal::ReservationExpired);
        world.ok(reserve("bob", 2, &[("a", 1)]));
    }
}

#[test]
fn a_short_batch_reclaims_only_as_much_as_it_needs() {
    for (bite, loads) in [(1, 3), (2, 2), (1000, 1)] {
        let mut world = held_by_bob(5, 1);
        world.pass(10);
        world.bite = bite;
        world.ok(reserve("ann", 1, &[("a", 3)]));
        assert_eq!(world.loads.0, loads, "bites of {bite}");
        let reclaimed = world.reservations.values().filter(|found| found.state == State::Expired).count();
        assert_eq!(reclaimed, (loads * bite).min(5));
    }
}

#[test]
fn where_enough_is_free_nothing_is_reclaimed() {
    let mut world = held_by_bob(5, 1);
    world.ok(set_capacity("a", 10, CapacityMode::Strict));
    world.pass(10);
    world.ok(reserve("ann", 1, &[("a", 4)]));
    assert_eq!((world.loads.0, world.counts("a")), (0, (10, 10, 0)));
}

#[test]
fn a_refusal_counts_nothing_that_has_expired() {
    for bite in BITES {
        let mut world = held_by_bob(5, 1);
        world.pass(10);
        world.bite = bite;
        let refusal = world.refused(reserve("ann", 1, &[("a", 6)]));
        assert!(matches!(&refusal, Refusal::InsufficientAvailability(lacks) if lacks[0].available == 5), "{refusal:?}");
        assert_eq!(world.counts("a"), (6, 1, 0));
        let refusal = world.refused(set_capacity("a", 0, CapacityMode::Strict));
        assert!(matches!(refusal, Refusal::CapacityBelowCommitted { committed: 1, .. }));
    }
}

#[test]
fn sold_out_is_never_said_over_expired_holds() {
    for bite in BITES {
        let mut world = held_by_bob(4, 0);
        world.ok(create_allocation("z", 0, None));
        world.pass(10);
        world.bite = bite;
        let batch: Vec<_> = (0..5).map(|number| reserve("ann", number, &[("a", 1)])).collect();
        let outcomes = world.run(&batch);
        assert!(outcomes[..4].iter().all(Result::is_ok), "bites of {bite}: {outcomes:?}");
        assert!(matches!(outcomes[4], Err(Refusal::AllHeld { .. })), "bites of {bite}: {outcomes:?}");
    }
}

#[test]
fn up_to_is_filled_from_expired_holds() {
    for bite in BITES {
        let mut world = held_by_bob(4, 2);
        world.ok(set_capacity("a", 7, CapacityMode::Strict));
        world.ok(create_allocation("b", 1, None));
        world.pass(10);
        world.bite = bite;
        // One line that falls short is enough.
        assert_eq!(granted(&world.granted(up_to("ann", 1, &[("a", 9), ("b", 1)]))), [("a", 5), ("b", 1)]);
    }
}

#[test]
fn own_expired_holds_do_not_count_against_a_limit() {
    for bite in BITES {
        for follows_usage in [true, false] {
            let mut world = World::with(EventConfig { limit_per_owner: Some(3), ..config() }, &[("a", 100)]);
            world.ok(set_limit("a", Some(2)));
            for name in ["bob", "ann", "cid"] {
                let number = u128::from(name.as_bytes()[0]);
                world.ok(ask(name, Reserve { ttl: Some(secs(10)), ..request(number, &[("a", 2)]) }));
            }
            (world.bite, world.follows_usage) = (bite, follows_usage);
            world.pass(9);
            let refusal = world.refused(reserve("ann", 1, &[("a", 1)]));
            assert!(matches!(refusal, Refusal::OwnerLimitExceeded { .. }));
            world.pass(1);
            world.ok(reserve("ann", 1, &[("a", 2)]));
        }
    }
}

/// The upper bound alone is no reason to load anything but the owner's true units.
#[test]
fn nothing_is_reclaimed_while_only_the_bound_is_in_the_way() {
    let mut world = World::with(EventConfig { limit_per_owner: Some(3), ..config() }, &[("a", 100)]);
    world.ok(ask("bob", Reserve { ttl: Some(secs(10)), ..request(1, &[("a", 1)]) }));
    world.pass(10);
    world.follows_usage = false;
    world.ok(reserve("ann", 2, &[("a", 3)]));
    assert_eq!(world.loads, (0, 1));
}

#[test]
fn a_smaller_capacity_and_a_transfer_may_use_what_has_expired() {
    for bite in BITES {
        let mut world = held_by_bob(5, 1);
        world.ok(create_allocation("b", 0, None));
        world.pass(10);
        world.bite = bite;
        world.ok(transfer(("a", 1), ("b", 1), 4));
        assert_eq!((world.counts("a").0, world.counts("b").0), (2, 4));
        world.ok(set_capacity("a", 1, CapacityMode::Strict));
        assert_eq!(world.counts("a"), (1, 1, 0));
    }
}

#[test]
fn what_expired_is_reclaimed_once() {
    let mut world = held_by_bob(3, 0);
    world.pass(10);
    let outcomes = world.run(&[sweep(), reserve("ann", 1, &[("a", 3)]), sweep(), reacquire("bob", 100, "o")]);
    assert_eq!(outcomes[0], Ok(Answer::Reclaimed { count: 3, more: false }));
    assert_eq!(outcomes[2], Ok(Answer::Reclaimed { count: 0, more: false }));
    assert!(matches!(outcomes[3], Err(Refusal::AllHeld { .. })));
    let expired = world.kinds().iter().filter(|kind| **kind == JournalKind::Expired).count();
    assert_eq!(expired, 3);
    world.unchanged(sweep());
}

#[test]
fn the_sweeper_takes_bites_and_says_whether_more_is_left() {
    let mut world = held_by_bob(5, 1);
    world.pass(10);
    world.bite = 2;
    let mut told = Vec::new();
    loop {
        let Answer::Reclaimed { count, more } = world.ok(sweep()) else { panic!() };
        told.push(count);
        if !more {
            break;
        }
    }
    assert_eq!(told, [2, 2, 1]);
    assert_eq!(world.counts("a"), (6, 1, 0));
}

#[test]
fn a_late_confirm_takes_the_units_again_if_they_are_there() {
    for bite in BITES {
        for reclaimed in [false, true] {
            let mut world = held_by_bob(2, 0);
            world.pass(10);
            world.bite = bite;
            if reclaimed {
                while world.ok(sweep()) != (Answer::Reclaimed { count: 0, more: false }) {}
            }
            assert_eq!(world.refused(confirm("bob", 100, "o")), Refusal::ReservationExpired);
            let sold = world.granted(reacquire("bob", 100, "o"));
            assert_eq!((sold.state, sold.order_ref), (State::Confirmed, Some(order("o"))));
            use JournalKind::{Expired, Reacquired};
            let of_it =
                world.journal.iter().filter(|entry| entry.reservation.as_ref().is_some_and(|(of, _)| *of == id(100)));
            assert_eq!(of_it.map(|entry| entry.kind).collect::<Vec<_>>()[1..], [Expired, Reacquired]);
            world.unchanged(reacquire("bob", 100, "o"));
            world.ok(buy("ann", 1, &[("a", 1)]));
            assert!(matches!(world.refused(reacquire("bob", 101, "o")), Refusal::SoldOut(_)));
        }
    }
}

/// Nobody ran short, so nobody reclaimed it: its units come back once, and are taken once.
#[test]
fn a_late_confirm_where_plenty_is_free_lapses_first() {
    let mut world = World::selling(&[("a", 9)]);
    world.ok(reserve("ann", 1, &[("a", 2)]));
    world.pass(600);
    world.ok(reacquire("ann", 1, "o"));
    assert_eq!((world.counts("a"), world.loads), ((9, 0, 2), (0, 0)));
    assert_eq!(world.kinds()[2..], [JournalKind::Reserved, JournalKind::Expired, JournalKind::Reacquired]);
}

/// From SALES_NOT_OPEN on, as for a new reservation.
#[test]
fn a_late_confirm_is_refused_in_order() {
    let mut world = World::with(EventConfig { limit_per_owner: Some(2), ..config() }, &[("a", 4)]);
    world.ok(ask("ann", Reserve { ttl: Some(secs(10)), ..request(1, &[("a", 2)]) }));
    world.pass(10);
    world.ok(buy("ann", 2, &[("a", 1)]));
    world.ok(reserve("bob", 3, &[("a", 2)]));
    world.ok(set_capacity("a", 3, CapacityMode::Strict));
    world.ok(set_state(SalesState::Closed));
    assert!(matches!(world.refused(reacquire("ann", 1, "o")), Refusal::SalesNotOpen { .. }));
    world.ok(set_state(SalesState::OnSale));
    let refusal = world.refused(reacquire("ann", 1, "o"));
    assert_eq!(refusal, Refusal::OwnerLimitExceeded { allocation: None, limit: 2 });
    world.ok(set_event_limit(Some(3)));
    assert!(matches!(world.refused(reacquire("ann", 1, "o")), Refusal::AllHeld { .. }));
    world.ok(release("bob", 3));
    world.ok(reacquire("ann", 1, "o"));
}

#[test]
fn a_late_confirm_has_no_place_in_a_draining_allocation() {
    let mut world = World::selling(&[("a", 4)]);
    world.run(&[ask("ann", Reserve { ttl: Some(secs(10)), ..request(1, &[("a", 2)]) }), buy("bob", 2, &[("a", 2)])]);
    world.ok(set_capacity("a", 1, CapacityMode::Drain));
    world.pass(10);
    assert!(matches!(world.refused(reacquire("ann", 1, "o")), Refusal::SoldOut(_)));
    assert_eq!(world.counts("a"), (2, 0, 2));
}

/// A replaced hold that has lapsed gives its units as any other does.
#[test]
fn a_lapsed_hold_can_be_replaced_by_its_own_units() {
    for bite in BITES {
        let mut world = held_by_bob(3, 0);
        world.pass(10);
        world.bite = bite;
        world.ok(replace("bob", 1, &[("a", 3)], 102));
        assert_eq!(world.state(102), State::Expired);
    }
}

#[test]
fn deciding_is_deterministic() {
    let mut world = held_by_bob(3, 1);
    world.pass(10);
    let commands = [reserve("ann", 1, &[("a", 2)]), sweep(), reserve("ann", 2, &[("a", 2)])];
    let one = world.clone().decide(&commands);
    let two = world.decide(&commands);
    assert_eq!((one.outcomes, one.changes), (two.outcomes, two.changes));
    let nothing = decide(
        &crate::domain::Snapshot::empty(crate::domain::EventId::new("concert").unwrap()),
        &world.usage(),
        &[],
        world.now,
    )
    .unwrap();
    assert!(nothing.outcomes.is_empty() && nothing.changes.event.is_none());
}
