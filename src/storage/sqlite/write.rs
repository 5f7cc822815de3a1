//! Rows as SQLite takes them: one JSON array of arrays, so that one statement serves any number of rows.

use crate::storage::json;
use crate::storage::write::Table;

/// Bytes of JSON that a row takes, roughly.
const ROW_BYTES: usize = 256;

/// See the module.
pub(super) struct JsonTable {
    pub(super) json: String,
}

impl JsonTable {
    fn field(&mut self) -> &mut String {
        self.json.push(',');
        &mut self.json
    }
}

impl Table for JsonTable {
    fn with_capacity(rows: usize) -> Self {
        let mut json = String::with_capacity(2 + rows * ROW_BYTES);
        json.push('[');
        Self { json }
    }

    fn begin_row(&mut self, event: &str) {
        self.json.push_str(if self.json.len() == 1 { "[" } else { ",[" });
        json::push_text(&mut self.json, event);
    }

    fn text(&mut self, value: &str) {
        json::push_text(self.field(), value);
    }

    fn int(&mut self, value: i64) {
        json::push_display(self.field(), value);
    }

    fn json(&mut self, push: impl FnOnce(&mut String)) {
        push(self.field());
    }

    fn null(&mut self) {
        self.field().push_str("null");
    }

    fn end_row(&mut self) {
        self.json.push(']');
    }

    fn finish(&mut self) {
        self.json.push(']');
    }
}
