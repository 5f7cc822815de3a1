//! Events and allocations.

use boxoffice_proto::v1;

use super::{etag, limit, names, time, units};
use crate::domain::{Allocation, Event, EventId, EventView, OnLoss, SalesState, WaitingRoom};

/// An event with all its allocations.
pub(in crate::grpc) fn view(view: &EventView) -> v1::Event {
    v1::Event {
        allocations: view.allocations.iter().map(|each| allocation(&view.event.id, each)).collect(),
        read_time: Some(time::timestamp(view.read_at)),
        ..event(&view.event)
    }
}

/// An event alone.
pub(in crate::grpc) fn event(event: &Event) -> v1::Event {
    let Event { id, config, last_seq, version, created_at, .. } = event;
    v1::Event {
        name: names::event(id),
        display_name: config.display_name.clone(),
        sales_state: sales_state(config.sales_state).into(),
        on_sale_time: config.on_sale_at.map(time::timestamp),
        off_sale_time: config.off_sale_at.map(time::timestamp),
        default_hold_ttl: Some(time::duration(config.hold_ttl_default)),
        max_hold_ttl: Some(time::duration(config.hold_ttl_max)),
        limit_per_owner: limit(config.limit_per_owner),
        allocations: Vec::new(),
        seq: *last_seq,
        etag: etag(*version),
        create_time: Some(time::timestamp(*created_at)),
        read_time: None,
        waiting_room: config.waiting_room.as_ref().map(waiting_room),
    }
}

/// The settings of a waiting room.
pub(super) fn waiting_room(room: &WaitingRoom) -> v1::WaitingRoom {
    v1::WaitingRoom {
        admissions_per_second: units(room.admissions_per_second),
        inside_max: limit(room.inside_max),
        on_loss: on_loss(room.on_loss).into(),
        pass_lifetime: Some(time::duration(room.pass_lifetime)),
        grace: Some(time::duration(room.grace)),
    }
}

const fn on_loss(choice: OnLoss) -> v1::waiting_room::OnLoss {
    match choice {
        OnLoss::Open => v1::waiting_room::OnLoss::Open,
        OnLoss::Closed => v1::waiting_room::OnLoss::Closed,
    }
}

/// A choice from the wire, where "not specified" stands for CLOSED; `None`: no such choice.
pub(in crate::grpc) fn parse_on_loss(number: i32) -> Option<OnLoss> {
    Some(match v1::waiting_room::OnLoss::try_from(number).ok()? {
        v1::waiting_room::OnLoss::Unspecified | v1::waiting_room::OnLoss::Closed => OnLoss::Closed,
        v1::waiting_room::OnLoss::Open => OnLoss::Open,
    })
}

/// An allocation.
pub(in crate::grpc) fn allocation(event: &EventId, allocation: &Allocation) -> v1::Allocation {
    v1::Allocation {
        name: names::allocation(event, &allocation.id),
        display_name: allocation.display_name.clone(),
        capacity: units(allocation.capacity),
        held: units(allocation.held),
        sold: units(allocation.sold),
        available: units(allocation.available()),
        limit_per_owner: limit(allocation.limit_per_owner),
        etag: etag(allocation.version),
        drain_target: allocation.drain_to.map(units),
    }
}

/// A state on the wire.
pub(super) const fn sales_state(state: SalesState) -> v1::SalesState {
    match state {
        SalesState::Draft => v1::SalesState::Draft,
        SalesState::OnSale => v1::SalesState::OnSale,
        SalesState::Paused => v1::SalesState::Paused,
        SalesState::Closed => v1::SalesState::Closed,
        SalesState::Cancelled => v1::SalesState::Cancelled,
    }
}

/// A state from the wire, where "not specified" stands for DRAFT; `None`: no such state.
pub(in crate::grpc) fn parse_sales_state(number: i32) -> Option<SalesState> {
    Some(match v1::SalesState::try_from(number).ok()? {
        v1::SalesState::Unspecified | v1::SalesState::Draft => SalesState::Draft,
        v1::SalesState::OnSale => SalesState::OnSale,
        v1::SalesState::Paused => SalesState::Paused,
        v1::SalesState::Closed => SalesState::Closed,
        v1::SalesState::Cancelled => SalesState::Cancelled,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AllocationId, Duration, EventConfig, Timestamp};

    /// Each field has another value, so that none can stand for another.
    #[test]
    fn an_event_is_shown_with_all_its_fields() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let seats = Allocation {
            id: AllocationId::new("stalls").unwrap(),
            display_name: "Stalls".to_owned(),
            capacity: 100,
            drain_to: Some(90),
            held: 7,
            sold: 20,
            limit_per_owner: Some(3),
            version: 6,
        };
        let room = WaitingRoom {
            admissions_per_second: 5,
            inside_max: Some(2_000),
            on_loss: OnLoss::Open,
            pass_lifetime: Duration::from_secs(300),
            grace: Duration::from_secs(60),
        };
        let config = EventConfig {
            display_name: "Gala".to_owned(),
            sales_state: SalesState::Paused,
            on_sale_at: Some(at(10)),
            off_sale_at: Some(at(20)),
            hold_ttl_default: Duration::from_secs(600),
            hold_ttl_max: Duration::from_secs(3_600),
            limit_per_owner: Some(4),
            waiting_room: Some(room),
        };
        let gala = Event {
            id: EventId::new("gala").unwrap(),
            config,
            last_seq: 9,
            version: 2,
            allocation_count: 1,
            has_allocation_limits: true,
            created_at: at(1),
        };
        let moment = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let span = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let expected = v1::Event {
            name: "events/gala".to_owned(),
            display_name: "Gala".to_owned(),
            sales_state: v1::SalesState::Paused.into(),
            on_sale_time: moment(10),
            off_sale_time: moment(20),
            default_hold_ttl: span(600),
            max_hold_ttl: span(3_600),
            limit_per_owner: 4,
            allocations: vec![v1::Allocation {
                name: "events/gala/allocations/stalls".to_owned(),
                display_name: "Stalls".to_owned(),
                capacity: 100,
                held: 7,
                sold: 20,
                available: 73,
                limit_per_owner: 3,
                etag: "\"6\"".to_owned(),
                drain_target: Some(90),
            }],
            seq: 9,
            etag: "\"2\"".to_owned(),
            create_time: moment(1),
            read_time: moment(30),
            waiting_room: Some(v1::WaitingRoom {
                admissions_per_second: 5,
                inside_max: 2_000,
                on_loss: v1::waiting_room::OnLoss::Open.into(),
                pass_lifetime: span(300),
                grace: span(60),
            }),
        };
        let shown = view(&EventView { event: gala, allocations: vec![seats], read_at: at(30) });
        assert_eq!(shown, expected);
    }

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in SalesState::ALL {
            assert_eq!(parse_sales_state(sales_state(state).into()), Some(state));
            assert_eq!(sales_state(state).as_str_name(), format!("SALES_STATE_{}", state.as_str()));
        }
        assert_eq!(parse_sales_state(0), Some(SalesState::Draft));
        assert_eq!(parse_sales_state(6), None);
        assert_eq!(parse_sales_state(-1), None);
    }

    #[test]
    fn choices_on_loss_are_read_as_they_are_written() {
        for choice in OnLoss::ALL {
            assert_eq!(parse_on_loss(on_loss(choice).into()), Some(choice));
            assert_eq!(on_loss(choice).as_str_name(), format!("ON_LOSS_{}", choice.as_str()));
        }
        assert_eq!(parse_on_loss(0), Some(OnLoss::Closed));
        assert_eq!(parse_on_loss(3), None);
    }
}
