//! Audits: an honest event is clean, and what was changed behind the engine's back shows.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use super::{World, by_owner, id, reservation, reserve};
use crate::domain::{Action, AllocationId, Difference, Duration, EventId, OnExpired, OrderRef, Subject};
use crate::engine::audit::{Bounds, audit_within};
use crate::engine::{AuditReport, DIFFERENCES_MAX};

/// Makes an event whose reservations (ids 1 to 4) are sold, given back, held and lapsed.
async fn honest_event(world: &World, name: &str) -> EventId {
    let event = world.event(name, 100, None).await;
    reservation(world.run(&event, reserve("eve", 4, 7)).await);
    world.advance(Duration::from_secs(60));
    for n in 1..4 {
        reservation(world.run(&event, reserve("ann", n, 2)).await);
    }
    let order_ref = OrderRef::new("order-1").unwrap();
    let confirm = Action::Confirm { id: id(1), order_ref, on_expired: OnExpired::Fail };
    reservation(world.run(&event, by_owner("ann", confirm)).await);
    reservation(world.run(&event, by_owner("ann", Action::Release { id: id(2) })).await);
    event
}

pub(super) async fn execute(world: &World, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(world.dir.path().join("boxoffice.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let done = sqlx::query(sql).execute(&mut connection).await.unwrap();
    assert!(done.rows_affected() > 0, "{sql}");
    connection.close().await.unwrap();
}

/// The fields that differ after `sql`, which changes the event `demo`.
async fn differences(sql: &'static str) -> Vec<(Subject, &'static str)> {
    let world = World::new().await;
    let event = honest_event(&world, "demo").await;
    let other = honest_event(&world, "other").await;
    execute(&world, sql).await;
    assert_eq!(world.engine.audit(&other).await.unwrap().unwrap().differences, [], "{sql}");
    let report = world.engine.audit(&event).await.unwrap().unwrap();
    assert_eq!(report.difference_count, report.differences.len() as u64);
    let mut found: Vec<_> = report.differences.into_iter().map(|found| (found.subject, found.field)).collect();
    found.sort_by_key(|(subject, field)| (format!("{subject:?}"), *field));
    found
}

fn ga() -> Subject {
    Subject::Allocation(AllocationId::new("ga").unwrap())
}

fn of(n: u64) -> Subject {
    Subject::Reservation(id(n))
}

/// What an audit keeps must not depend on the table that it distrusts: this one has lost all that the journal tells of.
#[tokio::test]
async fn reservations_that_only_the_journal_has_are_told_one_by_one_in_as_many_passes_as_they_take() {
    let world = World::new().await;
    let event = world.event("demo", 100, None).await;
    for n in 0..60 {
        reservation(world.run(&event, reserve("ann", n, 1)).await);
    }
    let reader = async || world.engine.store().audit_reader(&event).await.unwrap().unwrap();
    let bounds = Bounds { per_pass: 8, per_pass_max: 12, bite: 4 };
    let mut changes = 0;
    let report = audit_within(bounds, reader().await, &mut |progress| changes = progress.changes).await.unwrap();
    assert_eq!((report.difference_count, changes), (0, 8 * 62), "sixty take eight passes of eight");
    execute(&world, "DELETE FROM reservations").await;
    let report = audit_within(bounds, reader().await, &mut |progress| changes = progress.changes).await.unwrap();
    let told: std::collections::HashSet<_> =
        report.differences.iter().map(|found| format!("{:?}", found.subject)).collect();
    assert_eq!((report.difference_count, told.len()), (60, 60), "{:?}", report.differences);
    assert_eq!((report.changes, report.reservations), (62, 0));
    assert!(changes >= 62 * 8, "{changes}: in fewer passes it would have kept more than it may");
}

#[tokio::test]
async fn an_honest_event_is_clean() {
    let world = World::new().await;
    let event = honest_event(&world, "demo").await;
    let report = world.engine.audit(&event).await.unwrap().unwrap();
    assert_eq!((report.differences, report.difference_count), (vec![], 0));
    assert_eq!((report.changes, report.reservations, report.seq), (8, 4, 8));
    assert_eq!(world.engine.audit(&EventId::new("none").unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn changed_counts_show() {
    let sql = "UPDATE allocations SET held = held + 1 WHERE event_id = 'demo'";
    assert_eq!(differences(sql).await, [(ga(), "held")]);
    let sql = "UPDATE allocations SET sold = sold - 1, capacity = capacity + 1 WHERE event_id = 'demo'";
    assert_eq!(differences(sql).await, [(ga(), "capacity"), (ga(), "sold")]);
    let sql = "UPDATE events SET last_seq = last_seq + 1 WHERE id = 'demo'";
    assert_eq!(differences(sql).await, [(Subject::Event, "last_seq")]);
    let sql = "UPDATE events SET allocation_count = 2 WHERE id = 'demo'";
    assert_eq!(differences(sql).await, [(Subject::Event, "allocation_count")]);
    let sql = "DELETE FROM allocations WHERE event_id = 'demo'";
    assert_eq!(differences(sql).await, [(ga(), "allocation"), (Subject::Event, "allocation_count")]);
}

#[test]
fn of_many_differences_some_are_told_and_all_are_counted() {
    let mut report = AuditReport::default();
    for _ in 0..=DIFFERENCES_MAX {
        report.add(Difference { subject: Subject::Event, field: "x", journal: String::new(), stored: String::new() });
    }
    assert_eq!((report.differences.len(), report.difference_count), (DIFFERENCES_MAX, DIFFERENCES_MAX as u64 + 1));
}

#[tokio::test]
async fn changed_settings_show() {
    let sql = "UPDATE events SET sales_state = 'PAUSED', limit_per_owner = 9, on_sale_at = 5 WHERE id = 'demo'";
    let fields = ["limit_per_owner", "on_sale_at", "sales_state"];
    assert_eq!(differences(sql).await, fields.map(|field| (Subject::Event, field)));
    let sql = "UPDATE events SET display_name = 'x', off_sale_at = 5, hold_ttl_default = 1, hold_ttl_max = 2,
                      waiting_room_rate = 1, waiting_room_on_loss = 'OPEN', waiting_room_pass_lifetime = 60000000,
                      waiting_room_grace = 60000000 WHERE id = 'demo'";
    let fields = ["display_name", "hold_ttl_default", "hold_ttl_max", "off_sale_at", "waiting_room"];
    assert_eq!(differences(sql).await, fields.map(|field| (Subject::Event, field)));
    let sql = "UPDATE events SET version = 7, created_at = created_at - 1, has_allocation_limits = 1 WHERE id = 'demo'";
    let fields = ["created_at", "has_allocation_limits", "version"];
    assert_eq!(differences(sql).await, fields.map(|field| (Subject::Event, field)));
    let sql = "UPDATE allocations SET display_name = 'x', limit_per_owner = 9, drain_to = 50, version = version + 1
                WHERE event_id = 'demo'";
    let fields = ["display_name", "drain_to", "limit_per_owner", "version"];
    assert_eq!(differences(sql).await, fields.map(|field| (ga(), field)));
}

#[tokio::test]
async fn changed_reservations_show() {
    let sql = "UPDATE reservations SET state = 'HELD' WHERE event_id = 'demo' AND state = 'RELEASED'";
    assert_eq!(differences(sql).await, [(of(2), "held units"), (of(2), "state")]);
    let sql = "UPDATE reservations SET owner = 'mallory' WHERE event_id = 'demo' AND state = 'CONFIRMED'";
    assert_eq!(differences(sql).await, [(of(1), "owner")]);
    let sql =
        "UPDATE reservations SET lines = '{\"ga\":3}' WHERE event_id = 'demo' AND state = 'HELD' AND owner = 'ann'";
    assert_eq!(differences(sql).await, [(of(3), "granted units"), (of(3), "held units")]);
    let sql = "UPDATE reservations SET created_at = 1, updated_at = 2, expires_at = 3 WHERE event_id = 'demo' AND state = 'CONFIRMED'";
    assert_eq!(differences(sql).await, ["created_at", "expires_at", "updated_at"].map(|field| (of(1), field)));
    let sql = "DELETE FROM reservations WHERE event_id = 'demo' AND order_ref = 'order-1'";
    assert_eq!(differences(sql).await, [(of(1), "reservation")]);
}

/// Whoever has to mend it is told which row it is.
#[tokio::test]
async fn a_row_that_cannot_be_read_is_named() {
    let world = World::new().await;
    let event = honest_event(&world, "demo").await;
    execute(&world, "UPDATE reservations SET lines = 'two' WHERE owner = 'eve'").await;
    let error = world.engine.audit(&event).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "the database holds an impossible value: reservation {}: units two: expected ident at line 1 column 2",
            id(4)
        )
    );
}

/// Takes all journal entries of a kind out of their chunks.
macro_rules! without_kind {
    ($kind:literal) => {
        concat!(
            "UPDATE journal_chunks SET entries = (SELECT json_group_array(json(g.value)) FROM json_each(entries) AS g",
            " WHERE g.value ->> 2 <> '",
            $kind,
            "') WHERE event_id = 'demo'"
        )
    };
}

#[tokio::test]
async fn a_changed_journal_shows() {
    let sql = without_kind!("RELEASED");
    let found = differences(sql).await;
    assert!(found.contains(&(Subject::Event, "last_seq")), "{found:?}");
    assert!(found.contains(&(of(2), "state")), "{found:?}");
    assert!(found.contains(&(ga(), "held")), "{found:?}");
    let sql = without_kind!("CONFIRMED");
    let found = differences(sql).await;
    assert!(found.contains(&(Subject::Event, "journal")), "a gap: {found:?}");
    assert!(found.contains(&(of(1), "state")), "{found:?}");
}
