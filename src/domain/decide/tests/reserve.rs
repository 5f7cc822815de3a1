//! Taking units.

use crate::domain::tests::fixture::*;
use crate::domain::tests::world::World;
use crate::domain::{
    AllocationPatch, Answer, CapacityMode, EventConfig, EventPatch, JournalKind, Lack, Mode, Refusal, Reserve,
    SalesState, State, Timestamp,
};

fn lack(name: &str, requested: i64, available: i64) -> Lack {
    Lack { allocation: allocation(name), requested, available }
}

/// Everything stands in the way at once, and is removed piece by piece: each time the first of what is left is told.
#[test]
fn refusals_come_in_the_documented_order() {
    let mut world = World::empty(std::hash::RandomState::new());
    let three = |name| (name, 3);
    let wanted = |number| Reserve {
        ttl: Some(secs(7200)),
        replaces: Some(id(5)),
        ..request(number, &[three("held"), three("part"), three("sold")])
    };
    let ask_reused = || ask("ann", wanted(9));
    let ask_new = || ask("ann", wanted(10));

    assert_eq!(world.refused(ask_reused()), Refusal::EventNotFound);
    world.ok(create_event(EventConfig { limit_per_owner: Some(10), ..config() }));
    world.ok(create_allocation("held", 3, Some(2)));
    world.ok(create_allocation("sold", 3, None));
    world.ok(create_allocation("seven", 7, None));
    world.granted(reserve("bob", 9, &[("held", 1)]));
    world.granted(reserve("cid", 11, &[("held", 2)]));
    world.granted(buy("cid", 12, &[("sold", 3)]));
    world.granted(buy("ann", 5, &[("seven", 4)]));
    world.granted(buy("ann", 6, &[("seven", 3)]));
    world.ok(set_state(SalesState::Paused));

    assert_eq!(world.refused(ask_reused()), Refusal::AllocationNotFound(allocation("part")));
    world.ok(create_allocation("part", 1, None));

    let of_another = |number| ask("ann", Reserve { replaces: Some(id(12)), ..wanted(number) });
    assert_eq!(world.refused(of_another(9)), Refusal::ReservationNotFound);

    assert_eq!(world.refused(ask_reused()), Refusal::ReservationIdReused);

    let closed = Refusal::SalesNotOpen { state: SalesState::Paused, on_sale_at: None, off_sale_at: None };
    assert_eq!(world.refused(ask_new()), closed);
    world.ok(set_state(SalesState::OnSale));

    assert_eq!(world.refused(ask_new()), Refusal::TtlTooLong { max: TTL_MAX });
    world.ok(update_event(None, EventPatch { hold_ttl_max: Some(secs(7200)), ..EventPatch::default() }));

    assert_eq!(world.refused(ask_new()), Refusal::AlreadyConfirmed);
    world.granted(cancel("ann", 5, &[]));

    let of_held = Refusal::OwnerLimitExceeded { allocation: Some(allocation("held")), limit: 2 };
    assert_eq!(world.refused(ask_new()), of_held);
    world.ok(set_limit("held", Some(3)));

    assert_eq!(world.refused(ask_new()), Refusal::OwnerLimitExceeded { allocation: None, limit: 10 });
    world.ok(set_event_limit(Some(12)));

    // Only what is gone is called so, though others lack units, too.
    assert_eq!(world.refused(ask_new()), Refusal::SoldOut(vec![lack("sold", 3, 0)]));
    world.ok(set_capacity("sold", 6, CapacityMode::Strict));

    let next_expiry = Some(world.now.plus(TTL));
    assert_eq!(world.refused(ask_new()), Refusal::AllHeld { lacks: vec![lack("held", 3, 0)], next_expiry });
    world.granted(release("bob", 9));

    let lacks = vec![lack("held", 3, 1), lack("part", 3, 1)];
    assert_eq!(world.refused(ask_new()), Refusal::InsufficientAvailability(lacks));
    world.granted(release("cid", 11));
    world.ok(set_capacity("part", 3, CapacityMode::Strict));

    let reservation = world.granted(ask_new());
    assert_eq!(granted(&reservation), [three("held"), three("part"), three("sold")]);
    assert_eq!(reservation.expires_at, world.now.plus(secs(7200)));
}

#[test]
fn it_sells_only_on_sale_and_within_the_window() {
    let (from, until) = (START.plus(secs(10)), START.plus(secs(20)));
    let config = EventConfig { on_sale_at: Some(from), off_sale_at: Some(until), ..config() };
    let mut world = World::with(config, &[("a", 10)]);
    let mut number = 0;
    let mut try_at = |world: &mut World, at: Timestamp| {
        number += 1;
        world.now = at;
        world.one(reserve("ann", number, &[("a", 1)])).is_ok()
    };
    assert!(!try_at(&mut world, micros_before(from, 1)));
    assert!(try_at(&mut world, from));
    assert!(try_at(&mut world, micros_before(until, 1)));
    assert!(!try_at(&mut world, until));
    for state in [SalesState::Paused, SalesState::Closed, SalesState::Cancelled] {
        world.ok(set_state(state));
        assert!(!try_at(&mut world, from), "{state:?}");
    }
    let draft = EventConfig { sales_state: SalesState::Draft, ..super::super::super::tests::fixture::config() };
    assert!(!try_at(&mut World::with(draft, &[("a", 10)]), START));
}

#[test]
fn a_hold_takes_units_and_says_until_when() {
    let mut world = World::selling(&[("a", 10), ("b", 5)]);
    let reservation = world.granted(reserve("ann", 1, &[("a", 3), ("b", 2)]));
    assert_eq!(reservation.state, State::Held);
    assert_eq!(reservation.expires_at, START.plus(TTL));
    assert_eq!(reservation.created_at, START);
    assert_eq!(granted(&reservation), [("a", 3), ("b", 2)]);
    assert_eq!(world.counts("a"), (10, 3, 0));
    assert_eq!(world.counts("b"), (5, 2, 0));
    let shorter = Reserve { ttl: Some(secs(5)), ..request(2, &[("a", 1)]) };
    assert_eq!(world.granted(ask("ann", shorter)).expires_at, START.plus(secs(5)));
    let longest = Reserve { ttl: Some(TTL_MAX), ..request(3, &[("a", 1)]) };
    assert_eq!(world.granted(ask("ann", longest)).expires_at, START.plus(TTL_MAX));
}

#[test]
fn with_an_order_it_is_sold_at_once() {
    let mut world = World::selling(&[("a", 10)]);
    let reservation = world.granted(buy("ann", 1, &[("a", 3)]));
    assert_eq!((reservation.state, reservation.order_ref), (State::Confirmed, Some(order("o"))));
    assert_eq!(world.counts("a"), (10, 0, 3));
    assert_eq!(world.kinds().last(), Some(&JournalKind::Sold));
    world.pass(100_000);
    assert_eq!(world.state(1), State::Confirmed);
}

#[test]
fn the_same_request_again_changes_nothing_and_is_answered_with_what_became_of_it() {
    let mut world = World::selling(&[("a", 1)]);
    let request = || reserve("ann", 1, &[("a", 1)]);
    let first = world.ok(request());
    assert_eq!(world.unchanged(request()), first);
    world.ok(set_state(SalesState::Closed));
    assert_eq!(world.unchanged(request()), first, "sales do not matter to what was granted before");
    world.ok(confirm("ann", 1, "o"));
    let Answer::Reservation(now) = world.unchanged(request()) else { panic!() };
    assert_eq!(now.state, State::Confirmed);
    world.ok(cancel("ann", 1, &[]));
    let Answer::Reservation(now) = world.unchanged(request()) else { panic!() };
    assert_eq!(now.state, State::Cancelled);
}

#[test]
fn a_request_again_after_expiry_finds_it_expired() {
    let mut world = World::selling(&[("a", 1)]);
    world.ok(reserve("ann", 1, &[("a", 1)]));
    world.pass(600);
    let Answer::Reservation(now) = world.unchanged(reserve("ann", 1, &[("a", 1)])) else { panic!() };
    assert_eq!(now.state, State::Expired);
}

#[test]
fn an_id_belongs_to_one_request_of_one_owner() {
    let mut world = World::selling(&[("a", 10), ("b", 10)]);
    let first = || request(1, &[("a", 2)]);
    world.ok(ask("ann", Reserve { ttl: Some(secs(60)), ..first() }));
    let others = [
        ask("ann", first()),
        ask("bob", Reserve { ttl: Some(secs(60)), ..first() }),
        ask("ann", Reserve { ttl: Some(secs(61)), ..first() }),
        ask("ann", Reserve { ttl: Some(secs(60)), mode: Mode::UpTo, ..first() }),
        ask("ann", Reserve { ttl: Some(secs(60)), replaces: Some(id(1)), ..first() }),
        ask("ann", Reserve { ttl: Some(secs(60)), order_ref: Some(order("x")), ..first() }),
        ask("ann", Reserve { ttl: Some(secs(60)), lines: lines(&[("a", 3)]), ..first() }),
        ask("ann", Reserve { ttl: Some(secs(60)), lines: lines(&[("b", 2)]), ..first() }),
        ask("ann", Reserve { ttl: Some(secs(60)), lines: lines(&[("a", 2), ("b", 1)]), ..first() }),
    ];
    for other in others {
        assert_eq!(world.refused(other), Refusal::ReservationIdReused);
    }
    let entries = world.journal.len();
    world.ok(release("ann", 1));
    assert_eq!(world.refused(reserve("bob", 1, &[("a", 2)])), Refusal::ReservationIdReused, "also when it has ended");
    assert_eq!(world.journal.len(), entries + 1);
}

/// Found by the random batches: nothing to replace had the same fingerprint as the nil UUID to replace.
#[test]
fn to_replace_the_nil_id_is_another_request_than_to_replace_nothing() {
    let mut world = World::selling(&[("a", 10)]);
    world.ok(reserve("ann", 0, &[("a", 1)]));
    world.ok(reserve("ann", 1, &[("a", 1)]));
    assert_eq!(world.refused(replace("ann", 1, &[("a", 1)], 0)), Refusal::ReservationIdReused);
}

/// It is stored with each reservation, so it must never change.
#[test]
fn the_fingerprint_of_a_request_is_the_same_in_every_version() {
    let plain = request(1, &[("floor", 2)]);
    let full = Reserve {
        ttl: Some(secs(60)),
        mode: Mode::UpTo,
        replaces: Some(id(7)),
        order_ref: Some(order("order-1")),
        ..request(1, &[("balcony", 1), ("floor", 2)])
    };
    assert_eq!((plain.fingerprint(), full.fingerprint()), (PLAIN_FINGERPRINT, FULL_FINGERPRINT));
}

const PLAIN_FINGERPRINT: i64 = 5_321_448_426_855_517_618;
const FULL_FINGERPRINT: i64 = -7_428_240_151_719_088_108;

#[test]
fn of_two_for_the_last_unit_in_one_batch_one_wins() {
    let mut world = World::selling(&[("a", 1)]);
    let outcomes = world.run(&[reserve("ann", 1, &[("a", 1)]), reserve("bob", 2, &[("a", 1)])]);
    assert!(outcomes[0].is_ok());
    assert!(matches!(&outcomes[1], Err(Refusal::AllHeld { next_expiry: Some(at), .. }) if *at == START.plus(TTL)));
    assert_eq!(world.counts("a"), (1, 1, 0));
}

#[test]
fn one_batch_may_live_a_whole_life() {
    let mut world = World::selling(&[("a", 2)]);
    let life = [
        reserve("ann", 1, &[("a", 2)]),
        reserve("ann", 1, &[("a", 2)]),
        confirm("ann", 1, "o"),
        confirm("ann", 1, "o"),
        reserve("bob", 2, &[("a", 1)]),
        cancel("ann", 1, &[("a", 1)]),
        reserve("bob", 2, &[("a", 1)]),
        cancel("ann", 1, &[]),
    ];
    let outcomes = world.run(&life);
    assert_eq!(outcomes[4], Err(Refusal::SoldOut(vec![lack("a", 1, 0)])));
    assert!(outcomes.iter().enumerate().all(|(index, outcome)| outcome.is_ok() || index == 4), "{outcomes:?}");
    assert_eq!(world.counts("a"), (2, 1, 0));
    assert_eq!(world.state(1), State::Cancelled);
    use JournalKind::{Cancelled, Confirmed, Reserved};
    assert_eq!(world.kinds()[2..], [Reserved, Confirmed, Cancelled, Reserved, Cancelled]);
}

#[test]
fn an_event_can_be_created_and_sold_in_one_batch() {
    let mut world = World::empty(std::hash::RandomState::new());
    let outcomes = world.run(&[
        reserve("ann", 1, &[("a", 2)]),
        create_event(EventConfig { limit_per_owner: Some(2), ..config() }),
        create_allocation("a", 3, Some(2)),
        reserve("ann", 1, &[("a", 2)]),
        reserve("ann", 2, &[("a", 1)]),
        reserve("bob", 3, &[("a", 2)]),
        reserve("bob", 4, &[("a", 1)]),
    ]);
    assert_eq!(outcomes[0], Err(Refusal::EventNotFound));
    let limit = Refusal::OwnerLimitExceeded { allocation: Some(allocation("a")), limit: 2 };
    assert_eq!(outcomes[4], Err(limit));
    assert_eq!(outcomes[5], Err(Refusal::InsufficientAvailability(vec![lack("a", 2, 1)])));
    assert!(outcomes[3].is_ok() && outcomes[6].is_ok());
    assert_eq!(world.loads, (0, 0), "there is nothing to load of a new event");
}

#[test]
fn up_to_grants_of_each_line_what_is_there() {
    let mut world = World::selling(&[("a", 1), ("b", 0), ("c", 9)]);
    let reservation = world.granted(up_to("ann", 1, &[("a", 2), ("b", 2), ("c", 2)]));
    assert_eq!(granted(&reservation), [("a", 1), ("b", 0), ("c", 2)]);
    assert!(reservation.lines.iter().all(|line| line.requested == 2));
    world.ok(confirm("ann", 1, "o"));
    assert_eq!(world.refused(cancel("ann", 1, &[("b", 1)])), Refusal::CancelTooMany { index: 0, quantity: 0 });
    world.granted(cancel("ann", 1, &[("a", 1), ("c", 2)]));
    assert_eq!(world.state(1), State::Cancelled);
}

#[test]
fn up_to_is_refused_only_where_nothing_at_all_may_be_had() {
    let mut world = World::selling(&[("a", 1), ("b", 1)]);
    world.ok(buy("bob", 1, &[("a", 1)]));
    world.ok(reserve("bob", 2, &[("b", 1)]));
    let lacks = vec![lack("a", 2, 0), lack("b", 2, 0)];
    let next_expiry = Some(START.plus(TTL));
    let command = || up_to("ann", 3, &[("a", 2), ("b", 2)]);
    assert_eq!(
        world.refused(command()),
        Refusal::AllHeld { lacks: lacks[1..].to_vec(), next_expiry },
        "b may come back"
    );
    world.ok(confirm("bob", 2, "o"));
    assert_eq!(world.refused(command()), Refusal::SoldOut(lacks));
    world.ok(cancel("bob", 1, &[]));
    assert_eq!(granted(&world.granted(command())), [("a", 1), ("b", 0)]);
}

#[test]
fn what_drains_away_when_holds_lapse_is_sold_out_now() {
    let mut world = World::selling(&[("a", 4)]);
    world.ok(buy("bob", 1, &[("a", 1)]));
    world.ok(reserve("bob", 2, &[("a", 3)]));
    world.ok(set_capacity("a", 2, CapacityMode::Drain));
    let refusal = world.refused(reserve("ann", 3, &[("a", 1)]));
    assert!(matches!(refusal, Refusal::AllHeld { .. }), "one will come back: {refusal:?}");
    world.ok(set_capacity("a", 1, CapacityMode::Drain));
    assert_eq!(world.refused(reserve("ann", 3, &[("a", 1)])), Refusal::SoldOut(vec![lack("a", 1, 0)]));
}

#[test]
fn no_expiry_is_told_that_may_be_too_late() {
    let mut world = World::selling(&[("a", 3)]);
    let short = |number, ttl| ask("bob", Reserve { ttl: Some(secs(ttl)), ..request(number, &[("a", 1)]) });
    world.run(&[short(1, 10), short(2, 20)]);
    world.pass(10);
    // The snapshot tells of hold 1 only, which has expired; hold 2 lapses before the new ones.
    let outcomes = world.run(&[reserve("ann", 3, &[("a", 2)]), reserve("ann", 4, &[("a", 1)])]);
    assert!(matches!(outcomes[1], Err(Refusal::AllHeld { next_expiry: None, .. })), "{outcomes:?}");
    let refusal = world.refused(reserve("ann", 4, &[("a", 1)]));
    assert!(matches!(refusal, Refusal::AllHeld { next_expiry: Some(at), .. } if at == START.plus(secs(20))));
}

#[test]
fn the_next_expiry_is_that_of_the_earliest_hold() {
    let lasting = |number, ttl| ask("bob", Reserve { ttl: Some(secs(ttl)), ..request(number, &[("a", 1)]) });
    // None was there before, or one that lapses after those of the batch, or before them.
    for (before, earliest) in [(None, 20), (Some(25), 20), (Some(15), 15)] {
        let mut world = World::selling(&[("a", if before.is_some() { 4 } else { 3 })]);
        if let Some(ttl) = before {
            world.ok(lasting(5, ttl));
        }
        // What is sold at once is no hold, though it expires when it is sold.
        let batch = [buy("bob", 1, &[("a", 1)]), lasting(2, 30), lasting(3, 20), reserve("ann", 4, &[("a", 1)])];
        let outcomes = world.run(&batch);
        let earliest = Some(START.plus(secs(earliest)));
        assert!(
            matches!(outcomes[3], Err(Refusal::AllHeld { next_expiry, .. }) if next_expiry == earliest),
            "{outcomes:?}"
        );
    }
}

#[test]
fn nobody_but_an_owner_can_reserve() {
    let mut world = World::selling(&[("a", 1)]);
    let command = admin(crate::domain::Action::Reserve(request(1, &[("a", 1)])));
    assert_eq!(world.refused(command), Refusal::ReservationNotFound);
}

#[test]
fn settings_of_the_same_batch_count_from_then_on() {
    let mut world = World::selling(&[("a", 2)]);
    let bigger = AllocationPatch { capacity: Some(4), ..AllocationPatch::default() };
    let outcomes = world.run(&[
        reserve("ann", 1, &[("a", 3)]),
        update_allocation("a", Some(1), bigger, CapacityMode::Strict),
        reserve("ann", 1, &[("a", 3)]),
        set_state(SalesState::Paused),
        reserve("ann", 2, &[("a", 1)]),
        confirm("ann", 1, "o"),
    ]);
    let granted: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(granted, [false, true, true, true, false, true]);
}
