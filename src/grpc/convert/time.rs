//! Moments and spans of time. The wire has nanoseconds, the model microseconds: what is finer is cut off.

use crate::domain::{Duration, Timestamp};

const MICROS_PER_SECOND: i64 = 1_000_000;
const NANOS_PER_MICRO: i32 = 1_000;
/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, the bounds of `google.protobuf.Timestamp`.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// The bounds of `google.protobuf.Duration`: about 10,000 years.
const DURATION_SECONDS: std::ops::RangeInclusive<i64> = -315_576_000_000..=315_576_000_000;
const NANOS: std::ops::RangeInclusive<i32> = 0..=999_999_999;

/// A moment on the wire.
pub(in crate::grpc) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = split(at.as_micros());
    prost_types::Timestamp { seconds, nanos }
}

/// A moment from the wire; `None` where it is out of the range that protobuf allows.
pub(in crate::grpc) fn parse_timestamp(at: &prost_types::Timestamp) -> Option<Timestamp> {
    if !TIMESTAMP_SECONDS.contains(&at.seconds) || !NANOS.contains(&at.nanos) {
        return None;
    }
    Some(Timestamp::from_micros(at.seconds * MICROS_PER_SECOND + i64::from(at.nanos / NANOS_PER_MICRO)))
}

/// A span on the wire.
pub(in crate::grpc) fn duration(span: Duration) -> prost_types::Duration {
    let (seconds, nanos) = split(span.as_micros());
    prost_types::Duration { seconds, nanos }
}

/// A span from the wire; `None` where it is out of the range that protobuf allows, or less than nothing.
pub(in crate::grpc) fn parse_duration(span: &prost_types::Duration) -> Option<Duration> {
    if !DURATION_SECONDS.contains(&span.seconds) || span.seconds < 0 || !NANOS.contains(&span.nanos) {
        return None;
    }
    Some(Duration::from_micros(span.seconds * MICROS_PER_SECOND + i64::from(span.nanos / NANOS_PER_MICRO)))
}

/// Whole seconds, rounded down, and the nanoseconds beyond them.
fn split(micros: i64) -> (i64, i32) {
    let rest = micros.rem_euclid(MICROS_PER_SECOND);
    let nanos = i32::try_from(rest).map_or(0, |rest| rest * NANOS_PER_MICRO);
    (micros.div_euclid(MICROS_PER_SECOND), nanos)
}

/// A moment as RFC 3339, for texts in errors.
pub(in crate::grpc) fn rfc3339(at: Timestamp) -> String {
    timestamp(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for micros in [0, 1, 999_999, 1_000_000, 1_700_000_000_123_456, -1, -1_000_000, -1_500_000] {
            let at = Timestamp::from_micros(micros);
            assert_eq!(parse_timestamp(&timestamp(at)), Some(at));
        }
        let span = Duration::from_micros(90_000_001);
        assert_eq!(duration(span), prost_types::Duration { seconds: 90, nanos: 1_000 });
        assert_eq!(parse_duration(&duration(span)), Some(span));
    }

    #[test]
    fn finer_than_a_microsecond_is_cut_off() {
        let span = prost_types::Duration { seconds: 1, nanos: 1_999 };
        assert_eq!(parse_duration(&span), Some(Duration::from_micros(1_000_001)));
    }

    #[test]
    fn what_protobuf_does_not_allow_is_refused() {
        let cases =
            [(-62_135_596_801, 0), (253_402_300_800, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, 0)];
        for (seconds, nanos) in cases {
            assert_eq!(parse_timestamp(&prost_types::Timestamp { seconds, nanos }), None, "{seconds} {nanos}");
        }
        let cases =
            [(-1, 0), (0, -1), (-1, -1), (1, 1_000_000_000), (315_576_000_001, 0), (i64::MAX, 0), (i64::MIN, 0)];
        for (seconds, nanos) in cases {
            assert_eq!(parse_duration(&prost_types::Duration { seconds, nanos }), None, "{seconds} {nanos}");
        }
    }

    #[test]
    fn moments_in_texts_are_rfc_3339() {
        assert_eq!(rfc3339(Timestamp::from_micros(1_700_000_000_000_000)), "2023-11-14T22:13:20Z");
    }
}
