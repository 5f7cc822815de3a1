//! Everybody has one place, and nobody else has it.

use std::collections::{BTreeMap, BTreeSet};

use super::add;
use crate::audit::findings::Findings;
use crate::waiting_room::history::{History, Told, Who, name};

/// The place of each of the crowd, 1 to their number. While nobody is let in and nobody leaves, a position is a place: it must be
/// the same in all answers, and each must be told to one owner.
pub(super) fn of_the_crowd(history: &History, findings: &mut Findings) -> Vec<Option<u32>> {
    let mut places = vec![None; history.crowd as usize];
    let (opened, mut twice) = (history.opened(), BTreeSet::new());
    for ask in history.asks.iter().filter(|ask| ask.answered < opened) {
        let Told::Waiting { position, .. } = ask.told else { continue };
        let Some(place) = places.get_mut(ask.who as usize) else { continue };
        match place {
            None => *place = Some(position),
            Some(other) if *other != position && twice.insert(ask.who) => {
                add(findings, format!("{} was told place {other} and place {position}", name(ask.who)));
            }
            Some(_) => {}
        }
    }
    let mut owners: Vec<Option<Who>> = vec![None; places.len()];
    for (who, place) in (0..).zip(&places) {
        let Some(place) = place else {
            add(findings, format!("{} was told no place", name(who)));
            continue;
        };
        match (*place as usize).checked_sub(1).and_then(|index| owners.get_mut(index)) {
            None => add(findings, format!("{} has place {place} of {}", name(who), places.len())),
            Some(Some(other)) => add(findings, format!("{} and {} both have place {place}", name(*other), name(who))),
            Some(owner) => *owner = Some(who),
        }
    }
    places
}

/// When everything stands still, a position is one more than the number of those before who still wait.
pub(super) fn in_the_end(history: &History, places: &[Option<u32>], findings: &mut Findings) {
    let mut gone: BTreeSet<Who> = history.admitted().map(|(who, _)| who).collect();
    gone.extend(history.leaves.iter().map(|leave| leave.who));
    let mut gone_places: Vec<_> = gone.iter().filter_map(|who| *places.get(*who as usize)?).collect();
    gone_places.sort_unstable();
    let crowd_left = history.crowd - u32::try_from(gone_places.len()).unwrap_or(u32::MAX).min(history.crowd);
    let mut late = BTreeMap::new();
    for ask in history.asks.iter().filter(|ask| ask.sent >= history.settled) {
        let Told::Waiting { position, .. } = ask.told else { continue };
        let who = name(ask.who);
        match places.get(ask.who as usize) {
            Some(Some(place)) => {
                let before = gone_places.partition_point(|gone| gone < place);
                let expected = place - u32::try_from(before).unwrap_or(u32::MAX).min(*place);
                if position != expected {
                    add(findings, format!("{who} was told position {position} in the end, and has {expected}"));
                }
            }
            Some(None) => {}
            None if position <= crowd_left => {
                add(findings, format!("{who} came last, and has position {position} before some of the crowd"));
            }
            None => {
                if let Some(other) = late.insert(position, ask.who).filter(|other| *other != ask.who) {
                    add(findings, format!("{} and {who} both have position {position} in the end", name(other)));
                }
            }
        }
    }
}
