//! The owner index beside events whose runs fail.

use std::time::Duration;

use super::backend::PostgresBackend;
use crate::domain::EventId;
use crate::storage::Store as _;
use crate::storage::conformance::Backend as _;

/// Events with a run to write, `a`, `b` (which has two) and `c`, and one without. What stands in the place of the runs of `a` and `c`
/// makes these fail: one of the two is come to before `b` in any order.
const EVENTS: &str = "
    INSERT INTO events (id, display_name, sales_state, hold_ttl_default, hold_ttl_max, last_seq, version, allocation_count,
                        has_allocation_limits, created_at)
    SELECT id, id, 'ON_SALE', 1, 1, 16384, 1, 0, 0, 0 FROM unnest(ARRAY['a', 'b', 'c', 'd']) AS id;
    UPDATE events SET last_seq = CASE id WHEN 'b' THEN 32768 ELSE 0 END WHERE id IN ('b', 'd');
    INSERT INTO owner_runs (event_id, run, to_seq) VALUES ('a', 1, 16384), ('c', 1, 16384)";

/// Waits until all runs of an event are written.
async fn until_indexed(backend: &PostgresBackend, event: &'static str) {
    let indexed = "SELECT owner_indexed_seq > 0 AND owner_indexed_seq = last_seq FROM events WHERE id = $1";
    let mut connection = backend.connect().await;
    let wait = async {
        while !sqlx::query_scalar::<_, bool>(indexed).bind(event).fetch_one(&mut connection).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("{event} waits"));
}

#[tokio::test]
async fn an_event_whose_run_fails_does_not_keep_others_waiting() {
    let mut backend = PostgresBackend::fresh().await;
    backend.execute(EVENTS).await.unwrap();
    backend.reopen().await;
    until_indexed(&backend, "b").await;
    backend.execute("UPDATE events SET last_seq = 16384 WHERE id = 'd'").await.unwrap();
    backend.store.shared.to_index.send(EventId::new("d").unwrap()).await.unwrap();
    until_indexed(&backend, "d").await;
    // What fails is tried again, and done once nothing is in its way.
    backend.execute("DELETE FROM owner_runs WHERE event_id = 'a'").await.unwrap();
    until_indexed(&backend, "a").await;
    backend.store.close().await;
}

/// That one says by a lock that it writes the run.
#[tokio::test]
async fn what_another_server_indexes_is_left_to_it() {
    let backend = PostgresBackend::fresh().await;
    backend.execute(EVENTS).await.unwrap();
    backend.execute("UPDATE events SET last_seq = 16384 WHERE id = 'd'").await.unwrap();
    let mut other = backend.connect().await;
    sqlx::query("SELECT pg_advisory_lock(hashtextextended('d', 7300157))").execute(&mut other).await.unwrap();
    for event in ["d", "b"] {
        backend.store.shared.to_index.send(EventId::new(event).unwrap()).await.unwrap();
    }
    until_indexed(&backend, "b").await;
    let indexed = "SELECT owner_indexed_seq FROM events WHERE id = 'd'";
    assert_eq!(sqlx::query_scalar::<_, i64>(indexed).fetch_one(&mut other).await.unwrap(), 0);
    backend.store.close().await;
}
