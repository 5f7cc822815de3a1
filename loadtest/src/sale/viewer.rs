//! People who only look: some ask again and again, some follow the event. What they are shown is evidence, too.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use boxoffice_proto::v1::{Consistency, Event, GetEventRequest, WatchEventRequest, WatchEventResponse};
use tokio::time::{sleep, timeout};
use tonic::Streaming;

use super::Sale;
use super::progress::Progress;
use crate::audit::evidence::Shown;
use crate::clock::{Micros, now};
use crate::fetch;

/// Between two looks of one who asks.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How long a look, or the opening of a stream, may take.
const LOOK_WAIT_MAX: Duration = Duration::from_secs(5);
/// How often those who follow look up whether the sale is over.
const HEAR_INTERVAL: Duration = Duration::from_millis(100);
/// Most pages that went wrong which are told; all are counted.
const TOLD_MAX: usize = 10;

/// What those who looked were shown.
#[derive(Debug, Default)]
pub(super) struct Views {
    /// Of each event: the different states, each with the greatest age at which it was shown.
    pub shown: Vec<Vec<Shown>>,
    /// Of each event: what came in an order in which it must not come.
    pub disorder: Vec<Vec<String>>,
    /// Looks that were answered.
    pub looks: u64,
    /// Updates that came to those who follow.
    pub updates: u64,
    /// Looks and streams without an answer: a server or the database was away.
    pub failed: u64,
    /// Looks that showed an older state than the look before: allowed within the age that an answer may have, such as after a
    /// server was started again.
    pub went_back: u64,
    /// The greatest age at which anything was shown to those who ask, counted from when they asked.
    pub oldest: Micros,
}

impl Views {
    fn new(events: usize) -> Self {
        let (shown, disorder) = (vec![Vec::new(); events], vec![Vec::new(); events]);
        Self { shown, disorder, ..Self::default() }
    }

    /// Adds what somebody else was shown.
    fn add(&mut self, mut other: Self) {
        let (shown, disorder) = (std::mem::take(&mut other.shown), std::mem::take(&mut other.disorder));
        self.shown.iter_mut().zip(shown).for_each(|(all, more)| all.extend(more));
        self.disorder.iter_mut().zip(disorder).for_each(|(all, more)| all.extend(more));
        self.count(&other);
    }

    /// Adds the figures of others.
    pub(super) fn count(&mut self, other: &Self) {
        self.looks += other.looks;
        self.updates += other.updates;
        self.failed += other.failed;
        self.went_back += other.went_back;
        self.oldest = self.oldest.max(other.oldest);
    }
}

/// Lets so many look until the buyers have gone: half of them ask, half of them follow.
///
/// # Errors
/// Where an answer cannot be read.
pub(super) async fn look_on(sale: &Sale, viewers: u32, progress: &Progress) -> Result<Views> {
    let look = async |number: u32| {
        let viewer = Viewer::new(sale, number as usize, progress);
        if number.is_multiple_of(2) { viewer.ask().await } else { viewer.follow().await }
    };
    let all = futures::future::try_join_all((0..viewers).map(look)).await?;
    let mut views = Views::new(sale.events.len());
    all.into_iter().for_each(|one| views.add(one));
    Ok(views)
}

/// One who looks. The same state shown again is kept once.
struct Viewer<'a> {
    sale: &'a Sale,
    number: usize,
    progress: &'a Progress,
    views: Views,
    kept: HashMap<(usize, i64, i32), usize>,
}

impl<'a> Viewer<'a> {
    fn new(sale: &'a Sale, number: usize, progress: &'a Progress) -> Self {
        Self { sale, number, progress, views: Views::new(sale.events.len()), kept: HashMap::new() }
    }

    /// Looks at one event after the other, over the same connection.
    async fn ask(mut self) -> Result<Views> {
        let mut newest = vec![0; self.sale.events.len()];
        for turn in self.number.. {
            if self.progress.is_over() {
                break;
            }
            sleep(LOOK_INTERVAL).await;
            let event = turn % newest.len().max(1);
            let Some(names) = self.sale.events.get(event) else { break };
            let request = GetEventRequest { name: names.name.clone(), consistency: Consistency::Cached.into() };
            let asked = now();
            let mut client = self.sale.connections.inventory(self.number / 2);
            let Ok(Ok(answer)) = timeout(LOOK_WAIT_MAX, client.get_event(request)).await else {
                self.views.failed += 1;
                continue;
            };
            self.views.looks += 1;
            let seq = self.keep(event, &answer.into_inner(), Some(asked))?;
            if let Some(newest) = newest.get_mut(event) {
                self.views.went_back += u64::from(seq < *newest);
                *newest = seq.max(*newest);
            }
        }
        Ok(self.views)
    }

    /// Follows one event. Where the stream ends, it goes on from the newest state that came.
    async fn follow(mut self) -> Result<Views> {
        let event = self.number / 2 % self.sale.events.len().max(1);
        let mut newest = 0;
        for turn in self.number / 2.. {
            if self.progress.is_over() {
                break;
            }
            let Ok(Ok(mut stream)) = timeout(LOOK_WAIT_MAX, self.open(event, newest, turn)).await else {
                self.views.failed += 1;
                sleep(LOOK_INTERVAL).await;
                continue;
            };
            while !self.progress.is_over() {
                match timeout(HEAR_INTERVAL, stream.message()).await {
                    Err(_) => {}
                    Ok(Ok(Some(update))) => newest = self.heard(event, &update, newest)?,
                    Ok(Ok(None) | Err(_)) => {
                        self.views.failed += 1;
                        sleep(LOOK_INTERVAL).await;
                        break;
                    }
                }
            }
        }
        Ok(self.views)
    }

    async fn open(&self, event: usize, from_seq: i64, turn: usize) -> Result<Streaming<WatchEventResponse>> {
        let name = self.sale.events.get(event).map(|names| names.name.clone()).context("there is no such event")?;
        let mut client = self.sale.connections.inventory(turn);
        Ok(client.watch_event(WatchEventRequest { name, from_seq }).await?.into_inner())
    }

    fn heard(&mut self, event: usize, update: &WatchEventResponse, newest: i64) -> Result<i64> {
        let Some(state) = &update.event else { anyhow::bail!("an update without an event") };
        self.views.updates += 1;
        let seq = self.keep(event, state, None)?;
        if seq < newest
            && let Some(disorder) = self.views.disorder.get_mut(event).filter(|told| told.len() < TOLD_MAX)
        {
            disorder.push(format!("somebody who follows the event was shown change {seq} after {newest}"));
        }
        Ok(seq.max(newest))
    }

    /// Keeps a state; answers its number.
    fn keep(&mut self, event: usize, state: &Event, asked: Option<Micros>) -> Result<i64> {
        let names = self.sale.events.get(event).context("there is no such event")?;
        let counters = fetch::shown_counters(names, state);
        let (seq, age) = (counters.seq, asked.map(|asked| asked - counters.read_at));
        self.views.oldest = self.views.oldest.max(age.unwrap_or_default());
        let held = counters.allocations.iter().map(|counter| counter.held).fold(0_i32, i32::wrapping_add);
        let Some(shown) = self.views.shown.get_mut(event) else { return Ok(seq) };
        let place = *self.kept.entry((event, seq, held)).or_insert(shown.len());
        match shown.get_mut(place) {
            // Two truths of one moment are two states, of which the journal will deny one.
            Some(known) if known.counters.allocations == counters.allocations => {
                (known.age, known.asked) = (known.age.max(age), known.asked.max(asked));
            }
            _ => shown.push(Shown { counters, age, asked }),
        }
        Ok(seq)
    }
}
