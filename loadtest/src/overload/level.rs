//! One level of load: calls at times that are fixed in advance, however slow the server is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::{Code, Status};

use crate::bench::work::{Names, reserve_one};
use crate::client::{Connections, owned_by, reason};
use crate::clock::{Micros, now};
use crate::event::SaleEvent;
use crate::report::course::Traffic;
use crate::report::{latency_histogram, record};

/// Calls that wait for their answers at most. One that finds no place is not sent, and counted as that: it is not sent later.
const IN_FLIGHT_MAX: usize = 30_000;
/// How long a caller waits.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long the last ones are waited for beyond that.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// The width of what is plotted.
const INTERVAL: Micros = 250_000;

/// A level to be run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Calls a second.
    pub(super) rate: f64,
    /// What is not counted at its beginning.
    pub(super) settle: Duration,
    /// What is.
    pub(super) length: Duration,
    pub(super) seed: u64,
}

/// What it came to. Everything but `settling` is of the time that counts, by the moment when calls were due.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) seconds: f64,
    pub(super) due: u64,
    /// Of these, calls for which the generator had no place.
    pub(super) unsent: u64,
    pub(super) accepted: u64,
    /// Calls that were not, by the server's reasons.
    pub(super) refused: BTreeMap<String, u64>,
    /// Of those accepted, from when they were due.
    pub(super) latency: Histogram<u64>,
    /// The same of the time before.
    pub(super) settling: Histogram<u64>,
    /// Accepted in all, the time before included.
    pub(super) accepted_in_all: u64,
    /// Calls in all whose effect the generator does not know.
    pub(super) unknown_in_all: u64,
    /// How much later than due the generator was, at worst in microseconds.
    pub(super) late: Histogram<u64>,
}

impl Outcome {
    fn new(seconds: f64) -> Self {
        let [latency, settling, late] = std::array::from_fn(|_| latency_histogram());
        let (due, unsent, accepted, accepted_in_all, unknown_in_all, refused) = Default::default();
        Self { seconds, due, unsent, accepted, refused, latency, settling, accepted_in_all, unknown_in_all, late }
    }

    /// In words.
    pub(super) fn told(&self) -> String {
        let refused = self.refused.iter().map(|(reason, count)| format!(", {count} {reason}"));
        let unsent = if self.unsent > 0 { format!(", {} not sent", self.unsent) } else { String::new() };
        format!("{} due: {} accepted{}{unsent}", self.due, self.accepted, refused.collect::<String>())
    }

    /// Accepted calls a second.
    pub(super) fn goodput(&self) -> f64 {
        self.accepted as f64 / self.seconds
    }
}

/// Calls over the whole run, for the plot.
#[derive(Debug, Default)]
pub(super) struct Plotted {
    pub(super) begun: Micros,
    pub(super) traffic: Vec<Traffic>,
}

impl Plotted {
    /// From now on.
    pub(super) fn begin() -> Self {
        Self { begun: now(), traffic: Vec::new() }
    }

    fn add(&mut self, accepted: bool) {
        let index = (now() - self.begun) / INTERVAL;
        let index = usize::try_from(index).unwrap_or_default();
        while self.traffic.len() <= index {
            let at = Micros::try_from(self.traffic.len()).unwrap_or_default() * INTERVAL;
            self.traffic.push(Traffic { at, width: INTERVAL, ..Traffic::default() });
        }
        if let Some(interval) = self.traffic.get_mut(index) {
            if accepted { interval.granted += 1 } else { interval.failed += 1 }
        }
    }
}

struct Recorder {
    outcome: Mutex<(Outcome, Plotted)>,
    counted_from: Instant,
}

impl Recorder {
    fn record(&self, due: Instant, answer: Result<(), Status>) {
        let took = due.elapsed();
        let counts = due >= self.counted_from;
        let told = answer.map_err(|status| {
            let unknown = !matches!(status.code(), Code::Unavailable | Code::ResourceExhausted);
            (reason(&status).unwrap_or_else(|| format!("{:?}", status.code())), unknown)
        });
        let mut guard = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let (outcome, plotted) = &mut *guard;
        plotted.add(told.is_ok());
        match told {
            Ok(()) => {
                outcome.accepted_in_all += 1;
                outcome.accepted += u64::from(counts);
                let latency = if counts { &mut outcome.latency } else { &mut outcome.settling };
                record(latency, took);
            }
            Err((reason, unknown)) => {
                outcome.unknown_in_all += u64::from(unknown || reason == "STORE_UNAVAILABLE");
                if counts {
                    *outcome.refused.entry(reason).or_default() += 1;
                }
            }
        }
    }
}

/// Runs a level; what is to be plotted goes through it.
pub(super) async fn run(
    connections: &Connections,
    event: &SaleEvent,
    mut names: Names,
    plan: Plan,
    plotted: Plotted,
) -> (Outcome, Plotted) {
    let begin = Instant::now();
    let schedule = schedule(plan);
    let recorder = Arc::new(Recorder {
        outcome: Mutex::new((Outcome::new(plan.length.as_secs_f64()), plotted)),
        counted_from: begin + plan.settle,
    });
    let places = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let clients: Vec<_> = (0..connections.count()).map(|index| connections.inventory(index)).collect();
    let (mut due_count, mut unsent, mut late) = (0, 0, latency_histogram());
    for (due, client) in schedule.into_iter().zip(clients.iter().cycle()) {
        let due = begin + due;
        if due > Instant::now() {
            sleep_until(due).await;
        }
        let counts = due >= recorder.counted_from;
        due_count += u64::from(counts);
        record(&mut late, due.elapsed());
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            unsent += u64::from(counts);
            continue;
        };
        let mut request = owned_by(names.owner_value(), reserve_one(event, names.id()));
        request.set_timeout(DEADLINE);
        let (mut client, recorder) = (client.clone(), Arc::clone(&recorder));
        tokio::spawn(async move {
            // The client's own timer answers where the server does not.
            let answer = client.create_reservation(request).await;
            recorder.record(due, answer.map(drop));
            drop(place);
        });
    }
    // All places are free when all are answered.
    let all = u32::try_from(IN_FLIGHT_MAX).unwrap_or(u32::MAX);
    let _ = timeout(DEADLINE + DRAIN_MAX, places.acquire_many(all)).await;
    let mut guard = recorder.outcome.lock().unwrap_or_else(PoisonError::into_inner);
    let (outcome, plotted) = &mut *guard;
    let outcome = Outcome { due: due_count, unsent, late, ..outcome.clone() };
    (outcome, std::mem::take(plotted))
}

/// A Poisson process, over the time that settles and the time that counts.
fn schedule(plan: Plan) -> Vec<Duration> {
    let mut random = SmallRng::seed_from_u64(plan.seed);
    let whole = plan.settle + plan.length;
    let mut at = 0.0;
    std::iter::from_fn(|| {
        at -= (1.0 - random.random::<f64>()).ln() / plan.rate;
        Some(Duration::from_secs_f64(at))
    })
    .take_while(|at| *at < whole)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_as_many_as_asked_for_and_the_same_each_time() {
        let plan = Plan { rate: 1_000.0, settle: Duration::from_secs(2), length: Duration::from_secs(8), seed: 1 };
        let times = schedule(plan);
        assert!((9_600..=10_400).contains(&times.len()), "{}", times.len());
        assert!(times.is_sorted() && times == schedule(plan));
    }
}
