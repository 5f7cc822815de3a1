//! Values on the command line, and how they are read.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use clap::builder::RangedU64ValueParser;
use prost_types::{Duration, Timestamp};

/// `demo`, or `events/demo`, as a resource name.
pub(crate) fn event(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("events/").unwrap_or(text);
    if id.is_empty() || id.contains('/') {
        return Err("must be the id of an event, like demo, or its name, like events/demo".to_owned());
    }
    Ok(format!("events/{id}"))
}

/// The resource name of an allocation of `event`.
pub(crate) fn allocation_of(event: &str, id: &str) -> String {
    format!("{event}/allocations/{id}")
}

/// The event of a reservation's full name.
pub(crate) fn event_of(reservation: &str) -> &str {
    reservation.split_once("/reservations/").map_or(reservation, |(event, _)| event)
}

/// The full resource name of a reservation.
pub(crate) fn reservation(text: &str) -> Result<String, String> {
    match text.split('/').collect::<Vec<_>>().as_slice() {
        ["events", event, "reservations", id] if !event.is_empty() && !id.is_empty() => Ok(text.to_owned()),
        _ => Err("must be a full name, like events/demo/reservations/0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71".to_owned()),
    }
}

/// `90s`, `10m`, `1h30m`.
pub(crate) fn span(text: &str) -> Result<std::time::Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it like 90s, 10m or 1h30m"))
}

/// As [`span`], for a message.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    Duration::try_from(span(text)?).map_err(|_| "is too long".to_owned())
}

/// Where to listen. A name is none: it may mean several addresses, or those of another machine.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an IP address and a port, like 127.0.0.1:50051".to_owned())
}

/// How many of something there may be at most.
pub(crate) fn bound(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "must be a number of at least 1".to_owned())
}

/// An RFC 3339 time. Its offset must be there: a wall-clock time without one means another moment to each reader.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    let has_offset = |clock: &str| clock.contains(['Z', 'z', '+', '-']);
    text.split_once(['T', 't', ' '])
        .filter(|(_, clock)| has_offset(clock))
        .and_then(|_| text.parse().ok())
        .ok_or_else(|| "must be an RFC 3339 time, like 2027-03-01T20:00:00+01:00".to_owned())
}

/// A time, or none on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OptionalTime(pub(crate) Option<Timestamp>);

/// As [`time`], or `none`.
pub(crate) fn optional_time(text: &str) -> Result<OptionalTime, String> {
    if text == "none" { Ok(OptionalTime(None)) } else { time(text).map(|time| OptionalTime(Some(time))) }
}

/// How many of something to show: of none, "There are none." would be untrue.
pub(crate) fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// `ID=CAPACITY`.
pub(crate) fn sized_allocation(text: &str) -> Result<(String, i32), String> {
    units_of(text, 0, "must be ID=CAPACITY, like floor=100")
}

/// `ALLOCATION=TOTAL`.
pub(crate) fn refunded_units(text: &str) -> Result<(String, i32), String> {
    units_of(text, 1, "must be ALLOCATION=TOTAL, a total of at least 1, like floor=2")
}

/// An allocation's id and at least so many units.
fn units_of(text: &str, least: i32, form: &str) -> Result<(String, i32), String> {
    let (id, units) = text.split_once('=').ok_or(form)?;
    let units = units.parse().map_err(|_| format!("{units:?} is not a number of units; it {form}"))?;
    if id.is_empty() || units < least {
        return Err(form.to_owned());
    }
    Ok((id.to_owned(), units))
}

/// An etag as it is shown. Shells eat its quotes, so they may be left out.
pub(crate) fn etag(text: &str) -> Result<String, String> {
    let bare = text.trim_matches('"');
    if bare.is_empty() { Err("must be an etag, as `show` tells it".to_owned()) } else { Ok(format!("\"{bare}\"")) }
}

/// The last part of a resource name.
pub(crate) fn last_segment(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_named_by_id_or_by_name() {
        assert_eq!(event("demo"), Ok("events/demo".to_owned()));
        assert_eq!(event("events/demo"), Ok("events/demo".to_owned()));
        for bad in ["", "events/", "a/b", "events/demo/allocations/floor"] {
            assert!(event(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_reservation_is_named_in_full() {
        let name = "events/demo/reservations/0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71";
        assert_eq!(reservation(name), Ok(name.to_owned()));
        for bad in ["", "0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71", "events//reservations/x", "events/demo/allocations/x"] {
            assert!(reservation(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_etag_may_lack_its_quotes() {
        assert_eq!(etag("3"), Ok("\"3\"".to_owned()));
        assert_eq!(etag("\"3\""), Ok("\"3\"".to_owned()));
        assert!(etag("").is_err());
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(duration("10m"), Ok(Duration { seconds: 600, nanos: 0 }));
        assert_eq!(duration("1h30m"), Ok(Duration { seconds: 5_400, nanos: 0 }));
        assert_eq!(duration("1500ms"), Ok(Duration { seconds: 1, nanos: 500_000_000 }));
        for bad in ["", "10", "-5m", "ten"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_needs_its_offset() {
        assert_eq!(time("1970-01-01T01:00:10+01:00"), Ok(Timestamp { seconds: 10, nanos: 0 }));
        assert_eq!(time("1970-01-01T00:00:10Z"), Ok(Timestamp { seconds: 10, nanos: 0 }));
        for bad in ["", "2027-03-01", "2027-03-01T20:00:00", "tomorrow", "2027-13-01T20:00:00Z"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_allocation_has_an_id_and_a_number_of_units() {
        assert_eq!(sized_allocation("floor=100"), Ok(("floor".to_owned(), 100)));
        assert_eq!(sized_allocation("floor=0"), Ok(("floor".to_owned(), 0)));
        for bad in ["floor", "=5", "floor=", "floor=-1", "floor=many", "floor=99999999999"] {
            assert!(sized_allocation(bad).is_err() && refunded_units(bad).is_err(), "{bad}");
        }
        assert!(sized_allocation("floor=99999999999").unwrap_err().contains("\"99999999999\" is not a number"));
        assert!(refunded_units("floor=0").is_err(), "nothing to refund");
        assert_eq!(refunded_units("floor=2"), Ok(("floor".to_owned(), 2)));
    }
}
