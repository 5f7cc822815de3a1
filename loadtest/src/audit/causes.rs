//! Each effect has a cause: nothing is in the journal that nobody asked for, and operators got what they were told.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::answers::CLOCK_TOLERANCE;
use super::evidence::{Entry, Evidence, Kind};
use super::findings::{Findings, Key};
use super::ledger::Ledger;
use crate::clock::Micros;
use crate::history::{Action, Edit, OperatorCall, OperatorTold};

/// Checks every change of the journal, and every call of an operator.
pub(super) fn check(evidence: &Evidence, ledger: &Ledger, findings: &mut Findings) {
    let wishes = Wishes::of(evidence);
    for entry in &evidence.journal {
        let Some(id) = entry.reservation else { continue };
        if !wishes.explain(entry, id) {
            let text = format!("nobody had asked for journal {}: {}", entry.seq, kind(entry));
            findings.add(Key::Journal, 1, text, vec![entry.to_string()]);
        }
    }
    check_operators(evidence, ledger, findings);
}

fn kind(entry: &Entry) -> &'static str {
    entry.kind.as_str_name().trim_start_matches("KIND_")
}

/// What a buyer can have wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Wish {
    Reserve,
    Sell,
    Extend,
    Confirm,
    Reacquire,
    Release,
    Cancel,
}

/// When each wish of each reservation was first sent.
struct Wishes(HashMap<(Uuid, Wish), Micros>);

impl Wishes {
    fn of(evidence: &Evidence) -> Self {
        let mut first = HashMap::new();
        for call in evidence.calls.iter().filter(|call| !call.ask.intruder) {
            let mut add = |id, wish| {
                let start = first.entry((id, wish)).or_insert(call.start);
                *start = call.start.min(*start);
            };
            let id = call.ask.reservation;
            match &call.ask.action {
                Action::Reserve { replaces, sell_as, .. } => {
                    add(id, if sell_as.is_some() { Wish::Sell } else { Wish::Reserve });
                    if let Some(replaced) = replaces {
                        add(*replaced, Wish::Release);
                    }
                }
                Action::Extend { .. } => add(id, Wish::Extend),
                Action::Confirm { reacquire, .. } => {
                    add(id, Wish::Confirm);
                    if *reacquire {
                        add(id, Wish::Reacquire);
                    }
                }
                Action::Release => add(id, Wish::Release),
                Action::Cancel { .. } => add(id, Wish::Cancel),
                Action::Get => {}
            }
        }
        Self(first)
    }

    /// Whether somebody had asked for this before it happened. Holds lapse by themselves.
    fn explain(&self, entry: &Entry, id: Uuid) -> bool {
        let wish = match entry.kind {
            Kind::Reserved => Wish::Reserve,
            Kind::Sold => Wish::Sell,
            Kind::Extended => Wish::Extend,
            Kind::Confirmed => Wish::Confirm,
            Kind::Reacquired => Wish::Reacquire,
            Kind::Released => Wish::Release,
            Kind::Cancelled => Wish::Cancel,
            Kind::Expired => return true,
            Kind::Unspecified
            | Kind::EventCreated
            | Kind::EventUpdated
            | Kind::AllocationCreated
            | Kind::AllocationUpdated
            | Kind::CapacityTransferred => return false,
        };
        self.0.get(&(id, wish)).is_some_and(|start| *start <= entry.at + CLOCK_TOLERANCE)
    }
}

/// Each change by an operator belongs to one call of an operator, and each call that was told of success has its change.
fn check_operators(evidence: &Evidence, ledger: &Ledger, findings: &mut Findings) {
    let mut free: HashSet<usize> = (0..evidence.operators.len()).collect();
    let mut capacities = vec![0; ledger.counts.len()];
    let edits: Vec<_> = evidence.journal.iter().filter(|entry| is_edit(entry)).collect();
    for entry in &evidence.journal {
        let before = capacities.clone();
        for delta in &entry.deltas {
            if let Some(capacity) = capacities.get_mut(delta.allocation) {
                *capacity += delta.capacity;
            }
        }
        if !is_edit(entry) {
            continue;
        }
        let fits = |call: &OperatorCall| made(entry, &before, &capacities, call);
        // What is known to be done comes first: whoever was told nothing can also have done nothing.
        let done = |call: &OperatorCall| call.told == OperatorTold::Done;
        let is_blind = |call: &OperatorCall| was_changed_between(&edits, call, entry.seq);
        let calls = evidence.operators.iter().enumerate().filter(|(index, call)| free.contains(index) && fits(call));
        match calls.min_by_key(|(index, call)| (!done(call), is_blind(call), *index)) {
            Some((index, call)) => {
                free.remove(&index);
                if is_blind(call) {
                    let text = format!("journal {} was made from an etag that was old by then", entry.seq);
                    findings.add(Key::WrongAnswer, 1, text, vec![call.to_string(), entry.to_string()]);
                }
            }
            None => {
                let text = format!("no operator had asked for journal {}: {}", entry.seq, kind(entry));
                findings.add(Key::Journal, 1, text, vec![entry.to_string()]);
            }
        }
    }
    for (_, call) in evidence.operators.iter().enumerate().filter(|(index, _)| free.contains(index)) {
        if call.told == OperatorTold::Done && !was_so_already(&evidence.journal, call) {
            let text = "an operator was told that his change was made, and the journal does not show it".to_owned();
            findings.add(Key::Lost, 1, text, vec![call.to_string()]);
        }
    }
}

fn is_edit(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::AllocationUpdated | Kind::CapacityTransferred | Kind::EventUpdated)
}

/// Whether somebody changed the same after the operator had read it, and before change `seq`.
fn was_changed_between(edits: &[&Entry], call: &OperatorCall, seq: i64) -> bool {
    let touches = |edit: &Entry, meant: &[usize]| edit.deltas.iter().any(|delta| meant.contains(&delta.allocation));
    let is_meant = |edit: &Entry| match call.change {
        Edit::Set { allocation, .. } => touches(edit, &[allocation]),
        Edit::Transfer { from, to, .. } => touches(edit, &[from, to]),
        Edit::Sales { .. } => edit.kind == Kind::EventUpdated,
    };
    edits.iter().any(|edit| call.seen < edit.seq && edit.seq < seq && is_meant(edit))
}

/// Whether it was as the operator wanted it at some moment of his call, so that there was nothing to do: another one may have had
/// the same idea.
fn was_so_already(journal: &[Entry], call: &OperatorCall) -> bool {
    let (from, to) = (call.start - CLOCK_TOLERANCE, call.end + CLOCK_TOLERANCE);
    let (mut units, mut on_sale) = (0, false);
    let mut is_so_after = |entry: &Entry| match call.change {
        Edit::Set { allocation, capacity } => {
            let deltas = entry.deltas.iter().filter(|delta| delta.allocation == allocation);
            units += deltas.map(|delta| delta.capacity).sum::<i32>();
            units == capacity
        }
        Edit::Sales { open } => {
            on_sale = entry.on_sale.unwrap_or(on_sale);
            on_sale == open
        }
        Edit::Transfer { .. } => false,
    };
    let (mut was_so, mut since) = (false, Micros::MIN);
    for entry in journal {
        let is_so = is_so_after(entry);
        if was_so && !is_so && since <= to && entry.at >= from {
            return true;
        }
        if is_so != was_so {
            (was_so, since) = (is_so, entry.at);
        }
    }
    was_so && since <= to
}

/// Whether this call can have made this change.
fn made(entry: &Entry, before: &[i32], after: &[i32], call: &OperatorCall) -> bool {
    let until = if call.told == OperatorTold::Done { call.end + CLOCK_TOLERANCE } else { Micros::MAX };
    let is_later = entry.seq > call.seen && (call.start - CLOCK_TOLERANCE..=until).contains(&entry.at);
    if matches!(call.told, OperatorTold::Refused(_)) || !is_later {
        return false;
    }
    let change_of = |allocation: usize| Some(after.get(allocation)? - before.get(allocation)?);
    match call.change {
        Edit::Set { allocation, capacity } => {
            let touched = entry.deltas.iter().any(|delta| delta.allocation == allocation);
            entry.kind == Kind::AllocationUpdated && touched && after.get(allocation) == Some(&capacity)
        }
        Edit::Transfer { from, to, units } => {
            entry.kind == Kind::CapacityTransferred && change_of(from) == Some(-units) && change_of(to) == Some(units)
        }
        Edit::Sales { open } => entry.kind == Kind::EventUpdated && entry.on_sale == Some(open),
    }
}
