//! Holds each answer that a buyer got against what the journal shows of the time of his call.

use boxoffice_proto::v1::reservation::State;

use super::availability::Availability;
use super::evidence::{Entry, Evidence, Holds, Limits};
use super::findings::{Findings, Key};
use super::ledger::{Ledger, story_lines};
use super::pauses::Pauses;
use super::story::Story;
use super::visible::Visible;
use crate::clock::{Micros, SECOND};
use crate::history::{Action, Call, Line, Reason, Told, Units, View, owner_name};

/// Both clocks are the machine's, but times are cut to microseconds and the clock may be slewed.
pub(crate) const CLOCK_TOLERANCE: Micros = 5_000;

/// Checks all answers.
pub(super) fn check(evidence: &Evidence, ledger: &Ledger, visible: &Visible, findings: &mut Findings) {
    let availability = Availability::of(&evidence.journal, evidence.counters.allocations.len());
    let unsold = Availability::unsold(&evidence.journal, evidence.counters.allocations.len());
    let judge = Judge {
        journal: &evidence.journal,
        ledger,
        availability,
        unsold,
        pauses: Pauses::of(&evidence.journal),
        visible,
        limits: evidence.limits,
        holds: evidence.holds,
    };
    for call in &evidence.calls {
        if let Some((key, text)) = judge.fault(call) {
            findings.add(key, 1, text, judge.lines(call));
        }
    }
}

/// What is wrong with an answer.
type Fault = (Key, String);

struct Judge<'a> {
    journal: &'a [Entry],
    ledger: &'a Ledger,
    /// Of each allocation.
    availability: Vec<Availability>,
    /// Of each allocation, units that are for sale or held.
    unsold: Vec<Availability>,
    pauses: Pauses,
    visible: &'a Visible,
    limits: Limits,
    holds: Holds,
}

impl Judge<'_> {
    fn fault(&self, call: &Call) -> Option<Fault> {
        match &call.told {
            Told::Busy | Told::Unknown(_) => never_answered(call),
            told if call.ask.intruder => intrusion(call, told),
            Told::Nonsense(why) => Some((Key::WrongAnswer, why.clone())),
            Told::Shown(view) => {
                let untrue = self.untrue_view(call, view).or_else(|| short_of_target(call, view));
                untrue.or_else(|| self.wrong_expiry(call, view))
            }
            Told::Refused(reason) => self.untrue_refusal(call, *reason),
        }
    }

    fn story(&self, call: &Call) -> Option<&Story> {
        self.ledger.stories.get(&call.ask.reservation)
    }

    /// What the reservation can have been while the call ran.
    fn candidates(&self, call: &Call) -> Vec<Option<View>> {
        self.candidates_of(self.story(call), call)
    }

    fn candidates_of(&self, story: Option<&Story>, call: &Call) -> Vec<Option<View>> {
        let from = if call.ask.action == Action::Get { self.visible.since(call.start) } else { call.start };
        let (from, to) = (from - CLOCK_TOLERANCE, call.end + CLOCK_TOLERANCE);
        story.map_or_else(|| vec![None], |story| story.between(from, to))
    }

    fn untrue_view(&self, call: &Call, view: &View) -> Option<Fault> {
        let owner = owner_name(call.ask.owner);
        let Some(story) = self.story(call) else {
            return Some((Key::Lost, format!("{owner} was told {view}, but the journal knows no such reservation")));
        };
        if story.owner != owner {
            return Some((Key::Disclosed, format!("{owner} was shown a reservation of {}", story.owner)));
        }
        let shown = self.candidates(call).into_iter().flatten().any(|candidate| candidate.agrees(view));
        let key = if call.ask.action == Action::Get { Key::WrongAnswer } else { Key::Lost };
        (!shown).then(|| (key, format!("{owner} was told {view}, but the journal does not show it for that time")))
    }

    /// A hold lives as long as the event has it, and extended as long as was asked for, up to its longest life.
    fn wrong_expiry(&self, call: &Call, view: &View) -> Option<Fault> {
        let granted = self.story(call)?.moments.first().filter(|_| view.state == State::Held)?;
        let (usual, longest) = (granted.at + self.holds.granted, granted.at + self.holds.longest);
        let (from, to) = match call.ask.action {
            Action::Reserve { .. } if view.expires == granted.view.expires => (usual, usual),
            Action::Extend { ttl_seconds } => ((call.start + ttl_seconds * SECOND).min(longest), longest),
            _ => return None,
        };
        let fits = (from - CLOCK_TOLERANCE..=to + CLOCK_TOLERANCE).contains(&view.expires);
        let text = || format!("{} was told {view}, which must be from {from} to {to}", owner_name(call.ask.owner));
        (!fits).then(|| (Key::WrongAnswer, text()))
    }

    fn untrue_refusal(&self, call: &Call, reason: Reason) -> Option<Fault> {
        let fault = |key, why: &str| {
            let owner = owner_name(call.ask.owner);
            Some((key, format!("{owner} was refused, {}, but {why}", reason.as_str())))
        };
        // A refusal to replace a hold speaks of that hold, not of the new one, which isn't there.
        let about = match &call.ask.action {
            Action::Reserve { replaces: Some(replaced), .. } => self.ledger.stories.get(replaced),
            Action::Reserve { .. }
            | Action::Extend { .. }
            | Action::Confirm { .. }
            | Action::Release
            | Action::Cancel { .. }
            | Action::Get => self.story(call),
        };
        let candidates = || self.candidates_of(about, call);
        let was = |state| candidates().iter().flatten().any(|view| view.state == state);
        let ended_as = |state| {
            if was(state) { None } else { fault(Key::WrongAnswer, "the reservation was not so at that time") }
        };
        match reason {
            Reason::SoldOut | Reason::InsufficientAvailability | Reason::AllHeld => {
                if let Some(enough) = self.enough_all_the_time(call) {
                    return fault(Key::FalseSoldOut, &format!("{enough} for sale all the time"));
                }
                if reason == Reason::SoldOut && !self.was_sold_out(call) {
                    return fault(Key::FalseSoldOut, "units were held all the time, and could come back");
                }
                None
            }
            Reason::OwnerLimitExceeded if self.limit_was_near(call) => None,
            Reason::OwnerLimitExceeded => fault(Key::WrongAnswer, "the limit was not reached"),
            Reason::ReservationExpired => ended_as(State::Expired),
            Reason::AlreadyReleased => ended_as(State::Released),
            Reason::AlreadyCancelled => ended_as(State::Cancelled),
            Reason::AlreadyConfirmed => ended_as(State::Confirmed),
            Reason::NotConfirmed => ended_as(State::Held),
            Reason::ReservationNotFound if candidates().contains(&None) => None,
            Reason::ReservationNotFound => fault(Key::Lost, "the journal has it"),
            Reason::ReservationIdReused if self.is_of_another_request(call) => None,
            Reason::ReservationIdReused => fault(Key::WrongAnswer, "it is the same owner and the same request"),
            Reason::SalesNotOpen => self.why_not_closed(call).and_then(|why| fault(Key::WrongAnswer, why)),
        }
    }

    /// Why nobody can have been told that the event is not on sale, if so: a pause keeps only from new units.
    fn why_not_closed(&self, call: &Call) -> Option<&'static str> {
        let (from, to) = (call.start - CLOCK_TOLERANCE, call.end + CLOCK_TOLERANCE);
        match call.ask.action {
            _ if !self.pauses.any_between(from, to) => Some("the event was on sale"),
            Action::Reserve { .. } if !self.candidates(call).contains(&None) => Some("he had it already"),
            Action::Reserve { .. } | Action::Confirm { reacquire: true, .. } => None,
            Action::Confirm { .. } | Action::Extend { .. } | Action::Release | Action::Cancel { .. } | Action::Get => {
                Some("that takes no new units")
            }
        }
    }

    /// How many units were for sale, in words, if that was enough for the request during the whole call.
    fn enough_all_the_time(&self, call: &Call) -> Option<String> {
        let (from, to) = (call.start - CLOCK_TOLERANCE, call.end + CLOCK_TOLERANCE);
        let least = |allocation: usize| {
            self.availability.get(allocation).map_or(0, |availability| availability.least_between(from, to))
        };
        let wanted = self.wanted(call);
        // Whoever takes what there is gets something as long as any of his lines has a unit; but his limit may close that line.
        if let Action::Reserve { up_to: true, .. } = call.ask.action {
            let units = wanted.iter().map(|units| least(units.allocation));
            let most = if self.limits.per_allocation == 0 { units.max()? } else { units.min()? };
            return (most >= 1).then(|| format!("at least {most} units were"));
        }
        let enough = wanted.iter().all(|units| least(units.allocation) >= units.count);
        let told: Vec<_> = wanted.iter().map(|units| least(units.allocation).to_string()).collect();
        enough.then(|| format!("at least {} units were", told.join(" and ")))
    }

    /// Whether all units of an allocation that was asked for can have been sold at some moment of the call.
    fn was_sold_out(&self, call: &Call) -> bool {
        let (from, to) = (call.start - CLOCK_TOLERANCE, call.end + CLOCK_TOLERANCE);
        let unsold =
            |units: &Units| self.unsold.get(units.allocation).map_or(0, |unsold| unsold.least_between(from, to));
        self.wanted(call).iter().any(|units| unsold(units) <= 0)
    }

    /// The units that the request would have taken.
    fn wanted(&self, call: &Call) -> Vec<Units> {
        match &call.ask.action {
            Action::Reserve { lines, .. } => lines.clone(),
            // A late confirm takes the hold's units again.
            Action::Confirm { .. } => {
                let lines = self.story(call).and_then(Story::last).map(|view| view.lines.as_slice());
                let units = |line: &Line| Units { allocation: line.allocation, count: line.quantity };
                lines.unwrap_or_default().iter().map(units).collect()
            }
            Action::Extend { .. } | Action::Release | Action::Cancel { .. } | Action::Get => Vec::new(),
        }
    }

    /// Whether what was granted under this id is not what this request asks for.
    fn is_of_another_request(&self, call: &Call) -> bool {
        let granted = self.story(call).and_then(|story| story.moments.first());
        granted.is_some_and(|granted| short_of_target(call, &granted.view).is_some())
    }

    /// Whether the owner can have had so much that the request went beyond a limit.
    fn limit_was_near(&self, call: &Call) -> bool {
        let up_to = matches!(call.ask.action, Action::Reserve { up_to: true, .. });
        let wanted = self.wanted(call);
        let had = |units: &dyn Fn(&View) -> i32| self.units_at_most(call, units);
        let in_all = if up_to { 1 } else { wanted.iter().map(|units| units.count).sum() };
        let Limits { per_owner, per_allocation } = self.limits;
        let passes = |wanted: &Units| {
            let count = if up_to { 1 } else { wanted.count };
            had(&|view| view.units_of(wanted.allocation)) + count > per_allocation
        };
        (per_owner != 0 && had(&View::units) + in_all > per_owner) || (per_allocation != 0 && wanted.iter().any(passes))
    }

    /// The most that the caller can have had during the call, as `units` counts it.
    fn units_at_most(&self, call: &Call, units: &dyn Fn(&View) -> i32) -> i32 {
        let (from, to) = (call.start - CLOCK_TOLERANCE, call.end + CLOCK_TOLERANCE);
        let ids = self.ledger.owners.get(&owner_name(call.ask.owner)).map(Vec::as_slice).unwrap_or_default();
        let stories = ids.iter().filter_map(|id| self.ledger.stories.get(id));
        stories.map(|story| story.units_at_most(from, to, units)).sum()
    }

    fn lines(&self, call: &Call) -> Vec<String> {
        let mut lines = vec![call.to_string()];
        lines.extend(self.story(call).map(|story| story_lines(story, self.journal)).unwrap_or_default());
        lines
    }
}

/// Nobody knows of whoever gave up whether he would have been told the truth. He was more patient than any fault lasts.
fn never_answered(call: &Call) -> Option<Fault> {
    let attempts = call.gave_up_after?;
    let text = format!("{} asked {attempts} times, and was never answered", owner_name(call.ask.owner));
    Some((Key::Unproven, text))
}

/// To an intruder the reservation must not exist; only its id is taken.
fn intrusion(call: &Call, told: &Told) -> Option<Fault> {
    let expected = match call.ask.action {
        Action::Reserve { replaces: None, .. } => Reason::ReservationIdReused,
        Action::Reserve { .. }
        | Action::Extend { .. }
        | Action::Confirm { .. }
        | Action::Release
        | Action::Cancel { .. }
        | Action::Get => Reason::ReservationNotFound,
    };
    let owner = owner_name(call.ask.owner);
    let text =
        || format!("{owner} asked for a reservation of another owner, and was not told {} alone", expected.as_str());
    (*told != Told::Refused(expected)).then(|| (Key::Disclosed, text()))
}

/// A success must have reached what was asked for.
fn short_of_target(call: &Call, view: &View) -> Option<Fault> {
    let granted = |wanted: &Units| {
        let lines = view.lines.iter().filter(|line| line.allocation == wanted.allocation);
        lines.map(|line| line.quantity).sum::<i32>()
    };
    let refunded = |wanted: &Units| {
        view.lines.iter().any(|line| line.allocation == wanted.allocation && line.cancelled >= wanted.count)
    };
    let in_all = |lines: &[Units]| lines.iter().map(|units| units.count).sum::<i32>();
    let reached = match &call.ask.action {
        Action::Reserve { lines, up_to: true, .. } => {
            view.quantity() >= 1
                && lines.iter().all(|wanted| granted(wanted) <= wanted.count)
                && view.quantity() == lines.iter().map(granted).sum::<i32>()
        }
        Action::Reserve { lines, .. } => {
            lines.iter().all(|wanted| granted(wanted) == wanted.count) && view.quantity() == in_all(lines)
        }
        Action::Confirm { order_ref, .. } => view.state == State::Confirmed && view.order_ref == *order_ref,
        Action::Release => view.state == State::Released,
        Action::Cancel { lines } if lines.is_empty() => view.cancelled() >= view.quantity(),
        Action::Cancel { lines } => lines.iter().all(refunded),
        Action::Extend { .. } => view.state == State::Held,
        Action::Get => true,
    };
    let text =
        || format!("{} asked for {:?}, and was told {view} as success", owner_name(call.ask.owner), call.ask.action);
    (!reached).then(|| (Key::WrongAnswer, text()))
}

/// Units that the buyers were told are theirs for good: confirmed, less all that they tried to refund.
pub(super) fn sold_by_answers(calls: &[Call]) -> i64 {
    let mut bought = std::collections::HashMap::new();
    for call in calls.iter().filter(|call| !call.ask.intruder) {
        let (sold, refunded) = bought.entry(call.ask.reservation).or_insert((0, 0));
        if let Told::Shown(view) = &call.told
            && view.state == State::Confirmed
        {
            *sold = view.quantity().max(*sold);
        }
        if let Action::Cancel { lines } = &call.ask.action {
            let units = if lines.is_empty() { i32::MAX } else { lines.iter().map(|units| units.count).sum() };
            *refunded = units.max(*refunded);
        }
    }
    bought.values().map(|(sold, refunded)| i64::from((sold - refunded).max(0))).sum()
}
