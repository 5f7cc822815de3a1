use boxoffice_proto::v1;
use prost_types::{Duration, FieldMask, Timestamp};

use super::*;
use crate::domain::{Action, EventId, HOLD_TTL_DEFAULT, HOLD_TTL_LIFETIME_DEFAULT, OwnerId, Reserve, SalesState};
use crate::engine::Consistency;
use crate::grpc::page::Listing;
use crate::grpc::validate::inventory::EventsList;

const ID: &str = "0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71";
const OTHER_ID: &str = "0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e72";
const NAME: &str = "events/gala/reservations/0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71";

/// Fields and reasons of what is wrong; empty where nothing is.
fn told<T>(checked: Result<T, Violations>) -> Vec<(String, &'static str)> {
    let tell = |violations: Violations| violations.0.into_iter().map(|each| (each.field, each.reason)).collect();
    checked.map_or_else(tell, |_| Vec::new())
}

fn expect(case: &str, told: &[(String, &'static str)], wanted: &[(&str, &str)]) {
    let told: Vec<_> = told.iter().map(|(field, reason)| (field.as_str(), *reason)).collect();
    assert_eq!(told, wanted, "{case}");
}

fn line(allocation: &str, quantity: i32) -> v1::reservation::Line {
    v1::reservation::Line { allocation: allocation.to_owned(), quantity, ..Default::default() }
}

fn reservation(lines: Vec<v1::reservation::Line>) -> v1::CreateReservationRequest {
    v1::CreateReservationRequest {
        parent: "events/gala".to_owned(),
        reservation_id: ID.to_owned(),
        reservation: Some(v1::Reservation { lines, ..Default::default() }),
        ..Default::default()
    }
}

/// A right request, changed by `edit`.
fn reserve(edit: impl FnOnce(&mut v1::CreateReservationRequest)) -> Result<(EventId, Reserve), Violations> {
    let mut request = reservation(vec![line("events/gala/allocations/a", 1)]);
    edit(&mut request);
    create_reservation(&request)
}

fn body(request: &mut v1::CreateReservationRequest) -> &mut v1::Reservation {
    request.reservation.as_mut().unwrap()
}

#[test]
fn create_reservation_fields() {
    expect("right", &told(reserve(|_| ())), &[]);
    let long = "x".repeat(129);
    type Edit<'a> = Box<dyn FnOnce(&mut v1::CreateReservationRequest) + 'a>;
    let cases: Vec<(Edit<'_>, &str, &str)> = vec![
        (Box::new(|r| r.parent.clear()), "parent", "INVALID_PARENT"),
        (Box::new(|r| r.parent = "gala".into()), "parent", "INVALID_PARENT"),
        (Box::new(|r| r.reservation_id.clear()), "reservation_id", "INVALID_RESERVATION_ID"),
        (Box::new(|r| r.reservation_id = "7".into()), "reservation_id", "INVALID_RESERVATION_ID"),
        (Box::new(|r| r.reservation_id = ID.to_uppercase()), "reservation_id", "INVALID_RESERVATION_ID"),
        (Box::new(|r| r.reservation = None), "reservation", "INVALID_RESERVATION"),
        (Box::new(|r| body(r).lines.clear()), "reservation.lines", "INVALID_LINES"),
        (
            Box::new(|r| body(r).lines = vec![line("events/gala/allocations/a", 1); 101]),
            "reservation.lines",
            "INVALID_LINES",
        ),
        (Box::new(|r| body(r).lines[0].quantity = 0), "reservation.lines[0].quantity", "INVALID_QUANTITY"),
        (Box::new(|r| body(r).lines[0].quantity = -1), "reservation.lines[0].quantity", "INVALID_QUANTITY"),
        (Box::new(|r| body(r).lines[0].quantity = 1_000_001), "reservation.lines[0].quantity", "INVALID_QUANTITY"),
        (Box::new(|r| body(r).lines[0].allocation.clear()), "reservation.lines[0].allocation", "INVALID_ALLOCATION"),
        (
            Box::new(|r| body(r).lines[0].allocation = "events/other/allocations/a".into()),
            "reservation.lines[0].allocation",
            "INVALID_ALLOCATION",
        ),
        (
            Box::new(|r| body(r).lines[0].allocation = "events/gala/allocations/A".into()),
            "reservation.lines[0].allocation",
            "INVALID_ALLOCATION",
        ),
        (
            Box::new(|r| body(r).ttl = Some(Duration { seconds: 0, nanos: 999_999_999 })),
            "reservation.ttl",
            "INVALID_TTL",
        ),
        (Box::new(|r| body(r).ttl = Some(Duration { seconds: 2_592_001, nanos: 0 })), "reservation.ttl", "INVALID_TTL"),
        (Box::new(|r| body(r).ttl = Some(Duration { seconds: 5, nanos: -1 })), "reservation.ttl", "INVALID_TTL"),
        (Box::new(|r| body(r).ttl = Some(Duration { seconds: i64::MAX, nanos: 0 })), "reservation.ttl", "INVALID_TTL"),
        (Box::new(|r| r.mode = 3), "mode", "INVALID_MODE"),
        (Box::new(|r| r.replaces = "x".into()), "replaces", "INVALID_REPLACES"),
        (Box::new(|r| r.replaces = NAME.into()), "replaces", "INVALID_REPLACES"),
        (Box::new(|r| r.replaces = format!("events/other/reservations/{OTHER_ID}")), "replaces", "INVALID_REPLACES"),
        (Box::new(|r| r.order_ref.clone_from(&long)), "order_ref", "INVALID_ORDER_REF"),
        (Box::new(|r| r.order_ref = "a\nb".into()), "order_ref", "INVALID_ORDER_REF"),
    ];
    for (edit, field, reason) in cases {
        expect(field, &told(reserve(edit)), &[(field, reason)]);
    }
}

#[test]
fn all_violations_are_told_in_order() {
    let mut request = reservation(vec![line("events/gala/allocations/a", 1), line("x", 0)]);
    request.parent = "events/Gala".to_owned();
    request.mode = 9;
    expect(
        "all",
        &told(create_reservation(&request)),
        &[
            ("parent", "INVALID_PARENT"),
            ("reservation.lines[1].allocation", "INVALID_ALLOCATION"),
            ("reservation.lines[1].quantity", "INVALID_QUANTITY"),
            ("mode", "INVALID_MODE"),
        ],
    );
    let many = create_reservation(&reservation(vec![line("x", 0); 100])).unwrap_err();
    assert_eq!(many.as_slice().len(), VIOLATIONS_MAX);
    let status = tonic::Status::from(many);
    assert!(status.details().len() < 5_500, "{} bytes, a third more as base64", status.details().len());
}

#[test]
fn lines_of_one_allocation_are_added_up_and_sorted() {
    let all = ["b", "a", "b", "c", "a"].map(|id| line(&format!("events/gala/allocations/{id}"), 2));
    let (_, reserve) = create_reservation(&reservation(all.to_vec())).unwrap();
    let lines: Vec<_> = reserve.lines.iter().map(|(id, quantity)| (id.as_str(), *quantity)).collect();
    assert_eq!(lines, [("a", 4), ("b", 4), ("c", 2)]);
    let too_many = vec![line("events/gala/allocations/a", 600_000); 2];
    expect("sum", &told(create_reservation(&reservation(too_many))), &[("reservation.lines", "INVALID_QUANTITY")]);
}

#[test]
fn ttls_are_cut_to_microseconds() {
    let (_, reserve) = reserve(|r| body(r).ttl = Some(Duration { seconds: 1, nanos: 1_999 })).unwrap();
    assert_eq!(reserve.ttl.unwrap().as_micros(), 1_000_001);
}

#[test]
fn batch_fields() {
    let right = v1::BatchCreateReservationsRequest {
        parent: "events/gala".to_owned(),
        requests: vec![reservation(vec![line("events/gala/allocations/a", 1)])],
        owners: Vec::new(),
        passes: Vec::new(),
    };
    expect("right", &told(batch(right.clone())), &[]);
    let none = v1::BatchCreateReservationsRequest { requests: Vec::new(), ..right.clone() };
    expect("none", &told(batch(none)), &[("requests", "INVALID_REQUESTS")]);
    let many = vec![v1::CreateReservationRequest::default(); BATCH_MAX + 1];
    let many = v1::BatchCreateReservationsRequest { parent: String::new(), requests: many, ..Default::default() };
    expect("many", &told(batch(many)), &[("parent", "INVALID_PARENT"), ("requests", "INVALID_REQUESTS")]);
    let owners = v1::BatchCreateReservationsRequest { owners: vec!["ann".into(), "bob".into()], ..right.clone() };
    expect("owners", &told(batch(owners)), &[("owners", "INVALID_OWNERS")]);
    let passes = v1::BatchCreateReservationsRequest { passes: vec![String::new(); 2], ..right.clone() };
    expect("passes", &told(batch(passes)), &[("passes", "INVALID_PASSES")]);

    let event = EventId::new("gala").unwrap();
    let mut item = right.requests[0].clone();
    expect("named parent", &told(batch_item(&event, &item)), &[]);
    item.parent.clear();
    expect("no parent", &told(batch_item(&event, &item)), &[]);
    item.parent = "events/other".to_owned();
    expect("other parent", &told(batch_item(&event, &item)), &[("parent", "INVALID_PARENT")]);
    expect("owner", &told(batch_owner(3, "a b")), &[("owners[3]", "INVALID_OWNER")]);
}

#[test]
fn reading_requests() {
    let get = |name: &str, consistency| told(get_event(&v1::GetEventRequest { name: name.into(), consistency }));
    expect("right", &get("events/gala", 2), &[]);
    expect("wrong", &get("events/", 3), &[("name", "INVALID_NAME"), ("consistency", "INVALID_CONSISTENCY")]);

    let list = |page_size, page_token: &str, consistency| {
        list_events(&v1::ListEventsRequest { page_size, page_token: page_token.into(), consistency })
    };
    let right = |size, consistency| EventsList { listing: Listing::events(), size, after: None, consistency };
    assert_eq!(list(0, "", 0).unwrap(), right(50, Consistency::Cached));
    assert_eq!(list(5_000, "", 2).unwrap(), right(1_000, Consistency::Strong));
    let wrong = [
        ("page_size", "INVALID_PAGE_SIZE"),
        ("page_token", "INVALID_PAGE_TOKEN"),
        ("consistency", "INVALID_CONSISTENCY"),
    ];
    expect("wrong", &told(list(-1, "x", 3)), &wrong);

    let watch = |name: &str, from_seq| told(watch_event(&v1::WatchEventRequest { name: name.into(), from_seq }));
    expect("wrong", &watch("", -1), &[("name", "INVALID_NAME"), ("from_seq", "INVALID_FROM_SEQ")]);

    let request = v1::GetReservationRequest { name: "events/gala/reservations/7".into() };
    expect("get", &told(get_reservation(&request)), &[("name", "INVALID_NAME")]);
    let request = v1::ListReservationsRequest { parent: "x".into(), page_size: -1, page_token: "x".into() };
    let wrong =
        [("parent", "INVALID_PARENT"), ("page_size", "INVALID_PAGE_SIZE"), ("page_token", "INVALID_PAGE_TOKEN")];
    expect("list", &told(list_reservations(&request, &OwnerId::new("ann").unwrap())), &wrong);

    let request = v1::AdminServiceListReservationsRequest {
        parent: "x".into(),
        owner: "a b".into(),
        page_size: -1,
        page_token: "x".into(),
    };
    let wrong = [
        ("parent", "INVALID_PARENT"),
        ("page_size", "INVALID_PAGE_SIZE"),
        ("owner", "INVALID_OWNER"),
        ("page_token", "INVALID_PAGE_TOKEN"),
    ];
    expect("list of anybody", &told(list_all_reservations(&request)), &wrong);

    let request = v1::ListChangesRequest { parent: "x".into(), from_seq: -1, page_size: -1 };
    let wrong = [("parent", "INVALID_PARENT"), ("from_seq", "INVALID_FROM_SEQ"), ("page_size", "INVALID_PAGE_SIZE")];
    expect("changes", &told(list_changes(&request)), &wrong);
    let request = v1::ListChangesRequest { parent: "events/gala".into(), from_seq: 0, page_size: 20_000 };
    let page = list_changes(&request).unwrap();
    assert_eq!((page.from, page.size), (1, 10_000));
    let request = v1::WatchChangesRequest { parent: "x".into(), from_seq: -1 };
    expect("watch", &told(watch_changes(&request)), &[("parent", "INVALID_PARENT"), ("from_seq", "INVALID_FROM_SEQ")]);
    let request = v1::WatchChangesRequest { parent: "events/gala".into(), from_seq: 0 };
    assert_eq!(watch_changes(&request).unwrap().1, 1, "from the first on");
    expect("audit", &told(audit_event(&v1::AuditEventRequest { name: "x".into() })), &[("name", "INVALID_NAME")]);
}

#[test]
fn transitions_of_reservations() {
    let name = NAME.to_owned();
    let request = v1::ExtendReservationRequest { name: "x".into(), ttl: None };
    expect("extend", &told(extend(&request)), &[("name", "INVALID_NAME"), ("ttl", "INVALID_TTL")]);
    expect("release", &told(release(&v1::ReleaseReservationRequest { name: "x".into() })), &[("name", "INVALID_NAME")]);
    let request = v1::ConfirmReservationRequest { name: "x".into(), order_ref: String::new(), on_expired: 3 };
    let wrong = [("name", "INVALID_NAME"), ("order_ref", "INVALID_ORDER_REF"), ("on_expired", "INVALID_ON_EXPIRED")];
    expect("confirm", &told(confirm(&request)), &wrong);

    let part = |allocation: &str, cancelled_quantity| v1::cancel_reservation_request::Line {
        allocation: allocation.to_owned(),
        cancelled_quantity,
    };
    let request = |lines| v1::CancelReservationRequest { name: name.clone(), lines };
    expect("everything", &told(cancel(&request(Vec::new()))), &[]);
    let twice = vec![part("events/gala/allocations/a", 1), part("events/gala/allocations/a", 2)];
    expect("twice", &told(cancel(&request(twice))), &[("lines[1].allocation", "INVALID_ALLOCATION")]);
    let wrong = [("lines[0].allocation", "INVALID_ALLOCATION"), ("lines[0].cancelled_quantity", "INVALID_QUANTITY")];
    expect("wrong", &told(cancel(&request(vec![part("events/other/allocations/a", 0)]))), &wrong);
    let many = vec![part("events/gala/allocations/a", 1); 101];
    expect("many", &told(cancel(&request(many))), &[("lines", "INVALID_LINES")]);

    let request = |reason: String| v1::ForceReleaseReservationRequest { name: name.clone(), reason };
    expect("reason", &told(force_release(request("late".into()))), &[]);
    for reason in [String::new(), "x".repeat(501), "a\0b".into()] {
        expect("reason", &told(force_release(request(reason))), &[("reason", "INVALID_REASON")]);
    }
}

fn config(edit: impl FnOnce(&mut v1::Event)) -> Result<(EventId, Action), Violations> {
    let mut event = v1::Event { display_name: "Gala".into(), ..Default::default() };
    edit(&mut event);
    create_event(v1::CreateEventRequest { event_id: "gala".into(), event: Some(event) })
}

#[test]
fn create_event_fields() {
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let span = |seconds| Some(Duration { seconds, nanos: 0 });
    type Edit = Box<dyn FnOnce(&mut v1::Event)>;
    let cases: Vec<(Edit, &str, &str)> = vec![
        (Box::new(|e| e.display_name = "x".repeat(201)), "event.display_name", "INVALID_DISPLAY_NAME"),
        (Box::new(|e| e.display_name = "a\tb".into()), "event.display_name", "INVALID_DISPLAY_NAME"),
        (Box::new(|e| e.sales_state = 6), "event.sales_state", "INVALID_SALES_STATE"),
        (
            Box::new(|e| e.on_sale_time = Some(Timestamp { seconds: 0, nanos: -1 })),
            "event.on_sale_time",
            "INVALID_ON_SALE_TIME",
        ),
        (Box::new(move |e| e.off_sale_time = at(i64::MAX)), "event.off_sale_time", "INVALID_OFF_SALE_TIME"),
        (
            Box::new(move |e| (e.on_sale_time, e.off_sale_time) = (at(9), at(9))),
            "event.off_sale_time",
            "INVALID_OFF_SALE_TIME",
        ),
        (Box::new(move |e| e.default_hold_ttl = span(0)), "event.default_hold_ttl", "INVALID_DEFAULT_HOLD_TTL"),
        (Box::new(move |e| e.default_hold_ttl = span(3_601)), "event.default_hold_ttl", "INVALID_DEFAULT_HOLD_TTL"),
        (Box::new(move |e| e.max_hold_ttl = span(2_592_001)), "event.max_hold_ttl", "INVALID_MAX_HOLD_TTL"),
        (Box::new(|e| e.limit_per_owner = -1), "event.limit_per_owner", "INVALID_LIMIT_PER_OWNER"),
    ];
    for (edit, field, reason) in cases {
        expect(field, &told(config(edit)), &[(field, reason)]);
    }
    let none = v1::CreateEventRequest { event_id: "-".into(), event: None };
    expect("none", &told(create_event(none)), &[("event_id", "INVALID_EVENT_ID"), ("event", "INVALID_EVENT")]);
}

#[test]
fn create_event_defaults() {
    let of = |checked: Result<(EventId, Action), Violations>| match checked.unwrap() {
        (_, Action::CreateEvent(config)) => config,
        (_, other) => panic!("{other:?}"),
    };
    let plain = of(config(|_| ()));
    assert_eq!((plain.hold_ttl_default, plain.hold_ttl_max), (HOLD_TTL_DEFAULT, HOLD_TTL_LIFETIME_DEFAULT));
    assert_eq!((plain.sales_state, plain.limit_per_owner), (SalesState::Draft, None));
    let short = of(config(|e| e.max_hold_ttl = Some(Duration { seconds: 60, nanos: 0 })));
    assert_eq!(short.hold_ttl_default, short.hold_ttl_max);
}

#[test]
fn update_masks() {
    let paths = |paths: &[&str]| Some(FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() });
    let update = |event: v1::Event, update_mask| {
        update_event(v1::UpdateEventRequest {
            event: Some(v1::Event { name: "events/gala".into(), ..event }),
            update_mask,
        })
    };
    let empty = v1::Event::default;
    expect("no mask", &told(update(empty(), None)), &[("update_mask", "INVALID_UPDATE_MASK")]);
    expect("empty mask", &told(update(empty(), paths(&[]))), &[("update_mask", "INVALID_UPDATE_MASK")]);
    for path in ["name", "seq", "etag", "allocations", "*", "", "displayName", "display_name.x", "event.display_name"] {
        let told = told(update(empty(), paths(&["display_name", path])));
        expect(path, &told, &[("update_mask.paths[1]", "INVALID_UPDATE_MASK")]);
    }
    let many = vec!["display_name"; 33];
    expect("many", &told(update(empty(), paths(&many))), &[("update_mask", "INVALID_UPDATE_MASK")]);
    let unnamed = v1::Event { limit_per_owner: -1, sales_state: 77, etag: "3".into(), ..Default::default() };
    let wrong = told(update(unnamed.clone(), paths(&["limit_per_owner"])));
    expect(
        "only what is named",
        &wrong,
        &[("event.etag", "INVALID_ETAG"), ("event.limit_per_owner", "INVALID_LIMIT_PER_OWNER")],
    );

    let cleared = paths(&["on_sale_time", "default_hold_ttl", "max_hold_ttl", "limit_per_owner"]);
    let (_, action) = update(v1::Event { etag: "\"3\"".into(), ..Default::default() }, cleared).unwrap();
    let Action::UpdateEvent { expected, patch } = action else { panic!("{action:?}") };
    assert_eq!((expected, patch.on_sale_at, patch.limit_per_owner), (Some(3), Some(None), Some(None)));
    assert_eq!((patch.hold_ttl_default, patch.display_name, patch.sales_state), (Some(None), None, None));
    assert_eq!(patch.hold_ttl_max, Some(HOLD_TTL_LIFETIME_DEFAULT));

    let none = v1::UpdateEventRequest { event: None, update_mask: None };
    expect("none", &told(update_event(none)), &[("update_mask", "INVALID_UPDATE_MASK"), ("event", "INVALID_EVENT")]);
}

#[test]
fn allocation_fields() {
    let request = v1::CreateAllocationRequest {
        parent: "gala".into(),
        allocation_id: "A".into(),
        allocation: Some(v1::Allocation {
            display_name: "\n".into(),
            capacity: 1_000_000_001,
            limit_per_owner: -1,
            ..Default::default()
        }),
    };
    let wrong = [
        ("parent", "INVALID_PARENT"),
        ("allocation_id", "INVALID_ALLOCATION_ID"),
        ("allocation.display_name", "INVALID_DISPLAY_NAME"),
        ("allocation.capacity", "INVALID_CAPACITY"),
        ("allocation.limit_per_owner", "INVALID_LIMIT_PER_OWNER"),
    ];
    expect("create", &told(create_allocation(request)), &wrong);

    let request = v1::UpdateAllocationRequest {
        allocation: Some(v1::Allocation {
            name: "events/gala/allocations".into(),
            capacity: -1,
            etag: "x".into(),
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: vec!["capacity".into(), "held".into()] }),
        capacity_mode: 3,
    };
    let wrong = [
        ("update_mask.paths[1]", "INVALID_UPDATE_MASK"),
        ("capacity_mode", "INVALID_CAPACITY_MODE"),
        ("allocation.name", "INVALID_NAME"),
        ("allocation.etag", "INVALID_ETAG"),
        ("allocation.capacity", "INVALID_CAPACITY"),
    ];
    expect("update", &told(update_allocation(request)), &wrong);
}

#[test]
fn apply_fields() {
    let allocation = |id: &str| v1::Allocation {
        name: format!("events/gala/allocations/{id}"),
        etag: "\"0\"".to_owned(),
        ..Default::default()
    };
    let event = v1::Event { name: "events/gala".into(), etag: "\"0\"".into(), ..Default::default() };
    let right = v1::ApplyEventRequest {
        event: Some(event.clone()),
        allocations: vec![allocation("b"), allocation("a")],
        ..Default::default()
    };
    for validate_only in [false, true] {
        let (_, action) = apply_event(v1::ApplyEventRequest { validate_only, ..right.clone() }).unwrap();
        let Action::ApplyEvent(apply) = action else { panic!("{action:?}") };
        assert_eq!(apply.validate_only, validate_only);
        let ids: Vec<_> = apply.allocations.iter().map(|target| target.id.as_str()).collect();
        assert_eq!(ids, ["a", "b"], "in order");
    }
    let twice = v1::ApplyEventRequest { allocations: vec![allocation("a"), allocation("a")], ..right.clone() };
    expect("twice", &told(apply_event(twice)), &[("allocations[1].name", "INVALID_ALLOCATIONS")]);
    let other = v1::Allocation { name: "events/other/allocations/a".into(), ..Default::default() };
    let other = v1::ApplyEventRequest { allocations: vec![other], ..right.clone() };
    expect("other event", &told(apply_event(other)), &[("allocations[0].name", "INVALID_ALLOCATION")]);
    let many = (0..1_001).map(|number| allocation(&format!("a{number}"))).collect();
    let many = v1::ApplyEventRequest { allocations: many, ..right.clone() };
    expect("many", &told(apply_event(many)), &[("allocations", "INVALID_ALLOCATIONS")]);
    let event = v1::Event { sales_state: 9, ..event };
    let wrong = v1::ApplyEventRequest { event: Some(event), ..right };
    expect("state", &told(apply_event(wrong)), &[("event.sales_state", "INVALID_SALES_STATE")]);
    expect("empty", &told(apply_event(v1::ApplyEventRequest::default())), &[("event", "INVALID_EVENT")]);
}

/// The other tests go beyond what the API documents, this one to the last that it allows.
#[test]
fn what_is_at_a_bound_is_taken() {
    let span = |seconds| Some(Duration { seconds, nanos: 0 });
    for ttl in [1, 2_592_000] {
        let most = reserve(|r| {
            r.order_ref = "ä".repeat(128);
            body(r).lines =
                (0..100).map(|number| line(&format!("events/gala/allocations/a{number}"), 1_000_000)).collect();
            body(r).ttl = span(ttl);
        });
        expect("reservation", &told(most), &[]);
        let longer = v1::ExtendReservationRequest { name: NAME.into(), ttl: span(ttl) };
        expect("extension", &told(extend(&longer)), &[]);
    }
    for (rate, inside_max, pass_lifetime, grace) in [(0, 0, 1, 1), (100_000, 10_000_000, 86_400, 3_600)] {
        let waiting_room = v1::WaitingRoom {
            admissions_per_second: rate,
            inside_max,
            pass_lifetime: span(pass_lifetime),
            grace: span(grace),
            ..Default::default()
        };
        let event = config(|event| {
            event.display_name = "ä".repeat(200);
            event.max_hold_ttl = span(2_592_000);
            event.waiting_room = Some(waiting_room);
        });
        expect("event", &told(event), &[]);
    }
    for capacity in [0, 1_000_000_000] {
        let allocation = |number| v1::Allocation {
            name: format!("events/gala/allocations/a{number}"),
            display_name: "ä".repeat(200),
            capacity,
            ..Default::default()
        };
        let event = Some(v1::Event { name: "events/gala".into(), ..Default::default() });
        let allocations = (0..1_000).map(allocation).collect();
        expect("all", &told(apply_event(v1::ApplyEventRequest { event, allocations, ..Default::default() })), &[]);
    }
    let reason = "ä".repeat(500);
    expect("reason", &told(force_release(v1::ForceReleaseReservationRequest { name: NAME.into(), reason })), &[]);
}

#[test]
fn transfer_fields() {
    let right = v1::TransferCapacityRequest {
        from: "events/gala/allocations/a".into(),
        to: "events/gala/allocations/b".into(),
        quantity: 1,
        from_etag: "\"1\"".into(),
        to_etag: "\"2\"".into(),
    };
    let (_, action) = transfer_capacity(&right).unwrap();
    let Action::TransferCapacity(transfer) = action else { panic!("{action:?}") };
    assert_eq!((transfer.from.as_str(), transfer.from_expected), ("a", 1));
    assert_eq!((transfer.to.as_str(), transfer.to_expected, transfer.quantity), ("b", 2, 1));
    let same = v1::TransferCapacityRequest { to: right.from.clone(), ..right.clone() };
    expect("same", &told(transfer_capacity(&same)), &[("to", "INVALID_TO")]);
    let other = v1::TransferCapacityRequest { to: "events/other/allocations/b".into(), ..right };
    expect("other event", &told(transfer_capacity(&other)), &[("to", "INVALID_TO")]);
    let wrong = [
        ("from", "INVALID_FROM"),
        ("to", "INVALID_TO"),
        ("quantity", "INVALID_QUANTITY"),
        ("from_etag", "INVALID_ETAG"),
        ("to_etag", "INVALID_ETAG"),
    ];
    expect("empty", &told(transfer_capacity(&v1::TransferCapacityRequest::default())), &wrong);
}
