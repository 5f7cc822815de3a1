//! The engine over a real database in a temporary directory, whose calls a test can make fail.

mod audit;
mod batches;
mod expiry;
mod failures;
mod faulty;
mod herald;
mod limits;
mod lists;
mod queue;
mod views;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tempfile::TempDir;
use uuid::Uuid;

use self::faulty::{Faults, FaultyStore};
use super::{Engine, EngineConfig, Failure};
use crate::domain::{
    Action, Actor, AllocationId, Answer, Command, Duration, EventConfig, EventId, Mode, OwnerId, Reservation,
    ReservationId, Reserve, SalesState, Seq, Timestamp,
};
use crate::storage::Clock;
use crate::storage::sqlite::SqliteStore;

/// The only allocation of most events.
const GA: &str = "ga";

/// No sweeper, unless a test wants it.
fn quiet() -> EngineConfig {
    EngineConfig { sweep_interval: std::time::Duration::ZERO, ..EngineConfig::default() }
}

/// An engine, its database, and a clock that only the test moves.
struct World {
    dir: TempDir,
    now: Arc<AtomicI64>,
    faults: Arc<Faults>,
    engine: Arc<Engine>,
}

impl World {
    async fn new() -> Self {
        Self::with(quiet()).await
    }

    async fn with(config: EngineConfig) -> Self {
        let dir = TempDir::new().unwrap();
        let now = Arc::new(AtomicI64::new(1_700_000_000_000_000));
        let faults = Arc::new(Faults::default());
        let engine = start(&dir, &now, &faults, config).await;
        Self { dir, now, faults, engine }
    }

    async fn restart(&mut self) {
        self.restart_with(quiet()).await;
    }

    async fn restart_with(&mut self, config: EngineConfig) {
        self.engine.shutdown().await;
        self.engine = start(&self.dir, &self.now, &self.faults, config).await;
    }

    fn advance(&self, span: Duration) {
        self.now.fetch_add(span.as_micros(), Ordering::SeqCst);
    }

    /// Makes an event that sells `capacity` units of [`GA`]. Its `last_seq` is 2 then.
    async fn event(&self, id: &str, capacity: i64, limit_per_owner: Option<i64>) -> EventId {
        let event = EventId::new(id).unwrap();
        self.run(&event, by_admin(Action::CreateEvent(config(limit_per_owner)))).await.unwrap();
        let id = AllocationId::new(GA).unwrap();
        let create = Action::CreateAllocation { id, display_name: String::new(), capacity, limit_per_owner: None };
        self.run(&event, by_admin(create)).await.unwrap();
        self.faults.take_begins();
        event
    }

    async fn run(&self, event: &EventId, command: Command) -> Result<Answer, Failure> {
        self.engine.run(event.clone(), command, None).await
    }

    async fn last_seq(&self, event: &EventId) -> Seq {
        self.engine.store().last_seq(event).await.unwrap().unwrap()
    }

    /// Units of [`GA`] that are held, by the tables; the journal must say the same.
    async fn held(&self, event: &EventId) -> i64 {
        let report = self.engine.audit(event).await.unwrap().unwrap();
        assert_eq!(report.differences, [], "{event}");
        self.engine.store().event(event).await.unwrap().unwrap().allocations[0].held
    }
}

async fn start(dir: &TempDir, now: &Arc<AtomicI64>, faults: &Arc<Faults>, config: EngineConfig) -> Arc<Engine> {
    let now = Arc::clone(now);
    let clock: Clock = Arc::new(move || Timestamp::from_micros(now.load(Ordering::SeqCst)));
    let real = SqliteStore::open_with_clock(dir.path(), clock).await.unwrap();
    Engine::start(Arc::new(FaultyStore { real, faults: Arc::clone(faults) }), config, None).await.unwrap()
}

fn config(limit_per_owner: Option<i64>) -> EventConfig {
    EventConfig {
        display_name: "Concert".to_owned(),
        sales_state: SalesState::OnSale,
        on_sale_at: None,
        off_sale_at: None,
        hold_ttl_default: Duration::from_secs(60),
        hold_ttl_max: Duration::from_secs(600),
        limit_per_owner,
        waiting_room: None,
    }
}

fn by_admin(action: Action) -> Command {
    Command { actor: Actor::Admin(OwnerId::new("root").unwrap()), action }
}

fn by_owner(name: &str, action: Action) -> Command {
    Command { actor: Actor::Owner(OwnerId::new(name).unwrap()), action }
}

/// The `n`th reservation id.
fn id(n: u64) -> ReservationId {
    Uuid::from_u128(u128::from(n)).into()
}

/// Reserves units of [`GA`].
fn reserve(name: &str, n: u64, units: i64) -> Command {
    reserve_of(GA, name, n, units)
}

fn reserve_of(allocation: &str, name: &str, n: u64, units: i64) -> Command {
    let lines = vec![(AllocationId::new(allocation).unwrap(), units)];
    let mode = Mode::AllOrNothing;
    by_owner(name, Action::Reserve(Reserve { id: id(n), lines, ttl: None, mode, replaces: None, order_ref: None }))
}

fn reservation(result: Result<Answer, Failure>) -> Reservation {
    match result {
        Ok(Answer::Reservation(reservation)) => reservation,
        other => panic!("not a reservation: {other:?}"),
    }
}
