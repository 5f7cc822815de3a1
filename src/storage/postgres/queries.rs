//! The SQL of this store: one file in `queries/` for each statement. Whatever a sale runs is about one event, `$1`. What is about several
//! (lists, totals, searches for work, the walk of `verify`) says so.

/// A statement with parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement {
    /// Under which it is prepared.
    pub(super) name: &'static str,
    sql: &'static str,
}

impl Statement {
    /// Whether lanes prepare it.
    pub(super) fn is_prepared(&self) -> bool {
        OF_LANES.iter().any(|prepared| prepared.name == self.name)
    }

    /// Whether it fails where it does not meet as many rows as its last parameter says. (An insert needs no such guard: it
    /// inserts all its rows or fails. The function is only called to fail: a transaction's first call takes 10 µs.)
    pub(super) fn is_guarded(&self) -> bool {
        self.sql.contains("boxoffice_guard(")
    }

    /// Another one for the same rows, where all are alike in some columns: it takes arrays of one element for these, and for any other
    /// column in which they happen to be. Columns are counted from the first after the event.
    pub(super) fn for_rows_alike(&self) -> Option<(Self, &'static [usize])> {
        (self.name == RESERVATIONS_INSERT.name).then_some((RESERVATIONS_INSERT_ALIKE, &[2, 4, 5, 6, 9, 10]))
    }

    /// The text, without the comment that it begins with and the semicolon that it ends with.
    pub(super) fn body(&self) -> &'static str {
        let mut rest = self.sql;
        while rest.starts_with("--") {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
        rest.trim_end().trim_end_matches(';')
    }
}

macro_rules! statements {
    ($($(#[$doc:meta])* $const:ident = $name:literal;)+) => {
        $($(#[$doc])* pub(super) const $const: Statement =
            Statement { name: $name, sql: include_str!(concat!("queries/", $name, ".sql")) };)+

        /// Every statement.
        #[cfg(test)]
        pub(super) const ALL: &[Statement] = &[$($const),+];
    };
}

statements! {
    BEGIN = "begin";
    COMMIT = "commit";
    ROLLBACK = "rollback";
    LOCK_EVENT = "lock_event";
    NOW = "now";
    LOAD_BOUNDS = "load_bounds";
    LOAD_ALLOCATIONS = "load_allocations";
    LOAD_RESERVATIONS = "load_reservations";
    LOAD_EXPIRED = "load_expired";
    LOAD_USAGE = "load_usage";
    EVENTS_INSERT = "events_insert";
    EVENTS_EDIT = "events_edit";
    ALLOCATIONS_INSERT = "allocations_insert";
    ALLOCATIONS_EDIT = "allocations_edit";
    EVENTS_ADVANCE = "events_advance";
    ALLOCATIONS_COUNT = "allocations_count";
    RESERVATIONS_INSERT = "reservations_insert";
    RESERVATIONS_INSERT_ALIKE = "reservations_insert_alike";
    RESERVATIONS_UPDATE = "reservations_update";
    JOURNAL_INSERT = "journal_insert";
    EVENT = "event";
    EVENTS = "events";
    EVENT_IDS = "event_ids";
    WAITING_ROOMS = "waiting_rooms";
    LAST_SEQ = "last_seq";
    RESERVATION = "reservation";
    RESERVATIONS_NAMED = "reservations_named";
    RESERVATIONS = "reservations";
    RESERVATIONS_OF = "reservations_of";
    JOURNAL = "journal";
    TOTALS = "totals";
    EVENTS_WITH_EXPIRED_HOLDS = "events_with_expired_holds";
    EVENTS_WITH_EXPIRED_HOLDS_SPREAD = "events_with_expired_holds_spread";
    AUDIT_EVENT = "audit_event";
    AUDIT_RESERVATION_COUNT = "audit_reservation_count";
    AUDIT_NEXT_EVENT = "audit_next_event";
    UPKEEP_DUE = "upkeep_due";
    UPKEEP_CLAIM = "upkeep_claim";
    UPKEEP_STATE = "upkeep_state";
    UPKEEP_WRITE = "upkeep_write";
    UPKEEP_COMPLETE_RUN = "upkeep_complete_run";
    UPKEEP_ADVANCE = "upkeep_advance";
}

/// What a lane runs for nearly every batch: prepared when it connects, and planned once. Not so `RESERVATIONS_UPDATE`: on an
/// empty table its only good plan costs as much as a bad one, so it is planned each time, for the table as it is.
pub(super) const OF_LANES: &[Statement] = &[
    LOCK_EVENT,
    LOAD_BOUNDS,
    LOAD_ALLOCATIONS,
    LOAD_RESERVATIONS,
    LOAD_EXPIRED,
    LOAD_USAGE,
    EVENTS_ADVANCE,
    ALLOCATIONS_COUNT,
    RESERVATIONS_INSERT,
    RESERVATIONS_INSERT_ALIKE,
    JOURNAL_INSERT,
];

/// What people do, in the order of `Writes::edits`.
pub(super) const EDITS: [Statement; 4] = [EVENTS_INSERT, EVENTS_EDIT, ALLOCATIONS_INSERT, ALLOCATIONS_EDIT];
/// What a sale does, in the order of `Writes::sales`.
pub(super) const SALES: [Statement; 5] =
    [EVENTS_ADVANCE, ALLOCATIONS_COUNT, RESERVATIONS_INSERT, RESERVATIONS_UPDATE, JOURNAL_INSERT];
