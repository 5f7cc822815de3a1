//! Figures as people read them.

use crate::clock::{Micros, SECOND};

/// A whole number, its thousands set apart: `1,234,567`.
pub(super) fn count(number: impl Into<i128>) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 { "−".to_owned() } else { String::new() };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate or a mean with three digits that say something, or all that stand before the point: `0.25`, `12.5`, `1,234`.
#[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest whole number that there is")]
pub(super) fn figure(number: f64) -> String {
    if number.abs() >= 100.0 || number.fract() == 0.0 {
        return count(number.round() as i64);
    }
    let decimals = if number.abs() >= 9.995 { 1 } else { 2 };
    let text = format!("{number:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A latency in the unit that it reads best in, always with three digits: `850 µs`, `1.20 ms`, `45.0 s`.
pub(super) fn latency(micros: u64) -> String {
    let (number, unit) = match micros {
        0..1_000 => return format!("{micros} µs"),
        1_000..1_000_000 => (micros as f64 / 1e3, "ms"),
        _ => (micros as f64 / 1e6, "s"),
    };
    let decimals = match number {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{number:.decimals$} {unit}")
}

/// A moment of a plot, counted from its beginning: `0`, `250 ms`, `12.5 s`, `3 min`.
pub(super) fn moment(at: Micros) -> String {
    const MINUTE: Micros = 60 * SECOND;
    match at {
        0 => "0".to_owned(),
        _ if at < SECOND => format!("{} ms", figure(at as f64 / 1e3)),
        _ if at >= 2 * MINUTE && at % MINUTE == 0 => format!("{} min", at / MINUTE),
        _ => format!("{} s", figure(at as f64 / 1e6)),
    }
}

/// A name of the report, such as `false_sold_out`, in words.
pub(super) fn name(name: &str) -> String {
    name.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let told = [0, 7, 999, 1_000, 1_234_567, -12_345].map(count);
        assert_eq!(told, ["0", "7", "999", "1,000", "1,234,567", "−12,345"]);
    }

    #[test]
    fn figures_keep_three_digits() {
        let told = [0.0, 0.25, 1.5, 9.999, 12.345, 99.96, 1234.5].map(figure);
        assert_eq!(told, ["0", "0.25", "1.5", "10", "12.3", "100", "1,235"]);
    }

    #[test]
    fn times_are_told_in_the_unit_that_fits() {
        assert_eq!([850, 1_230, 45_600, 4_000_000].map(latency), ["850 µs", "1.23 ms", "45.6 ms", "4.00 s"]);
        let told = [0, SECOND / 4, 12 * SECOND + SECOND / 2, 90 * SECOND, 180 * SECOND].map(moment);
        assert_eq!(told, ["0", "250 ms", "12.5 s", "90 s", "3 min"]);
    }
}
