//! One waiting room: the rule, which `room.lua` says once more for Redis. A change here is a change there; the tests hold the
//! two against each other.
//!
//! A place in the line belongs to whoever was heard of within the grace time. At each call a few of those who were not are
//! taken out, a few whose time inside is over as well, and then as many are called in, from the front, as the rate and the
//! cap allow. Whoever is called must come for his pass within the grace time, and only then does it begin to run.
//!
//! The grace time stands still while nobody calls at all: then it is not people who are gone but the servers, or Redis. But for an hour at
//! most: who has waited in vain for longer has gone, and so have those who were lined up when the room was turned off a day ago.

use std::collections::{BTreeSet, HashMap};

use super::line::Line;
use super::{Ask, Facts, Millis, Rules, Stand, Standing, Who, estimate};

/// Most people who are taken out or let in by one call. More are by the next.
pub(super) const BITE: usize = 256;

/// How long one silence stops the grace time, at most.
pub(super) const STANDSTILL_MAX: Millis = 3_600_000;

/// See the module.
#[derive(Debug)]
pub struct Room {
    born: Millis,
    clock: Presence,
    line: Line,
    places: HashMap<Who, Place>,
    /// When each ticket's holder was last heard of.
    seen: BTreeSet<(Millis, u64)>,
    /// Called in, and not come yet: until when, by the clock of presence.
    called: Deadlines,
    /// With a pass: until when.
    inside: Deadlines,
    pace: Pace,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    ticket: u64,
    seen: Millis,
}

/// Who is there until when, earliest first.
#[derive(Debug, Default)]
struct Deadlines {
    of: HashMap<Who, Millis>,
    order: BTreeSet<(Millis, Who)>,
}

impl Deadlines {
    fn put(&mut self, who: Who, until: Millis) {
        self.remove(who);
        self.of.insert(who, until);
        self.order.insert((until, who));
    }

    fn remove(&mut self, who: Who) {
        if let Some(until) = self.of.remove(&who) {
            self.order.remove(&(until, who));
        }
    }

    /// Takes out some whose end is before `now`.
    fn expire(&mut self, now: Millis) {
        for _ in 0..BITE {
            match self.order.first() {
                Some((until, who)) if *until < now => {
                    let who = *who;
                    self.remove(who);
                }
                _ => return,
            }
        }
    }

    fn len(&self) -> i64 {
        i64::try_from(self.of.len()).unwrap_or(i64::MAX)
    }
}

/// The room's two clocks: the time of day, which passes go by, and one that stands still while nobody calls.
#[derive(Debug, Clone, Copy)]
struct Presence {
    last: Millis,
    paused: Millis,
}

impl Presence {
    /// Sets the clocks to `now`, never back. Returns the time of day, the time of presence, and how much time has passed.
    fn advance(&mut self, now: Millis, grace: Millis) -> (Millis, Millis, Millis) {
        let now = now.max(self.last);
        let passed = now - self.last;
        // Those who wait call at least five times in a grace time, so a quarter of it in silence is not theirs.
        self.paused += (passed - grace / 4).clamp(0, STANDSTILL_MAX);
        self.last = now;
        (now, now - self.paused, passed)
    }
}

/// The rate, and what came of it.
#[derive(Debug)]
struct Pace {
    rate: i64,
    inside_max: i64,
    tokens: f64,
    admitted: f64,
    left: f64,
    since: Millis,
}

impl Pace {
    /// People who may come in at once after a pause: a second's worth, since people near the front ask once a second.
    const fn depth(rate: i64) -> f64 {
        rate as f64
    }

    fn advance(&mut self, now: Millis, passed: Millis, rules: &Rules) {
        let passed = passed as f64;
        // What was earned before a change was earned at the old rate.
        self.tokens = (self.tokens + passed * self.rate as f64 / 1_000.0).min(Self::depth(rules.rate));
        let kept = estimate::kept(passed);
        self.admitted *= kept;
        self.left *= kept;
        if (self.rate, self.inside_max) != (rules.rate, rules.inside_max) {
            (self.rate, self.inside_max) = (rules.rate, rules.inside_max);
            self.forget(now);
        }
    }

    /// What was counted tells nothing of what comes: the settings changed, or nobody was waiting.
    fn forget(&mut self, now: Millis) {
        (self.admitted, self.left, self.since) = (0.0, 0.0, now);
    }
}

impl Room {
    /// An empty room.
    pub fn new(now: Millis, rules: &Rules) -> Self {
        Self {
            born: now,
            clock: Presence { last: now, paused: 0 },
            line: Line::default(),
            places: HashMap::new(),
            seen: BTreeSet::new(),
            called: Deadlines::default(),
            inside: Deadlines::default(),
            pace: Pace {
                rate: rules.rate,
                inside_max: rules.inside_max,
                tokens: Pace::depth(rules.rate),
                admitted: 0.0,
                left: 0.0,
                since: now,
            },
        }
    }

    /// Does what `who` asks at `now`.
    pub fn ask(&mut self, now: Millis, who: Who, ask: Ask, rules: &Rules) -> Standing {
        let (now, present, passed) = self.clock.advance(now, rules.grace_millis);
        self.pace.advance(now, passed, rules);
        let full = match ask {
            Ask::Join => !self.find_or_line_up(who, now, present, rules),
            Ask::Leave => {
                self.called.remove(who);
                self.inside.remove(who);
                self.take_out(who);
                false
            }
        };
        self.make_room(now, present, rules);
        self.call_in(present, rules);
        if self.called.of.contains_key(&who) {
            self.called.remove(who);
            self.inside.put(who, now + rules.pass_millis);
        }
        Standing { stand: self.stand(who, full), facts: self.facts(now), born: self.born }
    }

    /// How many are in the line.
    pub const fn waiting(&self) -> u64 {
        self.line.len()
    }

    /// Whether nobody is in it, so that it need not be kept. What was let through lately is forgotten with it.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty() && self.called.of.is_empty() && self.inside.of.is_empty()
    }

    /// Whether nothing was asked of it since `moment`.
    pub const fn is_quiet_since(&self, moment: Millis) -> bool {
        self.clock.last < moment
    }

    /// Says that `who` is here, with a new place where he has none (any more). False: there is none to be had.
    fn find_or_line_up(&mut self, who: Who, now: Millis, present: Millis, rules: &Rules) -> bool {
        if self.inside.of.get(&who).is_some_and(|until| now < *until)
            || self.called.of.get(&who).is_some_and(|until| present <= *until)
        {
            return true;
        }
        self.inside.remove(who);
        self.called.remove(who);
        if let Some(place) = self.places.get_mut(&who) {
            if present - place.seen <= rules.grace_millis {
                self.seen.remove(&(place.seen, place.ticket));
                place.seen = present;
                self.seen.insert((present, place.ticket));
                return true;
            }
            self.take_out(who);
        }
        if self.line.len() >= rules.places_max {
            return false;
        }
        if self.line.len() == 0 {
            self.pace.forget(now);
        }
        let ticket = self.line.push(who);
        self.places.insert(who, Place { ticket, seen: present });
        self.seen.insert((present, ticket));
        true
    }

    /// Takes somebody out of the line, if he is in it.
    fn take_out(&mut self, who: Who) {
        if let Some(place) = self.places.remove(&who) {
            self.line.remove(place.ticket);
            self.seen.remove(&(place.seen, place.ticket));
            self.pace.left += 1.0;
        }
    }

    /// Takes out some who were not heard of, and some whose time is over.
    fn make_room(&mut self, now: Millis, present: Millis, rules: &Rules) {
        for _ in 0..BITE {
            match self.seen.first() {
                Some((seen, ticket)) if present - seen > rules.grace_millis => {
                    let Some(who) = self.line.who(*ticket) else { break };
                    self.take_out(who);
                }
                _ => break,
            }
        }
        self.called.expire(present);
        self.inside.expire(now + 1);
    }

    /// Calls in from the front as many as the rate and the cap allow.
    fn call_in(&mut self, present: Millis, rules: &Rules) {
        let free = rules.inside_max - self.called.len() - self.inside.len();
        #[expect(clippy::cast_possible_truncation, reason = "at most the greatest rate")]
        let allowed = free.min(self.pace.tokens.floor() as i64).max(0);
        let count = usize::try_from(allowed).unwrap_or(BITE).min(BITE);
        let heads: Vec<_> = self.line.heads(count).filter_map(|ticket| self.line.who(ticket)).collect();
        for who in heads {
            let here = self.places.get(&who).is_some_and(|place| present - place.seen <= rules.grace_millis);
            self.take_out(who);
            if here {
                self.called.put(who, present + rules.grace_millis);
                self.pace.left -= 1.0;
                self.pace.admitted += 1.0;
                self.pace.tokens -= 1.0;
            }
        }
    }

    fn stand(&self, who: Who, full: bool) -> Stand {
        if let Some(until) = self.inside.of.get(&who) {
            return Stand::Inside { until: *until };
        }
        match self.places.get(&who) {
            Some(place) => Stand::Waiting { position: self.line.before(place.ticket) + 1 },
            None if full => Stand::Full,
            None => Stand::Gone,
        }
    }

    fn facts(&self, now: Millis) -> Facts {
        Facts {
            waiting: self.line.len(),
            inside: u64::try_from(self.called.len() + self.inside.len()).unwrap_or(0),
            admitted: self.pace.admitted,
            left: self.pace.left,
            observed: now - self.pace.since,
        }
    }
}
