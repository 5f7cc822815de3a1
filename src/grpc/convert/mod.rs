//! Proto <-> domain, and nothing else.

pub(super) mod change;
pub(super) mod event;
pub(super) mod mask;
pub(super) mod names;
pub(super) mod reservation;
pub(super) mod time;

use crate::domain::Version;

/// A count of units on the wire. No count of the model exceeds `CAPACITY_MAX`, which fits; a number that does not is
/// shown as the nearest one that does.
pub(super) fn units(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(if count < 0 { i32::MIN } else { i32::MAX })
}

/// An optional limit on the wire, where 0 stands for none.
pub(super) fn limit(limit: Option<i64>) -> i32 {
    limit.map_or(0, units)
}

/// The etag of a version: an opaque quoted string (RFC 9110).
pub(super) fn etag(version: Version) -> String {
    format!("\"{version}\"")
}

/// Reads [`etag`], strictly: nothing else than what it writes.
pub(super) fn parse_etag(text: &str) -> Option<Version> {
    let digits = text.strip_prefix('"')?.strip_suffix('"')?;
    let canonical = !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    if canonical { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_are_read_strictly() {
        assert_eq!(etag(3), "\"3\"");
        for version in [1, 3, 10, i64::MAX] {
            assert_eq!(parse_etag(&etag(version)), Some(version));
        }
        let wrong = [
            "",
            "\"\"",
            "3",
            "\"3",
            "3\"",
            "\"",
            "\"03\"",
            "\"+3\"",
            "\"-3\"",
            "\"0\"",
            "W/\"3\"",
            "\"9223372036854775808\"",
        ];
        for text in wrong {
            assert_eq!(parse_etag(text), None, "{text}");
        }
    }

    #[test]
    fn counts_out_of_range_are_shown_as_the_nearest() {
        assert_eq!(units(5), 5);
        assert_eq!(units(-5), -5);
        assert_eq!(units(i64::MAX), i32::MAX);
        assert_eq!(units(i64::MIN), i32::MIN);
    }
}
