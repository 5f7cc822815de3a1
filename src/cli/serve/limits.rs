//! Options that say how much callers may ask for.

use std::num::NonZeroUsize;
use std::sync::Arc;

use boxoffice::rate::{BURST_MAX, CALLS_PER_SECOND_MAX, CALLS_PER_SECOND_MIN, Quota, RateLimits};
use boxoffice::redis::{Redis, RedisRates};
use boxoffice::server::{CONNECTIONS_MAX, REQUESTS_IN_FLIGHT_MAX, ServerConfig, WATCHERS_MAX, WATCHERS_PER_OWNER_MAX};

use crate::cli::values;

/// A burst that is not given is what so many seconds allow.
const BURST_SECONDS: f64 = 2.0;

/// Options of `serve`. `docs/configuration.md` tells of them.
#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Most calls a second of one buyer; each item of a batch counts [default: no limit]
    #[arg(long, value_name = "N", value_parser = rate)]
    owner_rate: Option<f64>,
    /// Most calls of one buyer at once [default: what two seconds allow]
    #[arg(long, value_name = "N", requires = "owner_rate", value_parser = clap::value_parser!(u32).range(1..=i64::from(BURST_MAX)))]
    owner_burst: Option<u32>,
    /// Most calls a second of one gateway, for all its buyers [default: no limit]
    #[arg(long, value_name = "N", value_parser = rate)]
    gateway_rate: Option<f64>,
    /// Most calls of one gateway at once [default: what two seconds allow]
    #[arg(long, value_name = "N", requires = "gateway_rate", value_parser = clap::value_parser!(u32).range(1..=i64::from(BURST_MAX)))]
    gateway_burst: Option<u32>,
    /// Most connections; further ones wait
    #[arg(long, value_name = "N", default_value_t = nonzero(CONNECTIONS_MAX), value_parser = values::bound)]
    connections_max: NonZeroUsize,
    /// Most requests in flight; more are refused with OVERLOADED
    #[arg(long, value_name = "N", default_value_t = nonzero(REQUESTS_IN_FLIGHT_MAX), value_parser = values::bound)]
    requests_max: NonZeroUsize,
    /// Most open streams of WatchEvent, WatchPlace and WatchChanges; more are refused with OVERLOADED
    #[arg(long, value_name = "N", default_value_t = nonzero(WATCHERS_MAX), value_parser = values::bound)]
    watchers_max: NonZeroUsize,
    /// Most of these of one buyer; more are refused with TOO_MANY_WATCHERS
    #[arg(long, value_name = "N", default_value_t = nonzero(WATCHERS_PER_OWNER_MAX), value_parser = values::bound)]
    watchers_per_owner_max: NonZeroUsize,
}

const fn nonzero(number: usize) -> NonZeroUsize {
    match NonZeroUsize::new(number) {
        Some(number) => number,
        None => NonZeroUsize::MIN,
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let wrong = || format!("must be a number from {CALLS_PER_SECOND_MIN} to {CALLS_PER_SECOND_MAX}");
    let rate: f64 = text.parse().map_err(|_| wrong())?;
    if (CALLS_PER_SECOND_MIN..=CALLS_PER_SECOND_MAX).contains(&rate) { Ok(rate) } else { Err(wrong()) }
}

impl Args {
    /// Puts them into `config`. With Redis, the rates hold for all servers together.
    pub(super) fn apply(&self, config: ServerConfig, redis: Option<&Arc<Redis>>) -> ServerConfig {
        let owner = self.owner_rate.and_then(|rate| quota(rate, self.owner_burst));
        let gateway = self.gateway_rate.and_then(|rate| quota(rate, self.gateway_burst));
        let rates = RateLimits::new(owner, gateway);
        let rates = match redis {
            Some(redis) => rates.with_shared(Arc::new(RedisRates::new(Arc::clone(redis)))),
            None => rates,
        };
        ServerConfig {
            rates: Arc::new(rates),
            connections_max: self.connections_max.get(),
            requests_in_flight_max: self.requests_max.get(),
            watchers_max: self.watchers_max.get(),
            watchers_per_owner_max: self.watchers_per_owner_max.get(),
            ..config
        }
    }
}

fn quota(rate: f64, burst: Option<u32>) -> Option<Quota> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a quota takes")]
    let usual = || (rate * BURST_SECONDS).ceil().clamp(1.0, f64::from(BURST_MAX)) as u32;
    Quota::new(rate, burst.unwrap_or_else(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rate_that_is_taken_makes_a_quota() {
        for text in ["0.001", "0.4", "10", "1000000"] {
            let quota = quota(rate(text).unwrap(), None).unwrap();
            assert!(quota.burst() >= 1, "{text}");
        }
        assert_eq!(quota(10.0, None).unwrap().burst(), 20);
        for text in ["", "0", "-1", "NaN", "inf", "1e7", "10/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
