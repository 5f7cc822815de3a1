//! Sends a buyer's requests, again and again until there is an answer, and records every attempt.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use rand::Rng as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep, timeout};

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
/// Far longer than any fault or restart lasts, so that it is none of these that kept a buyer from his answer.
const PATIENCE: Patience = Patience { attempts: 24, time: Duration::from_secs(60) };
/// Of who has given up once: the sale has failed, and should not take hours to say so.
const PATIENCE_IN_VAIN: Patience = Patience { attempts: 5, time: Duration::ZERO };
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
    patience: Patience,
}

/// When a buyer gives up: after so many attempts, and not before this time has passed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Patience {
    attempts: u32,
    time: Duration,
}

impl Caller {
    /// A caller without a history.
    pub(super) fn new(
        clients: [Inventory; 2],
        events: Arc<Vec<SaleEvent>>,
        habits: &'static Habits,
        random: SmallRng,
    ) -> Self {
        Self { clients, events, habits, random, calls: Vec::new(), patience: PATIENCE }
    }

    /// Whether he was ever never answered.
    pub(super) fn has_given_up(&self) -> bool {
        self.patience == PATIENCE_IN_VAIN
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
            let (answer, due) = (call.told.clone(), call.due);
            self.calls.push(call);
            told.push(if answer.is_final() { Some(answer) } else { self.insist(event, ask, due).await });
        }
        told
    }

    async fn ask_at_once(&mut self, event: usize, ask: &Ask, copies: u32, due: Option<Micros>) -> Option<Told> {
        let attempts: Vec<_> = (0..copies).map(|place| self.attempt(event, ask, place, due)).collect();
        let calls = join_all(attempts).await;
        let shown = calls.iter().find(|call| matches!(call.told, Told::Shown(_)));
        let best = shown.or_else(|| calls.iter().find(|call| call.told.is_final())).map(|call| call.told.clone());
        let first_due = calls.first().map_or_else(now, |call| call.due);
        self.calls.extend(calls);
        match best {
            Some(told) => Some(told),
            None => self.insist(event, ask, first_due).await,
        }
    }

    /// Asks again until there is an answer, or the buyer gives up, of which his last call tells. His clock runs on meanwhile: he has
    /// waited since his first attempt was due.
    async fn insist(&mut self, event: usize, ask: &Ask, first_due: Micros) -> Option<Told> {
        let begun = Instant::now();
        let mut attempt = 1;
        while attempt < self.patience.attempts || begun.elapsed() < self.patience.time {
            sleep(RETRY.pause(attempt, &mut self.random)).await;
            let call = self.attempt(event, ask, attempt, Some(first_due)).await;
            let told = call.told.clone();
            self.calls.push(call);
            if told.is_final() {
                return Some(told);
            }
            attempt += 1;
        }
        if let Some(last) = self.calls.last_mut() {
            last.gave_up_after = Some(attempt);
        }
        self.patience = PATIENCE_IN_VAIN;
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
    let call = |(ask, told): (&Ask, Told)| Call { event, ask: ask.clone(), due, start, end, told, gave_up_after: None };
    asks.iter().zip(told).map(call).collect()
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
    Call { event, ask, due: due.unwrap_or(start), start, end: now(), told, gave_up_after: None }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use uuid::Uuid;

    use super::*;
    use crate::client::Connections;
    use crate::history::Action;
    use crate::sale::habits::SALE;

    /// A caller whose server is not there.
    fn in_vain() -> Caller {
        let nobody = Connections::new(&["http://127.0.0.1:1".to_owned()], 1).unwrap().inventory(0);
        let events = Arc::new(vec![SaleEvent::named("nowhere")]);
        let mut caller = Caller::new([nobody.clone(), nobody], events, &SALE, SmallRng::seed_from_u64(1));
        caller.patience = Patience { attempts: 3, time: Duration::ZERO };
        caller
    }

    fn look() -> Ask {
        Ask { owner: 1, intruder: false, reservation: Uuid::nil(), action: Action::Get }
    }

    #[tokio::test]
    async fn whoever_tries_again_has_waited_since_his_first_attempt_was_due() {
        let mut caller = in_vain();
        caller.ask(0, &look(), Some(7)).await;
        assert!(caller.into_calls().iter().all(|call| call.due == 7));
        let mut caller = in_vain();
        caller.ask_all(0, &[look()], None).await;
        let calls = caller.into_calls();
        assert!(calls.len() == 3 && calls.iter().all(|call| call.due == calls[0].start), "{calls:?}");
    }

    #[tokio::test]
    async fn who_is_never_answered_gives_up_and_says_so() {
        let mut caller = in_vain();
        assert!(!caller.has_given_up());
        assert_eq!(caller.ask(0, &look(), None).await, None);
        assert!(caller.has_given_up());
        let calls = caller.into_calls();
        assert_eq!(calls.iter().map(|call| call.gave_up_after).collect::<Vec<_>>(), [None, None, Some(3)]);
    }
}
