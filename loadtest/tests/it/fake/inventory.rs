//! The calls of buyers.

use boxoffice_proto::v1::batch_create_reservations_response::{Outcome, outcome};
use boxoffice_proto::v1::change::Kind;
use boxoffice_proto::v1::inventory_service_server::InventoryService;
use boxoffice_proto::v1::reservation::State;
use boxoffice_proto::v1::*;
use prost::Message as _;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::event::{ended, expires, owner, timestamp};
use super::{Bug, Fake};

#[tonic::async_trait]
impl InventoryService for Fake {
    async fn get_event(&self, request: Request<GetEventRequest>) -> Result<Response<Event>, Status> {
        let answer = self.on(&request.get_ref().name, |event| {
            let hidden = i32::from(self.bug == Some(Bug::HidesUnits));
            let allocation = Allocation { available: event.available() - hidden, ..event.allocation.clone() };
            Event { allocations: vec![allocation], read_time: timestamp(event.at), ..event.event.clone() }
        });
        Ok(Response::new(answer))
    }

    async fn create_reservation(
        &self,
        request: Request<CreateReservationRequest>,
    ) -> Result<Response<Reservation>, Status> {
        let owner = owner(&request);
        self.reserve(&owner, request.into_inner()).await.map(Response::new)
    }

    async fn batch_create_reservations(
        &self,
        request: Request<BatchCreateReservationsRequest>,
    ) -> Result<Response<BatchCreateReservationsResponse>, Status> {
        let request = request.into_inner();
        let mut outcomes = Vec::new();
        for (one, owner) in request.requests.into_iter().zip(&request.owners) {
            let outcome = match self.reserve(owner, one).await {
                Ok(reservation) => outcome::Outcome::Reservation(reservation),
                Err(status) => outcome::Outcome::Error(tonic_types::Status::decode(status.details()).unwrap()),
            };
            outcomes.push(Outcome { outcome: Some(outcome) });
        }
        if self.bug == Some(Bug::MixesUpAnswers) {
            outcomes.reverse();
        }
        Ok(Response::new(BatchCreateReservationsResponse { outcomes }))
    }

    async fn get_reservation(&self, request: Request<GetReservationRequest>) -> Result<Response<Reservation>, Status> {
        self.on_own(&request.get_ref().name, &owner(&request), |_, reservation| Ok(reservation))
    }

    async fn extend_reservation(
        &self,
        request: Request<ExtendReservationRequest>,
    ) -> Result<Response<Reservation>, Status> {
        let ttl = request.get_ref().ttl.unwrap().seconds * 1_000_000;
        let name = &request.get_ref().name;
        self.on_own(name, &owner(&request), |event, reservation| match reservation.state() {
            State::Held if expires(&reservation) >= event.longest(&reservation).min(event.at + ttl) => Ok(reservation),
            State::Held => {
                let until = timestamp(event.longest(&reservation).min(event.at + ttl));
                Ok(event.change(name, Kind::Extended, State::Held, |r| {
                    r.expire_time = until;
                    (0, 0)
                }))
            }
            _ => Err(ended(reservation.state())),
        })
    }

    async fn release_reservation(
        &self,
        request: Request<ReleaseReservationRequest>,
    ) -> Result<Response<Reservation>, Status> {
        let name = &request.get_ref().name;
        self.on_own(name, &owner(&request), |event, reservation| match reservation.state() {
            State::Held => Ok(event.change(name, Kind::Released, State::Released, |r| (-r.lines[0].quantity, 0))),
            State::Released => Ok(reservation),
            State::Expired if self.bug == Some(Bug::ReleasesTheLapsed) => {
                Ok(event.change(name, Kind::Released, State::Released, |r| (-r.lines[0].quantity, 0)))
            }
            _ => Err(ended(reservation.state())),
        })
    }

    async fn confirm_reservation(
        &self,
        request: Request<ConfirmReservationRequest>,
    ) -> Result<Response<Reservation>, Status> {
        let ConfirmReservationRequest { name, order_ref, .. } = request.get_ref();
        let reacquire = request.get_ref().on_expired() == OnExpired::Reacquire;
        self.on_own(name, &owner(&request), |event, mut reservation| {
            let quantity = reservation.lines[0].quantity;
            event.chances += 1;
            match reservation.state() {
                State::Held if self.bug == Some(Bug::ForgetsConfirmations) && event.chances % 50 == 0 => {
                    reservation.state = State::Confirmed.into();
                    reservation.order_ref.clone_from(order_ref);
                    Ok(reservation)
                }
                State::Held => Ok(event.change(name, Kind::Confirmed, State::Confirmed, |r| {
                    r.order_ref.clone_from(order_ref);
                    (-quantity, quantity)
                })),
                State::Expired if reacquire => {
                    event.grant_between(&reservation.owner, quantity, quantity, 0)?;
                    Ok(event.change(name, Kind::Reacquired, State::Confirmed, |r| {
                        r.order_ref.clone_from(order_ref);
                        (0, quantity)
                    }))
                }
                State::Confirmed if reservation.order_ref == *order_ref => Ok(reservation),
                _ => Err(ended(reservation.state())),
            }
        })
    }

    async fn cancel_reservation(
        &self,
        request: Request<CancelReservationRequest>,
    ) -> Result<Response<Reservation>, Status> {
        let CancelReservationRequest { name, lines } = request.get_ref();
        self.on_own(name, &owner(&request), |event, reservation| {
            let line = &reservation.lines[0];
            let target = lines.first().map_or(line.quantity, |line| line.cancelled_quantity);
            let back = target - line.cancelled_quantity;
            let state = if target == line.quantity { State::Cancelled } else { State::Confirmed };
            match reservation.state() {
                State::Confirmed | State::Cancelled if back <= 0 => Ok(reservation),
                State::Confirmed => Ok(event.change(name, Kind::Cancelled, state, |r| {
                    r.lines[0].cancelled_quantity = target;
                    (0, -back)
                })),
                _ => Err(ended(reservation.state())),
            }
        })
    }

    type WatchEventStream = BoxStream<WatchEventResponse>;
    async fn list_events(&self, _: Request<ListEventsRequest>) -> Result<Response<ListEventsResponse>, Status> {
        Err(Status::unimplemented("not used"))
    }
    async fn watch_event(&self, _: Request<WatchEventRequest>) -> Result<Response<Self::WatchEventStream>, Status> {
        Err(Status::unimplemented("not used"))
    }
    async fn list_reservations(
        &self,
        request: Request<ListReservationsRequest>,
    ) -> Result<Response<ListReservationsResponse>, Status> {
        let owner = owner(&request);
        let is_his = |reservation: &Reservation| self.bug == Some(Bug::ListsEverybodys) || reservation.owner == owner;
        let reservations = self.on(&request.get_ref().parent, |event| {
            let all = event.reservations.values().map(|(reservation, _)| reservation);
            all.filter(|reservation| is_his(reservation)).cloned().collect()
        });
        Ok(Response::new(ListReservationsResponse { reservations, next_page_token: String::new() }))
    }
}
