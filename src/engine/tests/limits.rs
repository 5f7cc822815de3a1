//! Limits per owner, whose table the engine keeps in memory.

use futures::future::join_all;

use super::audit::execute;
use super::faulty::{Call, Fault};
use super::{GA, World, by_admin, by_owner, id, reservation, reserve, reserve_of};
use crate::domain::{
    Action, AllocationId, AllocationPatch, Answer, CapacityMode, Command, Duration, EventId, EventPatch, OnExpired,
    OrderRef, OwnerId, OwnerUnits, Refusal, Wanted, decide,
};
use crate::engine::Failure;
use crate::engine::owner_usage::OwnerUsage;
use crate::storage::{Loaded, StoreError};

fn over(allocation: Option<&str>, limit: i64) -> Result<Answer, Failure> {
    let allocation = allocation.map(|id| AllocationId::new(id).unwrap());
    Err(Failure::Refused(Refusal::OwnerLimitExceeded { allocation, limit }))
}

fn limit_event(limit: Option<i64>) -> Action {
    let patch = EventPatch { limit_per_owner: Some(limit), ..EventPatch::default() };
    Action::UpdateEvent { expected: None, patch }
}

fn limit_allocation(limit: i64) -> Action {
    let patch = AllocationPatch { limit_per_owner: Some(Some(limit)), ..AllocationPatch::default() };
    Action::UpdateAllocation { id: AllocationId::new(GA).unwrap(), expected: None, patch, mode: CapacityMode::Strict }
}

async fn edit(world: &World, event: &EventId, action: Action) {
    world.run(event, by_admin(action)).await.unwrap();
}

#[tokio::test]
async fn a_limit_is_exact_after_a_restart() {
    let mut world = World::new().await;
    let event = world.event("demo", 100, Some(4)).await;
    reservation(world.run(&event, reserve("ann", 1, 3)).await);
    reservation(world.run(&event, reserve("bob", 2, 4)).await);
    world.restart().await;
    assert_eq!(world.run(&event, reserve("ann", 3, 2)).await, over(None, 4));
    assert_eq!(world.run(&event, reserve("bob", 4, 1)).await, over(None, 4));
    reservation(world.run(&event, reserve("ann", 5, 1)).await);
    reservation(world.run(&event, by_owner("bob", Action::Release { id: id(2) })).await);
    world.restart().await;
    assert_eq!(world.run(&event, reserve("ann", 6, 1)).await, over(None, 4));
    reservation(world.run(&event, reserve("bob", 7, 4)).await);
    assert_eq!(world.held(&event).await, 8);
}

#[tokio::test]
async fn a_limit_that_is_set_in_mid_sale_counts_what_was_taken_before() {
    let world = World::new().await;
    let event = world.event("demo", 100, None).await;
    reservation(world.run(&event, reserve("ann", 1, 5)).await);
    reservation(world.run(&event, reserve("bob", 2, 2)).await);
    edit(&world, &event, limit_event(Some(4))).await;
    assert_eq!(world.run(&event, reserve("ann", 3, 1)).await, over(None, 4));
    reservation(world.run(&event, reserve("bob", 4, 2)).await);
    assert_eq!(world.run(&event, reserve("bob", 5, 1)).await, over(None, 4));
    edit(&world, &event, limit_allocation(3)).await;
    reservation(world.run(&event, reserve("eve", 6, 3)).await);
    assert_eq!(world.run(&event, reserve("eve", 7, 1)).await, over(Some(GA), 3));
    // Units that are taken while there is no limit count once there is one again.
    let event = world.event("another", 100, Some(4)).await;
    reservation(world.run(&event, reserve("ann", 1, 1)).await);
    edit(&world, &event, limit_event(None)).await;
    reservation(world.run(&event, reserve("ann", 2, 6)).await);
    edit(&world, &event, limit_event(Some(8))).await;
    assert_eq!(world.run(&event, reserve("ann", 3, 2)).await, over(None, 8));
    reservation(world.run(&event, reserve("ann", 4, 1)).await);
}

#[tokio::test]
async fn a_limit_that_is_set_in_a_batch_counts_for_the_commands_behind_it() {
    let world = World::new().await;
    let event = world.event("demo", 100, None).await;
    reservation(world.run(&event, reserve("ann", 1, 3)).await);
    let commands =
        vec![reserve("ann", 2, 1), by_admin(limit_event(Some(5))), reserve("ann", 3, 1), reserve("ann", 4, 1)];
    let mut results = world.engine.run_all(event.clone(), commands, None).await;
    assert_eq!(world.faults.take_begins(), 2);
    assert_eq!(results.pop(), Some(over(None, 5)));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(world.held(&event).await, 5);
}

#[tokio::test]
async fn parallel_requests_of_one_owner_do_not_pass_his_limit() {
    let mut world = World::new().await;
    let event = world.event("demo", 1_000, Some(7)).await;
    for round in 0..3_u64 {
        let ids = 100 * round..100 * round + 60;
        let requests = ids.map(|n| world.run(&event, reserve(if n % 2 == 0 { "ann" } else { "bob" }, n, 1)));
        let results = join_all(requests).await;
        let granted = results.iter().filter(|result| result.is_ok()).count();
        let refused = results.iter().filter(|result| **result == over(None, 7)).count();
        assert_eq!((granted, refused), if round == 0 { (14, 46) } else { (0, 60) }, "round {round}");
        world.restart().await;
    }
    assert_eq!(world.held(&event).await, 14);
}

#[tokio::test]
async fn a_limit_costs_the_reading_of_the_journal_once() {
    let mut world = World::new().await;
    let event = world.event("demo", 100, Some(4)).await;
    reservation(world.run(&event, reserve("ann", 1, 1)).await);
    world.restart().await;
    world.faults.take_journal_loads();
    for n in 2..10 {
        reservation(world.run(&event, reserve(&format!("owner-{n}"), n, 1)).await);
        assert_eq!(world.faults.take_journal_loads(), usize::from(n == 2), "reserve {n}");
    }
}

#[tokio::test]
async fn limits_that_are_set_together_cost_the_reading_of_the_journal_twice() {
    let mut world = World::new().await;
    let event = world.event("demo", 100, None).await;
    reservation(world.run(&event, reserve("ann", 1, 2)).await);
    let limits = vec![by_admin(limit_event(Some(4))), by_admin(limit_allocation(3))];
    assert!(world.engine.run_all(event.clone(), limits, None).await.iter().all(Result::is_ok));
    world.restart().await;
    world.faults.take_journal_loads();
    assert_eq!(world.run(&event, reserve("ann", 2, 2)).await, over(Some(GA), 3));
    assert_eq!(world.faults.take_journal_loads(), 2);
    reservation(world.run(&event, reserve("ann", 3, 1)).await);
}

#[tokio::test]
async fn whoever_comes_again_and_again_though_he_has_reached_his_limit_is_looked_up_once() {
    let world = World::new().await;
    let event = world.event("demo", 100, Some(2)).await;
    let refused = async |name: &str, n: u64, looks: usize| {
        assert_eq!(world.run(&event, reserve(name, n, 1)).await, over(None, 2), "{name} {n}");
        assert_eq!(world.faults.take_usage_loads(), looks, "{name} {n}");
    };
    reservation(world.run(&event, reserve("ann", 1, 2)).await);
    refused("ann", 2, 1).await;
    refused("ann", 3, 0).await;
    // What others do is nothing to him; what he does is counted.
    reservation(world.run(&event, reserve("bob", 4, 2)).await);
    refused("ann", 5, 0).await;
    reservation(world.run(&event, by_owner("ann", Action::Release { id: id(1) })).await);
    reservation(world.run(&event, reserve("ann", 6, 2)).await);
    refused("ann", 7, 0).await;
    // Only so many are remembered.
    for (n, name) in (0..8).zip(["a", "b", "c", "d", "e", "f", "g", "h"]) {
        reservation(world.run(&event, reserve(name, 10 + n, 2)).await);
        refused(name, 20 + n, 1).await;
    }
    refused("h", 30, 0).await;
    refused("ann", 31, 1).await;
}

/// Until its table is up to date, a server would have to look at each buyer by himself, under the event's lock.
#[tokio::test]
async fn after_a_restart_a_crowd_that_is_far_from_its_limit_is_not_looked_up_one_by_one() {
    let mut world = World::new().await;
    let event = world.event("demo", 100, Some(2)).await;
    let name = |n: u64| format!("owner-{n}");
    for n in 0..20 {
        reservation(world.run(&event, reserve(&name(n), n, 1)).await);
    }
    world.restart().await;
    world.faults.take_usage_loads();
    let one_each = (0..15).map(|n| reserve(&name(n), 100 + n, 1)).collect();
    let granted = world.engine.run_all(event.clone(), one_each, None).await;
    assert!(granted.iter().all(Result::is_ok), "{granted:?}");
    assert_eq!(world.faults.take_usage_loads(), 0);
    // A few are looked up, and the table comes after them in bites.
    world.restart().await;
    let few = (15..18).map(|n| reserve(&name(n), 100 + n, 1)).collect();
    assert!(world.engine.run_all(event.clone(), few, None).await.iter().all(Result::is_ok));
    assert_eq!(world.faults.take_usage_loads(), 3);
    let commands = (0..18).map(|n| reserve(&name(n), 200 + n, 1)).collect();
    assert_eq!(world.engine.run_all(event.clone(), commands, None).await, vec![over(None, 2); 18]);
}

/// What is remembered of owners is what the database would tell, whatever they do.
#[tokio::test]
async fn what_is_remembered_of_owners_is_the_truth() {
    let world = World::new().await;
    let event = world.event("demo", 100, Some(6)).await;
    let other = AllocationId::new("other").unwrap();
    let create =
        Action::CreateAllocation { id: other, display_name: String::new(), capacity: 100, limit_per_owner: None };
    edit(&world, &event, create).await;
    let owners = ["ann", "bob"];
    let mut random = fastrand::Rng::with_seed(1);
    let mut lane = world.engine.store().open_lane().await.unwrap();
    let mut usage = OwnerUsage::default();
    for n in 0..400 {
        let (owner, id) = (owners[random.usize(..2)], id(random.u64(..=n)));
        let command = match random.u8(..8) {
            0..3 => reserve_of(if random.bool() { GA } else { "other" }, owner, n, random.i64(1..4)),
            3 | 4 => by_owner(owner, Action::Release { id }),
            5 => {
                let order_ref = OrderRef::new("order").unwrap();
                by_owner(owner, Action::Confirm { id, order_ref, on_expired: OnExpired::Reacquire })
            }
            6 => by_owner(owner, Action::Cancel { id, lines: Vec::new() }),
            _ => {
                world.advance(Duration::from_secs(20));
                by_admin(Action::ReclaimExpired)
            }
        };
        let _ = world.run(&event, command).await;
        let Loaded { snapshots, .. } = lane.begin(&[Wanted::new(event.clone())]).await.unwrap();
        usage.catch_up(&mut *lane, &snapshots[0]).await.unwrap();
        for owner in owners {
            let owner = OwnerId::new(owner).unwrap();
            let known = usage.exact(&mut *lane, &event, &owner).await.unwrap();
            let known: OwnerUnits = known.into_iter().filter(|(_, units)| *units != 0).collect();
            assert_eq!(known, lane.load_usage(&event, &owner).await.unwrap(), "{owner} after {n}");
        }
        lane.rollback().await.unwrap();
    }
}

/// Another server's changes are seen where the journal is read to the end, and else nothing that was known holds any more.
#[tokio::test]
async fn what_another_server_wrote_counts_for_those_who_were_looked_up_before() {
    let world = World::new().await;
    let event = world.event("demo", 100, Some(2)).await;
    reservation(world.run(&event, reserve("ann", 1, 2)).await);
    assert_eq!(world.run(&event, reserve("ann", 2, 1)).await, over(None, 2));
    by_another_server(&world, &event, by_owner("ann", Action::Release { id: id(1) })).await;
    reservation(world.run(&event, reserve("ann", 3, 2)).await);
    assert_eq!(world.run(&event, reserve("ann", 4, 1)).await, over(None, 2));
    // While there is no limit nobody counts; but what was known before is not true any more.
    edit(&world, &event, limit_event(None)).await;
    by_another_server(&world, &event, by_owner("ann", Action::Release { id: id(3) })).await;
    let commands = vec![by_admin(limit_event(Some(2))), reserve("ann", 5, 2)];
    let results = world.engine.run_all(event.clone(), commands, None).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

/// Runs a command behind the back of the engine.
async fn by_another_server(world: &World, event: &EventId, command: Command) {
    let mut wanted = Wanted::new(event.clone());
    command.add_wanted(&mut wanted);
    let mut lane = world.engine.store().open_lane().await.unwrap();
    let Loaded { now, snapshots, .. } = lane.begin(&[wanted]).await.unwrap();
    let mut usage = OwnerUsage::default();
    usage.catch_up(&mut *lane, &snapshots[0]).await.unwrap();
    let decided = decide(&snapshots[0], usage.table(&snapshots[0]), &[command], now);
    let Ok(decision) = decided else { panic!("it needs no more than is loaded") };
    lane.commit(&[decision.changes]).await.unwrap();
}

/// Units are counted while a batch is committed. Here that fails, and somebody else makes the journal as long as it would have become.
#[tokio::test]
async fn what_a_failed_batch_counted_is_forgotten() {
    let world = World::new().await;
    let event = world.event("demo", 100, Some(2)).await;
    reservation(world.run(&event, reserve("ann", 1, 2)).await);
    let order_ref = OrderRef::new("order-1").unwrap();
    let confirm = Action::Confirm { id: id(1), order_ref, on_expired: OnExpired::Fail };
    reservation(world.run(&event, by_owner("ann", confirm)).await);
    world.faults.script(|call| match call {
        Call::Commit(_) => Some(Fault::Fail(StoreError::Unavailable("disk full".into()))),
        _ => None,
    });
    let refund = by_owner("ann", Action::Cancel { id: id(1), lines: Vec::new() });
    assert_eq!(world.run(&event, refund).await, Err(Failure::Unavailable));
    world.faults.heal();

    by_another_server(&world, &event, reserve("bob", 2, 1)).await;
    assert_eq!(world.run(&event, reserve("ann", 3, 1)).await, over(None, 2));
}

/// A database that was set back has other changes now under the numbers that were counted already.
#[tokio::test]
async fn what_a_database_has_lost_is_not_counted_and_what_it_has_instead_is() {
    let world = World::new().await;
    let event = world.event("demo", 100, Some(2)).await;
    reservation(world.run(&event, reserve("ann", 1, 2)).await);
    execute(&world, "DELETE FROM reservations").await;
    execute(&world, "DELETE FROM journal_chunks WHERE last_seq = 3").await;
    execute(&world, "UPDATE allocations SET held = 0").await;
    execute(&world, "UPDATE events SET last_seq = 2").await;
    reservation(world.run(&event, reserve("bob", 2, 2)).await);
    assert_eq!(world.run(&event, reserve("bob", 3, 1)).await, over(None, 2));
    reservation(world.run(&event, reserve("ann", 4, 2)).await);
}
