//! What operators do to events and allocations. An edit that changes nothing succeeds, whatever its version, and leaves
//! no trace, so that a repeated request is safe.

use super::working::Working;
use super::{Answer, Current, Outcome, Refusal};
use crate::domain::change::{AllocationEdit, Delta, EventEdit, JournalKind};
use crate::domain::command::{AllocationPatch, CapacityMode, Command, EventPatch, TransferCapacity};
use crate::domain::event::{Allocation, Event, EventConfig, SalesState};
use crate::domain::ids::{AllocationId, EventId, Version};
use crate::domain::limits::{ALLOCATIONS_PER_EVENT_MAX, CAPACITY_MAX, HOLD_TTL_DEFAULT};

/// Creates the event.
pub(super) fn create_event(
    working: &mut Working<'_>,
    command: &Command,
    id: &EventId,
    config: &EventConfig,
) -> Outcome {
    if let Some(event) = working.event_if_any() {
        return match event.config == *config {
            true => Ok(Answer::Event(event.clone())),
            false => Err(Refusal::EventExists),
        };
    }
    if config.sales_state == SalesState::Cancelled {
        return Err(Refusal::CancelledFromTheBeginning);
    }
    check_config(config)?;
    let event = Event {
        id: id.clone(),
        config: config.clone(),
        last_seq: 0,
        version: 1,
        allocation_count: 0,
        has_allocation_limits: false,
        created_at: working.now,
    };
    working.put_event(event, false);
    working.log(JournalKind::EventCreated, command.actor.clone(), |entry| {
        entry.event = Some(EventEdit::from(config));
    });
    Ok(Answer::Event(working.event()?.clone()))
}

/// Edits the event.
pub(super) fn update_event(
    working: &mut Working<'_>,
    command: &Command,
    expected: Option<Version>,
    patch: &EventPatch,
) -> Outcome {
    let mut event = working.event()?.clone();
    let config = patched(&event.config, patch);
    if config == event.config {
        return Ok(Answer::Event(event));
    }
    if expected.is_some_and(|expected| expected != event.version) {
        return Err(Refusal::EtagMismatch(Box::new(Current::Event(event))));
    }
    let (from, to) = (event.config.sales_state, config.sales_state);
    if from != to && (from == SalesState::Cancelled || to == SalesState::Draft) {
        return Err(Refusal::SalesStateTransition { from, to });
    }
    check_config(&config)?;
    let new_limit = config.limit_per_owner.is_some() && event.config.limit_per_owner.is_none();
    event.config = config;
    event.version += 1;
    let edit = EventEdit::from(&event.config);
    working.put_event(event, new_limit);
    working.log(JournalKind::EventUpdated, command.actor.clone(), |entry| entry.event = Some(edit));
    Ok(Answer::Event(working.event()?.clone()))
}

fn patched(config: &EventConfig, patch: &EventPatch) -> EventConfig {
    let hold_ttl_max = patch.hold_ttl_max.unwrap_or(config.hold_ttl_max);
    EventConfig {
        display_name: patch.display_name.clone().unwrap_or_else(|| config.display_name.clone()),
        sales_state: patch.sales_state.unwrap_or(config.sales_state),
        on_sale_at: patch.on_sale_at.unwrap_or(config.on_sale_at),
        off_sale_at: patch.off_sale_at.unwrap_or(config.off_sale_at),
        hold_ttl_default: match patch.hold_ttl_default {
            Some(wanted) => wanted.unwrap_or(HOLD_TTL_DEFAULT.min(hold_ttl_max)),
            None => config.hold_ttl_default,
        },
        hold_ttl_max,
        limit_per_owner: patch.limit_per_owner.unwrap_or(config.limit_per_owner),
        waiting_room: patch.waiting_room.unwrap_or(config.waiting_room),
    }
}

fn check_config(config: &EventConfig) -> Result<(), Refusal> {
    if let (Some(on), Some(off)) = (config.on_sale_at, config.off_sale_at)
        && on >= off
    {
        return Err(Refusal::WindowReversed);
    }
    match config.hold_ttl_default <= config.hold_ttl_max {
        true => Ok(()),
        false => Err(Refusal::TtlDefaultAboveMax),
    }
}

/// Adds an allocation.
pub(super) fn create_allocation(
    working: &mut Working<'_>,
    command: &Command,
    id: &AllocationId,
    display_name: &str,
    capacity: i64,
    limit_per_owner: Option<i64>,
) -> Outcome {
    let mut event = working.event()?.clone();
    if let Ok(existing) = working.allocation(id) {
        let same = existing.display_name == display_name
            && existing.capacity_wanted() == capacity
            && existing.limit_per_owner == limit_per_owner;
        return if same { Ok(Answer::Allocation(existing.clone())) } else { Err(Refusal::AllocationExists) };
    }
    if usize::try_from(event.allocation_count).is_ok_and(|count| count >= ALLOCATIONS_PER_EVENT_MAX) {
        return Err(Refusal::TooManyAllocations);
    }
    let allocation = Allocation {
        id: id.clone(),
        display_name: display_name.to_owned(),
        capacity,
        drain_to: None,
        held: 0,
        sold: 0,
        limit_per_owner,
        version: 1,
    };
    event.allocation_count += 1;
    event.has_allocation_limits |= limit_per_owner.is_some();
    // Nobody has units of it yet, so its limit has nothing to catch up with.
    working.put_event(event, false);
    log_edit(working, command, JournalKind::AllocationCreated, &allocation, capacity);
    working.put_allocation(allocation.clone());
    Ok(Answer::Allocation(allocation))
}

/// Edits an allocation.
pub(super) fn update_allocation(
    working: &mut Working<'_>,
    command: &Command,
    id: &AllocationId,
    expected: Option<Version>,
    patch: &AllocationPatch,
    mode: CapacityMode,
) -> Outcome {
    working.event()?;
    let before = working.allocation(id)?.clone();
    let wanted = patch.capacity.unwrap_or_else(|| before.capacity_wanted());
    let display_name = patch.display_name.clone().unwrap_or_else(|| before.display_name.clone());
    let limit_per_owner = patch.limit_per_owner.unwrap_or(before.limit_per_owner);
    let unchanged = wanted == before.capacity_wanted()
        && display_name == before.display_name
        && limit_per_owner == before.limit_per_owner;
    if unchanged {
        return Ok(Answer::Allocation(before));
    }
    if expected.is_some_and(|expected| expected != before.version) {
        return Err(Refusal::EtagMismatch(Box::new(Current::Allocation(before))));
    }
    if wanted != before.capacity_wanted() && mode == CapacityMode::Strict {
        require_committed_within(working, id, wanted)?;
    }
    // Read again: reclaiming may have changed the counts.
    let mut after = working.allocation(id)?.clone();
    let old_capacity = after.capacity;
    set_capacity(&mut after, wanted);
    after.display_name = display_name;
    after.limit_per_owner = limit_per_owner;
    after.version += 1;
    if limit_per_owner.is_some() {
        let mut event = working.event()?.clone();
        event.has_allocation_limits = true;
        working.put_event(event, before.limit_per_owner.is_none());
    }
    log_edit(working, command, JournalKind::AllocationUpdated, &after, after.capacity - old_capacity);
    working.put_allocation(after.clone());
    Ok(Answer::Allocation(after))
}

/// Moves capacity between two allocations.
pub(super) fn transfer_capacity(working: &mut Working<'_>, command: &Command, transfer: &TransferCapacity) -> Outcome {
    working.event()?;
    let (giver, taker) = (working.allocation(&transfer.from)?, working.allocation(&transfer.to)?);
    for (allocation, expected) in [(giver, transfer.from_expected), (taker, transfer.to_expected)] {
        if allocation.version != expected {
            return Err(Refusal::EtagMismatch(Box::new(Current::Allocation(allocation.clone()))));
        }
    }
    let taker_drains = taker.drain_to.is_some();
    if taker.capacity_wanted() + transfer.quantity > CAPACITY_MAX {
        return Err(Refusal::CapacityTooLarge(transfer.to.clone()));
    }
    let giver_keeps = giver.capacity_wanted() - transfer.quantity;
    require_committed_within(working, &transfer.from, giver_keeps)?;
    let (from, given) = resize(working, &transfer.from, -transfer.quantity)?;
    let (to, taken) = resize(working, &transfer.to, transfer.quantity)?;
    working.log(JournalKind::CapacityTransferred, command.actor.clone(), |entry| {
        entry.deltas.extend([given, taken].into_iter().filter(|delta| delta.capacity != 0));
        // What it was given may only have moved the end of its draining, which no count tells.
        entry.allocation = taker_drains.then(|| AllocationEdit::from(&to));
    });
    Ok(Answer::Transferred { from, to })
}

/// Adds `change` to the capacity that people want of an allocation.
fn resize(working: &mut Working<'_>, id: &AllocationId, change: i64) -> Result<(Allocation, Delta), Refusal> {
    let mut allocation = working.allocation(id)?.clone();
    let old_capacity = allocation.capacity;
    let wanted = allocation.capacity_wanted() + change;
    set_capacity(&mut allocation, wanted);
    allocation.version += 1;
    working.put_allocation(allocation.clone());
    let delta = Delta { allocation: id.clone(), capacity: allocation.capacity - old_capacity, held: 0, sold: 0 };
    Ok((allocation, delta))
}

/// Refuses where more than `wanted` is held or sold, after expired holds were reclaimed.
fn require_committed_within(working: &mut Working<'_>, id: &AllocationId, wanted: i64) -> Result<(), Refusal> {
    loop {
        let allocation = working.allocation(id)?;
        let committed = allocation.held + allocation.sold;
        if committed <= wanted {
            return Ok(());
        }
        if !working.reclaim() {
            return Err(Refusal::CapacityBelowCommitted { allocation: id.clone(), committed });
        }
    }
}

/// Goes to `wanted` at once, or as far as what is held and sold allows, and on as units come back.
fn set_capacity(allocation: &mut Allocation, wanted: i64) {
    allocation.drain_to = Some(wanted);
    allocation.follow_drain();
}

fn log_edit(
    working: &mut Working<'_>,
    command: &Command,
    kind: JournalKind,
    allocation: &Allocation,
    capacity_delta: i64,
) {
    working.log(kind, command.actor.clone(), |entry| {
        entry.allocation = Some(AllocationEdit::from(allocation));
        if capacity_delta != 0 {
            entry.deltas.push(Delta { allocation: allocation.id.clone(), capacity: capacity_delta, held: 0, sold: 0 });
        }
    });
}
