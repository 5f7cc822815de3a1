//! The requests of operators.

use std::collections::BTreeMap;

use boxoffice_proto::v1;

use super::fields::{CHANGE_PAGES, PAGES};
use super::{Path, Violations};
use crate::domain::{
    ALLOCATIONS_PER_EVENT_MAX, Action, AllocationPatch, AllocationTarget, ApplyEvent, CAPACITY_MAX, EventConfig,
    EventId, EventPatch, HOLD_TTL_DEFAULT, HOLD_TTL_LIFETIME_DEFAULT, OwnerId, REASON_CHARS_MAX, ReservationId, Seq,
    TransferCapacity,
};
use crate::grpc::convert::mask::{AllocationField, EventField};
use crate::grpc::convert::{event as wire, reservation};
use crate::grpc::page::Listing;

const REQUEST: Path<'static> = Path::Request;

/// Most paths of a mask that are looked at: there are fewer fields.
const MASK_PATHS_MAX: usize = 32;
/// Most characters of an unknown path that are told.
const MASK_PATH_CHARS_MAX: usize = 64;

pub(in crate::grpc) fn create_event(request: v1::CreateEventRequest) -> Result<(EventId, Action), Violations> {
    let mut violations = Violations::default();
    let id = violations.event_id("INVALID_EVENT_ID", REQUEST.field("event_id"), &request.event_id);
    let path = REQUEST.field("event");
    let Some(event) = violations.require("INVALID_EVENT", path, request.event, "must be set") else {
        return Err(violations);
    };
    let config = event_config(&mut violations, path, event);
    violations.check(id.zip(config).map(|(id, config)| (id, Action::CreateEvent(config))))
}

fn event_config(violations: &mut Violations, path: Path<'_>, event: v1::Event) -> Option<EventConfig> {
    let sales_state = wire::parse_sales_state(event.sales_state);
    let sales_state = violations.known("INVALID_SALES_STATE", path.field("sales_state"), sales_state);
    let display_name = violations.display_name(path.field("display_name"), event.display_name);
    let on_sale_at = violations.time("INVALID_ON_SALE_TIME", path.field("on_sale_time"), event.on_sale_time.as_ref());
    let off_path = path.field("off_sale_time");
    let off_sale_at = violations.time("INVALID_OFF_SALE_TIME", off_path, event.off_sale_time.as_ref());
    if let (Some(Some(on)), Some(Some(off))) = (on_sale_at, off_sale_at)
        && off <= on
    {
        violations.add("INVALID_OFF_SALE_TIME", off_path, "must be after on_sale_time");
    }
    let max_path = path.field("max_hold_ttl");
    let hold_ttl_max = match &event.max_hold_ttl {
        None => Some(HOLD_TTL_LIFETIME_DEFAULT),
        Some(max) => violations.ttl("INVALID_MAX_HOLD_TTL", max_path, max),
    };
    let default_path = path.field("default_hold_ttl");
    let hold_ttl_default = match &event.default_hold_ttl {
        // What nobody chose must not stand in the way of a short maximum.
        None => Some(hold_ttl_max.map_or(HOLD_TTL_DEFAULT, |max| HOLD_TTL_DEFAULT.min(max))),
        Some(default) => violations.ttl("INVALID_DEFAULT_HOLD_TTL", default_path, default),
    };
    if hold_ttl_default.zip(hold_ttl_max).is_some_and(|(default, max)| default > max) {
        violations.add("INVALID_DEFAULT_HOLD_TTL", default_path, "must be at most max_hold_ttl");
    }
    let limit_per_owner = violations.limit_per_owner(path.field("limit_per_owner"), event.limit_per_owner);
    let waiting_room = violations.waiting_room(path.field("waiting_room"), event.waiting_room.as_ref());
    Some(EventConfig {
        display_name: display_name?,
        sales_state: sales_state?,
        on_sale_at: on_sale_at?,
        off_sale_at: off_sale_at?,
        hold_ttl_default: hold_ttl_default?,
        hold_ttl_max: hold_ttl_max?,
        limit_per_owner: limit_per_owner?,
        waiting_room: waiting_room?,
    })
}

pub(in crate::grpc) fn update_event(request: v1::UpdateEventRequest) -> Result<(EventId, Action), Violations> {
    let mut violations = Violations::default();
    let path = REQUEST.field("event");
    let fields = mask(&mut violations, request.update_mask, EventField::parse);
    let Some(event) = violations.require("INVALID_EVENT", path, request.event, "must be set") else {
        return Err(violations);
    };
    let id = violations.event_name("INVALID_NAME", path.field("name"), &event.name);
    let expected = violations.optional_etag(path.field("etag"), &event.etag);
    let patch = event_patch(&mut violations, path, &fields, event);
    let all = id.zip(expected);
    violations.check(all.map(|(id, expected)| (id, Action::UpdateEvent { expected, patch })))
}

/// A field that the check refused stays out of the patch, which then is not used.
fn event_patch(violations: &mut Violations, path: Path<'_>, fields: &[EventField], event: v1::Event) -> EventPatch {
    let mut patch = EventPatch::default();
    let has = |field| fields.contains(&field);
    if has(EventField::SalesState) {
        let state = wire::parse_sales_state(event.sales_state);
        patch.sales_state = violations.known("INVALID_SALES_STATE", path.field("sales_state"), state);
    }
    if has(EventField::OnSaleTime) {
        let at = event.on_sale_time.as_ref();
        patch.on_sale_at = violations.time("INVALID_ON_SALE_TIME", path.field("on_sale_time"), at);
    }
    if has(EventField::OffSaleTime) {
        let at = event.off_sale_time.as_ref();
        patch.off_sale_at = violations.time("INVALID_OFF_SALE_TIME", path.field("off_sale_time"), at);
    }
    if has(EventField::DefaultHoldTtl) {
        patch.hold_ttl_default = match &event.default_hold_ttl {
            None => Some(None),
            Some(ttl) => violations.ttl("INVALID_DEFAULT_HOLD_TTL", path.field("default_hold_ttl"), ttl).map(Some),
        };
    }
    if has(EventField::MaxHoldTtl) {
        patch.hold_ttl_max = match &event.max_hold_ttl {
            None => Some(HOLD_TTL_LIFETIME_DEFAULT),
            Some(ttl) => violations.ttl("INVALID_MAX_HOLD_TTL", path.field("max_hold_ttl"), ttl),
        };
    }
    if has(EventField::LimitPerOwner) {
        patch.limit_per_owner = violations.limit_per_owner(path.field("limit_per_owner"), event.limit_per_owner);
    }
    if has(EventField::WaitingRoom) {
        patch.waiting_room = violations.waiting_room(path.field("waiting_room"), event.waiting_room.as_ref());
    }
    if has(EventField::DisplayName) {
        patch.display_name = violations.display_name(path.field("display_name"), event.display_name);
    }
    patch
}

pub(in crate::grpc) fn create_allocation(
    request: v1::CreateAllocationRequest,
) -> Result<(EventId, Action), Violations> {
    let mut violations = Violations::default();
    let event = violations.event_name("INVALID_PARENT", REQUEST.field("parent"), &request.parent);
    let id = violations.allocation_id("INVALID_ALLOCATION_ID", REQUEST.field("allocation_id"), &request.allocation_id);
    let path = REQUEST.field("allocation");
    let Some(allocation) = violations.require("INVALID_ALLOCATION", path, request.allocation, "must be set") else {
        return Err(violations);
    };
    let display_name = violations.display_name(path.field("display_name"), allocation.display_name);
    let capacity = violations.capacity(path.field("capacity"), allocation.capacity);
    let limit = violations.limit_per_owner(path.field("limit_per_owner"), allocation.limit_per_owner);
    let all = event.zip(id).zip(display_name).zip(capacity).zip(limit);
    violations.check(all.map(|((((event, id), display_name), capacity), limit_per_owner)| {
        (event, Action::CreateAllocation { id, display_name, capacity, limit_per_owner })
    }))
}

pub(in crate::grpc) fn update_allocation(
    request: v1::UpdateAllocationRequest,
) -> Result<(EventId, Action), Violations> {
    let mut violations = Violations::default();
    let path = REQUEST.field("allocation");
    let fields = mask(&mut violations, request.update_mask, AllocationField::parse);
    let mode = reservation::parse_capacity_mode(request.capacity_mode);
    let mode = violations.known("INVALID_CAPACITY_MODE", REQUEST.field("capacity_mode"), mode);
    let Some(allocation) = violations.require("INVALID_ALLOCATION", path, request.allocation, "must be set") else {
        return Err(violations);
    };
    let named = violations.allocation_name("INVALID_NAME", path.field("name"), &allocation.name);
    let expected = violations.optional_etag(path.field("etag"), &allocation.etag);
    let patch = allocation_patch(&mut violations, path, &fields, allocation);
    let all = named.zip(expected).zip(mode);
    violations.check(
        all.map(|(((event, id), expected), mode)| (event, Action::UpdateAllocation { id, expected, patch, mode })),
    )
}

/// A field that the check refused stays out of the patch, which then is not used.
fn allocation_patch(
    violations: &mut Violations,
    path: Path<'_>,
    fields: &[AllocationField],
    allocation: v1::Allocation,
) -> AllocationPatch {
    let mut patch = AllocationPatch::default();
    if fields.contains(&AllocationField::Capacity) {
        patch.capacity = violations.capacity(path.field("capacity"), allocation.capacity);
    }
    if fields.contains(&AllocationField::LimitPerOwner) {
        patch.limit_per_owner = violations.limit_per_owner(path.field("limit_per_owner"), allocation.limit_per_owner);
    }
    if fields.contains(&AllocationField::DisplayName) {
        patch.display_name = violations.display_name(path.field("display_name"), allocation.display_name);
    }
    patch
}

pub(in crate::grpc) fn apply_event(request: v1::ApplyEventRequest) -> Result<(EventId, Action), Violations> {
    let mut violations = Violations::default();
    let path = REQUEST.field("event");
    let mode = reservation::parse_capacity_mode(request.capacity_mode);
    let mode = violations.known("INVALID_CAPACITY_MODE", REQUEST.field("capacity_mode"), mode);
    let Some(event) = violations.require("INVALID_EVENT", path, request.event, "must be set") else {
        return Err(violations);
    };
    let id = violations.event_name("INVALID_NAME", path.field("name"), &event.name);
    let expected = violations.target_etag(path.field("etag"), &event.etag);
    let config = event_config(&mut violations, path, event);
    let allocations = allocation_targets(&mut violations, id.as_ref(), request.allocations);
    let all = id.zip(expected).zip(config).zip(allocations).zip(mode);
    violations.check(all.map(|((((id, expected), config), allocations), mode)| {
        let validate_only = request.validate_only;
        (id, Action::ApplyEvent(ApplyEvent { config, expected, allocations, mode, validate_only }))
    }))
}

/// In order of their ids, so that the same request does the same in the same order.
fn allocation_targets(
    violations: &mut Violations,
    event: Option<&EventId>,
    allocations: Vec<v1::Allocation>,
) -> Option<Vec<AllocationTarget>> {
    let list = REQUEST.field("allocations");
    if allocations.len() > ALLOCATIONS_PER_EVENT_MAX {
        let wanted = format!("must be at most {ALLOCATIONS_PER_EVENT_MAX}");
        violations.add("INVALID_ALLOCATIONS", list, wanted);
        return None;
    }
    let mut targets = BTreeMap::new();
    for (index, allocation) in allocations.into_iter().enumerate() {
        let path = list.index(index);
        let id = violations.allocation_of(event, path.field("name"), &allocation.name);
        let expected = violations.target_etag(path.field("etag"), &allocation.etag);
        let display_name = violations.display_name(path.field("display_name"), allocation.display_name);
        let capacity = violations.capacity(path.field("capacity"), allocation.capacity);
        let limit = violations.limit_per_owner(path.field("limit_per_owner"), allocation.limit_per_owner);
        let all = id.zip(expected).zip(display_name).zip(capacity).zip(limit);
        let Some(((((id, expected), display_name), capacity), limit_per_owner)) = all else { continue };
        let target = AllocationTarget { id: id.clone(), display_name, capacity, limit_per_owner, expected };
        if targets.insert(id, target).is_some() {
            violations.add("INVALID_ALLOCATIONS", path.field("name"), "must not be there twice");
        }
    }
    Some(targets.into_values().collect())
}

pub(in crate::grpc) fn transfer_capacity(
    request: &v1::TransferCapacityRequest,
) -> Result<(EventId, Action), Violations> {
    let mut violations = Violations::default();
    let from = violations.allocation_name("INVALID_FROM", REQUEST.field("from"), &request.from);
    let to = violations.allocation_name("INVALID_TO", REQUEST.field("to"), &request.to);
    if let (Some((from_event, from)), Some((to_event, to))) = (&from, &to) {
        if from_event != to_event {
            violations.add("INVALID_TO", REQUEST.field("to"), "must be an allocation of the same event as from");
        } else if from == to {
            violations.add("INVALID_TO", REQUEST.field("to"), "must be another allocation than from");
        }
    }
    let quantity = violations.quantity(REQUEST.field("quantity"), request.quantity, CAPACITY_MAX);
    let from_expected = violations.etag(REQUEST.field("from_etag"), &request.from_etag);
    let to_expected = violations.etag(REQUEST.field("to_etag"), &request.to_etag);
    let all = from.zip(to).zip(quantity).zip(from_expected.zip(to_expected));
    violations.check(all.map(|((((event, from), (_, to)), quantity), (from_expected, to_expected))| {
        (event, Action::TransferCapacity(TransferCapacity { from, to, quantity, from_expected, to_expected }))
    }))
}

pub(in crate::grpc) fn force_release(
    request: v1::ForceReleaseReservationRequest,
) -> Result<(EventId, Action), Violations> {
    let mut violations = Violations::default();
    let named = violations.reservation_name("INVALID_NAME", REQUEST.field("name"), &request.name);
    let reason = request.reason;
    if !(1..=REASON_CHARS_MAX).contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
        let wanted = format!("must be 1 to {REASON_CHARS_MAX} characters, none of them a control character");
        violations.add("INVALID_REASON", REQUEST.field("reason"), wanted);
    }
    violations.check(named.map(|(event, id)| (event, Action::ForceRelease { id, reason })))
}

/// A list of anybody's reservations.
#[derive(Debug)]
pub(in crate::grpc) struct List {
    pub(in crate::grpc) listing: Listing,
    pub(in crate::grpc) event: EventId,
    pub(in crate::grpc) size: usize,
    pub(in crate::grpc) of: ListOf,
}

/// Whose reservations, after which.
#[derive(Debug)]
pub(in crate::grpc) enum ListOf {
    Everybody(Option<ReservationId>),
    Owner(OwnerId, Seq),
}

pub(in crate::grpc) fn list_all_reservations(
    request: &v1::AdminServiceListReservationsRequest,
) -> Result<List, Violations> {
    let mut violations = Violations::default();
    let event = violations.event_name("INVALID_PARENT", REQUEST.field("parent"), &request.parent);
    let size = violations.page_size(request.page_size, PAGES);
    let listing = Listing::anybodys(&request.parent, &request.owner);
    let of = if request.owner.is_empty() {
        violations.page_token(&request.page_token, listing).map(ListOf::Everybody)
    } else {
        let owner = violations.owner(REQUEST.field("owner"), &request.owner);
        let after = violations.page_token::<Seq>(&request.page_token, listing);
        owner.zip(after).map(|(owner, after)| ListOf::Owner(owner, after.unwrap_or(0)))
    };
    violations.check(event.zip(size).zip(of).map(|((event, size), of)| List { listing, event, size, of }))
}

/// A part of the journal.
#[derive(Debug)]
pub(in crate::grpc) struct ChangePage {
    pub(in crate::grpc) event: EventId,
    pub(in crate::grpc) from: Seq,
    pub(in crate::grpc) size: usize,
}

pub(in crate::grpc) fn list_changes(request: &v1::ListChangesRequest) -> Result<ChangePage, Violations> {
    let mut violations = Violations::default();
    let event = violations.event_name("INVALID_PARENT", REQUEST.field("parent"), &request.parent);
    let from = violations.start_seq(request.from_seq);
    let size = violations.page_size(request.page_size, CHANGE_PAGES);
    let all = event.zip(from).zip(size);
    violations.check(all.map(|((event, from), size)| ChangePage { event, from: from.max(1), size }))
}

pub(in crate::grpc) fn watch_changes(request: &v1::WatchChangesRequest) -> Result<(EventId, Seq), Violations> {
    let mut violations = Violations::default();
    let event = violations.event_name("INVALID_PARENT", REQUEST.field("parent"), &request.parent);
    let from = violations.start_seq(request.from_seq).map(|from| from.max(1));
    violations.check(event.zip(from))
}

pub(in crate::grpc) fn audit_event(request: &v1::AuditEventRequest) -> Result<EventId, Violations> {
    let mut violations = Violations::default();
    let event = violations.event_name("INVALID_NAME", REQUEST.field("name"), &request.name);
    violations.check(event)
}

fn mask<T>(
    violations: &mut Violations,
    mask: Option<prost_types::FieldMask>,
    parse: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    const REASON: &str = "INVALID_UPDATE_MASK";
    let path = REQUEST.field("update_mask");
    let paths = mask.map(|mask| mask.paths).unwrap_or_default();
    if !(1..=MASK_PATHS_MAX).contains(&paths.len()) {
        violations.add(REASON, path, format!("must name 1 to {MASK_PATHS_MAX} fields to change"));
        return Vec::new();
    }
    let mut fields = Vec::with_capacity(paths.len());
    for (index, name) in paths.iter().enumerate() {
        match parse(name) {
            Some(field) => fields.push(field),
            None => {
                let shown: String = name.chars().take(MASK_PATH_CHARS_MAX).collect();
                let wanted = format!("must be a field that can be changed, not {shown:?}");
                violations.add(REASON, path.field("paths").index(index), wanted);
            }
        }
    }
    fields
}
