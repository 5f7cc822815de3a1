//! The SQL of this store, each statement in a file in `queries/`.

use std::sync::LazyLock;

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

/// Rows that an insert of many takes at once. (One row a statement opens the table and its indexes for each, and seeks in them from
/// their roots.)
pub(super) const ROWS_AT_ONCE: usize = 8;

/// A statement that is run for each of its rows.
pub(super) struct RowStatement {
    pub(super) one_row: &'static str,
    /// The same for [`ROWS_AT_ONCE`] rows, where there are often as many.
    pub(super) rows_at_once: Option<String>,
}

impl RowStatement {
    const fn one_by_one(one_row: &'static str) -> Self {
        Self { one_row, rows_at_once: None }
    }

    /// `insert` ends with the values of one row, in parentheses and without numbers.
    fn at_once(insert: &'static str) -> Self {
        let insert_one = insert.trim_end().trim_end_matches(';');
        let row = insert_one.rfind('(').map_or("", |start| &insert_one[start..]);
        let more_rows = [", ", row].concat().repeat(ROWS_AT_ONCE - 1);
        Self { one_row: insert, rows_at_once: Some([insert_one, &more_rows].concat()) }
    }
}

/// What people do, in the order of `write::Writes::edits`.
pub(super) static WRITE_EDITS: [RowStatement; 4] = [
    RowStatement::one_by_one(sql!("events_insert")),
    RowStatement::one_by_one(sql!("events_edit")),
    RowStatement::one_by_one(sql!("allocations_insert")),
    RowStatement::one_by_one(sql!("allocations_edit")),
];
/// What a sale does, in the order of `write::Writes::sales`.
pub(super) static WRITE_SALES: LazyLock<[RowStatement; 5]> = LazyLock::new(|| {
    [
        RowStatement::one_by_one(sql!("events_advance")),
        RowStatement::one_by_one(sql!("allocations_count")),
        RowStatement::at_once(sql!("reservations_insert")),
        RowStatement::one_by_one(sql!("reservations_update")),
        RowStatement::one_by_one(sql!("journal_insert")),
    ]
});

/// After commits, beside the lane.
pub(super) const CHECKPOINT: &str = sql!("checkpoint");

/// When the store is opened.
pub(super) const DROP_STATISTICS: &str = sql!("drop_statistics");

pub(super) const UPKEEP_DUE: &str = sql!("upkeep_due");
pub(super) const UPKEEP_STATE: &str = sql!("upkeep_state");
pub(super) static UPKEEP_WRITE: LazyLock<RowStatement> = LazyLock::new(|| RowStatement::at_once(sql!("upkeep_write")));
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
