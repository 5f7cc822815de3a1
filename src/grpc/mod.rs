//! The API: proto <-> domain, who calls, what is wrong with a request, what becomes of an error.
//!
//! Handlers do no work of their own: they check, ask the engine, and convert the answer. They never await a write, since
//! tonic drops them when a caller goes away.

mod admin;
pub(crate) mod admission;
pub(crate) mod caller;
mod convert;
pub(crate) mod deadline;
mod details;
pub(crate) mod errors;
#[cfg(test)]
mod hostile;
mod inventory;
mod page;
mod validate;
mod waiting_room;
mod watch;
mod watchers;

use std::sync::Arc;
use std::time::Duration;

use boxoffice_proto::v1;
use tokio::sync::{Semaphore, watch as signal};
use tokio::time::Instant;
use tonic::{Request, Status};

pub(crate) use self::admin::Admin;
pub use self::caller::{Authentication, OWNER_KEY};
pub(crate) use self::inventory::Inventory;
pub use self::waiting_room::PASS_KEY;
pub(crate) use self::waiting_room::WaitingRooms;

use self::caller::Caller;
use self::page::Listing;
use self::validate::Violations;
pub(crate) use self::watchers::Watchers;
use crate::domain::{Action, Actor, Answer, Command, EventId, JournalEntry, OwnerId, Reservation, Seq, Timestamp};
use crate::engine::{Consistency, Engine};
use crate::metrics;
use crate::rate::{Cost, Exceeded, Key, RateLimits, Wait};
use crate::storage::Page;
use crate::waiting_room::Door;

/// What the services work with.
#[derive(Clone)]
pub(crate) struct Api {
    engine: Arc<Engine>,
    /// Becomes true when the server stops.
    shutdown: signal::Receiver<bool>,
    /// Streams that are open.
    watchers: Watchers,
    rates: Arc<RateLimits>,
    door: Arc<Door>,
    /// Turns to look into the database for those who show no pass that is good now.
    barred_looks: Arc<Semaphore>,
}

/// Most looks into the database at once for callers who show no pass that is good now. A store has a few connections for
/// reads (four, or eight), for which everybody queues; a crowd without passes must leave some to health checks and to others.
const BARRED_LOOKS_MAX: usize = 2;
/// How long they wait for their turn. A look takes about a millisecond, so that is a crowd of a thousand or more.
const BARRED_LOOK_WAIT_MAX: Duration = Duration::from_secs(1);

impl Api {
    /// Over `engine`.
    pub(crate) fn new(
        engine: Arc<Engine>,
        shutdown: signal::Receiver<bool>,
        watchers: Watchers,
        rates: Arc<RateLimits>,
        door: Arc<Door>,
    ) -> Self {
        let barred_looks = Arc::new(Semaphore::new(BARRED_LOOKS_MAX));
        Self { engine, shutdown, watchers, rates, door, barred_looks }
    }

    /// Takes a place for a stream.
    fn enter_watcher(&self, caller: &Caller) -> Result<watchers::WatcherPlace, Status> {
        self.watchers.enter(caller).map_err(|full| {
            self.engine.metrics().refused(full.reason());
            full.into_status()
        })
    }

    /// Charges a call for what it does beyond one thing, and waits for other servers at most `until`. The call itself was
    /// charged before it came here.
    async fn charge(&self, caller: &Caller, more: u32, until: Instant) -> Result<(), Status> {
        if more == 0 {
            return Ok(());
        }
        let cost = Cost { calls: more, paid: 1 };
        for key in caller.limited() {
            self.rates.admit(key, cost, until).await.map_err(|exceeded| self.rate_limited(&exceeded))?;
        }
        Ok(())
    }

    /// How long a call may wait for other servers. It may have done so before it came here.
    fn wait<T>(&self, request: &Request<T>) -> Wait {
        request.extensions().get().copied().unwrap_or_else(|| self.rates.wait())
    }

    /// Charges somebody for one thing, as far as this server sees.
    fn charge_here(&self, key: Key<'_>) -> Result<(), Status> {
        self.rates.admit_here(key, Cost::of(1)).map_err(|exceeded| self.rate_limited(&exceeded))
    }

    /// The same for all servers together, after that.
    async fn charge_elsewhere(&self, key: Key<'_>, until: Instant) -> Result<(), Status> {
        self.rates.admit_elsewhere(key, Cost::of(1), until).await.map_err(|exceeded| self.rate_limited(&exceeded))
    }

    fn rate_limited(&self, exceeded: &Exceeded) -> Status {
        self.engine.metrics().refused(metrics::RATE_LIMITED);
        errors::rate_limited(exceeded)
    }

    async fn run(
        &self,
        event: &EventId,
        actor: Actor,
        action: Action,
        deadline: Option<Instant>,
    ) -> Result<Answer, Status> {
        let answer = self.engine.run(event.clone(), Command { actor, action }, deadline).await;
        answer.map_err(|failure| errors::failed(event, &failure))
    }

    /// For commands that are answered with a reservation.
    async fn run_for_reservation(
        &self,
        event: &EventId,
        actor: Actor,
        action: Action,
        deadline: Option<Instant>,
    ) -> Result<v1::Reservation, Status> {
        reservation(event, &self.run(event, actor, action, deadline).await?)
    }

    /// An event as an edit left it, with its allocations as they are now: the settings and the etag of a later edit would be what the
    /// caller neither asked for nor has seen. What changed of its waiting room holds for the next call to this server.
    async fn edited_view(&self, answer: &Answer) -> Result<v1::Event, Status> {
        let Answer::Event(edited) = answer else { return Err(unexpected(answer)) };
        // Where it fails, the next look is not far.
        let _ = self.door.look(self.engine.store()).await;
        let v1::Event { allocations, seq, read_time, .. } = self.view(&edited.id, Consistency::Strong).await?;
        Ok(v1::Event { allocations, seq, read_time, ..convert::event::event(edited) })
    }

    async fn view(&self, event: &EventId, consistency: Consistency) -> Result<v1::Event, Status> {
        let view = self.engine.view(event, consistency).await.map_err(|error| errors::read_failed(&error))?;
        view.map(|view| convert::event::view(&view)).ok_or_else(|| errors::event_not_found(event))
    }

    /// The number of an event's newest change, as the database now has it.
    async fn newest_seq(&self, event: &EventId) -> Result<Seq, Status> {
        let seq = self.engine.store().last_seq(event).await.map_err(|error| errors::read_failed(&error))?;
        seq.ok_or_else(|| errors::event_not_found(event))
    }

    /// Changes from `from` on, at most `limit`.
    async fn journal(&self, event: &EventId, from: Seq, limit: usize) -> Result<Vec<JournalEntry>, Status> {
        self.engine.store().journal(event, from, limit).await.map_err(|error| errors::read_failed(&error))
    }

    /// For lists, which are empty both of an event without items and of no event.
    async fn check_event_exists(&self, event: &EventId) -> Result<(), Status> {
        self.newest_seq(event).await.map(|_| ())
    }

    /// Refuses to go on after a change that is not there: a restored backup, or a failover, has left the database with less than
    /// whoever asks has seen, and he would not hear of what has happened since.
    async fn check_seen(&self, event: &EventId, seen: Seq) -> Result<(), Status> {
        let newest = self.newest_seq(event).await?;
        if seen <= newest {
            return Ok(());
        }
        Err(begin_anew(format!("is beyond the newest change, which is {newest}: begin anew")))
    }
}

/// Whoever follows an event has seen changes that are no more.
fn begin_anew(description: String) -> Status {
    Violations::one("INVALID_FROM_SEQ", "from_seq", description).into()
}

/// The reservation that a command was answered with.
fn reservation(event: &EventId, answer: &Answer) -> Result<v1::Reservation, Status> {
    match answer {
        Answer::Reservation(reservation) => Ok(convert::reservation::reservation(event, reservation)),
        Answer::Event(_) | Answer::Allocation(_) | Answer::Transferred { .. } | Answer::Reclaimed { .. } => {
            Err(unexpected(answer))
        }
    }
}

/// A command was answered with something that it never answers with.
fn unexpected(answer: &Answer) -> Status {
    tracing::error!(?answer, "an answer of the wrong kind");
    errors::internal()
}

/// Changes from `from` on, as many as fit one message, and the number of the next.
fn shown_changes(event: &EventId, from: Seq, entries: &[JournalEntry]) -> (Vec<v1::Change>, Seq) {
    let mut changes = Vec::with_capacity(entries.len());
    let mut bytes = 0;
    for entry in entries {
        let change = convert::change::change(event, entry);
        bytes += prost::Message::encoded_len(&change);
        if bytes > page::PAGE_BYTES_MAX && !changes.is_empty() {
            break;
        }
        changes.push(change);
    }
    let next = changes.last().map_or(from, |last| last.seq + 1);
    (changes, next)
}

/// A page of one owner's reservations, oldest first, and the token of the next.
async fn owners_reservations(
    api: &Api,
    event: &EventId,
    owner: &OwnerId,
    after: Seq,
    size: usize,
    listing: Listing,
) -> Result<(Vec<v1::Reservation>, String), Status> {
    let store = api.engine.store();
    // Before the reading, for the reason that GetReservation gives.
    let now = store.now().await.map_err(|error| errors::read_failed(&error))?;
    let read = store.reservations_of(event, owner, after, size).await;
    let page = read.map_err(|error| errors::read_failed(&error))?;
    if page.items.is_empty() {
        api.check_event_exists(event).await?;
    }
    Ok(shown(event, now, page, listing))
}

/// Reservations with their keys as one message shows them, as many as fit it, and the token of the next page.
fn shown<K: page::Key>(
    event: &EventId,
    now: Timestamp,
    page: Page<(K, Reservation), K>,
    listing: Listing,
) -> (Vec<v1::Reservation>, String) {
    let (mut shown, mut bytes, mut last) = (Vec::with_capacity(page.items.len()), 0, None);
    for (key, each) in page.items {
        let reservation = convert::reservation::in_state(event, &each, each.state_at(now));
        bytes += prost::Message::encoded_len(&reservation);
        if bytes > page::PAGE_BYTES_MAX
            && let Some(last) = &last
        {
            return (shown, listing.token(last));
        }
        shown.push(reservation);
        last = Some(key);
    }
    (shown, page.next.map(|key| listing.token(&key)).unwrap_or_default())
}
