//! A PostgreSQL of this run's own.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use private_cluster::{Cluster, Options};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// The servers' database.
const SERVERS_DATABASE: &str = "boxoffice";

/// Settings of a small server of its own. As in production, a commit waits for the disk.
const SETTINGS: [(&str, &str); 3] = [
    ("shared_buffers", "256MB"),
    // No checkpoint falls into a measurement because of the amount written.
    ("max_wal_size", "4GB"),
    // Those of the largest pgbench, and of all servers.
    ("max_connections", "600"),
];

/// What counts statements.
const COUNTER: (&str, &str) = ("shared_preload_libraries", "pg_stat_statements");

/// The standby for which commits wait.
const STANDBY: &str = "delayed";

/// How long a program may take beyond what its caller allows for.
const PROGRAM_WAIT_MAX: Duration = Duration::from_secs(60);

/// A private cluster with a fresh database for the servers.
pub struct PrivateDatabase {
    /// Follows the primary, and so it ends first.
    _standby: Option<Cluster>,
    /// Shared with calls that block.
    primary: Arc<Cluster>,
    version: String,
}

impl PrivateDatabase {
    /// Starts it. `commit_delay`: each commit waits until a standby has applied it, which does so this much later.
    ///
    /// # Errors
    /// Where PostgreSQL is not installed, or does not come up.
    pub async fn start(commit_delay: Option<Duration>) -> Result<Self> {
        tokio::task::spawn_blocking(move || Self::start_blocking(&SETTINGS, commit_delay)).await?
    }

    /// Starts one that counts the statements that it runs: see [`Self::statements`].
    ///
    /// # Errors
    /// Where PostgreSQL is not installed, or does not come up.
    pub async fn start_counting() -> Result<Self> {
        let settings: Vec<_> = SETTINGS.into_iter().chain([COUNTER]).collect();
        let database = tokio::task::spawn_blocking(move || Self::start_blocking(&settings, None)).await??;
        database.psql("postgres", "CREATE EXTENSION pg_stat_statements").await?;
        Ok(database)
    }

    /// How many statements of which the text is like `like` one of its databases has run since it was started.
    ///
    /// # Errors
    /// Where it does not count them.
    pub async fn statements(&self, database: &str, like: &str) -> Result<u64> {
        let sql = format!(
            "SELECT coalesce(sum(s.calls), 0) FROM pg_stat_statements AS s JOIN pg_database AS d ON d.oid = s.dbid
              WHERE d.datname = '{database}' AND s.query LIKE '{like}'"
        );
        let count = self.psql("postgres", &sql).await?;
        count.parse().with_context(|| format!("{count} is no count"))
    }

    fn start_blocking(settings: &[(&str, &str)], commit_delay: Option<Duration>) -> Result<Self> {
        let options = settings.iter().fold(Options::default().durable(), |o, (name, value)| o.setting(name, value));
        let primary = Cluster::start(&options)?;
        primary.create_database(SERVERS_DATABASE)?;
        let version = primary.psql("postgres", "SHOW server_version")?;
        let standby = commit_delay.map(|delay| delayed_standby(&primary, delay)).transpose()?;
        Ok(Self { _standby: standby, primary: Arc::new(primary), version })
    }

    /// Where the servers find their database.
    pub fn url(&self) -> String {
        self.url_of(SERVERS_DATABASE)
    }

    /// Where clients find another of its databases.
    pub fn url_of(&self, database: &str) -> String {
        self.primary.url(database)
    }

    /// PostgreSQL's version, in its own words.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The directory in which its programs run.
    pub fn directory(&self) -> &std::path::Path {
        self.primary.directory()
    }

    /// Kills it and all its processes with SIGKILL, at one moment, and waits until they are gone.
    ///
    /// # Errors
    /// Where a process does not end.
    pub async fn kill(&self) -> Result<()> {
        self.blocking(Cluster::kill).await
    }

    /// Starts it again on the same port and data, and waits until it accepts connections.
    ///
    /// # Errors
    /// Where it runs already, or does not come up; the error holds the end of its log.
    pub async fn start_again(&self) -> Result<()> {
        self.blocking(Cluster::start_again).await
    }

    async fn blocking(&self, call: fn(&Cluster) -> Result<()>) -> Result<()> {
        let primary = Arc::clone(&self.primary);
        tokio::task::spawn_blocking(move || call(&primary)).await?
    }

    /// Bytes of the servers' database; `None` where it does not say.
    pub(super) fn bytes(&self) -> Option<u64> {
        let size = format!("SELECT pg_database_size('{SERVERS_DATABASE}')");
        self.primary.psql("postgres", &size).ok()?.parse().ok()
    }

    /// Runs SQL statements, each in a transaction of its own; answers what they gave.
    ///
    /// # Errors
    /// At the first that fails.
    pub async fn psql(&self, database: &str, sql: &str) -> Result<String> {
        let arguments = ["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", database];
        self.run("psql", &arguments, sql, Duration::ZERO).await
    }

    /// Whether one of PostgreSQL's programs is installed.
    pub fn has(&self, program: &str) -> bool {
        self.primary.client(program).is_ok()
    }

    /// Runs one of PostgreSQL's programs against this server, with `input` on its standard input; answers what it printed.
    /// It may take a minute longer than `length`.
    ///
    /// # Errors
    /// Where it fails; the error holds what it complained of.
    pub async fn run(&self, program: &str, arguments: &[&str], input: &str, length: Duration) -> Result<String> {
        let mut command = Command::from(self.primary.client(program)?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: an interruption is ours to handle, and dropping ends it.
        let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
        // What these programs read is far less than a pipe holds, so none can be kept from printing by what it has to read.
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await.with_context(|| format!("{program} does not read its input"))?;
        }
        let output = timeout(length + PROGRAM_WAIT_MAX, child.wait_with_output());
        let output = output.await.with_context(|| format!("{program} does not end"))??;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("{program} failed ({}): {}", output.status, complaint.trim_end());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }
}

/// A standby that applies each commit `delay` after it was made, and for which each commit of the primary waits from now on:
/// what a commit costs where the standby stands in another zone.
fn delayed_standby(primary: &Cluster, delay: Duration) -> Result<Cluster> {
    let delay = format!("{}us", delay.as_micros());
    let standby = primary.standby(STANDBY, &Options::default().setting("recovery_min_apply_delay", &delay))?;
    primary.set("synchronous_standby_names", STANDBY)?;
    primary.set("synchronous_commit", "remote_apply")?;
    Ok(standby)
}
