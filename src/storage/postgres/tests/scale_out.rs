//! What lets the tables be spread over machines by event: see docs/scale-out.md.

use sqlx::{AssertSqlSafe, Row as _};

use super::super::queries::Statement;
use super::super::{PostgresConfig, PostgresStore};
use super::backend::PostgresBackend;
use super::plans::{parameterized, plan, prepared};
use crate::domain::{EventId, Timestamp};
use crate::storage::conformance::{Backend as _, create};
use crate::storage::{Store as _, WholeStore as _};

/// Tables of the coordinator alone, and of the tests.
const NOT_SPREAD: [&str; 3] = ["boxoffice_schema", "_sqlx_migrations", "test_clock"];

/// The column by which a table is spread.
fn event_column(table: &str) -> &'static str {
    if table == "events" { "id" } else { "event_id" }
}

async fn pairs(backend: &PostgresBackend, sql: &'static str) -> Vec<(String, String)> {
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut backend.connect().await).await.unwrap();
    let pairs = rows.iter().map(|row| (row.get::<String, _>(0), row.get::<String, _>(1)));
    pairs.filter(|(table, _)| !NOT_SPREAD.contains(&table.as_str())).collect()
}

#[tokio::test]
async fn every_key_is_led_by_the_event() {
    let backend = PostgresBackend::fresh().await;
    // Primary keys and unique indexes, each with its first column.
    let unique = "SELECT i.indrelid::regclass::text, a.attname::text FROM pg_index AS i
                    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                   WHERE i.indisunique AND i.indrelid::regclass::text !~ '^pg_'";
    let unique = pairs(&backend, unique).await;
    assert_eq!(unique.len(), 6, "each table has one: {unique:?}");
    for (table, first) in &unique {
        assert_eq!(first, event_column(table), "the first column of a key of {table}");
    }
    let foreign = "SELECT conrelid::regclass::text, conname::text FROM pg_constraint WHERE contype = 'f'";
    assert_eq!(pairs(&backend, foreign).await, [], "a foreign key would have to lead with the event too");
}

#[tokio::test]
async fn every_table_is_spread_by_its_event() {
    let backend = PostgresBackend::fresh().await;
    let script = include_str!("../../../../migrations/citus.sql");
    let tables = "SELECT relname::text, '' FROM pg_class
                   WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    for (table, _) in pairs(&backend, tables).await {
        let spread = format!("create_distributed_table('{table}', '{}'", event_column(&table));
        assert!(script.contains(&spread), "migrations/citus.sql lacks {spread}");
    }
}

/// Statements about one event, `$1`: all but those that ask all machines, or that read no table.
fn of_one_event() -> impl Iterator<Item = Statement> {
    const OF_MANY: [&str; 9] = [
        "audit_next_event",
        "event_ids",
        "events",
        "events_with_expired_holds",
        "events_with_expired_holds_spread",
        "now",
        "totals",
        "upkeep_due",
        "waiting_rooms",
    ];
    parameterized().filter(|statement| !OF_MANY.contains(&statement.name))
}

/// What reads or writes rows of a table without being told that they are those of event `$1`.
fn unpinned(plan: &str) -> Vec<String> {
    let tables = ["events", "allocations", "reservations", "journal_chunks", "owner_index", "owner_runs"];
    let lines: Vec<_> = plan.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some((_, target)) = line.split_once("Scan using ").and_then(|(_, rest)| rest.split_once(" on ")) else {
            assert!(!line.contains("Seq Scan"), "{plan}");
            continue;
        };
        let table = target.split(' ').next().unwrap_or_default();
        assert!(tables.contains(&table), "{line}");
        let details = lines[index + 1..]
            .iter()
            .take_while(|line| !line.trim_start().starts_with("->") && !line.contains("Plan "));
        let condition = details.copied().collect::<String>().replace("($1)::text", "$1");
        if !condition.contains(&format!("({} = $1)", event_column(table))) {
            found.push(format!("{line}{condition}"));
        }
    }
    found
}

#[tokio::test]
async fn a_statement_about_one_event_names_it_wherever_it_reads_or_writes() {
    let backend = PostgresBackend::fresh().await;
    let mut connection = prepared(&backend).await;
    for statement in of_one_event() {
        let body = statement.body();
        if let Some(insert) = body.strip_prefix("INSERT INTO ") {
            let table = insert.split(' ').next().unwrap_or_default();
            assert!(insert.contains(&format!(" ({},", event_column(table))), "{body}");
            assert!(insert.contains("SELECT $1, ") || insert.contains("VALUES ($1, "), "{body}");
        } else {
            assert!(!body.contains("INSERT"), "no INSERT within another statement: {body}");
        }
        let plan = plan(&mut connection, statement).await;
        assert_eq!(unpinned(&plan), [""; 0], "{}:\n{plan}", statement.name);
    }
}

/// Citus plans an `INSERT … SELECT` with parameters only where it knows their values, and what reads from several machines likewise.
#[tokio::test]
async fn statements_are_planned_with_their_values_where_the_tables_are_spread() {
    let default = PostgresBackend::fresh().await;
    let spread = PostgresConfig { one_event_a_batch: true, ..default.config.clone() };
    let pooled = PostgresConfig { pooler: true, ..spread.clone() };
    for (config, mode) in [(default.config.clone(), "force_generic_plan"), (spread, "force_custom_plan")] {
        let store = PostgresStore::open(config).await.unwrap();
        let pool = store.readers.read().await.pool.clone();
        let of_reader: String = sqlx::query_scalar("SHOW plan_cache_mode").fetch_one(&pool).await.unwrap();
        let mut lane = store.shared.connect_lane().await.unwrap();
        let of_lane: String = sqlx::query_scalar("SHOW plan_cache_mode").fetch_one(&mut lane).await.unwrap();
        assert_eq!((of_reader.as_str(), of_lane.as_str()), (mode, mode));
        store.close().await;
    }
    let store = PostgresStore::open(pooled).await.unwrap();
    assert!(store.shared.settings.as_ref().unwrap().contains("('plan_cache_mode', 'force_custom_plan', true)"));
    store.close().await;
}

/// By Citus' planner a statement that asks several machines may neither be recursive, nor look up rows for each row of what it has
/// gathered, nor have a sub-select beside its `FROM`.
#[tokio::test]
async fn what_asks_all_machines_has_a_form_that_each_can_answer_by_itself() {
    let mut backend = PostgresBackend::spread().await;
    backend.config.readers = 1;
    backend.reopen().await;
    create(&mut *backend.store.open_lane().await.unwrap(), "e1", &[("ga", 10)]).await;
    let (store, after) = (&backend.store, Timestamp::from_micros(i64::MAX));
    assert_eq!(store.events(None, 10).await.unwrap().items.len(), 1);
    store.events_with_expired_holds(after, 10).await.unwrap();
    store.waiting_rooms(10).await.unwrap();
    store.totals().await.unwrap();
    store.next_event("").await.unwrap();
    store.event(&EventId::new("e1").unwrap()).await.unwrap();
    // What was read is prepared on the connection.
    let pool = store.readers.read().await.pool.clone();
    let read =
        "SELECT statement FROM pg_prepared_statements WHERE statement ~ '(events|allocations|reservations|journal)'";
    let read: Vec<String> = sqlx::query_scalar(read).fetch_all(&pool).await.unwrap();
    let of_all = |sql: &&String| !sql.contains("id = $1") && !sql.contains("pg_prepared_statements");
    let asked: Vec<_> = read.iter().filter(of_all).collect();
    assert_eq!(asked.len(), 5, "{asked:#?}");
    for sql in asked {
        let (columns, _) = sql.split_once("FROM").unwrap();
        assert!(!sql.contains("RECURSIVE") && !sql.contains("LATERAL"), "{sql}");
        assert!(columns.starts_with("SELECT") && columns.matches("SELECT").count() == 1, "{sql}");
    }
}
