//! What the plots show adds up to what was recorded.

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use uuid::Uuid;

use super::{Course, FaultMark, Latencies, STOCK_POINTS_MAX, Stock, Traffic, round_width, stock, thinned};
use crate::audit::evidence::{Delta, Entry, Kind};
use crate::clock::{Micros, SECOND};
use crate::history::{Action, Ask, Call, Reason, Told};

/// When the recorded sales began.
const BEGUN: Micros = 1_700_000_000 * SECOND;
const SEEDS: std::ops::Range<u64> = 0..50;

fn entry(at: Micros, capacity: i32, held: i32, sold: i32) -> Entry {
    let delta = Delta { allocation: 0, capacity, held, sold };
    Entry {
        seq: 0,
        at,
        kind: Kind::Reserved,
        reservation: None,
        owner: String::new(),
        deltas: vec![delta],
        expires: None,
        order_ref: String::new(),
        on_sale: None,
    }
}

fn call(start: Micros, end: Micros, action: Action, told: Told) -> Call {
    let ask = Ask { owner: 1, intruder: false, reservation: Uuid::nil(), action };
    Call { event: 0, ask, due: start, start, end, told, gave_up_after: None }
}

/// A journal of `length` changes that go up and down at irregular times.
fn random_journal(random: &mut SmallRng, length: usize) -> Vec<Entry> {
    let mut at = BEGUN - SECOND;
    let mut journal = vec![entry(at, 1_000_000, 0, 0)];
    for _ in 0..length {
        at += random.random_range(0..10_000) * random.random_range(0..20);
        journal.push(entry(at, 0, random.random_range(-3..=4), random.random_range(-1..=3)));
    }
    journal
}

fn told(random: &mut SmallRng) -> Told {
    match random.random_range(0..5) {
        0 => Told::Refused(Reason::SoldOut),
        1 => Told::Refused(Reason::OwnerLimitExceeded),
        2 => Told::Busy,
        3 => Told::Unknown("gone".to_owned()),
        _ => Told::Nonsense("what".to_owned()),
    }
}

#[test]
fn the_stock_ends_as_the_journal_adds_up() {
    for seed in SEEDS {
        let journal = random_journal(&mut SmallRng::seed_from_u64(seed), 2_000);
        let course = Course::of("sale", [].iter(), journal.iter(), Vec::new());
        let (held, sold): (i64, i64) =
            (journal.iter().map(|e| i64::from(e.held())).sum(), journal.iter().map(|e| i64::from(e.sold())).sum());
        let last = course.stock.last().unwrap();
        assert_eq!((last.capacity, last.held, last.sold), (1_000_000, held, sold), "seed {seed}");
    }
}

#[test]
fn what_was_there_before_the_first_call_is_there_at_the_beginning() {
    let journal = [entry(BEGUN - 9, 100, 0, 0), entry(BEGUN - 8, 50, 0, 0), entry(BEGUN + 7, 0, 2, 0)];
    let calls = [call(BEGUN, BEGUN + 8, Action::Get, Told::Busy)];
    let course = Course::of("sale", calls.iter(), journal.iter(), Vec::new());
    let at = |at, held| Stock { at, capacity: 150, held, sold: 0 };
    assert_eq!((course.begun, course.stock), (BEGUN, vec![at(0, 0), at(7, 2)]));
}

#[test]
fn thinning_keeps_the_extremes_and_both_ends() {
    for seed in SEEDS {
        let mut random = SmallRng::seed_from_u64(seed);
        let length = random.random_range(1..20_000);
        let steps = stock::fold(random_journal(&mut random, length).iter(), BEGUN);
        let thin = thinned(&steps, STOCK_POINTS_MAX);
        assert!(thin.len() <= STOCK_POINTS_MAX, "seed {seed}: {}", thin.len());
        for of in [|stock: &Stock| stock.held, |stock: &Stock| stock.sold, Stock::taken] {
            assert_eq!(thin.iter().map(of).max(), steps.iter().map(of).max(), "seed {seed}");
        }
        assert_eq!((thin.first(), thin.last()), (steps.first(), steps.last()), "seed {seed}");
        assert!(thin.is_sorted_by_key(|stock| stock.at), "seed {seed}");
    }
}

#[test]
fn a_short_history_is_not_thinned() {
    let steps = stock::fold(random_journal(&mut SmallRng::seed_from_u64(1), 100).iter(), BEGUN);
    assert_eq!(thinned(&steps, STOCK_POINTS_MAX), steps);
}

#[test]
fn every_call_is_counted_in_one_interval() {
    for seed in SEEDS {
        let mut random = SmallRng::seed_from_u64(seed);
        let span = random.random_range(1..100 * SECOND);
        let calls: Vec<_> = (0..random.random_range(1..2_000))
            .map(|_| {
                let start = BEGUN + random.random_range(0..span);
                call(start, start + random.random_range(0..SECOND), Action::Release, told(&mut random))
            })
            .collect();
        let course = Course::of("sale", calls.iter(), [].iter(), Vec::new());
        assert_eq!(course.calls(), calls.len() as u64, "seed {seed}");
        let lacking: u64 = course.traffic.iter().map(|interval| interval.lacking).sum();
        assert_eq!(lacking, calls.iter().filter(|c| c.told == Told::Refused(Reason::SoldOut)).count() as u64);
        assert!(course.traffic.len() <= 120, "seed {seed}");
        assert!(course.traffic.windows(2).all(|pair| pair[0].at + pair[0].width == pair[1].at), "seed {seed}");
        assert!(course.span() >= calls.iter().map(|call| call.end).max().unwrap() - course.begun, "seed {seed}");
    }
}

#[test]
fn intervals_have_a_round_width() {
    for (span, width) in [(0, 1), (119, 1), (120, 2), (15 * SECOND, 200_000), (600 * SECOND, 10 * SECOND)] {
        assert_eq!(round_width(span), width, "{span}");
    }
}

#[test]
fn faults_are_counted_from_the_beginning() {
    let calls = [call(BEGUN, BEGUN + 5, Action::Get, Told::Busy)];
    let mark = FaultMark { fault: "kill", from: BEGUN + 2 * SECOND, to: BEGUN + 3 * SECOND };
    let course = Course::of("sale", calls.iter(), [].iter(), vec![mark]);
    assert_eq!(course.faults, [FaultMark { fault: "kill", from: 2 * SECOND, to: 3 * SECOND }]);
    assert_eq!(course.span(), 3 * SECOND);
}

#[test]
fn latencies_are_told_by_rpc_and_outcome_and_add_up_over_sales() {
    let refused = || Told::Refused(Reason::AllHeld);
    let one = [call(0, 100, Action::Release, Told::Busy), call(0, 900, Action::Release, refused())];
    let other = [call(0, 300, Action::Release, refused()), call(0, 5, Action::Get, refused())];
    let sum = Latencies::sum([&Latencies::of(one.iter()), &Latencies::of(other.iter())]);
    let told: Vec<_> = sum.rows().iter().map(|row| (row.rpc, row.outcome, row.count, row.max / 100)).collect();
    let rows = [
        ("GetReservation", "ALL_HELD", 1, 0),
        ("ReleaseReservation", "ALL_HELD", 2, 9),
        ("ReleaseReservation", "busy", 1, 1),
    ];
    assert_eq!(told, rows);
}

#[test]
fn a_course_is_empty_where_nothing_happened() {
    let course = Course::of("nothing", [].iter(), [].iter(), Vec::new());
    assert_eq!((course.calls(), course.stock, course.traffic), (0, Vec::<Stock>::new(), Vec::<Traffic>::new()));
}
