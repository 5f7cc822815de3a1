//! Reservations.

use boxoffice_proto::v1;

use super::{names, time, units};
use crate::domain::{CapacityMode, EventId, Line, Mode, OnExpired, OrderRef, Reservation, State};

/// A reservation as it is stored.
pub(in crate::grpc) fn reservation(event: &EventId, reservation: &Reservation) -> v1::Reservation {
    in_state(event, reservation, reservation.state)
}

/// A reservation, shown in `state`: a hold that nobody reclaimed yet has expired all the same.
pub(in crate::grpc) fn in_state(event: &EventId, reservation: &Reservation, state: State) -> v1::Reservation {
    v1::Reservation {
        name: names::reservation(event, &reservation.id),
        state: wire_state(state).into(),
        lines: reservation.lines.iter().map(|each| line(event, each)).collect(),
        owner: reservation.owner.as_str().to_owned(),
        expire_time: Some(time::timestamp(reservation.expires_at)),
        create_time: Some(time::timestamp(reservation.created_at)),
        ttl: None,
        order_ref: reservation.order_ref.as_ref().map_or_else(String::new, |order| OrderRef::as_str(order).to_owned()),
        update_time: Some(time::timestamp(reservation.updated_at)),
    }
}

fn line(event: &EventId, line: &Line) -> v1::reservation::Line {
    v1::reservation::Line {
        allocation: names::allocation(event, &line.allocation),
        quantity: units(line.quantity),
        requested_quantity: units(line.requested),
        cancelled_quantity: units(line.cancelled),
    }
}

const fn wire_state(state: State) -> v1::reservation::State {
    match state {
        State::Held => v1::reservation::State::Held,
        State::Confirmed => v1::reservation::State::Confirmed,
        State::Released => v1::reservation::State::Released,
        State::Expired => v1::reservation::State::Expired,
        State::Cancelled => v1::reservation::State::Cancelled,
    }
}

/// A mode from the wire; `None`: no such mode.
pub(in crate::grpc) fn parse_mode(number: i32) -> Option<Mode> {
    Some(match v1::ReservationMode::try_from(number).ok()? {
        v1::ReservationMode::Unspecified | v1::ReservationMode::AllOrNothing => Mode::AllOrNothing,
        v1::ReservationMode::UpTo => Mode::UpTo,
    })
}

/// What to do with an expired hold, from the wire; `None`: nothing that is known.
pub(in crate::grpc) fn parse_on_expired(number: i32) -> Option<OnExpired> {
    Some(match v1::OnExpired::try_from(number).ok()? {
        v1::OnExpired::Unspecified | v1::OnExpired::Fail => OnExpired::Fail,
        v1::OnExpired::Reacquire => OnExpired::Reacquire,
    })
}

/// What a smaller capacity does, from the wire; `None`: nothing that is known.
pub(in crate::grpc) fn parse_capacity_mode(number: i32) -> Option<CapacityMode> {
    Some(match v1::CapacityMode::try_from(number).ok()? {
        v1::CapacityMode::Unspecified | v1::CapacityMode::Strict => CapacityMode::Strict,
        v1::CapacityMode::Drain => CapacityMode::Drain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AllocationId, OwnerId, ReservationId, Timestamp};

    #[test]
    fn a_reservation_is_shown_with_all_its_fields() {
        let id = "0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71";
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let stalls = AllocationId::new("stalls").unwrap();
        let sold = Reservation {
            id: ReservationId::new(id).unwrap(),
            owner: OwnerId::new("ann").unwrap(),
            state: State::Confirmed,
            lines: vec![Line { allocation: stalls, quantity: 4, requested: 6, cancelled: 1 }],
            expires_at: at(30),
            created_at: at(10),
            updated_at: at(20),
            fingerprint: 7,
            order_ref: Some(OrderRef::new("order-1").unwrap()),
        };
        let moment = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let expected = v1::Reservation {
            name: format!("events/gala/reservations/{id}"),
            state: v1::reservation::State::Confirmed.into(),
            lines: vec![v1::reservation::Line {
                allocation: "events/gala/allocations/stalls".to_owned(),
                quantity: 4,
                requested_quantity: 6,
                cancelled_quantity: 1,
            }],
            owner: "ann".to_owned(),
            expire_time: moment(30),
            create_time: moment(10),
            ttl: None,
            order_ref: "order-1".to_owned(),
            update_time: moment(20),
        };
        assert_eq!(reservation(&EventId::new("gala").unwrap(), &sold), expected);
    }

    #[test]
    fn states_have_the_names_of_the_model() {
        for state in State::ALL {
            assert_eq!(wire_state(state).as_str_name(), format!("STATE_{}", state.as_str()));
        }
    }

    #[test]
    fn unknown_numbers_are_not_read() {
        assert_eq!(parse_mode(0), Some(Mode::AllOrNothing));
        assert_eq!(parse_mode(2), Some(Mode::UpTo));
        assert_eq!(parse_mode(3), None);
        assert_eq!(parse_on_expired(0), Some(OnExpired::Fail));
        assert_eq!(parse_on_expired(2), Some(OnExpired::Reacquire));
        assert_eq!(parse_on_expired(-1), None);
        assert_eq!(parse_capacity_mode(0), Some(CapacityMode::Strict));
        assert_eq!(parse_capacity_mode(2), Some(CapacityMode::Drain));
        assert_eq!(parse_capacity_mode(99), None);
    }
}
