//! Which answers are worth another attempt.

use std::error::Error as _;
use std::time::Duration;

use tonic::{Code, ConnectError, Status};
use tonic_types::{ErrorInfo, StatusExt as _};

use super::Refused;

/// The domain of the reasons that are ours.
const DOMAIN: &str = "boxoffice";
/// Reasons with which a server sends a call away that it has not begun.
const NOT_BEGUN: [&str; 2] = ["OVERLOADED", "SHUTTING_DOWN"];

/// An attempt that may be repeated.
pub(super) struct Failed {
    /// What became of it.
    pub(super) status: Status,
    /// After how long the server wants to be asked again.
    pub(super) asked_for: Option<Duration>,
    /// Whether it may have had its effect all the same.
    pub(super) in_doubt: bool,
}

impl Failed {
    /// There was no answer in the time that the attempt had.
    pub(super) fn in_time() -> Self {
        let status = Status::deadline_exceeded("no answer in the time of an attempt");
        Self { status, asked_for: None, in_doubt: true }
    }
}

/// What an answer means that is not the one asked for.
pub(super) enum Verdict {
    /// It is worth another attempt.
    Again(Failed),
    /// Whether the call had an effect is unknown, and another attempt would most likely end in the same way: the server, or
    /// something on the way, failed at it, or turned it away without a look at what became of an earlier attempt.
    Unknown(Status),
    /// The server said no, and knew what became of earlier attempts.
    Refused(Box<Refused>),
}

/// Judges an answer. `in_doubt`: an earlier attempt of the call may have had its effect.
///
/// A server says UNAVAILABLE or `DEADLINE_EXCEEDED` where another attempt is right; so do load balancers. Without a reason of
/// the server's, CANCELLED and whatever has a cause on this side come from the connection: it could not be made, it broke, or
/// the time was over. Whether the call had an effect is then unknown, and the next attempt finds out. `RESOURCE_EXHAUSTED` is said
/// before that attempt has found out; a later one may.
///
/// INTERNAL is a fault of the server's, or an answer that could not be read. UNKNOWN is what becomes of a proxy's answer of 500.
pub(super) fn judge(status: Status, in_doubt: bool) -> Verdict {
    let info = info_of(&status);
    let again = match (&info, status.code()) {
        (_, Code::Unavailable | Code::DeadlineExceeded) | (None, Code::Cancelled) => true,
        (Some(_), Code::ResourceExhausted) => in_doubt,
        (Some(_), _) => false,
        (None, _) => status.source().is_some(),
    };
    let failed = matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss);
    if again {
        let asked_for = status.get_details_retry_info().and_then(|info| info.retry_delay);
        let not_begun = info.is_some_and(|info| NOT_BEGUN.contains(&info.reason.as_str())) || was_not_sent(&status);
        Verdict::Again(Failed { status, asked_for, in_doubt: !not_begun })
    } else if failed || (in_doubt && !was_looked_at(&status, info.as_ref())) {
        Verdict::Unknown(status)
    } else {
        Verdict::Refused(Box::new(Refused::new(status, info)))
    }
}

/// The server's reason, if it is one of Boxoffice.
pub(super) fn info_of(status: &Status) -> Option<ErrorInfo> {
    status.get_details_error_info().filter(|info| info.domain == DOMAIN)
}

/// There was no connection to send it over.
fn was_not_sent(status: &Status) -> bool {
    let mut causes = std::iter::successors(status.source(), |&cause| cause.source());
    causes.any(|cause| cause.is::<ConnectError>())
}

/// Whether a refusal was decided from what there is under the call's id, so that it tells of earlier attempts, too. Who calls, and
/// whether he calls too often, is looked at before that; and a proxy knows nothing of it.
fn was_looked_at(status: &Status, info: Option<&ErrorInfo>) -> bool {
    let before = [Code::Unauthenticated, Code::PermissionDenied, Code::ResourceExhausted];
    info.is_some() && !before.contains(&status.code())
}
