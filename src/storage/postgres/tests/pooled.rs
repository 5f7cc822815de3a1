//! Behind a pooler: values stand in a statement's text, and nothing may be left on a connection.

use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::super::literal::{Arg, array};
use super::backend::PostgresBackend;
use crate::domain::{EventId, OwnerId};
use crate::storage::Store as _;
use crate::storage::conformance::{Backend as _, create, plain_hold, reserve, v7};

/// What a database's owner may have set: a backslash then quotes what follows it in a plain string constant.
const BACKSLASHES_QUOTE: &str =
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET standard_conforming_strings = off', current_database()); END $$";

/// Where a text might end too early, or not at all.
const TEXTS: [&str; 9] = [
    "",
    "plain",
    "it's",
    "\\",
    "\\'",
    "'\\",
    "a\\';select/**/pg_sleep(9)--",
    "\\\\''\\n\\x41\\u0041\n",
    "$1 $$ E'\" {,}",
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
        assert_eq!(found.iter().map(|hold| (hold.id, hold.owner.as_str())).collect::<Vec<_>>(), [(v7(number), name)]);
    }
    backend.execute("SELECT 'injected'::regclass").await.unwrap_err();
}
