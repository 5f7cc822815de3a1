//! A server that is attacked, and what it looks like from outside.

use std::process::Stdio;
use std::time::{Duration, Instant};

use boxoffice_proto::v1;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use crate::support::{Server, by, create_event, new_id, reason, wants};

/// How long anything may take that an honest client waits for, and the server's letting go of those who have gone. Far more than
/// it takes, since other tests run beside this one.
pub(super) const SOON: Duration = Duration::from_secs(10);

/// How long an attacker stays who has said everything, so that what he said is worked at, and not only read.
const LINGER: Duration = Duration::from_millis(30);
/// How much larger a server may be when it was attacked in the same way again. Its allocator keeps what was freed for what comes
/// next: at most what twelve connections of 2,048 streams took, of some 4 KiB each. In the long form that goes through it hundreds
/// of times, so a leak of a small part shows.
const RSS_GROWTH_BYTES_MAX: u64 = 96 * 1024 * 1024;
/// How many more files it may have open: connections of the store's that come and go.
const FILES_GROWTH_MAX: usize = 8;

/// A server process with an event on sale, whose log goes to a file.
pub(super) struct Victim {
    pub(super) server: Server,
    dir: TempDir,
    files: usize,
    /// Its size when it was settled, if it is.
    rss_bytes: Option<u64>,
}

impl Victim {
    pub(super) async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let log = std::fs::File::create(dir.path().join("log")).expect("a file");
        let mut command = Server::command();
        command.arg("--dev").arg("--data").arg(dir.path().join("data")).stderr(Stdio::from(log));
        let server = Server::spawn(command);
        create_event(&server, v1::Event::default(), &[("floor", 1_000_000)]).await;
        let mut victim = Self { server, dir, files: 0, rss_bytes: None };
        victim.serves().await;
        victim.files = victim.size().0;
        victim
    }

    /// From now on it must not grow.
    pub(super) fn is_settled(&mut self) {
        self.rss_bytes = Some(self.size().1);
    }

    pub(super) async fn connect(&self) -> TcpStream {
        let connected = tokio::time::timeout(SOON, TcpStream::connect(self.server.address())).await;
        connected.expect("a place").expect("a connection")
    }

    /// Says something, goes, and waits until the server has hung up. Returns how much it answered.
    pub(super) async fn say(&self, bytes: &[u8]) -> usize {
        let (mut from, mut to) = self.connect().await.into_split();
        let saying = async {
            // It may hang up before it has heard all.
            let _ = to.write_all(bytes).await;
            tokio::time::sleep(LINGER).await;
            let _ = to.shutdown().await;
        };
        let hearing = async {
            let (mut heard, mut buffer) = (0, vec![0; 16 * 1024]);
            while let Ok(length @ 1..) = from.read(&mut buffer).await {
                heard += length;
            }
            heard
        };
        let both = tokio::time::timeout(SOON, async { tokio::join!(saying, hearing).1 }).await;
        both.expect("the server hangs up on those who have gone")
    }

    /// An honest buyer is served, on a connection of his own.
    pub(super) async fn serves(&self) {
        let mut client = self.server.inventory();
        let bought = client.create_reservation(by("ann", wants(&new_id(), &[("floor", 1)])));
        let answer = tokio::time::timeout(SOON, bought).await.expect("an answer in time");
        if let Err(status) = answer {
            assert_eq!((status.code(), reason(&status).as_str()), (Code::Ok, ""), "honest buyers are served");
        }
    }

    /// Open files, and bytes in memory.
    fn size(&self) -> (usize, u64) {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.server.pid())).expect("it runs").count();
        (files, self.status_bytes("VmRSS:"))
    }

    /// Bytes in memory when they were most.
    pub(super) fn peak_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    fn status_bytes(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("its size");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib * 1024
    }

    /// It serves, has not panicked, and has let go of what the attack took.
    pub(super) async fn is_whole(&self, attack: &str) {
        self.serves().await;
        let log = std::fs::read_to_string(self.dir.path().join("log")).expect("its log");
        assert!(!log.contains("panicked"), "{attack}: {log}");
        let begun = Instant::now();
        loop {
            let (files, rss_bytes) = self.size();
            let grown_bytes = rss_bytes.saturating_sub(self.rss_bytes.unwrap_or(rss_bytes));
            if files <= self.files + FILES_GROWTH_MAX && grown_bytes <= RSS_GROWTH_BYTES_MAX {
                println!("hostile: {attack}: {files} files (before: {}), {rss_bytes} bytes", self.files);
                return;
            }
            let larger = format!("{files} files (before: {}), {grown_bytes} bytes more", self.files);
            assert!(begun.elapsed() < SOON, "{attack}: it has not let go: {larger}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
