//! Holds what buyers were told against what the store shows.

use std::collections::HashSet;

use super::way::Ledger;

/// What is wrong with a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Faults {
    /// Tickets sold beyond capacity, by what is written down or by what buyers were told, whichever is more.
    pub(super) oversold: u64,
    /// Units that are gone from sale and that no buyer was told of.
    pub(super) stranded: u64,
    /// Tickets that a buyer was told of and that are not written down.
    pub(super) lost: u64,
}

/// `told`: the numbers of the tries that were told that they bought a ticket.
pub(super) fn judge(capacity: i32, told: &[i64], ledger: &Ledger) -> Faults {
    let written: HashSet<_> = ledger.purchases.iter().collect();
    let kept = told.iter().filter(|number| written.contains(number)).count();
    let sold = ledger.purchases.len().max(told.len());
    // A counter that lost updates shows fewer than were sold: then those that are written down count.
    let gone = usize::try_from(ledger.taken).unwrap_or_default().max(ledger.purchases.len());
    Faults {
        oversold: sold.saturating_sub(usize::try_from(capacity).unwrap_or_default()) as u64,
        stranded: gone.saturating_sub(kept) as u64,
        lost: (told.len() - kept) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_buyers_were_told_is_held_against_what_is_written_down() {
        // What buyers were told, what the counter shows, what is written down; then oversold, stranded, lost.
        check("as it should be", (&[1, 2, 3], 3, &[1, 2, 3]), (0, 0, 0));
        check("not sold out", (&[1], 1, &[1]), (0, 0, 0));
        check("a lost update", (&[1, 2, 3, 4, 5], 2, &[1, 2, 3, 4, 5]), (2, 0, 0));
        check("an answer that did not arrive", (&[1, 3], 3, &[1, 2, 3]), (0, 1, 0));
        check("a counter that went on without a purchase", (&[1, 3], 3, &[1, 3]), (0, 1, 0));
        check("a counter that stays below zero", (&[1, 2, 3], 4, &[1, 2, 3]), (0, 1, 0));
        check("a purchase that is gone, and its unit with it", (&[1, 2, 3], 2, &[1, 2]), (0, 0, 1));
        check("a purchase that is gone, and sold once more", (&[1, 2, 3, 4], 3, &[1, 2, 4]), (1, 0, 1));
    }

    fn check(case: &str, seen: (&[i64], i64, &[i64]), wrong: (u64, u64, u64)) {
        let ((told, taken, purchases), (oversold, stranded, lost)) = (seen, wrong);
        let ledger = Ledger { taken, purchases: purchases.to_vec() };
        assert_eq!(judge(3, told, &ledger), Faults { oversold, stranded, lost }, "{case}");
    }
}
