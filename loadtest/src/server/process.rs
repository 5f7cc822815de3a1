//! A server as a child process: started, killed without warning, and started again on the same port and data; paused, and
//! resumed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::home::{Home, Settings};
use super::redis_log::RedisLines;
use super::usage::{self, Usage};
use crate::audit::findings::Key;
use crate::misdeed::Misdeed;

/// How long a killed server may take to be gone when it is dropped.
const END_WAIT_MAX: Duration = Duration::from_secs(5);
const END_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// A running child server. It is gone when this is dropped, or when this process ends.
pub struct Child {
    home: Home,
    process: tokio::process::Child,
    /// CPU time of the processes before this one; `None` where that could not be seen.
    earlier_cpu_seconds: Option<f64>,
}

impl Child {
    /// Starts the server on a free port, and on a database or, without one, on an empty directory.
    ///
    /// # Errors
    /// Where it does not come up; the error holds the end of its log.
    pub(super) async fn start(binary: &Path, settings: Settings) -> Result<Self> {
        let home = Home::make(binary, settings)?;
        let process = home.launch().await?;
        Ok(Self { home, process, earlier_cpu_seconds: Some(0.0) })
    }

    /// Where it serves.
    pub fn url(&self) -> String {
        format!("http://{}", self.home.address())
    }

    /// The number of the present process; `None` while it is down.
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Looks whether it still runs.
    ///
    /// # Errors
    /// Where it has died by itself; the error holds the end of its log.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let died = Misdeed::new(Key::Unproven, format!("the server died by itself ({status})"));
                bail!(died.with(&self.log_tail()))
            }
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
    /// Where it does not come up, though it did before; the error holds the end of its log.
    pub async fn restart(&mut self) -> Result<()> {
        let launched = self.home.launch().await;
        self.process = launched.map_err(|error| {
            Misdeed::new(Key::Unproven, "the server does not come up again").with(&format!("{error:#}"))
        })?;
        Ok(())
    }

    /// Stops it where it is (SIGSTOP), until the answer is dropped: to its clients and its database it hangs.
    ///
    /// # Errors
    /// Where it had died before, by itself.
    pub fn pause(&mut self) -> Result<Paused<'_>> {
        self.check_alive()?;
        self.signal(Signal::STOP)?;
        Ok(Paused(self))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.process.id().and_then(|pid| Pid::from_raw(pid.cast_signed())).context("the server is down")?;
        kill_process(pid, signal).with_context(|| format!("cannot send {signal:?} to the server"))
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

    /// What its log says of Redis.
    pub fn redis_lines(&self) -> RedisLines {
        self.home.redis_lines()
    }

    /// The end of its log, under a heading.
    pub fn log_tail(&self) -> String {
        self.home.log_tail()
    }
}

impl Drop for Child {
    /// Kills it, paused or not, and waits until it is gone: its directory cannot be removed while it still writes there.
    fn drop(&mut self) {
        let _ = self.process.start_kill();
        let begun = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && begun.elapsed() < END_WAIT_MAX {
            std::thread::sleep(END_POLL_INTERVAL);
        }
    }
}

/// A server that is stopped where it is, and goes on (SIGCONT) when this is dropped.
#[must_use = "it goes on when this is dropped"]
pub struct Paused<'a>(&'a Child);

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        // It is our child, and has not been waited for: its number is still its own.
        let _ = self.0.signal(Signal::CONT);
    }
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

    /// How long it may take to use a tick of the clock that CPU time is counted in.
    const WAIT_MAX: Duration = Duration::from_secs(30);
    const BUSY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/busy_server");

    /// Waits until it has used more than so much, however slow the machine is.
    async fn used_more_than(child: &Child, seconds: f64) -> f64 {
        let begun = Instant::now();
        loop {
            let used = child.cpu_seconds().unwrap();
            if used > seconds {
                return used;
            }
            assert!(begun.elapsed() < WAIT_MAX, "it used {used}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn what_a_killed_server_has_used_still_counts() {
        let mut child = Child::start(Path::new(BUSY), Settings::default()).await.unwrap();
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
