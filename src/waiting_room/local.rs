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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waiting_room::Stand;

    const SHUT: Rules =
        Rules { rate: 0, inside_max: 1, pass_millis: 1_000, grace_millis: 3_600_000, places_max: PLACES_MAX };

    fn event(id: &str) -> EventId {
        EventId::new(id).unwrap()
    }

    #[test]
    fn all_lines_of_a_process_together_have_a_bound() {
        let mut rooms = AllRooms::default();
        let (ann, bob) = (Who([1; 16]), Who([2; 16]));
        for id in ["one", "other"] {
            rooms.ask(0, &event(id), ann, Ask::Join, &SHUT);
        }
        assert_eq!(rooms.waiting, 2);
        // As if all the others were in lines elsewhere.
        rooms.waiting = PLACES_MAX;
        assert_eq!(rooms.ask(0, &event("one"), bob, Ask::Join, &SHUT).stand, Stand::Full);
        rooms.ask(0, &event("other"), ann, Ask::Leave, &SHUT);
        assert_eq!(rooms.ask(0, &event("one"), bob, Ask::Join, &SHUT).stand, Stand::Waiting { position: 2 });
        assert_eq!(rooms.waiting, PLACES_MAX);
    }

    #[test]
    fn a_room_is_forgotten_when_nobody_asks_any_more_and_an_empty_one_earlier() {
        let mut rooms = AllRooms::default();
        let ann = Who([1; 16]);
        rooms.ask(0, &event("taken"), ann, Ask::Join, &SHUT);
        rooms.ask(0, &event("empty"), ann, Ask::Leave, &SHUT);
        // Nobody waits in these two, but somebody is inside, or was called in.
        let (bob, open) = (Who([2; 16]), Rules { rate: 9, ..SHUT });
        rooms.ask(0, &event("visited"), ann, Ask::Join, &open);
        for (who, ask) in [(ann, Ask::Join), (bob, Ask::Join), (ann, Ask::Leave)] {
            rooms.ask(0, &event("called"), who, ask, &open);
        }
        let mut kept_at = |now, id: &str| {
            rooms.ask(now, &event(id), ann, Ask::Join, &SHUT);
            let mut kept: Vec<_> = rooms.of.keys().map(|id| id.as_str().to_owned()).filter(|kept| kept != id).collect();
            kept.sort();
            kept
        };
        assert_eq!(kept_at(EMPTY_KEPT_MILLIS, "a"), ["called", "empty", "taken", "visited"]);
        assert_eq!(kept_at(EMPTY_KEPT_MILLIS + 1, "b"), ["a", "called", "taken", "visited"]);
        assert_eq!(kept_at(QUIET_KEPT_MILLIS, "c"), ["a", "b", "called", "taken", "visited"]);
        assert_eq!(kept_at(QUIET_KEPT_MILLIS + 1, "d"), ["a", "b", "c"]);
    }
}
