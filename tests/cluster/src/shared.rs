//! One cluster for all tests of a process.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

use crate::cluster::{Cluster, Options};

/// The cluster that all tests of this process share, started by the first that asks: not durable, 300 connections.
/// Each test makes a database of its own in it ([`fresh_database`]); one that kills or changes its server starts its own.
///
/// # Panics
/// If it cannot be started. Then no test that needs it can run, and each of them says why.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Result<Cluster>> = OnceLock::new();
    let cluster = SHARED.get_or_init(|| Cluster::start(&Options::default().setting("max_connections", "300")));
    #[expect(clippy::panic, reason = "only tests share a cluster, and without one they fail")]
    cluster.as_ref().unwrap_or_else(|error| panic!("no PostgreSQL server for the tests: {error:#}"))
}

/// Creates an empty database with a name of its own, and returns its URL.
///
/// # Errors
/// If the server does not answer.
pub fn fresh_database(cluster: &Cluster) -> Result<String> {
    static CREATED: AtomicU64 = AtomicU64::new(0);
    let name = format!("fresh_{}", CREATED.fetch_add(1, Ordering::Relaxed));
    cluster.create_database(&name)?;
    Ok(cluster.url(&name))
}
