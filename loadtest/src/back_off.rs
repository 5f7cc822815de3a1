//! Waiting before another try.

use std::time::Duration;

use rand::Rng as _;
use rand::rngs::SmallRng;

/// Pauses that double from try to try, and of which any part may be taken, by chance: so those who wait do not meet again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BackOff {
    /// The longest pause after the first try.
    pub(crate) first: Duration,
    /// The longest pause after any.
    pub(crate) longest: Duration,
}

/// Pauses double so often at most; by then all have reached their longest.
const DOUBLINGS_MAX: u32 = 16;

impl BackOff {
    /// The pause after so many tries.
    pub(crate) fn pause(self, tried: u32, random: &mut SmallRng) -> Duration {
        let most = self.first.saturating_mul(1 << tried.min(DOUBLINGS_MAX)).min(self.longest);
        most.mul_f64(random.random_range(0.0..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let back_off = BackOff { first: Duration::from_millis(1), longest: Duration::from_millis(20) };
        let mut random = SmallRng::seed_from_u64(1);
        let mut longest = |tried| (0..1_000).map(|_| back_off.pause(tried, &mut random)).max().unwrap();
        assert!(longest(0) <= Duration::from_millis(1));
        assert!(longest(3) > Duration::from_millis(4) && longest(3) <= Duration::from_millis(8));
        assert!(longest(u32::MAX) > Duration::from_millis(15) && longest(u32::MAX) <= Duration::from_millis(20));
    }
}
