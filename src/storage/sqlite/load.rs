//! Reads what a batch wants, under the write lock.

use std::collections::BTreeSet;

use super::queries;
use super::writer::Writer;
use crate::domain::{
    Allocation, AllocationId, EventId, OwnerId, OwnerUnits, Reservation, ReservationId, Seq, Snapshot, Timestamp,
    Wanted,
};
use crate::storage::columns::owner_units;
use crate::storage::{Result, json, limit_and_one};

/// Most expired holds that are loaded for one event when a batch begins.
const EXPIRED_AT_BEGIN_MAX: usize = 256;

/// What is wanted of one event, and how far its owner index reaches.
pub(super) fn snapshot(writer: &Writer, wanted: &Wanted, now: Timestamp) -> Result<(Snapshot, Seq)> {
    let mut snapshot = Snapshot::empty(wanted.event.clone());
    let found = writer.query(queries::LOAD_EVENT, [wanted.event.as_str()], |row| {
        let (event, owner_indexed) = (row.event()?, row.int()?);
        let earliest_expiry = row.opt_int()?.map(Timestamp::from_micros);
        Ok((event, owner_indexed, earliest_expiry, row.opt_reservation_id()?))
    })?;
    let Some((event, owner_indexed, earliest_expiry, greatest_id)) = found.into_iter().next() else {
        return Ok((snapshot, 0));
    };
    snapshot.event = Some(event);
    snapshot.earliest_expiry = earliest_expiry;
    snapshot.more_expired = earliest_expiry.is_some_and(|expiry| expiry <= now);
    load_allocations(writer, &mut snapshot, wanted.allocations.iter().cloned().collect())?;
    // An id beyond the greatest one is new. So ids in the order of time, as version 7 UUIDs are, mostly cost no look-up.
    for id in wanted.reservations.iter().filter(|id| greatest_id.is_some_and(|greatest| **id <= greatest)) {
        if let Some(found) = reservation(writer, &wanted.event, id)? {
            snapshot.reservations.insert(found.id, found);
        }
    }
    if wanted.expired {
        load_expired(writer, &mut snapshot, now, EXPIRED_AT_BEGIN_MAX)?;
    }
    load_missing_allocations(writer, &mut snapshot)?;
    Ok((snapshot, owner_indexed))
}

fn reservation(writer: &Writer, event: &EventId, id: &ReservationId) -> Result<Option<Reservation>> {
    let found = writer.query(queries::RESERVATION, [event.as_str(), &id.to_string()], |row| row.reservation())?;
    Ok(found.into_iter().next())
}

/// Loads the next `limit` expired holds.
pub(super) fn load_expired(writer: &Writer, snapshot: &mut Snapshot, now: Timestamp, limit: usize) -> Result<()> {
    if !snapshot.more_expired {
        return Ok(());
    }
    let last = snapshot.expired.last().and_then(|id| snapshot.reservations.get(id));
    let (after, after_id) =
        last.map_or((i64::MIN, String::new()), |last| (last.expires_at.as_micros(), last.id.to_string()));
    let params = (snapshot.event_id.as_str(), now.as_micros(), after, after_id, limit_and_one(limit));
    let holds = writer.query(queries::LOAD_EXPIRED, params, |row| row.reservation())?;
    snapshot.more_expired = holds.len() > limit;
    for hold in holds.into_iter().take(limit) {
        snapshot.expired.push(hold.id);
        snapshot.reservations.insert(hold.id, hold);
    }
    Ok(())
}

/// Loads the allocations that the loaded reservations name and that are not there yet.
pub(super) fn load_missing_allocations(writer: &Writer, snapshot: &mut Snapshot) -> Result<()> {
    let lines = snapshot.reservations.values().flat_map(|reservation| &reservation.lines);
    let missing = lines.map(|line| &line.allocation).filter(|id| !snapshot.allocations.contains_key(*id));
    let missing = missing.cloned().collect();
    load_allocations(writer, snapshot, missing)
}

fn load_allocations(writer: &Writer, snapshot: &mut Snapshot, ids: BTreeSet<AllocationId>) -> Result<()> {
    for id in ids {
        let params = [snapshot.event_id.as_str(), id.as_str()];
        let found: Vec<Allocation> = writer.query(queries::LOAD_ALLOCATION, params, |row| row.allocation())?;
        snapshot.allocations.extend(found.into_iter().map(|allocation| (id.clone(), allocation)));
    }
    Ok(())
}

/// What an owner has held or bought, from his reservations.
pub(super) fn usage(writer: &Writer, event: &EventId, owner: &OwnerId) -> Result<OwnerUnits> {
    let params = [event.as_str(), owner.as_str(), &json::text(owner.as_str())];
    Ok(owner_units(writer.query(queries::LOAD_USAGE, params, |row| row.lines_bought())?))
}
