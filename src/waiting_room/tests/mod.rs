//! What a room must do, whatever happens, in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

mod calls;
mod crowd;

use super::*;

const START: Millis = 1_700_000_000_000;
const PEOPLE: u8 = 12;
const RULES: Rules =
    Rules { rate: 2, inside_max: 4, pass_millis: 20_000, grace_millis: 10_000, places_max: PLACES_MAX };

/// The `n`th of the people.
pub(super) fn who(n: u8) -> Who {
    Who([n; 16])
}

/// Something that happens.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Join(u8),
    Leave(u8),
    /// Everybody from the first to the second asks.
    All(u8, u8),
    Wait(Millis),
    Rate(i64),
    Cap(i64),
}

pub(super) fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let person = 0..PEOPLE;
    let step = prop_oneof![
        8 => person.clone().prop_map(Step::Join),
        2 => person.clone().prop_map(Step::Leave),
        3 => (person.clone(), person).prop_map(|(a, b)| Step::All(a, b)),
        6 => prop_oneof![1..400_i64, 1..3_000_i64, Just(10_000), 9_000..40_000_i64].prop_map(Step::Wait),
        1 => Just(crate::waiting_room::room::STANDSTILL_MAX + 7_000).prop_map(Step::Wait),
        1 => prop_oneof![Just(0), Just(1), Just(2), Just(40)].prop_map(Step::Rate),
        1 => (1..8_i64).prop_map(Step::Cap),
    ];
    proptest::collection::vec(step, 1..count)
}

/// Plays steps: each call that they make, with its moment and the rules.
pub(super) fn play(steps: &[Step], mut call: impl FnMut(Millis, u8, Ask, &Rules)) {
    let (mut now, mut rules) = (START, RULES);
    for step in steps {
        match *step {
            Step::Join(n) => call(now, n, Ask::Join, &rules),
            Step::Leave(n) => call(now, n, Ask::Leave, &rules),
            Step::All(from, to) => (from..=to).for_each(|n| call(now, n, Ask::Join, &rules)),
            Step::Wait(millis) => now += millis,
            Step::Rate(rate) => rules.rate = rate,
            Step::Cap(max) => rules.inside_max = max,
        }
    }
}

/// Rooms in a Redis that answers.
async fn rooms_in(url: &str) -> RedisRooms {
    use crate::redis::{Redis, RedisAddress, RedisConfig};
    let config = RedisConfig {
        address: RedisAddress::parse(url).unwrap(),
        timeout: std::time::Duration::from_secs(5),
        prefix: "test".to_owned(),
    };
    let rooms = RedisRooms::new(std::sync::Arc::new(Redis::start(config)));
    let probe = EventId::new("probe").unwrap();
    let begun = std::time::Instant::now();
    while let Err(error) = rooms.ask(&probe, who(0), Ask::Join, &RULES).await {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{error:?}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    rooms
}

/// The twin in Redis gives the same answers as the room in the process, whatever happens: numbers that are not whole to
/// within what a double loses on the way.
async fn plays_the_same(rooms: RedisRooms, histories: usize) {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for history in 0..histories {
        let event = EventId::new(&format!("history-{history}")).unwrap();
        let steps = steps(80).new_tree(&mut runner).unwrap().current();
        let mut calls = Vec::new();
        play(&steps, |now, n, ask, rules| calls.push((now, who(n), ask, *rules)));
        let first = calls.first().map_or((START, RULES), |call| (call.0, call.3));
        let mut room = Room::new(first.0, &first.1);
        for (index, (now, who, ask, rules)) in calls.into_iter().enumerate() {
            let local = room.ask(now, who, ask, &rules);
            let shared = rooms.ask_at(now, &event, who, ask, &rules).await.unwrap();
            let counts =
                |each: &Standing| (each.stand, each.born, each.facts.waiting, each.facts.inside, each.facts.observed);
            assert_eq!(counts(&shared), counts(&local), "history {history}, call {index}: {steps:?}");
            let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
            assert!(near(shared.facts.admitted, local.facts.admitted) && near(shared.facts.left, local.facts.left));
        }
    }
}

#[tokio::test]
async fn the_room_in_redis_is_the_same_room() {
    // By a user with the rights that are documented and no others.
    let documented = include_str!("../../../docs/redis.md").lines().find_map(|line| line.strip_prefix("    user "));
    let rights = documented.unwrap().replace("PASSWORD", "secret").replace("boxoffice:", "test:");
    let options = private_cluster::RedisOptions::default().setting("user", &rights);
    let server = tokio::task::spawn_blocking(move || private_cluster::Redis::start(&options)).await.unwrap().unwrap();
    plays_the_same(rooms_in(&format!("redis://tickets:secret@127.0.0.1:{}", server.port())).await, 25).await;
}

#[tokio::test]
async fn every_key_of_a_room_is_forgotten_in_time() {
    let start = || private_cluster::Redis::start(&private_cluster::RedisOptions::default());
    let server = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    let rooms = rooms_in(&server.url()).await;
    // One who joins and is let in, one who waits, and one who leaves where nobody ever was.
    let (shut, one) = (Rules { rate: 0, ..RULES }, Rules { rate: 1, ..RULES });
    for (id, ask, rules, keys) in [
        ("open", Ask::Join, one, ["room", "room-inside"].as_slice()),
        ("shut", Ask::Join, shut, &["room", "room-line", "room-seen"]),
        ("left", Ask::Leave, one, &["room"]),
    ] {
        rooms.ask(&EventId::new(id).unwrap(), who(1), ask, &rules).await.unwrap();
        for key in keys {
            let life = server.tell(&format!("PTTL test:{{{id}}}:{key}")).unwrap();
            assert!(life.parse::<i64>().unwrap() > 0, "{id} {key}: {life}");
        }
    }
}

#[tokio::test]
async fn the_rooms_of_a_redis_cluster_are_the_same_rooms() {
    let start = || private_cluster::RedisCluster::start(3, &private_cluster::RedisOptions::default());
    let cluster = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    plays_the_same(rooms_in(&format!("redis+cluster://127.0.0.1:{}", cluster.nodes()[0].port())).await, 8).await;
}

/// What an onlooker knows: who came when, who was let in until when.
#[derive(Default)]
struct Onlooker {
    inside: BTreeMap<u8, Millis>,
    admitted_at: Vec<Millis>,
    rate_max: i64,
    inside_max: i64,
}

impl Onlooker {
    fn see(&mut self, now: Millis, n: u8, ask: Ask, rules: &Rules, standing: &Standing) {
        self.rate_max = self.rate_max.max(rules.rate);
        self.inside_max = self.inside_max.max(rules.inside_max);
        self.inside.retain(|_, until| *until > now);
        match standing.stand {
            Stand::Gone => assert_eq!(ask, Ask::Leave),
            Stand::Full => panic!("there is room"),
            Stand::Waiting { position } => {
                assert!(1 <= position && position <= standing.facts.waiting, "{standing:?}");
                assert!(!self.inside.contains_key(&n), "who is inside does not wait");
            }
            Stand::Inside { until } => {
                if let Some(known) = self.inside.insert(n, until) {
                    assert_eq!(known, until, "a pass is not made longer");
                } else {
                    assert_eq!(until, now + rules.pass_millis, "it begins when it is fetched");
                    self.admitted_at.push(now);
                }
            }
        }
        if ask == Ask::Leave {
            self.inside.remove(&n);
        }
        let inside = i64::try_from(self.inside.len()).unwrap();
        assert!(inside <= self.inside_max, "{inside} inside");
        assert!(standing.facts.inside >= self.inside.len() as u64, "{standing:?}");
        // Whoever was called may come up to a grace time later, all at once: so over any window, what could be called in it
        // and in the grace time before.
        let window = 30_000;
        let lately = self.admitted_at.iter().filter(|at| **at > now - window).count();
        let called = (window + rules.grace_millis * 4) * self.rate_max / 1_000 + self.rate_max;
        assert!(i64::try_from(lately).unwrap() <= called, "{lately} let in");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_cap_and_rate_and_passes_hold(steps in steps(120)) {
        let mut room = Room::new(START, &RULES);
        let mut onlooker = Onlooker::default();
        play(&steps, |now, n, ask, rules| {
            let standing = room.ask(now, who(n), ask, rules);
            onlooker.see(now, n, ask, rules, &standing);
        });
    }

    /// People come at random, everybody asks every second, some stop asking, some come back: those who are let in are let in
    /// in the order of their tickets, and nobody who kept asking is passed over.
    #[test]
    fn who_keeps_asking_is_let_in_in_the_order_of_coming(
        comes in proptest::collection::vec((0..20_i64, 0..4_u8), 30),
        rate in 1..5_i64,
    ) {
        let rules = Rules { rate, inside_max: 1_000, ..RULES };
        let mut room = Room::new(START, &rules);
        let (mut came, mut let_in) = (Vec::new(), Vec::new());
        for second in 0..80 {
            let now = START + second * 1_000;
            for (n, (at, stays)) in (0..).zip(&comes) {
                // One in four vanishes after 3 s, and never asks again.
                let vanished = *stays == 0 && second > at + 3;
                if second < *at || vanished || let_in.contains(&n) {
                    continue;
                }
                if second == *at {
                    came.push(n);
                }
                // Ten tabs are one place.
                for _ in 0..10 {
                    if matches!(room.ask(now, who(n), Ask::Join, &rules).stand, Stand::Inside { .. }) && !let_in.contains(&n) {
                        let_in.push(n);
                    }
                }
            }
        }
        let stayed: BTreeSet<_> = (0..).zip(&comes).filter(|(_, (_, stays))| *stays > 0).map(|(n, _)| n).collect();
        prop_assert!(stayed.iter().all(|n| let_in.contains(n)), "all are in after a while");
        // Two who are called by the same call may fetch their passes in either order.
        let rank = |n: &u8| came.iter().position(|each| each == n).unwrap();
        for pair in let_in.windows(2) {
            let late = rank(&pair[0]).saturating_sub(rank(&pair[1]));
            prop_assert!(late <= 5, "{came:?} {let_in:?}");
        }
    }
}

fn position(standing: Standing) -> u64 {
    match standing.stand {
        Stand::Waiting { position } => position,
        other => panic!("{other:?}"),
    }
}

fn is_inside(standing: Standing) -> bool {
    matches!(standing.stand, Stand::Inside { .. })
}

/// A whole sale: people come in a crowd, one in ten gives up, those inside take a while. Nearly everybody must find that his
/// first estimate, as far as it told anything, held.
#[test]
fn estimates_come_true() {
    for (seed, rate, inside_max, stay) in [(1, 4, 1_000_000, 5_000), (2, 50, 30, 10_000), (3, 5, 12, 10_000)] {
        let rules = Rules { rate, inside_max, pass_millis: 120_000, grace_millis: 30_000, ..RULES };
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut room = Room::new(START, &rules);
        struct Person {
            comes: Millis,
            gives_up: Option<Millis>,
            told: Vec<(Millis, Estimate)>,
            inside: Option<Millis>,
            leaves: Millis,
        }
        let mut people: Vec<_> = (0..400)
            .map(|_| {
                let comes = START + chance.i64(0..60_000);
                let gives_up = (chance.u8(0..10) == 0).then(|| comes + chance.i64(0..120_000));
                Person { comes, gives_up, told: Vec::new(), inside: None, leaves: 0 }
            })
            .collect();
        for now in (0..900).map(|second| START + second * 1_000) {
            for (n, person) in (0_u128..).zip(&mut people) {
                let who = Who(n.to_be_bytes());
                let gone = person.gives_up.is_some_and(|at| at < now);
                if person.comes > now || (gone && person.inside.is_none()) {
                    continue;
                }
                if let Some(since) = person.inside {
                    if person.leaves == 0 {
                        person.leaves = since + chance.i64(stay / 2..stay * 2);
                    } else if person.leaves <= now && person.leaves > 0 {
                        room.ask(now, who, Ask::Leave, &rules);
                        person.leaves = Millis::MAX;
                    }
                    continue;
                }
                let standing = room.ask(now, who, Ask::Join, &rules);
                match standing.stand {
                    Stand::Inside { .. } => person.inside = Some(now),
                    Stand::Waiting { position } if person.told.len() < 200 => {
                        person.told.push((now, Estimate::of(position, &standing.facts, &rules)));
                    }
                    _ => {}
                }
            }
        }
        let (mut held, mut all, mut told, mut width) = (0_u32, 0_u32, 0_u32, 0.0);
        for person in people.iter().filter(|person| person.gives_up.is_none()) {
            let inside = person.inside.expect("all are let in");
            for (at, estimate) in person.told.iter().filter(|(at, _)| inside - at > 20_000) {
                let took = inside - at;
                all += 1;
                if let (Some(min), Some(max)) = (estimate.min, estimate.max) {
                    told += 1;
                    held += u32::from(min <= took + 1_000 && took <= max);
                    width += (max - min) as f64 / took as f64;
                }
            }
        }
        let (held, told, width) =
            (f64::from(held) / f64::from(told), f64::from(told) / f64::from(all), width / f64::from(told));
        eprintln!("rate {rate}, cap {inside_max}: {all} estimates, {told:.3} told, {held:.3} held, {width:.2} wide");
        assert!(told > 0.95 && held > 0.85 && width < 1.5, "{told} {held} {width}");
    }
}
