//! Resource names: `events/{event}`, `events/{event}/allocations/{allocation}`, `events/{event}/reservations/{reservation}`.

use crate::domain::{AllocationId, EventId, ReservationId};

/// The name of an event.
pub(in crate::grpc) fn event(event: &EventId) -> String {
    ["events/", event.as_str()].concat()
}

/// The name of an allocation.
pub(in crate::grpc) fn allocation(event: &EventId, allocation: &AllocationId) -> String {
    ["events/", event.as_str(), "/allocations/", allocation.as_str()].concat()
}

/// The name of a reservation.
pub(in crate::grpc) fn reservation(event: &EventId, reservation: &ReservationId) -> String {
    let mut buffer = uuid::Uuid::encode_buffer();
    let id = reservation.as_uuid().hyphenated().encode_lower(&mut buffer);
    ["events/", event.as_str(), "/reservations/", id].concat()
}

/// The `{event}` of an event's name, unchecked.
pub(in crate::grpc) fn split_event(name: &str) -> Option<&str> {
    name.strip_prefix("events/").filter(|event| !event.contains('/'))
}

/// The `{event}` and `{allocation}` of an allocation's name, unchecked.
pub(in crate::grpc) fn split_allocation(name: &str) -> Option<(&str, &str)> {
    split_child(name, "/allocations/")
}

/// The `{event}` and `{reservation}` of a reservation's name, unchecked.
pub(in crate::grpc) fn split_reservation(name: &str) -> Option<(&str, &str)> {
    split_child(name, "/reservations/")
}

fn split_child<'a>(name: &'a str, collection: &str) -> Option<(&'a str, &'a str)> {
    let rest = name.strip_prefix("events/")?;
    let slash = rest.find('/')?;
    let (event, tail) = rest.split_at(slash);
    let child = tail.strip_prefix(collection)?;
    if child.contains('/') { None } else { Some((event, child)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let e = EventId::new("gala").unwrap();
        let a = AllocationId::new("stalls").unwrap();
        let r = ReservationId::new("0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71").unwrap();
        assert_eq!(event(&e), "events/gala");
        assert_eq!(split_event(&event(&e)), Some("gala"));
        assert_eq!(allocation(&e, &a), "events/gala/allocations/stalls");
        assert_eq!(split_allocation(&allocation(&e, &a)), Some(("gala", "stalls")));
        assert_eq!(reservation(&e, &r), "events/gala/reservations/0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71");
        let name = reservation(&e, &r);
        assert_eq!(split_reservation(&name), Some(("gala", "0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71")));
    }

    #[test]
    fn other_forms_are_not_names() {
        for name in ["", "gala", "event/gala", "/events/gala", "events", "events/gala/", "events/gala/allocations/a"] {
            assert_eq!(split_event(name), None, "{name}");
        }
        let wrong = [
            "",
            "events/gala",
            "events/gala/allocations",
            "events/gala/allocations/a/b",
            "events/gala/reservations/a",
            "events/gala//allocations/a",
            "events/a/b/allocations/c",
            "//boxoffice/events/gala/allocations/a",
        ];
        for name in wrong {
            assert_eq!(split_allocation(name), None, "{name}");
        }
        assert_eq!(split_reservation("events/gala/allocations/a"), None);
    }
}
