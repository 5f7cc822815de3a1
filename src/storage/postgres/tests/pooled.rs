//! Behind a pooler: values stand in a statement's text, and nothing may be left on a connection.

use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::super::literal::{Arg, array};
use super::super::open;
use super::backend::PostgresBackend;
use crate::domain::{EventId, OwnerId};
use crate::storage::Store as _;
use crate::storage::conformance::{Backend as _, create, plain_hold, reserve, v7};

/// What a database's owner may have set: a backslash then quotes what follows it in a plain string constant.
const BACKSLASHES_QUOTE: &str =
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET standard_conforming_strings = off', current_database()); END $$";

/// Where a text might end too early, or not at all.
const TEXTS: [&str; 12] = [
    "",
    "plain",
    "it's",
    "\\",
    "\\'",
    "'\\",
    "a\\';select/**/pg_sleep(9)--",
    "\\\\''\\n\\x41\\u0041\n",
    "$1 $$ E'\" {,}",
    "\\$$\\'",
    "'$\\",
    "\\'$",
];

#[tokio::test]
async fn a_text_is_read_as_it_was_written_whatever_a_backslash_means() {
    let backend = PostgresBackend::fresh().await;
    for setting in ["on", "off"] {
        let mut connection = backend.connect().await;
        let set = format!("SET standard_conforming_strings = {setting}; SET backslash_quote = off");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(set))).await.unwrap();
        let texts = array(TEXTS);
        let mut sql = "SELECT ".to_owned();
        texts.as_arg().push(&mut sql);
        sql.push_str("::text[]");
        for text in TEXTS {
            sql.push(',');
            Arg::Text(text).push(&mut sql);
        }
        let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
        assert_eq!(row.get::<Vec<String>, _>(0), TEXTS, "in an array, {setting}");
        for (index, text) in TEXTS.into_iter().enumerate() {
            assert_eq!(row.get::<String, _>(index + 1), text, "{setting}");
        }
    }
}

/// PostgreSQL reads the whole of a script before it runs any of it: a setting within comes too late for its constants.
#[tokio::test]
async fn an_owners_name_is_no_sql_even_where_a_backslash_quotes() {
    let backend = PostgresBackend::pooled().await;
    backend.execute(BACKSLASHES_QUOTE).await.unwrap();
    let mut lane = backend.store.open_lane().await.unwrap();
    create(&mut *lane, "e1", &[("ga", 10)]).await;
    let event = EventId::new("e1").unwrap();
    let names = ["a\\')));create/**/table/**/injected();--", "a\\'", "a\\"];
    for (name, number) in names.into_iter().zip(1..) {
        let owner = OwnerId::new(name).unwrap();
        assert!(backend.store.reservations_of(&event, &owner, 0, 10).await.unwrap().items.is_empty(), "{name}");
        reserve(&mut *lane, "e1", |now| vec![plain_hold(v7(number), name, now)]).await;
        let found = backend.store.reservations_of(&event, &owner, 0, 10).await.unwrap().items;
        assert_eq!(
            found.iter().map(|(_, hold)| (hold.id, hold.owner.as_str())).collect::<Vec<_>>(),
            [(v7(number), name)]
        );
    }
    backend.execute("SELECT 'injected'::regclass").await.unwrap_err();
}

/// What the server's sessions for others than this connection are doing.
async fn states(backend: &PostgresBackend) -> Vec<String> {
    let states = "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query_scalar(states).fetch_all(&mut backend.connect().await).await.unwrap()
}

#[tokio::test]
async fn a_read_that_fails_leaves_no_transaction_behind() {
    let backend = PostgresBackend::pooled().await;
    create(&mut *backend.store.open_lane().await.unwrap(), "e1", &[("ga", 10)]).await;
    let event = EventId::new("e1").unwrap();
    backend.execute("ALTER TABLE events RENAME TO elsewhere").await.unwrap();
    backend.store.event(&event).await.unwrap_err();
    backend.execute("ALTER TABLE elsewhere RENAME TO events").await.unwrap();
    let states = states(&backend).await;
    assert!(states.iter().all(|state| state == "idle"), "{states:?}");
    assert!(backend.store.event(&event).await.unwrap().is_some());
    assert_eq!(backend.store.readers.read().await.looked, 0, "the connection is as good as before");
}

#[tokio::test]
async fn a_read_has_the_settings_of_a_session_and_leaves_none_behind() {
    let mut backend = PostgresBackend::pooled().await;
    backend.config.readers = 1;
    backend.reopen().await;
    let set = "CREATE OR REPLACE FUNCTION boxoffice_now() RETURNS bigint LANGUAGE sql VOLATILE
               AS $$ SELECT count(*) FROM pg_settings WHERE source = 'session' $$";
    backend.execute(set).await.unwrap();
    let during = usize::try_from(backend.store.now().await.unwrap().as_micros()).unwrap();
    assert!(during >= open::settings(&backend.config).len(), "{during}");
    let pool = backend.store.readers.read().await.pool.clone();
    let after: i64 = sqlx::query_scalar("SELECT boxoffice_now()").fetch_one(&pool).await.unwrap();
    assert_eq!(after, 0, "on the same connection");
}
