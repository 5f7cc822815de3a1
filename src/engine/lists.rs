//! Lists of events for buyers' pages. They are read in pieces that all who list share, so that a crowd that looks costs the
//! database a few reads a second, however long each one's page is.

use std::mem::size_of;
use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use moka::Expiry;
use moka::future::Cache;
use tokio::time::Instant;

use super::VIEW_LIFE;
use crate::domain::{Allocation, EventId, EventView};
use crate::storage::{Page, Store, StoreError};

/// Most events that are read from the database at once.
pub const EVENTS_READ_MAX: usize = 50;

/// How long a piece is served without reading again. With the time of the reading it must stay below
/// [`VIEW_LIFE`], which the API promises for these, too.
pub(super) const FRESH: Duration = Duration::from_millis(100);

/// Most memory for pieces. (One of 50 events with ten allocations takes about 100 KB, the largest possible one 15 MB.)
const BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Consecutive events, and where the next ones begin.
pub(super) type Piece = Arc<Page<EventView, EventId>>;

/// Pieces read lately, by the event that they begin after. Many callers for one cause one read.
pub(super) struct Lists {
    store: Arc<dyn Store>,
    cache: Cache<Option<EventId>, Read>,
}

/// A piece that was read.
#[derive(Clone)]
struct Read {
    piece: Piece,
    /// When its reading began.
    begun: Instant,
}

struct Fresh;

impl Expiry<Option<EventId>, Read> for Fresh {
    fn expire_after_create(&self, _: &Option<EventId>, read: &Read, _: Moment) -> Option<Duration> {
        Some(FRESH.saturating_sub(read.begun.elapsed()))
    }

    fn expire_after_update(
        &self,
        after: &Option<EventId>,
        read: &Read,
        at: Moment,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(after, read, at)
    }
}

impl Lists {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let cache = Cache::builder()
            .max_capacity(BYTES_MAX)
            .weigher(|_, read: &Read| u32::try_from(bytes(&read.piece)).unwrap_or(u32::MAX))
            .expire_after(Fresh)
            .build();
        Self { store, cache }
    }

    /// [`EVENTS_READ_MAX`] events after `after`, or as many as there are.
    pub(super) async fn get(&self, after: Option<&EventId>) -> Result<Piece, Arc<StoreError>> {
        let asked = Instant::now();
        let mut read = self.read(after).await?;
        if asked >= read.begun + VIEW_LIFE {
            // It took so long that it is too old for whoever came to it late, and is served to nobody any more.
            read = self.read(after).await?;
        }
        Ok(read.piece)
    }

    async fn read(&self, after: Option<&EventId>) -> Result<Read, Arc<StoreError>> {
        let read = async {
            let begun = Instant::now();
            let piece = self.store.events(after, EVENTS_READ_MAX).await?;
            Ok(Read { piece: Arc::new(piece), begun })
        };
        self.cache.try_get_with(after.cloned(), read).await
    }
}

/// About how much memory it takes.
fn bytes(piece: &Page<EventView, EventId>) -> usize {
    let allocation = |each: &Allocation| size_of::<Allocation>() + each.id.as_str().len() + each.display_name.len();
    let event = |view: &EventView| {
        let texts = view.event.id.as_str().len() + view.event.config.display_name.len();
        size_of::<EventView>() + texts + view.allocations.iter().map(allocation).sum::<usize>()
    };
    size_of::<Page<EventView, EventId>>() + piece.items.iter().map(event).sum::<usize>()
}
