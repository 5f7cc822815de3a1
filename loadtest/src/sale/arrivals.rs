//! When buyers come: fixed in advance, so that a slow server cannot slow the load down and look better for it.

use std::time::Duration;

use clap::ValueEnum;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

/// How buyers come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// A closed loop: the next one comes when one has gone, so many at a time.
    Closed,
    /// Half of them at once, as a closed loop; the others evenly.
    Rush,
    /// Independently of each other, at the same rate all the time.
    Steady,
    /// The same at a rate that rises from zero to twice the mean.
    Ramp,
    /// In ten crowds.
    Bursts,
}

/// Crowds of [`Shape::Bursts`].
const BURSTS: u32 = 10;

/// When each buyer comes, by his number.
#[derive(Debug, Clone)]
pub(super) struct Arrivals(Vec<Option<Duration>>);

impl Arrivals {
    /// `buyers` arrivals within `length`, in order. The same seed gives the same ones.
    pub(super) fn new(shape: Shape, buyers: u32, length: Duration, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed ^ 0x61_72_72_69_76_61_6c);
        let mut shares: Vec<Option<f64>> =
            (0..buyers).map(|number| share(shape, number, buyers, &mut random)).collect();
        shares.sort_by(|one, other| one.unwrap_or(-1.0).total_cmp(&other.unwrap_or(-1.0)));
        Self(shares.into_iter().map(|share| share.map(|share| length.mul_f64(share))).collect())
    }

    /// After how long this one comes; `None`: as soon as somebody is free to serve him.
    pub(super) fn of(&self, buyer: u32) -> Option<Duration> {
        self.0.get(buyer as usize).copied().flatten()
    }
}

/// When one comes, as a share of the whole length. So many points that are each thrown anywhere are what a Poisson process
/// looks like of which one knows how many there were.
fn share(shape: Shape, number: u32, buyers: u32, random: &mut SmallRng) -> Option<f64> {
    let early = buyers / 2;
    match shape {
        Shape::Closed => None,
        Shape::Rush => number.checked_sub(early).map(|late| f64::from(late) / f64::from(buyers - early)),
        Shape::Steady => Some(random.random()),
        Shape::Ramp => Some(random.random::<f64>().sqrt()),
        Shape::Bursts => Some(f64::from(random.random_range(0..BURSTS)) / f64::from(BURSTS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(10);

    fn arrivals(shape: Shape, seed: u64) -> Vec<Option<Duration>> {
        Arrivals::new(shape, 10_000, LENGTH, seed).0
    }

    #[test]
    fn the_same_seed_gives_the_same_arrivals_in_order() {
        for shape in [Shape::Closed, Shape::Rush, Shape::Steady, Shape::Ramp, Shape::Bursts] {
            let times = arrivals(shape, 1);
            assert_eq!(times, arrivals(shape, 1));
            assert!(times.is_sorted() && times.iter().flatten().all(|time| *time <= LENGTH), "{shape:?}");
        }
        assert_ne!(arrivals(Shape::Steady, 1), arrivals(Shape::Steady, 2));
    }

    #[test]
    fn each_shape_comes_as_it_says() {
        let in_first_half = |shape| {
            let times = arrivals(shape, 1);
            times.iter().flatten().filter(|time| **time < LENGTH / 2).count()
        };
        assert_eq!(in_first_half(Shape::Closed), 0, "nobody has a time");
        assert_eq!(in_first_half(Shape::Rush), 2_500, "a quarter; half have no time");
        assert!((4_700..5_300).contains(&in_first_half(Shape::Steady)));
        assert!((2_200..2_800).contains(&in_first_half(Shape::Ramp)));
        let mut bursts = arrivals(Shape::Bursts, 1);
        bursts.dedup();
        assert_eq!(bursts.len(), 10);
    }
}
