//! The SQL of this store. Each statement is a file in `queries/`; those that run together are one script here, because
//! each hand-over to the connection's thread costs several microseconds.

macro_rules! sql {
    ($($name:literal),+) => { concat!($(include_str!(concat!("queries/", $name, ".sql"))),+) };
}

macro_rules! sales {
    () => {
        sql!(
            "events_advance",
            "guard",
            "allocations_count",
            "guard",
            "reservations_insert",
            "guard",
            "reservations_update",
            "guard",
            "journal_insert",
            "guard",
            "commit"
        )
    };
}

/// Locks, and loads what nearly every batch needs: the events and the allocations.
pub(super) const BEGIN_AND_LOAD: &str = sql!("begin", "load_events", "load_allocations");
pub(super) const LOAD_ALLOCATIONS: &str = sql!("load_allocations");
pub(super) const LOAD_RESERVATIONS: &str = sql!("load_reservations");
pub(super) const LOAD_EXPIRED: &str = sql!("load_expired");
pub(super) const LOAD_USAGE: &str = sql!("load_usage");

/// What people do: in the order of `write::Edits`.
pub(super) const WRITE_EDITS: &str = sql!("events_insert", "events_edit", "allocations_insert", "allocations_edit");
/// What a sale does, in the order of `write::Sales`, each statement with its guard; and the commit, in the same hand-over.
pub(super) const WRITE_SALES_WITHIN: &str = sales!();
/// The same, where no transaction has begun.
pub(super) const WRITE_SALES_AND_COMMIT: &str = concat!(sql!("begin"), sales!());
/// Locks, and confirms what was remembered.
pub(super) const BEGIN_AT_SEQ: &str = sql!("begin", "events_at_seq");
pub(super) const EVENTS_AT_SEQ: &str = sql!("events_at_seq");
pub(super) const COMMIT: &str = sql!("commit");
pub(super) const ROLLBACK: &str = sql!("rollback");

/// After commits, beside the lane.
pub(super) const CHECKPOINT: &str = sql!("checkpoint");

/// When the store is opened.
pub(super) const DROP_STATISTICS: &str = sql!("drop_statistics");

pub(super) const UPKEEP_DUE: &str = sql!("upkeep_due");
pub(super) const UPKEEP_STATE: &str = sql!("upkeep_state");
pub(super) const UPKEEP_WRITE: &str = sql!("begin", "upkeep_write");
pub(super) const UPKEEP_COMPLETE: &str = sql!("upkeep_complete_run", "upkeep_advance");

pub(super) const EVENT: &str = sql!("event");
pub(super) const EVENTS: &str = sql!("events");
pub(super) const WAITING_ROOMS: &str = sql!("waiting_rooms");
pub(super) const LAST_SEQ: &str = sql!("last_seq");
pub(super) const RESERVATION: &str = sql!("reservation");
pub(super) const RESERVATIONS_NAMED: &str = sql!("reservations_named");
pub(super) const RESERVATIONS: &str = sql!("reservations");
pub(super) const RESERVATIONS_OF: &str = sql!("reservations_of");
pub(super) const JOURNAL: &str = sql!("journal");
pub(super) const TOTALS: &str = sql!("totals");
pub(super) const EVENTS_WITH_EXPIRED_HOLDS: &str = sql!("events_with_expired_holds");
pub(super) const AUDIT_EVENT: &str = sql!("audit_event");
pub(super) const AUDIT_RESERVATION_COUNT: &str = sql!("audit_reservation_count");
pub(super) const AUDIT_NEXT_EVENT: &str = sql!("audit_next_event");
