//! Several edits of one event as one: all of them, or none.

use super::working::Working;
use super::{Answer, Outcome, Refusal, edit};
use crate::domain::command::{
    AllocationPatch, AllocationTarget, ApplyEvent, CapacityMode, Command, EventPatch, VERSION_OF_NOTHING,
};
use crate::domain::ids::{EventId, Version};

/// Brings the event and allocations of it to a target state. Each step is an edit by itself, so it is refused for the same
/// reasons and journalled in the same way; the first refusal undoes the steps before it.
pub(super) fn apply_event(working: &mut Working<'_>, command: &Command, id: &EventId, target: &ApplyEvent) -> Outcome {
    let before = working.clone();
    let outcome = apply_all(working, command, id, target);
    if outcome.is_err() || target.validate_only {
        working.go_back(before);
    }
    outcome
}

fn apply_all(working: &mut Working<'_>, command: &Command, id: &EventId, target: &ApplyEvent) -> Outcome {
    if working.event_if_any().is_some() {
        let config = target.config.clone();
        let patch = EventPatch {
            display_name: Some(config.display_name),
            sales_state: Some(config.sales_state),
            on_sale_at: Some(config.on_sale_at),
            off_sale_at: Some(config.off_sale_at),
            hold_ttl_default: Some(Some(config.hold_ttl_default)),
            hold_ttl_max: Some(config.hold_ttl_max),
            limit_per_owner: Some(config.limit_per_owner),
            waiting_room: Some(config.waiting_room),
        };
        edit::update_event(working, command, target.expected, &patch)?;
    } else if may_be_missing(target.expected) {
        edit::create_event(working, command, id, &target.config)?;
    } else {
        return Err(Refusal::EventNotFound);
    }
    for allocation in &target.allocations {
        apply_to_allocation(working, command, allocation, target.mode)?;
    }
    Ok(Answer::Event(working.event()?.clone()))
}

fn apply_to_allocation(
    working: &mut Working<'_>,
    command: &Command,
    target: &AllocationTarget,
    mode: CapacityMode,
) -> Outcome {
    let AllocationTarget { id, display_name, capacity, limit_per_owner, expected } = target;
    match working.allocation(id) {
        Ok(_) => {
            let patch = AllocationPatch {
                display_name: Some(display_name.clone()),
                capacity: Some(*capacity),
                limit_per_owner: Some(*limit_per_owner),
            };
            edit::update_allocation(working, command, id, *expected, &patch, mode)
        }
        Err(_) if may_be_missing(*expected) => {
            edit::create_allocation(working, command, id, display_name, *capacity, *limit_per_owner)
        }
        Err(missing) => Err(missing),
    }
}

fn may_be_missing(expected: Option<Version>) -> bool {
    expected.is_none_or(|expected| expected == VERSION_OF_NOTHING)
}
