//! A fresh database on a private server, with a clock that only the test moves.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::super::{PostgresConfig, PostgresStore, migrate};
use crate::domain::Duration;
use crate::storage::conformance::{Backend, UPKEEP_DUE};
use crate::storage::{BoxError, Store};

pub(super) struct PostgresBackend {
    pub(super) config: PostgresConfig,
    pub(super) store: PostgresStore,
}

impl PostgresBackend {
    pub(super) async fn fresh() -> Self {
        let url = tokio::task::spawn_blocking(|| private_cluster::fresh_database(private_cluster::shared()));
        Self::on(PostgresConfig::new(url.await.unwrap().unwrap())).await
    }

    /// As [`Self::fresh`], used as if a pooler stood in between.
    pub(super) async fn pooled() -> Self {
        let Self { config, store } = Self::fresh().await;
        Store::close(&store).await;
        Self::on(PostgresConfig { pooler: true, ..config }).await
    }

    /// As [`Self::fresh`], in the mode for tables that are spread over machines by event.
    pub(super) async fn spread() -> Self {
        let Self { config, store } = Self::fresh().await;
        Store::close(&store).await;
        Self::on(PostgresConfig { one_event_a_batch: true, ..config }).await
    }

    async fn on(config: PostgresConfig) -> Self {
        migrate(&config.url).await.unwrap();
        let mut connection = PgConnection::connect(&config.url).await.unwrap();
        connection
            .execute(
                "CREATE TABLE IF NOT EXISTS test_clock (now bigint NOT NULL);
                 INSERT INTO test_clock SELECT 1700000000000000 WHERE NOT EXISTS (SELECT FROM test_clock);
                 CREATE OR REPLACE FUNCTION boxoffice_now() RETURNS bigint LANGUAGE sql VOLATILE
                     AS $$ SELECT now FROM test_clock $$;",
            )
            .await
            .unwrap();
        let store = PostgresStore::open(config.clone()).await.unwrap();
        Self { config, store }
    }

    pub(super) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.config.url).await.unwrap()
    }
}

#[async_trait]
impl Backend for PostgresBackend {
    fn store(&self) -> &dyn Store {
        &self.store
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn advance(&self, span: Duration) {
        let sql = format!("UPDATE test_clock SET now = now + {}", span.as_micros());
        self.connect().await.execute(AssertSqlSafe(sql)).await.unwrap();
    }

    async fn reopen(&mut self) {
        Store::close(&self.store).await;
        self.store = PostgresStore::open(self.config.clone()).await.unwrap();
    }

    async fn execute(&self, sql: &'static str) -> Result<(), BoxError> {
        self.connect().await.execute(sql).await?;
        Ok(())
    }

    async fn uncheck_allocations(&mut self) {
        self.execute("ALTER TABLE allocations DROP CONSTRAINT never_oversold").await.unwrap();
    }

    async fn is_upkeep_due(&self) -> bool {
        let due: i64 = sqlx::query_scalar(UPKEEP_DUE).fetch_one(&mut self.connect().await).await.unwrap();
        due > 0
    }
}
