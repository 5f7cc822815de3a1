//! Opens a database: finds the primary, brings the tables up to date, and refuses what it must not touch.

use std::sync::LazyLock;
use std::time::Duration;

use sqlx::migrate::{Migrate as _, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{PgConnection, Row as _};

use super::error::store_error;
use super::hosts::Hosts;
use crate::storage::migrations::{Script, migrator};
use crate::storage::{BoxError, StoreError, unwrapped};

const SCRIPTS: [Script; 3] = [
    (1, "inventory", include_str!("../../../migrations/postgres/0001_inventory.sql")),
    (2, "waiting room", include_str!("../../../migrations/postgres/0002_waiting_room.sql")),
    (3, "journal in chunks", include_str!("../../../migrations/postgres/0003_journal_in_chunks.sql")),
];
pub(super) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = migrator(&SCRIPTS);
    // A newer program's migrations may be there (`oldest_migration_required` tells whether this one can live with them).
    migrator.set_ignore_missing(true);
    migrator
});

/// By which an operator finds the connections of servers.
const APPLICATION_NAME: &str = "boxoffice";

/// How to use a database.
#[derive(Debug, Clone)]
pub struct PostgresConfig {
    /// `postgres://user:password@host1:port1,host2:port2/database?sslmode=…`
    pub url: String,
    /// Lanes, each with a connection of its own: how many events can be sold from at the same time.
    pub lanes: usize,
    /// Connections for reads.
    pub readers: u32,
    /// Whether a pooler in transaction mode (pgbouncer) stands in between: nothing is kept on a connection from one
    /// transaction to the next, and the tables must have been brought up to date before.
    pub pooler: bool,
    /// Commands of one event a batch, and statements that are planned with their values, as a database that is spread over servers
    /// by event (Citus) wants it.
    pub one_event_a_batch: bool,
    /// How long one round trip to the database may take, waiting for locks included.
    pub timeout: Duration,
}

impl PostgresConfig {
    /// The defaults, for the database that `url` names.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            lanes: 4,
            readers: 8,
            pooler: false,
            one_event_a_batch: false,
            timeout: Duration::from_secs(5),
        }
    }
}

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is none.
    #[error("the database's URL cannot be read: {0}")]
    Url(String),
    /// No server answers, or none takes writes.
    #[error("cannot connect to the database")]
    Unreachable(#[source] BoxError),
    /// Tables are there that another program made.
    #[error("the database holds another program's tables; give Boxoffice a database or a schema of its own")]
    Foreign,
    /// What buyers and operators write cannot all be stored.
    #[error(
        "the database's encoding is {0}; Boxoffice needs one that takes any text: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
    )]
    Encoding(String),
    /// A newer Boxoffice has changed the tables so that this one cannot live with them.
    #[error(
        "the database needs a newer version of Boxoffice (its tables require migration {required}, this one knows {known})"
    )]
    Newer {
        /// The oldest migration that a program must know.
        required: i64,
        /// The newest one that this program knows.
        known: i64,
    },
    /// The tables are not there or not up to date, and may not be changed through a pooler.
    #[error(
        "the database's tables are not up to date; run `boxoffice migrate` with the URL of the database itself, not of the pooler"
    )]
    NotMigrated,
    /// Bringing the tables up to date failed.
    #[error("cannot bring the database's tables up to date")]
    Migration(#[source] BoxError),
    /// Anything else.
    #[error("cannot open the database")]
    Other(#[source] BoxError),
}

/// The servers that the URL names, with the options that every connection has.
pub(super) fn hosts(config: &PostgresConfig) -> Result<Hosts, OpenError> {
    let hosts = Hosts::parse(&config.url).map_err(OpenError::Url)?.within(config.timeout);
    let hosts = hosts.with(|options: PgConnectOptions| options.application_name(APPLICATION_NAME));
    if config.pooler {
        // A pooler knows neither the settings nor the statements of a session; the name it passes on.
        return Ok(hosts.with(|options| options.extra_float_digits(None).statement_cache_capacity(0)));
    }
    let settings = settings(config);
    Ok(hosts.with(|options| options.options(settings.iter().map(|(key, value)| (*key, value.as_str())))))
}

/// Settings of a session. Boxoffice only ever looks up by key. PostgreSQL plans from statistics, which a young table does
/// not have: left alone, it reads small tables from end to end, and keeps the plan when they have grown.
///
/// A plan is made once, for any values. Citus can make none such for an `INSERT … SELECT`: it finds the machine by the event's name.
pub(super) fn settings(config: &PostgresConfig) -> Vec<(&'static str, String)> {
    let by_key = ["enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_bitmapscan", "jit"];
    let mut settings: Vec<_> = by_key.into_iter().map(|key| (key, "off".to_owned())).collect();
    let plans = if config.one_event_a_batch { "force_custom_plan" } else { "force_generic_plan" };
    settings.push(("plan_cache_mode", plans.to_owned()));
    // What is not there is written as NULL in an array, whatever the database has set that to mean.
    settings.push(("array_nulls", "on".to_owned()));
    // The server gives up a little before the client does, so that the client learns that nothing happened; and it does not
    // keep the event of a client that is gone.
    let millis = config.timeout.as_millis().max(100);
    settings.push(("statement_timeout", (millis * 9 / 10).to_string()));
    settings.push(("lock_timeout", (millis * 8 / 10).to_string()));
    settings.push(("idle_in_transaction_session_timeout", (millis * 2).to_string()));
    settings
}

/// Brings the tables up to date: what `boxoffice migrate` does, and every server that has the database to itself.
///
/// # Errors
/// Where the database cannot be used; it is then left as it was.
pub async fn migrate(url: &str) -> Result<(), OpenError> {
    let hosts = Hosts::parse(url).map_err(OpenError::Url)?;
    let mut connection = hosts.connect().await.map_err(unreachable)?;
    let failed = |error| OpenError::Migration(Box::new(error));
    // Whoever begins at the same time is let finish, so that his first table is not taken for another program's.
    connection.lock().await.map_err(failed)?;
    let state = state(&mut connection).await;
    connection.unlock().await.map_err(failed)?;
    match state? {
        State::UpToDate => return Ok(()),
        State::Behind => {}
        State::Begun => refuse_foreign(&mut connection).await?,
    }
    // `run` takes a connection in a way that makes this future impossible to send to another thread.
    MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(failed)
}

/// Refuses a database in which another program has recorded its migrations.
async fn refuse_foreign(connection: &mut PgConnection) -> Result<(), OpenError> {
    let other = |error| OpenError::Other(unwrapped(error));
    let recorded = sqlx::raw_sql("SELECT count(*) FROM _sqlx_migrations").fetch_one(connection).await.map_err(other)?;
    match recorded.try_get::<i64, _>(0).map_err(other)? {
        0 => Ok(()),
        _ => Err(OpenError::Foreign),
    }
}

/// Makes sure that the tables can be used.
pub(super) async fn prepare(config: &PostgresConfig, hosts: &Hosts) -> Result<(), OpenError> {
    let mut connection = hosts.connect().await.map_err(unreachable)?;
    match state(&mut connection).await? {
        State::UpToDate => Ok(()),
        State::Behind | State::Begun if config.pooler => Err(OpenError::NotMigrated),
        // On a connection without time-outs: a migration may take long.
        State::Behind | State::Begun => migrate(&config.url).await,
    }
}

/// Makes sure that the tables can be read, and changes nothing.
pub(super) async fn check(hosts: &Hosts) -> Result<(), OpenError> {
    let mut connection = hosts.connect().await.map_err(unreachable)?;
    match state(&mut connection).await? {
        State::UpToDate => Ok(()),
        State::Behind | State::Begun => Err(OpenError::NotMigrated),
    }
}

/// The newest migration of the tables.
pub(super) async fn newest_migration(connection: &mut PgConnection) -> crate::storage::Result<i64> {
    let newest = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success";
    let row = sqlx::raw_sql(newest).fetch_one(connection).await.map_err(store_error)?;
    row.try_get(0).map_err(store_error)
}

fn unreachable(error: StoreError) -> OpenError {
    match error {
        StoreError::Unavailable(source) => OpenError::Unreachable(source),
        error => OpenError::Other(Box::new(error)),
    }
}

enum State {
    UpToDate,
    Behind,
    /// There is a table of migrations and nothing else: somebody is about to make the tables, or another program's are here.
    Begun,
}

/// Looks at how far the tables are. Tables that are newer are fine, as long as they say so.
async fn state(connection: &mut PgConnection) -> Result<State, OpenError> {
    let other = |error| OpenError::Other(unwrapped(error));
    let present = "SELECT (to_regclass('_sqlx_migrations') IS NOT NULL)::int::text,
                          (to_regclass('boxoffice_schema') IS NOT NULL)::int::text,
                          (to_regclass('events') IS NOT NULL)::int::text,
                          current_setting('server_encoding')";
    let row = sqlx::raw_sql(present).fetch_one(&mut *connection).await.map_err(other)?;
    let has = |column: usize| row.try_get::<String, _>(column).map(|text| text == "1").map_err(other);
    let encoding: String = row.try_get(3).map_err(other)?;
    if encoding != "UTF8" {
        return Err(OpenError::Encoding(encoding));
    }
    match (has(0)?, has(1)?, has(2)?) {
        (true, true, _) => {}
        (false, false, false) => return Ok(State::Behind),
        (true, false, false) => return Ok(State::Begun),
        _ => return Err(OpenError::Foreign),
    }
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let versions = "SELECT (SELECT oldest_migration_required FROM boxoffice_schema),
                           coalesce((SELECT max(version) FROM _sqlx_migrations WHERE success), 0)";
    let row = sqlx::raw_sql(versions).fetch_one(connection).await.map_err(other)?;
    let (required, applied): (i64, i64) = (row.try_get(0).map_err(other)?, row.try_get(1).map_err(other)?);
    if required > known {
        return Err(OpenError::Newer { required, known });
    }
    Ok(if applied < known { State::Behind } else { State::UpToDate })
}
