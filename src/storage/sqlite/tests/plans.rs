//! How SQLite runs each statement: by key, however full or empty the tables are.

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::backend::SqliteBackend;
use crate::storage::Store as _;
use crate::storage::conformance::{Backend as _, create, plain_hold, reserve, v7};

/// Every statement, by file name.
fn statements() -> Vec<(String, String)> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/storage/sqlite/queries");
    let mut all: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap())
        })
        .collect();
    all.sort();
    assert!(all.len() > 30, "found {}", all.len());
    all
}

/// The steps of a plan that read a table or an index of the database from end to end, or all that a large one has of an event, or
/// build an index for one use.
fn careless_steps(steps: &[String]) -> Vec<&String> {
    /// Tables and the names that the statements give them.
    const TABLES: [&str; 18] = [
        "events",
        "e",
        "allocations",
        "a",
        "reservations",
        "r",
        "h",
        "journal",
        "journal_chunks",
        "c",
        "d",
        "owner_index",
        "i",
        "owner_runs",
        "u",
        "page",
        "main",
        "_sqlx_migrations",
    ];
    /// Those with a row for each reservation or so.
    const LARGE: [&str; 8] = ["reservations", "r", "h", "journal_chunks", "c", "d", "owner_index", "i"];
    let careless = |step: &&String| {
        let searched = step.strip_prefix("SEARCH ").and_then(|rest| rest.split(' ').next());
        let whole_event = searched.is_some_and(|name| LARGE.contains(&name)) && step.ends_with(" (event_id=?)");
        let scanned = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
        scanned.is_some_and(|name| TABLES.contains(&name) && !step.contains("VIRTUAL TABLE"))
            || (step.contains("AUTOMATIC") && !step.starts_with("SEARCH x "))
            || whole_event
    };
    steps.iter().filter(careless).collect()
}

async fn plan(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get(3)).collect()
}

async fn assert_by_key(connection: &mut SqliteConnection) {
    for (name, sql) in statements() {
        let steps = plan(connection, &sql).await;
        let careless = careless_steps(&steps);
        let known = match name.as_str() {
            // Reads all events, once at the start.
            "upkeep_due" => vec!["SCAN events"],
            // Sums over all of them, a few times a minute.
            "totals" => vec!["SCAN allocations", "SCAN allocations", "SCAN allocations", "SCAN events"],
            // Counts all that an event has, for an audit.
            "audit_reservation_count" => {
                vec!["SEARCH reservations USING COVERING INDEX sqlite_autoindex_reservations_1 (event_id=?)"]
            }
            // Takes the first or last of each, and no others: the earliest expiry, the greatest id.
            "load_event" => vec![
                "SEARCH h USING COVERING INDEX reservations_held_by_expiry (event_id=?)",
                "SEARCH r USING COVERING INDEX sqlite_autoindex_reservations_1 (event_id=?)",
            ],
            // Reads the events that have one, and no others.
            "waiting_rooms" => vec!["SCAN e USING INDEX events_with_waiting_room"],
            _ => vec![],
        };
        assert_eq!(careless, known, "{name}: {steps:#?}");
    }
}

#[tokio::test]
async fn every_statement_goes_by_key() {
    let mut backend = SqliteBackend::fresh().await;
    assert_by_key(&mut backend.connect().await).await;
    let mut lane = backend.store.open_lane().await.unwrap();
    for event in 0..20 {
        let id = format!("e{event}");
        create(&mut *lane, &id, &[("ga", 1_000_000)]).await;
        reserve(&mut *lane, &id, |now| (0..1_000).map(|n| plain_hold(v7(n), "ann", now)).collect()).await;
    }
    drop(lane);
    assert_by_key(&mut backend.connect().await).await;
    // Statistics, which somebody may have made, are not heeded from the next start on.
    backend.execute("ANALYZE").await.unwrap();
    backend.reopen().await;
    assert_by_key(&mut backend.connect().await).await;
}

#[tokio::test]
async fn lists_are_read_in_order_without_sorting() {
    let backend = SqliteBackend::fresh().await;
    let mut connection = backend.connect().await;
    for (name, sql) in statements() {
        let sorts = plan(&mut connection, &sql).await.iter().filter(|step| step.contains("TEMP B-TREE")).count();
        // Sums by allocation, and the allocations of each event of a page; the page of one owner, which is merged from
        // the index and the journal behind it, whose chunks are in no order inside; holds that expire at the same moment.
        // All of them are few.
        let known = match name.as_str() {
            "events" | "reservations_of" => 2,
            "event" | "load_expired" => 1,
            _ => 0,
        };
        assert_eq!(sorts, known, "{name}: {:#?}", plan(&mut connection, &sql).await);
    }
}
