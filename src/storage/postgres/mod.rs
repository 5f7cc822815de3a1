//! PostgreSQL: several servers, one truth.
//!
//! The row of an event is the lock under which a batch runs. The clock is the database's, read after the lock was taken.
//! A lane remembers how its last batch left each event: its last seq, and its greatest reservation. By that it knows what to ask for
//! first, and whether others write. It decides nothing: other servers write too, so all that is decided on is read under the lock.

mod audit;
mod decode;
mod error;
mod hosts;
mod lane;
mod literal;
mod load;
mod open;
mod owner_index;
mod queries;
mod script;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use sqlx::PgConnection;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgPoolOptions, PgRow};
use tokio::sync::{RwLock, Semaphore, mpsc};

use self::audit::PostgresAuditReader;
use self::error::{leaves_server_in_doubt, store_error};
use self::hosts::Hosts;
use self::lane::Lane;
use self::literal::Arg;
pub use self::open::{OpenError, PostgresConfig, migrate};
use self::owner_index::{OWNER_RUN_ENTRIES, OwnerIndexer};
use self::queries::Statement;
use self::script::{Mode, Script};
use super::columns::{Columns, event_views, waiting_rooms};
use super::journal::Numbers;
use super::{
    AuditReader, LaneConnection, LanePlan, Page, Result, Store, StoreError, Totals, WholeStore, limit_and_one, page,
    sql_limit,
};
use crate::domain::{
    Changes, EventId, EventView, JournalEntry, OwnerId, Reservation, ReservationId, Seq, Timestamp, WaitingRoom,
};

/// Events in one batch: a transaction holds all their rows, so other servers wait for the slowest of them.
const EVENTS_PER_BATCH_MAX: usize = 16;
/// Audits at a time; each has a connection of its own.
const AUDITS_MAX: usize = 2;
/// Most events that wait for the owner indexer. One that finds no room is found again with its next run.
const INDEX_QUEUE_MAX: usize = 1_024;
/// How long closing may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// See the module.
pub struct PostgresStore {
    shared: Arc<Shared>,
    readers: RwLock<Readers>,
    audits: Arc<Semaphore>,
    indexer: OwnerIndexer,
}

/// Connections for reads.
#[derive(Clone)]
struct Readers {
    pool: PgPool,
    /// How often the primary was looked for.
    looked: u64,
    /// Whether it was found at last.
    found: bool,
}

/// What the lanes need too.
struct Shared {
    hosts: Hosts,
    config: PostgresConfig,
    mode: Mode,
    /// Behind a pooler, what every transaction must set for itself.
    settings: Option<String>,
    /// Events whose journal has grown by another run.
    to_index: mpsc::Sender<EventId>,
}

impl Shared {
    async fn connect(&self) -> Result<PgConnection> {
        self.hosts.connect().await
    }

    async fn connect_lane(&self) -> Result<PgConnection> {
        let mut connection = self.connect().await?;
        if self.mode == Mode::Prepared {
            let mut script = Script::new(self.mode);
            queries::OF_LANES.iter().for_each(|statement| script.prepare(*statement));
            let prepared = self.within_timeout(script.run(&mut connection)).await.map_err(store_error)?;
            prepared.map_err(|failed| store_error(failed.source))?;
        }
        Ok(connection)
    }

    /// Begins a transaction with the settings that it needs.
    fn begin(&self, script: &mut Script) {
        script.inline(queries::BEGIN, &[]);
        self.set(script);
    }

    /// Adds what the transaction must set for itself.
    fn set(&self, script: &mut Script) {
        if let Some(settings) = &self.settings {
            script.text(settings);
        }
    }

    /// How many statements [`Self::begin`] adds.
    fn begin_statements(&self) -> usize {
        1 + usize::from(self.settings.is_some())
    }

    /// A database that does not answer in time counts as one that is away.
    async fn within_timeout<T>(&self, work: impl Future<Output = T>) -> std::result::Result<T, sqlx::Error> {
        tokio::time::timeout(self.config.timeout, work).await.map_err(|_| {
            let message = format!("the database did not answer within {:?}", self.config.timeout);
            sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, message))
        })
    }

    fn note_committed(&self, changes: &[Changes]) {
        for event in changes.iter().filter_map(|change| change.event.as_ref()) {
            let runs = |seq: Seq| seq / OWNER_RUN_ENTRIES;
            if event.before.as_ref().is_some_and(|before| runs(before.last_seq) < runs(event.after.last_seq)) {
                let _ = self.to_index.try_send(event.after.id.clone());
            }
        }
    }
}

/// The settings of a session as the one statement that sets them for a transaction.
fn settings_of_transaction(config: &PostgresConfig) -> Option<String> {
    let calls: Vec<_> = open::settings(config)
        .into_iter()
        .map(|(key, value)| format!("set_config('{key}', '{value}', true)"))
        .collect();
    config.pooler.then(|| format!("SELECT {};", calls.join(", ")))
}

impl PostgresStore {
    /// Opens the database, and brings its tables up to date.
    ///
    /// # Errors
    /// Where it cannot be used; it is then left as it was.
    pub async fn open(config: PostgresConfig) -> std::result::Result<Self, OpenError> {
        let hosts = open::hosts(&config)?;
        open::prepare(&config, &hosts).await?;
        let (to_index, queue) = mpsc::channel(INDEX_QUEUE_MAX);
        Ok(Self::over(config, hosts, to_index, |shared| OwnerIndexer::start(shared, queue)))
    }

    /// Opens the database to read all of it, beside servers or without. Nothing is written to it.
    ///
    /// # Errors
    /// Where it cannot be used, or its tables are not up to date.
    pub async fn open_to_read(config: PostgresConfig) -> std::result::Result<Self, OpenError> {
        let hosts = open::hosts(&config)?;
        open::check(&hosts).await?;
        // Nobody reads the queue, and nothing that is only read puts anything into it.
        let (to_index, _) = mpsc::channel(1);
        Ok(Self::over(config, hosts, to_index, |_| OwnerIndexer::idle()))
    }

    fn over(
        config: PostgresConfig,
        hosts: Hosts,
        to_index: mpsc::Sender<EventId>,
        indexer: impl FnOnce(Arc<Shared>) -> OwnerIndexer,
    ) -> Self {
        let mode = if config.pooler { Mode::Inline } else { Mode::Prepared };
        let settings = settings_of_transaction(&config);
        let readers = RwLock::new(Readers { pool: pool(&config, &hosts), looked: 0, found: true });
        let shared = Arc::new(Shared { hosts, config, mode, settings, to_index });
        let indexer = indexer(Arc::clone(&shared));
        Self { shared, readers, audits: Arc::new(Semaphore::new(AUDITS_MAX)), indexer }
    }

    /// Whether the tables are spread over machines by event.
    fn is_spread(&self) -> bool {
        self.shared.config.one_event_a_batch
    }

    /// Reads; a second time, and on a new pool, where the first try leaves it open whether its server is the primary still.
    async fn rows(&self, statement: Statement, args: &[Arg<'_>]) -> Result<Vec<PgRow>> {
        let Readers { pool, looked, .. } = self.readers.read().await.clone();
        let first = match self.try_rows(&pool, statement, args).await {
            Err(error) if leaves_server_in_doubt(&error) => error,
            read => return read.map_err(store_error),
        };
        match self.look_for_primary(looked).await {
            Some(pool) => self.try_rows(&pool, statement, args).await.map_err(store_error),
            None => Err(store_error(first)),
        }
    }

    /// A pool of connections to the primary, if it is found. Of all reads that fail at a time one looks for it: a crowd would
    /// take the connections that a database in trouble has left.
    async fn look_for_primary(&self, looked_before: u64) -> Option<PgPool> {
        let mut readers = self.readers.write().await;
        if readers.looked == looked_before {
            // Noted together: whoever looks may go away meanwhile, and then nobody has looked.
            let found = self.shared.connect().await.is_ok();
            (readers.looked, readers.found) = (looked_before + 1, found);
            if readers.found {
                let new = pool(&self.shared.config, &self.shared.hosts);
                let old = std::mem::replace(&mut readers.pool, new);
                tokio::spawn(async move { tokio::time::timeout(CLOSE_TIMEOUT, old.close()).await });
            }
        }
        readers.found.then(|| readers.pool.clone())
    }

    async fn try_rows(
        &self,
        pool: &PgPool,
        statement: Statement,
        args: &[Arg<'_>],
    ) -> std::result::Result<Vec<PgRow>, sqlx::Error> {
        let read = async {
            let mut connection = pool.acquire().await?;
            match self.shared.mode {
                Mode::Prepared => query(statement, args).fetch_all(&mut *connection).await,
                Mode::Inline => self.rows_of_transaction(&mut connection, statement, args).await,
            }
        };
        self.shared.within_timeout(read).await.and_then(|rows| rows)
    }

    /// Behind a pooler a read is a transaction, in one round trip. PostgreSQL begins it by itself for the statements of one query, and ends
    /// it whatever comes of them; one that was begun by name would stay on the connection, for the next who gets it, after an error.
    async fn rows_of_transaction(
        &self,
        connection: &mut PoolConnection<sqlx::Postgres>,
        statement: Statement,
        args: &[Arg<'_>],
    ) -> std::result::Result<Vec<PgRow>, sqlx::Error> {
        let mut script = Script::new(self.shared.mode);
        self.shared.set(&mut script);
        script.inline(statement, args);
        let ran = script.run(connection).await.map_err(|failed| failed.source)?;
        Ok(ran.into_iter().last().unwrap_or_default().rows)
    }
}

fn pool(config: &PostgresConfig, hosts: &Hosts) -> PgPool {
    PgPoolOptions::new()
        .max_connections(config.readers)
        .acquire_timeout(config.timeout)
        // A read whose connection is gone is run again; to ask first would cost each a round trip.
        .test_before_acquire(false)
        // A primary that comes back as a standby would answer, but with what was.
        .after_connect(|connection, _| Box::pin(hosts::refuse_standby(connection)))
        .connect_lazy_with(hosts.primary().clone())
}

fn query(
    statement: Statement,
    args: &[Arg<'_>],
) -> sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments> {
    args.iter().fold(sqlx::query(statement.body()), |query, arg| match *arg {
        Arg::Int(value) => query.bind(value),
        Arg::Text(text) => query.bind(text.to_owned()),
    })
}

/// A view was read at the time that its rows tell in their last column.
fn views(rows: &[PgRow]) -> Result<Vec<EventView>> {
    use super::columns::Cells as _;
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    let now = row.opt_int(VIEW_TIME_AT)?.ok_or_else(|| StoreError::Corrupt("the clock tells no time".to_owned()))?;
    event_views(rows, Timestamp::from_micros(now))
}

/// Where the views' rows tell the time.
const VIEW_TIME_AT: usize = 26;

#[async_trait]
impl Store for PostgresStore {
    fn lane_plan(&self) -> LanePlan {
        LanePlan {
            lanes: self.shared.config.lanes.max(1),
            events_per_batch_max: if self.is_spread() { 1 } else { EVENTS_PER_BATCH_MAX },
            blocks: false,
        }
    }

    async fn open_lane(&self) -> Result<Box<dyn LaneConnection>> {
        Ok(Box::new(Lane::open(Arc::clone(&self.shared)).await?))
    }

    async fn now(&self) -> Result<Timestamp> {
        let rows = self.rows(queries::NOW, &[]).await?;
        let row = rows.first().ok_or_else(|| StoreError::Corrupt("the clock tells no time".to_owned()))?;
        Ok(Timestamp::from_micros(Columns::of(row).int()?))
    }

    async fn event(&self, id: &EventId) -> Result<Option<EventView>> {
        Ok(views(&self.rows(queries::EVENT, &[Arg::Text(id.as_str())]).await?)?.pop().map(EventView::drained))
    }

    async fn events(&self, after: Option<&EventId>, limit: usize) -> Result<Page<EventView, EventId>> {
        let args = [Arg::Text(after.map_or("", EventId::as_str)), Arg::Int(limit_and_one(limit))];
        if self.is_spread() {
            let rows = self.rows(queries::EVENT_IDS, &args).await?;
            let ids: Vec<_> = rows.iter().map(|row| Columns::of(row).event_id()).collect::<Result<_>>()?;
            let Page { items: ids, next } = page(ids, limit, EventId::clone);
            // As many at a time as there are connections for reads.
            let views = try_join_all(ids.iter().map(|id| self.event(id))).await?;
            return Ok(Page { items: views.into_iter().flatten().collect(), next });
        }
        let views = views(&self.rows(queries::EVENTS, &args).await?)?;
        let views = views.into_iter().map(EventView::drained).collect();
        Ok(page(views, limit, |view| view.event.id.clone()))
    }

    async fn waiting_rooms(&self, limit: usize) -> Result<Vec<(EventId, WaitingRoom)>> {
        let rows = self.rows(queries::WAITING_ROOMS, &[Arg::Int(sql_limit(limit))]).await?;
        waiting_rooms(&rows)
    }

    async fn last_seq(&self, event: &EventId) -> Result<Option<Seq>> {
        let rows = self.rows(queries::LAST_SEQ, &[Arg::Text(event.as_str())]).await?;
        rows.first().map(|row| Columns::of(row).int()).transpose()
    }

    async fn totals(&self) -> Result<Totals> {
        let rows = self.rows(queries::TOTALS, &[]).await?;
        rows.first().map(|row| Columns::of(row).totals()).transpose().map(Option::unwrap_or_default)
    }

    async fn reservation(&self, event: &EventId, id: &ReservationId) -> Result<Option<Reservation>> {
        let args = [Arg::Text(event.as_str()), Arg::Text(&id.to_string())];
        let rows = self.rows(queries::RESERVATION, &args).await?;
        rows.first().map(|row| Columns::of(row).reservation()).transpose()
    }

    async fn reservations_named(&self, event: &EventId, ids: &[ReservationId]) -> Result<Vec<Reservation>> {
        let ids = load::ids(ids);
        let args = [Arg::Text(event.as_str()), ids.as_arg()];
        let rows = self.rows(queries::RESERVATIONS_NAMED, &args).await?;
        rows.iter().map(|row| Columns::of(row).reservation()).collect()
    }

    async fn reservations(
        &self,
        event: &EventId,
        after: Option<&ReservationId>,
        limit: usize,
    ) -> Result<Page<Reservation, ReservationId>> {
        let after = after.map(ToString::to_string).unwrap_or_default();
        let args = [Arg::Text(event.as_str()), Arg::Text(&after), Arg::Int(limit_and_one(limit))];
        let rows = self.rows(queries::RESERVATIONS, &args).await?;
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
        let (event, owner) = (Arg::Text(event.as_str()), Arg::Text(owner.as_str()));
        let args = [event, owner, Arg::Int(after), Arg::Int(limit_and_one(limit))];
        let rows = self.rows(queries::RESERVATIONS_OF, &args).await?;
        let item = |row: &PgRow| {
            let mut columns = Columns::of(row);
            Ok((columns.int()?, columns.reservation()?))
        };
        Ok(page(rows.iter().map(item).collect::<Result<_>>()?, limit, |(seq, _)| *seq))
    }

    async fn journal(&self, event: &EventId, from: Seq, limit: usize) -> Result<Vec<JournalEntry>> {
        let numbers = Numbers::limited(from, limit);
        let args = [Arg::Text(event.as_str()), Arg::Int(numbers.from), Arg::Int(numbers.last_of_chunk)];
        numbers.entries(&self.rows(queries::JOURNAL, &args).await?)
    }

    async fn events_with_expired_holds(&self, now: Timestamp, limit: usize) -> Result<Vec<EventId>> {
        let args = [Arg::Int(now.as_micros()), Arg::Int(sql_limit(limit))];
        let statement = match self.is_spread() {
            true => queries::EVENTS_WITH_EXPIRED_HOLDS_SPREAD,
            false => queries::EVENTS_WITH_EXPIRED_HOLDS,
        };
        let rows = self.rows(statement, &args).await?;
        rows.iter().map(|row| Columns::of(row).event_id()).collect()
    }

    async fn audit_reader(&self, event: &EventId) -> Result<Option<Box<dyn AuditReader>>> {
        let permit = tokio::time::timeout(self.shared.config.timeout, Arc::clone(&self.audits).acquire_owned()).await;
        let permit = permit
            .map_err(|_| StoreError::Unavailable(format!("{AUDITS_MAX} audits run already").into()))?
            .map_err(|closed| StoreError::Unavailable(Box::new(closed)))?;
        let reader = PostgresAuditReader::begin(Arc::clone(&self.shared), event, permit).await?;
        Ok(reader.map(|reader| Box::new(reader) as Box<dyn AuditReader>))
    }

    async fn close(&self) {
        self.indexer.stop().await;
        let pool = self.readers.read().await.pool.clone();
        if tokio::time::timeout(CLOSE_TIMEOUT, pool.close()).await.is_err() {
            tracing::warn!("closing the connections to the database took too long and was left; nothing is lost");
        }
    }
}

#[async_trait]
impl WholeStore for PostgresStore {
    async fn schema_version(&self) -> Result<i64> {
        open::newest_migration(&mut self.shared.connect().await?).await
    }

    async fn next_event(&self, after: &str) -> Result<Option<String>> {
        let rows = self.rows(queries::AUDIT_NEXT_EVENT, &[Arg::Text(after)]).await?;
        rows.first().map_or(Ok(None), |row| Ok(Columns::of(row).opt_text()?.map(str::to_owned)))
    }

    /// The database looks after its files itself.
    async fn damage(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
