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
use tonic::{Request, Status};

use super::admission::Place;
use super::caller::Caller;
use super::{Api, convert, deadline, errors};
use crate::domain::{EventId, EventView, Seq};
use crate::engine::Consistency;
use crate::identity::TokenError;

/// How often a stream looks for changes that other servers made. Together with the age of a cached view and the reading, a
/// watcher sees them within 250 ms.
const POLL: Duration = Duration::from_millis(100);
/// The shortest time between two looks at an event's state. A cached view is not renewed more often, and in a hot sale
/// changes come faster than any reader wants to be woken.
const VIEW_PACE: Duration = Duration::from_millis(100);
/// The shortest time between two looks at the journal, unless there was more than one answer takes.
const CHANGES_PACE: Duration = Duration::from_millis(20);
/// Most changes in one answer of `WatchChanges`.
const CHANGES_MAX: usize = 256;

/// What the services stream.
pub(super) type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// When a stream ends, whatever its reader does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until {
    /// The caller's own deadline.
    deadline: Option<Instant>,
    /// The end of the caller's token. A stream is one call, but it must not outlast what it was allowed by.
    authorized: Option<Instant>,
}

impl Until {
    pub(super) fn of<T>(request: &Request<T>, caller: &Caller) -> Self {
        Self { deadline: deadline::of(request), authorized: caller.valid_until() }
    }

    /// Which of them has come.
    pub(super) fn check(self, now: Instant) -> Result<(), Status> {
        let over = |end: Option<Instant>| end.is_some_and(|end| end <= now);
        if over(self.authorized) {
            return Err(errors::unauthenticated(TokenError::Expired.to_string()));
        }
        if over(self.deadline) {
            return Err(errors::deadline_exceeded());
        }
        Ok(())
    }

    /// `at`, or an earlier end.
    pub(super) fn cap(self, at: Instant) -> Instant {
        [self.deadline, self.authorized].into_iter().flatten().fold(at, Instant::min)
    }
}

/// What both streams have in common: what they follow, and what ends them.
struct Follower {
    api: Api,
    event: EventId,
    heard: watch::Receiver<Seq>,
    shutdown: watch::Receiver<bool>,
    until: Until,
    /// When it last looked, and how long it waits before it looks again.
    looked: Instant,
    pace: Duration,
    _place: Place,
}

impl Follower {
    /// Of an event that exists: the engine keeps an entry for each event that is followed.
    fn new(api: &Api, event: EventId, place: Place, pace: Duration, until: Until) -> Self {
        Self {
            heard: api.engine.subscribe(&event),
            shutdown: api.shutdown.clone(),
            api: api.clone(),
            event,
            until,
            looked: Instant::now(),
            pace,
            _place: place,
        }
    }

    /// Waits until there may be something newer than `seen`.
    async fn wait(&mut self, seen: Seq) -> Result<(), Status> {
        if *self.heard.borrow_and_update() <= seen {
            let poll = tokio::time::sleep_until(self.until.cap(Instant::now() + POLL));
            tokio::select! {
                () = stopped(&mut self.shutdown) => return Err(errors::shutting_down()),
                // An error means that the engine tells no more of this event; then there are still the polls.
                _ = self.heard.changed() => {}
                () = poll => {}
            }
        }
        let paced = tokio::time::sleep_until(self.until.cap(self.looked + self.pace));
        tokio::select! {
            () = stopped(&mut self.shutdown) => return Err(errors::shutting_down()),
            () = paced => {}
        }
        self.looked = Instant::now();
        Ok(())
    }

    /// Whether to go on: a reader who always finds something new never waits.
    fn check(&self) -> Result<(), Status> {
        if *self.shutdown.borrow() {
            return Err(errors::shutting_down());
        }
        self.until.check(Instant::now())
    }
}

/// Waits for the shutdown. (An error means that the server is gone, which is one as well.)
pub(super) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stopping| *stopping).await;
}

/// The newest state of an event whenever it is newer than `seen`.
pub(super) async fn event(
    api: &Api,
    event: EventId,
    seen: Seq,
    until: Until,
) -> Result<Messages<v1::WatchEventResponse>, Status> {
    let place = api.watchers.enter().ok_or_else(errors::overloaded)?;
    // Asked once before the stream begins, so that a wrong name is answered as by any other call.
    view(api, &event).await?;
    let follower = Follower::new(api, event, place, VIEW_PACE, until);
    Ok(Box::pin(unfold(Some((follower, seen)), |state| async {
        let (mut follower, seen) = state?;
        match newer_view(&mut follower, seen).await {
            Ok(view) => {
                let answer = v1::WatchEventResponse { event: Some(convert::event::view(&view)) };
                Some((Ok(answer), Some((follower, view.event.last_seq))))
            }
            Err(status) => Some((Err(status), None)),
        }
    })))
}

async fn newer_view(follower: &mut Follower, seen: Seq) -> Result<Arc<EventView>, Status> {
    loop {
        follower.check()?;
        let view = view(&follower.api, &follower.event).await?;
        if view.event.last_seq > seen {
            return Ok(view);
        }
        follower.wait(seen).await?;
    }
}

/// A cached view is fresh enough: it bounds what all watchers together cost the database, and is looked up again soon.
async fn view(api: &Api, event: &EventId) -> Result<Arc<EventView>, Status> {
    let view = api.engine.view(event, Consistency::Cached).await;
    view.map_err(|error| errors::read_failed(&error))?.ok_or_else(|| errors::event_not_found(event))
}

/// All changes of an event from `next` on.
pub(super) async fn changes(
    api: &Api,
    event: EventId,
    next: Seq,
    until: Until,
) -> Result<Messages<v1::WatchChangesResponse>, Status> {
    let place = api.watchers.enter().ok_or_else(errors::overloaded)?;
    api.check_event_exists(&event).await?;
    let follower = Follower::new(api, event, place, CHANGES_PACE, until);
    Ok(Box::pin(unfold(Some((follower, next)), |state| async {
        let (mut follower, next) = state?;
        match next_changes(&mut follower, next).await {
            Ok((changes, next)) => Some((Ok(v1::WatchChangesResponse { changes }), Some((follower, next)))),
            Err(status) => Some((Err(status), None)),
        }
    })))
}

/// The changes from `from` on that there are, once there are any, and the number of the next.
async fn next_changes(follower: &mut Follower, from: Seq) -> Result<(Vec<v1::Change>, Seq), Status> {
    loop {
        follower.check()?;
        let (changes, next) = super::read_changes(&follower.api, &follower.event, from, CHANGES_MAX).await?;
        if !changes.is_empty() {
            follower.api.engine.metrics().watch_lag.observe_count(changes.len());
            return Ok((changes, next));
        }
        follower.wait(from - 1).await?;
    }
}
