//! Expired holds: the sweeper, and reserves that run short without one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration as Span;

use futures::future::join_all;
use futures::poll;
use tokio::time::timeout;

use super::faulty::{Call, Fault};
use super::{World, id, quiet, reservation, reserve};
use crate::domain::{Duration, EventId, Refusal};
use crate::engine::{EngineConfig, Failure};
use crate::storage::StoreError;

/// Longer than any sweep takes; only a test that fails waits so long.
const SWEEP_MAX: Span = Span::from_secs(20);

#[tokio::test]
async fn a_round_of_the_sweeper_reclaims_all_expired_holds_of_many_events() {
    let mut world = World::new().await;
    let mut events = Vec::new();
    for n in 0..40_i64 {
        // One with more holds than are loaded at once.
        let holds = if n == 7 { 700 } else { 3 };
        let event = world.event(&format!("event-{n}"), 1_000, None).await;
        let commands = (0..holds).map(|n| reserve("ann", n, 1)).collect();
        let results = world.engine.run_all(event.clone(), commands, None).await;
        assert!(results.iter().all(Result::is_ok));
        events.push((event, i64::try_from(holds).unwrap()));
    }
    world.advance(Duration::from_secs(60));
    // It looks at once, and not again in this test.
    world.restart_with(EngineConfig { sweep_interval: Span::from_secs(3_600), ..quiet() }).await;
    // The sweeper has not run yet: on this thread nothing else runs before the next await.
    let events: Vec<_> =
        events.into_iter().map(|(event, holds)| (world.engine.subscribe(&event), event, holds)).collect();
    for (mut changes, event, holds) in events {
        let all = 2 + 2 * holds;
        let swept = timeout(SWEEP_MAX, changes.wait_for(|seq| *seq >= all)).await;
        assert!(swept.is_ok_and(|swept| swept.is_ok()), "{event}");
        assert_eq!((world.last_seq(&event).await, world.held(&event).await), (all, 0));
    }
    assert!(world.faults.take_begins() < 40, "events share batches");
    world.engine.shutdown().await;
}

/// An event with so many holds that have lapsed, which no sweeper has seen yet.
async fn lapsed(world: &World, holds: u64) -> EventId {
    let event = world.event("demo", 10_000, None).await;
    let commands = (0..holds).map(|n| reserve("ann", n, 1)).collect();
    assert!(world.engine.run_all(event.clone(), commands, None).await.iter().all(Result::is_ok));
    world.advance(Duration::from_secs(60));
    event
}

#[tokio::test]
async fn after_a_round_that_failed_there_is_another() {
    let mut world = World::new().await;
    let event = lapsed(&world, 3).await;
    // First no events are found, and then the one that is found cannot be worked on.
    let mut left = 2;
    world.faults.script(move |call| {
        let fails = matches!((left, call), (2, Call::ExpiredHolds) | (1, Call::Begin));
        left -= usize::from(fails);
        fails.then(|| Fault::Fail(StoreError::Unavailable("it is away".into())))
    });
    world.restart_with(EngineConfig { sweep_interval: Span::from_millis(5), ..quiet() }).await;
    let mut changes = world.engine.subscribe(&event);
    let swept = timeout(SWEEP_MAX, changes.wait_for(|seq| *seq >= 2 + 2 * 3)).await;
    assert!(swept.is_ok_and(|swept| swept.is_ok()));
    world.engine.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_reclaimed_waits_for_the_next_round() {
    let mut world = World::new().await;
    let event = lapsed(&world, 3).await;
    let mut has_failed = false;
    world.faults.script(move |call| {
        let fails = matches!(call, Call::Begin) && !std::mem::replace(&mut has_failed, true);
        fails.then(|| Fault::Fail(StoreError::Unavailable("it is away".into())))
    });
    world.restart_with(EngineConfig { sweep_interval: Span::from_secs(3_600), ..quiet() }).await;
    world.faults.gate.shut();
    world.faults.gate.is_met().await;
    world.faults.gate.open();
    // Whatever the sweeper asks for now shares a batch with one of these.
    for n in 100..103 {
        reservation(world.run(&event, reserve("bob", n, 1)).await);
    }
    assert_eq!(world.last_seq(&event).await, 2 + 3 + 3);
    world.engine.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_waits_for_one_bite_of_the_sweeper_and_no_more() {
    let mut world = World::new().await;
    let event = lapsed(&world, 5_000).await;
    world.restart_with(EngineConfig { sweep_interval: Span::from_secs(3_600), ..quiet() }).await;
    world.faults.gate.shut();
    world.faults.gate.is_met().await;
    let mut shutdown = Box::pin(world.engine.shutdown());
    assert!(poll!(&mut shutdown).is_pending());
    world.faults.gate.open();
    shutdown.await;
    world.restart().await;
    let reclaimed = world.last_seq(&event).await - (2 + 5_000);
    assert!((1..5_000).contains(&reclaimed), "{reclaimed}");
}

#[tokio::test]
async fn without_a_sweeper_a_reserve_that_runs_short_reclaims_in_its_own_transaction() {
    let world = World::new().await;
    let event = world.event("demo", 2_000, None).await;
    let holds = (0..2_000).map(|n| reserve("ann", n, 1)).collect();
    let results = world.engine.run_all(event.clone(), holds, None).await;
    assert!(results.iter().all(Result::is_ok));
    world.advance(Duration::from_secs(60));
    tokio::time::sleep(Span::from_millis(20)).await;
    assert_eq!(world.last_seq(&event).await, 2_002, "nobody sweeps");
    world.faults.take_begins();
    reservation(world.run(&event, reserve("bob", 5_000, 1_500)).await);
    assert_eq!(world.faults.take_begins(), 1);
    let results = join_all((5_001..5_003).map(|n| world.run(&event, reserve("bob", n, 250)))).await;
    results.into_iter().for_each(|result| drop(reservation(result)));
    assert_eq!((world.faults.take_begins(), world.held(&event).await), (1, 2_000));
    assert_eq!(world.last_seq(&event).await, 2 + 2_000 + 2_000 + 3);
}

#[tokio::test]
async fn what_a_long_outage_has_left_is_reclaimed_in_several_transactions() {
    let world = World::new().await;
    let event = world.event("demo", 20_000, None).await;
    for first in (0..20_000).step_by(4_000) {
        let holds = (first..first + 4_000).map(|n| reserve("ann", n, 1)).collect();
        let results = world.engine.run_all(event.clone(), holds, None).await;
        assert!(results.iter().all(Result::is_ok));
    }
    world.advance(Duration::from_secs(60));
    let largest = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&largest);
    world.faults.script(move |call| {
        if let Call::Commit(changes) = call {
            let reservations = changes.iter().map(|changes| changes.reservations.len()).sum();
            seen.fetch_max(reservations, Ordering::SeqCst);
        }
        None
    });
    world.faults.take_begins();
    let (refused, granted) = futures::join!(
        world.run(&event, reserve("bob", 50_000, 20_001)),
        world.run(&event, reserve("bob", 50_001, 20_000)),
    );
    assert!(matches!(refused, Err(Failure::Refused(Refusal::InsufficientAvailability(_)))), "{refused:?}");
    assert_eq!(reservation(granted).id, id(50_001));
    assert!(largest.load(Ordering::SeqCst) < 16_384, "{largest:?} in one transaction");
    assert_eq!((world.faults.take_begins(), world.held(&event).await), (2, 20_000));
    assert_eq!(world.last_seq(&event).await, 2 + 20_000 + 20_000 + 1);
}
