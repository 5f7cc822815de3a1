//! Whether the server can serve: only while its store answers, and until it is told to stop.
//!
//! A task of its own asks the store, so that a health check costs no look-up, however often it is made.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use boxoffice_proto::v1::admin_service_server::SERVICE_NAME as ADMIN;
use boxoffice_proto::v1::inventory_service_server::SERVICE_NAME as INVENTORY;
use boxoffice_proto::v1::waiting_room_service_server::SERVICE_NAME as WAITING_ROOM;
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::causes::in_one_line;
use crate::engine::Engine;

/// How often the store is asked.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How long it may take to answer. With the interval, a store that is away is noticed within 2 s.
const CHECK_MAX: Duration = Duration::from_secs(1);
/// How often it is asked what it holds in all: that reads all events.
const TOTALS_INTERVAL: Duration = Duration::from_secs(15);

/// What is told of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// The store answers.
    Serving,
    /// It does not, and why.
    Away(String),
    /// The server was told to stop. It stays so.
    Ending,
}

/// Knows the state, and tells it to `grpc.health.v1.Health` and the metrics.
pub(super) struct Health {
    state: Mutex<State>,
    reporter: HealthReporter,
    engine: Arc<Engine>,
}

impl Health {
    /// Of an engine whose store has just been opened: it serves.
    pub(super) async fn serving(reporter: HealthReporter, engine: Arc<Engine>) -> Self {
        let health = Self { state: Mutex::new(State::Serving), reporter, engine };
        health.tell(&State::Serving).await;
        health
    }

    /// The state now.
    pub(super) async fn state(&self) -> State {
        self.state.lock().await.clone()
    }

    /// Nothing is served any more.
    pub(super) async fn end(&self) {
        self.set(State::Ending).await;
    }

    /// Asks the store, again and again.
    pub(super) async fn keep_checking(self: Arc<Self>) {
        let mut ticks = interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut check = self.engine.store().check();
            let answer = match timeout(CHECK_MAX, &mut check).await {
                Ok(answer) => answer,
                Err(_) => {
                    self.set(State::Away(format!("no answer within {CHECK_MAX:?}"))).await;
                    // It is not given up: that would leave a connection in the middle of something, and another question
                    // would wait behind it. The store has bounds of its own.
                    check.await
                }
            };
            self.set(match answer {
                Ok(()) => State::Serving,
                Err(error) => State::Away(in_one_line(&error)),
            })
            .await;
        }
    }

    /// Asks the store what it holds in all, for metrics, now and then.
    pub(super) async fn keep_totals(self: Arc<Self>) {
        let mut ticks = interval(TOTALS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.engine.store().totals().await {
                Ok(totals) => self.engine.metrics().set_totals(&totals),
                Err(error) => tracing::debug!(error = &error as &dyn Error, "totals were not read"),
            }
        }
    }

    /// The lock is held until all have been told, so that they are told in order.
    async fn set(&self, new: State) {
        let mut state = self.state.lock().await;
        if *state == State::Ending || *state == new {
            return;
        }
        match &new {
            State::Serving => tracing::info!("the store answers again"),
            State::Away(why) if *state == State::Serving => tracing::error!(why, "the store does not answer"),
            State::Away(_) | State::Ending => {}
        }
        self.tell(&new).await;
        *state = new;
    }

    async fn tell(&self, state: &State) {
        let serving = *state == State::Serving;
        self.engine.metrics().set_serving(serving);
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        // The empty name stands for the server as a whole.
        for service in ["", INVENTORY, ADMIN, WAITING_ROOM] {
            self.reporter.set_service_status(service, status).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineConfig;
    use crate::storage::sqlite::SqliteStore;

    /// A check may have begun before the end, and be answered after it.
    #[tokio::test]
    async fn a_server_that_ends_never_serves_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path()).await.unwrap();
        let engine = Engine::start(Arc::new(store), EngineConfig::default(), None).await.unwrap();
        let (reporter, _service) = tonic_health::server::health_reporter();
        let health = Health::serving(reporter, Arc::clone(&engine)).await;
        let away = |why: &str| State::Away(why.to_owned());
        for state in [away("no answer"), away("read-only"), State::Serving] {
            health.set(state.clone()).await;
            assert_eq!(health.state().await, state);
        }
        health.end().await;
        for state in [State::Serving, away("no answer"), State::Serving] {
            health.set(state).await;
            assert_eq!(health.state().await, State::Ending);
        }
        engine.shutdown().await;
    }
}
