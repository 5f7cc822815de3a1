//! An audit sees one state, whatever is written meanwhile.

use super::*;

pub(in crate::storage) async fn an_audit_sees_one_state(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 1_000)]).await;
    reserve(&mut *lane, "e1", |now| (0..10).map(|n| plain_hold(v4(n), "ann", now)).collect()).await;
    let mut reader = backend.store().audit_reader(&event_id("e1")).await.unwrap().unwrap();
    reserve(&mut *lane, "e1", |now| (10..20).map(|n| plain_hold(v4(n), "ann", now)).collect()).await;
    assert_eq!(reader.next_journal(5).await.unwrap().len(), 5);
    reserve(&mut *lane, "e1", |now| (20..30).map(|n| plain_hold(v4(n), "ann", now)).collect()).await;
    let view = reader.event().await.unwrap();
    assert_eq!((view.event.last_seq, view.allocations[0].held), (12, 10));
    assert_eq!(reader.reservation_count().await.unwrap(), 10);
    assert_eq!(reader.next_journal(100).await.unwrap().len(), 7);
    assert_eq!(reader.next_reservations(100).await.unwrap().len(), 10);
    // A new one sees the new state; more may read at a time.
    let mut second = backend.store().audit_reader(&event_id("e1")).await.unwrap().unwrap();
    assert_eq!(second.reservation_count().await.unwrap(), 30);
    drop(reader);
    assert!(backend.store().audit_reader(&event_id("none")).await.unwrap().is_none());
}

pub(in crate::storage) async fn an_audit_reads_everything_in_order(backend: &mut impl Backend) {
    let mut lane = lane(backend).await;
    create(&mut *lane, "e1", &[("ga", 1_000)]).await;
    reserve(&mut *lane, "e1", |now| (0..10).map(|n| plain_hold(v4(n), "ann", now)).collect()).await;
    let mut reader = backend.store().audit_reader(&event_id("e1")).await.unwrap().unwrap();
    // Twice: after the end it starts again.
    for _ in 0..2 {
        let mut seqs = Vec::new();
        loop {
            let part = reader.next_journal(5).await.unwrap();
            if part.is_empty() {
                break;
            }
            seqs.extend(part.iter().map(|entry| entry.seq));
        }
        assert_eq!(seqs, (1..=12).collect::<Vec<_>>());
        let mut ids = Vec::new();
        loop {
            let part = reader.next_reservations(4).await.unwrap();
            if part.is_empty() {
                break;
            }
            ids.extend(part.iter().map(|reservation| reservation.id));
        }
        let mut expected: Vec<_> = (0..10).map(v4).collect();
        expected.sort();
        assert_eq!(ids, expected);
    }
}
