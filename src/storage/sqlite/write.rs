//! Rows as SQLite takes them: values to bind, row after row. Journal entries become chunks first: see [`Chunks`].

use std::ops::Range;

use rusqlite::types::ValueRef;

use super::journal::Chunks;
use crate::storage::json;
use crate::storage::write::Table;

/// Values of a row, and bytes of its texts, roughly.
const ROW_VALUES: usize = 12;
const ROW_BYTES: usize = 160;

/// See the module.
#[derive(Default)]
pub(super) struct BoundRows {
    /// Row after row.
    values: Vec<Value>,
    /// How many of them the first row has, as all rows.
    width: usize,
    /// All texts, one after another.
    texts: String,
    /// What becomes of journal entries.
    chunks: Option<Chunks>,
}

enum Value {
    Null,
    Int(i64),
    Text(Range<usize>),
}

impl BoundRows {
    /// The rows, each with its values.
    pub(super) fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = ValueRef<'_>>> {
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
        let (values, texts) = (Vec::with_capacity(rows * ROW_VALUES), String::with_capacity(rows * ROW_BYTES));
        Self { values, texts, ..Self::default() }
    }

    fn of_journal(entries: usize) -> Self {
        Self { chunks: Some(Chunks::new(entries)), ..Self::default() }
    }

    fn begin_row(&mut self, event: &str) {
        match &mut self.chunks {
            Some(chunks) => chunks.begin_entry(event),
            None => self.push_text(event),
        }
    }

    fn text(&mut self, value: &str) {
        match &mut self.chunks {
            Some(chunks) => json::push_text(chunks.field(), value),
            None => self.push_text(value),
        }
    }

    fn int(&mut self, value: i64) {
        match &mut self.chunks {
            Some(chunks) => chunks.int(value),
            None => self.values.push(Value::Int(value)),
        }
    }

    fn json(&mut self, push: impl FnOnce(&mut String)) {
        if let Some(chunks) = &mut self.chunks {
            return push(chunks.field());
        }
        let start = self.texts.len();
        push(&mut self.texts);
        // What is not there is NULL, not the JSON value of that name.
        self.values.push(match &self.texts[start..] {
            "null" => Value::Null,
            json => Value::Text(start..start + json.len()),
        });
    }

    fn null(&mut self) {
        match &mut self.chunks {
            Some(chunks) => chunks.field().push_str("null"),
            None => self.values.push(Value::Null),
        }
    }

    fn end_row(&mut self) {
        match &mut self.chunks {
            Some(chunks) => chunks.end_entry(),
            None if self.width == 0 => self.width = self.values.len(),
            None => {}
        }
    }

    fn finish(&mut self, rows: u64) -> u64 {
        let Some(chunks) = self.chunks.take() else { return rows };
        let chunks = chunks.finish();
        for (event, last_seq, entries) in &chunks {
            self.begin_row(event);
            self.int(*last_seq);
            self.text(entries);
            self.end_row();
        }
        chunks.len() as u64
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
        assert_eq!(table.finish(2), 2);
        let (text, number, null) =
            (|text: &'static str| ValueRef::Text(text.as_bytes()), ValueRef::Integer(-7), ValueRef::Null);
        let first = vec![text("gala"), text("b\"b"), number, null, null];
        assert_eq!(rows(&table), [first, vec![text("gala"), text(""), number, null, text(r#"{"ga":2}"#)]]);
        let mut none = BoundRows::with_capacity(0);
        assert_eq!((none.finish(0), rows(&none)), (0, vec![]));
    }

    #[test]
    fn journal_entries_become_chunks_of_one_event() {
        let mut table = BoundRows::of_journal(4);
        for (event, seq, kind) in
            [("gala", 7, "RESERVED"), ("gala", 8, "SOLD"), ("gala", 9, "RESERVED"), ("zoo", 1, "SOLD")]
        {
            table.begin_row(event);
            table.int(seq);
            table.text("id");
            table.null();
            table.int(5);
            table.text(kind);
            table.end_row();
        }
        assert_eq!(table.finish(4), 2);
        let gala = r#"[[{"7":["id",null],"9":["id",null]},5,"RESERVED"],[{"8":["id",null]},5,"SOLD"]]"#;
        let zoo = r#"[[{"1":["id",null]},5,"SOLD"]]"#;
        let chunk = |event: &'static str, last, entries: &'static str| {
            vec![ValueRef::Text(event.as_bytes()), ValueRef::Integer(last), ValueRef::Text(entries.as_bytes())]
        };
        assert_eq!(rows(&table), [chunk("gala", 9, gala), chunk("zoo", 1, zoo)]);
    }

    #[test]
    fn a_chunk_does_not_grow_without_end() {
        let mut table = BoundRows::of_journal(300);
        for seq in 1..=300 {
            table.begin_row("gala");
            table.int(seq);
            table.text("id");
            table.text("ann");
            table.int(5);
            table.end_row();
        }
        assert_eq!(table.finish(300), 3);
        let last: Vec<_> = rows(&table).iter().map(|chunk| chunk[1].as_i64().unwrap()).collect();
        assert_eq!(last, [128, 256, 300]);
    }
}
