//! First come, first served.

use std::collections::BTreeMap;

use super::{TOLERANCE, add};
use crate::audit::findings::Findings;
use crate::clock::Micros;
use crate::waiting_room::history::{Ask, History, Told, Who, name};

/// Whoever had his answer before somebody else asked stands before him. Who ask at the same time may stand either way.
pub(super) fn of_arrival(history: &History, places: &[Option<u32>], findings: &mut Findings) {
    let mut spans = vec![(Micros::MAX, Micros::MAX); places.len()];
    for ask in &history.asks {
        let Some((first_sent, first_answered)) = spans.get_mut(ask.who as usize) else { continue };
        // What got no answer may have taken the place.
        *first_sent = ask.sent.min(*first_sent);
        if matches!(ask.told, Told::Waiting { .. }) {
            *first_answered = ask.answered.min(*first_answered);
        }
    }
    let known = || (0..).zip(&spans).zip(places).filter_map(|((who, span), place)| Some((who, *span, (*place)?)));
    let mut by_sent: Vec<(Micros, Who, u32)> = known().map(|(who, (sent, _), place)| (sent, who, place)).collect();
    let mut by_answered: Vec<(Micros, Who, u32)> =
        known().map(|(who, (_, answered), place)| (answered, who, place)).collect();
    by_sent.sort_unstable();
    by_answered.sort_unstable();
    let mut answered = by_answered.into_iter().peekable();
    // Of those who had their answers: who stands farthest back.
    let mut last: Option<(u32, Who)> = None;
    for (sent, who, place) in by_sent {
        while let Some((_, earlier, place)) = answered.next_if(|(at, ..)| at + TOLERANCE < sent) {
            last = last.max(Some((place, earlier)));
        }
        if let Some((other, earlier)) = last.filter(|(other, _)| *other > place) {
            let (late, early) = (name(who), name(earlier));
            add(
                findings,
                format!("{late} asked after {early} had his answer, and has place {place} before his {other}"),
            );
        }
    }
}

/// Nobody is told that he still waits who asked after somebody behind him was let in. Those who came when the door was open
/// stand behind the whole crowd.
pub(super) fn of_admission(history: &History, places: &[Option<u32>], findings: &mut Findings) {
    let place_of = |who: Who| match places.get(who as usize) {
        Some(place) => *place,
        None => Some(u32::MAX),
    };
    // By place: when he asked last to be told that he waits.
    let mut waited: BTreeMap<u32, (Micros, Who)> = BTreeMap::new();
    for ask in &history.asks {
        if let (Told::Waiting { .. }, Some(place)) = (ask.told, place_of(ask.who)) {
            let last = waited.entry(place).or_insert((ask.sent, ask.who));
            *last = (*last).max((ask.sent, ask.who));
        }
    }
    let mut admitted: Vec<_> = history.admitted().filter_map(|(who, at)| Some((place_of(who)?, at, who))).collect();
    admitted.sort_unstable();
    let mut ahead = waited.into_iter().peekable();
    // Of those before: who was told last that he waits.
    let mut last: Option<(Micros, Who)> = None;
    for (place, at, who) in admitted {
        while let Some((_, waiting)) = ahead.next_if(|(other, _)| *other < place) {
            last = last.max(Some(waiting));
        }
        if let Some((_, other)) = last.filter(|(asked, _)| *asked > at + TOLERANCE) {
            let (behind, before) = (name(who), name(other));
            add(findings, format!("{behind} was let in while {before}, who stands before him, still waited"));
        }
    }
}

/// Nobody falls back, and nobody who is inside is put out.
pub(super) fn of_each(history: &History, findings: &mut Findings) {
    let mut by_owner: Vec<&Ask> = history.asks.iter().filter(|ask| ask.told != Told::Nothing).collect();
    by_owner.sort_unstable_by_key(|ask| (ask.who, ask.sent, ask.answered));
    for of_one in by_owner.chunk_by(|one, other| one.who == other.who) {
        let mut answered: Vec<&Ask> = of_one.to_vec();
        answered.sort_unstable_by_key(|ask| ask.answered);
        let mut earlier = answered.into_iter().peekable();
        // What he was told by the time that he asked: the best of it.
        let mut best = u32::MAX;
        for ask in of_one {
            while let Some(told) = earlier.next_if(|told| told.answered <= ask.sent) {
                best = best.min(standing(told.told));
            }
            let who = name(ask.who);
            match (ask.told, best) {
                (Told::NotNeeded, _) => add(findings, format!("{who} was told that there is no waiting room")),
                (Told::Waiting { .. }, 0) => add(findings, format!("{who} was let in, and then told to wait")),
                (Told::Waiting { position, .. }, best) if position > best => {
                    add(findings, format!("{who} fell back from position {best} to {position}"));
                }
                _ => {}
            }
        }
    }
}

/// 0 is inside.
const fn standing(told: Told) -> u32 {
    match told {
        Told::Admitted => 0,
        Told::Waiting { position, .. } => position,
        Told::Nothing | Told::NotNeeded => u32::MAX,
    }
}
