//! Servers in this process over a made-up store, and what a test needs to talk to them.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use boxoffice::domain::{
    Changes, Event, EventConfig, EventId, EventView, HOLD_TTL_DEFAULT, HOLD_TTL_LIFETIME_DEFAULT, JournalEntry, OnLoss,
    OwnerId, OwnerUnits, Reservation, ReservationId, SalesState, Seq, Snapshot, Timestamp, WaitingRoom, Wanted,
};
use boxoffice::engine::{Engine, EngineConfig};
use boxoffice::grpc::Authentication;
use boxoffice::server::{ServeError, Server, ServerConfig};
use boxoffice::storage::{AuditReader, LaneConnection, LanePlan, Loaded, Page, Result, Store, StoreError};
use boxoffice_proto::v1::admin_service_client::AdminServiceClient;
use boxoffice_proto::v1::inventory_service_client::InventoryServiceClient;
use boxoffice_proto::v1::waiting_room_service_client::WaitingRoomServiceClient;
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::task::JoinHandle;
use tonic::transport::Channel;

/// The one event of a [`StuckStore`].
pub(crate) const EVENT: &str = "gala";
/// The time of a [`StuckStore`], which does not go by.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_000_000);

/// A store with made-up contents to read, whose lanes count the batches that reach them and never finish one.
#[derive(Default)]
pub(crate) struct StuckStore {
    pub(crate) batches: Arc<AtomicUsize>,
    /// Reservations that these batches asked for.
    pub(crate) wanted: Arc<Mutex<Vec<ReservationId>>>,
    /// Lets one batch fail.
    pub(crate) released: Arc<Notify>,
    /// Events that are listed, in order of their ids. ([`EVENT`] can be read besides.)
    pub(crate) events: Vec<EventView>,
    /// The journal of [`EVENT`].
    pub(crate) journal: Vec<JournalEntry>,
    /// The reservations of [`EVENT`].
    pub(crate) reservations: Vec<Reservation>,
    /// The waiting room of [`EVENT`].
    pub(crate) waiting_room: Option<WaitingRoom>,
    /// Whether waiting rooms are never read to the end.
    pub(crate) waiting_rooms_hang: bool,
    /// As many reservations may be looked up by their ids at once as it has permits, if there is one.
    pub(crate) looks: Option<Arc<Semaphore>>,
    /// What becomes of the questions whether it answers.
    pub(crate) checks: Arc<Checks>,
}

/// Questions to a store whether it answers.
#[derive(Default)]
pub(crate) struct Checks {
    /// While it is true, they wait.
    pub(crate) hang: watch::Sender<bool>,
    pub(crate) begun: AtomicUsize,
    pub(crate) answered: AtomicUsize,
}

/// An event without allocations.
pub(crate) fn event(id: &EventId) -> EventView {
    let config = EventConfig {
        display_name: "Gala".to_owned(),
        sales_state: SalesState::OnSale,
        on_sale_at: None,
        off_sale_at: None,
        hold_ttl_default: HOLD_TTL_DEFAULT,
        hold_ttl_max: HOLD_TTL_LIFETIME_DEFAULT,
        limit_per_owner: None,
        waiting_room: None,
    };
    let event = Event {
        id: id.clone(),
        config,
        last_seq: 1,
        version: 1,
        allocation_count: 0,
        has_allocation_limits: false,
        created_at: Timestamp::from_micros(1),
    };
    EventView { event, allocations: Vec::new(), read_at: Timestamp::from_micros(1) }
}

/// A waiting room that lets nobody in.
pub(crate) fn room() -> WaitingRoom {
    let minute = boxoffice::domain::Duration::from_micros(60_000_000);
    WaitingRoom {
        admissions_per_second: 0,
        inside_max: None,
        on_loss: OnLoss::Closed,
        pass_lifetime: minute,
        grace: minute,
    }
}

struct StuckLane {
    batches: Arc<AtomicUsize>,
    wanted: Arc<Mutex<Vec<ReservationId>>>,
    released: Arc<Notify>,
}

#[async_trait]
impl Store for StuckStore {
    fn lane_plan(&self) -> LanePlan {
        LanePlan { lanes: 1, events_per_batch_max: 1, blocks: false }
    }

    async fn open_lane(&self) -> Result<Box<dyn LaneConnection>> {
        let (batches, wanted) = (Arc::clone(&self.batches), Arc::clone(&self.wanted));
        Ok(Box::new(StuckLane { batches, wanted, released: Arc::clone(&self.released) }))
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(NOW)
    }

    async fn event(&self, id: &EventId) -> Result<Option<EventView>> {
        Ok((id.as_str() == EVENT).then(|| event(id)))
    }

    async fn events(&self, after: Option<&EventId>, limit: usize) -> Result<Page<EventView, EventId>> {
        let rest = self.events.iter().filter(|view| after.is_none_or(|after| view.event.id > *after));
        let items: Vec<_> = rest.clone().take(limit).cloned().collect();
        let next = items.last().filter(|_| rest.count() > limit).map(|view| view.event.id.clone());
        Ok(Page { items, next })
    }

    async fn waiting_rooms(&self, _limit: usize) -> Result<Vec<(EventId, WaitingRoom)>> {
        if self.waiting_rooms_hang {
            return pending().await;
        }
        let gala = EventId::new(EVENT).expect("an id");
        Ok(self.waiting_room.map(|room| (gala, room)).into_iter().collect())
    }

    async fn last_seq(&self, event: &EventId) -> Result<Option<Seq>> {
        let newest = self.journal.last().map_or(1, |entry| entry.seq);
        Ok((event.as_str() == EVENT).then_some(newest))
    }

    async fn reservation(&self, _event: &EventId, id: &ReservationId) -> Result<Option<Reservation>> {
        Ok(self.reservations.iter().find(|reservation| reservation.id == *id).cloned())
    }

    async fn reservations_named(&self, _event: &EventId, ids: &[ReservationId]) -> Result<Vec<Reservation>> {
        let _permit = match &self.looks {
            Some(looks) => Some(looks.acquire().await.expect("it is open")),
            None => None,
        };
        Ok(self.reservations.iter().filter(|reservation| ids.contains(&reservation.id)).cloned().collect())
    }

    async fn reservations(
        &self,
        _event: &EventId,
        after: Option<&ReservationId>,
        limit: usize,
    ) -> Result<Page<Reservation, ReservationId>> {
        let rest = self.reservations.iter().filter(|reservation| after.is_none_or(|after| reservation.id > *after));
        let items: Vec<_> = rest.clone().take(limit).cloned().collect();
        let next = items.last().filter(|_| rest.count() > limit).map(|reservation| reservation.id);
        Ok(Page { items, next })
    }

    async fn reservations_of(
        &self,
        _event: &EventId,
        owner: &OwnerId,
        after: Seq,
        limit: usize,
    ) -> Result<Page<(Seq, Reservation), Seq>> {
        // Only every other change of it is a reservation's first.
        let numbered = (1..).step_by(2).zip(&self.reservations);
        let rest = numbered.filter(|(seq, reservation)| *seq > after && reservation.owner == *owner);
        let items: Vec<_> = rest.clone().take(limit).map(|(seq, reservation)| (seq, reservation.clone())).collect();
        let next = items.last().filter(|_| rest.count() > limit).map(|(seq, _)| *seq);
        Ok(Page { items, next })
    }

    async fn journal(&self, _event: &EventId, from: Seq, limit: usize) -> Result<Vec<JournalEntry>> {
        Ok(self.journal.iter().filter(|entry| entry.seq >= from).take(limit).cloned().collect())
    }

    async fn events_with_expired_holds(&self, _now: Timestamp, _limit: usize) -> Result<Vec<EventId>> {
        Ok(Vec::new())
    }

    async fn audit_reader(&self, _event: &EventId) -> Result<Option<Box<dyn AuditReader>>> {
        Ok(None)
    }

    async fn check(&self) -> Result<()> {
        self.checks.begun.fetch_add(1, Ordering::SeqCst);
        self.checks.hang.subscribe().wait_for(|hang| !hang).await.expect("the store is there");
        self.checks.answered.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn close(&self) {}
}

#[async_trait]
impl LaneConnection for StuckLane {
    async fn begin(&mut self, wanted: &[Wanted]) -> Result<Loaded> {
        let ids = wanted.iter().flat_map(|wanted| wanted.reservations.iter().copied());
        self.wanted.lock().expect("no panic").extend(ids);
        self.batches.fetch_add(1, Ordering::SeqCst);
        self.released.notified().await;
        Err(StoreError::Unavailable("it was told to fail".into()))
    }

    async fn load_expired(&mut self, _snapshot: &mut Snapshot, _now: Timestamp, _limit: usize) -> Result<()> {
        pending().await
    }

    async fn load_journal(&mut self, _event: &EventId, _from: Seq, _limit: usize) -> Result<Vec<JournalEntry>> {
        pending().await
    }

    async fn load_usage(&mut self, _event: &EventId, _owner: &OwnerId) -> Result<OwnerUnits> {
        pending().await
    }

    async fn commit(&mut self, _changes: &[Changes]) -> Result<()> {
        pending().await
    }

    async fn rollback(&mut self) -> Result<()> {
        Ok(())
    }

    async fn upkeep(&mut self) -> Result<bool> {
        Ok(false)
    }
}

/// A server in this process, on a free port.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) channel: Channel,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::result::Result<(), ServeError>>,
}

/// The usual bounds, on a free port of this machine.
pub(crate) fn config() -> ServerConfig {
    let listen = "127.0.0.1:0".parse().expect("an address");
    ServerConfig { drain_max: Duration::from_secs(5), ..ServerConfig::new(listen, Authentication::Dev) }
}

/// Starts a server over `store`.
pub(crate) async fn start(store: Arc<dyn Store>, config: ServerConfig) -> Running {
    let no_sweeper = EngineConfig { sweep_interval: Duration::ZERO, ..EngineConfig::default() };
    let engine = Engine::start(store, no_sweeper, None).await.expect("the engine starts");
    let server = Server::bind(config, engine).await.expect("a free port");
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(server.serve(async {
        // A test that ends without stopping its server drops the sender, which stops it as well.
        let _ = stopped.await;
    }));
    let channel =
        Channel::from_shared(format!("http://{address}")).expect("an address").connect().await.expect("a connection");
    Running { address, channel, stop: Some(stop), served }
}

impl Running {
    pub(crate) fn inventory(&self) -> InventoryServiceClient<Channel> {
        InventoryServiceClient::new(self.channel.clone())
    }

    pub(crate) fn rooms(&self) -> WaitingRoomServiceClient<Channel> {
        WaitingRoomServiceClient::new(self.channel.clone())
    }

    pub(crate) fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel.clone())
    }

    /// Tells the server to stop, and does not wait for it.
    pub(crate) fn begin_to_stop(&mut self) {
        self.stop.take().expect("stopped once").send(()).expect("the server runs");
    }

    /// Waits until the server has stopped.
    pub(crate) async fn stopped(self) {
        self.served.await.expect("no panic").expect("an orderly end");
    }
}
