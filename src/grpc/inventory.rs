//! What buyers do.

use boxoffice_proto::v1;
use boxoffice_proto::v1::batch_create_reservations_response::{Outcome, outcome};
use boxoffice_proto::v1::inventory_service_server::InventoryService;
use futures::future::join_all;
use prost::Message as _;
use tokio::time::Instant;
use tonic::{Request, Response, Status, async_trait};

use super::caller::Caller;
use super::validate::{self, Batch};
use super::waiting_room::{Entry, pass_of};
use super::watch::Messages;
use super::{Api, convert, deadline, errors, page, watch};
use crate::domain::{Action, Actor, Command, OwnerId, Reserve};
use crate::rate::{Key, Scope};

/// The service of buyers.
pub(crate) struct Inventory(pub(crate) Api);

impl Inventory {
    /// Runs a command of the owner who calls that is answered with his reservation.
    async fn own<T>(
        &self,
        request: Request<T>,
        validate: impl FnOnce(&T) -> Result<(crate::domain::EventId, Action), validate::Violations>,
    ) -> Result<Response<v1::Reservation>, Status> {
        let owner = Caller::of(&request)?.owner()?;
        let (event, action) = validate(request.get_ref())?;
        let deadline = deadline::of(&request);
        let reservation = self.0.run_for_reservation(&event, Actor::Owner(owner), action, deadline).await?;
        Ok(Response::new(reservation))
    }

    /// Refuses the items whose owners have not been let in. Each shows his own pass, or all the same.
    async fn check_passes(
        &self,
        batch: &Batch,
        common: Option<&str>,
        items: &mut [Result<(OwnerId, Reserve), Status>],
    ) {
        let entries = items.iter().enumerate().filter_map(|(index, item)| {
            let (owner, reserve) = item.as_ref().ok()?;
            Some(Entry { owner, reserve, pass: batch.passes.get(index).map(String::as_str).or(common) })
        });
        let checked = self.0.check_passes(&batch.event, &entries.collect::<Vec<_>>()).await;
        for (item, checked) in items.iter_mut().filter(|item| item.is_ok()).zip(checked) {
            if let Err(status) = checked {
                *item = Err(status);
            }
        }
    }

    /// Charges each buyer for his items, and refuses what is too much. Waits for other servers at most `until`.
    async fn charge_owners(&self, items: &mut [Result<(OwnerId, Reserve), Status>], until: Instant) {
        for item in items.iter_mut() {
            if let Ok((owner, _)) = item
                && let Err(status) = self.0.charge_here(key_of(owner))
            {
                *item = Err(status);
            }
        }
        if self.0.rates.is_shared() {
            // All at once: each is a question to another machine.
            join_all(items.iter_mut().map(async |item| {
                if let Ok((owner, _)) = item
                    && let Err(status) = self.0.charge_elsewhere(key_of(owner), until).await
                {
                    *item = Err(status);
                }
            }))
            .await;
        }
    }

    /// What a batch's requests ask for: a command and its index for each that is right, an error for each that is not.
    /// Buyers who are named for one item have their own limits and passes, and only their items are refused.
    async fn commands(
        &self,
        batch: &Batch,
        caller: Option<&OwnerId>,
        pass: Option<&str>,
        until: Instant,
    ) -> (Vec<(usize, Command)>, Vec<Option<Status>>) {
        let checked = batch.requests.iter().enumerate().map(|(index, request)| {
            let owner = match (batch.owners.get(index), caller) {
                (Some(owner), _) => validate::batch_owner(index, owner),
                (None, Some(caller)) => Ok(caller.clone()),
                (None, None) => validate::batch_owner(index, ""),
            };
            let checked = owner.and_then(|owner| Ok((owner, validate::batch_item(&batch.event, request)?)));
            checked.map_err(Status::from)
        });
        let mut checked: Vec<_> = checked.collect();
        if caller.is_none() {
            self.charge_owners(&mut checked, until).await;
        }
        if self.0.door.is_guarded() {
            self.check_passes(batch, pass, &mut checked).await;
        }
        let mut commands = Vec::with_capacity(checked.len());
        let mut errors = Vec::with_capacity(checked.len());
        for (index, checked) in checked.into_iter().enumerate() {
            match checked {
                Ok((owner, reserve)) => {
                    let command = Command { actor: Actor::Owner(owner), action: Action::Reserve(reserve) };
                    commands.push((index, command));
                    errors.push(None);
                }
                Err(status) => errors.push(Some(status)),
            }
        }
        (commands, errors)
    }
}

/// Whose limit a buyer's calls count against.
fn key_of(owner: &OwnerId) -> Key<'_> {
    Key { scope: Scope::Owner, name: owner.as_str() }
}

#[async_trait]
impl InventoryService for Inventory {
    type WatchEventStream = Messages<v1::WatchEventResponse>;

    async fn get_event(&self, request: Request<v1::GetEventRequest>) -> Result<Response<v1::Event>, Status> {
        Caller::of(&request)?;
        let (event, consistency) = validate::get_event(request.get_ref())?;
        self.0.view(&event, consistency).await.map(Response::new)
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        Caller::of(&request)?;
        let list = validate::list_events(request.get_ref())?;
        let (mut response, mut bytes, mut after) = (v1::ListEventsResponse::default(), 0, list.after);
        loop {
            let left = list.size - response.events.len();
            let read = self.0.engine.events(after.as_ref(), left, list.consistency).await;
            let piece = read.map_err(|error| errors::read_failed(&error))?;
            for view in piece.items.iter().take(left) {
                let event = convert::event::view(view);
                bytes += event.encoded_len();
                if bytes > page::PAGE_BYTES_MAX
                    && !response.events.is_empty()
                    && let Some(last) = &after
                {
                    response.next_page_token = list.listing.token(last);
                    return Ok(Response::new(response));
                }
                response.events.push(event);
                after = Some(view.event.id.clone());
            }
            let is_last = piece.next.is_none() && piece.items.len() <= left;
            if is_last || response.events.len() >= list.size {
                let last = after.filter(|_| !is_last);
                response.next_page_token = last.map(|last| list.listing.token(&last)).unwrap_or_default();
                return Ok(Response::new(response));
            }
        }
    }

    async fn watch_event(
        &self,
        request: Request<v1::WatchEventRequest>,
    ) -> Result<Response<Self::WatchEventStream>, Status> {
        let caller = Caller::of(&request)?;
        let (event, seen) = validate::watch_event(request.get_ref())?;
        let place = self.0.enter_watcher(caller)?;
        watch::event(&self.0, event, seen, watch::Until::of(&self.0, &request, caller), place).await.map(Response::new)
    }

    async fn create_reservation(
        &self,
        request: Request<v1::CreateReservationRequest>,
    ) -> Result<Response<v1::Reservation>, Status> {
        let owner = Caller::of(&request)?.owner()?;
        let (event, reserve) = validate::create_reservation(request.get_ref())?;
        let pass = pass_of(&request)?;
        if self.0.door.is_guarded() {
            let entry = Entry { owner: &owner, reserve: &reserve, pass: pass.as_deref() };
            self.0.check_passes(&event, &[entry]).await.into_iter().collect::<Result<(), _>>()?;
        }
        let (actor, deadline) = (Actor::Owner(owner), deadline::of(&request));
        let run = self.0.run_for_reservation(&event, actor, Action::Reserve(reserve), deadline);
        run.await.map(Response::new)
    }

    async fn batch_create_reservations(
        &self,
        request: Request<v1::BatchCreateReservationsRequest>,
    ) -> Result<Response<v1::BatchCreateReservationsResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        let owner = if request.get_ref().owners.is_empty() {
            Some(caller.owner()?)
        } else {
            caller.may_name_owners()?;
            None
        };
        let (deadline, pass) = (deadline::of(&request), pass_of(&request)?);
        let wait = self.0.wait(&request);
        let batch = validate::batch(request.into_inner())?;
        let more = u32::try_from(batch.requests.len()).unwrap_or(u32::MAX).saturating_sub(1);
        let until = wait.until();
        self.0.charge(&caller, more, until).await?;
        let (commands, errors) = self.commands(&batch, owner.as_ref(), pass.as_deref(), until).await;
        let (indexes, commands): (Vec<_>, Vec<_>) = commands.into_iter().unzip();
        let mut outcomes: Vec<Outcome> =
            errors.into_iter().map(|error| Outcome { outcome: error.as_ref().map(failed) }).collect();
        if !commands.is_empty() {
            let results = self.0.engine.run_all(batch.event.clone(), commands, deadline).await;
            for (index, result) in indexes.into_iter().zip(results) {
                let answer = result.map_err(|failure| errors::failed(&batch.event, &failure));
                outcomes[index].outcome =
                    Some(match answer.and_then(|answer| super::reservation(&batch.event, &answer)) {
                        Ok(reservation) => outcome::Outcome::Reservation(reservation),
                        Err(status) => failed(&status),
                    });
            }
        }
        Ok(Response::new(v1::BatchCreateReservationsResponse { outcomes }))
    }

    async fn get_reservation(
        &self,
        request: Request<v1::GetReservationRequest>,
    ) -> Result<Response<v1::Reservation>, Status> {
        let owner = Caller::of(&request)?.owner()?;
        let (event, id) = validate::get_reservation(request.get_ref())?;
        let store = self.0.engine.store();
        // Before the reading: a hold that has lapsed by then and still stands there has surely lapsed, whereas one that
        // lapses after the reading may have been confirmed in between.
        let now = store.now().await.map_err(|error| errors::read_failed(&error))?;
        let found = store.reservation(&event, &id).await.map_err(|error| errors::read_failed(&error))?;
        let own = found.filter(|reservation| reservation.owner == owner).ok_or_else(errors::reservation_not_found)?;
        Ok(Response::new(convert::reservation::in_state(&event, &own, own.state_at(now))))
    }

    async fn list_reservations(
        &self,
        request: Request<v1::ListReservationsRequest>,
    ) -> Result<Response<v1::ListReservationsResponse>, Status> {
        let owner = Caller::of(&request)?.owner()?;
        let list = validate::list_reservations(request.get_ref(), &owner)?;
        let page =
            super::owners_reservations(&self.0, &list.event, &owner, list.after, list.size, list.listing).await?;
        let (reservations, next_page_token) = page;
        Ok(Response::new(v1::ListReservationsResponse { reservations, next_page_token }))
    }

    async fn extend_reservation(
        &self,
        request: Request<v1::ExtendReservationRequest>,
    ) -> Result<Response<v1::Reservation>, Status> {
        self.own(request, validate::extend).await
    }

    async fn release_reservation(
        &self,
        request: Request<v1::ReleaseReservationRequest>,
    ) -> Result<Response<v1::Reservation>, Status> {
        self.own(request, validate::release).await
    }

    async fn confirm_reservation(
        &self,
        request: Request<v1::ConfirmReservationRequest>,
    ) -> Result<Response<v1::Reservation>, Status> {
        self.own(request, validate::confirm).await
    }

    async fn cancel_reservation(
        &self,
        request: Request<v1::CancelReservationRequest>,
    ) -> Result<Response<v1::Reservation>, Status> {
        self.own(request, validate::cancel).await
    }
}

/// A status as a message within an answer; its details are an encoded `google.rpc.Status` already.
fn failed(status: &Status) -> outcome::Outcome {
    let error = tonic_types::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    });
    outcome::Outcome::Error(error)
}
