//! Lanes, batches, expiry and the feed: everything that waits, between the API and the store.
//!
//! A command goes to the [`lane`] of its event. The lane takes all that wait, and runs them as one transaction
//! ([`batch`]). What was committed is told to watchers ([`feed`]); page views read from [`views`]
//! and [`lists`].

mod audit;
mod batch;
mod board;
mod door;
mod feed;
mod herald;
mod lane;
mod lists;
mod live;
mod owner_usage;
mod pace;
mod sweeper;
#[cfg(test)]
mod tests;
mod verify;
mod views;

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

pub use self::audit::{AuditProgress, AuditReport, DIFFERENCES_MAX};
pub use self::board::{Away, Board, Hung, Keeper, Look, Posted, VIEW_LIFE};
use self::feed::Feed;
use self::herald::Herald;
use self::lane::{Lane, LaneBounds};
pub use self::lists::EVENTS_READ_MAX;
use self::lists::Lists;
use self::live::Live;
pub use self::live::Newest;
use self::sweeper::Sweeper;
pub use self::verify::{DatabaseReport, EventReport, verify};
use self::views::Views;
use crate::domain::{Answer, Command, EventId, EventView, Refusal, Seq};
use crate::metrics::Metrics;
use crate::storage::{Page, Store, StoreError};
use crate::traces;

/// Bounds of the engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Most commands that wait for one lane; more are refused with [`Failure::Overloaded`].
    pub lane_queue_commands_max: usize,
    /// A batch takes no further requests once it has so many commands.
    pub batch_commands_max: usize,
    /// How often the sweeper looks for expired holds. Zero: never.
    pub sweep_interval: Duration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { lane_queue_commands_max: 16_384, batch_commands_max: 4_096, sweep_interval: Duration::from_secs(1) }
    }
}

/// Why there is no answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It was decided, and refused. No effect.
    Refused(Refusal),
    /// Too much waits already. No effect.
    Overloaded,
    /// Its deadline passed before its batch began. No effect.
    DeadlineExceeded,
    /// The database did not answer or cannot write. The effect is unknown; the same request again tells.
    Unavailable,
    /// The server is shutting down. No effect.
    ShuttingDown,
    /// A bug. It is logged. No effect, unless it showed itself in the commit: the same request again tells.
    Internal,
}

impl Failure {
    /// Its name, as programs and metrics know it.
    const fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.reason(),
            Self::Overloaded => crate::metrics::OVERLOADED,
            Self::DeadlineExceeded => crate::metrics::DEADLINE_EXCEEDED,
            Self::Unavailable => "STORE_UNAVAILABLE",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::Internal => "INTERNAL",
        }
    }
}

/// How fresh a view must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// May be up to 250 ms old.
    Cached,
    /// Read after the call began.
    Strong,
}

/// Who is told of what a lane has committed.
struct Told {
    feed: Arc<Feed>,
    herald: Arc<Herald>,
}

impl Told {
    fn committed(&self, event: &EventId, seq: Seq) {
        self.feed.publish(event, seq);
        self.herald.sold(event, seq);
    }
}

/// The engine of one server process.
pub struct Engine {
    store: Arc<dyn Store>,
    lanes: Vec<Lane>,
    feed: Arc<Feed>,
    views: Arc<Views>,
    lists: Lists,
    live: Live,
    herald: Option<AbortHandle>,
    sweeper: Sweeper,
    metrics: Arc<Metrics>,
}

impl Engine {
    /// Opens the lanes and starts the sweeper. `board`: what this server shares with others, if there are any.
    ///
    /// # Errors
    /// Where the store cannot open its lanes.
    pub async fn start(
        store: Arc<dyn Store>,
        config: EngineConfig,
        board: Option<Arc<dyn Board>>,
    ) -> Result<Arc<Self>, StoreError> {
        let feed = Arc::new(Feed::default());
        let herald = Arc::new(Herald::new(board.is_some()));
        let metrics = Arc::new(Metrics::default());
        let plan = store.lane_plan();
        let bounds = LaneBounds {
            queue_commands_max: config.lane_queue_commands_max,
            batch_commands_max: config.batch_commands_max,
            events_per_batch_max: plan.events_per_batch_max,
            blocks: plan.blocks,
        };
        let mut lanes = Vec::with_capacity(plan.lanes);
        for _ in 0..plan.lanes {
            let told = Told { feed: Arc::clone(&feed), herald: Arc::clone(&herald) };
            lanes.push(Lane::open(Arc::clone(&store), told, Arc::clone(&metrics), bounds).await?);
        }
        metrics.watch_queues(lanes.iter().map(Lane::waiting).collect());
        let views = Arc::new(Views::new(Arc::clone(&store), board.clone(), Arc::clone(&herald)));
        let posted = Arc::new(Feed::default());
        let live = Live::new(Arc::clone(&views), board.clone(), Arc::clone(&feed), Arc::clone(&posted));
        let herald = board.map(|board| {
            let serving = Arc::clone(&herald).serve(board, Arc::downgrade(&views), posted);
            tokio::spawn(serving).abort_handle()
        });
        let engine = Arc::new(Self {
            views,
            lists: Lists::new(Arc::clone(&store)),
            live,
            herald,
            sweeper: Sweeper::default(),
            store,
            lanes,
            feed,
            metrics,
        });
        engine.sweeper.start(&engine, config.sweep_interval).await;
        Ok(engine)
    }

    /// The store, for reads.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// What it counts of itself.
    pub const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Runs one command. A command whose `deadline` has passed before its batch begins is not begun.
    ///
    /// The lane owns the command: if the returned future is dropped, the command may still be done.
    ///
    /// # Errors
    /// Where it was refused or did not get an answer.
    pub async fn run(&self, event: EventId, command: Command, deadline: Option<Instant>) -> Result<Answer, Failure> {
        let mut results = self.run_all(event, vec![command], deadline).await;
        results.pop().unwrap_or(Err(Failure::Internal))
    }

    /// Runs independent commands of one event: a result for each, in order. See [`Self::run`].
    pub async fn run_all(
        &self,
        event: EventId,
        commands: Vec<Command>,
        deadline: Option<Instant>,
    ) -> Vec<Result<Answer, Failure>> {
        let count = commands.len();
        if count == 0 {
            return Vec::new();
        }
        let results = match self.lanes.get(self.lane_of(&event)) {
            Some(lane) => lane.run(event, commands, deadline).await,
            None => Err(Failure::Internal),
        };
        let results = results.unwrap_or_else(|failure| vec![Err(failure); count]);
        for failure in results.iter().filter_map(|result| result.as_ref().err()) {
            self.metrics.refused(failure.reason());
        }
        results
    }

    /// All commands of an event go through the same lane.
    fn lane_of(&self, event: &EventId) -> usize {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(event);
        usize::try_from(hash % self.lanes.len().max(1) as u64).unwrap_or(0)
    }

    /// An event with all its allocations.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn view(
        &self,
        event: &EventId,
        consistency: Consistency,
    ) -> Result<Option<Arc<EventView>>, Arc<StoreError>> {
        // Its span names the event.
        let _ = traces::Request::current(event);
        match consistency {
            Consistency::Cached => self.views.get(event).await,
            Consistency::Strong => Ok(self.store.event(event).await?.map(Arc::new)),
        }
    }

    /// Events after `after`, in order of ids, with all their allocations: at most [`EVENTS_READ_MAX`], and where they are read
    /// from the database for this caller alone, at most `limit`.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn events(
        &self,
        after: Option<&EventId>,
        limit: usize,
        consistency: Consistency,
    ) -> Result<Arc<Page<EventView, EventId>>, Arc<StoreError>> {
        match consistency {
            Consistency::Cached => self.lists.get(after).await,
            Consistency::Strong => Ok(Arc::new(self.store.events(after, limit.min(EVENTS_READ_MAX)).await?)),
        }
    }

    /// The newest view of an event, and each newer one. Whoever is slow sees only the newest.
    pub async fn watch(&self, event: &EventId) -> watch::Receiver<Newest> {
        self.live.watch(event).await
    }

    /// Tells of changes that this server makes to an event: the newest seq. (Those of other servers are found by polling.)
    pub fn subscribe(&self, event: &EventId) -> watch::Receiver<Seq> {
        self.feed.subscribe(event)
    }

    /// Replays an event's journal and compares it with the tables. `None`: no such event.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn audit(&self, event: &EventId) -> Result<Option<AuditReport>, StoreError> {
        match self.store.audit_reader(event).await? {
            Some(reader) => audit::audit(reader, &mut |_| {}).await.map(Some),
            None => Ok(None),
        }
    }

    /// Takes no more commands, finishes those that wait, and closes the store.
    pub async fn shutdown(&self) {
        self.sweeper.stop().await;
        if let Some(herald) = &self.herald {
            herald.abort();
        }
        for lane in &self.lanes {
            lane.drain().await;
        }
        self.store.close().await;
    }
}
