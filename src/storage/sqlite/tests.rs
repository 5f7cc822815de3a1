//! Tests of this store: the conformance suite, and what is SQLite's alone.

mod backend;
mod checkpointer;
mod checks;
mod files;
mod full_disk;
mod plans;

pub(super) use self::backend::SqliteBackend;

/// What every store must do.
mod conformance {
    crate::storage::conformance::conformance_tests!(super::super::backend::SqliteBackend::fresh);
}
