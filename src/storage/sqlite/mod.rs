//! The embedded store: one file, one connection that writes (the lane), and a few that read.
//!
//! Of several servers only one can have the file. The clock is the server's. A batch may span events, since they share
//! the one write lock and the one commit.

mod audit;
mod checkpointer;
mod decode;
mod error;
mod journal;
mod lane;
mod load;
mod open;
mod owner_index;
mod queries;
#[cfg(test)]
mod tests;
mod write;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool};
use tokio::sync::Semaphore;

use self::audit::SqliteAuditReader;
use self::error::store_error;
use self::lane::Lane;
pub use self::open::OpenError;
use self::writer::Writer;
use super::clock::{Clock, system_clock};
use super::columns::{Columns, event_views, waiting_rooms};
use super::{
    AuditReader, LaneConnection, LanePlan, Page, Result, Store, StoreError, Totals, WholeStore, json, limit_and_one,
    page, sql_limit,
};
use crate::domain::{
    EventId, EventView, JournalEntry, OwnerId, Reservation, ReservationId, Seq, Timestamp, WaitingRoom,
};

/// A statement with its parameters.
type Query = sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

/// Connections that read, audits aside.
const READERS_MAX: u32 = 4;
/// Audits at a time; each has a connection of its own.
const AUDITS_MAX: usize = 2;
/// How long a read waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long closing may take, the last copying of the write-ahead log included. What is not copied then stays in the log.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// See the module.
pub struct SqliteStore {
    shared: Arc<Shared>,
    readers: SqlitePool,
    audits: Arc<Semaphore>,
}

/// What the lane needs too.
struct Shared {
    files: open::Files,
    clock: Clock,
    /// Whether nothing may be written.
    read_only: bool,
    /// Most pages that the database may have, to try a full disk.
    #[cfg(test)]
    pages_max: std::sync::atomic::AtomicU32,
}

impl Shared {
    fn reader_options(&self) -> SqliteConnectOptions {
        open::reader_options(&self.files.database).read_only(self.read_only)
    }

    /// For what is written beside the lane.
    async fn connect_writer(&self) -> sqlx::Result<SqliteConnection> {
        open::writer_options(&self.files.database).connect().await
    }

    fn open_writer(&self) -> Result<Writer> {
        let writer = Writer::open(&self.files.database)?;
        #[cfg(test)]
        writer.limit_pages(self.pages_max.load(std::sync::atomic::Ordering::SeqCst));
        Ok(writer)
    }
}

impl SqliteStore {
    /// Opens the database in the directory `dir`, or makes one.
    ///
    /// # Errors
    /// Where it cannot be used; it is then left as it was.
    pub async fn open(dir: &Path) -> std::result::Result<Self, OpenError> {
        Self::open_with_clock(dir, system_clock()).await
    }

    /// As [`Self::open`], with another clock than the machine's.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with_clock(dir: &Path, clock: Clock) -> std::result::Result<Self, OpenError> {
        Ok(Self::over(open::open(dir).await?, clock, false))
    }

    /// Opens the database in `dir` to read all of it. It is locked as a server locks it, and not written to.
    ///
    /// # Errors
    /// Where there is none, where a server uses it, or where it cannot be read.
    pub async fn open_to_read(dir: &Path) -> std::result::Result<Self, OpenError> {
        Ok(Self::over(open::open_to_read(dir).await?, system_clock(), true))
    }

    fn over(files: open::Files, clock: Clock, read_only: bool) -> Self {
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            // A connection to a file does not die of old age: asking first would double the cost of a small read.
            .test_before_acquire(false)
            .connect_lazy_with(open::reader_options(&files.database).read_only(read_only));
        let shared = Shared {
            files,
            clock,
            read_only,
            #[cfg(test)]
            pages_max: std::sync::atomic::AtomicU32::new(u32::MAX - 1),
        };
        Self { shared: Arc::new(shared), readers, audits: Arc::new(Semaphore::new(AUDITS_MAX)) }
    }

    fn clock_now(&self) -> Timestamp {
        (self.shared.clock)()
    }

    async fn rows(&self, query: Query) -> Result<Vec<SqliteRow>> {
        query.fetch_all(&self.readers).await.map_err(store_error)
    }

    async fn row(&self, query: Query) -> Result<Option<SqliteRow>> {
        query.fetch_optional(&self.readers).await.map_err(store_error)
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn lane_plan(&self) -> LanePlan {
        LanePlan { lanes: 1, events_per_batch_max: usize::MAX, blocks: true }
    }

    async fn open_lane(&self) -> Result<Box<dyn LaneConnection>> {
        Ok(Box::new(Lane::open(Arc::clone(&self.shared)).await?))
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.clock_now())
    }

    async fn event(&self, id: &EventId) -> Result<Option<EventView>> {
        let now = self.clock_now();
        let query = sqlx::query(queries::EVENT).bind(id.as_str().to_owned()).bind(now.as_micros());
        Ok(event_views(&self.rows(query).await?, now)?.pop().map(EventView::drained))
    }

    async fn events(&self, after: Option<&EventId>, limit: usize) -> Result<Page<EventView, EventId>> {
        let now = self.clock_now();
        let after = after.map_or("", EventId::as_str).to_owned();
        let query = sqlx::query(queries::EVENTS).bind(after).bind(now.as_micros()).bind(limit_and_one(limit));
        let views = event_views(&self.rows(query).await?, now)?;
        let views = views.into_iter().map(EventView::drained).collect();
        Ok(page(views, limit, |view| view.event.id.clone()))
    }

    async fn waiting_rooms(&self, limit: usize) -> Result<Vec<(EventId, WaitingRoom)>> {
        waiting_rooms(&self.rows(sqlx::query(queries::WAITING_ROOMS).bind(sql_limit(limit))).await?)
    }

    async fn last_seq(&self, event: &EventId) -> Result<Option<Seq>> {
        let row = self.row(sqlx::query(queries::LAST_SEQ).bind(event.as_str().to_owned())).await?;
        row.map(|row| Columns::of(&row).int()).transpose()
    }

    /// SQLite may answer from its cache when the file is gone.
    async fn check(&self) -> Result<()> {
        let away = |error: std::io::Error| StoreError::Unavailable(Box::new(error));
        tokio::fs::metadata(&self.shared.files.database).await.map_err(away)?;
        self.row(sqlx::query(queries::LAST_SEQ).bind("health")).await.map(|_| ())
    }

    async fn totals(&self) -> Result<Totals> {
        let row = self.row(sqlx::query(queries::TOTALS)).await?;
        row.map(|row| Columns::of(&row).totals()).transpose().map(Option::unwrap_or_default)
    }

    async fn reservation(&self, event: &EventId, id: &ReservationId) -> Result<Option<Reservation>> {
        let query = sqlx::query(queries::RESERVATION).bind(event.as_str().to_owned()).bind(id.to_string());
        let row = self.row(query).await?;
        row.map(|row| Columns::of(&row).reservation()).transpose()
    }

    async fn reservations_named(&self, event: &EventId, ids: &[ReservationId]) -> Result<Vec<Reservation>> {
        let ids: serde_json::Value = ids.iter().map(ToString::to_string).collect();
        let query = sqlx::query(queries::RESERVATIONS_NAMED).bind(event.as_str().to_owned()).bind(ids.to_string());
        let rows = self.rows(query).await?;
        rows.iter().map(|row| Columns::of(row).reservation()).collect()
    }

    async fn reservations(
        &self,
        event: &EventId,
        after: Option<&ReservationId>,
        limit: usize,
    ) -> Result<Page<Reservation, ReservationId>> {
        let query = sqlx::query(queries::RESERVATIONS)
            .bind(event.as_str().to_owned())
            .bind(after.map(ToString::to_string).unwrap_or_default())
            .bind(limit_and_one(limit));
        let rows = self.rows(query).await?;
        let items: Vec<_> = rows.iter().map(|row| Columns::of(row).reservation()).collect::<Result<_>>()?;
        Ok(page(items, limit, |reservation| reservation.id))
    }

    async fn reservations_of(
        &self,
        event: &EventId,
        owner: &OwnerId,
        after: Seq,
        limit: usize,
    ) -> Result<Page<(Seq, Reservation), Seq>> {
        let query = sqlx::query(queries::RESERVATIONS_OF)
            .bind(event.as_str().to_owned())
            .bind(owner.as_str().to_owned())
            .bind(after)
            .bind(limit_and_one(limit))
            .bind(json::text(owner.as_str()));
        let rows = self.rows(query).await?;
        let item = |row: &SqliteRow| {
            let mut columns = Columns::of(row);
            Ok((columns.int()?, columns.reservation()?))
        };
        Ok(page(rows.iter().map(item).collect::<Result<_>>()?, limit, |(seq, _)| *seq))
    }

    async fn journal(&self, event: &EventId, from: Seq, limit: usize) -> Result<Vec<JournalEntry>> {
        journal::read(&self.readers, event, from, limit).await
    }

    async fn events_with_expired_holds(&self, now: Timestamp, limit: usize) -> Result<Vec<EventId>> {
        let query = sqlx::query(queries::EVENTS_WITH_EXPIRED_HOLDS).bind(now.as_micros()).bind(sql_limit(limit));
        self.rows(query).await?.iter().map(|row| Columns::of(row).event_id()).collect()
    }

    async fn audit_reader(&self, event: &EventId) -> Result<Option<Box<dyn AuditReader>>> {
        let permit = tokio::time::timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.audits).acquire_owned()).await;
        let permit = permit
            .map_err(|_| StoreError::Unavailable(format!("{AUDITS_MAX} audits run already").into()))?
            .map_err(|closed| StoreError::Unavailable(Box::new(closed)))?;
        let connection = self.shared.reader_options().connect().await.map_err(store_error)?;
        let reader = SqliteAuditReader::begin(connection, event, self.clock_now(), permit).await?;
        Ok(reader.map(|reader| Box::new(reader) as Box<dyn AuditReader>))
    }

    async fn close(&self) {
        let close = async {
            self.readers.close().await;
            if self.shared.read_only {
                return Ok(());
            }
            let mut connection = self.shared.connect_writer().await?;
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await?;
            connection.close().await
        };
        match tokio::time::timeout(CLOSE_TIMEOUT, close).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "closing the database; nothing is lost"),
            Err(_) => tracing::warn!("closing the database took too long and was left; nothing is lost"),
        }
        self.shared.files.unlock();
    }
}

/// Most faults of the file that are told.
const DAMAGE_MAX: u32 = 100;

#[async_trait]
impl WholeStore for SqliteStore {
    async fn schema_version(&self) -> Result<i64> {
        let row = self.row(sqlx::query("SELECT max(version) FROM _sqlx_migrations")).await?;
        row.map_or(Ok(0), |row| Columns::of(&row).int())
    }

    async fn next_event(&self, after: &str) -> Result<Option<String>> {
        let row = self.row(sqlx::query(queries::AUDIT_NEXT_EVENT).bind(after.to_owned())).await?;
        row.map_or(Ok(None), |row| Ok(Columns::of(&row).opt_text()?.map(str::to_owned)))
    }

    async fn damage(&self) -> Result<Vec<String>> {
        let check = sqlx::AssertSqlSafe(format!("PRAGMA integrity_check({DAMAGE_MAX})"));
        let rows = self.rows(sqlx::query(check)).await?;
        let mut told = Vec::new();
        for row in &rows {
            told.push(Columns::of(row).text()?.to_owned());
        }
        told.retain(|line| line != "ok");
        Ok(told)
    }
}
