//! Answers: text for people, JSON for programs.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};

use serde::Serialize;

use super::failure::Failure;
use super::table::terminal_width;

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

/// What was shown, for a command that has more to do or to say: whether anybody still reads its answer or not.
pub(crate) fn read_or_not(shown: Result<(), Failure>) -> Result<(), Failure> {
    match shown {
        Err(Failure::OutputClosed) => Ok(()),
        shown => shown,
    }
}

/// Tells on stderr what does not belong to the answer. If that is closed, nobody wants to know.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(text));
}

/// Bars in colours, where stdout is a terminal that has them and nobody objects (`NO_COLOR`, `CLICOLOR=0`).
pub(crate) fn painted(text: &str) -> String {
    if !console::colors_enabled() {
        return text.to_owned();
    }
    let mut painted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(cell) = rest.chars().next() {
        let same = rest.find(|other| other != cell).unwrap_or(rest.len());
        let (run, after) = rest.split_at(same);
        match cell {
            SOLD => painted.push_str(&console::style(run).green().to_string()),
            HELD => painted.push_str(&console::style(run).yellow().to_string()),
            _ => painted.push_str(run),
        }
        rest = after;
    }
    painted
}

/// Texts come from other people: nothing in them may move the cursor or change the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// So many of something: `1 change`, `2 changes`.
pub(crate) fn counted<N: Copy + Display + PartialEq + From<u8>>(count: N, one: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {one}{plural}")
}

/// What a bar is drawn with.
const SOLD: char = '█';
const HELD: char = '▒';
const FREE: char = '·';
/// What a column of bars is headed with, on a wide terminal and on a narrow one.
const LEGEND: &str = "█ sold ▒ held · available";
const LEGEND_NARROW: &str = "█ sold ▒ held";
/// Cells of a bar where there is room, or no terminal.
const BAR_CELLS: usize = 30;
/// Cells of a bar on a narrow terminal: as many as its legend has.
const BAR_CELLS_NARROW: usize = 13;
/// A terminal with fewer columns is narrow.
const COLUMNS_WIDE: usize = 120;

fn terminal_is_narrow() -> bool {
    terminal_width().is_some_and(|width| width < COLUMNS_WIDE)
}

/// The header of a column of bars.
pub(crate) fn legend() -> &'static str {
    if terminal_is_narrow() { LEGEND_NARROW } else { LEGEND }
}

/// How full an allocation is: sold, held and free units in proportion. Whatever is not zero gets at least one cell.
pub(crate) fn bar(sold: i64, held: i64, capacity: i64) -> String {
    bar_of(sold, held, capacity, if terminal_is_narrow() { BAR_CELLS_NARROW } else { BAR_CELLS })
}

fn bar_of(sold: i64, held: i64, capacity: i64, cells_in_all: usize) -> String {
    let cells_in_all = i64::try_from(cells_in_all).unwrap_or(i64::MAX);
    let capacity = capacity.max(sold + held).max(1);
    let free = capacity - sold - held;
    let cells = |units: i64| if units == 0 { 0 } else { (units * cells_in_all / capacity).max(1) };
    let mut parts = [(cells(sold), SOLD), (cells(held), HELD), (0, FREE)];
    // What rounding leaves is free; where that is untrue, the widest part bears the difference.
    let rest = cells_in_all - parts[0].0 - parts[1].0;
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
        let bar = bar_of(sold, held, capacity, BAR_CELLS);
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
    fn one_is_told_as_one() {
        assert_eq!([0, 1, 2].map(|units| counted(units, "unit")), ["0 units", "1 unit", "2 units"]);
    }

    #[test]
    fn a_bar_of_nothing_is_empty() {
        assert_eq!(counts(0, 0, 0), [0, 0, 30]);
    }

    #[test]
    fn shell_words_are_quoted_where_needed() {
        assert_eq!(shell_word("alice"), "alice");
        assert_eq!(shell_word("it's $5"), r"'it'\''s $5'");
        assert_eq!(shell_word(""), "''");
    }
}
