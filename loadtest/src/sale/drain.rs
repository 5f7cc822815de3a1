//! Waits until everything that was held has come back.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::{Sale, patience};
use crate::audit::evidence::{Counters, Entry};
use crate::clock::Micros;
use crate::fetch;

/// How often to look.
pub(super) const POLL: Duration = Duration::from_millis(250);
/// Looks before patience can be at its end, where nothing lives: where a machine has much else to do, time passes in which the
/// server cannot do anything, but a server that has answered so often was not left without a processor.
const LOOKS_MIN: u32 = 8;
/// Where holds still live, patience begins again, and ends for good after so many times its length.
const PATIENCES_MAX: u32 = 4;

/// Looks at what is held until nothing is. Answers how many units are when `patience` is at its end though nothing may hold them
/// any more, of each event, and how long it took. A hold that still lives is waited for: it may come of a request that was long
/// under way. Where no server looks for lapsed holds (`swept` is false), the journal tells of their end only when their units are
/// needed, and only the counters count.
///
/// # Errors
/// Where the server does not answer for so long.
pub(super) async fn drain(sale: &Sale, swept: bool, patience: Duration) -> Result<(Vec<i32>, Duration)> {
    let (mut admin, mut inventory) = (sale.connections.admin(0), sale.connections.inventory(0));
    let begun = Instant::now();
    let mut overdue = Vec::with_capacity(sale.events.len());
    for event in sale.events.iter() {
        let mut journal = Vec::new();
        let mut wait = Wait::new(patience);
        overdue.push(loop {
            let look = async || {
                let look_begun = begun.elapsed();
                let counters = fetch::counters(&mut inventory, event).await?;
                fetch::extend_journal(&mut admin, event, &mut journal).await?;
                Ok((look_begun, counters))
            };
            let (look_begun, counters) = patience::read(patience, look).await?;
            let held = Held::of(&journal, &counters);
            if held.is_nothing(swept) || wait.is_over(look_begun, held.live) {
                break held.overdue(swept);
            }
            sleep(POLL).await;
        });
    }
    Ok((overdue, begun.elapsed()))
}

/// Units that are held at one moment.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    /// As the counters have it.
    counted: i32,
    /// In holds that live.
    live: i32,
    /// In holds that have lapsed, but not in the journal.
    lapsed: i32,
}

impl Held {
    /// The journal may go on after the counters were read, and must not end before.
    fn of(journal: &[Entry], counters: &Counters) -> Self {
        let mut holds: HashMap<_, (i32, Micros)> = HashMap::new();
        for entry in journal.iter().take_while(|entry| entry.seq <= counters.seq) {
            let Some(id) = entry.reservation else { continue };
            let (units, expires) = holds.entry(id).or_default();
            *units += entry.held();
            *expires = entry.expires.unwrap_or(*expires);
        }
        let (mut live, mut lapsed) = (0, 0);
        for (units, expires) in holds.into_values() {
            *(if expires > counters.read_at { &mut live } else { &mut lapsed }) += units;
        }
        Self { counted: counters.allocations.iter().map(|counter| counter.held).sum(), live, lapsed }
    }

    /// Units that nothing may hold any more.
    fn overdue(&self, swept: bool) -> i32 {
        let counted = (self.counted - self.live).max(0);
        if swept { counted.max(self.lapsed) } else { counted }
    }

    fn is_nothing(&self, swept: bool) -> bool {
        self.live <= 0 && self.overdue(swept) == 0
    }
}

/// How long to wait.
struct Wait {
    patience: Duration,
    /// When something lived, last.
    lived_at: Duration,
    /// Looks since then.
    looks: u32,
}

impl Wait {
    fn new(patience: Duration) -> Self {
        Self { patience, lived_at: Duration::ZERO, looks: 0 }
    }

    /// Whether what a look has shown is the end of the wait, by the time at which the look began: how it was at its end, which may
    /// be much later, the look does not tell.
    fn is_over(&mut self, look_begun: Duration, live: i32) -> bool {
        if live > 0 {
            (self.lived_at, self.looks) = (look_begun, 0);
        }
        self.looks += 1;
        let is_over = self.looks >= LOOKS_MIN && look_begun > self.lived_at + self.patience;
        is_over || look_begun > self.patience * PATIENCES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::{Counter, Delta, Kind};
    use uuid::Uuid;

    const SECOND: Duration = Duration::from_secs(1);

    fn entry(seq: i64, id: u128, held: i32, expires: Option<Micros>) -> Entry {
        Entry {
            seq,
            at: seq,
            kind: if held > 0 { Kind::Reserved } else { Kind::Released },
            reservation: Some(Uuid::from_u128(id)),
            owner: String::new(),
            deltas: vec![Delta { allocation: 0, capacity: 0, held, sold: 0 }],
            expires,
            order_ref: String::new(),
            on_sale: None,
        }
    }

    fn counters(seq: i64, read_at: Micros, held: i32) -> Counters {
        let counter = Counter { allocation: String::new(), capacity: 9, held, sold: 0, available: 9 - held };
        Counters { seq, read_at, allocations: vec![counter] }
    }

    #[test]
    fn what_is_held_by_right_is_told_from_what_is_not() {
        let journal = [entry(1, 1, 2, Some(100)), entry(2, 2, 3, Some(200)), entry(3, 2, -3, None)];
        let at = |seq, read_at, held| Held::of(&journal, &counters(seq, read_at, held));
        assert_eq!(at(2, 50, 5), Held { counted: 5, live: 5, lapsed: 0 }, "the return came after the counters");
        assert_eq!((at(2, 50, 5).overdue(true), at(2, 50, 5).is_nothing(true)), (0, false));
        let half = at(2, 100, 3);
        assert_eq!(half, Held { counted: 3, live: 3, lapsed: 2 });
        assert_eq!((half.overdue(true), half.overdue(false)), (2, 0), "only who sweeps must have ended it");
        assert_eq!(at(3, 100, 2).overdue(false), 2, "counters that show a lapsed hold are wrong at once");
        assert!(at(3, 100, 0).is_nothing(false) && !at(3, 100, 0).is_nothing(true));
    }

    #[test]
    fn patience_is_not_at_its_end_before_the_last_look_begins() {
        let mut wait = Wait::new(3 * SECOND);
        // Eight looks, of which the last begins in time, however late it ends.
        assert!((0..8).all(|look| !wait.is_over(SECOND * 3 * look / 7, 0)));
        assert!(wait.is_over(SECOND * 4, 0));
        // Each look took so long that the server can have done nothing but answer.
        let mut wait = Wait::new(3 * SECOND);
        assert!((0..7).all(|look| !wait.is_over(SECOND * look, 0)));
        assert!(wait.is_over(SECOND * 7, 0));
    }

    #[test]
    fn patience_begins_again_while_holds_live_but_not_for_ever() {
        let mut wait = Wait::new(3 * SECOND);
        assert!((0..16).all(|look| !wait.is_over(SECOND * look / 2, 1)));
        assert!((16..22).all(|look| !wait.is_over(SECOND * look / 2, 0)), "it lived at 7.5");
        assert!(wait.is_over(SECOND * 11, 0));
        assert!(Wait::new(3 * SECOND).is_over(SECOND * 13, 1));
    }
}
