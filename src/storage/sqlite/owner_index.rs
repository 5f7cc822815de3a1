//! Fills the owner index, in slices of about a millisecond each.
//!
//! A run is read from the journal slice by slice, sorted by owner in memory, and then written slice by slice. So every
//! write appends, whoever the owners are: each run lies behind the former. A run that was interrupted is begun again.

use std::collections::BTreeSet;
use std::ops::Bound;

use rusqlite::types::ValueRef;

use super::error::lane_error;
use super::journal;
use super::queries;
use super::writer::Writer;
use crate::domain::{EventId, OwnerId, Seq};
use crate::storage::{Result, StoreError};

/// Journal entries that one run covers.
pub(super) const OWNER_RUN_ENTRIES: Seq = 16_384;
/// Entries that one slice reads.
const SLICE_ENTRIES_READ: Seq = 2_048;
/// Rows that one slice writes, in one transaction.
const SLICE_ROWS_WRITTEN: usize = 1_024;

/// See the module.
pub(super) struct OwnerIndexer {
    /// Events that may have enough journal entries behind the index for a run.
    due: BTreeSet<EventId>,
    /// The event whose turn it was last: then it is the next one's, so that none whose run fails, or that is sold without a pause,
    /// keeps the others from theirs.
    last: Option<EventId>,
    run: Option<Run>,
}

/// A run in the making.
struct Run {
    event: EventId,
    /// The last journal entry before the run.
    before: Seq,
    /// The last journal entry that was read into `entries`.
    read_to: Seq,
    /// Where each reservation of the run begins; sorted once all is read.
    entries: Vec<(OwnerId, Seq)>,
    /// How many of them were written.
    written: usize,
}

impl Run {
    const fn to_seq(&self) -> Seq {
        self.before + OWNER_RUN_ENTRIES
    }
}

impl OwnerIndexer {
    /// Finds what is due after a start.
    pub(super) fn resume(writer: &Writer) -> Result<Self> {
        let due = writer.query(queries::UPKEEP_DUE, [OWNER_RUN_ENTRIES], |row| row.event_id())?;
        Ok(Self { due: due.into_iter().collect(), last: None, run: None })
    }

    /// Takes note of how long an event's journal has become behind the index.
    pub(super) fn note(&mut self, event: &EventId, indexed: Seq, last_seq: Seq) {
        if last_seq - indexed >= OWNER_RUN_ENTRIES && !self.due.contains(event) {
            self.due.insert(event.clone());
        }
    }

    /// Whether anything is left to do.
    pub(super) fn is_due(&self) -> bool {
        self.run.is_some() || !self.due.is_empty()
    }

    /// Does one slice; returns whether more is due. After an error the run begins again, from what the database says.
    pub(super) fn slice(&mut self, writer: &Writer) -> Result<bool> {
        match self.run.take() {
            None => self.run = self.start(writer)?,
            Some(mut run) if run.read_to < run.to_seq() => {
                run.read(writer)?;
                self.run = Some(run);
            }
            Some(mut run) => {
                if !run.write(writer)? {
                    self.run = Some(run);
                }
            }
        }
        Ok(self.is_due())
    }

    fn start(&mut self, writer: &Writer) -> Result<Option<Run>> {
        let after_last = (self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let next = self.due.range(after_last).next().or_else(|| self.due.first());
        let Some(event) = next.cloned() else { return Ok(None) };
        self.last = Some(event.clone());
        let state = writer.query(queries::UPKEEP_STATE, [event.as_str()], |row| Ok((row.int()?, row.int()?)))?;
        let gone = || StoreError::Corrupt(format!("event {event} is gone"));
        let (last_seq, indexed) = state.into_iter().next().ok_or_else(gone)?;
        if last_seq - indexed < OWNER_RUN_ENTRIES {
            self.due.remove(&event);
            return Ok(None);
        }
        Ok(Some(Run { event, before: indexed, read_to: indexed, entries: Vec::new(), written: 0 }))
    }
}

impl Run {
    fn read(&mut self, writer: &Writer) -> Result<()> {
        let to = self.to_seq().min(self.read_to + SLICE_ENTRIES_READ);
        self.entries.extend(journal::read_beginnings(writer, &self.event, self.read_to + 1, to)?);
        self.read_to = to;
        if to == self.to_seq() {
            self.entries.sort_unstable();
        }
        Ok(())
    }

    /// Writes the next entries; returns whether they were the last.
    fn write(&mut self, writer: &Writer) -> Result<bool> {
        let event = self.event.as_str();
        let run = self.before + 1;
        let until = self.entries.len().min(self.written + SLICE_ROWS_WRITTEN);
        writer.execute(queries::BEGIN, []).map_err(lane_error)?;
        let rows = self.entries[self.written..until].iter();
        let rows = rows.map(|(owner, seq)| {
            [ValueRef::from(event), ValueRef::Integer(run), ValueRef::from(owner.as_str()), ValueRef::Integer(*seq)]
                .into_iter()
        });
        writer.execute_each(&queries::UPKEEP_WRITE, rows).map_err(lane_error)?;
        let complete = until == self.entries.len();
        if complete {
            let to_seq = self.to_seq();
            let completed = writer.execute(queries::UPKEEP_COMPLETE_RUN, (event, run, to_seq)).map_err(lane_error)?;
            let advanced = writer.execute(queries::UPKEEP_ADVANCE, (to_seq, event, self.before)).map_err(lane_error)?;
            let actual = (completed + advanced) as u64;
            if actual != 2 {
                return Err(StoreError::Guard { what: "the end of a run of the owner index", expected: 2, actual });
            }
        }
        writer.execute(queries::COMMIT, []).map_err(lane_error)?;
        self.written = until;
        Ok(complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::conformance::{Backend as _, create, plain_hold, reserve, v7};
    use crate::storage::sqlite::tests::SqliteBackend;

    #[tokio::test]
    async fn an_event_whose_run_fails_keeps_no_other_from_its_turn() {
        let backend = SqliteBackend::fresh().await;
        let mut lane = backend.store().open_lane().await.unwrap();
        for event in ["e1", "e2"] {
            create(&mut *lane, event, &[("ga", 100_000)]).await;
            let holds = |now| (0..OWNER_RUN_ENTRIES.cast_unsigned()).map(|n| plain_hold(v7(n), "ann", now)).collect();
            reserve(&mut *lane, event, holds).await;
        }
        backend.execute("UPDATE journal_chunks SET entries = 'torn' WHERE event_id = 'e1'").await.unwrap();
        let mut connection = backend.connect().await;
        for _ in 0..100 {
            let failed = lane.upkeep().await.is_err();
            let indexed = "SELECT owner_indexed_seq FROM events WHERE id = 'e2'";
            let indexed: i64 = sqlx::query_scalar(indexed).fetch_one(&mut connection).await.unwrap();
            if failed && indexed > 0 {
                return;
            }
        }
        panic!("e2 never has its turn, or nothing failed");
    }
}
