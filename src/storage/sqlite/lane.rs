//! The lane: the one connection that writes. Its calls block the thread that makes them, which is the lane's own.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::Shared;
use super::checkpointer::Checkpointer;
use super::error::{code, lane_code, lane_error};
use super::owner_index::OwnerIndexer;
use super::queries::RowStatement;
use super::write::BoundRows;
use super::writer::Writer;
use super::{journal, load, queries};
use crate::domain::{Changes, EventId, JournalEntry, OwnerId, OwnerUnits, Seq, Snapshot, Timestamp, Wanted};
use crate::storage::write::{Rows, Writes};
use crate::storage::{LaneConnection, Loaded, Result, StoreError};

/// See [`LaneConnection`].
pub(super) struct Lane {
    shared: Arc<Shared>,
    /// Nothing after an error: the next transaction reconnects.
    writer: Option<Writer>,
    indexer: OwnerIndexer,
    checkpointer: Checkpointer,
    /// How far the owner index of each event of the batch reaches.
    owner_indexed: HashMap<EventId, Seq>,
}

impl Lane {
    pub(super) async fn open(shared: Arc<Shared>) -> Result<Self> {
        let writer = shared.open_writer()?;
        let indexer = OwnerIndexer::resume(&writer)?;
        let checkpointer = Checkpointer::start(Arc::clone(&shared)).await?;
        Ok(Self { shared, writer: Some(writer), indexer, checkpointer, owner_indexed: HashMap::new() })
    }

    fn writer(&self) -> Result<&Writer> {
        self.writer.as_ref().ok_or_else(|| StoreError::Retry("there is no open transaction".into()))
    }

    fn connected(&mut self) -> Result<&Writer> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.shared.open_writer()?,
        };
        Ok(self.writer.insert(writer))
    }

    /// Passes the result on; before an error it ends the transaction.
    fn settle<T>(&mut self, result: Result<T>) -> Result<T> {
        let Err(error) = &result else { return result };
        let broken = matches!(error, StoreError::Retry(_) | StoreError::Unavailable(_));
        self.writer = self.writer.take().filter(|writer| {
            // Where SQLite rolled back by itself there is nothing left to undo.
            !broken && (!writer.is_in_transaction() || writer.execute(queries::ROLLBACK, []).is_ok())
        });
        result
    }

    fn load(&mut self, wanted: &[Wanted]) -> Result<Loaded> {
        self.owner_indexed.clear();
        self.connected()?.execute(queries::BEGIN, []).map_err(lane_error)?;
        let now = (self.shared.clock)();
        let mut snapshots = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let (snapshot, owner_indexed) = load::snapshot(self.writer()?, wanted, now)?;
            self.owner_indexed.insert(wanted.event.clone(), owner_indexed);
            snapshots.push(snapshot);
        }
        Ok(Loaded { now, snapshots, others_write: false })
    }

    fn load_more_expired(&self, snapshot: &mut Snapshot, now: Timestamp, limit: usize) -> Result<()> {
        load::load_expired(self.writer()?, snapshot, now, limit)?;
        load::load_missing_allocations(self.writer()?, snapshot)
    }

    fn write_and_commit(&mut self, changes: &[Changes]) -> Result<()> {
        let Writes { edits, sales } = Writes::of(changes)?;
        let writer = self.writer()?;
        let edits = edits.iter().zip(&queries::WRITE_EDITS);
        for (rows, statement) in edits.chain(sales.iter().zip(&*queries::WRITE_SALES)) {
            write(writer, statement, rows)?;
        }
        writer.execute(queries::COMMIT, []).map_err(lane_error)?;
        self.checkpointer.written();
        for event in changes.iter().filter_map(|change| change.event.as_ref()) {
            // Where that is not known, looking again costs little.
            let indexed = self.owner_indexed.get(&event.after.id).copied().unwrap_or_default();
            self.indexer.note(&event.after.id, indexed, event.after.last_seq);
        }
        Ok(())
    }

    fn keep_up(&mut self) -> Result<bool> {
        self.connected()?;
        let Some(writer) = &self.writer else { return Ok(self.indexer.is_due()) };
        self.checkpointer.checkpoint_rest(writer)?;
        let more = self.indexer.slice(writer);
        self.checkpointer.written();
        more
    }
}

/// Runs a writing statement for each of its rows. It must meet as many.
fn write(writer: &Writer, statement: &RowStatement, rows: &Rows<BoundRows>) -> Result<()> {
    if rows.count == 0 {
        return Ok(());
    }
    let guard = |actual| StoreError::Guard { what: rows.what, expected: rows.count, actual };
    match writer.execute_each(statement, rows.table.rows()) {
        Ok(met) if met as u64 == rows.count => Ok(()),
        Ok(met) => Err(guard(met as u64)),
        // A key that exists already, or a CHECK that fails, is a guard like any other: the statement then met no rows.
        Err(error) if lane_code(&error) == Some(code::CONSTRAINT) => {
            tracing::error!(%error, "the database refused {}", rows.what);
            Err(guard(0))
        }
        Err(error) => Err(lane_error(error)),
    }
}

#[async_trait]
impl LaneConnection for Lane {
    async fn begin(&mut self, wanted: &[Wanted]) -> Result<Loaded> {
        let loaded = self.load(wanted);
        self.settle(loaded)
    }

    async fn load_expired(&mut self, snapshot: &mut Snapshot, now: Timestamp, limit: usize) -> Result<()> {
        let loaded = self.load_more_expired(snapshot, now, limit);
        self.settle(loaded)
    }

    async fn load_journal(&mut self, event: &EventId, from: Seq, limit: usize) -> Result<Vec<JournalEntry>> {
        let loaded = self.writer().and_then(|writer| journal::read_over(writer, event, from, limit));
        self.settle(loaded)
    }

    async fn load_usage(&mut self, event: &EventId, owner: &OwnerId) -> Result<OwnerUnits> {
        let loaded = self.writer().and_then(|writer| load::usage(writer, event, owner));
        self.settle(loaded)
    }

    async fn commit(&mut self, changes: &[Changes]) -> Result<()> {
        let committed = self.write_and_commit(changes);
        self.settle(committed)
    }

    async fn rollback(&mut self) -> Result<()> {
        let rolled_back = match &self.writer {
            Some(writer) => writer.execute(queries::ROLLBACK, []).map(drop).map_err(lane_error),
            // The transaction ended with its connection.
            None => Ok(()),
        };
        self.settle(rolled_back)
    }

    async fn upkeep(&mut self) -> Result<bool> {
        let more = self.keep_up();
        self.settle(more)
    }
}
