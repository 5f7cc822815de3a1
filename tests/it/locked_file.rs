//! Another program keeps the file of the embedded database locked for a while.

use std::time::{Duration, Instant};

use boxoffice_proto::v1;
use sqlx::ConnectOptions as _;
use tonic::Code;

use crate::support::{assert_audit_is_clean, by, new_id, reason, server_with_event, wants};

/// How long a batch waits for the file. A caller may come while one waits, and wait with the next.
const LOCK_WAIT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_hear_of_it_in_bounded_time_and_are_served_when_it_is_unlocked() {
    let (data, server) = server_with_event(v1::Event::default(), &[("floor", 10)]).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.path().join("boxoffice.db"));
    let mut other = options.connect().await.expect("a connection");
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.expect("nobody else writes now");

    let ids = [new_id(), new_id()];
    let buy = |id: &str| {
        let (mut client, request) = (server.inventory(), by("ann", wants(id, &[("floor", 1)])));
        tokio::spawn(async move { client.create_reservation(request).await })
    };
    let begin = Instant::now();
    for call in [buy(&ids[0]), buy(&ids[1])] {
        let status = call.await.expect("no panic").expect_err("it is locked");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
    }
    let waited = begin.elapsed();
    assert!(waited < 2 * LOCK_WAIT + LOCK_WAIT / 2, "{waited:?}");
    let strong = v1::GetEventRequest { name: "events/sale".to_owned(), consistency: v1::Consistency::Strong.into() };
    server.inventory().get_event(strong).await.expect("reads go on");

    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("it was begun");
    for id in &ids {
        buy(id).await.expect("no panic").expect("granted");
    }
    assert_eq!(assert_audit_is_clean(&server).await.reservations, 2);
}
