//! Random batches of commands by several owners, with a clock that moves: whatever comes, the books are in order, the
//! answers are those of the [`Reference`], and neither batching nor the sizes of bites nor what the usage table knows
//! makes a difference.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::reference::{Reference, Verdict};
use crate::domain::tests::fixture::*;
use crate::domain::tests::usage::Colliding;
use crate::domain::tests::world::World;
use crate::domain::{
    Action, AllocationPatch, ApplyEvent, CapacityMode, Changes, Command, Duration, EventConfig, EventPatch, Mode,
    OwnerId, ReservationId, Reserve, SalesState,
};

const OWNERS: [&str; 3] = ["ann", "bob", "cid"];
const ALLOCATIONS: [&str; 3] = ["a", "b", "c"];
const TTL_DEFAULT: Duration = Duration::from_secs(10);

/// `PROPTEST_CASES` of them, or few enough for every run.
fn cases(default: u32) -> Config {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { default };
    Config { cases, failure_persistence: None, ..Config::default() }
}

prop_state_machine! {
    #![proptest_config(cases(512))]

    #[test]
    fn no_sequence_of_batches_breaks_the_books(sequential 1..24 => Worlds);
}

/// What happens next: the clock moves on, and a batch comes.
#[derive(Debug, Clone)]
pub(super) struct Step {
    micros: i64,
    bite: usize,
    commands: Vec<Command>,
}

impl ReferenceStateMachine for Reference {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let limit = || option::of(1..9_i64);
        let pools = vec((0..14_i64, limit()), 2..4);
        (limit(), pools)
            .prop_map(|(limit_per_owner, pools)| {
                let ttl = EventConfig { hold_ttl_default: TTL_DEFAULT, hold_ttl_max: secs(30), ..config() };
                let mut setup = vec![create_event(EventConfig { limit_per_owner, ..ttl })];
                let pools = ALLOCATIONS.into_iter().zip(pools);
                setup.extend(pools.map(|(name, (capacity, limit))| create_allocation(name, capacity, limit)));
                let mut reference = Self::new();
                reference.run(&setup);
                reference
            })
            .boxed()
    }

    fn transitions(reference: &Self) -> BoxedStrategy<Step> {
        let batch = vec(command(reference), 0..7);
        (clock(reference), select(&[1, 2, 1000]), batch)
            .prop_map(|(micros, bite, commands)| Step { micros, bite, commands })
            .boxed()
    }

    fn apply(mut reference: Self, step: &Step) -> Self {
        reference.now = reference.now.plus(Duration::from_micros(step.micros));
        reference.run(&step.commands);
        reference
    }
}

/// How far the clock moves: often to the very moment of an expiry, or just before it.
fn clock(reference: &Reference) -> BoxedStrategy<i64> {
    let ahead = reference.claims.values().map(|claim| claim.expires_at.as_micros() - reference.now.as_micros());
    let mut moments: Vec<i64> = ahead.filter(|micros| *micros > 0).flat_map(|micros| [micros - 1, micros]).collect();
    moments.push(0);
    prop_oneof![3 => Just(0), 2 => 0..4_000_000_i64, 2 => select(moments)].boxed()
}

fn command(reference: &Reference) -> BoxedStrategy<Command> {
    let mut any = vec![
        (14, reserve_any(reference).boxed()),
        (if reference.claims.is_empty() { 1 } else { 12 }, change_any(reference).boxed()),
        (1, Just(sweep()).boxed()),
        (5, edit_any(reference).boxed()),
    ];
    if !reference.history.is_empty() {
        any.push((3, select(reference.history.clone()).boxed()));
    }
    proptest::strategy::Union::new_weighted(any).boxed()
}

/// A reservation that exists, with its owner mostly; or one that a command before in the batch may have made.
fn target(reference: &Reference) -> BoxedStrategy<(ReservationId, OwnerId)> {
    let next = u128::try_from(reference.claims.len()).unwrap();
    let anybodys = (0..next + 3, select(&OWNERS)).prop_map(|(number, name)| (id(number), owner(name)));
    let own: Vec<_> = reference.claims.iter().map(|(id, claim)| (*id, claim.owner.clone())).collect();
    if own.is_empty() { anybodys.boxed() } else { prop_oneof![1 => anybodys, 9 => select(own)].boxed() }
}

fn quantities(quantity: std::ops::Range<i64>) -> impl Strategy<Value = Vec<(&'static str, i64)>> {
    vec(option::weighted(0.6, quantity), 3).prop_map(|quantities| {
        let named = ALLOCATIONS.into_iter().zip(quantities);
        let mut lines: Vec<_> = named.filter_map(|(name, quantity)| Some((name, quantity?))).collect();
        if lines.is_empty() {
            lines.push(("a", 1));
        }
        lines
    })
}

fn reserve_any(reference: &Reference) -> impl Strategy<Value = Command> + use<> {
    let next = u128::try_from(reference.claims.len()).unwrap();
    let ttl = prop_oneof![4 => Just(None), 4 => (1..30_i64).prop_map(Some), 1 => (25..40_i64).prop_map(Some)];
    let asked = (quantities(1..5), ttl, any::<bool>(), option::weighted(0.15, select(&["o", "p"])));
    let replaces = option::weighted(if reference.claims.is_empty() { 0.02 } else { 0.3 }, target(reference));
    ((next * 2 / 3)..next + 6, select(&OWNERS), asked, replaces).prop_map(
        |(number, name, (wanted, ttl, up_to, order_ref), replaces)| {
            let actor = replaces.as_ref().map_or(owner(name), |(_, owner)| owner.clone());
            let request = Reserve {
                ttl: ttl.map(secs),
                mode: if up_to { Mode::UpTo } else { Mode::AllOrNothing },
                replaces: replaces.map(|(id, _)| id),
                order_ref: order_ref.map(order),
                ..request(number, &wanted)
            };
            ask(actor.as_str(), request)
        },
    )
}

fn change_any(reference: &Reference) -> impl Strategy<Value = Command> + use<> {
    let order_ref = select(&["o", "p"]);
    (target(reference), 0..10_u8, 1..40_i64, order_ref, quantities(1..5)).prop_map(
        |((id, owner), what, ttl, order, lines)| {
            let (number, name) = (id.as_uuid().as_u128(), owner.as_str());
            match what {
                0 | 1 => extend(name, number, secs(ttl)),
                2 => release(name, number),
                3 | 4 => confirm(name, number, order),
                5 | 6 => reacquire(name, number, order),
                7 => cancel(name, number, &[]),
                8 => cancel(name, number, &lines),
                _ => force_release(number),
            }
        },
    )
}

fn edit_any(reference: &Reference) -> BoxedStrategy<Command> {
    let versions = ALLOCATIONS.map(|name| reference.pools.get(&allocation(name)).map_or(1, |pool| pool.version));
    let event_version = reference.event_version();
    let expected =
        move |version: i64| prop_oneof![4 => Just(None), 3 => Just(Some(version)), 1 => Just(Some(version + 1))];
    let limit = || option::weighted(0.4, option::of(1..9_i64));
    let states = [SalesState::OnSale, SalesState::OnSale, SalesState::OnSale, SalesState::Paused];
    let state = option::weighted(0.6, prop_oneof![8 => select(states.to_vec()), 1 => select(&SalesState::ALL)]);
    let ttl_max = option::weighted(0.2, select(&[5_i64, 10, 30, 60]));
    let event =
        (expected(event_version), state, limit(), ttl_max).prop_map(|(expected, sales_state, limit, ttl_max)| {
            let hold_ttl_max = ttl_max.map(secs);
            update_event(
                expected,
                EventPatch { sales_state, limit_per_owner: limit, hold_ttl_max, ..EventPatch::default() },
            )
        });
    let pool = (0..3_usize, any::<bool>(), option::of(0..9_i64), limit()).prop_flat_map(
        move |(index, drain, capacity, limit)| {
            let mode = if drain { CapacityMode::Drain } else { CapacityMode::Strict };
            let patch = AllocationPatch { capacity, limit_per_owner: limit, ..AllocationPatch::default() };
            expected(versions[index])
                .prop_map(move |expected| update_allocation(ALLOCATIONS[index], expected, patch.clone(), mode))
        },
    );
    let moved = (0..3_usize, 1..3_usize, 1..4_i64, 0..6_i64).prop_map(move |(from, step, quantity, stale)| {
        let to = (from + step) % 3;
        let stale = i64::from(stale == 0);
        transfer((ALLOCATIONS[from], versions[from]), (ALLOCATIONS[to], versions[to] + stale), quantity)
    });
    let created = (select(&["b", "c"]), 0..5_i64, option::of(1..4_i64))
        .prop_map(|(name, capacity, limit)| create_allocation(name, capacity, limit));
    prop_oneof![3 => event, 5 => pool, 3 => moved, 1 => created, 3 => apply_any(reference)].boxed()
}

/// Several edits as one, of which any may be refused.
fn apply_any(reference: &Reference) -> impl Strategy<Value = Command> + use<> {
    let versions = ALLOCATIONS.map(|name| reference.pools.get(&allocation(name)).map_or(0, |pool| pool.version));
    let (before, event_version) = (reference.config(), reference.event_version());
    let expected = |version: i64| prop_oneof![6 => Just(None), 4 => Just(Some(version)), 1 => Just(Some(version + 1))];
    let pool = || option::weighted(0.7, (0..9_i64, option::of(1..9_i64)));
    let pools = (pool(), pool(), pool());
    let pools = (pools, (expected(versions[0]), expected(versions[1]), expected(versions[2])));
    let state = option::weighted(0.3, select(&SalesState::ALL));
    (state, option::of(1..9_i64), expected(event_version), pools, any::<(bool, bool)>()).prop_map(
        move |(sales_state, limit, expected, (pools, versions), (drain, validate_only))| {
            let mut config = before.clone().unwrap_or_else(config);
            config.sales_state = sales_state.unwrap_or(config.sales_state);
            config.limit_per_owner = limit;
            let named =
                ALLOCATIONS.into_iter().zip([(pools.0, versions.0), (pools.1, versions.1), (pools.2, versions.2)]);
            let targets =
                named.filter_map(|(name, (pool, version))| pool.map(|(units, limit)| (name, units, limit, version)));
            let targets: Vec<_> = targets.collect();
            let mode = if drain { CapacityMode::Drain } else { CapacityMode::Strict };
            apply_event(ApplyEvent { mode, validate_only, ..apply(config, expected, &targets) })
        },
    )
}

/// The same commands in three ways.
struct Worlds {
    /// In batches, with small bites, and a usage table whose owners nearly all share their cells.
    crowded: World<Colliding>,
    /// In batches, and everything that expired loaded at once.
    batched: World,
    /// One command at a time, and nothing known of usage.
    single: World,
}

impl StateMachineTest for Worlds {
    type SystemUnderTest = Self;
    type Reference = Reference;

    fn init_test(reference: &Reference) -> Self {
        let mut worlds = Self {
            crowded: World::empty(Colliding { values: 2 }),
            batched: World::empty(RandomState::new()),
            single: World::empty(RandomState::new()),
        };
        worlds.single.follows_usage = false;
        let setup = Step { micros: 0, bite: 1, commands: reference.history.clone() };
        Self::apply(worlds, reference, setup)
    }

    fn apply(mut worlds: Self, reference: &Reference, step: Step) -> Self {
        worlds.crowded.bite = step.bite;
        let commands = &step.commands;
        for outcomes in [
            advance(&mut worlds.crowded, &step, |world| world.run(commands)),
            advance(&mut worlds.batched, &step, |world| world.run(commands)),
            advance(&mut worlds.single, &step, |world| {
                commands.iter().map(|command| one_by_one(world, command)).collect()
            }),
        ] {
            let verdicts: Vec<Verdict> = outcomes.iter().map(Verdict::from).collect();
            assert_eq!(verdicts, reference.verdicts, "{commands:#?}");
        }
        let (batched, single) = (&worlds.batched, &worlds.single);
        assert_eq!(batched.journal, single.journal);
        assert_eq!((&batched.event, &batched.allocations), (&single.event, &single.allocations));
        assert_eq!(batched.reservations, single.reservations);
        worlds
    }

    fn check_invariants(worlds: &Self, _: &Reference) {
        worlds.crowded.audit_usage(false);
        worlds.batched.audit_usage(true);
        let drained = drain(worlds.batched.clone());
        assert!(drained.allocations.values().all(|found| found.held == 0), "something stays held");
    }
}

fn advance<S: BuildHasher + Clone, T>(world: &mut World<S>, step: &Step, run: impl FnOnce(&mut World<S>) -> T) -> T {
    world.now = world.now.plus(Duration::from_micros(step.micros));
    run(world)
}

/// Runs a command, and sees that it does nothing when it comes again, if what it asked for has been reached.
fn one_by_one(world: &mut World, command: &Command) -> crate::domain::Outcome {
    let outcome = world.one(command.clone());
    if outcome.is_ok() && !matches!(command.action, Action::TransferCapacity(_)) {
        let again = world.decide(std::slice::from_ref(command));
        assert_eq!(again.changes, Changes::default(), "{command:?}, done twice");
        if command.action != Action::ReclaimExpired {
            assert_eq!(Verdict::from(&again.outcomes[0]), Verdict::from(&outcome));
        }
    }
    outcome
}

/// When everything has been quiet for longer than any hold lives, the sweeper leaves nothing held.
fn drain(mut world: World) -> World {
    world.pass(3600);
    world.bite = 3;
    while world.ok(sweep()) != (crate::domain::Answer::Reclaimed { count: 0, more: false }) {}
    world
}

/// The random batches would show little if they did not come by every answer and refusal that depends on state.
#[test]
fn random_batches_reach_every_answer_and_refusal() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..200 {
        let mut reference = Reference::init_state().new_tree(&mut runner).unwrap().current();
        for _ in 0..20 {
            let step = Reference::transitions(&reference).new_tree(&mut runner).unwrap().current();
            reference = <Reference as ReferenceStateMachine>::apply(reference, &step);
            for verdict in &reference.verdicts {
                *seen.entry(name_of(verdict)).or_default() += 1;
            }
        }
    }
    let expected = "Allocation Event EtagMismatch Reclaimed Reservation Transferred AllHeld AllocationExists \
        AllocationNotFound AlreadyCancelled AlreadyConfirmed AlreadyReleased CancelTooMany CancelUnknownAllocation \
        CapacityBelowCommitted InsufficientAvailability NotConfirmed OwnerLimitExceeded ReservationExpired \
        ReservationIdReused ReservationNotFound SalesNotOpen SalesStateTransition SoldOut TtlDefaultAboveMax TtlTooLong";
    let rare: Vec<_> =
        expected.split_whitespace().filter(|name| seen.get(*name).is_none_or(|count| *count < 10)).collect();
    assert!(rare.is_empty(), "hardly ever: {rare:?} in {seen:#?}");
}

/// The first word of how it is shown.
fn name_of(verdict: &Verdict) -> String {
    let shown = if let Verdict::Refused(refusal) = verdict { format!("{refusal:?}") } else { format!("{verdict:?}") };
    shown.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default().to_owned()
}
