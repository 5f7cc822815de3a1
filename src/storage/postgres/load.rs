//! What a batch begins with: one script that locks its events and loads what it wants of them.

use std::collections::{BTreeSet, HashMap};

use super::literal::{Arg, Array, array};
use super::queries;
use super::script::{Ran, Script};
use crate::domain::{AllocationId, EventId, ReservationId, Seq, Snapshot, Timestamp, Wanted};
use crate::storage::columns::Columns;
use crate::storage::{Loaded, Result, StoreError};

/// What a batch left of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    pub(super) last_seq: Seq,
    /// The greatest reservation, where nobody else made any meanwhile.
    pub(super) greatest_id: Option<ReservationId>,
}

/// The events of a batch, as it left them.
pub(super) type AllLeft = HashMap<EventId, Left>;

/// What the script came to.
pub(super) struct Begun {
    pub(super) loaded: Loaded,
    /// The events as they are before the batch has written.
    pub(super) found: AllLeft,
    /// For each [`Wanted`], reservations that were not looked for and may be there all the same.
    pub(super) overlooked: Vec<Vec<ReservationId>>,
}

/// Adds the statements.
pub(super) fn ask(script: &mut Script, wanted: &[Wanted], left: &AllLeft) {
    for event in in_order(wanted) {
        script.call(queries::LOCK_EVENT, &[Arg::Text(event.as_str())]);
    }
    for wanted in wanted {
        let event = Arg::Text(wanted.event.as_str());
        script.call(queries::LOAD_BOUNDS, &[event]);
        let allocations: BTreeSet<_> = wanted.allocations.iter().map(AllocationId::as_str).collect();
        script.call(queries::LOAD_ALLOCATIONS, &[event, array(allocations).as_arg()]);
        if sought(wanted, left).next().is_some() {
            script.call(queries::LOAD_RESERVATIONS, &[event, ids(sought(wanted, left)).as_arg()]);
        }
    }
}

/// Reads what they came to.
pub(super) fn begun(ran: impl IntoIterator<Item = Ran>, wanted: &[Wanted], left: &AllLeft) -> Result<Begun> {
    let mut ran = ran.into_iter();
    let locked: HashMap<_, _> = in_order(wanted).into_iter().zip(ran.by_ref()).collect();
    let mut loaded = Loaded {
        now: Timestamp::from_micros(i64::MIN),
        snapshots: Vec::with_capacity(wanted.len()),
        others_write: false,
    };
    let (mut found, mut overlooked) = (AllLeft::new(), Vec::with_capacity(wanted.len()));
    for wanted in wanted {
        let mut snapshot = Snapshot::empty(wanted.event.clone());
        let event = locked.get(&wanted.event).and_then(|locked| locked.rows.first());
        snapshot.event = event.map(|row| Columns::of(row).event()).transpose()?;
        let bounds = ran.next().unwrap_or_default();
        let bounds = bounds.rows.first().ok_or_else(|| StoreError::Corrupt("the clock tells no time".to_owned()))?;
        let mut bounds = Columns::of(bounds);
        loaded.now = loaded.now.max(Timestamp::from_micros(bounds.int()?));
        snapshot.earliest_expiry = bounds.opt_int()?.map(Timestamp::from_micros);
        let greatest_id = bounds.opt_reservation_id()?;
        take_allocations(&ran.next().unwrap_or_default(), &mut snapshot)?;
        if sought(wanted, left).next().is_some() {
            take_reservations(&ran.next().unwrap_or_default(), &mut snapshot)?;
        }
        let expected = greatest_expected(wanted, left);
        let wanted_ids = wanted.reservations.iter().copied();
        overlooked.push(wanted_ids.filter(|id| is_new(*id, expected) && !is_new(*id, greatest_id)).collect());
        if let Some(event) = &snapshot.event {
            let others = left.get(&event.id).is_some_and(|left| left.last_seq != event.last_seq);
            loaded.others_write |= others;
            let greatest_id = greatest_id.filter(|_| !others);
            found.insert(event.id.clone(), Left { last_seq: event.last_seq, greatest_id });
        }
        loaded.snapshots.push(snapshot);
    }
    for snapshot in &mut loaded.snapshots {
        snapshot.more_expired = snapshot.earliest_expiry.is_some_and(|expiry| expiry <= loaded.now);
    }
    Ok(Begun { loaded, found, overlooked })
}

/// In one order everywhere, so that no two transactions wait for each other.
fn in_order(wanted: &[Wanted]) -> BTreeSet<&EventId> {
    wanted.iter().map(|wanted| &wanted.event).collect()
}

/// The wanted reservations that are looked for at once. An id beyond the event's greatest one is new, as version 7 UUIDs mostly are, and
/// the greatest one is mostly what the last batch left. What it is in truth is read under the lock, so this is only a hint.
fn sought<'w>(wanted: &'w Wanted, left: &AllLeft) -> impl Iterator<Item = &'w ReservationId> {
    let greatest = greatest_expected(wanted, left);
    wanted.reservations.iter().filter(move |id| !is_new(**id, greatest))
}

/// Where the greatest one is not known, none is taken for new.
fn is_new(id: ReservationId, greatest: Option<ReservationId>) -> bool {
    greatest.is_some_and(|greatest| id > greatest)
}

fn greatest_expected(wanted: &Wanted, left: &AllLeft) -> Option<ReservationId> {
    left.get(&wanted.event).and_then(|left| left.greatest_id)
}

/// The ids as one array, each once.
pub(super) fn ids<'i>(ids: impl IntoIterator<Item = &'i ReservationId>) -> Array {
    let ids: BTreeSet<_> = ids.into_iter().collect();
    array(ids.into_iter().map(ToString::to_string))
}

pub(super) fn take_allocations(found: &Ran, snapshot: &mut Snapshot) -> Result<()> {
    for row in &found.rows {
        let allocation = Columns::of(row).allocation()?;
        snapshot.allocations.insert(allocation.id.clone(), allocation);
    }
    Ok(())
}

pub(super) fn take_reservations(found: &Ran, snapshot: &mut Snapshot) -> Result<()> {
    for row in &found.rows {
        let reservation = Columns::of(row).reservation()?;
        snapshot.reservations.insert(reservation.id, reservation);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::script::Mode;
    use super::*;
    use crate::storage::conformance::v7;

    /// Which of the reservations 1 to 4 are asked for, if the greatest one was so the last time.
    fn asked(greatest: Option<u64>) -> Vec<u64> {
        let mut wanted = Wanted::new(EventId::new("e1").unwrap());
        wanted.reservations.extend((1..=4).map(v7));
        let left = Left { last_seq: 1, greatest_id: greatest.map(v7) };
        let mut script = Script::new(Mode::Prepared);
        ask(&mut script, &[wanted.clone()], &AllLeft::from([(wanted.event, left)]));
        let script = format!("{script:?}");
        let asked: Vec<_> = (1..=4).filter(|n| script.contains(&v7(*n).to_string())).collect();
        assert_eq!(script.contains("load_reservations"), !asked.is_empty(), "{script}");
        asked
    }

    #[test]
    fn reservations_are_looked_for_only_where_they_may_be_there() {
        assert_eq!(asked(None), [1, 2, 3, 4]);
        assert_eq!(asked(Some(2)), [1, 2]);
        assert!(asked(Some(0)).is_empty());
    }
}
