//! PostgreSQL's programs: where they are, and how a cluster runs them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::account::Account;

/// The environment variable that names the directory of PostgreSQL's programs. It wins over all others.
pub const BINARIES_VARIABLE: &str = "BOXOFFICE_POSTGRES_BIN";

/// Where Debian and Ubuntu put each major version.
const DEBIAN_VERSIONS: &str = "/usr/lib/postgresql";

/// How long a program (`initdb`, `psql`, …) may take before it is killed. A guard against waiting forever, not a measure.
const PROGRAM_SECONDS_MAX: &str = "600";

/// The programs of one PostgreSQL version, as the account that runs them.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    directory: PathBuf,
    account: Account,
}

impl Programs {
    pub(crate) fn find() -> Result<Self> {
        Ok(Self { directory: find_directory()?, account: Account::find()? })
    }

    /// The directory that holds the programs, without symbolic links.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Who runs them.
    pub(crate) fn account(&self) -> Account {
        self.account
    }

    /// Any program, as the cluster's account and without this process's settings for PostgreSQL clients.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.account.command(program)
    }

    /// Runs one of PostgreSQL's programs to its end in the cluster's directory `home`, with `input` on its stdin, and returns
    /// what it printed, without the last line's end. An error tells what it complained of.
    pub(crate) fn run(&self, home: &Path, program: &str, arguments: &[&str], input: &str) -> Result<String> {
        self.run_in(&self.directory, home, program, arguments, input)
    }

    /// Runs a program of another directory in the same way.
    pub(crate) fn run_in(
        &self,
        directory: &Path,
        home: &Path,
        program: &str,
        arguments: &[&str],
        input: &str,
    ) -> Result<String> {
        let mut child = self
            .command("timeout")
            .args(["--kill-after=5", PROGRAM_SECONDS_MAX])
            .arg(directory.join(program))
            .args(arguments)
            .current_dir(home)
            // Clients look into $HOME for certificates and passwords; root's would be forbidden ground.
            .env("HOME", home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let stdin = child.stdin.take();
        // Written from a thread of its own: the program may print more than a pipe holds before it has read everything.
        let output = std::thread::scope(|scope| {
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
            child.wait_with_output()
        })
        .with_context(|| format!("cannot wait for {program}"))?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("{program} failed ({}): {}", output.status, complaint.trim_end());
        }
        let printed = String::from_utf8(output.stdout).with_context(|| format!("{program} printed no UTF-8"))?;
        Ok(printed.strip_suffix('\n').unwrap_or(&printed).to_owned())
    }
}

fn find_directory() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(BINARIES_VARIABLE) {
        return real_directory(Path::new(&named)).with_context(|| {
            format!("{BINARIES_VARIABLE} names a directory without initdb: {}", Path::new(&named).display())
        });
    }
    debian_directory().or_else(pg_config_directory).or_else(search_path_directory).with_context(|| {
        format!(
            "PostgreSQL's server programs (initdb, postgres) were not found: install them (Debian or Ubuntu: \
                 apt-get install postgresql), or name their directory in {BINARIES_VARIABLE}"
        )
    })
}

/// Where the programs of `directory` really are, if they are there.
fn real_directory(directory: &Path) -> Option<PathBuf> {
    let initdb = directory.join("initdb").canonicalize().ok()?;
    Some(initdb.parent()?.to_owned())
}

fn debian_directory() -> Option<PathBuf> {
    let versions = std::fs::read_dir(DEBIAN_VERSIONS).ok()?.filter_map(|entry| {
        let entry = entry.ok()?;
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((version, real_directory(&entry.path().join("bin"))?))
    });
    versions.max_by_key(|(version, _)| *version).map(|(_, directory)| directory)
}

fn pg_config_directory() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output().ok()?;
    real_directory(Path::new(std::str::from_utf8(&output.stdout).ok()?.trim_end()))
}

fn search_path_directory() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).find_map(|directory| real_directory(&directory))
}
