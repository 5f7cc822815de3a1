//! What an audit looks at: the calls of the buyers beside what the server has written down.

use std::fmt;

pub use boxoffice_proto::v1::change::Kind;
use uuid::Uuid;

use crate::clock::Micros;
use crate::history::{Call, OperatorCall, View};

/// Everything that is known of one event after a sale. Allocations are told by their numbers.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Every attempt of every call.
    pub calls: Vec<Call>,
    /// Every call of the operators.
    pub operators: Vec<OperatorCall>,
    /// The whole journal, in the order in which the server listed it.
    pub journal: Vec<Entry>,
    /// The counters, after everything has drained.
    pub counters: Counters,
    /// Every reservation, after everything has drained.
    pub reservations: Vec<Stored>,
    /// What some of those who asked were shown as their own reservations, after everything has drained.
    pub own_lists: Vec<OwnList>,
    /// What the server's own audit found to differ.
    pub server_audit: Vec<String>,
    /// What an owner may have.
    pub limits: Limits,
    /// How long holds live.
    pub holds: Holds,
    /// Units that were held when the wait for all holds to drain was given up, though no hold lived that may hold them.
    pub held_after_drain: i32,
    /// Who came for what was left in the end.
    pub rest: Rest,
    /// By how much the machine's clock was set meanwhile, as far as anybody noticed.
    pub clock_step: Micros,
    /// What those who only looked were shown.
    pub shown: Vec<Shown>,
    /// What came to them in an order in which it must not come, in words.
    pub disorder: Vec<String>,
}

/// Who came for what was left in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// Nobody.
    NotAsked,
    /// Buyers, who asked for each allocation until they were told that nothing is left: when that was, last; or until they gave up,
    /// since all was held or nobody answered.
    AskedFor(Vec<Option<Micros>>),
}

/// The list of his own reservations that somebody was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnList {
    /// Who asked for it.
    pub owner: String,
    /// What was in it.
    pub reservations: Vec<Stored>,
}

/// A state of the event that somebody was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What he was shown.
    pub counters: Counters,
    /// How long before he asked it had been read, where he asked; negative: after that.
    pub age: Option<Micros>,
    /// When somebody asked, last of all, and was shown this.
    pub asked: Option<Micros>,
}

/// Most units that an owner may have; 0: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of the event.
    pub per_owner: i32,
    /// Of each allocation.
    pub per_allocation: i32,
}

/// How long a hold lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holds {
    /// As it is granted.
    pub granted: Micros,
    /// Extended, from its grant on, at most.
    pub longest: Micros,
}

/// One change of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: i64,
    /// When it happened.
    pub at: Micros,
    /// What happened.
    pub kind: Kind,
    /// To which reservation.
    pub reservation: Option<Uuid>,
    /// Whose it is.
    pub owner: String,
    /// What it did to the counts.
    pub deltas: Vec<Delta>,
    /// When the hold lapses, where the change says so.
    pub expires: Option<Micros>,
    /// The order, where the change says so.
    pub order_ref: String,
    /// Whether the event is on sale from here on, where the change says so.
    pub on_sale: Option<bool>,
}

impl Entry {
    /// Added to held units, over all allocations.
    pub fn held(&self) -> i32 {
        self.deltas.iter().map(|delta| delta.held).sum()
    }

    /// Added to sold units, over all allocations.
    pub fn sold(&self) -> i32 {
        self.deltas.iter().map(|delta| delta.sold).sum()
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.as_str_name().trim_start_matches("KIND_");
        write!(f, "journal {} at {}: {kind}", self.seq, self.at)?;
        if let Some(id) = self.reservation {
            write!(f, " {id} of {}", self.owner)?;
        }
        for delta in &self.deltas {
            let Delta { allocation, capacity, held, sold } = delta;
            write!(f, ", #{allocation} capacity {capacity:+} held {held:+} sold {sold:+}")?;
        }
        if let Some(expires) = self.expires {
            write!(f, ", until {expires}")?;
        }
        if !self.order_ref.is_empty() {
            write!(f, ", order {}", self.order_ref)?;
        }
        if let Some(open) = self.on_sale {
            f.write_str(if open { ", on sale" } else { ", not on sale" })?;
        }
        Ok(())
    }
}

/// What one change did to one allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// The number of the allocation.
    pub allocation: usize,
    /// Added to capacity.
    pub capacity: i32,
    /// Added to held.
    pub held: i32,
    /// Added to sold.
    pub sold: i32,
}

/// The event's counters, read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// The newest change that they reflect.
    pub seq: i64,
    /// When they were read, by the server's clock.
    pub read_at: Micros,
    /// Of each allocation, in the order of their numbers.
    pub allocations: Vec<Counter>,
}

impl Counters {
    /// Capacity of all allocations.
    pub fn capacity(&self) -> i32 {
        self.allocations.iter().map(|counter| counter.capacity).sum()
    }

    /// Sold units of all allocations.
    pub fn sold(&self) -> i32 {
        self.allocations.iter().map(|counter| counter.sold).sum()
    }
}

/// The counters of one allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// The allocation's name.
    pub allocation: String,
    /// Units in all.
    pub capacity: i32,
    /// In live holds.
    pub held: i32,
    /// Sold.
    pub sold: i32,
    /// For sale.
    pub available: i32,
}

/// One reservation as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub owner: String,
    /// The rest.
    pub view: View,
}
