//! Short names for what tests say often.

use uuid::Uuid;

use crate::domain::{
    Action, Actor, AllocationId, AllocationPatch, AllocationTarget, ApplyEvent, CapacityMode, Command, Duration,
    EventConfig, EventPatch, Mode, OnExpired, OrderRef, OwnerId, Reservation, ReservationId, Reserve, SalesState,
    Timestamp, TransferCapacity,
};

pub(crate) const TTL: Duration = Duration::from_secs(600);
pub(crate) const TTL_MAX: Duration = Duration::from_secs(3600);
pub(crate) const START: Timestamp = Timestamp::from_micros(1_000_000_000_000);

pub(crate) fn owner(name: &str) -> OwnerId {
    OwnerId::new(name).unwrap()
}

pub(crate) fn allocation(name: &str) -> AllocationId {
    AllocationId::new(name).unwrap()
}

pub(crate) fn order(name: &str) -> OrderRef {
    OrderRef::new(name).unwrap()
}

pub(crate) fn id(number: u128) -> ReservationId {
    ReservationId::from(Uuid::from_u128(number))
}

pub(crate) fn secs(number: i64) -> Duration {
    Duration::from_secs(number)
}

pub(crate) fn micros_before(at: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_micros(at.as_micros() - micros)
}

pub(crate) fn config() -> EventConfig {
    EventConfig {
        display_name: "The concert".to_owned(),
        sales_state: SalesState::OnSale,
        on_sale_at: None,
        off_sale_at: None,
        hold_ttl_default: TTL,
        hold_ttl_max: TTL_MAX,
        limit_per_owner: None,
        waiting_room: None,
    }
}

pub(crate) fn lines(wanted: &[(&str, i64)]) -> Vec<(AllocationId, i64)> {
    wanted.iter().map(|(name, quantity)| (allocation(name), *quantity)).collect()
}

/// Quantities granted, by allocation.
pub(crate) fn granted(reservation: &Reservation) -> Vec<(&str, i64)> {
    reservation.lines.iter().map(|line| (line.allocation.as_str(), line.quantity)).collect()
}

/// All or nothing, with the event's default ttl.
pub(crate) fn request(number: u128, wanted: &[(&str, i64)]) -> Reserve {
    Reserve {
        id: id(number),
        lines: lines(wanted),
        ttl: None,
        mode: Mode::AllOrNothing,
        replaces: None,
        order_ref: None,
    }
}

pub(crate) fn by(name: &str, action: Action) -> Command {
    Command { actor: Actor::Owner(owner(name)), action }
}

pub(crate) fn admin(action: Action) -> Command {
    Command { actor: Actor::Admin(owner("root")), action }
}

pub(crate) fn ask(name: &str, request: Reserve) -> Command {
    by(name, Action::Reserve(request))
}

pub(crate) fn reserve(name: &str, number: u128, wanted: &[(&str, i64)]) -> Command {
    ask(name, request(number, wanted))
}

pub(crate) fn up_to(name: &str, number: u128, wanted: &[(&str, i64)]) -> Command {
    ask(name, Reserve { mode: Mode::UpTo, ..request(number, wanted) })
}

pub(crate) fn replace(name: &str, number: u128, wanted: &[(&str, i64)], old: u128) -> Command {
    ask(name, Reserve { replaces: Some(id(old)), ..request(number, wanted) })
}

pub(crate) fn buy(name: &str, number: u128, wanted: &[(&str, i64)]) -> Command {
    ask(name, Reserve { order_ref: Some(order("o")), ..request(number, wanted) })
}

pub(crate) fn extend(name: &str, number: u128, ttl: Duration) -> Command {
    by(name, Action::Extend { id: id(number), ttl })
}

pub(crate) fn release(name: &str, number: u128) -> Command {
    by(name, Action::Release { id: id(number) })
}

pub(crate) fn confirm(name: &str, number: u128, order_ref: &str) -> Command {
    by(name, Action::Confirm { id: id(number), order_ref: order(order_ref), on_expired: OnExpired::Fail })
}

pub(crate) fn reacquire(name: &str, number: u128, order_ref: &str) -> Command {
    by(name, Action::Confirm { id: id(number), order_ref: order(order_ref), on_expired: OnExpired::Reacquire })
}

pub(crate) fn cancel(name: &str, number: u128, targets: &[(&str, i64)]) -> Command {
    by(name, Action::Cancel { id: id(number), lines: lines(targets) })
}

pub(crate) fn force_release(number: u128) -> Command {
    admin(Action::ForceRelease { id: id(number), reason: "asked for by phone".to_owned() })
}

pub(crate) fn sweep() -> Command {
    Command { actor: Actor::System, action: Action::ReclaimExpired }
}

pub(crate) fn create_event(config: EventConfig) -> Command {
    admin(Action::CreateEvent(config))
}

pub(crate) fn update_event(expected: Option<i64>, patch: EventPatch) -> Command {
    admin(Action::UpdateEvent { expected, patch })
}

pub(crate) fn set_state(sales_state: SalesState) -> Command {
    update_event(None, EventPatch { sales_state: Some(sales_state), ..EventPatch::default() })
}

pub(crate) fn set_event_limit(limit: Option<i64>) -> Command {
    update_event(None, EventPatch { limit_per_owner: Some(limit), ..EventPatch::default() })
}

pub(crate) fn create_allocation(name: &str, capacity: i64, limit_per_owner: Option<i64>) -> Command {
    let display_name = name.to_uppercase();
    admin(Action::CreateAllocation { id: allocation(name), display_name, capacity, limit_per_owner })
}

/// Allocations are targeted by name, capacity, limit and version.
pub(crate) fn apply(
    config: EventConfig,
    expected: Option<i64>,
    targets: &[(&str, i64, Option<i64>, Option<i64>)],
) -> ApplyEvent {
    let allocations = targets.iter().map(|(name, capacity, limit, expected)| AllocationTarget {
        id: allocation(name),
        display_name: name.to_uppercase(),
        capacity: *capacity,
        limit_per_owner: *limit,
        expected: *expected,
    });
    let allocations = allocations.collect();
    ApplyEvent { config, expected, allocations, mode: CapacityMode::Strict, validate_only: false }
}

pub(crate) fn apply_event(target: ApplyEvent) -> Command {
    admin(Action::ApplyEvent(target))
}

pub(crate) fn update_allocation(
    name: &str,
    expected: Option<i64>,
    patch: AllocationPatch,
    mode: CapacityMode,
) -> Command {
    admin(Action::UpdateAllocation { id: allocation(name), expected, patch, mode })
}

pub(crate) fn set_capacity(name: &str, capacity: i64, mode: CapacityMode) -> Command {
    update_allocation(name, None, AllocationPatch { capacity: Some(capacity), ..AllocationPatch::default() }, mode)
}

pub(crate) fn set_limit(name: &str, limit: Option<i64>) -> Command {
    let patch = AllocationPatch { limit_per_owner: Some(limit), ..AllocationPatch::default() };
    update_allocation(name, None, patch, CapacityMode::Strict)
}

pub(crate) fn transfer(from: (&str, i64), to: (&str, i64), quantity: i64) -> Command {
    admin(Action::TransferCapacity(TransferCapacity {
        from: allocation(from.0),
        to: allocation(to.0),
        quantity,
        from_expected: from.1,
        to_expected: to.1,
    }))
}
