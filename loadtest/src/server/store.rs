//! Where the servers under test keep the inventory.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::database::PrivateDatabase;

/// The store that the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreChoice {
    /// A fresh file.
    Sqlite,
    /// A fresh database of a PostgreSQL that is started for this run.
    PrivatePostgres,
    /// A database of the caller's.
    Postgres {
        /// Where it is.
        url: String,
    },
}

/// What the URL of a PostgreSQL database begins with.
const POSTGRES_SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

impl FromStr for StoreChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sqlite" => Ok(Self::Sqlite),
            "postgres" => Ok(Self::PrivatePostgres),
            url if POSTGRES_SCHEMES.iter().any(|scheme| url.starts_with(scheme)) => {
                Ok(Self::Postgres { url: url.to_owned() })
            }
            _ => Err("it is sqlite, postgres, or postgres://USER@HOST:PORT/DATABASE".to_owned()),
        }
    }
}

impl StoreChoice {
    /// The name in the report.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::PrivatePostgres | Self::Postgres { .. } => "postgres",
        }
    }
}

/// A store that is there.
pub(super) enum Store {
    /// Each server makes a file in its own directory.
    Sqlite,
    /// Ours, gone with this.
    Private(Box<PrivateDatabase>),
    /// The caller's.
    Named { url: String },
}

impl Store {
    /// Makes what was chosen. `commit_delay`: how long each commit of a private PostgreSQL waits for its standby.
    ///
    /// # Errors
    /// Where PostgreSQL is not installed or does not come up, or where only it could do what is asked.
    pub(super) async fn make(choice: &StoreChoice, servers: u32, commit_delay: Option<Duration>) -> Result<Self> {
        ensure!(
            servers == 1 || *choice != StoreChoice::Sqlite,
            "--servers {servers} needs --store postgres: a SQLite file belongs to one server"
        );
        ensure!(
            commit_delay.is_none() || *choice == StoreChoice::PrivatePostgres,
            "--commit-delay needs --store postgres: only a PostgreSQL of the load test's own can be made slow"
        );
        Ok(match choice {
            StoreChoice::Sqlite => Self::Sqlite,
            StoreChoice::PrivatePostgres => Self::Private(Box::new(PrivateDatabase::start(commit_delay).await?)),
            StoreChoice::Postgres { url } => Self::Named { url: url.clone() },
        })
    }

    /// The database that all servers share; `None` where each has a file.
    pub(super) fn database_url(&self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Private(database) => Some(database.url()),
            Self::Named { url } => Some(url.clone()),
        }
    }

    /// The PostgreSQL of this run, if it has one.
    pub(super) fn private(&self) -> Option<&PrivateDatabase> {
        match self {
            Self::Private(database) => Some(database),
            Self::Sqlite | Self::Named { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_chosen_by_name_or_by_url() {
        let chosen = |text: &str| StoreChoice::from_str(text);
        assert_eq!(chosen("sqlite"), Ok(StoreChoice::Sqlite));
        assert_eq!(chosen("postgres"), Ok(StoreChoice::PrivatePostgres));
        for url in ["postgres://u@h/d", "postgresql://u@h/d"] {
            let choice = chosen(url).unwrap();
            assert_eq!((choice.as_str(), choice), ("postgres", StoreChoice::Postgres { url: url.to_owned() }));
        }
        assert!(chosen("mysql://h").unwrap_err().contains("sqlite, postgres, or postgres://"));
    }

    #[tokio::test]
    async fn what_only_postgres_can_do_is_refused_elsewhere() {
        let url = StoreChoice::Postgres { url: "postgres://h/d".to_owned() };
        let refusal =
            async |choice, servers, delay| Store::make(choice, servers, delay).await.err().unwrap().to_string();
        assert!(refusal(&StoreChoice::Sqlite, 2, None).await.contains("--servers 2 needs --store postgres"));
        let delay = Some(Duration::from_millis(2));
        assert!(refusal(&url, 1, delay).await.contains("--commit-delay needs --store postgres"));
    }
}
