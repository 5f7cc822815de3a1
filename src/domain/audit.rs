//! Compares what an event's journal says with what its tables say.

use super::ids::{AllocationId, ReservationId};

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The event itself.
    Event,
    /// One of its allocations.
    Allocation(AllocationId),
    /// One of its reservations.
    Reservation(ReservationId),
}

/// Something that is not as the journal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub subject: Subject,
    /// Which of its fields.
    pub field: &'static str,
    /// What the journal says.
    pub journal: String,
    /// What the table says.
    pub stored: String,
}
