//! The streams: an event's newest state, and its journal.
//!
//! A stream is pulled, not pushed: it looks for something new only when the connection has room for another message. So a
//! slow reader gets fewer and newer states, nothing waits in memory for him, and when he goes the stream is simply dropped.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use boxoffice_proto::v1;
use futures::Stream;
use futures::stream::try_unfold;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Request, Status};

use super::caller::Caller;
use super::watchers::WatcherPlace;
use super::{Api, convert, deadline, errors};
use crate::domain::{EventId, EventView, JournalEntry, Seq};
use crate::engine::{Consistency, Newest};
use crate::identity::TokenError;

/// How often a stream of changes looks for those that other servers made.
const POLL: Duration = Duration::from_millis(100);
/// The shortest time between two states of an event for one watcher: in a hot sale changes come faster than any reader wants
/// to be woken.
const WATCH_PACE: Duration = Duration::from_millis(40);
/// Most states that all watchers together are sent in a second, of events that change all the time.
const WATCH_MESSAGES_PER_SECOND: u32 = 10_000;
/// The shortest time between two looks at the journal, unless there was more than one answer takes.
const CHANGES_PACE: Duration = Duration::from_millis(20);
/// Most changes in one answer of `WatchChanges`.
const CHANGES_MAX: usize = 256;

/// What the services stream.
pub(super) type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// When a stream ends, whatever its reader does.
#[derive(Debug)]
pub(super) struct Until {
    /// Becomes true when the server stops.
    shutdown: watch::Receiver<bool>,
    /// The caller's own deadline.
    deadline: Option<Instant>,
    /// The end of the caller's token. A stream is one call, but it must not outlast what it was allowed by.
    authorized: Option<Instant>,
}

impl Until {
    pub(super) fn of<T>(api: &Api, request: &Request<T>, caller: &Caller) -> Self {
        let shutdown = api.shutdown.clone();
        Self { shutdown, deadline: deadline::of(request), authorized: caller.valid_until() }
    }

    /// Which end has come. To be asked before each answer: a reader who always finds something new never waits.
    pub(super) fn check(&self) -> Result<(), Status> {
        if *self.shutdown.borrow() {
            return Err(errors::shutting_down());
        }
        let now = Instant::now();
        let over = |end: Option<Instant>| end.is_some_and(|end| end <= now);
        if over(self.authorized) {
            return Err(errors::unauthenticated(TokenError::Expired.to_string()));
        }
        if over(self.deadline) {
            return Err(errors::deadline_exceeded());
        }
        Ok(())
    }

    /// The end that is known beforehand, if any.
    fn first(&self) -> Option<Instant> {
        self.deadline.into_iter().chain(self.authorized).min()
    }

    /// `at`, or an earlier end.
    pub(super) fn cap(&self, at: Instant) -> Instant {
        self.first().map_or(at, |end| end.min(at))
    }

    /// Waits for the shutdown. (An error means that the server is gone, which is one as well.)
    pub(super) async fn stopped(&mut self) {
        let _ = self.shutdown.wait_for(|stopping| *stopping).await;
    }
}

/// Who follows the journal: what he follows, and what ends it.
struct Follower {
    api: Api,
    event: EventId,
    heard: watch::Receiver<Seq>,
    until: Until,
    /// When it last looked.
    looked: Instant,
    /// The last change that he was told.
    told: Option<JournalEntry>,
    _place: WatcherPlace,
}

impl Follower {
    /// Of an event that exists: the engine keeps an entry for each event that is followed.
    fn new(api: &Api, event: EventId, place: WatcherPlace, until: Until) -> Self {
        Self {
            heard: api.engine.subscribe(&event),
            api: api.clone(),
            event,
            until,
            looked: Instant::now(),
            told: None,
            _place: place,
        }
    }

    /// The changes from `from` on, of which there may be none yet. The one before them is read along: where it is not the one that he
    /// was told, a failover has left the database with less, and others have taken its number and those after it.
    async fn read(&self, from: Seq) -> Result<Vec<JournalEntry>, Status> {
        let before = (from - 1).max(1);
        let limit = if before < from { CHANGES_MAX + 1 } else { CHANGES_MAX };
        let mut entries = self.api.journal(&self.event, before, limit).await?;
        let new = entries.split_off(entries.partition_point(|entry| entry.seq < from));
        let is_there =
            from == 1 || entries.first().is_some_and(|entry| self.told.as_ref().is_none_or(|told| told == entry));
        if is_there { Ok(new) } else { Err(super::begin_anew(format!("change {before} is no more: begin anew"))) }
    }

    /// Waits until there may be something newer than `seen`.
    async fn wait(&mut self, seen: Seq) -> Result<(), Status> {
        if *self.heard.borrow_and_update() <= seen {
            let poll = tokio::time::sleep_until(self.until.cap(Instant::now() + POLL));
            tokio::select! {
                () = self.until.stopped() => return Err(errors::shutting_down()),
                // An error means that the engine tells no more of this event; then there are still the polls.
                _ = self.heard.changed() => {}
                () = poll => {}
            }
        }
        let paced = tokio::time::sleep_until(self.until.cap(self.looked + CHANGES_PACE));
        tokio::select! {
            () = self.until.stopped() => return Err(errors::shutting_down()),
            () = paced => {}
        }
        self.looked = Instant::now();
        Ok(())
    }
}

/// Who watches an event: what he sees, and what ends it.
struct Watcher {
    api: Api,
    event: EventId,
    newest: watch::Receiver<Newest>,
    until: Until,
    /// When he was last sent something.
    sent: Option<Instant>,
    _place: WatcherPlace,
}

/// The newest state of an event whenever it is newer than `seen`.
pub(super) async fn event(
    api: &Api,
    event: EventId,
    seen: Seq,
    until: Until,
    place: WatcherPlace,
) -> Result<Messages<v1::WatchEventResponse>, Status> {
    // Asked once before the stream begins, so that a wrong name is answered as by any other call.
    let view = api.engine.view(&event, Consistency::Cached).await;
    let view = view.map_err(|error| errors::read_failed(&error))?.ok_or_else(|| errors::event_not_found(&event))?;
    // He may have seen by another server what this view does not show yet: only the database knows.
    if seen > view.event.last_seq {
        api.check_seen(&event, seen).await?;
    }
    let newest = api.engine.watch(&event).await;
    let watcher = Watcher { api: api.clone(), event, newest, until, sent: None, _place: place };
    Ok(Box::pin(try_unfold((watcher, seen), |(mut watcher, seen)| async move {
        let view = watcher.newer(seen).await?;
        let answer = v1::WatchEventResponse { event: Some(convert::event::view(&view)) };
        Ok(Some((answer, (watcher, view.event.last_seq))))
    })))
}

impl Watcher {
    async fn newer(&mut self, seen: Seq) -> Result<Arc<EventView>, Status> {
        if let Some(sent) = self.sent {
            self.wait(Some(sent + self.pace()), false).await?;
        }
        loop {
            self.until.check()?;
            let newest = self.newest.borrow_and_update().clone();
            let view = newest.map_err(|error| errors::read_failed(&error))?;
            let view = view.ok_or_else(|| errors::event_not_found(&self.event))?;
            if view.event.last_seq > seen {
                self.sent = Some(Instant::now());
                return Ok(view);
            }
            if view.event.last_seq < seen {
                self.api.check_seen(&self.event, seen).await?;
            }
            self.wait(None, true).await?;
        }
    }

    /// Waits until `at` or the end, and, where `news` count, until there is something new.
    async fn wait(&mut self, at: Option<Instant>, news: bool) -> Result<(), Status> {
        let end = self.until.first().into_iter().chain(at).min();
        let over = async {
            match end {
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.until.stopped() => Err(errors::shutting_down()),
            changed = self.newest.changed(), if news => changed.map_err(|_| errors::shutting_down()),
            () = over => Ok(()),
        }
    }

    /// The shortest time between two states for one watcher. Where there are many, each gets fewer and newer ones, so that
    /// telling them does not take the machine from those who buy. They take different times, or else all would be told at the
    /// same moment.
    fn pace(&self) -> Duration {
        let watchers = u32::try_from(self.api.watchers.running()).unwrap_or(u32::MAX);
        let shared = (Duration::from_secs(1) / WATCH_MESSAGES_PER_SECOND).saturating_mul(watchers);
        if shared <= WATCH_PACE { WATCH_PACE } else { shared.mul_f64(0.75 + fastrand::f64() / 2.0) }
    }
}

/// All changes of an event from `next` on.
pub(super) async fn changes(
    api: &Api,
    event: EventId,
    next: Seq,
    until: Until,
    place: WatcherPlace,
) -> Result<Messages<v1::WatchChangesResponse>, Status> {
    api.check_seen(&event, next - 1).await?;
    let follower = Follower::new(api, event, place, until);
    Ok(Box::pin(try_unfold((follower, next), |(mut follower, next)| async move {
        let (changes, next) = next_changes(&mut follower, next).await?;
        Ok(Some((v1::WatchChangesResponse { changes }, (follower, next))))
    })))
}

/// The changes from `from` on that there are, once there are any, and the number of the next.
async fn next_changes(follower: &mut Follower, from: Seq) -> Result<(Vec<v1::Change>, Seq), Status> {
    loop {
        follower.until.check()?;
        let entries = follower.read(from).await?;
        let (changes, next) = super::shown_changes(&follower.event, from, &entries);
        if !changes.is_empty() {
            follower.api.engine.metrics().watch_lag.observe_count(changes.len());
            follower.told = entries.into_iter().nth(changes.len() - 1);
            return Ok((changes, next));
        }
        follower.wait(from - 1).await?;
    }
}
