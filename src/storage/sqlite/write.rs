//! Rows as SQLite takes them: one JSON array of arrays, so that one statement serves any number of rows.
//!
//! Where rows have much in common, that stands there once for all of them: see [`Groups`]. Journal entries become chunks: see
//! [`Chunks`].

use super::journal::Chunks;
use crate::storage::json;
use crate::storage::write::Table;

/// Bytes of JSON that a row takes, roughly.
const ROW_BYTES: usize = 256;
/// Bytes of what a row has of its own, roughly.
const OWN_BYTES: usize = 96;
/// In so many of the latest groups a row is looked for others with which it has all in common.
const GROUPS_SEARCHED: usize = 16;

/// See the module.
pub(super) struct JsonTable {
    /// All rows, once it is finished.
    pub(super) json: String,
    form: Form,
}

enum Form {
    Rows,
    Groups(Groups),
    Journal(Chunks),
}

/// Rows by what they have in common: `[{"key": [own, …], …}, common, …], …`. The key is the first of a row's own values.
pub(super) struct Groups {
    groups: Vec<Group>,
    /// How many values of a row are its own: at least two.
    own: usize,
    /// The present row: its values so far, and their JSON.
    values: usize,
    row_own: String,
    row_common: String,
    /// Bytes to set aside for the first group, which often has all rows.
    room: usize,
}

struct Group {
    rows: String,
    common: String,
}

impl Groups {
    /// With room for so many rows, of whose values the first `own` are their own.
    pub(super) fn new(rows: usize, own: usize) -> Self {
        let (groups, row_own, row_common) = Default::default();
        Self { groups, own, values: 0, row_own, row_common, room: rows * OWN_BYTES }
    }

    pub(super) fn begin_row(&mut self) {
        self.values = 0;
        self.row_own.clear();
        self.row_common.clear();
    }

    /// Where a value goes that stands before all others in what rows have in common.
    fn common(&mut self) -> &mut String {
        self.row_common.push(',');
        &mut self.row_common
    }

    /// Where the next value goes, and whether it is the key.
    pub(super) fn field(&mut self) -> (&mut String, bool) {
        self.values += 1;
        match self.values {
            1 => return (&mut self.row_own, true),
            2 => self.row_own.push_str(":["),
            values if values <= self.own => self.row_own.push(','),
            _ => return (self.common(), false),
        }
        (&mut self.row_own, false)
    }

    pub(super) fn end_row(&mut self) {
        self.row_own.push(']');
        let mut latest = self.groups.iter_mut().rev().take(GROUPS_SEARCHED);
        if let Some(group) = latest.find(|group| group.common == self.row_common) {
            group.rows.push(',');
            group.rows.push_str(&self.row_own);
        } else {
            let mut rows = String::with_capacity(std::mem::take(&mut self.room));
            rows.push_str(&self.row_own);
            self.groups.push(Group { rows, common: self.row_common.clone() });
        }
    }

    pub(super) fn finish(&self, json: &mut String) {
        for (index, group) in self.groups.iter().enumerate() {
            json.push_str(if index == 0 { "[{" } else { ",[{" });
            json.push_str(&group.rows);
            json.push('}');
            json.push_str(&group.common);
            json.push(']');
        }
    }
}

impl JsonTable {
    /// Where the next value goes, and whether it is a key, which must be a text.
    fn field(&mut self) -> (&mut String, bool) {
        match &mut self.form {
            Form::Groups(groups) => groups.field(),
            Form::Journal(chunks) => chunks.field(),
            Form::Rows => {
                self.json.push(',');
                (&mut self.json, false)
            }
        }
    }
}

impl Table for JsonTable {
    fn with_capacity(rows: usize, own: usize) -> Self {
        match own {
            0 => Self { json: String::with_capacity(2 + rows * ROW_BYTES), form: Form::Rows },
            _ => Self { json: String::new(), form: Form::Groups(Groups::new(rows, own)) },
        }
    }

    fn of_journal(entries: usize) -> Self {
        Self { json: String::new(), form: Form::Journal(Chunks::new(entries)) }
    }

    fn begin_row(&mut self, event: &str) {
        match &mut self.form {
            Form::Groups(groups) => {
                groups.begin_row();
                json::push_text(groups.common(), event);
            }
            Form::Journal(chunks) => chunks.begin_row(event),
            Form::Rows => {
                self.json.push_str(if self.json.is_empty() { "[[" } else { ",[" });
                json::push_text(&mut self.json, event);
            }
        }
    }

    fn text(&mut self, value: &str) {
        json::push_text(self.field().0, value);
    }

    fn int(&mut self, value: i64) {
        match self.field() {
            (out, true) => {
                out.push('"');
                json::push_int(out, value);
                out.push('"');
            }
            (out, false) => return json::push_int(out, value),
        }
        if let Form::Journal(chunks) = &mut self.form {
            chunks.number(value);
        }
    }

    fn json(&mut self, push: impl FnOnce(&mut String)) {
        push(self.field().0);
    }

    fn null(&mut self) {
        self.field().0.push_str("null");
    }

    fn end_row(&mut self) {
        match &mut self.form {
            Form::Groups(groups) => groups.end_row(),
            Form::Journal(chunks) => chunks.end_row(),
            Form::Rows => self.json.push(']'),
        }
    }

    fn finish(&mut self, rows: u64) -> u64 {
        match &mut self.form {
            Form::Journal(chunks) => {
                self.json = chunks.finish();
                return chunks.count();
            }
            Form::Groups(groups) => {
                self.json.push('[');
                groups.finish(&mut self.json);
            }
            Form::Rows if rows == 0 => self.json.push('['),
            Form::Rows => {}
        }
        self.json.push(']');
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rows_have_in_common_stands_there_once() {
        let mut table = JsonTable::with_capacity(3, 2);
        for (key, own, common) in [(1, "ann", 7), (2, "b\"b", 8), (3, "cid", 7)] {
            table.begin_row("gala");
            table.int(key);
            table.text(own);
            table.int(common);
            table.null();
            table.end_row();
        }
        assert_eq!(table.finish(3), 3);
        let groups = r#"[[{"1":["ann"],"3":["cid"]},"gala",7,null],[{"2":["b\"b"]},"gala",8,null]]"#;
        assert_eq!(table.json, groups);
    }

    #[test]
    fn rows_without_anything_of_their_own_stand_alone() {
        let mut table = JsonTable::with_capacity(2, 0);
        for value in [1, 2] {
            table.begin_row("gala");
            table.int(value);
            table.end_row();
        }
        assert_eq!(table.finish(2), 2);
        assert_eq!(table.json, r#"[["gala",1],["gala",2]]"#);
        let mut none = JsonTable::with_capacity(0, 0);
        assert_eq!((none.finish(0), none.json.as_str()), (0, "[]"));
    }

    #[test]
    fn journal_entries_become_chunks_of_one_event() {
        let mut table = JsonTable::of_journal(4);
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
        let chunks = r#"[["gala",9,[[{"7":["id",null],"9":["id",null]},5,"RESERVED"],[{"8":["id",null]},5,"SOLD"]]],["zoo",1,[[{"1":["id",null]},5,"SOLD"]]]]"#;
        assert_eq!(table.json, chunks);
    }

    #[test]
    fn a_chunk_does_not_grow_without_end() {
        let mut table = JsonTable::of_journal(300);
        for seq in 1..=300 {
            table.begin_row("gala");
            table.int(seq);
            table.text("id");
            table.text("ann");
            table.int(5);
            table.end_row();
        }
        assert_eq!(table.finish(300), 3);
        let chunks: Vec<(String, i64, serde_json::Value)> = serde_json::from_str(&table.json).unwrap();
        assert_eq!(chunks.iter().map(|(_, last, _)| *last).collect::<Vec<_>>(), [128, 256, 300]);
    }
}
