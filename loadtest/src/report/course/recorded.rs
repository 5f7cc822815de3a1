//! What the course needs to know of a recorded call: the one place of this report that knows how calls are recorded.

use super::Traffic;
use crate::clock::Micros;
use crate::history::{Action, Call, Told};

/// The RPCs in the order in which a reservation meets them.
pub(super) const RPCS: [&str; 6] = [
    "CreateReservation",
    "GetReservation",
    "ExtendReservation",
    "ConfirmReservation",
    "ReleaseReservation",
    "CancelReservation",
];

/// The outcome of a call that did or showed what was asked.
pub(super) const GRANTED: &str = "granted";

/// The name of the RPC.
pub(super) fn rpc(call: &Call) -> &'static str {
    let [create, get, extend, confirm, release, cancel] = RPCS;
    match call.ask.action {
        Action::Reserve { .. } => create,
        Action::Get => get,
        Action::Extend { .. } => extend,
        Action::Confirm { .. } => confirm,
        Action::Release => release,
        Action::Cancel { .. } => cancel,
    }
}

/// The outcome, as [`super::CallLatency::outcome`] names it.
pub(super) fn outcome(call: &Call) -> &'static str {
    match &call.told {
        Told::Shown(_) => GRANTED,
        Told::Refused(reason) => reason.as_str(),
        Told::Busy => "busy",
        Told::Unknown(_) => "unknown",
        Told::Nonsense(_) => "nonsense",
    }
}

/// The call in the column of [`Traffic`] that it belongs to.
pub(super) fn as_traffic(call: &Call) -> Traffic {
    let none = Traffic::default();
    match &call.told {
        Told::Shown(_) => Traffic { granted: 1, ..none },
        Told::Refused(reason) if reason.is_lack() => Traffic { lacking: 1, ..none },
        Told::Refused(_) => Traffic { refused: 1, ..none },
        Told::Busy | Told::Unknown(_) | Told::Nonsense(_) => Traffic { failed: 1, ..none },
    }
}

/// When it was due.
pub(super) fn due(call: &Call) -> Micros {
    call.due
}

/// When it was over.
pub(super) fn end(call: &Call) -> Micros {
    call.end
}

/// How long it took, from the moment it was due.
pub(super) fn latency_micros(call: &Call) -> u64 {
    u64::try_from(end(call) - due(call)).unwrap_or_default()
}
