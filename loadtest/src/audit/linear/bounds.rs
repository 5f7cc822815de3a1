//! What cannot be whatever the order: more units had for certain than there are, and "none left" while nobody can have had
//! them.
//!
//! Both are necessary conditions, for each allocation alone and in linear time. Of each reservation there is a time in which
//! it was live for certain (from an answer that shows it to the beginning of the first call, or moment, that may have ended it),
//! and a longer one in which it can have been.

use boxoffice_proto::v1::reservation::State;

use super::history::{Answer, CLOCK_TOLERANCE, Deed, History, NEVER, Operation, Shown, Transition};
use crate::clock::Micros;
use crate::history::Reason;

/// What cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// More units were had than there are.
    Oversold {
        /// Of which allocation.
        allocation: usize,
        /// At which moment, the worst.
        at: Micros,
        /// Units had for certain.
        had: i64,
        /// The most that there can have been.
        capacity: i64,
        /// The reservations that had them, the latest first.
        by: Vec<usize>,
    },
    /// Units were said to lack, although enough were for sale.
    FalseLack {
        /// The refusal.
        operation: usize,
        /// The least that can have been for sale during it, of each allocation that it speaks of.
        free: Vec<(usize, i64)>,
    },
}

/// What is known of the times of one reservation.
#[derive(Debug, Clone)]
struct Life {
    /// Its units, as shown.
    units: Vec<(usize, i64)>,
    /// It cannot have been granted before.
    granted_from: Micros,
    /// It was live by then.
    live_by: Micros,
    /// It was sold by then.
    sold_by: Micros,
    /// The latest expiry that was shown.
    shown_until: Micros,
    /// Nobody can have ended it before, but the clock.
    ended_from: Micros,
    /// It was over by then, unless it came back.
    over_by: Micros,
    /// The clock had ended it by then, unless it was sold; `None`: the clock does not end it.
    lapsed_by: Option<Micros>,
    may_be_sold: bool,
    may_come_back: bool,
}

impl Life {
    const UNKNOWN: Self = Self {
        units: Vec::new(),
        granted_from: NEVER,
        live_by: NEVER,
        sold_by: NEVER,
        shown_until: Micros::MIN,
        ended_from: NEVER,
        over_by: NEVER,
        lapsed_by: None,
        may_be_sold: false,
        may_come_back: false,
    };

    /// When it was live for certain: from the first to before the second.
    fn certain(&self) -> (Micros, Micros) {
        match (self.sold_by, self.may_come_back) {
            (NEVER, _) => (self.live_by, self.ended_from.min(self.shown_until.saturating_sub(CLOCK_TOLERANCE))),
            (_, false) => (self.live_by, self.ended_from),
            (sold_by, true) => (sold_by, self.ended_from),
        }
    }

    /// When it can have been live: from the first to the second.
    fn possible(&self) -> (Micros, Micros) {
        let lapsed_by = if self.may_be_sold { NEVER } else { self.lapsed_by.unwrap_or(NEVER) };
        let over_by = if self.may_come_back { NEVER } else { self.over_by };
        (self.granted_from, over_by.min(lapsed_by))
    }

    fn note_shown(&mut self, shown: &Shown, end: Micros) {
        match shown.state {
            State::Held => {
                self.live_by = self.live_by.min(end);
                self.shown_until = self.shown_until.max(shown.expires);
            }
            State::Confirmed => {
                self.live_by = self.live_by.min(end);
                self.sold_by = self.sold_by.min(end);
                self.may_be_sold = true;
            }
            State::Released | State::Expired | State::Cancelled => self.over_by = self.over_by.min(end),
            State::Unspecified => {}
        }
        self.note_units(shown);
    }

    fn note_units(&mut self, shown: &Shown) {
        if self.units.is_empty() {
            self.units = shown.lines.iter().map(|line| (line.allocation, line.quantity)).collect();
        }
    }
}

/// All that cannot be.
pub(super) fn faults(history: &History) -> Vec<Fault> {
    let lives = lives(history);
    let mut faults: Vec<_> = (0..history.capacities.len()).filter_map(|of| oversold(history, &lives, of)).collect();
    let levels: Vec<_> = (0..history.capacities.len()).map(|of| Levels::new(history, &lives, of)).collect();
    let false_lacks = history.operations.iter().enumerate().filter_map(|(index, operation)| {
        let free = false_lack(history, &levels, operation)?;
        Some(Fault::FalseLack { operation: index, free })
    });
    faults.extend(false_lacks);
    faults
}

fn lives(history: &History) -> Vec<Life> {
    let mut lives = vec![Life::UNKNOWN; history.reservations];
    for operation in &history.operations {
        let Operation { start, end, deed, answer, .. } = operation;
        let refused = !operation.may_change() && !matches!(answer, Answer::Shown(_));
        match deed {
            _ if refused => {}
            Deed::Reserve { request } => {
                let request = &history.requests[*request];
                let life = &mut lives[request.reservation];
                life.granted_from = life.granted_from.min(*start);
                life.may_be_sold |= request.order.is_some();
                match answer {
                    Answer::Shown(shown) => life.note_shown(shown, *end),
                    Answer::Unknown(Some(presumed)) => life.note_units(presumed),
                    Answer::Unknown(None) | Answer::Refused(_) | Answer::Done | Answer::BelowCommitted => {}
                }
                if let Some(replaced) = request.replaces.map(|replaced| &mut lives[replaced]) {
                    replaced.ended_from = replaced.ended_from.min(*start);
                    replaced.over_by = replaced.over_by.min(*end);
                }
            }
            Deed::Change { reservation, change, .. } => {
                let life = &mut lives[*reservation];
                if let Answer::Shown(shown) = answer {
                    life.note_shown(shown, *end);
                }
                match change {
                    Transition::Confirm { reacquire, .. } => {
                        life.may_be_sold = true;
                        life.may_come_back |= reacquire;
                    }
                    Transition::Release | Transition::Cancel { .. } => life.ended_from = life.ended_from.min(*start),
                    Transition::Extend { .. } | Transition::Get => {}
                }
            }
            Deed::Expire { reservation, .. } => {
                let life = &mut lives[*reservation];
                life.lapsed_by = life.lapsed_by.max(Some(*end));
            }
            Deed::SetCapacity { .. } | Deed::Transfer { .. } => {}
        }
    }
    lives
}

/// The least and the most units that there can have been.
fn capacity(history: &History, of: usize) -> (i64, i64) {
    let initial = history.capacities[of];
    let (mut least, mut most, mut lost, mut got) = (initial, initial, 0, 0);
    for operation in history.operations.iter().filter(|operation| operation.may_change()) {
        match operation.deed {
            Deed::SetCapacity { allocation, capacity } if allocation == of => {
                least = least.min(capacity);
                most = most.max(capacity);
            }
            Deed::Transfer { from, quantity, .. } if from == of => lost += quantity,
            Deed::Transfer { to, quantity, .. } if to == of => got += quantity,
            Deed::Reserve { .. } | Deed::Change { .. } | Deed::Expire { .. } => {}
            Deed::SetCapacity { .. } | Deed::Transfer { .. } => {}
        }
    }
    (least - lost, most + got)
}

fn oversold(history: &History, lives: &[Life], of: usize) -> Option<Fault> {
    let (_, capacity) = capacity(history, of);
    let certain = |life: &Life| Some(life.certain()).filter(|(from, until)| from < until);
    let mut steps = Vec::new();
    for life in lives {
        let Some((from, until)) = certain(life) else { continue };
        let units: i64 = life.units.iter().filter(|(allocation, _)| *allocation == of).map(|(_, units)| units).sum();
        // At one moment, what ends goes before what begins.
        steps.extend([(from, units), (until, -units)]);
    }
    steps.sort_unstable();
    let levels = steps.iter().scan(0, |level, (at, units)| {
        *level += units;
        Some((*level, *at))
    });
    let (had, at) =
        levels.max_by_key(|(level, at)| (*level, std::cmp::Reverse(*at))).filter(|(had, _)| *had > capacity)?;
    let has = |life: &Life| {
        let there = certain(life).is_some_and(|(from, until)| from <= at && at < until);
        there && life.units.iter().any(|(allocation, units)| *allocation == of && *units > 0)
    };
    let mut by: Vec<_> = (0..lives.len()).filter(|reservation| has(&lives[*reservation])).collect();
    by.sort_by_key(|reservation| std::cmp::Reverse(lives[*reservation].live_by));
    Some(Fault::Oversold { allocation: of, at, had, capacity, by })
}

/// The most units of one allocation that can have been had, over time.
struct Levels {
    /// The least units that there can have been.
    capacity: i64,
    /// When they change; at one moment, what begins goes before what ends.
    times: Vec<Micros>,
    /// After each change.
    levels: Vec<i64>,
    /// The highest of each [`BLOCK`] levels.
    peaks: Vec<i64>,
}

/// Levels whose highest is known together: about the square root of those of a large history.
const BLOCK: usize = 512;

impl Levels {
    fn new(history: &History, lives: &[Life], of: usize) -> Self {
        let mut steps = Vec::new();
        for life in lives {
            let (from, to) = life.possible();
            let units: i64 =
                life.units.iter().filter(|(allocation, _)| *allocation == of).map(|(_, units)| units).sum();
            if from <= to && units > 0 {
                steps.extend([(from, 0, units), (to, 1, -units)]);
            }
        }
        steps.sort_unstable();
        let mut level = 0;
        let levels = steps.iter().map(|(_, _, units)| {
            level += units;
            level
        });
        let levels: Vec<i64> = levels.collect();
        let peaks = levels.chunks(BLOCK).filter_map(|block| block.iter().copied().max()).collect();
        let (capacity, _) = capacity(history, of);
        Self { capacity, times: steps.iter().map(|(at, ..)| *at).collect(), levels, peaks }
    }

    /// The highest at any moment between `from` and `to`, both included.
    fn highest_between(&self, from: Micros, to: Micros) -> i64 {
        let begin = self.times.partition_point(|at| *at < from);
        let end = self.times.partition_point(|at| *at <= to);
        let mut highest = begin.checked_sub(1).map_or(0, |before| self.levels[before]);
        let mut place = begin;
        while place < end {
            if place.is_multiple_of(BLOCK) && place + BLOCK <= end {
                highest = highest.max(self.peaks[place / BLOCK]);
                place += BLOCK;
            } else {
                highest = highest.max(self.levels[place]);
                place += 1;
            }
        }
        highest
    }
}

/// What was for sale all the time of a refusal that says otherwise.
fn false_lack(history: &History, levels: &[Levels], operation: &Operation) -> Option<Vec<(usize, i64)>> {
    let (Deed::Reserve { request }, Answer::Refused(reason)) = (&operation.deed, &operation.answer) else {
        return None;
    };
    let request = &history.requests[*request];
    let wanted = |units: i64| match (request.up_to, reason) {
        (false, Reason::InsufficientAvailability) => units,
        _ => units.min(1),
    };
    // Where each allocation has a limit, a line may get nothing for that reason.
    if !reason.is_lack() || (request.up_to && history.limit_each.is_some()) {
        return None;
    }
    let free = request.wishes.iter().map(|(of, _)| {
        let levels = &levels[*of];
        (*of, levels.capacity - levels.highest_between(operation.start, operation.end))
    });
    let free: Vec<_> = free.collect();
    let mut enough = free.iter().zip(&request.wishes).map(|((_, free), (_, units))| *free >= wanted(*units));
    let refuted = if request.up_to { enough.any(|enough| enough) } else { enough.all(|enough| enough) };
    refuted.then_some(free)
}
