//! A fresh database in a temporary directory, with a clock that only the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tempfile::TempDir;

use super::super::{SqliteStore, open};
use crate::domain::{Duration, Timestamp};
use crate::storage::conformance::{Backend, UPKEEP_DUE};
use crate::storage::{BoxError, Clock, Store};

pub(in crate::storage::sqlite) struct SqliteBackend {
    pub(in crate::storage::sqlite) dir: TempDir,
    pub(super) store: SqliteStore,
    now: Arc<AtomicI64>,
}

impl SqliteBackend {
    pub(in crate::storage::sqlite) async fn fresh() -> Self {
        let dir = TempDir::new().unwrap();
        let now = Arc::new(AtomicI64::new(1_700_000_000_000_000));
        let store = SqliteStore::open_with_clock(dir.path(), clock(&now)).await.unwrap();
        Self { dir, store, now }
    }

    pub(in crate::storage::sqlite) async fn connect(&self) -> SqliteConnection {
        open::writer_options(&self.dir.path().join("boxoffice.db")).connect().await.unwrap()
    }
}

fn clock(now: &Arc<AtomicI64>) -> Clock {
    let now = Arc::clone(now);
    Arc::new(move || Timestamp::from_micros(now.load(Ordering::SeqCst)))
}

#[async_trait]
impl Backend for SqliteBackend {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn advance(&self, span: Duration) {
        self.now.fetch_add(span.as_micros(), Ordering::SeqCst);
    }

    async fn reopen(&mut self) {
        Store::close(&self.store).await;
        self.store = SqliteStore::open_with_clock(self.dir.path(), clock(&self.now)).await.unwrap();
    }

    async fn execute(&self, sql: &'static str) -> Result<(), BoxError> {
        let mut connection = self.connect().await;
        sqlx::query(sql).execute(&mut connection).await?;
        Ok(())
    }

    async fn uncheck_allocations(&mut self) {
        let check = "CHECK (held >= 0 AND sold >= 0 AND held + sold <= capacity)";
        let sql = "UPDATE sqlite_schema SET sql = replace(sql, ?, 'CHECK (TRUE)') WHERE name = 'allocations' AND instr(sql, ?)";
        let mut connection = self.connect().await;
        sqlx::query("PRAGMA writable_schema = ON").execute(&mut connection).await.unwrap();
        let changed = sqlx::query(sql).bind(check).bind(check).execute(&mut connection).await.unwrap();
        assert_eq!(changed.rows_affected(), 1);
        sqlx::query("PRAGMA writable_schema = RESET").execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        self.reopen().await;
    }

    async fn is_upkeep_due(&self) -> bool {
        let due: i64 = sqlx::query_scalar(UPKEEP_DUE).fetch_one(&mut self.connect().await).await.unwrap();
        due > 0
    }
}
