//! Whether what people were told can be true: whether all calls of an event can be put in one order, each at some moment
//! between its beginning and its end, in which the rules of the API give every answer as it was given. (Linearizability:
//! Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects", 1990.)
//!
//! **What is checked.** The state is the whole event: the capacity of each allocation, each reservation, and through them
//! what is held, sold, and had by each owner. If the event is linearizable, so is each allocation (Herlihy and Wing's
//! locality, read backwards), and a reservation of several allocations is checked as the one step that it must be. The
//! history is what the clients saw. The journal only says where to look first, which calls without an answer may have had an
//! effect, and what there was at the beginning ([`translate`]); so a server that lies in its journal too is caught here.
//!
//! **The search** ([`search`]) is that of Wing and Gong ("Testing and verifying concurrent objects", 1993) with Lowe's memory of
//! dead ends ("Testing for linearizability", 2017), as in Athalye's Porcupine: take any operation that may be next, since none that
//! is left ended before it began; if its answer is true in the present state, go on from there, else try another; turn back
//! where none is left. Four things are added:
//! - An operation that is true and changes nothing (a refusal, a repeat, a look) is placed at once. Nothing is lost: in any order
//!   that goes on from here it can be moved to the front, since nobody notices it, and since what it must come after is placed.
//! - Changes are tried in the order of the journal, so that an honest history is proven without turning back, at 512 calls
//!   in flight as at one. A wrong hint costs time and changes no verdict.
//! - An expiry is an operation of the clock, 5 ms around its time. It has an effect only if the hold still has that expiry.
//! - A call without an answer may come at any time after its beginning, or never.
//!
//! **Reservations apart.** Before that, each owner's reservations are checked alone, in a model that lets availability be
//! anything. What is illegal there is illegal in the whole (leaving out other buyers and all counting only adds freedom), and the
//! few calls of one owner are searched completely in no time. (Partitioning: Horn and Kroening, "Faster linearizability checking
//! via P-compositionality", 2015; theirs is exact, this one is a necessary condition.) What it finds is told with those calls only.
//!
//! **Sums apart.** A lie about counts leaves the search with as many orders as there are subsets of what was in flight. So
//! the cheap necessary conditions come first ([`bounds`]): units that were had for certain must fit the capacity, and units
//! can be lacking only if enough can have been had.
//!
//! **Bounds.** The search ends when its [`Budget`] is spent. That is [`Outcome::Unknown`], told as "unproven", and no pass.
//!
//! **What it leaves out.** A look that shows an expired hold (see [`translate`]), looks that are less than a second old, an operator's
//! refusals that speak of versions, and events that do not sell all the time.

mod bounds;
mod effects;
mod excerpt;
mod fingerprint;
mod history;
mod model;
mod plan;
mod search;
#[cfg(test)]
mod tests;
mod topics;
mod translate;

use std::collections::HashMap;

use self::excerpt::Excerpt;
use self::history::{Deed, History, Operation};
use self::model::Availability;
use self::search::{Budget, Outcome, Search, Stuck};
use super::evidence::Evidence;
use super::findings::{Findings, Key};
use super::ledger::Ledger;

/// What may be spent on a history: several times what an honest one needs (at most some 200 steps for each operation were
/// seen, where thousands wait for units), and little enough that a false one does not hold up the verdict for long.
fn budget(history: &History) -> Budget {
    Budget { steps: 4_000_000 + 1_000 * history.operations.len() as u64, dead_ends: 4_000_000 }
}

/// What is illegal, and where it shows.
#[derive(Debug)]
enum Fault {
    /// Some owners' own calls have no order, whatever the others did.
    Owner(Stuck),
    /// The sums cannot be.
    Sum(bounds::Fault),
    /// All calls together have no order.
    Event(Stuck),
}

/// What came of a history.
#[derive(Debug)]
enum Proof {
    /// An order was found.
    Linearizable {
        /// What it cost.
        #[cfg_attr(not(test), expect(dead_code, reason = "a figure for the tests of the search"))]
        steps: u64,
    },
    /// The budget was spent before.
    Unknown {
        /// What it cost.
        steps: u64,
        /// The furthest that it came.
        stuck: Option<Stuck>,
    },
    /// There is none.
    Illegal(Vec<Fault>),
}

/// Checks that there is an order of all calls in which every answer is true.
pub(super) fn check(evidence: &Evidence, ledger: &Ledger, findings: &mut Findings) {
    let history = translate::history(evidence);
    let excerpt = Excerpt { evidence, ledger, history: &history };
    match prove(&history, budget(&history)) {
        Proof::Linearizable { .. } => {}
        Proof::Unknown { steps, stuck } => {
            let text = format!(
                "nobody knows whether the {} calls and expiries have an order in which every answer is true: given up after {steps} steps",
                history.operations.len()
            );
            let lines = stuck.map(|stuck| excerpt.lines(&stuck, Availability::Counted)).unwrap_or_default();
            findings.add(Key::Unproven, 1, text, lines);
        }
        Proof::Illegal(faults) => {
            for fault in faults {
                let (text, lines) = excerpt.tell(&fault);
                findings.add(Key::NotLinearizable, 1, text, lines);
            }
        }
    }
}

fn prove(history: &History, budget: Budget) -> Proof {
    let mut faults: Vec<_> = faults_of_owners(history, budget);
    faults.extend(bounds::faults(history).into_iter().map(Fault::Sum));
    if !faults.is_empty() {
        return Proof::Illegal(faults);
    }
    let mut search = Search::new(history, Availability::Counted, budget);
    match search.run((0..history.operations.len()).collect()) {
        Outcome::Linearizable { steps } => Proof::Linearizable { steps },
        Outcome::Unknown { steps, stuck } => Proof::Unknown { steps, stuck },
        Outcome::Illegal(stuck) => Proof::Illegal(vec![Fault::Event(stuck)]),
    }
}

/// Checks each owner's reservations alone, with those of others that he asked for.
fn faults_of_owners(history: &History, budget: Budget) -> Vec<Fault> {
    let mut search = Search::new(history, Availability::AnythingGoes, budget);
    let mut faults = Vec::new();
    for group in by_owner(history) {
        // Where one owner's calls are too many to be sure, the search over all of them has the last word.
        if let Outcome::Illegal(stuck) = search.run(group) {
            faults.push(Fault::Owner(stuck));
        }
    }
    faults
}

/// The operations on reservations, apart where neither an owner nor a reservation connects them.
fn by_owner(history: &History) -> Vec<Vec<usize>> {
    let mut groups = Groups::new(history.reservations + history.owners);
    let owner_of = |owner: usize| history.reservations + owner;
    for request in &history.requests {
        groups.unite(request.reservation, owner_of(request.owner));
        if let Some(replaced) = request.replaces {
            groups.unite(request.reservation, replaced);
        }
    }
    let reservation_of = |operation: &Operation| match &operation.deed {
        Deed::Reserve { request } => Some(history.requests[*request].reservation),
        Deed::Change { reservation, .. } | Deed::Expire { reservation, .. } => Some(*reservation),
        Deed::SetCapacity { .. } | Deed::Transfer { .. } => None,
    };
    let mut places = HashMap::new();
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (index, operation) in history.operations.iter().enumerate() {
        let Some(reservation) = reservation_of(operation) else { continue };
        let place = *places.entry(groups.root(reservation)).or_insert(members.len());
        if place == members.len() {
            members.push(Vec::new());
        }
        members[place].push(index);
    }
    members
}

/// Disjoint sets (Galler and Fischer, 1964), with paths halved.
struct Groups {
    parents: Vec<usize>,
}

impl Groups {
    fn new(count: usize) -> Self {
        Self { parents: (0..count).collect() }
    }

    fn root(&mut self, mut member: usize) -> usize {
        while self.parents[member] != member {
            self.parents[member] = self.parents[self.parents[member]];
            member = self.parents[member];
        }
        member
    }

    fn unite(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.parents[one] = other;
    }
}
