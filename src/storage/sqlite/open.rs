//! Opens the data directory, or says in one line why not. A file that is refused is not changed.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _};

use super::error::{code, primary_code};
use super::queries;
use crate::storage::migrations::{Script, migrator};
use crate::storage::{BoxError, unwrapped};

/// The database's file in the data directory.
const DATABASE_FILE: &str = "boxoffice.db";
/// Locked for as long as a server uses the directory.
const LOCK_FILE: &str = "boxoffice.lock";
/// What `PRAGMA application_id` says of Boxoffice's files ("BxOf"); the first migration sets it.
const APPLICATION_ID: i64 = 0x4278_4F66;
/// How long a statement waits for a lock that another program holds on the file.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// SQLITE_IOERR_SHMSIZE: there is no room for the index of the write-ahead log.
const SHM_SIZE: &str = "4874";
/// What every connection sets.
const COMMON_PRAGMAS: [(&str, &str); 3] = [("foreign_keys", "OFF"), ("temp_store", "MEMORY"), ("mmap_size", "0")];
/// What one that writes sets besides.
///
/// The page cache is in KiB (negative: that is how SQLite tells KiB from pages); more than stays in a processor's caches makes what is
/// written to new pages slower. No commit copies the log: where a reader holds that up, each would sort all of it first, in vain, and the first
/// one after him would copy it while everybody waits. The checkpointer does.
const WRITER_PRAGMAS: [(&str, &str); 3] =
    [("synchronous", "FULL"), ("cache_size", "-4096"), ("wal_autocheckpoint", "0")];
/// Page cache of each reader.
const READER_CACHE: &str = "-4096";
/// Rows that wait between a connection's thread and its user.
const ROWS_BUFFERED: usize = 512;

const SCRIPTS: [Script; 4] = [
    (1, "inventory", include_str!("../../../migrations/sqlite/0001_inventory.sql")),
    (2, "waiting room", include_str!("../../../migrations/sqlite/0002_waiting_room.sql")),
    (3, "checks", include_str!("../../../migrations/sqlite/0003_checks.sql")),
    (4, "cheaper reservations", include_str!("../../../migrations/sqlite/0004_cheaper_reservations.sql")),
];
pub(super) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| migrator(&SCRIPTS));

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be created, or no file in it.
    #[error("cannot write in the data directory {}", dir.display())]
    Directory {
        /// Which.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process holds the lock.
    #[error("{} is in use by another Boxoffice server", dir.display())]
    InUse {
        /// Which directory.
        dir: PathBuf,
    },
    /// The file or its file system is read-only.
    #[error("the database {} is read-only", file.display())]
    ReadOnly {
        /// Which.
        file: PathBuf,
    },
    /// There is nothing to read.
    #[error("there is no database {}", file.display())]
    Missing {
        /// Which.
        file: PathBuf,
    },
    /// An older Boxoffice made the tables, and a reader may not change them.
    #[error("the tables of {} are of an older version of Boxoffice; start a server on it first", file.display())]
    Older {
        /// Which.
        file: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a Boxoffice database", file.display())]
    Foreign {
        /// Which.
        file: PathBuf,
    },
    /// The file's content is damaged.
    #[error("the database {} is damaged; restore it from a backup", file.display())]
    Damaged {
        /// Which.
        file: PathBuf,
        /// What SQLite met.
        #[source]
        source: BoxError,
    },
    /// A newer Boxoffice has changed the tables.
    #[error("the database {} was written by a newer version of Boxoffice (schema {version}); use that version", file.display())]
    Newer {
        /// Which.
        file: PathBuf,
        /// The newest schema in it.
        version: i64,
    },
    /// Another program, not Boxoffice, holds a lock on the file.
    #[error("the database {} is locked by another program", file.display())]
    Locked {
        /// Which.
        file: PathBuf,
    },
    /// There is no room for it.
    #[error("the disk is full: no room for the database {}", file.display())]
    DiskFull {
        /// Which.
        file: PathBuf,
    },
    /// Anything else.
    #[error("cannot open the database {}", file.display())]
    Other {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: BoxError,
    },
}

impl OpenError {
    fn of(file: &Path, error: sqlx::Error) -> Self {
        let file = file.to_owned();
        match primary_code(&error) {
            Some(code::NOTADB) => Self::Foreign { file },
            Some(code::CORRUPT) => Self::Damaged { file, source: unwrapped(error) },
            Some(code::READONLY) => Self::ReadOnly { file },
            Some(code::BUSY | code::LOCKED) => Self::Locked { file },
            Some(code::FULL) => Self::DiskFull { file },
            _ if error.as_database_error().and_then(|error| error.code()).as_deref() == Some(SHM_SIZE) => {
                Self::DiskFull { file }
            }
            _ => Self::Other { file, source: unwrapped(error) },
        }
    }

    fn of_migration(file: &Path, error: MigrateError) -> Self {
        if let MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) = error {
            return Self::of(file, error);
        }
        Self::Other { file: file.to_owned(), source: Box::new(error) }
    }
}

/// The files of a data directory, locked.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) database: PathBuf,
    lock: File,
}

impl Files {
    /// Lets another server have them.
    pub(super) fn unlock(&self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "unlocking the data directory");
        }
    }
}

/// Locks the directory, checks the file in it, and brings its tables up to date.
pub(super) async fn open(dir: &Path) -> Result<Files, OpenError> {
    let files = lock(dir)?;
    let file = &files.database;
    if check_file(file)? {
        check_content(file).await?;
    }
    let options = writer_options(file).create_if_missing(true);
    let mut connection = options.connect().await.map_err(|error| OpenError::of(file, error))?;
    // `run` takes a connection in a way that makes this future impossible to send to another thread.
    let migrated = MIGRATIONS.run_direct(None, &mut connection, false).await;
    migrated.map_err(|error| OpenError::of_migration(file, error))?;
    let dropped = sqlx::query(queries::DROP_STATISTICS).execute(&mut connection).await;
    dropped.map_err(|error| OpenError::of(file, error))?;
    connection.close().await.map_err(|error| OpenError::of(file, error))?;
    Ok(files)
}

/// Locks the directory, so that no server changes what is read, and checks the file in it. Nothing is made or changed but
/// the lock's file.
pub(super) async fn open_to_read(dir: &Path) -> Result<Files, OpenError> {
    let database = dir.join(DATABASE_FILE);
    match database.metadata() {
        Ok(metadata) if metadata.len() > 0 => {}
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(OpenError::Other { file: database, source: Box::new(error) });
        }
        Ok(_) | Err(_) => return Err(OpenError::Missing { file: database }),
    }
    let files = lock(dir)?;
    let known = MIGRATIONS.iter().map(|migration| migration.version).max();
    match check_content(&files.database).await? {
        None => Err(OpenError::Missing { file: files.database }),
        Some(version) if Some(version) < known => Err(OpenError::Older { file: files.database }),
        Some(_) => Ok(files),
    }
}

fn lock(dir: &Path) -> Result<Files, OpenError> {
    let refused = |source| OpenError::Directory { dir: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(refused)?;
    let lock = File::options().create(true).append(true).open(dir.join(LOCK_FILE)).map_err(refused)?;
    match lock.try_lock() {
        Ok(()) => Ok(Files { database: dir.join(DATABASE_FILE), lock }),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(refused(source)),
    }
}

/// Whether there is a database file already.
fn check_file(file: &Path) -> Result<bool, OpenError> {
    match file.metadata() {
        Ok(metadata) if metadata.permissions().readonly() => Err(OpenError::ReadOnly { file: file.to_owned() }),
        Ok(metadata) => Ok(metadata.len() > 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(OpenError::Other { file: file.to_owned(), source: Box::new(error) }),
    }
}

/// Looks, without writing, whether the file is a database of Boxoffice that this version knows. Returns its newest migration.
async fn check_content(file: &Path) -> Result<Option<i64>, OpenError> {
    let failed = |error| OpenError::of(file, error);
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(BUSY_TIMEOUT).read_only(true);
    let mut connection = options.disable_statement_logging().connect().await.map_err(failed)?;
    let application: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut connection).await.map_err(failed)?;
    let tables = "SELECT count(*) FILTER (WHERE tbl_name <> '_sqlx_migrations'), count(*) FILTER (WHERE name = '_sqlx_migrations')
                    FROM sqlite_schema";
    let (tables, of_migrations): (i64, i64) =
        sqlx::query_as(tables).fetch_one(&mut connection).await.map_err(failed)?;
    let foreign = || OpenError::Foreign { file: file.to_owned() };
    if application != APPLICATION_ID && tables > 0 {
        return Err(foreign());
    }
    let newest: Option<i64> = if of_migrations > 0 {
        let newest = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations");
        newest.fetch_one(&mut connection).await.map_err(failed)?
    } else {
        None
    };
    // A database without tables, or with that of the migrations and nothing in it, was begun by a server that ended before its first
    // migration did.
    if application != APPLICATION_ID && newest.is_some() {
        return Err(foreign());
    }
    connection.close().await.map_err(failed)?;
    match newest {
        Some(version) if !MIGRATIONS.version_exists(version) => {
            Err(OpenError::Newer { file: file.to_owned(), version })
        }
        newest => Ok(newest),
    }
}

/// Options of a connection that writes. A file that is gone while a server runs is not made anew: it would be an empty one.
pub(super) fn writer_options(file: &Path) -> SqliteConnectOptions {
    let options = common_options(file).journal_mode(SqliteJournalMode::Wal);
    WRITER_PRAGMAS.into_iter().fold(options, |options, (name, value)| options.pragma(name, value))
}

/// What a connection that writes sets, for one that is not made by [`writer_options`].
pub(super) fn writer_pragmas() -> impl Iterator<Item = (&'static str, &'static str)> {
    COMMON_PRAGMAS.into_iter().chain(WRITER_PRAGMAS)
}

/// Options of a connection that only reads.
pub(super) fn reader_options(file: &Path) -> SqliteConnectOptions {
    common_options(file).pragma("cache_size", READER_CACHE).pragma("query_only", "ON")
}

fn common_options(file: &Path) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(ROWS_BUFFERED)
        .disable_statement_logging();
    COMMON_PRAGMAS.into_iter().fold(options, |options, (name, value)| options.pragma(name, value))
}
