//! The one error map: everything that can go wrong, as a gRPC status with a reason that programs can act on.
//!
//! Messages are short and, where they can be, always the same: a repeated header costs HTTP/2 next to nothing.

#![warn(clippy::wildcard_enum_match_arm)]

mod refusal;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tonic::{Code, Status};

pub(super) use self::refusal::{event_not_found, refused, reservation_not_found};
use super::convert::names;
use super::details::Details;
use super::validate::Violations;
use crate::domain::EventId;
use crate::engine::Failure;
use crate::metrics;
use crate::rate::Exceeded;
use crate::storage::StoreError;
use crate::waiting_room::Barred;

/// After how long a caller should ask again when too much waits.
const OVERLOADED_RETRY: Duration = Duration::from_millis(100);
/// What the wait of a caller who calls too often is rounded up to.
const RATE_RETRY_STEP: Duration = Duration::from_millis(10);
/// After how long a caller should ask again when the database is away or the server shuts down.
const UNAVAILABLE_RETRY: Duration = Duration::from_millis(500);

/// What a command of `event` failed with.
pub(super) fn failed(event: &EventId, failure: &Failure) -> Status {
    match failure {
        Failure::Refused(refusal) => refused(event, refusal),
        Failure::Overloaded => overloaded(),
        Failure::DeadlineExceeded => deadline_exceeded(),
        Failure::Unavailable => store_unavailable(),
        Failure::ShuttingDown => shutting_down(),
        Failure::Internal => internal(),
    }
}

/// What a read failed with. It is logged here, at the boundary; the caller need not know the database's words.
pub(super) fn read_failed(error: &StoreError) -> Status {
    match error {
        StoreError::Retry(_) | StoreError::Unavailable(_) => {
            tracing::warn!(error = error as &dyn std::error::Error, "a read failed");
            store_unavailable()
        }
        StoreError::Guard { .. } | StoreError::Corrupt(_) => {
            tracing::error!(error = error as &dyn std::error::Error, "a read failed");
            internal()
        }
    }
}

/// A request with wrong fields. The reason is that of the first.
impl From<Violations> for Status {
    fn from(violations: Violations) -> Self {
        let (first, more) = match violations.as_slice() {
            [] => return internal(),
            [first, more @ ..] => (first, more.len()),
        };
        let message = match more {
            0 => format!("{} {}", first.field, first.description),
            _ => format!("{} {} (and {more} more)", first.field, first.description),
        };
        Details::new(Code::InvalidArgument, first.reason, message, &[])
            .bad_request(violations.as_slice().iter().map(|each| (&*each.field, &*each.description, each.reason)))
            .into_status()
    }
}

/// A request that is no message of its kind. No field can be named: `why` is all that is known.
pub(crate) fn unreadable(why: &str) -> Status {
    Details::new(Code::InvalidArgument, "INVALID_REQUEST", why, &[]).into_status()
}

/// Too much waits or runs already.
pub(crate) fn overloaded() -> Status {
    Details::new(Code::Unavailable, "OVERLOADED", "too many requests at once; try again", &[])
        .retry(OVERLOADED_RETRY)
        .into_status()
}

/// Somebody calls more often than he may. He himself is not named: he knows who he is, and a gateway's log need not.
pub(crate) fn rate_limited(exceeded: &Exceeded) -> Status {
    let scope = exceeded.scope.as_str();
    let limit = format!("{:.3}", exceeded.quota.calls_per_second());
    let limit = limit.trim_end_matches('0').trim_end_matches('.');
    let metadata = [("scope", scope), ("calls_per_second", limit)];
    let message = ["too many calls of one ", scope, "; try again later"].concat();
    Details::new(Code::ResourceExhausted, "RATE_LIMITED", message.as_str(), &metadata)
        .quota(scope, &message)
        .retry(rounded_up(exceeded.retry_after))
        .into_status()
}

/// In whole steps, so that answers repeat: a repeated header costs HTTP/2 next to nothing.
fn rounded_up(wait: Duration) -> Duration {
    let steps = wait.as_micros().div_ceil(RATE_RETRY_STEP.as_micros());
    RATE_RETRY_STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
}

/// An owner has too many streams open.
pub(super) fn too_many_watchers(max: usize) -> Status {
    let limit = max.to_string();
    let streams = if max == 1 { " stream open" } else { " streams open" };
    let message = ["an owner may have at most ", &limit, streams].concat();
    Details::new(Code::ResourceExhausted, "TOO_MANY_WATCHERS", message.as_str(), &[("limit", &limit)])
        .quota("owner", &message)
        .into_status()
}

/// The caller's deadline passed.
pub(crate) fn deadline_exceeded() -> Status {
    let message = "the deadline passed; whether the call had an effect is unknown";
    Details::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message, &[]).into_status()
}

/// The request did not arrive in time. It was not looked at.
pub(crate) fn unfinished() -> Status {
    let message = "the request did not arrive in time; nothing was done";
    Details::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message, &[]).into_status()
}

/// The server stops.
pub(crate) fn shutting_down() -> Status {
    Details::new(Code::Unavailable, "SHUTTING_DOWN", "the server is shutting down; try again", &[])
        .retry(UNAVAILABLE_RETRY)
        .into_status()
}

/// The caller did not say, or did not prove, who he is.
pub(super) fn unauthenticated(message: impl Into<String>) -> Status {
    Details::new(Code::Unauthenticated, "UNAUTHENTICATED", message, &[]).into_status()
}

/// The caller is known, and may not do this.
pub(super) fn permission_denied(message: &'static str) -> Status {
    Details::new(Code::PermissionDenied, "PERMISSION_DENIED", message, &[]).into_status()
}

/// A bug of ours.
pub(crate) fn internal() -> Status {
    Details::new(Code::Internal, "INTERNAL", "an error inside the server; it has been logged", &[]).into_status()
}

/// Why somebody may not reserve before he was let in.
pub(super) fn barred(event: &EventId, barred: Barred) -> Status {
    let message = match barred {
        Barred::NoPass => "the event has a waiting room: join it, and send the pass in the metadata key boxoffice-pass",
        Barred::Invalid => "the pass is none, or not of this owner for this event",
        Barred::Expired => "the pass has expired: join the waiting room again",
        Barred::Unknown => return store_unavailable(),
    };
    refusal::precondition_of(&names::event(event), barred_reason(barred), message, &[])
}

/// The reason that [`barred`] names.
pub(super) const fn barred_reason(barred: Barred) -> &'static str {
    match barred {
        Barred::NoPass => "WAITING_ROOM_REQUIRED",
        Barred::Invalid => "PASS_INVALID",
        Barred::Expired => "PASS_EXPIRED",
        Barred::Unknown => "STORE_UNAVAILABLE",
    }
}

/// The room that the servers share does not answer.
pub(super) fn waiting_room_unavailable() -> Status {
    let message = "the waiting room cannot be reached, and the place may not be given up; try again";
    Details::new(Code::Unavailable, metrics::WAITING_ROOM_UNAVAILABLE, message, &[])
        .retry(UNAVAILABLE_RETRY)
        .into_status()
}

/// The database does not answer.
pub(super) fn store_unavailable() -> Status {
    let message = "the database is not available; try again with the same ids";
    Details::new(Code::Unavailable, "STORE_UNAVAILABLE", message, &[]).retry(UNAVAILABLE_RETRY).into_status()
}
