//! What a superuser does to a server through SQL and PostgreSQL's client programs.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::cluster::{Cluster, SUPERUSER};

/// How long a server may take to read its settings again.
const RELOAD_WAIT_MAX: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// How long each terminated backend may take to end.
const TERMINATE_WAIT_MAX_MILLIS: u32 = 10_000;

impl Cluster {
    /// Runs SQL statements through `psql`, each in a transaction of its own, and returns the rows that they gave: a line
    /// each, fields separated by `|`.
    ///
    /// # Errors
    /// At the first statement that fails, with the server's message; or if all take longer than ten minutes.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        let port = self.port().to_string();
        let arguments = [
            "-X",
            "-q",
            "-At",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            SUPERUSER,
            "-d",
            database,
        ];
        self.programs.run(self.directory(), "psql", &arguments, sql)
    }

    /// One of PostgreSQL's client programs (`pgbench`, `pg_dump`, …), ready to be run against this server: as the cluster's
    /// account, in the cluster's directory, and told by its environment where the server is. The caller adds the arguments
    /// and says what becomes of its input and output. Should this process be killed, the program is ended with the cluster.
    ///
    /// # Errors
    /// If the program is not installed beside the server's.
    pub fn client(&self, program: &str) -> Result<Command> {
        let path = self.programs.directory().join(program);
        if !path.is_file() {
            bail!("{program} is not installed in {}", self.programs.directory().display());
        }
        let mut command = self.programs.command(path);
        let port = self.port().to_string();
        // Clients look into $HOME for certificates and passwords; root's would be forbidden ground.
        command.current_dir(self.directory()).env("HOME", self.directory());
        command.env("PGHOST", "127.0.0.1").env("PGPORT", port).env("PGUSER", SUPERUSER);
        Ok(command)
    }

    /// Creates an empty database.
    ///
    /// # Errors
    /// If there is one of that name, or the server does not answer.
    pub fn create_database(&self, name: &str) -> Result<()> {
        // Nobody can be connected to template0, so databases can be created at the same time.
        self.psql("postgres", &format!("CREATE DATABASE {} TEMPLATE template0", quoted(name, '"'))).map(drop)
    }

    /// Ends all sessions of a database, waits until they have ended, and returns how many there were.
    ///
    /// # Errors
    /// If the server does not answer, or one does not end.
    pub fn terminate_backends(&self, database: &str) -> Result<u64> {
        let database = quoted(database, '\'');
        let sql = format!(
            "SELECT count(*), string_agg(pid::text, ',') FILTER (WHERE NOT pg_terminate_backend(pid, {TERMINATE_WAIT_MAX_MILLIS})) \
             FROM pg_stat_activity WHERE datname = {database} AND pid <> pg_backend_pid()"
        );
        let answer = self.psql("postgres", &sql)?;
        let (all, doubtful) = answer.split_once('|').with_context(|| format!("not two columns: {answer}"))?;
        // A session that had ended by itself cannot be terminated, either.
        if !doubtful.is_empty() {
            let sql =
                format!("SELECT count(*) FROM pg_stat_activity WHERE datname = {database} AND pid IN ({doubtful})");
            let left = self.psql("postgres", &sql)?;
            ensure!(left == "0", "{left} of {all} sessions of {database} do not end");
        }
        all.parse().with_context(|| format!("not a number: {all}"))
    }

    /// Changes a setting of the running server. When this returns, new sessions have it; older ones follow within moments.
    /// Some settings need a restart: `stop` and `start_again`.
    ///
    /// # Errors
    /// If the server refuses it.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        let loaded = || self.psql("postgres", "SELECT pg_conf_load_time()");
        let before = loaded()?;
        let alter = format!("ALTER SYSTEM SET {} = {}", quoted(name, '"'), quoted(value, '\''));
        self.psql("postgres", &format!("{alter};\nSELECT pg_reload_conf();"))?;
        let begin = Instant::now();
        while loaded()? == before {
            if begin.elapsed() > RELOAD_WAIT_MAX {
                bail!("the PostgreSQL server does not read its settings again; its log:\n{}", self.log());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

/// An identifier or a text for SQL, between quotes.
fn quoted(text: &str, quote: char) -> String {
    format!("{quote}{}{quote}", text.replace(quote, &format!("{quote}{quote}")))
}
