//! The requests of buyers.

use boxoffice_proto::v1;

use super::fields::PAGES;
use super::{Path, Violations};
use crate::domain::{
    Action, AllocationId, EventId, LINE_QUANTITY_MAX, LINES_MAX, OwnerId, ReservationId, Reserve, Seq,
};
use crate::engine::Consistency;
use crate::grpc::convert::reservation;
use crate::grpc::page::Listing;

/// Most requests of one `BatchCreateReservations`.
pub(in crate::grpc) const BATCH_MAX: usize = 1_000;

const REQUEST: Path<'static> = Path::Request;

pub(in crate::grpc) fn get_event(request: &v1::GetEventRequest) -> Result<(EventId, Consistency), Violations> {
    let mut violations = Violations::default();
    let event = violations.event_name("INVALID_NAME", REQUEST.field("name"), &request.name);
    let consistency = consistency(&mut violations, request.consistency);
    violations.check(event.zip(consistency))
}

fn consistency(violations: &mut Violations, wanted: i32) -> Option<Consistency> {
    let consistency = match v1::Consistency::try_from(wanted) {
        Ok(v1::Consistency::Unspecified | v1::Consistency::Cached) => Some(Consistency::Cached),
        Ok(v1::Consistency::Strong) => Some(Consistency::Strong),
        Err(_) => None,
    };
    violations.known("INVALID_CONSISTENCY", REQUEST.field("consistency"), consistency)
}

/// A list of events that is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::grpc) struct EventsList {
    pub(in crate::grpc) listing: Listing,
    pub(in crate::grpc) size: usize,
    pub(in crate::grpc) after: Option<EventId>,
    pub(in crate::grpc) consistency: Consistency,
}

pub(in crate::grpc) fn list_events(request: &v1::ListEventsRequest) -> Result<EventsList, Violations> {
    let mut violations = Violations::default();
    let size = violations.page_size(request.page_size, PAGES);
    let listing = Listing::events();
    let after = violations.page_token(&request.page_token, listing);
    let consistency = consistency(&mut violations, request.consistency);
    let list = size.zip(after).zip(consistency);
    violations.check(list.map(|((size, after), consistency)| EventsList { listing, size, after, consistency }))
}

pub(in crate::grpc) fn watch_event(request: &v1::WatchEventRequest) -> Result<(EventId, Seq), Violations> {
    let mut violations = Violations::default();
    let event = violations.event_name("INVALID_NAME", REQUEST.field("name"), &request.name);
    let from = violations.start_seq(request.from_seq);
    violations.check(event.zip(from))
}

pub(in crate::grpc) fn create_reservation(
    request: &v1::CreateReservationRequest,
) -> Result<(EventId, Reserve), Violations> {
    let mut violations = Violations::default();
    let event = violations.event_name("INVALID_PARENT", REQUEST.field("parent"), &request.parent);
    let reserve = reserve(&mut violations, event.as_ref(), request);
    violations.check(event.zip(reserve))
}

/// A batch whose own fields are right. Each of its requests fails or succeeds alone.
#[derive(Debug)]
pub(in crate::grpc) struct Batch {
    pub(in crate::grpc) event: EventId,
    pub(in crate::grpc) requests: Vec<v1::CreateReservationRequest>,
    pub(in crate::grpc) owners: Vec<String>,
    pub(in crate::grpc) passes: Vec<String>,
}

pub(in crate::grpc) fn batch(request: v1::BatchCreateReservationsRequest) -> Result<Batch, Violations> {
    let mut violations = Violations::default();
    let event = violations.event_name("INVALID_PARENT", REQUEST.field("parent"), &request.parent);
    let v1::BatchCreateReservationsRequest { requests, owners, passes, .. } = request;
    if !(1..=BATCH_MAX).contains(&requests.len()) {
        violations.add("INVALID_REQUESTS", REQUEST.field("requests"), format!("must be 1 to {BATCH_MAX}"));
    }
    if !owners.is_empty() && owners.len() != requests.len() {
        violations.add("INVALID_OWNERS", REQUEST.field("owners"), "must be empty, or as many as requests");
    }
    if !passes.is_empty() && passes.len() != requests.len() {
        violations.add("INVALID_PASSES", REQUEST.field("passes"), "must be empty, or as many as requests");
    }
    violations.check(event.map(|event| Batch { event, requests, owners, passes }))
}

/// One request of a batch. Its paths are those of the request alone, as `CreateReservation` would name them.
pub(in crate::grpc) fn batch_item(
    event: &EventId,
    request: &v1::CreateReservationRequest,
) -> Result<Reserve, Violations> {
    let mut violations = Violations::default();
    if !request.parent.is_empty() && request.parent.strip_prefix("events/") != Some(event.as_str()) {
        violations.add("INVALID_PARENT", REQUEST.field("parent"), "must be empty or the batch's parent");
    }
    let reserve = reserve(&mut violations, Some(event), request);
    violations.check(reserve)
}

/// The owner that a batch names for one of its requests.
pub(in crate::grpc) fn batch_owner(index: usize, owner: &str) -> Result<OwnerId, Violations> {
    let mut violations = Violations::default();
    let owner = violations.owner(REQUEST.field("owners").index(index), owner);
    violations.check(owner)
}

fn reserve(
    violations: &mut Violations,
    event: Option<&EventId>,
    request: &v1::CreateReservationRequest,
) -> Option<Reserve> {
    let id =
        violations.reservation_id("INVALID_RESERVATION_ID", REQUEST.field("reservation_id"), &request.reservation_id);
    let reservation_path = REQUEST.field("reservation");
    let (mut lines, mut ttl) = (None, None);
    if let Some(wanted) = &request.reservation {
        lines = self::lines(violations, event, reservation_path.field("lines"), &wanted.lines);
        ttl = match &wanted.ttl {
            None => Some(None),
            Some(ttl) => violations.ttl("INVALID_TTL", reservation_path.field("ttl"), ttl).map(Some),
        };
    } else {
        violations.add("INVALID_RESERVATION", reservation_path, "must be set");
    }
    let mode = violations.known("INVALID_MODE", REQUEST.field("mode"), reservation::parse_mode(request.mode));
    let replaces = replaces(violations, event, id, &request.replaces);
    let order_ref = if request.order_ref.is_empty() {
        Some(None)
    } else {
        violations.order_ref(REQUEST.field("order_ref"), &request.order_ref).map(Some)
    };
    Some(Reserve { id: id?, lines: lines?, ttl: ttl?, mode: mode?, replaces: replaces?, order_ref: order_ref? })
}

fn replaces(
    violations: &mut Violations,
    event: Option<&EventId>,
    id: Option<ReservationId>,
    name: &str,
) -> Option<Option<ReservationId>> {
    const REASON: &str = "INVALID_REPLACES";
    let path = REQUEST.field("replaces");
    if name.is_empty() {
        return Some(None);
    }
    let (named, replaced) = violations.reservation_name(REASON, path, name)?;
    if event.is_some_and(|event| *event != named) {
        violations.add(REASON, path, "must be a reservation of the same event");
    } else if id == Some(replaced) {
        violations.add(REASON, path, "must be another reservation");
    }
    Some(Some(replaced))
}

/// The lines of a reservation: each allocation once, in order of their ids.
fn lines(
    violations: &mut Violations,
    event: Option<&EventId>,
    path: Path<'_>,
    lines: &[v1::reservation::Line],
) -> Option<Vec<(AllocationId, i64)>> {
    if !(1..=LINES_MAX).contains(&lines.len()) {
        violations.add("INVALID_LINES", path, format!("must be 1 to {LINES_MAX}"));
        return None;
    }
    let mut wanted = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let path = path.index(index);
        let allocation = violations.allocation_of(event, path.field("allocation"), &line.allocation);
        let quantity = violations.quantity(path.field("quantity"), line.quantity, LINE_QUANTITY_MAX);
        wanted.extend(allocation.zip(quantity));
    }
    wanted.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    wanted.dedup_by(|(later, more), (kept, quantity)| {
        let same = later == kept;
        if same {
            // At most `LINES_MAX` times `LINE_QUANTITY_MAX`: far from overflowing.
            *quantity += *more;
        }
        same
    });
    for (allocation, _) in wanted.iter().filter(|(_, quantity)| *quantity > LINE_QUANTITY_MAX) {
        let wanted = format!("must be at most {LINE_QUANTITY_MAX} units of {allocation} in all");
        violations.add("INVALID_QUANTITY", path, wanted);
    }
    Some(wanted)
}

pub(in crate::grpc) fn get_reservation(
    request: &v1::GetReservationRequest,
) -> Result<(EventId, ReservationId), Violations> {
    named_reservation(&request.name)
}

/// A list of one owner's reservations.
#[derive(Debug)]
pub(in crate::grpc) struct OwnList {
    pub(in crate::grpc) listing: Listing,
    pub(in crate::grpc) event: EventId,
    pub(in crate::grpc) size: usize,
    pub(in crate::grpc) after: Seq,
}

pub(in crate::grpc) fn list_reservations(
    request: &v1::ListReservationsRequest,
    owner: &OwnerId,
) -> Result<OwnList, Violations> {
    let mut violations = Violations::default();
    let event = violations.event_name("INVALID_PARENT", REQUEST.field("parent"), &request.parent);
    let size = violations.page_size(request.page_size, PAGES);
    let listing = Listing::own(&request.parent, owner.as_str());
    let after = violations.page_token::<Seq>(&request.page_token, listing);
    let list = event.zip(size).zip(after);
    violations.check(list.map(|((event, size), after)| OwnList { listing, event, size, after: after.unwrap_or(0) }))
}

pub(in crate::grpc) fn extend(request: &v1::ExtendReservationRequest) -> Result<(EventId, Action), Violations> {
    let mut violations = Violations::default();
    let named = violations.reservation_name("INVALID_NAME", REQUEST.field("name"), &request.name);
    let (reason, path) = ("INVALID_TTL", REQUEST.field("ttl"));
    let ttl = violations.require(reason, path, request.ttl.as_ref(), "must be set");
    let ttl = ttl.and_then(|ttl| violations.ttl(reason, path, ttl));
    violations.check(named.zip(ttl).map(|((event, id), ttl)| (event, Action::Extend { id, ttl })))
}

pub(in crate::grpc) fn release(request: &v1::ReleaseReservationRequest) -> Result<(EventId, Action), Violations> {
    named_reservation(&request.name).map(|(event, id)| (event, Action::Release { id }))
}

pub(in crate::grpc) fn confirm(request: &v1::ConfirmReservationRequest) -> Result<(EventId, Action), Violations> {
    let mut violations = Violations::default();
    let named = violations.reservation_name("INVALID_NAME", REQUEST.field("name"), &request.name);
    let order_ref = violations.order_ref(REQUEST.field("order_ref"), &request.order_ref);
    let on_expired = reservation::parse_on_expired(request.on_expired);
    let on_expired = violations.known("INVALID_ON_EXPIRED", REQUEST.field("on_expired"), on_expired);
    let all = named.zip(order_ref).zip(on_expired);
    violations
        .check(all.map(|(((event, id), order_ref), on_expired)| (event, Action::Confirm { id, order_ref, on_expired })))
}

pub(in crate::grpc) fn cancel(request: &v1::CancelReservationRequest) -> Result<(EventId, Action), Violations> {
    let mut violations = Violations::default();
    let named = violations.reservation_name("INVALID_NAME", REQUEST.field("name"), &request.name);
    let event = named.as_ref().map(|(event, _)| event);
    let lines = cancel_lines(&mut violations, event, REQUEST.field("lines"), &request.lines);
    violations.check(named.zip(lines).map(|((event, id), lines)| (event, Action::Cancel { id, lines })))
}

/// The lines of a refund, in the order of the request: a refusal names them by their index.
fn cancel_lines(
    violations: &mut Violations,
    event: Option<&EventId>,
    path: Path<'_>,
    lines: &[v1::cancel_reservation_request::Line],
) -> Option<Vec<(AllocationId, i64)>> {
    if lines.len() > LINES_MAX {
        violations.add("INVALID_LINES", path, format!("must be at most {LINES_MAX}"));
        return None;
    }
    let mut wanted: Vec<(AllocationId, i64)> = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let path = path.index(index);
        let allocation = violations.allocation_of(event, path.field("allocation"), &line.allocation);
        let quantity =
            violations.quantity(path.field("cancelled_quantity"), line.cancelled_quantity, LINE_QUANTITY_MAX);
        if allocation.as_ref().is_some_and(|allocation| wanted.iter().any(|(known, _)| known == allocation)) {
            violations.add("INVALID_ALLOCATION", path.field("allocation"), "must not be named twice");
        }
        wanted.extend(allocation.zip(quantity));
    }
    Some(wanted)
}

fn named_reservation(name: &str) -> Result<(EventId, ReservationId), Violations> {
    let mut violations = Violations::default();
    let named = violations.reservation_name("INVALID_NAME", REQUEST.field("name"), name);
    violations.check(named)
}
