//! What becomes of a reservation. Each request names the state that it wants, so that a repeated one finds it reached,
//! succeeds and does nothing.

use super::reserve::{plan, require_sales, sales_not_open};
use super::working::Working;
use super::{Answer, Outcome, Refusal};
use crate::domain::change::JournalKind;
use crate::domain::command::{Command, Mode, OnExpired};
use crate::domain::event::SalesState;
use crate::domain::ids::{AllocationId, OrderRef, ReservationId};
use crate::domain::reservation::{Reservation, State};
use crate::domain::time::Duration;

/// Makes a live hold last until `ttl` from now, within its longest life. Never shortens it.
pub(super) fn extend(working: &mut Working<'_>, command: &Command, id: ReservationId, ttl: Duration) -> Outcome {
    let mut reservation = working.own(command, id)?;
    match reservation.state_at(working.now) {
        State::Held => {}
        State::Confirmed => return Err(Refusal::AlreadyConfirmed),
        State::Released => return Err(Refusal::AlreadyReleased),
        State::Expired => return Err(Refusal::ReservationExpired),
        State::Cancelled => return Err(Refusal::AlreadyCancelled),
    }
    require_not_cancelled(working)?;
    let longest = reservation.created_at.plus(working.event()?.config.hold_ttl_max);
    let wanted = working.now.plus(ttl).min(longest);
    if wanted <= reservation.expires_at {
        return working.answer(reservation);
    }
    reservation.expires_at = wanted;
    reservation.updated_at = working.now;
    working.log_reservation(JournalKind::Extended, command.actor.clone(), &reservation, Vec::new(), |entry| {
        entry.expires_at = Some(wanted);
    });
    working.put_reservation(reservation.clone());
    working.answer(reservation)
}

/// Gives the actor's hold back.
pub(super) fn release(working: &mut Working<'_>, command: &Command, id: ReservationId) -> Outcome {
    let reservation = working.own(command, id)?;
    to_released(working, command, reservation, None)
}

/// Gives anybody's hold back, for a reason.
pub(super) fn force_release(working: &mut Working<'_>, command: &Command, id: ReservationId, reason: &str) -> Outcome {
    let reservation = working.reservation(id).cloned().ok_or(Refusal::ReservationNotFound)?;
    to_released(working, command, reservation, Some(reason))
}

fn to_released(
    working: &mut Working<'_>,
    command: &Command,
    mut reservation: Reservation,
    reason: Option<&str>,
) -> Outcome {
    match reservation.state_at(working.now) {
        State::Held => {}
        State::Released => return working.answer(reservation),
        State::Confirmed => return Err(Refusal::AlreadyConfirmed),
        State::Expired => return Err(Refusal::ReservationExpired),
        State::Cancelled => return Err(Refusal::AlreadyCancelled),
    }
    reservation.state = State::Released;
    reservation.updated_at = working.now;
    let deltas = working.give_back(&reservation);
    working.log_reservation(JournalKind::Released, command.actor.clone(), &reservation, deltas, |entry| {
        entry.reason = reason.map(str::to_owned);
    });
    working.put_reservation(reservation.clone());
    working.answer(reservation)
}

/// Sells the actor's hold.
pub(super) fn confirm(
    working: &mut Working<'_>,
    command: &Command,
    id: ReservationId,
    order_ref: &OrderRef,
    on_expired: OnExpired,
) -> Outcome {
    let reservation = working.own(command, id)?;
    match (reservation.state_at(working.now), on_expired) {
        (State::Held, _) => {}
        (State::Confirmed, _) if reservation.order_ref.as_ref() == Some(order_ref) => {
            return working.answer(reservation);
        }
        (State::Confirmed, _) => return Err(Refusal::AlreadyConfirmed),
        (State::Released, _) => return Err(Refusal::AlreadyReleased),
        (State::Cancelled, _) => return Err(Refusal::AlreadyCancelled),
        (State::Expired, OnExpired::Fail) => return Err(Refusal::ReservationExpired),
        (State::Expired, OnExpired::Reacquire) => return reacquire(working, command, reservation, order_ref),
    }
    require_not_cancelled(working)?;
    let from_held = |line: &crate::domain::Line| (-line.quantity, line.quantity);
    sell(working, command, reservation, order_ref, JournalKind::Confirmed, from_held)
}

/// Takes the units of an expired hold again, if the event sells and they are there, and sells them.
fn reacquire(
    working: &mut Working<'_>,
    command: &Command,
    mut reservation: Reservation,
    order_ref: &OrderRef,
) -> Outcome {
    if reservation.state == State::Held {
        // Nobody reclaimed it yet. In the books it lapses first, so that its units come back exactly once.
        reservation = working.expire(reservation);
    }
    require_sales(working)?;
    let lines: Vec<(AllocationId, i64)> =
        reservation.lines.iter().map(|line| (line.allocation.clone(), line.quantity)).collect();
    plan(working, &reservation.owner, &lines, Mode::AllOrNothing, None)?;
    sell(working, command, reservation, order_ref, JournalKind::Reacquired, |line| (0, line.quantity))
}

fn sell(
    working: &mut Working<'_>,
    command: &Command,
    mut reservation: Reservation,
    order_ref: &OrderRef,
    kind: JournalKind,
    change: impl Fn(&crate::domain::Line) -> (i64, i64),
) -> Outcome {
    reservation.state = State::Confirmed;
    reservation.order_ref = Some(order_ref.clone());
    reservation.updated_at = working.now;
    let deltas = working.adjust(&reservation, change);
    working.log_reservation(kind, command.actor.clone(), &reservation, deltas, |entry| {
        entry.order_ref = Some(order_ref.clone());
    });
    working.put_reservation(reservation.clone());
    working.answer(reservation)
}

/// Refunds sold units until what `lines` name (everything, where they name nothing) has been refunded in all.
pub(super) fn cancel(
    working: &mut Working<'_>,
    command: &Command,
    id: ReservationId,
    lines: &[(AllocationId, i64)],
) -> Outcome {
    let mut reservation = working.own(command, id)?;
    for (index, (allocation, cancelled)) in lines.iter().enumerate() {
        let line = reservation.lines.iter().find(|line| line.allocation == *allocation);
        match line.map(|line| line.quantity) {
            None => return Err(Refusal::CancelUnknownAllocation(index)),
            Some(quantity) if *cancelled > quantity => return Err(Refusal::CancelTooMany { index, quantity }),
            Some(_) => {}
        }
    }
    match reservation.state_at(working.now) {
        State::Confirmed => {}
        State::Cancelled => return working.answer(reservation),
        State::Held => return Err(Refusal::NotConfirmed),
        State::Released => return Err(Refusal::AlreadyReleased),
        State::Expired => return Err(Refusal::ReservationExpired),
    }
    let before = reservation.clone();
    for line in &mut reservation.lines {
        let target = match lines.iter().find(|(allocation, _)| *allocation == line.allocation) {
            Some((_, cancelled)) => *cancelled,
            None if lines.is_empty() => line.quantity,
            None => continue,
        };
        line.cancelled = line.cancelled.max(target);
    }
    if reservation.lines == before.lines {
        return working.answer(reservation);
    }
    if reservation.lines.iter().all(|line| line.cancelled == line.quantity) {
        reservation.state = State::Cancelled;
    }
    reservation.updated_at = working.now;
    let refunded_before = |line: &crate::domain::Line| {
        before.lines.iter().find(|old| old.allocation == line.allocation).map_or(0, |old| old.cancelled)
    };
    let mut deltas = working.adjust(&reservation, |line| (0, refunded_before(line) - line.cancelled));
    working.shrink_drained(&mut deltas);
    working.log_reservation(JournalKind::Cancelled, command.actor.clone(), &reservation, deltas, |_| {});
    working.put_reservation(reservation.clone());
    working.answer(reservation)
}

/// Reclaims the expired holds that are loaded.
pub(super) fn reclaim_expired(working: &mut Working<'_>) -> Answer {
    let count = working.reclaim_loaded();
    Answer::Reclaimed { count, more: working.may_have_more_expired() }
}

fn require_not_cancelled(working: &Working<'_>) -> Result<(), Refusal> {
    let event = working.event()?;
    match event.config.sales_state {
        SalesState::Cancelled => Err(sales_not_open(event)),
        SalesState::Draft | SalesState::OnSale | SalesState::Paused | SalesState::Closed => Ok(()),
    }
}
