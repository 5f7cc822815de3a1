//! The rooms that several servers share, in Redis: `room.lua`, one call a question.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{Ask, Facts, Millis, RoomError, Rooms, Rules, Stand, Standing, Who};
use crate::domain::EventId;
use crate::redis::{Redis, RedisFailure, Script};

/// Most calls that are on their way to Redis; the others wait here, in the order of their coming, when a hundred
/// thousand come at once. How many can wait is bounded by the requests that a server takes.
const CALLS_MAX: usize = 256;

/// What the script answers: what, position or until, waiting, inside, admitted, left, observed, born.
type Answer = (String, i64, u64, u64, f64, f64, Millis, Millis);

/// See the module.
pub struct RedisRooms {
    redis: Arc<Redis>,
    script: Script,
    turns: Semaphore,
}

impl RedisRooms {
    /// In this Redis.
    pub fn new(redis: Arc<Redis>) -> Self {
        Self { redis, script: Script::new(include_str!("room.lua")), turns: Semaphore::new(CALLS_MAX) }
    }

    /// Asks at `now`; 0: by the clock of Redis, which all servers share. (Tests bring their own.)
    pub(super) async fn ask_at(
        &self,
        now: Millis,
        event: &EventId,
        who: Who,
        ask: Ask,
        rules: &Rules,
    ) -> Result<Standing, RoomError> {
        let keys = ["room", "room-line", "room-seen", "room-called", "room-inside"];
        let keys = keys.map(|key| self.redis.key(event, key));
        let keys = keys.each_ref().map(String::as_str);
        let what = match ask {
            Ask::Join => "join",
            Ask::Leave => "leave",
        };
        let Rules { rate, inside_max, pass_millis, grace_millis, places_max } = *rules;
        let args = (&who.as_bytes()[..], what, rate, inside_max, pass_millis, grace_millis, places_max, now);
        // It is never closed.
        let _turn = self.turns.acquire().await.map_err(|error| RoomError::NoAnswer(error.into()))?;
        self.redis.run::<Answer>(&self.script, &keys, args).await.map_err(failed).and_then(standing)
    }
}

/// The log is told by Redis' own module, also of what Redis refuses (no memory left, no right to run scripts).
fn failed(failure: RedisFailure) -> RoomError {
    match failure {
        RedisFailure::Away | RedisFailure::Failed(_) => RoomError::Lost(failure.into()),
        RedisFailure::Busy | RedisFailure::Silent => RoomError::NoAnswer(failure.into()),
    }
}

fn standing(answer: Answer) -> Result<Standing, RoomError> {
    let (what, number, waiting, inside, admitted, left, observed, born) = answer;
    let stand = match what.as_str() {
        "waiting" => Stand::Waiting { position: u64::try_from(number).unwrap_or(0) },
        "inside" => Stand::Inside { until: number },
        "gone" => Stand::Gone,
        "full" => Stand::Full,
        other => return Err(RoomError::Lost(format!("the script answered {other:?}").into())),
    };
    Ok(Standing { stand, facts: Facts { waiting, inside, admitted, left, observed }, born })
}

#[async_trait]
impl Rooms for RedisRooms {
    async fn ask(&self, event: &EventId, who: Who, ask: Ask, rules: &Rules) -> Result<Standing, RoomError> {
        self.ask_at(0, event, who, ask, rules).await
    }
}
