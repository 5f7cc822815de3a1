//! A line of people: in at the end, out anywhere, and the position of anybody in it, all in O(log n).
//!
//! Everybody has a ticket, numbered in the order of coming. A Fenwick tree (P. Fenwick, "A new data structure for cumulative
//! frequency tables", 1994) over the tickets counts who is still there before a given one. It grows with each ticket; what
//! has become empty at the front is cut off when it is more than half.

use super::Who;

/// A line shorter than this is not worth cutting.
const CUT_MIN: usize = 1_024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// The ticket of the first slot.
    base: u64,
    /// Who holds each ticket from `base` on; nobody: he has left.
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
        self.slots.push(Some(who));
        self.append_to_tree(1);
        self.len += 1;
        self.base + (self.slots.len() - 1) as u64
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
        if self.front >= CUT_MIN && self.front * 2 > self.slots.len() {
            self.cut();
        }
    }

    /// How many stand before the holder of a ticket.
    pub(super) fn before(&self, ticket: u64) -> u64 {
        let mut at = self.slot(ticket).unwrap_or(0).min(self.slots.len());
        let mut count = 0;
        while at > 0 {
            count += u64::from(self.tree[at - 1]);
            at -= at & at.wrapping_neg();
        }
        count
    }

    /// The first `count` tickets that are held.
    pub(super) fn heads(&self, count: usize) -> impl Iterator<Item = u64> {
        let taken = (self.front..self.slots.len()).filter(|slot| self.slots[*slot].is_some());
        taken.take(count).map(|slot| self.base + slot as u64)
    }

    fn slot(&self, ticket: u64) -> Option<usize> {
        usize::try_from(ticket.checked_sub(self.base)?).ok()
    }

    /// The next node covers what is new and the nodes that Fenwick's scheme puts below it.
    fn append_to_tree(&mut self, count: u32) {
        let at = self.tree.len() + 1;
        let (mut sum, mut step) = (count, 1);
        while step < at & at.wrapping_neg() {
            sum += self.tree[at - step - 1];
            step <<= 1;
        }
        self.tree.push(sum);
    }

    fn cut(&mut self) {
        self.base += self.front as u64;
        self.slots.drain(..self.front);
        self.front = 0;
        self.slots.shrink_to(self.slots.len() * 2);
        self.tree = Vec::with_capacity(self.slots.capacity());
        for slot in 0..self.slots.len() {
            self.append_to_tree(u32::from(self.slots[slot].is_some()));
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
                        let expected = line.base + line.slots.len() as u64;
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
    fn what_is_empty_at_the_front_is_cut_off_and_tickets_go_on() {
        let mut line = Line::default();
        let tickets: Vec<_> = (0..10_000).map(|n| line.push(who(n))).collect();
        tickets[..9_000].iter().for_each(|ticket| line.remove(*ticket));
        assert!(line.slots.len() <= 3_000, "{}", line.slots.len());
        assert_eq!((line.len(), line.before(9_500), line.who(9_999)), (1_000, 500, Some(who(9_999))));
        assert_eq!(line.push(who(10_000)), 10_000);
        line.remove(3);
        assert_eq!(line.before(10_000), 1_000, "an old ticket is nobody's");
        for _ in 0..2 {
            line.remove(9_600);
            assert_eq!((line.len(), line.before(10_000)), (1_000, 999), "nobody leaves twice");
        }
    }
}
