//! Sends a buyer's requests, again and again until there is an answer, and records every attempt.

use std::time::Duration;

use boxoffice_proto::v1::cancel_reservation_request::Line as CancelLine;
use boxoffice_proto::v1::reservation::Line;
use boxoffice_proto::v1::{
    CancelReservationRequest, ConfirmReservationRequest, CreateReservationRequest, ExtendReservationRequest,
    GetReservationRequest, OnExpired, ReleaseReservationRequest, Reservation, ReservationMode,
};
use rand::Rng as _;
use rand::rngs::SmallRng;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use crate::client::{Inventory, owned_by, owner_value, reason};
use crate::clock::{now, seconds};
use crate::event::SaleEvent;
use crate::fetch;
use crate::history::{Action, Ask, Call, Reason, Told, Units, owner_name};

/// How long an attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts until a buyer gives up: with the back-off below, more than the longest restart of a server.
const ATTEMPTS_MAX: u32 = 120;
/// The first back-off; it doubles up to the longest, and half of it is random.
const BACK_OFF_MIN: Duration = Duration::from_millis(10);
const BACK_OFF_MAX: Duration = Duration::from_millis(500);

/// One task's way to the servers.
pub(super) struct Caller {
    /// Two, on connections of their own (and to different servers, where there are several), so that duplicates can overtake
    /// each other, and that a retry may reach another server than the first attempt.
    clients: [Inventory; 2],
    event: SaleEvent,
    random: SmallRng,
    calls: Vec<Call>,
}

impl Caller {
    /// A caller without a history.
    pub(super) fn new(clients: [Inventory; 2], event: SaleEvent, random: SmallRng) -> Self {
        Self { clients, event, random, calls: Vec::new() }
    }

    /// All attempts of all calls so far.
    pub(super) fn into_calls(self) -> Vec<Call> {
        self.calls
    }

    /// Asks until there is an answer. `None`: there was none for so long that the buyer gave up.
    pub(super) async fn ask(&mut self, ask: &Ask) -> Option<Told> {
        for attempt in 0..ATTEMPTS_MAX {
            let [first, second] = &self.clients;
            let client = if attempt % 2 == 0 { first } else { second };
            let call = send(client.clone(), &self.event, ask).await;
            let told = call.told.clone();
            self.calls.push(call);
            if told.is_final() {
                return Some(told);
            }
            self.back_off(attempt).await;
        }
        None
    }

    /// Asks twice at the same time over two connections, as an impatient client does, and then until there is an answer.
    pub(super) async fn ask_twice(&mut self, ask: &Ask) -> Option<Told> {
        let [one, other] = self.clients.clone();
        let (first, second) = tokio::join!(send(one, &self.event, ask), send(other, &self.event, ask));
        let best = [&first.told, &second.told].into_iter().find(|told| matches!(told, Told::Shown(_))).cloned();
        self.calls.extend([first, second]);
        match best {
            Some(told) => Some(told),
            None => self.ask(ask).await,
        }
    }

    async fn back_off(&mut self, attempt: u32) {
        let longest = BACK_OFF_MIN.saturating_mul(1 << attempt.min(10)).min(BACK_OFF_MAX);
        sleep(longest.mul_f64(self.random.random_range(0.5..=1.0))).await;
    }
}

/// One attempt.
async fn send(client: Inventory, event: &SaleEvent, ask: &Ask) -> Call {
    let start = now();
    let answer = timeout(ATTEMPT_TIMEOUT, call(client, event, ask)).await;
    let end = now();
    let told = match answer {
        Err(_) => Told::Unknown("no answer in time".to_owned()),
        Ok(Err(status)) => told_by_status(&status),
        Ok(Ok(reservation)) => told_by_answer(event, ask, &reservation),
    };
    Call { event: 0, ask: ask.clone(), due: start, start, end, told }
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
    let line = |units: &Units| Line {
        allocation: event.allocation(units.allocation).to_owned(),
        quantity: units.count,
        ..Line::default()
    };
    let mode = if *up_to { ReservationMode::UpTo } else { ReservationMode::AllOrNothing };
    CreateReservationRequest {
        parent: event.name.clone(),
        reservation_id: ask.reservation.to_string(),
        reservation: Some(Reservation { lines: lines.iter().map(line).collect(), ..Reservation::default() }),
        mode: mode.into(),
        replaces: replaces.map(|id| event.reservation(id)).unwrap_or_default(),
        order_ref: sell_as.clone().unwrap_or_default(),
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

/// An error without a reason of the API comes from the connection: nobody knows what the server did before it broke.
fn told_by_status(status: &Status) -> Told {
    let text = || format!("{:?}: {}", status.code(), status.message());
    match (reason(status), status.code()) {
        (Some(reason), _) if reason == "OVERLOADED" => Told::Busy,
        (Some(_), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled) | (None, _) => Told::Unknown(text()),
        (Some(reason), _) => match Reason::parse(&reason) {
            Some(reason) => Told::Refused(reason),
            None => Told::Nonsense(format!("{reason}, {}", text())),
        },
    }
}
