//! Rows as SQLite takes them: values to bind, row after row.

use std::ops::Range;

use rusqlite::types::ValueRef;

use crate::storage::write::Table;

/// Values of a row, and bytes of its texts, roughly.
const ROW_VALUES: usize = 12;
const ROW_BYTES: usize = 160;

/// See the module.
pub(super) struct BoundRows {
    /// Row after row.
    values: Vec<Value>,
    /// How many of them the first row has, as all rows.
    width: usize,
    /// All texts, one after another.
    texts: String,
}

enum Value {
    Null,
    Int(i64),
    Text(Range<usize>),
}

impl BoundRows {
    /// The rows, each with its values.
    pub(super) fn rows(&self) -> impl ExactSizeIterator<Item = impl Iterator<Item = ValueRef<'_>>> {
        let bound = |value: &Value| match value {
            Value::Null => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(*value),
            Value::Text(range) => ValueRef::Text(&self.texts.as_bytes()[range.clone()]),
        };
        self.values.chunks(self.width.max(1)).map(move |row| row.iter().map(bound))
    }

    fn push_text(&mut self, text: &str) {
        let start = self.texts.len();
        self.texts.push_str(text);
        self.values.push(Value::Text(start..self.texts.len()));
    }
}

impl Table for BoundRows {
    fn with_capacity(rows: usize) -> Self {
        Self { values: Vec::with_capacity(rows * ROW_VALUES), width: 0, texts: String::with_capacity(rows * ROW_BYTES) }
    }

    fn begin_row(&mut self, event: &str) {
        self.push_text(event);
    }

    fn text(&mut self, value: &str) {
        self.push_text(value);
    }

    fn int(&mut self, value: i64) {
        self.values.push(Value::Int(value));
    }

    fn json(&mut self, push: impl FnOnce(&mut String)) {
        let start = self.texts.len();
        push(&mut self.texts);
        // What is not there is NULL, not the JSON value of that name.
        self.values.push(match &self.texts[start..] {
            "null" => Value::Null,
            json => Value::Text(start..start + json.len()),
        });
    }

    fn null(&mut self) {
        self.values.push(Value::Null);
    }

    fn end_row(&mut self) {
        if self.width == 0 {
            self.width = self.values.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(table: &BoundRows) -> Vec<Vec<ValueRef<'_>>> {
        table.rows().map(Iterator::collect).collect()
    }

    #[test]
    fn rows_hold_their_values_in_order() {
        let mut table = BoundRows::with_capacity(2);
        for (text, units) in [("b\"b", "null"), ("", r#"{"ga":2}"#)] {
            table.begin_row("gala");
            table.text(text);
            table.int(-7);
            table.null();
            table.json(|out| out.push_str(units));
            table.end_row();
        }
        let (text, number, null) =
            (|text: &'static str| ValueRef::Text(text.as_bytes()), ValueRef::Integer(-7), ValueRef::Null);
        let first = vec![text("gala"), text("b\"b"), number, null, null];
        assert_eq!(rows(&table), [first, vec![text("gala"), text(""), number, null, text(r#"{"ga":2}"#)]]);
        assert!(rows(&BoundRows::with_capacity(0)).is_empty());
    }
}
