//! What the ways on PostgreSQL share: the tables, and connections with prepared statements.

mod atomic_update;
mod for_update;
mod pool;
mod racy;
mod serializable;
mod skip_locked;
mod version_column;

use std::future::Future;
use std::marker::PhantomData;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use pool::{Pool, Session};

pub(in crate::compare) use atomic_update::AtomicUpdate;
pub(in crate::compare) use for_update::ForUpdate;
pub(in crate::compare) use racy::Racy;
pub(in crate::compare) use serializable::Serializable;
pub(in crate::compare) use skip_locked::SkipLocked;
pub(in crate::compare) use version_column::VersionColumn;

use crate::back_off::BackOff;
use crate::compare::way::{Client, Ledger, Sale, Told, Try, Way};
use crate::server::PrivateDatabase;

/// The database of these ways, beside that of Boxoffice.
const DATABASE: &str = "by_hand";

/// Takes a ticket of a row that is known to have one. Both writes in one statement: where the row is locked, it is so for one
/// round trip less.
const TAKE_ONE: &str = "WITH taken AS (UPDATE allocation SET sold = sold + 1 WHERE id = $1 RETURNING id) \
                        INSERT INTO purchase (allocation_id, buyer) SELECT id, $2 FROM taken";

/// How ways that find out in the end that somebody was faster try again; after so many times the buyer hears of the conflict, and
/// begins anew.
const RETRIES_MAX: u32 = 1_000;
const RETRY: BackOff = BackOff { first: Duration::from_millis(1), longest: Duration::from_millis(64) };

const TABLES: &str = include_str!("tables.sql");

/// Creates the database.
///
/// # Errors
/// Where PostgreSQL refuses.
pub(in crate::compare) async fn prepare(database: &PrivateDatabase) -> Result<()> {
    database.psql("postgres", &format!("CREATE DATABASE {DATABASE} TEMPLATE template0")).await.map(drop)
}

/// How one of these ways buys a ticket.
pub(in crate::compare) trait Recipe: Send + Sync + 'static {
    /// Fills the tables for sale `$1` of `$2` tickets.
    const OPEN: &str = "INSERT INTO allocation (id, capacity, sold, version) VALUES ($1, $2, 0, 0)";
    /// Units of sale `$1` that are gone, by the counter.
    const TAKEN: &str = "SELECT sold::bigint FROM allocation WHERE id = $1";
    /// The buyers of sale `$1` that are written down.
    const PURCHASES: &str = "SELECT buyer FROM purchase WHERE allocation_id = $1";

    /// Buys.
    fn buy(session: &mut Session, attempt: Try) -> impl Future<Output = sqlx::Result<Told>> + Send;
}

/// A way on PostgreSQL.
pub(in crate::compare) struct ByHand<R> {
    pool: Arc<Pool>,
    recipe: PhantomData<R>,
}

impl<R: Recipe> ByHand<R> {
    /// On fresh tables, over so many connections. Whatever other ways wrote is gone, and written to disk, so that all begin
    /// alike.
    pub(in crate::compare) async fn new(database: &PrivateDatabase, connections: u32) -> Result<Self> {
        database.psql(DATABASE, TABLES).await?;
        let options = PgConnectOptions::from_str(&database.url_of(DATABASE))?;
        // On the loopback interface there is no TLS to ask for.
        let options = options.ssl_mode(PgSslMode::Disable).disable_statement_logging();
        Ok(Self { pool: Arc::new(Pool::new(options, connections as usize)), recipe: PhantomData })
    }
}

impl<R: Recipe> Way for ByHand<R> {
    type Client = Buyer<R>;

    async fn open(&self, sale: Sale) -> Result<()> {
        let open = async |session: &mut Session| {
            let connection = &mut session.connection;
            sqlx::query(R::OPEN).bind(sale.number).bind(sale.capacity).execute(&mut *connection).await?;
            // As autovacuum would have done by the time that a sale begins: the planner knows what there is.
            sqlx::query("VACUUM ANALYZE allocation, purchase, ticket").execute(connection).await
        };
        self.pool.lend(open).await.map(drop)
    }

    async fn client(&self, _index: usize) -> Result<Buyer<R>> {
        Ok(Buyer { pool: Arc::clone(&self.pool), recipe: PhantomData })
    }

    async fn ledger(&self, sale: Sale) -> Result<Ledger> {
        let read = async |session: &mut Session| {
            let connection = &mut session.connection;
            let taken = sqlx::query_scalar(R::TAKEN).bind(sale.number).fetch_one(&mut *connection).await?;
            let purchases = sqlx::query_scalar(R::PURCHASES).bind(sale.number).fetch_all(connection).await?;
            Ok(Ledger { taken, purchases })
        };
        self.pool.lend(read).await
    }
}

/// A buyer who buys by a recipe.
pub(in crate::compare) struct Buyer<R> {
    pool: Arc<Pool>,
    recipe: PhantomData<R>,
}

impl<R: Recipe> Client for Buyer<R> {
    async fn buy(&mut self, attempt: Try) -> Result<Told> {
        self.pool.lend(async |session: &mut Session| R::buy(session, attempt).await).await
    }
}

/// Whether a transaction failed only because of another one, so that it may be tried again: a serialization failure or a
/// deadlock.
fn is_conflict(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "40001" || code == "40P01")
}
