//! Whole-program tests: the real binary, started as a child process, and real clients over the wire.

mod kills;
mod promises;
mod support;
