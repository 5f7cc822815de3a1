//! Finds the server's binary, and builds it where it is missing or older than its sources.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail, ensure};

/// What the server is built from, relative to the root of the workspace.
const SOURCES: [&str; 5] = ["src", "proto", "migrations", "Cargo.toml", "Cargo.lock"];

/// The binary to start: the one that was named, else the one beside our own, built if need be.
///
/// # Errors
/// Where there is none and none can be built.
pub(super) fn find(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        ensure!(path.is_file(), "{} is not a file; --server-binary names the server to test", path.display());
        return Ok(path.to_owned());
    }
    let own = std::env::current_exe().context("the load test cannot find its own executable")?;
    let directory = own.parent().context("the load test's executable lies in no directory")?;
    // A test program lies one deeper than what it tests.
    let directory = directory.parent().filter(|_| directory.ends_with("deps")).unwrap_or(directory);
    let binary = directory.join(format!("boxoffice{}", std::env::consts::EXE_SUFFIX));
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if is_current(&binary, &workspace) {
        return Ok(binary);
    }
    build(&workspace, directory)?;
    ensure!(binary.is_file(), "the build left no {}; name the server by --server-binary", binary.display());
    Ok(binary)
}

/// Whether the binary is there and nothing that it is built from is newer. Where the sources are gone, any is current.
fn is_current(binary: &Path, workspace: &Path) -> bool {
    let Some(built) = modified(binary) else { return false };
    SOURCES.iter().filter_map(|source| newest(&workspace.join(source))).all(|source| source <= built)
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

fn newest(path: &Path) -> Option<SystemTime> {
    if !path.is_dir() {
        return modified(path);
    }
    let entries = std::fs::read_dir(path).ok()?;
    entries.flatten().filter_map(|entry| newest(&entry.path())).max()
}

fn build(workspace: &Path, directory: &Path) -> Result<()> {
    ensure!(
        workspace.join("Cargo.toml").is_file(),
        "there is no boxoffice beside the load test and no source to build it from; name one by --server-binary"
    );
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace).args(["build", "-p", "boxoffice", "--bin", "boxoffice"]);
    if directory.ends_with("release") {
        cargo.arg("--release");
    }
    if let Some(target) = directory.parent() {
        cargo.arg("--target-dir").arg(target);
    }
    eprintln!("building the server, since it is missing or older than its sources: {cargo:?}");
    let status = cargo.status().context("cargo cannot be run to build the server; name one by --server-binary")?;
    if !status.success() {
        bail!("the server cannot be built ({status}); name one by --server-binary");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_is_current_until_a_source_is_newer() {
        let directory = tempfile::tempdir().unwrap();
        let (binary, source) = (directory.path().join("boxoffice"), directory.path().join("src"));
        assert!(!is_current(&binary, directory.path()), "missing");
        std::fs::create_dir(&source).unwrap();
        std::fs::write(source.join("lib.rs"), "").unwrap();
        std::fs::write(&binary, "").unwrap();
        assert!(is_current(&binary, directory.path()), "built after");
        let later = modified(&binary).unwrap() + std::time::Duration::from_secs(5);
        std::fs::File::options().write(true).open(source.join("lib.rs")).unwrap().set_modified(later).unwrap();
        assert!(!is_current(&binary, directory.path()), "changed since");
    }

    #[test]
    fn a_named_binary_must_exist() {
        let error = find(Some(Path::new("/nowhere/boxoffice"))).unwrap_err().to_string();
        assert!(error.contains("/nowhere/boxoffice") && error.contains("--server-binary"), "{error}");
    }
}
