//! Opening a database that others open at the same time, or that is another program's.

use futures::future::join_all;
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::super::open::MIGRATIONS;
use super::super::{OpenError, PostgresConfig, PostgresStore};
use super::backend::PostgresBackend;
use crate::domain::{Actor, EventId, JournalKind};
use crate::storage::Store as _;
use crate::storage::conformance::journal::{CHUNKS_WRITTEN, assert_rows_are, assert_were_rows, written};
use crate::storage::conformance::{Backend as _, EVENT_OF_THE_FIRST_VERSION, create, plain_hold, reserve, v7};
use crate::storage::migrations::assert_has_all_of;

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
async fn a_database_that_cannot_store_every_text_is_refused() {
    let utf8 = fresh_database().await;
    for (name, encoding) in [("latin", "LATIN1"), ("ascii", "SQL_ASCII")] {
        let name = format!("{}_{name}", utf8.url.rsplit('/').next().unwrap());
        let create: &'static str =
            format!("CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0").leak();
        run(&utf8, create).await;
        let url = format!("{}/{name}", utf8.url.rsplit_once('/').unwrap().0);
        let refused = PostgresStore::open(PostgresConfig::new(url)).await.err();
        assert!(matches!(&refused, Some(OpenError::Encoding(found)) if found == encoding), "{refused:?}");
    }
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

/// A fresh database with the tables that this migration and those before it make.
async fn of_version(newest: i64) -> PostgresConfig {
    let config = fresh_database().await;
    let known = MIGRATIONS.iter().filter(|migration| migration.version <= newest).cloned().collect();
    let mut connection = PgConnection::connect(&config.url).await.unwrap();
    Migrator::with_migrations(known).run_direct(None, &mut connection, false).await.unwrap();
    config
}

#[tokio::test]
async fn every_migration_is_part_of_the_program() {
    assert_has_all_of("postgres", &MIGRATIONS).await;
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let config = of_version(1).await;
    run(&config, EVENT_OF_THE_FIRST_VERSION).await;
    let refused = PostgresStore::open(PostgresConfig { pooler: true, ..config.clone() }).await.err();
    assert!(matches!(refused, Some(OpenError::NotMigrated)), "{refused:?}");
    let store = PostgresStore::open(config).await.unwrap();
    let view = store.event(&EventId::new("old").unwrap()).await.unwrap().unwrap();
    assert_eq!((view.event.config.display_name.as_str(), view.event.config.waiting_room), ("Old", None));
    assert_eq!(store.waiting_rooms(1).await.unwrap(), []);
    store.close().await;
}

/// 300 entries of each of two events.
const JOURNAL_OF_THE_SECOND_VERSION: &str = r#"
    INSERT INTO journal (event_id, seq, occurred_at, kind, actor, reservation_id, owner, changes)
    SELECT event, n, 1000 + n, 'RESERVED', NULL, ('01a200c2-ba75-77e5-892a-' || lpad(to_hex(n), 12, '0'))::uuid, 'o"n' || n,
           json_build_object('held', json_build_object('ga', n))
      FROM generate_series(1, 300) AS n, unnest(ARRAY['old', 'other']) AS event;
    UPDATE journal SET kind = 'EVENT_CREATED', reservation_id = NULL, owner = NULL, actor = 'admin:ann', changes = '{}'
     WHERE seq = 1"#;

#[tokio::test]
async fn journal_rows_of_the_second_version_become_chunks() {
    let config = of_version(2).await;
    run(&config, JOURNAL_OF_THE_SECOND_VERSION).await;
    run(&config, "CREATE ROLE \"sells: journal\"; GRANT SELECT, INSERT ON journal TO \"sells: journal\"").await;
    let store = PostgresStore::open(config.clone()).await.unwrap();
    for event in ["old", "other"] {
        assert_were_rows(&store, event).await;
    }
    store.close().await;
    let mut connection = PgConnection::connect(&config.url).await.unwrap();
    let rights = "SELECT has_table_privilege('sells: journal', 'journal_chunks', 'SELECT')
                     AND has_table_privilege('sells: journal', 'journal_chunks', 'INSERT')
                     AND has_table_privilege('sells: journal', 'journal', 'SELECT')
                     AND NOT has_table_privilege('sells: journal', 'journal_chunks', 'UPDATE')";
    assert!(sqlx::query_scalar::<_, bool>(rights).fetch_one(&mut connection).await.unwrap(), "rights move along");
}

/// What a server that knows the second migration writes with one reservation.
const ENTRIES_OF_THE_SECOND_VERSION: &str = "
    INSERT INTO journal (event_id, seq, reservation_id, owner, occurred_at, kind, changes, actor)
    SELECT 'e1', c.*
      FROM unnest('{3,4}'::bigint[], '{NULL,01a200c2-ba75-77e5-892a-9c72169ce0c0}'::uuid[], '{NULL,ann}'::text[],
                  '{1,2}'::bigint[], '{EVENT_UPDATED,RESERVED}'::text[],
                  ARRAY['{}', '{\"held\":{\"ga\":1}}']::json[], '{system,NULL}'::text[]) AS c;
    UPDATE events SET last_seq = 4 WHERE id = 'e1'";

#[tokio::test]
async fn an_older_server_may_go_on_writing_rows() {
    let backend = PostgresBackend::fresh().await;
    let mut lane = backend.store.open_lane().await.unwrap();
    create(&mut *lane, "e1", &[("ga", 1_000)]).await;
    backend.execute(ENTRIES_OF_THE_SECOND_VERSION).await.unwrap();
    reserve(&mut *lane, "e1", |now| vec![plain_hold(v7(1), "ann", now)]).await;
    let journal = backend.store.journal(&EventId::new("e1").unwrap(), 1, 10).await.unwrap();
    assert_eq!(journal.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!((journal[2].kind, &journal[2].actor), (JournalKind::EventUpdated, &Actor::System));
    let (id, owner) = journal[3].reservation.as_ref().unwrap();
    let theirs = (id.to_string(), owner.as_str(), journal[3].occurred_at.as_micros(), journal[3].deltas[0].held);
    assert_eq!(theirs, ("01a200c2-ba75-77e5-892a-9c72169ce0c0".to_owned(), "ann", 2, 1));
    let again =
        backend.execute("INSERT INTO journal VALUES ('e1', 4, 1, 'EVENT_UPDATED', 'system', NULL, NULL, '{}')").await;
    assert!(again.is_err(), "a number is used once");
}

#[tokio::test]
async fn people_see_the_journal_as_rows() {
    let backend = PostgresBackend::fresh().await;
    let entries = written(&backend).await;
    let rows =
        "SELECT seq, kind, reservation_id::text, owner, changes::text FROM journal WHERE event_id = 'e1' ORDER BY seq";
    let connection = &mut backend.connect().await;
    assert_rows_are(&sqlx::query(rows).fetch_all(&mut *connection).await.unwrap(), &entries);
    let chunks: i64 = sqlx::query_scalar("SELECT count(*) FROM journal_chunks").fetch_one(connection).await.unwrap();
    assert_eq!(chunks, CHUNKS_WRITTEN);
}
