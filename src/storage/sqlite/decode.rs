//! Rows as sqlx gives them, to those who read beside the lane.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::error::store_error;
use crate::storage::Result;
use crate::storage::columns::Cells;

impl Cells for SqliteRow {
    fn opt_int(&self, at: usize) -> Result<Option<i64>> {
        self.try_get(at).map_err(store_error)
    }

    fn opt_text(&self, at: usize) -> Result<Option<&str>> {
        self.try_get(at).map_err(store_error)
    }
}
