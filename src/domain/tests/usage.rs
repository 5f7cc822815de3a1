//! The table of owners' units: never too low, and exact while nothing collides.

use std::hash::{BuildHasher, Hasher, RandomState};

use super::fixture::*;
use super::world::World;
use crate::domain::{Delta, EventConfig, JournalEntry, JournalKind, UsageTable};

/// Maps everything to `values` fingerprints, so that owners share cells.
#[derive(Clone)]
pub(crate) struct Colliding {
    pub(crate) values: u64,
}

pub(crate) struct CollidingHasher(u64, u64);

impl BuildHasher for Colliding {
    type Hasher = CollidingHasher;

    fn build_hasher(&self) -> CollidingHasher {
        CollidingHasher(self.values, 0)
    }
}

impl Hasher for CollidingHasher {
    fn finish(&self) -> u64 {
        (self.1 % self.0) << 24
    }

    fn write(&mut self, bytes: &[u8]) {
        self.1 = bytes.iter().fold(self.1, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    }
}

fn limited() -> World {
    let mut world = World::with(EventConfig { limit_per_owner: Some(9), ..config() }, &[("a", 100), ("b", 100)]);
    world.ok(set_limit("a", Some(9)));
    world
}

#[test]
fn it_follows_every_way_of_units() {
    let mut world = limited();
    let told = |world: &mut World, command| {
        world.ok(command);
        world.audit_usage(true);
        let usage = world.usage();
        (usage.units_at_most(&owner("ann"), Some(&allocation("a"))), usage.units_at_most(&owner("ann"), None))
    };
    assert_eq!(told(&mut world, reserve("ann", 1, &[("a", 2), ("b", 1)])), (2, 3));
    assert_eq!(told(&mut world, reserve("bob", 2, &[("a", 5)])), (2, 3));
    assert_eq!(told(&mut world, confirm("ann", 1, "o")), (2, 3));
    assert_eq!(told(&mut world, cancel("ann", 1, &[("a", 1)])), (1, 2));
    assert_eq!(told(&mut world, buy("ann", 3, &[("b", 4)])), (1, 6));
    assert_eq!(told(&mut world, reserve("ann", 4, &[("a", 3)])), (4, 9));
    world.pass(600);
    assert_eq!(told(&mut world, sweep()), (1, 6));
    assert_eq!(told(&mut world, reacquire("ann", 4, "o")), (4, 9));
    assert_eq!(world.usage().as_of(), world.journal.last().unwrap().seq);
}

#[test]
fn what_came_back_leaves_no_entry() {
    let mut world = limited();
    world.ok(reserve("ann", 1, &[("a", 2)]));
    assert_eq!(world.usage().entries(), 2);
    world.ok(release("ann", 1));
    assert_eq!(world.usage().entries(), 0);
}

#[test]
fn without_limits_it_counts_nothing() {
    let mut world = World::selling(&[("a", 9)]);
    world.ok(reserve("ann", 1, &[("a", 2)]));
    assert_eq!(world.usage().entries(), 0);
}

/// How often the journal must be read again from its start.
fn restarts(journal: &[JournalEntry]) -> usize {
    let mut usage = UsageTable::new(RandomState::new());
    let mut restarts = 0;
    while let Some(entry) = journal.get(usize::try_from(usage.as_of()).unwrap()) {
        usage.apply(entry);
        restarts += usize::from(usage.as_of() == 0);
    }
    restarts
}

#[test]
fn a_limit_set_later_makes_it_start_again_and_one_set_at_creation_does_not() {
    let mut world = World::with(EventConfig { limit_per_owner: Some(9), ..config() }, &[]);
    for number in 0..20 {
        world.ok(create_allocation(&format!("a{number}"), 5, Some(2)));
    }
    assert_eq!(restarts(&world.journal), 0);
    let mut world = World::selling(&[("a", 9), ("b", 9)]);
    world.ok(reserve("ann", 1, &[("a", 2)]));
    world.ok(set_limit("a", Some(5)));
    assert_eq!(restarts(&world.journal), 1);
    world.audit_usage(true);
    world.ok(set_limit("a", None));
    world.ok(reserve("ann", 2, &[("a", 2)]));
    world.ok(set_limit("a", Some(6)));
    assert_eq!(restarts(&world.journal), 1, "a limit that was there before has been counted for all along");
    world.audit_usage(true);
    world.ok(set_event_limit(Some(6)));
    assert_eq!(restarts(&world.journal), 2);
    world.audit_usage(true);
}

#[test]
fn limits_that_were_foreseen_do_not_make_it_start_again() {
    let mut world = World::selling(&[("a", 9), ("b", 9)]);
    world.ok(reserve("ann", 1, &[("a", 2), ("b", 1)]));
    world.ok(set_limit("a", Some(5)));
    world.ok(set_event_limit(Some(6)));
    assert_eq!(restarts(&world.journal), 2);
    let mut usage = UsageTable::new(RandomState::new());
    world.journal.iter().for_each(|entry| usage.foresee_limits(entry));
    world.journal.iter().for_each(|entry| usage.apply(entry));
    let ann = owner("ann");
    let told = (usage.units_at_most(&ann, Some(&allocation("a"))), usage.units_at_most(&ann, None));
    assert_eq!((usage.as_of(), told), (world.journal.last().unwrap().seq, (2, 3)));
}

/// One entry that gives an owner `units` of the allocation that has a limit.
fn gain(seq: i64, name: &str, units: i64) -> JournalEntry {
    let mut world = World::empty(RandomState::new());
    world.ok(create_event(EventConfig { limit_per_owner: Some(1), ..config() }));
    world.ok(create_allocation("a", 1, None));
    world.ok(reserve(name, 1, &[("a", 1)]));
    let mut entry = world.journal.pop().unwrap();
    entry.deltas[0].held = units;
    JournalEntry { seq, ..entry }
}

#[test]
fn a_cell_that_overflows_never_comes_down() {
    const CELL_MAX: i64 = (1 << 24) - 1;
    let mut world = World::empty(RandomState::new());
    world.ok(create_event(EventConfig { limit_per_owner: Some(1), ..config() }));
    let mut usage = UsageTable::new(RandomState::new());
    usage.apply(&world.journal[0]);
    let ann = owner("ann");
    usage.apply(&gain(2, "ann", CELL_MAX - 1));
    assert_eq!(usage.units_at_most(&ann, None), CELL_MAX - 1);
    usage.apply(&gain(3, "ann", 1));
    assert_eq!(usage.units_at_most(&ann, None), i64::MAX);
    usage.apply(&gain(4, "ann", -CELL_MAX));
    assert_eq!(usage.units_at_most(&ann, None), i64::MAX);
    usage.apply(&gain(5, "bob", i64::MAX));
    assert_eq!(usage.units_at_most(&owner("bob"), None), i64::MAX);
}

#[test]
fn owners_that_share_a_cell_are_counted_too_high_and_refused_only_in_truth() {
    let mut world = World::empty(Colliding { values: 1 });
    world.ok(create_event(EventConfig { limit_per_owner: Some(2), ..config() }));
    world.ok(create_allocation("a", 9, Some(2)));
    for (number, name) in ["ann", "bob", "cid"].into_iter().enumerate() {
        world.ok(reserve(name, u128::try_from(number).unwrap(), &[("a", 2)]));
        world.audit_usage(false);
    }
    assert_eq!(world.usage().units_at_most(&owner("nobody"), None), 12, "two limits of three owners in one cell");
    assert_eq!(world.loads.1, 2);
    assert!(world.one(reserve("ann", 7, &[("a", 1)])).is_err());
    assert_eq!(world.journal.last().unwrap().kind, JournalKind::Reserved);
}

#[test]
fn many_owners_are_counted_beyond_the_size_at_which_cells_are_spread() {
    const OWNERS: i64 = 80_000;
    let mut table = UsageTable::new(RandomState::new());
    table.apply(&limited().journal[0]);
    let mut entry = limited().journal[0].clone();
    entry.kind = JournalKind::Reserved;
    entry.event = None;
    let mut change = |seq: i64, number: i64, held: i64| {
        entry.seq = seq;
        entry.reservation = Some((id(1), owner(&format!("owner-{number}"))));
        entry.deltas = vec![Delta { allocation: allocation("a"), capacity: 0, held, sold: 0 }];
        table.apply(&entry);
    };
    for number in 0..OWNERS {
        change(2 + number, number, 1 + number % 3);
    }
    for number in 0..OWNERS / 2 {
        change(2 + OWNERS + number, number, -(1 + number % 3));
    }
    let told = |number: i64| table.units_at_most(&owner(&format!("owner-{number}")), None);
    for number in 0..OWNERS {
        let truth = if number < OWNERS / 2 { 0 } else { 1 + number % 3 };
        assert!(told(number) >= truth, "owner {number} has {truth} and counts as {}", told(number));
    }
    // 40 bits tell these owners apart but for one pair in hundreds of such tables, which may share a cell.
    let entries = i64::try_from(table.entries()).unwrap();
    assert!((OWNERS / 2 - 2..=OWNERS / 2).contains(&entries), "{entries} entries for {} owners", OWNERS / 2);
}
