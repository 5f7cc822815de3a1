//! Tidies expired holds away. Nothing depends on it but tidiness: every decision and read treats an expired hold as expired.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::{Engine, Failure};
use crate::domain::{Action, Actor, Answer, Command, EventId};

/// Most events that one round looks at.
const EVENTS_PER_ROUND_MAX: usize = 4_096;

/// Most events that it works on at once; they share batches where the store allows. Few beside the callers that a lane always has room for:
/// what is to be tidied must not turn buyers away.
const EVENTS_AT_ONCE_MAX: usize = 16;

/// A task that looks for expired holds at an interval and reclaims them through the lanes, in bounded bites.
#[derive(Default)]
pub(super) struct Sweeper {
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Sweeper {
    /// Sweeps for an engine, until that is gone. (It must be there already: the task may run before this returns.)
    pub(super) async fn start(&self, engine: &Arc<Engine>, every: Duration) {
        if !every.is_zero() {
            let task = tokio::spawn(sweep(Arc::downgrade(engine), every, self.stop.subscribe()));
            *self.task.lock().await = Some(task);
        }
    }

    pub(super) async fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.lock().await.take() {
            // It ends by itself after the bite that it is at.
            let _ = task.await;
        }
    }
}

async fn sweep(engine: Weak<Engine>, every: Duration, mut stopped: watch::Receiver<bool>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.changed() => return,
        }
        let Some(engine) = engine.upgrade() else { return };
        if let Err(error) = round(&engine, &stopped).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the sweeper could not look for expired holds");
        }
    }
}

async fn round(engine: &Engine, stopped: &watch::Receiver<bool>) -> crate::storage::Result<()> {
    let now = engine.store.now().await?;
    let events = engine.store.events_with_expired_holds(now, EVENTS_PER_ROUND_MAX).await?;
    let reclaim = |event| reclaim(engine, event, stopped);
    let reclaims = futures::stream::iter(events).map(reclaim).buffer_unordered(EVENTS_AT_ONCE_MAX);
    let failed: Vec<_> = reclaims.filter_map(std::future::ready).collect().await;
    if let Some((event, failure)) = failed.first() {
        let events = failed.len();
        tracing::warn!(events, first = %event, ?failure, "expired holds could not be reclaimed; the next round tries again");
    }
    Ok(())
}

/// Where it fails, it says so.
async fn reclaim(engine: &Engine, event: EventId, stopped: &watch::Receiver<bool>) -> Option<(EventId, Failure)> {
    while !*stopped.borrow() {
        let command = Command { actor: Actor::System, action: Action::ReclaimExpired };
        match engine.run(event.clone(), command, None).await {
            Ok(Answer::Reclaimed { count: 1.., more: true }) => {}
            Ok(_) | Err(Failure::ShuttingDown) => return None,
            Err(failure) => return Some((event, failure)),
        }
    }
    None
}
