//! What the journal tells of one reservation.

use boxoffice_proto::v1::reservation::State;

use super::evidence::{Delta, Entry, Kind};
use super::findings::Key;
use crate::clock::Micros;
use crate::history::{Line, View};

/// The life of one reservation, in order.
#[derive(Debug, Clone)]
pub(super) struct Story {
    /// Whose it is.
    pub owner: String,
    /// What it was from each change on.
    pub moments: Vec<Moment>,
}

/// What a reservation was from one change on.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    /// When the change happened.
    pub at: Micros,
    /// Where it stands in the journal, as listed.
    pub index: usize,
    /// What the reservation was from then on.
    pub view: View,
}

impl Story {
    /// What it is after the last change.
    pub(super) fn last(&self) -> Option<&View> {
        self.moments.last().map(|moment| &moment.view)
    }

    /// What it can have been between `from` and `to`, both included: `None` is "not there yet". A hold may be seen as
    /// expired from its expiry on, whether or not the journal says so yet, and only until then as held.
    pub(super) fn between(&self, from: Micros, to: Micros) -> Vec<Option<View>> {
        let mut seen = Vec::new();
        if self.moments.first().is_none_or(|first| first.at >= from) {
            seen.push(None);
        }
        for (index, moment) in self.moments.iter().enumerate() {
            let until = self.moments.get(index + 1).map_or(Micros::MAX, |next| next.at);
            if moment.at > to || until < from {
                continue;
            }
            let view = &moment.view;
            if view.state != State::Held || view.expires >= from {
                seen.push(Some(view.clone()));
            }
            if view.state == State::Held && view.expires <= to && view.expires <= until {
                seen.push(Some(View { state: State::Expired, ..view.clone() }));
            }
        }
        seen
    }

    /// The most units that it can have kept from sale between `from` and `to`, as `units` counts them.
    pub(super) fn units_at_most(&self, from: Micros, to: Micros, units: impl Fn(&View) -> i32) -> i32 {
        self.between(from, to).iter().flatten().map(units).max().unwrap_or_default()
    }
}

/// What makes a change impossible after what was before.
pub(super) type Impossible = (Key, &'static str);

/// What a reservation is after a change, and what is wrong with the change, if anything. The replay goes on from there,
/// so that one bug isn't told as a hundred.
pub(super) fn step(before: Option<&View>, entry: &Entry) -> (View, Option<Impossible>) {
    let wrong = match entry.kind {
        Kind::Reserved | Kind::Sold => wrong_grant(before, entry),
        Kind::Extended => wrong_extension(before, entry),
        Kind::Confirmed => wrong_confirmation(before, entry),
        Kind::Reacquired => wrong_reacquisition(before, entry),
        Kind::Released | Kind::Expired => wrong_return(before, entry),
        Kind::Cancelled => wrong_refund(before, entry),
        Kind::Unspecified
        | Kind::EventCreated
        | Kind::EventUpdated
        | Kind::AllocationCreated
        | Kind::AllocationUpdated
        | Kind::CapacityTransferred => Some((Key::Journal, "a change of this kind names no reservation")),
    };
    (after(before, entry), wrong)
}

/// What the change says that the reservation now is.
fn after(before: Option<&View>, entry: &Entry) -> View {
    let mut view = before.cloned().unwrap_or_else(|| fresh(entry));
    view.state = match entry.kind {
        Kind::Sold | Kind::Confirmed | Kind::Reacquired => State::Confirmed,
        Kind::Released => State::Released,
        Kind::Expired => State::Expired,
        Kind::Reserved => State::Held,
        Kind::Cancelled => {
            for line in &mut view.lines {
                let refunds = entry.deltas.iter().filter(|delta| delta.allocation == line.allocation);
                line.cancelled -= refunds.map(|delta| delta.sold).sum::<i32>();
            }
            if view.cancelled() >= view.quantity() { State::Cancelled } else { State::Confirmed }
        }
        Kind::Extended
        | Kind::Unspecified
        | Kind::EventCreated
        | Kind::EventUpdated
        | Kind::AllocationCreated
        | Kind::AllocationUpdated
        | Kind::CapacityTransferred => view.state,
    };
    if let Some(expires) = entry.expires {
        view.expires = expires;
    }
    if !entry.order_ref.is_empty() {
        view.order_ref.clone_from(&entry.order_ref);
    }
    view
}

/// A reservation as it begins.
fn fresh(entry: &Entry) -> View {
    let line = |delta: &Delta| Line { allocation: delta.allocation, quantity: delta.held + delta.sold, cancelled: 0 };
    let mut lines: Vec<_> = entry.deltas.iter().map(line).filter(|line| line.quantity != 0).collect();
    lines.sort_by_key(|line| line.allocation);
    View { state: State::Held, lines, expires: entry.at, order_ref: String::new() }
}

/// Whether the entry moves, of each line of the reservation, as many units as `expected` tells for a quantity (added to held,
/// added to sold), and nothing else.
fn moves(entry: &Entry, view: &View, expected: impl Fn(i32) -> (i32, i32)) -> bool {
    let mut moved: Vec<_> = entry.deltas.iter().map(|delta| (delta.allocation, (delta.held, delta.sold))).collect();
    moved.retain(|(_, units)| *units != (0, 0));
    moved.sort_by_key(|(allocation, _)| *allocation);
    moved.into_iter().eq(view.lines.iter().map(|line| (line.allocation, expected(line.quantity))))
}

fn wrong_grant(before: Option<&View>, entry: &Entry) -> Option<Impossible> {
    let fits = |delta: &Delta| {
        if entry.kind == Kind::Sold { delta.held == 0 && delta.sold > 0 } else { delta.held > 0 && delta.sold == 0 }
    };
    let fits = !entry.deltas.is_empty() && entry.deltas.iter().all(fits);
    if before.is_some() {
        Some((Key::Duplicated, "granted twice"))
    } else if !fits {
        Some((Key::Journal, "granted without taking units"))
    } else {
        None
    }
}

fn wrong_extension(before: Option<&View>, entry: &Entry) -> Option<Impossible> {
    if !is_live(before, entry.at) {
        return Some((Key::Journal, "extended although it was no live hold"));
    }
    if before.is_some_and(|view| entry.expires.is_none_or(|expires| expires <= view.expires)) {
        return Some((Key::Journal, "extended to no later end"));
    }
    (!entry.deltas.is_empty()).then_some((Key::Journal, "extended with a change of counts"))
}

fn wrong_confirmation(before: Option<&View>, entry: &Entry) -> Option<Impossible> {
    let Some(view) = before else { return Some((Key::Journal, "confirmed before it was granted")) };
    if matches!(view.state, State::Confirmed | State::Cancelled) {
        Some((Key::Duplicated, "confirmed twice"))
    } else if !is_live(before, entry.at) {
        Some((Key::Duplicated, "confirmed after its units had come back"))
    } else {
        let moved = moves(entry, view, |quantity| (-quantity, quantity));
        (!moved).then_some((Key::Journal, "confirmed with other counts than were held"))
    }
}

fn wrong_reacquisition(before: Option<&View>, entry: &Entry) -> Option<Impossible> {
    let Some(view) = before else { return Some((Key::Journal, "reacquired before it was granted")) };
    let fits = match view.state {
        State::Expired => moves(entry, view, |quantity| (0, quantity)),
        State::Held if entry.at >= view.expires => moves(entry, view, |quantity| (-quantity, quantity)),
        State::Confirmed | State::Cancelled => return Some((Key::Duplicated, "confirmed twice")),
        State::Held | State::Released | State::Unspecified => false,
    };
    (!fits).then_some((Key::Journal, "reacquired although it had not just expired"))
}

fn wrong_return(before: Option<&View>, entry: &Entry) -> Option<Impossible> {
    let Some(view) = before else { return Some((Key::Journal, "ended before it was granted")) };
    if view.state != State::Held {
        return Some((Key::Duplicated, "units came back twice, or from what was sold"));
    }
    if !moves(entry, view, |quantity| (-quantity, 0)) {
        return Some((Key::Journal, "ended with other counts than were held"));
    }
    match (entry.kind, entry.at < view.expires) {
        (Kind::Expired, true) => Some((Key::Journal, "expired before its time")),
        (Kind::Released, false) => Some((Key::Journal, "released although it had lapsed")),
        _ => None,
    }
}

fn wrong_refund(before: Option<&View>, entry: &Entry) -> Option<Impossible> {
    let Some(view) = before else { return Some((Key::Journal, "refunded before it was granted")) };
    let too_much = entry.deltas.iter().any(|delta| {
        let line = view.lines.iter().find(|line| line.allocation == delta.allocation);
        -delta.sold > line.map_or(0, |line| line.quantity - line.cancelled)
    });
    if view.state != State::Confirmed || too_much {
        Some((Key::Duplicated, "refunded what was not sold, or twice"))
    } else if entry.sold() >= 0 || entry.held() != 0 {
        Some((Key::Journal, "refunded with counts that are no refund"))
    } else {
        None
    }
}

fn is_live(view: Option<&View>, at: Micros) -> bool {
    view.is_some_and(|view| view.state == State::Held && at < view.expires)
}
