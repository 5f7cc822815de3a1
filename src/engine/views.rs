//! Views of events for buyers' pages, so that a crowd that looks costs the database a few reads a second, or, where servers
//! share a [`Board`], nothing: then one of them reads for all.

use std::sync::Arc;
use std::time::Duration;

use moka::Expiry;
use moka::future::Cache;
use moka::ops::compute::Op;
use tokio::time::Instant;

use super::board::{Board, VIEW_LIFE};
use super::herald::Herald;
use crate::domain::{EventId, EventView};
use crate::storage::{Store, StoreError};

/// How long a view is served without reading again. With the time of the reading it must stay below [`VIEW_LIFE`].
const FRESH: Duration = Duration::from_millis(100);

/// How long a view from the board is served without another look. What was sold elsewhere must show within 100 ms, the time
/// until it is posted included.
const LOOK_INTERVAL: Duration = Duration::from_millis(40);

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
    cache: Cache<EventId, Shown>,
    newest: Newest,
}

/// The newest views that were seen here.
pub(super) struct Newest(moka::sync::Cache<EventId, Arc<EventView>>);

/// What may be shown of an event for a while. Nothing: there is no such event.
#[derive(Clone)]
struct Shown {
    view: Option<Arc<EventView>>,
    until: Instant,
}

struct Until;

impl Expiry<EventId, Shown> for Until {
    fn expire_after_create(&self, _: &EventId, shown: &Shown, _: std::time::Instant) -> Option<Duration> {
        Some(shown.until.saturating_duration_since(Instant::now()))
    }

    fn expire_after_update(
        &self,
        event: &EventId,
        shown: &Shown,
        at: std::time::Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(event, shown, at)
    }
}

impl Views {
    pub(super) fn new(store: Arc<dyn Store>, board: Option<Arc<dyn Board>>, herald: Arc<Herald>) -> Self {
        let cache = Cache::builder().max_capacity(EVENTS_MAX).expire_after(Until).build();
        Self { store, board, herald, cache, newest: Newest::remembered(REMEMBERED) }
    }

    pub(super) async fn get(&self, event: &EventId) -> Result<Option<Arc<EventView>>, Arc<StoreError>> {
        let shown = self.cache.try_get_with_by_ref(event, self.find(event)).await?;
        Ok(shown.view)
    }

    /// The next one who asks gets a newer view.
    pub(super) async fn forget(&self, event: &EventId) {
        self.cache.invalidate(event).await;
    }

    /// Reads the database, for whoever asks next. `None`: no such event.
    pub(super) async fn renew(&self, event: &EventId) -> Result<Option<(Arc<EventView>, Instant)>, StoreError> {
        let read = Instant::now();
        let view = self.store.event(event).await?.map(Arc::new);
        let shown = view.clone().map(|view| self.newest.of(&view));
        self.cache.insert(event.clone(), Shown { view: shown, until: read + FRESH }).await;
        Ok(view.map(|view| (view, read)))
    }

    async fn find(&self, event: &EventId) -> Result<Shown, StoreError> {
        if let Some(board) = &self.board
            && let Some((view, until)) = posted(&**board, event).await
            && Arc::ptr_eq(&view, &self.newest.of(&view))
        {
            return Ok(Shown { view: Some(view), until });
        }
        let read = Instant::now();
        let view = self.store.event(event).await?.map(Arc::new);
        if let Some(view) = &view {
            self.herald.read(view, read);
        }
        Ok(Shown { view: view.map(|view| self.newest.of(&view)), until: read + FRESH })
    }
}

impl Newest {
    pub(super) fn remembered(life: Duration) -> Self {
        Self(moka::sync::Cache::builder().max_capacity(EVENTS_MAX).time_to_live(life).build())
    }

    /// This view, or the one that was seen here already where that is newer. Of two readings of the same state the later one
    /// counts, since holds lapse.
    pub(super) fn of(&self, view: &Arc<EventView>) -> Arc<EventView> {
        let age = |view: &EventView| (view.event.last_seq, view.read_at);
        let newest = self.0.entry_by_ref(&view.event.id).and_compute_with(|known| match known {
            // It is left alone, so that it is forgotten in time: a database may have lost what it once told of.
            Some(known) if age(known.value()) > age(view) => Op::Nop,
            _ => Op::Put(Arc::clone(view)),
        });
        newest.into_entry().map_or_else(|| Arc::clone(view), |entry| entry.into_value())
    }
}

/// What hangs on the board, and until when it may be shown. `None`: nothing that may be shown.
async fn posted(board: &dyn Board, event: &EventId) -> Option<(Arc<EventView>, Instant)> {
    let begun = Instant::now();
    loop {
        let looked = Instant::now();
        let look = board.look(event).await.ok()?;
        if let Some((view, life)) = look.posted {
            // Whatever the board says of it.
            let life = life.min(VIEW_LIFE);
            // An answer may have been on its way for longer than what it tells may be shown.
            return (looked.elapsed() < life).then(|| (view, looked + life.min(LOOK_INTERVAL)));
        }
        if !look.is_kept || begun.elapsed() >= KEEPER_PATIENCE {
            return None;
        }
        tokio::time::sleep(KEEPER_LOOK_INTERVAL).await;
    }
}
