//! What SQLite's errors mean to the engine.

use crate::storage::{BoxError, StoreError, unwrapped};

/// SQLite's primary result codes, as far as they are told apart (<https://sqlite.org/rescode.html>).
pub(super) mod code {
    pub(in crate::storage::sqlite) const BUSY: i32 = 5;
    pub(in crate::storage::sqlite) const LOCKED: i32 = 6;
    pub(in crate::storage::sqlite) const CORRUPT: i32 = 11;
    pub(in crate::storage::sqlite) const FULL: i32 = 13;
    pub(in crate::storage::sqlite) const CONSTRAINT: i32 = 19;
    pub(in crate::storage::sqlite) const READONLY: i32 = 8;
    pub(in crate::storage::sqlite) const NOTADB: i32 = 26;
}

/// The primary result code, if the error comes from SQLite itself.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// The primary result code, if the error of the lane's connection comes from SQLite itself.
pub(super) fn lane_code(error: &rusqlite::Error) -> Option<i32> {
    Some(error.sqlite_error()?.extended_code & 0xff)
}

/// Tells that the database is away, or that it holds nonsense. Never to try again: what keeps the file locked (another program; there
/// is one lane) was waited for already.
pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    let undecodable = matches!(
        error,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnIndexOutOfBounds { .. }
    );
    match primary_code(&error) {
        None if undecodable => StoreError::Corrupt(error.to_string()),
        code => of_code(code, unwrapped(error)),
    }
}

/// As [`store_error`], of the lane's connection.
pub(super) fn lane_error(error: rusqlite::Error) -> StoreError {
    match lane_code(&error) {
        None => StoreError::Corrupt(error.to_string()),
        code => of_code(code, Box::new(error)),
    }
}

fn of_code(code: Option<i32>, error: BoxError) -> StoreError {
    match code {
        Some(code::CORRUPT | code::NOTADB | code::CONSTRAINT) => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Unavailable(error),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn a_file_that_is_away_is_told_from_one_that_holds_nonsense() {
        // Extended codes among them: SQLITE_CORRUPT_INDEX, SQLITE_CONSTRAINT_CHECK and SQLITE_IOERR_FSYNC.
        let corrupt = [code::CORRUPT, code::NOTADB, code::CONSTRAINT, 779, 275];
        let away = [code::BUSY, code::LOCKED, code::FULL, code::READONLY, 1_034];
        let of = |code| lane_error(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        for code in corrupt {
            assert!(matches!(of(code), StoreError::Corrupt(_)), "{code}");
        }
        for code in away {
            assert!(matches!(of(code), StoreError::Unavailable(_)), "{code}");
        }
        assert!(matches!(lane_error(rusqlite::Error::InvalidQuery), StoreError::Corrupt(_)));
        let undecodable = sqlx::Error::Decode("no number".into());
        assert!(matches!(store_error(undecodable), StoreError::Corrupt(_)));
        assert!(matches!(store_error(sqlx::Error::PoolTimedOut), StoreError::Unavailable(_)));
    }
}
