//! The honest fake is honest: what the auditor rightly caught it at.

use std::time::Duration;

use boxoffice_proto::v1::change::Kind;
use boxoffice_proto::v1::reservation::{Line, State};
use boxoffice_proto::v1::{Allocation, CreateReservationRequest, Event, Reservation};
use prost_types::Duration as Ttl;

use super::Fake;
use super::event::timestamp;

const EVENT: &str = "events/e";

/// With ten units on sale, held for a second.
fn fake() -> Fake {
    let fake = Fake { bug: None, events: std::sync::Arc::default() };
    fake.on(EVENT, |event| {
        let default_hold_ttl = Some(Ttl { seconds: 1, nanos: 0 });
        event.event = Event { name: EVENT.to_owned(), default_hold_ttl, ..Event::default() };
        event.allocation = Allocation { name: format!("{EVENT}/allocations/hot"), ..Allocation::default() };
        event.write(Kind::AllocationCreated, None, 10, 0, 0);
    });
    fake
}

fn request(id: &str) -> CreateReservationRequest {
    let lines = vec![Line { quantity: 1, ..Line::default() }];
    let reservation = Some(Reservation { lines, ..Reservation::default() });
    CreateReservationRequest {
        parent: EVENT.to_owned(),
        reservation_id: id.to_owned(),
        reservation,
        ..CreateReservationRequest::default()
    }
}

/// A machine with much else to do found it replacing what was sold: with less to do, such a buyer came too late for tickets.
#[tokio::test]
async fn what_is_sold_is_not_replaced() {
    let fake = fake();
    let sale = CreateReservationRequest { order_ref: "order-1".to_owned(), ..request("1") };
    let sold = fake.reserve("buyer", sale).await.unwrap();
    assert_eq!(sold.state(), State::Confirmed);
    let refused = fake.reserve("buyer", CreateReservationRequest { replaces: sold.name, ..request("2") }).await;
    assert_eq!(refused.unwrap_err().message(), "ALREADY_CONFIRMED");
}

/// It used to read the clock for each decision and again for the journal, and was caught extending a hold that had lapsed in
/// between.
#[test]
fn a_call_happens_at_one_moment_however_long_it_takes() {
    fake().on(EVENT, |event| {
        let decided_at = timestamp(event.at);
        std::thread::sleep(Duration::from_millis(2));
        let reservation = event.create("buyer", request("1"), 1);
        assert_eq!(event.journal.last().unwrap().occur_time, decided_at);
        assert_eq!(reservation.expire_time, timestamp(event.at + 1_000_000));
    });
}
