//! Refusals as statuses.

use tonic::{Code, Status};

use super::Details;
use crate::domain::{
    ALLOCATIONS_PER_EVENT_MAX, AllocationId, Current, Duration, EventId, Lack, Refusal, SalesState, Timestamp,
};
use crate::grpc::convert::{self, names, time};

const EVENT: &str = "boxoffice.v1.Event";
const ALLOCATION: &str = "boxoffice.v1.Allocation";

/// Why a command of `event` was not done.
pub(in crate::grpc) fn refused(event: &EventId, refusal: &Refusal) -> Status {
    match refusal {
        Refusal::EventNotFound => event_not_found(event),
        Refusal::AllocationNotFound(allocation) => allocation_not_found(event, allocation),
        Refusal::ReservationNotFound => reservation_not_found(),
        Refusal::ReservationIdReused => {
            plain(Code::AlreadyExists, "RESERVATION_ID_REUSED", "the reservation_id has been used for another request")
        }
        Refusal::SalesNotOpen { state, on_sale_at, off_sale_at } => {
            sales_not_open(event, *state, *on_sale_at, *off_sale_at)
        }
        Refusal::TtlTooLong { max } => ttl_too_long(*max),
        Refusal::AlreadyConfirmed => precondition("ALREADY_CONFIRMED", "the reservation is sold already"),
        Refusal::AlreadyReleased => precondition("ALREADY_RELEASED", "the reservation was given back"),
        Refusal::AlreadyCancelled => precondition("ALREADY_CANCELLED", "the reservation was refunded"),
        Refusal::ReservationExpired => precondition("RESERVATION_EXPIRED", "the hold has expired"),
        Refusal::NotConfirmed => precondition("NOT_CONFIRMED", "the reservation is a hold, not sold: release it"),
        Refusal::OwnerLimitExceeded { allocation, limit } => owner_limit(event, allocation.as_ref(), *limit),
        Refusal::SoldOut(lacks) => sold_out(event, lacks),
        Refusal::AllHeld { lacks, next_expiry } => all_held(event, lacks, *next_expiry),
        Refusal::InsufficientAvailability(lacks) => insufficient(event, lacks),
        Refusal::CancelUnknownAllocation(index) => cancel_unknown_allocation(*index),
        Refusal::CancelTooMany { index, quantity } => cancel_too_many(*index, *quantity),
        Refusal::EventExists => event_exists(event),
        Refusal::AllocationExists => {
            plain(Code::AlreadyExists, "ALLOCATION_EXISTS", "the allocation exists with other content")
        }
        Refusal::TooManyAllocations => {
            let message = format!("the event has {ALLOCATIONS_PER_EVENT_MAX} allocations already");
            precondition("TOO_MANY_ALLOCATIONS", &message)
        }
        Refusal::CapacityBelowCommitted { allocation, committed } => capacity_below(event, allocation, *committed),
        Refusal::CapacityTooLarge(allocation) => capacity_too_large(allocation),
        Refusal::EtagMismatch(current) => etag_mismatch(event, current),
        Refusal::SalesStateTransition { from, to } => sales_state(event, *from, *to),
        Refusal::CancelledFromTheBeginning => {
            invalid_field("INVALID_SALES_STATE", "event.sales_state", "must not be CANCELLED from the beginning")
        }
        Refusal::WindowReversed => {
            invalid_field("INVALID_OFF_SALE_TIME", "event.off_sale_time", "must be after on_sale_time")
        }
        Refusal::TtlDefaultAboveMax => {
            invalid_field("INVALID_DEFAULT_HOLD_TTL", "event.default_hold_ttl", "must be at most max_hold_ttl")
        }
    }
}

pub(in crate::grpc) fn event_not_found(event: &EventId) -> Status {
    Details::new(Code::NotFound, "EVENT_NOT_FOUND", "no such event", &[])
        .resource(EVENT, &names::event(event))
        .into_status()
}

/// Always the same bytes, so that a reservation of somebody else cannot be told from none at all.
pub(in crate::grpc) fn reservation_not_found() -> Status {
    plain(Code::NotFound, "RESERVATION_NOT_FOUND", "no such reservation")
}

fn allocation_not_found(event: &EventId, allocation: &AllocationId) -> Status {
    Details::new(Code::NotFound, "ALLOCATION_NOT_FOUND", ["no allocation ", allocation.as_str()].concat(), &[])
        .resource(ALLOCATION, &names::allocation(event, allocation))
        .into_status()
}

fn plain(code: Code, reason: &str, message: &str) -> Status {
    Details::new(code, reason, message, &[]).into_status()
}

fn event_exists(event: &EventId) -> Status {
    Details::new(Code::AlreadyExists, "EVENT_EXISTS", "the event exists with other content", &[])
        .resource(EVENT, &names::event(event))
        .into_status()
}

fn precondition(reason: &str, message: &str) -> Status {
    precondition_of("", reason, message, &[])
}

/// Something is not as it would have to be; where `subject` is empty, what the request names.
pub(super) fn precondition_of(subject: &str, reason: &str, message: &str, metadata: &[(&str, &str)]) -> Status {
    Details::new(Code::FailedPrecondition, reason, message, metadata)
        .precondition(reason, std::iter::once((subject, message)))
        .into_status()
}

fn invalid_field(reason: &str, field: &str, description: &str) -> Status {
    Details::new(Code::InvalidArgument, reason, format!("{field} {description}"), &[])
        .bad_request(std::iter::once((field, description, reason)))
        .into_status()
}

fn sales_not_open(event: &EventId, state: SalesState, from: Option<Timestamp>, until: Option<Timestamp>) -> Status {
    let (from, until) = (from.map(time::rfc3339), until.map(time::rfc3339));
    let mut metadata = vec![("sales_state", state.as_str())];
    metadata.extend(from.as_deref().map(|at| ("on_sale_time", at)));
    metadata.extend(until.as_deref().map(|at| ("off_sale_time", at)));
    precondition_of(&names::event(event), "SALES_NOT_OPEN", "the event does not sell now", &metadata)
}

fn ttl_too_long(max: Duration) -> Status {
    invalid_field("INVALID_TTL", "reservation.ttl", &format!("must be at most the event's max_hold_ttl, {max}"))
}

/// The owner himself is not named: he knows who he is, and a gateway's log need not.
fn owner_limit(event: &EventId, allocation: Option<&AllocationId>, limit: i64) -> Status {
    let subject = allocation.map_or_else(|| names::event(event), |allocation| names::allocation(event, allocation));
    let limit = limit.to_string();
    let mut metadata = vec![("limit", limit.as_str())];
    metadata.extend(allocation.map(|allocation| ("allocation", allocation.as_str())));
    let message = ["an owner may have at most ", &limit].concat();
    Details::new(Code::FailedPrecondition, "OWNER_LIMIT_EXCEEDED", message.as_str(), &metadata)
        .quota(&subject, &message)
        .into_status()
}

/// The answer to most requests once a hot sale is over. Nothing in it depends on how many units were asked for.
fn sold_out(event: &EventId, lacks: &[Lack]) -> Status {
    lacking(
        Details::new(Code::FailedPrecondition, "SOLD_OUT", "sold out", &metadata(lacks)),
        "SOLD_OUT",
        event,
        lacks,
        |_| "nothing left".into(),
    )
}

fn all_held(event: &EventId, lacks: &[Lack], next_expiry: Option<Timestamp>) -> Status {
    let next = next_expiry.map(time::rfc3339);
    let mut metadata = metadata(lacks);
    metadata.extend(next.as_deref().map(|at| ("next_expire_time", at)));
    let message = "nothing is free now, but holds may lapse";
    let details = Details::new(Code::FailedPrecondition, "ALL_HELD", message, &metadata);
    lacking(details, "ALL_HELD", event, lacks, |_| "nothing is free now".into())
}

fn insufficient(event: &EventId, lacks: &[Lack]) -> Status {
    let available = lacks.first().map(|lack| lack.available.to_string());
    let mut metadata = metadata(lacks);
    metadata.extend(available.as_deref().map(|count| ("available", count)));
    let details = Details::new(
        Code::FailedPrecondition,
        "INSUFFICIENT_AVAILABILITY",
        "fewer units are available than were asked for",
        &metadata,
    );
    lacking(details, "INSUFFICIENT_AVAILABILITY", event, lacks, |lack| {
        format!("{} asked for, {} available", lack.requested, lack.available).into()
    })
}

/// The first allocation that lacks units; all of them are told as violations.
fn metadata(lacks: &[Lack]) -> Vec<(&'static str, &str)> {
    lacks.first().map(|lack| ("allocation", lack.allocation.as_str())).into_iter().collect()
}

fn lacking(
    details: Details,
    reason: &str,
    event: &EventId,
    lacks: &[Lack],
    describe: impl Fn(&Lack) -> std::borrow::Cow<'static, str>,
) -> Status {
    let told = lacks.iter().take(LACKS_TOLD_MAX);
    details
        .precondition(reason, told.map(|lack| (names::allocation(event, &lack.allocation), describe(lack))))
        .into_status()
}

/// Most allocations that one refusal names: details travel in a header, and some clients take no more than 8 KiB of them.
const LACKS_TOLD_MAX: usize = 20;

fn cancel_unknown_allocation(index: usize) -> Status {
    invalid_field("INVALID_LINES", &format!("lines[{index}].allocation"), "must be an allocation of the reservation")
}

fn cancel_too_many(index: usize, quantity: i64) -> Status {
    let field = format!("lines[{index}].cancelled_quantity");
    invalid_field("INVALID_LINES", &field, &format!("must be at most the line's quantity, {quantity}"))
}

fn capacity_below(event: &EventId, allocation: &AllocationId, committed: i64) -> Status {
    let committed = committed.to_string();
    let message = ["the capacity would be less than held + sold, ", &committed].concat();
    let metadata = [("allocation", allocation.as_str()), ("committed", committed.as_str())];
    precondition_of(&names::allocation(event, allocation), "CAPACITY_BELOW_COMMITTED", &message, &metadata)
}

fn capacity_too_large(allocation: &AllocationId) -> Status {
    let description = format!("must not bring the capacity of {allocation} above {}", crate::domain::CAPACITY_MAX);
    invalid_field("INVALID_QUANTITY", "quantity", &description)
}

/// The current state stands beside the reason, so that an editor can be shown what somebody else has done.
fn etag_mismatch(event: &EventId, current: &Current) -> Status {
    let message = "it was changed since it was read";
    match current {
        Current::Event(current) => {
            let now = convert::event::event(current);
            let metadata = [("etag", now.etag.as_str())];
            Details::new(Code::Aborted, "ETAG_MISMATCH", message, &metadata).message(EVENT, &now).into_status()
        }
        Current::Allocation(current) => {
            let now = convert::event::allocation(event, current);
            let metadata = [("etag", now.etag.as_str())];
            Details::new(Code::Aborted, "ETAG_MISMATCH", message, &metadata).message(ALLOCATION, &now).into_status()
        }
    }
}

fn sales_state(event: &EventId, from: SalesState, to: SalesState) -> Status {
    let message = format!("an event that is {} cannot become {}", from.as_str(), to.as_str());
    let metadata = [("from", from.as_str()), ("to", to.as_str())];
    precondition_of(&names::event(event), "INVALID_SALES_STATE", &message, &metadata)
}
