//! What programs get: the API's resources as JSON. Keys are the API's field names, and all of them are always there.
//! Times are RFC 3339, durations seconds, counts numbers; `null` is what is not set.

mod change;
mod event;
mod place;
mod reservation;

pub(crate) use change::{AuditView, ChangeView, DifferenceView, change_table, difference_table};
pub(crate) use event::{AllocationView, EventView, WaitingRoomView, allocation_table, event_table};
pub(crate) use place::PlaceView;
pub(crate) use reservation::{ReservationView, reservation_table};

use prost_types::{Duration, Timestamp};
use serde_json::Number;

/// RFC 3339 in UTC.
fn time(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}

/// Seconds: a whole number where it is one.
fn seconds(span: Option<Duration>) -> Option<Number> {
    let span = span?;
    if span.nanos == 0 {
        return Some(span.seconds.into());
    }
    std::time::Duration::try_from(span).ok().and_then(|span| Number::from_f64(span.as_secs_f64()))
}

/// `ON_SALE` for `SALES_STATE_ON_SALE`; the number of a value that this version does not know.
fn enum_name<E: TryFrom<i32>>(value: i32, prefix: &str, name: fn(&E) -> &'static str) -> String {
    E::try_from(value).map_or_else(
        |_| value.to_string(),
        |known| {
            let name = name(&known);
            name.strip_prefix(prefix).unwrap_or(name).to_owned()
        },
    )
}

/// A time for people: to the second. The input is what [`time`] wrote.
pub(crate) fn to_the_second(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}

/// A time for people that may be missing.
pub(crate) fn moment(time: Option<&String>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| to_the_second(time))
}

/// Seconds for people.
pub(crate) fn span(seconds: Option<&Number>) -> String {
    let span = seconds.and_then(Number::as_f64).and_then(|secs| std::time::Duration::try_from_secs_f64(secs).ok());
    span.map_or_else(|| "-".to_owned(), |span| humantime::format_duration(span).to_string())
}

/// A limit for people.
pub(crate) fn limit(limit: i32) -> String {
    if limit == 0 { "none".to_owned() } else { limit.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn durations_are_seconds_and_whole_where_they_can_be() {
        assert_eq!(json!(seconds(Some(Duration { seconds: 600, nanos: 0 }))), json!(600));
        assert_eq!(json!(seconds(Some(Duration { seconds: 1, nanos: 500_000_000 }))), json!(1.5));
        assert_eq!(json!(seconds(None)), json!(null));
    }

    #[test]
    fn people_read_times_to_the_second() {
        let micros = time(Some(Timestamp { seconds: 0, nanos: 123_456_000 })).unwrap();
        assert_eq!(micros, "1970-01-01T00:00:00.123456Z");
        assert_eq!(to_the_second(&micros), "1970-01-01T00:00:00Z");
        assert_eq!(to_the_second("1970-01-01T00:00:00Z"), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn unknown_enum_values_are_told_as_numbers() {
        use boxoffice_proto::v1::SalesState;
        assert_eq!(enum_name(2, "SALES_STATE_", SalesState::as_str_name), "ON_SALE");
        assert_eq!(enum_name(77, "SALES_STATE_", SalesState::as_str_name), "77");
    }
}
