//! What owners and operators see of reservations.

use std::sync::Arc;

use boxoffice::domain::{AllocationId, Line, OwnerId, Reservation, ReservationId, State, Timestamp};
use boxoffice_proto::v1;
use tonic::Code;

use crate::support::{NOW, StuckStore, by, config, start};

const ANNS: &str = "0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71";
const MISSING: &str = "0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e72";

fn hold(expires_at: Timestamp) -> StuckStore {
    let line =
        Line { allocation: AllocationId::new("stalls").expect("an id"), quantity: 2, requested: 3, cancelled: 0 };
    let reservation = Reservation {
        id: ReservationId::new(ANNS).expect("an id"),
        owner: OwnerId::new("ann").expect("a name"),
        state: State::Held,
        lines: vec![line],
        expires_at,
        created_at: Timestamp::from_micros(1),
        updated_at: Timestamp::from_micros(1),
        fingerprint: 0,
        order_ref: None,
    };
    StuckStore { reservations: vec![reservation], ..Default::default() }
}

fn get(id: &str) -> v1::GetReservationRequest {
    v1::GetReservationRequest { name: format!("events/gala/reservations/{id}") }
}

#[tokio::test]
async fn a_reservation_of_somebody_else_looks_like_none_at_all() {
    let server = start(Arc::new(hold(Timestamp::from_micros(i64::MAX))), config()).await;
    let mut client = server.inventory();
    let own = client.get_reservation(by("ann", get(ANNS))).await.expect("her own").into_inner();
    assert_eq!((own.owner.as_str(), own.lines[0].quantity, own.lines[0].requested_quantity), ("ann", 2, 3));

    let hers = client.get_reservation(by("bob", get(ANNS))).await.expect_err("not his");
    let none = client.get_reservation(by("bob", get(MISSING))).await.expect_err("there is none");
    assert_eq!(hers.code(), Code::NotFound);
    assert_eq!((hers.code(), hers.message(), hers.details()), (none.code(), none.message(), none.details()));

    let request = v1::ListReservationsRequest { parent: "events/gala".to_owned(), ..Default::default() };
    let list = client.list_reservations(by("bob", request)).await.expect("a list").into_inner();
    assert!(list.reservations.is_empty());
}

#[tokio::test]
async fn a_hold_that_nobody_reclaimed_yet_is_shown_as_expired() {
    for (expires_at, state) in [
        (NOW, v1::reservation::State::Expired),
        (Timestamp::from_micros(NOW.as_micros() + 1), v1::reservation::State::Held),
    ] {
        let server = start(Arc::new(hold(expires_at)), config()).await;
        let got = server.inventory().get_reservation(by("ann", get(ANNS))).await.expect("hers").into_inner();
        assert_eq!(got.state(), state);
        let request = v1::ListReservationsRequest { parent: "events/gala".to_owned(), ..Default::default() };
        let listed = server.inventory().list_reservations(by("ann", request)).await.expect("a list").into_inner();
        assert_eq!(listed.reservations, std::slice::from_ref(&got));
        for owner in ["", "ann"] {
            let request = v1::AdminServiceListReservationsRequest {
                parent: "events/gala".to_owned(),
                owner: owner.to_owned(),
                ..Default::default()
            };
            let listed = server.admin().list_reservations(request).await.expect("a list").into_inner();
            assert_eq!(listed.reservations, std::slice::from_ref(&got), "{owner}");
        }
    }
}
