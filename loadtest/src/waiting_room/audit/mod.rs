//! Whether a waiting room did what it promises, by what its people were told and nothing else.

mod bounds;
mod order;
mod places;
#[cfg(test)]
mod tests;

use super::history::{History, Who};
use crate::audit::findings::{Findings, Key};

/// The clocks of the machine's programs are one; this is for their steps.
const TOLERANCE: i64 = 1_000;

/// Looks for whatever must not be: somebody with two places or none, somebody who came later and stands, or was let in, before
/// somebody who came earlier, more people inside than rate, time and cap allow, and positions that are not true.
pub(super) fn audit(history: &History) -> Findings {
    let mut findings = Findings::default();
    let places = places::of_the_crowd(history, &mut findings);
    order::of_arrival(history, &places, &mut findings);
    order::of_admission(history, &places, &mut findings);
    order::of_each(history, &mut findings);
    bounds::check(history, &mut findings);
    places::in_the_end(history, &places, &mut findings);
    findings
}

/// The crowd in the order of its places.
pub(super) fn line(history: &History) -> Vec<Who> {
    let places = places::of_the_crowd(history, &mut Findings::default());
    let mut line: Vec<Who> = (0..history.crowd).collect();
    // Whoever was told none (which the audit finds) stands behind.
    line.sort_by_key(|who| places.get(*who as usize).copied().flatten().unwrap_or(u32::MAX));
    line
}

fn add(findings: &mut Findings, text: String) {
    findings.add(Key::OutOfTurn, 1, text, Vec::new());
}
