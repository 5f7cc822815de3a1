//! A few connections for many buyers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use tokio::sync::Semaphore;

/// How long nobody connects after somebody could not. Each attempt costs the server a process, and one that is recovering would
/// be kept from it by hundreds of them.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// A connection, and what goes with it.
pub(in crate::compare) struct Session {
    pub(super) connection: PgConnection,
    /// For pauses between retries, and for places to begin at.
    pub(super) random: SmallRng,
}

/// So many connections at most. It has no checks: a connection that fails is not given back.
pub(super) struct Pool {
    options: PgConnectOptions,
    /// Whoever waits longest is next.
    permits: Semaphore,
    idle: Mutex<Vec<Session>>,
    /// Connections so far: each has a random sequence of its own.
    opened: AtomicU64,
    /// When connecting failed last.
    failed_at: Mutex<Option<Instant>>,
}

impl Pool {
    pub(super) fn new(options: PgConnectOptions, connections: usize) -> Self {
        Self {
            options,
            permits: Semaphore::new(connections),
            idle: Mutex::default(),
            opened: AtomicU64::new(0),
            failed_at: Mutex::default(),
        }
    }

    /// Lends a connection to `work`. After an error it is closed, and another one takes its place when it is needed.
    pub(super) async fn lend<T>(&self, work: impl AsyncFnOnce(&mut Session) -> sqlx::Result<T>) -> Result<T> {
        let _permit = self.permits.acquire().await?;
        let idle = guard(&self.idle).pop();
        let mut session = match idle {
            Some(session) => session,
            None => self.connect().await?,
        };
        let answer = work(&mut session).await?;
        guard(&self.idle).push(session);
        Ok(answer)
    }

    async fn connect(&self) -> Result<Session> {
        let is_resting = guard(&self.failed_at).is_some_and(|at| at.elapsed() < REST_AFTER_FAILURE);
        ensure!(!is_resting, "PostgreSQL could not be reached a moment ago");
        let connected = self.options.connect().await;
        if connected.is_err() {
            *guard(&self.failed_at) = Some(Instant::now());
        }
        let connection = connected.context("cannot connect to PostgreSQL")?;
        let random = SmallRng::seed_from_u64(self.opened.fetch_add(1, Ordering::Relaxed));
        Ok(Session { connection, random })
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in it is replaced in one step, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
