//! What the tests of the rules share, and the tests of replaying and auditing.

mod audit;
pub(crate) mod fixture;
mod ids;
mod ledger;
mod time;
pub(crate) mod usage;
pub(crate) mod world;
