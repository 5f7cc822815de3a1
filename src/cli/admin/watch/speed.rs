//! How fast it sells.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Over how long the speed is measured.
const WINDOW: Duration = Duration::from_secs(10);
/// What was sold in less is not taken for what would be sold in a second.
const SPAN_MIN: Duration = Duration::from_secs(1);
/// Most moments that are remembered within it.
const MOMENTS_MAX: usize = 256;

/// Units sold at the moments of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Speed {
    moments: VecDeque<(Instant, i64)>,
}

impl Speed {
    /// Units sold a second, over the window or as much of it as was seen. Less than nothing where more was refunded.
    pub(super) fn of(&mut self, now: Instant, sold: i64) -> f64 {
        // One moment before the window stays: what was sold then is what had been sold when the window began.
        while self.moments.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW)
            || self.moments.len() >= MOMENTS_MAX
        {
            self.moments.pop_front();
        }
        self.moments.push_back((now, sold));
        let Some((first, before)) = self.moments.front() else { return 0.0 };
        let seconds = now.duration_since(*first).as_secs_f64();
        let units = (sold - before) as f64;
        units / seconds.max(SPAN_MIN.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_measured_over_the_last_seconds() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut speed = Speed::default();
        assert!(speed.of(start, 1_000).abs() < 1e-9, "what was sold before is not counted");
        let moment = Duration::from_millis(10);
        assert!((speed.of(start + moment, 1_001) - 1.0).abs() < 1e-9, "and not a hundred");
        assert!((speed.of(at(2), 1_010) - 5.0).abs() < 1e-9);
        assert!((speed.of(at(10), 1_020) - 2.0).abs() < 1e-9);
        assert!((speed.of(at(12), 1_020) - 1.0).abs() < 1e-9);
        assert!((speed.of(at(20), 1_010) + 1.0).abs() < 1e-9, "refunds");
        assert!(speed.of(at(3_600), 1_010).abs() < 1e-3);
        for second in 0..10_000 {
            speed.of(at(4_000) + Duration::from_micros(second), 0);
        }
        assert!(speed.moments.len() <= MOMENTS_MAX);
    }
}
