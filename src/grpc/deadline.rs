//! Deadlines that callers set.

use std::time::Duration;

use tokio::time::Instant;
use tonic::codegen::http;

/// When the caller stops waiting; among the request's extensions where it sent `grpc-timeout`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(pub(crate) Instant);

/// The deadline of a request, if it has one.
pub(super) fn of<T>(request: &tonic::Request<T>) -> Option<Instant> {
    request.extensions().get::<Deadline>().map(|deadline| deadline.0)
}

/// The time that a request has, from its `grpc-timeout`. What is not of the form that the protocol prescribes (at most 8
/// digits and a unit) is ignored, as gRPC servers do.
pub(crate) fn timeout(headers: &http::HeaderMap) -> Option<Duration> {
    parse(headers.get("grpc-timeout")?.as_bytes())
}

fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount = digits.iter().fold(0_u64, |amount, digit| amount * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(amount * 3_600)),
        b'M' => Some(Duration::from_secs(amount * 60)),
        b'S' => Some(Duration::from_secs(amount)),
        b'm' => Some(Duration::from_millis(amount)),
        b'u' => Some(Duration::from_micros(amount)),
        b'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        let cases: [(&[u8], Duration); 7] = [
            (b"2H", Duration::from_secs(7_200)),
            (b"3M", Duration::from_secs(180)),
            (b"4S", Duration::from_secs(4)),
            (b"5m", Duration::from_millis(5)),
            (b"6u", Duration::from_micros(6)),
            (b"7n", Duration::from_nanos(7)),
            (b"99999999H", Duration::from_secs(99_999_999 * 3_600)),
        ];
        for (value, expected) in cases {
            assert_eq!(parse(value), Some(expected));
        }
    }

    #[test]
    fn other_forms_are_ignored() {
        let wrong: [&[u8]; 9] = [b"", b"S", b"5", b"5s", b"-5S", b"+5S", b"5 S", b"123456789S", b"\xffS"];
        for value in wrong {
            assert_eq!(parse(value), None, "{value:?}");
        }
    }
}
