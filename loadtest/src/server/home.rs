//! What stays the same of a server through all its restarts: its directory, its port, and who ends it when we cannot.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use private_cluster::HeldPort;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::redis_log::RedisLines;

/// How long a server may take to come up; after a kill it may have a write-ahead log to read.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// What the line begins with by which the server says that it serves.
const LISTENING: &str = "listening on ";
/// Lines of the log to show when the server dies.
const LOG_TAIL_LINES: usize = 20;
/// Names the directory of the logs of a whole run of tests.
const LOGS: &str = "BOXOFFICE_TEST_LOGS";
/// The environment variables by which a server is told its database and its Redis. Arguments could be read by everybody on the
/// machine.
const DATABASE_URL: &str = "BOXOFFICE_DATABASE_URL";
const REDIS_URL: &str = "BOXOFFICE_REDIS_URL";
/// The file with the key of passes, and what it holds: long enough to be a key, and no secret, since these servers guard nothing.
const PASS_KEY_FILE: &str = "passes.key";
const PASS_KEY: &str = "bm90IGEgc2VjcmV0LCBidXQgbG9uZyBlbm91Z2ggdG8gYmUgb25l\n";

/// How one server is to be.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// `None`: a SQLite file in the directory.
    pub(super) database_url: Option<String>,
    /// `None`: it shares nothing besides.
    pub(super) redis_url: Option<String>,
    /// Calls a second that each owner may make; `None`: any number.
    pub(super) owner_rate: Option<u32>,
    /// Whether passes of waiting rooms are signed with the key that all servers of a run have.
    pub(super) share_passes: bool,
    /// `None`: as the server does by itself.
    pub(super) sweep_interval: Option<Duration>,
    /// Whether its directory stays.
    pub(super) keep: bool,
}

/// A directory in which one server runs, and all it needs to be started. The fields end in this order: the reaper has nothing
/// to do where the directory has gone.
pub(super) struct Home {
    binary: PathBuf,
    settings: Settings,
    /// Nobody else gets it while the server is down.
    port: HeldPort,
    directory: TempDir,
    _reaper: Reaper,
}

impl Home {
    /// Makes the directory.
    pub(super) fn make(binary: &Path, settings: Settings) -> Result<Self> {
        let keep = settings.keep;
        let binary = binary.canonicalize().with_context(|| format!("{} cannot be found", binary.display()))?;
        let base = std::env::temp_dir().canonicalize().context("there is no place for temporary files")?;
        let mut directory = tempfile::Builder::new().prefix("boxoffice-loadtest-").tempdir_in(base)?;
        directory.disable_cleanup(keep);
        if keep {
            eprintln!("a server's own data and log stay in {}", directory.path().display());
        }
        let reaper = Reaper::start(directory.path(), &binary, keep)?;
        if settings.share_passes {
            std::fs::write(directory.path().join(PASS_KEY_FILE), PASS_KEY)?;
        }
        Ok(Self { binary, settings, port: HeldPort::take()?, directory, _reaper: reaper })
    }

    /// Where it serves, the same after each restart.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Where its log goes: to the others, where the logs of a whole run of tests are looked through afterwards.
    fn log(&self) -> PathBuf {
        match std::env::var_os(LOGS) {
            Some(logs) => PathBuf::from(logs).join(format!("{}-{}-loadtest.log", std::process::id(), self.address())),
            None => self.directory.path().join("server.log"),
        }
    }

    /// The end of the server's log, under a heading.
    pub(super) fn log_tail(&self) -> String {
        let log = std::fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(LOG_TAIL_LINES)..).unwrap_or_default();
        format!("the server's log ends with:\n  {}", tail.join("\n  "))
    }

    /// What the log says of Redis.
    pub(super) fn redis_lines(&self) -> RedisLines {
        RedisLines::of(&String::from_utf8_lossy(&std::fs::read(self.log()).unwrap_or_default()))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        // The reaper knows it by its directory.
        command.current_dir(self.directory.path()).args(["serve", "--dev", "--listen", &self.address()]);
        if let Some(interval) = self.settings.sweep_interval {
            command.arg("--sweep-interval").arg(humantime::format_duration(interval).to_string());
        }
        if let Some(rate) = self.settings.owner_rate {
            command.arg("--owner-rate").arg(rate.to_string());
        }
        if self.settings.share_passes {
            command.args(["--pass-key-file", PASS_KEY_FILE]);
        }
        // What is set for the load test itself must not send its servers to a Redis that nobody named, either.
        match &self.settings.redis_url {
            Some(url) => command.env(REDIS_URL, url),
            None => command.env_remove(REDIS_URL),
        };
        match &self.settings.database_url {
            Some(url) => command.env(DATABASE_URL, url),
            // What is set for the load test itself must not send its servers to a database that nobody named.
            None => command.arg("--data").arg(self.data()).env_remove(DATABASE_URL),
        };
        command
    }

    /// Starts the server, and waits until it serves.
    ///
    /// # Errors
    /// Where it does not come up; the error holds the end of its log.
    pub(super) async fn launch(&self) -> Result<Child> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = self.command();
        // A group of its own: what a terminal sends to interrupt the load test must not look like a server's death.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).process_group(0).kill_on_drop(true);
        let spawned = command.spawn();
        let mut process = spawned.with_context(|| format!("{} cannot be started", self.binary.display()))?;
        let stdout = process.stdout.take().context("the server has no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        timeout(START_TIMEOUT, until_listening(&mut lines))
            .await
            .unwrap_or_else(|_| Err(anyhow!("the server did not say within {START_TIMEOUT:?} that it is listening")))
            .map_err(|error| anyhow!("{error:#}; {}", self.log_tail()))?;
        // Whatever else it prints is read and dropped, or the pipe would fill up and block it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(process)
    }
}

/// Reads up to the line `listening on http://ADDRESS`.
async fn until_listening(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<()> {
    while let Some(line) = lines.next_line().await? {
        if line.trim().starts_with(LISTENING) {
            return Ok(());
        }
    }
    bail!("the server ended without serving")
}

/// A shell that ends the server and removes its directory when this process ends, however it ends (`reaper.sh`).
struct Reaper(std::process::Child);

impl Reaper {
    fn start(directory: &Path, program: &Path, keep: bool) -> Result<Self> {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", include_str!("reaper.sh"), "reaper"]).arg(directory).arg(program);
        command.arg(if keep { "keep" } else { "remove" });
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: what a terminal sends to ours must not end the reaper.
        command.process_group(0).spawn().map(Self).context("cannot start sh")
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        // The end of its stdin is what it waits for; its own loop is bounded.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
