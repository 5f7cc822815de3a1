//! Rows as SQLite takes them: one JSON array of arrays, so that one statement serves any number of rows.
//!
//! Where rows have much in common, that stands there once for all of them: see [`Groups`].

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
    groups: Option<Groups>,
}

/// Rows by what they have in common: `[[{"key": [own, …], …}, event, common, …], …]`. The key is the first of a row's own values.
struct Groups {
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
    fn new(rows: usize, own: usize) -> Self {
        let (groups, row_own, row_common) = Default::default();
        Self { groups, own, values: 0, row_own, row_common, room: rows * OWN_BYTES }
    }

    fn begin_row(&mut self, event: &str) {
        self.values = 0;
        self.row_own.clear();
        self.row_common.clear();
        json::push_text(&mut self.row_common, event);
    }

    /// Where the next value goes, and whether it is the key.
    fn field(&mut self) -> (&mut String, bool) {
        self.values += 1;
        match self.values {
            1 => return (&mut self.row_own, true),
            2 => self.row_own.push_str(":["),
            values if values <= self.own => self.row_own.push(','),
            _ => {
                self.row_common.push(',');
                return (&mut self.row_common, false);
            }
        }
        (&mut self.row_own, false)
    }

    fn end_row(&mut self) {
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

    fn finish(&self, json: &mut String) {
        for (index, group) in self.groups.iter().enumerate() {
            json.push_str(if index == 0 { "[{" } else { ",[{" });
            json.push_str(&group.rows);
            json.push_str("},");
            json.push_str(&group.common);
            json.push(']');
        }
    }
}

impl JsonTable {
    /// Where the next value goes, and whether it is a key, which must be a text.
    fn field(&mut self) -> (&mut String, bool) {
        match &mut self.groups {
            Some(groups) => groups.field(),
            None => {
                self.json.push(',');
                (&mut self.json, false)
            }
        }
    }
}

impl Table for JsonTable {
    fn with_capacity(rows: usize, own: usize) -> Self {
        let groups = (own > 1).then(|| Groups::new(rows, own));
        let mut json = String::with_capacity(if groups.is_some() { 0 } else { 2 + rows * ROW_BYTES });
        json.push('[');
        Self { json, groups }
    }

    fn begin_row(&mut self, event: &str) {
        if let Some(groups) = &mut self.groups {
            return groups.begin_row(event);
        }
        self.json.push_str(if self.json.len() == 1 { "[" } else { ",[" });
        json::push_text(&mut self.json, event);
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
            (out, false) => json::push_int(out, value),
        }
    }

    fn json(&mut self, push: impl FnOnce(&mut String)) {
        push(self.field().0);
    }

    fn null(&mut self) {
        self.field().0.push_str("null");
    }

    fn end_row(&mut self) {
        match &mut self.groups {
            Some(groups) => groups.end_row(),
            None => self.json.push(']'),
        }
    }

    fn finish(&mut self) {
        if let Some(groups) = &self.groups {
            groups.finish(&mut self.json);
        }
        self.json.push(']');
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
        table.finish();
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
        table.finish();
        assert_eq!(table.json, r#"[["gala",1],["gala",2]]"#);
    }
}
