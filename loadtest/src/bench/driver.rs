//! The closed loop: so many tasks, each of which calls again as soon as it was answered.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::report::{latency_histogram, record};

/// Not measured, at the beginning of each turn: connections open, caches fill.
pub const WARM_UP: Duration = Duration::from_millis(300);

/// What one task of a turn does over and over.
pub trait Work: Send + 'static {
    /// Calls once. Answers how many units of work (calls, or reservations of a batch) that was; `None`: there is nothing
    /// left to do, and the turn ends early.
    fn once(&mut self) -> impl Future<Output = Result<Option<u64>>> + Send;
}

/// What one turn of one measurement came to.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Units of work done in the time measured.
    pub units: u64,
    /// The time measured.
    pub seconds: f64,
    /// Of each call, in microseconds.
    pub latency: Histogram<u64>,
    /// Units of work done in all, the warm-up included.
    pub units_in_all: u64,
}

impl Turn {
    /// Units of work a second.
    pub fn rate(&self) -> f64 {
        self.units as f64 / self.seconds
    }
}

/// Runs one task for each of `works` for `length`, after a warm-up.
///
/// # Errors
/// Where a call fails that should not.
pub async fn run<W: Work>(works: Vec<W>, length: Duration) -> Result<Turn> {
    let from = Instant::now() + WARM_UP;
    let until = from + length;
    let span = Span { from, until, over: Arc::default(), begun: Arc::default() };
    let mut tasks = JoinSet::new();
    for work in works {
        tasks.spawn(repeat(work, span.clone()));
    }
    let mut turn = Turn { units: 0, seconds: length.as_secs_f64(), latency: latency_histogram(), units_in_all: 0 };
    let mut last = from;
    while let Some(done) = tasks.join_next().await {
        let share = done??;
        turn.units += share.units;
        turn.units_in_all += share.units_in_all;
        turn.latency.add(&share.latency)?;
        last = last.max(share.last);
    }
    turn.seconds = last.duration_since(from).as_secs_f64();
    ensure!(turn.units > 0, "nothing was done in the time measured: it is too short");
    Ok(turn)
}

/// The time measured.
#[derive(Clone)]
struct Span {
    from: Instant,
    until: Instant,
    /// Whether there is nothing left to do.
    over: Arc<AtomicBool>,
    /// Whether any call has ended in it.
    begun: Arc<AtomicBool>,
}

impl Span {
    /// Whether a call that ended then counts. Where no call ends in time, the first that ends does, and the time is so much longer.
    fn counts(&self, end: Instant, is_first_of_task: bool) -> bool {
        let in_time = end > self.from && end <= self.until;
        if in_time && is_first_of_task {
            self.begun.store(true, Ordering::Relaxed);
        }
        in_time || (end > self.until && !self.begun.swap(true, Ordering::Relaxed))
    }
}

/// What one task did.
struct Share {
    units: u64,
    units_in_all: u64,
    latency: Histogram<u64>,
    last: Instant,
}

async fn repeat<W: Work>(mut work: W, span: Span) -> Result<Share> {
    let Span { from, until, over, .. } = &span;
    let mut share = Share { units: 0, units_in_all: 0, latency: latency_histogram(), last: *from };
    let mut start = Instant::now();
    while !over.load(Ordering::Relaxed) {
        let Some(units) = work.once().await? else {
            over.store(true, Ordering::Relaxed);
            break;
        };
        let end = Instant::now();
        share.units_in_all += units;
        if span.counts(end, share.units == 0) {
            share.units += units;
            share.last = end;
            record(&mut share.latency, end - start);
        }
        if end > *until {
            break;
        }
        start = end;
    }
    Ok(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Naps(Option<u64>);

    impl Work for Naps {
        async fn once(&mut self) -> Result<Option<u64>> {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if let Some(left) = &mut self.0 {
                *left = match left.checked_sub(1) {
                    Some(left) => left,
                    None => return Ok(None),
                };
            }
            Ok(Some(2))
        }
    }

    #[tokio::test]
    async fn a_turn_counts_only_what_ended_in_the_time_measured() {
        let turn = run(vec![Naps(None), Naps(None)], Duration::from_millis(300)).await.unwrap();
        assert!((2..=120).contains(&turn.units), "{turn:?}");
        assert!(turn.units_in_all > turn.units, "the warm-up counts only there");
        assert!((turn.seconds <= 0.3 || turn.units == 2) && turn.latency.min() >= 9_000, "{turn:?}");
    }

    #[tokio::test]
    async fn a_turn_waits_for_a_call_that_takes_longer() {
        let turn = run(vec![Naps(None), Naps(None)], Duration::ZERO).await.unwrap();
        assert!(turn.units == 2 && turn.seconds > 0.0 && turn.latency.len() == 1, "{turn:?}");
    }

    #[tokio::test]
    async fn a_turn_ends_for_all_when_one_has_nothing_left() {
        let begun = Instant::now();
        let turn = run(vec![Naps(Some(40)), Naps(None)], Duration::from_secs(60)).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20) && turn.seconds < 20.0, "{turn:?}");
    }
}
