//! How PostgreSQL runs each statement: by key, however full or empty the tables are, and whatever it knows of them.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};

use super::super::queries::{self, Statement};
use super::super::script::{Mode, Script};
use super::backend::PostgresBackend;

/// A connection with the settings of a lane, on which every statement is prepared.
pub(super) async fn prepared(backend: &PostgresBackend) -> PgConnection {
    let mut connection = backend.store.shared.connect().await.unwrap();
    let mut script = Script::new(Mode::Inline);
    for statement in parameterized() {
        script.prepare(statement);
    }
    script.run(&mut connection).await.map_err(|failed| failed.source).unwrap();
    connection
}

/// All but those that begin and end transactions.
pub(super) fn parameterized() -> impl Iterator<Item = Statement> {
    let no_plan = ["begin", "commit", "rollback"];
    queries::ALL.iter().copied().filter(move |statement| !no_plan.contains(&statement.name))
}

/// A value of this type for a parameter of a statement, many where it is an array.
fn value(statement: Statement, parameter: usize, of: &str) -> String {
    match (of, statement.name, parameter) {
        ("text", "reservation" | "reservations" | "audit_reservation_count", 2) => "gen_random_uuid()::text".to_owned(),
        ("text", "reservations_named", 2) => "array_fill(gen_random_uuid(), ARRAY[200])::text".to_owned(),
        ("text", ..) => "'e1'".to_owned(),
        ("uuid", ..) => "gen_random_uuid()".to_owned(),
        ("json", ..) => "'{}'".to_owned(),
        ("bigint", ..) => "100".to_owned(),
        (array, ..) => {
            let element = array.strip_suffix("[]").unwrap();
            format!("array_fill({}::{element}, ARRAY[200])", value(statement, 0, element))
        }
    }
}

/// The plan that the connection uses, with what `EXPLAIN` prints of it. (A plan that is kept does not look at the values.)
pub(super) async fn plan(connection: &mut PgConnection, statement: Statement) -> String {
    let types = "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = $1";
    let types = sqlx::query_scalar::<_, Vec<String>>(types).bind(statement.name).fetch_one(&mut *connection).await;
    let values = types.unwrap().into_iter().zip(1..).map(|(of, parameter)| value(statement, parameter, &of));
    let values = values.collect::<Vec<_>>().join(",");
    let args = if values.is_empty() { String::new() } else { format!("({values})") };
    let sql = format!("EXPLAIN (COSTS OFF) EXECUTE {}{args}", statement.name);
    let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

/// What reads more than it needs: a whole table, or all rows of an event where some are named.
fn careless(statement: Statement, plan: &str) -> Vec<String> {
    // Walk an event's reservations or journal on purpose, page by page or to count; or, for the sweeper, the holds that have
    // expired of all events.
    let walks = ["reservations", "audit_reservation_count", "events_with_expired_holds_spread"];
    let large = ["reservations_pkey", "reservations_held_by_expiry", "journal_chunks_pkey", "owner_index_pkey"];
    let mut found = Vec::new();
    for (index, line) in plan.lines().enumerate() {
        let next = plan.lines().nth(index + 1).unwrap_or_default();
        // Read all events: once at the start, and a few times a minute.
        if line.contains("Seq Scan") && !["upkeep_due", "totals"].contains(&statement.name) {
            found.push(line.to_owned());
        }
        // Of what is read up to a limit only the first or last is: the greatest id, the earliest expiry.
        let first = index > 0 && plan.lines().nth(index - 1).is_some_and(|before| before.trim_end().ends_with("Limit"));
        let large = large.iter().any(|name| line.contains(name)) && !first;
        if large && next.matches('=').count() + next.matches('>').count() < 2 && !walks.contains(&statement.name) {
            found.push(format!("{line}\n{next}"));
        }
    }
    found
}

async fn assert_by_key(connection: &mut PgConnection, when: &str, except: &[&str]) {
    for statement in parameterized().filter(|statement| !except.contains(&statement.name)) {
        let plan = plan(connection, statement).await;
        let careless = careless(statement, &plan);
        assert!(careless.is_empty(), "{} {when}: {careless:#?}\n{plan}", statement.name);
    }
}

/// One event with many reservations, and many with a few, without the statistics that time would bring.
async fn fill(backend: &PostgresBackend, reservations: u32) {
    let sql = format!(
        "INSERT INTO events SELECT 'e' || e, 'x', 'ON_SALE', NULL, NULL, 1, 1, NULL, 100, 1, 1, 0, 0, 0
           FROM generate_series(1, 100) AS e ON CONFLICT DO NOTHING;
         INSERT INTO allocations SELECT 'e' || e, 'ga', 'x', 1000000, NULL, 0, 0, NULL, 1
           FROM generate_series(1, 100) AS e ON CONFLICT DO NOTHING;
         INSERT INTO reservations
         SELECT CASE WHEN n % 10 = 0 THEN 'e' || n % 100 ELSE 'e1' END, gen_random_uuid(), 'o' || n % 500, 'HELD', '{{}}',
                NULL, NULL, 1, 1, 1, 1, NULL
           FROM generate_series(1, {reservations}) AS n;
         INSERT INTO journal_chunks
         SELECT event_id, seq, json_build_array(json_build_array(
                    json_build_object(seq, json_build_array(id, owner)), 1, 'RESERVED', json_build_object(), NULL))
           FROM (SELECT event_id, 1000 + row_number() OVER () AS seq, id, owner FROM reservations) AS r
             ON CONFLICT DO NOTHING;"
    );
    backend.connect().await.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
}

/// Planned for the table as it is, which at first is so small that reading it costs as much as a look-up.
const PLANNED_EACH_TIME: &[&str] = &["reservations_update"];

#[tokio::test]
async fn every_statement_goes_by_key_however_its_table_grows() {
    go_by_key(&PostgresBackend::fresh().await).await;
}

#[tokio::test]
async fn every_statement_goes_by_key_where_it_is_planned_with_its_values() {
    go_by_key(&PostgresBackend::spread().await).await;
}

async fn go_by_key(backend: &PostgresBackend) {
    let mut from_the_beginning = prepared(backend).await;
    assert_by_key(&mut from_the_beginning, "on an empty database", PLANNED_EACH_TIME).await;
    fill(backend, 300).await;
    assert_by_key(&mut from_the_beginning, "on a young one", PLANNED_EACH_TIME).await;
    assert_by_key(&mut prepared(backend).await, "planned on a young one", PLANNED_EACH_TIME).await;
    backend.connect().await.execute("VACUUM ANALYZE").await.unwrap();
    fill(backend, 100_000).await;
    assert_by_key(&mut from_the_beginning, "on a grown one, planned when it was empty", PLANNED_EACH_TIME).await;
    assert_by_key(&mut prepared(backend).await, "on a grown one, with a young one's statistics", &[]).await;
    backend.connect().await.execute("ANALYZE").await.unwrap();
    assert_by_key(&mut prepared(backend).await, "on a grown one, with statistics", &[]).await;
}

#[tokio::test]
async fn what_is_planned_each_time_is_not_prepared() {
    assert!(PLANNED_EACH_TIME.iter().all(|name| queries::OF_LANES.iter().all(|prepared| prepared.name != *name)));
}
