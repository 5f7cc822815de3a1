//! What operators do.

use boxoffice_proto::v1;
use boxoffice_proto::v1::admin_service_server::AdminService;
use tonic::{Request, Response, Status, async_trait};

use super::caller::Caller;
use super::page::Listing;
use super::validate::{self, ListOf};
use super::watch::Messages;
use super::{Api, convert, deadline, errors, watch};
use crate::domain::{Action, Allocation, Answer, EventId, ReservationId};
use crate::storage::Page;

/// The service of operators.
pub(crate) struct Admin(pub(crate) Api);

impl Admin {
    /// Runs a command of the operator who calls: of which event, and what it was answered with.
    async fn edit<T>(
        &self,
        request: Request<T>,
        validate: impl FnOnce(T) -> Result<(EventId, Action), validate::Violations>,
    ) -> Result<(EventId, Answer), Status> {
        let actor = Caller::of(&request)?.admin()?;
        let deadline = deadline::of(&request);
        let (event, action) = validate(request.into_inner())?;
        let answer = self.0.run(&event, actor, action, deadline).await?;
        Ok((event, answer))
    }

    /// All reservations of an event, in order of their ids, and the token of the next page.
    async fn all_reservations(
        &self,
        event: &EventId,
        after: Option<&ReservationId>,
        size: usize,
        listing: Listing,
    ) -> Result<(Vec<v1::Reservation>, String), Status> {
        let store = self.0.engine.store();
        // Before the reading: a hold that has lapsed by then and still stands there has surely lapsed.
        let now = store.now().await.map_err(|error| errors::read_failed(&error))?;
        let read = store.reservations(event, after, size).await;
        let Page { items, next } = read.map_err(|error| errors::read_failed(&error))?;
        if items.is_empty() {
            self.0.check_event_exists(event).await?;
        }
        let items = items.into_iter().map(|each| (each.id, each)).collect();
        Ok(super::shown(event, now, Page { items, next }, listing))
    }
}

#[async_trait]
impl AdminService for Admin {
    type WatchChangesStream = Messages<v1::WatchChangesResponse>;

    async fn create_event(&self, request: Request<v1::CreateEventRequest>) -> Result<Response<v1::Event>, Status> {
        let (_, answer) = self.edit(request, validate::create_event).await?;
        self.0.edited_view(&answer).await.map(Response::new)
    }

    async fn update_event(&self, request: Request<v1::UpdateEventRequest>) -> Result<Response<v1::Event>, Status> {
        let (_, answer) = self.edit(request, validate::update_event).await?;
        self.0.edited_view(&answer).await.map(Response::new)
    }

    async fn create_allocation(
        &self,
        request: Request<v1::CreateAllocationRequest>,
    ) -> Result<Response<v1::Allocation>, Status> {
        let (event, answer) = self.edit(request, validate::create_allocation).await?;
        Ok(Response::new(convert::event::allocation(&event, allocation(&answer)?)))
    }

    async fn update_allocation(
        &self,
        request: Request<v1::UpdateAllocationRequest>,
    ) -> Result<Response<v1::Allocation>, Status> {
        let (event, answer) = self.edit(request, validate::update_allocation).await?;
        Ok(Response::new(convert::event::allocation(&event, allocation(&answer)?)))
    }

    async fn apply_event(
        &self,
        request: Request<v1::ApplyEventRequest>,
    ) -> Result<Response<v1::ApplyEventResponse>, Status> {
        let validate_only = request.get_ref().validate_only;
        let (_, answer) = self.edit(request, validate::apply_event).await?;
        let event = if validate_only { None } else { Some(self.0.edited_view(&answer).await?) };
        Ok(Response::new(v1::ApplyEventResponse { event }))
    }

    async fn transfer_capacity(
        &self,
        request: Request<v1::TransferCapacityRequest>,
    ) -> Result<Response<v1::TransferCapacityResponse>, Status> {
        let (event, answer) = self.edit(request, |request| validate::transfer_capacity(&request)).await?;
        let (from, to) = transferred(&answer)?;
        Ok(Response::new(v1::TransferCapacityResponse {
            from: Some(convert::event::allocation(&event, from)),
            to: Some(convert::event::allocation(&event, to)),
        }))
    }

    async fn force_release_reservation(
        &self,
        request: Request<v1::ForceReleaseReservationRequest>,
    ) -> Result<Response<v1::Reservation>, Status> {
        let (event, answer) = self.edit(request, validate::force_release).await?;
        super::reservation(&event, &answer).map(Response::new)
    }

    async fn list_reservations(
        &self,
        request: Request<v1::AdminServiceListReservationsRequest>,
    ) -> Result<Response<v1::AdminServiceListReservationsResponse>, Status> {
        Caller::of(&request)?.admin()?;
        let list = validate::list_all_reservations(request.get_ref())?;
        let (reservations, next_page_token) = match &list.of {
            ListOf::Owner(owner, after) => {
                super::owners_reservations(&self.0, &list.event, owner, *after, list.size, list.listing).await?
            }
            ListOf::Everybody(after) => {
                self.all_reservations(&list.event, after.as_ref(), list.size, list.listing).await?
            }
        };
        Ok(Response::new(v1::AdminServiceListReservationsResponse { reservations, next_page_token }))
    }

    async fn list_changes(
        &self,
        request: Request<v1::ListChangesRequest>,
    ) -> Result<Response<v1::ListChangesResponse>, Status> {
        Caller::of(&request)?.admin()?;
        let page = validate::list_changes(request.get_ref())?;
        // Read first: then "the newest" is not older than the page.
        let newest = self.0.newest_seq(&page.event).await?;
        let entries = self.0.journal(&page.event, page.from, page.size).await?;
        let (changes, next) = super::shown_changes(&page.event, page.from, &entries);
        let next_from_seq = if next > newest { 0 } else { next };
        Ok(Response::new(v1::ListChangesResponse { changes, next_from_seq }))
    }

    async fn watch_changes(
        &self,
        request: Request<v1::WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        let caller = Caller::of(&request)?;
        caller.admin()?;
        let (event, from) = validate::watch_changes(request.get_ref())?;
        let place = self.0.enter_watcher(caller)?;
        watch::changes(&self.0, event, from, watch::Until::of(&self.0, &request, caller), place)
            .await
            .map(Response::new)
    }

    async fn audit_event(
        &self,
        request: Request<v1::AuditEventRequest>,
    ) -> Result<Response<v1::AuditEventResponse>, Status> {
        Caller::of(&request)?.admin()?;
        let event = validate::audit_event(request.get_ref())?;
        let report = self.0.engine.audit(&event).await.map_err(|error| errors::read_failed(&error))?;
        let report = report.ok_or_else(|| errors::event_not_found(&event))?;
        Ok(Response::new(convert::change::audit(&event, &report)))
    }
}

fn allocation(answer: &Answer) -> Result<&Allocation, Status> {
    match answer {
        Answer::Allocation(allocation) => Ok(allocation),
        Answer::Reservation(_) | Answer::Event(_) | Answer::Transferred { .. } | Answer::Reclaimed { .. } => {
            Err(super::unexpected(answer))
        }
    }
}

fn transferred(answer: &Answer) -> Result<(&Allocation, &Allocation), Status> {
    match answer {
        Answer::Transferred { from, to } => Ok((from, to)),
        Answer::Reservation(_) | Answer::Event(_) | Answer::Allocation(_) | Answer::Reclaimed { .. } => {
            Err(super::unexpected(answer))
        }
    }
}
