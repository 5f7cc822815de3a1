//! What people who only look were shown. It may be old, up to a bound, but it must have been true.

use std::collections::HashMap;

use uuid::Uuid;

use super::evidence::{Counters, Delta, Entry, Evidence, Kind, Shown};
use super::findings::{Findings, Key};
use super::visible::Visible;
use crate::clock::Micros;

/// How old an answer may be that need not be read from the database for the one who asks (`CONSISTENCY_CACHED`).
const AGE_MAX: Micros = 250_000;
/// Both clocks are this machine's.
const CLOCK_TOLERANCE: Micros = 5_000;

/// An event after one change.
#[derive(Clone, Default)]
struct Event {
    /// Capacity, held and sold of each allocation.
    counts: Vec<[i32; 3]>,
    /// Holds that the journal has not ended yet: when each lapses, and its units.
    holds: HashMap<Uuid, (Micros, Vec<Delta>)>,
}

/// Holds it against the journal.
pub(super) fn check(evidence: &Evidence, visible: &Visible, findings: &mut Findings) {
    if evidence.shown.is_empty() {
        return;
    }
    let mut by_seq: HashMap<i64, Vec<&Shown>> = HashMap::new();
    evidence.shown.iter().for_each(|shown| by_seq.entry(shown.counters.seq).or_default().push(shown));
    let mut event = Event { counts: vec![[0; 3]; evidence.counters.allocations.len()], ..Event::default() };
    for entry in &evidence.journal {
        event.add(entry);
        for shown in by_seq.remove(&entry.seq).unwrap_or_default() {
            event.check(shown, findings);
        }
    }
    for seq in by_seq.into_keys() {
        let text = format!("somebody was shown the event as of change {seq}, which the journal has not");
        findings.add(Key::WrongAnswer, 1, text, Vec::new());
    }
    check_ages(evidence, visible, findings);
    for text in &evidence.disorder {
        findings.add(Key::WrongAnswer, 1, text.clone(), Vec::new());
    }
}

/// What is shown tells itself how old it is; and what somebody had been told of long enough before must be in it.
fn check_ages(evidence: &Evidence, visible: &Visible, findings: &mut Findings) {
    for Shown { counters: Counters { seq, .. }, age, asked } in &evidence.shown {
        if let Some(age) = age.filter(|age| *age > AGE_MAX + CLOCK_TOLERANCE) {
            let text = format!("somebody was shown what had been read {} ms before he asked", age / 1_000);
            findings.add(Key::WrongAnswer, 1, text, vec![format!("as of change {seq}")]);
        }
        let Some(asked) = asked else { continue };
        let committed = visible.committed(asked - AGE_MAX - CLOCK_TOLERANCE);
        if let Some(newest) = committed.checked_sub(1).and_then(|index| evidence.journal.get(index))
            && *seq < newest.seq
        {
            let text =
                format!("somebody was shown the event as of change {seq} long after others had been told of more");
            findings.add(Key::WrongAnswer, 1, text, vec![format!("he asked at {asked}"), newest.to_string()]);
        }
    }
}

impl Event {
    fn add(&mut self, entry: &Entry) {
        for delta in &entry.deltas {
            if let Some([capacity, held, sold]) = self.counts.get_mut(delta.allocation) {
                *capacity += delta.capacity;
                *held += delta.held;
                *sold += delta.sold;
            }
        }
        let Some(id) = entry.reservation else { return };
        match (entry.kind, entry.expires) {
            (Kind::Reserved, Some(expires)) => drop(self.holds.insert(id, (expires, entry.deltas.clone()))),
            (Kind::Extended, Some(expires)) => {
                self.holds.entry(id).and_modify(|(until, _)| *until = expires);
            }
            _ => drop(self.holds.remove(&id)),
        }
    }

    /// Of one allocation, units in holds that had lapsed at `at`: they count as held in the journal until somebody notices, and for
    /// those who look no longer.
    fn lapsed(&self, allocation: usize, at: Micros) -> i32 {
        let lapsed = self.holds.values().filter(|(expires, _)| *expires <= at);
        let units = lapsed.flat_map(|(_, deltas)| deltas.iter().filter(|delta| delta.allocation == allocation));
        units.map(|delta| delta.held).sum()
    }

    fn check(&self, shown: &Shown, findings: &mut Findings) {
        let Counters { seq, read_at, allocations } = &shown.counters;
        for (number, (counter, [capacity, held, sold])) in allocations.iter().zip(&self.counts).enumerate() {
            let live = held - self.lapsed(number, *read_at);
            let sums = i64::from(counter.held) + i64::from(counter.sold) + i64::from(counter.available);
            let is_true = (counter.capacity, counter.held, counter.sold) == (*capacity, live, *sold)
                && counter.available >= 0
                && sums == i64::from(counter.capacity);
            if !is_true {
                let told = format!(
                    "{} units of #{number}, {} held, {} sold, {} available",
                    counter.capacity, counter.held, counter.sold, counter.available
                );
                let text = format!("somebody was shown {told}; after change {seq} it was {capacity}, {live}, {sold}");
                findings.add(Key::WrongAnswer, 1, text, Vec::new());
            }
        }
    }
}
