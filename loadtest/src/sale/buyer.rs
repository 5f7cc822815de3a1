//! What a buyer does: most buy, many dither, some retry, and a few are up to something.

use std::time::Duration;

use boxoffice_proto::v1::reservation::State;
use rand::Rng as _;
use rand::rngs::SmallRng;
use tokio::time::sleep;
use uuid::Uuid;

use super::caller::Caller;
use crate::clock::time_ordered_id;
use crate::history::{Action, Ask, Reason, Told, Units, View};

/// Owners from here on ask for reservations of others.
const INTRUDERS_FROM: u32 = 1 << 31;

/// What a buyer has in mind once he holds tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intent {
    Confirm,
    ConfirmTwice,
    ConfirmWithAnotherOrder,
    Refund,
    RefundPartly,
    Release,
    Abandon,
    ExtendAndConfirm,
    ConfirmTooLate,
    Reacquire,
    Replace,
    AskForMore,
}

/// How many of a hundred buyers have which intent.
const INTENTS: [(Intent, u32); 12] = [
    (Intent::Confirm, 42),
    (Intent::ConfirmTwice, 8),
    (Intent::ConfirmWithAnotherOrder, 3),
    (Intent::Refund, 7),
    (Intent::RefundPartly, 4),
    (Intent::Release, 10),
    (Intent::Abandon, 12),
    (Intent::ExtendAndConfirm, 4),
    (Intent::ConfirmTooLate, 2),
    (Intent::Reacquire, 2),
    (Intent::Replace, 3),
    (Intent::AskForMore, 3),
];

/// One buyer, his habits drawn from the seed.
pub(super) struct Buyer<'a> {
    caller: &'a mut Caller,
    owner: u32,
    random: SmallRng,
    limit: i32,
    hold: Duration,
}

impl<'a> Buyer<'a> {
    /// A buyer who may have `limit` tickets, each held for `hold`.
    pub(super) fn new(caller: &'a mut Caller, owner: u32, random: SmallRng, limit: i32, hold: Duration) -> Self {
        Self { caller, owner, random, limit, hold }
    }

    /// Buys, or tries to.
    pub(super) async fn visit(&mut self) {
        let id = time_ordered_id(&mut self.random);
        let sell_as = self.random.random_bool(0.03).then(|| order(id));
        let up_to = self.random.random_bool(0.1);
        let quantity = self.random.random_range(1..=self.limit);
        let ask = self.own(id, Action::Reserve { lines: hot(quantity), up_to, replaces: None, sell_as });
        let Some(view) = self.reserve(&ask).await else { return };
        if self.random.random_bool(0.05) {
            self.again(&ask).await;
        }
        if self.random.random_bool(0.04) {
            self.intrude(&ask).await;
        }
        if self.random.random_bool(0.3) {
            sleep(Duration::from_millis(self.random.random_range(0..300))).await;
        }
        let intent = self.intent();
        self.follow(id, intent, &view).await;
        if self.random.random_bool(0.05) {
            self.act(id, Action::Get).await;
        }
    }

    fn intent(&mut self) -> Intent {
        let mut left = self.random.random_range(0..INTENTS.iter().map(|(_, weight)| weight).sum());
        for (intent, weight) in INTENTS {
            match u32::checked_sub(left, weight) {
                Some(rest) => left = rest,
                None => return intent,
            }
        }
        Intent::Confirm
    }

    async fn follow(&mut self, id: Uuid, intent: Intent, view: &View) {
        match intent {
            Intent::Confirm => drop(self.confirm(id, false).await),
            Intent::ConfirmTwice => {
                let ask = self.own(id, confirmation(id, false));
                self.caller.ask_twice(&ask).await;
                self.again(&ask).await;
            }
            Intent::ConfirmWithAnotherOrder => {
                self.confirm(id, false).await;
                self.act(id, Action::Confirm { order_ref: format!("other-{id}"), reacquire: false }).await;
            }
            Intent::Refund => self.refund(id, Vec::new()).await,
            Intent::RefundPartly => self.refund(id, hot((view.quantity() / 2).max(1))).await,
            Intent::Release => self.release(id).await,
            Intent::Abandon => {}
            Intent::ExtendAndConfirm => {
                self.act(id, Action::Extend { ttl_seconds: 2 }).await;
                self.confirm(id, false).await;
            }
            Intent::ConfirmTooLate => self.confirm_after_expiry(id, false).await,
            Intent::Reacquire => self.confirm_after_expiry(id, true).await,
            Intent::Replace => self.replace(id).await,
            Intent::AskForMore => {
                let more = time_ordered_id(&mut self.random);
                let quantity = self.limit;
                self.act(more, Action::Reserve { lines: hot(quantity), up_to: false, replaces: None, sell_as: None })
                    .await;
                self.confirm(id, false).await;
            }
        }
    }

    /// Asks for a hold; where all are held, some wait a little and ask once more.
    async fn reserve(&mut self, ask: &Ask) -> Option<View> {
        let twice = self.random.random_bool(0.1);
        let mut told = if twice { self.caller.ask_twice(ask).await } else { self.caller.ask(ask).await };
        if told == Some(Told::Refused(Reason::AllHeld)) && self.random.random_bool(0.3) {
            sleep(Duration::from_millis(self.random.random_range(50..500))).await;
            told = self.caller.ask(ask).await;
        }
        granted(told)
    }

    async fn confirm(&mut self, id: Uuid, reacquire: bool) -> Option<View> {
        granted(self.act(id, confirmation(id, reacquire)).await)
    }

    async fn confirm_after_expiry(&mut self, id: Uuid, reacquire: bool) {
        sleep(self.hold + Duration::from_millis(self.random.random_range(0..500))).await;
        self.confirm(id, reacquire).await;
    }

    async fn refund(&mut self, id: Uuid, lines: Vec<Units>) {
        if self.confirm(id, false).await.is_none() {
            return;
        }
        let ask = self.own(id, Action::Cancel { lines });
        if self.random.random_bool(0.3) {
            self.caller.ask_twice(&ask).await;
        } else {
            self.caller.ask(&ask).await;
        }
        if self.random.random_bool(0.3) {
            self.again(&ask).await;
        }
    }

    async fn release(&mut self, id: Uuid) {
        let ask = self.own(id, Action::Release);
        if self.random.random_bool(0.3) {
            self.caller.ask_twice(&ask).await;
        } else {
            self.caller.ask(&ask).await;
        }
        if self.random.random_bool(0.2) {
            self.confirm(id, false).await;
        }
    }

    /// Changes the cart: another hold in place of this one; the old one stays if the new one is refused.
    async fn replace(&mut self, id: Uuid) {
        let new = time_ordered_id(&mut self.random);
        let quantity = self.random.random_range(1..=self.limit);
        let ask =
            self.own(new, Action::Reserve { lines: hot(quantity), up_to: false, replaces: Some(id), sell_as: None });
        let id = if self.reserve(&ask).await.is_some() { new } else { id };
        self.confirm(id, false).await;
    }

    /// Somebody else tries everything with an id that he should not know.
    async fn intrude(&mut self, ask: &Ask) {
        let id = ask.reservation;
        let attempts = [
            ask.action.clone(),
            Action::Get,
            confirmation(id, false),
            Action::Release,
            Action::Extend { ttl_seconds: 2 },
            Action::Cancel { lines: Vec::new() },
        ];
        for action in attempts {
            let ask = Ask { owner: INTRUDERS_FROM | self.owner, intruder: true, reservation: id, action };
            self.caller.ask(&ask).await;
        }
    }

    async fn again(&mut self, ask: &Ask) {
        self.caller.ask(ask).await;
    }

    async fn act(&mut self, id: Uuid, action: Action) -> Option<Told> {
        let ask = self.own(id, action);
        self.caller.ask(&ask).await
    }

    fn own(&self, reservation: Uuid, action: Action) -> Ask {
        Ask { owner: self.owner, intruder: false, reservation, action }
    }
}

fn granted(told: Option<Told>) -> Option<View> {
    match told? {
        Told::Shown(view) if matches!(view.state, State::Held | State::Confirmed) => Some(view),
        Told::Shown(_) | Told::Refused(_) | Told::Busy | Told::Unknown(_) | Told::Nonsense(_) => None,
    }
}

fn hot(count: i32) -> Vec<Units> {
    vec![Units { allocation: 0, count }]
}

fn confirmation(id: Uuid, reacquire: bool) -> Action {
    Action::Confirm { order_ref: order(id), reacquire }
}

fn order(id: Uuid) -> String {
    format!("order-{id}")
}
