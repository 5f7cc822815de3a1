//! The lane: the one connection that writes. A batch costs at most two hand-overs to its thread (lock and load; write and
//! commit) and some for look-ups; a batch about new and recent reservations of events that are remembered costs one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, Row as _, SqliteConnection};

use super::Shared;
use super::checkpointer::Checkpointer;
use super::decode::{Table, table};
use super::error::{code, primary_code, store_error};
use super::journal;
use super::keys::{Keys, allocation_keys, event_keys, seqs_json};
use super::owner_index::OwnerIndexer;
use super::queries;
use super::remembered::{Known, Recent, Remembered};
use super::script::{self, Query, Ran};
use super::write::JsonTable;
use crate::domain::{
    AllocationId, Changes, EventId, JournalEntry, OwnerId, OwnerUnits, Reservation, ReservationId, Seq, Snapshot,
    Timestamp, Wanted,
};
use crate::storage::columns::{Columns, owner_units};
use crate::storage::write::{Rows, Writes};
use crate::storage::{LaneConnection, Loaded, Result, StoreError, json};

/// Most expired holds that are loaded for one event when a batch begins.
const EXPIRED_AT_BEGIN_MAX: usize = 256;

/// See [`LaneConnection`].
pub(super) struct Lane {
    shared: Arc<Shared>,
    /// Nothing after an error: the next transaction reconnects.
    connection: Option<SqliteConnection>,
    indexer: OwnerIndexer,
    checkpointer: Checkpointer,
    remembered: Remembered,
    /// What the present transaction loaded.
    loaded: Vec<Known>,
    /// What the present batch took from memory and the database has not confirmed: each event's `last_seq`. While this is not
    /// empty, no transaction has begun.
    unconfirmed: Vec<(EventId, Seq)>,
}

/// What was read of an event's row, beside the snapshot.
struct Located {
    greatest_id: Option<ReservationId>,
    owner_indexed: Seq,
}

impl Lane {
    pub(super) async fn open(shared: Arc<Shared>) -> Result<Self> {
        let mut connection = shared.connect_writer().await.map_err(store_error)?;
        let indexer = OwnerIndexer::resume(&mut connection).await?;
        let checkpointer = Checkpointer::start(Arc::clone(&shared)).await.map_err(store_error)?;
        Ok(Self {
            shared,
            checkpointer,
            connection: Some(connection),
            indexer,
            remembered: Remembered::default(),
            loaded: Vec::new(),
            unconfirmed: Vec::new(),
        })
    }

    fn connection(&mut self) -> Result<&mut SqliteConnection> {
        self.connection.as_mut().ok_or_else(no_transaction)
    }

    async fn connected(&mut self) -> Result<&mut SqliteConnection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.shared.connect_writer().await.map_err(store_error)?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Passes the result on; before an error it ends the transaction.
    async fn settle<T>(&mut self, result: Result<T>) -> Result<T> {
        let Err(error) = &result else { return result };
        self.remembered.forget();
        self.loaded.clear();
        self.unconfirmed.clear();
        let broken = matches!(error, StoreError::Retry(_) | StoreError::Unavailable(_));
        if let Some(mut connection) = self.connection.take() {
            // Where SQLite rolled back by itself, or the connection is gone, there is nothing left to undo.
            let undone = sqlx::query(queries::ROLLBACK).execute(&mut connection).await;
            if undone.is_ok() && !broken {
                self.connection = Some(connection);
            } else if let Err(error) = connection.close().await {
                tracing::debug!(%error, "closing the connection of a failed transaction");
            }
        }
        result
    }

    async fn run(&mut self, script: Query) -> Result<Vec<Ran>> {
        script::run(self.connection()?, script).await.map_err(|failed| store_error(failed.source))
    }

    async fn table(&mut self, query: Query) -> Result<Table> {
        table(&self.rows(query).await?)
    }

    async fn rows(&mut self, query: Query) -> Result<Vec<SqliteRow>> {
        query.fetch_all(self.connection()?).await.map_err(store_error)
    }

    async fn try_begin(&mut self, wanted: &[Wanted]) -> Result<Loaded> {
        self.connected().await?;
        self.loaded.clear();
        let now = (self.shared.clock)();
        if let Some(snapshots) = self.remembered.snapshots(wanted, now) {
            let events = snapshots.iter().filter_map(|snapshot| snapshot.event.as_ref());
            self.unconfirmed = events.map(|event| (event.id.clone(), event.last_seq)).collect();
            return Ok(Loaded { now, snapshots });
        }
        let script = sqlx::query(queries::BEGIN_AND_LOAD).bind(event_keys(wanted)).bind(allocation_keys(wanted));
        let ran = self.run(script).await?;
        let now = (self.shared.clock)();
        let mut snapshots: Vec<Snapshot> = wanted.iter().map(|wanted| Snapshot::empty(wanted.event.clone())).collect();
        let [_, events, allocations] = ran.as_slice() else {
            return Err(StoreError::Corrupt("a script ran in part".to_owned()));
        };
        let located = Self::take_events(&table(&events.rows)?, &mut snapshots)?;
        take_allocations(&table(&allocations.rows)?, &mut snapshots)?;
        for snapshot in &mut snapshots {
            snapshot.more_expired = snapshot.earliest_expiry.is_some_and(|expiry| expiry <= now);
        }
        self.loaded = known(&snapshots, &located);
        self.load_reservations(wanted, &located, &mut snapshots).await?;
        let expired = wanted.iter().zip(&mut snapshots).filter(|(wanted, _)| wanted.expired);
        self.load_expired_of(expired.map(|(_, snapshot)| snapshot).collect(), now, EXPIRED_AT_BEGIN_MAX).await?;
        self.load_missing_allocations(&mut snapshots.iter_mut().collect::<Vec<_>>()).await?;
        Ok(Loaded { now, snapshots })
    }

    fn take_events(rows: &[Vec<Value>], snapshots: &mut [Snapshot]) -> Result<HashMap<usize, Located>> {
        let mut located = HashMap::with_capacity(rows.len());
        for row in rows {
            let mut columns = Columns::of(row);
            let index = columns.index()?;
            let snapshot = at(snapshots, index)?;
            let event = columns.event()?;
            let owner_indexed = columns.int()?;
            snapshot.earliest_expiry = columns.opt_int()?.map(Timestamp::from_micros);
            snapshot.event = Some(event);
            let greatest_id = columns.opt_text()?.map(|text| {
                ReservationId::new(text).map_err(|error| StoreError::Corrupt(format!("reservation {text} {error}")))
            });
            located.insert(index, Located { greatest_id: greatest_id.transpose()?, owner_indexed });
        }
        Ok(located)
    }

    /// Looks up those wanted reservations that may exist: an id beyond the greatest one is new. So ids in the order of time,
    /// as version 7 UUIDs are, cost no look-up at all.
    async fn load_reservations(
        &mut self,
        wanted: &[Wanted],
        located: &HashMap<usize, Located>,
        snapshots: &mut [Snapshot],
    ) -> Result<()> {
        let mut keys = Keys::new();
        for (index, wanted) in wanted.iter().enumerate() {
            let Some(greatest) = located.get(&index).and_then(|located| located.greatest_id) else { continue };
            let ids: BTreeSet<_> = wanted.reservations.iter().filter(|id| **id <= greatest).collect();
            for id in ids {
                keys.push(index, wanted.event.as_str(), &id.to_string());
            }
        }
        if keys.is_empty() {
            return Ok(());
        }
        let rows = self.table(sqlx::query(queries::LOAD_RESERVATIONS).bind(keys.finish())).await?;
        for row in &rows {
            let mut columns = Columns::of(row);
            let snapshot = at(snapshots, columns.index()?)?;
            let reservation = columns.reservation()?;
            snapshot.reservations.insert(reservation.id, reservation);
        }
        Ok(())
    }

    /// Loads the next `limit` expired holds of each snapshot.
    async fn load_expired_of(&mut self, mut of: Vec<&mut Snapshot>, now: Timestamp, limit: usize) -> Result<()> {
        let mut keys = Keys::new();
        for (index, snapshot) in of.iter().enumerate().filter(|(_, snapshot)| snapshot.more_expired) {
            let last = snapshot.expired.last().and_then(|id| snapshot.reservations.get(id));
            let (after, after_id) =
                last.map_or((i64::MIN, String::new()), |last| (last.expires_at.as_micros(), last.id.to_string()));
            keys.push_expired(index, snapshot.event_id.as_str(), now, after, &after_id);
        }
        if keys.is_empty() {
            return Ok(());
        }
        // One more than wanted tells whether there are more.
        let fetch = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let rows = self.table(sqlx::query(queries::LOAD_EXPIRED).bind(keys.finish()).bind(fetch)).await?;
        let mut found: BTreeMap<usize, Vec<Reservation>> = BTreeMap::new();
        for row in &rows {
            let mut columns = Columns::of(row);
            found.entry(columns.index()?).or_default().push(columns.reservation()?);
        }
        for (index, snapshot) in of.iter_mut().enumerate().filter(|(_, snapshot)| snapshot.more_expired) {
            let mut holds = found.remove(&index).unwrap_or_default();
            holds.sort_unstable_by_key(|hold| (hold.expires_at, hold.id));
            snapshot.more_expired = holds.len() > limit;
            for hold in holds.into_iter().take(limit) {
                snapshot.expired.push(hold.id);
                snapshot.reservations.insert(hold.id, hold);
            }
        }
        Ok(())
    }

    /// Loads the allocations that the loaded reservations name and that are not there yet.
    async fn load_missing_allocations(&mut self, snapshots: &mut [&mut Snapshot]) -> Result<()> {
        let mut keys = Keys::new();
        for (index, snapshot) in snapshots.iter().enumerate() {
            let lines = snapshot.reservations.values().flat_map(|reservation| &reservation.lines);
            let named: BTreeSet<&AllocationId> = lines.map(|line| &line.allocation).collect();
            for id in named.into_iter().filter(|id| !snapshot.allocations.contains_key(*id)) {
                keys.push(index, snapshot.event_id.as_str(), id.as_str());
            }
        }
        if keys.is_empty() {
            return Ok(());
        }
        let rows = self.table(sqlx::query(queries::LOAD_ALLOCATIONS).bind(keys.finish())).await?;
        for row in &rows {
            let mut columns = Columns::of(row);
            let index = columns.index()?;
            let snapshot = snapshots.get_mut(index).ok_or_else(|| no_such_index(index))?;
            let allocation = columns.allocation()?;
            snapshot.allocations.insert(allocation.id.clone(), allocation);
        }
        Ok(())
    }

    async fn try_load_journal(&mut self, event: &EventId, from: Seq, limit: usize) -> Result<Vec<JournalEntry>> {
        self.confirm(queries::BEGIN_AT_SEQ).await?;
        journal::read(self.connection()?, event, from, limit).await
    }

    async fn try_load_usage(&mut self, event: &EventId, owner: &OwnerId) -> Result<OwnerUnits> {
        self.confirm(queries::BEGIN_AT_SEQ).await?;
        let query = sqlx::query(queries::LOAD_USAGE)
            .bind(event.as_str().to_owned())
            .bind(owner.as_str().to_owned())
            .bind(json::text(owner.as_str()));
        owner_units(&self.rows(query).await?)
    }

    async fn try_commit(&mut self, changes: &[Changes]) -> Result<()> {
        let Writes { edits, sales } = Writes::of(changes)?;
        if edits.iter().any(|rows| rows.count > 0) {
            self.confirm(queries::BEGIN_AT_SEQ).await?;
            self.write_edits(edits).await?;
        }
        if sales.iter().any(|rows| rows.count > 0) {
            // The guards of the writes say nothing of an event that does not change.
            if changes.iter().any(|change| change.event.is_none()) {
                self.confirm(queries::BEGIN_AT_SEQ).await?;
            }
            self.write_sales_and_commit(sales, changes).await?;
        } else {
            if self.unconfirmed.is_empty() {
                sqlx::query(queries::COMMIT).execute(self.connection()?).await.map_err(store_error)?;
            } else {
                self.confirm(queries::EVENTS_AT_SEQ).await?;
            }
            self.remembered.committed(std::mem::take(&mut self.loaded), changes);
        }
        self.unconfirmed.clear();
        self.checkpointer.written();
        for event in changes.iter().filter_map(|change| change.event.as_ref()) {
            let indexed = self.remembered.owner_indexed(&event.after.id);
            self.indexer.note(&event.after.id, indexed, event.after.last_seq);
        }
        Ok(())
    }

    async fn try_upkeep(&mut self) -> Result<bool> {
        self.connected().await?;
        let Some(connection) = self.connection.as_mut() else { return Ok(self.indexer.is_due()) };
        self.checkpointer.checkpoint_rest(connection).await.map_err(store_error)?;
        let more = self.indexer.slice(connection, &mut self.remembered).await;
        self.checkpointer.written();
        more
    }

    /// Has the database confirm what the batch took from memory, by `script`.
    async fn confirm(&mut self, script: &'static str) -> Result<()> {
        let events = std::mem::take(&mut self.unconfirmed);
        if events.is_empty() {
            return Ok(());
        }
        let ran = self.run(sqlx::query(script).bind(seqs_json(&events))).await?;
        let row = ran.last().and_then(|ran| ran.rows.first());
        let met = row.map_or(Ok(0), |row| row.try_get::<i64, _>(0)).map_err(store_error)?;
        match usize::try_from(met) == Ok(events.len()) {
            true => Ok(()),
            false => Err(StoreError::Retry("somebody else has changed an event".into())),
        }
    }

    /// Runs the statements of people's edits, each with its rows, and counts what they met.
    async fn write_edits(&mut self, mut statements: [Rows<JsonTable>; 4]) -> Result<()> {
        let script = statements
            .iter_mut()
            .fold(sqlx::query(queries::WRITE_EDITS), |script, rows| script.bind(std::mem::take(&mut rows.table.json)));
        let ran = script::run(self.connection()?, script).await;
        let ran = ran.map_err(|failed| refused(failed.source, statements.get(failed.ran.len())))?;
        for (index, rows) in statements.iter().enumerate() {
            let actual = ran.get(index).map_or(0, |ran| ran.changed);
            if actual != rows.count {
                return Err(StoreError::Guard { what: rows.what, expected: rows.count, actual });
            }
        }
        Ok(())
    }

    /// Runs the statements of a sale, each with its rows and followed by its guard, and commits. What they do is remembered meanwhile: it
    /// is forgotten where they fail ([`Self::settle`]).
    async fn write_sales_and_commit(
        &mut self,
        mut statements: [Rows<JsonTable>; 5],
        changes: &[Changes],
    ) -> Result<()> {
        // What was remembered is confirmed by the guards: an event is met only at its last_seq.
        let (sql, begins) = match self.unconfirmed.is_empty() {
            true => (queries::WRITE_SALES_WITHIN, 0),
            false => (queries::WRITE_SALES_AND_COMMIT, 1),
        };
        let script = statements.iter_mut().fold(sqlx::query(sql), |script, rows| {
            script.bind(std::mem::take(&mut rows.table.json)).bind(rows.count.cast_signed())
        });
        let Some(connection) = &mut self.connection else { return Err(no_transaction()) };
        let mut running = pin!(script::run(connection, script));
        // From here on the connection's thread is at it.
        let ran = futures::poll!(running.as_mut());
        self.remembered.committed(std::mem::take(&mut self.loaded), changes);
        let ran = match ran {
            Poll::Ready(ran) => ran,
            Poll::Pending => running.await,
        };
        ran.map(drop).map_err(|failed| {
            let done = failed.ran.get(begins..).unwrap_or_default();
            let rows = statements.get(done.len() / 2);
            match (rows, done.last()) {
                // It was the guard that failed: the statement before it met another number of rows.
                (Some(rows), Some(met)) if done.len() % 2 == 1 && met.changed != rows.count => {
                    StoreError::Guard { what: rows.what, expected: rows.count, actual: met.changed }
                }
                _ => refused(failed.source, rows),
            }
        })
    }
}

fn no_transaction() -> StoreError {
    StoreError::Retry("there is no open transaction".into())
}

/// A key that exists already, or a CHECK that fails, is a guard like any other: the statement then met no rows.
fn refused(error: sqlx::Error, rows: Option<&Rows<JsonTable>>) -> StoreError {
    match (primary_code(&error), rows) {
        (Some(code::CONSTRAINT), Some(rows)) => {
            tracing::error!(%error, "the database refused {}", rows.what);
            StoreError::Guard { what: rows.what, expected: rows.count, actual: 0 }
        }
        _ => store_error(error),
    }
}

#[async_trait]
impl LaneConnection for Lane {
    async fn begin(&mut self, wanted: &[Wanted]) -> Result<Loaded> {
        let loaded = self.try_begin(wanted).await;
        self.settle(loaded).await
    }

    async fn load_expired(&mut self, snapshot: &mut Snapshot, now: Timestamp, limit: usize) -> Result<()> {
        let mut loaded = self.confirm(queries::BEGIN_AT_SEQ).await;
        if loaded.is_ok() {
            loaded = self.load_expired_of(vec![&mut *snapshot], now, limit).await;
        }
        if loaded.is_ok() {
            loaded = self.load_missing_allocations(&mut [snapshot]).await;
        }
        self.settle(loaded).await
    }

    async fn load_journal(&mut self, event: &EventId, from: Seq, limit: usize) -> Result<Vec<JournalEntry>> {
        let loaded = self.try_load_journal(event, from, limit).await;
        self.settle(loaded).await
    }

    async fn load_usage(&mut self, event: &EventId, owner: &OwnerId) -> Result<OwnerUnits> {
        let loaded = self.try_load_usage(event, owner).await;
        self.settle(loaded).await
    }

    async fn commit(&mut self, changes: &[Changes]) -> Result<()> {
        let committed = self.try_commit(changes).await;
        self.settle(committed).await
    }

    async fn rollback(&mut self) -> Result<()> {
        self.loaded.clear();
        let began = std::mem::take(&mut self.unconfirmed).is_empty();
        let rolled_back = match self.connection() {
            Ok(_) if !began => Ok(()),
            Ok(connection) => sqlx::query(queries::ROLLBACK).execute(connection).await.map(drop).map_err(store_error),
            // The transaction ended with its connection.
            Err(_) => Ok(()),
        };
        self.settle(rolled_back).await
    }

    async fn upkeep(&mut self) -> Result<bool> {
        let more = self.try_upkeep().await;
        self.settle(more).await
    }
}

/// What the batch loaded, to be remembered once it is committed.
fn known(snapshots: &[Snapshot], located: &HashMap<usize, Located>) -> Vec<Known> {
    let known = snapshots.iter().enumerate().filter_map(|(index, snapshot)| {
        Some(Known {
            event: snapshot.event.clone()?,
            allocations: snapshot.allocations.clone(),
            recent: Recent::after(located.get(&index)?.greatest_id),
            owner_indexed: located.get(&index)?.owner_indexed,
            earliest_expiry: snapshot.earliest_expiry,
        })
    });
    known.collect()
}

fn take_allocations(rows: &[Vec<Value>], snapshots: &mut [Snapshot]) -> Result<()> {
    for row in rows {
        let mut columns = Columns::of(row);
        let snapshot = at(snapshots, columns.index()?)?;
        let allocation = columns.allocation()?;
        snapshot.allocations.insert(allocation.id.clone(), allocation);
    }
    Ok(())
}

fn at(snapshots: &mut [Snapshot], index: usize) -> Result<&mut Snapshot> {
    snapshots.get_mut(index).ok_or_else(|| no_such_index(index))
}

fn no_such_index(index: usize) -> StoreError {
    StoreError::Corrupt(format!("a row of a key that was not asked for: {index}"))
}
