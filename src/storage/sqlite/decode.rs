//! Rows as SQLite gives them.

use serde_json::Value;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::error::store_error;
use crate::storage::columns::{Cells, Columns, corrupt};
use crate::storage::{Result, StoreError};

impl Cells for SqliteRow {
    fn opt_int(&self, at: usize) -> Result<Option<i64>> {
        self.try_get(at).map_err(store_error)
    }

    fn opt_text(&self, at: usize) -> Result<Option<&str>> {
        self.try_get(at).map_err(store_error)
    }
}

/// Rows that come as one JSON text. A row of its own costs a waking of the thread that waits for it.
pub(super) type Table = Vec<Vec<Value>>;

/// Reads the table that is the one value of the one row of a statement.
pub(super) fn table(rows: &[SqliteRow]) -> Result<Table> {
    let Some(row) = rows.first() else { return Err(StoreError::Corrupt("a statement without its row".to_owned())) };
    let text = Columns::of(row).text()?;
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("a table: {error}")))
}

impl Cells for Vec<Value> {
    fn opt_int(&self, at: usize) -> Result<Option<i64>> {
        let value = value(self, at)?;
        let number = value.as_i64();
        if number.is_some() || value.is_null() { Ok(number) } else { Err(corrupt("number", &value.to_string())) }
    }

    fn opt_text(&self, at: usize) -> Result<Option<&str>> {
        let value = value(self, at)?;
        let text = value.as_str();
        if text.is_some() || value.is_null() { Ok(text) } else { Err(corrupt("text", &value.to_string())) }
    }
}

fn value(row: &[Value], at: usize) -> Result<&Value> {
    row.get(at).ok_or_else(|| StoreError::Corrupt(format!("a row without column {at}")))
}
