//! The frame of a plot over time. Shapes are SVG, stretched to the room that there is; all text is HTML beside it, so that it
//! is as large on a phone as elsewhere.

use maud::{Markup, Render, html};

use super::axis::Axis;
use crate::report::course::FaultMark;
use crate::report::words;

/// Both sides of the drawing, in its own units.
const SIDE: f64 = 1_000.0;
/// Rows for the names of faults above a plot. A name that has no room in any is only told below.
const ROWS_MAX: usize = 3;
/// More faults than this are shaded faintly, and not named above, or else there would be nothing but faults to see.
const NAMED_MAX: usize = 24;
/// Widths on a phone, as parts of a plot: of a letter, and of the gap between two names.
const LETTER: f64 = 0.021;
const GAP: f64 = 0.02;

/// A plot over time.
pub(super) struct Plot<'a> {
    /// What it shows, for those who cannot see it.
    pub(super) says: String,
    /// Beyond the ordinary, such as `low`.
    pub(super) class: &'static str,
    /// Time.
    pub(super) x: &'a Axis,
    /// Anything else.
    pub(super) y: &'a Axis,
    /// What is drawn, the hindmost first.
    pub(super) shapes: Markup,
    /// What can be pointed at: from, to, and what is said.
    pub(super) hints: Vec<(f64, f64, String)>,
    /// What is shaded.
    pub(super) faults: &'a [FaultMark],
    /// Whether their names stand above, if they are not too many.
    pub(super) named: bool,
}

impl Render for Plot<'_> {
    fn render(&self) -> Markup {
        let many = self.faults.len() > NAMED_MAX;
        let names = if self.named && !many { placed(self.faults, self.x) } else { Vec::new() };
        let rows = names.iter().map(|name| name.row + 1).max().unwrap_or_default();
        html! {
            div.plot.(self.class).many[many] style={ "--rows:" (rows) } {
                div.canvas {
                    svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label=(self.says) {
                        @for (at, _) in &self.y.labels { path.grid d={ "M0 " (down(*at)) "H1000" } {} }
                        (self.shapes)
                        @for fault in self.faults { (band(fault, self.x)) }
                        @for (from, to, text) in &self.hints {
                            rect.hint x=(along(*from)) y="0" width=(along(to - from)) height="1000" { title { (text) } }
                        }
                    }
                    @for (at, text) in &self.y.labels { span.y style={ "bottom:" (percent(*at)) } { (text) } }
                    @for (at, text) in &self.x.labels { span.x style={ "left:" (percent(*at)) } { (text) } }
                    @for name in &names {
                        span.fault style={ "left:" (percent(name.middle)) ";--row:" (name.row) } { (name.text) }
                    }
                }
            }
        }
    }
}

/// A shape filled from the bottom to a line of steps: each `(x, y)` holds until the next, the last until `end`.
pub(super) fn area(class: &str, steps: &[(f64, f64)], end: f64) -> Markup {
    let Some((first, _)) = steps.first() else { return html! {} };
    html! { path.(class) d={ "M" (along(*first)) " 1000" (stairs(steps, end)) "V1000Z" } {} }
}

/// A line of steps.
pub(super) fn line(class: &str, steps: &[(f64, f64)], end: f64) -> Markup {
    let Some((first, height)) = steps.first() else { return html! {} };
    html! { path.(class) d={ "M" (along(*first)) " " (down(*height)) (stairs(steps, end)) } {} }
}

fn stairs(steps: &[(f64, f64)], end: f64) -> String {
    let ends = steps.iter().skip(1).map(|(x, _)| *x).chain([end]);
    steps.iter().zip(ends).map(|((_, y), end)| format!("V{}H{}", down(*y), along(end))).collect()
}

/// In units of the drawing, to the right.
fn along(part: f64) -> String {
    short(part * SIDE)
}

/// In units of the drawing, from the top down.
fn down(part: f64) -> String {
    short((1.0 - part) * SIDE)
}

/// A part as CSS takes it.
pub(super) fn percent(part: f64) -> String {
    format!("{}%", short(part * 100.0))
}

fn short(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map(ToOwned::to_owned).unwrap_or(text)
}

fn band(fault: &FaultMark, x: &Axis) -> Markup {
    let (from, to) = (x.at_moment(fault.from), x.at_moment(fault.to));
    html! {
        rect.band x=(along(from)) y="0" width=(along((to - from).max(0.0))) height="1000" { title { (told(fault)) } }
    }
}

/// A fault with its times.
pub(super) fn told(fault: &FaultMark) -> String {
    format!("{} {} to {}", fault.fault, words::moment(fault.from), words::moment(fault.to))
}

/// The name of a fault above the plot.
struct Name<'a> {
    text: &'a str,
    middle: f64,
    row: usize,
}

/// Puts each name above its fault, in the lowest row where it covers no other.
fn placed<'a>(faults: &'a [FaultMark], x: &Axis) -> Vec<Name<'a>> {
    let mut faults: Vec<_> = faults.iter().collect();
    faults.sort_by_key(|fault| fault.from);
    let mut taken_to = [0.0 - GAP; ROWS_MAX];
    let mut names = Vec::new();
    for fault in faults {
        let half = LETTER * f64::from(u32::try_from(fault.fault.chars().count()).unwrap_or(u32::MAX)) / 2.0;
        let middle =
            f64::midpoint(x.at_moment(fault.from), x.at_moment(fault.to)).clamp(half.min(0.5), 1.0 - half.min(0.5));
        let free = taken_to.iter_mut().enumerate().find(|(_, end)| **end + GAP <= middle - half + 1e-9);
        if let Some((row, end)) = free {
            *end = middle + half;
            names.push(Name { text: fault.fault, middle, row });
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_faults_do_not_cover_each_other() {
        let x = Axis::of_time(1_000);
        let fault = |from| FaultMark { fault: "pause", from, to: from + 10 };
        let faults: Vec<_> = [0, 5, 10, 15, 500, 990].map(fault).into();
        let names = placed(&faults, &x);
        let rows: Vec<_> = names.iter().map(|name| name.row).collect();
        assert_eq!(rows, [0, 1, 2, 0, 0], "the fourth has no room");
        let half = LETTER * 5.0 / 2.0;
        assert!(names.iter().all(|name| name.middle - half >= -1e-9 && name.middle + half <= 1.0 + 1e-9));
    }

    #[test]
    fn areas_stand_on_the_ground() {
        let drawn = area("sold", &[(0.0, 0.0), (0.5, 1.0)], 1.0).into_string();
        assert_eq!(drawn, r#"<path class="sold" d="M0 1000V1000H500V0H1000V1000Z"></path>"#);
    }
}
