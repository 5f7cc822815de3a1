//! A server as a child process: started, killed without warning, and started again on the same port and data.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::ChildStdout;
use tokio::time::timeout;

use super::usage::{self, Usage};

/// How long a server may take to come up; after a kill it may have a write-ahead log to read.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// What the line begins with by which the server says that it serves.
const LISTENING: &str = "listening on ";
/// Lines of the log to show when the server dies.
const LOG_TAIL_LINES: usize = 20;

/// A running child server.
pub struct Child {
    binary: PathBuf,
    directory: TempDir,
    /// `127.0.0.1:PORT`, the same after each restart.
    address: String,
    process: tokio::process::Child,
}

impl Child {
    /// Starts the server on an empty directory and a free port.
    ///
    /// # Errors
    /// Where it does not come up; the error holds the end of its log.
    pub async fn start(binary: &Path, keep: bool) -> Result<Self> {
        let mut directory = tempfile::Builder::new().prefix("boxoffice-loadtest-").tempdir()?;
        directory.disable_cleanup(keep);
        if keep {
            eprintln!("the server's data and log stay in {}", directory.path().display());
        }
        let (process, address) = launch(binary, directory.path(), "127.0.0.1:0").await?;
        Ok(Self { binary: binary.to_owned(), directory, address, process })
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
        self.process.kill().await.context("the server cannot be killed")
    }

    /// Starts it again on the same port and data.
    ///
    /// # Errors
    /// Where it does not come up; the error holds the end of its log.
    pub async fn restart(&mut self) -> Result<()> {
        let (process, address) = launch(&self.binary, self.directory.path(), &self.address).await?;
        self.process = process;
        self.address = address;
        Ok(())
    }

    /// What the present process has used.
    pub fn usage(&self) -> Option<Usage> {
        usage::of(self.process.id()?)
    }

    /// Bytes of its database.
    pub fn data_bytes(&self) -> u64 {
        bytes_in(&data_directory(self.directory.path()))
    }

    /// The end of its log, under a heading.
    pub fn log_tail(&self) -> String {
        log_tail(self.directory.path())
    }
}

fn data_directory(directory: &Path) -> PathBuf {
    directory.join("data")
}

fn log_file(directory: &Path) -> PathBuf {
    directory.join("server.log")
}

async fn launch(binary: &Path, directory: &Path, listen: &str) -> Result<(tokio::process::Child, String)> {
    let log = File::options().create(true).append(true).open(log_file(directory))?;
    let mut process = tokio::process::Command::new(binary)
        .args(["serve", "--dev", "--listen", listen, "--data"])
        .arg(data_directory(directory))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} cannot be started", binary.display()))?;
    let stdout = process.stdout.take().context("the server has no standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    let address = timeout(START_TIMEOUT, listening_address(&mut lines))
        .await
        .unwrap_or_else(|_| Err(anyhow!("the server did not say within {START_TIMEOUT:?} that it is listening")))
        .map_err(|error| anyhow!("{error:#}; {}", log_tail(directory)))?;
    // Whatever else it prints is read and dropped, or the pipe would fill up and block it.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((process, address))
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

fn log_tail(directory: &Path) -> String {
    let log = std::fs::read(log_file(directory)).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<_> = log.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(LOG_TAIL_LINES)..).unwrap_or_default();
    format!("the server's log ends with:\n  {}", tail.join("\n  "))
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
