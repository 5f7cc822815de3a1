//! Causes one fault after another while a load runs, and leaves everything whole.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use super::proxy::Mode;
use super::{Fault, Fronts};
use crate::clock::now;
use crate::report::course::FaultMark;
use crate::server::{Children, PrivateRedis, Servers};

/// Owed kills come while so much of the load is done.
const KILLS_AT: RangeInclusive<f64> = 0.02..=0.9;
/// An owed kill comes up to so much later than its moment: in the midst of anything, not only when a piece of the load has just
/// been done.
const KILL_LATER_MAX: Duration = Duration::from_millis(20);
/// Between two faults, unless the scenario says otherwise.
const CALM: RangeInclusive<Duration> = Duration::from_millis(300)..=Duration::from_secs(2);
/// How closely the load is watched, and how often the servers are looked after.
const POLL: Duration = Duration::from_millis(1);
const WATCH_INTERVAL: Duration = Duration::from_millis(20);

/// How long faults last, and how slow a slow network is.
const SERVER_DOWN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_millis(300);
const DATABASE_DOWN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_millis(500);
const REPLIES_DROPPED: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_millis(500);
const PARTITIONED: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_millis(1_500);
const PAUSED: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_millis(1_500);
const DELAYED: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(2);
const DELAY_MIN: Duration = Duration::from_millis(5);
const DELAY_MAX: Duration = Duration::from_millis(50);

/// The load beside which a storm runs.
pub trait Load: Sync {
    /// How much of it is done, from 0.0 to 1.0. The storm ends at 1.0.
    fn done(&self) -> f64;

    /// Is told of each fault when it is over.
    fn struck(&self, _mark: &FaultMark) {}
}

impl<F: Fn() -> f64 + Sync> Load for F {
    fn done(&self) -> f64 {
        self()
    }
}

/// What is to go wrong.
#[derive(Debug)]
pub struct Storm {
    faults: Vec<Fault>,
    /// What is left of the present round: each fault of the list comes once in a round.
    round: Vec<Fault>,
    /// How far the load must be for each kill that is owed; the next one is the last.
    kills_at: Vec<f64>,
    calm: RangeInclusive<Duration>,
    pub(super) random: SmallRng,
}

impl Storm {
    /// A storm of these faults, again and again in random order; without any there is none. The same seed gives the same order,
    /// lengths and victims.
    pub fn new(faults: &[Fault], seed: u64) -> Self {
        let (faults, random) = (faults.to_vec(), SmallRng::seed_from_u64(seed));
        Self { faults, round: Vec::new(), kills_at: Vec::new(), calm: CALM, random }
    }

    /// So many kills of a server besides, exactly, spread at random over the load's progress.
    #[must_use]
    pub fn kills(mut self, kills: u32) -> Self {
        self.kills_at = (0..kills).map(|_| self.random.random_range(KILLS_AT)).collect();
        self.kills_at.sort_by(|one, other| other.total_cmp(one));
        self
    }

    /// How long all goes well between two faults, from and to.
    #[must_use]
    pub fn calm(mut self, calm: RangeInclusive<Duration>) -> Self {
        self.calm = calm;
        self
    }

    /// Rages until the load is done and no kill is owed, and answers what happened, with absolute times. A fault that is at work
    /// when the load is done ends early. Then all servers and databases run, and the network works.
    ///
    /// Where this is dropped before it answers, the network works and what was paused goes on; a server or a database that is
    /// down stays down.
    ///
    /// # Errors
    /// Where a server dies by itself, or what was killed does not come up again.
    pub async fn run(&mut self, servers: &mut Servers, fronts: &Fronts, load: &impl Load) -> Result<Vec<FaultMark>> {
        let mut marks = Vec::new();
        while let Some(fault) = self.next(servers, load).await? {
            let from = now();
            self.strike(fault, servers, fronts, load).await?;
            let mark = FaultMark { fault: fault.as_str(), from, to: now() };
            load.struck(&mark);
            marks.push(mark);
        }
        Ok(marks)
    }

    /// Watches over calm servers until it is time for the next fault. `None`: the load is done.
    async fn next(&mut self, servers: &mut Servers, load: &impl Load) -> Result<Option<Fault>> {
        let calm_until = Instant::now() + self.random.random_range(self.calm.clone());
        let mut looked_after = None;
        loop {
            if looked_after.is_none_or(|at: Instant| at.elapsed() >= WATCH_INTERVAL) {
                servers.check_alive()?;
                looked_after = Some(Instant::now());
            }
            let done = load.done();
            if self.kills_at.last().is_some_and(|at| done >= *at) {
                self.kills_at.pop();
                sleep(KILL_LATER_MAX.mul_f64(self.random.random())).await;
                return Ok(Some(Fault::KillServer));
            }
            if done >= 1.0 {
                return Ok(None);
            }
            if !self.faults.is_empty() && Instant::now() >= calm_until {
                return Ok(self.draw());
            }
            sleep(POLL).await;
        }
    }

    /// The next fault of this round, or the first of the next.
    fn draw(&mut self) -> Option<Fault> {
        if self.round.is_empty() {
            self.round.clone_from(&self.faults);
            self.round.shuffle(&mut self.random);
        }
        self.round.pop()
    }

    async fn strike(&mut self, fault: Fault, servers: &mut Servers, fronts: &Fronts, load: &impl Load) -> Result<()> {
        match fault {
            Fault::KillServer => self.kill_server(children(servers)?, load).await,
            Fault::Pause => self.pause_server(children(servers)?, load).await,
            Fault::KillDatabase => self.kill_database(servers, load).await,
            Fault::DropReplies => self.spoil(Mode::DropReplies, REPLIES_DROPPED, fronts, load).await,
            Fault::Partition => self.spoil(Mode::Partition, PARTITIONED, fronts, load).await,
            Fault::Delay => self.spoil(Mode::Delay { least: DELAY_MIN, most: DELAY_MAX }, DELAYED, fronts, load).await,
            Fault::FlushRedis => redis(servers)?.flush().await,
            Fault::KillRedis => self.kill_redis(redis(servers)?, load).await,
            Fault::PauseRedis => self.pause_redis(redis(servers)?, load).await,
            Fault::SlowRedis => self.slow_redis(redis(servers)?, load).await,
            Fault::FailOverRedis => self.fail_over_redis(redis(servers)?, load).await,
            Fault::FillRedis => self.fill_redis(redis(servers)?, load).await,
            Fault::GarbleRedis => self.garble_redis(redis(servers)?, load).await,
        }
    }

    /// Any server goes; the others go on.
    async fn kill_server(&mut self, children: &mut Children, load: &impl Load) -> Result<()> {
        let victim = self.random.random_range(0..children.count());
        let victim = children.server(victim)?;
        victim.kill().await?;
        self.last(SERVER_DOWN, load).await;
        victim.restart().await
    }

    async fn pause_server(&mut self, children: &mut Children, load: &impl Load) -> Result<()> {
        let victim = self.random.random_range(0..children.count());
        let _paused = children.server(victim)?.pause()?;
        self.last(PAUSED, load).await;
        Ok(())
    }

    async fn kill_database(&mut self, servers: &Servers, load: &impl Load) -> Result<()> {
        let Some(database) = servers.database() else { bail!("there is no PostgreSQL of the load test's own") };
        database.kill().await?;
        self.last(DATABASE_DOWN, load).await;
        database.start_again().await
    }

    /// The network to any server, or as often to all, is bad for a while.
    async fn spoil(
        &mut self,
        mode: Mode,
        length: RangeInclusive<Duration>,
        fronts: &Fronts,
        load: &impl Load,
    ) -> Result<()> {
        if fronts.count() == 0 {
            bail!("there is no proxy before the servers");
        }
        let one = self.random.random_bool(0.5).then(|| self.random.random_range(0..fronts.count()));
        let _imposed = fronts.impose(mode, one);
        self.last(length, load).await;
        Ok(())
    }

    /// Waits for a random time, or until the load is done.
    pub(super) async fn last(&mut self, length: RangeInclusive<Duration>, load: &impl Load) {
        let end = Instant::now() + self.random.random_range(length);
        while Instant::now() < end && load.done() < 1.0 {
            sleep(POLL.min(end - Instant::now())).await;
        }
    }
}

fn children(servers: &mut Servers) -> Result<&mut Children> {
    match servers {
        Servers::Children(children) => Ok(children),
        Servers::Running { url } => bail!("{url} is not the load test's own server"),
    }
}

fn redis(servers: &Servers) -> Result<&PrivateRedis> {
    servers.redis().context("there is no Redis of the load test's own")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULTS: [Fault; 4] = [Fault::KillServer, Fault::DropReplies, Fault::Delay, Fault::Pause];

    fn drawn(seed: u64) -> Vec<&'static str> {
        let mut storm = Storm::new(&FAULTS, seed);
        (0..40).map(|_| storm.draw().unwrap().as_str()).collect()
    }

    #[test]
    fn each_fault_comes_once_in_a_round_and_the_seed_tells_the_order() {
        let faults = drawn(1);
        for round in faults.chunks(FAULTS.len()) {
            assert!(FAULTS.iter().all(|fault| round.contains(&fault.as_str())), "{round:?}");
        }
        assert_ne!(faults[..4], faults[4..8], "rounds differ");
        assert_eq!(drawn(1), faults);
        assert_ne!(drawn(2), faults);
        assert_eq!(Storm::new(&[], 1).draw(), None);
    }

    #[test]
    fn kills_are_spread_over_the_load_and_the_next_is_the_last() {
        let kills_at = Storm::new(&[], 1).kills(50).kills_at;
        assert_eq!(kills_at.len(), 50);
        assert!(kills_at.iter().all(|at| KILLS_AT.contains(at)), "{kills_at:?}");
        assert!(kills_at.is_sorted_by(|one, other| one >= other), "{kills_at:?}");
        assert!(kills_at[0] > 0.5 && kills_at[49] < 0.3, "{kills_at:?}");
    }
}
