//! The seam to the databases.
//!
//! [`Store`] opens lanes and answers reads; a [`LaneConnection`] runs one batch at a time as one short transaction:
//! `begin` (lock, load) -> the engine decides -> `commit` (guarded writes) or `rollback`. Both stores pass the same
//! conformance suite (`conformance`).

mod clock;
mod columns;
#[cfg(test)]
mod conformance;
mod journal;
mod json;
mod migrations;
pub mod postgres;
pub mod sqlite;
mod write;

use async_trait::async_trait;
use sqlx::postgres::PgDatabaseError;

pub use self::clock::{Clock, system_clock};
use crate::domain::{
    Changes, EventId, EventView, JournalEntry, OwnerId, OwnerUnits, Reservation, ReservationId, Seq, Snapshot,
    Timestamp, WaitingRoom, Wanted,
};

/// How the engine should run lanes on a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanePlan {
    /// How many lanes, each with its own [`LaneConnection`].
    pub lanes: usize,
    /// Of how many events one transaction may hold commands.
    pub events_per_batch_max: usize,
    /// Whether the calls of a lane's connection block the thread that makes them: then each lane wants a thread of its own.
    pub blocks: bool,
}

/// What went wrong with the database. (Refusals are not errors: see [`crate::domain::Refusal`].)
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The transaction failed and had no effect; the same batch may succeed if it is run again.
    #[error("the transaction was rolled back")]
    Retry(#[source] BoxError),
    /// The database cannot be reached or cannot write now (disk full, I/O error, locked). It had no effect, unless the
    /// failed statement was the commit: then the effect is unknown.
    #[error("the database is not available")]
    Unavailable(#[source] BoxError),
    /// A write did not meet exactly the rows that the decision was made from. Rolled back. It is a bug, or somebody
    /// wrote to the database by hand.
    #[error("a guard refused {what}: {expected} rows expected, {actual} met")]
    Guard {
        /// Which write.
        what: &'static str,
        /// Rows that the decision was made from.
        expected: u64,
        /// Rows that the statement met.
        actual: u64,
    },
    /// A row holds what Boxoffice cannot have written.
    #[error("the database holds an impossible value: {0}")]
    Corrupt(String),
}

/// Any error, as the source of another.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Result of storage.
pub type Result<T> = std::result::Result<T, StoreError>;

/// What a batch works on.
#[derive(Debug)]
pub struct Loaded {
    /// The time that decides on expiry, read after the locks were taken.
    pub now: Timestamp,
    /// One for each [`Wanted`], in order.
    pub snapshots: Vec<Snapshot>,
    /// Whether other servers have written to one of the events since the last batch of it.
    pub others_write: bool,
}

/// What a database holds in all, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Units of all allocations.
    pub capacity: i64,
    /// Units held, as stored: holds that have lapsed and are not tidied yet count.
    pub held: i64,
    /// Units sold.
    pub sold: i64,
    /// Changes of all events that the index of owners does not cover yet.
    pub owner_index_lag: i64,
}

/// A page of something, and where the next begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, K> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins: after this key. `None`: this was the last.
    pub next: Option<K>,
}

/// A database of events.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// How to run lanes on it.
    fn lane_plan(&self) -> LanePlan;

    /// Opens the connection of one lane.
    async fn open_lane(&self) -> Result<Box<dyn LaneConnection>>;

    /// The time that decides on expiry.
    async fn now(&self) -> Result<Timestamp>;

    /// An event with all its allocations, at one moment. Holds that have expired do not count as held.
    async fn event(&self, id: &EventId) -> Result<Option<EventView>>;

    /// Events after `after`, in order of ids, at most `limit`, with all their allocations.
    async fn events(&self, after: Option<&EventId>, limit: usize) -> Result<Page<EventView, EventId>>;

    /// The waiting rooms of the events that have one, in order of ids, at most `limit`.
    async fn waiting_rooms(&self, limit: usize) -> Result<Vec<(EventId, WaitingRoom)>>;

    /// The newest change's number of an event.
    async fn last_seq(&self, event: &EventId) -> Result<Option<Seq>>;

    /// One reservation, as stored (a hold that has expired may still say HELD).
    async fn reservation(&self, event: &EventId, id: &ReservationId) -> Result<Option<Reservation>>;

    /// Those of these reservations of one event that exist, in no order, as stored.
    async fn reservations_named(&self, event: &EventId, ids: &[ReservationId]) -> Result<Vec<Reservation>>;

    /// Reservations of one event after `after`, in order of ids, at most `limit`.
    async fn reservations(
        &self,
        event: &EventId,
        after: Option<&ReservationId>,
        limit: usize,
    ) -> Result<Page<Reservation, ReservationId>>;

    /// Reservations of one owner in one event whose first journal entry is after `after`, in that order, at most `limit`,
    /// each with the number of that entry.
    async fn reservations_of(
        &self,
        event: &EventId,
        owner: &OwnerId,
        after: Seq,
        limit: usize,
    ) -> Result<Page<(Seq, Reservation), Seq>>;

    /// Journal entries of one event from `from` on, in order, at most `limit`.
    async fn journal(&self, event: &EventId, from: Seq, limit: usize) -> Result<Vec<JournalEntry>>;

    /// Whether it answers: a look-up that costs next to nothing, and reaches the database.
    async fn check(&self) -> Result<()> {
        // An id that need not exist. It is always valid.
        let event = EventId::new("health").map_err(|error| StoreError::Corrupt(error.to_string()))?;
        self.last_seq(&event).await.map(|_| ())
    }

    /// What it holds in all. Reads all events. (A made-up store of a test holds nothing.)
    async fn totals(&self) -> Result<Totals> {
        Ok(Totals::default())
    }

    /// Events that have holds which expired at or before `now`, at most `limit`.
    async fn events_with_expired_holds(&self, now: Timestamp, limit: usize) -> Result<Vec<EventId>>;

    /// A reader that sees one unchanging state of one event, for audits. `None`: there is no such event.
    async fn audit_reader(&self, event: &EventId) -> Result<Option<Box<dyn AuditReader>>>;

    /// Closes all connections, after the lanes were dropped.
    async fn close(&self);
}

/// The connection of one lane. Calls come in the order `begin`, any number of `load_…`, then `commit` or `rollback`.
/// None of them may be cancelled: the lane awaits each to its end. After an error the transaction is rolled back, and the
/// next `begin` starts afresh, reconnecting if need be.
#[async_trait]
pub trait LaneConnection: Send {
    /// Begins a transaction, locks the events' rows, reads the clock, and loads what is wanted.
    async fn begin(&mut self, wanted: &[Wanted]) -> Result<Loaded>;

    /// Adds to `snapshot` up to `limit` expired holds, earliest first, beyond those it has, and the allocations of their
    /// lines; sets `more_expired`.
    async fn load_expired(&mut self, snapshot: &mut Snapshot, now: Timestamp, limit: usize) -> Result<()>;

    /// Journal entries from `from` on, in order, at most `limit`.
    async fn load_journal(&mut self, event: &EventId, from: Seq, limit: usize) -> Result<Vec<JournalEntry>>;

    /// What an owner has held or bought in truth, read from his reservations (stored state HELD or CONFIRMED).
    async fn load_usage(&mut self, event: &EventId, owner: &OwnerId) -> Result<OwnerUnits>;

    /// Writes the changes of each event (empty ones are skipped), each write guarded and its rows counted, and commits.
    /// Where nothing changes, nothing is written.
    async fn commit(&mut self, changes: &[Changes]) -> Result<()>;

    /// Ends the transaction without effect.
    async fn rollback(&mut self) -> Result<()>;

    /// One small bite (about a millisecond) of deferred upkeep, between transactions. Returns whether more is due.
    async fn upkeep(&mut self) -> Result<bool>;
}

/// A database that is read as a whole, without writing to it.
#[async_trait]
pub trait WholeStore: Store {
    /// The newest migration of its tables.
    async fn schema_version(&self) -> Result<i64>;

    /// The least id of an event after `after` that any table names, be it an event's or not: rows of an event that is gone
    /// are found as well.
    async fn next_event(&self, after: &str) -> Result<Option<String>>;

    /// What is wrong with the files themselves, as far as the database can tell. Empty: nothing.
    async fn damage(&self) -> Result<Vec<String>>;
}

/// One unchanging state of one event. Dropping it ends the reading.
#[async_trait]
pub trait AuditReader: Send {
    /// The event and its allocations, `held` as stored.
    async fn event(&mut self) -> Result<EventView>;

    /// How many reservations there are.
    async fn reservation_count(&mut self) -> Result<u64>;

    /// The next journal entries, at most `limit`, from the first on. Empty: the end; the next call starts again.
    async fn next_journal(&mut self, limit: usize) -> Result<Vec<JournalEntry>>;

    /// The next reservations in order of ids, at most `limit`. Empty: the end; the next call starts again.
    async fn next_reservations(&mut self, limit: usize) -> Result<Vec<Reservation>>;
}

/// The error that lies under sqlx's wrapper, whose message only repeats it. Of PostgreSQL's, what it says: sqlx also tells the
/// line of PostgreSQL's own source, which reads like one of a file of ours.
fn unwrapped(error: sqlx::Error) -> BoxError {
    if let sqlx::Error::Database(inner) = error {
        match inner.try_downcast::<PgDatabaseError>() {
            Ok(told) => told.message().into(),
            Err(inner) => inner.into_error(),
        }
    } else if let sqlx::Error::Io(inner) = error {
        Box::new(inner)
    } else {
        Box::new(error)
    }
}

/// A limit as SQL takes it.
fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// With one row more, which tells whether there are more.
fn limit_and_one(limit: usize) -> i64 {
    sql_limit(limit).saturating_add(1)
}

/// Cuts off the row that tells that there is a next page.
fn page<T, K>(mut items: Vec<T>, limit: usize, key: impl FnOnce(&T) -> K) -> Page<T, K> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(key);
    Page { items, next }
}
