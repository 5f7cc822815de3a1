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
    use crate::domain::{Actor, AllocationId, OnLoss, OwnerId, ReservationId, WaitingRoom, WaitingRoomEdit};

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

    #[test]
    fn an_edit_is_told_with_all_that_it_set() {
        let gala = EventId::new("gala").unwrap();
        let moment = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let span = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let room = WaitingRoomEdit::from(&WaitingRoom {
            admissions_per_second: 5,
            inside_max: Some(2_000),
            on_loss: OnLoss::Open,
            pass_lifetime: Duration::from_secs(300),
            grace: Duration::from_secs(60),
        });
        let mut entry = JournalEntry::new(7, Timestamp::from_micros(1), JournalKind::EventUpdated, Actor::System);
        entry.expires_at = Some(Timestamp::from_micros(40_000_000));
        entry.reason = Some("late".to_owned());
        entry.event = Some(EventEdit {
            display_name: "Gala".to_owned(),
            sales_state: "PAUSED".to_owned(),
            on_sale_at: Some(10_000_000),
            off_sale_at: Some(20_000_000),
            hold_ttl_default: 600_000_000,
            hold_ttl_max: 3_600_000_000,
            limit_per_owner: Some(4),
            waiting_room: Some(room),
        });
        entry.allocation = Some(AllocationEdit {
            id: "stalls".to_owned(),
            display_name: "Stalls".to_owned(),
            capacity: 100,
            drain_to: Some(90),
            limit_per_owner: Some(3),
        });
        let change = change(&gala, &entry);
        assert_eq!((change.expire_time, change.reason.as_str()), (moment(40), "late"));
        let event = v1::Event {
            name: "events/gala".to_owned(),
            display_name: "Gala".to_owned(),
            sales_state: v1::SalesState::Paused.into(),
            on_sale_time: moment(10),
            off_sale_time: moment(20),
            default_hold_ttl: span(600),
            max_hold_ttl: span(3_600),
            limit_per_owner: 4,
            waiting_room: Some(v1::WaitingRoom {
                admissions_per_second: 5,
                inside_max: 2_000,
                on_loss: v1::waiting_room::OnLoss::Open.into(),
                pass_lifetime: span(300),
                grace: span(60),
            }),
            ..v1::Event::default()
        };
        assert_eq!(change.event, Some(event));
        let allocation = v1::Allocation {
            name: "events/gala/allocations/stalls".to_owned(),
            display_name: "Stalls".to_owned(),
            capacity: 100,
            drain_target: Some(90),
            limit_per_owner: 3,
            ..v1::Allocation::default()
        };
        assert_eq!(change.allocation, Some(allocation));
    }

    #[test]
    fn an_audit_tells_how_many_differences_there_are_beyond_those_that_it_lists() {
        let stalls = Subject::Allocation(AllocationId::new("stalls").unwrap());
        let difference = Difference { subject: stalls, field: "held", journal: "1".to_owned(), stored: "2".to_owned() };
        let report =
            AuditReport { changes: 3, reservations: 4, seq: 5, differences: vec![difference], difference_count: 6 };
        let told = audit(&EventId::new("gala").unwrap(), &report);
        assert_eq!((told.changes, told.reservations, told.seq, told.difference_count), (3, 4, 5, 6));
        let told = &told.differences[0];
        assert_eq!((told.resource.as_str(), told.field.as_str()), ("events/gala/allocations/stalls", "held"));
        assert_eq!((told.journal.as_str(), told.stored.as_str()), ("1", "2"));
    }
}
