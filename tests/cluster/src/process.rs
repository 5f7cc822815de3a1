//! The first process of a server: started, signalled, waited for.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::account::Account;
use crate::family;
use crate::home::Home;

/// How long a server may take until it accepts connections (it may have to recover first), and until it has stopped.
const START_WAIT_MAX: Duration = Duration::from_secs(120);
const STOP_WAIT_MAX: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Becomes the server, with a log for its output and without what this process may have inherited from its own parents
/// (a shell can name the first ten; what we open ourselves is closed on exec anyway). $0 is the program.
const BECOME_SERVER: &str = r#"exec "$0" "$@" >>log 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-"#;

/// A server of ours, which may be down.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    /// What it is called in messages: `PostgreSQL` or `Redis`.
    kind: &'static str,
    /// `None` while it is down.
    child: Mutex<Option<Child>>,
}

impl ServerProcess {
    /// One that is down.
    pub(crate) const fn down(kind: &'static str) -> Self {
        Self { kind, child: Mutex::new(None) }
    }

    /// Starts it in its home, which has its log. It is not ready yet: see [`Self::wait_until`].
    pub(crate) fn start(&self, account: Account, home: &Home, program: &Path, arguments: &[&str]) -> Result<()> {
        let mut child = self.child();
        if child.is_some() {
            bail!("the {} server runs already", self.kind);
        }
        let started = account
            .command("sh")
            .args(["-c", BECOME_SERVER])
            .arg(program)
            .args(arguments)
            .current_dir(home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own: what a terminal sends to ours is not meant for it.
            .process_group(0)
            .spawn()
            .context("cannot start sh")?;
        *child = Some(started);
        Ok(())
    }

    /// Waits until it is `ready`, for two minutes at most; an error tells the end of its log.
    pub(crate) fn wait_until(&self, home: &Home, ready: impl Fn() -> bool) -> Result<()> {
        let (kind, begin) = (self.kind, Instant::now());
        while !ready() {
            if let Some(status) = self.ended()? {
                bail!("the {kind} server ended ({status}); its log:\n{}", home.log_tail());
            }
            if begin.elapsed() > START_WAIT_MAX {
                bail!("the {kind} server does not accept connections; its log:\n{}", home.log_tail());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Asks it by `signal` to stop, and waits until it has, for a minute at most. Nothing happens if it is down.
    pub(crate) fn stop(&self, home: &Home, signal: Signal) -> Result<()> {
        let Some(pid) = self.pid() else { return Ok(()) };
        family::send(pid, signal)?;
        let begin = Instant::now();
        while self.ended()?.is_none() {
            if begin.elapsed() > STOP_WAIT_MAX {
                bail!("the {} server does not stop; its log:\n{}", self.kind, home.log_tail());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Kills it and all its descendants at one moment, and waits until all are gone. Nothing happens if it is down.
    pub(crate) fn kill(&self) -> Result<()> {
        let mut child = self.child();
        let Some(running) = child.as_mut() else { return Ok(()) };
        family::kill(running.id().cast_signed())?;
        running.wait().with_context(|| format!("cannot wait for the {} server", self.kind))?;
        *child = None;
        Ok(())
    }

    /// Stops it and all its descendants where they are.
    pub(crate) fn pause(&self) -> Result<()> {
        family::pause(self.running()?)
    }

    /// Lets them go on.
    pub(crate) fn resume(&self) -> Result<()> {
        family::resume(self.running()?)
    }

    /// Its process id, unless it is down.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.child().as_ref().map(|child| child.id().cast_signed())
    }

    fn running(&self) -> Result<i32> {
        self.pid().with_context(|| format!("the {} server is down", self.kind))
    }

    /// How it ended, if it did.
    fn ended(&self) -> Result<Option<ExitStatus>> {
        let mut child = self.child();
        let Some(running) = child.as_mut() else { return Ok(Some(ExitStatus::from_raw(0))) };
        let status = running.try_wait().with_context(|| format!("cannot wait for the {} server", self.kind))?;
        if status.is_some() {
            *child = None;
        }
        Ok(status)
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        // The child is replaced in one step, so a panic elsewhere leaves nothing half done.
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // The home's reaper would end its processes as well, but one after the other, and the first is ours to wait for.
        let _ = self.kill();
    }
}
