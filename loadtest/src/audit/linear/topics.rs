//! Who waits for what.

use super::history::{Answer, Deed, History, Transition};
use super::model::Change;
use crate::history::Reason;

/// Which open operations a change concerns, so that only these are held against the new state.
pub(super) struct Topics {
    /// By reservation: those that speak of it.
    reservations: Vec<Vec<usize>>,
    /// By allocation: those that were refused because it lacks units.
    allocations: Vec<Vec<usize>>,
    /// By owner: those that were refused because he has too many.
    owners: Vec<Vec<usize>>,
    /// Those that any count may concern.
    counts: Vec<usize>,
}

impl Topics {
    /// Nobody waits.
    pub(super) fn new(history: &History) -> Self {
        Self {
            reservations: vec![Vec::new(); history.reservations],
            allocations: vec![Vec::new(); history.capacities.len()],
            owners: vec![Vec::new(); history.owners],
            counts: Vec::new(),
        }
    }

    /// Lets an operation wait.
    pub(super) fn open(&mut self, history: &History, index: usize) {
        self.each_of(history, index, |waiting| waiting.push(index));
    }

    /// It waits no longer.
    pub(super) fn close(&mut self, history: &History, index: usize) {
        self.each_of(history, index, |waiting| {
            if let Some(place) = waiting.iter().position(|&other| other == index) {
                waiting.swap_remove(place);
            }
        });
    }

    /// Does something with each list that an operation belongs to.
    fn each_of(&mut self, history: &History, index: usize, mut act: impl FnMut(&mut Vec<usize>)) {
        let operation = &history.operations[index];
        let refused = !operation.may_change();
        let lacks = matches!(&operation.answer, Answer::Refused(reason) if reason.is_lack());
        let limited = operation.answer == Answer::Refused(Reason::OwnerLimitExceeded);
        match &operation.deed {
            Deed::Reserve { request } => {
                let request = &history.requests[*request];
                act(&mut self.reservations[request.reservation]);
                if let Some(replaced) = request.replaces {
                    act(&mut self.reservations[replaced]);
                }
                if lacks {
                    request.wishes.iter().for_each(|(allocation, _)| act(&mut self.allocations[*allocation]));
                }
                // Limits go before availability, so that no lack is told of who is over his limit.
                if lacks || limited {
                    act(&mut self.owners[request.owner]);
                }
            }
            Deed::Change { reservation, change, .. } => {
                act(&mut self.reservations[*reservation]);
                if refused && matches!(change, Transition::Confirm { reacquire: true, .. }) {
                    act(&mut self.counts);
                }
            }
            Deed::Expire { reservation, .. } => act(&mut self.reservations[*reservation]),
            Deed::SetCapacity { allocation, .. } => act(&mut self.allocations[*allocation]),
            Deed::Transfer { from, .. } => act(&mut self.allocations[*from]),
        }
    }

    /// Adds those whom a change concerns.
    pub(super) fn add_waiting(&self, change: &Change, agenda: &mut Vec<usize>) {
        change.reservations().for_each(|reservation| agenda.extend(&self.reservations[reservation]));
        change.allocations().for_each(|allocation| agenda.extend(&self.allocations[allocation]));
        change.owners().for_each(|owner| agenda.extend(&self.owners[owner]));
        agenda.extend(&self.counts);
    }
}
