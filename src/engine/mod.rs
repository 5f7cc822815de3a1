//! Lanes, batches, expiry and the feed: everything that waits, between the API and the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::domain::{Answer, Command, Difference, EventId, EventView, Refusal, Seq};
use crate::storage::{Store, StoreError};

/// Bounds of the engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Most commands that wait for one lane; more are refused with [`Failure::Overloaded`].
    pub lane_queue_commands_max: usize,
    /// Most commands in one batch.
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
    /// Its deadline passed before its batch began (no effect), or before the batch's answer came (effect unknown).
    DeadlineExceeded,
    /// The database did not answer or cannot write. The effect is unknown; the same request again tells.
    Unavailable,
    /// The server is shutting down. No effect.
    ShuttingDown,
    /// A bug. It is logged. No effect.
    Internal,
}

/// How fresh a view must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// May be up to 250 ms old.
    Cached,
    /// Read after the call began.
    Strong,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// Changes replayed.
    pub changes: u64,
    /// Reservations compared.
    pub reservations: u64,
    /// The seq up to which all was compared.
    pub seq: Seq,
    /// At most [`DIFFERENCES_MAX`] of the differences.
    pub differences: Vec<Difference>,
    /// How many there are in all.
    pub difference_count: u64,
}

/// Most differences that an audit tells one by one.
pub const DIFFERENCES_MAX: usize = 1_000;

/// The engine of one server process.
pub struct Engine {
    store: Arc<dyn Store>,
}

impl Engine {
    /// Opens the lanes and starts the sweeper.
    ///
    /// # Errors
    /// Where the store cannot open its lanes.
    pub async fn start(store: Arc<dyn Store>, _config: EngineConfig) -> Result<Self, StoreError> {
        Ok(Self { store })
    }

    /// The store, for reads.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Runs one command.
    ///
    /// # Errors
    /// Where it was refused or did not get an answer.
    pub async fn run(&self, event: EventId, command: Command, deadline: Option<Instant>) -> Result<Answer, Failure> {
        let mut results = self.run_all(event, vec![command], deadline).await;
        results.pop().unwrap_or(Err(Failure::Internal))
    }

    /// Runs independent commands of one event: a result for each, in order.
    pub async fn run_all(
        &self,
        _event: EventId,
        commands: Vec<Command>,
        _deadline: Option<Instant>,
    ) -> Vec<Result<Answer, Failure>> {
        commands.iter().map(|_| Err(Failure::ShuttingDown)).collect()
    }

    /// An event with all its allocations.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn view(
        &self,
        _event: &EventId,
        _consistency: Consistency,
    ) -> Result<Option<Arc<EventView>>, StoreError> {
        Ok(None)
    }

    /// Tells of changes of an event: the newest seq that this server has heard of. It also ticks for changes by other servers.
    pub fn subscribe(&self, _event: &EventId) -> watch::Receiver<Seq> {
        watch::channel(0).1
    }

    /// Replays an event's journal and compares. `None`: no such event.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn audit(&self, _event: &EventId) -> Result<Option<AuditReport>, StoreError> {
        Ok(None)
    }

    /// Takes no more commands, finishes those that wait, and closes the store.
    pub async fn shutdown(&self) {}
}
