//! A lane: one connection that runs batches. A batch costs two round trips: lock and load; write and commit.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, timeout};

use super::Shared;
use super::error::{guard_error, store_error};
use super::literal::{Arg, Array, Arrays, array};
use super::load::{self, AllLeft, Begun, take_allocations, take_reservations};
use super::queries::{self, Statement};
use super::script::{Failed, Ran, Script};
use crate::domain::{
    AllocationId, Changes, EventId, JournalEntry, OwnerId, OwnerUnits, Reservation, Seq, Snapshot, Timestamp, Wanted,
};
use crate::storage::columns::{Columns, owner_units};
use crate::storage::journal::Numbers;
use crate::storage::write::{Rows, Writes};
use crate::storage::{LaneConnection, Loaded, Result, StoreError, limit_and_one};

/// Most expired holds that are loaded for one event when a batch begins.
const EXPIRED_AT_BEGIN_MAX: usize = 256;

/// How long a connection may have been idle before it is asked, in a round trip of its own, whether it is there still: what stands on the
/// way to the database (a firewall, a load balancer) forgets a silent one, and tells nobody.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// The part of a round trip's time that this may take.
const PROBE_DIVISOR: u32 = 4;

/// See [`LaneConnection`].
pub(super) struct Lane {
    shared: Arc<Shared>,
    /// Nothing after an error that leaves it in doubt: the next transaction reconnects.
    connection: Option<PgConnection>,
    /// When it was last heard of.
    heard: Instant,
    /// The events of the last batch, as that left them.
    left: AllLeft,
}

impl Lane {
    pub(super) async fn open(shared: Arc<Shared>) -> Result<Self> {
        let connection = Some(shared.connect_lane().await?);
        Ok(Self { shared, connection, heard: Instant::now(), left: AllLeft::new() })
    }

    fn script(&self) -> Script {
        Script::new(self.shared.mode)
    }

    /// Runs a script within the transaction.
    async fn run(&mut self, script: Script) -> std::result::Result<Vec<Ran>, Failed> {
        let Some(mut connection) = self.connection.take() else {
            return Err(Failed { ran: 0, source: std::io::Error::from(std::io::ErrorKind::NotConnected).into() });
        };
        // An answer that comes too late is not read any more, so the connection is kept only where one came in time.
        let ran = self.shared.within_timeout(script.run(&mut connection)).await;
        let ran = ran.unwrap_or_else(|late| Err(Failed { ran: 0, source: late }));
        if ran.as_ref().err().is_none_or(|failed| failed.source.as_database_error().is_some()) {
            self.connection = Some(connection);
            self.heard = Instant::now();
        }
        ran
    }

    /// Whether a connection that was idle is there still.
    async fn probe(&mut self) -> Result<()> {
        let Some(mut connection) = self.connection.take() else { return Ok(()) };
        if self.heard.elapsed() >= TRUSTED_FOR {
            let patience = self.shared.config.timeout / PROBE_DIVISOR;
            match timeout(patience, connection.ping()).await {
                Ok(answered) => answered.map_err(|error| StoreError::Retry(error.into()))?,
                Err(_) => {
                    let what = format!("an idle connection did not answer within {patience:?}");
                    return Err(StoreError::Retry(what.into()));
                }
            }
        }
        self.connection = Some(connection);
        Ok(())
    }

    async fn run_plain(&mut self, script: Script) -> Result<Vec<Ran>> {
        self.run(script).await.map_err(|failed| store_error(failed.source))
    }

    async fn call(&mut self, statement: Statement, args: &[Arg<'_>]) -> Result<Ran> {
        let mut script = self.script();
        script.call(statement, args);
        let ran = self.run_plain(script).await?.pop();
        ran.ok_or_else(|| StoreError::Corrupt(format!("{} came to nothing", statement.name)))
    }

    /// Passes the result on; before an error it ends the transaction.
    async fn settle<T>(&mut self, result: Result<T>) -> Result<T> {
        let Err(error) = &result else { return result };
        if matches!(error, StoreError::Unavailable(_)) {
            // A server that was shut down, or became a standby: the next transaction looks for the primary.
            self.connection = None;
        }
        if self.connection.is_some() {
            let mut script = self.script();
            script.call(queries::ROLLBACK, &[]);
            if self.run(script).await.is_err() {
                self.connection = None;
            }
        }
        result
    }

    /// Begins. Where the connection turns out to be gone, nothing has happened, so the batch is to be run again, by a lane that has
    /// forgotten what it knew: a database that was failed over may have lost that. Where it has taken long to find out, callers have
    /// waited enough.
    async fn try_begin(&mut self, wanted: &[Wanted]) -> Result<Loaded> {
        self.probe().await?;
        let reused = self.connection.is_some();
        if !reused {
            self.connection = Some(self.shared.connect_lane().await?);
        }
        let begun = Instant::now();
        match self.try_load(wanted).await {
            Err(StoreError::Unavailable(error)) if reused && begun.elapsed() < self.shared.config.timeout / 2 => {
                self.connection = None;
                Err(StoreError::Retry(error))
            }
            loaded => loaded,
        }
    }

    async fn try_load(&mut self, wanted: &[Wanted]) -> Result<Loaded> {
        let left = std::mem::take(&mut self.left);
        let mut script = self.script();
        self.shared.begin(&mut script);
        load::ask(&mut script, wanted, &left);
        let ran = self.run_plain(script).await?.into_iter().skip(self.shared.begin_statements());
        let Begun { mut loaded, found, overlooked } = load::begun(ran, wanted, &left)?;
        self.left = found;
        for ((wanted, snapshot), overlooked) in wanted.iter().zip(&mut loaded.snapshots).zip(overlooked) {
            if !overlooked.is_empty() {
                let ids = load::ids(&overlooked);
                let args = [Arg::Text(wanted.event.as_str()), ids.as_arg()];
                take_reservations(&self.call(queries::LOAD_RESERVATIONS, &args).await?, snapshot)?;
            }
            if wanted.expired {
                self.load_expired_of(snapshot, loaded.now, EXPIRED_AT_BEGIN_MAX).await?;
            }
            self.load_missing_allocations(snapshot).await?;
        }
        Ok(loaded)
    }

    async fn load_expired_of(&mut self, snapshot: &mut Snapshot, now: Timestamp, limit: usize) -> Result<()> {
        if !snapshot.more_expired {
            return Ok(());
        }
        let last = snapshot.expired.last().and_then(|id| snapshot.reservations.get(id));
        let after = last.map_or(i64::MIN, |last| last.expires_at.as_micros());
        let after_id = last.map(|last| last.id).unwrap_or_else(|| uuid::Uuid::nil().into()).to_string();
        let event = snapshot.event_id.as_str().to_owned();
        let args = [
            Arg::Text(&event),
            Arg::Int(now.as_micros()),
            Arg::Int(after),
            Arg::Text(&after_id),
            Arg::Int(limit_and_one(limit)),
        ];
        let found = self.call(queries::LOAD_EXPIRED, &args).await?;
        snapshot.more_expired = found.rows.len() > limit;
        for row in found.rows.iter().take(limit) {
            let hold = Columns::of(row).reservation()?;
            snapshot.expired.push(hold.id);
            snapshot.reservations.insert(hold.id, hold);
        }
        Ok(())
    }

    /// Loads the allocations that the loaded reservations name and that are not there yet.
    async fn load_missing_allocations(&mut self, snapshot: &mut Snapshot) -> Result<()> {
        let lines = snapshot.reservations.values().flat_map(|reservation: &Reservation| &reservation.lines);
        let named: BTreeSet<&AllocationId> = lines.map(|line| &line.allocation).collect();
        let missing: Vec<_> = named.into_iter().filter(|id| !snapshot.allocations.contains_key(*id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing = array(missing.into_iter().map(AllocationId::as_str));
        let event = snapshot.event_id.as_str().to_owned();
        let found = self.call(queries::LOAD_ALLOCATIONS, &[Arg::Text(&event), missing.as_arg()]).await?;
        take_allocations(&found, snapshot)
    }

    async fn try_load_usage(&mut self, event: &EventId, owner: &OwnerId) -> Result<OwnerUnits> {
        let found = self.call(queries::LOAD_USAGE, &[Arg::Text(event.as_str()), Arg::Text(owner.as_str())]).await?;
        let lines: Result<_> = found.rows.iter().map(|row| Columns::of(row).lines_bought()).collect();
        lines.map(owner_units)
    }

    async fn try_commit(&mut self, changes: &[Changes]) -> Result<()> {
        let mut script = self.script();
        let mut expected = Vec::new();
        for change in changes {
            let writes = Writes::of(std::slice::from_ref(change))?;
            let Some(event) = &change.event else { continue };
            let event = event.after.id.as_str();
            let statements = queries::EDITS.into_iter().chain(queries::SALES);
            for (statement, rows) in statements.zip(writes.edits.iter().chain(&writes.sales)) {
                write(&mut script, &mut expected, statement, event, rows);
            }
        }
        script.call(queries::COMMIT, &[]);
        // Where the answer to this is lost, the effect is unknown.
        self.run(script).await.map_err(|failed| match expected.get(failed.ran) {
            Some((what, expected)) => guard_error(failed.source, what, *expected),
            None => store_error(failed.source),
        })?;
        self.shared.note_committed(changes);
        for change in changes {
            let Some(event) = &change.event else { continue };
            let Some(left) = self.left.get_mut(&event.after.id) else { continue };
            left.last_seq = event.after.last_seq;
            let written = change.reservations.iter().map(|reservation| reservation.after.id);
            left.greatest_id = left.greatest_id.map(|greatest| written.fold(greatest, Ord::max));
        }
        Ok(())
    }
}

/// Adds a statement, if it has rows, and how many rows it must meet.
fn write(
    script: &mut Script,
    expected: &mut Vec<(&'static str, u64)>,
    statement: Statement,
    event: &str,
    rows: &Rows<Arrays>,
) {
    if rows.count == 0 {
        return;
    }
    let columns = &rows.table.columns;
    let alike = statement.for_rows_alike().and_then(|(statement, alike_in)| {
        let common: Vec<_> = columns.iter().map(Array::common).collect();
        alike_in.iter().all(|at| common.get(*at).is_some_and(Option::is_some)).then_some((statement, common))
    });
    let (statement, common) = alike.unwrap_or_else(|| (statement, vec![None; columns.len()]));
    let mut args = vec![Arg::Text(event)];
    args.extend(
        columns.iter().zip(&common).map(|(column, common)| common.as_deref().map_or(column.as_arg(), Arg::Text)),
    );
    if statement.is_guarded() {
        args.push(Arg::Int(rows.count.cast_signed()));
    }
    script.call(statement, &args);
    expected.push((rows.what, rows.count));
}

#[async_trait]
impl LaneConnection for Lane {
    async fn begin(&mut self, wanted: &[Wanted]) -> Result<Loaded> {
        let loaded = self.try_begin(wanted).await;
        self.settle(loaded).await
    }

    async fn load_expired(&mut self, snapshot: &mut Snapshot, now: Timestamp, limit: usize) -> Result<()> {
        let mut loaded = self.load_expired_of(snapshot, now, limit).await;
        if loaded.is_ok() {
            loaded = self.load_missing_allocations(snapshot).await;
        }
        self.settle(loaded).await
    }

    async fn load_journal(&mut self, event: &EventId, from: Seq, limit: usize) -> Result<Vec<JournalEntry>> {
        let numbers = Numbers::limited(from, limit);
        let args = [Arg::Text(event.as_str()), Arg::Int(numbers.from), Arg::Int(numbers.last_of_chunk)];
        let loaded = self.call(queries::JOURNAL, &args).await.and_then(|found| numbers.entries(&found.rows));
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
        let mut script = self.script();
        script.call(queries::ROLLBACK, &[]);
        if self.connection.is_some() && self.run(script).await.is_err() {
            // The transaction ended with its connection.
            self.connection = None;
        }
        Ok(())
    }

    /// There is nothing to do between transactions: the owner index is filled beside the lanes.
    async fn upkeep(&mut self) -> Result<bool> {
        Ok(false)
    }
}
