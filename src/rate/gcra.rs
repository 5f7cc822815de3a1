//! The generic cell rate algorithm (ITU-T Recommendation I.371, annex A, "virtual scheduling"), as pure functions.
//!
//! Somebody's whole state is one moment, the theoretical arrival time (TAT): when his budget will be full again. A call moves
//! it by what it costs, and is refused where that would move it further ahead of now than a full budget takes to refill. Nothing
//! has to be refilled in the background, and a state whose moment has passed is the same as none.
//!
//! Times are nanoseconds since any one moment.

/// How often somebody may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The time that one call costs.
    interval_nanos: u64,
    burst: u32,
}

/// What a request costs, in calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// What is to be charged now.
    pub calls: u32,
    /// What the same request was charged already. Whoever repeats it pays that again.
    pub paid: u32,
}

impl Cost {
    /// As much as so many calls, of which nothing was charged before.
    pub const fn of(calls: u32) -> Self {
        Self { calls, paid: 0 }
    }
}

/// The least and the most calls a second that a quota can allow.
pub const CALLS_PER_SECOND_MIN: f64 = 0.001;
/// See [`CALLS_PER_SECOND_MIN`].
pub const CALLS_PER_SECOND_MAX: f64 = 1_000_000.0;
/// Most calls that a quota can allow at once.
pub const BURST_MAX: u32 = 1_000_000;

const NANOS_PER_SECOND: f64 = 1e9;

impl Quota {
    /// So many calls a second, and at most `burst` of them at once. `None`: outside of the bounds above, or no burst.
    pub fn new(calls_per_second: f64, burst: u32) -> Option<Self> {
        if !(CALLS_PER_SECOND_MIN..=CALLS_PER_SECOND_MAX).contains(&calls_per_second)
            || !(1..=BURST_MAX).contains(&burst)
        {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the bounds make it 1e3 to 1e12")]
        let interval_nanos = (NANOS_PER_SECOND / calls_per_second).round() as u64;
        Some(Self { interval_nanos, burst })
    }

    /// Calls a second.
    pub fn calls_per_second(self) -> f64 {
        NANOS_PER_SECOND / self.interval_nanos as f64
    }

    /// Calls at once.
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// Decides on a request `now`, for somebody whose TAT is `tat`: his new TAT, or how long to wait until the same request would
    /// be admitted, with what is charged for it before.
    ///
    /// What costs more than a burst, all in all, needs a full budget, and its whole cost is paid off before anything else is
    /// admitted: so no call is too large for ever, and the rate holds in the long run all the same.
    ///
    /// # Errors
    /// The nanoseconds to wait, at least 1.
    pub const fn decide(self, tat: u64, now: u64, cost: Cost) -> Result<u64, u64> {
        let from = if tat > now { tat } else { now };
        let whole = cost.calls.saturating_add(cost.paid);
        let needed = if whole < self.burst { whole } else { self.burst }.saturating_sub(cost.paid);
        let full_at = from.saturating_add(self.interval_nanos.saturating_mul(needed as u64));
        let latest = now.saturating_add(self.interval_nanos.saturating_mul(self.burst as u64));
        if full_at > latest {
            return Err((full_at - latest).saturating_add(self.interval_nanos.saturating_mul(cost.paid as u64)));
        }
        Ok(from.saturating_add(self.interval_nanos.saturating_mul(cost.calls as u64)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_passes_at_once_and_then_one_call_at_a_time() {
        let quota = Quota::new(10.0, 3).unwrap();
        let mut tat = 0;
        for _ in 0..3 {
            tat = quota.decide(tat, SECOND, Cost::of(1)).unwrap();
        }
        assert_eq!(quota.decide(tat, SECOND, Cost::of(1)), Err(SECOND / 10));
        assert_eq!(quota.decide(tat, SECOND + SECOND / 10 - 1, Cost::of(1)), Err(1));
        tat = quota.decide(tat, SECOND + SECOND / 10, Cost::of(1)).unwrap();
        assert!(quota.decide(tat, SECOND + SECOND / 10, Cost::of(1)).is_err());
    }

    #[test]
    fn what_is_larger_than_a_burst_needs_a_full_budget_and_is_paid_off() {
        let quota = Quota::new(10.0, 3).unwrap();
        let tat = quota.decide(0, SECOND, Cost::of(100)).unwrap();
        assert_eq!(tat, 11 * SECOND);
        assert_eq!(quota.decide(tat, SECOND, Cost::of(1)), Err(10 * SECOND + SECOND / 10 - 3 * SECOND / 10));
        let touched = quota.decide(0, SECOND, Cost::of(1)).unwrap();
        assert!(quota.decide(touched, SECOND, Cost::of(100)).is_err());
    }

    #[test]
    fn quotas_have_bounds() {
        for (rate, burst) in
            [(0.0, 1), (-1.0, 1), (f64::NAN, 1), (f64::INFINITY, 1), (2e6, 1), (1.0, 0), (1.0, u32::MAX)]
        {
            assert_eq!(Quota::new(rate, burst), None, "{rate} {burst}");
        }
        assert!((Quota::new(0.5, 1).unwrap().calls_per_second() - 0.5).abs() < 1e-9);
    }

    proptest! {
        /// Over any stretch of time no more is admitted than a burst, what flows in meanwhile, and one call that is larger
        /// than a burst.
        #[test]
        fn no_stretch_of_time_admits_more_than_it_may(
            rate in 0.1_f64..1_000.0,
            burst in 1_u32..50,
            calls in prop::collection::vec((0_u64..SECOND, 1_u32..80), 1..200),
        ) {
            let quota = Quota::new(rate, burst).unwrap();
            let (mut tat, mut now) = (0, SECOND);
            let mut admitted: Vec<(u64, u64, u64)> = Vec::new();
            for (pause, cost) in calls {
                now += pause;
                if let Ok(next) = quota.decide(tat, now, Cost::of(cost)) {
                    prop_assert!(next > tat);
                    tat = next;
                    admitted.push((now, u64::from(cost), u64::from(cost.saturating_sub(burst))));
                }
            }
            for first in 0..admitted.len() {
                let mut sum = 0;
                for &(at, cost, beyond) in &admitted[first..] {
                    sum += cost;
                    let flown_in = (at - admitted[first].0) / quota.interval_nanos;
                    prop_assert!(sum <= u64::from(burst) + flown_in + beyond, "{sum} after {first}");
                }
            }
        }

        /// Whoever waits as long as he is told is admitted, and no sooner.
        #[test]
        fn the_wait_is_exact(
            rate in 0.1_f64..1_000.0,
            burst in 1_u32..50,
            ahead in 0_u64..100 * SECOND,
            cost in 1_u32..80,
        ) {
            let quota = Quota::new(rate, burst).unwrap();
            let (now, tat) = (SECOND, SECOND + ahead);
            if let Err(wait) = quota.decide(tat, now, Cost::of(cost)) {
                prop_assert!(wait >= 1);
                prop_assert!(quota.decide(tat, now + wait, Cost::of(cost)).is_ok());
                prop_assert!(quota.decide(tat, now + wait - 1, Cost::of(cost)).is_err());
            }
        }

        /// A request that is charged twice, once for itself and once for its items, is admitted wholly after the wait that either
        /// refusal tells, if nobody else calls meanwhile: also one that is larger than a burst.
        #[test]
        fn whoever_repeats_a_request_of_two_charges_after_the_wait_is_admitted(
            rate in 0.1_f64..1_000.0,
            burst in 1_u32..50,
            ahead in 0_u64..100 * SECOND,
            more in 1_u32..80,
        ) {
            let quota = Quota::new(rate, burst).unwrap();
            let request = |tat, now| {
                let tat = quota.decide(tat, now, Cost::of(1)).map_err(|wait| (tat, wait))?;
                quota.decide(tat, now, Cost { calls: more, paid: 1 }).map_err(|wait| (tat, wait))
            };
            let (mut tat, mut now, mut refusals) = (SECOND + ahead, SECOND, 0);
            while let Err((charged, wait)) = request(tat, now) {
                (tat, now, refusals) = (charged, now + wait, refusals + 1);
                prop_assert!(refusals <= 2, "{wait} after {refusals}");
            }
        }
    }
}
