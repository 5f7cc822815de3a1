//! A server's life: made, started, killed, started again, removed.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use crate::home::Home;
use crate::port::HeldPort;
use crate::process::ServerProcess;
use crate::programs::Programs;

/// The superuser of every cluster.
pub(crate) const SUPERUSER: &str = "postgres";

/// Nobody is asked for it (trust). It is in the URLs so that the tests notice where a program prints one.
pub(crate) const PASSWORD: &str = "pa55word-that-nobody-must-print";

/// What holds for every cluster. Dynamic shared memory lies in the data directory, because else a killed server would leave
/// it in `/dev/shm`.
const COMMON_SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("dynamic_shared_memory_type", "mmap"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_line_prefix", "%m [%p] %d %a "),
];

/// How a cluster is to be. The default is for tests: not durable, in the usual place for temporary files.
#[derive(Debug, Clone, Default)]
pub struct Options {
    durable: bool,
    settings: Vec<(String, String)>,
    base: Option<PathBuf>,
}

impl Options {
    /// Commits wait for the disk, as in production. Without this they do not (`fsync` and `full_page_writes` are off): what
    /// is committed survives the death of the server, but not that of the machine.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// A line of `postgresql.conf`; the value needs no quotes. The last one of a name wins, over this crate's own too.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The existing directory in which the cluster's directory is made, such as a small tmpfs. The cluster's account (which
    /// is not root) must be allowed to make one there.
    #[must_use]
    pub fn base(mut self, base: impl Into<PathBuf>) -> Self {
        self.base = Some(base.into());
        self
    }

    pub(crate) fn base_directory(&self) -> Option<&Path> {
        self.base.as_deref()
    }

    /// What is appended to `postgresql.conf`.
    fn lines(&self) -> String {
        let durability = if self.durable { "on" } else { "off" };
        let durability = [("fsync", durability), ("full_page_writes", durability)];
        let own = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        COMMON_SETTINGS.iter().copied().chain(durability).chain(own).fold(String::new(), |mut lines, (name, value)| {
            let _ = writeln!(lines, "{name} = '{}'", value.replace('\'', "''"));
            lines
        })
    }
}

/// A private PostgreSQL server, gone without a trace when this is dropped or when this process ends.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) programs: Programs,
    /// Before its home: it is killed at once, rather than by the home's reaper one after the other.
    postmaster: ServerProcess,
    pub(crate) home: Home,
    port: HeldPort,
}

impl Cluster {
    /// Makes a new, empty cluster (UTF-8, locale C) and starts its server. Takes about a second.
    ///
    /// # Errors
    /// If PostgreSQL is not installed, or does not start with these options: then the message has the end of its log.
    pub fn start(options: &Options) -> Result<Self> {
        let programs = Programs::find()?;
        let home = Home::make(options.base_directory(), programs.account(), programs.directory())?;
        let user = format!("--username={SUPERUSER}");
        // Trust: on the loopback interface (and for replication too) nobody is asked for a password.
        let arguments = ["--pgdata=data", "--no-sync", "--auth=trust", "--encoding=UTF8", "--no-locale", user.as_str()];
        programs.run(home.path(), "initdb", &arguments, "")?;
        Self::start_in(programs, home, options)
    }

    /// Starts a server on a data directory that is there already.
    pub(crate) fn start_in(programs: Programs, home: Home, options: &Options) -> Result<Self> {
        let conf = home.data().join("postgresql.conf");
        std::fs::OpenOptions::new()
            .append(true)
            .open(&conf)
            .and_then(|mut file| file.write_all(options.lines().as_bytes()))
            .with_context(|| format!("cannot write {}", conf.display()))?;
        let cluster = Self { programs, postmaster: ServerProcess::down("PostgreSQL"), home, port: HeldPort::take()? };
        cluster.start_again()?;
        Ok(cluster)
    }

    /// Starts the server that was stopped or killed, on the same directory and port, and waits until it accepts connections.
    ///
    /// # Errors
    /// If it runs already, or does not come up.
    pub fn start_again(&self) -> Result<()> {
        let (program, port) = (self.programs.directory().join("postgres"), self.port().to_string());
        let arguments = ["-D", "data", "-p", port.as_str()];
        self.postmaster.start(self.programs.account(), &self.home, &program, &arguments)?;
        self.wait_until_accepting()
    }

    /// Waits until the server accepts connections.
    ///
    /// # Errors
    /// If it is down or ends, or takes longer than two minutes.
    pub fn wait_until_accepting(&self) -> Result<()> {
        let port = self.port().to_string();
        let arguments = ["-h", "127.0.0.1", "-p", port.as_str(), "-U", SUPERUSER, "-d", "postgres", "-t", "5"];
        let ready = || self.programs.run(self.home.path(), "pg_isready", &arguments, "").is_ok();
        self.postmaster.wait_until(&self.home, ready)
    }

    /// Stops the server in an orderly way, without waiting for its clients ("fast"). Nothing happens if it is down.
    ///
    /// # Errors
    /// If it does not stop within a minute.
    pub fn stop(&self) -> Result<()> {
        self.postmaster.stop(&self.home, Signal::INT)
    }

    /// Kills the server and all its processes with SIGKILL, at one moment, and waits until all are gone. Nothing happens if
    /// it is down.
    ///
    /// # Errors
    /// If a process does not end.
    pub fn kill(&self) -> Result<()> {
        self.postmaster.kill()
    }

    /// Stops the server and all its processes where they are (SIGSTOP): to its clients it hangs.
    ///
    /// # Errors
    /// If it is down.
    pub fn pause(&self) -> Result<()> {
        self.postmaster.pause()
    }

    /// Lets a paused server go on (SIGCONT).
    ///
    /// # Errors
    /// If it is down.
    pub fn resume(&self) -> Result<()> {
        self.postmaster.resume()
    }

    /// The port on 127.0.0.1. It stays the same, and nobody else's, as long as the cluster is.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The cluster's own directory. The data directory is `data` in it, and the server's log is `log`.
    pub fn directory(&self) -> &Path {
        self.home.path()
    }

    /// Where clients find a database, as the superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port())
    }

    /// The process id of the postmaster, unless it is down.
    pub fn pid(&self) -> Option<i32> {
        self.postmaster.pid()
    }

    /// The end of the server's log, for the message when something fails.
    pub fn log(&self) -> String {
        self.home.log_tail()
    }
}
