//! Replays the journal, and finds what cannot be at any of its prefixes.

use std::collections::HashMap;

use boxoffice_proto::v1::reservation::State;
use uuid::Uuid;

use super::evidence::{Delta, Entry, Kind, Limits};
use super::findings::{Findings, Key};
use super::story::{Moment, Story, step};
use crate::history::View;

/// What a journal adds up to.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The number of the last change.
    pub seq: i64,
    /// Whether the event is on sale.
    on_sale: bool,
    /// Counts of each allocation, in the order of their numbers.
    pub counts: Vec<Counts>,
    /// Every reservation.
    pub stories: HashMap<Uuid, Story>,
    /// The reservations of each owner.
    pub owners: HashMap<String, Vec<Uuid>>,
}

/// Counts of one allocation.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// Units in all.
    pub capacity: i32,
    /// Held, expired holds that were not reclaimed yet included.
    pub held: i32,
    /// Sold.
    pub sold: i32,
    /// The most units beyond capacity at any prefix.
    excess: i32,
}

/// Adds up the journal.
pub(super) fn replay(journal: &[Entry], limits: Limits, findings: &mut Findings) -> Ledger {
    let mut ledger = Ledger::default();
    for (index, entry) in journal.iter().enumerate() {
        ledger.check_number(entry, findings);
        ledger.check_sales(entry, findings);
        ledger.add_counts(entry, findings);
        if let Some(id) = entry.reservation {
            ledger.add_to_story(id, index, journal, findings);
            ledger.check_limits(entry, limits, findings);
        }
    }
    for (allocation, counts) in ledger.counts.iter().enumerate() {
        if counts.excess > 0 {
            let text =
                format!("allocation #{allocation} had {} units more held and sold than its capacity", counts.excess);
            let over = journal.iter().filter(|entry| entry.deltas.iter().any(|delta| delta.allocation == allocation));
            findings.add(Key::Oversold, i64::from(counts.excess), text, over.map(ToString::to_string).collect());
        }
    }
    ledger
}

impl Ledger {
    fn check_number(&mut self, entry: &Entry, findings: &mut Findings) {
        if entry.seq != self.seq + 1 {
            let text = format!("the journal goes from {} to {}", self.seq, entry.seq);
            findings.add(Key::Journal, 1, text, vec![entry.to_string()]);
        }
        self.seq = entry.seq;
    }

    fn check_sales(&mut self, entry: &Entry, findings: &mut Findings) {
        self.on_sale = entry.on_sale.unwrap_or(self.on_sale);
        if takes_units(entry) && !self.on_sale {
            let text = format!("units were taken at journal {}, when the event was not on sale", entry.seq);
            findings.add(Key::WrongAnswer, 1, text, vec![entry.to_string()]);
        }
    }

    fn add_counts(&mut self, entry: &Entry, findings: &mut Findings) {
        for delta in &entry.deltas {
            if self.counts.len() <= delta.allocation {
                self.counts.resize(delta.allocation + 1, Counts::default());
            }
            let Some(counts) = self.counts.get_mut(delta.allocation) else { continue };
            counts.capacity += delta.capacity;
            counts.held += delta.held;
            counts.sold += delta.sold;
            counts.excess = counts.excess.max(counts.held + counts.sold - counts.capacity);
            if counts.held < 0 || counts.sold < 0 {
                let text =
                    format!("allocation #{} has {} held and {} sold", delta.allocation, counts.held, counts.sold);
                findings.add(Key::Journal, 1, text, vec![entry.to_string()]);
            }
        }
    }

    fn add_to_story(&mut self, id: Uuid, index: usize, journal: &[Entry], findings: &mut Findings) {
        let Some(entry) = journal.get(index) else { return };
        let story = self.stories.entry(id).or_insert_with(|| {
            self.owners.entry(entry.owner.clone()).or_default().push(id);
            Story { owner: entry.owner.clone(), moments: Vec::new() }
        });
        let (view, wrong) = step(story.last(), entry);
        story.moments.push(Moment { at: entry.at, index, view });
        if let Some((key, what)) = wrong {
            let text = format!("reservation {id} was {what} (journal {})", entry.seq);
            findings.add(key, 1, text, story_lines(story, journal));
        }
        if story.owner != entry.owner {
            let text = format!("reservation {id} of {} became one of {}", story.owner, entry.owner);
            findings.add(Key::Journal, 1, text, story_lines(story, journal));
        }
    }

    /// A limit counts what an owner has in live holds and sold at the moment of each grant.
    fn check_limits(&self, entry: &Entry, limits: Limits, findings: &mut Findings) {
        if !takes_units(entry) {
            return;
        }
        let mut check = |limit: i32, whose: &str, units: i32| {
            if limit != 0 && units > limit {
                let text = format!("{whose} had {units} units at journal {}; the limit is {limit}", entry.seq);
                findings.add(Key::LimitPassed, i64::from(units - limit), text, vec![entry.to_string()]);
            }
        };
        if limits.per_owner != 0 {
            check(limits.per_owner, &entry.owner, self.live_units(entry, View::units));
        }
        if limits.per_allocation != 0 {
            for Delta { allocation, .. } in &entry.deltas {
                let units = self.live_units(entry, |view| view.units_of(*allocation));
                check(limits.per_allocation, &format!("{} in allocation #{allocation}", entry.owner), units);
            }
        }
    }

    /// What the owner of the entry has at its time, as `units` counts it.
    fn live_units(&self, entry: &Entry, units: impl Fn(&View) -> i32) -> i32 {
        let ids = self.owners.get(&entry.owner).map(Vec::as_slice).unwrap_or_default();
        let views = ids.iter().filter_map(|id| self.stories.get(id)?.last());
        views.filter(|view| view.state != State::Held || entry.at < view.expires).map(units).sum()
    }
}

fn takes_units(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Reserved | Kind::Sold | Kind::Reacquired)
}

/// The journal's entries of one reservation, for people.
pub(super) fn story_lines(story: &Story, journal: &[Entry]) -> Vec<String> {
    story.moments.iter().filter_map(|moment| journal.get(moment.index)).map(ToString::to_string).collect()
}
