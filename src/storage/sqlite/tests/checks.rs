//! The checks of what a sale writes: they refuse what is none, and cost next to nothing.

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
