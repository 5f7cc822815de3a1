//! Where the database is: one server or several, of which one is the primary.

use std::str::FromStr as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::time::Instant;

use crate::storage::{BoxError, StoreError, unwrapped};

/// Longest that connecting to one server may take.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(2);

/// How long nobody tries again after nobody was found. Each attempt costs the database a process, and a server in a rush would
/// make thousands in a second.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// The servers that a URL names, and which of them was the primary last.
#[derive(Debug)]
pub(super) struct Hosts {
    options: Vec<PgConnectOptions>,
    primary: AtomicUsize,
    /// How long connecting to one of them may take.
    connect_timeout: Duration,
    /// When there was none last, unless one was found since.
    failed_at: Mutex<Option<Instant>>,
}

impl Hosts {
    /// Reads `postgres://user:password@host1:port1,host2:port2/database?…`, as libpq does.
    ///
    /// # Errors
    /// Says what is wrong with it, without the password.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("it has no ://")?;
        if !matches!(scheme, "postgres" | "postgresql") {
            return Err(format!("it begins with {scheme}:// and not with postgres://"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
        let at = if user.is_empty() { "" } else { "@" };
        // What stands in the host's place is not repeated: it may be the password, where the host was forgotten.
        let options = hosts.split(',').zip(1..).map(|(host, number)| {
            let options = PgConnectOptions::from_str(&format!("{scheme}://{user}{at}{host}{path}"));
            options.map(PgConnectOptions::disable_statement_logging).map_err(|error| format!("host {number}: {error}"))
        });
        let options = options.collect::<Result<_, _>>()?;
        Ok(Self {
            options,
            primary: AtomicUsize::new(0),
            connect_timeout: CONNECT_TIMEOUT_MAX,
            failed_at: Mutex::default(),
        })
    }

    /// Waits no longer than this for a connection to one of them, nor than [`CONNECT_TIMEOUT_MAX`].
    pub(super) fn within(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout.min(CONNECT_TIMEOUT_MAX);
        self
    }

    /// Changes the options of each.
    pub(super) fn with(mut self, change: impl Fn(PgConnectOptions) -> PgConnectOptions) -> Self {
        self.options = self.options.into_iter().map(change).collect();
        self
    }

    /// The server that was the primary last.
    pub(super) fn primary(&self) -> &PgConnectOptions {
        &self.options[self.primary.load(Ordering::Relaxed)]
    }

    /// Connects to the primary: the first server, beginning with the one that was the primary last, that takes writes.
    ///
    /// # Errors
    /// Where there is none, within the time-out for each server: what the last one said. At once, where there was none a moment
    /// ago.
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        if self.failed_at().is_some_and(|failed| failed.elapsed() < REST_AFTER_FAILURE) {
            return Err(StoreError::Unavailable("there was no connection to be had a moment ago".into()));
        }
        let connected = self.try_connect().await;
        *self.failed_at() = connected.is_err().then(Instant::now);
        connected
    }

    fn failed_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn try_connect(&self) -> Result<PgConnection, StoreError> {
        let first = self.primary.load(Ordering::Relaxed);
        let mut failed: BoxError = "no server is named".into();
        for index in (first..self.options.len()).chain(0..first) {
            match tokio::time::timeout(self.connect_timeout, writable(&self.options[index])).await {
                Ok(Ok(connection)) => {
                    self.primary.store(index, Ordering::Relaxed);
                    return Ok(connection);
                }
                Ok(Err(error)) => failed = error,
                Err(_) => failed = format!("no answer within {:?}", self.connect_timeout).into(),
            }
            let options = &self.options[index];
            tracing::debug!(host = options.get_host(), port = options.get_port(), error = &*failed, "not connected");
        }
        Err(StoreError::Unavailable(failed))
    }
}

/// Connects, where the server takes writes.
async fn writable(options: &PgConnectOptions) -> Result<PgConnection, BoxError> {
    let mut connection = options.connect().await.map_err(unwrapped)?;
    let read_only = sqlx::raw_sql("SHOW transaction_read_only").fetch_one(&mut connection).await.map_err(unwrapped)?;
    let read_only: String = sqlx::Row::try_get(&read_only, 0).map_err(unwrapped)?;
    if read_only == "on" {
        let _ = connection.close().await;
        return Err("the server is read-only, as a standby is".into());
    }
    Ok(connection)
}

/// An error where the server is a standby. (One that is read-only for another reason may be read from.)
pub(super) async fn refuse_standby(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let standby = sqlx::raw_sql("SELECT pg_is_in_recovery()::text").fetch_one(connection).await?;
    match sqlx::Row::try_get::<String, _>(&standby, 0)?.as_str() {
        "true" => Err(sqlx::Error::Io(std::io::Error::other("the server is a standby"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(url: &str) -> Vec<(String, u16, Option<String>, String)> {
        let hosts = Hosts::parse(url).unwrap();
        let seen = hosts.options.iter().map(|options| {
            (
                options.get_host().to_owned(),
                options.get_port(),
                options.get_database().map(str::to_owned),
                options.get_username().to_owned(),
            )
        });
        seen.collect()
    }

    #[test]
    fn a_url_names_one_server_or_several() {
        let of = |host: &str, port| (host.to_owned(), port, Some("tickets".to_owned()), "ann".to_owned());
        assert_eq!(hosts("postgres://ann:p%40ss@db/tickets"), [of("db", 5432)]);
        assert_eq!(hosts("postgresql://ann@a:1,b:2/tickets?sslmode=require"), [of("a", 1), of("b", 2)]);
        assert_eq!(hosts("postgres://ann@[::1]:7/tickets"), [of("[::1]", 7)]);
    }

    #[tokio::test]
    async fn nobody_tries_again_at_once_where_nobody_was_found() {
        let hosts = Hosts::parse("postgres://ann@127.0.0.1:1/tickets").unwrap();
        let why = async || std::error::Error::source(&hosts.connect().await.unwrap_err()).unwrap().to_string();
        let first = why().await;
        assert!(first.contains("refused"), "{first}");
        assert_eq!(why().await, "there was no connection to be had a moment ago");
        tokio::time::sleep(REST_AFTER_FAILURE).await;
        assert_eq!(why().await, first);
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_not_waited_for_beyond_the_time_out_nor_beyond_the_most() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://ann@{}/tickets", silent.local_addr().unwrap());
        for (timeout, told) in [(100, "no answer within 100ms"), (10_000, "no answer within 2s")] {
            let hosts = Hosts::parse(&url).unwrap().within(Duration::from_millis(timeout));
            let error = hosts.connect().await.unwrap_err();
            assert_eq!(std::error::Error::source(&error).unwrap().to_string(), told);
        }
    }

    /// So the first of them is found again when it has taken its place back.
    #[tokio::test]
    async fn those_before_the_last_primary_are_asked_too() {
        let first = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://ann@{},127.0.0.1:1/tickets", first.local_addr().unwrap());
        let hosts = Hosts::parse(&url).unwrap();
        hosts.primary.store(1, Ordering::Relaxed);
        let asked = tokio::select! {
            asked = first.accept() => asked.is_ok(),
            _ = hosts.connect() => false,
        };
        assert!(asked);
    }

    #[test]
    fn what_is_no_url_is_refused_without_telling_the_password() {
        let urls = [
            "tickets",
            "mysql://ann:secret@db/x",
            "postgres://ann:secret@db:nan/x",
            "postgres://ann:secret",
            "postgres://db,ann:secret/x",
        ];
        for url in urls {
            let told = Hosts::parse(url).unwrap_err();
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
