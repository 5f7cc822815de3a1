//! The rules of ticket inventory, pure: no async, no clock, no randomness, no SQL, no gRPC.
//!
//! [`decide`] takes the exact, locked state of one event ([`Snapshot`]) and the commands that wait for it, and returns
//! an [`Outcome`] for each and the [`Changes`] to write. [`Ledger`] replays a journal and gives the same counts.

#![warn(clippy::wildcard_enum_match_arm)]

mod audit;
mod change;
mod command;
mod decide;
mod event;
mod ids;
mod ledger;
mod limits;
mod reservation;
mod snapshot;
#[cfg(test)]
mod tests;
mod time;
mod usage;

pub use audit::{Difference, ReservationBook, Subject};
pub use change::{AllocationEdit, Changes, Delta, Edited, EventEdit, JournalEntry, JournalKind, WaitingRoomEdit};
pub use command::{
    Action, AllocationPatch, AllocationTarget, ApplyEvent, CapacityMode, Command, EventPatch, Mode, OnExpired, Reserve,
    TransferCapacity, VERSION_OF_NOTHING,
};
pub use decide::{Answer, Current, Decision, Lack, Need, Outcome, Refusal, decide};
pub use event::{Allocation, Event, EventConfig, EventView, OnLoss, SalesState, WaitingRoom};
pub use ids::{Actor, AllocationId, EventId, InvalidId, OrderRef, OwnerId, ReservationId, Seq, Version};
pub use ledger::{AllocationAccount, Counts, EventAccount, Ledger, LedgerError};
pub use limits::*;
pub use reservation::{Line, Reservation, State};
pub use snapshot::{Snapshot, Wanted};
pub use time::{Duration, Timestamp};
pub use usage::{OwnerUnits, UsageTable};
