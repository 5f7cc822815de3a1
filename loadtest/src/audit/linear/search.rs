//! The search for an order of all operations in which every answer is true.

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;

use super::fingerprint::Fingerprint;
use super::history::{Hint, History, Operation};
use super::model::{Availability, Change, Judgement, Model};
use super::topics::Topics;

/// How much may be spent on one history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Times that an operation may be held against a state.
    pub steps: u64,
    /// Dead ends that may be remembered, so that no search walks into one twice: 16 bytes and a little more each.
    pub dead_ends: usize,
}

/// What came out of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There is such an order.
    Linearizable {
        /// What it cost.
        steps: u64,
    },
    /// The budget was spent before one was found.
    Unknown {
        /// What it cost.
        steps: u64,
        /// Where it came no further.
        stuck: Option<Stuck>,
    },
    /// There is none.
    Illegal(Stuck),
}

/// The furthest that any order came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stuck {
    /// The operations that it placed, in order.
    pub placed: Vec<usize>,
    /// The operation that had to be next, since all that remain begin after its end or do not help it.
    pub next: usize,
    /// All that could have been placed next, and could not.
    pub open: Vec<usize>,
}

/// A search over the operations of a history, or some of them.
///
/// It keeps its tables from one run to the next, so that many small runs over one history cost no more than a large one.
pub(super) struct Search<'a> {
    history: &'a History,
    model: Model<'a>,
    budget: Budget,
    steps: u64,
    placed: Vec<bool>,
    /// The placed ones, in order.
    trail: Vec<usize>,
    /// Exclusive or of the fingerprints of all that are placed.
    placed_fingerprint: u128,
    /// In order of `start`.
    by_start: Vec<usize>,
    /// The place of each operation in `by_start`.
    rank: Vec<usize>,
    /// The certain ones, in order of `end`.
    by_end: Vec<usize>,
    /// So many of `by_start` may be placed now.
    admitted: usize,
    /// So many of `by_end` are placed.
    ended: usize,
    /// Admitted, not placed, and able to change something.
    candidates: BTreeSet<(Hint, usize)>,
    topics: Topics,
    frames: Vec<Frame>,
    dead_ends: HashSet<u128>,
    furthest: Option<Stuck>,
    /// Operations to hold against the state, because it changed in what concerns them.
    agenda: Vec<usize>,
}

/// A change that was tried, and what brings back the time before it.
struct Frame {
    tried: (Hint, usize),
    undo: Change,
    trail: usize,
    admitted: usize,
    ended: usize,
}

impl<'a> Search<'a> {
    /// A search that has not begun.
    pub(super) fn new(history: &'a History, availability: Availability, budget: Budget) -> Self {
        Self {
            history,
            model: Model::new(history, availability),
            budget,
            steps: 0,
            placed: vec![false; history.operations.len()],
            trail: Vec::new(),
            placed_fingerprint: 0,
            by_start: Vec::new(),
            rank: vec![0; history.operations.len()],
            by_end: Vec::new(),
            admitted: 0,
            ended: 0,
            candidates: BTreeSet::new(),
            topics: Topics::new(history),
            frames: Vec::new(),
            dead_ends: HashSet::new(),
            furthest: None,
            agenda: Vec::new(),
        }
    }

    /// Searches an order of these operations, and leaves the search as if it had not begun.
    pub(super) fn run(&mut self, operations: Vec<usize>) -> Outcome {
        let all = &self.history.operations;
        self.by_start = operations;
        self.by_start.sort_by_key(|&index| (all[index].start, index));
        for (rank, &index) in self.by_start.iter().enumerate() {
            self.rank[index] = rank;
        }
        self.by_end = self.by_start.iter().copied().filter(|&index| all[index].is_certain()).collect();
        self.by_end.sort_by_key(|&index| (all[index].end, index));
        self.steps = 0;
        self.furthest = None;
        self.dead_ends.clear();
        let found = self.search();
        while self.retreat().is_some() {}
        self.unwind(0, 0, 0);
        match (found, self.furthest.take()) {
            (Some(true), _) => Outcome::Linearizable { steps: self.steps },
            (Some(false), Some(stuck)) => Outcome::Illegal(stuck),
            (Some(false) | None, stuck) => Outcome::Unknown { steps: self.steps, stuck },
        }
    }

    fn operation(&self, index: usize) -> &'a Operation {
        &self.history.operations[index]
    }

    /// Depth first. `None`: the budget is spent.
    fn search(&mut self) -> Option<bool> {
        let mut after = self.settle();
        loop {
            if self.ended == self.by_end.len() {
                return Some(true);
            }
            if self.steps > self.budget.steps || self.dead_ends.len() > self.budget.dead_ends {
                self.note_stuck();
                return None;
            }
            after = match self.advance(after) {
                true => self.settle(),
                false => {
                    self.note_stuck();
                    self.dead_ends.insert(self.fingerprint());
                    let Some(tried) = self.retreat() else { return Some(false) };
                    Some(tried)
                }
            };
        }
    }

    /// Of what is placed and what came of it.
    fn fingerprint(&self) -> u128 {
        // Both are exclusive ors of fingerprints of different kinds.
        self.placed_fingerprint ^ self.model.fingerprint()
    }

    /// Makes the first change that fits, in order of hints, of those after `after`. Answers whether there is one.
    fn advance(&mut self, after: Option<(Hint, usize)>) -> bool {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = None;
        for &(hint, index) in self.candidates.range((from, Bound::Unbounded)) {
            self.steps += 1;
            match self.model.judge(self.operation(index)) {
                Judgement::Changes(change) => found = Some((hint, index, change)),
                // Those that stay idle were placed before.
                Judgement::Idle => found = Some((hint, index, Change::default())),
                Judgement::Untrue => continue,
            }
            break;
        }
        let Some((hint, index, change)) = found else { return false };
        let (trail, admitted, ended) = (self.trail.len(), self.admitted, self.ended);
        self.topics.add_waiting(&change, &mut self.agenda);
        let undo = self.model.apply(change);
        self.topics.add_waiting(&undo, &mut self.agenda);
        self.frames.push(Frame { tried: (hint, index), undo, trail, admitted, ended });
        self.place(index);
        true
    }

    /// Places all that is true now and stays without effect, and admits what may be placed next, until there is no more.
    /// Where that leads to a known dead end, there is nothing to try there: the answer is then past all candidates.
    fn settle(&mut self) -> Option<(Hint, usize)> {
        loop {
            while let Some(index) = self.agenda.pop() {
                self.place_if_idle(index);
            }
            while self.by_end.get(self.ended).is_some_and(|&index| self.placed[index]) {
                self.ended += 1;
            }
            let Some(&next) = self.by_end.get(self.ended) else { break };
            let deadline = self.operation(next).end;
            let before = self.admitted;
            while let Some(&index) = self.by_start.get(self.admitted)
                && self.operation(index).start <= deadline
            {
                self.admitted += 1;
                self.open(index);
                self.agenda.push(index);
            }
            if self.admitted == before {
                break;
            }
        }
        let known = !self.dead_ends.is_empty() && self.dead_ends.contains(&self.fingerprint());
        known.then_some(((i64::MAX, u8::MAX, i64::MAX), usize::MAX))
    }

    fn place_if_idle(&mut self, index: usize) {
        let operation = self.operation(index);
        if self.placed[index] || !operation.stays_idle() {
            return;
        }
        self.steps += 1;
        if matches!(self.model.judge(operation), Judgement::Idle) {
            self.place(index);
        }
    }

    fn place(&mut self, index: usize) {
        self.close(index);
        self.placed[index] = true;
        self.placed_fingerprint ^= placed_fingerprint(index);
        self.trail.push(index);
    }

    /// Lets an operation wait for its place.
    fn open(&mut self, index: usize) {
        let operation = self.operation(index);
        self.topics.open(self.history, index);
        if operation.may_change() {
            self.candidates.insert((operation.hint, index));
        }
    }

    fn close(&mut self, index: usize) {
        self.topics.close(self.history, index);
        self.candidates.remove(&(self.operation(index).hint, index));
    }

    /// Takes the last change back. Answers which it was; `None`: there is none.
    fn retreat(&mut self) -> Option<(Hint, usize)> {
        let frame = self.frames.pop()?;
        self.unwind(frame.trail, frame.admitted, frame.ended);
        self.model.apply(frame.undo);
        Some(frame.tried)
    }

    fn unwind(&mut self, trail: usize, admitted: usize, ended: usize) {
        self.agenda.clear();
        for rank in admitted..self.admitted {
            let index = self.by_start[rank];
            if !self.placed[index] {
                self.close(index);
            }
        }
        while self.trail.len() > trail
            && let Some(index) = self.trail.pop()
        {
            self.placed[index] = false;
            self.placed_fingerprint ^= placed_fingerprint(index);
            if self.rank[index] < admitted {
                self.open(index);
            }
        }
        self.admitted = admitted;
        self.ended = ended;
    }

    /// Remembers the furthest that any order came.
    fn note_stuck(&mut self) {
        let further = self.furthest.as_ref().is_none_or(|stuck| stuck.placed.len() < self.trail.len());
        let Some(&next) = self.by_end.get(self.ended).filter(|_| further) else { return };
        let admitted = self.by_start.iter().take(self.admitted).copied();
        let open = admitted.filter(|&index| !self.placed[index]).collect();
        self.furthest = Some(Stuck { placed: self.trail.clone(), next, open });
    }
}

fn placed_fingerprint(index: usize) -> u128 {
    let mut hash = Fingerprint::of("placed");
    hash.add(index);
    hash.finish()
}
