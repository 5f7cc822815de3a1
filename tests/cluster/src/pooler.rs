//! A connection pooler before a cluster.

use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::cluster::{Cluster, PASSWORD, SUPERUSER};
use crate::port::HeldPort;

/// How long it may take until it listens.
const START_WAIT_MAX: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Where Debian puts it; that is not on every user's search path.
const DEBIAN_PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A pgbouncer in transaction mode before a [`Cluster`], gone when this is dropped or when this process ends: it runs in the
/// cluster's directory, as its account, and the cluster's reaper knows it.
#[derive(Debug)]
pub struct Pooler {
    process: Child,
    port: HeldPort,
}

impl Cluster {
    /// Starts a pooler that shares `connections` of each database among all its clients.
    ///
    /// # Errors
    /// If pgbouncer is not installed, or does not start.
    pub fn pooler(&self, connections: usize) -> Result<Pooler> {
        let port = HeldPort::take()?;
        let name = format!("pgbouncer-{}", port.number());
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={} user={SUPERUSER}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {connections}\nmax_client_conn = 1000\n",
            self.port(),
            port.number()
        );
        // Written by its account, into a directory that may be its alone.
        let write = format!("cat >{name}.ini");
        self.programs.run_in(Path::new("/bin"), self.home.path(), "sh", &["-c", &write], &settings)?;
        let debian = PathBuf::from(DEBIAN_PROGRAM);
        let program = if debian.exists() { debian } else { PathBuf::from("pgbouncer") };
        let start = format!(r#"exec "$0" -q {name}.ini >{name}.log 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-"#);
        let process = self
            .programs
            .command("sh")
            .args(["-c", &start])
            .arg(program)
            .current_dir(self.home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start sh")?;
        let mut pooler = Pooler { process, port };
        pooler.wait_until_listening().with_context(|| {
            let log = std::fs::read_to_string(self.home.path().join(format!("{name}.log"))).unwrap_or_default();
            format!("pgbouncer does not run (Debian or Ubuntu: apt-get install pgbouncer); its log:\n{log}")
        })?;
        Ok(pooler)
    }
}

impl Pooler {
    /// Where clients find a database through it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port.number())
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }

    fn wait_until_listening(&mut self) -> Result<()> {
        let begin = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port.number())).is_err() {
            if let Some(status) = self.process.try_wait().context("cannot wait for pgbouncer")? {
                bail!("it ended: {status}");
            }
            if begin.elapsed() > START_WAIT_MAX {
                bail!("it does not listen");
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
