//! A store that fails: what is run again, what fails alone, and that nothing is lost or done twice.

use std::io;
use std::sync::{Arc, Mutex};

use futures::future::join_all;

use super::faulty::{Call, Fault};
use super::{World, id, reservation, reserve};
use crate::domain::{Answer, Changes};
use crate::engine::Failure;
use crate::storage::StoreError;

const BATCH: u64 = 10;

/// The command whose presence makes a commit fail.
const POISON: u64 = 4;

type Results = Vec<Result<Answer, Failure>>;

async fn reserve_batch(world: &World, event: &crate::domain::EventId) -> Results {
    join_all((0..BATCH).map(|n| world.run(event, reserve(&format!("owner-{n}"), n, 1)))).await
}

fn assert_all_granted(results: Results) {
    for (n, result) in (0..).zip(results) {
        assert_eq!(reservation(result).id, id(n));
    }
}

fn assert_only_poison_failed(results: Results) {
    for (n, result) in (0..).zip(results) {
        match n {
            POISON => assert_eq!(result, Err(Failure::Internal)),
            _ => assert_eq!(reservation(result).id, id(n)),
        }
    }
}

fn is_poisoned(changes: &[Changes]) -> bool {
    changes.iter().flat_map(|changes| &changes.reservations).any(|edited| edited.after.id == id(POISON))
}

fn retry() -> Option<Fault> {
    Some(Fault::Fail(StoreError::Retry("busy".into())))
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("disk full".into())
}

fn guard() -> StoreError {
    StoreError::Guard { what: "reservations", expected: 1, actual: 0 }
}

#[tokio::test]
async fn a_batch_that_was_rolled_back_is_run_again() {
    let world = World::new().await;
    let event = world.event("demo", 100, None).await;
    let mut left = 2;
    world.faults.script(move |call| match call {
        Call::Commit(_) if left > 0 => {
            left -= 1;
            retry()
        }
        _ => None,
    });
    assert_all_granted(reserve_batch(&world, &event).await);
    assert_eq!(world.faults.take_begins(), 3);
    assert_eq!(world.held(&event).await, 10);
}

#[tokio::test]
async fn a_batch_that_is_rolled_back_each_time_is_run_command_by_command() {
    let world = World::new().await;
    let event = world.event("demo", 100, None).await;
    world.faults.script(|call| match call {
        Call::Commit([changes]) if changes.reservations.len() > 1 => retry(),
        _ => None,
    });
    assert_all_granted(reserve_batch(&world, &event).await);
    assert_eq!(world.faults.take_begins(), 3 + 10);
    assert_eq!(world.held(&event).await, 10);
}

#[tokio::test]
async fn what_is_rolled_back_even_alone_is_given_up_soon() {
    let world = World::new().await;
    let event = world.event("demo", 100, None).await;
    world.faults.script(|call| if let Call::Commit(_) = call { retry() } else { None });
    assert_eq!(reserve_batch(&world, &event).await, vec![Err(Failure::Unavailable); 10]);
    assert_eq!(world.faults.take_begins(), 3 + 3, "three times all, three times the first alone");
    world.faults.heal();
    assert_all_granted(reserve_batch(&world, &event).await);
    assert_eq!(world.held(&event).await, 10);
}

#[tokio::test]
async fn a_command_that_a_guard_refuses_or_that_meets_nonsense_fails_alone() {
    for error in [guard, || StoreError::Corrupt("state 9".to_owned())] {
        let world = World::new().await;
        let event = world.event("demo", 100, None).await;
        world.faults.script(move |call| match call {
            Call::Commit(changes) if is_poisoned(changes) => Some(Fault::Fail(error())),
            _ => None,
        });
        assert_only_poison_failed(reserve_batch(&world, &event).await);
        assert_eq!(world.faults.take_begins(), 1 + 10);
        assert_eq!(world.held(&event).await, 9);
    }
}

#[tokio::test]
async fn a_command_that_makes_the_store_panic_fails_alone() {
    let world = World::new().await;
    let event = world.event("demo", 100, None).await;
    world.faults.script(|call| match call {
        Call::Commit(changes) if is_poisoned(changes) => Some(Fault::Panic),
        _ => None,
    });
    assert_only_poison_failed(reserve_batch(&world, &event).await);
    assert_eq!(world.faults.lanes_opened(), 1 + 2, "a new connection after each panic");
    world.faults.heal();
    reservation(world.run(&event, reserve("owner-4", POISON, 1)).await);
    assert_eq!(world.held(&event).await, 10);
}

#[tokio::test]
async fn a_lane_that_cannot_reconnect_after_a_panic_does_so_later() {
    let world = World::new().await;
    let event = world.event("demo", 100, None).await;
    world.faults.script(|call| match call {
        Call::Commit(_) => Some(Fault::Panic),
        Call::OpenLane => Some(Fault::Fail(unavailable())),
        Call::Begin | Call::Upkeep | Call::Event | Call::ExpiredHolds => None,
    });
    assert_eq!(reserve_batch(&world, &event).await, vec![Err(Failure::Unavailable); 10]);
    assert_eq!(reserve_batch(&world, &event).await, vec![Err(Failure::Unavailable); 10]);
    assert_eq!(world.faults.take_begins(), 1, "there is no connection to begin with");
    world.faults.heal();
    assert_all_granted(reserve_batch(&world, &event).await);
    assert_eq!(world.held(&event).await, 10);
}

#[tokio::test]
async fn failing_upkeep_harms_nobody() {
    let world = World::new().await;
    let event = world.event("demo", 100, None).await;
    let mut calls = 0;
    world.faults.script(move |call| match call {
        Call::Upkeep => {
            calls += 1;
            Some(if calls % 2 == 0 { Fault::Panic } else { Fault::Fail(unavailable()) })
        }
        Call::OpenLane | Call::Begin | Call::Commit(_) | Call::Event | Call::ExpiredHolds => None,
    });
    for n in 0..4 {
        reservation(world.run(&event, reserve("ann", n, 1)).await);
    }
    assert!(world.faults.lanes_opened() > 1, "a new connection after a panic");
    assert_eq!(world.held(&event).await, 4);
}

#[tokio::test]
async fn while_the_store_is_away_all_fail_at_once_and_service_resumes_by_itself() {
    let world = World::new().await;
    let event = world.event("demo", 100, None).await;
    for at_commit in [false, true] {
        world.faults.script(move |call| match call {
            Call::Begin if !at_commit => Some(Fault::Fail(unavailable())),
            Call::Commit(_) if at_commit => Some(Fault::Fail(unavailable())),
            _ => None,
        });
        assert_eq!(reserve_batch(&world, &event).await, vec![Err(Failure::Unavailable); 10]);
        assert_eq!(world.faults.take_begins(), 1);
        assert_eq!(world.last_seq(&event).await, 2);
    }
    world.faults.heal();
    assert_all_granted(reserve_batch(&world, &event).await);
    assert_eq!(world.held(&event).await, 10);
}

#[tokio::test]
async fn a_store_that_goes_away_while_commands_run_one_by_one_is_not_asked_for_each() {
    let world = World::new().await;
    let event = world.event("demo", 100, None).await;
    let mut begins = 0;
    world.faults.script(move |call| match call {
        Call::Begin => {
            begins += 1;
            (begins > 3).then(|| Fault::Fail(unavailable()))
        }
        Call::Commit([changes]) if changes.reservations.len() > 1 => Some(Fault::Fail(guard())),
        _ => None,
    });
    let mut results = reserve_batch(&world, &event).await;
    assert_eq!(results.split_off(2), vec![Err(Failure::Unavailable); 8]);
    assert_all_granted(results);
    assert_eq!(world.faults.take_begins(), 1 + 3, "all, two that were done, and the one that found the store away");
    assert_eq!(world.held(&event).await, 2);
}

#[tokio::test]
async fn a_lost_answer_is_found_again_by_the_same_request() {
    let world = World::new().await;
    let event = world.event("demo", 100, Some(1)).await;
    world.faults.script(|call| match call {
        Call::Commit(_) => Some(Fault::LoseAnswer(unavailable())),
        _ => None,
    });
    assert_eq!(reserve_batch(&world, &event).await, vec![Err(Failure::Unavailable); 10]);
    world.faults.heal();
    assert_eq!(world.last_seq(&event).await, 12, "it was done");
    let again = reserve_batch(&world, &event).await;
    let stored = world.engine.store().reservation(&event, &id(0)).await.unwrap().unwrap();
    assert_eq!(again[0], Ok(Answer::Reservation(stored)));
    assert_all_granted(again);
    assert_eq!((world.last_seq(&event).await, world.held(&event).await), (12, 10), "and not done again");
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_tells_the_cause_of_each_failure() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    // While there is only one subscriber, a log line that another test's thread meets first is off for good, since that
    // thread has none; so there are two. The lane's task runs on this thread, as all of this test.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let _logging = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    let event = world.event("demo", 100, None).await;
    world.faults.script(|call| match call {
        Call::Commit(_) => retry(),
        Call::Upkeep => Some(Fault::Fail(unavailable())),
        Call::OpenLane | Call::Begin | Call::Event | Call::ExpiredHolds => None,
    });
    assert_eq!(world.run(&event, reserve("ann", 1, 1)).await, Err(Failure::Unavailable));
    world.faults.script(|call| if let Call::Begin = call { Some(Fault::Fail(unavailable())) } else { None });
    assert_eq!(world.run(&event, reserve("ann", 1, 1)).await, Err(Failure::Unavailable));
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for (message, cause) in [
        ("a batch is run again", "busy"),
        ("its commands are run one by one", "busy"),
        ("a command failed", "busy"),
        ("upkeep of the store failed", "disk full"),
        ("a batch was given up", "disk full"),
    ] {
        let mut lines = log.lines().filter(|line| line.contains(message)).peekable();
        assert!(lines.peek().is_some() && lines.all(|line| line.contains(cause)), "{message}: {log}");
    }
}
