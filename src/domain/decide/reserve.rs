//! Taking units: a new reservation, or an expired one that is to be sold after all.

use super::working::Working;
use super::{Lack, Outcome, Refusal};
use crate::domain::change::{Delta, JournalKind};
use crate::domain::command::{Command, Mode, Reserve};
use crate::domain::ids::{Actor, AllocationId, OwnerId};
use crate::domain::reservation::{Line, Reservation, State};

/// Takes units for a new reservation.
pub(super) fn reserve(working: &mut Working<'_>, command: &Command, request: &Reserve) -> Outcome {
    // Grants are for owners; `grpc` sends nobody else here.
    let Actor::Owner(owner) = &command.actor else { return Err(Refusal::ReservationNotFound) };
    working.event()?;
    for (allocation, _) in &request.lines {
        working.allocation(allocation)?;
    }
    let replaced = request.replaces.map(|id| working.own(command, id)).transpose()?;
    let fingerprint = request.fingerprint();
    if let Some(existing) = working.reservation(request.id) {
        if existing.owner != *owner || existing.fingerprint != fingerprint {
            return Err(Refusal::ReservationIdReused);
        }
        return working.answer(existing.clone());
    }
    require_sales(working)?;
    let config = &working.event()?.config;
    let ttl = request.ttl.unwrap_or(config.hold_ttl_default);
    if ttl > config.hold_ttl_max {
        return Err(Refusal::TtlTooLong { max: config.hold_ttl_max });
    }
    let replaced = match replaced {
        Some(old) if old.state == State::Confirmed => return Err(Refusal::AlreadyConfirmed),
        Some(old) if old.is_live_hold(working.now) => Some(old),
        _ => None,
    };
    let granted = plan(working, owner, &request.lines, request.mode, replaced.as_ref())?;

    // From here on it succeeds.
    let lines = request.lines.iter().zip(granted).map(|((allocation, requested), quantity)| Line {
        allocation: allocation.clone(),
        quantity,
        requested: *requested,
        cancelled: 0,
    });
    let sold = request.order_ref.is_some();
    let now = working.now;
    let reservation = Reservation {
        id: request.id,
        owner: owner.clone(),
        state: if sold { State::Confirmed } else { State::Held },
        lines: lines.collect(),
        expires_at: if sold { now } else { now.plus(ttl) },
        created_at: now,
        updated_at: now,
        fingerprint,
        order_ref: request.order_ref.clone(),
    };
    let freed = replaced.map(|old| release_replaced(working, &command.actor, old)).unwrap_or_default();
    let mut deltas = working.adjust(&reservation, |line| match sold {
        true => (0, line.quantity),
        false => (line.quantity, 0),
    });
    drain_freed(working, &mut deltas, freed);
    let kind = if sold { JournalKind::Sold } else { JournalKind::Reserved };
    working.log_reservation(kind, command.actor.clone(), &reservation, deltas, |entry| {
        entry.expires_at = (!sold).then_some(reservation.expires_at);
        entry.order_ref = reservation.order_ref.clone();
    });
    working.put_reservation(reservation.clone());
    working.answer(reservation)
}

/// Refuses where new units may not be taken now.
pub(super) fn require_sales(working: &Working<'_>) -> Result<(), Refusal> {
    let event = working.event()?;
    match event.sells_at(working.now) {
        true => Ok(()),
        false => Err(sales_not_open(event)),
    }
}

pub(super) fn sales_not_open(event: &crate::domain::Event) -> Refusal {
    Refusal::SalesNotOpen {
        state: event.config.sales_state,
        on_sale_at: event.config.on_sale_at,
        off_sale_at: event.config.off_sale_at,
    }
}

/// How many units of each line may be taken: limits first, then availability. Reclaims expired holds where it falls short,
/// so that a refusal is true at this moment.
pub(super) fn plan(
    working: &mut Working<'_>,
    owner: &OwnerId,
    lines: &[(AllocationId, i64)],
    mode: Mode,
    replaced: Option<&Reservation>,
) -> Result<Vec<i64>, Refusal> {
    loop {
        let planned = within_limits(working, owner, lines, mode, replaced)
            .and_then(|allowed| within_availability(working, lines, &allowed, mode, replaced));
        // A clamped plan also ran short: what lies expired might fill it.
        let short =
            planned.as_ref().map_or(true, |granted| granted.iter().zip(lines).any(|(got, (_, want))| got < want));
        // As long as only an upper bound of the owner's units stands in the way, nothing is known to be short.
        if !short || working.awaits_usage(owner) || !working.reclaim() {
            return planned;
        }
    }
}

/// What the owner's limits allow.
struct Allowed {
    /// Of each line.
    lines: Vec<i64>,
    /// Of all lines together.
    total: i64,
}

/// What the owner's limits allow, or the limit that is in the way: with `UpTo` only where none of the lines may be taken.
fn within_limits(
    working: &mut Working<'_>,
    owner: &OwnerId,
    lines: &[(AllocationId, i64)],
    mode: Mode,
    replaced: Option<&Reservation>,
) -> Result<Allowed, Refusal> {
    let mut allowed: Vec<i64> = lines.iter().map(|(_, quantity)| *quantity).collect();
    if !working.event()?.has_limits() {
        return Ok(Allowed { total: allowed.iter().sum(), lines: allowed });
    }
    let mut exceeded = None;
    for ((allocation, quantity), allowed) in lines.iter().zip(&mut allowed) {
        let Some(limit) = working.allocation(allocation)?.limit_per_owner else { continue };
        let freed = units_of(replaced, Some(allocation));
        *allowed = (*quantity).min(headroom(working, owner, Some(allocation), limit + freed, *quantity));
        if *allowed < *quantity {
            exceeded.get_or_insert(Refusal::OwnerLimitExceeded { allocation: Some(allocation.clone()), limit });
        }
    }
    let mut total: i64 = allowed.iter().sum();
    if let Some(refusal) = exceeded
        && (mode == Mode::AllOrNothing || total == 0)
    {
        return Err(refusal);
    }
    if let Some(limit) = working.event()?.config.limit_per_owner {
        let want = total;
        total = want.min(headroom(working, owner, None, limit + units_of(replaced, None), want));
        if total < want && (mode == Mode::AllOrNothing || total == 0) {
            return Err(Refusal::OwnerLimitExceeded { allocation: None, limit });
        }
    }
    Ok(Allowed { lines: allowed, total })
}

/// How many units more the owner may take. Where the count might be too high and that would matter, it asks for the truth.
fn headroom(
    working: &mut Working<'_>,
    owner: &OwnerId,
    allocation: Option<&AllocationId>,
    limit: i64,
    want: i64,
) -> i64 {
    let units = working.units(owner, allocation);
    let headroom = limit.saturating_sub(units.at_most).max(0);
    if headroom < want && !units.exact {
        working.need_usage(owner);
    }
    headroom
}

/// What availability leaves of what the limits allow. A line that gets less leaves its share of the event's limit to the
/// lines after it.
fn within_availability(
    working: &Working<'_>,
    lines: &[(AllocationId, i64)],
    allowed: &Allowed,
    mode: Mode,
    replaced: Option<&Reservation>,
) -> Result<Vec<i64>, Refusal> {
    let mut granted = Vec::with_capacity(lines.len());
    let mut lacks = Vec::new();
    let mut left = allowed.total;
    for ((id, quantity), allowed) in lines.iter().zip(&allowed.lines) {
        let available = working.allocation(id)?.available() + units_of(replaced, Some(id));
        if available < *allowed {
            lacks.push(Lack { allocation: id.clone(), requested: *quantity, available });
        }
        let grant = available.min(*allowed).min(left);
        left -= grant;
        granted.push(grant);
    }
    let refused = match mode {
        Mode::AllOrNothing => !lacks.is_empty(),
        Mode::UpTo => granted.iter().all(|quantity| *quantity == 0),
    };
    if refused { Err(shortage(working, lacks, mode)) } else { Ok(granted) }
}

/// The name of a shortage, with the lines that it is true of: one of which units are left is not called sold out. One line that is gone for
/// good sinks `AllOrNothing`; `UpTo` has hope as long as one may come back.
fn shortage(working: &Working<'_>, mut lacks: Vec<Lack>, mode: Mode) -> Refusal {
    // A draining capacity goes with the holds that lapse, down to what is wanted.
    let may_come_back = |lack: &Lack| {
        working.allocation(&lack.allocation).is_ok_and(|allocation| allocation.capacity_wanted() > allocation.sold)
    };
    let is_held = |lack: &Lack| lack.available == 0 && may_come_back(lack);
    let is_gone = |lack: &Lack| lack.available == 0 && !may_come_back(lack);
    let (held, gone) = (lacks.iter().any(is_held), lacks.iter().any(is_gone));
    let sold_out = match mode {
        Mode::AllOrNothing => gone,
        Mode::UpTo => gone && !held,
    };
    match (sold_out, held) {
        (true, _) => {
            lacks.retain(is_gone);
            Refusal::SoldOut(lacks)
        }
        (false, true) => {
            lacks.retain(is_held);
            Refusal::AllHeld { lacks, next_expiry: working.next_expiry() }
        }
        (false, false) => Refusal::InsufficientAvailability(lacks),
    }
}

/// Units of a hold: of one allocation, or (`None`) all.
fn units_of(reservation: Option<&Reservation>, allocation: Option<&AllocationId>) -> i64 {
    let lines = reservation.map_or(&[][..], |reservation| &reservation.lines);
    let counted = lines.iter().filter(|line| allocation.is_none_or(|allocation| *allocation == line.allocation));
    counted.map(|line| line.quantity).sum()
}

/// Releases the hold that a new one replaces. A draining capacity does not follow yet ([`drain_freed`]), so that the
/// new hold keeps the old one's place.
fn release_replaced(working: &mut Working<'_>, actor: &Actor, mut old: Reservation) -> Vec<Delta> {
    old.state = State::Released;
    old.updated_at = working.now;
    let deltas = working.adjust(&old, |line| (-line.quantity, 0));
    working.log_reservation(JournalKind::Released, actor.clone(), &old, deltas.clone(), |_| {});
    working.put_reservation(old);
    deltas
}

/// Lets draining capacities follow what the replaced hold freed and the new one did not take.
fn drain_freed(working: &mut Working<'_>, deltas: &mut Vec<Delta>, freed: Vec<Delta>) {
    // An allocation that is named twice follows once: its second delta stays zero, and goes with the others of that kind.
    deltas.extend(freed.into_iter().map(|freed| Delta { capacity: 0, held: 0, sold: 0, ..freed }));
    working.shrink_drained(deltas);
    deltas.retain(|delta| (delta.capacity, delta.held, delta.sold) != (0, 0, 0));
}
