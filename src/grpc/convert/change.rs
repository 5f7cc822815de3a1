//! The journal, and what an audit finds in it.

use boxoffice_proto::v1;
use boxoffice_proto::v1::change::Kind;

use super::{limit, names, time, units};
use crate::domain::{
    AllocationEdit, Delta, Difference, Duration, EventEdit, EventId, JournalEntry, JournalKind, OrderRef, SalesState,
    Subject, Timestamp,
};
use crate::engine::AuditReport;

/// A change.
pub(in crate::grpc) fn change(event: &EventId, entry: &JournalEntry) -> v1::Change {
    let (reservation, owner) = entry
        .reservation
        .as_ref()
        .map_or_else(Default::default, |(id, owner)| (names::reservation(event, id), owner.as_str().to_owned()));
    v1::Change {
        seq: entry.seq,
        occur_time: Some(time::timestamp(entry.occurred_at)),
        kind: kind(entry.kind).into(),
        actor: entry.actor.to_string(),
        reservation,
        owner,
        deltas: entry.deltas.iter().map(|each| delta(event, each)).collect(),
        expire_time: entry.expires_at.map(time::timestamp),
        order_ref: entry.order_ref.as_ref().map_or_else(String::new, |order| OrderRef::as_str(order).to_owned()),
        reason: entry.reason.clone().unwrap_or_default(),
        event: entry.event.as_ref().map(|edit| event_edit(event, edit)),
        allocation: entry.allocation.as_ref().map(|edit| allocation_edit(event, edit)),
    }
}

fn delta(event: &EventId, delta: &Delta) -> v1::change::Delta {
    v1::change::Delta {
        allocation: names::allocation(event, &delta.allocation),
        capacity: units(delta.capacity),
        held: units(delta.held),
        sold: units(delta.sold),
    }
}

fn event_edit(event: &EventId, edit: &EventEdit) -> v1::Event {
    let state = SalesState::parse(&edit.sales_state);
    v1::Event {
        name: names::event(event),
        display_name: edit.display_name.clone(),
        sales_state: state.map_or(v1::SalesState::Unspecified, super::event::sales_state).into(),
        on_sale_time: edit.on_sale_at.map(Timestamp::from_micros).map(time::timestamp),
        off_sale_time: edit.off_sale_at.map(Timestamp::from_micros).map(time::timestamp),
        default_hold_ttl: Some(time::duration(Duration::from_micros(edit.hold_ttl_default))),
        max_hold_ttl: Some(time::duration(Duration::from_micros(edit.hold_ttl_max))),
        limit_per_owner: limit(edit.limit_per_owner),
        waiting_room: edit.waiting_room.as_ref().map(|edit| super::event::waiting_room(&edit.to_settings())),
        ..v1::Event::default()
    }
}

fn allocation_edit(event: &EventId, edit: &AllocationEdit) -> v1::Allocation {
    v1::Allocation {
        name: ["events/", event.as_str(), "/allocations/", &edit.id].concat(),
        display_name: edit.display_name.clone(),
        capacity: units(edit.capacity),
        drain_target: edit.drain_to.map(units),
        limit_per_owner: limit(edit.limit_per_owner),
        ..v1::Allocation::default()
    }
}

const fn kind(kind: JournalKind) -> Kind {
    match kind {
        JournalKind::EventCreated => Kind::EventCreated,
        JournalKind::EventUpdated => Kind::EventUpdated,
        JournalKind::AllocationCreated => Kind::AllocationCreated,
        JournalKind::AllocationUpdated => Kind::AllocationUpdated,
        JournalKind::CapacityTransferred => Kind::CapacityTransferred,
        JournalKind::Reserved => Kind::Reserved,
        JournalKind::Sold => Kind::Sold,
        JournalKind::Extended => Kind::Extended,
        JournalKind::Confirmed => Kind::Confirmed,
        JournalKind::Reacquired => Kind::Reacquired,
        JournalKind::Released => Kind::Released,
        JournalKind::Expired => Kind::Expired,
        JournalKind::Cancelled => Kind::Cancelled,
    }
}

/// What an audit found.
pub(in crate::grpc) fn audit(event: &EventId, report: &AuditReport) -> v1::AuditEventResponse {
    let differences = report.differences.iter().map(|each| difference(event, each));
    v1::AuditEventResponse {
        changes: count(report.changes),
        reservations: count(report.reservations),
        seq: report.seq,
        differences: differences.collect(),
        difference_count: count(report.difference_count),
    }
}

fn difference(event: &EventId, difference: &Difference) -> v1::audit_event_response::Difference {
    v1::audit_event_response::Difference {
        resource: match &difference.subject {
            Subject::Event => names::event(event),
            Subject::Allocation(id) => names::allocation(event, id),
            Subject::Reservation(id) => names::reservation(event, id),
        },
        field: difference.field.to_owned(),
        journal: difference.journal.clone(),
        stored: difference.stored.clone(),
    }
}

fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Actor, AllocationId, OwnerId, ReservationId};

    #[test]
    fn kinds_have_the_names_of_the_model() {
        for each in JournalKind::ALL {
            assert_eq!(kind(each).as_str_name(), format!("KIND_{}", each.as_str()));
        }
    }

    #[test]
    fn a_sale_is_told_with_its_reservation_and_deltas() {
        let event = EventId::new("gala").unwrap();
        let owner = OwnerId::new("ann").unwrap();
        let entry = JournalEntry {
            seq: 7,
            occurred_at: Timestamp::from_micros(1_500_000),
            kind: JournalKind::Sold,
            actor: Actor::Owner(owner.clone()),
            reservation: Some((ReservationId::new("0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71").unwrap(), owner)),
            deltas: vec![Delta { allocation: AllocationId::new("a").unwrap(), capacity: 0, held: -2, sold: 2 }],
            expires_at: None,
            order_ref: Some(OrderRef::new("order 1").unwrap()),
            reason: None,
            event: None,
            allocation: None,
        };
        let change = change(&event, &entry);
        assert_eq!((change.seq, change.kind()), (7, Kind::Sold));
        assert_eq!(
            (change.actor.as_str(), change.owner.as_str(), change.order_ref.as_str()),
            ("owner:ann", "ann", "order 1")
        );
        assert_eq!(change.reservation, "events/gala/reservations/0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71");
        assert_eq!((change.deltas[0].held, change.deltas[0].sold), (-2, 2));
        assert_eq!(change.occur_time, Some(prost_types::Timestamp { seconds: 1, nanos: 500_000_000 }));
    }
}
