//! Opening a database that others open at the same time, or that is another program's.

use futures::future::join_all;
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::super::{OpenError, PostgresConfig, PostgresStore};
use crate::domain::EventId;
use crate::storage::Store as _;
use crate::storage::conformance::EVENT_OF_THE_FIRST_VERSION;

async fn fresh_database() -> PostgresConfig {
    let url = tokio::task::spawn_blocking(|| private_cluster::fresh_database(private_cluster::shared()));
    PostgresConfig::new(url.await.unwrap().unwrap())
}

/// What a program that uses sqlx makes first.
const TABLE: &str = "CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY, description TEXT NOT NULL, installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
    success BOOLEAN NOT NULL, checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL)";

async fn run(config: &PostgresConfig, sql: &'static str) {
    PgConnection::connect(&config.url).await.unwrap().execute(sql).await.unwrap();
}

#[tokio::test]
async fn servers_that_start_together_on_a_new_database_all_start() {
    for _ in 0..5 {
        let config = fresh_database().await;
        for store in join_all((0..6).map(|_| PostgresStore::open(config.clone()))).await {
            store.unwrap().close().await;
        }
    }
}

#[tokio::test]
async fn a_database_whose_migration_has_only_begun_is_finished() {
    let config = fresh_database().await;
    run(&config, TABLE).await;
    PostgresStore::open(config).await.unwrap().close().await;
}

#[tokio::test]
async fn another_programs_database_is_refused() {
    let config = fresh_database().await;
    run(&config, TABLE).await;
    run(&config, "INSERT INTO _sqlx_migrations VALUES (20240101, 'theirs', now(), true, '', 0)").await;
    let refused = PostgresStore::open(config.clone()).await.err();
    assert!(matches!(refused, Some(OpenError::Foreign)), "{refused:?}");
    let config = fresh_database().await;
    run(&config, "CREATE TABLE events (id bigint)").await;
    let refused = PostgresStore::open(config).await.err();
    assert!(matches!(refused, Some(OpenError::Foreign)), "{refused:?}");
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let config = fresh_database().await;
    let all = sqlx::migrate!("migrations/postgres");
    let first = all.iter().filter(|migration| migration.version == 1).cloned().collect();
    let mut connection = PgConnection::connect(&config.url).await.unwrap();
    Migrator { migrations: first, ..all }.run_direct(None, &mut connection, false).await.unwrap();
    run(&config, EVENT_OF_THE_FIRST_VERSION).await;
    let refused = PostgresStore::open(PostgresConfig { pooler: true, ..config.clone() }).await.err();
    assert!(matches!(refused, Some(OpenError::NotMigrated)), "{refused:?}");
    let store = PostgresStore::open(config).await.unwrap();
    let view = store.event(&EventId::new("old").unwrap()).await.unwrap().unwrap();
    assert_eq!((view.event.config.display_name.as_str(), view.event.config.waiting_room), ("Old", None));
    assert_eq!(store.waiting_rooms(1).await.unwrap(), []);
    store.close().await;
}
