//! Rows as JSON in which what many of them have in common stands once.

/// Bytes of what a row has of its own, roughly.
const OWN_BYTES: usize = 96;
/// In so many of the latest groups a row is looked for others with which it has all in common.
const GROUPS_SEARCHED: usize = 16;

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

    /// Where the next value goes, and whether it is the key.
    pub(super) fn field(&mut self) -> (&mut String, bool) {
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

    /// All groups: `[[{"key": [own, …], …}, common, …], …]`.
    pub(super) fn finish(self) -> String {
        let mut json =
            String::with_capacity(self.groups.iter().map(|group| group.rows.len() + group.common.len() + 8).sum());
        json.push('[');
        for (index, group) in self.groups.iter().enumerate() {
            json.push_str(if index == 0 { "[{" } else { ",[{" });
            json.push_str(&group.rows);
            json.push('}');
            json.push_str(&group.common);
            json.push(']');
        }
        json.push(']');
        json
    }
}
