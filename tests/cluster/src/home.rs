//! The directory of a server, and the reaper that removes it.

use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::account::Account;

/// The log of the server, in its directory.
const LOG: &str = "log";

/// How much of a server's log is told.
const LOG_TAIL_BYTES: u64 = 16 * 1024;

/// A directory that is gone, with every server in it, when this is dropped or when this process ends.
///
/// A shell is its maker and its reaper (`reaper.sh`). It waits for the end of a pipe that only this process holds: the
/// kernel closes it however we end, SIGKILL included. Dropping takes the same way.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    reaper: Child,
}

impl Home {
    /// Makes a directory in `base`, else in the first place for temporary files where `account` may make one. `programs`: the
    /// server's program, or the directory of all its programs, without symbolic links. What runs them there is ended.
    pub(crate) fn make(base: Option<&Path>, account: Account, programs: &Path) -> Result<Self> {
        if let Some(base) = base {
            return Self::make_in(base, account, programs);
        }
        let usual = std::env::temp_dir();
        let make_in = |base: &Path| Self::make_in(base, account, programs);
        make_in(&usual).or_else(|error| make_in(Path::new("/tmp")).map_err(|_| error))
    }

    fn make_in(base: &Path, account: Account, programs: &Path) -> Result<Self> {
        let base = base.canonicalize().with_context(|| format!("no such directory: {}", base.display()))?;
        let mut reaper = account
            .command("sh")
            .args(["-c", include_str!("reaper.sh"), "reaper"])
            .arg(&base)
            .arg(programs)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A group of its own: what a terminal or a test runner sends to ours must not end the reaper.
            .process_group(0)
            .spawn()
            .context("cannot start sh")?;
        let mut said = String::new();
        if let Some(stdout) = reaper.stdout.take() {
            BufReader::new(stdout).read_line(&mut said).context("cannot read what the reaper says")?;
        }
        let path = PathBuf::from(said.trim_end_matches('\n'));
        if !path.starts_with(&base) {
            reaper.wait().context("cannot wait for the reaper")?;
            bail!("cannot make a server's directory in {}: {}", base.display(), path.display());
        }
        Ok(Self { path, reaper })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// The end of the server's log, for the message when something fails.
    pub(crate) fn log_tail(&self) -> String {
        let tail = || -> std::io::Result<String> {
            let mut file = std::fs::File::open(self.path.join(LOG))?;
            let begin = file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES);
            file.seek(SeekFrom::Start(begin))?;
            let mut bytes = Vec::new();
            file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        tail().unwrap_or_else(|error| format!("(the log cannot be read: {error})"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // The end of its stdin is what it waits for; its own loops are bounded.
        drop(self.reaper.stdin.take());
        let _ = self.reaper.wait();
    }
}
