//! Sends a buyer's requests, again and again until there is an answer, and records every attempt.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use rand::Rng as _;
use rand::rngs::SmallRng;
use tokio::time::{sleep, timeout};

use super::habits::Habits;
use super::wire;
use crate::back_off::BackOff;
use crate::client::Inventory;
use crate::clock::{Micros, now};
use crate::event::SaleEvent;
use crate::history::{Ask, Call, Told};

/// How long an attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an attempt gets that is given up: the request may have reached the server, or not.
const GIVE_UP_AFTER_MAX: Duration = Duration::from_millis(3);
/// Attempts until a buyer gives up: with the back-off below, more than the longest restart of a server.
const ATTEMPTS_MAX: u32 = 120;
const RETRY: BackOff = BackOff { first: Duration::from_millis(10), longest: Duration::from_millis(500) };

/// One task's way to the servers.
pub(super) struct Caller {
    /// Two, on connections of their own (and to different servers, where there are several), so that duplicates can overtake
    /// each other, and that a retry may reach another server than the first attempt.
    clients: [Inventory; 2],
    events: Arc<Vec<SaleEvent>>,
    habits: &'static Habits,
    random: SmallRng,
    calls: Vec<Call>,
}

impl Caller {
    /// A caller without a history.
    pub(super) fn new(
        clients: [Inventory; 2],
        events: Arc<Vec<SaleEvent>>,
        habits: &'static Habits,
        random: SmallRng,
    ) -> Self {
        Self { clients, events, habits, random, calls: Vec::new() }
    }

    /// All attempts of all calls so far.
    pub(super) fn into_calls(self) -> Vec<Call> {
        self.calls
    }

    /// Asks until there is an answer, as the habits have it: perhaps several times at once. `None`: there was no answer for so
    /// long that the buyer gave up.
    pub(super) async fn ask(&mut self, event: usize, ask: &Ask, due: Option<Micros>) -> Option<Told> {
        let copies = self.random.random_range(1..=self.habits.copies_max.max(1));
        self.ask_at_once(event, ask, copies, due).await
    }

    /// Asks twice at the same time over two connections, as an impatient client does, and then until there is an answer.
    pub(super) async fn ask_twice(&mut self, event: usize, ask: &Ask, due: Option<Micros>) -> Option<Told> {
        self.ask_at_once(event, ask, self.habits.copies_max.max(2), due).await
    }

    /// Asks for different things at the same moment.
    pub(super) async fn ask_all(&mut self, event: usize, asks: &[Ask], due: Option<Micros>) -> Vec<Option<Told>> {
        let first = if self.random.random_bool(self.habits.batches) {
            let [client, _] = &self.clients;
            send_batch(client.clone(), &self.events, event, asks, due).await
        } else {
            let each = asks.iter().zip(0..).map(|(ask, place)| self.attempt(event, ask, place, due));
            join_all(each.collect::<Vec<_>>()).await
        };
        let mut told = Vec::with_capacity(asks.len());
        for (call, ask) in first.into_iter().zip(asks) {
            let answer = call.told.clone();
            self.calls.push(call);
            told.push(if answer.is_final() { Some(answer) } else { self.insist(event, ask).await });
        }
        told
    }

    async fn ask_at_once(&mut self, event: usize, ask: &Ask, copies: u32, due: Option<Micros>) -> Option<Told> {
        let attempts: Vec<_> = (0..copies).map(|place| self.attempt(event, ask, place, due)).collect();
        let calls = join_all(attempts).await;
        let shown = calls.iter().find(|call| matches!(call.told, Told::Shown(_)));
        let best = shown.or_else(|| calls.iter().find(|call| call.told.is_final())).map(|call| call.told.clone());
        self.calls.extend(calls);
        match best {
            Some(told) => Some(told),
            None => self.insist(event, ask).await,
        }
    }

    /// Asks again until there is an answer.
    async fn insist(&mut self, event: usize, ask: &Ask) -> Option<Told> {
        for attempt in 1..ATTEMPTS_MAX {
            sleep(RETRY.pause(attempt, &mut self.random)).await;
            let call = self.attempt(event, ask, attempt, None).await;
            let told = call.told.clone();
            self.calls.push(call);
            if told.is_final() {
                return Some(told);
            }
        }
        None
    }

    /// One attempt, over the connection whose turn it is.
    fn attempt(
        &mut self,
        event: usize,
        ask: &Ask,
        place: u32,
        due: Option<Micros>,
    ) -> impl Future<Output = Call> + use<> {
        let [first, second] = &self.clients;
        let client = if place.is_multiple_of(2) { first } else { second }.clone();
        let gives_up = self.habits.gives_up > 0.0 && self.random.random_bool(self.habits.gives_up);
        let share = self.random.random_range(0.0..1.0);
        let patience = if gives_up { GIVE_UP_AFTER_MAX.mul_f64(share) } else { ATTEMPT_TIMEOUT };
        send(client, Arc::clone(&self.events), event, ask.clone(), patience, due)
    }
}

async fn send_batch(
    client: Inventory,
    events: &[SaleEvent],
    event: usize,
    asks: &[Ask],
    due: Option<Micros>,
) -> Vec<Call> {
    let start = now();
    let told = match events.get(event) {
        Some(names) => timeout(ATTEMPT_TIMEOUT, wire::ask_batch(client, names, asks)).await,
        None => Ok(vec![Told::Nonsense(format!("there is no event {event}")); asks.len()]),
    };
    let told = told.unwrap_or_else(|_| vec![Told::Unknown("no answer in time".to_owned()); asks.len()]);
    let (due, end) = (due.unwrap_or(start), now());
    asks.iter().zip(told).map(|(ask, told)| Call { event, ask: ask.clone(), due, start, end, told }).collect()
}

async fn send(
    client: Inventory,
    events: Arc<Vec<SaleEvent>>,
    event: usize,
    ask: Ask,
    patience: Duration,
    due: Option<Micros>,
) -> Call {
    let start = now();
    let told = match events.get(event) {
        Some(names) => timeout(patience, wire::ask(client, names, &ask)).await,
        None => Ok(Told::Nonsense(format!("there is no event {event}"))),
    };
    let told = told.unwrap_or_else(|_| Told::Unknown("no answer in time".to_owned()));
    Call { event, ask, due: due.unwrap_or(start), start, end: now(), told }
}
