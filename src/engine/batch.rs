//! Runs what a lane took as one transaction: load, decide, write, commit, answer.

use std::collections::HashMap;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::lane::{Job, Results};
use super::owner_usage::{OwnerUsage, READ_ALONE_MAX};
use super::{Failure, Told};
use crate::domain::{
    Action, Actor, Answer, Changes, Command, Decision, EventId, Need, Outcome, Snapshot, Timestamp, Wanted, decide,
};
use crate::metrics::Metrics;
use crate::storage::{LaneConnection, Store, StoreError};
use crate::traces;

/// How often a batch that failed without effect is run again before its commands are run one by one.
const TRIES_MAX: usize = 3;

/// Expired holds that are loaded at first where units run short; each further load is twice as large.
const EXPIRED_BITE: usize = 256;

/// Most expired holds that are loaded at once. Where so many are loaded and more are needed, these are reclaimed in a transaction of
/// their own first: one that has to reclaim all that a long outage has left might never end in time.
const EXPIRED_BITE_MAX: usize = 8_192;

/// Runs batches of one lane.
pub(super) struct Batcher {
    store: Arc<dyn Store>,
    /// Nothing after a panic: the next transaction opens a new one.
    connection: Option<Box<dyn LaneConnection>>,
    told: Told,
    metrics: Arc<Metrics>,
    usage: OwnerUsage,
    trace: traces::Batch,
    /// Whether anything has changed since the jobs were taken.
    changed: bool,
    /// Whether other servers write to their events, too.
    others_write: bool,
    events_per_batch_max: usize,
}

/// What was done for some jobs.
pub(super) struct Ran {
    /// Commands that were begun.
    pub(super) done: usize,
    /// Of how many events.
    pub(super) events: usize,
    /// Whether anything changed.
    pub(super) changed: bool,
    /// Whether other servers write to its events, too.
    pub(super) others_write: bool,
}

/// The commands of one event in a transaction.
struct Group {
    event: EventId,
    commands: Vec<Command>,
    /// Who waits for them, in their order.
    callers: Vec<Caller>,
    /// The requests among theirs that are traced.
    traced: Vec<traces::Request>,
}

/// Who waits for the next so many results.
struct Caller {
    commands: usize,
    reply: oneshot::Sender<Results>,
}

type GroupResults = Vec<Result<Answer, Failure>>;

impl Batcher {
    pub(super) fn new(
        store: Arc<dyn Store>,
        connection: Box<dyn LaneConnection>,
        told: Told,
        metrics: Arc<Metrics>,
        events_per_batch_max: usize,
    ) -> Self {
        let (usage, trace) = (OwnerUsage::default(), traces::Batch::default());
        let (changed, others_write, connection) = (false, false, Some(connection));
        Self { store, connection, told, metrics, usage, trace, changed, others_write, events_per_batch_max }
    }

    /// Runs jobs, those of so many events in one transaction, and answers each when its transaction has ended.
    pub(super) async fn run(&mut self, jobs: Vec<Job>) -> Ran {
        (self.changed, self.others_write) = (false, false);
        let (mut done, mut events) = (0, 0);
        let mut by_event = by_event(jobs).into_iter();
        while by_event.len() > 0 {
            let now = Instant::now();
            let jobs = by_event.by_ref().take(self.events_per_batch_max.max(1));
            let mut groups: Vec<Group> = jobs.filter_map(|jobs| Group::of(jobs, now)).collect();
            let commands = groups.iter().map(|group| group.commands.len()).sum();
            (done, events) = (done + commands, events + groups.len());
            if groups.is_empty() {
                continue;
            }
            let traced: Vec<_> = groups.iter_mut().flat_map(|group| std::mem::take(&mut group.traced)).collect();
            self.trace = traces::Batch::begin(&traced, groups.iter().map(|group| &group.event), commands);
            let results = self.run_groups(&groups).await;
            self.trace = traces::Batch::default();
            for (group, results) in groups.into_iter().zip(results) {
                group.answer(results);
            }
        }
        Ran { done, events, changed: self.changed, others_write: self.others_write }
    }

    /// A small piece of the store's deferred upkeep. Returns whether more is due.
    pub(super) async fn upkeep(&mut self) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        match AssertUnwindSafe(connection.upkeep()).catch_unwind().await {
            Ok(Ok(more)) => more,
            Ok(Err(error)) => {
                let error = &error as &dyn Error;
                tracing::warn!(error, "upkeep of the store failed; it is tried again after the next batch");
                false
            }
            Err(_) => {
                tracing::error!("a panic in the store's upkeep, which is a bug; the lane opens a new connection");
                self.connection = None;
                false
            }
        }
    }

    /// Runs groups in one transaction; where that fails for no reason that `decide` could see, again, and at last command
    /// by command, so that one that cannot be run fails alone. Once the store is found to be away, nothing more is tried:
    /// each try may take as long as the store's timeouts.
    async fn run_groups(&mut self, groups: &[Group]) -> Vec<GroupResults> {
        let error = match self.tries(groups).await {
            Ok(outcomes) => return outcomes.into_iter().map(answered).collect(),
            Err(error) => error,
        };
        self.trace.failed();
        if let Failed::Store(StoreError::Unavailable(_)) = &error {
            tracing::error!(error = &error as &dyn Error, "a batch was given up");
            return groups.iter().map(|group| vec![Err(Failure::Unavailable); group.commands.len()]).collect();
        }
        tracing::error!(error = &error as &dyn Error, "a batch failed; its commands are run one by one");
        let mut away = false;
        let mut results = Vec::with_capacity(groups.len());
        for group in groups {
            let mut own = Vec::with_capacity(group.commands.len());
            for command in &group.commands {
                if away {
                    own.push(Err(Failure::Unavailable));
                    continue;
                }
                let alone = Group { commands: vec![command.clone()], ..Group::empty(group.event.clone()) };
                own.extend(match self.tries(std::slice::from_ref(&alone)).await {
                    Ok(outcomes) => outcomes.into_iter().flat_map(answered).collect(),
                    Err(error) => {
                        tracing::error!(error = &error as &dyn Error, event = %group.event, ?command, "a command failed");
                        let failure = error.into_failure();
                        away = failure == Failure::Unavailable;
                        vec![Err(failure)]
                    }
                });
            }
            results.push(own);
        }
        results
    }

    async fn tries(&mut self, groups: &[Group]) -> Result<Vec<Vec<Outcome>>, Failed> {
        let mut tries = 1;
        loop {
            let error = match AssertUnwindSafe(self.transact(groups)).catch_unwind().await {
                Ok(Ok(Some(outcomes))) => return Ok(outcomes),
                // Fewer holds are left to reclaim.
                Ok(Ok(None)) => continue,
                Ok(Err(error)) => {
                    self.metrics.store_failed(&error);
                    Failed::Store(error)
                }
                Err(_) => Failed::Panic,
            };
            self.usage.clear();
            if let Failed::Panic = error {
                // What the connection was at is unknown.
                self.connection = None;
            }
            match error {
                Failed::Store(StoreError::Retry(_)) if tries < TRIES_MAX => {
                    tracing::warn!(error = &error as &dyn Error, tries, "a batch is run again");
                    tries += 1;
                }
                Failed::Store(_) | Failed::Panic => return Err(error),
            }
        }
    }

    /// `None`: so many holds have expired in one event that some of them were reclaimed, and nothing else was done.
    async fn transact(&mut self, groups: &[Group]) -> Result<Option<Vec<Vec<Outcome>>>, StoreError> {
        let wanted: Vec<Wanted> = groups.iter().map(Group::wanted).collect();
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.store.open_lane().await?,
        };
        let connection = &mut **self.connection.insert(connection);
        let begun = Instant::now();
        let loaded = connection.begin(&wanted).await?;
        let load = begun.elapsed();
        self.metrics.load_seconds.observe_duration(load);
        self.others_write |= loaded.others_write;
        let mut outcomes = Vec::with_capacity(groups.len());
        let mut changes = Vec::with_capacity(groups.len());
        let mut only_reclaims = false;
        for (group, snapshot) in groups.iter().zip(loaded.snapshots) {
            let decided = run_decision(connection, &mut self.usage, group, snapshot, loaded.now).await?;
            let Some(own) = decided.outcomes else {
                (only_reclaims, changes) = (true, vec![decided.changes]);
                break;
            };
            outcomes.push(own);
            changes.push(decided.changes);
        }
        let decided = Instant::now();
        // What owners have is counted while the store commits (after that, where its calls block); where it fails, all counts are
        // forgotten (`tries`).
        let count = async {
            for changed in &changes {
                if let Some(event) = &changed.event {
                    self.usage.committed(&event.after.id, &changed.journal);
                }
            }
        };
        futures::join!(connection.commit(&changes), count).0?;
        let commit = decided.elapsed();
        self.metrics.commit_seconds.observe_duration(commit);
        self.trace.committed(load, commit);
        for changed in &changes {
            if let Some(event) = &changed.event {
                self.changed = true;
                self.told.committed(&event.after.id, event.after.last_seq);
                changed.journal.iter().for_each(|entry| self.metrics.changed(entry.kind));
            }
        }
        Ok((!only_reclaims).then_some(outcomes))
    }
}

/// The jobs of each event.
fn by_event(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    let mut by_event: Vec<Vec<Job>> = Vec::new();
    let mut places: HashMap<EventId, usize> = HashMap::new();
    for job in jobs {
        let place = *places.entry(job.event.clone()).or_insert(by_event.len());
        match by_event.get_mut(place) {
            Some(jobs) => jobs.push(job),
            None => by_event.push(vec![job]),
        }
    }
    by_event
}

impl Group {
    /// One event's jobs, but for those for which nobody waits any more: what was not begun need not be.
    fn of(jobs: Vec<Job>, now: Instant) -> Option<Self> {
        let mut group: Option<Self> = None;
        for job in jobs {
            if job.deadline.is_some_and(|deadline| deadline <= now) {
                let _ = job.reply.send(Err(Failure::DeadlineExceeded));
                continue;
            }
            if job.reply.is_closed() {
                continue;
            }
            let group = group.get_or_insert_with(|| Self::empty(job.event));
            group.callers.push(Caller { commands: job.commands.len(), reply: job.reply });
            group.commands.extend(job.commands);
            group.traced.extend(job.traced);
        }
        group
    }

    const fn empty(event: EventId) -> Self {
        Self { event, commands: Vec::new(), callers: Vec::new(), traced: Vec::new() }
    }

    /// Tells each caller what became of his commands.
    fn answer(self, results: GroupResults) {
        debug_assert_eq!(results.len(), self.commands.len(), "a result for each command");
        let mut results = results.into_iter();
        for Caller { commands, reply } in self.callers {
            // A caller that has gone meanwhile learns the truth by asking again.
            let _ = reply.send(Ok(results.by_ref().take(commands).collect()));
        }
    }

    fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::new(self.event.clone());
        for command in &self.commands {
            command.add_wanted(&mut wanted);
        }
        wanted
    }
}

/// What is to be done for a group.
struct Decided {
    /// Nothing: only expired holds are to be reclaimed.
    outcomes: Option<Vec<Outcome>>,
    changes: Changes,
}

/// Decides on a group, and loads what the decision turns out to need.
async fn run_decision(
    connection: &mut dyn LaneConnection,
    usage: &mut OwnerUsage,
    group: &Group,
    mut snapshot: Snapshot,
    now: Timestamp,
) -> Result<Decided, StoreError> {
    usage.catch_up(connection, &snapshot).await?;
    let mut bite = EXPIRED_BITE;
    let mut caught_up = false;
    loop {
        match decide(&snapshot, usage.table(&snapshot), &group.commands, now) {
            Ok(Decision { outcomes, changes }) => return Ok(Decided { outcomes: Some(outcomes), changes }),
            Err(Need::Expired) => {
                let loaded = snapshot.expired.len();
                let reclaim = Command { actor: Actor::System, action: Action::ReclaimExpired };
                if loaded >= EXPIRED_BITE_MAX
                    && let Ok(Decision { changes, .. }) = decide(&snapshot, usage.table(&snapshot), &[reclaim], now)
                {
                    return Ok(Decided { outcomes: None, changes });
                }
                connection.load_expired(&mut snapshot, now, bite).await?;
                if snapshot.expired.len() == loaded {
                    connection.rollback().await?;
                    return Err(StoreError::Corrupt("expired holds that cannot be loaded".to_owned()));
                }
                bite = (bite * 2).min(EXPIRED_BITE_MAX);
            }
            Err(Need::Usage(owners)) if owners.len() > READ_ALONE_MAX && !caught_up => {
                usage.catch_up_for_many(connection, &snapshot).await?;
                caught_up = true;
            }
            Err(Need::Usage(owners)) => {
                for owner in owners {
                    let units = usage.exact(connection, &group.event, &owner).await?;
                    snapshot.exact_usage.insert(owner, units);
                }
            }
        }
    }
}

fn answered(outcomes: Vec<Outcome>) -> GroupResults {
    outcomes.into_iter().map(|outcome| outcome.map_err(Failure::Refused)).collect()
}

/// Why a batch has no outcomes.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Store(StoreError),
    #[error("a panic, which is a bug")]
    Panic,
}

impl Failed {
    fn into_failure(self) -> Failure {
        match self {
            Self::Store(StoreError::Retry(_) | StoreError::Unavailable(_)) => Failure::Unavailable,
            Self::Store(StoreError::Guard { .. } | StoreError::Corrupt(_)) | Self::Panic => Failure::Internal,
        }
    }
}
