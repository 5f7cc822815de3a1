//! The board on Redis: see [`Board`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moka::sync::Cache;
use redis::ToRedisArgs;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Redis, RedisFailure, Script, view};
use crate::domain::{EventId, EventView, Seq, Timestamp};
use crate::engine::{Away, Board, Hung, Keeper, Look, Posted, VIEW_LIFE};

/// How long whoever reads the database for all is expected to go on with it, after each time.
const KEEPING: Duration = Duration::from_secs(1);

/// How long what hung on the board is remembered, so that nothing older is taken from it: after a failover Redis may know less
/// than before. A view lives much shorter.
const REMEMBERED: Duration = Duration::from_secs(5);

/// Most events of which that is remembered.
const EVENTS_MAX: u64 = 10_000;

/// A board on Redis.
pub struct RedisBoard {
    redis: Arc<Redis>,
    look: Script,
    post: Script,
    /// The name of this server, unlike that of any other.
    server: String,
    seen: Cache<EventId, Seen>,
    clocks: Cache<EventId, Clock>,
}

/// The clock of the Redis that has an event (each node of a cluster has its own).
#[derive(Clone, Copy)]
struct Clock {
    /// What it said, in milliseconds since 1970.
    millis: i64,
    /// When we heard that. It was said before.
    heard: Instant,
}

impl Clock {
    /// It is at least so late there now.
    fn least(&self) -> i64 {
        self.millis.saturating_add(i64::try_from(self.heard.elapsed().as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that nobody knows.
const NO_CLOCK: i64 = 0;

/// The newest that hung on the board when we looked.
#[derive(Clone)]
struct Seen {
    stamp: Arc<str>,
    view: Arc<EventView>,
}

/// What the script answers.
type Answer = (bool, Vec<u8>, i64, i64, Option<Seq>, Option<i64>, Option<String>, Option<Vec<u8>>);

impl RedisBoard {
    /// On `redis`. `server` names this server; no two may have the same name.
    pub fn new(redis: Arc<Redis>, server: String) -> Self {
        let seen = Cache::builder().max_capacity(EVENTS_MAX).time_to_live(REMEMBERED).build();
        let (look, post) =
            (Script::new(include_str!("scripts/look.lua")), Script::new(include_str!("scripts/post.lua")));
        let clocks = Cache::builder().max_capacity(EVENTS_MAX).time_to_live(REMEMBERED).build();
        Self { redis, look, post, server, seen, clocks }
    }

    fn keys(&self, event: &EventId) -> [String; 4] {
        ["view", "keeper", "asked", "news"].map(|what| self.redis.key(event, what))
    }

    /// Sends a view, or asks for the time.
    async fn send(&self, event: &EventId, keys: &[&str], args: impl ToRedisArgs) -> Result<(Posted, Clock), Away> {
        let answer = self.redis.run(&self.post, keys, args).await;
        let (keeps, asked, millis): (i64, i64, i64) = answer.map_err(away)?;
        let clock = Clock { millis, heard: Instant::now() };
        self.clocks.insert(event.clone(), clock);
        Ok((Posted { keeps: keeps == 1, asked: asked == 1 }, clock))
    }

    /// The view of an answer, where it may be shown.
    fn hung(&self, event: &EventId, answer: Answer, known: Option<Seen>) -> Option<Hung> {
        let (_, _, life, age, Some(seq), Some(read_at), Some(stamp), text) = answer else { return None };
        let life = Duration::from_millis(u64::try_from(life).ok()?);
        let read_at = Timestamp::from_micros(read_at);
        let view = match (text, &known) {
            (Some(text), _) => view::parse(&text, event, read_at)?,
            (None, Some(known)) => EventView { read_at, ..(*known.view).clone() },
            (None, None) => return None,
        };
        // Of two readings of the same state the later one counts, since holds lapse.
        let order = |view: &EventView| (view.event.last_seq, view.read_at);
        if view.event.last_seq != seq || known.is_some_and(|known| order(&view) < order(&known.view)) {
            return None;
        }
        let view = Arc::new(view);
        self.seen.insert(event.clone(), Seen { stamp: stamp.into(), view: Arc::clone(&view) });
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        Some(Hung { view, life: life.min(VIEW_LIFE), age })
    }

    /// Who wrote `name`.
    fn keeper(&self, name: &[u8]) -> Keeper {
        match name {
            [] => Keeper::Nobody,
            [_, b':', server @ ..] if server == self.server.as_bytes() => Keeper::Oneself,
            _ => Keeper::Other,
        }
    }
}

/// What is refused (for lack of rights, say) is told in the log of whoever looks for it.
#[expect(clippy::needless_pass_by_value, reason = "map_err passes it so")]
fn away(failure: RedisFailure) -> Away {
    tracing::debug!(failure = &failure as &dyn std::error::Error, "the board cannot be used");
    Away
}

#[async_trait]
impl Board for RedisBoard {
    fn is_up(&self) -> bool {
        self.redis.is_up()
    }

    async fn look(&self, event: &EventId, asks: bool) -> Result<Look, Away> {
        let [view, keeper, asked, _] = self.keys(event);
        let known = self.seen.get(event);
        let stamp = known.as_ref().map_or("", |known| &*known.stamp).to_owned();
        let args = (stamp, u8::from(asks));
        let answer: Answer = self.redis.run(&self.look, &[&view, &keeper, &asked], args).await.map_err(away)?;
        let (is_asked, keeper) = (answer.0, self.keeper(&answer.1));
        Ok(Look { hung: self.hung(event, answer, known), keeper, is_asked })
    }

    async fn post(&self, view: &EventView, read: Instant, sells: bool) -> Result<Posted, Away> {
        let event = &view.event.id;
        let text = view::text(view).map_err(|_| Away)?;
        let keys = self.keys(event);
        let who = format!("{}:{}", if sells { 's' } else { 'r' }, self.server);
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let life = millis(VIEW_LIFE.saturating_sub(read.elapsed()));
        if life == 0 {
            // The reading took so long that nobody may be shown it.
            return Err(Away);
        }
        let keys = keys.each_ref().map(String::as_str);
        let times = (life, millis(VIEW_LIFE), who, millis(KEEPING));
        let clock = match self.clocks.get(event) {
            Some(clock) => clock.least(),
            // What comes with an unknown time is not posted, but the answer tells it.
            None => self.send(event, &keys, (0, 0, "", &times, NO_CLOCK)).await?.1.least(),
        };
        let args = (view.event.last_seq, view.read_at.as_micros(), &text, &times, clock);
        Ok(self.send(event, &keys, args).await?.0)
    }

    fn hear(&self, event: &EventId) -> Option<watch::Receiver<Vec<u8>>> {
        self.redis.hear(&self.redis.key(event, "news"))
    }
}
