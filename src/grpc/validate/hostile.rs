//! Every request of all services, from bytes that nobody honest sends.
//!
//! Whatever decodes is taken or refused, never anything else; a refusal names fields of the request, and fits the headers of every
//! client; what is taken says the same after it was encoded and read again.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::LazyLock;

use boxoffice_proto::v1;
use hostile_bytes::{Attack, Messages};
use prost::Message;
use tonic::Status;

use super::*;
use crate::domain::OwnerId;

static SCHEMA: LazyLock<Messages> = LazyLock::new(|| Messages::of(boxoffice_proto::FILE_DESCRIPTOR_SET));

/// What a client of gRPC takes of headers at the least: the limit of 8 KiB that many have.
const HEADERS_BYTES_MAX: usize = 8 * 1024;

/// What became of one request: what was taken, as text, or what is wrong with it.
type Told = Result<String, Violations>;

/// Reads and checks bytes as the request of a call. A batch tells of each of its requests, which name their own fields.
type Target = fn(&[u8]) -> Option<Vec<(Whole, Told)>>;

/// Whether something was told of the whole request, or of one within it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Whole {
    Yes,
    No,
}

/// Each call, and what stands between its bytes and the engine.
const TARGETS: [(&str, Target); 25] = [
    ("InventoryService/GetEvent", |bytes| one(bytes, |request| get_event(&request))),
    ("InventoryService/ListEvents", |bytes| one(bytes, |request| list_events(&request))),
    ("InventoryService/WatchEvent", |bytes| one(bytes, |request| watch_event(&request))),
    ("InventoryService/CreateReservation", |bytes| one(bytes, |request| create_reservation(&request))),
    ("InventoryService/BatchCreateReservations", |bytes| several(bytes, batch_and_items)),
    ("InventoryService/GetReservation", |bytes| one(bytes, |request| get_reservation(&request))),
    ("InventoryService/ListReservations", |bytes| one(bytes, |request| list_reservations(&request, &ann()))),
    ("InventoryService/ExtendReservation", |bytes| one(bytes, |request| extend(&request))),
    ("InventoryService/ReleaseReservation", |bytes| one(bytes, |request| release(&request))),
    ("InventoryService/ConfirmReservation", |bytes| one(bytes, |request| confirm(&request))),
    ("InventoryService/CancelReservation", |bytes| one(bytes, |request| cancel(&request))),
    ("WaitingRoomService/JoinWaitingRoom", |bytes| {
        one(bytes, |request: v1::JoinWaitingRoomRequest| waiting_room_of(&request.parent))
    }),
    ("WaitingRoomService/WatchPlace", |bytes| {
        one(bytes, |request: v1::WatchPlaceRequest| waiting_room_of(&request.parent))
    }),
    ("WaitingRoomService/LeaveWaitingRoom", |bytes| {
        one(bytes, |request: v1::LeaveWaitingRoomRequest| waiting_room_of(&request.parent))
    }),
    ("AdminService/CreateEvent", |bytes| one(bytes, create_event)),
    ("AdminService/UpdateEvent", |bytes| one(bytes, update_event)),
    ("AdminService/CreateAllocation", |bytes| one(bytes, create_allocation)),
    ("AdminService/UpdateAllocation", |bytes| one(bytes, update_allocation)),
    ("AdminService/ApplyEvent", |bytes| one(bytes, apply_event)),
    ("AdminService/TransferCapacity", |bytes| one(bytes, |request| transfer_capacity(&request))),
    ("AdminService/ForceReleaseReservation", |bytes| one(bytes, force_release)),
    ("AdminService/ListReservations", |bytes| one(bytes, |request| list_all_reservations(&request))),
    ("AdminService/ListChanges", |bytes| one(bytes, |request| list_changes(&request))),
    ("AdminService/WatchChanges", |bytes| one(bytes, |request| watch_changes(&request))),
    ("AdminService/AuditEvent", |bytes| one(bytes, |request| audit_event(&request))),
];

fn ann() -> OwnerId {
    OwnerId::new("ann").expect("an owner")
}

fn one<M, T>(bytes: &[u8], check: impl Fn(M) -> Result<T, Violations>) -> Option<Vec<(Whole, Told)>>
where
    M: Message + Default + Clone + PartialEq,
    T: Debug,
{
    several(bytes, |request| vec![(Whole::Yes, check(request).map(|checked| format!("{checked:?}")))])
}

/// As it stands in `bytes`, if it does. What it says must not depend on how it was written.
fn several<M>(bytes: &[u8], check: impl Fn(M) -> Vec<(Whole, Told)>) -> Option<Vec<(Whole, Told)>>
where
    M: Message + Default + Clone + PartialEq,
{
    let request = M::decode(bytes).ok()?;
    let again = M::decode(&*request.encode_to_vec()).expect("what was read can be read again");
    assert!(request == again, "written and read again it is the same");
    let (first, second) = (check(request), check(again));
    assert_eq!(first, second);
    Some(first)
}

/// The batch, and each of its requests.
fn batch_and_items(request: v1::BatchCreateReservationsRequest) -> Vec<(Whole, Told)> {
    let batch = match batch(request) {
        Ok(batch) => batch,
        Err(violations) => return vec![(Whole::Yes, Err(violations))],
    };
    let item = |item| (Whole::No, batch_item(&batch.event, item).map(|item| format!("{item:?}")));
    let owner =
        |(index, owner): (usize, &String)| (Whole::Yes, batch_owner(index, owner).map(|owner| owner.to_string()));
    batch.requests.iter().map(item).chain(batch.owners.iter().enumerate().map(owner)).collect()
}

/// What fields usually hold, so that much is taken.
fn likely(field: &str) -> &'static [&'static str] {
    const EVENT: &str = "events/gala";
    const ALLOCATION: &str = "events/gala/allocations/stalls";
    const RESERVATION: &str = "events/gala/reservations/0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71";
    match field {
        "name" => &[EVENT, ALLOCATION, RESERVATION],
        "parent" => &[EVENT],
        "event_id" | "allocation_id" => &["gala", "stalls"],
        "allocation" | "from" | "to" => &[ALLOCATION, "events/gala/allocations/pit", "events/other/allocations/pit"],
        "reservation_id" => &["0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e72"],
        "replaces" => &["", RESERVATION],
        "owner" | "owners" => &["ann", "bob"],
        "order_ref" => &["", "order-7"],
        "page_token" => &["", "AAAAAAAAAE3FKk9RrZSYmg", "Z2FsYXl3EI46i3QW", "AZLwwX06fMGODztdKpxOcR6T073FKPNu"],
        "etag" | "from_etag" | "to_etag" => &["", "\"0\"", "\"1\"", "\"9223372036854775807\""],
        "paths" => &["display_name", "sales_state", "capacity", "limit_per_owner", "max_hold_ttl", "on_sale_time"],
        _ => &["a text"],
    }
}

/// Looks at what was told of one request; `message` is what its fields belong to.
fn examine(message: &str, told: Told) -> String {
    let violations = match told {
        Ok(_) => return "taken".to_owned(),
        Err(violations) => violations,
    };
    assert!(!violations.as_slice().is_empty(), "a refusal says what is wrong");
    for each in violations.as_slice() {
        assert!(each.reason.starts_with("INVALID_"), "{each:?}");
        assert!(SCHEMA.has_field(message, &each.field), "{message} has no field {}", each.field);
    }
    let told = violations.as_slice().iter().map(|each| format!("{} {}", without_index(&each.field), each.reason));
    let told = told.collect::<Vec<_>>().join(", ");
    let headers = Status::from(violations).into_http::<()>();
    let bytes: usize = headers.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    assert!(bytes <= HEADERS_BYTES_MAX, "{bytes} bytes of headers: {told}");
    told
}

/// A path without its numbers: the same is wrong, wherever it stands.
fn without_index(path: &str) -> String {
    path.chars().filter(|each| !each.is_ascii_digit()).collect()
}

/// Attacks one call.
fn attack(name: &str, request: &str, target: Target) {
    let item = ".boxoffice.v1.CreateReservationRequest";
    Attack::on(name).run(
        |rng| SCHEMA.make(request, rng, &likely),
        |bytes| match target(bytes) {
            None => "not a message".to_owned(),
            Some(told) => {
                let of = |whole| if whole == Whole::Yes { request } else { item };
                let kinds: BTreeSet<_> = told.into_iter().map(|(whole, told)| examine(of(whole), told)).collect();
                kinds.into_iter().collect::<Vec<_>>().join("; ")
            }
        },
    );
}

#[test]
fn hostile_requests_are_taken_or_refused_by_field() {
    let calls: Vec<_> = SCHEMA.calls().iter().map(|call| call.name.as_str()).collect();
    let mut targets: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    let mut wanted = calls.clone();
    targets.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(targets, wanted, "every call of the services is a target");
    for call in SCHEMA.calls() {
        let (_, target) = TARGETS.iter().find(|(name, _)| *name == call.name).expect("see above");
        attack(&call.name, &call.request, *target);
    }
}
