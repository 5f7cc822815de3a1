//! Conformance suite, written once for all stores.
