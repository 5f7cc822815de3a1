//! Tells why a history has no order: the answer that fits nowhere, what would have been true instead, and the calls and
//! changes around it.

use super::Fault;
use super::bounds;
use super::history::{Answer, Deed, History, Operation, Shown, Source};
use super::model::{Availability, Model, Truth};
use super::search::Stuck;
use crate::audit::evidence::Evidence;
use crate::audit::ledger::{Ledger, story_lines};

/// Calls of the same time that are told, at most.
const OPEN_MAX: usize = 8;
/// Calls before it that are told, at most.
const BEFORE_MAX: usize = 6;
/// Changes of the journal that are told, at most.
const JOURNAL_MAX: usize = 4;
/// Reservations that are told of an allocation that was oversold, at most.
const OWNERS_MAX: usize = 20;

/// What an excerpt is made from.
pub(super) struct Excerpt<'a> {
    pub evidence: &'a Evidence,
    pub ledger: &'a Ledger,
    pub history: &'a History,
}

impl Excerpt<'_> {
    /// A fault in words, with what shows it.
    pub(super) fn tell(&self, fault: &Fault) -> (String, Vec<String>) {
        match fault {
            Fault::Owner(stuck) => {
                (self.words(stuck, Availability::AnythingGoes), self.lines(stuck, Availability::AnythingGoes))
            }
            Fault::Event(stuck) => (self.words(stuck, Availability::Counted), self.lines(stuck, Availability::Counted)),
            Fault::Sum(bounds::Fault::Oversold { allocation, at, had, capacity, by }) => {
                let text = format!(
                    "whatever the order of the calls, at {at} buyers had {had} units of {} for certain, {} more than its {capacity}",
                    self.allocation(*allocation),
                    had - capacity
                );
                (text, by.iter().take(OWNERS_MAX).filter_map(|reservation| self.last_word(*reservation, *at)).collect())
            }
            Fault::Sum(bounds::Fault::FalseLack { operation, free }) => {
                let free = free.iter().map(|(of, units)| format!("{units} units of {}", self.allocation(*of)));
                let free = free.collect::<Vec<_>>().join(" and ");
                let operation = &self.history.operations[*operation];
                let text = format!(
                    "{} was told {}, but whatever the order of the calls, at least {free} were for sale all the time",
                    self.who(operation),
                    told(&operation.answer)
                );
                (text, vec![self.line(operation)])
            }
        }
    }

    /// What fits nowhere, and what would have been true.
    fn words(&self, stuck: &Stuck, availability: Availability) -> String {
        let operation = &self.history.operations[stuck.next];
        let truth = Model::after(self.history, availability, &stuck.placed).truth(operation);
        let of = match availability {
            Availability::Counted => "of the calls",
            Availability::AnythingGoes => "of the owner's calls, whatever the others did,",
        };
        format!(
            "{} was told {}, which no order {of} makes true: at the end of the furthest, it would have been {}{}",
            self.who(operation),
            told(&operation.answer),
            said(&truth),
            meaning(&operation.answer, &truth)
        )
    }

    /// The call that fits nowhere, the state that it met, the calls of the same time, those before it, and the journal.
    pub(super) fn lines(&self, stuck: &Stuck, availability: Availability) -> Vec<String> {
        let operation = &self.history.operations[stuck.next];
        let concerns = Concerns::of(self.history, operation);
        let mut lines = vec![self.line(operation)];
        let model = Model::after(self.history, availability, &stuck.placed);
        lines.extend(self.state_lines(&model, &concerns, availability));
        let related =
            |index: &&usize| **index != stuck.next && concerns.meet(self.history, &self.history.operations[**index]);
        for index in stuck.open.iter().filter(related).take(OPEN_MAX) {
            lines.push(format!("at the same time, no place found: {}", self.line(&self.history.operations[*index])));
        }
        let before: Vec<_> = stuck.placed.iter().rev().filter(related).take(BEFORE_MAX).collect();
        lines.extend(
            before.iter().rev().map(|index| format!("before it: {}", self.line(&self.history.operations[**index]))),
        );
        lines.extend(self.journal_lines(operation));
        lines
    }

    fn state_lines(&self, model: &Model<'_>, concerns: &Concerns, availability: Availability) -> Vec<String> {
        let mut lines = Vec::new();
        if availability == Availability::Counted {
            lines.extend(concerns.allocations.iter().map(|&allocation| {
                let pool = model.pool(allocation);
                let name = self.allocation(allocation);
                format!("then: {name} has capacity {}, held {}, sold {}", pool.capacity, pool.held, pool.sold)
            }));
        }
        lines.extend(concerns.reservations.iter().map(|&reservation| match model.reservation(reservation) {
            Some(shown) => format!("then: its reservation is {}", view(shown)),
            None => "then: its reservation is not there".to_owned(),
        }));
        lines.extend(concerns.owner.map(|owner| format!("then: its owner has {} units", model.owned(owner))));
        lines
    }

    fn journal_lines(&self, operation: &Operation) -> Vec<String> {
        let Source::Call(number) = operation.source else { return Vec::new() };
        let reservation = self.evidence.calls.get(number).map(|call| call.ask.reservation);
        let story = reservation.and_then(|id| self.ledger.stories.get(&id));
        let mut lines = story.map(|story| story_lines(story, &self.evidence.journal)).unwrap_or_default();
        lines.truncate(JOURNAL_MAX);
        lines
    }

    /// The latest call before a moment that was shown a reservation.
    fn last_word(&self, reservation: usize, at: i64) -> Option<String> {
        let shows = |operation: &&Operation| {
            let here = match &operation.deed {
                Deed::Reserve { request } => self.history.requests[*request].reservation == reservation,
                Deed::Change { reservation: of, .. } => *of == reservation,
                Deed::Expire { .. } | Deed::SetCapacity { .. } | Deed::Transfer { .. } => false,
            };
            here && operation.end <= at && matches!(operation.answer, Answer::Shown(_))
        };
        let latest = self.history.operations.iter().filter(shows).max_by_key(|operation| operation.end)?;
        Some(self.line(latest))
    }

    fn line(&self, operation: &Operation) -> String {
        let call = match operation.source {
            Source::Call(number) => self.evidence.calls.get(number).map(ToString::to_string),
            Source::Operator(number) => self.evidence.operators.get(number).map(ToString::to_string),
            Source::Clock => None,
        };
        call.unwrap_or_else(|| format!("the clock {}..{}: {:?}", operation.start, operation.end, operation.deed))
    }

    fn who(&self, operation: &Operation) -> String {
        match operation.source {
            Source::Call(number) => {
                let call = self.evidence.calls.get(number);
                call.map_or_else(|| "somebody".to_owned(), |call| crate::history::owner_name(call.ask.owner))
            }
            Source::Operator(_) => "an operator".to_owned(),
            Source::Clock => "the clock".to_owned(),
        }
    }

    /// The name, of the allocation whose id comes at this place.
    fn allocation(&self, rank: usize) -> String {
        let mut names: Vec<_> = self.evidence.counters.allocations.iter().map(|counter| &counter.allocation).collect();
        names.sort_unstable();
        names.get(rank).map_or_else(|| format!("allocation {rank}"), |name| (*name).clone())
    }
}

/// What an operation is about.
struct Concerns {
    reservations: Vec<usize>,
    allocations: Vec<usize>,
    owner: Option<usize>,
}

impl Concerns {
    fn of(history: &History, operation: &Operation) -> Self {
        let (reservations, allocations, owner) = match &operation.deed {
            Deed::Reserve { request } => {
                let request = &history.requests[*request];
                let reservations = [Some(request.reservation), request.replaces].into_iter().flatten().collect();
                let allocations = request.wishes.iter().map(|(allocation, _)| *allocation).collect();
                (reservations, allocations, Some(request.owner))
            }
            Deed::Change { reservation, owner, .. } => (vec![*reservation], Vec::new(), Some(*owner)),
            Deed::Expire { reservation, .. } => (vec![*reservation], Vec::new(), None),
            Deed::SetCapacity { allocation, .. } => (Vec::new(), vec![*allocation], None),
            Deed::Transfer { from, to, .. } => (Vec::new(), vec![*from, *to], None),
        };
        Self { reservations, allocations, owner }
    }

    /// Whether another operation is about the same: a reservation, or units of an allocation.
    fn meet(&self, history: &History, other: &Operation) -> bool {
        let other = Self::of(history, other);
        let common = |ours: &[usize], theirs: &[usize]| ours.iter().any(|one| theirs.contains(one));
        common(&self.reservations, &other.reservations) || common(&self.allocations, &other.allocations)
    }
}

fn told(answer: &Answer) -> String {
    match answer {
        Answer::Shown(shown) => view(shown),
        Answer::Refused(reason) => reason.as_str().to_owned(),
        Answer::Done => "that it is done".to_owned(),
        Answer::BelowCommitted => "CAPACITY_BELOW_COMMITTED".to_owned(),
        Answer::Unknown(_) => "nothing".to_owned(),
    }
}

fn said(truth: &Truth) -> String {
    match truth {
        Truth::Shown(shown) => view(shown),
        Truth::Refused(reason) => reason.as_str().to_owned(),
        Truth::Done => "done".to_owned(),
        Truth::BelowCommitted => "CAPACITY_BELOW_COMMITTED".to_owned(),
        Truth::Invalid => "an invalid request".to_owned(),
        Truth::Lapsed => "a hold that had lapsed before it was granted".to_owned(),
    }
}

fn view(shown: &Shown) -> String {
    let units = |units: fn(&super::history::Line) -> i64| shown.lines.iter().map(units).sum::<i64>();
    let state = shown.state.as_str_name().trim_start_matches("STATE_");
    let mut text = format!("{state} of {} units", units(|line| line.quantity));
    let refunded = units(|line| line.cancelled);
    if refunded != 0 {
        text += &format!(", {refunded} refunded");
    }
    text
}

/// What it comes to, where that has a name.
fn meaning(answer: &Answer, truth: &Truth) -> &'static str {
    let gone = |reason: &crate::history::Reason| *reason == crate::history::Reason::ReservationNotFound;
    match (answer, truth) {
        (Answer::Shown(_), Truth::Refused(reason)) if reason.is_lack() => " (oversold)",
        (Answer::Shown(_), Truth::Refused(crate::history::Reason::OwnerLimitExceeded)) => " (a limit was passed)",
        (Answer::Refused(reason), Truth::Shown(_)) if reason.is_lack() => " (a false \"sold out\")",
        (Answer::Refused(reason), Truth::Shown(_)) if gone(reason) => " (an acknowledged reservation was lost)",
        _ => "",
    }
}
