//! A lane: a task (a thread, where the store's calls block) that owns a bounded queue of commands and one connection to the store.
//!
//! Callers never await the database themselves: gRPC drops a caller's future when its client goes away, and a
//! transaction must not be cancelled half-way. The lane owns the work; callers only wait for its answer.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::batch::{Batcher, Ran};
use super::door::{Batch, Door, Keeper};
use super::{Failure, Told};
use crate::domain::{Answer, Command, EventId};
use crate::metrics::Metrics;
use crate::storage::{Store, StoreError};
use crate::traces;

/// Bounds of one lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct LaneBounds {
    pub(super) queue_commands_max: usize,
    pub(super) batch_commands_max: usize,
    pub(super) events_per_batch_max: usize,
    /// See [`crate::storage::LanePlan`].
    pub(super) blocks: bool,
}

/// Independent commands of one event, from one caller.
pub(super) struct Job {
    pub(super) event: EventId,
    pub(super) commands: Vec<Command>,
    pub(super) deadline: Option<Instant>,
    /// The request that it comes from, if that is traced.
    pub(super) traced: Option<traces::Request>,
    pub(super) reply: oneshot::Sender<Results>,
}

/// A result for each of a job's commands, or why there is none for any.
pub(super) type Results = Result<Vec<Result<Answer, Failure>>, Failure>;

/// The callers' end of a lane.
pub(super) struct Lane {
    queue: mpsc::Sender<Job>,
    door: Arc<Door>,
    stop: watch::Sender<bool>,
    /// Closed when it has ended.
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Lane {
    pub(super) async fn open(
        store: Arc<dyn Store>,
        told: Told,
        metrics: Arc<Metrics>,
        bounds: LaneBounds,
    ) -> Result<Self, StoreError> {
        let connection = store.open_lane().await?;
        let (queue, jobs) = mpsc::channel(bounds.queue_commands_max);
        let (stop, stopped) = watch::channel(false);
        let door = Arc::new(Door::new(bounds.queue_commands_max));
        let keeper = Keeper::new(Arc::clone(&door));
        let batcher = Batcher::new(store, connection, told, Arc::clone(&metrics), bounds.events_per_batch_max);
        let (commands_max, last) = (bounds.batch_commands_max, Last::default());
        let end = LaneEnd { jobs, stopped, keeper, commands_max, last, has_thread: bounds.blocks, metrics };
        let (ending, ended) = oneshot::channel::<()>();
        let serving = async move {
            end.serve(batcher).await;
            drop(ending);
        };
        if bounds.blocks {
            let runtime = Handle::current();
            let thread = std::thread::Builder::new().name("lane".to_owned());
            let started = thread.spawn(move || runtime.block_on(serving));
            started.map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        } else {
            tokio::spawn(serving);
        }
        Ok(Self { queue, door, stop, ended: Mutex::new(Some(ended)) })
    }

    /// Where it counts the commands that wait or are in a batch.
    pub(super) fn waiting(&self) -> Arc<AtomicUsize> {
        Arc::clone(self.door.waiting())
    }

    /// Runs commands of one event.
    pub(super) async fn run(&self, event: EventId, commands: Vec<Command>, deadline: Option<Instant>) -> Results {
        // Or else a steady stream of commands would keep a lane that is being drained from ever finding its queue empty.
        if *self.stop.borrow() {
            return Err(Failure::ShuttingDown);
        }
        let count = commands.len();
        if !self.door.enter(count) {
            return Err(Failure::Overloaded);
        }
        let (reply, answer) = oneshot::channel();
        let traced = traces::Request::current(&event);
        if let Err(refused) = self.queue.try_send(Job { event, commands, deadline, traced, reply }) {
            self.door.leave(1, count);
            return Err(match refused {
                TrySendError::Full(_) => Failure::Overloaded,
                TrySendError::Closed(_) => Failure::ShuttingDown,
            });
        }
        // The lane answers every job that it took, unless the process ends.
        answer.await.unwrap_or(Err(Failure::Unavailable))
    }

    /// Refuses new commands, and returns when those that wait are done.
    pub(super) async fn drain(&self) {
        self.stop.send_replace(true);
        if let Some(ended) = self.ended.lock().await.take() {
            // A lane ends by itself once its queue is empty.
            let _ = ended.await;
        }
    }
}

/// The working end of a lane.
struct LaneEnd {
    jobs: mpsc::Receiver<Job>,
    stopped: watch::Receiver<bool>,
    keeper: Keeper,
    commands_max: usize,
    last: Last,
    /// Whether it has a thread of its own.
    has_thread: bool,
    metrics: Arc<Metrics>,
}

/// What a lane knows of the batch before.
#[derive(Default)]
struct Last {
    /// How long it is worth waiting for callers who will be back soon.
    linger: Duration,
    /// Its commands, and those that came while it ran: as many callers seem to be about.
    callers: usize,
    /// Whether it changed anything.
    changed: bool,
}

/// A batch that took at least this long, and longer than its commands and events are worth as work, has waited more than worked:
/// for a standby in another zone, or for a slow disk. Then it pays to have more commands in the next one. Where it has worked,
/// waiting for more only leaves the machine idle. (The runtime's timers count milliseconds, so less is not worth a wait.)
const LINGER_FROM: Duration = Duration::from_millis(3);
const LINGER_FROM_PER_COMMAND: Duration = Duration::from_micros(60);
/// Each event of a batch has pages of its own in the database.
const LINGER_FROM_PER_EVENT: Duration = Duration::from_micros(300);

/// A batch of so many commands takes what waits, and no longer lets those go first whose requests are being read: what it shares among
/// its commands is little by then, and the store would have nothing to do meanwhile.
const GATHERED_MAX: usize = 64;

/// The part of what the last batch took that the next one waits, and no longer than this: the last one may have waited in vain
/// for a database that is away.
const LINGER_DIVISOR: u32 = 2;
const LINGER_MAX: Duration = Duration::from_millis(20);

/// While callers wait, upkeep rests so many times as long as its last piece took: it gets a twentieth of the lane's time.
const UPKEEP_RESTS: u32 = 19;

impl Last {
    fn new(took: Duration, commands: usize, callers: usize, ran: &Ran) -> Self {
        let times = |each: Duration, count| each.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        let work = times(LINGER_FROM_PER_COMMAND, commands) + times(LINGER_FROM_PER_EVENT, ran.events);
        let waited = took >= LINGER_FROM.max(work);
        let linger = match (ran.others_write, waited) {
            // They have their batches meanwhile: whoever hurries waits for their lock, and has fewer commands.
            (true, _) => took,
            (false, true) => took / LINGER_DIVISOR,
            (false, false) => Duration::ZERO,
        };
        let linger = linger.min(LINGER_MAX);
        Self { linger, callers, changed: ran.changed }
    }
}

impl LaneEnd {
    async fn serve(mut self, mut batcher: Batcher) {
        let mut upkeep_due = true;
        let mut upkeep_from = Instant::now();
        while let Some(batch) = self.next_batch(upkeep_due).await {
            let commands: usize = batch.iter().map(|job| job.commands.len()).sum();
            if commands > 0 {
                self.turn_away();
                let (callers, begun) = (batch.len(), Instant::now());
                let ran = batcher.run(batch).await;
                let ended = Instant::now();
                let took = ended - begun;
                let waiting = self.keeper.done(callers, Batch { commands, done: ran.done, took }, ended);
                self.metrics.batch_commands.observe_count(commands);
                self.metrics.batch_seconds.observe_duration(took);
                self.last = Last::new(took, commands, waiting, &ran);
            }
            upkeep_due = true;
            // Where there is nothing else to do it goes on at once.
            if commands == 0 || Instant::now() >= upkeep_from {
                let begun = Instant::now();
                upkeep_due = batcher.upkeep().await;
                upkeep_from = Instant::now() + begun.elapsed() * UPKEEP_RESTS;
            }
        }
    }

    /// All that waits, up to the bound. Where there is nothing, it waits, unless upkeep could be done meanwhile. `None`: the
    /// lane was stopped and is empty.
    async fn next_batch(&mut self, upkeep_due: bool) -> Option<Vec<Job>> {
        let first = match self.jobs.try_recv() {
            Ok(job) => job,
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) if upkeep_due && !*self.stopped.borrow() => return Some(Vec::new()),
            Err(TryRecvError::Empty) => self.wait().await?,
        };
        let now = Instant::now();
        self.keeper.begun(now);
        let commands_max = self.commands_max.min(self.keeper.batch_max());
        let mut commands = first.commands.len();
        let mut batch = vec![first];
        let linger_until = now + self.last.linger;
        loop {
            let before = commands;
            while commands < commands_max
                && let Ok(job) = self.jobs.try_recv()
            {
                commands += job.commands.len();
                batch.push(job);
            }
            if commands >= commands_max {
                return Some(batch);
            }
            if commands > before && commands < GATHERED_MAX {
                // Requests that have arrived and are being read join this batch rather than wait for the next: whoever is
                // ready to run goes first, as long as that brings more.
                if !self.has_thread {
                    tokio::task::yield_now().await;
                    continue;
                }
                // Beside a lane with a thread they are read while it writes. Where it does not write, to wake it costs more than the
                // batch, so the fewer batches the better.
                if !self.last.changed {
                    std::thread::yield_now();
                    continue;
                }
            }
            // Where a batch waits long, two crowds of callers would take turns, each waiting for the other's batch; where other
            // servers have their batches of the same event, there is nothing to hurry for. So a batch waits a little for those who
            // were answered just now.
            if self.last.linger.is_zero() || commands >= self.last.callers {
                return Some(batch);
            }
            match tokio::time::timeout_at(linger_until, self.jobs.recv()).await {
                Ok(Some(job)) => {
                    commands += job.commands.len();
                    batch.push(job);
                }
                _ => return Some(batch),
            }
        }
    }

    /// Refuses what waits beyond what is worth it, the oldest first: its callers have waited the longest already, and the
    /// others will be served sooner.
    fn turn_away(&mut self) {
        while self.keeper.is_crowded()
            && let Ok(job) = self.jobs.try_recv()
        {
            self.keeper.turned_away(job.commands.len());
            // A caller that has gone needs no answer.
            let _ = job.reply.send(Err(Failure::Overloaded));
        }
    }

    async fn wait(&mut self) -> Option<Job> {
        if !*self.stopped.borrow() {
            tokio::select! {
                job = self.jobs.recv() => return job,
                _ = self.stopped.changed() => {}
            }
        }
        self.jobs.close();
        self.jobs.recv().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Action, Actor};
    use crate::engine::pace::{BURST_MAX, CALM_AFTER};

    #[test]
    fn a_batch_waits_for_callers_only_where_it_would_wait_for_others_or_the_last_one_did_and_never_for_long() {
        let ran = |events| Ran { done: 0, events, changed: true, others_write: false };
        let linger = |took, commands, events| Last::new(took, commands, 0, &ran(events)).linger;
        assert_eq!(linger(Duration::from_millis(10), 1, 1), Duration::from_millis(5));
        assert_eq!(linger(Duration::from_secs(10), 1, 1), LINGER_MAX);
        assert_eq!(linger(Duration::from_millis(2), 1, 1), Duration::ZERO);
        assert_eq!(linger(Duration::from_millis(10), 1_000, 1), Duration::ZERO);
        assert_eq!(linger(Duration::from_millis(10), 64, 64), Duration::ZERO, "each event is work");
        let among_others = |took| Last::new(took, 8, 0, &Ran { others_write: true, ..ran(1) }).linger;
        assert_eq!(among_others(Duration::from_millis(2)), Duration::from_millis(2));
        assert_eq!(among_others(Duration::from_secs(10)), LINGER_MAX);
    }

    /// The end of a lane at which so many callers wait with a command each, in a queue that was found to stand so long ago.
    fn end_of_standing_queue(callers: usize, found: Duration) -> (LaneEnd, Arc<Door>) {
        let door = Arc::new(Door::new(callers * 10));
        let mut keeper = Keeper::new(Arc::clone(&door));
        let (queue, jobs) = mpsc::channel(callers);
        for _ in 0..callers {
            assert!(door.enter(1));
            let commands = vec![Command { actor: Actor::System, action: Action::ReclaimExpired }];
            let (event, reply) = (EventId::new("demo").unwrap(), oneshot::channel().0);
            assert!(queue.try_send(Job { event, commands, deadline: None, traced: None, reply }).is_ok());
        }
        let before = Batch { commands: 0, done: 1, took: Duration::from_millis(10) };
        let now = Instant::now() - found;
        for at in [now - BURST_MAX, now] {
            keeper.done(0, before, at);
        }
        let (_, stopped) = watch::channel(false);
        let (last, metrics) = (Last::default(), Arc::default());
        (LaneEnd { jobs, stopped, keeper, commands_max: usize::MAX, last, has_thread: false, metrics }, door)
    }

    #[tokio::test]
    async fn a_queue_that_was_found_to_stand_makes_no_batch_as_long_as_itself() {
        let (mut end, _door) = end_of_standing_queue(1_000, Duration::ZERO);
        let batch = end.next_batch(false).await.unwrap();
        assert_eq!(batch.len(), end.keeper.batch_max());
        assert!(batch.len() < 1_000);
    }

    #[tokio::test]
    async fn a_batch_after_a_pause_lets_a_crowd_in() {
        let (mut end, door) = end_of_standing_queue(300, CALM_AFTER);
        assert!(!door.enter(1));
        end.next_batch(false).await.unwrap();
        assert!((0..1_000).all(|_| door.enter(1)));
    }
}
