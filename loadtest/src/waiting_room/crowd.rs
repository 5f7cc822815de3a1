//! The crowd before the door: it joins through all servers, some of it in many tabs, and some of it by networks that lose answers.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Result;
use futures::future::{join_all, try_join_all};
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::{Instant, timeout};

use super::history::{Ask, Told, Who};
use super::stage::Stage;
use crate::cli::WaitingRoomArgs;
use crate::clock::now;
use crate::report::latency_histogram;

/// One in so many has many tabs; as many lose their first answer.
const ONE_IN: u32 = 100;
/// How many tabs that is.
const TABS: usize = 10;
/// After at most how long an answer is given up.
const LOST_AFTER_MAX: Duration = Duration::from_millis(20);

/// How it went.
pub(super) struct Joined {
    pub(super) asks: Vec<Ask>,
    pub(super) seconds: f64,
    /// Of calls that were answered.
    pub(super) latency: Histogram<u64>,
}

/// Everybody joins, so many at a time.
///
/// # Errors
/// Where somebody is not told in a while where he stands.
pub(super) async fn joins(stage: &Stage, args: &WaitingRoomArgs, bar: &ProgressBar) -> Result<Joined> {
    let (next, begun) = (AtomicU32::new(0), Instant::now());
    let caller = async |number: u32| {
        let mut random = SmallRng::seed_from_u64(args.common.seed ^ (u64::from(number) << 32));
        let mut asks = Vec::new();
        loop {
            let who = next.fetch_add(1, Ordering::Relaxed);
            if who >= args.joined {
                return anyhow::Ok(asks);
            }
            one_joins(stage, who, &mut random, &mut asks).await?;
            bar.inc(1);
        }
    };
    let asks = try_join_all((0..args.in_flight).map(caller)).await?.concat();
    let seconds = begun.elapsed().as_secs_f64();
    let mut latency = latency_histogram();
    for ask in asks.iter().filter(|ask| ask.told != Told::Nothing) {
        latency.saturating_record(u64::try_from(ask.answered - ask.sent).unwrap_or_default());
    }
    Ok(Joined { asks, seconds, latency })
}

async fn one_joins(stage: &Stage, who: Who, random: &mut SmallRng, asks: &mut Vec<Ask>) -> Result<()> {
    let connection = random.random_range(0..stage.connections.count());
    match who % ONE_IN {
        7 => {
            let tabs = (0..TABS).map(|tab| stage.ask_until_told(connection + tab, who));
            for tab in join_all(tabs).await {
                asks.extend(tab?.0);
            }
            return Ok(());
        }
        13 => {
            let sent = now();
            let given_up = LOST_AFTER_MAX.mul_f64(random.random());
            match timeout(given_up, stage.ask(connection, who)).await {
                Ok(answered) => asks.push(answered?.0),
                Err(_) => asks.push(Ask { who, sent, answered: now(), told: Told::Nothing }),
            }
        }
        _ => {}
    }
    asks.extend(stage.ask_until_told(connection + 1, who).await?.0);
    Ok(())
}
