//! What people who only look were shown. It may be old, up to a bound, but it must have been true.

use std::collections::HashMap;

use super::evidence::{Entry, Evidence, Shown};
use super::findings::{Findings, Key};
use crate::clock::Micros;

/// How old an answer may be that need not be read from the database for the one who asks (`CONSISTENCY_CACHED`).
const AGE_MAX: Micros = 250_000;
/// Both clocks are this machine's.
const CLOCK_TOLERANCE: Micros = 5_000;

/// Capacity, held and sold of each allocation after one change.
type Counts = Vec<[i32; 3]>;

/// Holds it against the journal.
pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    if evidence.shown.is_empty() {
        return;
    }
    let states = states(&evidence.journal, evidence.counters.allocations.len());
    for shown in &evidence.shown {
        let seq = shown.counters.seq;
        match states.get(&seq) {
            Some(counts) => check_counts(shown, counts, findings),
            None => {
                let text = format!("somebody was shown the event as of change {seq}, which the journal has not");
                findings.add(Key::WrongAnswer, 1, text, Vec::new());
            }
        }
        if let Some(age) = shown.age.filter(|age| *age > AGE_MAX + CLOCK_TOLERANCE) {
            let text = format!("somebody was shown what had been read {} ms before he asked", age / 1_000);
            findings.add(Key::WrongAnswer, 1, text, vec![format!("as of change {seq}")]);
        }
    }
    for text in &evidence.disorder {
        findings.add(Key::WrongAnswer, 1, text.clone(), Vec::new());
    }
}

/// A hold that has lapsed counts as held in the journal until somebody notices, and for those who look no longer.
fn check_counts(shown: &Shown, counts: &Counts, findings: &mut Findings) {
    for (number, (counter, [capacity, held, sold])) in shown.counters.allocations.iter().zip(counts).enumerate() {
        let sums = i64::from(counter.held) + i64::from(counter.sold) + i64::from(counter.available);
        let is_true = (counter.capacity, counter.sold) == (*capacity, *sold)
            && (0..=*held).contains(&counter.held)
            && counter.available >= 0
            && sums == i64::from(counter.capacity);
        if !is_true {
            let told = format!(
                "{} units of #{number}, {} held, {} sold, {} available",
                counter.capacity, counter.held, counter.sold, counter.available
            );
            let text = format!("somebody was shown {told} as of change {}", shown.counters.seq);
            let journal = format!("the journal has {capacity}, at most {held} held, {sold} sold");
            findings.add(Key::WrongAnswer, 1, text, vec![journal]);
        }
    }
}

/// What the journal tells of each of its changes.
fn states(journal: &[Entry], allocations: usize) -> HashMap<i64, Counts> {
    let mut counts: Counts = vec![[0; 3]; allocations];
    let states = journal.iter().map(|entry| {
        for delta in &entry.deltas {
            if let Some([capacity, held, sold]) = counts.get_mut(delta.allocation) {
                *capacity += delta.capacity;
                *held += delta.held;
                *sold += delta.sold;
            }
        }
        (entry.seq, counts.clone())
    });
    states.collect()
}
