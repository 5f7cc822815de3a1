//! What the lane remembers is never told before the database has confirmed it.

use super::backend::SqliteBackend;
use crate::domain::{AllocationId, Changes, EventId, Wanted};
use crate::storage::conformance::{Backend as _, Draft, begin, create, dump, plain_hold, reserve, v7};
use crate::storage::{LaneConnection, Loaded, Store as _, StoreError};

/// A store whose lane remembers the event `e1` with one hold, and then somebody else, who writes past it.
async fn overtaken() -> (SqliteBackend, Box<dyn LaneConnection>) {
    let backend = SqliteBackend::fresh().await;
    let mut lane = backend.store.open_lane().await.unwrap();
    create(&mut *lane, "e1", &[("ga", 10), ("vip", 1)]).await;
    reserve(&mut *lane, "e1", |now| vec![plain_hold(v7(1), "ann", now)]).await;
    backend
        .execute("UPDATE events SET last_seq = last_seq + 1, display_name = 'Changed' WHERE id = 'e1'")
        .await
        .unwrap();
    (backend, lane)
}

#[tokio::test]
async fn a_refusal_from_memory_is_run_again_if_the_event_has_moved_on() {
    let (_backend, mut lane) = overtaken().await;
    let remembered = begin(&mut *lane, "e1", &[v7(2)], &["ga"]).await;
    assert_eq!(remembered.snapshot.event.unwrap().config.display_name, "Concert", "it was not read again");
    let told = lane.commit(&[Changes::default()]).await;
    assert!(matches!(told, Err(StoreError::Retry(_))), "{told:?}");

    let read = begin(&mut *lane, "e1", &[v7(2)], &["ga"]).await;
    assert_eq!(read.snapshot.event.unwrap().config.display_name, "Changed");
    lane.commit(&[Changes::default()]).await.unwrap();
}

#[tokio::test]
async fn a_refusal_from_memory_is_confirmed_beside_a_grant_of_another_event() {
    let (backend, mut lane) = overtaken().await;
    create(&mut *lane, "e2", &[("ga", 10), ("vip", 1)]).await;
    reserve(&mut *lane, "e2", |now| vec![plain_hold(v7(1), "ann", now)]).await;
    let wanted = ["e2", "e1"].map(|id| Wanted {
        allocations: vec![AllocationId::new("ga").unwrap()],
        ..Wanted::new(EventId::new(id).unwrap())
    });
    for e1_is_as_remembered in [false, true] {
        let Loaded { now, snapshots } = lane.begin(&wanted).await.unwrap();
        let mut drafts = snapshots.into_iter().map(|snapshot| Draft::new(snapshot, now));
        let mut granted = drafts.next().unwrap();
        granted.insert(plain_hold(v7(2), "ben", now));
        let told = lane.commit(&[granted.finish(), Changes::default()]).await;
        assert_eq!(told.is_ok(), e1_is_as_remembered, "{told:?}");
        assert_eq!(dump(&backend, "e2").await.allocations[0].held, 1 + i64::from(e1_is_as_remembered));
    }
}

#[tokio::test]
async fn a_grant_from_memory_is_refused_by_its_guard_if_the_event_has_moved_on() {
    let (backend, mut lane) = overtaken().await;
    let before = dump(&backend, "e1").await;
    let mut draft = begin(&mut *lane, "e1", &[v7(2)], &["ga"]).await;
    draft.insert(plain_hold(v7(2), "ben", draft.now));
    let told = lane.commit(&[draft.finish()]).await;
    assert!(
        matches!(told, Err(StoreError::Guard { what: "the advance of events", expected: 1, actual: 0 })),
        "{told:?}"
    );
    assert_eq!(dump(&backend, "e1").await, before);

    // The lane has forgotten what it remembered, and goes on from what is there.
    let draft = begin(&mut *lane, "e1", &[v7(2)], &["ga"]).await;
    assert_eq!(draft.snapshot.event.as_ref().unwrap().config.display_name, "Changed");
    lane.rollback().await.unwrap();
}

#[tokio::test]
async fn what_is_loaded_beside_memory_is_confirmed_too() {
    let (_backend, mut lane) = overtaken().await;
    let draft = begin(&mut *lane, "e1", &[v7(2)], &["ga"]).await;
    let told = lane.load_journal(&draft.snapshot.event_id, 1, 10).await;
    assert!(matches!(told, Err(StoreError::Retry(_))), "{told:?}");
}

#[tokio::test]
async fn recent_reservations_are_known_in_whatever_order_their_ids_came() {
    let (_backend, mut lane) = overtaken().await;
    // What the database says now is not looked at: the lane knows these ids, one that is taken and two that are not.
    let draft = begin(&mut *lane, "e1", &[v7(2), v7(1), v7(0)], &["ga"]).await;
    assert_eq!(draft.snapshot.event.unwrap().config.display_name, "Concert", "it was not read again");
    let found: Vec<_> = draft.snapshot.reservations.values().map(|found| (found.id, found.owner.as_str())).collect();
    assert_eq!(found, [(v7(1), "ann")]);
    lane.rollback().await.unwrap();
}

#[tokio::test]
async fn a_lane_that_has_forgotten_old_reservations_still_finds_them() {
    let backend = SqliteBackend::fresh().await;
    let mut lane = backend.store.open_lane().await.unwrap();
    create(&mut *lane, "e1", &[("ga", 1_000_000), ("vip", 1)]).await;
    for bite in 0..5 {
        // Within a bite the ids come in falling order.
        let ids = (bite * 4_000..(bite + 1) * 4_000).rev();
        reserve(&mut *lane, "e1", |now| ids.clone().map(|n| plain_hold(v7(n), "ann", now)).collect()).await;
    }
    let wanted: Vec<_> = (0..20_000).step_by(7).map(v7).collect();
    for ids in wanted.chunks(100) {
        let draft = begin(&mut *lane, "e1", ids, &["ga"]).await;
        assert!(ids.iter().all(|id| draft.snapshot.reservations.contains_key(id)), "{ids:?}");
        lane.commit(&[Changes::default()]).await.unwrap();
    }
    let draft = begin(&mut *lane, "e1", &[v7(20_000)], &["ga"]).await;
    assert!(draft.snapshot.reservations.is_empty());
    lane.rollback().await.unwrap();
}
