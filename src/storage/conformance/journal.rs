//! How people see the journal, and how it lies in the table.

use super::{Backend, Store, create, event_id, plain_hold, reserve, v7};
use crate::domain::{JournalEntry, JournalKind};
use crate::storage::columns::{Cells, Columns};

/// In how many chunks the entries of [`written`] lie: two of the event's creation, and 300 of one batch.
pub(in crate::storage) const CHUNKS_WRITTEN: i64 = 1 + 300 / 64 + 1;

/// The entries of an event `e1`, after a batch of 300.
pub(in crate::storage) async fn written(backend: &dyn Backend) -> Vec<JournalEntry> {
    let mut lane = backend.store().open_lane().await.unwrap();
    create(&mut *lane, "e1", &[("ga", 1_000)]).await;
    reserve(&mut *lane, "e1", |now| (0..300).map(|n| plain_hold(v7(n), "ann", now)).collect()).await;
    let entries = backend.store().journal(&event_id("e1"), 1, 1_000).await.unwrap();
    assert_eq!(entries.len(), 302);
    entries
}

/// That rows of the view `journal` (seq, kind, reservation, owner, changes) are these entries.
pub(in crate::storage) fn assert_rows_are(rows: &[impl Cells], entries: &[JournalEntry]) {
    assert_eq!(rows.len(), entries.len());
    for (row, entry) in rows.iter().zip(entries) {
        let mut row = Columns::of(row);
        assert_eq!((row.int().unwrap(), row.text().unwrap()), (entry.seq, entry.kind.as_str()));
        let reservation = row.opt_text().unwrap().zip(row.opt_text().unwrap());
        let expected = entry.reservation.as_ref().map(|(id, owner)| (id.to_string(), owner.as_str()));
        assert_eq!(reservation, expected.as_ref().map(|(id, owner)| (id.as_str(), *owner)));
        let changes = row.text().unwrap();
        assert!(reservation.is_none() || changes.starts_with(r#"{"held":{"ga":1},"expires_at":"#), "{changes}");
    }
}

/// That an event has the 300 entries that the tests of migrations write as rows: the first by an operator, the others of reservations.
/// Each is found by its number, too.
pub(in crate::storage) async fn assert_were_rows(store: &dyn Store, event: &str) {
    let event = event_id(event);
    let journal = store.journal(&event, 1, 1_000).await.unwrap();
    for entry in &journal {
        assert_eq!(store.journal(&event, entry.seq, 1).await.unwrap(), std::slice::from_ref(entry));
    }
    assert_eq!(journal.iter().map(|entry| entry.seq).collect::<Vec<_>>(), (1..=300).collect::<Vec<_>>());
    assert_eq!((journal[0].kind, journal[0].actor.to_string().as_str()), (JournalKind::EventCreated, "admin:ann"));
    for (entry, n) in journal[1..].iter().zip(2..) {
        let (id, owner) = entry.reservation.as_ref().unwrap();
        let named = (id.to_string(), owner.as_str().to_owned());
        assert_eq!(named, (format!("01a200c2-ba75-77e5-892a-{n:012x}"), format!("o\"n{n}")));
        let told = (entry.occurred_at.as_micros(), entry.kind, entry.deltas[0].held);
        assert_eq!(told, (1_000 + n, JournalKind::Reserved, n));
    }
}
