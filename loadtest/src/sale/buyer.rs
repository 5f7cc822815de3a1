//! What a buyer does.

use std::time::Duration;

use boxoffice_proto::v1::reservation::State;
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::index;
use tokio::time::sleep;
use uuid::Uuid;

use super::caller::Caller;
use super::habits::{Habits, Intent};
use crate::clock::{Micros, now, time_ordered_id};
use crate::history::{Action, Ask, Line, Reason, Told, Units, View};

/// Owners from here on ask for reservations of others.
const INTRUDERS_FROM: u32 = 1 << 31;

/// How far from the expiry those come who come at the expiry.
const EDGE: Duration = Duration::from_millis(15);

/// What a buyer wants to buy, and how.
#[derive(Debug, Clone)]
pub(super) struct Errand {
    /// Who he is.
    pub owner: u32,
    /// The number of the event.
    pub event: usize,
    /// Allocations of it.
    pub allocations: usize,
    /// When he comes, where that was fixed in advance.
    pub due: Option<Micros>,
    /// Most units of one line.
    pub quantity_max: i32,
    /// How long a hold lives.
    pub hold: Duration,
}

/// One buyer, his doings drawn from the seed.
pub(super) struct Buyer<'a> {
    caller: &'a mut Caller,
    errand: Errand,
    habits: &'static Habits,
    random: SmallRng,
}

impl<'a> Buyer<'a> {
    /// A buyer who has not begun.
    pub(super) fn new(caller: &'a mut Caller, errand: Errand, habits: &'static Habits, random: SmallRng) -> Self {
        Self { caller, errand, habits, random }
    }

    /// Buys, or tries to.
    pub(super) async fn visit(&mut self) {
        if self.habits.parallel > 1 {
            return self.ask_for_much().await;
        }
        let ask = self.first_wish();
        let Some(view) = self.reserve(&ask, self.errand.due).await else { return };
        self.dither(&ask).await;
        if self.chance(self.habits.thinks) {
            sleep(self.habits.think_max.mul_f64(self.random.random())).await;
        }
        let intent = self.habits.intent(&mut self.random);
        self.follow(ask.reservation, intent, &view).await;
        if self.chance(self.habits.retries) {
            self.again(&ask).await;
        }
        if self.chance(self.habits.looks) {
            self.act(ask.reservation, Action::Get).await;
        }
    }

    /// Asks for many reservations at the same moment, more than he may have, and once more when some have come back.
    async fn ask_for_much(&mut self) {
        let mut due = self.errand.due;
        for _ in 0..2 {
            let asks: Vec<_> = (0..self.habits.parallel).map(|_| self.first_wish()).collect();
            let told = self.caller.ask_all(self.errand.event, &asks, due.take()).await;
            for (ask, told) in asks.iter().zip(told) {
                if let Some(view) = granted(told) {
                    self.dither(ask).await;
                    let intent = self.habits.intent(&mut self.random);
                    self.follow(ask.reservation, intent, &view).await;
                }
            }
        }
    }

    /// What some do with what they were granted, before they go on.
    async fn dither(&mut self, ask: &Ask) {
        if self.chance(self.habits.retries) {
            self.again(ask).await;
        }
        if self.chance(self.habits.mistakes) {
            self.ask_otherwise(ask).await;
        }
        if self.chance(self.habits.is_watched) {
            self.intrude(ask).await;
        }
    }

    fn first_wish(&mut self) -> Ask {
        let id = time_ordered_id(&mut self.random);
        let sell_as = self.chance(self.habits.sells_at_once).then(|| order(id));
        let up_to = self.chance(self.habits.up_to);
        let lines = self.wish();
        self.own(id, Action::Reserve { lines, up_to, replaces: None, sell_as })
    }

    /// Units of some of the allocations.
    fn wish(&mut self) -> Vec<Units> {
        let lines = self.random.random_range(1..=self.habits.lines_max.min(self.errand.allocations).max(1));
        let chosen = index::sample(&mut self.random, self.errand.allocations.max(1), lines);
        let most = self.errand.quantity_max;
        chosen.into_iter().map(|allocation| Units { allocation, count: self.random.random_range(1..=most) }).collect()
    }

    fn chance(&mut self, share: f64) -> bool {
        self.random.random_bool(share)
    }

    async fn follow(&mut self, id: Uuid, intent: Intent, view: &View) {
        match intent {
            Intent::Confirm => drop(self.confirm(id, false).await),
            Intent::ConfirmTwice => {
                let ask = self.own(id, confirmation(id, false));
                self.caller.ask_twice(self.errand.event, &ask, None).await;
                self.again(&ask).await;
            }
            Intent::ConfirmWithAnotherOrder => {
                self.confirm(id, false).await;
                self.act(id, Action::Confirm { order_ref: format!("other-{id}"), reacquire: false }).await;
            }
            Intent::Refund => self.refund(id, Vec::new()).await,
            Intent::RefundPartly => self.refund(id, half_of_first_line(view)).await,
            Intent::Release => self.release(id).await,
            Intent::ReleaseTooLate => {
                self.wait_until_expired().await;
                self.release(id).await;
            }
            Intent::Abandon => {}
            Intent::ExtendAndConfirm => {
                // For less than is left, or beyond the longest life.
                let hold = i64::try_from(self.errand.hold.as_secs()).unwrap_or_default();
                let ttl_seconds = if self.chance(0.5) { 1 } else { 2 * hold + 2 };
                self.act(id, Action::Extend { ttl_seconds }).await;
                self.confirm(id, false).await;
            }
            Intent::ConfirmTooLate => self.confirm_after_expiry(id, false).await,
            Intent::Reacquire => self.confirm_after_expiry(id, true).await,
            Intent::Replace => self.replace(id).await,
            Intent::AskForMore => {
                let mut more = self.first_wish();
                if let Action::Reserve { lines, .. } = &mut more.action {
                    lines.iter_mut().for_each(|units| units.count = self.errand.quantity_max);
                }
                self.again(&more).await;
                self.confirm(id, false).await;
            }
            Intent::ConfirmAtExpiry => {
                self.wait_for_expiry(view).await;
                self.confirm(id, false).await;
            }
            Intent::ReacquireAtExpiry => {
                self.wait_for_expiry(view).await;
                self.confirm(id, true).await;
            }
            Intent::ExtendAtExpiry => self.extend_at_expiry(id, view).await,
            Intent::ReleaseAtExpiry => {
                self.wait_for_expiry(view).await;
                self.release(id).await;
            }
        }
    }

    /// Asks for a hold; where all are held, or sales are paused, some wait a little and ask once more.
    async fn reserve(&mut self, ask: &Ask, due: Option<Micros>) -> Option<View> {
        let event = self.errand.event;
        let twice = self.random.random_bool(0.1);
        let mut told =
            if twice { self.caller.ask_twice(event, ask, due).await } else { self.caller.ask(event, ask, due).await };
        if matches!(told, Some(Told::Refused(Reason::AllHeld | Reason::SalesNotOpen))) && self.chance(self.habits.waits)
        {
            sleep(Duration::from_millis(self.random.random_range(50..500))).await;
            told = self.caller.ask(event, ask, None).await;
        }
        granted(told)
    }

    async fn extend_at_expiry(&mut self, id: Uuid, view: &View) {
        self.wait_for_expiry(view).await;
        if let Some(view) = granted(self.act(id, Action::Extend { ttl_seconds: 1 }).await) {
            self.wait_for_expiry(&view).await;
            self.confirm(id, false).await;
        }
    }

    /// Until shortly before or after the hold's end.
    async fn wait_for_expiry(&mut self, view: &View) {
        let edge = i64::try_from(EDGE.as_micros()).unwrap_or_default();
        let until = view.expires + self.random.random_range(-edge..=edge);
        sleep(Duration::from_micros(u64::try_from(until - now()).unwrap_or_default())).await;
    }

    async fn confirm(&mut self, id: Uuid, reacquire: bool) -> Option<View> {
        granted(self.act(id, confirmation(id, reacquire)).await)
    }

    async fn confirm_after_expiry(&mut self, id: Uuid, reacquire: bool) {
        self.wait_until_expired().await;
        self.confirm(id, reacquire).await;
    }

    async fn wait_until_expired(&mut self) {
        sleep(self.errand.hold + Duration::from_millis(self.random.random_range(0..500))).await;
    }

    async fn refund(&mut self, id: Uuid, lines: Vec<Units>) {
        if self.confirm(id, false).await.is_none() {
            return;
        }
        let ask = self.own(id, Action::Cancel { lines });
        if self.random.random_bool(0.3) {
            self.caller.ask_twice(self.errand.event, &ask, None).await;
        } else {
            self.caller.ask(self.errand.event, &ask, None).await;
        }
        if self.random.random_bool(0.3) {
            self.again(&ask).await;
        }
    }

    async fn release(&mut self, id: Uuid) {
        let ask = self.own(id, Action::Release);
        if self.random.random_bool(0.3) {
            self.caller.ask_twice(self.errand.event, &ask, None).await;
        } else {
            self.caller.ask(self.errand.event, &ask, None).await;
        }
        if self.random.random_bool(0.2) {
            self.confirm(id, false).await;
        }
    }

    /// Changes the cart: another hold in place of this one; the old one stays if the new one is refused.
    async fn replace(&mut self, id: Uuid) {
        let new = time_ordered_id(&mut self.random);
        let lines = self.wish();
        let ask = self.own(new, Action::Reserve { lines, up_to: false, replaces: Some(id), sell_as: None });
        let id = if self.reserve(&ask, None).await.is_some() { new } else { id };
        self.confirm(id, false).await;
    }

    /// Somebody else tries everything with an id that he should not know, last of all to have it replaced by a hold of his own.
    async fn intrude(&mut self, ask: &Ask) {
        let id = ask.reservation;
        let owner = INTRUDERS_FROM | self.errand.owner;
        let attempts = [
            ask.action.clone(),
            Action::Get,
            confirmation(id, false),
            Action::Release,
            Action::Extend { ttl_seconds: 2 },
            Action::Cancel { lines: Vec::new() },
        ];
        for action in attempts {
            let ask = Ask { owner, intruder: true, reservation: id, action };
            self.caller.ask(self.errand.event, &ask, None).await;
        }
        let action = Action::Reserve { lines: self.wish(), up_to: false, replaces: Some(id), sell_as: None };
        let ask = Ask { owner, intruder: true, reservation: time_ordered_id(&mut self.random), action };
        self.caller.ask(self.errand.event, &ask, None).await;
    }

    /// Asks for more than he has under the id of what he has.
    async fn ask_otherwise(&mut self, ask: &Ask) {
        let mut other = ask.clone();
        if let Action::Reserve { lines, up_to, .. } = &mut other.action {
            lines.iter_mut().for_each(|units| units.count += 1);
            *up_to = false;
        }
        self.again(&other).await;
    }

    async fn again(&mut self, ask: &Ask) {
        self.caller.ask(self.errand.event, ask, None).await;
    }

    async fn act(&mut self, id: Uuid, action: Action) -> Option<Told> {
        let ask = self.own(id, action);
        self.caller.ask(self.errand.event, &ask, None).await
    }

    fn own(&self, reservation: Uuid, action: Action) -> Ask {
        Ask { owner: self.errand.owner, intruder: false, reservation, action }
    }
}

fn granted(told: Option<Told>) -> Option<View> {
    match told? {
        Told::Shown(view) if matches!(view.state, State::Held | State::Confirmed) => Some(view),
        Told::Shown(_) | Told::Refused(_) | Told::Busy | Told::Unknown(_) | Told::Nonsense(_) => None,
    }
}

fn half_of_first_line(view: &View) -> Vec<Units> {
    let half = |line: &Line| Units { allocation: line.allocation, count: (line.quantity / 2).max(1) };
    view.lines.first().map(half).into_iter().collect()
}

fn confirmation(id: Uuid, reacquire: bool) -> Action {
    Action::Confirm { order_ref: order(id), reacquire }
}

fn order(id: Uuid) -> String {
    format!("order-{id}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::SeedableRng as _;

    use super::*;
    use crate::client::Connections;
    use crate::sale::habits::MIXED;

    /// What the first wishes of a buyer are, but for the ids, which hold the time.
    fn wishes(seed: u64) -> Vec<(Vec<Units>, bool, bool)> {
        let client = Connections::new(&["http://127.0.0.1:1".to_owned()], 1).unwrap().inventory(0);
        let clients = [client.clone(), client];
        let mut caller = Caller::new(clients, Arc::default(), &MIXED, SmallRng::seed_from_u64(seed));
        let errand =
            Errand { owner: 1, event: 0, allocations: 4, due: None, quantity_max: 4, hold: Duration::from_secs(1) };
        let mut buyer = Buyer::new(&mut caller, errand, &MIXED, SmallRng::seed_from_u64(seed));
        let wish = |ask: Ask| match ask.action {
            Action::Reserve { lines, up_to, sell_as, .. } => (lines, up_to, sell_as.is_some()),
            other => panic!("{other:?} is no wish"),
        };
        (0..50).map(|_| wish(buyer.first_wish())).collect()
    }

    #[tokio::test]
    async fn the_same_seed_gives_the_same_requests() {
        let first = wishes(1);
        assert_eq!(first, wishes(1));
        assert_ne!(first, wishes(2));
        let several = first.iter().filter(|(lines, ..)| lines.len() > 1).count();
        assert!(several > 10 && first.iter().any(|(_, up_to, _)| *up_to), "{first:?}");
    }
}
