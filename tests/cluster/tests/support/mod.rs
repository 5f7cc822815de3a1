//! What the tests of all kinds of servers need: processes that are looked at, and this program as its own child.

use std::fs::Permissions;
use std::io::BufRead;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Tells a test that it runs in a process of its own, as somebody's child.
pub(crate) const CHILD_VARIABLE: &str = "PRIVATE_CLUSTER_CHILD";

pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(30), "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The fields of `/proc/PID/stat` behind the program's name: state, parent, …
pub(crate) fn stat(pid: i32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(") ")?.1.split_whitespace().map(str::to_owned).collect();
    Some(fields)
}

pub(crate) fn runs(pid: i32) -> bool {
    stat(pid).is_some_and(|fields| fields[0] != "Z" && fields[0] != "X")
}

/// Reads what a helper says that it owns: its directory, and its postmaster or pooler.
pub(crate) fn owned(lines: &mut impl BufRead) -> (PathBuf, i32) {
    let line =
        lines.lines().map(|line| line.expect("text")).find_map(|line| Some(line.strip_prefix("OWNED ")?.to_owned()));
    let line = line.expect("it says what it owns");
    let (directory, pid) = line.split_once(' ').expect("two words");
    (PathBuf::from(directory), pid.parse().expect("a number"))
}

pub(crate) fn this_program() -> PathBuf {
    std::env::current_exe().expect("we run")
}

/// A test program, running one test in a process of its own.
pub(crate) fn child(program: &Path, test: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", test, "--nocapture"]).env(CHILD_VARIABLE, "1");
    // What is set for PostgreSQL's clients elsewhere is not meant for a private server.
    command.env("PGHOST", "nowhere.invalid").env("PGOPTIONS", "--nonsense");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// A temporary directory in which anybody may make files.
pub(crate) fn public_directory() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o1777)).expect("it is ours");
    directory
}
