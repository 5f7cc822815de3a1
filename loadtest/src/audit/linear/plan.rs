//! How many units a request gets: limits first, then availability.

use super::history::{Answer, Shown};
use super::model::{Availability, Model, presumed};
use crate::history::Reason;

/// How many units of each allocation a request gets.
pub(super) struct Plan<'a> {
    /// The event.
    pub model: &'a Model<'a>,
    /// Who asks.
    pub owner: usize,
    /// Units of each allocation.
    pub wishes: &'a [(usize, i64)],
    /// Fewer are welcome too.
    pub up_to: bool,
    /// The hold whose units come free with the grant.
    pub freed: Option<&'a Shown>,
}

impl Plan<'_> {
    /// The units of each, or why there are none. `answer` matters only where availability may be anything.
    pub(super) fn make(&self, answer: &Answer) -> Result<Vec<i64>, Reason> {
        let each = self.within_limit_each()?;
        let all = self.within_limit(each.iter().sum())?;
        match self.model.availability() {
            Availability::Counted => self.within_availability(&each, all),
            Availability::AnythingGoes => self.as_told(each, all, answer),
        }
    }

    /// Units that the hold to be replaced gives back, of one allocation or (`None`) of all.
    fn freed(&self, allocation: Option<usize>) -> i64 {
        let units = self.freed.iter().flat_map(|shown| shown.units());
        units.filter(|(of, _)| allocation.is_none_or(|allocation| allocation == *of)).map(|(_, units)| units).sum()
    }

    /// Units of each line that the allocations' limits leave.
    fn within_limit_each(&self) -> Result<Vec<i64>, Reason> {
        let Some(limit) = self.model.history().limit_each else {
            return Ok(self.wishes.iter().map(|(_, units)| *units).collect());
        };
        let headroom = |allocation: usize| {
            let owned = self.model.owned_of(self.owner, allocation);
            (limit + self.freed(Some(allocation)) - owned).max(0)
        };
        let each: Vec<_> = self.wishes.iter().map(|(of, units)| (*units).min(headroom(*of))).collect();
        let exceeded = each.iter().zip(self.wishes).any(|(allowed, (_, units))| allowed < units);
        match exceeded && (!self.up_to || each.iter().all(|units| *units == 0)) {
            true => Err(Reason::OwnerLimitExceeded),
            false => Ok(each),
        }
    }

    /// Units of all lines together that the event's limit leaves.
    fn within_limit(&self, wanted: i64) -> Result<i64, Reason> {
        let Some(limit) = self.model.history().limit else { return Ok(wanted) };
        let headroom = (limit + self.freed(None) - self.model.owned(self.owner)).max(0);
        if headroom < wanted && (!self.up_to || headroom == 0) {
            return Err(Reason::OwnerLimitExceeded);
        }
        Ok(wanted.min(headroom))
    }

    fn available(&self, allocation: usize) -> i64 {
        self.model.pool(allocation).available() + self.freed(Some(allocation))
    }

    /// Line after line. A line that gets less leaves its share of the event's limit to those after it.
    fn within_availability(&self, each: &[i64], mut all: i64) -> Result<Vec<i64>, Reason> {
        let mut granted = Vec::with_capacity(each.len());
        let mut lacks = false;
        for ((allocation, _), allowed) in self.wishes.iter().zip(each) {
            let available = self.available(*allocation);
            lacks |= available < *allowed;
            let grant = available.min(*allowed).min(all);
            all -= grant;
            granted.push(grant);
        }
        let refused = if self.up_to { granted.iter().all(|units| *units == 0) } else { lacks };
        if refused { Err(self.lack(each)) } else { Ok(granted) }
    }

    /// The name of the lack. One line that is gone for good sinks all or nothing; with "up to" there is hope as long as
    /// one may come back.
    fn lack(&self, each: &[i64]) -> Reason {
        let lines = self.wishes.iter().zip(each).filter(|(_, allowed)| **allowed > 0);
        let (mut gone, mut held) = (false, false);
        for ((allocation, _), _) in lines.filter(|((allocation, _), _)| self.available(*allocation) == 0) {
            let pool = self.model.pool(*allocation);
            *(if pool.capacity > pool.sold { &mut held } else { &mut gone }) = true;
        }
        match (gone && !(self.up_to && held), held) {
            (true, _) => Reason::SoldOut,
            (false, true) => Reason::AllHeld,
            (false, false) => Reason::InsufficientAvailability,
        }
    }

    /// What the answer says, as far as the request and the limits allow it.
    fn as_told(&self, each: Vec<i64>, all: i64, answer: &Answer) -> Result<Vec<i64>, Reason> {
        if let Answer::Refused(reason) = answer
            && reason.is_lack()
        {
            return Err(*reason);
        }
        let Some(told) = presumed(answer).filter(|_| self.up_to) else { return Ok(each) };
        let granted = |of: usize| {
            let lines = told.lines.iter().filter(|line| line.allocation == of);
            lines.map(|line| line.quantity).sum::<i64>()
        };
        let told: Vec<_> = self.wishes.iter().map(|(allocation, _)| granted(*allocation)).collect();
        let within = told.iter().zip(&each).all(|(told, most)| (0..=*most).contains(told));
        let fits = within && (1..=all).contains(&told.iter().sum());
        Ok(if fits { told } else { each })
    }
}
