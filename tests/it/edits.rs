//! What operators' edits answer, and what the streams tell of them.

use std::sync::Arc;

use boxoffice::storage::sqlite::SqliteStore;
use boxoffice_proto::v1;
use boxoffice_proto::v1::change::Kind;
use prost::Message as _;
use prost_types::FieldMask;
use tempfile::TempDir;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::in_process::{Running, config, start};
use crate::support::{by, new_id, reason, wants};

/// A server with `events/sale`, which sells, and its allocations `a` (10 units) and `b` (5 units).
async fn sale() -> (TempDir, Running) {
    let data = tempfile::tempdir().expect("a directory");
    let store = SqliteStore::open(data.path()).await.expect("a new database");
    let server = start(Arc::new(store), config()).await;
    let event = v1::Event { sales_state: v1::SalesState::OnSale.into(), ..Default::default() };
    let request = v1::CreateEventRequest { event_id: "sale".to_owned(), event: Some(event) };
    server.admin().create_event(request).await.expect("created");
    for (id, capacity) in [("a", 10), ("b", 5)] {
        let request = v1::CreateAllocationRequest {
            parent: "events/sale".to_owned(),
            allocation_id: id.to_owned(),
            allocation: Some(v1::Allocation { capacity, ..Default::default() }),
        };
        server.admin().create_allocation(request).await.expect("created");
    }
    (data, server)
}

fn set_capacity(capacity: i32, etag: &str) -> v1::UpdateAllocationRequest {
    v1::UpdateAllocationRequest {
        allocation: Some(v1::Allocation {
            name: "events/sale/allocations/a".to_owned(),
            capacity,
            etag: etag.to_owned(),
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: vec!["capacity".to_owned()] }),
        capacity_mode: 0,
    }
}

/// The message that stands beside the reason in an error.
fn beside_the_reason<M: prost::Message + Default>(status: &Status) -> M {
    let details = tonic_types::pb::Status::decode(status.details()).expect("a google.rpc.Status").details;
    M::decode(&*details[1].value).expect("a message")
}

#[tokio::test]
async fn an_old_etag_is_told_the_current_state() {
    let (_data, server) = sale().await;
    let mut admin = server.admin();
    let updated = admin.update_allocation(set_capacity(20, "\"1\"")).await.expect("the etag is right").into_inner();
    assert_eq!((updated.capacity, updated.etag.as_str()), (20, "\"2\""));

    let status = admin.update_allocation(set_capacity(30, "\"1\"")).await.expect_err("the etag is old");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    assert_eq!(status.get_details_error_info().expect("info").metadata["etag"], "\"2\"");
    let current: v1::Allocation = beside_the_reason(&status);
    assert_eq!((current.capacity, current.etag.as_str()), (20, "\"2\""));

    let event = v1::Event { name: "events/sale".into(), etag: "\"9\"".into(), sales_state: 3, ..Default::default() };
    let update_mask = Some(FieldMask { paths: vec!["sales_state".to_owned()] });
    let request = v1::UpdateEventRequest { event: Some(event), update_mask };
    let status = admin.update_event(request).await.expect_err("there is no such etag yet");
    let current: v1::Event = beside_the_reason(&status);
    assert_eq!((current.etag.as_str(), current.sales_state()), ("\"1\"", v1::SalesState::OnSale));
}

/// Who pauses a sale is not told that it is on, with an etag that overwrites the edit of somebody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_at_once_are_each_answered_with_their_own() {
    let (_data, server) = sale().await;
    let operators = (0..4).map(|operator| {
        let mut admin = server.admin();
        tokio::spawn(async move {
            for round in 0..50 {
                let asked = if (operator + round) % 2 == 0 { v1::SalesState::Paused } else { v1::SalesState::OnSale };
                let event = v1::Event { name: "events/sale".into(), sales_state: asked.into(), ..Default::default() };
                let update_mask = Some(FieldMask { paths: vec!["sales_state".to_owned()] });
                let answer = admin.update_event(v1::UpdateEventRequest { event: Some(event), update_mask }).await;
                assert_eq!(answer.expect("there is no etag to be wrong").into_inner().sales_state(), asked);
            }
        })
    });
    for operator in operators.collect::<Vec<_>>() {
        operator.await.expect("each is answered with what it asked for");
    }
}

#[tokio::test]
async fn an_edit_is_answered_with_the_whole_event() {
    let (_data, server) = sale().await;
    let event = v1::Event { name: "events/sale".into(), display_name: "New".into(), ..Default::default() };
    let update_mask = Some(FieldMask { paths: vec!["display_name".to_owned()] });
    let request = v1::UpdateEventRequest { event: Some(event), update_mask };
    let event = server.admin().update_event(request).await.expect("edited").into_inner();
    assert_eq!((event.display_name.as_str(), event.seq, event.etag.as_str()), ("New", 4, "\"2\""));
    let available: Vec<_> = event.allocations.iter().map(|each| each.available).collect();
    assert_eq!(available, [10, 5]);
}

#[tokio::test]
async fn a_reversed_sale_is_refused_by_field_also_on_update() {
    let (_data, server) = sale().await;
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let event =
        v1::Event { name: "events/sale".into(), on_sale_time: at(9), off_sale_time: at(9), ..Default::default() };
    let paths = ["on_sale_time", "off_sale_time"].map(str::to_owned).to_vec();
    let request = v1::UpdateEventRequest { event: Some(event), update_mask: Some(FieldMask { paths }) };
    let status = server.admin().update_event(request).await.expect_err("it would end when it begins");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "INVALID_OFF_SALE_TIME"));
    assert_eq!(status.get_details_bad_request().expect("which").field_violations[0].field, "event.off_sale_time");
}

#[tokio::test]
async fn a_watcher_sees_the_newest_state_and_a_reader_of_changes_sees_each() {
    let (_data, server) = sale().await;
    let request = v1::WatchEventRequest { name: "events/sale".to_owned(), from_seq: 0 };
    let mut states = server.inventory().watch_event(request).await.expect("a stream").into_inner();
    let request = v1::WatchChangesRequest { parent: "events/sale".to_owned(), from_seq: 4 };
    let mut changes = server.admin().watch_changes(request).await.expect("a stream").into_inner();
    let first = states.message().await.expect("a message").expect("a state").event.expect("an event");
    assert_eq!(first.seq, 3);

    for _ in 0..10 {
        server.inventory().create_reservation(by("ann", wants(&new_id(), &[("a", 1)]))).await.expect("granted");
    }
    let mut seen = first.seq;
    while seen < 13 {
        let state = states.message().await.expect("a message").expect("a state").event.expect("an event");
        assert!(state.seq > seen, "{} after {seen}", state.seq);
        assert_eq!(i64::from(state.allocations[0].held), state.seq - 3, "counts and seq are of one moment");
        seen = state.seq;
    }
    let mut told = Vec::new();
    while told.len() < 10 {
        told.extend(changes.message().await.expect("a message").expect("changes").changes);
    }
    let told: Vec<_> = told.iter().map(|change| (change.seq, change.kind(), change.owner.as_str())).collect();
    assert_eq!(told, (4..=13).map(|seq| (seq, Kind::Reserved, "ann")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_tells_the_outcome_of_each() {
    let (_data, server) = sale().await;
    let request = |lines: &[(&str, i32)]| wants(&new_id(), lines);
    let requests =
        vec![request(&[("a", 4)]), request(&[("b", 6)]), request(&[("none", 1)]), request(&[]), request(&[("a", 6)])];
    let owners = ["ann", "bob", "cid", "dan", "eve"].map(str::to_owned).to_vec();
    let batch =
        v1::BatchCreateReservationsRequest { parent: "events/sale".to_owned(), requests, owners, passes: Vec::new() };
    let outcomes = server.inventory().batch_create_reservations(batch).await.expect("outcomes").into_inner().outcomes;
    let told: Vec<_> = outcomes.into_iter().map(outcome).collect();
    let wanted =
        ["granted to ann", "INSUFFICIENT_AVAILABILITY", "ALLOCATION_NOT_FOUND", "INVALID_LINES", "granted to eve"];
    assert_eq!(told, wanted);
}

/// An outcome in short.
fn outcome(outcome: v1::batch_create_reservations_response::Outcome) -> String {
    use v1::batch_create_reservations_response::outcome::Outcome;
    match outcome.outcome {
        Some(Outcome::Reservation(reservation)) => format!("granted to {}", reservation.owner),
        Some(Outcome::Error(error)) => {
            reason(&Status::with_details(Code::from(error.code), "", error.encode_to_vec().into()))
        }
        None => String::new(),
    }
}
