//! The directory of a cluster, and the reaper that removes it.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::programs::Programs;

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
    /// Makes a directory in `base`, else in the first place for temporary files where the cluster's account may make one.
    pub(crate) fn make(base: Option<&Path>, programs: &Programs) -> Result<Self> {
        if let Some(base) = base {
            return Self::make_in(base, programs);
        }
        let usual = std::env::temp_dir();
        Self::make_in(&usual, programs).or_else(|error| Self::make_in(Path::new("/tmp"), programs).map_err(|_| error))
    }

    fn make_in(base: &Path, programs: &Programs) -> Result<Self> {
        let base = base.canonicalize().with_context(|| format!("no such directory: {}", base.display()))?;
        let mut reaper = programs
            .command("sh")
            .args(["-c", include_str!("reaper.sh"), "reaper"])
            .arg(&base)
            .arg(programs.directory())
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
            bail!("cannot make a directory for PostgreSQL in {}: {}", base.display(), path.display());
        }
        Ok(Self { path, reaper })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // The end of its stdin is what it waits for; its own loops are bounded.
        drop(self.reaper.stdin.take());
        let _ = self.reaper.wait();
    }
}
