//! The calls of operators and auditors.

use boxoffice_proto::v1::admin_service_server::AdminService;
use boxoffice_proto::v1::change::Kind;
use boxoffice_proto::v1::*;
use loadtest::clock::Micros;
use tonic::codegen::BoxStream;
use tonic::{Code, Request, Response, Status};

use super::event::refusal;
use super::{Bug, Fake, MEMORY};

#[tonic::async_trait]
impl AdminService for Fake {
    async fn create_event(&self, request: Request<CreateEventRequest>) -> Result<Response<Event>, Status> {
        let request = request.into_inner();
        let name = format!("events/{}", request.event_id);
        let answer = self.on(&name, |event| {
            event.event = Event { name: name.clone(), ..request.event.unwrap() };
            event.write(Kind::EventCreated, None, 0, 0, 0);
            event.event.clone()
        });
        Ok(Response::new(answer))
    }

    async fn create_allocation(
        &self,
        request: Request<CreateAllocationRequest>,
    ) -> Result<Response<Allocation>, Status> {
        let request = request.into_inner();
        let capacity = request.allocation.unwrap().capacity;
        let answer = self.on(&request.parent, |event| {
            event.allocation.name = format!("{}/allocations/{}", request.parent, request.allocation_id);
            event.write(Kind::AllocationCreated, None, capacity, 0, 0);
            event.allocation.clone()
        });
        Ok(Response::new(answer))
    }

    async fn list_reservations(
        &self,
        request: Request<AdminServiceListReservationsRequest>,
    ) -> Result<Response<AdminServiceListReservationsResponse>, Status> {
        let AdminServiceListReservationsRequest { parent, page_token, page_size, .. } = request.into_inner();
        let mut reservations: Vec<_> =
            self.on(&parent, |event| event.reservations.values().map(|(r, _)| r.clone()).collect());
        reservations.sort_by(|a, b| a.name.cmp(&b.name));
        reservations.retain(|r| r.name > page_token);
        reservations.truncate(usize::try_from(page_size).unwrap());
        let next_page_token = reservations.last().map(|r| r.name.clone()).unwrap_or_default();
        Ok(Response::new(AdminServiceListReservationsResponse { reservations, next_page_token }))
    }

    async fn list_changes(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        let ListChangesRequest { parent, from_seq, page_size } = request.into_inner();
        let answer = self.on(&parent, |event| {
            event.chances += 1;
            match self.bug {
                Some(Bug::LosesItsJournal) => return Err(Status::unavailable("it cannot be found")),
                Some(Bug::FindsItsJournalLate) if event.chances % 4 != 0 => return Err(Status::unavailable("soon")),
                _ => {}
            }
            let from = usize::try_from(from_seq.max(1) - 1).unwrap();
            let rest = event.journal.get(from..).unwrap_or_default();
            let mut changes: Vec<_> = rest.iter().take(usize::try_from(page_size).unwrap()).cloned().collect();
            let more = rest.len() > changes.len();
            if self.bug == Some(Bug::InventsAllocations) {
                changes.iter_mut().flat_map(|change| &mut change.deltas).for_each(|delta| delta.allocation.push('s'));
            }
            let next = changes.last().filter(|_| more).map_or(0, |change| change.seq + 1);
            Ok(ListChangesResponse { changes, next_from_seq: next })
        });
        answer.map(Response::new)
    }

    async fn audit_event(&self, _: Request<AuditEventRequest>) -> Result<Response<AuditEventResponse>, Status> {
        Ok(Response::new(AuditEventResponse::default()))
    }

    type WatchChangesStream = BoxStream<WatchChangesResponse>;
    async fn update_event(&self, request: Request<UpdateEventRequest>) -> Result<Response<Event>, Status> {
        let wanted = request.into_inner().event.unwrap();
        let answer = self.on(&wanted.name, |event| {
            if event.event.etag != wanted.etag {
                return Err(refusal(Code::Aborted, "ETAG_MISMATCH"));
            }
            if event.event.sales_state != wanted.sales_state {
                event.event.sales_state = wanted.sales_state;
                event.event.etag = format!("{}", event.event.seq);
                event.paused_until = match (wanted.sales_state(), self.bug) {
                    (_, Some(Bug::SellsInPauses)) => 0,
                    (SalesState::OnSale, Some(Bug::RemembersPauses)) => event.at + MEMORY,
                    (SalesState::OnSale, _) => event.at,
                    _ => Micros::MAX,
                };
                event.write(Kind::EventUpdated, None, 0, 0, 0);
            }
            Ok(event.event.clone())
        });
        answer.map(Response::new)
    }
    async fn update_allocation(&self, _: Request<UpdateAllocationRequest>) -> Result<Response<Allocation>, Status> {
        Err(Status::unimplemented("not used"))
    }
    async fn apply_event(&self, _: Request<ApplyEventRequest>) -> Result<Response<ApplyEventResponse>, Status> {
        Err(Status::unimplemented("not used"))
    }
    async fn transfer_capacity(
        &self,
        _: Request<TransferCapacityRequest>,
    ) -> Result<Response<TransferCapacityResponse>, Status> {
        Err(Status::unimplemented("not used"))
    }
    async fn force_release_reservation(
        &self,
        _: Request<ForceReleaseReservationRequest>,
    ) -> Result<Response<Reservation>, Status> {
        Err(Status::unimplemented("not used"))
    }
    async fn watch_changes(
        &self,
        _: Request<WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        Err(Status::unimplemented("not used"))
    }
}
