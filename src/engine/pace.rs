//! How much may wait for a lane that gets more than it can do.
//!
//! A crowd that comes at once is served, however long its queue: it is there once, and the queue drains. But where commands come
//! faster than they are done for longer, a queue of any length is full, and then all that its length decides is how long everybody
//! waits. So once a queue has stood for [`BURST_MAX`], only so much of it is let in as is worth it: enough that batches are
//! large, and no more. (CoDel makes the same distinction between a burst and a standing queue by the same kind of interval:
//! Nichols and Jacobson, "Controlling Queue Delay", 2012. Here what is too much is refused at the door, where a refusal is
//! cheapest.)
//!
//! What is worth it follows from what batches take: about a fixed time for each, `f`, and a time for each command, `c`. A batch of
//! `n` takes `f + c·n`, so a lane does `n / (f + c·n)` a second: with `n = k·f/c` that is `k/(k+1)` of the most that it can do
//! at all. A line through what the last batches took tells both.

use std::time::Duration;

/// Longer than this, a queue that is too long stands.
pub(super) const BURST_MAX: Duration = Duration::from_millis(500);
/// As long after the last refusal, crowds may come again.
pub(super) const CALM_AFTER: Duration = Duration::from_secs(1);
/// `k` above: seven eighths of the most that a lane can do.
const FIXED_TIMES: f64 = 7.0;
/// One batch runs while the next one gathers.
const BATCHES: f64 = 2.0;
/// What the batch before counts, to the last: the line follows what changes within some dozens of batches.
const FADE: f64 = 0.97;
/// Batches that are all of about the same size say nothing of the line's slope: the old one is kept where the standard deviation
/// of sizes is less than this part of their mean.
const SPREAD_MIN: f64 = 0.05;

/// A fading line through the sizes of batches and what they took: least squares.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    weight: f64,
    size: f64,
    took: f64,
    size_squared: f64,
    size_took: f64,
    per_command: f64,
}

impl Pace {
    /// A batch of so many commands took so long.
    pub(super) fn observe(&mut self, commands: usize, took: Duration) {
        let (size, took) = (commands as f64, took.as_secs_f64());
        self.weight = self.weight * FADE + 1.0;
        // Means that fade.
        let part = 1.0 / self.weight;
        self.size += (size - self.size) * part;
        self.took += (took - self.took) * part;
        self.size_squared += (size * size - self.size_squared) * part;
        self.size_took += (size * took - self.size_took) * part;
        let variance = self.size_squared - self.size * self.size;
        if variance > (SPREAD_MIN * self.size).powi(2) {
            let slope = (self.size_took - self.size * self.took) / variance;
            // A command that costs nothing is noise.
            if slope > 0.0 {
                self.per_command = slope;
            }
        }
        // Neither part of the time can be less than none; and before anything is known, commands cost all of it.
        let whole = self.took / self.size.max(1.0);
        self.per_command = if self.per_command > 0.0 { self.per_command.min(whole) } else { whole };
    }

    /// Most commands that are worth being let in while a queue stands, at most `most`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and it is bounded"
    )]
    pub(super) fn waiting_max(&self, most: usize) -> usize {
        let fixed = (self.took - self.per_command * self.size).max(0.0);
        let worth = BATCHES * FIXED_TIMES * fixed / self.per_command;
        // Without any batch yet, everything is worth it.
        let worth = if worth.is_finite() { worth as usize } else { most };
        worth.clamp(1, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 16_384;

    fn pace(fixed_micros: u64, per_command_micros: u64, sizes: impl Iterator<Item = u64>) -> Pace {
        let mut pace = Pace::default();
        for size in sizes {
            let took = Duration::from_micros(fixed_micros + per_command_micros * size);
            pace.observe(usize::try_from(size).unwrap(), took);
        }
        pace
    }

    #[test]
    fn what_may_wait_follows_from_what_batches_take() {
        let sizes = || (1..200).map(|index| index * 37 % 101 + 1);
        let max = pace(20_000, 200, sizes()).waiting_max(MOST);
        assert!((1_380..=1_400).contains(&max), "{max}: 2 · 7 · 20,000 / 200");
        assert!((68..=71).contains(&pace(1_000, 200, sizes()).waiting_max(MOST)));
        assert_eq!(pace(1_000_000, 1, sizes()).waiting_max(MOST), MOST);
    }

    #[test]
    fn it_does_not_creep_upwards_while_all_batches_are_of_one_size() {
        let varied = (1..200).map(|index| index * 37 % 101 + 1);
        let same = std::iter::repeat_n(700, 10_000);
        let max = pace(20_000, 200, varied.chain(same)).waiting_max(MOST);
        assert!((1_300..=1_500).contains(&max), "{max}");
    }

    #[test]
    fn it_follows_a_store_that_gets_slower() {
        let varied = || (1..200).map(|index| index * 37 % 101 + 1);
        let mut pace = pace(2_000, 200, varied());
        // Arrivals by chance make batches that differ by about a tenth.
        for index in 0..400_u64 {
            let size = 220 + index * 37 % 71;
            pace.observe(usize::try_from(size).unwrap(), Duration::from_micros(50_000 + 200 * size));
        }
        let max = pace.waiting_max(MOST);
        assert!((3_300..=3_700).contains(&max), "{max}: 2 · 7 · 50,000 / 200");
    }

    /// Batches of one size say nothing of the slope, but a command cannot cost more than its part of all that they take.
    #[test]
    fn it_follows_a_store_whose_commands_get_cheaper() {
        let varied = (1..300).map(|index| index * 37 % 101 + 50);
        let mut pace = pace(0, 200, varied);
        for fixed_micros in [0, 20_000] {
            for _ in 0..300 {
                pace.observe(100, Duration::from_micros(fixed_micros + 50 * 100));
            }
        }
        let max = pace.waiting_max(MOST);
        assert!((5_500..=5_700).contains(&max), "{max}: 2 · 7 · 20,000 / 50");
    }

    /// Where the smallest batch took the longest, that says nothing of what a command takes.
    #[test]
    fn what_a_command_takes_is_not_forgotten_for_noise() {
        let mut pace = pace(20_000, 200, (1..200).map(|index| index * 37 % 101 + 1));
        pace.observe(1, Duration::from_millis(200));
        let max = pace.waiting_max(MOST);
        assert!((1_600..=1_900).contains(&max), "{max}: 2 · 7 · 25,000 / 200");
    }

    #[test]
    fn without_batches_nothing_is_too_much() {
        assert_eq!(Pace::default().waiting_max(MOST), MOST);
        assert_eq!(Pace::default().waiting_max(8), 8);
    }
}
