//! Every bad input gets its own error that names the fields, and never comes as far as the database: all calls here go to
//! a server whose store counts the batches that reach it. (Each field's bounds have their own table beside the validators.)

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use boxoffice_proto::v1;
use prost::Message as _;
use prost_types::{Duration, FieldMask, FileDescriptorSet};
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use crate::in_process::{Running, StuckStore, config, start};
use crate::support::{by, reason};

const RESERVATION: &str = "events/gala/reservations/0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71";

/// Which calls were tried, and that each was refused as it should be.
#[derive(Default)]
struct Tried(BTreeSet<&'static str>);

impl Tried {
    /// Checks that `rpc` was refused for the reason of the first of `fields`, and that it names them all.
    fn invalid<T>(&mut self, rpc: &'static str, result: Result<Response<T>, Status>, reasons: &str, fields: &[&str]) {
        let status = self.refused(rpc, result);
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, reasons), "{rpc}: {status:?}");
        let named = status.get_details_bad_request().expect("a BadRequest");
        let named: Vec<_> = named.field_violations.iter().map(|each| each.field.as_str()).collect();
        assert_eq!(named, fields, "{rpc}");
        assert!(status.message().starts_with(fields[0]), "{rpc}: {}", status.message());
    }

    fn refused<T>(&mut self, rpc: &'static str, result: Result<Response<T>, Status>) -> Status {
        self.0.insert(rpc);
        result.map(drop).expect_err(rpc)
    }
}

#[tokio::test]
async fn every_call_refuses_bad_input_by_field() {
    let store = StuckStore::default();
    let batches = Arc::clone(&store.batches);
    let server = start(Arc::new(store), config()).await;
    let mut tried = Tried::default();
    buyers_reads(&server, &mut tried).await;
    buyers_reservations(&server, &mut tried).await;
    buyers_transitions(&server, &mut tried).await;
    those_who_wait(&server, &mut tried).await;
    operators_edits(&server, &mut tried).await;
    operators_reads(&server, &mut tried).await;
    assert_eq!(tried.0, all_calls().iter().map(String::as_str).collect(), "each call has a row");
    assert_eq!(batches.load(Ordering::SeqCst), 0, "nothing came as far as the store");
}

/// The calls of all services, from their descriptors: a new one must get a row.
pub(crate) fn all_calls() -> BTreeSet<String> {
    let files = FileDescriptorSet::decode(boxoffice_proto::FILE_DESCRIPTOR_SET).expect("descriptors").file;
    let services = files.into_iter().flat_map(|file| file.service);
    let calls = services.flat_map(|service| {
        let name = service.name().to_owned();
        service.method.into_iter().map(move |method| format!("{name}/{}", method.name()))
    });
    calls.collect()
}

async fn buyers_reads(server: &Running, tried: &mut Tried) {
    let mut client = server.inventory();
    let request = v1::GetEventRequest { name: "gala".into(), consistency: 9 };
    let result = client.get_event(request).await;
    tried.invalid("InventoryService/GetEvent", result, "INVALID_NAME", &["name", "consistency"]);

    let request = v1::ListEventsRequest { page_size: -1, page_token: "x".into(), consistency: 0 };
    let result = client.list_events(request).await;
    tried.invalid("InventoryService/ListEvents", result, "INVALID_PAGE_SIZE", &["page_size", "page_token"]);

    let request = v1::WatchEventRequest { name: "events/Gala".into(), from_seq: -1 };
    let result = client.watch_event(request).await;
    tried.invalid("InventoryService/WatchEvent", result, "INVALID_NAME", &["name", "from_seq"]);

    let request = v1::GetReservationRequest { name: "events/gala/reservations/1".into() };
    let result = client.get_reservation(by("ann", request)).await;
    tried.invalid("InventoryService/GetReservation", result, "INVALID_NAME", &["name"]);

    let request = v1::ListReservationsRequest { parent: String::new(), page_size: -1, page_token: "?".into() };
    let result = client.list_reservations(by("ann", request)).await;
    let fields = ["parent", "page_size", "page_token"];
    tried.invalid("InventoryService/ListReservations", result, "INVALID_PARENT", &fields);
}

async fn buyers_reservations(server: &Running, tried: &mut Tried) {
    let mut client = server.inventory();
    let line = |allocation: &str, quantity| v1::reservation::Line {
        allocation: allocation.to_owned(),
        quantity,
        ..Default::default()
    };
    let wrong = v1::CreateReservationRequest {
        parent: "events/gala".into(),
        reservation_id: "one".into(),
        reservation: Some(v1::Reservation {
            lines: vec![line("events/gala/allocations/a", 1), line("events/other/allocations/a", 0)],
            ttl: Some(Duration { seconds: 1, nanos: -5 }),
            ..Default::default()
        }),
        mode: 7,
        replaces: "x".into(),
        order_ref: "\u{7}".into(),
    };
    let fields = [
        "reservation_id",
        "reservation.lines[1].allocation",
        "reservation.lines[1].quantity",
        "reservation.ttl",
        "mode",
        "replaces",
        "order_ref",
    ];
    let call = "InventoryService/CreateReservation";
    let result = client.create_reservation(by("ann", wrong.clone())).await;
    tried.invalid(call, result, "INVALID_RESERVATION_ID", &fields);
    let result = client.create_reservation(by("ann", v1::CreateReservationRequest::default())).await;
    tried.invalid(call, result, "INVALID_PARENT", &["parent", "reservation_id", "reservation"]);
    let result = client.create_reservation(by("an n", wrong.clone())).await;
    tried.invalid(call, result, "INVALID_OWNER", &["boxoffice-owner"]);

    let call = "InventoryService/BatchCreateReservations";
    let batch = |requests, owners| v1::BatchCreateReservationsRequest {
        parent: "events/gala".into(),
        requests,
        owners,
        passes: Vec::new(),
    };
    let result = client.batch_create_reservations(by("ann", batch(Vec::new(), Vec::new()))).await;
    tried.invalid(call, result, "INVALID_REQUESTS", &["requests"]);
    let many = vec![v1::CreateReservationRequest::default(); 1_001];
    let result = client.batch_create_reservations(by("ann", batch(many, vec!["ann".into()]))).await;
    tried.invalid(call, result, "INVALID_REQUESTS", &["requests", "owners"]);

    // Requests of a batch fail alone, each with the error that it would have had alone.
    let two = batch(vec![wrong.clone(), wrong], vec!["ann".into(), "b b".into()]);
    let outcomes = client.batch_create_reservations(by("ann", two)).await.expect("outcomes").into_inner().outcomes;
    let named: Vec<Vec<String>> = outcomes.into_iter().map(fields_of).collect();
    assert_eq!(named, [fields.map(str::to_owned).to_vec(), vec!["owners[1]".to_owned()]]);
}

/// The fields that a failed outcome names.
fn fields_of(outcome: v1::batch_create_reservations_response::Outcome) -> Vec<String> {
    use v1::batch_create_reservations_response::outcome::Outcome;
    let error = match outcome.outcome {
        Some(Outcome::Error(error)) => Some(error),
        Some(Outcome::Reservation(_)) | None => None,
    };
    let error = error.expect("an error");
    assert_eq!(error.code, i32::from(Code::InvalidArgument));
    let details = error.encode_to_vec();
    let status = Status::with_details(Code::InvalidArgument, error.message, details.into());
    let named = status.get_details_bad_request().expect("a BadRequest");
    named.field_violations.into_iter().map(|each| each.field).collect()
}

async fn buyers_transitions(server: &Running, tried: &mut Tried) {
    let mut client = server.inventory();
    let ttl = Some(Duration { seconds: 2_592_001, nanos: 0 });
    let request = v1::ExtendReservationRequest { name: RESERVATION.to_uppercase(), ttl };
    let result = client.extend_reservation(by("ann", request)).await;
    tried.invalid("InventoryService/ExtendReservation", result, "INVALID_NAME", &["name", "ttl"]);

    let request = v1::ReleaseReservationRequest { name: "events/gala".into() };
    let result = client.release_reservation(by("ann", request)).await;
    tried.invalid("InventoryService/ReleaseReservation", result, "INVALID_NAME", &["name"]);

    let request =
        v1::ConfirmReservationRequest { name: RESERVATION.into(), order_ref: "x".repeat(129), on_expired: -1 };
    let result = client.confirm_reservation(by("ann", request)).await;
    let fields = ["order_ref", "on_expired"];
    tried.invalid("InventoryService/ConfirmReservation", result, "INVALID_ORDER_REF", &fields);

    let line = |cancelled_quantity| v1::cancel_reservation_request::Line {
        allocation: "events/gala/allocations/a".into(),
        cancelled_quantity,
    };
    let request = v1::CancelReservationRequest { name: RESERVATION.into(), lines: vec![line(-1), line(1), line(2)] };
    let result = client.cancel_reservation(by("ann", request)).await;
    let fields = ["lines[0].cancelled_quantity", "lines[2].allocation"];
    tried.invalid("InventoryService/CancelReservation", result, "INVALID_QUANTITY", &fields);
}

async fn those_who_wait(server: &Running, tried: &mut Tried) {
    let mut client = server.rooms();
    let result = client.join_waiting_room(by("ann", v1::JoinWaitingRoomRequest { parent: "gala".into() })).await;
    tried.invalid("WaitingRoomService/JoinWaitingRoom", result, "INVALID_PARENT", &["parent"]);
    let result = client.watch_place(by("ann", v1::WatchPlaceRequest { parent: RESERVATION.into() })).await;
    tried.invalid("WaitingRoomService/WatchPlace", result, "INVALID_PARENT", &["parent"]);
    let result = client.leave_waiting_room(by("ann", v1::LeaveWaitingRoomRequest::default())).await;
    tried.invalid("WaitingRoomService/LeaveWaitingRoom", result, "INVALID_PARENT", &["parent"]);
}

async fn operators_edits(server: &Running, tried: &mut Tried) {
    let mut client = server.admin();
    let mask = |path: &str| Some(FieldMask { paths: vec![path.to_owned()] });
    let waiting_room = Some(v1::WaitingRoom {
        admissions_per_second: 100_001,
        inside_max: -1,
        on_loss: 3,
        pass_lifetime: Some(Duration { seconds: 86_401, nanos: 0 }),
        grace: Some(Duration { seconds: 0, nanos: 999_999_999 }),
    });
    let event = v1::Event { sales_state: 6, limit_per_owner: -1, waiting_room, ..Default::default() };
    let request = v1::CreateEventRequest { event_id: "Gala".into(), event: Some(event.clone()) };
    let result = client.create_event(request).await;
    let fields = [
        "event_id",
        "event.sales_state",
        "event.limit_per_owner",
        "event.waiting_room.admissions_per_second",
        "event.waiting_room.inside_max",
        "event.waiting_room.on_loss",
        "event.waiting_room.pass_lifetime",
        "event.waiting_room.grace",
    ];
    tried.invalid("AdminService/CreateEvent", result, "INVALID_EVENT_ID", &fields);

    let request = v1::UpdateEventRequest { event: Some(event), update_mask: mask("create_time") };
    let result = client.update_event(request).await;
    let fields = ["update_mask.paths[0]", "event.name"];
    tried.invalid("AdminService/UpdateEvent", result, "INVALID_UPDATE_MASK", &fields);

    let allocation = v1::Allocation { capacity: -1, etag: "1".into(), ..Default::default() };
    let request = v1::CreateAllocationRequest {
        parent: "events/gala".into(),
        allocation_id: String::new(),
        allocation: Some(allocation.clone()),
    };
    let result = client.create_allocation(request).await;
    let fields = ["allocation_id", "allocation.capacity"];
    tried.invalid("AdminService/CreateAllocation", result, "INVALID_ALLOCATION_ID", &fields);

    let request =
        v1::UpdateAllocationRequest { allocation: Some(allocation), update_mask: mask("capacity"), capacity_mode: 3 };
    let result = client.update_allocation(request).await;
    let fields = ["capacity_mode", "allocation.name", "allocation.etag", "allocation.capacity"];
    tried.invalid("AdminService/UpdateAllocation", result, "INVALID_CAPACITY_MODE", &fields);

    let allocations = vec![v1::Allocation { capacity: -1, ..Default::default() }];
    let event = Some(v1::Event { name: "events/gala".into(), etag: "1".into(), ..Default::default() });
    let request = v1::ApplyEventRequest { event, allocations, capacity_mode: 3, validate_only: false };
    let result = client.apply_event(request).await;
    let fields = ["capacity_mode", "event.etag", "allocations[0].name", "allocations[0].capacity"];
    tried.invalid("AdminService/ApplyEvent", result, "INVALID_CAPACITY_MODE", &fields);

    let result = client.transfer_capacity(v1::TransferCapacityRequest::default()).await;
    let fields = ["from", "to", "quantity", "from_etag", "to_etag"];
    tried.invalid("AdminService/TransferCapacity", result, "INVALID_FROM", &fields);

    let request = v1::ForceReleaseReservationRequest { name: RESERVATION.into(), reason: String::new() };
    let result = client.force_release_reservation(request).await;
    tried.invalid("AdminService/ForceReleaseReservation", result, "INVALID_REASON", &["reason"]);
}

async fn operators_reads(server: &Running, tried: &mut Tried) {
    let mut client = server.admin();
    let request = v1::AdminServiceListReservationsRequest {
        parent: "events/gala".into(),
        owner: "a b".into(),
        page_size: -2,
        page_token: "x".into(),
    };
    let result = client.list_reservations(request).await;
    let fields = ["page_size", "owner", "page_token"];
    tried.invalid("AdminService/ListReservations", result, "INVALID_PAGE_SIZE", &fields);

    let request = v1::ListChangesRequest { parent: "events/".into(), from_seq: -1, page_size: -1 };
    let result = client.list_changes(request).await;
    tried.invalid("AdminService/ListChanges", result, "INVALID_PARENT", &["parent", "from_seq", "page_size"]);

    let request = v1::WatchChangesRequest { parent: "gala".into(), from_seq: i64::MIN };
    let result = client.watch_changes(request).await;
    tried.invalid("AdminService/WatchChanges", result, "INVALID_PARENT", &["parent", "from_seq"]);

    let result = client.audit_event(v1::AuditEventRequest::default()).await;
    tried.invalid("AdminService/AuditEvent", result, "INVALID_NAME", &["name"]);
}

#[tokio::test]
async fn buyers_must_say_who_they_are() {
    let server = start(Arc::new(StuckStore::default()), config()).await;
    let mut client = server.inventory();
    let name = || RESERVATION.to_owned();
    let mut refused = vec![
        client.create_reservation(v1::CreateReservationRequest::default()).await.err(),
        client.batch_create_reservations(v1::BatchCreateReservationsRequest::default()).await.err(),
        client.get_reservation(v1::GetReservationRequest { name: name() }).await.err(),
        client.list_reservations(v1::ListReservationsRequest::default()).await.err(),
    ];
    refused.push(client.extend_reservation(v1::ExtendReservationRequest { name: name(), ttl: None }).await.err());
    refused.push(client.release_reservation(v1::ReleaseReservationRequest { name: name() }).await.err());
    refused.push(client.confirm_reservation(v1::ConfirmReservationRequest::default()).await.err());
    refused.push(client.cancel_reservation(v1::CancelReservationRequest::default()).await.err());
    let mut rooms = server.rooms();
    refused.push(rooms.join_waiting_room(v1::JoinWaitingRoomRequest::default()).await.err());
    refused.push(rooms.watch_place(v1::WatchPlaceRequest::default()).await.err());
    refused.push(rooms.leave_waiting_room(v1::LeaveWaitingRoomRequest::default()).await.err());
    for status in refused {
        let status = status.expect("refused");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "UNAUTHENTICATED"));
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let server = start(Arc::new(StuckStore::default()), config()).await;
    let (mut buyer, mut operator) = (server.inventory(), server.admin());
    let other = || "events/other".to_owned();
    let of = |owner: &str| v1::AdminServiceListReservationsRequest {
        parent: other(),
        owner: owner.to_owned(),
        ..Default::default()
    };
    let events = [
        buyer.get_event(v1::GetEventRequest { name: other(), consistency: 0 }).await.err(),
        buyer.watch_event(v1::WatchEventRequest { name: other(), from_seq: 0 }).await.err(),
        operator.list_changes(v1::ListChangesRequest { parent: other(), ..Default::default() }).await.err(),
        operator.watch_changes(v1::WatchChangesRequest { parent: other(), from_seq: 0 }).await.err(),
        operator.audit_event(v1::AuditEventRequest { name: other() }).await.err(),
        operator.list_reservations(of("")).await.err(),
        operator.list_reservations(of("ann")).await.err(),
    ];
    for status in events {
        let status = status.expect("refused");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "EVENT_NOT_FOUND"));
        assert_eq!(status.get_details_resource_info().expect("which").resource_name, "events/other");
    }
    let request = v1::ListReservationsRequest { parent: other(), ..Default::default() };
    let status = buyer.list_reservations(by("ann", request)).await.expect_err("no such event");
    assert_eq!(reason(&status), "EVENT_NOT_FOUND");
    let request = v1::GetReservationRequest { name: RESERVATION.into() };
    let status = buyer.get_reservation(by("ann", request)).await.expect_err("no such reservation");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "RESERVATION_NOT_FOUND"));
}
