//! Tables for people, as wide as there is room.

use std::ops::Range;

use console::{Alignment, measure_text_width, pad_str, truncate_str};
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment as Align, Style};

use super::output::{painted, printable};

/// A column, by its header.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column {
    /// Ids, times, values and bars: part of one would be of no use, or untrue.
    Text(&'static str),
    /// The same, aligned to the right.
    Number(&'static str),
    /// What something is called, for people: where there is no room, the end of it goes.
    Name(&'static str),
}

impl Column {
    fn header(self) -> &'static str {
        let (Self::Text(header) | Self::Number(header) | Self::Name(header)) = self;
        header
    }

    fn alignment(self) -> Alignment {
        if matches!(self, Self::Number(_)) { Alignment::Right } else { Alignment::Left }
    }
}

/// A table with a header, no wider than the terminal that stdout is.
pub(crate) fn table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let rows = rows.into_iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    painted(&lay_out(columns, rows, terminal_width()))
}

/// Columns of the terminal that stdout is, if it is one.
pub(crate) fn terminal_width() -> Option<usize> {
    console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns))
}

/// Between cells: a line and a space on each side, with another line and space around all; or spaces alone.
const WITH_LINES: usize = 3;
const AROUND_LINES: usize = 4;
const WITHOUT_LINES: usize = 2;
/// Before what is left of a row that takes more than one line.
const INDENT: usize = 4;
/// Names are not cut shorter than this.
const NAME_COLUMNS_MIN: usize = 6;

/// Where there is no room, the lines go first; then the ends of names, if that is enough; else rows take more than one line.
fn lay_out(columns: &[Column], mut rows: Vec<Vec<String>>, width: Option<usize>) -> String {
    rows.insert(0, columns.iter().map(|column| column.header().to_owned()).collect());
    let mut widths = widths_of(&rows);
    let room = width.unwrap_or(usize::MAX);
    if total(&widths, WITH_LINES) + AROUND_LINES <= room {
        return with_lines(columns, rows);
    }
    cut_names(columns, &mut widths, room);
    let lines = break_into_lines(&widths, room);
    let cell = |row: &[String], at: usize| {
        let cut = truncate_str(&row[at], widths[at], "…");
        pad_str(&cut, widths[at], columns[at].alignment(), None).into_owned()
    };
    let mut text = Vec::new();
    for row in &rows {
        for (number, line) in lines.iter().enumerate() {
            let indent = " ".repeat(if number == 0 { 0 } else { INDENT });
            let cells: Vec<_> = line.clone().map(|at| cell(row, at)).collect();
            text.push(format!("{indent}{}", cells.join(&" ".repeat(WITHOUT_LINES))).trim_end().to_owned());
        }
    }
    text.join("\n")
}

fn widths_of(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns).map(|at| rows.iter().map(|row| measure_text_width(&row[at])).max().unwrap_or(0)).collect()
}

fn total(widths: &[usize], between: usize) -> usize {
    widths.iter().sum::<usize>() + widths.len().saturating_sub(1) * between
}

fn with_lines(columns: &[Column], rows: Vec<Vec<String>>) -> String {
    let mut table = Builder::from(rows).build();
    table.with(Style::rounded());
    for (at, _) in columns.iter().enumerate().filter(|(_, column)| matches!(column, Column::Number(_))) {
        table.modify(Columns::one(at), Align::right());
    }
    table.to_string()
}

/// Makes the longest names shorter until a row fits; not at all if it would not.
fn cut_names(columns: &[Column], widths: &mut [usize], room: usize) {
    let mut cut = widths.to_owned();
    while total(&cut, WITHOUT_LINES) > room {
        let names = (0..cut.len()).filter(|at| matches!(columns[*at], Column::Name(_)));
        match names.max_by_key(|at| cut[*at]).filter(|at| cut[*at] > NAME_COLUMNS_MIN) {
            Some(widest) => cut[widest] -= 1,
            None => return,
        }
    }
    widths.copy_from_slice(&cut);
}

/// Which columns share a line of a row.
fn break_into_lines(widths: &[usize], room: usize) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (at, width) in widths.iter().enumerate() {
        if at > start && used + WITHOUT_LINES + width > room {
            lines.push(start..at);
            (start, used) = (at, INDENT + width);
        } else {
            used += width + if at > start { WITHOUT_LINES } else { 0 };
        }
    }
    lines.push(start..widths.len());
    lines
}

#[cfg(test)]
mod tests {
    use super::Column::{Name, Number, Text};
    use super::*;

    fn widest(text: &str) -> usize {
        text.lines().map(measure_text_width).max().unwrap()
    }

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn where_there_is_no_room_the_lines_go_first_and_then_the_ends_of_names() {
        let columns = [Text("allocation"), Name("name"), Number("capacity"), Number("sold"), Text("█ sold")];
        let cells = row(&["floor", "The floor before the stage", "1000000000", "7", "███▒▒·······"]);
        let at = |width| lay_out(&columns, vec![cells.clone()], width);
        let free = at(None);
        assert!(free.contains('╭') && cells.iter().all(|cell| free.contains(cell)), "{free}");
        assert_eq!(at(Some(widest(&free))), free, "it fits just so");
        assert!(!at(Some(widest(&free) - 1)).contains('╭'));
        for width in 50..widest(&free) {
            let text = at(Some(width));
            assert!(widest(&text) <= width && text.lines().count() == 2, "{width}:\n{text}");
            assert!(text.contains("1000000000") && text.contains("███▒▒·······"), "{text}");
        }
        assert_eq!(at(Some(60)).lines().nth(1), Some("floor       The floor befor…  1000000000     7  ███▒▒·······"));
    }

    #[test]
    fn ids_and_times_are_never_cut() {
        let columns = [Text("reservation"), Text("owner"), Number("units"), Text("held until")];
        let id = "01a22d65-6920-716d-b529-c0cd0ad1907d";
        let until = "2027-03-01T20:00:00Z";
        let rows = || vec![row(&[id, "alice", "2", until]), row(&[id, "bob", "12", ""])];
        let text = lay_out(&columns, rows(), Some(60));
        let expected = [
            "reservation                           owner  units",
            "    held until",
            "01a22d65-6920-716d-b529-c0cd0ad1907d  alice      2",
            "    2027-03-01T20:00:00Z",
            "01a22d65-6920-716d-b529-c0cd0ad1907d  bob       12",
            "",
        ];
        assert_eq!(text, expected.join("\n"));
        for width in 1..60 {
            let text = lay_out(&columns, rows(), Some(width));
            assert!(text.contains(id) && text.contains(until), "{width}:\n{text}");
            assert!(widest(&text) <= width.max(id.len()), "{width}:\n{text}");
        }
    }

    #[test]
    fn names_are_whole_where_cutting_them_would_not_do() {
        let columns = [Text("event"), Name("name"), Text("state")];
        let rows = || vec![row(&["0123456789", "A name of 21 columns.", "ON_SALE"])];
        assert!(lay_out(&columns, rows(), Some(27)).contains('…'));
        let text = lay_out(&columns, rows(), Some(26));
        assert!(text.contains("A name of 21 columns.") && text.lines().count() == 6, "{text}");
    }

    #[test]
    fn texts_of_others_cannot_reach_the_terminal() {
        assert!(!table(&[Text("name")], [vec!["\u{1b}[2Jbad".to_owned()]]).contains('\u{1b}'));
    }
}
