//! Which change of the journal a call can have made.

use boxoffice_proto::v1::reservation::State;

use super::history::Answer;
use crate::audit::evidence::{Delta, Entry, Kind};
use crate::history::{Action, Call, Edit, Told, Units, owner_name};

/// Whether a change of the journal can be the effect of a call.
pub(super) fn can_have_made(call: &Call, entry: &Entry) -> bool {
    let own = entry.owner == owner_name(call.ask.owner);
    own && match (&call.ask.action, entry.kind) {
        (Action::Reserve { lines, up_to, sell_as, .. }, Kind::Reserved | Kind::Sold) => {
            sell_as.is_some() == (entry.kind == Kind::Sold) && can_have_got(lines, *up_to, entry)
        }
        (Action::Extend { .. }, Kind::Extended) => match &call.told {
            Told::Shown(view) => Some(view.expires) == entry.expires,
            Told::Refused(_) | Told::Busy | Told::Unknown(_) | Told::Nonsense(_) => true,
        },
        (Action::Confirm { order_ref, .. }, Kind::Confirmed | Kind::Reacquired) => *order_ref == entry.order_ref,
        (Action::Release, Kind::Released) | (Action::Cancel { .. }, Kind::Cancelled) => true,
        _ => false,
    }
}

/// Whether a request for these units can have been granted those.
fn can_have_got(lines: &[Units], up_to: bool, entry: &Entry) -> bool {
    let got = |wanted: &Units| {
        let deltas = entry.deltas.iter().filter(|delta| delta.allocation == wanted.allocation);
        deltas.map(|delta| delta.held + delta.sold).sum::<i32>()
    };
    lines.iter().all(|wanted| if up_to { got(wanted) <= wanted.count } else { got(wanted) == wanted.count })
}

/// Whether the call that made a change can have been answered so: with the reservation as it then was. A repeat that comes when the
/// hold has lapsed, or was sold, is told that, and has not made it.
pub(super) fn can_have_told(entry: &Entry, answer: &Answer) -> bool {
    match (entry.kind, answer) {
        (Kind::Reserved, Answer::Shown(shown)) => shown.state == State::Held && Some(shown.expires) == entry.expires,
        (Kind::Sold, Answer::Shown(shown)) => shown.state == State::Confirmed,
        _ => true,
    }
}

/// Whether a change of the journal can be the effect of an operator's call.
pub(super) fn is_operators(change: Edit, entry: &Entry) -> bool {
    let adds = |allocation, units| {
        entry.deltas.iter().any(|delta: &Delta| delta.allocation == allocation && delta.capacity == units)
    };
    match (change, entry.kind) {
        (Edit::Set { allocation, .. }, Kind::AllocationUpdated) => {
            entry.deltas.iter().any(|delta| delta.allocation == allocation)
        }
        (Edit::Transfer { from, to, units }, Kind::CapacityTransferred) => adds(from, -units) && adds(to, units),
        _ => false,
    }
}
