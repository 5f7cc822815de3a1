//! A line of people: in at the end, out anywhere, and the position of anybody in it, all in O(log n).
//!
//! Everybody has a ticket, numbered in the order of coming, and a slot. A Fenwick tree (P. Fenwick, "A new data structure for
//! cumulative frequency tables", 1994) over the slots counts who is still there before a given one. It grows with each ticket; once
//! more than half of the slots are empty, wherever they are, these are closed up.

use super::Who;

/// A line of fewer slots is not worth closing up; in tests nearly every one is.
const CLOSE_MIN: usize = if cfg!(test) { 8 } else { 1_024 };

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// The ticket of whoever comes next.
    next: u64,
    /// The ticket of each slot, in order.
    tickets: Vec<u64>,
    /// Who stands in each slot; nobody: he has left.
    slots: Vec<Option<Who>>,
    /// Counts of those who are there, as Fenwick's tree, counted from 1.
    tree: Vec<u32>,
    /// No slot before this one is taken.
    front: usize,
    len: u64,
}

impl Line {
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Adds somebody at the end. Returns his ticket.
    pub(super) fn push(&mut self, who: Who) -> u64 {
        let ticket = self.next;
        self.next += 1;
        self.tickets.push(ticket);
        self.slots.push(Some(who));
        self.append_to_tree();
        self.len += 1;
        ticket
    }

    /// Who holds a ticket.
    pub(super) fn who(&self, ticket: u64) -> Option<Who> {
        self.slots.get(self.slot(ticket)?).copied().flatten()
    }

    /// Takes somebody out.
    pub(super) fn remove(&mut self, ticket: u64) {
        let Some(slot) = self.slot(ticket) else { return };
        let Some(place) = self.slots.get_mut(slot) else { return };
        if place.take().is_none() {
            return;
        }
        let mut at = slot + 1;
        while let Some(count) = self.tree.get_mut(at - 1) {
            *count -= 1;
            at += at & at.wrapping_neg();
        }
        self.len -= 1;
        while self.slots.get(self.front).is_some_and(Option::is_none) {
            self.front += 1;
        }
        if self.slots.len() >= CLOSE_MIN && self.slots.len() as u64 > self.len * 2 {
            self.close_up();
        }
    }

    /// How many stand before the holder of a ticket.
    pub(super) fn before(&self, ticket: u64) -> u64 {
        let mut at = self.tickets.partition_point(|other| *other < ticket);
        let mut count = 0;
        while at > 0 {
            count += u64::from(self.tree[at - 1]);
            at -= at & at.wrapping_neg();
        }
        count
    }

    /// The first `count` tickets that are held.
    pub(super) fn heads(&self, count: usize) -> impl Iterator<Item = u64> {
        let slots = self.tickets.iter().zip(&self.slots).skip(self.front);
        slots.filter(|(_, who)| who.is_some()).map(|(ticket, _)| *ticket).take(count)
    }

    fn slot(&self, ticket: u64) -> Option<usize> {
        self.tickets.binary_search(&ticket).ok()
    }

    /// Counts the next slot, which is taken. Its node covers it and the nodes that Fenwick's scheme puts below it.
    fn append_to_tree(&mut self) {
        let at = self.tree.len() + 1;
        let (mut sum, mut step) = (1, 1);
        while step < at & at.wrapping_neg() {
            sum += self.tree[at - step - 1];
            step <<= 1;
        }
        self.tree.push(sum);
    }

    fn close_up(&mut self) {
        let taken = self.tickets.iter().zip(&self.slots).filter(|(_, who)| who.is_some());
        (self.tickets, self.slots) = taken.map(|(ticket, who)| (*ticket, *who)).unzip();
        self.front = 0;
        self.tree = Vec::with_capacity(self.slots.len());
        for _ in 0..self.slots.len() {
            self.append_to_tree();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn who(n: u64) -> Who {
        Who(u128::from(n).to_be_bytes())
    }

    proptest! {
        #[test]
        fn positions_are_those_of_a_list(steps in proptest::collection::vec((0..4_u8, any::<prop::sample::Index>()), 1..300)) {
            let (mut line, mut list) = (Line::default(), Vec::<u64>::new());
            for (step, index) in steps {
                match step {
                    0 | 1 => {
                        let expected = line.next;
                        prop_assert_eq!(line.push(who(expected)), expected);
                        list.push(expected);
                    }
                    _ if list.is_empty() => continue,
                    2 => line.remove(list.remove(index.index(list.len()))),
                    _ => line.remove(list.remove(0)),
                }
                prop_assert_eq!(line.len(), list.len() as u64);
                prop_assert_eq!(line.heads(3).collect::<Vec<_>>(), list.iter().copied().take(3).collect::<Vec<_>>());
                for (before, ticket) in list.iter().enumerate() {
                    prop_assert_eq!(line.before(*ticket), before as u64);
                    prop_assert_eq!(line.who(*ticket), Some(who(*ticket)));
                }
            }
        }
    }

    #[test]
    fn what_is_empty_is_closed_up_and_tickets_go_on() {
        let mut line = Line::default();
        let tickets: Vec<_> = (0..10_000).map(|n| line.push(who(n))).collect();
        tickets[..9_000].iter().for_each(|ticket| line.remove(*ticket));
        assert!(line.slots.len() <= 2_000, "{}", line.slots.len());
        assert_eq!((line.len(), line.before(9_500), line.who(9_999)), (1_000, 500, Some(who(9_999))));
        assert_eq!(line.push(who(10_000)), 10_000);
        line.remove(3);
        assert_eq!(line.before(10_000), 1_000, "an old ticket is nobody's");
        for _ in 0..2 {
            line.remove(9_600);
            assert_eq!((line.len(), line.before(10_000)), (1_000, 999), "nobody leaves twice");
        }
    }

    #[test]
    fn whoever_stays_at_the_front_does_not_keep_the_places_of_those_who_come_and_go_behind_him() {
        let mut line = Line::default();
        let first = line.push(who(0));
        for n in 1..100_000 {
            let ticket = line.push(who(n));
            assert_eq!(line.before(ticket), 1);
            line.remove(ticket);
        }
        assert!(line.slots.len() <= CLOSE_MIN && line.slots.capacity() <= 2 * CLOSE_MIN, "{}", line.slots.capacity());
        let last = line.push(who(100_000));
        assert_eq!((line.heads(3).collect::<Vec<_>>(), line.before(last)), (vec![first, last], 1));
    }
}
