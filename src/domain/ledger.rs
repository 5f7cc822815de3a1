//! Replays a journal: adding up its deltas gives the counts.
/// stub
pub struct Ledger;
/// stub
pub struct Counts;
/// stub
pub struct LedgerError;
