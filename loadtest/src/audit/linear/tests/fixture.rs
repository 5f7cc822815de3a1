//! Histories by hand. Times are in milliseconds.

use boxoffice_proto::v1::reservation::State;

use crate::audit::linear::history::{
    Answer, CLOCK_TOLERANCE, Deed, History, Line, NEVER, Operation, Request, Shown, Source, Transition,
};
use crate::audit::linear::model::Availability;
use crate::audit::linear::search::{Budget, Outcome, Search};
use crate::audit::linear::{Fault, Proof, prove};
use crate::history::Reason;

pub(super) const BUDGET: Budget = Budget { steps: 2_000_000, dead_ends: 100_000 };

/// Owners and reservations have numbers below this.
pub(super) const NUMBERS: usize = 10;

pub(super) fn event(capacities: &[i64]) -> History {
    let capacities = capacities.to_vec();
    History { capacities, reservations: NUMBERS, owners: NUMBERS, ..History::default() }
}

pub(super) fn limited(capacities: &[i64], limit: i64) -> History {
    History { limit: Some(limit), ..event(capacities) }
}

/// `owner` asks for reservation `reservation` with these units of each allocation.
pub(super) fn request(owner: usize, reservation: usize, wishes: &[(usize, i64)]) -> Request {
    Request { reservation, owner, wishes: wishes.to_vec(), up_to: false, replaces: None, order: None }
}

pub(super) fn held(units: &[i64], expires: i64) -> Answer {
    Answer::Shown(shown(State::Held, units, expires * 1_000))
}

pub(super) fn sold(units: &[i64], order: usize) -> Answer {
    Answer::Shown(Shown { order: Some(order), ..shown(State::Confirmed, units, 0) })
}

pub(super) fn refunded(units: i64, cancelled: i64, order: usize) -> Answer {
    let state = if units == cancelled { State::Cancelled } else { State::Confirmed };
    let lines = vec![Line { allocation: 0, quantity: units, cancelled }];
    Answer::Shown(Shown { state, lines, expires: 0, order: Some(order) })
}

pub(super) fn ended(state: State, units: &[i64]) -> Answer {
    Answer::Shown(shown(state, units, 0))
}

fn shown(state: State, units: &[i64], expires: i64) -> Shown {
    let line = |(allocation, quantity): (usize, &i64)| Line { allocation, quantity: *quantity, cancelled: 0 };
    Shown { state, lines: units.iter().enumerate().map(line).collect(), expires, order: None }
}

pub(super) fn refused(reason: Reason) -> Answer {
    Answer::Refused(reason)
}

pub(super) fn confirm(order: usize) -> Transition {
    Transition::Confirm { order, reacquire: false }
}

pub(super) fn extend() -> Transition {
    Transition::Extend { latest: i64::MAX }
}

pub(super) fn refund(units: i64) -> Transition {
    Transition::Cancel { targets: vec![(0, units)] }
}

impl History {
    /// A call without an answer.
    pub(super) fn unanswered(mut self) -> Self {
        if let Some(last) = self.operations.last_mut() {
            last.end = NEVER;
            let known = std::mem::replace(&mut last.answer, Answer::Unknown(None));
            if let Answer::Shown(shown) = known {
                last.answer = Answer::Unknown(Some(shown));
            }
        }
        self
    }

    /// A call for a reservation between two moments.
    pub(super) fn reserve(mut self, from: i64, to: i64, request: Request, answer: Answer) -> Self {
        let known = self.requests.iter().position(|known| *known == request);
        let number = known.unwrap_or(self.requests.len());
        if known.is_none() {
            self.requests.push(request);
        }
        self.add(from, to, Deed::Reserve { request: number }, answer)
    }

    /// A call for one unit of the only allocation, by the owner with the reservation's number.
    pub(super) fn one(self, from: i64, to: i64, reservation: usize, answer: Answer) -> Self {
        self.reserve(from, to, request(reservation, reservation, &[(0, 1)]), answer)
    }

    /// Another call, by the owner with the reservation's number.
    pub(super) fn change(self, from: i64, to: i64, reservation: usize, change: Transition, answer: Answer) -> Self {
        self.add(from, to, Deed::Change { reservation, owner: reservation, change }, answer)
    }

    /// An expiry.
    pub(super) fn expiry(mut self, reservation: usize, expires: i64) -> Self {
        let at = expires * 1_000;
        self.operations.push(expiry(reservation, at));
        self
    }

    pub(super) fn add(mut self, from: i64, to: i64, deed: Deed, answer: Answer) -> Self {
        let (start, end) = (from * 1_000, to * 1_000);
        let source = Source::Call(self.operations.len());
        self.operations.push(Operation { start, end, deed, answer, hint: (end, 2, 0), source });
        self
    }
}

pub(super) fn expiry(reservation: usize, expires: i64) -> Operation {
    Operation {
        start: expires - CLOCK_TOLERANCE,
        end: expires + CLOCK_TOLERANCE,
        deed: Deed::Expire { reservation, expires },
        answer: Answer::Done,
        hint: (expires, 0, 0),
        source: Source::Clock,
    }
}

/// The verdict of the search alone.
pub(super) fn search(history: &History, budget: Budget) -> Outcome {
    let all = (0..history.operations.len()).collect();
    Search::new(history, Availability::Counted, budget).run(all)
}

#[track_caller]
pub(super) fn assert_legal(history: &History) {
    let proof = prove(history, BUDGET);
    assert!(matches!(proof, Proof::Linearizable { .. }), "{proof:#?} of {history:#?}");
    let outcome = search(history, BUDGET);
    assert!(matches!(outcome, Outcome::Linearizable { .. }), "{outcome:#?}");
}

/// By the search, whatever the cheaper checks find.
#[track_caller]
pub(super) fn assert_illegal(history: &History) {
    let proof = prove(history, BUDGET);
    assert!(matches!(proof, Proof::Illegal(_)), "{proof:#?} of {history:#?}");
    let outcome = search(history, BUDGET);
    assert!(matches!(outcome, Outcome::Illegal(_)), "{outcome:#?} of {history:#?}");
}

/// The faults, where there are any.
pub(super) fn faults(history: &History) -> Vec<Fault> {
    match prove(history, BUDGET) {
        Proof::Illegal(faults) => faults,
        Proof::Linearizable { .. } | Proof::Unknown { .. } => Vec::new(),
    }
}
