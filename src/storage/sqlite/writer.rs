//! The lane's connection: statements run on the thread that asks for them.
//!
//! A batch is a few dozen statements of some microseconds each, which follow one another. To hand each of them, or all of them, to
//! another thread, as sqlx does, costs more than most of them.

use std::path::Path;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, Params, Row};

use super::error::lane_error;
use super::open::{BUSY_TIMEOUT, writer_pragmas};
use super::queries::{ROWS_AT_ONCE, RowStatement};
use crate::storage::columns::{Cells, Columns, corrupt};
use crate::storage::{Result, StoreError};

/// Statements that stay prepared: more than there are.
const STATEMENTS_MAX: usize = 64;

/// See the module.
pub(super) struct Writer {
    connection: Connection,
}

impl Writer {
    /// Opens a database that is there.
    pub(super) fn open(file: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags).map_err(lane_error)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(lane_error)?;
        for (name, value) in writer_pragmas() {
            connection.pragma_update(None, name, value).map_err(lane_error)?;
        }
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        Ok(Self { connection })
    }

    /// Runs a statement, and returns how many rows it changed.
    pub(super) fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    /// Runs a statement for each row of parameters, and returns how many rows they changed.
    pub(super) fn execute_each<'v>(
        &self,
        statement: &RowStatement,
        mut rows: impl ExactSizeIterator<Item = impl Iterator<Item = ValueRef<'v>>>,
    ) -> rusqlite::Result<usize> {
        let mut changed = 0;
        if let Some(sql) = &statement.rows_at_once {
            changed += self.execute_by(ROWS_AT_ONCE, sql, &mut rows)?;
        }
        changed += self.execute_by(1, statement.one_row, &mut rows)?;
        Ok(changed)
    }

    /// Runs a statement that takes so many rows, as long as there are as many.
    fn execute_by<'v>(
        &self,
        rows_at_once: usize,
        sql: &str,
        rows: &mut impl ExactSizeIterator<Item = impl Iterator<Item = ValueRef<'v>>>,
    ) -> rusqlite::Result<usize> {
        if rows.len() < rows_at_once {
            return Ok(0);
        }
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut changed = 0;
        while rows.len() >= rows_at_once {
            for (index, value) in rows.by_ref().take(rows_at_once).flatten().enumerate() {
                statement.raw_bind_parameter(index + 1, ToSqlOutput::Borrowed(value))?;
            }
            changed += statement.raw_execute()?;
        }
        Ok(changed)
    }

    /// Reads all rows of a query.
    pub(super) fn query<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(lane_error)?;
        let mut rows = statement.query(params).map_err(lane_error)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(lane_error)? {
            found.push(read(&mut Columns::of(row))?);
        }
        Ok(found)
    }

    /// How large the database may become.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages_max: u32) {
        self.connection.pragma_update(None, "max_page_count", pages_max).unwrap();
    }

    /// Whether a transaction is open: SQLite ends it by itself after some errors.
    pub(super) fn is_in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }
}

impl Cells for Row<'_> {
    fn opt_int(&self, at: usize) -> Result<Option<i64>> {
        match self.get_ref(at).map_err(lane_error)? {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(value) => Ok(Some(value)),
            other => Err(other_type("number", other)),
        }
    }

    fn opt_text(&self, at: usize) -> Result<Option<&str>> {
        match self.get_ref(at).map_err(lane_error)? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(text) => {
                std::str::from_utf8(text).map(Some).map_err(|_| corrupt("text", "what is no UTF-8"))
            }
            other => Err(other_type("text", other)),
        }
    }
}

fn other_type(what: &str, value: ValueRef<'_>) -> StoreError {
    corrupt(what, &format!("a value of type {}", value.data_type()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::sqlite::tests::SqliteBackend;

    #[tokio::test]
    async fn a_commit_is_synced_and_no_database_is_made() {
        let backend = SqliteBackend::fresh().await;
        let file = backend.dir.path().join("boxoffice.db");
        let writer = Writer::open(&file).unwrap();
        let set =
            |pragma: &str| writer.connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(["synchronous", "foreign_keys", "mmap_size", "temp_store"].map(set), [2, 0, 0, 2]);
        assert_eq!(["cache_size", "wal_autocheckpoint"].map(set), [-4_096, 0]);
        let mode: String = writer.connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        let missing = Writer::open(&backend.dir.path().join("other.db")).map(drop);
        assert!(matches!(missing, Err(StoreError::Unavailable(_))), "{missing:?}");
    }
}
