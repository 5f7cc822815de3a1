//! What a lane learns of other servers.

use std::time::Duration;

use sqlx::{Connection as _, Executor as _};

use super::backend::PostgresBackend;
use crate::domain::{EventId, ReservationId, Wanted};
use crate::storage::conformance::{Backend as _, begin, create, plain_hold, reserve, v7};
use crate::storage::{LaneConnection, Store as _, StoreError};

/// Whether a batch of these events, which changes nothing, is told that others write to them.
async fn others_write(lane: &mut dyn LaneConnection, events: &[&str]) -> bool {
    let wanted: Vec<_> = events.iter().map(|event| Wanted::new(EventId::new(event).unwrap())).collect();
    let loaded = lane.begin(&wanted).await.unwrap();
    lane.commit(&[]).await.unwrap();
    loaded.others_write
}

#[tokio::test]
async fn a_lane_is_told_where_others_write_to_the_events_of_its_last_batch() {
    let backend = PostgresBackend::fresh().await;
    let mut ours = backend.store.open_lane().await.unwrap();
    let mut theirs = backend.store.open_lane().await.unwrap();
    for event in ["e1", "e2"] {
        create(&mut *ours, event, &[("ga", 10)]).await;
    }
    assert!(!others_write(&mut *ours, &["e2"]).await, "it wrote that itself");
    reserve(&mut *theirs, "e1", |now| vec![plain_hold(v7(1), "ann", now)]).await;
    assert!(!others_write(&mut *ours, &["e2"]).await, "they write to another event");
    assert!(!others_write(&mut *ours, &["e1", "e2"]).await, "the last batch knew nothing of that event");
    reserve(&mut *theirs, "e1", |now| vec![plain_hold(v7(2), "ann", now)]).await;
    assert!(others_write(&mut *ours, &["e1", "e2"]).await);
    assert!(!others_write(&mut *ours, &["e1", "e2"]).await, "not since then");
    reserve(&mut *ours, "e1", |now| vec![plain_hold(v7(3), "ann", now)]).await;
    assert!(!others_write(&mut *ours, &["e1"]).await);
}

/// Which of the reservations `1` to `last` a batch finds that wants them all.
async fn found(lane: &mut dyn LaneConnection, last: u64) -> Vec<ReservationId> {
    let wanted: Vec<_> = (1..=last).map(v7).collect();
    let draft = begin(lane, "e1", &wanted, &[]).await;
    lane.commit(&[]).await.unwrap();
    let mut found: Vec<_> = draft.snapshot.reservations.into_keys().collect();
    found.sort();
    found
}

#[tokio::test]
async fn a_batch_finds_what_others_reserved_beyond_the_greatest_id_that_its_lane_knows() {
    let backend = PostgresBackend::fresh().await;
    let mut ours = backend.store.open_lane().await.unwrap();
    let mut theirs = backend.store.open_lane().await.unwrap();
    create(&mut *ours, "e1", &[("ga", 10)]).await;
    reserve(&mut *ours, "e1", |now| vec![plain_hold(v7(1), "ann", now), plain_hold(v7(3), "ann", now)]).await;
    assert_eq!(found(&mut *ours, 9).await, [v7(1), v7(3)]);
    reserve(&mut *theirs, "e1", |now| vec![plain_hold(v7(5), "bob", now), plain_hold(v7(7), "bob", now)]).await;
    assert_eq!(found(&mut *ours, 9).await, [v7(1), v7(3), v7(5), v7(7)], "others wrote");
    assert_eq!(found(&mut *ours, 9).await, [v7(1), v7(3), v7(5), v7(7)], "it was told so the last time");
    reserve(&mut *ours, "e1", |now| vec![plain_hold(v7(9), "ann", now)]).await;
    assert_eq!(found(&mut *ours, 9).await, [v7(1), v7(3), v7(5), v7(7), v7(9)], "it wrote the greatest itself");
    reserve(&mut *theirs, "e1", |now| vec![plain_hold(v7(2), "bob", now)]).await;
    assert_eq!(found(&mut *ours, 9).await, [v7(1), v7(2), v7(3), v7(5), v7(7), v7(9)], "others wrote below it");
}

#[tokio::test]
async fn a_lane_that_lost_its_connection_between_batches_says_so_and_goes_on() {
    let backend = PostgresBackend::fresh().await;
    let mut lane = backend.store.open_lane().await.unwrap();
    create(&mut *lane, "e1", &[("ga", 10)]).await;
    let end_lanes = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
    backend.execute(end_lanes).await.unwrap();
    // Whoever remembers what was committed may remember more than there is, if that was a failover.
    let lost = lane.begin(&[Wanted::new(EventId::new("e1").unwrap())]).await;
    assert!(matches!(lost, Err(StoreError::Retry(_))), "{lost:?}");
    reserve(&mut *lane, "e1", |now| vec![plain_hold(v7(1), "ann", now)]).await;
    assert_eq!(found(&mut *lane, 9).await, [v7(1)]);
}

/// Where the first answer has taken long, callers have waited enough.
#[tokio::test]
async fn a_batch_that_has_waited_long_for_a_lock_is_not_run_again() {
    let mut backend = PostgresBackend::fresh().await;
    backend.config.timeout = Duration::from_millis(400);
    backend.reopen().await;
    let mut lane = backend.store.open_lane().await.unwrap();
    create(&mut *lane, "e1", &[("ga", 10)]).await;
    let mut other = backend.connect().await;
    let mut lock = other.begin().await.unwrap();
    lock.execute("SELECT FROM events FOR UPDATE").await.unwrap();
    let late = lane.begin(&[Wanted::new(EventId::new("e1").unwrap())]).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    lock.rollback().await.unwrap();
    reserve(&mut *lane, "e1", |now| vec![plain_hold(v7(1), "ann", now)]).await;
    assert_eq!(found(&mut *lane, 9).await, [v7(1)]);
}
