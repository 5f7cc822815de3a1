//! Answers: tables for people, JSON for programs.

use std::io::{ErrorKind, Write as _};

use serde::Serialize;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Style};

use super::failure::Failure;

/// Where and how answers go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// For programs.
    pub(crate) json: bool,
}

impl Output {
    /// Answers with `view` for programs, or with `text` for people.
    pub(crate) fn show(&self, view: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json { print_line(&to_json(serde_json::to_string_pretty(view))?) } else { print_line(&text()) }
    }

    /// One answer of an endless row of them: one line each.
    pub(crate) fn show_line(&self, view: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.json { print_line(&to_json(serde_json::to_string(view))?) } else { print_line(&text()) }
    }
}

fn to_json(text: serde_json::Result<String>) -> Result<String, Failure> {
    text.map_err(|error| Failure::Failed(format!("cannot write the answer as JSON: {error}")))
}

/// Writes to stdout, at once.
pub(crate) fn print_line(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(|error| {
        if error.kind() == ErrorKind::BrokenPipe {
            Failure::OutputClosed
        } else {
            Failure::Failed(format!("cannot write the answer: {error}"))
        }
    })
}

/// A table with a header; the columns in `numbers` are aligned to the right.
pub(crate) fn table(header: &[&str], numbers: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut builder = Builder::default();
    builder.push_record(header.iter().copied());
    for row in rows {
        builder.push_record(row.iter().map(|cell| printable(cell)));
    }
    let mut table = builder.build();
    table.with(Style::rounded());
    for column in numbers {
        table.modify(Columns::one(*column), Alignment::right());
    }
    table.to_string()
}

/// Texts come from other people: nothing in them may move the cursor or change the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Cells of a bar.
const BAR_CELLS: i64 = 30;

/// How full an allocation is: sold, held and free units in proportion. Whatever is not zero gets at least one cell.
pub(crate) fn bar(sold: i64, held: i64, capacity: i64) -> String {
    let capacity = capacity.max(sold + held).max(1);
    let free = capacity - sold - held;
    let cells = |units: i64| if units == 0 { 0 } else { (units * BAR_CELLS / capacity).max(1) };
    let mut parts = [(cells(sold), '█'), (cells(held), '▒'), (0, '·')];
    // What rounding leaves is free; where that is untrue, the widest part bears the difference.
    let rest = BAR_CELLS - parts[0].0 - parts[1].0;
    parts[2].0 = if free == 0 { 0 } else { rest.max(1) };
    let missing = rest - parts[2].0;
    if let Some(widest) = parts.iter_mut().max_by_key(|(count, _)| *count) {
        widest.0 += missing;
    }
    parts.iter().flat_map(|(count, cell)| (0..*count).map(move |_| *cell)).collect()
}

/// A word as a shell wants it.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// How this program was called, so that a printed command works where the one before it did.
pub(crate) fn program() -> String {
    std::env::args().next().map_or_else(|| "boxoffice".to_owned(), |name| shell_word(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(sold: i64, held: i64, capacity: i64) -> [usize; 3] {
        let bar = bar(sold, held, capacity);
        ['█', '▒', '·'].map(|cell| bar.chars().filter(|c| *c == cell).count())
    }

    #[test]
    fn a_bar_is_in_proportion() {
        assert_eq!(counts(50, 25, 100), [15, 7, 8]);
        assert_eq!(counts(0, 0, 100), [0, 0, 30]);
        assert_eq!(counts(100, 0, 100), [30, 0, 0]);
    }

    #[test]
    fn a_bar_hides_no_single_unit_and_has_always_the_same_width() {
        assert_eq!(counts(1, 1, 1_000_000_000), [1, 1, 28]);
        assert_eq!(counts(999_999_998, 1, 1_000_000_000), [28, 1, 1]);
        for sold in 0..=37 {
            for held in 0..=37 - sold {
                let [s, h, f] = counts(sold, held, 37);
                assert_eq!(s + h + f, 30, "{sold} {held}");
                assert_eq!((s > 0, h > 0, f > 0), (sold > 0, held > 0, sold + held < 37), "{sold} {held}");
            }
        }
    }

    #[test]
    fn a_bar_of_nothing_is_empty() {
        assert_eq!(counts(0, 0, 0), [0, 0, 30]);
    }

    #[test]
    fn texts_of_others_cannot_reach_the_terminal() {
        assert!(!table(&["name"], &[], [vec!["\u{1b}[2Jbad".to_owned()]]).contains('\u{1b}'));
    }

    #[test]
    fn shell_words_are_quoted_where_needed() {
        assert_eq!(shell_word("alice"), "alice");
        assert_eq!(shell_word("it's $5"), r"'it'\''s $5'");
        assert_eq!(shell_word(""), "''");
    }
}
