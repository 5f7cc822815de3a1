//! Views of events for buyers' pages, so that a crowd that looks costs the database a few reads a second.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::domain::{EventId, EventView};
use crate::storage::{Store, StoreError};

/// How long a view is served without reading again. With the time of the reading it must stay below the 250 ms that the API
/// promises for CONSISTENCY_CACHED.
const FRESH: Duration = Duration::from_millis(100);

/// Most events whose views are kept.
const EVENTS_MAX: u64 = 10_000;

/// Views read lately. Many callers for one event cause one read.
pub(super) struct Views {
    store: Arc<dyn Store>,
    cache: Cache<EventId, Option<Arc<EventView>>>,
}

impl Views {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, cache: Cache::builder().max_capacity(EVENTS_MAX).time_to_live(FRESH).build() }
    }

    pub(super) async fn get(&self, event: &EventId) -> Result<Option<Arc<EventView>>, Arc<StoreError>> {
        let read = async { Ok(self.store.event(event).await?.map(Arc::new)) };
        self.cache.try_get_with_by_ref(event, read).await
    }
}
