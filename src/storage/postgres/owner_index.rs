//! Fills the owner index beside the lanes, on a connection of its own: one run at a time, each in one transaction.
//!
//! Of several servers one writes a run; the others find it done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;

use super::Shared;
use super::error::store_error;
use super::literal::Arg;
use super::queries;
use super::script::{Ran, Script};
use crate::domain::{EventId, Seq};
use crate::storage::columns::Columns;
use crate::storage::journal::Numbers;
use crate::storage::{Result, StoreError};

/// Journal rows that one run covers.
pub(super) const OWNER_RUN_ENTRIES: Seq = 16_384;

/// How long to rest after an error.
const REST_AFTER_ERROR: Duration = Duration::from_secs(1);

/// The task that fills the index.
pub(super) struct OwnerIndexer {
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl OwnerIndexer {
    pub(super) fn start(shared: Arc<Shared>, queue: mpsc::Receiver<EventId>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(work(shared, queue, stopped));
        Self { stop, task: Mutex::new(Some(task)) }
    }

    /// One that does nothing.
    pub(super) fn idle() -> Self {
        Self { stop: watch::Sender::new(true), task: Mutex::new(None) }
    }

    /// Returns when the run in the making is done.
    pub(super) async fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.lock().await.take() {
            let _ = task.await;
        }
    }
}

async fn work(shared: Arc<Shared>, mut queue: mpsc::Receiver<EventId>, mut stopped: watch::Receiver<bool>) {
    let mut connection = None;
    let due = due(&shared, &mut connection).await.unwrap_or_else(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "the owner index is not looked at now");
        Vec::new()
    });
    let mut waiting = VecDeque::from(due);
    while !*stopped.borrow() {
        // What is new goes first, and what has failed last: no event keeps the others waiting, however often it fails.
        let event = match queue.try_recv().ok().or_else(|| waiting.pop_front()) {
            Some(event) => event,
            None => tokio::select! {
                event = queue.recv() => match event {
                    Some(event) => event,
                    None => return,
                },
                _ = stopped.changed() => return,
            },
        };
        match one_run(&shared, &mut connection, &event).await {
            Ok(true) => waiting.push_front(event),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, %event, "the owner index falls behind");
                connection = None;
                tokio::select! {
                    () = tokio::time::sleep(REST_AFTER_ERROR) => {}
                    _ = stopped.changed() => return,
                }
                if !waiting.contains(&event) {
                    waiting.push_back(event);
                }
            }
        }
    }
}

/// Events that have a run to write when the server starts.
async fn due(shared: &Shared, connection: &mut Option<PgConnection>) -> Result<Vec<EventId>> {
    let mut script = Script::new(shared.mode);
    shared.begin(&mut script);
    script.inline(queries::UPKEEP_DUE, &[Arg::Int(OWNER_RUN_ENTRIES)]);
    script.inline(queries::COMMIT, &[]);
    let ran = run(shared, connection, script).await?;
    ran.iter()
        .skip(shared.begin_statements())
        .flat_map(|ran| &ran.rows)
        .map(|row| Columns::of(row).event_id())
        .collect()
}

/// Writes the next run of an event, if it is due and nobody else does. Returns whether another one may be.
async fn one_run(shared: &Shared, connection: &mut Option<PgConnection>, event: &EventId) -> Result<bool> {
    let event = Arg::Text(event.as_str());
    let mut script = Script::new(shared.mode);
    shared.begin(&mut script);
    script.inline(queries::UPKEEP_CLAIM, &[event]);
    script.inline(queries::UPKEEP_STATE, &[event]);
    let ran = run(shared, connection, script).await?;
    let mut rows = ran.iter().skip(shared.begin_statements()).map(|ran| ran.rows.first());
    let claimed = rows.next().flatten().map(|row| Columns::of(row).int()).transpose()? == Some(1);
    let state = rows.next().flatten().map(|row| {
        let mut columns = Columns::of(row);
        Ok::<_, StoreError>((columns.int()?, columns.int()?))
    });
    let due = state.transpose()?.filter(|(last_seq, indexed)| claimed && last_seq - indexed >= OWNER_RUN_ENTRIES);
    let mut script = Script::new(shared.mode);
    let Some((_, before)) = due else {
        script.inline(queries::ROLLBACK, &[]);
        return run(shared, connection, script).await.map(|_| false);
    };
    let numbers = Numbers::before(before + 1, before + OWNER_RUN_ENTRIES + 1);
    let (first, to) = (Arg::Int(numbers.from), Arg::Int(before + OWNER_RUN_ENTRIES));
    script.inline(queries::UPKEEP_WRITE, &[event, first, Arg::Int(before), to, Arg::Int(numbers.last_of_chunk)]);
    script.inline(queries::UPKEEP_COMPLETE_RUN, &[event, first, to]);
    script.inline(queries::UPKEEP_ADVANCE, &[event, to, Arg::Int(before)]);
    let advanced = run(shared, connection, script).await?.last().map_or(0, |ran| ran.changed);
    let mut script = Script::new(shared.mode);
    script.inline(if advanced == 1 { queries::COMMIT } else { queries::ROLLBACK }, &[]);
    run(shared, connection, script).await?;
    Ok(true)
}

/// Runs a script; after an error the connection is gone, and its transaction with it.
async fn run(shared: &Shared, connection: &mut Option<PgConnection>, script: Script) -> Result<Vec<Ran>> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => shared.connect().await?,
    };
    let ran = shared.within_timeout(script.run(&mut open)).await.map_err(store_error)?;
    let ran = ran.map_err(|failed| store_error(failed.source))?;
    *connection = Some(open);
    Ok(ran)
}
