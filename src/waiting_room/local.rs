//! The rooms of one server process, in its memory. They are gone when it ends: then people join again, and the order is that
//! of their coming back.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Ask, Millis, PLACES_MAX, Room, RoomError, Rooms, Rules, Standing, Who};
use crate::domain::EventId;
use crate::storage::Clock;

/// A room in which nobody is, and of which nothing was asked for so long, is forgotten when another one comes to be. Not
/// earlier: a new room has its first people let in at once, which would be a way around the rate.
const EMPTY_KEPT_MILLIS: Millis = 60_000;
/// And one in which somebody is, who was not heard of for so long.
const QUIET_KEPT_MILLIS: Millis = 24 * 3_600_000;

/// See the module.
pub struct LocalRooms {
    clock: Clock,
    rooms: Mutex<AllRooms>,
}

#[derive(Default)]
struct AllRooms {
    of: HashMap<EventId, Room>,
    /// People in all lines.
    waiting: u64,
}

impl LocalRooms {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, rooms: Mutex::default() }
    }

    /// What [`Rooms::ask`] does, at once.
    pub fn ask_now(&self, event: &EventId, who: Who, ask: Ask, rules: &Rules) -> Standing {
        let now = (self.clock)().as_micros() / 1_000;
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.ask(now, event, who, ask, rules)
    }
}

impl AllRooms {
    fn ask(&mut self, now: Millis, event: &EventId, who: Who, ask: Ask, rules: &Rules) -> Standing {
        if !self.of.contains_key(event) {
            self.forget_old(now);
            self.of.insert(event.clone(), Room::new(now, rules));
        }
        let elsewhere = self.waiting - self.of.get(event).map_or(0, Room::waiting);
        let rules = Rules { places_max: rules.places_max.min(PLACES_MAX.saturating_sub(elsewhere)), ..*rules };
        let room = self.of.entry(event.clone()).or_insert_with(|| Room::new(now, &rules));
        let standing = room.ask(now, who, ask, &rules);
        self.waiting = elsewhere + room.waiting();
        standing
    }

    fn forget_old(&mut self, now: Millis) {
        self.of.retain(|_, room| {
            let kept = if room.is_empty() { EMPTY_KEPT_MILLIS } else { QUIET_KEPT_MILLIS };
            !room.is_quiet_since(now - kept)
        });
        self.waiting = self.of.values().map(Room::waiting).sum();
    }
}

#[async_trait]
impl Rooms for LocalRooms {
    async fn ask(&self, event: &EventId, who: Who, ask: Ask, rules: &Rules) -> Result<Standing, RoomError> {
        Ok(self.ask_now(event, who, ask, rules))
    }
}
