//! Tells watchers in this process that an event has changed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::domain::{EventId, Seq};

/// The newest seq of each event that is watched. A watcher that is slow sees only the newest.
#[derive(Default)]
pub(super) struct Feed {
    watched: Mutex<HashMap<EventId, watch::Sender<Seq>>>,
    /// How many events are watched, so that a lane need not lock when there are none.
    count: AtomicUsize,
}

impl Feed {
    pub(super) fn subscribe(&self, event: &EventId) -> watch::Receiver<Seq> {
        let mut watched = self.lock();
        let receiver = watched.entry(event.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe();
        self.count.store(watched.len(), Ordering::Release);
        receiver
    }

    /// Tells the watchers of `event`, and forgets the event if there are none left.
    pub(super) fn publish(&self, event: &EventId, seq: Seq) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut watched = self.lock();
        if let Some(sender) = watched.get(event)
            && sender.send(seq).is_err()
        {
            watched.remove(event);
            self.count.store(watched.len(), Ordering::Release);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EventId, watch::Sender<Seq>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_nobody_watches_any_more_is_forgotten() {
        let feed = Feed::default();
        let event = EventId::new("demo").expect("a valid id");
        let receiver = feed.subscribe(&event);
        feed.publish(&event, 7);
        assert_eq!(*receiver.borrow(), 7);
        drop(receiver);
        feed.publish(&event, 8);
        assert!(feed.lock().is_empty());
        assert_eq!(*feed.subscribe(&event).borrow(), 0);
    }
}
