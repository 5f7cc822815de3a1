//! What becomes of a reservation: each command against each state, and who may give it.

use crate::domain::tests::fixture::*;
use crate::domain::tests::world::World;
use crate::domain::{Answer, Command, EventPatch, JournalKind, Refusal, SalesState, State};

/// A world in which reservation 1 of ann (2 of `a`) is in `state`; an expired one is not reclaimed yet.
fn world_with(state: State) -> World {
    let mut world = World::selling(&[("a", 2)]);
    world.ok(reserve("ann", 1, &[("a", 2)]));
    match state {
        State::Held => {}
        State::Confirmed => drop(world.ok(confirm("ann", 1, "o"))),
        State::Released => drop(world.ok(release("ann", 1))),
        State::Expired => world.pass(600),
        State::Cancelled => drop(world.run(&[confirm("ann", 1, "o"), cancel("ann", 1, &[])])),
    }
    assert_eq!(world.state(1), state);
    world
}

/// What a command does to a reservation.
#[derive(Debug, Clone)]
enum Expect {
    To(State),
    Nothing,
    Refused(Refusal),
}

#[test]
fn each_command_meets_each_state() {
    use Expect::{Nothing, Refused, To};
    use Refusal::{AlreadyCancelled, AlreadyConfirmed, AlreadyReleased, NotConfirmed, ReservationExpired};
    type Row = (&'static str, Command, [Expect; 5]);
    // In the order of State::ALL: held, confirmed, released, expired, cancelled.
    let r = Refused;
    #[rustfmt::skip]
    let table: [Row; 8] = [
        ("extend", extend("ann", 1, secs(601)),
            [To(State::Held), r(AlreadyConfirmed), r(AlreadyReleased), r(ReservationExpired), r(AlreadyCancelled)]),
        ("release", release("ann", 1),
            [To(State::Released), r(AlreadyConfirmed), Nothing, r(ReservationExpired), r(AlreadyCancelled)]),
        ("force release", force_release(1),
            [To(State::Released), r(AlreadyConfirmed), Nothing, r(ReservationExpired), r(AlreadyCancelled)]),
        ("confirm", confirm("ann", 1, "o"),
            [To(State::Confirmed), Nothing, r(AlreadyReleased), r(ReservationExpired), r(AlreadyCancelled)]),
        ("confirm another order", confirm("ann", 1, "x"),
            [To(State::Confirmed), r(AlreadyConfirmed), r(AlreadyReleased), r(ReservationExpired), r(AlreadyCancelled)]),
        ("reacquire", reacquire("ann", 1, "o"),
            [To(State::Confirmed), Nothing, r(AlreadyReleased), To(State::Confirmed), r(AlreadyCancelled)]),
        ("cancel", cancel("ann", 1, &[]),
            [r(NotConfirmed), To(State::Cancelled), r(AlreadyReleased), r(ReservationExpired), Nothing]),
        ("cancel a part", cancel("ann", 1, &[("a", 1)]),
            [r(NotConfirmed), To(State::Confirmed), r(AlreadyReleased), r(ReservationExpired), Nothing]),
    ];
    for (name, command, row) in table {
        for (state, expect) in State::ALL.into_iter().zip(row) {
            for reclaimed in [false, true] {
                let mut world = world_with(state);
                if reclaimed {
                    world.ok(sweep());
                }
                check(&mut world, name, &command, state, &expect);
            }
        }
    }
}

fn check(world: &mut World, name: &str, command: &Command, state: State, expect: &Expect) {
    let shown = format!("{name} of {state:?}");
    match expect {
        Expect::To(to) => {
            assert_eq!(world.granted(command.clone()).state, *to, "{shown}");
            assert_eq!(world.state(1), *to, "{shown}");
            world.unchanged(command.clone());
        }
        Expect::Nothing => drop(world.unchanged(command.clone())),
        Expect::Refused(refusal) => {
            let before = world.reservation(1).clone();
            assert_eq!(world.refused(command.clone()), *refusal, "{shown}");
            assert_eq!(*world.reservation(1), before, "{shown}");
        }
    }
}

#[test]
fn to_anybody_else_it_does_not_exist() {
    for state in State::ALL {
        let mut world = world_with(state);
        for name in ["bob", "root"] {
            for command in [
                extend(name, 1, secs(700)),
                release(name, 1),
                confirm(name, 1, "o"),
                reacquire(name, 1, "o"),
                cancel(name, 1, &[]),
                cancel(name, 1, &[("zz", 1)]),
            ] {
                assert_eq!(world.refused(command), Refusal::ReservationNotFound, "{state:?}");
            }
        }
        // An operator does not act as its owner either; for him there is the forced release.
        assert_eq!(world.refused(admin(release("ann", 1).action)), Refusal::ReservationNotFound);
        assert_eq!(world.refused(force_release(2)), Refusal::ReservationNotFound);
        assert_eq!(world.refused(release("ann", 2)), Refusal::ReservationNotFound);
    }
}

#[test]
fn where_there_is_no_event_there_is_no_reservation() {
    let mut world = World::empty(std::hash::RandomState::new());
    for command in
        [extend("ann", 1, TTL), release("ann", 1), confirm("ann", 1, "o"), cancel("ann", 1, &[]), force_release(1)]
    {
        assert_eq!(world.refused(command), Refusal::ReservationNotFound);
    }
}

/// The state is looked at before the event; then a cancelled event stops what sells, and nothing else.
#[test]
fn a_cancelled_event_neither_confirms_nor_extends() {
    let closed = |refusal| matches!(refusal, Refusal::SalesNotOpen { state: SalesState::Cancelled, .. });
    let mut world = world_with(State::Held);
    world.ok(set_state(SalesState::Cancelled));
    assert!(closed(world.refused(confirm("ann", 1, "o"))));
    assert!(closed(world.refused(reacquire("ann", 1, "o"))));
    assert!(closed(world.refused(extend("ann", 1, secs(700)))));
    let mut lapsed = world.clone();
    lapsed.pass(600);
    assert_eq!(lapsed.refused(confirm("ann", 1, "o")), Refusal::ReservationExpired);
    assert_eq!(lapsed.refused(extend("ann", 1, secs(700))), Refusal::ReservationExpired);
    assert!(closed(lapsed.refused(reacquire("ann", 1, "o"))));
    world.ok(release("ann", 1));

    let mut world = world_with(State::Confirmed);
    world.ok(set_state(SalesState::Cancelled));
    world.unchanged(confirm("ann", 1, "o"));
    world.ok(cancel("ann", 1, &[]));
}

#[test]
fn a_pause_stops_new_units_only() {
    for state in [SalesState::Paused, SalesState::Closed] {
        let mut world = world_with(State::Held);
        world.ok(set_state(state));
        world.ok(extend("ann", 1, secs(700)));
        world.ok(confirm("ann", 1, "o"));
        let mut world = world_with(State::Expired);
        world.ok(set_state(state));
        assert!(matches!(world.refused(reacquire("ann", 1, "o")), Refusal::SalesNotOpen { .. }));
    }
}

#[test]
fn an_extension_counts_from_now_and_ends_at_the_longest_life() {
    let mut world = world_with(State::Held);
    world.pass(300);
    assert_eq!(world.granted(extend("ann", 1, secs(301))).expires_at, START.plus(secs(601)));
    let entry = world.journal.last().unwrap();
    assert_eq!((entry.kind, entry.expires_at), (JournalKind::Extended, Some(START.plus(secs(601)))));
    let Answer::Reservation(same) = world.unchanged(extend("ann", 1, secs(301))) else { panic!() };
    assert_eq!(same.expires_at, START.plus(secs(601)));
    world.unchanged(extend("ann", 1, secs(1)));
    assert_eq!(world.granted(extend("ann", 1, secs(1_000_000))).expires_at, START.plus(TTL_MAX));
    world.unchanged(extend("ann", 1, secs(1_000_000)));
    world.ok(update_event(None, EventPatch { hold_ttl_max: Some(TTL), ..EventPatch::default() }));
    let Answer::Reservation(same) = world.unchanged(extend("ann", 1, secs(500))) else { panic!() };
    assert_eq!(same.expires_at, START.plus(TTL_MAX), "a shorter maximum shortens nothing");
}

#[test]
fn a_double_confirm_sells_once() {
    let mut world = world_with(State::Held);
    let outcomes = world.run(&[confirm("ann", 1, "o"), confirm("ann", 1, "o"), confirm("ann", 1, "x")]);
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(outcomes[2], Err(Refusal::AlreadyConfirmed));
    assert_eq!(world.counts("a"), (2, 0, 2));
    let entry = world.journal.last().unwrap();
    assert_eq!((entry.kind, entry.order_ref.clone()), (JournalKind::Confirmed, Some(order("o"))));
}

#[test]
fn a_forced_release_says_who_and_why() {
    let mut world = world_with(State::Held);
    world.ok(force_release(1));
    let entry = world.journal.last().unwrap();
    assert_eq!(entry.actor.to_string(), "admin:root");
    assert_eq!(entry.reason.as_deref(), Some("asked for by phone"));
    assert_eq!(entry.reservation, Some((id(1), owner("ann"))));
}

/// What is named has been refunded in all, when the call is done.
#[test]
fn refunds_name_targets_and_not_steps() {
    let mut world = World::selling(&[("a", 5), ("b", 5)]);
    world.ok(buy("ann", 1, &[("a", 4), ("b", 2)]));
    world.ok(cancel("ann", 1, &[("a", 1)]));
    assert_eq!(world.counts("a"), (5, 0, 3));
    world.unchanged(cancel("ann", 1, &[("a", 1)]));
    world.ok(cancel("ann", 1, &[("a", 3)]));
    assert_eq!(world.counts("a"), (5, 0, 1));
    world.unchanged(cancel("ann", 1, &[("a", 2)]));
    world.ok(cancel("ann", 1, &[("a", 1), ("b", 1)]));
    assert_eq!((world.counts("a"), world.counts("b")), ((5, 0, 1), (5, 0, 1)));
    assert_eq!(world.state(1), State::Confirmed);
    world.ok(cancel("ann", 1, &[]));
    assert_eq!((world.counts("a"), world.counts("b")), ((5, 0, 0), (5, 0, 0)));
    assert_eq!(world.state(1), State::Cancelled);
    world.unchanged(cancel("ann", 1, &[("b", 2)]));
}

#[test]
fn naming_all_units_of_all_lines_ends_it() {
    let mut world = World::selling(&[("a", 5), ("b", 5)]);
    world.ok(buy("ann", 1, &[("a", 4), ("b", 2)]));
    assert_eq!(world.granted(cancel("ann", 1, &[("a", 4)])).state, State::Confirmed);
    assert_eq!(world.granted(cancel("ann", 1, &[("b", 2)])).state, State::Cancelled);
}

/// What the lines name is looked at before the state.
#[test]
fn refunds_are_refused_in_order() {
    let mut world = world_with(State::Held);
    let first_wrong = cancel("ann", 1, &[("a", 3), ("zz", 1)]);
    assert_eq!(world.refused(first_wrong), Refusal::CancelTooMany { index: 0, quantity: 2 });
    assert_eq!(world.refused(cancel("ann", 1, &[("a", 2), ("zz", 1)])), Refusal::CancelUnknownAllocation(1));
    assert_eq!(world.refused(cancel("ann", 1, &[("a", 2)])), Refusal::NotConfirmed);
    world.ok(confirm("ann", 1, "o"));
    world.ok(cancel("ann", 1, &[("a", 2)]));
}
