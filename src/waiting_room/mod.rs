//! The waiting room: who comes first is let in first, at a rate that the database and its operators can bear.
//!
//! [`Room`] is the rule, deterministic and without a clock of its own; `room.lua` is its twin inside Redis, and both pass
//! the same tests. [`Door`] stands between them and the API: it knows which events have a room, signs and checks the passes,
//! and knows what to do when Redis is lost. Nothing here decides on a sale: a room delays, and a lost room costs places in a
//! line, never a ticket.

mod door;
mod estimate;
mod line;
mod local;
mod pass;
mod redis;
mod room;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use ring::digest;

pub use self::door::DoorConfig;
pub(crate) use self::door::{Barred, Door, Placed};
pub use self::estimate::Estimate;
pub use self::local::LocalRooms;
pub use self::pass::{PassError, PassKeys};
pub use self::redis::RedisRooms;
pub use self::room::Room;

use crate::domain::{EventId, OwnerId, WaitingRoom};

/// Most people in the lines of one server process, or of one event in Redis. One more is told to come again. In the process
/// a place costs about 170 bytes.
pub const PLACES_MAX: u64 = 2_000_000;
/// Most events whose waiting rooms are followed. Those that will not sell any more do not count.
pub const ROOMS_MAX: usize = 10_000;

/// A moment, in milliseconds since the epoch; of the clock that the room goes by.
pub type Millis = i64;

/// Who waits: the first 128 bits of the SHA-256 of the owner's name. So a place costs the same whatever people are called,
/// and Redis learns no names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who([u8; 16]);

impl Who {
    /// The owner's.
    pub fn of(owner: &OwnerId) -> Self {
        let digest = digest::digest(&digest::SHA256, owner.as_str().as_bytes());
        let mut who = [0; 16];
        who.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self(who)
    }

    /// As Redis keeps it.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What somebody asks of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// A place, or how his place stands; and he is still there.
    Join,
    /// To be no longer in the line, nor inside.
    Leave,
}

/// What a room lets through, in the room's own units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// People a second; 0: nobody.
    pub rate: i64,
    /// Most people inside.
    pub inside_max: i64,
    /// How long a pass is good.
    pub pass_millis: Millis,
    /// How long a place is kept of somebody who is not heard of.
    pub grace_millis: Millis,
    /// Most people in the line.
    pub places_max: u64,
}

impl From<&WaitingRoom> for Rules {
    fn from(room: &WaitingRoom) -> Self {
        Self {
            rate: room.admissions_per_second,
            // Far more than there are people.
            inside_max: room.inside_max.unwrap_or(1 << 40),
            pass_millis: room.pass_lifetime.as_micros() / 1_000,
            grace_millis: room.grace.as_micros() / 1_000,
            places_max: PLACES_MAX,
        }
    }
}

/// Where somebody stands, and what the room knows of its own pace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Where he stands.
    pub stand: Stand,
    /// What estimates are made from.
    pub facts: Facts,
    /// When the room came to be, in milliseconds: another number tells that the room was lost and is a new one.
    pub born: Millis,
}

/// Where somebody stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// In the line.
    Waiting {
        /// 1: next.
        position: u64,
    },
    /// Inside, until this moment.
    Inside {
        /// When his pass expires.
        until: Millis,
    },
    /// Not there: he has left.
    Gone,
    /// Not there: the line is as long as it may be.
    Full,
}

/// What a room knows of its own pace.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Facts {
    /// People in the line.
    pub waiting: u64,
    /// People who were let in, and whose time is not over.
    pub inside: u64,
    /// People let in lately: each counts less the longer ago it was ([`estimate::MEMORY_MILLIS`]).
    pub admitted: f64,
    /// People who left the line otherwise lately, counted in the same way.
    pub left: f64,
    /// For how long this was counted, in milliseconds.
    pub observed: Millis,
}

/// Why there is no answer. Whether the room has done what it was asked is unknown.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// It cannot be reached, and not only by this call.
    #[error("the waiting room that the servers share cannot be reached")]
    Lost(#[source] crate::storage::BoxError),
    /// It did not answer this time, but may the next.
    #[error("the waiting room that the servers share did not answer")]
    NoAnswer(#[source] crate::storage::BoxError),
}

/// The rooms of all events: in this process, or shared by several.
#[async_trait]
pub trait Rooms: Send + Sync + 'static {
    /// Asks the room of `event`, which comes to be with the first who joins.
    async fn ask(&self, event: &EventId, who: Who, ask: Ask, rules: &Rules) -> Result<Standing, RoomError>;
}
