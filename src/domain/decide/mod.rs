//! The rules: what each command does to an event, given its exact, locked state.
//!
//! `decide` is deterministic and does no I/O. It works on a copy of what the batch touches ([`Working`]), command after
//! command, so that a later command of a batch sees what an earlier one did. Each rule reads top-down in a fixed order
//! (exists, idempotency, target state, sales, limits, availability; from there it must succeed). A refusal leaves no
//! trace of its command; what it leaves behind is that expired holds were reclaimed, which is true whoever asks.

mod apply;
mod edit;
mod outcome;
mod reserve;
#[cfg(test)]
mod tests;
mod transition;
mod working;

use std::hash::BuildHasher;

pub use outcome::{Answer, Current, Lack, Outcome, Refusal};

use self::working::Working;
use super::change::Changes;
use super::command::{Action, Command};
use super::ids::OwnerId;
use super::snapshot::Snapshot;
use super::time::Timestamp;
use super::usage::UsageTable;

/// What must be loaded before it can be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// More expired holds: units or limits run short while some may be reclaimed.
    Expired,
    /// What these owners have in truth: the upper bound of the usage table says that a limit would be passed.
    Usage(Vec<OwnerId>),
}

/// The outcomes of a batch and what to write.
#[derive(Debug)]
pub struct Decision {
    /// One for each command, in order.
    pub outcomes: Vec<Outcome>,
    /// To be written in one transaction, before any outcome is told.
    pub changes: Changes,
}

/// Decides on `commands` in order, at `now`.
///
/// `usage` counts where the event has limits per owner ([`super::Event::has_limits`]) and it reflects the snapshot's `last_seq`. Where
/// it reflects another one it is ignored, and each owner's units are asked for.
///
/// # Errors
/// What must be loaded first, where the snapshot does not suffice; then decide again from the beginning.
pub fn decide<S: BuildHasher>(
    snapshot: &Snapshot,
    usage: &UsageTable<S>,
    commands: &[Command],
    now: Timestamp,
) -> Result<Decision, Need> {
    let mut working = Working::new(snapshot, usage, now, commands.len());
    let mut outcomes = Vec::with_capacity(commands.len());
    for command in commands {
        let outcome = match &command.action {
            Action::Reserve(reserve) => reserve::reserve(&mut working, command, reserve),
            Action::Extend { id, ttl } => transition::extend(&mut working, command, *id, *ttl),
            Action::Release { id } => transition::release(&mut working, command, *id),
            Action::Confirm { id, order_ref, on_expired } => {
                transition::confirm(&mut working, command, *id, order_ref, *on_expired)
            }
            Action::Cancel { id, lines } => transition::cancel(&mut working, command, *id, lines),
            Action::ForceRelease { id, reason } => transition::force_release(&mut working, command, *id, reason),
            Action::ReclaimExpired => Ok(transition::reclaim_expired(&mut working)),
            Action::CreateEvent(config) => edit::create_event(&mut working, command, &snapshot.event_id, config),
            Action::UpdateEvent { expected, patch } => edit::update_event(&mut working, command, *expected, patch),
            Action::CreateAllocation { id, display_name, capacity, limit_per_owner } => {
                edit::create_allocation(&mut working, command, id, display_name, *capacity, *limit_per_owner)
            }
            Action::UpdateAllocation { id, expected, patch, mode } => {
                edit::update_allocation(&mut working, command, id, *expected, patch, *mode)
            }
            Action::ApplyEvent(target) => apply::apply_event(&mut working, command, &snapshot.event_id, target),
            Action::TransferCapacity(transfer) => edit::transfer_capacity(&mut working, command, transfer),
        };
        if let Some(need) = working.need() {
            return Err(need);
        }
        outcomes.push(outcome);
    }
    Ok(Decision { outcomes, changes: working.into_changes()? })
}
