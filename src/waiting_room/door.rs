//! Between the rooms and the API: which events have a room, who may pass, and what to do when the shared rooms are lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::{
    Ask, Estimate, LocalRooms, Millis, PassError, PassKeys, ROOMS_MAX, RoomError, Rooms, Rules, Stand, Standing, Who,
};
use crate::causes::in_one_line;
use crate::domain::{EventId, OnLoss, OwnerId, WaitingRoom};
use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::storage::{Clock, Store, StoreError};

/// How often the settings are read. With the time of the reading it stays below the 250 ms that the API promises.
const LOOK: Duration = Duration::from_millis(150);
/// When people near the front should ask again.
const POLL_MIN_MILLIS: Millis = 1_000;
/// When anybody should: a million who ask once a minute are 17,000 calls a second.
const POLL_MAX_MILLIS: Millis = 60_000;
/// When those should who are told nothing because the shared room is lost.
const POLL_LOST_MILLIS: Millis = 10_000;
/// Of the wait that is left, the part after which somebody should ask again.
const POLLS_PER_WAIT: Millis = 8;
/// Where the wait cannot be told, by how much longer each place further back is.
const POLL_MILLIS_PER_PLACE: Millis = 10;
/// Of the grace time, the part within which everybody should ask again: a few calls may fail.
const POLLS_PER_GRACE: Millis = 5;

/// How to run it.
#[derive(Clone)]
pub struct DoorConfig {
    /// What passes are signed with.
    pub keys: Arc<PassKeys>,
    /// The rooms that several servers share; `None`: each process has its own.
    pub shared: Option<Arc<dyn Rooms>>,
    /// By which passes expire, and the rooms of the process go.
    pub clock: Clock,
}

/// See the module.
pub(crate) struct Door {
    keys: Arc<PassKeys>,
    shared: Option<Arc<dyn Rooms>>,
    local: LocalRooms,
    clock: Clock,
    metrics: Arc<Metrics>,
    /// Of events with a room. Nothing: not read yet.
    settings: RwLock<Option<Arc<HashMap<EventId, WaitingRoom>>>>,
    /// Held from before a reading until it has been taken over: readings are taken over in the order in which they began.
    looking: tokio::sync::Mutex<()>,
    /// Whether any event has a room, or that is not known: else there is nothing to look up.
    guarded: AtomicBool,
    /// When the rooms came to be that were met.
    born: Mutex<HashMap<EventId, Millis>>,
    warned: AtomicBool,
    /// Whether there were more rooms than are followed.
    overfull: AtomicBool,
}

/// What has become of somebody who asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Placed {
    /// He waits.
    Waiting {
        /// Where, and among how many; nothing: the shared room is lost.
        position: Option<(u64, u64)>,
        estimate: Estimate,
        poll_after: Millis,
    },
    /// He is inside.
    Inside { pass: String, until: Millis },
    /// There are too many already.
    Full,
}

/// Why somebody may not reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Barred {
    /// He showed no pass.
    NoPass,
    /// His pass is none, or not his or not for this.
    Invalid,
    /// It was one.
    Expired,
    /// Whether he needs one is not known yet: the server has just begun, and the database does not answer.
    Unknown,
}

impl Barred {
    /// Whether what he asks for may have been granted already: before the event had a room, or with a pass that was good then.
    pub(crate) const fn may_repeat(self) -> bool {
        match self {
            Self::NoPass | Self::Invalid | Self::Expired => true,
            Self::Unknown => false,
        }
    }
}

impl Door {
    pub(crate) fn new(config: DoorConfig, metrics: Arc<Metrics>) -> Self {
        Self {
            keys: config.keys,
            shared: config.shared,
            local: LocalRooms::new(Arc::clone(&config.clock)),
            clock: config.clock,
            metrics,
            settings: RwLock::default(),
            looking: tokio::sync::Mutex::default(),
            guarded: AtomicBool::new(true),
            born: Mutex::default(),
            warned: AtomicBool::new(false),
            overfull: AtomicBool::new(false),
        }
    }

    /// Reads which events have a room.
    pub(crate) async fn look(&self, store: &dyn Store) -> Result<(), StoreError> {
        self.look_by(store.waiting_rooms(ROOMS_MAX + 1)).await
    }

    /// The same by this reading, which has not begun yet.
    async fn look_by(
        &self,
        reading: impl Future<Output = Result<Vec<(EventId, WaitingRoom)>, StoreError>>,
    ) -> Result<(), StoreError> {
        let _turn = self.looking.lock().await;
        let rooms: HashMap<_, _> = reading.await?.into_iter().collect();
        let too_many = rooms.len() > ROOMS_MAX;
        if !self.overfull.swap(too_many, Ordering::Relaxed) && too_many {
            tracing::error!(
                "more than {ROOMS_MAX} events have a waiting room and are not closed; those with the greatest ids sell without one"
            );
        }
        if self.shared.is_some()
            && !rooms.is_empty()
            && !self.keys.are_shared()
            && !self.warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "an event has a waiting room, but passes are signed with a key of this process alone: no other server takes \
                 them; give all servers the same --pass-key-file"
            );
        }
        let guarded = !rooms.is_empty();
        self.born.lock().unwrap_or_else(PoisonError::into_inner).retain(|event, _| rooms.contains_key(event));
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(rooms));
        self.guarded.store(guarded, Ordering::Relaxed);
        Ok(())
    }

    /// Keeps that up to date. While the database does not answer, what was read last holds.
    pub(crate) async fn keep_looking(self: Arc<Self>, engine: Arc<Engine>) {
        // Whoever starts this has looked already.
        let mut interval = tokio::time::interval_at(Instant::now() + LOOK, LOOK);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            interval.tick().await;
            match self.look(engine.store()).await {
                Ok(()) => failing = false,
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    tracing::warn!(error = in_one_line(&error), "cannot read which events have a waiting room");
                }
                Err(_) => {}
            }
        }
    }

    /// Whether anybody could need a pass for anything.
    pub(crate) fn is_guarded(&self) -> bool {
        self.guarded.load(Ordering::Relaxed)
    }

    /// Whether `owner` may reserve in `event` with this pass.
    pub(crate) fn check(&self, event: &EventId, owner: &OwnerId, pass: Option<&str>) -> Result<(), Barred> {
        if !self.is_guarded() {
            return Ok(());
        }
        let Some(settings) = self.settings() else { return Err(Barred::Unknown) };
        if !settings.contains_key(event) {
            return Ok(());
        }
        let pass = pass.filter(|pass| !pass.is_empty()).ok_or(Barred::NoPass)?;
        self.keys.check(pass, event, owner, self.now()).map_err(|error| match error {
            PassError::Invalid => Barred::Invalid,
            PassError::Expired => Barred::Expired,
        })
    }

    /// The settings of an event's room; an inner `None`: it has none; `None`: not known yet.
    pub(crate) fn room_of(&self, event: &EventId) -> Option<Option<WaitingRoom>> {
        self.settings().map(|settings| settings.get(event).copied())
    }

    /// Takes a place, or tells of it.
    pub(crate) async fn join(&self, event: &EventId, owner: &OwnerId, room: &WaitingRoom) -> Placed {
        let (who, rules) = (Who::of(owner), Rules::from(room));
        match self.ask(event, who, Ask::Join, room, &rules).await {
            Some(standing) => self.placed(event, owner, &standing, &rules),
            None => Placed::Waiting {
                position: None,
                estimate: Estimate { min: None, max: None },
                poll_after: POLL_LOST_MILLIS.min(rules.grace_millis / POLLS_PER_GRACE),
            },
        }
    }

    /// Gives a place up. False: nobody knows whether he has it still. Then he must ask again, or, if he is inside, it stays
    /// taken for as long as his pass is good, and nobody is let in for him.
    pub(crate) async fn leave(&self, event: &EventId, owner: &OwnerId, room: &WaitingRoom) -> bool {
        self.ask(event, Who::of(owner), Ask::Leave, room, &Rules::from(room)).await.is_some()
    }

    async fn ask(&self, event: &EventId, who: Who, ask: Ask, room: &WaitingRoom, rules: &Rules) -> Option<Standing> {
        let Some(shared) = &self.shared else { return Some(self.local.ask_now(event, who, ask, rules)) };
        match shared.ask(event, who, ask, rules).await {
            Ok(standing) => {
                self.note_birth(event, &standing);
                Some(standing)
            }
            Err(RoomError::Lost(_)) if room.on_loss == OnLoss::Open => Some(self.local.ask_now(event, who, ask, rules)),
            Err(RoomError::Lost(_) | RoomError::NoAnswer(_)) => None,
        }
    }

    /// A room that is younger than it was is another one: Redis has lost the one before, and with it everybody's place.
    fn note_birth(&self, event: &EventId, standing: &Standing) {
        let mut born = self.born.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = born.get_mut(event) else {
            if born.len() < ROOMS_MAX {
                born.insert(event.clone(), standing.born);
            }
            return;
        };
        // Answers may overtake each other: only a later birth is a loss.
        if *known < standing.born {
            *known = standing.born;
            self.metrics.waiting_room_lost();
            tracing::warn!(%event, "Redis has lost this waiting room; people are lined up anew as they ask again");
        }
    }

    fn placed(&self, event: &EventId, owner: &OwnerId, standing: &Standing, rules: &Rules) -> Placed {
        match standing.stand {
            Stand::Inside { until } => Placed::Inside { pass: self.keys.sign(event, owner, until), until },
            Stand::Waiting { position } => {
                let estimate = Estimate::of(position, &standing.facts, rules);
                let poll_after = poll_after(position, estimate.min, rules);
                Placed::Waiting { position: Some((position, standing.facts.waiting)), estimate, poll_after }
            }
            Stand::Full | Stand::Gone => Placed::Full,
        }
    }

    fn settings(&self) -> Option<Arc<HashMap<EventId, WaitingRoom>>> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn now(&self) -> Millis {
        (self.clock)().as_micros() / 1_000
    }
}

/// The farther back somebody stands, the more rarely he need ask, but always often enough to be known to be there.
fn poll_after(position: u64, wait: Option<Millis>, rules: &Rules) -> Millis {
    let by_position = || i64::try_from(position).unwrap_or(Millis::MAX).saturating_mul(POLL_MILLIS_PER_PLACE);
    let wanted = wait.map_or_else(by_position, |wait| wait / POLLS_PER_WAIT);
    wanted.clamp(POLL_MIN_MILLIS, POLL_MAX_MILLIS).min(rules.grace_millis / POLLS_PER_GRACE)
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;
    use tokio::task::yield_now;

    use super::*;

    /// An edit looks by itself, so that what it changed holds for the next call: also while the look of before hangs.
    #[tokio::test]
    async fn an_older_reading_does_not_undo_a_newer_one() {
        let keys = Arc::new(PassKeys::random().unwrap());
        let clock: Clock = Arc::new(|| crate::domain::Timestamp::from_micros(0));
        let door = Door::new(DoorConfig { keys, shared: None, clock }, Arc::default());
        let gala = EventId::new("gala").unwrap();
        let hour = crate::domain::Duration::from_micros(3_600_000_000);
        let room = WaitingRoom {
            admissions_per_second: 0,
            inside_max: None,
            on_loss: OnLoss::Closed,
            pass_lifetime: hour,
            grace: hour,
        };
        let answers = Notify::new();
        let older = door.look_by(async {
            answers.notified().await;
            Ok(Vec::new())
        });
        let newer = async {
            yield_now().await;
            door.look_by(async { Ok(vec![(gala.clone(), room)]) }).await
        };
        let answering = async {
            for _ in 0..10 {
                yield_now().await;
            }
            answers.notify_one();
        };
        let (older, newer, ()) = tokio::join!(older, newer, answering);
        assert!(older.is_ok() && newer.is_ok());
        assert_eq!(door.room_of(&gala), Some(Some(room)));
        assert!(door.is_guarded());
    }

    /// The room that servers share, which does not answer this time; or is lost.
    struct Silent(fn() -> RoomError);

    #[async_trait::async_trait]
    impl Rooms for Silent {
        async fn ask(&self, _: &EventId, _: Who, _: Ask, _: &Rules) -> Result<Standing, RoomError> {
            Err((self.0)())
        }
    }

    #[tokio::test]
    async fn nobody_is_told_that_he_has_left_where_that_is_not_known() {
        let (gala, ann) = (EventId::new("gala").unwrap(), OwnerId::new("ann").unwrap());
        let hour = crate::domain::Duration::from_micros(3_600_000_000);
        let room = |on_loss| WaitingRoom {
            admissions_per_second: 1,
            inside_max: Some(1),
            on_loss,
            pass_lifetime: hour,
            grace: hour,
        };
        let door = |shared| {
            let clock: Clock = Arc::new(|| crate::domain::Timestamp::from_micros(0));
            Door::new(DoorConfig { keys: Arc::new(PassKeys::random().unwrap()), shared, clock }, Arc::default())
        };
        assert!(door(None).leave(&gala, &ann, &room(OnLoss::Closed)).await, "the room is in the process");
        let (silent, lost) = (|| RoomError::NoAnswer("silent".into()), || RoomError::Lost("away".into()));
        for (failure, on_loss, left) in [
            (silent as fn() -> RoomError, OnLoss::Closed, false),
            (silent, OnLoss::Open, false),
            (lost, OnLoss::Closed, false),
            // Then the room is in the process as well.
            (lost, OnLoss::Open, true),
        ] {
            let door = door(Some(Arc::new(Silent(failure)) as Arc<dyn Rooms>));
            assert_eq!(door.leave(&gala, &ann, &room(on_loss)).await, left, "{:?} {on_loss:?}", failure());
        }
    }

    #[test]
    fn a_crowd_asks_rarely_and_always_within_the_grace_time() {
        let rules = |grace_millis| Rules { rate: 0, inside_max: 1, pass_millis: 1, grace_millis, places_max: 1 };
        let long = rules(600_000);
        assert_eq!(poll_after(1, None, &long), 1_000);
        assert_eq!(poll_after(1_000, None, &long), 10_000);
        assert_eq!(poll_after(1_000_000, None, &long), 60_000);
        assert_eq!(poll_after(1_000_000, Some(80_000), &long), 10_000);
        assert_eq!(poll_after(u64::MAX, Some(Millis::MAX), &rules(1_000)), 200);
    }
}
