//! An event with its counts as text, as it hangs on the board: JSON that a web tier may read by itself (`docs/redis.md`).

use serde::{Deserialize, Serialize};

use crate::domain::{
    Allocation, AllocationId, Duration, Event, EventConfig, EventId, EventView, SalesState, Timestamp, WaitingRoomEdit,
};

/// The form of the text. Servers show nothing in a form that they do not know: one of another version reads the database.
const FORM: u32 = 1;

#[derive(Serialize, Deserialize)]
struct View {
    form: u32,
    event: String,
    seq: i64,
    display_name: String,
    sales_state: String,
    on_sale_at: Option<i64>,
    off_sale_at: Option<i64>,
    hold_ttl_default: i64,
    hold_ttl_max: i64,
    limit_per_owner: Option<i64>,
    #[serde(default)]
    waiting_room: Option<WaitingRoomEdit>,
    version: i64,
    has_allocation_limits: bool,
    created_at: i64,
    allocations: Vec<Counts>,
}

#[derive(Serialize, Deserialize)]
struct Counts {
    id: String,
    display_name: String,
    capacity: i64,
    held: i64,
    sold: i64,
    /// For readers of the text; we work it out ourselves.
    available: i64,
    drain_to: Option<i64>,
    limit_per_owner: Option<i64>,
    version: i64,
}

/// As text, all but the time of the reading.
pub(super) fn text(view: &EventView) -> Result<String, serde_json::Error> {
    let (event, config) = (&view.event, &view.event.config);
    let counts = |each: &Allocation| Counts {
        id: each.id.to_string(),
        display_name: each.display_name.clone(),
        capacity: each.capacity,
        held: each.held,
        sold: each.sold,
        available: each.available(),
        drain_to: each.drain_to,
        limit_per_owner: each.limit_per_owner,
        version: each.version,
    };
    serde_json::to_string(&View {
        form: FORM,
        event: event.id.to_string(),
        seq: event.last_seq,
        display_name: config.display_name.clone(),
        sales_state: config.sales_state.as_str().to_owned(),
        on_sale_at: config.on_sale_at.map(Timestamp::as_micros),
        off_sale_at: config.off_sale_at.map(Timestamp::as_micros),
        hold_ttl_default: config.hold_ttl_default.as_micros(),
        hold_ttl_max: config.hold_ttl_max.as_micros(),
        limit_per_owner: config.limit_per_owner,
        waiting_room: config.waiting_room.as_ref().map(WaitingRoomEdit::from),
        version: event.version,
        has_allocation_limits: event.has_allocation_limits,
        created_at: event.created_at.as_micros(),
        allocations: view.allocations.iter().map(counts).collect(),
    })
}

/// Reads it. `None`: it is not such a text, or not of this event.
pub(super) fn parse(text: &[u8], event: &EventId, read_at: Timestamp) -> Option<EventView> {
    let view: View = serde_json::from_slice(text).ok()?;
    if view.form != FORM || view.event != event.as_str() {
        return None;
    }
    let allocations = view.allocations.into_iter().map(|each| {
        let fits = each.held >= 0 && each.sold >= 0 && each.held.checked_add(each.sold)? <= each.capacity;
        fits.then_some(Allocation {
            id: AllocationId::new(&each.id).ok()?,
            display_name: each.display_name,
            capacity: each.capacity,
            drain_to: each.drain_to,
            held: each.held,
            sold: each.sold,
            limit_per_owner: each.limit_per_owner,
            version: each.version,
        })
    });
    let allocations = allocations.collect::<Option<Vec<_>>>()?;
    let config = EventConfig {
        display_name: view.display_name,
        sales_state: SalesState::parse(&view.sales_state)?,
        on_sale_at: view.on_sale_at.map(Timestamp::from_micros),
        off_sale_at: view.off_sale_at.map(Timestamp::from_micros),
        hold_ttl_default: Duration::from_micros(view.hold_ttl_default),
        hold_ttl_max: Duration::from_micros(view.hold_ttl_max),
        limit_per_owner: view.limit_per_owner,
        waiting_room: view.waiting_room.as_ref().map(WaitingRoomEdit::to_settings),
    };
    let event = Event {
        id: event.clone(),
        config,
        last_seq: view.seq,
        version: view.version,
        allocation_count: i64::try_from(allocations.len()).ok()?,
        has_allocation_limits: view.has_allocation_limits,
        created_at: Timestamp::from_micros(view.created_at),
    };
    Some(EventView { event, allocations, read_at })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::{OnLoss, WaitingRoom};

    /// An event whose newest change is `seq`.
    pub(crate) fn view(seq: i64, held: i64, read_at: i64) -> EventView {
        let allocation = Allocation {
            id: AllocationId::new("floor").unwrap(),
            display_name: "Floor".to_owned(),
            capacity: 10,
            drain_to: Some(5),
            held,
            sold: 2,
            limit_per_owner: Some(3),
            version: 3,
        };
        let config = EventConfig {
            display_name: "Gala \"ü\"".to_owned(),
            sales_state: SalesState::OnSale,
            on_sale_at: Some(Timestamp::from_micros(5)),
            off_sale_at: Some(Timestamp::from_micros(6)),
            hold_ttl_default: Duration::from_secs(600),
            hold_ttl_max: Duration::from_secs(900),
            limit_per_owner: Some(4),
            waiting_room: Some(WaitingRoom {
                admissions_per_second: 5,
                inside_max: Some(7),
                on_loss: OnLoss::Open,
                pass_lifetime: Duration::from_secs(60),
                grace: Duration::from_secs(10),
            }),
        };
        let event = Event {
            id: EventId::new("gala").unwrap(),
            config,
            last_seq: seq,
            version: 2,
            allocation_count: 1,
            has_allocation_limits: true,
            created_at: Timestamp::from_micros(1),
        };
        EventView { event, allocations: vec![allocation], read_at: Timestamp::from_micros(read_at) }
    }

    #[test]
    fn a_view_is_read_as_it_is_written_and_what_cannot_be_is_not_read() {
        let view = view(7, 3, 99);
        let text = text(&view).unwrap();
        let read = |text: &str| parse(text.as_bytes(), &view.event.id, view.read_at);
        assert_eq!(read(&text), Some(view.clone()));
        assert!(text.contains("\"available\":5"), "{text}");
        let wrong = [
            ("\"form\":1", "\"form\":2"),
            ("gala", "ball"),
            ("\"held\":3", "\"held\":-1"),
            ("\"sold\":2", "\"sold\":9"),
        ];
        for (from, to) in wrong {
            assert_eq!(read(&text.replacen(from, to, 1)), None, "{to}");
        }
        assert_eq!(read(""), None);
    }
}
