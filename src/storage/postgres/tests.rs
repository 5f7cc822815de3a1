//! Tests of this store: the conformance suite, and what is PostgreSQL's alone.

mod audits;
mod backend;
mod opening;
mod others;
mod owner_index;
mod plans;
mod pooled;
mod readers;
mod scale_out;
mod settings;

/// What every store must do.
mod conformance {
    crate::storage::conformance::conformance_tests!(super::super::backend::PostgresBackend::fresh);
}

/// The same behind a pooler: nothing is kept on a connection from one transaction to the next.
mod conformance_pooled {
    crate::storage::conformance::conformance_tests!(super::super::backend::PostgresBackend::pooled);
}

/// What is not the same, or planned in another way, where the tables are spread over machines.
mod conformance_spread {
    crate::storage::conformance::conformance_tests! { super::super::backend::PostgresBackend::spread;
        writes: every_field_survives, every_kind_of_change_survives, many_lines_and_large_batches_fit;
        reads: a_view_leaves_out_expired_holds, events_come_in_pages, single_things_are_found, totals_are_of_all_events,
            events_with_expired_holds_are_found, events_with_a_waiting_room_are_found;
        owners: an_owners_reservations_are_listed_at_every_moment;
    }
}
