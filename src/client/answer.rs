//! Which answers are worth another attempt.

use std::error::Error as _;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::Refused;

/// The domain of the reasons that are ours.
const DOMAIN: &str = "boxoffice";

/// An attempt that may be repeated.
pub(super) struct Failed {
    /// What became of it.
    pub(super) status: Status,
    /// After how long the server wants to be asked again.
    pub(super) asked_for: Option<Duration>,
}

impl Failed {
    /// There was no answer in the time that the attempt had.
    pub(super) fn in_time() -> Self {
        Self { status: Status::deadline_exceeded("no answer in the time of an attempt"), asked_for: None }
    }
}

/// What an answer means that is not the one asked for.
pub(super) enum Verdict {
    /// It is worth another attempt.
    Again(Failed),
    /// The server, or something on the way, failed at it: whether it had an effect is unknown, and another attempt would most likely
    /// fail in the same way.
    Unknown(Status),
    /// The server said no.
    Refused(Box<Refused>),
}

/// Judges an answer.
///
/// A server says UNAVAILABLE or `DEADLINE_EXCEEDED` where another attempt is right; so do load balancers. Without a reason of
/// the server's, CANCELLED and whatever has a cause on this side come from the connection: it could not be made, it broke, or
/// the time was over. Whether the call had an effect is then unknown, and the next attempt finds out.
///
/// INTERNAL is a fault of the server's, or an answer that could not be read. UNKNOWN is what becomes of a proxy's answer of 500.
pub(super) fn judge(status: Status) -> Verdict {
    let info = status.get_details_error_info().filter(|info| info.domain == DOMAIN);
    let again = match (&info, status.code()) {
        (_, Code::Unavailable | Code::DeadlineExceeded) | (None, Code::Cancelled) => true,
        (Some(_), _) => false,
        (None, _) => status.source().is_some(),
    };
    if again {
        let asked_for = status.get_details_retry_info().and_then(|info| info.retry_delay);
        Verdict::Again(Failed { status, asked_for })
    } else if matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss) {
        Verdict::Unknown(status)
    } else {
        Verdict::Refused(Box::new(Refused::new(status, info)))
    }
}
