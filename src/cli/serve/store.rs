//! Where a server keeps the inventory.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use boxoffice::causes::in_one_line;
use boxoffice::storage::Store;
use boxoffice::storage::postgres::{PostgresConfig, PostgresStore};
use boxoffice::storage::sqlite::SqliteStore;

use crate::cli::failure::Failure;
use crate::cli::values;

/// Options of the store. Those of PostgreSQL want its URL: a server that was meant for a database must not sell from a file of its own
/// because the URL was forgotten.
#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Where the embedded database is
    #[arg(long, value_name = "DIR", default_value = "./data", conflicts_with = "database_url")]
    data: PathBuf,
    /// Use a PostgreSQL database instead, which several servers may share: postgres://user:password@host:port/name, or several
    /// host:port with commas between, of which the one that takes writes is used
    #[arg(long, value_name = "URL", env = "BOXOFFICE_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// PostgreSQL: lanes, each with a connection of its own; from so many events this server can sell at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    #[arg(requires = "database_url", conflicts_with = "data")]
    database_lanes: u16,
    /// PostgreSQL: most connections for reads
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    #[arg(requires = "database_url", conflicts_with = "data")]
    database_readers: u16,
    /// PostgreSQL: how long it may take to answer, waiting for locks included
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = timeout)]
    #[arg(requires = "database_url", conflicts_with = "data")]
    database_timeout: Duration,
    /// PostgreSQL: a pooler in transaction mode (pgbouncer) stands in between; run `boxoffice migrate` on the database itself
    /// first
    #[arg(long)]
    #[arg(requires_if("true", "database_url"), conflicts_with = "data")]
    database_pooler: bool,
    /// PostgreSQL: never write to two events in one transaction, as a database that is spread over machines by event (Citus)
    /// wants it
    #[arg(long)]
    #[arg(requires_if("true", "database_url"), conflicts_with = "data")]
    database_one_event_a_batch: bool,
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = values::span(text)?;
    if (Duration::from_millis(500)..=Duration::from_secs(300)).contains(&timeout) {
        Ok(timeout)
    } else {
        Err("must be 500ms to 5m".to_owned())
    }
}

impl Args {
    /// Where the inventory is, in a few words without a password.
    pub(super) fn place(&self) -> String {
        match &self.database_url {
            Some(_) => "PostgreSQL".to_owned(),
            None => format!("the data directory {}", self.data.display()),
        }
    }

    /// Whether it is a file of this server alone.
    pub(super) const fn is_own(&self) -> bool {
        self.database_url.is_none()
    }

    /// Opens the store.
    pub(super) async fn open(&self) -> Result<Arc<dyn Store>, Failure> {
        match &self.database_url {
            Some(url) => self.open_postgres(url).await,
            None => self.open_sqlite().await,
        }
    }

    async fn open_sqlite(&self) -> Result<Arc<dyn Store>, Failure> {
        let cannot = |error: &dyn Error| {
            Failure::Failed(format!("cannot use the data directory {}: {}", self.data.display(), in_one_line(error)))
        };
        std::fs::create_dir_all(&self.data).map_err(|error| cannot(&error))?;
        let store = SqliteStore::open(&self.data).await.map_err(|error| cannot(&error))?;
        Ok(Arc::new(store))
    }

    async fn open_postgres(&self, url: &str) -> Result<Arc<dyn Store>, Failure> {
        let config = PostgresConfig {
            lanes: usize::from(self.database_lanes),
            readers: u32::from(self.database_readers),
            timeout: self.database_timeout,
            pooler: self.database_pooler,
            one_event_a_batch: self.database_one_event_a_batch,
            ..PostgresConfig::new(url)
        };
        let store = PostgresStore::open(config).await.map_err(|error| Failure::of_database(&error))?;
        Ok(Arc::new(store))
    }
}
