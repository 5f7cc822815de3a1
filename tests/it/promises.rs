//! The promises to buyers, over the wire.

use boxoffice_proto::v1;
use boxoffice_proto::v1::reservation::State;
use tonic::Code;

use crate::support::{assert_audit_is_clean, by, confirm, event, get, name, new_id, reason, server_with_event, wants};

#[tokio::test]
async fn a_second_owner_learns_nothing_of_a_reservation_id() {
    let (_data, server) = server_with_event(v1::Event::default(), &[("floor", 10)]).await;
    let mut client = server.inventory();
    let (taken, never_used) = (new_id(), new_id());
    client.create_reservation(by("alice", wants(&taken, &[("floor", 2)]))).await.expect("granted");

    // Each call on Alice's id is answered to Mallory as the same call on an id that does not exist, to the letter.
    for (on_taken, on_unused) in [
        (
            client.get_reservation(by("mallory", get(&taken))).await,
            client.get_reservation(by("mallory", get(&never_used))).await,
        ),
        (
            client.confirm_reservation(by("mallory", confirm(&taken, "m"))).await,
            client.confirm_reservation(by("mallory", confirm(&never_used, "m"))).await,
        ),
        (
            client.release_reservation(by("mallory", v1::ReleaseReservationRequest { name: name(&taken) })).await,
            client.release_reservation(by("mallory", v1::ReleaseReservationRequest { name: name(&never_used) })).await,
        ),
        (
            client.cancel_reservation(by("mallory", cancel(&taken))).await,
            client.cancel_reservation(by("mallory", cancel(&never_used))).await,
        ),
        (
            client.extend_reservation(by("mallory", extend(&taken))).await,
            client.extend_reservation(by("mallory", extend(&never_used))).await,
        ),
    ] {
        let (taken_error, unused_error) = (on_taken.expect_err("refused"), on_unused.expect_err("refused"));
        assert_eq!(taken_error.code(), Code::NotFound);
        assert_eq!(taken_error.message().replace(&taken, "ID"), unused_error.message().replace(&never_used, "ID"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(
            text(taken_error.details()).replace(&taken, "ID"),
            text(unused_error.details()).replace(&never_used, "ID")
        );
    }

    // Using the id himself tells Mallory only that it is used; not by whom, for what, or in which state.
    let error = client.create_reservation(by("mallory", wants(&taken, &[("floor", 2)]))).await.expect_err("refused");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::AlreadyExists, "RESERVATION_ID_REUSED"));
    let told = format!("{} {}", error.message(), String::from_utf8_lossy(error.details()));
    for secret in ["alice", "HELD", "floor"] {
        assert!(!told.contains(secret), "{told} must not tell {secret}");
    }
    let own = client.list_reservations(by("mallory", list())).await.expect("listed").into_inner();
    assert_eq!(own.reservations, []);

    let reservation = client.get_reservation(by("alice", get(&taken))).await.expect("hers").into_inner();
    assert_eq!((reservation.state(), reservation.owner.as_str()), (State::Held, "alice"));
    let floor = &event(&server).await.allocations[0];
    assert_eq!((floor.held, floor.sold, floor.available), (2, 0, 8));
}

#[tokio::test]
async fn a_retry_after_a_lost_answer_gets_the_first_answer() {
    let (_data, server) = server_with_event(v1::Event::default(), &[("floor", 10)]).await;
    let mut client = server.inventory();
    let id = new_id();
    let request = wants(&id, &[("floor", 3)]);
    let first = client.create_reservation(by("alice", request.clone())).await.expect("granted").into_inner();
    for _ in 0..3 {
        let again = client.create_reservation(by("alice", request.clone())).await.expect("the same").into_inner();
        assert_eq!(again, first);
    }
    let mut other = request;
    other.reservation.as_mut().expect("set").lines[0].quantity = 4;
    let error = client.create_reservation(by("alice", other)).await.expect_err("another request");
    assert_eq!(reason(&error), "RESERVATION_ID_REUSED");
    assert_eq!(event(&server).await.allocations[0].held, 3);
}

#[tokio::test]
async fn a_double_confirm_sells_once() {
    let (_data, server) = server_with_event(v1::Event::default(), &[("floor", 10)]).await;
    let mut client = server.inventory();
    let id = new_id();
    client.create_reservation(by("alice", wants(&id, &[("floor", 3)]))).await.expect("granted");

    let confirms = (0..16).map(|_| {
        let mut client = server.inventory();
        let request = by("alice", confirm(&id, "order-1"));
        async move { client.confirm_reservation(request).await }
    });
    for answer in futures::future::join_all(confirms).await {
        assert_eq!(answer.expect("sold, or sold already").into_inner().state(), State::Confirmed);
    }
    let error = client.confirm_reservation(by("alice", confirm(&id, "order-2"))).await.expect_err("another order");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::FailedPrecondition, "ALREADY_CONFIRMED"));

    let floor = &event(&server).await.allocations[0];
    assert_eq!((floor.held, floor.sold, floor.available), (0, 3, 7));
    let report = assert_audit_is_clean(&server).await;
    // Created, allocation, reserved, confirmed: the confirmation is in the journal once.
    assert_eq!(report.changes, 4);
}

#[tokio::test]
async fn a_partial_refund_sent_twice_refunds_once() {
    let (_data, server) = server_with_event(v1::Event::default(), &[("floor", 10)]).await;
    let mut client = server.inventory();
    let id = new_id();
    let mut request = wants(&id, &[("floor", 5)]);
    request.order_ref = "door".to_owned();
    client.create_reservation(by("alice", request)).await.expect("sold");
    let mut refund = cancel(&id);
    refund.lines.push(v1::cancel_reservation_request::Line {
        allocation: "events/sale/allocations/floor".to_owned(),
        cancelled_quantity: 2,
    });
    for _ in 0..2 {
        let answer = client.cancel_reservation(by("alice", refund.clone())).await.expect("refunded").into_inner();
        assert_eq!((answer.state(), answer.lines[0].cancelled_quantity), (State::Confirmed, 2));
    }
    let floor = &event(&server).await.allocations[0];
    assert_eq!((floor.sold, floor.available), (3, 7));
}

#[tokio::test]
async fn an_expired_hold_is_expired_with_the_sweeper_off() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let server = crate::support::Server::start_with(data.path(), &["--sweep-interval", "0s"]);
    crate::support::create_event(&server, v1::Event::default(), &[("floor", 1)]).await;
    let mut client = server.inventory();
    let (first, second) = (new_id(), new_id());
    let mut request = wants(&first, &[("floor", 1)]);
    request.reservation.as_mut().expect("set").ttl = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    client.create_reservation(by("alice", request)).await.expect("granted");
    let error = client.create_reservation(by("bob", wants(&second, &[("floor", 1)]))).await.expect_err("held");
    assert_eq!(reason(&error), "ALL_HELD");

    // Until it lapses, and not a moment longer, the unit is Alice's; the server's own clock says when.
    let granted = loop {
        match client.create_reservation(by("bob", wants(&second, &[("floor", 1)]))).await {
            Ok(granted) => break granted.into_inner(),
            Err(error) => assert_eq!(reason(&error), "ALL_HELD"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(granted.state(), State::Held);
    let lapsed = client.get_reservation(by("alice", get(&first))).await.expect("hers").into_inner();
    assert_eq!(lapsed.state(), State::Expired);
    let seconds = |time: Option<prost_types::Timestamp>| {
        let time = time.expect("set");
        (time.seconds, time.nanos)
    };
    assert!(seconds(granted.create_time) >= seconds(lapsed.expire_time));
    let error = client.confirm_reservation(by("alice", confirm(&first, "late"))).await.expect_err("lapsed");
    assert_eq!(reason(&error), "RESERVATION_EXPIRED");
    assert_audit_is_clean(&server).await;
}

fn cancel(id: &str) -> v1::CancelReservationRequest {
    v1::CancelReservationRequest { name: name(id), lines: Vec::new() }
}

fn extend(id: &str) -> v1::ExtendReservationRequest {
    v1::ExtendReservationRequest { name: name(id), ttl: Some(prost_types::Duration { seconds: 60, nanos: 0 }) }
}

fn list() -> v1::ListReservationsRequest {
    v1::ListReservationsRequest { parent: "events/sale".to_owned(), ..Default::default() }
}
