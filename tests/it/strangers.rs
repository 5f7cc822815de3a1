//! Clients that others wrote: grpcio (C, in Python), grpc-js (Node.js), buf (Go) and nghttp2's tools (C). `scripts/strangers`
//! sets up the first two, with code generated from the protos, in the target directory.
//!
//! `BOXOFFICE_TEST_STRANGERS=off` leaves out what must be fetched.

mod examples;
mod sale;
mod tools;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

/// Longest wait for a client to end, the first fetch of its libraries aside.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether clients that must be fetched are left out.
fn left_out() -> bool {
    std::env::var("BOXOFFICE_TEST_STRANGERS").is_ok_and(|value| value == "off")
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where a client is set up: done now if it was not before.
async fn set_up(kind: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a directory in the target directory");
    let strangers = target.join("strangers");
    let mut script = Command::new(repository().join("scripts/strangers"));
    let done = script.arg(kind).arg(&strangers).output().await.expect("the script starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    strangers.join(kind)
}

/// A program of the Python client.
fn python(home: &Path, program: &str) -> Command {
    let paths = [home.join("generated"), repository().join("examples/python")];
    let mut command = Command::new(home.join("venv/bin/python"));
    command.env("PYTHONPATH", std::env::join_paths(paths).expect("paths without colons"));
    // No caches in the source tree.
    command.arg("-B").arg(repository().join(program));
    command
}

/// A program of the Node.js client.
fn node(home: &Path, program: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(home.join(program));
    command
}

/// Runs a client until it ends.
async fn output(command: &mut Command) -> Output {
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    tokio::time::timeout(PATIENCE, running).await.expect("it ends").expect("it starts")
}

#[test]
fn the_service_config_to_copy_is_the_one_that_is_tested() {
    let read = |path: &str| std::fs::read_to_string(repository().join(path)).expect("it is there");
    let indented: String = read("examples/service-config.json").lines().map(|line| format!("    {line}\n")).collect();
    assert!(read("docs/clients.md").contains(&indented));
}
