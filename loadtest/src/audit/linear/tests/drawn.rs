//! Honest histories by chance: the model itself answers, one operation after the other, and the calls are then drawn out
//! around these moments so that they overlap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use boxoffice_proto::v1::reservation::State;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::fixture::expiry;
use crate::audit::linear::history::{
    Answer, Deed, Hint, History, NEVER, Operation, Request, Shown, Source, Transition,
};
use crate::audit::linear::model::{Availability, Judgement, Model, Truth};
use crate::clock::Micros;

/// What to draw.
#[derive(Debug, Clone)]
pub(super) struct Sketch {
    pub capacities: Vec<i64>,
    pub limit: Option<i64>,
    pub limit_each: Option<i64>,
    pub owners: usize,
    pub reservations: usize,
    /// Attempts of buyers and operators.
    pub calls: usize,
    /// Between two moments, at most.
    pub gap: Micros,
    /// From the moment to the beginning or the end of its call, at most.
    pub reach: Micros,
    /// How long a hold lives.
    pub ttl: Micros,
    pub hints: Hints,
    /// Of a hundred calls, those without an answer.
    pub unanswered: u32,
    /// Whether capacity changes.
    pub operators: bool,
}

/// What the journal says of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hints {
    True,
    Missing,
    Wrong,
}

/// Draws a history.
pub(super) fn draw(sketch: &Sketch, seed: u64) -> History {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut history = History {
        capacities: sketch.capacities.clone(),
        limit: sketch.limit,
        limit_each: sketch.limit_each,
        reservations: sketch.reservations,
        owners: sketch.owners,
        requests: requests(sketch, &mut random),
        operations: Vec::new(),
    };
    let deeds = history.clone();
    let mut model = Model::new(&deeds, Availability::Counted);
    let mut holds: BinaryHeap<Reverse<(Micros, usize)>> = BinaryHeap::new();
    let mut at = 1_000_000;
    for call in 0..sketch.calls {
        at += random.random_range(0..=sketch.gap);
        while let Some(&Reverse((expires, reservation))) = holds.peek()
            && expires <= at
        {
            holds.pop();
            let lapse = expiry(reservation, expires);
            if let Judgement::Changes(change) = model.judge(&lapse) {
                model.apply(change);
            }
            history.operations.push(lapse);
        }
        let deed = deed(sketch, &deeds, at, &mut random);
        let (answer, changes) = take(&mut model, &deed, at + sketch.ttl);
        if let Answer::Shown(Shown { state: State::Held, expires, .. }) = &answer
            && changes
        {
            holds.push(Reverse((*expires, reservation(&deeds, &deed))));
        }
        let (start, end) = (at - random.random_range(0..=sketch.reach), at + random.random_range(0..=sketch.reach));
        let hint: Hint = match sketch.hints {
            Hints::True => (at, 1, i64::try_from(call).unwrap()),
            Hints::Missing => (end, 2, 0),
            Hints::Wrong => (random.random_range(0..=at), 1, random.random_range(0..9)),
        };
        let mut operation = Operation { start, end, deed, answer, hint, source: Source::Call(call) };
        if matches!(operation.answer, Answer::Unknown(_)) {
            continue;
        }
        if random.random_range(0..100) < sketch.unanswered {
            if !changes {
                continue;
            }
            operation.end = NEVER;
            operation.answer = match operation.answer {
                Answer::Shown(shown) => Answer::Unknown(Some(shown)),
                _ => Answer::Unknown(None),
            };
        }
        history.operations.push(operation);
    }
    history.operations.extend(holds.into_iter().map(|Reverse((expires, reservation))| expiry(reservation, expires)));
    history
}

/// Two different requests for each reservation: the second is a misuse of its id, or of somebody else.
fn requests(sketch: &Sketch, random: &mut SmallRng) -> Vec<Request> {
    let mut requests = Vec::new();
    for reservation in 0..sketch.reservations {
        for variant in 0..2 {
            let stranger = variant == 1 && random.random_bool(0.5);
            let owner = (reservation + usize::from(stranger)) % sketch.owners;
            let lines = random.random_range(1..=sketch.capacities.len());
            let first = random.random_range(0..=sketch.capacities.len() - lines);
            let wishes: Vec<_> =
                (first..first + lines).map(|allocation| (allocation, random.random_range(1..=3))).collect();
            let own = reservation.checked_sub(sketch.owners).filter(|_| !stranger && random.random_bool(0.3));
            requests.push(Request {
                reservation,
                owner,
                wishes,
                up_to: random.random_bool(0.3),
                replaces: own,
                order: random.random_bool(0.1).then_some(reservation),
            });
        }
    }
    requests
}

fn deed(sketch: &Sketch, history: &History, at: Micros, random: &mut SmallRng) -> Deed {
    if sketch.operators && random.random_bool(0.1) {
        let allocation = random.random_range(0..sketch.capacities.len());
        let other = (allocation + 1) % sketch.capacities.len();
        return match other != allocation && random.random_bool(0.5) {
            true => Deed::Transfer { from: allocation, to: other, quantity: 1 },
            false => Deed::SetCapacity { allocation, capacity: random.random_range(0..4) },
        };
    }
    let reservation = random.random_range(0..sketch.reservations);
    let first = 2 * reservation;
    if random.random_bool(0.45) {
        let number = first + usize::from(random.random_bool(0.1));
        debug_assert!(number < history.requests.len());
        return Deed::Reserve { request: number };
    }
    let change = match random.random_range(0..10) {
        0..4 => {
            let order = if random.random_bool(0.9) { reservation } else { 99 };
            Transition::Confirm { order, reacquire: random.random_bool(0.3) }
        }
        4..6 => Transition::Release,
        6 => Transition::Extend { latest: at + 2 * sketch.ttl },
        7 => Transition::Cancel { targets: Vec::new() },
        8 => Transition::Cancel { targets: vec![(history.requests[first].wishes[0].0, 1)] },
        _ => Transition::Get,
    };
    Deed::Change { reservation, owner: reservation % sketch.owners, change }
}

/// Lets the model answer, and do it. Answers whether that changed anything.
fn take(model: &mut Model<'_>, deed: &Deed, expires: Micros) -> (Answer, bool) {
    let hold = Shown { state: State::Held, lines: Vec::new(), expires, order: None };
    let unanswered = Operation { answer: Answer::Unknown(Some(hold)), deed: deed.clone(), ..expiry(0, 0) };
    let answer = match model.truth(&unanswered) {
        Truth::Shown(shown) => Answer::Shown(shown),
        Truth::Refused(reason) => Answer::Refused(reason),
        Truth::Done => Answer::Done,
        Truth::BelowCommitted => Answer::BelowCommitted,
        // Such a request gets an answer that no history has.
        Truth::Invalid | Truth::Lapsed => Answer::Unknown(None),
    };
    match model.judge(&unanswered) {
        Judgement::Changes(change) => {
            model.apply(change);
            (answer, true)
        }
        Judgement::Idle | Judgement::Untrue => (answer, false),
    }
}

fn reservation(history: &History, deed: &Deed) -> usize {
    match deed {
        Deed::Reserve { request } => history.requests[*request].reservation,
        Deed::Change { reservation, .. } | Deed::Expire { reservation, .. } => *reservation,
        Deed::SetCapacity { .. } | Deed::Transfer { .. } => unreachable!("capacity holds nothing"),
    }
}
