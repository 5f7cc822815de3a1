//! Audits of events that are so large that to count their reservations takes longer than a statement may.

use std::time::Duration;

use super::backend::PostgresBackend;
use crate::domain::EventId;
use crate::storage::conformance::{Backend as _, create};
use crate::storage::{Store as _, StoreError};

/// 45,000 reservations, of which every 20,000th takes a second to read.
const READS_TAKE_LONG: &str = "
    INSERT INTO reservations (event_id, id, owner, state, lines, expires_at, created_at, updated_at, fingerprint)
    SELECT 'e1', ('01a200c2-ba75-77e5-892a-' || lpad(to_hex(n), 12, '0'))::uuid, 'ann', 'RELEASED', '{}', 1, n, 1, 1
      FROM generate_series(1, 45000) AS n;
    ALTER TABLE reservations RENAME TO quick;
    CREATE VIEW reservations AS
    SELECT * FROM quick WHERE CASE created_at % 20000 WHEN 1 THEN pg_sleep(1) IS NOT NULL ELSE true END";

#[tokio::test]
async fn an_audit_counts_reservations_for_longer_than_a_statement_may_take() {
    let mut backend = PostgresBackend::fresh().await;
    create(&mut *backend.store.open_lane().await.unwrap(), "e1", &[("ga", 10)]).await;
    backend.execute(READS_TAKE_LONG).await.unwrap();
    backend.config.timeout = Duration::from_secs(2);
    backend.reopen().await;
    let event = EventId::new("e1").unwrap();
    let mut reader = backend.store.audit_reader(&event).await.unwrap().unwrap();
    assert_eq!(reader.reservation_count().await.unwrap(), 45_000);
    let long = reader.next_reservations(45_000).await.unwrap_err();
    assert!(matches!(long, StoreError::Unavailable(_)), "at one go it takes too long: {long:?}");
}
