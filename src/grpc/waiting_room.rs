//! The way in to events that have a waiting room.

use std::collections::HashMap;

use boxoffice_proto::v1;
use boxoffice_proto::v1::place::State;
use boxoffice_proto::v1::waiting_room_service_server::WaitingRoomService;
use futures::stream::try_unfold;
use tokio::time::Instant;
use tonic::{Request, Response, Status, async_trait};

use super::caller::{self, Caller};
use super::convert::time;
use super::validate::Violations;
use super::watch::{Messages, Until};
use super::watchers::WatcherPlace;
use super::{Api, errors, validate};
use crate::domain::{
    Duration, EventId, OwnerId, Reservation, ReservationId, Reserve, Timestamp, WaitingRoom as Settings,
};
use crate::engine::Consistency;
use crate::metrics;
use crate::waiting_room::{Barred, Placed};

/// The metadata key of an admission pass.
pub const PASS_KEY: &str = "boxoffice-pass";

/// The service of those who wait.
pub(crate) struct WaitingRooms(pub(crate) Api);

#[async_trait]
impl WaitingRoomService for WaitingRooms {
    type WatchPlaceStream = Messages<v1::WatchPlaceResponse>;

    async fn join_waiting_room(
        &self,
        request: Request<v1::JoinWaitingRoomRequest>,
    ) -> Result<Response<v1::Place>, Status> {
        let owner = Caller::of(&request)?.owner()?;
        let event = validate::waiting_room_of(&request.get_ref().parent)?;
        join(&self.0, &event, &owner).await.map(Response::new)
    }

    async fn watch_place(
        &self,
        request: Request<v1::WatchPlaceRequest>,
    ) -> Result<Response<Self::WatchPlaceStream>, Status> {
        let caller = Caller::of(&request)?;
        let owner = caller.owner()?;
        let until = Until::of(&self.0, &request, caller);
        let event = validate::waiting_room_of(&request.get_ref().parent)?;
        let stream_place = self.0.enter_watcher(caller)?;
        // Asked once before the stream begins, so that what is wrong is answered as by any other call.
        let place = join(&self.0, &event, &owner).await?;
        let watcher = Watcher {
            api: self.0.clone(),
            event,
            owner,
            until,
            told: None,
            newest: Some(place),
            pause: None,
            _place: stream_place,
        };
        Ok(Response::new(Box::pin(try_unfold(Some(watcher), |watcher| async {
            let Some(mut watcher) = watcher else { return Ok(None) };
            let place = watcher.next().await?;
            let goes_on = place.state() == State::Waiting;
            Ok(Some((v1::WatchPlaceResponse { place: Some(place) }, goes_on.then_some(watcher))))
        }))))
    }

    async fn leave_waiting_room(
        &self,
        request: Request<v1::LeaveWaitingRoomRequest>,
    ) -> Result<Response<v1::LeaveWaitingRoomResponse>, Status> {
        let owner = Caller::of(&request)?.owner()?;
        let event = validate::waiting_room_of(&request.get_ref().parent)?;
        if let Some(settings) = settings(&self.0, &event).await?
            && !self.0.door.leave(&event, &owner, &settings).await
        {
            self.0.engine.metrics().refused(metrics::WAITING_ROOM_UNAVAILABLE);
            return Err(errors::waiting_room_unavailable());
        }
        Ok(Response::new(v1::LeaveWaitingRoomResponse {}))
    }
}

/// One who watches his place. Each look says that he is there; between two of them nothing is held but this.
struct Watcher {
    api: Api,
    event: EventId,
    owner: OwnerId,
    until: Until,
    told: Option<v1::Place>,
    newest: Option<v1::Place>,
    /// Between the last two looks.
    pause: Option<std::time::Duration>,
    _place: WatcherPlace,
}

impl Watcher {
    /// His place, once it is another one than was told.
    async fn next(&mut self) -> Result<v1::Place, Status> {
        loop {
            self.until.check()?;
            let place = match self.newest.take() {
                Some(place) => place,
                None => join(&self.api, &self.event, &self.owner).await?,
            };
            if self.told.as_ref() != Some(&place) {
                self.told = Some(place.clone());
                return Ok(place);
            }
            self.rest(&place).await;
        }
    }

    async fn rest(&mut self, place: &v1::Place) {
        let pause = pause_after(self.pause, place);
        self.pause = Some(pause);
        let rest = tokio::time::sleep_until(self.until.cap(Instant::now() + pause));
        tokio::select! {
            () = self.until.stopped() => {}
            () = rest => {}
        }
    }
}

/// How long until a watcher's next look, after this one. Whose position is not known for once is looked after as often as before: he
/// may have been called in.
fn pause_after(before: Option<std::time::Duration>, place: &v1::Place) -> std::time::Duration {
    let wanted = place.poll_after.and_then(|after| std::time::Duration::try_from(after).ok()).unwrap_or_default();
    before.filter(|_| place.position == 0).map_or(wanted, |before| before.min(wanted))
}

/// The settings of an event's room, if it has one.
async fn settings(api: &Api, event: &EventId) -> Result<Option<Settings>, Status> {
    match api.door.room_of(event) {
        Some(Some(settings)) => Ok(Some(settings)),
        // It has none: then it must exist at least.
        Some(None) => {
            let view = api.engine.view(event, Consistency::Cached).await;
            let view = view.map_err(|error| errors::read_failed(&error))?;
            view.map(|_| None).ok_or_else(|| errors::event_not_found(event))
        }
        None => Err(errors::store_unavailable()),
    }
}

async fn join(api: &Api, event: &EventId, owner: &OwnerId) -> Result<v1::Place, Status> {
    let Some(settings) = settings(api, event).await? else { return Ok(wire(State::NotNeeded)) };
    let span = |millis: i64| time::duration(Duration::from_micros(millis.saturating_mul(1_000)));
    match api.door.join(event, owner, &settings).await {
        Placed::Full => {
            api.engine.metrics().refused(metrics::OVERLOADED);
            Err(errors::overloaded())
        }
        Placed::Waiting { position, estimate, poll_after } => {
            let (position, waiting) = position.unwrap_or_default();
            Ok(v1::Place {
                position: i64::try_from(position).unwrap_or(i64::MAX),
                waiting_count: i64::try_from(waiting).unwrap_or(i64::MAX),
                estimated_wait_min: estimate.min.map(span),
                estimated_wait_max: estimate.max.map(span),
                poll_after: Some(span(poll_after)),
                ..wire(State::Waiting)
            })
        }
        Placed::Inside { pass, until } => {
            let until = Timestamp::from_micros(until.saturating_mul(1_000));
            Ok(v1::Place { pass, pass_expire_time: Some(time::timestamp(until)), ..wire(State::Admitted) })
        }
    }
}

fn wire(state: State) -> v1::Place {
    v1::Place { state: state.into(), ..v1::Place::default() }
}

/// The pass that came with a call. One that is no text lets nobody in.
pub(super) fn pass_of<T>(request: &Request<T>) -> Result<Option<String>, Status> {
    match caller::only(request.metadata().as_ref().get_all(PASS_KEY).iter()) {
        Ok(sent) => Ok(sent.map(|pass| pass.to_str().unwrap_or("?").to_owned())),
        Err(caller::Twice) => Err(Violations::one("INVALID_PASS", PASS_KEY, "must be sent once").into()),
    }
}

/// Somebody who wants to reserve.
pub(super) struct Entry<'a> {
    pub(super) owner: &'a OwnerId,
    pub(super) reserve: &'a Reserve,
    /// What he shows.
    pub(super) pass: Option<&'a str>,
}

impl Api {
    /// Whether each may reserve with his pass: the settings of the event decide. But a request that was granted may be repeated to
    /// hear its answer, whatever has become of the pass or the room since. So of those who are barred the database is asked, once
    /// for all of a call and by key; that costs what GetReservation costs, which needs no pass either. Another owner's id is
    /// answered like one that is not there.
    ///
    /// Where too many wait for their turn to be looked for, nobody knows whether a request was granted. So it is told to come again,
    /// and not refused: its owner would take a refusal for the end of what he has.
    pub(super) async fn check_passes(&self, event: &EventId, entries: &[Entry<'_>]) -> Vec<Result<(), Status>> {
        let checks = entries.iter().map(|entry| self.door.check(event, entry.owner, entry.pass));
        let checks: Vec<_> = checks.collect();
        let late = entries.iter().zip(&checks).filter(|(_, check)| check.is_err_and(Barred::may_repeat));
        let late: Vec<_> = late.map(|(entry, _)| entry.reserve.id).collect();
        let granted = match late.is_empty() {
            true => Ok(Vec::new()),
            false => self.granted_among(event, &late).await,
        };
        let granted =
            granted.map(|found| found.into_iter().map(|each| (each.id, each.owner)).collect::<HashMap<_, _>>());
        let checked = entries.iter().zip(checks).map(|(entry, check)| match (check, &granted) {
            (Ok(()), _) => Ok(()),
            (Err(barred), Err(status)) if barred.may_repeat() => Err(status.clone()),
            (Err(barred), Ok(granted))
                if barred.may_repeat() && granted.get(&entry.reserve.id) == Some(entry.owner) =>
            {
                Ok(())
            }
            (Err(barred), _) => {
                self.engine.metrics().refused(errors::barred_reason(barred));
                Err(errors::barred(event, barred))
            }
        });
        checked.collect()
    }

    /// Those of these reservations that exist, for callers who show no good pass.
    async fn granted_among(&self, event: &EventId, ids: &[ReservationId]) -> Result<Vec<Reservation>, Status> {
        let turn = tokio::time::timeout(super::BARRED_LOOK_WAIT_MAX, self.barred_looks.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            self.engine.metrics().refused(metrics::OVERLOADED);
            return Err(errors::overloaded());
        };
        let found = self.engine.store().reservations_named(event, ids).await;
        found.map_err(|error| errors::read_failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_position_is_not_known_for_once_is_looked_after_as_often_as_before() {
        let seconds = std::time::Duration::from_secs;
        let place = |position, poll_after| v1::Place {
            position,
            poll_after: Some(time::duration(Duration::from_secs(poll_after))),
            ..wire(State::Waiting)
        };
        for (before, place, pause) in [
            (None, place(7, 1), 1),
            (Some(1), place(0, 10), 1),
            (Some(60), place(0, 10), 10),
            (None, place(0, 10), 10),
            (Some(1), place(900, 9), 9),
        ] {
            assert_eq!(pause_after(before.map(seconds), &place), seconds(pause), "{before:?} {place:?}");
        }
    }
}
