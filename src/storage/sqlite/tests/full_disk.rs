//! A disk that is full refuses writes, loses nothing, and serves again once there is room.

use std::sync::atomic::Ordering;

use super::backend::SqliteBackend;
use crate::domain::EventId;
use crate::storage::conformance::{begin, create, dump, plain_hold, v7};
use crate::storage::{Result, Store as _, StoreError};

#[tokio::test]
async fn a_full_disk_loses_nothing() {
    let backend = SqliteBackend::fresh().await;
    let mut lane = backend.store.open_lane().await.unwrap();
    create(&mut *lane, "e1", &[("ga", 1_000_000)]).await;
    drop(lane);
    backend.store.shared.pages_max.store(60, Ordering::SeqCst);
    let mut lane = backend.store.open_lane().await.unwrap();
    let mut acknowledged = 0;
    let mut reserve = async |from: u64| -> Result<()> {
        let mut draft = begin(&mut *lane, "e1", &[], &["ga"]).await;
        (from..from + 50).for_each(|n| draft.insert(plain_hold(v7(n), "ann", draft.now)));
        lane.commit(&[draft.finish()]).await
    };
    let refused = loop {
        match reserve(acknowledged).await {
            Ok(()) => acknowledged += 50,
            Err(refused) => break refused,
        }
    };
    let cause = std::error::Error::source(&refused).map(ToString::to_string);
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert_eq!(cause.as_deref(), Some("database or disk is full"));
    assert!(acknowledged > 0);
    for _ in 0..3 {
        assert!(matches!(reserve(acknowledged).await, Err(StoreError::Unavailable(_))), "still full");
        let stored = dump(&backend, "e1").await;
        assert_eq!(u64::try_from(stored.reservations.len()).unwrap(), acknowledged);
        assert_eq!(stored.allocations[0].held.cast_unsigned(), acknowledged);
        assert_eq!(stored.event.last_seq.cast_unsigned(), acknowledged + 2);
    }
    // Once there is room, the lane reconnects by itself.
    backend.store.shared.pages_max.store(u32::MAX - 1, Ordering::SeqCst);
    reserve(acknowledged).await.unwrap();
    let last_seq = backend.store.last_seq(&EventId::new("e1").unwrap()).await.unwrap();
    assert_eq!(last_seq, Some(i64::try_from(acknowledged).unwrap() + 52));
}
