//! What a server refused, and why.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorInfo, StatusExt as _};

/// Why a call was refused: the reasons that the API names. `docs/clients.md` says what to do about each.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the API documents its reasons under these names")]
pub enum Refusal {
    SoldOut,
    AllHeld,
    InsufficientAvailability,
    OwnerLimitExceeded,
    SalesNotOpen,
    WaitingRoomRequired,
    PassInvalid,
    PassExpired,
    ReservationExpired,
    AlreadyConfirmed,
    AlreadyReleased,
    AlreadyCancelled,
    NotConfirmed,
    ReservationIdReused,
    EventNotFound,
    AllocationNotFound,
    ReservationNotFound,
    Unauthenticated,
    PermissionDenied,
    /// `INVALID_…`: the request is wrong, and stays so.
    Invalid(String),
    /// A reason that this client does not know, or none.
    Other(String),
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        match reason {
            "SOLD_OUT" => Self::SoldOut,
            "ALL_HELD" => Self::AllHeld,
            "INSUFFICIENT_AVAILABILITY" => Self::InsufficientAvailability,
            "OWNER_LIMIT_EXCEEDED" => Self::OwnerLimitExceeded,
            "SALES_NOT_OPEN" => Self::SalesNotOpen,
            "WAITING_ROOM_REQUIRED" => Self::WaitingRoomRequired,
            "PASS_INVALID" => Self::PassInvalid,
            "PASS_EXPIRED" => Self::PassExpired,
            "RESERVATION_EXPIRED" => Self::ReservationExpired,
            "ALREADY_CONFIRMED" => Self::AlreadyConfirmed,
            "ALREADY_RELEASED" => Self::AlreadyReleased,
            "ALREADY_CANCELLED" => Self::AlreadyCancelled,
            "NOT_CONFIRMED" => Self::NotConfirmed,
            "RESERVATION_ID_REUSED" => Self::ReservationIdReused,
            "EVENT_NOT_FOUND" => Self::EventNotFound,
            "ALLOCATION_NOT_FOUND" => Self::AllocationNotFound,
            "RESERVATION_NOT_FOUND" => Self::ReservationNotFound,
            "UNAUTHENTICATED" => Self::Unauthenticated,
            "PERMISSION_DENIED" => Self::PermissionDenied,
            other if other.starts_with("INVALID_") => Self::Invalid(other.to_owned()),
            other => Self::Other(other.to_owned()),
        }
    }
}

/// A refusal with all that was told about it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", status.message())]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// The same in the words of the API; empty where the answer is not one of Boxoffice.
    pub reason: String,
    /// More about the reason, such as `available` or `next_expire_time`.
    pub metadata: HashMap<String, String>,
    /// The whole answer, with the wrong fields among its details where there are any.
    pub status: Status,
}

impl Refused {
    pub(super) fn new(status: Status, info: Option<ErrorInfo>) -> Self {
        let (reason, metadata) = info.map(|info| (info.reason, info.metadata)).unwrap_or_default();
        Self { refusal: Refusal::from(reason.as_str()), reason, metadata, status }
    }

    /// The code of the answer.
    #[must_use]
    pub fn code(&self) -> Code {
        self.status.code()
    }

    /// The fields that are wrong, each with what is wrong with it.
    #[must_use]
    pub fn fields(&self) -> Vec<(String, String)> {
        let violations = self.status.get_details_bad_request().map(|bad| bad.field_violations);
        let violations = violations.unwrap_or_default().into_iter();
        violations.map(|violation| (violation.field, violation.description)).collect()
    }
}
