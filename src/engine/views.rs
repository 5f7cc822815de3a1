//! Views of events for buyers' pages, so that a crowd that looks costs the database a few reads a second, or, where servers
//! share a [`Board`], nothing: then one of them reads for all.
//!
//! A view that begins to age is still shown while one task looks for a newer one, so that no crowd ever waits for one answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::watch;
use tokio::time::Instant;

use super::board::{Board, Hung, Keeper, VIEW_LIFE};
use super::herald::Herald;
use crate::domain::{EventId, EventView};
use crate::storage::{Store, StoreError};

/// How long what was found is shown, as of the moment when the search began.
#[derive(Clone, Copy)]
pub(super) struct Age {
    /// From then on whoever looks has a newer one looked for, and is shown this.
    stale: Duration,
    /// From then on nobody is shown it.
    pub(super) over: Duration,
}

/// Of a reading of the database. It must be over before [`VIEW_LIFE`], with the time of the reading.
pub(super) const READ: Age = Age { stale: Duration::from_millis(85), over: Duration::from_millis(100) };

/// Within this time what one server sold shows on others, where there is a board.
pub(super) const SHOWN_WITHIN: Duration = Duration::from_millis(100);

/// Where there is a board. What was sold elsewhere must show within [`SHOWN_WITHIN`], the time until it is posted included.
pub(super) const LOOKED: Age = Age { stale: Duration::from_millis(30), over: Duration::from_millis(45) };

/// How long a server waits for the one that reads for all before it reads for itself, and how often it looks meanwhile.
const KEEPER_PATIENCE: Duration = Duration::from_millis(100);
const KEEPER_LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// How long the newest view that was seen is remembered, so that nobody is shown an older one from another source: what hangs on
/// the board may be older than what was read here while the board was away. No view is shown for nearly as long.
const REMEMBERED: Duration = Duration::from_secs(5);

/// Most events whose views are kept.
const EVENTS_MAX: u64 = 10_000;

/// Views read lately. Many callers for one event cause one read.
pub(super) struct Views {
    store: Arc<dyn Store>,
    board: Option<Arc<dyn Board>>,
    herald: Arc<Herald>,
    slots: Cache<EventId, Arc<Slot>>,
}

/// The place of one event.
struct Slot {
    known: watch::Sender<Known>,
    /// Whether somebody looks for a newer view.
    is_searched: AtomicBool,
}

/// What is known of an event, and how long it may be shown.
struct Known {
    /// The newest view. Nothing: there is no such event.
    view: Option<Arc<EventView>>,
    /// When the view became known.
    since: Instant,
    /// When the latest search began. Nothing: there was none, or it may lack something that somebody here has heard of.
    begun: Option<Instant>,
    /// See [`Age`].
    stale: Instant,
    over: Instant,
    /// When something was heard of that searches begun before may lack.
    forgotten: Option<Instant>,
    /// When, and why, the latest search failed.
    failure: Option<(Instant, Arc<StoreError>)>,
}

/// What a search came to.
struct Found {
    view: Option<Arc<EventView>>,
    begun: Instant,
    age: Age,
}

impl Found {
    /// What hung on the board, in a look that began at `begun`.
    fn hung(hung: &Hung, begun: Instant) -> Self {
        Self { view: Some(Arc::clone(&hung.view)), begun, age: LOOKED.within(hung.life) }
    }
}

impl Views {
    pub(super) fn new(store: Arc<dyn Store>, board: Option<Arc<dyn Board>>, herald: Arc<Herald>) -> Self {
        let slots = Cache::builder().max_capacity(EVENTS_MAX).time_to_idle(REMEMBERED).build();
        Self { store, board, herald, slots }
    }

    pub(super) async fn get(self: &Arc<Self>, event: &EventId) -> Result<Option<Arc<EventView>>, Arc<StoreError>> {
        let slot = self.slot(event);
        let begun = Instant::now();
        {
            let known = slot.known.borrow();
            if begun < known.stale {
                return Ok(known.view.clone());
            }
        }
        let mut news = slot.known.subscribe();
        loop {
            self.search(event, &slot);
            {
                // What is known by now is not marked as seen: a search that has ended since must wake, since it may have been the last.
                let known = news.borrow();
                if begun < known.over {
                    return Ok(known.view.clone());
                }
            }
            // The sender is in the slot, which is ours, too.
            let _ = news.changed().await;
            let known = news.borrow();
            if known.serves(begun) {
                return Ok(known.view.clone());
            }
            if let Some((_, failure)) = known.failure.as_ref().filter(|(at, _)| begun < *at) {
                return Err(Arc::clone(failure));
            }
        }
    }

    /// The next one who asks gets a newer view.
    pub(super) fn forget(&self, event: &EventId) {
        if let Some(slot) = self.slots.get(event) {
            slot.known.send_modify(|known| known.forget(Instant::now()));
        }
    }

    /// Reads the database, for whoever asks next. `None`: no such event.
    pub(super) async fn renew(&self, event: &EventId) -> Result<Option<(Arc<EventView>, Instant)>, StoreError> {
        let begun = Instant::now();
        let view = self.store.event(event).await?.map(Arc::new);
        self.learn(event, Found { view: view.clone(), begun, age: READ });
        Ok(view.map(|view| (view, begun)))
    }

    /// Somebody else saw on the board what hangs there, in a look that began at `begun`.
    pub(super) fn seen(&self, hung: &Hung, begun: Instant) {
        self.learn(&hung.view.event.id, Found::hung(hung, begun));
    }

    fn learn(&self, event: &EventId, found: Found) {
        self.slot(event).known.send_modify(|known| known.learn(found, Instant::now()));
    }

    fn slot(&self, event: &EventId) -> Arc<Slot> {
        self.slots.get(event).unwrap_or_else(|| self.slots.get_with_by_ref(event, Arc::default))
    }

    /// Has somebody look for a newer view, unless somebody does already.
    fn search(self: &Arc<Self>, event: &EventId, slot: &Arc<Slot>) {
        if slot.is_searched.swap(true, Ordering::AcqRel) {
            return;
        }
        let search = Search { slot: Arc::clone(slot), end: None };
        tokio::spawn(search.run(Arc::clone(self), event.clone()));
    }

    async fn find(&self, event: &EventId, slot: &Slot) -> Result<Found, StoreError> {
        if let Some(board) = &self.board
            && let Some(found) = posted(&**board, event).await
            && !slot.known.borrow().is_newer_than(found.view.as_deref(), Instant::now())
        {
            return Ok(found);
        }
        let begun = Instant::now();
        let view = self.store.event(event).await?.map(Arc::new);
        if let Some(view) = &view {
            self.herald.read(view, begun);
        }
        let age = if self.board.as_ref().is_some_and(|board| board.is_up()) { LOOKED } else { READ };
        Ok(Found { view, begun, age })
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self { known: watch::Sender::new(Known::nothing(Instant::now())), is_searched: AtomicBool::new(false) }
    }
}

impl Known {
    const fn nothing(now: Instant) -> Self {
        Self { view: None, since: now, begun: None, stale: now, over: now, forgotten: None, failure: None }
    }

    /// Whether this must be shown rather than `view`. Of two readings of the same state the later one counts, since holds lapse.
    /// Only for a while: a database may have lost what it once told of.
    fn is_newer_than(&self, view: Option<&EventView>, now: Instant) -> bool {
        let age = |view: &EventView| (view.event.last_seq, view.read_at);
        now < self.since + REMEMBERED && self.view.as_deref().map(age) > view.map(age)
    }

    /// Whether it may be shown to somebody who asked then and has waited for a search: however long that took, it is no older than
    /// it may be for him.
    fn serves(&self, asked: Instant) -> bool {
        self.begun.is_some_and(|begun| asked < begun + VIEW_LIFE)
    }

    fn learn(&mut self, found: Found, now: Instant) {
        if !self.is_newer_than(found.view.as_deref(), now) {
            (self.view, self.since) = (found.view, now);
        }
        if self.forgotten.is_none_or(|forgotten| forgotten <= found.begun) {
            self.begun = self.begun.max(Some(found.begun));
            self.stale = self.stale.max(found.begun + found.age.stale);
            self.over = self.over.max(found.begun + found.age.over);
        }
    }

    fn forget(&mut self, now: Instant) {
        (self.begun, self.stale, self.over, self.forgotten) = (None, now, now, Some(now));
    }
}

impl Age {
    fn within(self, life: Duration) -> Self {
        Self { stale: self.stale.min(life), over: self.over.min(life) }
    }
}

/// Somebody looks for a newer view, until this is dropped.
struct Search {
    slot: Arc<Slot>,
    end: Option<Result<Found, StoreError>>,
}

impl Search {
    async fn run(mut self, views: Arc<Views>, event: EventId) {
        self.end = Some(views.find(&event, &self.slot).await);
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        // First of all: whoever is woken may want another one.
        self.slot.is_searched.store(false, Ordering::Release);
        let (now, end) = (Instant::now(), self.end.take());
        self.slot.known.send_modify(|known| match end {
            Some(Ok(found)) => known.learn(found, now),
            Some(Err(error)) => known.failure = Some((now, Arc::new(error))),
            None => {}
        });
    }
}

/// What hangs on the board, if it may be shown.
async fn posted(board: &dyn Board, event: &EventId) -> Option<Found> {
    let patience = Instant::now() + KEEPER_PATIENCE;
    loop {
        let begun = Instant::now();
        let look = board.look(event, true).await.ok()?;
        if let Some(hung) = look.hung {
            // An answer may have been on its way for longer than what it tells may be shown.
            let may_be_shown = begun.elapsed() < hung.life;
            return may_be_shown.then(|| Found::hung(&hung, begun));
        }
        if look.keeper == Keeper::Nobody || patience <= begun {
            return None;
        }
        tokio::time::sleep(KEEPER_LOOK_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::some_view;

    const MILLIS: Duration = Duration::from_millis(1);

    fn found(seq: i64, begun: Instant) -> Found {
        Found { view: Some(Arc::new(some_view(seq, 1, seq))), begun, age: READ }
    }

    fn seq(known: &Known) -> Option<i64> {
        known.view.as_ref().map(|view| view.event.last_seq)
    }

    #[test]
    fn nothing_older_is_shown_until_what_is_newer_was_forgotten() {
        let now = Instant::now();
        let mut known = Known::nothing(now);
        known.learn(found(3, now), now);
        known.learn(found(2, now + MILLIS), now + MILLIS);
        known.learn(Found { view: None, ..found(0, now + MILLIS) }, now + MILLIS);
        assert_eq!(seq(&known), Some(3));
        assert_eq!(known.over, now + MILLIS + READ.over, "what is shown was the newest then, too");
        // As of a database that was set back.
        known.learn(found(2, now + REMEMBERED), now + REMEMBERED);
        assert_eq!(seq(&known), Some(2));
    }

    #[test]
    fn what_hung_on_the_board_is_shown_no_longer_than_it_may_be() {
        let now = Instant::now();
        for (life, over) in [(MILLIS, MILLIS), (VIEW_LIFE, LOOKED.over)] {
            let mut known = Known::nothing(now);
            let hung = Hung { view: Arc::new(some_view(1, 1, 1)), life, age: Duration::ZERO };
            known.learn(Found::hung(&hung, now), now);
            assert_eq!((seq(&known), known.over), (Some(1), now + over), "{life:?}");
            assert!(known.stale <= known.over, "{life:?}");
        }
    }

    #[test]
    fn whoever_came_while_a_search_went_on_is_served_by_it() {
        let now = Instant::now();
        let mut known = Known::nothing(now);
        assert!(!known.serves(now));
        known.learn(found(1, now), now + VIEW_LIFE);
        assert!(known.over < now + VIEW_LIFE, "too old for those who ask now");
        assert!(known.serves(now + VIEW_LIFE - MILLIS) && !known.serves(now + VIEW_LIFE));
        known.forget(now + VIEW_LIFE);
        assert!(!known.serves(now), "it may lack what was heard of");
    }

    #[test]
    fn a_search_that_began_before_the_news_does_not_do() {
        let now = Instant::now();
        let mut known = Known::nothing(now);
        known.learn(found(1, now), now);
        known.forget(now + 2 * MILLIS);
        known.learn(found(2, now + MILLIS), now + 3 * MILLIS);
        assert!(known.over <= now + 2 * MILLIS && known.begun.is_none(), "it may lack what was heard of");
        known.learn(found(3, now + 2 * MILLIS), now + 4 * MILLIS);
        assert_eq!((seq(&known), known.over), (Some(3), now + 2 * MILLIS + READ.over));
        known.learn(found(3, now + MILLIS), now + 5 * MILLIS);
        assert_eq!(known.over, now + 2 * MILLIS + READ.over, "an earlier search ends later");
    }
}
