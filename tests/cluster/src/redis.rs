//! A private Redis server.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::account::Account;
use crate::home::Home;
use crate::port::HeldPort;
use crate::process::ServerProcess;

/// The environment variable that names the directory of Redis's programs. It wins over the search path.
pub const REDIS_BINARIES_VARIABLE: &str = "BOXOFFICE_REDIS_BIN";

/// The server's program. It is called by this name: where it is a link to another one, the name says what to be.
const PROGRAM: &str = "redis-server";

/// The server's configuration, in its directory.
const CONFIGURATION: &str = "redis.conf";

/// How long a server that accepts a connection may take to answer it before it is asked again.
const PING_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long a server may take to become what it was told to be.
const TOLD_WAIT_MAX: Duration = Duration::from_secs(30);

/// What holds for every server. The append-only file, where there is one, is what survives; no snapshot is taken besides.
const COMMON_SETTINGS: &[(&str, &str)] = &[("bind", "127.0.0.1"), ("daemonize", "no"), ("save", "\"\"")];

/// How a server that appends every write to a file makes it survive the machine as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendSync {
    /// Before each answer: no acknowledged write is ever lost.
    Always,
    /// Once a second, as Redis does unless it is told otherwise.
    EverySecond,
}

/// How a Redis server is to be. The default is for tests: nothing is written to disk, and what is in it dies with it.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    append_only: Option<AppendSync>,
    settings: Vec<(String, String)>,
    base: Option<PathBuf>,
    tls: Option<(String, String)>,
    clustered: bool,
}

/// The certificate of a server with TLS and its key, in its directory.
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

impl RedisOptions {
    /// Every write is appended to a file, from which a server that is started again reads it.
    #[must_use]
    pub fn append_only(mut self, sync: AppendSync) -> Self {
        self.append_only = Some(sync);
        self
    }

    /// A line of `redis.conf`, with the value as it stands there. The last one of a name wins, over this crate's own too.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The existing directory in which the server's directory is made, such as a small tmpfs. The server's account (which is
    /// not root) must be allowed to make one there.
    #[must_use]
    pub fn base(mut self, base: impl Into<PathBuf>) -> Self {
        self.base = Some(base.into());
        self
    }

    /// Besides, it listens for TLS on a port of its own (see [`Redis::tls_port`]), with this certificate and key (PEM).
    #[must_use]
    pub fn tls(mut self, certificate: &str, key: &str) -> Self {
        self.tls = Some((certificate.to_owned(), key.to_owned()));
        self
    }

    /// It is a node of a cluster, which has no slots and knows no other yet.
    pub(crate) fn clustered(mut self) -> Self {
        self.clustered = true;
        self
    }

    fn lines(&self, port: u16, tls_port: Option<u16>, bus_port: Option<u16>) -> String {
        let append: &[_] = match self.append_only {
            None => &[("appendonly", "no")],
            Some(AppendSync::Always) => &[("appendonly", "yes"), ("appendfsync", "always")],
            Some(AppendSync::EverySecond) => &[("appendonly", "yes"), ("appendfsync", "everysec")],
        };
        let own = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let lines = COMMON_SETTINGS.iter().chain(append).copied().chain(own);
        let mut first = format!("port {port}\n");
        if let Some(port) = tls_port {
            let _ = write!(
                first,
                "tls-port {port}\ntls-cert-file {CERTIFICATE}\ntls-key-file {KEY}\ntls-auth-clients no\n"
            );
        }
        if let Some(port) = bus_port {
            // A node that is away is found out soon, and the others go on without it.
            let _ = write!(
                first,
                "cluster-enabled yes\ncluster-port {port}\ncluster-node-timeout 1000\ncluster-require-full-coverage no\n"
            );
        }
        lines.fold(first, |mut lines, (name, value)| {
            let _ = writeln!(lines, "{name} {value}");
            lines
        })
    }
}

/// A private Redis server, gone without a trace when this is dropped or when this process ends: a directory and a port of its
/// own on the loopback interface, and no password.
#[derive(Debug)]
pub struct Redis {
    account: Account,
    program: PathBuf,
    /// Before its home: it is killed by us rather than by the home's reaper.
    process: ServerProcess,
    home: Home,
    port: HeldPort,
    tls_port: Option<HeldPort>,
    bus_port: Option<HeldPort>,
}

impl Redis {
    /// Starts a new, empty server. Takes a few milliseconds.
    ///
    /// # Errors
    /// If Redis is not installed, or does not start with these options: then the message has the end of its log.
    pub fn start(options: &RedisOptions) -> Result<Self> {
        let program = find_program()?;
        let account = Account::find()?;
        let real = program.canonicalize().with_context(|| format!("no such program: {}", program.display()))?;
        let home = Home::make(options.base.as_deref(), account, &real)?;
        let port = HeldPort::take()?;
        let tls_port = options.tls.is_some().then(HeldPort::take).transpose()?;
        let bus_port = options.clustered.then(HeldPort::take).transpose()?;
        let [tls, bus] = [&tls_port, &bus_port].map(|port| port.as_ref().map(HeldPort::number));
        write_as(account, &home.path().join(CONFIGURATION), &options.lines(port.number(), tls, bus))?;
        if let Some((certificate, key)) = &options.tls {
            write_as(account, &home.path().join(CERTIFICATE), certificate)?;
            write_as(account, &home.path().join(KEY), key)?;
        }
        let process = ServerProcess::down("Redis");
        let redis = Self { account, program, process, home, port, tls_port, bus_port };
        redis.start_again()?;
        Ok(redis)
    }

    /// Starts the server that was stopped or killed, on the same directory and port, and waits until it answers: with an
    /// append-only file it has then read that again.
    ///
    /// # Errors
    /// If it runs already, or does not come up.
    pub fn start_again(&self) -> Result<()> {
        self.process.start(self.account, &self.home, &self.program, &[CONFIGURATION])?;
        self.wait_until_answering()
    }

    /// Waits until the server answers.
    ///
    /// # Errors
    /// If it is down or ends, or takes longer than two minutes.
    pub fn wait_until_answering(&self) -> Result<()> {
        self.process.wait_until(&self.home, || self.is_answering())
    }

    /// Stops the server in an orderly way. Nothing happens if it is down.
    ///
    /// # Errors
    /// If it does not stop within a minute.
    pub fn stop(&self) -> Result<()> {
        self.process.stop(&self.home, Signal::TERM)
    }

    /// Kills the server with SIGKILL, and waits until it is gone. Nothing happens if it is down.
    ///
    /// # Errors
    /// If it does not end.
    pub fn kill(&self) -> Result<()> {
        self.process.kill()
    }

    /// Stops the server where it is (SIGSTOP): to its clients it hangs.
    ///
    /// # Errors
    /// If it is down.
    pub fn pause(&self) -> Result<()> {
        self.process.pause()
    }

    /// Lets a paused server go on (SIGCONT).
    ///
    /// # Errors
    /// If it is down.
    pub fn resume(&self) -> Result<()> {
        self.process.resume()
    }

    /// The port on 127.0.0.1. It stays the same, and nobody else's, as long as this is.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The port for TLS, where it has one.
    pub fn tls_port(&self) -> Option<u16> {
        self.tls_port.as_ref().map(HeldPort::number)
    }

    /// The port on which nodes of a cluster speak to each other.
    pub(crate) fn bus_port(&self) -> Option<u16> {
        self.bus_port.as_ref().map(HeldPort::number)
    }

    /// Starts a second server that follows this one, and waits until it has all that is in it.
    ///
    /// # Errors
    /// If it does not start, or does not get it within half a minute.
    pub fn replica(&self, options: &RedisOptions) -> Result<Self> {
        let replica = Self::start(&options.clone().setting("replicaof", &format!("127.0.0.1 {}", self.port())))?;
        replica.wait_until_told("INFO replication", |info| info.contains("master_link_status:up"))?;
        Ok(replica)
    }

    /// Makes a replica a primary.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn promote(&self) -> Result<()> {
        self.tell("REPLICAOF NO ONE").map(|_| ())
    }

    /// Sends one command, its words separated by blanks, and returns the answer: a line, a number, or a text.
    ///
    /// # Errors
    /// If it answers with an error or a list, or not at all.
    pub fn tell(&self, command: &str) -> Result<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port()));
        let mut connection = TcpStream::connect_timeout(&address, PING_WAIT_MAX)?;
        connection.set_read_timeout(Some(PING_WAIT_MAX))?;
        connection.write_all(format!("{command}\r\n").as_bytes())?;
        let mut answer = BufReader::new(connection);
        let mut line = String::new();
        answer.read_line(&mut line)?;
        let line = line.trim_end();
        match line.split_at_checked(1) {
            Some(("+" | ":", rest)) => Ok(rest.to_owned()),
            Some(("$", length)) => {
                let mut text = vec![0; length.parse().unwrap_or(0)];
                answer.read_exact(&mut text)?;
                Ok(String::from_utf8(text)?)
            }
            _ => bail!("{command}: {line}"),
        }
    }

    /// Asks until the answer is as wished, for half a minute at most.
    pub(crate) fn wait_until_told(&self, command: &str, wished: impl Fn(&str) -> bool) -> Result<()> {
        let begin = Instant::now();
        loop {
            let answer = self.tell(command)?;
            if wished(&answer) {
                return Ok(());
            }
            if begin.elapsed() > TOLD_WAIT_MAX {
                bail!("{command} still says\n{answer}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// The server's own directory. Its configuration is `redis.conf` in it, and its log is `log`.
    pub fn directory(&self) -> &Path {
        self.home.path()
    }

    /// The process id of the server, unless it is down.
    pub fn pid(&self) -> Option<i32> {
        self.process.pid()
    }

    /// The end of the server's log, for the message when something fails.
    pub fn log(&self) -> String {
        self.home.log_tail()
    }

    /// Redis accepts connections while it still reads its file, and then answers that it is `LOADING`.
    fn is_answering(&self) -> bool {
        match self.tell("PING") {
            Ok(answer) => answer == "PONG",
            // With a password of the caller's choice, the refusal is an answer too.
            Err(error) => error.to_string().contains("-NOAUTH"),
        }
    }
}

/// Writes a file as its account, into a directory that may be its alone.
fn write_as(account: Account, path: &Path, text: &str) -> Result<()> {
    let mut command = account.command("sh");
    command.args(["-c", r#"cat >"$0""#]).arg(path).stdin(Stdio::piped());
    let mut child = command.spawn().context("cannot start sh")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if !child.wait().context("cannot wait for sh")?.success() {
        bail!("cannot write {}", path.display());
    }
    Ok(())
}

fn find_program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(REDIS_BINARIES_VARIABLE) {
        let program = Path::new(&named).join(PROGRAM);
        if !program.is_file() {
            bail!("{REDIS_BINARIES_VARIABLE} names a directory without {PROGRAM}: {}", Path::new(&named).display());
        }
        return Ok(program);
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|directory| directory.join(PROGRAM)).find(|path| path.is_file());
    found.with_context(|| {
        format!(
            "Redis ({PROGRAM}) was not found: install it (Debian or Ubuntu: apt-get install redis-server), or name its \
             directory in {REDIS_BINARIES_VARIABLE}"
        )
    })
}
