//! Moments and spans.

use crate::domain::{Duration, Timestamp};

#[test]
fn spans_are_shown_in_seconds_to_the_microsecond() {
    for (micros, shown) in [
        (0, "0 s"),
        (1, "0.000001 s"),
        (1_000_000, "1 s"),
        (61_500_000, "61.500000 s"),
        (2_592_000_000_000, "2592000 s"),
    ] {
        assert_eq!(Duration::from_micros(micros).to_string(), shown);
    }
}

#[test]
fn what_is_too_late_to_be_said_is_the_end_of_time() {
    let end = Timestamp::from_micros(i64::MAX);
    assert_eq!(Timestamp::from_micros(1).plus(Duration::from_micros(i64::MAX)), end);
    assert_eq!(Timestamp::from_micros(1).plus(Duration::from_secs(i64::MAX)), end);
}
