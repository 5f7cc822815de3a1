//! A store that fails, panics or hangs where a test says so, and otherwise forwards to the real one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::domain::{
    Changes, EventId, EventView, JournalEntry, OwnerId, OwnerUnits, Reservation, ReservationId, Seq, Snapshot,
    Timestamp, WaitingRoom, Wanted,
};
use crate::storage::{AuditReader, LaneConnection, LanePlan, Loaded, Page, Result, Store, StoreError};

/// A call that may be made to fail.
pub(super) enum Call<'a> {
    OpenLane,
    Begin,
    Commit(&'a [Changes]),
    Upkeep,
    Event,
    ExpiredHolds,
}

/// How it fails.
pub(super) enum Fault {
    /// Without effect.
    Fail(StoreError),
    /// After it took effect.
    LoseAnswer(StoreError),
    /// Half-way: what was begun is neither committed nor rolled back.
    Panic,
}

type Script = Box<dyn FnMut(&Call<'_>) -> Option<Fault> + Send>;

/// What a test controls and counts.
#[derive(Default)]
pub(super) struct Faults {
    script: std::sync::Mutex<Option<Script>>,
    pub(super) gate: Gate,
    /// Where readings of an event, and of a list of them, wait.
    pub(super) readings_gate: Gate,
    /// Whether batches are told that other servers write to their events.
    pub(super) others_write: AtomicBool,
    /// Whether each event has a transaction of its own.
    pub(super) one_event_a_transaction: AtomicBool,
    readings: AtomicUsize,
    begins: AtomicUsize,
    journal_loads: AtomicUsize,
    usage_loads: AtomicUsize,
    lanes_opened: AtomicUsize,
    lists: AtomicUsize,
}

impl Faults {
    /// From now on each call is first shown to `script`.
    pub(super) fn script(&self, script: impl FnMut(&Call<'_>) -> Option<Fault> + Send + 'static) {
        *self.script.lock().unwrap() = Some(Box::new(script));
    }

    /// From now on everything works.
    pub(super) fn heal(&self) {
        *self.script.lock().unwrap() = None;
    }

    /// Readings of an event since the last call of this.
    pub(super) fn take_readings(&self) -> usize {
        self.readings.swap(0, Ordering::SeqCst)
    }

    /// Lists of events read since the last call of this.
    pub(super) fn take_lists(&self) -> usize {
        self.lists.swap(0, Ordering::SeqCst)
    }

    /// Transactions begun since the last call of this.
    pub(super) fn take_begins(&self) -> usize {
        self.begins.swap(0, Ordering::SeqCst)
    }

    /// Readings of the journal by a lane since the last call of this.
    pub(super) fn take_journal_loads(&self) -> usize {
        self.journal_loads.swap(0, Ordering::SeqCst)
    }

    /// Readings of one owner's units since the last call of this.
    pub(super) fn take_usage_loads(&self) -> usize {
        self.usage_loads.swap(0, Ordering::SeqCst)
    }

    /// Lanes opened in all.
    pub(super) fn lanes_opened(&self) -> usize {
        self.lanes_opened.load(Ordering::SeqCst)
    }

    fn next(&self, call: &Call<'_>) -> Option<Fault> {
        let fault = self.script.lock().unwrap().as_mut().and_then(|script| script(call));
        if let Some(Fault::Panic) = fault {
            panic!("the panic that the test asked for");
        }
        fault
    }
}

/// Where calls wait while it is shut.
pub(super) struct Gate {
    shut: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { shut: watch::Sender::new(false), waiting: watch::Sender::new(0) }
    }
}

impl Gate {
    pub(super) fn shut(&self) {
        self.shut.send_replace(true);
    }

    pub(super) fn open(&self) {
        self.shut.send_replace(false);
    }

    /// Returns once a call waits.
    pub(super) async fn is_met(&self) {
        self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await.unwrap();
    }

    async fn pass(&self) {
        self.waiting.send_modify(|waiting| *waiting += 1);
        self.shut.subscribe().wait_for(|shut| !shut).await.unwrap();
        self.waiting.send_modify(|waiting| *waiting -= 1);
    }
}

/// See the module.
pub(super) struct FaultyStore<S> {
    pub(super) real: S,
    pub(super) faults: Arc<Faults>,
}

struct FaultyLane {
    real: Box<dyn LaneConnection>,
    faults: Arc<Faults>,
}

#[async_trait]
impl LaneConnection for FaultyLane {
    async fn begin(&mut self, wanted: &[Wanted]) -> Result<Loaded> {
        self.faults.begins.fetch_add(1, Ordering::SeqCst);
        self.faults.gate.pass().await;
        match self.faults.next(&Call::Begin) {
            Some(Fault::Fail(error) | Fault::LoseAnswer(error)) => Err(error),
            Some(Fault::Panic) | None => {
                let others_write = self.faults.others_write.load(Ordering::SeqCst);
                Ok(Loaded { others_write, ..self.real.begin(wanted).await? })
            }
        }
    }

    async fn load_expired(&mut self, snapshot: &mut Snapshot, now: Timestamp, limit: usize) -> Result<()> {
        self.real.load_expired(snapshot, now, limit).await
    }

    async fn load_journal(&mut self, event: &EventId, from: Seq, limit: usize) -> Result<Vec<JournalEntry>> {
        self.faults.journal_loads.fetch_add(1, Ordering::SeqCst);
        self.real.load_journal(event, from, limit).await
    }

    async fn load_usage(&mut self, event: &EventId, owner: &OwnerId) -> Result<OwnerUnits> {
        self.faults.usage_loads.fetch_add(1, Ordering::SeqCst);
        self.real.load_usage(event, owner).await
    }

    async fn commit(&mut self, changes: &[Changes]) -> Result<()> {
        match self.faults.next(&Call::Commit(changes)) {
            Some(Fault::Fail(error)) => {
                self.real.rollback().await?;
                Err(error)
            }
            Some(Fault::LoseAnswer(error)) => {
                self.real.commit(changes).await?;
                Err(error)
            }
            Some(Fault::Panic) | None => self.real.commit(changes).await,
        }
    }

    async fn rollback(&mut self) -> Result<()> {
        self.real.rollback().await
    }

    async fn upkeep(&mut self) -> Result<bool> {
        match self.faults.next(&Call::Upkeep) {
            Some(Fault::Fail(error) | Fault::LoseAnswer(error)) => Err(error),
            Some(Fault::Panic) | None => self.real.upkeep().await,
        }
    }
}

#[async_trait]
impl<S: Store> Store for FaultyStore<S> {
    /// The lane runs on the test's own thread, so that what a test asks for at once is one batch.
    fn lane_plan(&self) -> LanePlan {
        let real = self.real.lane_plan();
        let one = self.faults.one_event_a_transaction.load(Ordering::SeqCst);
        LanePlan { blocks: false, events_per_batch_max: if one { 1 } else { real.events_per_batch_max }, ..real }
    }

    async fn open_lane(&self) -> Result<Box<dyn LaneConnection>> {
        if let Some(Fault::Fail(error)) = self.faults.next(&Call::OpenLane) {
            return Err(error);
        }
        self.faults.lanes_opened.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(FaultyLane { real: self.real.open_lane().await?, faults: Arc::clone(&self.faults) }))
    }

    async fn now(&self) -> Result<Timestamp> {
        self.real.now().await
    }

    async fn event(&self, id: &EventId) -> Result<Option<EventView>> {
        self.faults.readings.fetch_add(1, Ordering::SeqCst);
        self.faults.readings_gate.pass().await;
        match self.faults.next(&Call::Event) {
            Some(Fault::Fail(error) | Fault::LoseAnswer(error)) => Err(error),
            Some(Fault::Panic) | None => self.real.event(id).await,
        }
    }

    async fn events(&self, after: Option<&EventId>, limit: usize) -> Result<Page<EventView, EventId>> {
        self.faults.lists.fetch_add(1, Ordering::SeqCst);
        self.faults.readings_gate.pass().await;
        self.real.events(after, limit).await
    }

    async fn waiting_rooms(&self, limit: usize) -> Result<Vec<(EventId, WaitingRoom)>> {
        self.real.waiting_rooms(limit).await
    }

    async fn last_seq(&self, event: &EventId) -> Result<Option<Seq>> {
        self.real.last_seq(event).await
    }

    async fn reservation(&self, event: &EventId, id: &ReservationId) -> Result<Option<Reservation>> {
        self.real.reservation(event, id).await
    }

    async fn reservations_named(&self, event: &EventId, ids: &[ReservationId]) -> Result<Vec<Reservation>> {
        self.real.reservations_named(event, ids).await
    }

    async fn reservations(
        &self,
        event: &EventId,
        after: Option<&ReservationId>,
        limit: usize,
    ) -> Result<Page<Reservation, ReservationId>> {
        self.real.reservations(event, after, limit).await
    }

    async fn reservations_of(
        &self,
        event: &EventId,
        owner: &OwnerId,
        after: Seq,
        limit: usize,
    ) -> Result<Page<(Seq, Reservation), Seq>> {
        self.real.reservations_of(event, owner, after, limit).await
    }

    async fn journal(&self, event: &EventId, from: Seq, limit: usize) -> Result<Vec<JournalEntry>> {
        self.real.journal(event, from, limit).await
    }

    async fn events_with_expired_holds(&self, now: Timestamp, limit: usize) -> Result<Vec<EventId>> {
        match self.faults.next(&Call::ExpiredHolds) {
            Some(Fault::Fail(error) | Fault::LoseAnswer(error)) => Err(error),
            Some(Fault::Panic) | None => self.real.events_with_expired_holds(now, limit).await,
        }
    }

    async fn audit_reader(&self, event: &EventId) -> Result<Option<Box<dyn AuditReader>>> {
        self.real.audit_reader(event).await
    }

    async fn close(&self) {
        self.real.close().await;
    }
}
