//! Events and allocations.

use boxoffice_proto::v1;
use serde::Serialize;
use serde_json::Number;

use super::{enum_name, limit, moment, seconds, span, time, to_the_second};
use crate::cli::output::{bar, legend, printable};
use crate::cli::table::Column::{Name, Text};
use crate::cli::table::{Column, table};
use crate::cli::values::last_segment;

/// An event.
#[derive(Debug, Serialize)]
pub(crate) struct EventView {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) display_name: String,
    pub(crate) sales_state: String,
    pub(crate) on_sale_time: Option<String>,
    pub(crate) off_sale_time: Option<String>,
    pub(crate) default_hold_ttl_seconds: Option<Number>,
    pub(crate) max_hold_ttl_seconds: Option<Number>,
    pub(crate) limit_per_owner: i32,
    pub(crate) waiting_room: Option<WaitingRoomView>,
    pub(crate) allocations: Vec<AllocationView>,
    pub(crate) seq: i64,
    pub(crate) etag: String,
    pub(crate) create_time: Option<String>,
    pub(crate) read_time: Option<String>,
}

/// The settings of a waiting room.
#[derive(Debug, Serialize)]
pub(crate) struct WaitingRoomView {
    pub(crate) admissions_per_second: i32,
    pub(crate) inside_max: i32,
    pub(crate) on_loss: String,
    pub(crate) pass_lifetime_seconds: Option<Number>,
    pub(crate) grace_seconds: Option<Number>,
}

/// An allocation.
#[derive(Debug, Serialize)]
pub(crate) struct AllocationView {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) display_name: String,
    pub(crate) capacity: i32,
    pub(crate) held: i32,
    pub(crate) sold: i32,
    pub(crate) available: i32,
    pub(crate) limit_per_owner: i32,
    pub(crate) drain_target: Option<i32>,
    pub(crate) etag: String,
}

impl From<v1::Event> for EventView {
    fn from(event: v1::Event) -> Self {
        Self {
            id: last_segment(&event.name).to_owned(),
            name: event.name,
            display_name: event.display_name,
            sales_state: enum_name(event.sales_state, "SALES_STATE_", v1::SalesState::as_str_name),
            on_sale_time: time(event.on_sale_time),
            off_sale_time: time(event.off_sale_time),
            default_hold_ttl_seconds: seconds(event.default_hold_ttl),
            max_hold_ttl_seconds: seconds(event.max_hold_ttl),
            limit_per_owner: event.limit_per_owner,
            waiting_room: event.waiting_room.map(Into::into),
            allocations: event.allocations.into_iter().map(Into::into).collect(),
            seq: event.seq,
            etag: event.etag,
            create_time: time(event.create_time),
            read_time: time(event.read_time),
        }
    }
}

impl From<v1::WaitingRoom> for WaitingRoomView {
    fn from(room: v1::WaitingRoom) -> Self {
        Self {
            admissions_per_second: room.admissions_per_second,
            inside_max: room.inside_max,
            on_loss: enum_name(room.on_loss, "ON_LOSS_", v1::waiting_room::OnLoss::as_str_name),
            pass_lifetime_seconds: seconds(room.pass_lifetime),
            grace_seconds: seconds(room.grace),
        }
    }
}

impl WaitingRoomView {
    /// For people.
    fn as_text(&self) -> String {
        let inside = match self.inside_max {
            0 => "any number inside".to_owned(),
            max => format!("at most {max} inside"),
        };
        format!(
            "{} a second, {inside}; passes last {}, places are kept {}; {} while Redis is away",
            self.admissions_per_second,
            span(self.pass_lifetime_seconds.as_ref()),
            span(self.grace_seconds.as_ref()),
            self.on_loss
        )
    }
}

impl From<v1::Allocation> for AllocationView {
    fn from(allocation: v1::Allocation) -> Self {
        Self {
            id: last_segment(&allocation.name).to_owned(),
            name: allocation.name,
            display_name: allocation.display_name,
            capacity: allocation.capacity,
            held: allocation.held,
            sold: allocation.sold,
            available: allocation.available,
            limit_per_owner: allocation.limit_per_owner,
            drain_target: allocation.drain_target,
            etag: allocation.etag,
        }
    }
}

impl EventView {
    /// Everything about it, for people.
    pub(crate) fn as_text(&self) -> String {
        let facts = [
            ("state", self.sales_state.clone()),
            ("on sale", self.window()),
            (
                "holds last",
                format!(
                    "{}, at most {}",
                    span(self.default_hold_ttl_seconds.as_ref()),
                    span(self.max_hold_ttl_seconds.as_ref())
                ),
            ),
            ("limit per owner", limit(self.limit_per_owner)),
            ("waiting room", self.waiting_room.as_ref().map_or_else(|| "none".to_owned(), WaitingRoomView::as_text)),
            ("etag", self.etag.clone()),
            ("changes so far", self.seq.to_string()),
            ("as of", moment(self.read_time.as_ref())),
        ];
        let mut text = match self.display_name.as_str() {
            "" => self.name.clone(),
            title => format!("{}: {}", self.name, printable(title)),
        };
        for (name, value) in facts {
            text.push_str(&format!("\n  {name:<15}  {value}"));
        }
        text.push('\n');
        text.push_str(&if self.allocations.is_empty() {
            "It has no allocations yet: add one with `boxoffice admin create-allocation`.".to_owned()
        } else {
            allocation_table(&self.allocations)
        });
        text
    }

    fn window(&self) -> String {
        match (self.on_sale_time.as_deref().map(to_the_second), self.off_sale_time.as_deref().map(to_the_second)) {
            (None, None) => "at any time".to_owned(),
            (Some(from), None) => format!("from {from}"),
            (None, Some(until)) => format!("until {until}"),
            (Some(from), Some(until)) => format!("from {from} until {until}"),
        }
    }

    /// Units over all allocations: capacity, sold, held, available.
    pub(crate) fn totals(&self) -> [i64; 4] {
        self.allocations.iter().fold([0; 4], |[capacity, sold, held, available], one| {
            [
                capacity + i64::from(one.capacity),
                sold + i64::from(one.sold),
                held + i64::from(one.held),
                available + i64::from(one.available),
            ]
        })
    }
}

/// Allocations, for people.
pub(crate) fn allocation_table<'a>(allocations: impl IntoIterator<Item = &'a AllocationView>) -> String {
    let rows = allocations.into_iter().map(|one| {
        let capacity = match one.drain_target {
            Some(target) => format!("{} (to be {target})", one.capacity),
            None => one.capacity.to_string(),
        };
        vec![
            one.id.clone(),
            one.display_name.clone(),
            capacity,
            one.sold.to_string(),
            one.held.to_string(),
            one.available.to_string(),
            bar(one.sold.into(), one.held.into(), one.capacity.into()),
            limit(one.limit_per_owner),
            one.etag.clone(),
        ]
    });
    let [capacity, sold, held, available, limit] =
        ["capacity", "sold", "held", "available", "limit"].map(Column::Number);
    let bars = Text(legend());
    let columns = [Text("allocation"), Name("name"), capacity, sold, held, available, bars, limit, Text("etag")];
    table(&columns, rows)
}

/// Events, one line each, for people.
pub(crate) fn event_table(events: &[EventView]) -> String {
    let rows = events.iter().map(|event| {
        let [capacity, sold, held, available] = event.totals();
        vec![
            event.id.clone(),
            event.display_name.clone(),
            event.sales_state.clone(),
            capacity.to_string(),
            sold.to_string(),
            held.to_string(),
            available.to_string(),
            bar(sold, held, capacity),
        ]
    });
    let [capacity, sold, held, available] = ["capacity", "sold", "held", "available"].map(Column::Number);
    let columns = [Text("event"), Name("name"), Text("state"), capacity, sold, held, available, Text(legend())];
    table(&columns, rows)
}

#[cfg(test)]
mod tests {
    use prost_types::{Duration, Timestamp};
    use serde_json::json;

    use super::*;

    fn event() -> EventView {
        let floor = v1::Allocation {
            name: "events/demo/allocations/floor".to_owned(),
            capacity: 100,
            held: 10,
            sold: 20,
            available: 70,
            drain_target: Some(50),
            ..Default::default()
        };
        EventView::from(v1::Event {
            name: "events/demo".to_owned(),
            display_name: "Demo night".to_owned(),
            sales_state: v1::SalesState::OnSale.into(),
            on_sale_time: Some(Timestamp { seconds: 0, nanos: 0 }),
            default_hold_ttl: Some(Duration { seconds: 600, nanos: 0 }),
            allocations: vec![floor],
            ..Default::default()
        })
    }

    #[test]
    fn json_has_every_key_and_plain_values() {
        let value = json!(event());
        assert_eq!(value["id"], "demo");
        assert_eq!(value["sales_state"], "ON_SALE");
        assert_eq!(value["on_sale_time"], "1970-01-01T00:00:00Z");
        assert_eq!(value["off_sale_time"], json!(null));
        assert!(value.as_object().unwrap().contains_key("off_sale_time"));
        assert_eq!(value["default_hold_ttl_seconds"], 600);
        assert_eq!(value["allocations"][0]["id"], "floor");
        assert_eq!(value["allocations"][0]["available"], 70);
    }

    #[test]
    fn people_see_counts_and_where_capacity_is_going() {
        let text = event().as_text();
        for part in ["events/demo: Demo night", "10m", "100 (to be 50)", "█", "▒", "·"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
