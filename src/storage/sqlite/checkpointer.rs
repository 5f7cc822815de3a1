//! Checkpoints beside the lane: copies the write-ahead log into the database.
//!
//! SQLite's own way is that the commit after which the log is long copies all of it, while its callers and all behind them wait.
//! Here another connection copies while the lane goes on writing. It leaves what is written meanwhile: so where the log has become
//! long, the lane itself copies that rest between two batches, and its next one begins the log anew.
//! (<https://www.sqlite.org/wal.html>, "Checkpointing" and "Avoiding Excessively Large WAL Files".)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::{Row as _, SqliteConnection};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::error::store_error;
use super::writer::Writer;
use super::{Shared, queries};
use crate::storage::Result;

/// How long after a commit the log is copied. More often, a page that every batch changes is copied more often than it is worth;
/// more rarely, there is more to copy at once, and commits that meet it wait longer.
const CHECKPOINT_AFTER: Duration = Duration::from_millis(50);
/// Pages in the log from which on it is begun anew: 8 MiB. A log that stays short stays in the machine's caches.
const LONG_LOG_PAGES: i64 = 2_000;
/// So many pages or more that a checkpoint had to leave were held up by a reader who stays, such as an audit: those of short reads, and of the
/// lane's own transaction, are far fewer.
const REST_PAGES_MAX: i64 = 4 * LONG_LOG_PAGES;
/// Between two checkpoints that fail.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// Works for as long as it is not dropped.
pub(super) struct Checkpointer {
    signals: Arc<Signals>,
    _task: JoinSet<()>,
}

#[derive(Default)]
struct Signals {
    written: Notify,
    /// Whether the log is long and all but its end is copied.
    rest_is_due: AtomicBool,
}

impl Checkpointer {
    pub(super) async fn start(shared: Arc<Shared>) -> Result<Self> {
        let signals = Arc::new(Signals::default());
        let connection = shared.connect_writer().await.map_err(store_error)?;
        let mut task = JoinSet::new();
        task.spawn(run(shared, connection, Arc::clone(&signals)));
        Ok(Self { signals, _task: task })
    }

    /// The lane may have written something. Where it has not, there is nothing to copy, which costs nothing.
    pub(super) fn written(&self) {
        self.signals.written.notify_one();
    }

    /// Copies the rest over the lane's connection, if that is due.
    pub(super) fn checkpoint_rest(&self, writer: &Writer) -> Result<()> {
        if self.signals.rest_is_due.swap(false, Ordering::Relaxed) {
            writer.query(queries::CHECKPOINT, [], |_| Ok(()))?;
        }
        Ok(())
    }
}

async fn run(shared: Arc<Shared>, connection: SqliteConnection, signals: Arc<Signals>) {
    let mut kept = Some(connection);
    loop {
        signals.written.notified().await;
        tokio::time::sleep(CHECKPOINT_AFTER).await;
        match connect_and_checkpoint(&shared, &mut kept).await {
            Ok(log) => signals.rest_is_due.store(log.is_due(), Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(%error, "a checkpoint failed; nothing is lost, and it is tried again");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                signals.written.notify_one();
            }
        }
    }
}

/// Over a connection that is kept until it fails.
async fn connect_and_checkpoint(shared: &Shared, kept: &mut Option<SqliteConnection>) -> sqlx::Result<Log> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => shared.connect_writer().await?,
    };
    let log = checkpoint(&mut connection).await?;
    *kept = Some(connection);
    Ok(log)
}

/// Waits for nobody: what a reader still needs, or somebody else copies, is left.
async fn checkpoint(connection: &mut SqliteConnection) -> sqlx::Result<Log> {
    let row = sqlx::query(queries::CHECKPOINT).fetch_one(connection).await?;
    Ok(Log { pages: row.try_get("log")?, copied: row.try_get("checkpointed")? })
}

/// The log after a checkpoint.
struct Log {
    pages: i64,
    copied: i64,
}

impl Log {
    /// Whether the lane is to copy the rest. What a reader has left is copied here once he has ended; on the lane's thread it would be
    /// what everybody waits for.
    const fn is_due(&self) -> bool {
        self.pages >= LONG_LOG_PAGES && self.pages - self.copied < REST_PAGES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lane_copies_little() {
        let is_due = |pages, copied| Log { pages, copied }.is_due();
        assert!(!is_due(1_999, 1_999) && !is_due(0, 0), "a short log is no matter");
        assert!(is_due(2_000, 2_000) && is_due(2_000, 0) && is_due(50_000, 42_001));
        assert!(!is_due(8_000, 0) && !is_due(50_000, 0) && !is_due(50_000, 42_000), "that is for the checkpointer");
    }
}
