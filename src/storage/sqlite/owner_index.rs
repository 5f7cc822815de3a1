//! Fills the owner index, in slices of about a millisecond each.
//!
//! A run is read from the journal slice by slice, sorted by owner in memory, and then written slice by slice. So every
//! write appends, whoever the owners are: each run lies behind the former. A run that was interrupted is begun again.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;

use super::error::store_error;
use super::journal;
use super::queries;
use super::remembered::Remembered;
use super::script;
use crate::domain::{EventId, OwnerId, Seq};
use crate::storage::columns::Columns;
use crate::storage::json::{push_int, push_text};
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
    pub(super) async fn resume(connection: &mut SqliteConnection) -> Result<Self> {
        let query = sqlx::query(queries::UPKEEP_DUE).bind(OWNER_RUN_ENTRIES);
        let rows = query.fetch_all(connection).await.map_err(store_error)?;
        let due = rows.iter().map(|row| Columns::of(row).event_id()).collect::<Result<_>>()?;
        Ok(Self { due, run: None })
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
    pub(super) async fn slice(
        &mut self,
        connection: &mut SqliteConnection,
        remembered: &mut Remembered,
    ) -> Result<bool> {
        match self.run.take() {
            None => self.run = self.start(connection).await?,
            Some(mut run) if run.read_to < run.to_seq() => {
                run.read(connection).await?;
                self.run = Some(run);
            }
            Some(mut run) => {
                if run.write(connection).await? {
                    // How far the index reaches has changed: it is loaded with the event again.
                    remembered.forget_event(&run.event);
                } else {
                    self.run = Some(run);
                }
            }
        }
        Ok(self.is_due())
    }

    async fn start(&mut self, connection: &mut SqliteConnection) -> Result<Option<Run>> {
        let Some(event) = self.due.first().cloned() else { return Ok(None) };
        let query = sqlx::query(queries::UPKEEP_STATE).bind(event.as_str().to_owned());
        let row = query.fetch_optional(connection).await.map_err(store_error)?;
        let row = row.ok_or_else(|| StoreError::Corrupt(format!("event {event} is gone")))?;
        let mut columns = Columns::of(&row);
        let (last_seq, indexed) = (columns.int()?, columns.int()?);
        if last_seq - indexed < OWNER_RUN_ENTRIES {
            self.due.remove(&event);
            return Ok(None);
        }
        Ok(Some(Run { event, before: indexed, read_to: indexed, entries: Vec::new(), written: 0 }))
    }
}

impl Run {
    async fn read(&mut self, connection: &mut SqliteConnection) -> Result<()> {
        let to = self.to_seq().min(self.read_to + SLICE_ENTRIES_READ);
        self.entries.extend(journal::read_beginnings(connection, &self.event, self.read_to + 1, to).await?);
        self.read_to = to;
        if to == self.to_seq() {
            self.entries.sort_unstable();
        }
        Ok(())
    }

    /// Writes the next entries; returns whether they were the last.
    async fn write(&mut self, connection: &mut SqliteConnection) -> Result<bool> {
        let event = self.event.as_str();
        let run = self.before + 1;
        let until = self.entries.len().min(self.written + SLICE_ROWS_WRITTEN);
        let slice = sqlx::query(queries::UPKEEP_WRITE)
            .bind(event.to_owned())
            .bind(run)
            .bind(entries_json(&self.entries[self.written..until]));
        script::run(&mut *connection, slice).await.map_err(|failed| store_error(failed.source))?;
        let complete = until == self.entries.len();
        if complete {
            let to_seq = self.to_seq();
            let script = sqlx::query(queries::UPKEEP_COMPLETE)
                .bind(event.to_owned())
                .bind(run)
                .bind(to_seq)
                .bind(to_seq)
                .bind(event.to_owned())
                .bind(self.before);
            let ran = script::run(&mut *connection, script).await.map_err(|failed| store_error(failed.source))?;
            let actual = ran.iter().map(|ran| ran.changed).sum();
            if actual != 2 {
                return Err(StoreError::Guard { what: "the end of a run of the owner index", expected: 2, actual });
            }
        }
        sqlx::query(queries::COMMIT).execute(connection).await.map_err(store_error)?;
        self.written = until;
        Ok(complete)
    }
}

fn entries_json(entries: &[(OwnerId, Seq)]) -> String {
    let mut json = String::from("[");
    for (index, (owner, seq)) in entries.iter().enumerate() {
        json.push_str(if index == 0 { "[" } else { ",[" });
        push_text(&mut json, owner.as_str());
        json.push(',');
        push_int(&mut json, *seq);
        json.push(']');
    }
    json.push(']');
    json
}
