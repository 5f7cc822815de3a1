//! `verify`: a whole database, audited without a server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers as well")]

use std::path::Path;

use private_cluster::{fresh_database, shared};
use serde_json::Value;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::cli::{boxoffice, stderr};
use crate::cli_with_server::Server;
use crate::rush::PATIENCE;
use crate::support;

/// The demo event, which a new server makes in a file of its own, and nowhere else.
const DEMO: [&str; 8] =
    ["admin", "create-event", "demo", "--open", "--allocation", "floor=100", "--allocation", "balcony=50"];

/// Sells a little of it.
const SALES: [&[&str]; 4] = [
    &["buy", "demo", "floor", "2", "--owner", "alice"],
    &["buy", "demo", "floor", "3", "--owner", "bob", "--order-ref", "o-1"],
    &["buy", "demo", "balcony", "1", "--owner", "carol", "--order-ref", "o-2"],
    &["admin", "set-capacity", "demo", "floor", "90"],
];

/// What somebody may do to a database by hand, and what `verify` calls it.
const DOCTORED: [(&str, &str); 9] = [
    ("UPDATE allocations SET sold = sold + 1 WHERE id = 'floor'", "sold"),
    ("UPDATE allocations SET capacity = capacity + 1 WHERE id = 'floor'", "capacity"),
    ("DELETE FROM journal WHERE seq = 5", "journal"),
    ("DELETE FROM journal WHERE seq = 7", "last_seq"),
    (r#"UPDATE reservations SET lines = '{"floor":6}' WHERE owner = 'bob'"#, "granted units"),
    ("UPDATE reservations SET state = 'RELEASED' WHERE owner = 'alice'", "state"),
    ("DELETE FROM reservations WHERE owner = 'carol'", "reservation"),
    ("UPDATE events SET allocation_count = 1", "allocation_count"),
    ("DELETE FROM events", "event"),
];

fn verify(arguments: &[&str]) -> (Option<i32>, Value) {
    let output = boxoffice(&[&["verify", "--json"], arguments].concat());
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code(), report.unwrap_or_else(|_| Value::String(stderr(&output))))
}

/// The fields that differ.
fn fields(report: &Value) -> Vec<&str> {
    report["differences"].as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect()
}

fn sell(run: impl Fn(&[&str]) -> std::process::Output) {
    for sale in SALES {
        let output = run(sale);
        assert!(output.status.success(), "{sale:?}: {}", stderr(&output));
    }
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

/// The journal is a view over its chunks: these let somebody change it all the same.
const HANDS_ON_THE_JOURNAL: [&str; 2] = [
    r#"CREATE TEMP TRIGGER removing INSTEAD OF DELETE ON journal BEGIN
       UPDATE journal_chunks
          SET entries = (SELECT json_group_array(json_remove(g.value, '$[0]."' || old.seq || '"')) FROM json_each(entries) AS g)
        WHERE event_id = old.event_id
          AND last_seq = (SELECT min(c.last_seq) FROM journal_chunks AS c WHERE c.event_id = old.event_id AND c.last_seq >= old.seq);
       END"#,
    r#"CREATE TEMP TRIGGER changing INSTEAD OF UPDATE OF changes ON journal BEGIN
       UPDATE journal_chunks
          SET entries = (SELECT json_group_array(json_set(g.value, '$[3]', new.changes)) FROM json_each(entries) AS g)
        WHERE event_id = old.event_id
          AND last_seq = (SELECT min(c.last_seq) FROM journal_chunks AS c WHERE c.event_id = old.event_id AND c.last_seq >= old.seq);
       END"#,
];

/// Changes by hand the database of a server that has ended.
pub(crate) async fn doctor(data: &Path, sql: &str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("boxoffice.db"));
    let mut connection = options.connect().await.unwrap();
    for trigger in HANDS_ON_THE_JOURNAL {
        sqlx::query(trigger).execute(&mut connection).await.unwrap();
    }
    let before = total_changes(&mut connection).await;
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    assert!(total_changes(&mut connection).await > before, "{sql}");
    connection.close().await.unwrap();
}

/// Rows changed over a connection; what triggers do is counted here alone.
async fn total_changes(connection: &mut sqlx::SqliteConnection) -> i64 {
    sqlx::query_scalar("SELECT total_changes()").fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn a_database_that_was_killed_agrees_and_whatever_is_done_to_it_by_hand_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    sell(|sale| server.run(sale));
    let data = directory.path().to_str().unwrap();
    let (code, told) = verify(&["--data", data]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.as_str().unwrap().contains("in use by another Boxoffice server; stop it first"), "{told}");
    drop(server);

    let (code, report) = verify(&["--data", data]);
    assert_eq!((code, &report["agrees"]), (Some(0), &true.into()), "{report}");
    let extent = ["events", "changes", "reservations", "schema_version"].map(|key| report[key].as_i64().unwrap());
    assert_eq!(extent, [1, 7, 3, 4]);
    for (sql, field) in DOCTORED {
        let doctored = copy(directory.path());
        doctor(doctored.path(), sql).await;
        let (code, report) = verify(&["--data", doctored.path().to_str().unwrap()]);
        assert_eq!((code, &report["agrees"]), (Some(1), &false.into()), "{sql}: {report}");
        assert!(fields(&report).contains(&field), "{sql}: {report}");
    }
    // So does an audit through a server.
    let doctored = copy(directory.path());
    doctor(doctored.path(), DOCTORED[0].0).await;
    let server = Server::start(doctored.path());
    let output = server.run(&["admin", "audit", "demo"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("events/demo is not as its journal says"), "{output:?}");
    // A server goes on with a database that was verified.
    let server = Server::start(directory.path());
    assert_eq!(server.json(&["admin", "audit", "demo"])["agrees"], true);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_the_other_events_are_audited_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    server.json(&["admin", "create-event", "another", "--allocation", "floor=1"]);
    server.json(&["admin", "create-event", "zoo", "--allocation", "floor=1"]);
    drop(server);
    doctor(directory.path(), "UPDATE journal SET changes = '{' WHERE event_id = 'another' AND seq = 2").await;
    doctor(directory.path(), "UPDATE allocations SET capacity = 2 WHERE event_id = 'zoo'").await;
    let (code, report) = verify(&["--data", directory.path().to_str().unwrap()]);
    assert_eq!((code, &report["events"]), (Some(1), &3.into()), "{report}");
    assert_eq!(fields(&report), ["rows", "capacity"], "{report}");
}

#[test]
fn a_directory_without_a_database_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let output = boxoffice(&["verify", "--data", directory.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("error: there is no database"), "{}", stderr(&output));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_database_is_verified_beside_its_servers() {
    let url = fresh_database(shared()).unwrap();
    let told = verify(&["--database-url", &url]);
    assert_eq!(told.0, Some(1), "it is not migrated, and stays so: {}", told.1);
    let server = support::Server::start_on_waiting(&url, PATIENCE, &[]);
    let run = |call: &[&str]| boxoffice(&[call, &["--server", server.url()]].concat());
    assert!(run(&DEMO).status.success());
    sell(run);
    let (code, report) = verify(&["--database-url", &url]);
    assert_eq!((code, &report["agrees"], &report["changes"]), (Some(0), &true.into(), &7.into()), "{report}");
    for (sql, field) in DOCTORED {
        // Each on a copy of its own, which nobody else may be connected to while it is made.
        let doctored = copy_of(&url).await;
        let mut connection = sqlx::PgConnection::connect(&doctored).await.unwrap();
        let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        assert!(done.rows_affected() >= 1, "{sql}");
        connection.close().await.unwrap();
        let (code, report) = verify(&["--database-url", &doctored]);
        assert_eq!((code, &report["agrees"]), (Some(1), &false.into()), "{sql}: {report}");
        assert!(fields(&report).contains(&field), "{sql}: {report}");
    }
}

/// As [`HANDS_ON_THE_JOURNAL`], for PostgreSQL.
const HANDS_ON_ITS_JOURNAL: &str = r"
    CREATE FUNCTION removing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE journal_chunks
           SET entries = (SELECT jsonb_agg(g.value #- ARRAY['0', old.seq::text])::json FROM jsonb_array_elements(entries::jsonb) AS g)
         WHERE event_id = old.event_id
           AND last_seq = (SELECT min(c.last_seq) FROM journal_chunks AS c WHERE c.event_id = old.event_id AND c.last_seq >= old.seq);
        RETURN old;
    END $$;
    CREATE TRIGGER removing INSTEAD OF DELETE ON journal FOR EACH ROW EXECUTE FUNCTION removing()";

/// Another database with the same rows.
async fn copy_of(url: &str) -> String {
    let copy = fresh_database(shared()).unwrap();
    boxoffice::storage::postgres::migrate(&copy).await.unwrap();
    let mut from = sqlx::PgConnection::connect(url).await.unwrap();
    let mut to = sqlx::PgConnection::connect(&copy).await.unwrap();
    for table in ["events", "allocations", "reservations", "journal_chunks"] {
        let rows = format!("SELECT json_agg(t)::text FROM {table} AS t");
        let rows: String = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(&mut from).await.unwrap();
        let insert = format!("INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, $1::json)");
        sqlx::query(AssertSqlSafe(insert)).bind(rows).execute(&mut to).await.unwrap();
    }
    sqlx::raw_sql(HANDS_ON_ITS_JOURNAL).execute(&mut to).await.unwrap();
    from.close().await.unwrap();
    to.close().await.unwrap();
    copy
}
