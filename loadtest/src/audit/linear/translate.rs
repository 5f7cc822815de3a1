//! Makes a history out of what was recorded.
//!
//! What must hold comes from the answers alone. The journal says three things more, none of which can make a false history
//! pass: where to try an operation first; that a call whose answer nobody got had an effect, which it then *may* have; and
//! how many units there were at the beginning.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use boxoffice_proto::v1::reservation::State;
use uuid::Uuid;

use super::effects::{can_have_made, can_have_told, is_operators};
use super::history::{
    Answer, CLOCK_TOLERANCE, Deed, Hint, History, Line, NEVER, Operation, Request, Shown, Source, Transition,
};
use crate::audit::evidence::{Entry, Evidence, Kind};
use crate::clock::{Micros, SECOND};
use crate::history::{Action, Call, Edit, OperatorCall, OperatorTold, Reason, Told, Units, View};

/// A look at a reservation may be so old: it promises to be true, not to be fresh.
const READ_TOLERANCE: Micros = SECOND;

/// The order within one moment: holds lapse, then changes are made, then come those whose place nobody knows.
const LAPSES: u8 = 0;
const CHANGES: u8 = 1;
const ANY_TIME: u8 = 2;

/// The history of an event.
pub(super) fn history(evidence: &Evidence) -> History {
    let mut translation = Translation::new(evidence);
    for (number, call) in evidence.calls.iter().enumerate() {
        translation.add_call(number, call);
    }
    translation.add_unanswered();
    translation.add_operators();
    translation.add_expiries();
    translation.finish()
}

struct Translation<'a> {
    evidence: &'a Evidence,
    history: History,
    reservations: Numbers<Uuid>,
    owners: Numbers<u32>,
    orders: Numbers<&'a str>,
    requests: Numbers<Request>,
    /// The place of each allocation in the order of their ids, by its number in the run.
    ranks: Vec<usize>,
    /// Where the journal tells of each reservation.
    entries: HashMap<Uuid, Vec<usize>>,
    /// The moment of each change, never before those of earlier changes.
    moments: Vec<Micros>,
    /// Calls that may have had an effect that nobody was told of, by reservation.
    unanswered: HashMap<Uuid, Vec<usize>>,
    /// Changes of the journal that an answered call can have made.
    explained: HashSet<usize>,
    expiries: HashSet<(usize, Micros)>,
}

impl<'a> Translation<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let names = evidence.counters.allocations.iter().map(|counter| &counter.allocation);
        let mut by_name: Vec<_> = names.enumerate().collect();
        by_name.sort_by_key(|(_, name)| *name);
        let mut ranks = vec![0; by_name.len()];
        for (rank, (number, _)) in by_name.iter().enumerate() {
            ranks[*number] = rank;
        }
        let mut entries: HashMap<_, Vec<_>> = HashMap::new();
        let mut moments = Vec::with_capacity(evidence.journal.len());
        let mut history = History { capacities: vec![0; ranks.len()], ..History::default() };
        for (index, entry) in evidence.journal.iter().enumerate() {
            moments.push(moments.last().map_or(entry.at, |before| entry.at.max(*before)));
            if let Some(id) = entry.reservation {
                entries.entry(id).or_default().push(index);
            }
            for delta in entry.deltas.iter().filter(|_| entry.kind == Kind::AllocationCreated) {
                history.capacities[ranks[delta.allocation]] += i64::from(delta.capacity);
            }
        }
        let limit = |units: i32| (units != 0).then(|| units.into());
        history.limit = limit(evidence.limits.per_owner);
        history.limit_each = limit(evidence.limits.per_allocation);
        Self {
            evidence,
            history,
            reservations: Numbers::default(),
            owners: Numbers::default(),
            orders: Numbers::default(),
            requests: Numbers::default(),
            ranks,
            entries,
            moments,
            unanswered: HashMap::new(),
            explained: HashSet::new(),
            expiries: HashSet::new(),
        }
    }

    fn add_call(&mut self, number: usize, call: &'a Call) {
        let looks = call.ask.action == Action::Get;
        let answer = match &call.told {
            // The server is idle for a moment between the time of a change and its being visible to those who look; if a
            // hold lapses in that moment, the change came before and is seen after it. So this proves nothing.
            Told::Shown(view) if looks && view.state == State::Expired => return,
            Told::Shown(view) => Answer::Shown(self.shown(view)),
            // This model leaves sales states out: whoever takes units when there are none to be had is found elsewhere.
            Told::Refused(Reason::SalesNotOpen) => return,
            Told::Refused(reason) => Answer::Refused(*reason),
            Told::Busy => return,
            Told::Unknown(_) | Told::Nonsense(_) if looks => return,
            Told::Unknown(_) | Told::Nonsense(_) => {
                self.unanswered.entry(call.ask.reservation).or_default().push(number);
                return;
            }
        };
        let deed = self.deed(call);
        let effect = self.effect_of(call).filter(|effect| can_have_told(&self.evidence.journal[*effect], &answer));
        if let (Some(effect), Answer::Shown(_)) = (effect, &answer)
            && (call.start..=call.end).contains(&self.moments[effect])
        {
            self.explained.insert(effect);
        }
        if let Answer::Shown(Shown { state: State::Held, expires, .. }) = &answer {
            self.expiries.insert((self.reservations.of(call.ask.reservation), *expires));
        }
        let tolerance = if looks { READ_TOLERANCE } else { 0 };
        self.history.operations.push(Operation {
            start: call.start - tolerance,
            end: call.end,
            deed,
            answer,
            hint: effect.map_or((call.end, ANY_TIME, 0), |effect| self.hint(effect)),
            source: Source::Call(number),
        });
    }

    fn hint(&self, entry: usize) -> Hint {
        (self.moments[entry], CHANGES, self.evidence.journal[entry].seq)
    }

    /// The change that a call made, as the journal has it: the one during the call, or else any.
    fn effect_of(&self, call: &Call) -> Option<usize> {
        let fitting = |index: &usize| can_have_made(call, &self.evidence.journal[*index]);
        let entries = self.entries.get(&call.ask.reservation)?;
        let during = call.start - CLOCK_TOLERANCE..=call.end + CLOCK_TOLERANCE;
        let meanwhile = |index: &usize| during.contains(&self.moments[*index]);
        let found = entries.iter().find(|index| meanwhile(index) && fitting(index));
        found.or_else(|| entries.iter().find(|index| fitting(index))).copied()
    }

    fn deed(&mut self, call: &'a Call) -> Deed {
        let reservation = self.reservations.of(call.ask.reservation);
        let owner = self.owners.of(call.ask.owner);
        let change = match &call.ask.action {
            Action::Reserve { lines, up_to, replaces, sell_as } => {
                let request = Request {
                    reservation,
                    owner,
                    wishes: self.units(lines),
                    up_to: *up_to,
                    replaces: replaces.map(|id| self.reservations.of(id)),
                    order: sell_as.as_ref().map(|order| self.orders.of(order)),
                };
                return Deed::Reserve { request: self.requests.of(request) };
            }
            Action::Extend { ttl_seconds } => {
                Transition::Extend { latest: call.end + ttl_seconds * SECOND + CLOCK_TOLERANCE }
            }
            Action::Confirm { order_ref, reacquire } => {
                Transition::Confirm { order: self.orders.of(order_ref), reacquire: *reacquire }
            }
            Action::Release => Transition::Release,
            Action::Cancel { lines } => Transition::Cancel { targets: self.units(lines) },
            Action::Get => Transition::Get,
        };
        Deed::Change { reservation, owner, change }
    }

    fn units(&self, units: &[Units]) -> Vec<(usize, i64)> {
        let mut units: Vec<_> = units.iter().map(|units| (self.ranks[units.allocation], units.count.into())).collect();
        units.sort_unstable();
        units
    }

    fn shown(&mut self, view: &'a View) -> Shown {
        let line = |line: &crate::history::Line| Line {
            allocation: self.ranks[line.allocation],
            quantity: line.quantity.into(),
            cancelled: line.cancelled.into(),
        };
        let mut lines: Vec<_> = view.lines.iter().filter(|line| line.quantity != 0).map(line).collect();
        lines.sort_unstable_by_key(|line| line.allocation);
        let order = Some(&view.order_ref).filter(|order| !order.is_empty());
        let order = order.map(|order| self.orders.of(order));
        Shown { state: view.state, lines, expires: view.expires, order }
    }

    /// A change of the journal that no answered call can have made was made by one without an answer, at any time after
    /// that began: by the first that fits.
    fn add_unanswered(&mut self) {
        let unanswered = std::mem::take(&mut self.unanswered);
        let mut ids: Vec<_> = unanswered.into_iter().collect();
        ids.sort_unstable();
        for (id, calls) in ids {
            let entries = self.entries.get(&id).cloned().unwrap_or_default();
            for entry in entries.into_iter().filter(|entry| !self.explained.contains(entry)).collect::<Vec<_>>() {
                let latest_start = self.moments[entry] + CLOCK_TOLERANCE;
                let calls = calls.iter().map(|number| (*number, &self.evidence.calls[*number]));
                let fits =
                    |call: &Call| call.start <= latest_start && can_have_made(call, &self.evidence.journal[entry]);
                let mut fitting: Vec<_> = calls.filter(|(_, call)| fits(call)).collect();
                fitting.sort_by_key(|(_, call)| call.start);
                // The same request sent again has no further effect.
                let mut seen = Vec::new();
                for (number, call) in fitting {
                    if !seen.contains(&&call.ask.action) {
                        seen.push(&call.ask.action);
                        self.add_unanswered_call(number, call, entry);
                    }
                }
            }
        }
    }

    fn add_unanswered_call(&mut self, number: usize, call: &'a Call, entry: usize) {
        let deed = match self.deed(call) {
            // Nobody knows when it ended.
            Deed::Change { reservation, owner, change: Transition::Extend { .. } } => {
                Deed::Change { reservation, owner, change: Transition::Extend { latest: Micros::MAX } }
            }
            deed => deed,
        };
        let presumed = self.presumed(call, &self.evidence.journal[entry]);
        if let Some(expires) = self.evidence.journal[entry].expires {
            self.expiries.insert((self.reservations.of(call.ask.reservation), expires));
        }
        self.history.operations.push(Operation {
            start: call.start,
            end: NEVER,
            deed,
            answer: Answer::Unknown(Some(presumed)),
            hint: self.hint(entry),
            source: Source::Call(number),
        });
    }

    /// What the journal says that a call granted.
    fn presumed(&self, call: &Call, entry: &Entry) -> Shown {
        let granted = |allocation: usize| {
            let deltas = entry.deltas.iter().filter(|delta| self.ranks[delta.allocation] == allocation);
            deltas.map(|delta| i64::from(delta.held + delta.sold)).sum()
        };
        let wishes = match &call.ask.action {
            Action::Reserve { lines, .. } => self.units(lines),
            Action::Extend { .. } | Action::Confirm { .. } | Action::Release | Action::Cancel { .. } | Action::Get => {
                Vec::new()
            }
        };
        let line = |(allocation, _)| Line { allocation, quantity: granted(allocation), cancelled: 0 };
        let lines = wishes.into_iter().map(line).filter(|line| line.quantity != 0).collect();
        Shown { state: State::Held, lines, expires: entry.expires.unwrap_or(Micros::MAX), order: None }
    }

    fn add_operators(&mut self) {
        let mut taken = HashSet::new();
        let answered = |call: &OperatorCall| matches!(call.told, OperatorTold::Done);
        let mut calls: Vec<_> = self.evidence.operators.iter().enumerate().collect();
        // A change belongs to the call that is known to have made one rather than to one that may have.
        calls.sort_by_key(|(number, call)| (!answered(call), *number));
        for (number, call) in calls {
            let Some(deed) = self.operators_deed(call.change) else { continue };
            let (end, answer) = match &call.told {
                OperatorTold::Done => (call.end, Answer::Done),
                OperatorTold::Refused(reason) if reason == "CAPACITY_BELOW_COMMITTED" => {
                    (call.end, Answer::BelowCommitted)
                }
                // Others speak of what this model leaves out, such as versions.
                OperatorTold::Refused(_) => continue,
                OperatorTold::Unknown(_) => (NEVER, Answer::Unknown(None)),
            };
            let effect = self.operators_effect(call, end, &taken);
            if effect.is_none() && end == NEVER {
                continue;
            }
            taken.extend(effect);
            self.history.operations.push(Operation {
                start: call.start,
                end,
                deed,
                answer,
                hint: effect.map_or((end, ANY_TIME, 0), |effect| self.hint(effect)),
                source: Source::Operator(number),
            });
        }
    }

    fn operators_effect(&self, call: &OperatorCall, end: Micros, taken: &HashSet<usize>) -> Option<usize> {
        let during = call.start - CLOCK_TOLERANCE..=end.saturating_add(CLOCK_TOLERANCE);
        let from = self.moments.partition_point(|moment| moment < during.start());
        let entries = self.evidence.journal.iter().enumerate().skip(from);
        let mut entries = entries.take_while(|(index, _)| during.contains(&self.moments[*index]));
        let found = entries.find(|(index, entry)| !taken.contains(index) && is_operators(call.change, entry));
        found.map(|(index, _)| index)
    }

    fn operators_deed(&self, change: Edit) -> Option<Deed> {
        Some(match change {
            Edit::Set { allocation, capacity } => {
                Deed::SetCapacity { allocation: self.ranks[allocation], capacity: capacity.into() }
            }
            Edit::Transfer { from, to, units } => {
                Deed::Transfer { from: self.ranks[from], to: self.ranks[to], quantity: units.into() }
            }
            Edit::Sales { .. } => return None,
        })
    }

    /// A hold that was promised until some time lapses then, if nothing has become of it.
    fn add_expiries(&mut self) {
        let mut expiries: Vec<_> = self.expiries.iter().copied().collect();
        expiries.sort_unstable();
        let lapse = |(reservation, expires): (usize, Micros)| Operation {
            start: expires.saturating_sub(CLOCK_TOLERANCE),
            end: expires.saturating_add(CLOCK_TOLERANCE),
            deed: Deed::Expire { reservation, expires },
            answer: Answer::Done,
            hint: (expires, LAPSES, 0),
            source: Source::Clock,
        };
        self.history.operations.extend(expiries.into_iter().map(lapse));
    }

    fn finish(mut self) -> History {
        self.history.reservations = self.reservations.numbers.len();
        self.history.owners = self.owners.numbers.len();
        let mut requests: Vec<_> = self.requests.numbers.into_iter().collect();
        requests.sort_unstable_by_key(|(_, number)| *number);
        self.history.requests = requests.into_iter().map(|(request, _)| request).collect();
        self.history
    }
}

/// Small numbers for names, in order of their first use.
struct Numbers<T> {
    numbers: HashMap<T, usize>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new() }
    }
}

impl<T: Eq + Hash> Numbers<T> {
    fn of(&mut self, name: T) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(name).or_insert(next)
    }
}
