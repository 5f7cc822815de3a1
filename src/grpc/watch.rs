//! The streams: an event's newest state, and its journal.
//!
//! A stream is pulled, not pushed: it looks for something new only when the connection has room for another message. So a
//! slow reader gets fewer and newer states, nothing waits in memory for him, and when he goes the stream is simply dropped.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use boxoffice_proto::v1;
use futures::Stream;
use futures::stream::unfold;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;

use super::admission::Place;
use super::{Api, convert, errors};
use crate::domain::{EventId, EventView, Seq};
use crate::engine::Consistency;

/// How often a stream looks for changes that other servers made.
const POLL: Duration = Duration::from_millis(250);
/// Most changes in one answer of `WatchChanges`.
const CHANGES_MAX: usize = 256;

/// What the services stream.
pub(super) type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What both streams have in common: what they follow, and what ends them.
struct Follower {
    api: Api,
    event: EventId,
    heard: watch::Receiver<Seq>,
    shutdown: watch::Receiver<bool>,
    deadline: Option<Instant>,
    _place: Place,
}

impl Follower {
    fn new(api: &Api, event: EventId, deadline: Option<Instant>) -> Result<Self, Status> {
        let place = api.watchers.enter().ok_or_else(errors::overloaded)?;
        Ok(Self {
            heard: api.engine.subscribe(&event),
            shutdown: api.shutdown.clone(),
            api: api.clone(),
            event,
            deadline,
            _place: place,
        })
    }

    /// Waits until there may be something new.
    async fn wait(&mut self) -> Result<(), Status> {
        let poll = Instant::now() + POLL;
        let until = self.deadline.map_or(poll, |deadline| deadline.min(poll));
        let shutdown = async {
            // An error means that the server is gone, which is a shutdown as well.
            let _ = self.shutdown.wait_for(|stopping| *stopping).await;
        };
        let gone = tokio::select! {
            biased;
            () = shutdown => return Err(errors::shutting_down()),
            changed = self.heard.changed() => changed.is_err(),
            () = tokio::time::sleep_until(until) => false,
        };
        if gone {
            // The engine no longer tells of this event; there are still the polls.
            tokio::time::sleep_until(until).await;
            self.heard = self.api.engine.subscribe(&self.event);
        }
        self.check_deadline()
    }

    fn check_deadline(&self) -> Result<(), Status> {
        match self.deadline {
            Some(deadline) if deadline <= Instant::now() => Err(errors::deadline_exceeded()),
            _ => Ok(()),
        }
    }
}

/// The newest state of an event whenever it is newer than `seen`.
pub(super) async fn event(
    api: &Api,
    event: EventId,
    seen: Seq,
    deadline: Option<Instant>,
) -> Result<Messages<v1::WatchEventResponse>, Status> {
    let follower = Follower::new(api, event, deadline)?;
    // Asked once before the stream begins, so that a wrong name is answered as by any other call.
    let first = view(&follower).await?;
    Ok(Box::pin(unfold(Some((follower, Some(first), seen)), |state| async {
        let (mut follower, looked_up, mut seen) = state?;
        match next_view(&mut follower, looked_up, &mut seen).await {
            Ok(view) => {
                let answer = v1::WatchEventResponse { event: Some(convert::event::view(&view)) };
                Some((Ok(answer), Some((follower, None, seen))))
            }
            Err(status) => Some((Err(status), None)),
        }
    })))
}

async fn next_view(
    follower: &mut Follower,
    looked_up: Option<Arc<EventView>>,
    seen: &mut Seq,
) -> Result<Arc<EventView>, Status> {
    let mut newest = looked_up;
    loop {
        let view = match newest.take() {
            Some(view) => view,
            None => view(follower).await?,
        };
        if view.event.last_seq > *seen {
            *seen = view.event.last_seq;
            return Ok(view);
        }
        follower.wait().await?;
    }
}

/// A cached view is fresh enough: it bounds what all watchers together cost the database, and is looked up again soon.
async fn view(follower: &Follower) -> Result<Arc<EventView>, Status> {
    let view = follower.api.engine.view(&follower.event, Consistency::Cached).await;
    view.map_err(|error| errors::read_failed(&error))?.ok_or_else(|| errors::event_not_found(&follower.event))
}

/// All changes of an event from `next` on.
pub(super) async fn changes(
    api: &Api,
    event: EventId,
    next: Seq,
    deadline: Option<Instant>,
) -> Result<Messages<v1::WatchChangesResponse>, Status> {
    let follower = Follower::new(api, event, deadline)?;
    let exists = api.engine.store().last_seq(&follower.event).await.map_err(|error| errors::read_failed(&error))?;
    exists.ok_or_else(|| errors::event_not_found(&follower.event))?;
    Ok(Box::pin(unfold(Some((follower, next)), |state| async {
        let (mut follower, next) = state?;
        match next_changes(&mut follower, next).await {
            Ok((changes, next)) => Some((Ok(v1::WatchChangesResponse { changes }), Some((follower, next)))),
            Err(status) => Some((Err(status), None)),
        }
    })))
}

async fn next_changes(follower: &mut Follower, from: Seq) -> Result<(Vec<v1::Change>, Seq), Status> {
    loop {
        let (changes, next) = super::read_changes(&follower.api, &follower.event, from, CHANGES_MAX).await?;
        if !changes.is_empty() {
            return Ok((changes, next));
        }
        follower.wait().await?;
    }
}
