//! The connections for reads: which errors leave it open where the primary is.

use std::time::Duration;

use sqlx::{Connection as _, Executor as _};

use super::backend::PostgresBackend;
use crate::domain::EventId;
use crate::storage::conformance::{Backend as _, create};
use crate::storage::{Store as _, StoreError};

async fn with_timeout(timeout: Duration) -> PostgresBackend {
    let mut backend = PostgresBackend::fresh().await;
    create(&mut *backend.store.open_lane().await.unwrap(), "e1", &[("ga", 10)]).await;
    backend.config.timeout = timeout;
    backend.reopen().await;
    backend
}

async fn read(backend: &PostgresBackend) -> Result<(), StoreError> {
    backend.store.event(&EventId::new("e1").unwrap()).await.map(drop)
}

/// How often the primary was looked for.
async fn looked(backend: &PostgresBackend) -> u64 {
    backend.store.readers.read().await.looked
}

#[tokio::test]
async fn a_read_that_the_server_ended_for_its_time_is_not_run_again() {
    let backend = with_timeout(Duration::from_secs(4)).await;
    let mut other = backend.connect().await;
    let mut lock = other.begin().await.unwrap();
    lock.execute("LOCK TABLE events").await.unwrap();
    let waited = read(&backend).await.unwrap_err();
    lock.rollback().await.unwrap();
    let sleeps = "CREATE OR REPLACE FUNCTION boxoffice_now() RETURNS bigint LANGUAGE plpgsql
                  AS $$ BEGIN PERFORM pg_sleep(60); RETURN 1; END $$";
    backend.execute(sleeps).await.unwrap();
    let slept = read(&backend).await.unwrap_err();
    for (error, why) in [(waited, "lock timeout"), (slept, "statement timeout")] {
        let StoreError::Unavailable(told) = &error else { panic!("{error:?}") };
        assert!(told.to_string().contains(why), "{told}");
    }
    assert_eq!(looked(&backend).await, 0, "it is the primary that has said so");
}

#[tokio::test]
async fn a_read_whose_connection_was_ended_is_run_again_on_the_primary() {
    let backend = with_timeout(Duration::from_secs(10)).await;
    let mut other = backend.connect().await;
    let mut lock = other.begin().await.unwrap();
    lock.execute("LOCK TABLE events").await.unwrap();
    let end = async {
        // Not within the transaction: there the first look at the sessions is shown again and again.
        let mut other = backend.connect().await;
        let end = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'WITH clock%'";
        while sqlx::query_scalar::<_, i64>(end).fetch_one(&mut other).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        lock.rollback().await.unwrap();
    };
    let (read, ()) = tokio::join!(read(&backend), end);
    read.unwrap();
    assert_eq!(looked(&backend).await, 1);
}
