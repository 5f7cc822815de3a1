//! What a lane learns of other servers.

use super::backend::PostgresBackend;
use crate::domain::{EventId, Wanted};
use crate::storage::conformance::{create, plain_hold, reserve, v7};
use crate::storage::{LaneConnection, Store as _};

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
