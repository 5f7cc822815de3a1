//! The requests of buyers as the API takes them, and its answers as buyers understand them.

use boxoffice_proto::v1::batch_create_reservations_response::outcome::Outcome;
use boxoffice_proto::v1::cancel_reservation_request::Line as CancelLine;
use boxoffice_proto::v1::reservation::Line;
use boxoffice_proto::v1::{
    BatchCreateReservationsRequest, CancelReservationRequest, ConfirmReservationRequest, CreateReservationRequest,
    ExtendReservationRequest, GetReservationRequest, OnExpired, ReleaseReservationRequest, Reservation,
    ReservationMode, batch_create_reservations_response,
};
use tonic::{Code, Status};
use tonic_types::RpcStatusExt as _;
use uuid::Uuid;

use crate::client::{Inventory, is_of_a_connection, owned_by, owner_value, reason};
use crate::clock::seconds;
use crate::event::SaleEvent;
use crate::fetch;
use crate::history::{Action, Ask, Reason, Told, Units, owner_name};

/// Reasons by which nothing was done, and the same again may succeed.
const BUSY: [&str; 2] = ["OVERLOADED", "RATE_LIMITED"];

/// Asks once.
pub(super) async fn ask(client: Inventory, event: &SaleEvent, ask: &Ask) -> Told {
    match call(client.clone(), event, ask).await {
        Ok(reservation) => told_by_answer(event, ask, &reservation),
        Err(status) if ask.intruder => told_to_intruder(client, event, ask, &status).await,
        Err(status) => told_by_status(&status),
    }
}

/// Asks for several reservations in one call: an answer for each.
pub(super) async fn ask_batch(mut client: Inventory, event: &SaleEvent, asks: &[Ask]) -> Vec<Told> {
    let request = BatchCreateReservationsRequest {
        parent: event.name.clone(),
        requests: asks.iter().map(|ask| reserve_request(event, ask)).collect(),
        owners: asks.iter().map(|ask| owner_name(ask.owner)).collect(),
        passes: Vec::new(),
    };
    let outcomes = match client.batch_create_reservations(owned_by(owner_value("gateway"), request)).await {
        Ok(answer) => answer.into_inner().outcomes,
        Err(status) => return vec![told_by_status(&status); asks.len()],
    };
    if outcomes.len() != asks.len() {
        return vec![Told::Nonsense(format!("{} outcomes came for {}", outcomes.len(), asks.len())); asks.len()];
    }
    let told = |(ask, outcome): (&Ask, batch_create_reservations_response::Outcome)| match outcome.outcome {
        Some(Outcome::Reservation(reservation)) => told_by_answer(event, ask, &reservation),
        Some(Outcome::Error(error)) => {
            let reason = error.get_details_error_info().map(|info| info.reason);
            told_by_error(reason, Code::from_i32(error.code), &error.message)
        }
        None => Told::Nonsense("an item of a batch has no outcome".to_owned()),
    };
    asks.iter().zip(outcomes).map(told).collect()
}

/// Somebody else's reservation must look like one that is not there, to the last byte: the intruder asks for such a one, too.
async fn told_to_intruder(client: Inventory, event: &SaleEvent, ask: &Ask, status: &Status) -> Told {
    let told = told_by_status(status);
    if told != Told::Refused(Reason::ReservationNotFound) {
        return told;
    }
    let answer = call(client, event, &of_nobodys(ask)).await;
    match answer.map_err(|status| (told_by_status(&status), status)) {
        Err((Told::Refused(Reason::ReservationNotFound), other)) if !is_same(status, &other) => {
            Told::Nonsense(format!("{status:?}, where of no reservation it is {other:?}"))
        }
        Ok(_) | Err(_) => told,
    }
}

/// The same request for a reservation that is not there.
fn of_nobodys(ask: &Ask) -> Ask {
    let other = |id: Uuid| Uuid::from_u128(id.as_u128() ^ 1);
    let mut nobodys = ask.clone();
    match &mut nobodys.action {
        Action::Reserve { replaces: Some(replaced), .. } => *replaced = other(*replaced),
        _ => nobodys.reservation = other(ask.reservation),
    }
    nobodys
}

fn is_same(one: &Status, other: &Status) -> bool {
    (one.code(), one.message(), one.details()) == (other.code(), other.message(), other.details())
}

async fn call(mut client: Inventory, event: &SaleEvent, ask: &Ask) -> Result<Reservation, Status> {
    let owner = owner_value(&owner_name(ask.owner));
    let name = event.reservation(ask.reservation);
    let answer = match &ask.action {
        Action::Reserve { .. } => client.create_reservation(owned_by(owner, reserve_request(event, ask))).await,
        Action::Extend { ttl_seconds } => {
            let request = ExtendReservationRequest { name, ttl: Some(seconds(*ttl_seconds)) };
            client.extend_reservation(owned_by(owner, request)).await
        }
        Action::Confirm { order_ref, reacquire } => {
            let on_expired = if *reacquire { OnExpired::Reacquire } else { OnExpired::Fail };
            let order_ref = order_ref.clone();
            let request = ConfirmReservationRequest { name, order_ref, on_expired: on_expired.into() };
            client.confirm_reservation(owned_by(owner, request)).await
        }
        Action::Release => client.release_reservation(owned_by(owner, ReleaseReservationRequest { name })).await,
        Action::Cancel { lines } => {
            let line = |units: &Units| CancelLine {
                allocation: event.allocation(units.allocation).to_owned(),
                cancelled_quantity: units.count,
            };
            let request = CancelReservationRequest { name, lines: lines.iter().map(line).collect() };
            client.cancel_reservation(owned_by(owner, request)).await
        }
        Action::Get => client.get_reservation(owned_by(owner, GetReservationRequest { name })).await,
    };
    answer.map(tonic::Response::into_inner)
}

fn reserve_request(event: &SaleEvent, ask: &Ask) -> CreateReservationRequest {
    let Action::Reserve { lines, up_to, replaces, sell_as } = &ask.action else {
        return CreateReservationRequest::default();
    };
    let line = |units: Units| Line {
        allocation: event.allocation(units.allocation).to_owned(),
        quantity: units.count,
        ..Line::default()
    };
    let lines = lines.iter().flat_map(|units| as_named(*units, ask.reservation)).map(line).collect();
    let mode = if *up_to { ReservationMode::UpTo } else { ReservationMode::AllOrNothing };
    CreateReservationRequest {
        parent: event.name.clone(),
        reservation_id: ask.reservation.to_string(),
        reservation: Some(Reservation { lines, ..Reservation::default() }),
        mode: mode.into(),
        replaces: replaces.map(|id| event.reservation(id)).unwrap_or_default(),
        order_ref: sell_as.clone().unwrap_or_default(),
    }
}

/// The lines that ask for these units. Half of all requests name an allocation twice where they can: it is the same request.
fn as_named(units: Units, reservation: Uuid) -> Vec<Units> {
    match reservation.as_u128().is_multiple_of(2) && units.count > 1 {
        true => vec![Units { count: 1, ..units }, Units { count: units.count - 1, ..units }],
        false => vec![units],
    }
}

fn told_by_answer(event: &SaleEvent, ask: &Ask, reservation: &Reservation) -> Told {
    let owner = owner_name(ask.owner);
    if reservation.name != event.reservation(ask.reservation) || reservation.owner != owner {
        let Reservation { name, owner: other, .. } = reservation;
        return Told::Nonsense(format!("{owner} asked for {}, and was shown {name} of {other}", ask.reservation));
    }
    match fetch::view(event, reservation) {
        Ok(view) => Told::Shown(view),
        Err(error) => Told::Nonsense(error.to_string()),
    }
}

fn told_by_status(status: &Status) -> Told {
    told_by_error(reason(status), status.code(), status.message())
}

fn told_by_error(reason: Option<String>, code: Code, message: &str) -> Told {
    let text = || format!("{code:?}: {message}");
    match (reason, code) {
        (Some(reason), _) if BUSY.contains(&reason.as_str()) => Told::Busy,
        (Some(_), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled) => Told::Unknown(text()),
        (None, code) if is_of_a_connection(code) => Told::Unknown(text()),
        (None, _) => Told::Nonsense(format!("an error without a reason: {}", text())),
        (Some(reason), _) => match Reason::parse(&reason) {
            Some(reason) => Told::Refused(reason),
            None => Told::Nonsense(format!("{reason}, {}", text())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_without_a_reason_is_unknown_only_where_a_connection_can_have_made_it() {
        for code in (0..=16).map(Code::from_i32) {
            let connections = [Code::Cancelled, Code::Unknown, Code::DeadlineExceeded, Code::ResourceExhausted];
            let may = connections.contains(&code) || [Code::Internal, Code::Unavailable].contains(&code);
            let told = told_by_error(None, code, "no");
            assert_eq!((matches!(told, Told::Unknown(_)), matches!(told, Told::Nonsense(_))), (may, !may), "{told:?}");
        }
    }

    #[test]
    fn a_reason_says_what_became_of_it() {
        let told = |reason: &str, code| told_by_error(Some(reason.to_owned()), code, "no");
        assert_eq!(told("OVERLOADED", Code::Unavailable), Told::Busy);
        assert_eq!(told("RATE_LIMITED", Code::ResourceExhausted), Told::Busy);
        assert_eq!(told("ALL_HELD", Code::FailedPrecondition), Told::Refused(Reason::AllHeld));
        assert!(matches!(told("STORE_UNAVAILABLE", Code::Unavailable), Told::Unknown(_)));
        assert!(matches!(told("INTERNAL", Code::Internal), Told::Nonsense(_)));
        assert!(matches!(told("INVALID_REQUEST", Code::InvalidArgument), Told::Nonsense(_)));
    }
}
