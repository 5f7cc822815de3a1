//! The newest view of each event that is watched: one task an event looks for it, however many watch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::board::{Board, VIEW_LIFE};
use super::feed::Feed;
use super::views::{READ, Views};
use crate::domain::{EventId, EventView, Seq};
use crate::storage::StoreError;

/// How often there is a look though nothing was heard: messages get lost, and a server that shares no board tells nobody what it
/// sells. Together with the age of a cached view a watcher sees every change within 250 ms. (That a hold has lapsed is a change only
/// once the sweeper, or whoever needs its units, has written it down.)
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const _: () = assert!(LOOK_INTERVAL.saturating_add(READ.over).as_millis() < VIEW_LIFE.as_millis());

/// The shortest time between two looks.
const PACE: Duration = Duration::from_millis(40);

/// What a watcher sees: the newest view (nothing: there is no such event), or why it cannot be read.
pub type Newest = Result<Option<Arc<EventView>>, Arc<StoreError>>;

/// Events that are watched.
pub(super) struct Live {
    views: Arc<Views>,
    board: Option<Arc<dyn Board>>,
    /// What this server committed, and what it posted.
    committed: Arc<Feed>,
    posted: Arc<Feed>,
    watched: Arc<Mutex<HashMap<EventId, Watched>>>,
}

struct Watched {
    newest: watch::Sender<Newest>,
    task: AbortHandle,
}

impl Live {
    pub(super) fn new(
        views: Arc<Views>,
        board: Option<Arc<dyn Board>>,
        committed: Arc<Feed>,
        posted: Arc<Feed>,
    ) -> Self {
        Self { views, board, committed, posted, watched: Arc::default() }
    }

    /// Follows an event. There are as many events at most as there are watchers.
    pub(super) async fn watch(&self, event: &EventId) -> watch::Receiver<Newest> {
        if let Some(watched) = lock(&self.watched).get(event) {
            return watched.newest.subscribe();
        }
        let first = self.views.get(event).await;
        let mut all = lock(&self.watched);
        if let Some(watched) = all.get(event) {
            return watched.newest.subscribe();
        }
        let (newest, receiver) = watch::channel(first);
        let follower = Follower {
            event: event.clone(),
            newest: newest.clone(),
            views: Arc::clone(&self.views),
            hearing: self.board.as_ref().and_then(|board| board.hear(event)),
            board: self.board.clone(),
            committed: self.committed.subscribe(event),
            posted: self.posted.subscribe(event),
        };
        let task = tokio::spawn(follower.serve(Arc::clone(&self.watched))).abort_handle();
        all.insert(event.clone(), Watched { newest, task });
        receiver
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        lock(&self.watched).drain().for_each(|(_, watched)| watched.task.abort());
    }
}

/// Looks for one event.
struct Follower {
    event: EventId,
    newest: watch::Sender<Newest>,
    views: Arc<Views>,
    board: Option<Arc<dyn Board>>,
    hearing: Option<watch::Receiver<Vec<u8>>>,
    committed: watch::Receiver<Seq>,
    posted: watch::Receiver<Seq>,
}

impl Follower {
    async fn serve(mut self, watched: Arc<Mutex<HashMap<EventId, Watched>>>) {
        let newest = self.newest.clone();
        loop {
            let looked = Instant::now();
            let view = self.views.get(&self.event).await;
            self.show(view);
            tokio::select! {
                () = self.news() => {}
                () = newest.closed() => {}
            }
            sleep_until(looked + PACE).await;
            if newest.receiver_count() == 0 {
                let mut watched = lock(&watched);
                // Somebody may have come meanwhile: that happens under the lock.
                if newest.receiver_count() == 0 {
                    watched.remove(&self.event);
                    return;
                }
            }
        }
    }

    /// Shows what was read to those who come from now on, and tells those who watch where it is another state.
    fn show(&self, view: Newest) {
        self.newest.send_if_modified(|shown| {
            let moved = is_another_state(shown, &view);
            *shown = view;
            moved
        });
    }

    /// Returns when there may be something new, and nothing old is in the way of seeing it.
    async fn news(&mut self) {
        let shown = self.newest.borrow().as_ref().ok().and_then(|view| Some(view.as_ref()?.event.last_seq));
        let shown = shown.unwrap_or(0);
        let poll = sleep(LOOK_INTERVAL);
        tokio::pin!(poll);
        loop {
            let shares = self.board.as_ref().is_some_and(|board| board.is_up());
            tokio::select! {
                () = &mut poll => return,
                seq = told(&mut self.posted) => {
                    if seq > shown {
                        return;
                    }
                }
                // Where there is a board it will be posted in a moment, and the reading for that serves us, too.
                seq = told(&mut self.committed), if !shares => {
                    if seq > shown {
                        return self.views.forget(&self.event);
                    }
                }
                newest = heard(&mut self.hearing) => {
                    if newest.is_none_or(|newest| newest > shown) {
                        return self.views.forget(&self.event);
                    }
                }
            }
        }
    }
}

/// Whether those who were shown `old` are told of `new`: also where a database has lost what it once told of.
fn is_another_state(old: &Newest, new: &Newest) -> bool {
    match (old, new) {
        (Ok(Some(old)), Ok(Some(new))) => new.event.last_seq != old.event.last_seq,
        (Ok(None), Ok(None)) => false,
        _ => true,
    }
}

/// The newest change that this server tells of.
async fn told(feed: &mut watch::Receiver<Seq>) -> Seq {
    if feed.changed().await.is_err() {
        // The engine ends, and this task with it.
        return std::future::pending().await;
    }
    *feed.borrow_and_update()
}

/// The newest change that was heard of. `None`: messages may have been lost, and anything may have happened.
async fn heard(hearing: &mut Option<watch::Receiver<Vec<u8>>>) -> Option<Seq> {
    let Some(hearing) = hearing else { return std::future::pending().await };
    if hearing.changed().await.is_err() {
        return std::future::pending().await;
    }
    str::from_utf8(&hearing.borrow_and_update()).ok()?.parse().ok()
}

fn lock(watched: &Mutex<HashMap<EventId, Watched>>) -> MutexGuard<'_, HashMap<EventId, Watched>> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::some_view;

    #[test]
    fn those_who_watch_are_told_of_each_other_state_and_of_none_twice() {
        let view = |seq, read_at| Ok(Some(Arc::new(some_view(seq, 1, read_at))));
        let gone = || Newest::Ok(None);
        let away = || Newest::Err(Arc::new(StoreError::Unavailable("away".into())));
        let cases = [
            (view(7, 1), view(8, 2), true),
            (view(7, 1), view(7, 2), false),
            (view(7, 1), view(6, 2), true),
            (view(7, 1), gone(), true),
            (gone(), gone(), false),
            (gone(), view(7, 1), true),
            (view(7, 1), away(), true),
            (away(), view(7, 1), true),
        ];
        for (old, new, told) in cases {
            assert_eq!(is_another_state(&old, &new), told, "{old:?} {new:?}");
        }
    }
}
