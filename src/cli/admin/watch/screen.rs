//! Where the watched event is shown: in place on a terminal, else a line for each update.

use std::io::{IsTerminal as _, Write as _};

use console::Term;
use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::output::{bar, counted, painted, print_line, printable};
use crate::cli::table::terminal_width;
use crate::cli::view::{ChangeView, EventView, allocation_table, to_the_second};

/// Lines of a frame besides those of its allocations and changes.
const OTHER_LINES: usize = 9;
/// Width of a line where the terminal does not tell its own.
const COLUMNS_DEFAULT: usize = 80;

/// What is shown at one moment.
pub(super) struct Frame<'a> {
    pub(super) event: &'a EventView,
    /// Units sold and held, over all allocations.
    pub(super) sold: i64,
    pub(super) held: i64,
    /// Units sold a second.
    pub(super) per_second: f64,
    /// The newest changes.
    pub(super) changes: &'a [ChangeView],
}

/// See the module.
pub(super) struct Screen {
    kind: Kind,
    /// What is wrong at the moment.
    note: Option<String>,
    /// Lines that the last frame has on the terminal.
    drawn: usize,
}

enum Kind {
    InPlace(Term),
    Lines,
    Json,
}

/// One update, for programs.
#[derive(Serialize)]
struct Update<'a> {
    sold: i64,
    held: i64,
    sold_per_second: f64,
    event: &'a EventView,
}

impl Screen {
    pub(super) fn new(json: bool, lines: bool) -> Self {
        let kind = match (json, !lines && std::io::stdout().is_terminal()) {
            (true, _) => Kind::Json,
            (false, true) => Kind::InPlace(Term::buffered_stdout()),
            (false, false) => Kind::Lines,
        };
        Self { kind, note: None, drawn: 0 }
    }

    /// Whether frames take each other's place.
    pub(super) fn is_redrawn(&self) -> bool {
        matches!(self.kind, Kind::InPlace(_))
    }

    /// Whether something was wrong until now.
    pub(super) fn has_note(&self) -> bool {
        self.note.is_some()
    }

    /// Says what is wrong, until the next frame: below the last one, or on stderr.
    pub(super) fn note(&mut self, text: &str) -> Result<(), Failure> {
        let text = printable(text);
        if let Kind::InPlace(term) = &self.kind {
            let line = console::truncate_str(&text, width(), "…").into_owned();
            let lines = usize::from(self.note.is_some());
            let drawn = term.clear_last_lines(lines).and_then(|()| term.write_line(&line)).and_then(|()| term.flush());
            drawn.map_err(|error| cannot(&error))?;
            self.drawn += 1 - lines;
        } else {
            // Whoever reads the updates need not read this.
            let _ = writeln!(std::io::stderr(), "{text}");
        }
        self.note = Some(text);
        Ok(())
    }

    /// Shows the newest state.
    pub(super) fn show(&mut self, frame: &Frame<'_>) -> Result<(), Failure> {
        self.note = None;
        match &self.kind {
            Kind::Json => {
                let Frame { event, sold, held, per_second, .. } = *frame;
                let update = Update { sold, held, sold_per_second: per_second, event };
                let line = serde_json::to_string(&update);
                print_line(&line.map_err(|error| Failure::Failed(format!("cannot write it as JSON: {error}")))?)
            }
            Kind::Lines => print_line(&as_line(frame)),
            Kind::InPlace(term) => {
                let (height, width) = (usize::from(term.size().0), width());
                let lines = as_lines(frame, height, width);
                let drawn = term
                    .clear_last_lines(self.drawn.min(height.saturating_sub(1)))
                    .and_then(|()| lines.iter().try_for_each(|line| term.write_line(line)))
                    .and_then(|()| term.flush());
                self.drawn = lines.len();
                drawn.map_err(|error| cannot(&error))
            }
        }
    }
}

fn cannot(error: &std::io::Error) -> Failure {
    Failure::Failed(format!("cannot draw: {error}"))
}

fn width() -> usize {
    terminal_width().unwrap_or(COLUMNS_DEFAULT)
}

fn when(event: &EventView) -> String {
    event.read_time.as_deref().map_or_else(|| "-".to_owned(), to_the_second)
}

/// `2027-03-01T20:00:00Z seq 12 ON_SALE sold 7 held 3 available 90 0.7/s`
fn as_line(frame: &Frame<'_>) -> String {
    let Frame { event, sold, held, per_second, .. } = frame;
    let [_, _, _, available] = event.totals();
    let (time, seq, state) = (when(event), event.seq, &event.sales_state);
    format!("{time} seq {seq} {state} sold {sold} held {held} available {available} {per_second:.1}/s")
}

/// A frame that fits a terminal.
fn as_lines(frame: &Frame<'_>, height: usize, width: usize) -> Vec<String> {
    let Frame { event, sold, held, per_second, changes } = frame;
    let [capacity, _, _, available] = event.totals();
    let title = if event.display_name.is_empty() { event.name.clone() } else { printable(&event.display_name) };
    let mut lines = vec![
        format!("{title}  {}  {}", event.sales_state, when(event)),
        format!(
            "{}  sold {sold}  held {held}  available {available}  of {capacity}   {per_second:.1} sold a second",
            bar(*sold, *held, capacity)
        ),
    ];
    let room = height.saturating_sub(OTHER_LINES + changes.len()).max(1);
    let shown = event.allocations.len().min(room);
    if shown > 0 {
        lines.extend(allocation_table(&event.allocations[..shown]).lines().map(str::to_owned));
    }
    if shown < event.allocations.len() {
        lines.push(format!("and {} more", counted(event.allocations.len() - shown, "allocation")));
    }
    if !changes.is_empty() {
        lines.push("last changes:".to_owned());
        lines.extend(changes.iter().map(|change| format!("  {}", change.in_brief())));
    }
    lines.push("Ctrl-C ends it".to_owned());
    lines.truncate(height.saturating_sub(1).max(1));
    if let Some(counts) = lines.get_mut(1) {
        *counts = painted(counts);
    }
    lines.iter().map(|line| console::truncate_str(line, width, "…").into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use boxoffice_proto::v1;

    use super::*;

    fn event(allocations: usize) -> EventView {
        let allocation = |number: usize| v1::Allocation {
            name: format!("events/gala/allocations/block-{number}"),
            capacity: 10,
            sold: 4,
            held: 1,
            available: 5,
            ..Default::default()
        };
        EventView::from(v1::Event {
            name: "events/gala".to_owned(),
            display_name: "Gala\u{1b}[2J".to_owned(),
            sales_state: v1::SalesState::OnSale.into(),
            allocations: (0..allocations).map(allocation).collect(),
            seq: 12,
            ..Default::default()
        })
    }

    fn frame<'a>(event: &'a EventView, changes: &'a [ChangeView]) -> Frame<'a> {
        let [_, sold, held, _] = event.totals();
        Frame { event, sold, held, per_second: 1.25, changes }
    }

    #[test]
    fn an_update_is_one_line_for_whoever_has_no_terminal() {
        let event = event(2);
        let expected = "- seq 12 ON_SALE sold 8 held 2 available 10 1.2/s";
        assert_eq!(as_line(&frame(&event, &[])), expected);
    }

    #[test]
    fn a_frame_fits_every_terminal() {
        let event = event(100);
        let changes: Vec<_> = (0..5).map(|seq| ChangeView::from(v1::Change { seq, ..Default::default() })).collect();
        for (height, width) in [(24, 80), (50, 200), (10, 40), (3, 20), (2, 20), (1, 20)] {
            let lines = as_lines(&frame(&event, &changes), height, width);
            assert!(lines.len() < height.max(2), "{height}: {}", lines.len());
            for line in &lines {
                assert!(console::measure_text_width(line) <= width, "{width}: {line}");
                assert!(!line.contains('\u{1b}'), "{line}");
            }
        }
        let lines = as_lines(&frame(&event, &changes), 24, 80);
        assert!(lines.iter().any(|line| line.starts_with("and ") && line.ends_with("allocations more")), "{lines:#?}");
        assert!(lines[1].contains("█") && lines[1].contains("sold 400"), "{lines:#?}");
    }
}
