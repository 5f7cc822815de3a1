use prost::Message as _;
use tonic_types::{StatusExt as _, pb};

use super::*;
use crate::domain::{
    Allocation, AllocationId, Current, Duration as Span, Event, EventConfig, Lack, Refusal, SalesState, Timestamp,
};

fn gala() -> EventId {
    EventId::new("gala").unwrap()
}

fn stalls() -> AllocationId {
    AllocationId::new("stalls").unwrap()
}

fn lacks() -> Vec<Lack> {
    vec![Lack { allocation: stalls(), requested: 4, available: 2 }]
}

fn event() -> Event {
    let config = EventConfig {
        display_name: "Gala".to_owned(),
        sales_state: SalesState::OnSale,
        on_sale_at: None,
        off_sale_at: None,
        hold_ttl_default: Span::from_secs(600),
        hold_ttl_max: Span::from_secs(3600),
        limit_per_owner: None,
        waiting_room: None,
    };
    Event {
        id: gala(),
        config,
        last_seq: 9,
        version: 4,
        allocation_count: 1,
        has_allocation_limits: false,
        created_at: Timestamp::from_micros(1),
    }
}

fn allocation() -> Allocation {
    Allocation {
        id: stalls(),
        display_name: "Stalls".to_owned(),
        capacity: 10,
        drain_to: None,
        held: 1,
        sold: 2,
        limit_per_owner: None,
        version: 6,
    }
}

/// Every refusal with its code and reason. `refused` matches without a catch-all arm, so a new variant does not compile
/// until it is mapped; the count below makes sure that it is also in this table.
fn refusals() -> Vec<(Refusal, Code, &'static str)> {
    use Code::{Aborted, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound};
    let closed = Refusal::SalesNotOpen {
        state: SalesState::Paused,
        on_sale_at: Some(Timestamp::from_micros(0)),
        off_sale_at: None,
    };
    vec![
        (Refusal::EventNotFound, NotFound, "EVENT_NOT_FOUND"),
        (Refusal::AllocationNotFound(stalls()), NotFound, "ALLOCATION_NOT_FOUND"),
        (Refusal::ReservationNotFound, NotFound, "RESERVATION_NOT_FOUND"),
        (Refusal::ReservationIdReused, AlreadyExists, "RESERVATION_ID_REUSED"),
        (closed, FailedPrecondition, "SALES_NOT_OPEN"),
        (Refusal::TtlTooLong { max: Span::from_secs(60) }, InvalidArgument, "INVALID_TTL"),
        (Refusal::AlreadyConfirmed, FailedPrecondition, "ALREADY_CONFIRMED"),
        (Refusal::AlreadyReleased, FailedPrecondition, "ALREADY_RELEASED"),
        (Refusal::AlreadyCancelled, FailedPrecondition, "ALREADY_CANCELLED"),
        (Refusal::ReservationExpired, FailedPrecondition, "RESERVATION_EXPIRED"),
        (Refusal::NotConfirmed, FailedPrecondition, "NOT_CONFIRMED"),
        (Refusal::OwnerLimitExceeded { allocation: None, limit: 4 }, FailedPrecondition, "OWNER_LIMIT_EXCEEDED"),
        (Refusal::SoldOut(lacks()), FailedPrecondition, "SOLD_OUT"),
        (Refusal::AllHeld { lacks: lacks(), next_expiry: None }, FailedPrecondition, "ALL_HELD"),
        (Refusal::InsufficientAvailability(lacks()), FailedPrecondition, "INSUFFICIENT_AVAILABILITY"),
        (Refusal::CancelUnknownAllocation(2), InvalidArgument, "INVALID_LINES"),
        (Refusal::CancelTooMany { index: 1, quantity: 3 }, InvalidArgument, "INVALID_LINES"),
        (Refusal::EventExists, AlreadyExists, "EVENT_EXISTS"),
        (Refusal::AllocationExists, AlreadyExists, "ALLOCATION_EXISTS"),
        (Refusal::TooManyAllocations, FailedPrecondition, "TOO_MANY_ALLOCATIONS"),
        (
            Refusal::CapacityBelowCommitted { allocation: stalls(), committed: 5 },
            FailedPrecondition,
            "CAPACITY_BELOW_COMMITTED",
        ),
        (Refusal::CapacityTooLarge(stalls()), InvalidArgument, "INVALID_QUANTITY"),
        (Refusal::EtagMismatch(Box::new(Current::Event(event()))), Aborted, "ETAG_MISMATCH"),
        (
            Refusal::SalesStateTransition { from: SalesState::Cancelled, to: SalesState::OnSale },
            FailedPrecondition,
            "INVALID_SALES_STATE",
        ),
        (Refusal::CancelledFromTheBeginning, InvalidArgument, "INVALID_SALES_STATE"),
        (Refusal::WindowReversed, InvalidArgument, "INVALID_OFF_SALE_TIME"),
        (Refusal::TtlDefaultAboveMax, InvalidArgument, "INVALID_DEFAULT_HOLD_TTL"),
    ]
}

#[test]
fn every_refusal_has_its_code_and_reason() {
    let table = refusals();
    let kinds: std::collections::HashSet<_> =
        table.iter().map(|(refusal, ..)| std::mem::discriminant(refusal)).collect();
    assert_eq!((table.len(), kinds.len()), (27, 27));
    for (refusal, code, reason) in table {
        let status = failed(&gala(), &Failure::Refused(refusal.clone()));
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(
            (status.code(), info.reason.as_str(), info.domain.as_str()),
            (code, reason, "boxoffice"),
            "{refusal:?}"
        );
        assert_eq!(refusal.reason(), reason, "what metrics call it");
        assert!(Refusal::REASONS.contains(&reason), "{reason} is counted");
        assert!(!status.message().is_empty());
        let quota = matches!(refusal, Refusal::OwnerLimitExceeded { .. });
        assert_eq!(details.quota_failure().is_some(), quota, "{refusal:?}");
        assert_eq!(details.bad_request().is_some(), code == Code::InvalidArgument, "{refusal:?}");
        let precondition = code == Code::FailedPrecondition && !quota;
        assert_eq!(details.precondition_failure().is_some(), precondition, "{refusal:?}");
        assert!(details.retry_info().is_none(), "refusals are not to be repeated: {refusal:?}");
    }
}

#[test]
fn every_failure_has_its_code_and_reason() {
    let table = [
        (Failure::Overloaded, Code::Unavailable, "OVERLOADED", Some(100)),
        (Failure::DeadlineExceeded, Code::DeadlineExceeded, "DEADLINE_EXCEEDED", None),
        (Failure::Unavailable, Code::Unavailable, "STORE_UNAVAILABLE", Some(500)),
        (Failure::ShuttingDown, Code::Unavailable, "SHUTTING_DOWN", Some(500)),
        (Failure::Internal, Code::Internal, "INTERNAL", None),
    ];
    for (failure, code, reason, retry) in table {
        let status = failed(&gala(), &failure);
        let details = status.get_error_details();
        assert_eq!((status.code(), details.error_info().unwrap().reason.as_str()), (code, reason));
        let asked_for = details.retry_info().map(|info| info.retry_delay.expect("after how long"));
        assert_eq!(asked_for, retry.map(Duration::from_millis), "{failure:?}");
    }
}

#[test]
fn who_may_not_have_left_is_to_try_again() {
    let status = waiting_room_unavailable();
    let details = status.get_error_details();
    let reason = details.error_info().unwrap().reason.as_str();
    assert_eq!((status.code(), reason), (Code::Unavailable, "WAITING_ROOM_UNAVAILABLE"));
    assert!(details.retry_info().is_some_and(|info| info.retry_delay.is_some()));
}

#[test]
fn failed_reads_say_whether_to_try_again() {
    let reason = |error: StoreError| read_failed(&error).get_details_error_info().unwrap().reason;
    assert_eq!(reason(StoreError::Retry("busy".into())), "STORE_UNAVAILABLE");
    assert_eq!(reason(StoreError::Unavailable("disk".into())), "STORE_UNAVAILABLE");
    assert_eq!(reason(StoreError::Corrupt("state 9".into())), "INTERNAL");
    assert_eq!(reason(StoreError::Guard { what: "x", expected: 1, actual: 0 }), "INTERNAL");
    assert!(!read_failed(&StoreError::Corrupt("secret".into())).message().contains("secret"));
}

#[test]
fn refusals_for_lack_of_units_say_what_is_lacking() {
    let of = |refusal| refused(&gala(), &refusal).get_error_details();
    let details = of(Refusal::InsufficientAvailability(lacks()));
    let metadata = &details.error_info().unwrap().metadata;
    assert_eq!((metadata["allocation"].as_str(), metadata["available"].as_str()), ("stalls", "2"));
    let violation = &details.precondition_failure().unwrap().violations[0];
    assert_eq!(violation.subject, "events/gala/allocations/stalls");
    assert_eq!(violation.description, "4 asked for, 2 available");

    let next_expiry = Some(Timestamp::from_micros(1_500_000));
    let details = of(Refusal::AllHeld { lacks: lacks(), next_expiry });
    assert_eq!(details.error_info().unwrap().metadata["next_expire_time"], "1970-01-01T00:00:01.500Z");

    let mut asked_for_more = lacks();
    asked_for_more[0].requested = 9;
    let (a, b) = (refused(&gala(), &Refusal::SoldOut(lacks())), refused(&gala(), &Refusal::SoldOut(asked_for_more)));
    assert_eq!(a.details(), b.details(), "so that HTTP/2 can compress it away");
}

#[test]
fn refusals_say_what_they_are_about() {
    let at = |seconds: i64| Some(Timestamp::from_micros(seconds * 1_000_000));
    let (event, allocation) = ("events/gala", "events/gala/allocations/stalls");
    let cases = [
        (
            Refusal::SalesNotOpen { state: SalesState::OnSale, on_sale_at: at(1), off_sale_at: at(2) },
            event,
            vec![
                ("off_sale_time", "1970-01-01T00:00:02Z"),
                ("on_sale_time", "1970-01-01T00:00:01Z"),
                ("sales_state", "ON_SALE"),
            ],
        ),
        (Refusal::OwnerLimitExceeded { allocation: None, limit: 4 }, event, vec![("limit", "4")]),
        (
            Refusal::OwnerLimitExceeded { allocation: Some(stalls()), limit: 2 },
            allocation,
            vec![("allocation", "stalls"), ("limit", "2")],
        ),
        (
            Refusal::CapacityBelowCommitted { allocation: stalls(), committed: 5 },
            allocation,
            vec![("allocation", "stalls"), ("committed", "5")],
        ),
        (
            Refusal::SalesStateTransition { from: SalesState::Cancelled, to: SalesState::OnSale },
            event,
            vec![("from", "CANCELLED"), ("to", "ON_SALE")],
        ),
    ];
    for (refusal, subject, metadata) in cases {
        let details = refused(&gala(), &refusal).get_error_details();
        let mut told: Vec<_> = details.error_info().unwrap().metadata.iter().collect();
        told.sort_unstable();
        let told: Vec<_> = told.into_iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(told, metadata, "{refusal:?}");
        let quota = details.quota_failure().map(|failure| failure.violations[0].subject.as_str());
        let precondition = details.precondition_failure().map(|failure| failure.violations[0].subject.as_str());
        assert_eq!(quota.or(precondition), Some(subject), "{refusal:?}");
    }
}

#[test]
fn an_etag_mismatch_tells_the_current_state() {
    let current_of = |current| {
        let status = refused(&gala(), &Refusal::EtagMismatch(Box::new(current)));
        pb::Status::decode(status.details()).unwrap().details.remove(1)
    };
    let any = current_of(Current::Event(event()));
    assert_eq!(any.type_url, "type.googleapis.com/boxoffice.v1.Event");
    let shown = boxoffice_proto::v1::Event::decode(&*any.value).unwrap();
    assert_eq!((shown.name.as_str(), shown.etag.as_str()), ("events/gala", "\"4\""));

    let any = current_of(Current::Allocation(allocation()));
    assert_eq!(any.type_url, "type.googleapis.com/boxoffice.v1.Allocation");
    let shown = boxoffice_proto::v1::Allocation::decode(&*any.value).unwrap();
    assert_eq!((shown.etag.as_str(), shown.available), ("\"6\"", 7));
}

#[test]
fn many_lacks_do_not_burst_the_headers() {
    let long = AllocationId::new(&"a".repeat(63)).unwrap();
    let lacks = vec![Lack { allocation: long, requested: 1_000_000, available: 999_999 }; 100];
    let status = refused(&EventId::new(&"e".repeat(63)).unwrap(), &Refusal::InsufficientAvailability(lacks));
    assert!(status.details().len() < 5_500, "{} bytes, a third more as base64", status.details().len());
}

#[test]
fn a_limit_of_streams_is_told_in_words() {
    assert_eq!(too_many_watchers(1).message(), "an owner may have at most 1 stream open");
    assert_eq!(too_many_watchers(32).message(), "an owner may have at most 32 streams open");
}
