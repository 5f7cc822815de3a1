//! Files that are read again when they change: keys and certificates are replaced while the server runs.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::MissedTickBehavior;

use crate::causes::in_one_line;
use crate::storage::BoxError;

/// How often the files are looked at.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Most bytes of one file of keys, certificates or options: a wrong one, such as a database, is not read to its end.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}")]
pub struct FileError {
    /// Which.
    pub path: String,
    /// Why.
    #[source]
    pub source: BoxError,
}

impl FileError {
    /// What is wrong with `path`.
    pub fn new(path: &Path, source: impl Into<BoxError>) -> Self {
        Self { path: path.display().to_string(), source: source.into() }
    }
}

/// Reads a file of at most [`FILE_BYTES_MAX`].
///
/// # Errors
/// Where it cannot be read, or is larger.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let read = || {
        let mut content = Vec::new();
        // One byte more than allowed tells that there is more.
        File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
        if content.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "is larger than 1 MiB"));
        }
        Ok(content)
    };
    read().map_err(|error| FileError::new(path, error))
}

/// Some files, and which versions of them were seen last.
#[derive(Debug)]
pub struct FileSet {
    paths: Vec<PathBuf>,
    seen: Mutex<Vec<Option<Stamp>>>,
}

/// What changes when a file is written or replaced. (Links are followed: some deployments replace the link.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    device_and_inode: (u64, u64),
    changed_nanos: (i64, i64),
}

impl FileSet {
    /// Looks at `paths`. Made *before* the files are read, so that a change during the reading is seen later.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        let seen = paths.iter().map(|path| Stamp::of(path)).collect();
        Self { paths, seen: Mutex::new(seen) }
    }

    /// Whether one of them changed since the last look.
    pub fn changed(&self) -> bool {
        let now: Vec<_> = self.paths.iter().map(|path| Stamp::of(path)).collect();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *seen, now.clone()) != now
    }
}

impl Stamp {
    /// None: it cannot be looked at. That is a change as well, which the reading then tells of.
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            device_and_inode: (metadata.dev(), metadata.ino()),
            changed_nanos: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Something that was made from files.
pub trait Reload: Send + Sync {
    /// Which files, and what was seen of them.
    fn files(&self) -> &FileSet;

    /// Makes it anew. Where that fails, the old one stays in use.
    ///
    /// # Errors
    /// Where the files as they now are cannot be used.
    fn reload(&self) -> Result<(), FileError>;
}

/// Looks at the files of `each` every [`LOOK_INTERVAL`], and makes anew what they changed. Where that fails it is tried again
/// with every look, since the cause may not be in the files: a key that was taken away must go. Each failure is told once.
/// It ends when it is dropped.
pub async fn follow(what: &'static str, each: Arc<dyn Reload>) {
    let mut interval = tokio::time::interval(LOOK_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failure: Option<String> = None;
    loop {
        interval.tick().await;
        let (again, each) = (failure.is_some(), Arc::clone(&each));
        // A slow file system must not hold up requests.
        let look = move || (each.files().changed() || again).then(|| each.reload());
        let error = match tokio::task::spawn_blocking(look).await {
            Ok(None) => continue,
            Ok(Some(Ok(()))) => {
                failure = None;
                tracing::info!(what, "read again, and in use");
                continue;
            }
            Ok(Some(Err(error))) => in_one_line(&error),
            // The change has been seen, and would not be seen again.
            Err(_) => "the reading of them panicked".to_owned(),
        };
        if failure.as_ref() != Some(&error) {
            tracing::error!(what, error, "the new files cannot be used; the old ones stay in use");
        }
        failure = Some(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "a").unwrap();
        let set = FileSet::new(vec![path.clone()]);
        assert!(!set.changed());
        // Of the same length, and replaced as careful programs do it.
        std::fs::write(dir.path().join("new"), "b").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        assert!(set.changed());
        assert!(!set.changed());
        std::fs::remove_file(&path).unwrap();
        assert!(set.changed());
        assert!(!set.changed());
    }

    #[test]
    fn a_file_without_an_end_is_not_read_to_its_end() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(in_one_line(&error), "/dev/zero: is larger than 1 MiB");
    }
}
