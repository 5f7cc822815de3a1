//! A data directory that cannot be used is refused with one clear line, and left as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sqlx::migrate::{Migrate as _, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use super::super::{OpenError, SqliteStore, open};
use super::backend::SqliteBackend;
use crate::domain::EventId;
use crate::storage::conformance::EVENT_OF_THE_FIRST_VERSION;
use crate::storage::conformance::journal::{CHUNKS_WRITTEN, assert_rows_are, assert_were_rows, written};
use crate::storage::migrations::assert_has_all_of;
use crate::storage::{Store as _, StoreError};

/// A directory with a database that was closed.
async fn closed() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    SqliteStore::open(dir.path()).await.unwrap().close().await;
    let file = dir.path().join("boxoffice.db");
    (dir, file)
}

/// A directory in which a server ended before its first migration had made the tables.
async fn begun() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("boxoffice.db");
    let mut connection = SqliteConnectOptions::new().filename(&file).create_if_missing(true).connect().await.unwrap();
    connection.ensure_migrations_table("_sqlx_migrations").await.unwrap();
    connection.close().await.unwrap();
    (dir, file)
}

/// Runs statements as another program would.
async fn run(file: &Path, statements: &[&'static str]) {
    let mut connection = SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await.unwrap();
    for sql in statements {
        sqlx::query(*sql).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// Opens, and returns the error, after checking that it is one line and that the database was not touched.
async fn refusal(dir: &Path) -> (OpenError, String) {
    let file = dir.join("boxoffice.db");
    let before = fs::read(&file).ok();
    let error = SqliteStore::open(dir).await.err().expect("refused");
    assert_eq!(fs::read(&file).ok(), before, "the file is as it was");
    let message = error.to_string();
    assert!(!message.contains('\n') && message.contains(dir.to_str().unwrap()), "{message}");
    (error, message)
}

#[tokio::test]
async fn a_second_server_is_refused() {
    let dir = TempDir::new().unwrap();
    let first = SqliteStore::open(dir.path()).await.unwrap();
    let (error, message) = refusal(dir.path()).await;
    assert!(matches!(error, OpenError::InUse { .. }));
    assert_eq!(message, format!("{} is in use by another Boxoffice server", dir.path().display()));
    assert_eq!(first.events(None, 1).await.unwrap().items, [], "the first one is not disturbed");
    first.close().await;
    SqliteStore::open(dir.path()).await.unwrap();
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let (dir, file) = closed().await;
    run(&file, &["INSERT INTO _sqlx_migrations VALUES (9001, 'later', 0, TRUE, x'00', 0)"]).await;
    let (error, message) = refusal(dir.path()).await;
    assert!(matches!(error, OpenError::Newer { version: 9001, .. }), "{error:?}");
    assert!(
        message.ends_with("was written by a newer version of Boxoffice (schema 9001); use that version"),
        "{message}"
    );
}

#[tokio::test]
async fn another_programs_database_is_refused() {
    let dir = TempDir::new().unwrap();
    run(&dir.path().join("boxoffice.db"), &["CREATE TABLE notes (text TEXT)"]).await;
    let (error, message) = refusal(dir.path()).await;
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    assert!(message.ends_with("boxoffice.db is not a Boxoffice database"), "{message}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("boxoffice.db"), "a letter to grandmother\n".repeat(1_000)).unwrap();
    assert!(matches!(refusal(dir.path()).await.0, OpenError::Foreign { .. }));
}

#[tokio::test]
async fn a_damaged_database_is_refused() {
    let (dir, file) = closed().await;
    let mut bytes = fs::read(&file).unwrap();
    bytes[100..4096].fill(0xA5);
    fs::write(&file, bytes).unwrap();
    let (error, message) = refusal(dir.path()).await;
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(message.ends_with("is damaged; restore it from a backup"), "{message}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("malformed") && !message.contains("malformed"), "the source is told once: {source}");
}

#[tokio::test]
async fn a_read_only_database_is_refused() {
    let (dir, file) = closed().await;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    let (error, message) = refusal(dir.path()).await;
    assert!(matches!(error, OpenError::ReadOnly { .. }), "{error:?}");
    assert!(message.ends_with("boxoffice.db is read-only"), "{message}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_refused() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let (error, message) = refusal(&dir.path().join("file")).await;
    assert!(matches!(error, OpenError::Directory { .. }), "{error:?}");
    assert!(message.starts_with("cannot write in the data directory"), "{message}");
}

#[tokio::test]
async fn a_database_that_another_program_locks_is_refused() {
    let (dir, file) = closed().await;
    let options = SqliteConnectOptions::new().filename(&file).pragma("locking_mode", "EXCLUSIVE");
    let mut other = options.connect().await.unwrap();
    for sql in ["BEGIN IMMEDIATE", "UPDATE events SET version = 1", "CREATE TABLE x (y)", "COMMIT"] {
        sqlx::query(sql).execute(&mut other).await.unwrap();
    }
    let (error, message) = refusal(dir.path()).await;
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    assert!(message.ends_with("is locked by another program"), "{message}");
}

#[tokio::test]
async fn a_database_that_was_begun_and_not_finished_is_finished() {
    let (dir, _) = begun().await;
    assert!(matches!(open::open_to_read(dir.path()).await, Err(OpenError::Missing { .. })));
    SqliteStore::open(dir.path()).await.unwrap();
    // But not where another program has recorded what it did.
    let (dir, file) = begun().await;
    run(&file, &["INSERT INTO _sqlx_migrations VALUES (1, 'theirs', 0, TRUE, x'00', 0)"]).await;
    assert!(matches!(refusal(dir.path()).await, (OpenError::Foreign { .. }, _)));
}

#[tokio::test]
async fn an_empty_file_becomes_a_database() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("boxoffice.db"), "").unwrap();
    SqliteStore::open(dir.path()).await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_gone_is_not_made_anew_by_those_who_write() {
    let backend = super::backend::SqliteBackend::fresh().await;
    let file = backend.dir.path().join("boxoffice.db");
    fs::rename(&file, backend.dir.path().join("away")).unwrap();
    let lane = backend.store.open_lane().await.map(drop);
    assert!(matches!(lane, Err(StoreError::Unavailable(_))), "{lane:?}");
    assert!(!fs::exists(&file).unwrap(), "an empty database would be served as the real one");
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_kill() {
    let backend = super::backend::SqliteBackend::fresh().await;
    let store = &backend.store;
    let id = EventId::new("e1").unwrap();
    let mut lane = store.open_lane().await.unwrap();
    crate::storage::conformance::create(&mut *lane, "e1", &[("ga", 10)]).await;
    // What a killed server leaves: the file as it is now, and its write-ahead log.
    let killed = TempDir::new().unwrap();
    for name in ["boxoffice.db", "boxoffice.db-wal"] {
        fs::copy(backend.dir.path().join(name), killed.path().join(name)).unwrap();
    }
    assert!(fs::metadata(killed.path().join("boxoffice.db-wal")).unwrap().len() > 0, "it is in the log alone");
    let recovered = SqliteStore::open(killed.path()).await.unwrap();
    assert_eq!(recovered.last_seq(&id).await.unwrap(), Some(2));
    // An orderly end leaves everything in the one file.
    recovered.close().await;
    assert!(!fs::exists(killed.path().join("boxoffice.db-wal")).unwrap());
    let copied = TempDir::new().unwrap();
    fs::copy(killed.path().join("boxoffice.db"), copied.path().join("boxoffice.db")).unwrap();
    let reopened = SqliteStore::open(copied.path()).await.unwrap();
    assert_eq!(reopened.last_seq(&id).await.unwrap(), Some(2));
}

/// A directory with a database as the first migrations left it, up to `version`.
async fn of_version(version: i64) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("boxoffice.db");
    let first = open::MIGRATIONS.iter().filter(|migration| migration.version <= version).cloned().collect();
    let mut connection = open::writer_options(&file).create_if_missing(true).connect().await.unwrap();
    Migrator::with_migrations(first).run_direct(None, &mut connection, false).await.unwrap();
    connection.close().await.unwrap();
    (dir, file)
}

#[tokio::test]
async fn every_migration_is_part_of_the_program() {
    assert_has_all_of("sqlite", &open::MIGRATIONS).await;
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let (dir, file) = of_version(1).await;
    run(&file, &[EVENT_OF_THE_FIRST_VERSION]).await;
    let store = SqliteStore::open(dir.path()).await.unwrap();
    let view = store.event(&EventId::new("old").unwrap()).await.unwrap().unwrap();
    assert_eq!((view.event.config.display_name.as_str(), view.event.config.waiting_room), ("Old", None));
    assert_eq!(store.waiting_rooms(1).await.unwrap(), []);
}

/// 300 entries of each of two events, and one that is damaged.
const JOURNAL_OF_THE_THIRD_VERSION: [&str; 3] = [
    "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 300)
     INSERT INTO journal (event_id, seq, occurred_at, kind, actor, reservation_id, owner, changes)
     SELECT event.value, n, 1000 + n, 'RESERVED', NULL, printf('01a200c2-ba75-77e5-892a-%012x', n), 'o\"n' || n,
            printf('{\"held\":{\"ga\":%d}}', n)
       FROM numbers, json_each('[\"old\",\"other\"]') AS event",
    "UPDATE journal SET kind = 'EVENT_CREATED', reservation_id = NULL, owner = NULL, actor = 'admin:ann', changes = '{}' WHERE seq = 1",
    "UPDATE journal SET changes = '{' WHERE event_id = 'other' AND seq = 200",
];

#[tokio::test]
async fn journal_rows_of_the_third_version_become_chunks() {
    let (dir, file) = of_version(3).await;
    run(&file, &JOURNAL_OF_THE_THIRD_VERSION).await;
    let store = SqliteStore::open(dir.path()).await.unwrap();
    assert_were_rows(&store, "old").await;
    // What was no JSON is found where it is read, and nothing else is lost by it.
    let other = EventId::new("other").unwrap();
    assert_eq!(store.journal(&other, 1, 128).await.unwrap().len(), 128);
    assert!(matches!(store.journal(&other, 200, 1).await, Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn people_see_the_journal_as_rows() {
    let backend = SqliteBackend::fresh().await;
    let entries = written(&backend).await;
    let rows = "SELECT seq, kind, reservation_id, owner, changes FROM journal WHERE event_id = 'e1' ORDER BY seq";
    let connection = &mut backend.connect().await;
    assert_rows_are(&sqlx::query(rows).fetch_all(&mut *connection).await.unwrap(), &entries);
    let chunks: i64 = sqlx::query_scalar("SELECT count(*) FROM journal_chunks").fetch_one(connection).await.unwrap();
    assert_eq!(chunks, CHUNKS_WRITTEN);
}
