//! Tests of this store: the conformance suite, and what is PostgreSQL's alone.

mod backend;
mod opening;
mod others;
mod plans;
mod pooled;
mod readers;
mod scale_out;

/// What every store must do.
mod conformance {
    crate::storage::conformance::conformance_tests!(super::super::backend::PostgresBackend::fresh);
}

/// The same behind a pooler: nothing is kept on a connection from one transaction to the next.
mod conformance_pooled {
    crate::storage::conformance::conformance_tests!(super::super::backend::PostgresBackend::pooled);
}
