//! The SQL of this store, each statement in a file in `queries/`.

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("queries/", $name, ".sql"))
    };
}

/// What the lane runs.
pub(super) const BEGIN: &str = sql!("begin");
pub(super) const COMMIT: &str = sql!("commit");
pub(super) const ROLLBACK: &str = sql!("rollback");
pub(super) const LOAD_EVENT: &str = sql!("load_event");
pub(super) const LOAD_ALLOCATION: &str = sql!("load_allocation");
pub(super) const LOAD_EXPIRED: &str = sql!("load_expired");
pub(super) const LOAD_USAGE: &str = sql!("load_usage");

/// What people do, in the order of `write::Writes::edits`.
pub(super) const WRITE_EDITS: [&str; 4] =
    [sql!("events_insert"), sql!("events_edit"), sql!("allocations_insert"), sql!("allocations_edit")];
/// What a sale does, in the order of `write::Writes::sales`.
pub(super) const WRITE_SALES: [&str; 5] = [
    sql!("events_advance"),
    sql!("allocations_count"),
    sql!("reservations_insert"),
    sql!("reservations_update"),
    sql!("journal_insert"),
];

/// After commits, beside the lane.
pub(super) const CHECKPOINT: &str = sql!("checkpoint");

/// When the store is opened.
pub(super) const DROP_STATISTICS: &str = sql!("drop_statistics");

pub(super) const UPKEEP_DUE: &str = sql!("upkeep_due");
pub(super) const UPKEEP_STATE: &str = sql!("upkeep_state");
pub(super) const UPKEEP_WRITE: &str = sql!("upkeep_write");
pub(super) const UPKEEP_COMPLETE_RUN: &str = sql!("upkeep_complete_run");
pub(super) const UPKEEP_ADVANCE: &str = sql!("upkeep_advance");

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
