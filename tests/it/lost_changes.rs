//! A database that has lost its last changes, as after a failover to a standby that lagged, while people follow an event.

use std::time::Duration;

use boxoffice_proto::v1;
use private_cluster::{fresh_database, shared};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use crate::support::{Server, by, create_event, event, new_id, reason, wants};

/// A guard against waiting forever, not a measure.
const PATIENCE: Duration = Duration::from_secs(20);
const TABLES: [&str; 5] = ["events", "allocations", "reservations", "journal_chunks", "owner_index"];

/// An event on sale, in a database that can be set back.
struct Sale {
    server: Server,
    database: String,
}

impl Sale {
    async fn start() -> Self {
        let url = fresh_database(shared()).expect("a database");
        let server = Server::start_on(&url, &[]);
        create_event(&server, v1::Event::default(), &[("floor", 100)]).await;
        let database = url.rsplit('/').next().expect("a name").to_owned();
        Self { server, database }
    }

    /// Remembers what there is.
    fn save(&self, state: &str) {
        let each = TABLES.map(|table| format!("CREATE TABLE {state}_{table} AS TABLE {table};"));
        shared().psql(&self.database, &each.concat()).expect("it is saved");
    }

    /// Sets the database to what was saved. The server keeps its connections, as where a pooler hides a failover.
    fn set_to(&self, state: &str) {
        let each = TABLES.map(|table| format!("TRUNCATE {table}; INSERT INTO {table} SELECT * FROM {state}_{table};"));
        shared().psql(&self.database, &format!("BEGIN; {} COMMIT;", each.concat())).expect("it is set back");
    }

    async fn buy(&self) {
        let request = wants(&new_id(), &[("floor", 1)]);
        self.server.inventory().create_reservation(by("ann", request)).await.expect("granted");
    }

    async fn watch(&self) -> Streaming<v1::WatchEventResponse> {
        let request = v1::WatchEventRequest { name: "events/sale".to_owned(), from_seq: 0 };
        self.server.inventory().watch_event(request).await.expect("a stream").into_inner()
    }

    /// Follows the journal, and has been told of change `seq`.
    async fn follow_to(&self, seq: i64) -> Streaming<v1::WatchChangesResponse> {
        let request = v1::WatchChangesRequest { parent: "events/sale".to_owned(), from_seq: 0 };
        let mut stream = self.server.admin().watch_changes(request).await.expect("a stream").into_inner();
        while next(&mut stream).await.expect("changes").changes.last().expect("at least one").seq < seq {}
        stream
    }
}

/// What a stream brings next.
async fn next<T>(stream: &mut Streaming<T>) -> Result<T, Status> {
    let message = timeout(PATIENCE, stream.message()).await.expect("something comes");
    message.map(|message| message.expect("the stream does not end without a word"))
}

fn assert_begin_anew<T: std::fmt::Debug>(told: Result<T, Status>) {
    let status = told.expect_err("there is no such change any more");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_FROM_SEQ"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_an_event_is_told_when_what_he_has_seen_is_no_more() {
    let sale = Sale::start().await;
    sale.save("before");
    sale.buy().await;
    let newest = event(&sale.server).await.seq;
    let mut followed = sale.follow_to(newest).await;
    let mut watched = sale.watch().await;
    assert_eq!(next(&mut watched).await.expect("the state").event.expect("an event").seq, newest);

    sale.set_to("before");
    assert_begin_anew(next(&mut followed).await);
    assert_begin_anew(next(&mut watched).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_the_journal_is_not_led_on_by_changes_that_took_the_numbers_of_those_he_has_seen() {
    let sale = Sale::start().await;
    sale.save("before");
    for _ in 0..2 {
        sale.buy().await;
    }
    sale.save("lost");
    sale.set_to("before");
    for _ in 0..3 {
        sale.buy().await;
    }
    sale.save("after");
    sale.set_to("lost");

    let mut followed = sale.follow_to(event(&sale.server).await.seq).await;
    sale.set_to("after");
    assert_begin_anew(next(&mut followed).await);
}
