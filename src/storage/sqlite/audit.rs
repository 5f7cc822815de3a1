//! Reads one unchanging state of one event, on a connection of its own.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use tokio::sync::OwnedSemaphorePermit;

use super::Query;
use super::error::store_error;
use super::journal;
use super::queries;
use crate::domain::{EventId, EventView, JournalEntry, Reservation, ReservationId, Seq, Timestamp};
use crate::storage::columns::{Columns, event_views};
use crate::storage::{AuditReader, Result, StoreError, sql_limit};

/// See [`AuditReader`]. Its connection is in a read transaction until it is dropped.
pub(super) struct SqliteAuditReader {
    connection: SqliteConnection,
    view: EventView,
    next_seq: Seq,
    after: Option<ReservationId>,
    _permit: OwnedSemaphorePermit,
}

impl SqliteAuditReader {
    /// Begins to read; `None`: there is no such event.
    pub(super) async fn begin(
        mut connection: SqliteConnection,
        event: &EventId,
        now: Timestamp,
        permit: OwnedSemaphorePermit,
    ) -> Result<Option<Self>> {
        sqlx::query("BEGIN").execute(&mut connection).await.map_err(store_error)?;
        let query = sqlx::query(queries::AUDIT_EVENT).bind(event.as_str().to_owned());
        let rows = query.fetch_all(&mut connection).await.map_err(store_error)?;
        let view = event_views(&rows, now)?.pop();
        Ok(view.map(|view| Self { connection, view, next_seq: 1, after: None, _permit: permit }))
    }

    fn event_id(&self) -> String {
        self.view.event.id.as_str().to_owned()
    }

    async fn rows(&mut self, query: Query) -> Result<Vec<SqliteRow>> {
        query.fetch_all(&mut self.connection).await.map_err(store_error)
    }
}

#[async_trait]
impl AuditReader for SqliteAuditReader {
    async fn event(&mut self) -> Result<EventView> {
        Ok(self.view.clone())
    }

    async fn reservation_count(&mut self) -> Result<u64> {
        let query = sqlx::query(queries::AUDIT_RESERVATION_COUNT).bind(self.event_id());
        let rows = self.rows(query).await?;
        let count = rows.first().map(|row| Columns::of(row).int()).transpose()?.unwrap_or(0);
        u64::try_from(count).map_err(|_| StoreError::Corrupt(format!("{count} reservations")))
    }

    async fn next_journal(&mut self, limit: usize) -> Result<Vec<JournalEntry>> {
        let entries = journal::read(&mut self.connection, &self.view.event.id, self.next_seq, limit).await?;
        self.next_seq = entries.last().map_or(1, |entry| entry.seq + 1);
        Ok(entries)
    }

    async fn next_reservations(&mut self, limit: usize) -> Result<Vec<Reservation>> {
        let after = self.after.map(|id| id.to_string()).unwrap_or_default();
        let query = sqlx::query(queries::RESERVATIONS).bind(self.event_id()).bind(after).bind(sql_limit(limit));
        let rows = self.rows(query).await?;
        let found: Vec<_> = rows.iter().map(|row| Columns::of(row).reservation()).collect::<Result<_>>()?;
        self.after = found.last().map(|reservation| reservation.id);
        Ok(found)
    }
}
