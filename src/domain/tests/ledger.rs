//! Replaying a journal.

use super::fixture::*;
use super::world::World;
use crate::domain::{Counts, JournalEntry, Ledger, LedgerError};

fn journal() -> Vec<JournalEntry> {
    let mut world = World::selling(&[("a", 3), ("b", 0)]);
    world.ok(reserve("ann", 1, &[("a", 2)]));
    world.ok(confirm("ann", 1, "o"));
    world.ok(cancel("ann", 1, &[("a", 1)]));
    world.journal
}

fn replay(journal: &[JournalEntry]) -> (Ledger, Vec<LedgerError>) {
    let mut ledger = Ledger::default();
    let errors = journal.iter().filter_map(|entry| ledger.apply(entry).err()).collect();
    (ledger, errors)
}

#[test]
fn it_adds_up_to_the_counts() {
    let (ledger, errors) = replay(&journal());
    assert_eq!((ledger.seq, errors), (6, vec![]));
    assert_eq!(ledger.allocations[&allocation("a")].counts, Counts { capacity: 3, held: 0, sold: 1 });
    assert_eq!(ledger.allocations[&allocation("b")].counts, Counts::default());
}

#[test]
fn a_gap_and_a_repetition_are_told_once() {
    let mut lost = journal();
    lost.remove(0);
    assert_eq!(replay(&lost).1, [LedgerError::Gap { expected: 1, found: 2 }]);
    let mut twice = journal();
    twice.insert(1, twice[0].clone());
    assert_eq!(replay(&twice).1, [LedgerError::Gap { expected: 2, found: 1 }]);
}

#[test]
fn impossible_counts_are_told_and_replay_goes_on() {
    let doctor = |entry: usize, change: fn(&mut JournalEntry)| {
        let mut doctored = journal();
        change(&mut doctored[entry]);
        let (ledger, errors) = replay(&doctored);
        assert_eq!(ledger.seq, 6);
        let seqs = errors.into_iter().map(|error| match error {
            LedgerError::Impossible { seq, .. } => seq,
            LedgerError::Gap { .. } => panic!("no gap here"),
        });
        seqs.collect::<Vec<_>>()
    };
    assert_eq!(doctor(3, |entry| entry.deltas[0].held = 4), [4, 5]);
    assert_eq!(doctor(3, |entry| entry.deltas[0].held = 1), [5, 6]);
    assert_eq!(doctor(5, |entry| entry.deltas[0].sold = -3), [6]);
    assert_eq!(doctor(1, |entry| entry.deltas.clear()), [4, 5, 6]);
    assert_eq!(doctor(3, |entry| entry.deltas[0].held = i64::MAX), [4, 5, 6]);
    assert_eq!(doctor(3, |entry| (entry.deltas[0].held, entry.deltas[0].sold) = (i64::MAX, 1)), [4, 5, 6]);
}
