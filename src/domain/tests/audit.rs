//! Doctored books: each lie must be told.

use super::fixture::*;
use super::world::World;
use crate::domain::{
    Difference, JournalEntry, JournalKind, OrderRef, Reservation, ReservationBook, State, Subject, Timestamp,
};

/// A bit of everything.
fn books() -> (Vec<JournalEntry>, Vec<Reservation>) {
    let mut world = World::selling(&[("a", 20), ("b", 20)]);
    world.ok(reserve("ann", 1, &[("a", 2), ("b", 1)]));
    world.ok(reserve("ann", 2, &[("a", 2)]));
    world.ok(confirm("ann", 2, "o"));
    world.ok(reserve("bob", 3, &[("b", 4)]));
    world.ok(release("bob", 3));
    world.ok(buy("cid", 4, &[("a", 3)]));
    world.ok(cancel("cid", 4, &[("a", 1)]));
    world.ok(buy("cid", 5, &[("a", 1)]));
    world.pass(1);
    world.ok(cancel("cid", 5, &[]));
    world.ok(extend("ann", 1, secs(700)));
    (world.journal, world.reservations.into_values().collect())
}

/// (reservation, field) of each difference, in order.
fn differences(journal: &[JournalEntry], stored: &[Reservation]) -> Vec<(u128, &'static str)> {
    let passes = |count| {
        let mut found: Vec<Difference> = Vec::new();
        for pass in 0..count {
            let mut book = ReservationBook::new(pass, count);
            found.extend(journal.iter().filter_map(|entry| book.apply(entry)));
            stored.iter().for_each(|stored| book.compare(stored, &mut |difference| found.push(difference)));
            book.finish(&mut |difference| found.push(difference));
        }
        let of = |subject: &Subject| match subject {
            Subject::Reservation(id) => id.as_uuid().as_u128(),
            Subject::Event | Subject::Allocation(_) => 0,
        };
        let mut found: Vec<_> = found.iter().map(|found| (of(&found.subject), found.field)).collect();
        found.sort_unstable();
        found
    };
    let found = passes(1);
    assert_eq!(found, passes(3), "the number of passes does not matter");
    found
}

fn lie_in_the_table(number: u128, lie: impl FnOnce(&mut Reservation)) -> Vec<(u128, &'static str)> {
    let (journal, mut stored) = books();
    lie(stored.iter_mut().find(|stored| stored.id == id(number)).unwrap());
    differences(&journal, &stored)
}

fn lie_in_the_journal(
    kind: JournalKind,
    number: u128,
    lie: impl FnOnce(&mut Vec<JournalEntry>, usize),
) -> Vec<(u128, &'static str)> {
    let (mut journal, stored) = books();
    let of_it = |entry: &JournalEntry| {
        entry.kind == kind && entry.reservation.as_ref().is_some_and(|(of, _)| *of == id(number))
    };
    let index = journal.iter().position(of_it).unwrap();
    lie(&mut journal, index);
    differences(&journal, &stored)
}

#[test]
fn true_books_agree() {
    let (journal, stored) = books();
    assert_eq!(differences(&journal, &stored), []);
}

#[test]
fn a_reservation_that_one_side_lacks() {
    let (journal, mut stored) = books();
    let gone = stored.remove(0);
    assert_eq!(differences(&journal, &stored), [(1, "reservation")]);
    stored.insert(0, Reservation { id: id(99), ..gone.clone() });
    stored.insert(0, gone);
    assert_eq!(differences(&journal, &stored), [(99, "reservation")]);
}

#[test]
fn wrong_units_in_every_state() {
    let more = |stored: &mut Reservation| stored.lines[0].quantity += 1;
    assert_eq!(lie_in_the_table(1, more), [(1, "granted units"), (1, "held units")]);
    assert_eq!(lie_in_the_table(2, more), [(2, "granted units"), (2, "sold units")]);
    assert_eq!(lie_in_the_table(3, more), [(3, "granted units")]);
    assert_eq!(lie_in_the_table(4, |stored| stored.lines[0].cancelled = 0), [(4, "sold units")]);
    assert_eq!(lie_in_the_table(5, |stored| stored.lines[0].cancelled = 0), [(5, "sold units")]);
}

#[test]
fn units_of_the_wrong_allocation() {
    let moved = |stored: &mut Reservation| stored.lines[0].allocation = allocation("b");
    assert_eq!(lie_in_the_table(2, moved), [(2, "granted units"), (2, "sold units")]);
    let swapped = |stored: &mut Reservation| {
        stored.lines[0].allocation = allocation("b");
        stored.lines[1].allocation = allocation("a");
    };
    assert_eq!(lie_in_the_table(1, swapped), [(1, "granted units"), (1, "held units")]);
    let lie = |journal: &mut Vec<JournalEntry>, index: usize| journal[index].deltas[0].allocation = allocation("a");
    assert_eq!(lie_in_the_journal(JournalKind::Reserved, 3, lie), [(3, "granted units"), (3, "held units")]);
}

#[test]
fn another_state_owner_expiry_or_order() {
    assert_eq!(lie_in_the_table(3, |stored| stored.state = State::Expired), [(3, "state")]);
    assert_eq!(
        lie_in_the_table(1, |stored| stored.state = State::Confirmed),
        [(1, "held units"), (1, "sold units"), (1, "state")]
    );
    assert_eq!(lie_in_the_table(1, |stored| stored.owner = owner("bob")), [(1, "owner")]);
    assert_eq!(lie_in_the_table(1, |stored| stored.expires_at = Timestamp::from_micros(1)), [(1, "expires_at")]);
    assert_eq!(lie_in_the_table(4, |stored| stored.expires_at = Timestamp::from_micros(1)), [(4, "expires_at")]);
    assert_eq!(lie_in_the_table(3, |stored| stored.created_at = Timestamp::from_micros(1)), [(3, "created_at")]);
    assert_eq!(lie_in_the_table(5, |stored| stored.updated_at = Timestamp::from_micros(1)), [(5, "updated_at")]);
    assert_eq!(lie_in_the_table(2, |stored| stored.order_ref = None), [(2, "order_ref")]);
    assert_eq!(lie_in_the_table(3, |stored| stored.order_ref = OrderRef::new("x").ok()), [(3, "order_ref")]);
}

#[test]
fn what_happens_twice_or_out_of_turn() {
    let twice = |journal: &mut Vec<JournalEntry>, index: usize| {
        let again = journal[index].clone();
        journal.insert(index + 1, again);
    };
    assert!(lie_in_the_journal(JournalKind::Confirmed, 2, twice).contains(&(2, "state")));
    assert!(lie_in_the_journal(JournalKind::Released, 3, twice).contains(&(3, "state")));
    assert!(lie_in_the_journal(JournalKind::Reserved, 1, twice).contains(&(1, "state")));
    assert!(lie_in_the_journal(JournalKind::Sold, 4, twice).contains(&(4, "state")));
    let lost = |journal: &mut Vec<JournalEntry>, index: usize| drop(journal.remove(index));
    assert!(lie_in_the_journal(JournalKind::Reserved, 1, lost).contains(&(1, "state")));
    assert!(lie_in_the_journal(JournalKind::Sold, 4, lost).contains(&(4, "state")));
    assert!(lie_in_the_journal(JournalKind::Confirmed, 2, lost).contains(&(2, "state")));
    assert_eq!(lie_in_the_journal(JournalKind::Extended, 1, lost), [(1, "expires_at"), (1, "updated_at")]);
}

#[test]
fn an_entry_of_another_time() {
    let lie = |journal: &mut Vec<JournalEntry>, index: usize| journal[index].occurred_at = Timestamp::from_micros(1);
    assert_eq!(lie_in_the_journal(JournalKind::Reserved, 2, lie), [(2, "created_at")]);
    assert_eq!(lie_in_the_journal(JournalKind::Confirmed, 2, lie), [(2, "updated_at")]);
    assert_eq!(lie_in_the_journal(JournalKind::Sold, 4, lie), [(4, "created_at"), (4, "expires_at")]);
}

#[test]
fn an_entry_that_names_another_owner() {
    let lie = |journal: &mut Vec<JournalEntry>, index: usize| journal[index].reservation = Some((id(2), owner("bob")));
    assert_eq!(lie_in_the_journal(JournalKind::Confirmed, 2, lie), [(2, "owner")]);
}

/// The legal successions, and no other.
#[test]
fn a_reservation_takes_only_the_documented_ways() {
    use JournalKind::{Cancelled, Confirmed, Expired, Extended, Reacquired, Released, Reserved, Sold};
    let template = books().0.into_iter().find(|entry| entry.kind == Reserved).unwrap();
    let legal = |ways: &[JournalKind]| {
        let mut book = ReservationBook::new(0, 1);
        let entry = |kind: JournalKind| {
            let mut entry = JournalEntry { kind, deltas: Vec::new(), ..template.clone() };
            if matches!(kind, Confirmed | Sold | Reacquired) {
                entry.deltas =
                    template.deltas.iter().cloned().map(|delta| crate::domain::Delta { sold: 1, ..delta }).collect();
            }
            entry
        };
        ways.iter().all(|kind| book.apply(&entry(*kind)).is_none())
    };
    let to_state: [&[JournalKind]; 5] = [&[], &[Reserved], &[Sold], &[Reserved, Released], &[Reserved, Expired]];
    let next: [&[JournalKind]; 5] =
        [&[Reserved, Sold], &[Extended, Confirmed, Released, Expired], &[Cancelled], &[], &[Reacquired]];
    let all = [Reserved, Sold, Extended, Confirmed, Reacquired, Released, Expired, Cancelled];
    for (way, allowed) in to_state.into_iter().zip(next) {
        for kind in all {
            let mut longer = way.to_vec();
            longer.push(kind);
            assert_eq!(legal(&longer), allowed.contains(&kind), "{longer:?}");
        }
    }
}
