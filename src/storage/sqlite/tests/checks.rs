//! What refuses rows that must not be: the checks, which cost next to nothing, and the trigger of the journal.

use sqlx::{Row as _, SqliteConnection};

use super::backend::SqliteBackend;
use crate::domain::State;

const RESERVATION: &str =
    "INSERT INTO reservations (event_id, id, owner, state, lines, expires_at, created_at, updated_at,
    fingerprint) VALUES ('e1', ?, 'ann', ?, '{}', 0, 0, 0, 0)";

async fn insert(connection: &mut SqliteConnection, key: usize, state: &str) -> Result<(), String> {
    let inserted =
        sqlx::query(RESERVATION).bind((key + 1).to_string()).bind(state.to_owned()).execute(connection).await;
    inserted.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn each_state_is_taken_and_no_other() {
    let backend = SqliteBackend::fresh().await;
    let mut connection = backend.connect().await;
    for (key, state) in State::ALL.map(State::as_str).into_iter().enumerate() {
        insert(&mut connection, key, state).await.unwrap();
    }
    for wrong in ["", "held", "reserved", "HELD ", "OTHER"] {
        let refused = insert(&mut connection, State::ALL.len(), wrong).await.unwrap_err();
        assert!(refused.contains("CHECK constraint failed"), "{wrong}: {refused}");
    }
    let sound: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap();
    assert_eq!(sound, "ok");
}

#[tokio::test]
async fn no_table_is_made_to_check_a_row() {
    let backend = SqliteBackend::fresh().await;
    let mut connection = backend.connect().await;
    let steps =
        sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN {RESERVATION}"))).fetch_all(&mut connection).await.unwrap();
    let codes: Vec<String> = steps.iter().map(|step| step.get("opcode")).collect();
    assert!(codes.iter().any(|code| code == "Insert"), "{codes:?}");
    assert!(!codes.iter().any(|code| code == "OpenEphemeral"), "{codes:?}");
}

#[tokio::test]
async fn a_number_of_the_journal_is_used_once() {
    let backend = SqliteBackend::fresh().await;
    let mut connection = backend.connect().await;
    let mut insert = async |event: &'static str, first: i64, last: i64| {
        let sql = "INSERT INTO journal_chunks (event_id, last_seq, first_seq, entries) VALUES (?, ?, ?, '[]')";
        let inserted = sqlx::query(sql).bind(event).bind(last).bind(first).execute(&mut connection).await;
        inserted.map(drop).map_err(|error| error.to_string())
    };
    insert("e1", 1, 4).await.unwrap();
    for (first, last) in [(4, 9), (1, 9), (2, 3), (4, 4)] {
        let refused = insert("e1", first, last).await.unwrap_err();
        assert!(refused.contains("a number of the journal is used once"), "{refused}");
    }
    insert("e1", 5, 9).await.unwrap();
    insert("e2", 1, 9).await.unwrap();
    for (first, last) in [(0, 10), (11, 10)] {
        assert!(insert("e3", first, last).await.unwrap_err().contains("CHECK constraint failed"));
    }
}
