//! The disk of the database is full for a while.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use boxoffice_proto::v1;
use private_cluster::{Cluster, Options, fresh_database};

use crate::database_faults::{Reads, outage};
use crate::support::{Server, create_event};

/// Room for a cluster (about 50 MB) and a little more.
const DISK: &str = "size=96m,mode=1777";

/// Mounts a disk of the options `$1` at `$0` until its stdin ends, as it does when the test's process ends, however it ends.
const MOUNT: &str = r#"mount -t tmpfs -o "$1" tmpfs "$0" && echo mounted && cat; umount -l "$0""#;

/// A small disk of its own.
struct SmallDisk {
    path: PathBuf,
    mounted: Child,
    _directory: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`: this user may not mount one.
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("disk");
        std::fs::create_dir(&path).expect("a directory");
        make_passable(directory.path());
        let mut mounted = Command::new("sh")
            .args(["-c", MOUNT])
            .arg(&path)
            .arg(DISK)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let mut said = String::new();
        BufReader::new(mounted.stdout.take().expect("piped")).read_line(&mut said).expect("text");
        let disk = Self { path, mounted, _directory: directory };
        (said == "mounted\n").then_some(disk)
    }

    /// Writes to it until nothing more fits.
    fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("a file");
        for bytes in [1 << 20, 4_096] {
            let zeros = vec![0; bytes];
            while ballast.write_all(&zeros).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).expect("it is there");
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.mounted.stdin.take());
        let _ = self.mounted.wait();
    }
}

/// Temporary directories are private; the cluster's account must get through to the disk.
fn make_passable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("ours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_of_the_database_is_full() {
    let Some(disk) = SmallDisk::mount() else {
        // Past the test harness, which hides what a passing test prints.
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: the_disk_of_the_database_is_full: only root can mount a small disk");
        return;
    };
    let cluster = Cluster::start(&Options::default().base(&disk.path)).expect("a PostgreSQL server");
    let url = fresh_database(&cluster).expect("a database");
    let server = Server::start_on(&url, &[]);
    create_event(&server, v1::Event::default(), &[("floor", 1_000_000)]).await;
    // The log of what is written now has its room already.
    cluster.psql("postgres", "SELECT pg_switch_wal(); CHECKPOINT;").expect("a checkpoint");
    outage(&server, "disk full", Reads::GoOn, async || disk.fill(), async || disk.make_room()).await;
    drop(cluster);
}
