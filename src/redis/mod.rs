//! Redis, which servers share beside the database. It is advisory: it may delay or refuse a request, but never grants one, and
//! losing it or all that is in it loses nothing. `docs/redis.md` says what is kept there.
//!
//! No answer is never an answer: whoever asks must be able to do without ([`RedisFailure`]), and learns within the time limit
//! of a command, and once it is known that Redis is away, at once.

mod address;
mod board;
mod breaker;
mod link;
mod rates;
mod script;
mod subscriptions;
#[cfg(test)]
mod tests;
mod view;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use redis::{Cmd, ErrorKind, FromRedisValue, PushInfo, PushKind, RedisError, ServerErrorKind, ToRedisArgs};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

pub use self::address::RedisAddress;
pub use self::board::RedisBoard;
use self::breaker::{Breakers, Turn};
use self::link::{Connector, Link};
pub use self::rates::RedisRates;
pub use self::script::Script;
use self::subscriptions::{Difference, Subscriptions};
#[cfg(test)]
pub(crate) use self::view::tests::view as some_view;
use crate::causes::in_one_line;
use crate::domain::EventId;
use crate::metrics::{RedisMetrics, RedisOutcome};

/// Most commands in flight; more are not sent.
const IN_FLIGHT_MAX: usize = 1_024;

/// How long after a failed try to connect the next one begins: at first, and at most. Each is twice as long as the one before.
const RECONNECT_MIN: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_secs(1);

/// How often connections are asked whether they still work, so that a connection on which nothing is asked is not found broken
/// only when it is needed.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long after the log has told that Redis refuses commands, or answers too late, nothing more of that kind is told.
const TOLD_FOR: Duration = Duration::from_secs(60);

/// How to use Redis.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// Where it is.
    pub address: RedisAddress,
    /// Within which it must answer a command.
    pub timeout: Duration,
    /// What our keys and channels begin with.
    pub prefix: String,
}

/// Why there is no answer. None of these is a "no": what the command would have done may be done or not.
#[derive(Debug, thiserror::Error)]
pub enum RedisFailure {
    /// It was away a moment ago. Not sent.
    #[error("Redis is away")]
    Away,
    /// Too much is in flight already. Not sent.
    #[error("too many commands for Redis are in flight")]
    Busy,
    /// No answer in time.
    #[error("Redis did not answer in time")]
    Silent,
    /// It said something else than an answer, or the connection broke.
    #[error("Redis failed")]
    Failed(#[source] RedisError),
}

/// Redis, as one server uses it.
pub struct Redis {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    timeout: Duration,
    prefix: String,
    is_cluster: bool,
    connector: Connector,
    link: RwLock<Option<Link>>,
    breakers: Breakers,
    permits: Semaphore,
    subscriptions: Arc<Subscriptions>,
    metrics: Arc<RedisMetrics>,
    /// There is no link any more, or it may not work.
    doubt: Arc<Notify>,
    /// A cluster, or a part of it, was away: the connections that hear may not have noticed, or not have come back.
    renew: AtomicBool,
    /// Whether the log says that it is away.
    told_away: AtomicBool,
    /// When the log told of a refusal, and of an answer that came too late.
    told_refusal: ToldAt,
    told_late: ToldAt,
}

/// When the log told of something that each call may meet.
#[derive(Default)]
struct ToldAt(Mutex<Option<Instant>>);

impl ToldAt {
    /// Whether it is time to tell it again.
    fn is_due(&self) -> bool {
        let now = Instant::now();
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|at| now.saturating_duration_since(at) < TOLD_FOR) {
            return false;
        }
        *told = Some(now);
        true
    }
}

impl Redis {
    /// Begins to connect, and stays connected until it is dropped. Nobody waits for it.
    pub fn start(config: RedisConfig) -> Self {
        let subscriptions = Arc::new(Subscriptions::default());
        let doubt = Arc::new(Notify::new());
        let on_push = {
            let (subscriptions, doubt) = (Arc::clone(&subscriptions), Arc::clone(&doubt));
            move |push: PushInfo| match push.kind {
                PushKind::Disconnection => {
                    subscriptions.lost();
                    doubt.notify_one();
                }
                _ => subscriptions.pushed(&push),
            }
        };
        let is_cluster = config.address.is_cluster();
        let shared = Arc::new(Shared {
            is_cluster,
            connector: Connector::new(config.address, config.timeout, IN_FLIGHT_MAX, Arc::new(on_push)),
            timeout: config.timeout,
            prefix: config.prefix,
            link: RwLock::default(),
            breakers: Breakers::new(is_cluster),
            permits: Semaphore::new(IN_FLIGHT_MAX),
            subscriptions,
            metrics: Arc::default(),
            doubt,
            renew: AtomicBool::new(false),
            told_away: AtomicBool::new(false),
            told_refusal: ToldAt::default(),
            told_late: ToldAt::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&shared).stay_connected());
        tasks.spawn(Arc::clone(&shared).stay_subscribed());
        Self { shared, _tasks: tasks }
    }

    /// What is counted of it.
    pub fn metrics(&self) -> &Arc<RedisMetrics> {
        &self.shared.metrics
    }

    /// Whether there is a connection. (Of a cluster, a node may be away all the same.)
    pub fn is_up(&self) -> bool {
        self.shared.link.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The name of a key or channel of an event: `prefix:{event}:what`. All of one event are in one slot of a cluster.
    pub fn key(&self, event: &EventId, what: &str) -> String {
        format!("{}:{{{event}}}:{what}", self.shared.prefix)
    }

    /// The name of a key that belongs to no event: `prefix:what:whose`.
    pub fn key_of(&self, what: &str, whose: &str) -> String {
        format!("{}:{what}:{whose}", self.shared.prefix)
    }

    /// Runs a script. Its keys must be of one event, and at least one.
    ///
    /// # Errors
    /// Where there is no answer: then nobody knows whether it ran.
    pub async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        args: impl ToRedisArgs,
    ) -> Result<T, RedisFailure> {
        let first = keys.first().copied().unwrap_or_default();
        match self.shared.ask(first, &script.by_hash(keys, &args)).await {
            Err(RedisFailure::Failed(error)) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.shared.ask(first, &script.by_source(keys, &args)).await
            }
            answered => answered,
        }
    }

    /// Sends a command whose first key is `key`.
    #[cfg(test)]
    pub(crate) async fn ask<T: FromRedisValue>(&self, key: &str, command: &Cmd) -> Result<T, RedisFailure> {
        self.shared.ask(key, command).await
    }

    /// Somebody went on without an answer, earlier than within the time limit of a command.
    fn was_late(&self) {
        self.shared.doubt.notify_one();
        if self.shared.told_late.is_due() {
            tracing::warn!("Redis answers too late to be waited for; for now each server holds its own limits");
        }
    }

    /// The newest message of a channel (SPUBLISH), as long as the receiver lives. It also wakes, without a new message, after
    /// the connection was lost. Messages get lost, so whoever hears must look for himself from time to time. `None`: too many
    /// channels are heard.
    pub fn hear(&self, channel: &str) -> Option<watch::Receiver<Vec<u8>>> {
        self.shared.subscriptions.hear(channel)
    }
}

impl Shared {
    async fn ask<T: FromRedisValue>(&self, key: &str, command: &Cmd) -> Result<T, RedisFailure> {
        let begun = Instant::now();
        let breaker = self.breakers.of(key);
        let Some(mut link) = self.link().filter(|_| self.breakers.enter(breaker, begun)) else {
            self.metrics.count(RedisOutcome::Away);
            return Err(RedisFailure::Away);
        };
        let Ok(_permit) = self.permits.try_acquire() else {
            self.metrics.count(RedisOutcome::Busy);
            return Err(RedisFailure::Busy);
        };
        let answer = match timeout(self.timeout, link.ask(command)).await {
            Err(_) => Err(None),
            Ok(Err(error)) if error.is_timeout() => Err(None),
            Ok(Err(error)) => Err(Some(error)),
            Ok(Ok(value)) => value.extract_error().map_err(Some),
        };
        match answer {
            Ok(value) => {
                self.metrics.took(begun.elapsed());
                self.answered(breaker, RedisOutcome::Answered);
                T::from_redis_value(value).map_err(|error| RedisFailure::Failed(error.into()))
            }
            Err(None) => {
                self.metrics.count(RedisOutcome::Silent);
                let (open, turn) = self.breakers.silent(breaker, Instant::now());
                if open {
                    self.away(turn, &"it does not answer in time");
                }
                Err(RedisFailure::Silent)
            }
            Err(Some(error)) if is_away(&error) => {
                self.metrics.count(RedisOutcome::Broken);
                let turn = self.breakers.broken(breaker, Instant::now());
                self.away(turn, &in_one_line(&error));
                self.give_up_single();
                Err(RedisFailure::Failed(error))
            }
            Err(Some(error)) => {
                self.answered(breaker, RedisOutcome::Refused);
                // A script that it has not seen yet is sent to it at once.
                if error.kind() != ErrorKind::Server(ServerErrorKind::NoScript) && self.told_refusal.is_due() {
                    tracing::warn!(why = %in_one_line(&error), "Redis refuses a command; its work is done without it");
                }
                Err(RedisFailure::Failed(error))
            }
        }
    }

    fn link(&self) -> Option<Link> {
        self.link.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answered(&self, breaker: usize, outcome: RedisOutcome) {
        self.metrics.count(outcome);
        if self.breakers.answered(breaker) == Turn::Back {
            self.back();
            if self.is_cluster {
                self.renew.store(true, Ordering::Relaxed);
                self.doubt.notify_one();
            }
        }
    }

    /// A breaker has opened.
    fn away(&self, turn: Turn, why: &dyn std::fmt::Display) {
        if turn == Turn::Away {
            self.tell_away(why);
        }
        self.doubt.notify_one();
    }

    /// A single server gets a new connection: it may be a replica now, or there may be another primary. A cluster's
    /// connections look after themselves, and there may be nodes that still answer.
    fn give_up_single(&self) {
        if !self.is_cluster {
            *self.link.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn tell_away(&self, why: &dyn std::fmt::Display) {
        self.metrics.set_up(false);
        if !self.told_away.swap(true, Ordering::Relaxed) {
            tracing::warn!(why = %why, "Redis is away; its work is done without it");
        }
    }

    fn back(&self) {
        self.metrics.set_up(true);
        if self.told_away.swap(false, Ordering::Relaxed) {
            tracing::info!("Redis is back");
        }
    }

    async fn stay_connected(self: Arc<Self>) {
        loop {
            let link = self.connected().await;
            *self.link.write().unwrap_or_else(PoisonError::into_inner) = Some(link);
            self.breakers.reset();
            self.subscriptions.lost();
            self.back();
            self.while_it_works().await;
        }
    }

    async fn connected(&self) -> Link {
        let mut rest = RECONNECT_MIN;
        loop {
            match self.connector.connect().await {
                // One that is too slow to be of use counts as away until it is faster.
                Ok(mut link) => match self.check(&mut link).await {
                    Ok(()) => return link,
                    Err(why) => self.tell_away(&why),
                },
                Err(error) => self.tell_away(&in_one_line(&*error)),
            }
            // Not all servers at the same moment.
            sleep(rest.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            rest = (rest * 2).min(RECONNECT_MAX);
        }
    }

    /// Returns when the link is given up.
    async fn while_it_works(&self) {
        loop {
            let _ = timeout(CHECK_INTERVAL, self.doubt.notified()).await;
            let Some(mut link) = self.link() else { return };
            if self.renew.load(Ordering::Relaxed) {
                if let Ok(link) = self.connector.connect().await {
                    self.renew.store(false, Ordering::Relaxed);
                    *self.link.write().unwrap_or_else(PoisonError::into_inner) = Some(link);
                    self.subscriptions.lost();
                }
                continue;
            }
            if let Err(why) = self.check(&mut link).await {
                *self.link.write().unwrap_or_else(PoisonError::into_inner) = None;
                self.tell_away(&why);
                return;
            }
        }
    }

    async fn check(&self, link: &mut Link) -> Result<(), String> {
        match timeout(self.timeout, link.check()).await {
            Ok(answer) => answer.map_err(|error| in_one_line(&error)),
            Err(_) => Err("it does not answer in time".to_owned()),
        }
    }

    async fn stay_subscribed(self: Arc<Self>) {
        loop {
            // Without a change, too: whoever no longer listens does not say so, and what failed is tried again.
            let _ = timeout(CHECK_INTERVAL, self.subscriptions.changed.notified()).await;
            let Difference { more, less, losses } = self.subscriptions.difference();
            let each = more.into_iter().map(|channel| (channel, true));
            for (channel, yes) in each.chain(less.into_iter().map(|channel| (channel, false))) {
                // Without a link there will be another one, and then all is wanted again.
                let Some(mut link) = self.link() else { break };
                if let Ok(Ok(())) = timeout(self.timeout, link.hear(&channel, yes)).await {
                    self.subscriptions.told(channel, yes, losses);
                }
            }
        }
    }
}

/// Whether an error tells that nothing else will work, either.
fn is_away(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly};
    match error.kind() {
        ErrorKind::Io | ErrorKind::ClusterConnectionNotFound | ErrorKind::AuthenticationFailed => true,
        ErrorKind::Server(kind) => matches!(kind, BusyLoading | ClusterDown | MasterDown | ReadOnly),
        _ => error.is_connection_dropped(),
    }
}
