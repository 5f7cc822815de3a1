//! Reads one unchanging state of one event, on a connection of its own.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgConnection;
use tokio::sync::OwnedSemaphorePermit;

use super::error::store_error;
use super::literal::Arg;
use super::queries::{self, Statement};
use super::script::{Mode, Ran, Script};
use super::{Shared, views};
use crate::domain::{EventId, EventView, JournalEntry, Reservation, ReservationId, Seq};
use crate::storage::columns::Columns;
use crate::storage::journal::Numbers;
use crate::storage::{AuditReader, Result, StoreError, sql_limit};

/// What makes every read of the transaction see the same state.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;";

/// Reservations that are counted in one statement. It must not take longer than any other, however large the event is, and none goes on
/// for long in the database whose caller is gone.
const COUNT_BITE: i64 = 20_000;

/// See [`AuditReader`]. Its connection is in a read transaction until it is dropped.
pub(super) struct PostgresAuditReader {
    shared: Arc<Shared>,
    connection: PgConnection,
    view: EventView,
    next_seq: Seq,
    after: Option<ReservationId>,
    _permit: OwnedSemaphorePermit,
}

impl PostgresAuditReader {
    /// Begins to read; `None`: there is no such event.
    pub(super) async fn begin(
        shared: Arc<Shared>,
        event: &EventId,
        permit: OwnedSemaphorePermit,
    ) -> Result<Option<Self>> {
        let mut connection = shared.connect().await?;
        let mut script = Script::new(Mode::Inline);
        script.text(BEGIN);
        shared.set(&mut script);
        script.inline(queries::AUDIT_EVENT, &[Arg::Text(event.as_str())]);
        let ran = shared.within_timeout(script.run(&mut connection)).await.map_err(store_error)?;
        let found = ran.map_err(|failed| store_error(failed.source))?.pop().unwrap_or_default();
        let view = views(&found.rows)?.pop();
        Ok(view.map(|view| Self { shared, connection, view, next_seq: 1, after: None, _permit: permit }))
    }

    async fn rows(&mut self, statement: Statement, rest: &[Arg<'_>]) -> Result<Ran> {
        let mut args = vec![Arg::Text(self.view.event.id.as_str())];
        args.extend(rest);
        let mut script = Script::new(Mode::Inline);
        script.inline(statement, &args);
        let ran = self.shared.within_timeout(script.run(&mut self.connection)).await.map_err(store_error)?;
        let ran = ran.map_err(|failed| store_error(failed.source))?.pop();
        ran.ok_or_else(|| StoreError::Corrupt(format!("{} came to nothing", statement.name)))
    }
}

#[async_trait]
impl AuditReader for PostgresAuditReader {
    async fn event(&mut self) -> Result<EventView> {
        Ok(self.view.clone())
    }

    async fn reservation_count(&mut self) -> Result<u64> {
        let (mut count, mut after) = (0, String::new());
        loop {
            let found = self.rows(queries::AUDIT_RESERVATION_COUNT, &[Arg::Text(&after), Arg::Int(COUNT_BITE)]).await?;
            let row = found.rows.first().ok_or_else(|| StoreError::Corrupt("a count tells nothing".to_owned()))?;
            let mut columns = Columns::of(row);
            let (bite, last) = (columns.int()?, columns.opt_text()?);
            count += u64::try_from(bite).map_err(|_| StoreError::Corrupt(format!("{bite} reservations")))?;
            match last {
                Some(last) if bite == COUNT_BITE => last.clone_into(&mut after),
                _ => return Ok(count),
            }
        }
    }

    async fn next_journal(&mut self, limit: usize) -> Result<Vec<JournalEntry>> {
        let numbers = Numbers::limited(self.next_seq, limit);
        let args = [Arg::Int(numbers.from), Arg::Int(numbers.last_of_chunk)];
        let entries = numbers.entries(&self.rows(queries::JOURNAL, &args).await?.rows)?;
        self.next_seq = entries.last().map_or(1, |entry| entry.seq + 1);
        Ok(entries)
    }

    async fn next_reservations(&mut self, limit: usize) -> Result<Vec<Reservation>> {
        let after = self.after.map(|id| id.to_string()).unwrap_or_default();
        let found = self.rows(queries::RESERVATIONS, &[Arg::Text(&after), Arg::Int(sql_limit(limit))]).await?;
        let found: Vec<_> = found.rows.iter().map(|row| Columns::of(row).reservation()).collect::<Result<_>>()?;
        self.after = found.last().map(|reservation| reservation.id);
        Ok(found)
    }
}
