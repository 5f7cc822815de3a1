//! Compares the counters and reservations with what the journal adds up to.

use std::collections::HashSet;

use boxoffice_proto::v1::reservation::State;

use super::availability::Availability;
use super::evidence::{Counter, Evidence, OwnList, Rest, Stored};
use super::findings::{Findings, Key};
use super::ledger::{Ledger, story_lines};
use crate::clock::{Micros, SECOND};

/// How long after its expiry a hold may still stand as held in the journal: the sweeper comes by each second.
const RECLAIM_TOLERANCE: Micros = 10 * SECOND;

/// Checks everything that must agree once all is quiet.
pub(super) fn check(evidence: &Evidence, ledger: &Ledger, findings: &mut Findings) {
    check_counters(evidence, ledger, findings);
    check_reservations(evidence, ledger, findings);
    check_own_lists(evidence, ledger, findings);
    check_leaks(evidence, ledger, findings);
    check_sold_out(evidence, findings);
    for difference in &evidence.server_audit {
        findings.add(Key::Mismatched, 1, format!("the server's own audit: {difference}"), Vec::new());
    }
}

fn check_counters(evidence: &Evidence, ledger: &Ledger, findings: &mut Findings) {
    let counters = &evidence.counters;
    if counters.seq != ledger.seq {
        let text = format!("the event says seq {}, its journal ends at {}", counters.seq, ledger.seq);
        findings.add(Key::Mismatched, 1, text, Vec::new());
    }
    for (number, counter) in counters.allocations.iter().enumerate() {
        check_counter(number, counter, evidence, ledger, findings);
    }
}

fn check_counter(number: usize, counter: &Counter, evidence: &Evidence, ledger: &Ledger, findings: &mut Findings) {
    let Counter { allocation, capacity, held, sold, available } = counter;
    let counts = ledger.counts.get(number).copied().unwrap_or_default();
    // Expired holds don't count as held in an answer, though the journal may not have ended them yet.
    let expired = expired_units(ledger, number, evidence.counters.read_at);
    let journal = (counts.capacity, counts.held - expired, counts.sold);
    if journal != (*capacity, *held, *sold) {
        let (c, h, s) = journal;
        let text =
            format!("{allocation} says capacity {capacity}, held {held}, sold {sold}; its journal {c}, {h}, {s}");
        findings.add(Key::Mismatched, 1, text, Vec::new());
    }
    if held + sold > *capacity {
        let text = format!("{allocation} says {held} held and {sold} sold of {capacity}");
        findings.add(Key::Oversold, i64::from(held + sold - capacity), text, Vec::new());
    }
    let stranded = capacity - held - sold - available;
    if stranded != 0 {
        let text = format!("{allocation}: {stranded} of {capacity} units are neither available nor held nor sold");
        findings.add(Key::Stranded, i64::from(stranded), text, Vec::new());
    }
}

fn expired_units(ledger: &Ledger, allocation: usize, at: Micros) -> i32 {
    let views = ledger.stories.values().filter_map(|story| story.last());
    let expired = views.filter(|view| view.state == State::Held && view.expires <= at);
    expired.map(|view| view.units_of(allocation)).sum()
}

fn check_reservations(evidence: &Evidence, ledger: &Ledger, findings: &mut Findings) {
    let mut listed = HashSet::new();
    for stored in &evidence.reservations {
        let twice = !listed.insert(stored.id);
        if let Some(text) = stored_fault(stored, twice, evidence.counters.read_at, ledger) {
            let story = ledger.stories.get(&stored.id);
            let lines = story.map(|story| story_lines(story, &evidence.journal)).unwrap_or_default();
            findings.add(Key::Mismatched, 1, text, lines);
        }
    }
    for (id, story) in ledger.stories.iter().filter(|(id, _)| !listed.contains(id)) {
        let text = format!("reservation {id} is in the journal, but not listed");
        findings.add(Key::Mismatched, 1, text, story_lines(story, &evidence.journal));
    }
}

/// Everybody is shown all that is his, and nothing else.
fn check_own_lists(evidence: &Evidence, ledger: &Ledger, findings: &mut Findings) {
    for OwnList { owner, reservations } in &evidence.own_lists {
        let mut listed = HashSet::new();
        for stored in reservations {
            let twice = !listed.insert(stored.id);
            if stored.owner != *owner {
                let text = format!("{owner}'s list of his own reservations shows {} of {}", stored.id, stored.owner);
                findings.add(Key::Disclosed, 1, text, Vec::new());
            } else if let Some(text) = stored_fault(stored, twice, evidence.counters.read_at, ledger) {
                findings.add(Key::Mismatched, 1, format!("{text}, in {owner}'s own list"), Vec::new());
            }
        }
        let own = ledger.owners.get(owner).map(Vec::as_slice).unwrap_or_default();
        for id in own.iter().filter(|id| !listed.contains(id)) {
            let text = format!("reservation {id} is in the journal, but not in {owner}'s own list");
            findings.add(Key::Mismatched, 1, text, Vec::new());
        }
    }
}

fn stored_fault(stored: &Stored, twice: bool, read_at: Micros, ledger: &Ledger) -> Option<String> {
    let Stored { id, owner, view } = stored;
    if twice {
        return Some(format!("reservation {id} is listed twice"));
    }
    let Some(story) = ledger.stories.get(id) else { return Some(format!("reservation {id} is not in the journal")) };
    if story.owner != *owner {
        return Some(format!("reservation {id} is listed as {owner}'s; its journal says {}'s", story.owner));
    }
    let ends = story.between(read_at, Micros::MAX);
    let agrees = ends.iter().flatten().any(|end| end.agrees(view));
    let end = story.last()?;
    (!agrees).then(|| format!("reservation {id} is listed as {view}; its journal says {end}"))
}

fn check_leaks(evidence: &Evidence, ledger: &Ledger, findings: &mut Findings) {
    if evidence.held_after_drain > 0 {
        let units = evidence.held_after_drain;
        let text = format!("{units} units were still held when every hold should have expired");
        findings.add(Key::Leaked, i64::from(units), text, Vec::new());
    }
    let deadline = evidence.counters.read_at - RECLAIM_TOLERANCE;
    for (id, story) in &ledger.stories {
        if let Some(view) = story.last()
            && view.state == State::Held
            && view.expires < deadline
        {
            let text = format!("reservation {id} expired at {}, and its units never came back", view.expires);
            findings.add(Key::Leaked, i64::from(view.units()), text, story_lines(story, &evidence.journal));
        }
    }
}

/// All must be sold, since buyers asked until nothing was left. Units that were held then, or that came back afterwards, prove
/// nothing against the server; but they do not prove either that they can be sold.
fn check_sold_out(evidence: &Evidence, findings: &mut Findings) {
    let Rest::AskedFor(told) = &evidence.rest else { return };
    let counters = &evidence.counters;
    let availability = Availability::of(&evidence.journal, counters.allocations.len());
    for ((counter, availability), told) in counters.allocations.iter().zip(&availability).zip(told) {
        let left = counter.capacity - counter.sold;
        if left <= 0 {
            continue;
        }
        let name = &counter.allocation;
        let for_sale = told.map(|told| availability.least_between(told, counters.read_at).min(left));
        let (key, units, why) = match for_sale {
            Some(units @ 1..) => (Key::Stranded, units, "although buyers asked until they were told that none is left"),
            Some(_) => (Key::Unproven, left, "and came back only after buyers had been told that none is left"),
            None => (Key::Unproven, left, "and buyers had no more patience before they were told that none is left"),
        };
        findings.add(key, units.into(), format!("{units} units were not sold, {why}: {name}"), Vec::new());
    }
}
