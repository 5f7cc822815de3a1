//! Posts on the board what this server sold, and reads the database for all where that is on it.
//!
//! A lane only says which event has a new change; it waits for nothing. What is posted is read from the database, as without
//! a board, rather than put together from batches: a batch knows only the allocations that it touched, and not which holds
//! have lapsed. One reading for many batches costs next to nothing, and every view is one that stood in the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::board::{Board, Posted, VIEW_LIFE};
use super::feed::Feed;
use super::views::Views;
use crate::domain::{EventId, EventView};

/// Shortest time between two readings of an event that sells: however many batches there are, they are posted together.
const PACE: Duration = Duration::from_millis(25);

/// How often the one who reads for all does so though nothing was sold: holds lapse, and other servers die before they post.
/// With the time of the reading it must stay well below the life of a view.
const KEEP_INTERVAL: Duration = Duration::from_millis(100);

/// Shortest time between two readings of an event that sells while nobody looks, and how long what is posted then may be shown:
/// whoever comes meanwhile must not see something older.
const PACE_UNASKED: Duration = Duration::from_millis(250);
const LIFE_UNASKED: Duration = Duration::from_millis(75);

/// Most events of which something is to be posted; of more, nobody hears at once.
const EVENTS_MAX: usize = 10_000;

/// Most events that are read and posted at the same time.
const POSTS_AT_ONCE_MAX: usize = 4;

/// What is to be posted.
#[derive(Default)]
pub(super) struct Herald {
    due: Mutex<HashMap<EventId, Due>>,
    wake: Notify,
    /// Whether there is a board at all.
    has_board: bool,
}

struct Due {
    /// Something was sold that no reading has shown yet.
    changed: bool,
    /// A reading that was made for another reason, and when it began.
    read: Option<(Arc<EventView>, Instant)>,
    /// Whether this server reads for all.
    keeps: bool,
    /// Whether this server sells units of it.
    sells: bool,
    /// Whether somebody had looked when it was last posted.
    asked: bool,
    /// When it was last read and posted, and not before when it will be again.
    begun: Instant,
    next: Instant,
}

/// What to do for an event now.
struct Errand {
    event: EventId,
    read: Option<(Arc<EventView>, Instant)>,
    sells: bool,
    life: Duration,
}

impl Herald {
    pub(super) fn new(has_board: bool) -> Self {
        Self { has_board, ..Self::default() }
    }

    /// There is a new change, made by this server.
    pub(super) fn sold(&self, event: &EventId) {
        self.note(event, |due| {
            due.changed = true;
            due.sells = true;
        });
    }

    /// Somebody here read an event for himself, since nothing hung on the board.
    pub(super) fn read(&self, view: &Arc<EventView>, read: Instant) {
        self.note(&view.event.id, |due| due.read = Some((Arc::clone(view), read)));
    }

    fn note(&self, event: &EventId, change: impl FnOnce(&mut Due)) {
        if !self.has_board {
            return;
        }
        let mut all = self.lock();
        if let Some(known) = all.get_mut(event) {
            change(known);
            if known.keeps || known.read.is_some() {
                // The next turn of one who keeps, or whom nobody asks, may be far off.
                known.next = known.next.min(known.begun + PACE);
            }
        } else if all.len() < EVENTS_MAX {
            let now = Instant::now();
            let mut new =
                Due { changed: false, read: None, keeps: false, sells: false, asked: false, begun: now, next: now };
            change(&mut new);
            all.insert(event.clone(), new);
        }
        drop(all);
        self.wake.notify_one();
    }

    /// Posts whatever is due, until the engine is gone.
    pub(super) async fn serve(self: Arc<Self>, board: Arc<dyn Board>, views: Weak<Views>, posted: Arc<Feed>) {
        loop {
            match self.next() {
                Some(next) => {
                    let _ = timeout_at(next, self.wake.notified()).await;
                }
                None => self.wake.notified().await,
            }
            let Some(views) = views.upgrade() else { return };
            let errands = futures::stream::iter(self.errands(Instant::now()));
            errands.for_each_concurrent(POSTS_AT_ONCE_MAX, |errand| self.run(errand, &*board, &views, &posted)).await;
            // A wake-up for each batch is not worth the while: what comes meanwhile waits for its turn.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// When there is something to do next. `None`: nothing is due.
    fn next(&self) -> Option<Instant> {
        self.lock().values().filter(|due| due.wants()).map(|due| due.next).min()
    }

    /// What is due, and forgets events of which nothing is wanted any more.
    fn errands(&self, now: Instant) -> Vec<Errand> {
        let mut all = self.lock();
        all.retain(|_, due| due.wants() || due.next > now);
        let ready = all.iter_mut().filter(|(_, due)| due.wants() && due.next <= now);
        let errands = ready.map(|(event, due)| {
            // What was sold since the reading began is not in it.
            let read = due.read.take().filter(|_| !due.changed);
            due.changed = false;
            // Who read for himself is somebody who looks.
            let life = if due.asked || read.is_some() { VIEW_LIFE } else { LIFE_UNASKED };
            Errand { event: event.clone(), read, sells: due.sells, life }
        });
        errands.collect()
    }

    async fn run(&self, errand: Errand, board: &dyn Board, views: &Views, posted: &Feed) {
        let begun = Instant::now();
        let answer = self.post(&errand, board, views, posted).await;
        if let Some(due) = self.lock().get_mut(&errand.event) {
            due.keeps = answer.is_some_and(|answer| answer.keeps && answer.asked);
            due.asked = answer.is_some_and(|answer| answer.asked);
            due.begun = begun;
            due.next = begun
                + match answer {
                    Some(answer) if !answer.asked => PACE_UNASKED,
                    _ if due.keeps && !due.changed => KEEP_INTERVAL,
                    _ => PACE,
                };
        }
    }

    async fn post(&self, errand: &Errand, board: &dyn Board, views: &Views, posted: &Feed) -> Option<Posted> {
        if !board.is_up() {
            return None;
        }
        let (view, read) = match &errand.read {
            Some((view, read)) => (Arc::clone(view), *read),
            // Where the database does not answer there is nothing to post. Whoever looks finds out for himself.
            None => views.renew(&errand.event).await.ok()??,
        };
        let answer = board.post(&view, read, errand.life, errand.sells).await;
        posted.publish(&errand.event, view.event.last_seq);
        answer.ok()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EventId, Due>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Due {
    const fn wants(&self) -> bool {
        self.changed || self.keeps || self.read.is_some()
    }
}
