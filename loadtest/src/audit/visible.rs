//! How old a look may be.
//!
//! A change has its time in the journal from the moment at which it was decided, and those who look see it only when it is
//! committed. Nobody knows how much later that is: a disk may take seconds. But what somebody has been told of was committed
//! by then, and so was all that stands before it in the journal.

use super::evidence::Evidence;
use super::ledger::Ledger;
use crate::clock::{Micros, SECOND};
use crate::history::{Call, Told, View};
use boxoffice_proto::v1::reservation::State;

/// A look may be so old in any case: it promises to be true, not to be fresh.
const READ_TOLERANCE: Micros = SECOND;

/// Which changes were committed by when, as far as answers prove it.
pub(super) struct Visible {
    /// When each answer came that told of a change, in order.
    ends: Vec<Micros>,
    /// How many changes these answers and those before prove to be committed; one more than there are answers.
    committed: Vec<usize>,
    /// When the first change was made that none of the answers so far proves to be committed; one more than there are answers.
    open_since: Vec<Micros>,
}

impl Visible {
    /// Reads the answers.
    pub(super) fn of(evidence: &Evidence, ledger: &Ledger) -> Self {
        let mut proofs: Vec<_> =
            evidence.calls.iter().filter_map(|call| Some((call.end, told_of(call, ledger)? + 1))).collect();
        proofs.sort_unstable();
        // When the first of the changes from one on was made: clocks may step, so that it is not always the first listed.
        let mut earliest = vec![Micros::MAX; evidence.journal.len() + 1];
        for (index, entry) in evidence.journal.iter().enumerate().rev() {
            earliest[index] = entry.at.min(earliest[index + 1]);
        }
        let mut committed = vec![0];
        for (_, changes) in &proofs {
            committed.push((*changes).max(committed.last().copied().unwrap_or_default()));
        }
        let open_since = committed.iter().map(|changes| earliest[*changes]).collect();
        Self { ends: proofs.into_iter().map(|(end, _)| end).collect(), committed, open_since }
    }

    /// How many changes were committed at `at`, as far as answers prove it that had come by then.
    pub(super) fn committed(&self, at: Micros) -> usize {
        self.committed[self.ends.partition_point(|end| *end < at)]
    }

    /// A look that began at `start` shows the event as it was at this moment, or later.
    pub(super) fn since(&self, start: Micros) -> Micros {
        let answers = self.ends.partition_point(|end| *end < start);
        self.open_since[answers].min(start - READ_TOLERANCE)
    }
}

/// The first change of the journal after which a buyer can have been told what he was told. That a hold has lapsed can be told
/// before the journal says so.
fn told_of(call: &Call, ledger: &Ledger) -> Option<usize> {
    let told = |view: &View| {
        let story = ledger.stories.get(&call.ask.reservation)?;
        story.moments.iter().find(|moment| moment.view.agrees(view)).map(|moment| moment.index)
    };
    match &call.told {
        Told::Shown(view) if view.state != State::Expired => told(view),
        Told::Shown(_) | Told::Refused(_) | Told::Busy | Told::Unknown(_) | Told::Nonsense(_) => None,
    }
}
