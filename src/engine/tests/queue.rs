//! What waits for a lane: its bound, deadlines, callers that go away, and the shutdown.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{FutureExt as _, poll};
use tokio::time::{Instant, sleep_until};

use super::faulty::Call;
use super::{World, id, quiet, reservation, reserve};
use crate::domain::{Answer, EventId};
use crate::engine::pace::BURST_MAX;
use crate::engine::{EngineConfig, Failure};

type Waiting<'a> = Pin<Box<dyn Future<Output = Result<Answer, Failure>> + 'a>>;

impl World {
    /// Lets a transaction hang in its beginning: it reserves with id 0.
    async fn hang(&self, event: &EventId) -> Waiting<'_> {
        self.faults.gate.shut();
        let first = self.wait(event, 0, None).await;
        self.faults.gate.is_met().await;
        first
    }

    /// Sends a reserve that is to wait.
    async fn wait(&self, event: &EventId, n: u64, deadline: Option<Instant>) -> Waiting<'_> {
        let mut waiting: Waiting<'_> = Box::pin(self.engine.run(event.clone(), reserve("ann", n, 1), deadline));
        assert!(poll!(&mut waiting).is_pending(), "reserve {n} does not wait");
        waiting
    }
}

#[tokio::test]
async fn beyond_its_bound_a_queue_refuses_at_once() {
    let world = World::with(EngineConfig { lane_queue_commands_max: 5, ..quiet() }).await;
    let event = world.event("demo", 100, None).await;
    for _ in 0..2 {
        // What is in a transaction counts too.
        let mut waiting = vec![world.hang(&event).await];
        for n in 1..4 {
            waiting.push(world.wait(&event, n, None).await);
        }
        let two = vec![reserve("ann", 10, 1), reserve("ann", 11, 1)];
        let refused = world.engine.run_all(event.clone(), two, None).now_or_never();
        assert_eq!(refused, Some(vec![Err(Failure::Overloaded); 2]), "there is room for one");
        waiting.push(world.wait(&event, 4, None).await);
        assert_eq!(world.run(&event, reserve("ann", 5, 1)).now_or_never(), Some(Err(Failure::Overloaded)));
        world.faults.gate.open();
        for (n, waiting) in (0..).zip(waiting) {
            assert_eq!(reservation(waiting.await).id, id(n));
        }
        assert_eq!(world.held(&event).await, 5);
    }
}

#[tokio::test]
async fn a_command_whose_deadline_passed_while_it_waited_is_not_begun() {
    let world = World::new().await;
    let event = world.event("demo", 100, None).await;
    let first = world.hang(&event).await;
    let deadline = Instant::now() + Duration::from_millis(10);
    let late = world.wait(&event, 1, Some(deadline)).await;
    let in_time = world.wait(&event, 2, Some(deadline + Duration::from_secs(3600))).await;
    sleep_until(deadline).await;
    world.faults.gate.open();
    reservation(first.await);
    assert_eq!(late.await, Err(Failure::DeadlineExceeded));
    reservation(in_time.await);
    assert_eq!(world.last_seq(&event).await, 2 + 2);
    assert_eq!(world.engine.store().reservation(&event, &id(1)).await.unwrap(), None);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_begun() {
    let world = World::with(EngineConfig { lane_queue_commands_max: 3, ..quiet() }).await;
    let event = world.event("demo", 100, None).await;
    let first = world.hang(&event).await;
    let gone = world.wait(&event, 1, None).await;
    let patient = world.wait(&event, 2, None).await;
    drop(gone);
    world.faults.gate.open();
    reservation(first.await);
    reservation(patient.await);
    assert_eq!(world.last_seq(&event).await, 2 + 2);
    assert_eq!(world.engine.store().reservation(&event, &id(1)).await.unwrap(), None);
    // What is in a transaction is finished, whoever waits for it.
    drop(world.hang(&event).await);
    let mut places = vec![world.wait(&event, 3, None).await, world.wait(&event, 4, None).await];
    world.faults.gate.open();
    reservation(places.remove(0).await);
    reservation(places.remove(0).await);
    assert_eq!(world.held(&event).await, 4);
}

#[tokio::test]
async fn each_transaction_of_a_batch_is_answered_when_it_ends_and_begins_only_what_is_still_waited_for() {
    let mut world = World::new().await;
    world.faults.one_event_a_transaction.store(true, Ordering::SeqCst);
    world.restart().await;
    let [first, second, third] = ["east", "north", "south"];
    let [first, second, third] = [
        world.event(first, 100, None).await,
        world.event(second, 100, None).await,
        world.event(third, 100, None).await,
    ];
    // From the second transaction on each waits at the gate.
    let faults = Arc::clone(&world.faults);
    let mut begins = 0;
    world.faults.script(move |call| {
        if let Call::Begin = call {
            begins += 1;
            if begins == 1 {
                faults.gate.shut();
            }
        }
        None
    });
    let deadline = Instant::now() + Duration::from_millis(20);
    let first = world.wait(&first, 0, None).await;
    let mut second = world.wait(&second, 1, None).await;
    let late = world.wait(&third, 2, Some(deadline)).await;
    let gone = world.wait(&third, 3, None).await;
    assert_eq!(reservation(first.await).id, id(0));
    world.faults.gate.is_met().await;
    assert!(poll!(&mut second).is_pending());
    drop(gone);
    sleep_until(deadline).await;
    world.faults.gate.open();
    assert_eq!(reservation(second.await).id, id(1));
    assert_eq!(late.await, Err(Failure::DeadlineExceeded));
    assert_eq!((world.faults.take_begins(), world.last_seq(&third).await), (2, 2));
}

#[tokio::test]
async fn a_shutdown_finishes_what_waits_and_refuses_what_comes_later() {
    let mut world = World::new().await;
    let event = world.event("demo", 100, None).await;
    let mut waiting = vec![world.hang(&event).await];
    for n in 1..4 {
        waiting.push(world.wait(&event, n, None).await);
    }
    let mut shutdown = Box::pin(world.engine.shutdown());
    assert!(poll!(&mut shutdown).is_pending());
    let later = world.run(&event, reserve("ann", 9, 1)).now_or_never();
    assert_eq!(later, Some(Err(Failure::ShuttingDown)), "while the lane is still at work");
    world.faults.gate.open();
    shutdown.await;
    for (n, waiting) in (0..).zip(waiting) {
        assert_eq!(reservation(waiting.await).id, id(n));
    }
    assert_eq!(world.run(&event, reserve("ann", 9, 1)).await, Err(Failure::ShuttingDown));
    world.restart().await;
    assert_eq!(world.held(&event).await, 4);
}

#[tokio::test]
async fn after_a_batch_that_waited_long_callers_who_come_back_share_the_next_one() {
    let world = World::new().await;
    let event = world.event("demo", 100, None).await;
    let first = world.hang(&event).await;
    let second = world.wait(&event, 1, None).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.faults.take_begins();
    world.faults.gate.open();
    assert_eq!(reservation(first.await).id, id(0));
    let (second, third) = futures::join!(second, world.run(&event, reserve("ann", 2, 1)));
    assert_eq!([reservation(second).id, reservation(third).id], [id(1), id(2)]);
    assert_eq!(world.faults.take_begins(), 1, "the second waited for the third");
}

#[tokio::test]
async fn where_others_write_callers_who_come_back_share_the_next_batch() {
    let world = World::new().await;
    let event = world.event("demo", 2_000, None).await;
    world.faults.others_write.store(true, Ordering::SeqCst);
    world.faults.gate.shut();
    // So many are worth 60 ms as work: the batch has not waited.
    let many = (0..1_000).map(|n| reserve("ann", n, 1)).collect();
    let mut many = Box::pin(world.engine.run_all(event.clone(), many, None));
    assert!(poll!(&mut many).is_pending());
    world.faults.gate.is_met().await;
    let second = world.wait(&event, 1_000, None).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    world.faults.take_begins();
    world.faults.gate.open();
    assert_eq!(many.await.len(), 1_000);
    let (second, third) = futures::join!(second, world.run(&event, reserve("ann", 1_001, 1)));
    assert_eq!([reservation(second).id, reservation(third).id], [id(1_000), id(1_001)]);
    assert_eq!(world.faults.take_begins(), 1, "the second waited for the third");
}

#[tokio::test]
async fn nobody_waits_for_long_for_callers_who_stay_away() {
    let world = World::new().await;
    let event = world.event("demo", 100, None).await;
    let first = world.hang(&event).await;
    let second = world.wait(&event, 1, None).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    world.faults.gate.open();
    drop(first);
    let second = tokio::time::timeout(Duration::from_secs(10), second).await.unwrap();
    assert_eq!(reservation(second).id, id(1));
}

#[tokio::test]
async fn upkeep_rests_while_callers_wait() {
    let world = World::with(EngineConfig { batch_commands_max: 1, ..quiet() }).await;
    let event = world.event("demo", 100, None).await;
    let mut waiting = vec![world.hang(&event).await];
    for n in 1..5 {
        waiting.push(world.wait(&event, n, None).await);
    }
    let pieces = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&pieces);
    world.faults.script(move |call| {
        if matches!(call, Call::Upkeep) && counted.fetch_add(1, Ordering::SeqCst) == 0 {
            // One long piece, after the first batch.
            std::thread::sleep(Duration::from_millis(300));
        }
        None
    });
    world.faults.gate.open();
    for waiting in &mut waiting {
        reservation(waiting.await);
    }
    // One after the first batch, none between the four others, and one once nobody waits any more.
    assert!((1..=2).contains(&pieces.load(Ordering::SeqCst)), "{pieces:?}");
    let begun = Instant::now();
    while pieces.load(Ordering::SeqCst) < 2 {
        assert!(begun.elapsed() < Duration::from_secs(20), "what the last batches left to do is never done");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_batch_takes_no_more_once_it_has_its_commands() {
    let world = World::with(EngineConfig { batch_commands_max: 2, ..quiet() }).await;
    let event = world.event("demo", 100, None).await;
    let mut waiting = vec![world.hang(&event).await];
    for n in 1..6 {
        waiting.push(world.wait(&event, n, None).await);
    }
    world.faults.gate.open();
    for waiting in &mut waiting {
        reservation(waiting.await);
    }
    assert_eq!(world.faults.take_begins(), 1 + 3, "one that was there, two, two, and one");
}

/// Callers with two commands each, of whom a hundred and fifty fit into a batch.
#[tokio::test]
async fn of_a_queue_that_stands_the_oldest_are_turned_away_and_those_who_may_always_wait_are_served() {
    let world = World::with(EngineConfig { batch_commands_max: 300, ..quiet() }).await;
    let event = world.event("demo", 10_000, None).await;
    // A batch of one costs little, so no long queue is worth it.
    for n in 10_000..10_050 {
        reservation(world.run(&event, reserve("ann", n, 1)).await);
    }
    // Each batch waits at the gate until it is opened for that one.
    let faults = Arc::clone(&world.faults);
    world.faults.script(move |call| {
        if let Call::Begin = call {
            faults.gate.shut();
        }
        None
    });
    world.faults.gate.shut();
    let mut crowd: Vec<Pin<Box<dyn Future<Output = _>>>> = Vec::new();
    for n in 0..1_000 {
        let two = vec![reserve("ann", 2 * n, 1), reserve("ann", 2 * n + 1, 1)];
        crowd.push(Box::pin(world.engine.run_all(event.clone(), two, None)));
        assert!(poll!(crowd.last_mut().unwrap()).is_pending());
    }
    let served = |results: Vec<Result<Answer, Failure>>| results.into_iter().map(reservation).count() == 2;
    for stands in [BURST_MAX / 4, BURST_MAX] {
        world.faults.gate.is_met().await;
        tokio::time::sleep(stands).await;
        world.faults.gate.open();
        for waiting in crowd.drain(..150) {
            assert!(served(waiting.await));
        }
    }
    world.faults.gate.is_met().await;
    // The third batch has those who came next; nobody waits for it who is told to go.
    let mut turned_away = Vec::new();
    for waiting in &mut crowd {
        // Of so many, tokio would let some seem to wait that do not.
        tokio::task::yield_now().await;
        let told = waiting.now_or_never();
        assert!(told.as_ref().is_none_or(|told| *told == vec![Err(Failure::Overloaded); 2]), "{told:?}");
        turned_away.push(told.is_some());
    }
    let count = turned_away.iter().filter(|is_refused| **is_refused).count();
    let begin = turned_away.iter().position(|is_refused| *is_refused).unwrap();
    assert!(turned_away[begin..begin + count].iter().all(|is_refused| *is_refused), "the oldest");
    assert!(begin >= 128 && 700 - count >= 256, "{begin} and {count}");
    world.faults.heal();
    world.faults.gate.open();
    for (waiting, was_refused) in crowd.into_iter().zip(turned_away) {
        assert!(was_refused || served(waiting.await));
    }
    assert_eq!(world.engine.lanes[0].waiting().load(Ordering::SeqCst), 0);
}
