//! A server as a child process: started, killed without warning, and started again on the same port and data.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{ChildStdout, Command};
use tokio::time::timeout;

use super::usage::{self, Usage};

/// How long a server may take to come up; after a kill it may have a write-ahead log to read.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// What the line begins with by which the server says that it serves.
const LISTENING: &str = "listening on ";
/// Lines of the log to show when the server dies.
const LOG_TAIL_LINES: usize = 20;
/// How long a killed server may take to be gone when it is dropped.
const END_WAIT_MAX: Duration = Duration::from_secs(5);
const END_POLL_INTERVAL: Duration = Duration::from_millis(1);
/// The environment variable by which a server is told its database. Arguments could be read by everybody on the machine.
const DATABASE_URL: &str = "BOXOFFICE_DATABASE_URL";

/// A running child server.
pub struct Child {
    home: Home,
    /// `127.0.0.1:PORT`, the same after each restart.
    address: String,
    process: tokio::process::Child,
    /// CPU time of the processes before this one; `None` where that could not be seen.
    earlier_cpu_seconds: Option<f64>,
}

/// What stays the same through all restarts.
struct Home {
    binary: PathBuf,
    directory: TempDir,
    /// `None`: a SQLite file in the directory.
    database_url: Option<String>,
    /// `None`: as the server does by itself.
    sweep_interval: Option<Duration>,
}

impl Child {
    /// Starts the server on a free port, and on a database or, without one, on an empty directory.
    ///
    /// # Errors
    /// Where it does not come up; the error holds the end of its log.
    pub(super) async fn start(
        binary: &Path,
        database_url: Option<String>,
        sweep_interval: Option<Duration>,
        keep: bool,
    ) -> Result<Self> {
        let mut directory = tempfile::Builder::new().prefix("boxoffice-loadtest-").tempdir()?;
        directory.disable_cleanup(keep);
        if keep {
            eprintln!("a server's own data and log stay in {}", directory.path().display());
        }
        let home = Home { binary: binary.to_owned(), directory, database_url, sweep_interval };
        let (process, address) = home.launch("127.0.0.1:0").await?;
        Ok(Self { home, address, process, earlier_cpu_seconds: Some(0.0) })
    }

    /// Where it serves.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks whether it still runs.
    ///
    /// # Errors
    /// Where it has died by itself; the error holds the end of its log.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the server died by itself ({status}); {}", self.log_tail()),
        }
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// Where it had died before, by itself.
    pub async fn kill(&mut self) -> Result<()> {
        self.check_alive()?;
        // Once it is gone, nobody can tell any more. What it uses between this and its death is little.
        let used = self.cpu_seconds();
        self.process.kill().await.context("the server cannot be killed")?;
        self.earlier_cpu_seconds = used;
        Ok(())
    }

    /// Starts it again on the same port and data.
    ///
    /// # Errors
    /// Where it does not come up; the error holds the end of its log.
    pub async fn restart(&mut self) -> Result<()> {
        let (process, address) = self.home.launch(&self.address).await?;
        self.process = process;
        self.address = address;
        Ok(())
    }

    /// What the present process has used.
    pub fn usage(&self) -> Option<Usage> {
        usage::of(self.process.id()?)
    }

    /// CPU time of this process and those before it.
    pub fn cpu_seconds(&self) -> Option<f64> {
        let present = if self.process.id().is_some() { self.usage()?.cpu_seconds } else { 0.0 };
        Some(self.earlier_cpu_seconds? + present)
    }

    /// Bytes of its data directory.
    pub fn data_bytes(&self) -> u64 {
        bytes_in(&self.home.data())
    }

    /// The end of its log, under a heading.
    pub fn log_tail(&self) -> String {
        self.home.log_tail()
    }
}

impl Drop for Child {
    /// Kills it, and waits until it is gone: its directory cannot be removed while it still writes there.
    fn drop(&mut self) {
        let _ = self.process.start_kill();
        let begun = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && begun.elapsed() < END_WAIT_MAX {
            std::thread::sleep(END_POLL_INTERVAL);
        }
    }
}

impl Home {
    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(LOG_TAIL_LINES)..).unwrap_or_default();
        format!("the server's log ends with:\n  {}", tail.join("\n  "))
    }

    fn command(&self, listen: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["serve", "--dev", "--listen", listen]);
        if let Some(interval) = self.sweep_interval {
            command.arg("--sweep-interval").arg(humantime::format_duration(interval).to_string());
        }
        match &self.database_url {
            Some(url) => command.env(DATABASE_URL, url),
            // What is set for the load test itself must not send its servers to a database that nobody named.
            None => command.arg("--data").arg(self.data()).env_remove(DATABASE_URL),
        };
        command
    }

    async fn launch(&self, listen: &str) -> Result<(tokio::process::Child, String)> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = self.command(listen);
        // A group of its own: what a terminal sends to interrupt the load test must not look like a server's death.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).process_group(0).kill_on_drop(true);
        let spawned = command.spawn();
        let mut process = spawned.with_context(|| format!("{} cannot be started", self.binary.display()))?;
        let stdout = process.stdout.take().context("the server has no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let address = timeout(START_TIMEOUT, listening_address(&mut lines))
            .await
            .unwrap_or_else(|_| Err(anyhow!("the server did not say within {START_TIMEOUT:?} that it is listening")))
            .map_err(|error| anyhow!("{error:#}; {}", self.log_tail()))?;
        // Whatever else it prints is read and dropped, or the pipe would fill up and block it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok((process, address))
    }
}

/// Reads up to the line `listening on http://ADDRESS`.
async fn listening_address(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<String> {
    while let Some(line) = lines.next_line().await? {
        if let Some(url) = line.trim().strip_prefix(LISTENING) {
            let address = url.strip_prefix("http://").unwrap_or(url);
            return Ok(address.trim_end_matches('/').to_owned());
        }
    }
    bail!("the server ended without serving")
}

fn bytes_in(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/busy_server");

    /// Waits until it has used more than so much, however slow the machine is.
    async fn used_more_than(child: &Child, seconds: f64) -> f64 {
        let begun = Instant::now();
        loop {
            let used = child.cpu_seconds().unwrap();
            if used > seconds {
                return used;
            }
            assert!(begun.elapsed() < START_TIMEOUT, "it used {used}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn what_a_killed_server_has_used_still_counts() {
        let mut child = Child::start(Path::new(BUSY), None, None, false).await.unwrap();
        let mut used = used_more_than(&child, 0.0).await;
        for _ in 0..2 {
            child.kill().await.unwrap();
            assert!(child.cpu_seconds().unwrap() >= used, "while it is away");
            child.restart().await.unwrap();
            assert!(child.cpu_seconds().unwrap() >= used, "in the process after it");
            used = used_more_than(&child, used).await;
        }
    }
}
